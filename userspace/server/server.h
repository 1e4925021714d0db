/* SPDX-License-Identifier: MIT */
/*
 * The ivshmem server: hands a region and its peers' eventfds to whoever
 * connects to its socket, as docs/specs/ivshmem-spec.rst of QEMU tells.
 *
 * One thread, one event loop. Nothing in it waits for a client. What a client is
 * still to be told is not queued for it, but follows from who is there: news.c.
 */

#ifndef IVSHMEM_SERVER_H
#define IVSHMEM_SERVER_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/epoll.h>
#include <sys/queue.h>
#include <sys/socket.h>
#include <sys/types.h>

#include <systemd/sd-event.h>

#include "memory/memory.h"

#define SERVER_IDS_MAX		65536
#define SERVER_VECTORS_MAX	256

struct server;
struct peer;

/* Whoever connects, as the kernel knows them at that time. */
struct credentials {
	pid_t pid;	/* 0 where it lives in a PID namespace out of sight */
	uid_t uid;
	gid_t gid;
	bool is_program;	/* of libivshmem; all others may be QEMU */
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
 * @memory: Where the region's memory lies.
 * @mode: Permissions of the sockets.
 * @group: Group of the sockets, or NO_GROUP.
 * @max_peers: How many peers there may be at a time; 0: as many as there are IDs.
 * @max_peers_of_user: How many of them may be one user's; 0: see limits.c.
 * @access: Who may connect.
 * @argv: The whole command line, for the process that takes over at SIGUSR2.
 */
struct server_options {
	const char *socket;
	const char *status_socket;
	uint64_t size;
	unsigned int vectors;
	enum backing backing;
	const char *name;
	struct memory_options memory;
	mode_t mode;
	gid_t group;
	unsigned int max_peers;
	unsigned int max_peers_of_user;
	struct access access;
	char **argv;
};

/* region.c */
struct region {
	int fd;
	uint64_t size;
	char *created;	/* path of the file to be removed, or NULL */
	bool sealed;
};

int region_open(struct region *region, const struct server_options *options);
int region_resume(struct region *region, const struct server_options *options, int fd,
		  bool created);
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
int endpoint_resume(struct endpoint *endpoint, const char *path, int fd, int lock);
void endpoint_close(struct endpoint *endpoint);

/* ids.c */
#define SERVER_MASTER_ID	0

struct ids {
	uint64_t used[SERVER_IDS_MAX / 64];
	unsigned int next;
};

int ids_take(struct ids *ids);
int ids_take_master(struct ids *ids);
void ids_give_back(struct ids *ids, unsigned int id);

/* leaves.c */
#define LEAVES_SIZE	(SERVER_IDS_MAX / 8)	/* bytes */

/**
 * struct kept_leaves - What the book says of a set of IDs, beside its bits.
 * @single: The one that was added while the set was empty, plus 1; 0: none.
 * @has_bits: There may be others.
 */
struct kept_leaves {
	uint32_t single;
	uint32_t has_bits;
};

/**
 * struct leaves - A set of IDs, which lies in the book.
 * @count: How many are in it.
 * @kept: In the book.
 * @bits: In the book, too: one for each of those that are not @kept's single one.
 */
struct leaves {
	unsigned int count;
	struct kept_leaves *kept;
	uint64_t *bits;
};

void leaves_open(struct leaves *leaves, struct kept_leaves *kept, uint64_t *bits);
void leaves_add(struct leaves *leaves, unsigned int id);
int leaves_first(const struct leaves *leaves);
void leaves_remove(struct leaves *leaves, unsigned int id);
void leaves_clear(struct leaves *leaves);

/* book.c */
enum record_state {
	RECORD_FREE,
	RECORD_WAITING,		/* for its turn to become a peer */
	RECORD_PEER,
	RECORD_LEAVING,		/* a peer: some of the others may have a note already */
	RECORD_GONE,		/* the service manager has still to forget it */
};

/* How much of a connection the service manager keeps. */
enum stored {
	STORED_NOTHING,
	STORED_SOCKET,
	STORED_ALL,
};

/**
 * struct record - What the book says of a connection.
 * @state: An enum record_state. All else that this state asks for is written before it.
 * @stored: An enum stored.
 * @credentials: Who it was when it connected.
 * @id: Its ID, once it is a peer.
 * @since: When it became one: microseconds since 1970.
 * @number: Of its join.
 * @knows: The number of the last join that it was told of.
 * @introduced: How much of its introduction it was sent, up to NEWS_INTRODUCTIONS.
 * @vectors_told: How many vectors of that last one it was told.
 * @leaves: Who left of those it was told of, and it is to be told.
 * @vectors: What the kernel calls its eventfds.
 */
struct record {
	uint32_t state;
	uint32_t stored;
	struct credentials credentials;
	uint32_t id;
	uint64_t since;
	uint64_t number;
	uint64_t knows;
	uint32_t introduced;
	uint32_t vectors_told;
	struct kept_leaves leaves;
	uint32_t vectors[];
};

/**
 * struct outbox - The message that is being sent.
 * @to: The client's slot, plus 1; 0: there is none.
 * @kind: An enum news.
 * @value: Of the message.
 * @step: Which part of the introduction, or which vector, it is.
 * @number: NEWS_VECTOR: of the join.
 * @wire: Its msg_len is set by the kernel, in the same call that sends the message. So
 *	it is known whether that was sent, wherever this process was killed.
 */
struct outbox {
	uint32_t to;
	uint32_t kind;
	int64_t value;
	uint32_t step;
	uint64_t number;
	struct mmsghdr wire;
};

/**
 * struct book_header - What the book says of the server.
 * @magic: BOOK_MAGIC, and the format's number.
 * @slots: How many records there are.
 * @top: None of them was ever used from here on.
 * @vectors: Of each peer.
 * @has_ended: The server ended by itself: whoever finds this starts anew.
 * @created: The region's file is the server's own, and goes with it.
 * @next_id: Which ID is given next, if it is free.
 * @joins: How many there have been.
 * @outbox: See there.
 */
struct book_header {
	uint64_t magic;
	uint32_t slots;
	uint32_t top;
	uint32_t vectors;
	uint32_t has_ended;
	uint32_t created;
	uint32_t next_id;
	uint64_t joins;
	struct outbox outbox;
};

/**
 * struct book - What a server writes down that may be killed at any time.
 * @fd: A memfd, -1 where it is not open.
 * @header: Its beginning, mapped.
 * @size: How much is mapped.
 * @used: Slots that have a record. The first free one is taken.
 */
struct book {
	int fd;
	struct book_header *header;
	size_t size;
	struct ids used;
};

struct message;

int book_create(struct book *book, unsigned int slots, unsigned int vectors);
int book_open(struct book *book, int fd);
void book_close(struct book *book);
struct record *book_record(const struct book *book, unsigned int slot);
uint64_t *book_leaves(const struct book *book, unsigned int slot);
int book_take(struct book *book, const struct credentials *credentials);
void book_give_back(struct book *book, unsigned int slot);
void book_send(struct book *book, const struct peer *client, const struct message *message);
void book_sent(struct book *book);

/* What is written before is in the book before what is written after. */
static inline void book_order(void)
{
	atomic_signal_fence(memory_order_seq_cst);
}

/* user.c */
struct connection;
TAILQ_HEAD(connection_list, connection);
TAILQ_HEAD(peer_list, peer);

/**
 * struct user - Whoever has connections.
 * @same_bucket: In struct server's users.
 * @turn: In struct server's turns, while anybody is in @waiting.
 * @tell: In struct server's tells, while anybody is in @to_tell.
 * @uid: The user's ID.
 * @connections: How many are open: peers, and those in @waiting.
 * @waiting: Connections that are to become peers.
 * @to_tell: Peers with WAIT_TURN.
 */
struct user {
	LIST_ENTRY(user) same_bucket;
	TAILQ_ENTRY(user) turn;
	TAILQ_ENTRY(user) tell;
	uid_t uid;
	unsigned int connections;
	struct connection_list waiting;
	struct peer_list to_tell;
};

#define USER_BUCKETS	1024

LIST_HEAD(user_list, user);
TAILQ_HEAD(turn_list, user);

unsigned int users_connections(struct server *server, uid_t uid);
struct user *users_count_in(struct server *server, uid_t uid);
void users_count_out(struct server *server, struct user *user);

/* waits.c */

/* What a client waits for. */
enum wait {
	WAIT_NEWS,	/* it knows all */
	WAIT_TURN,	/* to be told */
	WAIT_ROOM,	/* in its socket */
	WAIT_TIME,	/* the kernel refused a message for a reason that no event ends */
	WAIT_END,	/* it must go, or has gone */
};

#define WAITS		(WAIT_END + 1)

void waits_init(struct server *server);
void waits_join(struct peer *client);
void waits_leave(struct peer *client);
void waits_for(struct peer *client, enum wait wait);
void waits_to_end(struct peer *client, const char *why);
void waits_over(struct peer *client);
void waits_over_for_all(struct server *server);

/* news.c */

/**
 * struct place - A point in the order in which peers joined.
 * @occupied: In struct server's places, while anybody is in @clients.
 * @clients: Who knows all peers up to here, and none behind.
 * @number: Of the join; 0 is the place before the first one.
 * @rank: For news_count(): how many of those who are there stand up to here.
 */
struct place {
	TAILQ_ENTRY(place) occupied;
	struct peer_list clients;
	uint64_t number;
	unsigned int rank;
};

TAILQ_HEAD(place_list, place);

enum news {
	NEWS_INTRODUCTION,	/* version, the client's own ID, region */
	NEWS_VECTOR,		/* one vector of a peer, which joined with the first one */
	NEWS_LEAVE,
};

#define NEWS_INTRODUCTIONS	3

/* What goes over the wire, and what it is about. */
struct message {
	enum news kind;
	int64_t value;
	int fd;			/* -1: none */
	struct peer *peer;	/* this and @vector: NEWS_VECTOR only, else NULL */
	unsigned int vector;
};

void news_init(struct server *server);
void news_joined(struct peer *peer);
void news_resumed(struct server *server, struct peer *const *peers, size_t count);
void news_left(struct peer *peer);
bool news_next(const struct peer *client, struct message *message);
void news_told(struct peer *client, const struct message *message);
void news_count(struct server *server);

/* tell.c */

/*
 * Edges, not levels: else the kernel would tell of thousands of clients that have
 * room again for each one that is served.
 */
#define PEER_EVENTS	(EPOLLIN | (uint32_t)EPOLLET)

int tell_start(struct server *server);
void tell_now(struct peer *client);
void tell_room(struct peer *client);
bool tell_pending(const struct server *server);
void tell_turn(struct server *server);
void tell_stop(struct server *server);

/* peer.c */

/**
 * struct peer - A client, and what the others know it by.
 * @all: In struct server's peers, in the order in which they joined.
 * @beside: In the clients of @knows.
 * @turn: In the list of those who wait for the same as it.
 * @place: For those who know it.
 * @server: The server.
 * @user: Whose it is.
 * @slot: Of its record.
 * @record: What the book says of it.
 * @socket: The connection, -1 where it was gone when the server came back.
 * @io: The event source of @socket.
 * @knows: The last one it was told of; all who are there and joined before, too.
 * @leaves: Who left of those it was told of, and it is to be told.
 * @untold: Set by news_count(): how much it is still to be told.
 * @wait: What it waits for.
 * @end: Why it must go, NULL where it went by itself: with WAIT_END only.
 * @vectors: Eventfds, as many as the server has vectors.
 */
struct peer {
	TAILQ_ENTRY(peer) all;
	TAILQ_ENTRY(peer) beside;
	TAILQ_ENTRY(peer) turn;
	struct place place;
	struct server *server;
	struct user *user;
	unsigned int slot;
	struct record *record;
	int socket;
	sd_event_source *io;
	struct place *knows;
	struct leaves leaves;
	unsigned int untold;
	enum wait wait;
	const char *end;
	int vectors[];
};

int peers_join(struct server *server, unsigned int slot, int socket, struct user *user);
struct peer *peers_new(struct server *server, unsigned int slot, int socket, struct user *user);
int peers_watch(struct peer *peer);
void peers_turn(struct server *server);
void peers_stop(struct server *server);

/* wire.c */
int wire_send(struct mmsghdr *wire, int socket, int64_t value, int fd);

/* access.c */
int credentials_get(int socket, struct credentials *credentials);
bool access_allowed(const struct access *access, int socket,
		    const struct credentials *credentials);

/* status.c */
struct status_reader;
TAILQ_HEAD(status_list, status_reader);

int status_on_connection(sd_event_source *source, int fd, uint32_t events,
			 void *data);
int status_start(struct server *server);
void status_stop(struct server *server);

/* log.c */
struct subject {
	const struct credentials *credentials;
	int id;		/* -1: none yet */
};

void log_open(struct server *server);
void log_close(struct server *server);
void log_event(const struct server *server, int priority, const char *event,
	       const struct subject *subject, const char *format, ...)
	__attribute__((format(printf, 5, 6)));

/* manager.c */
bool manager_tell(const char *text, const int *fds, size_t count, int patience_ms);

/* kept.c */

/* What begins the names of descriptors that are kept. */
#define KEPT_PREFIX	"+"

/* Of those, the names of what there is once; others are slots, in hexadecimal. */
enum kept_once {
	KEPT_BOOK,
	KEPT_REGION,
	KEPT_PEERS,
	KEPT_PEERS_LOCK,
	KEPT_STATUS,
	KEPT_STATUS_LOCK,
};

#define KEPT_ONCE	(KEPT_STATUS_LOCK + 1)

#define KEPT_NAME_SIZE	16

/**
 * struct kept_fd - A descriptor that a process left for the next one.
 * @name: Its name, without the prefix; NULL once it was taken.
 * @fd: The descriptor.
 */
struct kept_fd {
	char *name;
	int fd;
};

/**
 * struct kept - All of them.
 * @fds: Those.
 * @count: How many @fds there are.
 */
struct kept {
	struct kept_fd *fds;
	size_t count;
};

/* What is done for a descriptor that is kept. */
typedef int kept_action(void *data, int fd, const char *prefix, const char *name);

extern const char *const kept_names[KEPT_ONCE];

void kept_slot_name(char name[KEPT_NAME_SIZE], unsigned int slot);

int kept_add(struct kept *kept, const char *name, int fd);
int kept_take(struct kept *kept, enum kept_once what);
int kept_own_fd(const struct server *server, enum kept_once what);
void kept_close(struct kept *kept);
void kept_free(struct kept *kept);

/* store.c */

/**
 * struct store - What the service manager keeps, for the next process.
 * @max: How many descriptors; 0: none.
 * @has_base: It has all that is no connection's.
 * @is_late: It did not read, and has not got all yet.
 * @old: What it is still to forget of a server that has ended: names only.
 * @retry: Timer for what it could not be given; off while there is nothing.
 */
struct store {
	uint64_t max;
	bool has_base;
	bool is_late;
	struct kept old;
	sd_event_source *retry;
};

int store_open(struct server *server);
void store_base(struct server *server);
uint64_t store_max_peers(const struct server *server);
void store_socket(struct server *server, unsigned int slot, int socket);
void store_vectors(struct peer *peer);
void store_forget(struct server *server, unsigned int slot);
void store_forget_all(struct server *server);
void store_close(struct server *server);
int store_number_of(int eventfd, uint32_t *number);

/* resume.c */
void resume_book(struct server *server);
int resume_peers(struct server *server);

/* handover.c */
int handover_open(struct server *server);
bool handover_is_on(void);
int handover_take(struct server *server,
		  int (*take)(struct server *server, int fd, const char *name));
int handover_on_signal(sd_event_source *source, const struct signalfd_siginfo *info,
		       void *data);

/* limits.c */
int limits_apply(struct server *server);
unsigned int limits_max_peers(const struct server *server);
bool limits_object(struct server *server, uid_t uid, char *why, size_t length);

/* accept.c */
int accept_start(struct server *server, sd_event_io_handler_t on_reader);
int accept_connection(struct server *server, int listener);
int accept_wait(struct server *server, int socket, unsigned int slot);
bool accept_pending(const struct server *server);
void accept_turn(struct server *server);
int accept_for_all(struct server *server, kept_action *action, void *data);
void accept_stop(struct server *server);

/* notify.c */
int notify_start(struct server *server);
void notify_peers_changed(struct server *server);
void notify_stop(struct server *server);

/* server.c */

/**
 * struct server - All of it.
 * @options: From the command line.
 * @vectors: Of each peer: as in @options, or as the process before this one had it.
 * @program: What SIGUSR2 lets take over: this program, or what has replaced its file.
 * @event: The loop.
 * @kept: What a process before this one left.
 * @book: What a process after this one is to know.
 * @store: What it is to have.
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
 * @n_peers: How many are in @peers.
 * @n_qemus: How many of them may be QEMU.
 * @start: The place before the first peer.
 * @places: Those that clients stand at, in their order, and @start.
 * @waits: The peers, by what they wait for as clients; but WAIT_TURN is in @tells.
 * @users: Who has connections, by user ID.
 * @turns: Those of @users whose connections wait to become peers.
 * @tells: Those of @users whose peers wait to be told.
 * @n_waiting: How many connections that are.
 * @descriptors: How many the peers may have, all together.
 * @max_peers_of_user: How many peers one user may have.
 * @readers: Whoever reads from @status_at.
 * @n_readers: How many are in @readers.
 * @snapshot: Timer for what those of them get who have nothing yet; off without any.
 * @next_snapshot_us: When the next one is in order, by CLOCK_MONOTONIC.
 * @steps: What was done for clients so far, in messages, notes and looks at a client:
 *	a measure of work that does not depend on the machine.
 * @to_journal: stderr is the journal.
 * @journal: Connected to the journal, to see whether it reads; -1: not.
 */
struct server {
	const struct server_options *options;
	unsigned int vectors;
	char *program;
	sd_event *event;
	struct kept kept;
	struct book book;
	struct store store;
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
	unsigned int n_peers;
	unsigned int n_qemus;
	struct place start;
	struct place_list places;
	struct peer_list waits[WAITS];
	struct user_list users[USER_BUCKETS];
	struct turn_list turns;
	struct turn_list tells;
	unsigned int n_waiting;
	uint64_t descriptors;
	unsigned int max_peers_of_user;
	struct status_list readers;
	unsigned int n_readers;
	sd_event_source *snapshot;
	uint64_t next_snapshot_us;
	uint64_t steps;
	bool to_journal;
	int journal;
};

int server_run(const struct server_options *options);

#endif /* IVSHMEM_SERVER_H */
