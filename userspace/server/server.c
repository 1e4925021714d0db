// SPDX-License-Identifier: MIT
/*
 * The server from start to end.
 */

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <syslog.h>
#include <unistd.h>

#include <systemd/sd-daemon.h>

#include "text/text.h"
#include "server.h"

/* Events, and steps that they take, before it is the turn of those who wait. */
#define EVENTS		64
#define STEPS		8

#define ARRAY_SIZE(array)	(sizeof(array) / sizeof((array)[0]))

/* Blocked from the start on: one that comes early still finds all tidied up. */
static int watch_signals(struct server *server)
{
	static const int signals[] = { SIGTERM, SIGINT, SIGHUP, SIGUSR2 };
	sd_event_signal_handler_t handler;
	sd_event_source *source;
	sigset_t set;
	size_t i;
	int ret;

	signal(SIGPIPE, SIG_IGN);
	signal(SIGXFSZ, SIG_IGN);	/* a region beyond RLIMIT_FSIZE is an error */
	sigemptyset(&set);
	for (i = 0; i < ARRAY_SIZE(signals); i++)
		sigaddset(&set, signals[i]);
	if (sigprocmask(SIG_BLOCK, &set, NULL) < 0)
		return -errno;
	for (i = 0; i < ARRAY_SIZE(signals); i++) {
		handler = signals[i] == SIGUSR2 ? handover_on_signal : NULL;
		ret = sd_event_add_signal(server->event, &source, signals[i], handler, server);
		if (ret < 0)
			return ret;
		/* Before all that peers do. */
		sd_event_source_set_priority(source, SD_EVENT_PRIORITY_IMPORTANT);
		sd_event_source_set_floating(source, true);
		sd_event_source_unref(source);
	}
	return 0;
}

/* One of those that systemd passed: named "status", or the other one. */
static int take_passed(struct server *server, int fd, const char *name)
{
	struct endpoint *endpoint = &server->peers_at;

	if (!strcmp(name, "status"))
		endpoint = &server->status_at;
	if (endpoint->fd >= 0) {
		complain("serve", "more sockets were passed than one, and one with FileDescriptorName=status");
		return -EINVAL;
	}
	return endpoint_adopt(endpoint, fd);
}

/* One that systemd passed, or that the process before has left. Takes over @fd. */
static int take_descriptor(struct server *server, int fd, const char *name)
{
	size_t prefix = strlen(KEPT_PREFIX);

	if (strncmp(name, KEPT_PREFIX, prefix))
		return take_passed(server, fd, name);
	return kept_add(&server->kept, name + prefix, fd);
}

static int take_all_passed(struct server *server)
{
	int count, i, ret = 0;
	char **names = NULL;

	count = sd_listen_fds_with_names(true, &names);
	for (i = 0; i < count; i++) {
		if (!ret)
			ret = take_descriptor(server, SD_LISTEN_FDS_START + i, names[i]);
		free(names[i]);
	}
	free(names);
	if (count < 0)
		complain("serve", "the descriptors that were passed (LISTEN_FDS) can't be had: %s",
			 strerror(-count));
	if (count < 0 || ret < 0)
		return count < 0 ? count : ret;
	return handover_take(server, take_descriptor);
}

/* What was kept, else a new one. */
static int open_endpoint(struct server *server, struct endpoint *endpoint, const char *path,
			 enum kept_once name)
{
	const struct server_options *options = server->options;
	int fd = kept_take(&server->kept, name);

	if (fd < 0)
		return endpoint_open(endpoint, path, options->mode, options->group);
	return endpoint_resume(endpoint, path, fd, kept_take(&server->kept, name + 1));
}

static int open_peers_endpoint(struct server *server)
{
	const struct server_options *options = server->options;

	if (server->peers_at.fd < 0 && !options->socket) {
		complain("serve", "only a status socket was passed: pass one for peers, too, or say where they connect with --socket");
		return -EINVAL;
	}
	if (server->peers_at.fd < 0)
		return open_endpoint(server, &server->peers_at, options->socket, KEPT_PEERS);
	if (!options->socket || !strcmp(options->socket, server->peers_at.path))
		return 0;
	complain(options->socket, "the socket that was passed lies at %s: say the same in --socket and in ListenStream=",
		 server->peers_at.path);
	return -EINVAL;
}

static int open_status_endpoint(struct server *server)
{
	const struct server_options *options = server->options;
	char path[ENDPOINT_PATH_MAX + sizeof(STATUS_SUFFIX)];

	if (server->status_at.fd >= 0)
		return 0;
	snprintf(path, sizeof(path), "%s" STATUS_SUFFIX, server->peers_at.path);
	if (!options->status_socket && strlen(path) > ENDPOINT_PATH_MAX) {
		complain(path, "too long for a socket: give a path with --status-socket");
		return -ENAMETOOLONG;
	}
	return open_endpoint(server, &server->status_at, options->status_socket ?: path,
			     KEPT_STATUS);
}

static int open_endpoints(struct server *server)
{
	int ret;

	ret = open_peers_endpoint(server);
	if (!ret)
		ret = open_status_endpoint(server);
	return ret;
}

static int open_loop(struct server *server)
{
	int ret;

	ret = sd_event_new(&server->event);
	if (ret >= 0)
		ret = watch_signals(server);
	if (ret < 0)
		complain("serve", "%s", strerror(-ret));
	return ret < 0 ? ret : 0;
}

