// SPDX-License-Identifier: MIT
/*
 * Every public call with NULL where it takes a pointer, and beyond the end where it takes
 * an index: none crashes, and all answer alike. "make style" sees that none is left out.
 */
#include "channels.h"
#include "fake_server.h"

/* What calls get that are wrong in one thing only. */
static struct good {
	struct ivshmem *shm, *served, *topics;
	struct ivshmem_channel *channel;
	struct ivshmem_waitset *set;
	struct ivshmem_publisher *publisher;
	struct ivshmem_subscriber *subscriber;
	struct ivshmem_listener *listener;
	struct ivshmem_layout *layout;
	struct ivshmem_status *status;
	struct ivshmem_monitor *monitor;
} good;

#define CREATOR	IVSHMEM_END_CREATOR

static char buffer[64];
static const void *message;
static void *room;
static struct ivshmem *shm_out;
static struct ivshmem_channel *channel_out;
static struct ivshmem_waitset *waitset_out;
static struct ivshmem_ready ready_out[1];
static struct ivshmem_area *area_out;
static struct ivshmem_publisher *publisher_out;
static struct ivshmem_subscriber *subscriber_out;
static struct ivshmem_listener *listener_out;
static struct ivshmem_device *device_out;
static enum ivshmem_peer_change peer_change;
static enum ivshmem_change change;
static unsigned int peer;

struct call {
	const char *text;
	int64_t returned, expected;
};

#define GIVES(value, call)	{ #call, (int64_t)(intptr_t)(call), (value) }
#define NOTHING(call)		{ #call, ((call), 0), 0 }

static void assert_all(const struct call *calls, size_t count)
{
	size_t i, failed = 0;

	for (i = 0; i < count; i++) {
		if (calls[i].returned == calls[i].expected)
			continue;
		print_error("# %s: %lld, not %lld\n", calls[i].text,
			    (long long)calls[i].returned, (long long)calls[i].expected);
		failed++;
	}
	assert_int_equal(failed, 0);
}

