// SPDX-License-Identifier: MIT
/*
 * What a client gets, byte for byte and descriptor for descriptor, against
 * "The ivshmem Client-Server Protocol" in QEMU's docs/specs/ivshmem-spec.rst.
 */

#include "fixture.h"

#include <sys/mman.h>

/* One message of the specification; @bytes as they are on the wire. */
struct expected {
	uint8_t bytes[8];
	bool fd;
};

#define NUMBER(n)	{ (n) & 0xff, (n) >> 8 & 0xff }
#define VERSION		{ NUMBER(0), false }
#define ID(n)		{ NUMBER(n), false }
#define REGION		{ { 255, 255, 255, 255, 255, 255, 255, 255 }, true }
#define VECTOR(n)	{ NUMBER(n), true }
#define LEFT(n)		{ NUMBER(n), false }

/* The descriptors go to @fds, which may be NULL. */
static void expect(int socket, const struct expected *messages, size_t count, int *fds)
{
	uint8_t bytes[8];
	size_t i;
	int fd;

	for (i = 0; i < count; i++) {
		assert_int_equal(take_raw(socket, bytes, &fd, PATIENCE_MS), 1);
		assert_memory_equal(bytes, messages[i].bytes, 8);
		assert_int_equal(fd >= 0, messages[i].fd);
		if (fd >= 0 && fds)
			*fds++ = fd;
		else if (fd >= 0)
			close(fd);
	}
}

#define EXPECT(socket, fds, ...) do {					\
	const struct expected wanted[] = { __VA_ARGS__ };		\
	expect(socket, wanted, ARRAY_SIZE(wanted), fds);		\
} while (0)

static void expect_silence(int socket)
{
	uint8_t bytes[8];
	int fd;

	assert_int_equal(take_raw(socket, bytes, &fd, 50), -1);
}

static void assert_rings(int from, int to)
{
	uint64_t count = 0;

	assert_int_equal(write(from, &(uint64_t){ 1 }, 8), 8);
	assert_int_equal(read(to, &count, 8), 8);
	assert_true(count == 1);
	assert_int_equal(read(to, &count, 8), -1);
	assert_int_equal(errno, EAGAIN);
}

static void sequence_is_that_of_the_specification(void **state)
{
	int a, b, c, a_has[16], b_has[16], c_has[16];

	start_server(&(struct start){ .args = { "--vectors", "2" } });
	a = connect_to(fixture.socket);
	EXPECT(a, a_has, VERSION, ID(0), REGION, VECTOR(0), VECTOR(0));

	b = connect_to(fixture.socket);
	EXPECT(b, b_has, VERSION, ID(1), REGION, VECTOR(0), VECTOR(0), VECTOR(1), VECTOR(1));
	EXPECT(a, a_has + 3, VECTOR(1), VECTOR(1));

	c = connect_to(fixture.socket);
	EXPECT(c, c_has, VERSION, ID(2), REGION, VECTOR(0), VECTOR(0), VECTOR(1), VECTOR(1),
	       VECTOR(2), VECTOR(2));
	EXPECT(a, a_has + 5, VECTOR(2), VECTOR(2));
	EXPECT(b, b_has + 5, VECTOR(2), VECTOR(2));

	close(b);
	EXPECT(a, NULL, LEFT(1));
	EXPECT(c, NULL, LEFT(1));
	close(a);
	EXPECT(c, NULL, LEFT(0));
	expect_silence(c);
}

static void descriptors_ring_the_vector_they_stand_for(void **state)
{
	int a, b, a_has[16], b_has[16], vector;

	start_server(&(struct start){ .args = { "--vectors", "2" } });
	a = connect_to(fixture.socket);
	EXPECT(a, a_has, VERSION, ID(0), REGION, VECTOR(0), VECTOR(0));
	b = connect_to(fixture.socket);
	EXPECT(b, b_has, VERSION, ID(1), REGION, VECTOR(0), VECTOR(0), VECTOR(1), VECTOR(1));
	EXPECT(a, a_has + 3, VECTOR(1), VECTOR(1));

	for (vector = 0; vector < 2; vector++) {
		assert_rings(b_has[1 + vector], a_has[1 + vector]);
		assert_rings(a_has[3 + vector], b_has[3 + vector]);
	}
}

static void a_fresh_id_is_never_the_one_just_freed(void **state)
{
	int a, b, c, d;

	start_server(&(struct start){ .size = "64K" });
	a = connect_to(fixture.socket);
	EXPECT(a, NULL, VERSION, ID(0), REGION, VECTOR(0));
	b = connect_to(fixture.socket);
	EXPECT(b, NULL, VERSION, ID(1), REGION, VECTOR(0), VECTOR(1));
	EXPECT(a, NULL, VECTOR(1));
	close(b);
	EXPECT(a, NULL, LEFT(1));
	c = connect_to(fixture.socket);
	EXPECT(c, NULL, VERSION, ID(2), REGION, VECTOR(0), VECTOR(2));
	close(a);
	EXPECT(c, NULL, LEFT(0));
	d = connect_to(fixture.socket);
	EXPECT(d, NULL, VERSION, ID(3), REGION, VECTOR(2), VECTOR(3));
}

