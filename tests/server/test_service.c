// SPDX-License-Identifier: MIT
/*
 * The server under a service manager, and beside other programs.
 */

#include "client.h"

#include <sched.h>
#include <sys/mman.h>
#include <sys/mount.h>

static void assert_created_are_removed(void)
{
	assert_false(exists(in_dir("s.lock")));
	assert_false(exists(in_dir("s.status")));
	assert_false(exists(in_dir("s.status.lock")));
}

static void socket_that_was_passed_is_served_and_left(void **state)
{
	struct client *client;

	start_server(&(struct start){ .pass_socket = true });
	client = client_join(1, false);
	assert_int_equal(client->id, 0);
	assert_true(exists(in_dir("s.status")));
	client_free(client);
	assert_int_equal(stop_server(SIGTERM), 0);
	assert_true(exists(fixture.socket));
	assert_created_are_removed();
}

static void status_socket_that_was_passed_is_served_and_left(void **state)
{
	struct client *client;
	char line[64] = "";
	int status;

	start_server(&(struct start){ .pass_socket = true, .pass_status = true });
	client = client_join(1, false);
	status = connect_to(in_dir("given.status"));
	assert_int_equal(recv(status, line, 11, MSG_WAITALL), 11);
	assert_string_equal(line, "{\"peers\":1,");
	client_free(client);
	assert_int_equal(stop_server(SIGTERM), 0);
	assert_true(exists(fixture.socket));
	assert_created_are_removed();
	assert_true(exists(in_dir("given.status")));
}

static void socket_that_was_passed_must_be_the_one_named(void **state)
{
	const struct start start = {
		.args = { "--socket", in_dir("other") },
		.pass_socket = true,
		.may_fail = true,
	};

	start_server(&start);
	assert_int_equal(await_server(), 1);
	assert_log_has("say the same in --socket and in ListenStream=");
	assert_true(exists(fixture.socket));
	assert_created_are_removed();
}

static void manager_is_told_how_many_peers_there_are(void **state)
{
	struct client *client;

	start_server(&(struct start){ .size = "64K" });
	client = client_join(1, false);
	assert_true(notified("STATUS=1 peer"));
	client_free(client);
	assert_true(notified("STATUS=0 peers"));
	assert_int_equal(stop_server(SIGTERM), 0);
	assert_true(notified("STOPPING=1"));
}

static void fill(const char *path)
{
	struct sockaddr_un address = address_of(path);
	int notify = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

	while (sendto(notify, "x", 1, 0, (struct sockaddr *)&address, sizeof(address)) == 1)
		;
	assert_int_equal(errno, EAGAIN);
	close(notify);
}

static void manager_that_does_not_read_holds_nobody_up(void **state)
{
	struct client *client;
	int i;

	start_server(&(struct start){ .size = "64K" });
	fill(in_dir("notify"));
	for (i = 0; i < 4; i++) {
		client = client_join(1, false);
		client_free(client);
		usleep(600000);
	}
	assert_int_equal(stop_server(SIGTERM), 0);
}

static void await_socket(void)
{
	int64_t end = now_ms() + PATIENCE_MS;

	while (!exists(in_dir("s.status")) && now_ms() < end)
		usleep(2000);
}

static void manager_that_does_not_read_holds_up_no_start(void **state)
{
	struct client *client;

	fill(in_dir("notify"));
	start_server(&(struct start){ .watchdog_usec = "100000", .may_fail = true });
	await_socket();
	client = client_join(1, false);
	client_free(client);
	assert_int_equal(stop_server(SIGTERM), 0);
}

static void manager_that_reads_late_learns_that_the_server_is_ready(void **state)
{
	fill(in_dir("notify"));
	start_server(&(struct start){ .may_fail = true });
	await_socket();
	client_free(client_join(1, false));
	assert_true(notified("READY=1"));
}

static void watchdog_that_is_no_number_is_named(void **state)
{
	start_server(&(struct start){ .watchdog_usec = "abc", .may_fail = true });
	assert_int_equal(await_server(), 1);
	assert_log_has("WATCHDOG_USEC='abc'");
	assert_false(exists(fixture.socket));
	assert_created_are_removed();
}

