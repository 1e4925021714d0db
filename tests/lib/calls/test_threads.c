// SPDX-License-Identifier: MIT
/*
 * Each pair of public calls that may run at the same time, by what the headers say, in two
 * threads: on a region of each kind, under the sanitizer for races. A guest's device is
 * played by a file, with the module's ioctls answered here.
 */
#include "channels.h"
#include "fake_server.h"

#include <stdatomic.h>
#include <sys/epoll.h>
#include <sys/ioctl.h>
#include <sys/syscall.h>

#include "region/kinds.h"
#include "uapi/ivshmem.h"

#define ROUNDS		12	/* of each pair */
#define OTHER_PEER	9
#define VECTORS		2

/* --- a guest's device --- */

static int device_fd = -1;
static atomic_uint bindings;

static void describe(struct ivshmem_info *info)
{
	*info = (struct ivshmem_info) {
		.size = REGION_SIZE, .page_size = 4096, .vectors = VECTORS, .peer_id = ME,
		.kind = IVSHMEM_KIND_DOORBELL, .mapping = IVSHMEM_MAPPING_PAGES,
		.cache = IVSHMEM_CACHE_WRITE_BACK,
	};
}

int ioctl(int fd, unsigned long request, ...)
{
	va_list arguments;
	void *argument;

	va_start(arguments, request);
	argument = va_arg(arguments, void *);
	va_end(arguments);
	if (fd != device_fd || fd < 0)
		return (int)syscall(SYS_ioctl, fd, request, argument);
	if (request == IVSHMEM_IOC_GET_INFO) {
		describe(argument);
	} else if (request == IVSHMEM_IOC_SET_EVENTFD) {
		bindings++;
		sched_yield();
	} else if (request != IVSHMEM_IOC_RING_DOORBELL) {
		errno = ENOTTY;
		return -1;
	}
	return 0;
}

/* A file can't be watched, as a device can. */
int epoll_ctl(int epoll, int operation, int fd, struct epoll_event *event)
{
	if (fd == device_fd && fd >= 0)
		return 0;
	return (int)syscall(SYS_epoll_ctl, epoll, operation, fd, event);
}

static struct ivshmem *open_device(void)
{
	struct ivshmem *shm = NULL;

	device_fd = open(in_shm("region"), O_RDWR | O_CLOEXEC);
	assert_true(device_fd >= 0);
	assert_int_equal(ivshmem_attach(&shm, device_fd, &ivshmem_device_backend, false), 0);
	return shm;
}

/* --- the calls --- */

static struct subject {
	struct ivshmem *shm;
	struct ivshmem_channel *channel, *other;
	struct ivshmem_layout *layout;
	struct ivshmem_monitor *monitor;
	char path[PATH_MAX];
} subject;

#define LOOK(name, expression)							\
	static void name(void)							\
	{									\
		__auto_type returned = (expression);				\
		(void)returned;						\
	}

LOOK(do_map, ivshmem_map(subject.shm))
LOOK(do_unmap, ivshmem_unmap(subject.shm))
LOOK(do_data, ivshmem_data(subject.shm))
LOOK(do_sync, ivshmem_sync(subject.shm))
LOOK(do_check, ivshmem_check(subject.shm))
LOOK(do_export, ivshmem_export_dmabuf(subject.shm, 0, 4096, 0))
LOOK(do_peer_id, ivshmem_peer_id(subject.shm))
LOOK(do_vectors, ivshmem_vectors(subject.shm))
LOOK(do_notify_self, ivshmem_notify(subject.shm, ME, 0))
LOOK(do_notify_other, ivshmem_notify(subject.shm, OTHER_PEER, 0))
LOOK(do_event_fd, ivshmem_event_fd(subject.shm, 0))
LOOK(do_event_fd_2, ivshmem_event_fd(subject.shm, 1))
LOOK(do_wait, ivshmem_wait(subject.shm, 0, 0))
LOOK(do_wait_2, ivshmem_wait(subject.shm, 1, 1))
LOOK(do_busy_poll, ivshmem_set_busy_poll(subject.shm, 1))
LOOK(do_peer_vectors, ivshmem_peer_vectors(subject.shm, OTHER_PEER))
LOOK(do_peer_fd, ivshmem_peer_fd(subject.shm))
LOOK(do_alive, ivshmem_channel_alive(subject.channel))
LOOK(do_send, ivshmem_channel_send(subject.channel, "x", 1, 0))
LOOK(do_send_and_wait, ivshmem_channel_send(subject.channel, subject.path,
					    sizeof(subject.path), 1))
