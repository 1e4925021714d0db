// SPDX-License-Identifier: MIT
/*
 * Publishers and subscribers that come, go, publish, receive and hold at random, each in a
 * thread with a handle of its own. SOAK_SECONDS= chooses how long all that goes on (6).
 */
#include "topics.h"

#include <stdatomic.h>

#define PUBLISHERS	2
#define SUBSCRIBERS	4
#define HOLDS		3
#define MOST_OPS	400

static const struct ivshmem_topic_layout traffic_layout = {
	.max_length = LARGE, .history = 8, .publishers = PUBLISHERS, .subscribers = SUBSCRIBERS,
	.holds = HOLDS,
};

static struct {
	struct ivshmem_topic_layout layout;
	bool loses_nothing;	/* publishers wait for whoever is slow */
	char where[PATH_MAX];
	int64_t end;
	atomic_llong published, received, skipped, dropped, held;
} traffic;

struct player {
	unsigned int seed;
	pthread_t thread;
	char problem[200];
};

/* False. */
__attribute__((format(printf, 2, 3)))
static bool problem(struct player *player, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	vsnprintf(player->problem, sizeof(player->problem), format, args);
	va_end(args);
	return false;
}

static unsigned int any(struct player *player, unsigned int below)
{
	return (unsigned int)rand_r(&player->seed) % below;
}

static bool goes_on(void)
{
	return now_ms() < traffic.end;
}

/* No two messages have the same bytes. */
static uint64_t tag_of(uint64_t number, unsigned int place)
{
	return number * PUBLISHERS + place;
}

/* --- publishers --- */

static int publish_in_place(struct ivshmem_publisher *publisher, const char *data, size_t length,
			    int timeout_ms)
{
	void *room;
	int err = ivshmem_publisher_reserve(publisher, &room);

	if (err)
		return err;
	/* A subscriber may still copy what was there, for nothing. */
	ivshmem_copy_shared(room, data, length);
	return ivshmem_publisher_commit(publisher, length, 0, 0, timeout_ms);
}

static int publish_one(struct player *player, struct ivshmem_publisher *publisher,
		       uint64_t number)
{
	uint64_t tag = tag_of(number, ((struct topic *)publisher)->place);
	int timeout = traffic.loses_nothing ? -1 : (int)any(player, 3);
	size_t length = length_of(tag, traffic.layout.max_length);
	char data[LARGE];
	struct iovec parts[2] = {
		{ data, length / 3 }, { data + length / 3, length - length / 3 },
	};

	put_number(data, length, tag);
	if (any(player, 3) == 0)
		return publish_in_place(publisher, data, length, timeout);
	return ivshmem_publish(publisher, parts, 2, 0, 0, timeout);
}

/* Now and then it waits, so that others fall asleep. */
static void rest(struct player *player)
{
	if (any(player, 200) == 0)
		usleep(any(player, 3000));
	else if (any(player, 20) == 0)
		sched_yield();
}

static bool publish_for_a_while(struct player *player, struct ivshmem_publisher *publisher)
{
	const struct topic *topic = (struct topic *)publisher;
	uint64_t number = *topic_published(topic, topic->place);
	unsigned int ops = any(player, MOST_OPS);
	int err;

	for (; ops && goes_on(); ops--) {
		err = publish_one(player, publisher, ++number);
		if (err)
			return problem(player, "publishing fails with %d", err);
		atomic_fetch_add(&traffic.published, 1);
		rest(player);
	}
	atomic_fetch_add(&traffic.dropped, (int64_t)ivshmem_publisher_dropped(publisher));
	return true;
}