static void numbers_of_null_are_einval_or_zero(void **state)
{
	struct ivshmem_topic_layout topic;
	uint64_t detail;
	const struct call calls[] = {
		GIVES(-EINVAL, ivshmem_open(NULL, "/dev/shm/x", 0)),
		GIVES(-EINVAL, ivshmem_open(&shm_out, NULL, 0)),
		GIVES(-EINVAL, ivshmem_create(NULL, "/dev/shm/x", MIB, 0600, 0)),
		GIVES(-EINVAL, ivshmem_create(&shm_out, NULL, MIB, 0600, 0)),
		GIVES(-EINVAL, ivshmem_cancel(NULL)),
		GIVES(-EINVAL, ivshmem_uncancel(NULL)),
		GIVES(-EINVAL, ivshmem_map(NULL)),
		GIVES(-EINVAL, ivshmem_unmap(NULL)),
		GIVES(-EINVAL, ivshmem_sync(NULL)),
		GIVES(-EINVAL, ivshmem_check(NULL)),
		GIVES(-EINVAL, ivshmem_sealed(NULL)),
		GIVES(-EINVAL, ivshmem_fd(NULL)),
		GIVES(0, ivshmem_size(NULL)),
		GIVES(-EINVAL, ivshmem_side(NULL)),
		GIVES(-EINVAL, ivshmem_kind(NULL)),
		GIVES(0, ivshmem_page_size(NULL)),
		GIVES(-EINVAL, ivshmem_export_dmabuf(NULL, 0, 4096, 0)),
		GIVES(-EINVAL, ivshmem_peer_id(NULL)),
		GIVES(-EINVAL, ivshmem_vectors(NULL)),
		GIVES(-EINVAL, ivshmem_notify(NULL, 0, 0)),
		GIVES(-EINVAL, ivshmem_event_fd(NULL, 0)),
		GIVES(-EINVAL, ivshmem_wait(NULL, 0, 0)),
		GIVES(-EINVAL, ivshmem_set_busy_poll(NULL, 0)),
		GIVES(-EINVAL, ivshmem_peers(NULL, NULL, 0)),
		GIVES(-EINVAL, ivshmem_peers(good.served, NULL, 1)),
		GIVES(-EINVAL, ivshmem_peer_vectors(NULL, 0)),
		GIVES(-EINVAL, ivshmem_peer_fd(NULL)),
		GIVES(-EINVAL, ivshmem_rejoin(NULL)),
		GIVES(-EINVAL, ivshmem_peer_next(NULL, 0, &peer_change, &peer)),
		GIVES(-EINVAL, ivshmem_peer_next(good.served, 0, NULL, &peer)),
		GIVES(-EINVAL, ivshmem_peer_next(good.served, 0, &peer_change, NULL)),
		GIVES(-EINVAL, ivshmem_format(NULL, "", 1, 0, 0)),
		GIVES(-EINVAL, ivshmem_format(good.shm, NULL, 1, 0, IVSHMEM_FORMAT_FORCE)),
		GIVES(-EINVAL, ivshmem_make_channel(NULL, "u", 0, 0)),
		GIVES(-EINVAL, ivshmem_make_channel(good.shm, NULL, 0, 0)),
		GIVES(-EINVAL, ivshmem_make_area(NULL, "u", 1)),
		GIVES(-EINVAL, ivshmem_make_area(good.shm, NULL, 1)),
		GIVES(-EINVAL, ivshmem_remove(NULL, "u", 0)),
		GIVES(-EINVAL, ivshmem_remove(good.shm, NULL, 0)),
		GIVES(-EINVAL, ivshmem_area_open(NULL, good.shm, "u")),
		GIVES(-EINVAL, ivshmem_area_open(&area_out, NULL, "u")),
		GIVES(-EINVAL, ivshmem_area_open(&area_out, good.shm, NULL)),
		GIVES(0, ivshmem_area_size(NULL)),
		GIVES(-EINVAL, ivshmem_layout_read(NULL, good.shm)),
		GIVES(-EINVAL, ivshmem_layout_read(&good.layout, NULL)),
		GIVES(0, ivshmem_layout_objects(NULL)),
		GIVES(0, ivshmem_layout_default_ring(NULL)),
		GIVES(0, ivshmem_layout_block(NULL)),
		GIVES(0, ivshmem_layout_free_bytes(NULL)),
		GIVES(0, ivshmem_layout_kind(NULL, 0)),
		GIVES(0, ivshmem_layout_is_kept(NULL, 0)),
		GIVES(0, ivshmem_layout_size(NULL, 0)),
		GIVES(0, ivshmem_layout_ring_size(NULL, 0, IVSHMEM_END_CREATOR)),
		GIVES(-EINVAL, ivshmem_status_read(NULL, good.shm, 0)),
		GIVES(-EINVAL, ivshmem_status_read(&good.status, NULL, 0)),
		GIVES(-EINVAL, ivshmem_status_topic(NULL, 0, &topic)),
		GIVES(-EINVAL, ivshmem_status_topic(good.status, 0, NULL)),
		GIVES(0, ivshmem_status_members(NULL, 0)),
		GIVES(IVSHMEM_ROLE_NONE, ivshmem_status_role(NULL, 0, 0)),
		GIVES(0, ivshmem_status_place(NULL, 0, 0)),
		GIVES(IVSHMEM_END_FREE, ivshmem_status_state(NULL, 0, 0)),
		GIVES(-EINVAL, ivshmem_status_detail(NULL, 0, 0, IVSHMEM_DETAIL_PID, &detail)),
		GIVES(-EINVAL, ivshmem_status_detail(good.status, 0, 0, IVSHMEM_DETAIL_PID, NULL)),
		GIVES(-EINVAL, ivshmem_list(NULL)),
		GIVES(0, ivshmem_list_count(NULL)),
		GIVES(0, ivshmem_device_size(NULL)),
		GIVES(IVSHMEM_PLAIN, ivshmem_device_kind(NULL)),
		GIVES(-EINVAL, ivshmem_monitor_open(NULL)),
		GIVES(-EINVAL, ivshmem_monitor_fd(NULL)),
		GIVES(-EINVAL, ivshmem_monitor_cancel(NULL)),
		GIVES(-EINVAL, ivshmem_monitor_uncancel(NULL)),
		GIVES(-EINVAL, ivshmem_monitor_next(NULL, 0, &change, &device_out)),
		GIVES(-EINVAL, ivshmem_monitor_next(good.monitor, 0, NULL, &device_out)),
		GIVES(-EINVAL, ivshmem_monitor_next(good.monitor, 0, &change, NULL)),
	};

	assert_all(calls, ARRAY_SIZE(calls));
}

