// SPDX-License-Identifier: MIT
/* Boost's lock-free queue of one producer and one consumer, messages in the queue itself. */
#include <boost/lockfree/spsc_queue.hpp>
#include <new>

#include "peer.h"

namespace {

template<size_t N> struct text {
	char bytes[N];
};

template<size_t N> using queue =
	boost::lockfree::spsc_queue<text<N>, boost::lockfree::capacity<64>>;

void *queues[2], *own, *other;
void (*send_to)(void *to, const void *message);
void (*receive_from)(void *from);

template<size_t N> void send_text(void *to, const void *message)
{
	while (!static_cast<queue<N> *>(to)->push(*static_cast<const text<N> *>(message)))
		;
}

template<size_t N> void receive_text(void *from)
{
	while (!static_cast<queue<N> *>(from)->pop(*reinterpret_cast<text<N> *>(peer_buffer)))
		;
}

template<size_t N> void make_queues()
{
	for (void *&each : queues)
		each = new (peer_memory(sizeof(queue<N>))) queue<N>;
	send_to = send_text<N>;
	receive_from = receive_text<N>;
}

void make(size_t length)
{
	if (length == 8)
		make_queues<8>();
	else if (length == 64)
		make_queues<64>();
	else
		make_queues<8192>();
}

void open_end(int side, size_t)
{
	own = queues[side];
	other = queues[!side];
}

void send_one(const void *message, size_t)
{
	send_to(own, message);
}

const void *receive(size_t)
{
	receive_from(other);
	return peer_buffer;
}

} // namespace

extern "C" const struct peer peer = {
	"boost_lockfree", make, open_end, send_one, receive, nullptr, nullptr,
};