static void *be_publisher(void *data)
{
	struct ivshmem_publisher *publisher;
	struct player *player = data;
	struct ivshmem *shm = open_region(traffic.where, 0);
	bool well = true;
	int err;

	while (well && goes_on()) {
		err = ivshmem_publisher_open(&publisher, shm, "t");
		/* Those of others are taken while it looks at one after the other. */
		if (err == -EBUSY)
			continue;
		if (err) {
			problem(player, "opening a publisher fails with %d", err);
			break;
		}
		well = publish_for_a_while(player, publisher);
		ivshmem_publisher_close(publisher);
	}
	ivshmem_close(shm);
	return NULL;
}

/* --- subscribers --- */

struct visit {
	struct player *player;
	struct ivshmem_subscriber *subscriber;
	uint64_t last[PUBLISHERS];
	struct {
		const void *message;
		size_t length;
		uint64_t tag;
	} held[HOLDS];
};

static bool check_message(struct visit *visit, const void *message, ssize_t length,
			  const struct ivshmem_message_info *info)
{
	uint64_t *last = &visit->last[info->publisher], tag = tag_of(info->number, info->publisher);
	struct player *player = visit->player;

	if (info->publisher >= PUBLISHERS || info->number <= *last)
		return problem(player, "number %llu after %llu", (unsigned long long)info->number,
			       (unsigned long long)*last);
	if (*last && info->number != *last + info->skipped + 1)
		return problem(player, "%llu skipped from %llu to %llu",
			       (unsigned long long)info->skipped, (unsigned long long)*last,
			       (unsigned long long)info->number);
	if (traffic.loses_nothing && info->skipped)
		return problem(player, "%llu skipped before %llu",
			       (unsigned long long)info->skipped, (unsigned long long)info->number);
	if ((size_t)length != length_of(tag, traffic.layout.max_length) ||
	    !has_number(message, (size_t)length, tag))
		return problem(player, "message %llu is broken", (unsigned long long)info->number);
	*last = info->number;
	atomic_fetch_add(&traffic.received, 1);
	atomic_fetch_add(&traffic.skipped, (int64_t)info->skipped);
	return true;
}

static bool release_one(struct visit *visit, unsigned int i)
{
	const void *message = visit->held[i].message;

	visit->held[i].message = NULL;
	if (!has_number(message, visit->held[i].length, visit->held[i].tag))
		return problem(visit->player, "a held message has changed");
	if (ivshmem_subscriber_release(visit->subscriber, message))
		return problem(visit->player, "a release fails");
	return true;
}

static bool check_err(struct visit *visit, ssize_t err)
{
	if (err == -EAGAIN || err == -ETIMEDOUT)
		return true;
	if (err == -EPIPE && !traffic.loses_nothing &&
	    traffic.layout.flags & IVSHMEM_TOPIC_LOSSLESS)
		return true;
	return problem(visit->player, "receiving fails with %zd", err);
}

static bool hold_one(struct visit *visit, unsigned int i, unsigned int flags, int timeout)
{
	struct ivshmem_message_info info;
	const void *message;
	ssize_t length;

	length = ivshmem_subscriber_hold(visit->subscriber, &message, &info, flags, timeout);
	if (length < 0)
		return check_err(visit, length);
	visit->held[i].message = message;
	visit->held[i].length = (size_t)length;
	visit->held[i].tag = tag_of(info.number, info.publisher);
	atomic_fetch_add(&traffic.held, 1);
	return check_message(visit, message, length, &info);
}

static bool receive_one(struct visit *visit, unsigned int flags, int timeout)
{
	struct ivshmem_message_info info;
	char data[LARGE];
	ssize_t length;

	length = ivshmem_subscriber_recv(visit->subscriber, data, sizeof(data), &info, flags,
					 timeout);
	return length < 0 ? check_err(visit, length) : check_message(visit, data, length, &info);
}

static bool take_one(struct visit *visit)
{
	struct player *player = visit->player;
	unsigned int flags = !traffic.loses_nothing && any(player, 8) == 0 ? IVSHMEM_LATEST : 0;
	unsigned int i = any(player, HOLDS);
	int timeout = (int)any(player, 3) * 5;

	if (any(player, 2))
		return receive_one(visit, flags, timeout);
	return visit->held[i].message ? release_one(visit, i) : hold_one(visit, i, flags, timeout);
}