static void channels_calls_with_null_are_einval_or_zero(void **state)
{
	const struct call calls[] = {
		GIVES(-EINVAL, ivshmem_channel_create(NULL, good.shm, "b", 0, 0)),
		GIVES(-EINVAL, ivshmem_channel_create(&channel_out, NULL, "b", 0, 0)),
		GIVES(-EINVAL, ivshmem_channel_create(&channel_out, good.shm, NULL, 0, 0)),
		GIVES(-EINVAL, ivshmem_channel_connect(NULL, good.shm, "b", 0, 0)),
		GIVES(-EINVAL, ivshmem_channel_connect(&channel_out, NULL, "b", 0, 0)),
		GIVES(-EINVAL, ivshmem_channel_connect(&channel_out, good.shm, NULL, 0, 0)),
		GIVES(-EINVAL, ivshmem_channel_begin(NULL, good.shm, "b", CREATOR, 0)),
		GIVES(-EINVAL, ivshmem_channel_begin(&channel_out, NULL, "b", CREATOR, 0)),
		GIVES(-EINVAL, ivshmem_channel_begin(&channel_out, good.shm, NULL, CREATOR, 0)),
		GIVES(-EINVAL, ivshmem_channel_finish(NULL, 0)),
		GIVES(-EINVAL, ivshmem_channel_cancel(NULL)),
		GIVES(-EINVAL, ivshmem_channel_uncancel(NULL)),
		GIVES(-EINVAL, ivshmem_channel_reconnect(NULL, 0)),
		GIVES(-EINVAL, ivshmem_channel_alive(NULL)),
		GIVES(0, ivshmem_channel_max_length(NULL)),
		GIVES(-EINVAL, ivshmem_channel_set_spin(NULL, 0)),
		GIVES(-EINVAL, ivshmem_channel_set_backoff(NULL, 1)),
		GIVES(-EINVAL, ivshmem_channel_send(NULL, "x", 1, 0)),
		GIVES(-EINVAL, ivshmem_channel_send(good.channel, NULL, 1, 0)),
		GIVES(-EINVAL, ivshmem_channel_recv(NULL, buffer, sizeof(buffer), 0)),
		GIVES(-EINVAL, ivshmem_channel_recv(good.channel, NULL, sizeof(buffer), 0)),
		GIVES(-EINVAL, ivshmem_channel_reserve(NULL, &room, 1, 0)),
		GIVES(-EINVAL, ivshmem_channel_reserve(good.channel, NULL, 1, 0)),
		GIVES(-EINVAL, ivshmem_channel_commit(NULL, 0, 0)),
		GIVES(-EINVAL, ivshmem_channel_peek(NULL, &message, 0)),
		GIVES(-EINVAL, ivshmem_channel_peek(good.channel, NULL, 0)),
		GIVES(-EINVAL, ivshmem_channel_unreserve(NULL)),
		GIVES(-EINVAL, ivshmem_channel_release(NULL, buffer)),
		GIVES(-EINVAL, ivshmem_channel_release(good.channel, NULL)),
		GIVES(-EINVAL, ivshmem_channel_release_all(NULL)),
		GIVES(-EINVAL, ivshmem_channel_write(NULL, buffer, 1, 0)),
		GIVES(-EINVAL, ivshmem_channel_write(good.channel, NULL, 1, 0)),
		GIVES(-EINVAL, ivshmem_channel_read(NULL, buffer, 1, 0)),
		GIVES(-EINVAL, ivshmem_channel_read(good.channel, NULL, 1, 0)),
		GIVES(-EINVAL, ivshmem_channel_fd(NULL)),
		GIVES(-EINVAL, ivshmem_channel_arm(NULL, IVSHMEM_CAN_RECV, 0)),
	};

	assert_all(calls, ARRAY_SIZE(calls));
}

