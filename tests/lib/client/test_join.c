// SPDX-License-Identifier: MIT
/* How a server introduces a peer, and all the ways in which it may not. */
#include "fake_server.h"

#include <time.h>

static int64_t now_ms(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return now.tv_sec * 1000ll + now.tv_nsec / 1000000;
}

static void assert_same_file(int left, int right)
{
	struct stat a, b;

	assert_int_equal(fstat(left, &a), 0);
	assert_int_equal(fstat(right, &b), 0);
	assert_true(a.st_dev == b.st_dev && a.st_ino == b.st_ino);
}

/* The sequence of docs/specs/ivshmem-spec.rst in QEMU. */
static void join_gives_facts_peers_and_vectors(void **state)
{
	const int region = make_region(MIB);
	uint16_t ids[4] = { 0xffff, 0xffff, 0xffff, 0xffff };
	struct ivshmem *shm;

	say_hello(region);
	say_vectors(9, 1);
	say_vectors(3, 2);
	say_vectors(ME, 2);
	shm = join(0);
	assert_true(ivshmem_size(shm) == MIB);
	assert_string_equal(ivshmem_path(shm), server.address.sun_path);
	assert_string_equal(ivshmem_location(shm), server.address.sun_path);
	assert_int_equal(ivshmem_side(shm), IVSHMEM_HOST);
	assert_int_equal(ivshmem_kind(shm), IVSHMEM_DOORBELL);
	assert_string_equal(ivshmem_mapping(shm), "file");
	assert_string_equal(ivshmem_cache(shm), "write-back");
	assert_int_equal(ivshmem_check(shm), 0);
	assert_same_file(ivshmem_fd(shm), region);
	assert_int_equal(ivshmem_peer_id(shm), ME);
	assert_int_equal(ivshmem_vectors(shm), 2);
	assert_int_equal(ivshmem_peers(shm, ids, ARRAY_SIZE(ids)), 2);
	assert_int_equal(ids[0], 3);
	assert_int_equal(ids[1], 9);
	assert_int_equal(ids[2], 0xffff);
	assert_int_equal(ivshmem_peer_vectors(shm, 3), 2);
	assert_int_equal(ivshmem_peer_vectors(shm, 9), 1);
	ivshmem_close(shm);
}

static void join_reaches_the_memory(void **state)
{
	const int region = make_region(MIB);
	struct ivshmem *shm;
	char text[6] = "";

	say_hello(region);
	say_vectors(ME, 1);
	shm = join(0);
	assert_int_equal(ivshmem_map(shm), 0);
	strcpy(ivshmem_data(shm), "hello");
	assert_int_equal(pread(region, text, sizeof(text), 0), sizeof(text));
	assert_string_equal(text, "hello");
	assert_int_equal(ivshmem_sync(shm), 0);
	ivshmem_close(shm);
}

static void join_rdonly_can_never_be_written(void **state)
{
	struct ivshmem *shm;

	say_hello(make_region(MIB));
	say_vectors(ME, 1);
	shm = join(IVSHMEM_RDONLY);
	assert_int_equal(ivshmem_map(shm), 0);
	assert_int_equal(mprotect(ivshmem_data(shm), 4096, PROT_READ | PROT_WRITE), -1);
	ivshmem_close(shm);
}

/* As in a guest: interrupts are for those who may write. */
static void join_rdonly_can_neither_ring_nor_be_rung(void **state)
{
	struct ivshmem *shm;

	say_hello(make_region(MIB));
	say_vectors(ME, 1);
	shm = join(IVSHMEM_RDONLY);
	assert_int_equal(ivshmem_notify(shm, ME, 0), -EACCES);
	assert_int_equal(ivshmem_event_fd(shm, 0), -EACCES);
	assert_int_equal(ivshmem_wait(shm, 0, 0), -EACCES);
	ivshmem_close(shm);
}

static void join_rdonly_takes_descriptor_for_reading(void **state)
{
	char path[64];

	snprintf(path, sizeof(path), "/proc/self/fd/%d", make_region(MIB));
	say_hello(own(open(path, O_RDONLY | O_CLOEXEC)));
	say_vectors(ME, 1);
	ivshmem_close(join(IVSHMEM_RDONLY));
}