/* It may leave while it holds. */
static bool take_for_a_while(struct visit *visit)
{
	unsigned int i, ops;

	for (ops = any(visit->player, MOST_OPS); ops && goes_on(); ops--) {
		if (!take_one(visit))
			return false;
		rest(visit->player);
	}
	for (i = 0; i < HOLDS && any(visit->player, 2); i++)
		if (visit->held[i].message && !release_one(visit, i))
			return false;
	return true;
}

static void *be_subscriber(void *data)
{
	struct player *player = data;
	struct ivshmem *shm = open_region(traffic.where, 0);
	bool well = true;
	int err;

	while (well && goes_on()) {
		static const unsigned int histories[] = { 0, 1, 3, 100 };
		struct visit visit = { .player = player };

		err = ivshmem_subscriber_open(&visit.subscriber, shm, "t",
					      histories[any(player, 4)]);
		if (err == -EBUSY)
			continue;
		if (err) {
			problem(player, "opening a subscriber fails with %d", err);
			break;
		}
		well = take_for_a_while(&visit);
		ivshmem_subscriber_close(visit.subscriber);
	}
	ivshmem_close(shm);
	return NULL;
}

/* --- all of them --- */

static void run_traffic(const char *how, unsigned int flags, bool loses_nothing)
{
	static struct player players[PUBLISHERS + SUBSCRIBERS];
	int i;

	memset(&traffic, 0, sizeof(traffic));
	traffic.layout = traffic_layout;
	traffic.layout.flags = flags;
	traffic.loses_nothing = loses_nothing;
	make(&traffic.layout);
	strcpy(traffic.where, in_shm("region"));
	traffic.end = now_ms() + 1000ll * number_of("SOAK_SECONDS", 6) / 3;
	for (i = 0; i < PUBLISHERS + SUBSCRIBERS; i++) {
		players[i] = (struct player) { .seed = (unsigned int)(i + now_ms()) };
		assert_int_equal(pthread_create(&players[i].thread, NULL,
						i < PUBLISHERS ? be_publisher : be_subscriber,
						&players[i]), 0);
	}
	for (i = 0; i < PUBLISHERS + SUBSCRIBERS; i++)
		pthread_join(players[i].thread, NULL);
	print_message("# %s: %lld published, %lld received, %lld of them held, %lld skipped, %lld dropped\n",
		      how, (long long)traffic.published, (long long)traffic.received,
		      (long long)traffic.held, (long long)traffic.skipped,
		      (long long)traffic.dropped);
	for (i = 0; i < PUBLISHERS + SUBSCRIBERS; i++)
		if (players[i].problem[0])
			fail_msg("%s %d: %s", i < PUBLISHERS ? "publisher" : "subscriber", i,
				 players[i].problem);
	assert_true(traffic.published > 0 && traffic.received > 0);
}

static void who_comes_and_goes_gets_whole_messages_and_knows_what_it_missed(void **state)
{
	run_traffic("overwriting", 0, false);
}

static void who_is_too_slow_is_dropped_and_comes_back(void **state)
{
	run_traffic("lossless, impatient", IVSHMEM_TOPIC_LOSSLESS, false);
}

static void whoever_comes_and_goes_where_publishers_wait_misses_nothing(void **state)
{
	run_traffic("lossless", IVSHMEM_TOPIC_LOSSLESS, true);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TOPIC_TEST(who_comes_and_goes_gets_whole_messages_and_knows_what_it_missed),
		TOPIC_TEST(who_is_too_slow_is_dropped_and_comes_back),
		TOPIC_TEST(whoever_comes_and_goes_where_publishers_wait_misses_nothing),
	};

	return run("topic_traffic", tests, ARRAY_SIZE(tests));
}
