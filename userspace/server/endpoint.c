// SPDX-License-Identifier: MIT
/*
 * Listening sockets that replace what a dead server left, and never a live one.
 *
 * Whoever holds the lock on PATH.lock owns PATH. The lock goes with its process,
 * however that ends; the file is removed only by its holder, so that whoever
 * gets a lock looks whether the file is still the one at the path. A file that
 * merely has such a name (Cargo.lock) is left alone.
 */

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <systemd/sd-daemon.h>

#include "text/text.h"
#include "server.h"

#define BACKLOG		1024
#define LOCK_TEXT_MAX	15	/* a process ID, and the end of its line */

static struct sockaddr_un address_of(const char *path)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };

	memcpy(address.sun_path, path, strnlen(path, ENDPOINT_PATH_MAX));
	return address;
}

static bool is_still_at(int fd, const char *path)
{
	struct stat ours, there;

	return !fstat(fd, &ours) && !lstat(path, &there) &&
	       ours.st_dev == there.st_dev && ours.st_ino == there.st_ino;
}

static int explain_lock(const char *path, int fd, int error)
{
	char holder[LOCK_TEXT_MAX + 1] = "";
	ssize_t length = -1;

	if (fd >= 0)
		length = pread(fd, holder, LOCK_TEXT_MAX, 0);
	holder[strspn(holder, "0123456789")] = '\0';
	if (error == EWOULDBLOCK)
		complain(path, "an ivshmem server%s%s serves this socket: stop it, or choose another path",
			 length > 0 ? " with process ID " : "", holder);
	else if (error == ENOENT)
		complain(path, "the folder does not exist: create it first");
	else
		complain(path, "the lock file '%s.lock' can't be had: %s", path,
			 strerror(error));
	return -error;
}

/* Holds nothing but what sign_lock() may have written, and is known by one name. */
static bool is_lock(int fd)
{
	char text[LOCK_TEXT_MAX + 1] = "";
	struct stat st;
	size_t digits;

	if (fstat(fd, &st) < 0 || !S_ISREG(st.st_mode) || st.st_nlink > 1 ||
	    st.st_uid != geteuid() || st.st_size > LOCK_TEXT_MAX ||
	    pread(fd, text, LOCK_TEXT_MAX, 0) < 0)
		return false;
	digits = strspn(text, "0123456789");
	return !text[digits] || !strcmp(text + digits, "\n");
}

static int refuse_lock(const char *path)
{
	complain(path, "the file '%s.lock' is no lock that a server of this user left: choose another path, or remove it",
		 path);
	return -EEXIST;
}

/* The descriptor of @lock, or a negative errno after a message. */
static int take_lock(const char *path, const char *lock)
{
	int fd, ret;

	for (;;) {
		fd = open(lock, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK, 0600);
		if (fd < 0 || flock(fd, LOCK_EX | LOCK_NB) < 0) {
			ret = explain_lock(path, fd, errno);
			break;
		}
		if (is_still_at(fd, lock)) {
			if (is_lock(fd))
				return fd;
			ret = refuse_lock(path);
			break;
		}
		close(fd);
	}
	if (fd >= 0)
		close(fd);
	return ret;
}

/* For the message to whoever wants the same socket. */
static void sign_lock(int lock)
{
	if (!ftruncate(lock, 0))
		dprintf(lock, "%d\n", getpid());
}

/* A server of another kind takes no lock, but answers. */
static int probe(const char *path)
{
	struct sockaddr_un address = address_of(path);
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	int error;

	if (fd < 0)
		return -errno;
	error = connect(fd, (struct sockaddr *)&address, sizeof(address)) < 0 ? errno : 0;
	close(fd);
	return -error;
}

static int remove_stale(const char *path)
{
	struct stat st;
	int ret;

	if (lstat(path, &st) < 0) {
		if (errno == ENOENT)
			return 0;
		complain(path, "%s", strerror(errno));
		return -EACCES;
	}
	if (!S_ISSOCK(st.st_mode)) {
		complain(path, "it exists and is no socket: choose another path");
		return -EEXIST;
	}
	ret = probe(path);
	if (ret != -ECONNREFUSED && ret != -ENOENT) {
		complain(path, "another program serves this socket: stop it, or choose another path");
		return -EADDRINUSE;
	}
	if (unlink(path) < 0 && errno != ENOENT) {
		complain(path, "the socket of a server that is gone can't be removed: %s",
			 strerror(errno));
		return -EACCES;
	}
	return 0;
}