static int start_sources(struct server *server)
{
	int ret;

	ret = tell_start(server);
	if (ret >= 0)
		ret = status_start(server);
	if (ret >= 0)
		ret = accept_start(server, status_on_connection);
	if (ret < 0)
		complain(server->peers_at.path, "%s", strerror(-ret));
	return ret;
}

static int open_book(struct server *server)
{
	int ret;

	if (server->book.fd >= 0)
		return resume_peers(server);
	ret = book_create(&server->book, SERVER_IDS_MAX, server->vectors);
	if (ret < 0) {
		complain(server->peers_at.path, "no memory to note what is to be kept: %s",
			 ret == -EFBIG ? "raise the file size limit (ulimit -f)" : strerror(-ret));
		return ret;
	}
	server->book.header->created = !!server->region.created;
	return 0;
}

static int start(struct server *server)
{
	int ret;

	ret = store_open(server);
	if (ret >= 0)
		ret = limits_apply(server);
	if (ret >= 0)
		ret = start_sources(server);
	if (ret >= 0)
		ret = open_book(server);
	if (ret < 0)
		return ret;
	store_base(server);
	return notify_start(server);
}

/* Most events cost less than to look for them: some at a time, as long as that is so. */
static int run_events(struct server *server, bool pending)
{
	uint64_t end = server->steps + STEPS;
	int i, ret = 1;

	for (i = 0; i < EVENTS && ret > 0 && server->steps < end; i++) {
		ret = sd_event_run(server->event, pending || i ? 0 : UINT64_MAX);
		peers_turn(server);
		if (sd_event_get_state(server->event) == SD_EVENT_FINISHED)
			break;
	}
	return ret;
}

/*
 * After some events a turn: neither clients that come without a pause, nor news for
 * thousands, keep the other waiting.
 */
static int loop(struct server *server)
{
	bool pending = true;
	int ret;

	while (sd_event_get_state(server->event) != SD_EVENT_FINISHED) {
		ret = run_events(server, pending);
		if (ret < 0) {
			complain(server->peers_at.path, "%s", strerror(-ret));
			return ret;
		}
		accept_turn(server);
		tell_turn(server);
		peers_turn(server);
		pending = accept_pending(server) || tell_pending(server);
	}
	return 0;
}

static void log_start(const struct server *server)
{
	char size[SIZE_TEXT_MAX];

	log_event(server, LOG_INFO, "started", NULL,
		  "serving a region of %s to up to %u peers with %u vector%s each, %u of one user",
		  size_text(size, server->region.size), limits_max_peers(server),
		  server->vectors, server->vectors == 1 ? "" : "s",
		  server->max_peers_of_user);
	if (server->vectors != server->options->vectors ||
	    (server->options->size && server->region.size != server->options->size))
		log_event(server, LOG_NOTICE, "unchanged", NULL,
			  "--size and --vectors are others than those of the process before: they hold once the server was stopped and started");
	if (!server->region.sealed)
		log_event(server, LOG_NOTICE, "unsealed", NULL,
			  "the region is a file, which any peer may truncate: without --shm and --file none can");
}

static int open_region(struct server *server)
{
	int fd = kept_take(&server->kept, KEPT_REGION);

	if (fd < 0)
		return region_open(&server->region, server->options);
	return region_resume(&server->region, server->options, fd,
			     server->book.header->created);
}

static int serve(struct server *server)
{
	int ret;

	/* First: what was not passed after all would be the next one that is opened. */
	ret = take_all_passed(server);
	if (!ret)
		ret = handover_open(server);
	resume_book(server);
	if (!ret)
		ret = open_loop(server);
	if (!ret)
		ret = open_endpoints(server);
	if (ret < 0)
		goto err_close_endpoints;
	ret = open_region(server);
	if (ret < 0)
		goto err_close_endpoints;
	log_open(server);
	ret = start(server);
	if (ret < 0)
		goto err_stop;

	log_start(server);
	ret = loop(server);
	server->book.header->has_ended = true;
	log_event(server, LOG_INFO, "stopped", NULL, "stopped");

err_stop:
	notify_stop(server);
	accept_stop(server);
	status_stop(server);
	peers_stop(server);
	tell_stop(server);
	store_close(server);
	region_close(&server->region);
	log_close(server);
err_close_endpoints:
	endpoint_close(&server->status_at);
	endpoint_close(&server->peers_at);
	book_close(&server->book);
	kept_free(&server->kept);
	free(server->program);
	return ret;
}

static void init(struct server *server, const struct server_options *options)
{
	server->options = options;
	server->vectors = options->vectors;
	server->book.fd = -1;
	server->region.fd = -1;
	server->journal = -1;
	server->peers_at.fd = -1;
	server->status_at.fd = -1;
	server->peers_at.lock = -1;
	server->status_at.lock = -1;
	news_init(server);
	waits_init(server);
	TAILQ_INIT(&server->turns);
	TAILQ_INIT(&server->readers);
}

/* Returns at a signal, or after a message where it fails: an exit status. */
int server_run(const struct server_options *options)
{
	struct server *server = calloc(1, sizeof(*server));
	int ret;

	if (!server) {
		complain("serve", "%s", strerror(ENOMEM));
		return EXIT_FAILURE;
	}
	init(server, options);
	umask(077);
	ret = serve(server);
	sd_event_unref(server->event);
	free(server);
	return ret < 0 ? EXIT_FAILURE : EXIT_SUCCESS;
}
