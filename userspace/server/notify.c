// SPDX-License-Identifier: MIT
/*
 * What the service manager is told: ready, how many peers, alive, stopping.
 */

#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <systemd/sd-daemon.h>
#include <unistd.h>

#include "server.h"

/* Peers may come in thousands. */
#define INTERVAL_US	1000000

/*
 * sd_notify(3) waits where the service manager does not read, and with it all peers
 * would. After the start only who listens is told; the protocol is stable.
 */
static void notify_without_waiting(const char *text)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	const char *path = getenv("NOTIFY_SOCKET");
	size_t length = path ? strlen(path) : 0;
	int fd;

	if (!length || length >= sizeof(address.sun_path) || !strchr("/@", *path))
		return;
	fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return;
	memcpy(address.sun_path, path, length);
	if (*path == '@')
		address.sun_path[0] = '\0';
	sendto(fd, text, strlen(text), MSG_DONTWAIT | MSG_NOSIGNAL, (struct sockaddr *)&address,
	       (socklen_t)(offsetof(struct sockaddr_un, sun_path) + length));
	close(fd);
}

static int on_notify(sd_event_source *source, uint64_t now, void *data)
{
	const struct server *server = data;
	char text[32];

	snprintf(text, sizeof(text), "STATUS=%u peer%s", server->n_peers,
		 server->n_peers == 1 ? "" : "s");
	notify_without_waiting(text);
	return 0;
}

int notify_start(struct server *server)
{
	int ret;

	ret = sd_event_add_time_relative(server->event, &server->notify,
					 CLOCK_MONOTONIC, 0, 0, on_notify, server);
	if (ret < 0)
		return ret;
	sd_event_source_set_enabled(server->notify, SD_EVENT_OFF);
	ret = sd_event_set_watchdog(server->event, true);
	if (ret < 0)
		return ret;
	sd_notify(0, "READY=1\nSTATUS=0 peers");
	return 0;
}

void notify_peers_changed(struct server *server)
{
	int state = SD_EVENT_OFF;

	sd_event_source_get_enabled(server->notify, &state);
	if (state != SD_EVENT_OFF)
		return;
	sd_event_source_set_time_relative(server->notify, INTERVAL_US);
	sd_event_source_set_enabled(server->notify, SD_EVENT_ONESHOT);
}

void notify_stop(struct server *server)
{
	notify_without_waiting("STOPPING=1");
	server->notify = sd_event_source_disable_unref(server->notify);
}