/* Nobody at all gets at it before it has its group and mode. */
static int bind_socket(struct endpoint *endpoint, mode_t mode, gid_t group)
{
	struct sockaddr_un address = address_of(endpoint->path);
	mode_t before = umask(0177);
	struct stat st;
	int ret;

	ret = bind(endpoint->fd, (struct sockaddr *)&address, sizeof(address));
	umask(before);
	if (ret < 0) {
		complain(endpoint->path, "no socket can be made here: %s",
			 strerror(errno));
		return -EACCES;
	}
	if (!lstat(endpoint->path, &st)) {
		endpoint->dev = st.st_dev;
		endpoint->ino = st.st_ino;
	}
	if ((group != NO_GROUP && lchown(endpoint->path, -1, group) < 0) ||
	    fchmodat(AT_FDCWD, endpoint->path, mode, AT_SYMLINK_NOFOLLOW) < 0) {
		complain(endpoint->path, "the socket can't be given its group and mode: %s",
			 strerror(errno));
		return -EPERM;
	}
	return 0;
}

/* Whoever finds the socket can connect, though the region may still be made. */
static int listen_at(const struct endpoint *endpoint)
{
	if (!listen(endpoint->fd, BACKLOG))
		return 0;
	complain(endpoint->path, "%s", strerror(errno));
	return -EADDRINUSE;
}

/* All that its end will need, too: that must not fail for want of memory. */
static int name_endpoint(struct endpoint *endpoint, const char *path)
{
	*endpoint = (struct endpoint){ .path = strdup(path), .fd = -1, .lock = -1 };
	if (endpoint->path && asprintf(&endpoint->lock_path, "%s.lock", path) >= 0)
		return 0;
	free(endpoint->path);
	*endpoint = (struct endpoint){ .fd = -1, .lock = -1 };
	complain(path, "%s", strerror(ENOMEM));
	return -ENOMEM;
}

/* Binds and listens; after a message where it fails. */
int endpoint_open(struct endpoint *endpoint, const char *path, mode_t mode,
		  gid_t group)
{
	int ret;

	ret = name_endpoint(endpoint, path);
	if (ret < 0)
		return ret;
	ret = take_lock(path, endpoint->lock_path);
	if (ret < 0)
		goto err_close;
	endpoint->lock = ret;
	ret = remove_stale(path);
	if (ret < 0)
		goto err_close;
	sign_lock(endpoint->lock);
	endpoint->fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (endpoint->fd < 0) {
		complain(path, "%s", strerror(errno));
		ret = -EMFILE;
		goto err_close;
	}
	ret = bind_socket(endpoint, mode, group);
	if (ret < 0)
		goto err_close;
	ret = listen_at(endpoint);
	if (ret < 0)
		goto err_close;
	return 0;

err_close:
	endpoint_close(endpoint);
	return ret;
}

/* Takes a socket that systemd passed: bound, listening, and never removed. */
int endpoint_adopt(struct endpoint *endpoint, int fd)
{
	struct sockaddr_un address = { 0 };
	socklen_t length = sizeof(address);

	*endpoint = (struct endpoint){ .fd = fd, .lock = -1 };
	if (sd_is_socket(fd, AF_UNIX, SOCK_STREAM, 1) <= 0 ||
	    getsockname(fd, (struct sockaddr *)&address, &length) < 0 ||
	    !address.sun_path[0]) {
		complain("serve", "the descriptor %d that was passed is no listening stream socket with a path: set ListenStream= to one",
			 fd);
		return -ENOTSOCK;
	}
	endpoint->path = strndup(address.sun_path, sizeof(address.sun_path));
	if (!endpoint->path || fcntl(fd, F_SETFL, O_NONBLOCK) < 0) {
		complain("serve", "%s", strerror(errno));
		return -ENOMEM;
	}
	return 0;
}

/*
 * Takes a socket at @path that another process made, which was killed or has handed over,
 * and the lock that it held: -1 where that is gone.
 */
int endpoint_resume(struct endpoint *endpoint, const char *path, int fd, int lock)
{
	struct stat st;
	int ret;

	ret = name_endpoint(endpoint, path);
	if (ret < 0)
		return ret;
	endpoint->fd = fd;
	endpoint->lock = lock;
	if (lock < 0) {
		ret = take_lock(path, endpoint->lock_path);
		if (ret < 0)
			return ret;
		endpoint->lock = ret;
	}
	sign_lock(endpoint->lock);
	if (!lstat(path, &st) && S_ISSOCK(st.st_mode)) {
		endpoint->dev = st.st_dev;
		endpoint->ino = st.st_ino;
	}
	return 0;
}

/* The socket first, then its lock: whoever gets the lock finds no socket. */
void endpoint_close(struct endpoint *endpoint)
{
	struct stat st;

	if (endpoint->ino && !lstat(endpoint->path, &st) &&
	    st.st_dev == endpoint->dev && st.st_ino == endpoint->ino)
		unlink(endpoint->path);
	if (endpoint->fd >= 0)
		close(endpoint->fd);
	if (endpoint->lock >= 0) {
		unlink(endpoint->lock_path);
		close(endpoint->lock);
	}
	free(endpoint->lock_path);
	free(endpoint->path);
	*endpoint = (struct endpoint){ .fd = -1, .lock = -1 };
}