static int status_flags(int fd)
{
	return fcntl(fd, F_GETFL);
}

static void join_sets_cloexec_and_nonblock(void **state)
{
	struct ivshmem *shm = join_alone(1);

	assert_true(fcntl(ivshmem_fd(shm), F_GETFD) & FD_CLOEXEC);
	assert_true(fcntl(ivshmem_peer_fd(shm), F_GETFD) & FD_CLOEXEC);
	assert_true(fcntl(ivshmem_event_fd(shm, 0), F_GETFD) & FD_CLOEXEC);
	assert_true(status_flags(ivshmem_event_fd(shm, 0)) & O_NONBLOCK);
	ivshmem_close(shm);
}

/* Three messages that are cut at @cut; a descriptor travels with its first byte. */
static void say_cut(size_t cut, int region)
{
	const uint64_t messages[] = { htole64(0), htole64(ME), htole64(UINT64_MAX) };
	size_t i;

	for (i = 0; i < ARRAY_SIZE(messages); i++) {
		add_fd(add_step(&messages[i], cut), i == 2 ? region : NO_FD);
		add_step((const char *)&messages[i] + cut, sizeof(messages[i]) - cut)
			->pause_ms = 1;
	}
}

static void join_takes_messages_in_pieces(void **state)
{
	struct ivshmem *shm;
	size_t cut;

	for (cut = 1; cut < 8; cut++) {
		say_cut(cut, make_region(MIB));
		say_vectors(ME, 1);
		shm = join(0);
		assert_int_equal(ivshmem_peer_id(shm), ME);
		assert_int_equal(ivshmem_vectors(shm), 1);
		ivshmem_close(shm);
		stop_server();
	}
}

static void assert_next(struct ivshmem *shm, enum ivshmem_peer_change change, unsigned int id)
{
	enum ivshmem_peer_change seen = 99;
	unsigned int peer = 99999;

	assert_int_equal(ivshmem_peer_next(shm, 5000, &seen, &peer), 0);
	assert_int_equal(seen, change);
	assert_int_equal(peer, id);
}

static void join_takes_several_messages_at_once(void **state)
{
	const uint64_t start[] = { htole64(0), htole64(ME) };
	const uint64_t two[] = { htole64(ME), htole64(3) };
	struct ivshmem *shm;

	add_step(start, sizeof(start));
	say(-1, make_region(MIB));
	say_vectors(3, 1);
	add_fd(add_step(two, sizeof(two)), make_event());	/* a vector, and a leave */
	shm = join(0);
	assert_int_equal(ivshmem_peer_id(shm), ME);
	assert_int_equal(ivshmem_vectors(shm), 1);
	assert_next(shm, IVSHMEM_PEER_LEFT, 3);
	assert_int_equal(ivshmem_peers(shm, NULL, 0), 0);
	ivshmem_close(shm);
}

/* Others have three, so three must come. */
static void join_waits_for_slow_vectors(void **state)
{
	struct ivshmem *shm;
	size_t i;

	say_hello(make_region(MIB));
	say_vectors(3, 3);
	say_vectors(ME, 3);
	for (i = 1; i <= 3; i++)
		server.steps[server.step_count - i].pause_ms = 200;
	shm = join(0);
	assert_int_equal(ivshmem_vectors(shm), 3);
	ivshmem_close(shm);
}

/* What poll() of this thread waited for in vain. */
static _Thread_local int empty_waits;

int poll(struct pollfd *pollers, nfds_t count, int timeout_ms)
{
	const struct timespec time = { timeout_ms / 1000, timeout_ms % 1000 * 1000000l };
	int ready = ppoll(pollers, count, timeout_ms < 0 ? NULL : &time, NULL);

	if (!ready && timeout_ms)
		empty_waits++;
	return ready;
}

/* The fewest of some tries, since a busy machine may stop the server. */
static int fewest_empty_waits(void (*script)(void), int vectors)
{
	struct ivshmem *shm;
	int i, fewest = INT_MAX;

	for (i = 0; i < 10; i++) {
		script();
		start_server();
		empty_waits = 0;
		shm = open_region(server.where, 0);
		if (empty_waits < fewest)
			fewest = empty_waits;
		assert_int_equal(ivshmem_vectors(shm), vectors);
		ivshmem_close(shm);
		stop_server();
	}
	return fewest;
}

