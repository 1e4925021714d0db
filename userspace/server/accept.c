// SPDX-License-Identifier: MIT
/*
 * Connections, and which of them become peers. One that does not is closed at
 * once, which a client sees as the end of the stream.
 */

#include <errno.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <syslog.h>
#include <unistd.h>

#include "server.h"

#define PAUSE_US	100000

static void enable(struct server *server, int state)
{
	sd_event_source_set_enabled(server->accept_peers, state);
	sd_event_source_set_enabled(server->accept_readers, state);
}

/* The connection stays in the backlog, and would wake the loop for ever. */
static void pause_accepting(struct server *server, int error)
{
	log_event(server, LOG_WARNING, "paused", NULL,
		  "a connection waits, the system has no room for it: %s",
		  strerror(error));
	enable(server, SD_EVENT_OFF);
	sd_event_source_set_time_relative(server->resume, PAUSE_US);
	sd_event_source_set_enabled(server->resume, SD_EVENT_ONESHOT);
}

static int on_resume(sd_event_source *source, uint64_t now, void *data)
{
	enable(data, SD_EVENT_ON);
	return 0;
}

/* A socket, or a negative errno where there is nothing to be done now. */
int accept_connection(struct server *server, int listener)
{
	int socket = accept4(listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);

	if (socket >= 0)
		return socket;
	switch (errno) {
	case EMFILE:
	case ENFILE:
	case ENOBUFS:
	case ENOMEM:
		pause_accepting(server, errno);
	}
	return -errno;
}

/* Why it can't become a peer, or NULL. */
static const char *objection(const struct server *server, int socket,
			     const struct credentials *credentials)
{
	const struct server_options *options = server->options;

	if (!access_allowed(&options->access, socket, credentials))
		return "neither its user nor its groups are among those allowed";
	if (server->n_peers >= options->max_peers)
		return "there are as many peers as may be (--max-peers)";
	if (!limits_allow_peer(server))
		return "there are no descriptors left for it (ulimit -Hn, LimitNOFILE=)";
	if (!region_is_whole(&server->region))
		return "the region's file was truncated";
	return NULL;
}

static int on_connection(sd_event_source *source, int fd, uint32_t events, void *data)
{
	struct server *server = data;
	struct credentials credentials;
	const struct subject subject = { &credentials, -1 };
	const char *why;
	int ret, socket;

	socket = accept_connection(server, fd);
	if (socket < 0)
		return 0;
	if (credentials_get(socket, &credentials) < 0)
		goto err_close;
	why = objection(server, socket, &credentials);
	if (!why) {
		ret = peers_join(server, socket, &credentials);
		if (!ret)
			return 0;
		why = strerror(-ret);
	}
	log_event(server, LOG_WARNING, "refused", &subject, "refused: %s", why);
err_close:
	close(socket);
	return 0;
}

/* @on_reader: what to do when somebody connects to the status socket. */
int accept_start(struct server *server, sd_event_io_handler_t on_reader)
{
	int ret;

	ret = sd_event_add_time_relative(server->event, &server->resume,
					 CLOCK_MONOTONIC, 0, 0, on_resume, server);
	if (ret < 0)
		return ret;
	sd_event_source_set_enabled(server->resume, SD_EVENT_OFF);
	ret = sd_event_add_io(server->event, &server->accept_peers,
			      server->peers_at.fd, EPOLLIN, on_connection, server);
	if (ret < 0)
		return ret;
	return sd_event_add_io(server->event, &server->accept_readers,
			       server->status_at.fd, EPOLLIN, on_reader, server);
}

void accept_stop(struct server *server)
{
	server->accept_peers = sd_event_source_disable_unref(server->accept_peers);
	server->accept_readers = sd_event_source_disable_unref(server->accept_readers);
	server->resume = sd_event_source_disable_unref(server->resume);
}
