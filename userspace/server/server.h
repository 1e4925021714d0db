/* SPDX-License-Identifier: MIT */
/*
 * The ivshmem server: hands a region and its peers' eventfds to whoever
 * connects to its socket, as docs/specs/ivshmem-spec.rst of QEMU tells.
 *
 * One thread, one event loop. Nothing in it waits for a client: what a client
 * does not take at once stands in a queue of its own.
 */

#ifndef IVSHMEM_SERVER_H
#define IVSHMEM_SERVER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/queue.h>
#include <sys/types.h>

#include <systemd/sd-event.h>

#define SERVER_IDS_MAX		65536
#define SERVER_VECTORS_MAX	256

/* Whoever connects, as the kernel knows them at that time. */
struct credentials {
	pid_t pid;	/* 0 where it lives in a PID namespace out of sight */
	uid_t uid;
	gid_t gid;
};

#define NO_GROUP	((gid_t)-1)

/**
 * struct access - Who may connect, beside what the socket's mode says.
 * @users: User IDs.
 * @groups: Group IDs; supplementary groups count too.
 *
 * Where both are empty, everybody may.
 */
struct access {
	uid_t *users;
	size_t n_users;
	gid_t *groups;
	size_t n_groups;
};

enum backing {
	BACKING_MEMFD,
	BACKING_HUGEPAGES,
	BACKING_SHM,	/* a new file in /dev/shm */
	BACKING_FILE,	/* a file, new or not */
};

/**
 * struct server_options - What the command line asked for.
 * @socket: Path of the socket; NULL to take the one that systemd passes.
 * @status_socket: Path of the status socket; NULL for @socket and ".status".
 * @size: Size of the region; 0 to take that of an existing file.
 * @vectors: Vectors of each peer, from 1 to SERVER_VECTORS_MAX.
 * @backing: What the region lies in.
 * @name: The file's name or path, where the backing has one.
 * @mode: Permissions of the sockets.
 * @group: Group of the sockets, or NO_GROUP.
 * @max_peers: How many peers there may be at a time.
 * @access: Who may connect.
 */
struct server_options {
	const char *socket;
	const char *status_socket;
	uint64_t size;
	unsigned int vectors;
	enum backing backing;
	const char *name;
	mode_t mode;
	gid_t group;
	unsigned int max_peers;
	struct access access;
};

/* region.c */
struct region {
	int fd;
	uint64_t size;
	char *created;	/* path of the file to be removed, or NULL */
	bool sealed;
};

int region_open(struct region *region, const struct server_options *options);
bool region_is_whole(const struct region *region);
void region_close(struct region *region);

/* endpoint.c */

/**
 * struct endpoint - A listening socket.
 * @path: Where it is bound.
 * @lock_path: Where its lock file is; NULL for a socket that systemd passed.
 * @fd: The socket.
 * @lock: The lock file, held; -1 for a socket that systemd passed.
 * @dev: Together with @ino, what was bound at @path.
 * @ino: See @dev.
 */
struct endpoint {
	char *path;
	char *lock_path;
	int fd;
	int lock;
	dev_t dev;
	ino_t ino;
};

/* The longest path that fits into a socket's address. */
#define ENDPOINT_PATH_MAX	107
#define STATUS_SUFFIX		".status"

int endpoint_open(struct endpoint *endpoint, const char *path, mode_t mode,
		  gid_t group);
int endpoint_adopt(struct endpoint *endpoint, int fd);
void endpoint_close(struct endpoint *endpoint);

/* ids.c */
struct ids {
	uint64_t used[SERVER_IDS_MAX / 64];
	unsigned int next;
};

int ids_take(struct ids *ids);
void ids_give_back(struct ids *ids, unsigned int id);

/* queue.c */
struct peer;

enum message_kind {
	MESSAGE_VERSION,
	MESSAGE_ID,	/* the receiver's own */
	MESSAGE_REGION,
	MESSAGE_JOINED,	/* one message on the wire for each vector of @peer */
	MESSAGE_LEFT,
};

struct message {
	enum message_kind kind;
	unsigned int id;
	struct peer *peer;	/* MESSAGE_JOINED only: always one that is there */
};

/**
 * struct queue - What a client has not taken yet.
 * @ring: Room for @room messages, a power of two; NULL while empty.
 * @head: Index of the first one.
 * @length: How many there are.
 * @vector: How many vectors of the first one were sent.
 */
struct queue {
	struct message *ring;
	size_t room;
	size_t head;
	size_t length;
	unsigned int vector;
};

