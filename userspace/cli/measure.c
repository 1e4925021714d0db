// SPDX-License-Identifier: MIT
/*
 * The two halves of each test of "ivshmem bench". The side that measures sends a
 * message that names the test, then the test's messages, then an empty one. The
 * other side sends back each message (latency), or at the end the number of those
 * that came (throughput).
 */

#include <endian.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "cli.h"

/* "ivshmem bench, version 1" */
#define MAGIC		UINT64_C(0x31686e6562766900)
/* The other side is slow, or gone. */
#define PATIENCE_MS	10000
/* Part of the time that goes by before anything counts. */
#define WARM_UP		0.1

/* On the channel, little-endian. */
struct order {
	uint64_t magic;
	uint64_t test;
	uint64_t size;
};

/* Out of sequence, of another length, or with other contents. */
static const int garbled = -EBADMSG;

static uint64_t now_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return now.tv_sec * UINT64_C(1000000000) + now.tv_nsec;
}

/*
 * Each as the library's, but that only a signal to end ends it: one that stops and
 * continues the program does not end a test. Those that do not sleep are not ended at
 * all, so who repeats them looks for itself.
 */
static int send_message(struct ivshmem_channel *channel, const void *buffer, size_t length,
			int timeout_ms)
{
	int ret;

	do {
		ret = ivshmem_channel_send(channel, buffer, length, timeout_ms);
	} while (ret == -EINTR);
	return ret;
}

static ssize_t recv_message(struct ivshmem_channel *channel, void *buffer, size_t length,
			    int timeout_ms)
{
	ssize_t n;

	do {
		n = ivshmem_channel_recv(channel, buffer, length, timeout_ms);
	} while (n == -EINTR);
	return n;
}

static int send_order(struct ivshmem_channel *channel, const struct measurement *measurement)
{
	struct order order = {
		.magic = htole64(MAGIC),
		.test = htole64(measurement->test),
		.size = htole64(measurement->size),
	};

	return send_message(channel, &order, sizeof(order), PATIENCE_MS);
}

static int round_trip(struct ivshmem_channel *channel, char *buffer, size_t size,
		      uint64_t number)
{
	size_t stamp = size < sizeof(number) ? size : sizeof(number);
	ssize_t n;

	memcpy(buffer, &number, stamp);
	n = send_message(channel, buffer, size, PATIENCE_MS);
	if (n < 0)
		return n;
	n = recv_message(channel, buffer, size, PATIENCE_MS);
	if (n < 0)
		return n;
	return (size_t)n == size && !memcmp(buffer, &number, stamp) ? 0 : garbled;
}

/* Until @seconds have passed, and once at least; counts what comes after the warm-up. */
static int run_round_trips(struct ivshmem_channel *channel, char *buffer,
			   struct measurement *measurement, struct histogram *histogram)
{
	uint64_t span = measurement->seconds * 1e9;
	uint64_t start = now_ns() + span * WARM_UP, end = start + span;
	uint64_t before = now_ns(), after = before, first = before, number = 0;
	int ret;

	while (after < end || !measurement->messages) {
		ret = stopped() ? -ECANCELED :
				  round_trip(channel, buffer, measurement->size, number++);
		if (ret < 0)
			return ret;
		after = now_ns();
		if (before >= start) {
			histogram_add(histogram, after - before);
			measurement->messages++;
		} else {
			first = after;
		}
		before = after;
	}
	measurement->seconds = (after - first) / 1e9;
	return 0;
}

static int measure_latency(struct ivshmem_channel *channel, char *buffer,
			   struct measurement *measurement)
{
	struct histogram *histogram = histogram_new();
	int ret;

	if (!histogram)
		return -ENOMEM;
	ret = run_round_trips(channel, buffer, measurement, histogram);
	if (!ret)
		ret = send_message(channel, NULL, 0, PATIENCE_MS);
	measurement->p50 = histogram_quantile(histogram, 0.5);
	measurement->p99 = histogram_quantile(histogram, 0.99);
	measurement->p999 = histogram_quantile(histogram, 0.999);
	measurement->max = histogram_max(histogram);
	histogram_free(histogram);
	return ret;
}

/* The clock stops when the other side says that all has come. */
static int measure_throughput(struct ivshmem_channel *channel, char *buffer,
			      struct measurement *measurement)
{
	/* To look at the clock takes as long as to send a short message. */
	unsigned int batch = measurement->size <= 4096 ? 64 : 1;
	uint64_t start = now_ns(), end = start + measurement->seconds * 1e9;
	uint64_t received;
	unsigned int i;
	ssize_t n;

	do {
		for (i = 0; i < batch; i++) {
			n = send_message(channel, buffer, measurement->size, PATIENCE_MS);
			if (n < 0)
				return n;
		}
		measurement->messages += batch;
		if (stopped())
			return -ECANCELED;
	} while (now_ns() < end);
	n = send_message(channel, NULL, 0, PATIENCE_MS);
	if (n < 0)
		return n;
	n = recv_message(channel, &received, sizeof(received), PATIENCE_MS);
	if (n < 0)
		return n;
	measurement->seconds = (now_ns() - start) / 1e9;
	return n == sizeof(received) && le64toh(received) == measurement->messages ? 0 : garbled;
}

/*
 * Runs one test against answer() on the other side. Returns 0; -EBADMSG (what came
 * back is not what was sent); -ENOMEM; the errors of sending and receiving.
 */
int measure(struct ivshmem_channel *channel, struct measurement *measurement)
{
	char *buffer;
	int ret;

	buffer = calloc(1, measurement->size);
	if (!buffer)
		return -ENOMEM;
	ret = send_order(channel, measurement);
	if (!ret)
		ret = measurement->test == TEST_LATENCY ?
			measure_latency(channel, buffer, measurement) :
			measure_throughput(channel, buffer, measurement);
	free(buffer);
	return ret;
}

static int answer_latency(struct ivshmem_channel *channel, char *buffer, size_t size)
{
	ssize_t n;
	int ret;

	while ((n = recv_message(channel, buffer, size, -1)) > 0) {
		ret = stopped() ? -ECANCELED : send_message(channel, buffer, n, -1);
		if (ret < 0)
			return ret;
	}
	return n;
}

static int answer_throughput(struct ivshmem_channel *channel, char *buffer, size_t size)
{
	uint64_t received = 0;
	ssize_t n;

	while ((n = recv_message(channel, buffer, size, -1)) > 0)
		if (++received % 64 == 0 && stopped())
			return -ECANCELED;
	if (n < 0)
		return n;
	received = htole64(received);
	return send_message(channel, &received, sizeof(received), -1);
}

/*
 * Waits for a test, and is its other side. Returns 0; -EBADMSG (the other side
 * does not keep to the order); -ENOMEM; the errors of sending and receiving.
 */
int answer(struct ivshmem_channel *channel)
{
	struct order order;
	uint64_t size;
	char *buffer;
	ssize_t n;
	int ret;

	n = recv_message(channel, &order, sizeof(order), -1);
	if (n < 0)
		return n == -EMSGSIZE ? garbled : n;
	size = le64toh(order.size);
	if (n != sizeof(order) || le64toh(order.magic) != MAGIC ||
	    le64toh(order.test) > TEST_THROUGHPUT ||
	    size > ivshmem_channel_max_length(channel))
		return garbled;

	buffer = malloc(size ? size : 1);
	if (!buffer)
		return -ENOMEM;
	ret = le64toh(order.test) == TEST_LATENCY ? answer_latency(channel, buffer, size) :
						    answer_throughput(channel, buffer, size);
	free(buffer);
	return ret == -EMSGSIZE ? garbled : ret;
}
