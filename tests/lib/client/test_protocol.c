// SPDX-License-Identifier: MIT
/* Descriptors are mere numbers here: each is given once, and must come back once. */
#include "fixture.h"

#include "client/protocol.h"

#define FDS	70000
#define ME	7

static struct ivshmem_protocol protocol;
static unsigned char released[FDS];
static int next_fd;

static void release(int fd)
{
	assert_in_range(fd, 0, next_fd - 1);
	assert_int_equal(released[fd], 0);
	released[fd]++;
}

static int protocol_setup(void **state)
{
	memset(released, 0, sizeof(released));
	next_fd = 0;
	ivshmem_protocol_init(&protocol, release);
	return 0;
}

static int protocol_teardown(void **state)
{
	int fd;

	ivshmem_protocol_free(&protocol);
	for (fd = 0; fd < next_fd; fd++) {
		if (released[fd] != 1) {
			print_error("# descriptor %d was released %d times\n", fd, released[fd]);
			return -1;
		}
	}
	return 0;
}

#define PROTOCOL_TEST(name) \
	cmocka_unit_test_setup_teardown(name, protocol_setup, protocol_teardown)

static int feed(int64_t value)
{
	return ivshmem_protocol_feed(&protocol, value, -1);
}

/* Where it is refused, the descriptor stays ours. */
static int feed_fd(int64_t value)
{
	int fd = next_fd++;
	int event = ivshmem_protocol_feed(&protocol, value, fd);

	if (event < 0)
		release(fd);
	return event;
}

static void introduce(void)
{
	assert_int_equal(feed(0), IVSHMEM_EVENT_NONE);
	assert_int_equal(feed(ME), IVSHMEM_EVENT_NONE);
	assert_int_equal(feed_fd(-1), IVSHMEM_EVENT_NONE);
}

static unsigned int vectors_of(unsigned int id)
{
	const struct ivshmem_peer *peer = ivshmem_protocol_find(&protocol, id);

	return peer ? peer->vectors : 0;
}

static void assert_ascending(void)
{
	size_t i;

	for (i = 1; i < protocol.count; i++)
		assert_true(protocol.peers[i - 1].id < protocol.peers[i].id);
}

static void introduction_fills_the_table(void **state)
{
	introduce();
	assert_int_equal(protocol.region, 0);
	assert_int_equal(protocol.self.id, ME);
	assert_int_equal(feed_fd(3), IVSHMEM_EVENT_JOINED);
	assert_int_equal(feed_fd(3), IVSHMEM_EVENT_NONE);
	assert_int_equal(feed_fd(0), IVSHMEM_EVENT_JOINED);
	assert_int_equal(feed_fd(ME), IVSHMEM_EVENT_NONE);
	assert_int_equal(feed_fd(ME), IVSHMEM_EVENT_NONE);
	assert_int_equal(feed_fd(ME), IVSHMEM_EVENT_NONE);
	assert_int_equal(protocol.count, 2);
	assert_int_equal(vectors_of(3), 2);
	assert_int_equal(vectors_of(0), 1);
	assert_int_equal(vectors_of(ME), 3);
	assert_int_equal(ivshmem_protocol_find(&protocol, 3)->fds[1], 2);
	assert_int_equal(ivshmem_protocol_find(&protocol, ME)->fds[2], 6);
}

static void nobody_is_known_before_the_introduction(void **state)
{
	assert_null(ivshmem_protocol_find(&protocol, 0));
	assert_int_equal(feed(0), IVSHMEM_EVENT_NONE);
	assert_null(ivshmem_protocol_find(&protocol, 0));
}

static void highest_id_is_taken(void **state)
{
	assert_int_equal(feed(0), IVSHMEM_EVENT_NONE);
	assert_int_equal(feed(65535), IVSHMEM_EVENT_NONE);
	assert_int_equal(feed_fd(-1), IVSHMEM_EVENT_NONE);
	assert_int_equal(feed_fd(65534), IVSHMEM_EVENT_JOINED);
	assert_int_equal(feed_fd(65535), IVSHMEM_EVENT_NONE);
	assert_int_equal(vectors_of(65534), 1);
	assert_int_equal(vectors_of(65535), 1);
}

static const int64_t odd_values[] = {
	-2, 65536, 1ll << 32, (1ll << 32) + 3, 7ll << 56, INT64_MIN, INT64_MAX,
};

static void wrong_version_fails(void **state)
{
	size_t i;

	assert_int_equal(feed(1), -EPROTO);
	assert_int_equal(feed(-1), -EPROTO);
	assert_int_equal(feed_fd(0), -EPROTO);
	assert_int_equal(feed_fd(-1), -EPROTO);
	for (i = 0; i < ARRAY_SIZE(odd_values); i++)
		assert_int_equal(feed(odd_values[i]), -EPROTO);
}

static void wrong_id_fails(void **state)
{
	size_t i;

	assert_int_equal(feed(0), IVSHMEM_EVENT_NONE);
	assert_int_equal(feed(-1), -EPROTO);
	assert_int_equal(feed_fd(ME), -EPROTO);
	assert_int_equal(feed_fd(-1), -EPROTO);
	for (i = 0; i < ARRAY_SIZE(odd_values); i++)
		assert_int_equal(feed(odd_values[i]), -EPROTO);
}

static void wrong_region_fails(void **state)
{
	size_t i;

	assert_int_equal(feed(0), IVSHMEM_EVENT_NONE);
	assert_int_equal(feed(ME), IVSHMEM_EVENT_NONE);
	assert_int_equal(feed(-1), -EPROTO);
	assert_int_equal(feed_fd(ME), -EPROTO);
	assert_int_equal(feed_fd(3), -EPROTO);
	assert_int_equal(feed(3), -EPROTO);
	for (i = 0; i < ARRAY_SIZE(odd_values); i++)
		assert_int_equal(feed_fd(odd_values[i]), -EPROTO);
	assert_int_equal(protocol.region, -1);
}