struct message *queue_first(const struct queue *queue);
int queue_push(struct queue *queue, struct message message);
void queue_pop(struct queue *queue);
bool queue_forget(struct queue *queue, const struct peer *peer);
void queue_clear(struct queue *queue);

/* peer.c */
struct server;

/**
 * struct peer - A client, and what the others know it by.
 * @all: In struct server's peers, in the order in which they joined.
 * @dropped: In struct server's dropped.
 * @server: The server.
 * @id: Its ID.
 * @socket: The connection.
 * @io: The event source of @socket.
 * @credentials: Who it was when it connected.
 * @since: When that was: microseconds since 1970.
 * @queue: What it has not taken yet.
 * @missed: Messages that were queued since it last took one.
 * @is_dropped: No longer served; on @dropped until the others are told.
 * @stalled: The kernel refused a message for a reason that no event ends.
 * @vectors: Eventfds, as many as the server has vectors.
 */
struct peer {
	TAILQ_ENTRY(peer) all;
	TAILQ_ENTRY(peer) dropped;
	struct server *server;
	unsigned int id;
	int socket;
	sd_event_source *io;
	struct credentials credentials;
	uint64_t since;
	struct queue queue;
	unsigned int missed;
	bool is_dropped;
	bool stalled;
	int vectors[];
};

TAILQ_HEAD(peer_list, peer);

int peers_start(struct server *server);
int peers_join(struct server *server, int socket,
	       const struct credentials *credentials);
void peers_stop(struct server *server);

/* wire.c */
int wire_send(int socket, int64_t value, int fd);

/* access.c */
int credentials_get(int socket, struct credentials *credentials);
bool access_allowed(const struct access *access, int socket,
		    const struct credentials *credentials);

/* status.c */
struct status_reader;
TAILQ_HEAD(status_list, status_reader);

int status_on_connection(sd_event_source *source, int fd, uint32_t events,
			 void *data);
void status_stop(struct server *server);

/* log.c */
struct subject {
	const struct credentials *credentials;
	int id;		/* -1: none yet */
};

void log_open(struct server *server);
void log_event(const struct server *server, int priority, const char *event,
	       const struct subject *subject, const char *format, ...)
	__attribute__((format(printf, 5, 6)));

/* limits.c */
int limits_apply(struct server *server);
unsigned int limits_max_peers(const struct server *server);
bool limits_allow_peer(const struct server *server);

/* accept.c */
int accept_start(struct server *server, sd_event_io_handler_t on_reader);
int accept_connection(struct server *server, int listener);
void accept_stop(struct server *server);

/* notify.c */
int notify_start(struct server *server);
void notify_peers_changed(struct server *server);
void notify_stop(struct server *server);

/* server.c */

/**
 * struct server - All of it.
 * @options: From the command line.
 * @event: The loop.
 * @region: What is shared.
 * @peers_at: Where peers connect.
 * @status_at: Where 'ivshmem peers' connects.
 * @accept_peers: Event source of @peers_at.
 * @accept_readers: Event source of @status_at.
 * @resume: Timer that switches both on again; off while they are on.
 * @retry: Timer for peers that are stalled; off while there are none.
 * @notify: Timer for the service manager's line; off while that is right.
 * @watchdog: Timer for the service manager's watchdog, NULL without one.
 * @watchdog_us: Its interval in microseconds.
 * @told_ready: The service manager knows that the server is ready, or there is none.
 * @ids: Which are in use.
 * @peers: All of them, in the order in which they joined.
 * @dropped: Those of @peers that the others must be told of.
 * @n_peers: How many are in @peers.
 * @descriptors: How many the peers may have, all together.
 * @readers: Whoever reads from @status_at.
 * @n_readers: How many are in @readers.
 * @to_journal: stderr is the journal.
 */
struct server {
	const struct server_options *options;
	sd_event *event;
	struct region region;
	struct endpoint peers_at;
	struct endpoint status_at;
	sd_event_source *accept_peers;
	sd_event_source *accept_readers;
	sd_event_source *resume;
	sd_event_source *retry;
	sd_event_source *notify;
	sd_event_source *watchdog;
	uint64_t watchdog_us;
	bool told_ready;
	struct ids ids;
	struct peer_list peers;
	struct peer_list dropped;
	unsigned int n_peers;
	uint64_t descriptors;
	struct status_list readers;
	unsigned int n_readers;
	bool to_journal;
};

int server_run(const struct server_options *options);

#endif /* IVSHMEM_SERVER_H */