LOOK(do_write, ivshmem_channel_write(subject.channel, "bytes", 5, 0))

/* Calls that are alike: none changes anything. */
static void do_look(void)
{
	ivshmem_fd(subject.shm);
	ivshmem_size(subject.shm);
	ivshmem_sealed(subject.shm);
	ivshmem_path(subject.shm);
	ivshmem_location(subject.shm);
	ivshmem_side(subject.shm);
	ivshmem_kind(subject.shm);
	ivshmem_mapping(subject.shm);
	ivshmem_cache(subject.shm);
	ivshmem_page_size(subject.shm);
	ivshmem_channel_max_length(subject.channel);
	ivshmem_channel_wakeup(subject.channel);
	ivshmem_strerror(-ENODEV);
	ivshmem_explain(IVSHMEM_TASK_OPEN, -ENODEV);
	ivshmem_version();
}

static void do_peers(void)
{
	uint16_t ids[4];

	ivshmem_peers(subject.shm, ids, 4);
}

static void do_peer_next(void)
{
	enum ivshmem_peer_change change;
	unsigned int peer;

	(void)!ivshmem_peer_next(subject.shm, 0, &change, &peer);
}

static void do_open(void)
{
	struct ivshmem *shm;

	if (!ivshmem_open(&shm, subject.path, 0))
		ivshmem_close(shm);
}

static void do_create(void)
{
	struct ivshmem *shm;

	if (!ivshmem_create(&shm, subject.path, REGION_SIZE, 0600, IVSHMEM_EXIST_OK))
		ivshmem_close(shm);
}

static void do_layout(void)
{
	struct ivshmem_layout *layout;

	if (!ivshmem_layout_read(&layout, subject.shm))
		ivshmem_layout_free(layout);
}

static void do_read_layout(void)
{
	ivshmem_layout_label(subject.layout);
	ivshmem_layout_uuid(subject.layout);
	ivshmem_layout_objects(subject.layout);
	ivshmem_layout_default_ring(subject.layout);
	ivshmem_layout_block(subject.layout);
	ivshmem_layout_free_bytes(subject.layout);
	ivshmem_layout_kind(subject.layout, 0);
	ivshmem_layout_is_kept(subject.layout, 0);
	ivshmem_layout_size(subject.layout, 0);
	ivshmem_layout_ring_size(subject.layout, 0, IVSHMEM_END_CREATOR);
	ivshmem_layout_name(subject.layout, 0);
}

static void do_status(void)
{
	struct ivshmem_status *status;

	if (!ivshmem_status_read(&status, subject.shm, 0))
		ivshmem_status_free(status);
}

static void do_list(void)
{
	struct ivshmem_device_list *list;

	if (!ivshmem_list(&list))
		ivshmem_list_free(list);
}

static void do_cancel(void)
{
	ivshmem_cancel(subject.shm);
	ivshmem_uncancel(subject.shm);
}

static void do_channel_cancel(void)
{
	ivshmem_channel_cancel(subject.channel);
	ivshmem_channel_uncancel(subject.channel);
}

static void do_monitor(void)
{
	enum ivshmem_change change;
	struct ivshmem_device *device;

	if (!ivshmem_monitor_next(subject.monitor, 1, &change, &device))
		ivshmem_device_free(device);
}

static void do_monitor_cancel(void)
{
	ivshmem_monitor_fd(subject.monitor);
	ivshmem_monitor_cancel(subject.monitor);
	ivshmem_monitor_uncancel(subject.monitor);
}

static void do_channel_create(void)
{
	struct ivshmem_channel *channel;

	if (!ivshmem_channel_create(&channel, subject.shm, "second", 0, 0))
		ivshmem_channel_close(channel);
}