/* Ten in a row are silence. */
static void assert_no_silence(void (*script)(void), int vectors)
{
	assert_in_range(fewest_empty_waits(script, vectors), 0, 9);
}

static void say_as_many_vectors_as_others(void)
{
	say_hello(make_region(MIB));
	say_vectors(3, 2);
	say_vectors(ME, 2);
}

static void join_needs_no_silence_after_as_many_vectors_as_others_have(void **state)
{
	assert_no_silence(say_as_many_vectors_as_others, 2);
}

static int mark(int event)
{
	assert_int_equal(fcntl(event, F_SETFL, fcntl(event, F_GETFL) | O_APPEND), 0);
	return event;
}

static void say_marked_vectors(void)
{
	say_hello(make_region(MIB));
	say_vectors(ME, 2);
	say(ME, mark(make_event()));
	server.steps[server.step_count - 1].pause_ms = 1;
}

static void join_needs_no_silence_after_the_marked_vector(void **state)
{
	assert_no_silence(say_marked_vectors, 3);
}

/* Another peer has all eventfds, and can mark them. */
static void join_among_others_believes_no_mark(void **state)
{
	struct ivshmem *shm;

	say_hello(make_region(MIB));
	say_vectors(3, 2);
	say(ME, mark(make_event()));
	say_vectors(ME, 1);
	server.steps[server.step_count - 1].pause_ms = 100;
	shm = join(0);
	assert_int_equal(ivshmem_vectors(shm), 2);
	ivshmem_close(shm);
}

/* For longer than an introduction may last, with no pause that could be taken for silence. */
static void say_joins_and_leaves(void)
{
	int event = make_event();
	int i;

	for (i = 0; i < 6000; i++) {
		say(4, i % 2 ? NO_FD : event);
		server.steps[server.step_count - 1].pause_ms = 1;
	}
}

static void join_while_others_come_and_go_ends_with_the_first_of_them(void **state)
{
	struct ivshmem *shm;
	int64_t start;

	say_hello(make_region(MIB));
	say_vectors(ME, 2);
	say_joins_and_leaves();
	start_server();
	start = now_ms();
	shm = open_region(server.where, 0);
	assert_true(now_ms() - start < 4000);
	assert_int_equal(ivshmem_vectors(shm), 2);
	assert_next(shm, IVSHMEM_PEER_JOINED, 4);
	assert_next(shm, IVSHMEM_PEER_LEFT, 4);
	ivshmem_close(shm);
}

static void join_of_server_that_then_goes_succeeds(void **state)
{
	struct ivshmem *shm;

	say_hello(make_region(MIB));
	say_vectors(ME, 1);
	server.hangs_up = true;
	shm = join(0);
	assert_int_equal(ivshmem_vectors(shm), 1);
	assert_int_equal(ivshmem_peer_fd(shm), -ECONNRESET);
	ivshmem_close(shm);
}

static void join_tells_of_who_came_after_it(void **state)
{
	struct ivshmem *shm;
	uint16_t id = 0;

	say_hello(make_region(MIB));
	say_vectors(3, 1);
	say_vectors(ME, 1);
	say(3, NO_FD);
	say_vectors(4, 1);
	shm = join(0);
	assert_next(shm, IVSHMEM_PEER_LEFT, 3);
	assert_next(shm, IVSHMEM_PEER_JOINED, 4);
	assert_int_equal(ivshmem_peers(shm, &id, 1), 1);
	assert_int_equal(id, 4);
	ivshmem_close(shm);
}

static void join_by_long_path_succeeds(void **state)
{
	struct ivshmem *shm;
	char name[151];

	memset(name, 'x', sizeof(name));
	name[sizeof(name) - 1] = '\0';
	assert_int_equal(chdir(fixture.shm), 0);
	assert_int_equal(mkdir(name, 0700), 0);
	assert_int_equal(chdir(name), 0);
	listen_at("socket");
	snprintf(server.where, sizeof(server.where), "unix:%s/%s/socket", fixture.shm, name);
	say_hello(make_region(MIB));
	say_vectors(ME, 1);
	shm = join(0);
	ivshmem_close(shm);
}