static void watchdog_is_fed(void **state)
{
	start_server(&(struct start){ .watchdog_usec = "100000" });
	assert_true(notified("WATCHDOG=1"));
	assert_true(notified("WATCHDOG=1"));
}

static void every_signal_that_ends_it_tidies_up(void **state)
{
	static const int signals[] = { SIGTERM, SIGINT, SIGHUP };
	struct client *client;
	size_t i;

	for (i = 0; i < ARRAY_SIZE(signals); i++) {
		start_server(&(struct start){ .args = { "--file", in_dir("region") } });
		client = client_join(1, false);
		assert_true(exists(in_dir("region")));
		assert_int_equal(stop_server(signals[i]), 0);
		assert_false(exists(fixture.socket));
		assert_created_are_removed();
		assert_false(exists(in_dir("region")));
		client_free(client);
	}
}

/* What the kernel says of the mapping of @fd. */
static bool maps_as(int fd, const char *text)
{
	void *memory = mmap(NULL, 65536, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	char line[512], address[32];
	bool found = false;
	FILE *maps;

	assert_true(memory != MAP_FAILED);
	*(volatile char *)memory = 1;
	snprintf(address, sizeof(address), "%lx ", (unsigned long)memory);
	maps = fopen("/proc/self/numa_maps", "r");
	while (maps && fgets(line, sizeof(line), maps))
		if (!strncmp(line, address, strlen(address)))
			found = strstr(line, text);
	if (maps)
		fclose(maps);
	munmap(memory, 65536);
	return found;
}

static void region_lies_on_the_node_and_is_allocated_as_asked(void **state)
{
	const struct start start = { .args = { "--numa-node", "0", "--preallocate" } };
	struct client *client;
	struct stat st;

	if (access("/proc/self/numa_maps", R_OK))
		skip_because("the kernel knows no NUMA nodes");
	start_server(&start);
	client = client_join(1, false);
	assert_true(maps_as(client->region, "bind:0"));
	assert_int_equal(fstat(client->region, &st), 0);
	assert_int_equal(st.st_blocks, 65536 / 512);
	client_free(client);
	assert_int_equal(stop_server(SIGTERM), 0);

	start_server(&(struct start){ .size = "64K" });
	client = client_join(1, false);
	assert_true(maps_as(client->region, "default"));
	client_free(client);
}

static void file_that_was_created_on_a_node_stays_there(void **state)
{
	const struct start start = { .args = { "--file", "/dev/shm/ivshmem-test-node" } };
	char command[2 * PATH_MAX];
	struct client *client;

	if (access("/proc/self/numa_maps", R_OK))
		skip_because("the kernel knows no NUMA nodes");
	unlink("/dev/shm/ivshmem-test-node");
	snprintf(command, sizeof(command),
		 "'%s' create --size 64K --numa-node 0 /dev/shm/ivshmem-test-node", fixture.binary);
	assert_int_equal(system(command), 0);
	start_server(&start);
	client = client_join(1, false);
	unlink("/dev/shm/ivshmem-test-node");
	assert_true(maps_as(client->region, "bind:0"));
	client_free(client);
}

/* As QEMU's: no lock, but it answers. */
static void live_server_of_another_kind_is_not_replaced(void **state)
{
	int listener = listen_at(fixture.socket, SOCK_STREAM), client;

	start_server(&(struct start){ .may_fail = true });
	assert_int_equal(await_server(), 1);
	assert_log_has("another program serves this socket");
	close(accept(listener, NULL, NULL));
	client = connect_to(fixture.socket);
	assert_true(accept(listener, NULL, NULL) >= 0);
	close(client);
	assert_false(exists(in_dir("s.lock")));
}

static void stale_socket_of_another_kind_is_replaced(void **state)
{
	struct client *client;

	close(listen_at(fixture.socket, SOCK_STREAM));
	assert_true(exists(fixture.socket));
	start_server(&(struct start){ .size = "64K" });
	client = client_join(1, false);
	client_free(client);
}

static void another_that_took_the_path_meanwhile_is_left(void **state)
{
	start_server(&(struct start){ .size = "64K" });
	assert_int_equal(unlink(fixture.socket), 0);
	close(listen_at(fixture.socket, SOCK_STREAM));
	assert_int_equal(stop_server(SIGTERM), 0);
	assert_true(exists(fixture.socket));
}

/* What a stuck reader of stderr costs is lines, not the service. */
static void log_that_nobody_reads_stops_nobody(void **state)
{
	struct client *client;
	int i;

	assert_int_equal(mkfifo(in_dir("log"), 0600), 0);
	assert_true(open(in_dir("log"), O_RDWR | O_CLOEXEC) >= 0);
	start_server(&(struct start){ .size = "64K" });
	for (i = 0; i < 1000; i++) {
		client = client_join(1, false);
		client_free(client);
	}
	assert_int_equal(stop_server(SIGTERM), 0);
	assert_int_equal(unlink(in_dir("log")), 0);
}

/* In a mount namespace of its own: the journal's socket, or a negative exit status. */
static int own_journal(void)
{
	if (unshare(CLONE_NEWNS) || mount("none", "/", NULL, MS_REC | MS_PRIVATE, NULL) ||
	    mount("journal", "/run", "tmpfs", 0, NULL))
		return -77;
	if (mkdir("/run/systemd", 0755) || mkdir("/run/systemd/journal", 0755))
		return -78;
	return listen_at("/run/systemd/journal/socket", SOCK_DGRAM);
}

static void start_with_journal(void)
{
	struct stat st;
	char stream[64];

	fstat(log_fd(), &st);
	snprintf(stream, sizeof(stream), "%lu:%lu", (unsigned long)st.st_dev,
		 (unsigned long)st.st_ino);
	start_server(&(struct start){ .journal_stream = stream });
}

static int check_journal(void)
{
	char message[4096];
	ssize_t length;
	int journal = own_journal();

	if (journal < 0)
		return -journal;
	start_with_journal();
	client_free(client_join(1, false));
	do {
		length = recv(journal, message, sizeof(message) - 1, 0);
		if (length <= 0)
			return 79;
		message[length] = '\0';
	} while (!strstr(message, "\nIVSHMEM_EVENT=joined\n"));
	if (stop_server(SIGTERM))
		return 80;
	return strstr(message, "\nIVSHMEM_PEER=0\n") && strstr(message, "\nIVSHMEM_UID=0\n") &&
	       strstr(message, "\nPRIORITY=6\n") && strstr(message, "IVSHMEM_SOCKET=/") ? 0 : 81;
}

static int check_stuck_journal(void)
{
	int journal = own_journal(), i;

	if (journal < 0)
		return -journal;
	start_with_journal();
	fill("/run/systemd/journal/socket");
	for (i = 0; i < 20; i++)
		client_free(client_join(1, false));
	return stop_server(SIGTERM) ? 80 : 0;
}

/* False where the test had to be skipped. */
static bool in_a_namespace(void **state, int (*check)(void))
{
	int status = 0;
	pid_t child;

	if (getuid()) {
		tap_mark_skipped(*state, "needs root");
		return false;
	}
	child = fork();
	if (!child)
		_exit(check());
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_true(WIFEXITED(status));
	if (WEXITSTATUS(status) == 77) {
		tap_mark_skipped(*state, "no mount namespace can be made here");
		return false;
	}
	assert_int_equal(WEXITSTATUS(status), 0);
	return true;
}

static void journal_gets_fields_of_their_own(void **state)
{
	if (in_a_namespace(state, check_journal))
		assert_false(log_has("joined"));
}

/* The lines go to stderr, which has room. */
static void journal_that_does_not_read_stops_nobody(void **state)
{
	if (in_a_namespace(state, check_stuck_journal))
		assert_log_has("joined");
}

/* --- what 'ivshmem peers' makes of answers --- */

static int peers_says(const char *answer, size_t length)
{
	int listener = listen_at(in_dir("fake"), SOCK_STREAM), socket, status = -1;
	pid_t child = fork();

	if (!child) {
		dup2(log_fd(), 2);
		dup2(open("/dev/null", O_WRONLY), 1);
		execl(fixture.binary, "ivshmem", "peers", "--status-socket", in_dir("fake"), NULL);
		_exit(127);
	}
	socket = accept(listener, NULL, NULL);
	assert_true(socket >= 0);
	assert_int_equal(send(socket, answer, length, MSG_NOSIGNAL), length);
	close(socket);
	close(listener);
	unlink(in_dir("fake"));
	assert_int_equal(waitpid(child, &status, 0), child);
	return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

#define MEMBERS	"\"uid\":0,\"gid\":0,\"pid\":1,\"vectors\":1,\"queue\":0"
#define HEAD(n)	"{\"peers\":" n "}\n"
#define PEER	"{\"peer\":0," MEMBERS ",\"since\":1}\n"

static void peers_takes_whole_answers_only(void **state)
{
	static const char *const wrong[] = {
		"", "\n", "{}\n", "[]\n", "null\n", "1\n", "{", HEAD("\"1\""), HEAD("-1"),
		HEAD("1"),
		HEAD("2") PEER, HEAD("1") "{}\n", HEAD("1") "[]\n", HEAD("1") "null\n",
		HEAD("1") "{\"peer\":0}\n", HEAD("18446744073709551615") PEER,
		HEAD("1") "{\"peer\":0," MEMBERS "}\n",
		HEAD("1") "{\"peer\":{}," MEMBERS ",\"since\":1}\n",
	};
	const uint8_t protocol[16] = { 0, 0, 0, 0, 0, 0, 0, 0, 3 };
	size_t i;

	assert_int_equal(peers_says(HEAD("0"), strlen(HEAD("0"))), 0);
	assert_int_equal(peers_says(HEAD("1") PEER, strlen(HEAD("1") PEER)), 0);
	for (i = 0; i < ARRAY_SIZE(wrong); i++)
		assert_int_equal(peers_says(wrong[i], strlen(wrong[i])), 1);
	assert_int_equal(peers_says((const char *)protocol, sizeof(protocol)), 1);
}

/* It would go on for ever: the end is not waited for. */
static void peers_has_bounds_for_an_answer(void **state)
{
	char line[4096];

	memset(line, ' ', sizeof(line));
	line[0] = '{';
	assert_int_equal(peers_says(line, sizeof(line)), 1);
	assert_log_has("this is not the answer of an ivshmem server");
	assert_int_equal(truncate(in_dir("log"), 0), 0);
	assert_int_equal(peers_says(HEAD("65537"), strlen(HEAD("65537"))), 1);
	assert_log_has("this is not the answer of an ivshmem server");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(socket_that_was_passed_is_served_and_left),
		TEST(status_socket_that_was_passed_is_served_and_left),
		TEST(socket_that_was_passed_must_be_the_one_named),
		TEST(manager_is_told_how_many_peers_there_are),
		TEST(manager_that_does_not_read_holds_nobody_up),
		TEST(manager_that_does_not_read_holds_up_no_start),
		TEST(manager_that_reads_late_learns_that_the_server_is_ready),
		TEST(watchdog_that_is_no_number_is_named),
		TEST(watchdog_is_fed),
		TEST(every_signal_that_ends_it_tidies_up),
		TEST(region_lies_on_the_node_and_is_allocated_as_asked),
		TEST(file_that_was_created_on_a_node_stays_there),
		TEST(live_server_of_another_kind_is_not_replaced),
		TEST(stale_socket_of_another_kind_is_replaced),
		TEST(another_that_took_the_path_meanwhile_is_left),
		TEST(log_that_nobody_reads_stops_nobody),
		TEST(journal_gets_fields_of_their_own),
		TEST(journal_that_does_not_read_stops_nobody),
		TEST(peers_takes_whole_answers_only),
		TEST(peers_has_bounds_for_an_answer),
	};

	return run("service", tests, ARRAY_SIZE(tests));
}