static void do_channel_connect(void)
{
	struct ivshmem_channel *channel;

	if (!ivshmem_channel_connect(&channel, subject.shm, "second", 0, 0))
		ivshmem_channel_close(channel);
}

static void do_reserve(void)
{
	void *room;

	if (!ivshmem_channel_reserve(subject.channel, &room, 8, 0))
		(void)!ivshmem_channel_commit(subject.channel, 8, 0);
}

static void do_recv(void)
{
	char buffer[256];

	(void)!ivshmem_channel_recv(subject.channel, buffer, sizeof(buffer), 0);
}

static void do_recv_and_wait(void)
{
	char buffer[256];

	(void)!ivshmem_channel_recv(subject.channel, buffer, sizeof(buffer), 1);
}

static void do_peek(void)
{
	const void *message;

	if (ivshmem_channel_peek(subject.channel, &message, 0) >= 0)
		ivshmem_channel_release(subject.channel, message);
}

static void do_read(void)
{
	char buffer[256];

	(void)!ivshmem_channel_read(subject.channel, buffer, sizeof(buffer), 0);
}

/* What the headers say of it. */
enum {
	ANY		= 0,
	SENDS		= 1 << 0,	/* one thread at a time, of these */
	RECEIVES	= 1 << 1,	/* likewise */
	MONITORS	= 1 << 2,	/* likewise */
	USES_MAPPING	= 1 << 3,	/* not while it is taken away */
};

static const struct call {
	const char *name;
	void (*call)(void);
	unsigned int alone;
} calls[] = {
	{ "what never changes", do_look, ANY },
	{ "map", do_map, ANY },
	{ "unmap", do_unmap, USES_MAPPING },
	{ "data", do_data, ANY },
	{ "sync", do_sync, USES_MAPPING },
	{ "check", do_check, ANY },
	{ "export_dmabuf", do_export, ANY },
	{ "open, close", do_open, ANY },
	{ "create, close", do_create, ANY },
	{ "list", do_list, ANY },
	{ "cancel, uncancel", do_cancel, ANY },
	{ "channel_cancel, _uncancel", do_channel_cancel, ANY },
	{ "monitor_next", do_monitor, MONITORS },
	{ "monitor_cancel, _uncancel", do_monitor_cancel, ANY },
	{ "layout_read", do_layout, ANY },
	{ "layout's calls", do_read_layout, ANY },
	{ "status_read", do_status, ANY },
	{ "peer_id", do_peer_id, ANY },
	{ "vectors", do_vectors, ANY },
	{ "notify this peer", do_notify_self, ANY },
	{ "notify", do_notify_other, ANY },
	{ "event_fd", do_event_fd, ANY },
	{ "event_fd of the next vector", do_event_fd_2, ANY },
	{ "wait", do_wait, ANY },
	{ "wait for the next vector", do_wait_2, ANY },
	{ "set_busy_poll", do_busy_poll, ANY },
	{ "peers", do_peers, ANY },
	{ "peer_vectors", do_peer_vectors, ANY },
	{ "peer_fd", do_peer_fd, ANY },
	{ "peer_next", do_peer_next, ANY },
	{ "channel_create", do_channel_create, ANY },
	{ "channel_connect", do_channel_connect, ANY },
	{ "channel_alive", do_alive, ANY },
	{ "channel_send", do_send, SENDS },
	{ "channel_send, waiting", do_send_and_wait, SENDS },
	{ "channel_reserve, _commit", do_reserve, SENDS },
	{ "channel_write", do_write, SENDS },
	{ "channel_recv", do_recv, RECEIVES },
	{ "channel_recv, waiting", do_recv_and_wait, RECEIVES },
	{ "channel_peek, _release", do_peek, RECEIVES },
	{ "channel_read", do_read, RECEIVES },
};

/* --- pairs of them --- */

static atomic_uint reports;

/* The sanitizer calls it. */
__attribute__((visibility("default"))) void __tsan_on_report(void *report);

void __tsan_on_report(void *report)
{
	reports++;
}

static pthread_barrier_t start;