static void join_without_server_fails(void **state)
{
	char where[PATH_MAX + 8];

	assert_open_fails("unix:", 0, -EINVAL);
	snprintf(where, sizeof(where), "unix:%s", in_shm("nothing"));
	assert_open_fails(where, 0, -ENOENT);
	snprintf(where, sizeof(where), "unix:%s", make_file("file", MIB));
	assert_open_fails(where, 0, -ECONNREFUSED);
	snprintf(where, sizeof(where), "unix:%s", fixture.shm);
	assert_open_fails(where, 0, -ECONNREFUSED);
	listen_at(in_shm("socket"));
	close(server.listener);
	server.listener = -1;
	assert_open_fails(server.where, 0, -ECONNREFUSED);
}

static void join_by_foreign_link_fails_eloop(void **state)
{
	char where[PATH_MAX + 8];

	skip_unless_root();
	listen_at(in_shm("socket"));
	assert_int_equal(symlink("socket", in_shm("link")), 0);
	assert_int_equal(lchown(in_shm("link"), NOBODY, NOBODY), 0);
	assert_int_equal(chmod(fixture.shm, 01777), 0);
	snprintf(where, sizeof(where), "unix:%s", in_shm("link"));
	assert_open_fails(where, 0, -ELOOP);
}

static void join_without_permission_fails_eacces(void **state)
{
	skip_unless_root();
	listen_at(in_shm("socket"));
	assert_int_equal(chmod(fixture.shm, 0755), 0);
	assert_int_equal(chmod(in_shm("socket"), 0700), 0);
	assert_int_equal(seteuid(NOBODY), 0);
	assert_open_fails(server.where, 0, -EACCES);
}

static void assert_times_out_in_5_s(void)
{
	int64_t start = now_ms();

	assert_open_fails(server.where, 0, -ETIMEDOUT);
	assert_in_range(now_ms() - start, 4900, 10000);
}

static void join_of_silent_server_times_out(void **state)
{
	say(0, NO_FD);
	start_server();
	assert_times_out_in_5_s();
}

static void join_of_dripping_server_times_out(void **state)
{
	int i;

	say(0, NO_FD);
	for (i = 0; i < 7; i++)
		add_step("", 1)->pause_ms = 800;
	start_server();
	assert_times_out_in_5_s();
}

static void join_without_own_vectors_times_out(void **state)
{
	say_hello(make_region(MIB));
	say_vectors(3, 1);
	start_server();
	assert_times_out_in_5_s();
}

static void join_of_server_that_only_tells_of_others_times_out(void **state)
{
	say_hello(make_region(MIB));
	say_joins_and_leaves();
	start_server();
	assert_times_out_in_5_s();
}

static int connect_to_server(void)
{
	int fd = own(socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));

	return connect(fd, (struct sockaddr *)&server.address, sizeof(server.address));
}

static void join_of_server_that_never_accepts_times_out(void **state)
{
	listen_at(in_shm("socket"));
	while (!connect_to_server())
		;
	assert_int_equal(errno, EAGAIN);
	assert_times_out_in_5_s();
}

static void do_nothing(int signal)
{
}

static void join_interrupted_by_signals_succeeds(void **state)
{
	const struct sigaction action = { .sa_handler = do_nothing };
	const struct itimerval often = { { 0, 3000 }, { 0, 3000 } }, never = { { 0, 0 }, { 0, 0 } };
	int64_t start = now_ms();
	struct sigaction old;
	struct ivshmem *shm;

	say_hello(make_region(MIB));
	say_vectors(ME, 2);
	server.steps[2].pause_ms = 50;
	sigaction(SIGALRM, &action, &old);
	setitimer(ITIMER_REAL, &often, NULL);
	start_server();
	shm = open_region(server.where, 0);
	setitimer(ITIMER_REAL, &never, NULL);
	sigaction(SIGALRM, &old, NULL);
	assert_true(now_ms() - start < 4000);
	assert_int_equal(ivshmem_vectors(shm), 2);
	ivshmem_close(shm);
}

