// SPDX-License-Identifier: MIT
/*
 * What the service manager is told: ready, how many peers, alive, stopping.
 */

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <systemd/sd-daemon.h>

#include "text/text.h"
#include "server.h"

/* Peers may come in thousands. */
#define INTERVAL_US	1000000

/* Until the next try to say that the server is ready. */
#define RETRY_US	100000

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
	if (manager_tell(text, NULL, 0, 0))
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

	manager_tell("WATCHDOG=1", NULL, 0, 0);
	sd_event_source_set_time_relative(source, server->watchdog_us);
	return sd_event_source_set_enabled(source, SD_EVENT_ONESHOT);
}

/* Twice as often as it has to be. Not sd_event_set_watchdog(3): see manager.c. */
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
	manager_tell("STOPPING=1", NULL, 0, 0);
	server->notify = sd_event_source_disable_unref(server->notify);
	server->watchdog = sd_event_source_disable_unref(server->watchdog);
}