static void topics_calls_with_null_are_einval_or_zero(void **state)
{
	const struct ivshmem_topic_layout layout = { 8, 2, 1, 1, 0, 0 };
	const struct iovec nowhere = { NULL, 1 };
	const struct call calls[] = {
		GIVES(-EINVAL, ivshmem_make_topic(NULL, "u", &layout)),
		GIVES(-EINVAL, ivshmem_make_topic(good.shm, NULL, &layout)),
		GIVES(-EINVAL, ivshmem_make_topic(good.shm, "u", NULL)),
		GIVES(-EINVAL, ivshmem_publisher_open(NULL, good.shm, "t")),
		GIVES(-EINVAL, ivshmem_publisher_open(&publisher_out, NULL, "t")),
		GIVES(-EINVAL, ivshmem_publisher_open(&publisher_out, good.shm, NULL)),
		GIVES(0, ivshmem_publisher_max_length(NULL)),
		GIVES(-EINVAL, ivshmem_publish(NULL, NULL, 0, 0, 0, 0)),
		GIVES(-EINVAL, ivshmem_publish(good.publisher, NULL, 1, 0, 0, 0)),
		GIVES(-EINVAL, ivshmem_publish(good.publisher, &nowhere, 1, 0, 0, 0)),
		GIVES(-EINVAL, ivshmem_publish(good.publisher, NULL, 0, 0, ~0u, 0)),
		GIVES(-EINVAL, ivshmem_publisher_reserve(NULL, &room)),
		GIVES(-EINVAL, ivshmem_publisher_reserve(good.publisher, NULL)),
		GIVES(-EINVAL, ivshmem_publisher_commit(NULL, 0, 0, 0, 0)),
		GIVES(-EINVAL, ivshmem_publisher_commit(good.publisher, 0, 0, 0, 0)),
		GIVES(-EINVAL, ivshmem_publisher_subscribers(NULL)),
		GIVES(0, ivshmem_publisher_dropped(NULL)),
		GIVES(-EINVAL, ivshmem_subscriber_open(NULL, good.shm, "t", 0)),
		GIVES(-EINVAL, ivshmem_subscriber_open(&subscriber_out, NULL, "t", 0)),
		GIVES(-EINVAL, ivshmem_subscriber_open(&subscriber_out, good.shm, NULL, 0)),
		GIVES(-EINVAL, ivshmem_subscriber_recv(NULL, buffer, 1, NULL, 0, 0)),
		GIVES(-EINVAL, ivshmem_subscriber_recv(good.subscriber, NULL, 1, NULL, 0, 0)),
		GIVES(-EINVAL, ivshmem_subscriber_recv(good.subscriber, buffer, 1, NULL, ~0u, 0)),
		GIVES(-EINVAL, ivshmem_subscriber_hold(NULL, &message, NULL, 0, 0)),
		GIVES(-EINVAL, ivshmem_subscriber_hold(good.subscriber, NULL, NULL, 0, 0)),
		GIVES(-EINVAL, ivshmem_subscriber_release(NULL, buffer)),
		GIVES(-EINVAL, ivshmem_subscriber_release(good.subscriber, NULL)),
		GIVES(0, ivshmem_subscriber_skipped(NULL)),
		GIVES(0, ivshmem_subscriber_max_length(NULL)),
	};

	assert_all(calls, ARRAY_SIZE(calls));
}

