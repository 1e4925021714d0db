// SPDX-License-Identifier: MIT
/*
 * The log: to the journal with fields where stderr is the journal, else as
 * lines on stderr that carry the same fields as NAME=VALUE. Whoever reads them may be
 * stuck, and is not waited for.
 */

#include <errno.h>
#include <poll.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <sys/un.h>
#include <syslog.h>
#include <unistd.h>

#define SD_JOURNAL_SUPPRESS_LOCATION
#include <systemd/sd-journal.h>

#include "server.h"

#define FIELDS_MAX	9
#define FIELD_SIZE	512

struct fields {
	char text[FIELDS_MAX][FIELD_SIZE];
	struct iovec iov[FIELDS_MAX];
	int count;
};

/*
 * Beside the one that sd_journal_sendv(3) has, and which can't be asked whether the
 * journal reads. -1 where there is no journal.
 */
static int connect_to_journal(void)
{
	const struct sockaddr_un address = {
		.sun_family = AF_UNIX, .sun_path = "/run/systemd/journal/socket",
	};
	int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);

	if (fd < 0 || !connect(fd, (const struct sockaddr *)&address, sizeof(address)))
		return fd;
	close(fd);
	return -1;
}

void log_open(struct server *server)
{
	const char *stream = getenv("JOURNAL_STREAM");
	unsigned long long device, inode;
	struct stat st;

	server->to_journal = stream && !fstat(STDERR_FILENO, &st) &&
			     sscanf(stream, "%llu:%llu", &device, &inode) == 2 &&
			     st.st_dev == device && st.st_ino == inode;
	if (server->to_journal)
		server->journal = connect_to_journal();
}

void log_close(struct server *server)
{
	if (server->journal >= 0)
		close(server->journal);
	server->journal = -1;
}

static bool has_room(int fd)
{
	struct pollfd room = { .fd = fd, .events = POLLOUT };

	return poll(&room, 1, 0) > 0 && room.revents & POLLOUT;
}

__attribute__((format(printf, 2, 3)))
static void add_field(struct fields *fields, const char *format, ...)
{
	char *text = fields->text[fields->count];
	va_list args;

	va_start(args, format);
	vsnprintf(text, FIELD_SIZE, format, args);
	va_end(args);
	fields->iov[fields->count++] = (struct iovec){ text, strlen(text) };
}

static int to_journal(const struct server *server, int priority,
		      const char *event, const struct subject *subject,
		      const char *message)
{
	struct fields fields = { .count = 0 };

	if (server->journal >= 0 && !has_room(server->journal))
		return -EAGAIN;
	add_field(&fields, "MESSAGE=%s: %s", server->peers_at.path, message);
	add_field(&fields, "PRIORITY=%d", priority);
	add_field(&fields, "SYSLOG_IDENTIFIER=ivshmem");
	add_field(&fields, "IVSHMEM_SOCKET=%s", server->peers_at.path);
	add_field(&fields, "IVSHMEM_EVENT=%s", event);
	if (subject && subject->id >= 0)
		add_field(&fields, "IVSHMEM_PEER=%d", subject->id);
	if (subject) {
		add_field(&fields, "IVSHMEM_UID=%u", subject->credentials->uid);
		add_field(&fields, "IVSHMEM_GID=%u", subject->credentials->gid);
		add_field(&fields, "IVSHMEM_PID=%d", subject->credentials->pid);
	}
	return sd_journal_sendv(fields.iov, fields.count);
}

/* A line is lost rather than waited for. */
static void to_stderr(const struct server *server, const char *event,
		      const struct subject *subject, const char *message)
{
	const struct credentials *who;
	char peer[32] = "";

	if (!has_room(STDERR_FILENO))
		return;
	if (!subject) {
		dprintf(STDERR_FILENO, "ivshmem: %s: %s; event=%s\n",
			server->peers_at.path, message, event);
		return;
	}
	if (subject->id >= 0)
		snprintf(peer, sizeof(peer), " peer=%d", subject->id);
	who = subject->credentials;
	dprintf(STDERR_FILENO, "ivshmem: %s: %s; event=%s%s uid=%u gid=%u pid=%d\n",
		server->peers_at.path, message, event, peer, who->uid, who->gid,
		who->pid);
}

/* @subject: Whom it is about, or NULL. */
void log_event(const struct server *server, int priority, const char *event,
	       const struct subject *subject, const char *format, ...)
{
	char message[FIELD_SIZE / 2];
	va_list args;

	va_start(args, format);
	vsnprintf(message, sizeof(message), format, args);
	va_end(args);
	if (!server->to_journal ||
	    to_journal(server, priority, event, subject, message) < 0)
		to_stderr(server, event, subject, message);
}
