// SPDX-License-Identifier: MIT
/*
 * What the service manager is told: ready, how many peers, alive, stopping.
 */

#include <systemd/sd-daemon.h>

#include "server.h"

/* Peers may come in thousands. */
#define INTERVAL_US	1000000

static int on_notify(sd_event_source *source, uint64_t now, void *data)
{
	const struct server *server = data;

	sd_notifyf(0, "STATUS=%u peer%s", server->n_peers,
		   server->n_peers == 1 ? "" : "s");
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
	sd_notify(0, "STOPPING=1");
	server->notify = sd_event_source_disable_unref(server->notify);
}