/* Where no descriptor is free, however many are needed, nothing is lost. */
static void join_without_free_descriptor_fails_emfile(void **state)
{
	struct rlimit old, limit;
	int spare, err = -1, free_count;
	struct ivshmem *shm;

	assert_int_equal(getrlimit(RLIMIT_NOFILE, &old), 0);
	for (free_count = 0; free_count < 20 && err; free_count++) {
		say_hello(make_region(MIB));
		say_vectors(3, 1);
		say_vectors(ME, 1);
		start_server();
		spare = dup(0);
		close(spare);
		shm = POISON;
		limit = old;
		limit.rlim_cur = (rlim_t)(spare + free_count);
		assert_int_equal(setrlimit(RLIMIT_NOFILE, &limit), 0);
		err = ivshmem_open(&shm, server.where, 0);
		assert_int_equal(setrlimit(RLIMIT_NOFILE, &old), 0);
		if (err) {
			/* The server's thread may take a descriptor, and get none. */
			assert_true(err == -EMFILE || err == -ECONNRESET || err == -ETIMEDOUT);
			assert_ptr_equal(shm, POISON);
		}
		stop_server();
	}
	assert_int_equal(err, 0);
	assert_true(free_count > 4);
	ivshmem_close(shm);
}

/* --- servers that are broken, or hostile --- */

static void say_version_1(void)
{
	say(1, NO_FD);
	say(ME, NO_FD);
}

static void say_version_before_2_5(void)
{
	say(ME, NO_FD);
}

static void say_version_with_fd(void)
{
	say(0, make_event());
}

static void say_short_version(void)
{
	add_step("\0\0\0\0", 4);
}

static void say_version_only(void)
{
	say(0, NO_FD);
}

static void say_id_only(void)
{
	say(0, NO_FD);
	say(ME, NO_FD);
}

static void say_region_only(void)
{
	say_hello(make_region(MIB));
}

static void say_region_and_peer_only(void)
{
	say_hello(make_region(MIB));
	say_vectors(3, 1);
}

static void say_id_with_fd(void)
{
	say(0, NO_FD);
	say(ME, make_event());
}

static void say_id(int64_t id)
{
	say(0, NO_FD);
	say(id, NO_FD);
}

static void say_id_below(void)
{
	say_id(-1);
}

static void say_id_above(void)
{
	say_id(65536);
}

static void say_id_big_endian(void)
{
	say_id((int64_t)htobe64(ME));
}

static void say_id_huge(void)
{
	say_id(INT64_MIN);
}

static void say_region_without_fd(void)
{
	say_id(ME);
	say(-1, NO_FD);
}

static void say_peer_before_region(void)
{
	say_id(ME);
	say_vectors(3, 1);
}

static void say_own_vector_before_region(void)
{
	say_id(ME);
	say_vectors(ME, 1);
}

static void say_region_twice(void)
{
	say_hello(make_region(MIB));
	say(-1, make_region(MIB));
}

static void say_half_a_vector(void)
{
	say_hello(make_region(MIB));
	add_fd(add_step("\3\0\0", 3), make_event());
}

static void say_half_after_all(void)
{
	say_hello(make_region(MIB));
	say_vectors(ME, 1);
	add_step("\3\0\0", 3);
}

static void say_two_fds(void)
{
	say_hello(make_region(MIB));
	say_vectors(3, 1);
	add_fd(&server.steps[server.step_count - 1], make_event());
}

static void say_two_regions_at_once(void)
{
	say_hello(make_region(MIB));
	add_fd(&server.steps[server.step_count - 1], make_region(MIB));
}

static void say_253_fds(void)
{
	int event = make_event();
	int i;

	say_hello(make_region(MIB));
	say(3, event);
	for (i = 1; i < MAX_STEP_FDS; i++)
		add_fd(&server.steps[server.step_count - 1], event);
}

/* One with the first byte, one with the last. */
static void say_second_fd_late(void)
{
	const uint64_t id = htole64(3);

	say_hello(make_region(MIB));
	add_fd(add_step(&id, 7), make_event());
	add_fd(add_step((const char *)&id + 7, 1), make_event());
	server.steps[server.step_count - 1].pause_ms = 10;
}