static void wrong_peer_fails_and_changes_nothing(void **state)
{
	size_t i;

	introduce();
	assert_int_equal(feed_fd(3), IVSHMEM_EVENT_JOINED);
	assert_int_equal(feed_fd(-1), -EPROTO);
	assert_int_equal(feed(-1), -EPROTO);
	assert_int_equal(feed(4), -EPROTO);
	assert_int_equal(feed(ME), -EPROTO);
	for (i = 0; i < ARRAY_SIZE(odd_values); i++) {
		assert_int_equal(feed(odd_values[i]), -EPROTO);
		assert_int_equal(feed_fd(odd_values[i]), -EPROTO);
	}
	assert_int_equal(protocol.count, 1);
	assert_int_equal(protocol.region, 0);
	assert_int_equal(vectors_of(3), 1);
	assert_int_equal(vectors_of(ME), 0);
}

static void vector_257_fails(void **state)
{
	int i;

	introduce();
	for (i = 0; i < 256; i++)
		assert_true(feed_fd(3) >= 0 && feed_fd(ME) >= 0);
	assert_int_equal(feed_fd(3), -EPROTO);
	assert_int_equal(feed_fd(ME), -EPROTO);
	assert_int_equal(vectors_of(3), 256);
	assert_int_equal(vectors_of(ME), 256);
	for (i = 0; i < 256; i++) {
		assert_int_equal(ivshmem_protocol_find(&protocol, 3)->fds[i], 1 + 2 * i);
		assert_int_equal(ivshmem_protocol_find(&protocol, ME)->fds[i], 2 + 2 * i);
	}
}

static void leave_releases_all_vectors(void **state)
{
	introduce();
	assert_int_equal(feed_fd(3), IVSHMEM_EVENT_JOINED);
	assert_int_equal(feed_fd(3), IVSHMEM_EVENT_NONE);
	assert_int_equal(feed_fd(4), IVSHMEM_EVENT_JOINED);
	assert_int_equal(feed(3), IVSHMEM_EVENT_LEFT);
	assert_true(released[1] && released[2] && !released[3]);
	assert_null(ivshmem_protocol_find(&protocol, 3));
	assert_int_equal(vectors_of(4), 1);
	assert_int_equal(feed(3), -EPROTO);
	assert_int_equal(feed_fd(3), IVSHMEM_EVENT_JOINED);
	assert_int_equal(vectors_of(3), 1);
}

static void vectors_of_several_peers_may_be_mixed(void **state)
{
	introduce();
	assert_int_equal(feed_fd(ME), IVSHMEM_EVENT_NONE);
	assert_int_equal(feed_fd(3), IVSHMEM_EVENT_JOINED);
	assert_int_equal(feed_fd(4), IVSHMEM_EVENT_JOINED);
	assert_int_equal(feed_fd(3), IVSHMEM_EVENT_NONE);
	assert_int_equal(feed_fd(ME), IVSHMEM_EVENT_NONE);
	assert_int_equal(vectors_of(3), 2);
	assert_int_equal(vectors_of(ME), 2);
}

static void every_id_at_once_fits(void **state)
{
	unsigned int i, id;

	introduce();
	for (i = 0; i < 65536; i++) {
		id = i * 40503 % 65536;	/* odd: each comes once */
		assert_true(feed_fd(id) >= 0);
	}
	assert_int_equal(protocol.count, 65535);
	assert_ascending();
	for (id = 0; id < 65536; id++)
		assert_int_equal(vectors_of(id), 1);
}

/* Against the plainest table there is. */
static void random_changes_agree_with_a_model(void **state)
{
	unsigned int model[64] = { 0 };
	unsigned int id, i, total;

	introduce();
	srandom(1);
	for (i = 0; i < 20000; i++) {
		id = (unsigned int)random() % ARRAY_SIZE(model);
		if (random() % 3) {
			if (model[id] == 256)
				continue;
			assert_int_equal(feed_fd(id), model[id] || id == ME ?
					 IVSHMEM_EVENT_NONE : IVSHMEM_EVENT_JOINED);
			model[id]++;
		} else {
			assert_int_equal(feed(id), model[id] && id != ME ?
					 IVSHMEM_EVENT_LEFT : -EPROTO);
			model[id] = id == ME ? model[id] : 0;
		}
		assert_int_equal(vectors_of(id), model[id]);
	}
	for (total = 0, id = 0; id < ARRAY_SIZE(model); id++)
		total += model[id] && id != ME;
	assert_int_equal(protocol.count, total);
	assert_ascending();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		PROTOCOL_TEST(introduction_fills_the_table),
		PROTOCOL_TEST(nobody_is_known_before_the_introduction),
		PROTOCOL_TEST(highest_id_is_taken),
		PROTOCOL_TEST(wrong_version_fails),
		PROTOCOL_TEST(wrong_id_fails),
		PROTOCOL_TEST(wrong_region_fails),
		PROTOCOL_TEST(wrong_peer_fails_and_changes_nothing),
		PROTOCOL_TEST(vector_257_fails),
		PROTOCOL_TEST(leave_releases_all_vectors),
		PROTOCOL_TEST(vectors_of_several_peers_may_be_mixed),
		PROTOCOL_TEST(every_id_at_once_fits),
		PROTOCOL_TEST(random_changes_agree_with_a_model),
	};

	return run("protocol", tests, ARRAY_SIZE(tests));
}