static void *call_often(void *data)
{
	const struct call *call = data;
	int i;

	pthread_barrier_wait(&start);
	for (i = 0; i < ROUNDS; i++)
		call->call();
	return NULL;
}

/* What the threads find to do: messages to receive, and room to send. */
static void feed(void)
{
	char buffer[PATH_MAX];
	int i;

	while (ivshmem_channel_recv(subject.other, buffer, sizeof(buffer), 0) >= 0)
		;
	for (i = 0; i < ROUNDS / 3; i++)
		(void)!ivshmem_channel_send(subject.other, "x", 1, 0);
}

static void run_pair(const struct call *one, const struct call *other)
{
	const struct call *both[] = { one, other };
	unsigned int before = reports;
	pthread_t threads[2];
	int i;

	for (i = 0; i < 2; i++)
		assert_int_equal(pthread_create(&threads[i], NULL, call_often, (void *)both[i]),
				 0);
	for (i = 0; i < 2; i++)
		pthread_join(threads[i], NULL);
	if (reports != before)
		print_error("# a race: %s / %s\n", one->name, other->name);
}

static void run_pairs(void (*prepare)(void), void (*finish)(void))
{
	unsigned int before = reports;
	size_t i, j;

	pthread_barrier_init(&start, NULL, 2);
	assert_int_equal(ivshmem_monitor_open(&subject.monitor), 0);
	for (i = 0; i < ARRAY_SIZE(calls); i++) {
		for (j = i; j < ARRAY_SIZE(calls); j++) {
			if (calls[i].alone & calls[j].alone)
				continue;
			prepare();
			feed();
			run_pair(&calls[i], &calls[j]);
			finish();
		}
	}
	pthread_barrier_destroy(&start);
	ivshmem_monitor_close(subject.monitor);
	assert_int_equal(reports, before);
}

static void open_subject_channels(void)
{
	open_both(subject.shm, &subject.channel, pair.right, &subject.other, "first");
}

static void close_subject(void)
{
	ivshmem_channel_close(subject.channel);
	ivshmem_channel_close(subject.other);
	ivshmem_close(subject.shm);
}

static void set_up_regions(void)
{
	open_handles(REGION_SIZE, 4);
	strcpy(subject.path, in_shm("region"));
	assert_int_equal(ivshmem_layout_read(&subject.layout, pair.left), 0);
}

static void open_file(void)
{
	subject.shm = open_region(subject.path, 0);
	open_subject_channels();
}

static void calls_on_a_file_that_may_run_together_have_no_race(void **state)
{
	set_up_regions();
	run_pairs(open_file, close_subject);
	ivshmem_layout_free(subject.layout);
}

static void open_guest(void)
{
	subject.shm = open_device();
	bindings = 0;
	open_subject_channels();
}

static void close_guest(void)
{
	assert_in_range(bindings, 0, VECTORS);
	close_subject();
	device_fd = -1;
}

static void calls_on_a_device_that_may_run_together_have_no_race(void **state)
{
	set_up_regions();
	run_pairs(open_guest, close_guest);
	ivshmem_layout_free(subject.layout);
}

/* A peer that comes and goes; where nobody reads, the server does not wait. */
static void tell_news(void)
{
	static bool is_there;
	struct step step = { .length = sizeof(uint64_t) };
	uint64_t peer = htole64(OTHER_PEER);
	int i, flags = fcntl(server.client, F_GETFL);

	fcntl(server.client, F_SETFL, flags | O_NONBLOCK);
	memcpy(step.bytes, &peer, sizeof(peer));
	for (i = 0; i < ROUNDS; i++) {
		step.fd_count = 0;
		if (!is_there)
			add_fd(&step, server.owned[0]);
		if (!send_step(&step))
			break;
		is_there = !is_there;
	}
}

static void open_served(void)
{
	tell_news();
	open_subject_channels();
}

static void close_served(void)
{
	ivshmem_channel_close(subject.channel);
	ivshmem_channel_close(subject.other);
}