static void say_fd_with(int64_t value)
{
	say_hello(make_region(MIB));
	say(value, make_event());
}

static void say_peer_below(void)
{
	say_fd_with(-2);
}

static void say_peer_above(void)
{
	say_fd_with(65536);
}

static void say_peer_huge(void)
{
	say_fd_with(INT64_MAX);
}

static void say_peer_minus_one_with_event(void)
{
	say_fd_with(-1);
}

static void say_leave_of_unknown(void)
{
	say_hello(make_region(MIB));
	say(3, NO_FD);
}

static void say_leave_of_myself(void)
{
	say_hello(make_region(MIB));
	say_vectors(ME, 1);
	say(ME, NO_FD);
}

static void say_leave_twice(void)
{
	say_hello(make_region(MIB));
	say_vectors(3, 1);
	say(3, NO_FD);
	say(3, NO_FD);
}

static void say_257_vectors(void)
{
	int event = make_event();
	int i;

	say_hello(make_region(MIB));
	for (i = 0; i < 257; i++)
		say(3, event);
}

static void say_257_own_vectors(void)
{
	int event = make_event();
	int i;

	say_hello(make_region(MIB));
	for (i = 0; i < 257; i++)
		say(ME, event);
}

static int make_pipe(int end)
{
	int ends[2];

	assert_int_equal(pipe2(ends, O_CLOEXEC), 0);
	own(ends[0]);
	own(ends[1]);
	return ends[end];
}

static void say_pipe_as_vector(void)
{
	say_hello(make_region(MIB));
	say(3, make_pipe(1));
}

static void say_socket_as_own_vector(void)
{
	int ends[2];

	say_hello(make_region(MIB));
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends), 0);
	own(ends[0]);
	say(ME, own(ends[1]));
}

static void say_region_as_vector(void)
{
	say_hello(make_region(MIB));
	say(3, make_region(MIB));
}

static void say_file_named_like_an_eventfd(void)
{
	say_hello(make_region(MIB));
	say(3, own(open(make_file("anon_inode:[eventfd]", 0), O_RDWR | O_CLOEXEC)));
	unlink(in_shm("anon_inode:[eventfd]"));
}

static void say_region(int fd)
{
	say_hello(fd);
	say_vectors(ME, 1);
}

static void say_pipe_as_region(void)
{
	say_region(make_pipe(0));
}

static void say_event_as_region(void)
{
	say_region(make_event());
}

static void say_folder_as_region(void)
{
	say_region(own(open("/", O_RDONLY | O_CLOEXEC)));
}

static void say_device_as_region(void)
{
	say_region(own(open("/dev/zero", O_RDWR | O_CLOEXEC)));
}

static void say_bare_path_as_region(void)
{
	say_region(own(open("/etc/passwd", O_PATH | O_CLOEXEC)));
}

static void say_empty_region(void)
{
	say_region(make_region(0));
}

static void say_odd_region(void)
{
	say_region(make_region(5000));
}

static void say_region_for_reading(void)
{
	say_region(own(open("/etc/passwd", O_RDONLY | O_CLOEXEC)));
}

struct refusal {
	const char *name;
	void (*script)(void);
	int err;
};

#define REFUSAL(script, err) { #script, script, err }

static bool is_refused(const struct refusal *refusal, bool hangs_up)
{
	int before = count_descriptors();
	struct ivshmem *shm = POISON;
	int err;

	refusal->script();
	server.hangs_up = hangs_up;
	start_server();
	err = ivshmem_open(&shm, server.where, 0);
	stop_server();
	if (err != refusal->err || shm != POISON)
		print_error("# %s: %d\n", refusal->name, err);
	else if (count_descriptors() != before)
		print_error("# %s: a descriptor was leaked\n", refusal->name);
	else
		return true;
	return false;
}

static void assert_refused(const struct refusal *refusals, size_t count, bool hangs_up)
{
	size_t i, refused = 0;

	for (i = 0; i < count; i++)
		refused += is_refused(&refusals[i], hangs_up);
	assert_int_equal(refused, count);
}

