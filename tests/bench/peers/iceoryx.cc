// SPDX-License-Identifier: MIT
/* iceoryx: messages are written and read in place. Its daemon, iox-roudi, must run. */
#include <cstring>
#include <err.h>
#include <memory>
#include <string>
#include <unistd.h>

#include "iceoryx_posh/popo/untyped_publisher.hpp"
#include "iceoryx_posh/popo/untyped_subscriber.hpp"
#include "iceoryx_posh/runtime/posh_runtime.hpp"

#include "peer.h"

namespace {

std::unique_ptr<iox::popo::UntypedPublisher> publisher;
std::unique_ptr<iox::popo::UntypedSubscriber> subscriber;
const void *taken;

void open_end(int side, size_t length)
{
	const std::string name = "ivshmem-bench-" + std::to_string(getpid());
	const std::string topic = std::to_string(getppid()) + "-" + std::to_string(length);
	auto text = [](const std::string &from) {
		return iox::capro::IdString_t(iox::cxx::TruncateToCapacity, from.c_str());
	};

	iox::runtime::PoshRuntime::initRuntime(
		iox::RuntimeName_t(iox::cxx::TruncateToCapacity, name.c_str()));
	publisher.reset(new iox::popo::UntypedPublisher(
		{"ivshmem-bench", text(topic), side ? "1" : "0"}));
	subscriber.reset(new iox::popo::UntypedSubscriber(
		{"ivshmem-bench", text(topic), side ? "0" : "1"}));
	while (!publisher->hasSubscribers() ||
	       subscriber->getSubscriptionState() != iox::SubscribeState::SUBSCRIBED)
		usleep(1000);
}

void send_one(const void *message, size_t length)
{
	publisher->loan(static_cast<uint32_t>(length))
		.and_then([&](void *&room) {
			memcpy(room, message, length);
			publisher->publish(room);
		})
		.or_else([](auto &) { errx(1, "iceoryx: nothing to loan"); });
}

const void *receive(size_t)
{
	taken = nullptr;
	while (!taken)
		subscriber->take().and_then([](const void *message) { taken = message; });
	return taken;
}

void done()
{
	subscriber->release(taken);
}

void close_end()
{
	subscriber.reset();
	publisher.reset();
}

} // namespace

extern "C" const struct peer peer = {
	"iceoryx", nullptr, open_end, send_one, receive, done, close_end,
};