static void calls_on_a_servers_region_that_may_run_together_have_no_race(void **state)
{
	make_event();		/* OTHER_PEER's vector */
	say_hello(own(open(make_formatted(REGION_SIZE, 4), O_RDWR | O_CLOEXEC)));
	say_vectors(ME, VECTORS);
	strcpy(subject.path, in_shm("region"));
	subject.shm = join(0);
	pair.right = open_region(subject.path, 0);
	assert_int_equal(ivshmem_layout_read(&subject.layout, pair.right), 0);
	run_pairs(open_served, close_served);
	ivshmem_layout_free(subject.layout);
	ivshmem_close(subject.shm);
}

/* --- opening on one handle, by several at a time --- */

#define OPENERS	4

static void threads_that_open_channels_on_one_handle_all_get_theirs(void **state)
{
	static const char *const names[OPENERS] = { "a", "b", "c", "d" };
	struct opening openings[2 * OPENERS];
	pthread_t threads[2 * OPENERS];
	unsigned int i, round;

	open_handles(REGION_SIZE, OPENERS);
	for (round = 0; round < 20; round++) {
		for (i = 0; i < 2 * OPENERS; i++) {
			openings[i] = (struct opening) {
				i % 2 ? ivshmem_channel_create : ivshmem_channel_connect,
				NULL, pair.left, names[i / 2], 0, 0,
			};
			assert_int_equal(pthread_create(&threads[i], NULL, open_in_thread,
							&openings[i]), 0);
		}
		for (i = 0; i < 2 * OPENERS; i++) {
			pthread_join(threads[i], NULL);
			assert_int_equal(openings[i].err, 0);
		}
		for (i = 0; i < OPENERS; i++) {
			talk(openings[2 * i].channel, openings[2 * i + 1].channel);
			assert_int_equal(ivshmem_channel_alive(openings[2 * i].channel), 1);
			assert_int_equal(ivshmem_channel_alive(openings[2 * i + 1].channel), 1);
		}
		for (i = 0; i < 2 * OPENERS; i++)
			ivshmem_channel_close(openings[i].channel);
	}
}

static atomic_bool takes_its_time;

/* Gives other threads time between the steps of an opening. */
int fcntl(int fd, int command, ...)
{
	va_list arguments;
	void *argument;
	int ret;

	va_start(arguments, command);
	argument = va_arg(arguments, void *);
	va_end(arguments);
	ret = (int)syscall(SYS_fcntl, fd, command, argument);
	if (takes_its_time && command == F_OFD_SETLK)
		usleep(500);
	return ret;
}

/* The one that comes too late must not take the other's lock away. */
static void threads_that_open_the_same_end_leave_it_to_one(void **state)
{
	struct opening openings[3];
	unsigned int i, round;
	pthread_t threads[3];

	open_handles(REGION_SIZE, 1);
	takes_its_time = true;
	for (round = 0; round < 50; round++) {
		for (i = 0; i < 3; i++) {
			openings[i] = (struct opening) {
				i ? ivshmem_channel_create : ivshmem_channel_connect,
				NULL, i ? pair.left : pair.right, "a", 0, 0,
			};
			assert_int_equal(pthread_create(&threads[i], NULL, open_in_thread,
							&openings[i]), 0);
		}
		for (i = 0; i < 3; i++)
			pthread_join(threads[i], NULL);
		assert_int_equal(openings[0].err, 0);
		assert_int_equal(openings[1].err + openings[2].err, -EBUSY);
		assert_int_equal(ivshmem_channel_alive(openings[0].channel), 1);
		for (i = 0; i < 3; i++)
			ivshmem_channel_close(openings[i].channel);
	}
	takes_its_time = false;
}

static int threads_teardown(void **state)
{
	stop_server();
	return pair_teardown(state);
}

#define THREADS_TEST(name) cmocka_unit_test_setup_teardown(name, pair_setup, threads_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		THREADS_TEST(calls_on_a_file_that_may_run_together_have_no_race),
		THREADS_TEST(calls_on_a_device_that_may_run_together_have_no_race),
		THREADS_TEST(calls_on_a_servers_region_that_may_run_together_have_no_race),
		THREADS_TEST(threads_that_open_channels_on_one_handle_all_get_theirs),
		THREADS_TEST(threads_that_open_the_same_end_leave_it_to_one),
	};

	return run("threads", tests, ARRAY_SIZE(tests));
}