static void join_of_broken_server_fails_eproto(void **state)
{
	static const struct refusal refusals[] = {
		REFUSAL(say_version_1, -EPROTO),
		REFUSAL(say_version_before_2_5, -EPROTO),
		REFUSAL(say_version_with_fd, -EPROTO),
		REFUSAL(say_id_with_fd, -EPROTO),
		REFUSAL(say_id_below, -EPROTO),
		REFUSAL(say_id_above, -EPROTO),
		REFUSAL(say_id_big_endian, -EPROTO),
		REFUSAL(say_id_huge, -EPROTO),
		REFUSAL(say_region_without_fd, -EPROTO),
		REFUSAL(say_peer_before_region, -EPROTO),
		REFUSAL(say_own_vector_before_region, -EPROTO),
		REFUSAL(say_region_twice, -EPROTO),
		REFUSAL(say_two_fds, -EPROTO),
		REFUSAL(say_two_regions_at_once, -EPROTO),
		REFUSAL(say_253_fds, -EPROTO),
		REFUSAL(say_second_fd_late, -EPROTO),
		REFUSAL(say_peer_below, -EPROTO),
		REFUSAL(say_peer_above, -EPROTO),
		REFUSAL(say_peer_huge, -EPROTO),
		REFUSAL(say_peer_minus_one_with_event, -EPROTO),
		REFUSAL(say_leave_of_unknown, -EPROTO),
		REFUSAL(say_leave_of_myself, -EPROTO),
		REFUSAL(say_leave_twice, -EPROTO),
		REFUSAL(say_257_vectors, -EPROTO),
		REFUSAL(say_257_own_vectors, -EPROTO),
		REFUSAL(say_pipe_as_vector, -EPROTO),
		REFUSAL(say_socket_as_own_vector, -EPROTO),
		REFUSAL(say_region_as_vector, -EPROTO),
		REFUSAL(say_file_named_like_an_eventfd, -EPROTO),
	};

	assert_refused(refusals, ARRAY_SIZE(refusals), false);
}

static void join_of_server_with_wrong_region_fails(void **state)
{
	static const struct refusal refusals[] = {
		REFUSAL(say_pipe_as_region, -EPROTO),
		REFUSAL(say_event_as_region, -EPROTO),
		REFUSAL(say_folder_as_region, -EPROTO),
		REFUSAL(say_device_as_region, -EPROTO),
		REFUSAL(say_bare_path_as_region, -EPROTO),
		REFUSAL(say_empty_region, -ENODATA),
		REFUSAL(say_odd_region, -EINVAL),
		REFUSAL(say_region_for_reading, -EACCES),
	};

	assert_refused(refusals, ARRAY_SIZE(refusals), false);
}

/* As one does that is killed between accepting a connection and noting it. */
static void connection_that_is_lost_without_a_word_is_made_again(void **state)
{
	struct ivshmem *shm;

	server.losses = 2;
	shm = join_alone(1);
	assert_int_equal(ivshmem_vectors(shm), 1);
	ivshmem_close(shm);
}

static void connection_that_is_lost_again_and_again_fails(void **state)
{
	server.losses = 2;
	server.hangs_up = true;
	start_server();
	assert_open_fails(server.where, 0, -ECONNRESET);
	finish_server();
}

static void join_of_server_that_goes_too_early_fails(void **state)
{
	static const struct refusal refusals[] = {
		REFUSAL(say_version_only, -ECONNRESET),
		REFUSAL(say_id_only, -ECONNRESET),
		REFUSAL(say_region_only, -ECONNRESET),
		REFUSAL(say_region_and_peer_only, -ECONNRESET),
		REFUSAL(say_short_version, -EPROTO),
		REFUSAL(say_half_a_vector, -EPROTO),
		REFUSAL(say_half_after_all, -EPROTO),
	};

	assert_refused(refusals, ARRAY_SIZE(refusals), true);
}