static void services_calls_with_null_are_einval(void **state)
{
	struct ivshmem *shm = good.topics;
	uint32_t number;
	const struct call calls[] = {
		GIVES(-EINVAL, ivshmem_make_service(NULL, "u", 0, 0)),
		GIVES(-EINVAL, ivshmem_make_service(shm, NULL, 0, 0)),
		GIVES(-EINVAL, ivshmem_make_service(shm, "u", UINT64_MAX, 0)),
		GIVES(-EINVAL, ivshmem_make_service(shm, "u", 0, UINT64_MAX)),
		GIVES(-EINVAL, ivshmem_listen(NULL, shm, "u", 0)),
		GIVES(-EINVAL, ivshmem_listen(&listener_out, NULL, "u", 0)),
		GIVES(-EINVAL, ivshmem_listen(&listener_out, shm, NULL, 0)),
		GIVES(-EINVAL, ivshmem_listen(&listener_out, shm, "u", ~0u)),
		GIVES(-EINVAL, ivshmem_listener_set_limit(NULL, 1)),
		GIVES(-EINVAL, ivshmem_listener_set_limit(good.listener, 0)),
		GIVES(-EINVAL, ivshmem_accept(NULL, good.listener, 0)),
		GIVES(-EINVAL, ivshmem_accept(&channel_out, NULL, 0)),
		GIVES(-EINVAL, ivshmem_connect(NULL, shm, "s", 0)),
		GIVES(-EINVAL, ivshmem_connect(&channel_out, NULL, "s", 0)),
		GIVES(-EINVAL, ivshmem_connect(&channel_out, shm, NULL, 0)),
		GIVES(-EINVAL, ivshmem_connect_begin(NULL, shm, "s")),
		GIVES(-EINVAL, ivshmem_connect_begin(&channel_out, NULL, "s")),
		GIVES(-EINVAL, ivshmem_connect_begin(&channel_out, shm, NULL)),
		GIVES(-EINVAL, ivshmem_call(NULL, buffer, 1, buffer, 1, 0)),
		GIVES(-EINVAL, ivshmem_call(good.channel, NULL, 1, buffer, 1, 0)),
		GIVES(-EINVAL, ivshmem_call(good.channel, buffer, 1, NULL, 1, 0)),
		GIVES(-EINVAL, ivshmem_call_recv(NULL, &number, buffer, 1, 0)),
		GIVES(-EINVAL, ivshmem_call_recv(good.channel, NULL, buffer, 1, 0)),
		GIVES(-EINVAL, ivshmem_call_recv(good.channel, &number, NULL, 1, 0)),
		GIVES(-EINVAL, ivshmem_call_answer(NULL, 1, buffer, 1, 0)),
		GIVES(-EINVAL, ivshmem_call_answer(good.channel, 1, NULL, 1, 0)),
	};

	assert_all(calls, ARRAY_SIZE(calls));
}

static void calls_of_wait_sets_with_null_are_einval(void **state)
{
	const struct call calls[] = {
		GIVES(-EINVAL, ivshmem_waitset_open(NULL, good.shm)),
		GIVES(-EINVAL, ivshmem_waitset_open(&waitset_out, NULL)),
		GIVES(-EINVAL, ivshmem_waitset_add_channel(NULL, good.channel, 1, 0, NULL)),
		GIVES(-EINVAL, ivshmem_waitset_add_channel(good.set, NULL, 1, 0, NULL)),
		GIVES(-EINVAL, ivshmem_waitset_remove_channel(NULL, good.channel)),
		GIVES(-EINVAL, ivshmem_waitset_remove_channel(good.set, NULL)),
		GIVES(-EINVAL, ivshmem_waitset_add_subscriber(NULL, good.subscriber, NULL)),
		GIVES(-EINVAL, ivshmem_waitset_add_subscriber(good.set, NULL, NULL)),
		GIVES(-EINVAL, ivshmem_waitset_remove_subscriber(NULL, good.subscriber)),
		GIVES(-EINVAL, ivshmem_waitset_remove_subscriber(good.set, NULL)),
		GIVES(-EINVAL, ivshmem_waitset_add_listener(NULL, good.listener, NULL)),
		GIVES(-EINVAL, ivshmem_waitset_add_listener(good.set, NULL, NULL)),
		GIVES(-EINVAL, ivshmem_waitset_remove_listener(NULL, good.listener)),
		GIVES(-EINVAL, ivshmem_waitset_remove_listener(good.set, NULL)),
		GIVES(-EINVAL, ivshmem_waitset_wait(NULL, ready_out, 1, 0)),
		GIVES(-EINVAL, ivshmem_waitset_wait(good.set, NULL, 1, 0)),
		GIVES(-EINVAL, ivshmem_waitset_fd(NULL)),
		GIVES(-EINVAL, ivshmem_waitset_arm(NULL)),
		GIVES(-EINVAL, ivshmem_waitset_set_spin(NULL, 1)),
		GIVES(-EINVAL, ivshmem_waitset_cancel(NULL)),
		GIVES(-EINVAL, ivshmem_waitset_uncancel(NULL)),
	};

	assert_all(calls, ARRAY_SIZE(calls));
}