static int region_of(int client)
{
	int region = -1;

	EXPECT(client, NULL, VERSION, ID(0));
	EXPECT(client, &region, REGION);
	return region;
}

static void region_of_8_gib_is_whole_and_shared(void **state)
{
	const off_t size = 8ll << 30;
	int one, two, has[4];
	struct stat st;
	char *a, *b;

	start_server(&(struct start){ .size = "8G" });
	one = region_of(connect_to(fixture.socket));
	EXPECT(connect_to(fixture.socket), has, VERSION, ID(1), REGION);
	two = has[0];
	assert_int_equal(fstat(one, &st), 0);
	assert_true(st.st_size == size);
	assert_true(st.st_blocks == 0);

	a = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, one, 0);
	b = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, two, 0);
	assert_true(a != MAP_FAILED && b != MAP_FAILED);
	a[size - 1] = 42;
	a[5ll << 30] = 43;
	assert_int_equal(b[size - 1], 42);
	assert_int_equal(b[5ll << 30], 43);
	munmap(a, size);
	munmap(b, size);
}

static void no_client_can_resize_or_unseal_the_region(void **state)
{
	const int seals = F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL;
	struct stat st;
	int region;

	start_server(&(struct start){ .size = "1M" });
	region = region_of(connect_to(fixture.socket));
	assert_int_equal(fcntl(region, F_GET_SEALS) & seals, seals);
	assert_int_equal(ftruncate(region, 0), -1);
	assert_int_equal(errno, EPERM);
	assert_int_equal(ftruncate(region, 2 << 20), -1);
	assert_int_equal(errno, EPERM);
	assert_int_equal(fcntl(region, F_ADD_SEALS, F_SEAL_WRITE), -1);
	assert_int_equal(fstat(region, &st), 0);
	assert_int_equal(st.st_size, 1 << 20);
	assert_int_equal(pwrite(region, "x", 1, 0), 1);
}

static void vectors_256_come_in_order(void **state)
{
	int a, b, fd, i, own[256];
	int64_t value;

	start_server(&(struct start){ .args = { "--vectors", "256" } });
	a = connect_to(fixture.socket);
	EXPECT(a, NULL, VERSION, ID(0), REGION);
	for (i = 0; i < 256; i++) {
		assert_int_equal(take(a, &value, &own[i], PATIENCE_MS), 1);
		assert_true(!value && own[i] >= 0);
	}
	b = connect_to(fixture.socket);
	EXPECT(b, NULL, VERSION, ID(1), REGION);
	for (i = 0; i < 512; i++) {
		assert_int_equal(take(b, &value, &fd, PATIENCE_MS), 1);
		assert_true(value == i / 256 && fd >= 0);
		if (!value)
			assert_rings(fd, own[i]);
		close(fd);
	}
	expect_silence(b);
}

/* O_APPEND, for clients that want to know. */
static void last_vector_of_each_peer_is_marked(void **state)
{
	int a, b, i, has[1 + 3 + 3];

	start_server(&(struct start){ .args = { "--vectors", "3" } });
	a = connect_to(fixture.socket);
	EXPECT(a, has, VERSION, ID(0), REGION, VECTOR(0), VECTOR(0), VECTOR(0));
	b = connect_to(fixture.socket);
	EXPECT(b, has, VERSION, ID(1), REGION, VECTOR(0), VECTOR(0), VECTOR(0),
	       VECTOR(1), VECTOR(1), VECTOR(1));
	for (i = 1; i <= 6; i++) {
		assert_int_equal(!!(fcntl(has[i], F_GETFL) & O_APPEND), i % 3 == 0);
		assert_true(fcntl(has[i], F_GETFL) & O_NONBLOCK);
		assert_rings(has[i], has[i]);
	}
}

/* The peers of a server that ends go on among themselves. */
static void server_that_ends_says_no_goodbyes(void **state)
{
	int a, b, fd, a_has[8], b_has[8];
	uint8_t bytes[8];

	start_server(&(struct start){ .size = "64K" });
	a = connect_to(fixture.socket);
	EXPECT(a, a_has, VERSION, ID(0), REGION, VECTOR(0));
	b = connect_to(fixture.socket);
	EXPECT(b, b_has, VERSION, ID(1), REGION, VECTOR(0), VECTOR(1));
	EXPECT(a, a_has + 2, VECTOR(1));

	assert_int_equal(stop_server(SIGTERM), 0);
	assert_int_equal(take_raw(a, bytes, &fd, PATIENCE_MS), 0);
	assert_int_equal(take_raw(b, bytes, &fd, PATIENCE_MS), 0);
	assert_rings(a_has[2], b_has[2]);
	assert_rings(b_has[1], a_has[1]);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(sequence_is_that_of_the_specification),
		TEST(descriptors_ring_the_vector_they_stand_for),
		TEST(a_fresh_id_is_never_the_one_just_freed),
		TEST(region_of_8_gib_is_whole_and_shared),
		TEST(no_client_can_resize_or_unseal_the_region),
		TEST(vectors_256_come_in_order),
		TEST(last_vector_of_each_peer_is_marked),
		TEST(server_that_ends_says_no_goodbyes),
	};

	return run("wire", tests, ARRAY_SIZE(tests));
}
