// SPDX-License-Identifier: MIT
/*
 * What the service manager is told: ready, how many peers, alive, stopping.
 */

#include <errno.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <systemd/sd-daemon.h>

#include "text/text.h"
#include "server.h"

/* Peers may come in thousands. */
#define INTERVAL_US	1000000

/* Until the next try to say that the server is ready. */
#define RETRY_US	100000

/*
 * sd_notify(3) waits where the service manager does not read, and with it all peers
 * and a signal that is to end the server. The protocol is stable. False where it was
 * not told, and would like to be.
 */
static bool notify(const char *text)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	const char *path = getenv("NOTIFY_SOCKET");
	size_t length = path ? strlen(path) : 0;
	ssize_t sent;
	int fd;

	if (!length || length >= sizeof(address.sun_path) || !strchr("/@", *path))
		return true;
	fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return false;
	memcpy(address.sun_path, path, length);
	if (*path == '@')
		address.sun_path[0] = '\0';
	sent = sendto(fd, text, strlen(text), MSG_DONTWAIT | MSG_NOSIGNAL,
		      (struct sockaddr *)&address,
		      (socklen_t)(offsetof(struct sockaddr_un, sun_path) + length));
	close(fd);
	return sent >= 0 || errno != EAGAIN;
}

static void notify_after(struct server *server, uint64_t delay_us)
{
	sd_event_source_set_time_relative(server->notify, delay_us);
	sd_event_source_set_enabled(server->notify, SD_EVENT_ONESHOT);
}

/* That it is ready must arrive. A number of peers that does not is soon another. */
static void tell_manager(struct server *server)
{
	char text[48];

	snprintf(text, sizeof(text), "%sSTATUS=%u peer%s", server->told_ready ? "" : "READY=1\n",
		 server->n_peers, server->n_peers == 1 ? "" : "s");
	if (notify(text))
		server->told_ready = true;
	if (!server->told_ready)
		notify_after(server, RETRY_US);
}

static int on_notify(sd_event_source *source, uint64_t now, void *data)
{
	tell_manager(data);
	return 0;
}

static int on_watchdog(sd_event_source *source, uint64_t now, void *data)
{
	const struct server *server = data;

	notify("WATCHDOG=1");
	sd_event_source_set_time_relative(source, server->watchdog_us);
	return sd_event_source_set_enabled(source, SD_EVENT_ONESHOT);
}

/* Twice as often as it has to be. Not sd_event_set_watchdog(3): that waits, too. */
static int start_watchdog(struct server *server)
{
	const char *period = getenv("WATCHDOG_USEC");
	int ret;

	ret = sd_watchdog_enabled(0, &server->watchdog_us);
	if (ret < 0)
		complain("serve", "WATCHDOG_USEC='%s', or WATCHDOG_PID, is not what a service manager sets: unset both, or mend WatchdogSec=",
			 period ?: "");
	if (ret <= 0)
		return ret;
	server->watchdog_us = server->watchdog_us / 2 ?: 1;
	return sd_event_add_time_relative(server->event, &server->watchdog, CLOCK_MONOTONIC,
					  0, server->watchdog_us / 4 + 1, on_watchdog, server);
}

/* After a message where it fails. */
int notify_start(struct server *server)
{
	int ret;

	ret = start_watchdog(server);
	if (ret < 0)
		return ret;
	ret = sd_event_add_time_relative(server->event, &server->notify,
					 CLOCK_MONOTONIC, 0, 0, on_notify, server);
	if (ret < 0) {
		complain("serve", "%s", strerror(-ret));
		return ret;
	}
	sd_event_source_set_enabled(server->notify, SD_EVENT_OFF);
	tell_manager(server);
	return 0;
}

void notify_peers_changed(struct server *server)
{
	int state = SD_EVENT_OFF;

	sd_event_source_get_enabled(server->notify, &state);
	if (state == SD_EVENT_OFF)
		notify_after(server, INTERVAL_US);
}

void notify_stop(struct server *server)
{
	notify("STOPPING=1");
	server->notify = sd_event_source_disable_unref(server->notify);
	server->watchdog = sd_event_source_disable_unref(server->watchdog);
}
