// SPDX-License-Identifier: MIT
/*
 * Preloaded into the command: SIGTERM comes at the worst moment, when a call of the
 * library that may wait has begun, and does not sleep yet. Once, at the call that
 * EARLY_SIGNAL names. Nothing comes later: alarm(2) does nothing.
 */
#include <dlfcn.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <ivshmem.h>

static void maybe_signal(const char *name, int timeout_ms)
{
	static int done;

	if (timeout_ms && !done && !strcmp(getenv("EARLY_SIGNAL"), name)) {
		done = 1;
		raise(SIGTERM);
	}
}

#define REAL(name)	((__typeof__(name) *)dlsym(RTLD_NEXT, #name))

unsigned int alarm(unsigned int seconds)
{
	(void)seconds;
	return 0;
}

int ivshmem_channel_create(struct ivshmem_channel **channel, struct ivshmem *shm,
			   const char *name, unsigned int flags, int timeout_ms)
{
	maybe_signal("create", timeout_ms);
	return REAL(ivshmem_channel_create)(channel, shm, name, flags, timeout_ms);
}

int ivshmem_channel_connect(struct ivshmem_channel **channel, struct ivshmem *shm,
			    const char *name, unsigned int flags, int timeout_ms)
{
	maybe_signal("connect", timeout_ms);
	return REAL(ivshmem_channel_connect)(channel, shm, name, flags, timeout_ms);
}

int ivshmem_channel_reconnect(struct ivshmem_channel *channel, int timeout_ms)
{
	maybe_signal("reconnect", timeout_ms);
	return REAL(ivshmem_channel_reconnect)(channel, timeout_ms);
}

ssize_t ivshmem_channel_peek(struct ivshmem_channel *channel, const void **message,
			     int timeout_ms)
{
	maybe_signal("peek", timeout_ms);
	return REAL(ivshmem_channel_peek)(channel, message, timeout_ms);
}

ssize_t ivshmem_channel_recv(struct ivshmem_channel *channel, void *buffer, size_t length,
			     int timeout_ms)
{
	maybe_signal("recv", timeout_ms);
	return REAL(ivshmem_channel_recv)(channel, buffer, length, timeout_ms);
}

int ivshmem_channel_send(struct ivshmem_channel *channel, const void *buffer, size_t length,
			 int timeout_ms)
{
	maybe_signal("send", timeout_ms);
	return REAL(ivshmem_channel_send)(channel, buffer, length, timeout_ms);
}

int ivshmem_channel_reserve(struct ivshmem_channel *channel, void **buffer, size_t length,
			    int timeout_ms)
{
	maybe_signal("reserve", timeout_ms);
	return REAL(ivshmem_channel_reserve)(channel, buffer, length, timeout_ms);
}