static void join_with_256_vectors_succeeds(void **state)
{
	int event = make_event();
	struct ivshmem *shm;
	int i;

	say_hello(make_region(MIB));
	for (i = 0; i < 256; i++)
		say(3, event);
	for (i = 0; i < 256; i++)
		say(ME, event);
	shm = join(0);
	assert_int_equal(ivshmem_vectors(shm), 256);
	assert_int_equal(ivshmem_peer_vectors(shm, 3), 256);
	assert_int_equal(ivshmem_notify(shm, 3, 255), 0);
	assert_int_equal(ivshmem_notify(shm, 3, 256), -EINVAL);
	assert_int_equal(ivshmem_wait(shm, 255, 0), 1);
	ivshmem_close(shm);
}

/* Bytes and descriptors without sense: mostly an error, and a handle if it is none. */
static void join_of_random_server_leaks_nothing(void **state)
{
	int before, round, i;
	struct ivshmem *shm;
	struct step *step;
	uint64_t bytes;
	int failed = 0;

	srandom(1);
	for (round = 0; round < 200; round++) {
		before = count_descriptors();
		if (round % 2)
			say_hello(make_region(MIB));
		for (i = 0; i < 40; i++) {
			bytes = random() % 4 ? htole64((uint64_t)(random() % 12) - 2) :
					       (uint64_t)random() << 33;
			step = add_step(&bytes, random() % 8 ? 8 : (size_t)random() % 7 + 1);
			add_fd(step, random() % 2 ? make_event() : NO_FD);
			add_fd(step, random() % 16 ? NO_FD : make_event());
		}
		add_step("\377\377\377\377\377\377\377\377\377\377\377\377", 12);
		server.hangs_up = true;
		start_server();
		shm = POISON;
		if (ivshmem_open(&shm, server.where, 0)) {
			assert_ptr_equal(shm, POISON);
			failed++;
		} else {
			assert_in_range(ivshmem_vectors(shm), 1, 40);
			ivshmem_close(shm);
		}
		stop_server();
		assert_int_equal(count_descriptors(), before);
	}
	assert_in_range(failed, 150, 200);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		PEER_TEST(join_gives_facts_peers_and_vectors),
		PEER_TEST(join_reaches_the_memory),
		PEER_TEST(join_rdonly_can_never_be_written),
		PEER_TEST(join_rdonly_can_neither_ring_nor_be_rung),
		PEER_TEST(join_rdonly_takes_descriptor_for_reading),
		PEER_TEST(join_sets_cloexec_and_nonblock),
		PEER_TEST(join_takes_messages_in_pieces),
		PEER_TEST(join_takes_several_messages_at_once),
		PEER_TEST(join_waits_for_slow_vectors),
		PEER_TEST(join_needs_no_silence_after_as_many_vectors_as_others_have),
		PEER_TEST(join_needs_no_silence_after_the_marked_vector),
		PEER_TEST(join_among_others_believes_no_mark),
		PEER_TEST(join_while_others_come_and_go_ends_with_the_first_of_them),
		PEER_TEST(join_of_server_that_then_goes_succeeds),
		PEER_TEST(join_tells_of_who_came_after_it),
		PEER_TEST(join_by_long_path_succeeds),
		PEER_TEST(join_without_server_fails),
		PEER_TEST(join_by_foreign_link_fails_eloop),
		PEER_TEST(join_without_permission_fails_eacces),
		PEER_TEST(join_of_silent_server_times_out),
		PEER_TEST(join_of_dripping_server_times_out),
		PEER_TEST(join_without_own_vectors_times_out),
		PEER_TEST(join_of_server_that_only_tells_of_others_times_out),
		PEER_TEST(join_of_server_that_never_accepts_times_out),
		PEER_TEST(join_interrupted_by_signals_succeeds),
		PEER_TEST(join_without_free_descriptor_fails_emfile),
		PEER_TEST(join_of_broken_server_fails_eproto),
		PEER_TEST(join_of_server_with_wrong_region_fails),
		PEER_TEST(connection_that_is_lost_without_a_word_is_made_again),
		PEER_TEST(connection_that_is_lost_again_and_again_fails),
		PEER_TEST(join_of_server_that_goes_too_early_fails),
		PEER_TEST(join_with_256_vectors_succeeds),
		PEER_TEST(join_of_random_server_leaks_nothing),
	};

	return run("join", tests, ARRAY_SIZE(tests));
}