static void texts_and_parts_of_null_are_null(void **state)
{
	const struct call calls[] = {
		GIVES(0, ivshmem_data(NULL)),
		GIVES(0, ivshmem_area_data(NULL)),
		GIVES(0, ivshmem_path(NULL)),
		GIVES(0, ivshmem_location(NULL)),
		GIVES(0, ivshmem_mapping(NULL)),
		GIVES(0, ivshmem_cache(NULL)),
		GIVES(0, ivshmem_layout_label(NULL)),
		GIVES(0, ivshmem_layout_uuid(NULL)),
		GIVES(0, ivshmem_layout_name(NULL, 0)),
		GIVES(0, ivshmem_status_layout(NULL)),
		GIVES(0, ivshmem_list_get(NULL, 0)),
		GIVES(0, ivshmem_device_address(NULL)),
		GIVES(0, ivshmem_device_node(NULL)),
		GIVES(0, ivshmem_device_driver(NULL)),
		GIVES(0, ivshmem_channel_wakeup(NULL)),
		GIVES(0, ivshmem_channel_fd_wakeup(NULL)),
	};

	assert_all(calls, ARRAY_SIZE(calls));
	assert_non_null(ivshmem_strerror(0));
	assert_non_null(ivshmem_strerror(INT_MIN));
	assert_non_null(ivshmem_strerror(INT_MAX));
	assert_non_null(ivshmem_explain((enum ivshmem_task)-1, -ENOENT));
	assert_non_null(ivshmem_explain((enum ivshmem_task)1000, INT_MIN));
	assert_non_null(ivshmem_version());
}

static void closing_null_does_nothing(void **state)
{
	const struct call calls[] = {
		NOTHING(ivshmem_close(NULL)),
		NOTHING(ivshmem_channel_close(NULL)),
		NOTHING(ivshmem_waitset_close(NULL)),
		NOTHING(ivshmem_area_close(NULL)),
		NOTHING(ivshmem_publisher_close(NULL)),
		NOTHING(ivshmem_subscriber_close(NULL)),
		NOTHING(ivshmem_listener_close(NULL)),
		NOTHING(ivshmem_layout_free(NULL)),
		NOTHING(ivshmem_status_free(NULL)),
		NOTHING(ivshmem_list_free(NULL)),
		NOTHING(ivshmem_device_free(NULL)),
		NOTHING(ivshmem_monitor_close(NULL)),
	};

	assert_all(calls, ARRAY_SIZE(calls));
}

static void what_lies_beyond_the_end_is_nothing(void **state)
{
	struct ivshmem_device_list *list;

	assert_int_equal(ivshmem_list(&list), 0);
	{
		const size_t end = ivshmem_list_count(list);
		const unsigned int last = ivshmem_layout_objects(good.layout);
		const enum ivshmem_end no_end = (enum ivshmem_end)2;
		const enum ivshmem_detail no_detail = (enum ivshmem_detail)-1;
		struct ivshmem_topic_layout topic;
		uint64_t detail;
		const struct call calls[] = {
			GIVES(0, ivshmem_list_get(list, end)),
			GIVES(0, ivshmem_list_get(list, SIZE_MAX)),
			GIVES(0, ivshmem_layout_name(good.layout, last)),
			GIVES(0, ivshmem_layout_name(good.layout, UINT_MAX)),
			GIVES(0, ivshmem_layout_ring_size(good.layout, last, IVSHMEM_END_CREATOR)),
			GIVES(0, ivshmem_layout_ring_size(good.layout, 0, no_end)),
			GIVES(0, ivshmem_layout_kind(good.layout, last)),
			GIVES(0, ivshmem_layout_is_kept(good.layout, UINT_MAX)),
			GIVES(0, ivshmem_layout_size(good.layout, last)),
			GIVES(-ENOENT, ivshmem_status_topic(good.status, last, &topic)),
			GIVES(0, ivshmem_status_members(good.status, last)),
			GIVES(0, ivshmem_status_members(good.status, UINT_MAX)),
			GIVES(IVSHMEM_ROLE_NONE, ivshmem_status_role(good.status, 0, 2)),
			GIVES(0, ivshmem_status_place(good.status, last, 0)),
			GIVES(IVSHMEM_END_FREE, ivshmem_status_state(good.status, 0, UINT_MAX)),
			GIVES(-ENODATA, ivshmem_status_detail(good.status, 0, 2,
							      IVSHMEM_DETAIL_PID, &detail)),
			GIVES(-ENODATA, ivshmem_status_detail(good.status, 0, 0, no_detail,
							      &detail)),
			GIVES(-EINVAL, ivshmem_notify(good.served, 65536, 0)),
			GIVES(-EINVAL, ivshmem_notify(good.served, 0, 256)),
			GIVES(-EINVAL, ivshmem_event_fd(good.served, 1)),
			GIVES(-EINVAL, ivshmem_event_fd(good.served, UINT_MAX)),
			GIVES(-EINVAL, ivshmem_wait(good.served, 1, 0)),
			GIVES(-EINVAL, ivshmem_peer_vectors(good.served, 65536)),
			GIVES(-EINVAL, ivshmem_format(good.shm, "", 4097, 0, IVSHMEM_FORMAT_FORCE)),
			GIVES(-EINVAL, ivshmem_open(&shm_out, "", 0)),
			GIVES(-EINVAL, ivshmem_open(&shm_out, "unix:", 0)),
			GIVES(-EINVAL, ivshmem_channel_set_backoff(good.channel, 0)),
			GIVES(-EINVAL, ivshmem_channel_read(good.channel, buffer, 0, 0)),
			GIVES(-EINVAL, ivshmem_channel_commit(good.channel, 1, 0)),
			GIVES(-EINVAL, ivshmem_channel_begin(&channel_out, good.shm, "b", no_end,
							     0)),
			GIVES(-EINVAL, ivshmem_channel_arm(good.channel, 4, 0)),
			GIVES(-EINVAL, ivshmem_channel_arm(good.channel, 0, 0)),
		};

		assert_all(calls, ARRAY_SIZE(calls));
	}
	ivshmem_list_free(list);
}

