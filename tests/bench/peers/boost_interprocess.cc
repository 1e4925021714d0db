// SPDX-License-Identifier: MIT
/* Boost's message queues, which have a mutex in shared memory. */
#include <boost/interprocess/ipc/message_queue.hpp>
#include <string>
#include <unistd.h>

#include "peer.h"

namespace {

using boost::interprocess::message_queue;

std::string names[2];
message_queue *own, *other;

void make(size_t length)
{
	for (int i = 0; i < 2; i++) {
		names[i] = "ivshmem-bench-" + std::to_string(getpid()) + "-" + std::to_string(i);
		message_queue(boost::interprocess::create_only, names[i].c_str(), 64, length);
	}
}

void open_end(int side, size_t)
{
	own = new message_queue(boost::interprocess::open_only, names[side].c_str());
	other = new message_queue(boost::interprocess::open_only, names[!side].c_str());
}

void send_one(const void *message, size_t length)
{
	own->send(message, length, 0);
}

const void *receive(size_t length)
{
	size_t received;
	unsigned int priority;

	other->receive(peer_buffer, length, received, priority);
	return peer_buffer;
}

void close_end()
{
	for (const std::string &name : names)
		message_queue::remove(name.c_str());
}

} // namespace

extern "C" const struct peer peer = {
	"boost_interprocess", make, open_end, send_one, receive, nullptr, close_end,
};