static void open_topic(void)
{
	const struct ivshmem_topic_layout layout = { 8, 2, 1, 1, 0, 0 };

	/* A region of its own: the other one is full of the channel. */
	good.topics = open_region(make_file("topics", MIB), 0);
	assert_int_equal(ivshmem_format(good.topics, "", 3, 0, 0), 0);
	assert_int_equal(ivshmem_listen(&good.listener, good.topics, "s", 0), 0);
	assert_int_equal(ivshmem_make_topic(good.topics, "t", &layout), 0);
	assert_int_equal(ivshmem_publisher_open(&good.publisher, good.topics, "t"), 0);
	assert_int_equal(ivshmem_subscriber_open(&good.subscriber, good.topics, "t", 0), 0);
	assert_int_equal(ivshmem_waitset_open(&good.set, good.topics), 0);
}

static int null_setup(void **state)
{
	if (pair_setup(state))
		return -1;
	open_pair();
	good = (struct good) { .shm = pair.left, .channel = pair.a, .served = join_alone(1) };
	open_topic();
	return ivshmem_layout_read(&good.layout, good.shm) ?:
	       ivshmem_status_read(&good.status, good.shm, 0) ?:
	       ivshmem_monitor_open(&good.monitor);
}

static int null_teardown(void **state)
{
	ivshmem_waitset_close(good.set);
	ivshmem_publisher_close(good.publisher);
	ivshmem_subscriber_close(good.subscriber);
	ivshmem_listener_close(good.listener);
	ivshmem_close(good.topics);
	ivshmem_monitor_close(good.monitor);
	ivshmem_layout_free(good.layout);
	ivshmem_status_free(good.status);
	ivshmem_close(good.served);
	stop_server();
	return pair_teardown(state);
}

#define NULL_TEST(name) cmocka_unit_test_setup_teardown(name, null_setup, null_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		NULL_TEST(numbers_of_null_are_einval_or_zero),
		NULL_TEST(channels_calls_with_null_are_einval_or_zero),
		NULL_TEST(topics_calls_with_null_are_einval_or_zero),
		NULL_TEST(services_calls_with_null_are_einval),
		NULL_TEST(calls_of_wait_sets_with_null_are_einval),
		NULL_TEST(texts_and_parts_of_null_are_null),
		NULL_TEST(closing_null_does_nothing),
		NULL_TEST(what_lies_beyond_the_end_is_nothing),
	};

	return run("null", tests, ARRAY_SIZE(tests));
}
