// SPDX-License-Identifier: MIT
/*
 * What an error means for what was being done. One number has several causes; which of
 * them it was follows from the call.
 */
#include <errno.h>
#include <stddef.h>

#include <ivshmem/errors.h>

#define NOT_SPECIFIC NULL

/* Of whatever reads the region's format. */
static const char *explain_format(int error)
{
	switch (error) {
	case -ENOMEDIUM:
		return "the region is not formatted: 'ivshmem format' lays it out for channels "
		       "and areas, once, on either side";
	case -EMEDIUMTYPE:
		return "the region is not formatted, and holds something else: if that may go, "
		       "'ivshmem format --force' lays it out for channels and areas";
	case -EPROTONOSUPPORT:
		return "the region was formatted by a newer version of libivshmem: update this "
		       "side";
	case -EUCLEAN:
		return "the format of the region is damaged: end the programs that use it, then "
		       "make it anew by 'ivshmem format --force'";
	default:
		return NOT_SPECIFIC;
	}
}

static const char *explain_open(int error)
{
	switch (error) {
	case -EINVAL:
		return "this is no region: its size is not a multiple of the page size, or on "
		       "hugetlbfs of the huge page size";
	case -ENOENT:
		return "there is no such file or device: 'ivshmem create' makes a file on the "
		       "host, 'ivshmem list' shows the devices of a guest";
	case -ENODEV:
		return "the module does not serve this device, or it is being removed: 'ivshmem "
		       "list' shows why; try 'modprobe ivshmem', or without the module, as root, "
		       "its resource2 (IVSHMEM_RESOURCE2, --resource2)";
	case -EACCES:
		return "no permission: in a guest join the group 'ivshmem'; on the host see the "
		       "owner and mode of the file or socket, and those of its folders";
	case -EBUSY:
		return "a driver has the device of this resource2: open the driver's "
		       "/dev/ivshmemN in its place, or unbind the driver";
	case -EPERM:
		return "not permitted: a resource2 needs root and no kernel lockdown, a file must "
		       "not be sealed or immutable";
	case -ENOTSUP:
		return "this is neither a regular file, nor a device of ivshmem, nor a resource2; "
		       "a server's socket is opened as unix:PATH";
	case -ECONNRESET:
		return "the server refused this peer, or ended: it has as many peers as it takes, "
		       "or does not take this user; its log says which";
	case -EPROTO:
		return "whoever serves this socket does not keep to the protocol: is it an "
		       "ivshmem server, of QEMU 2.5 or later?";
	case -ETIMEDOUT:
		return "the server did not introduce this peer in time: is it stopped, or very "
		       "busy?";
	case -EMFILE:
		return "this program has no descriptors left: raise its limit (ulimit -n)";
	default:
		return NOT_SPECIFIC;
	}
}

static const char *explain_rejoin(int error)
{
	switch (error) {
	case -ENOENT:
	case -ECONNREFUSED:
		return "there is no server yet: try again later";
	case -EBUSY:
		return "the new server serves another region: close the channels first, and open "
		       "them anew";
	case -EMSGSIZE:
		return "the new server serves a region of another size: close this one, and open "
		       "it anew";
	case -ENOTSUP:
		return "only a region that a server serves can be joined again";
	default:
		return explain_open(error);
	}
}

static const char *explain_create(int error)
{
	switch (error) {
	case -EINVAL:
		return "a region's size is a power of two, and at least a page (on hugetlbfs, a "
		       "huge page); QEMU takes nothing else";
	case -ENOENT:
		return "the folder of this path does not exist";
	case -EACCES:
	case -EPERM:
		return "no permission to make a file here: see the owner and mode of the folder";
	case -EEXIST:
		return "there is a file already: open it as it is, or remove it once nobody uses "
		       "it";
	case -EMSGSIZE:
		return "the file is there at another size: ask for that size, or remove it once "
		       "nobody uses it";
	case -ENOSPC:
		return "there is no room on this filesystem: free some, make the region smaller, "
		       "or remount it with a larger size=";
	case -ENOMEM:
		return "there is not enough memory: for huge pages raise vm.nr_hugepages";
	default:
		return explain_open(error);
	}
}

static const char *explain_map(int error)
{
	switch (error) {
	case -EINVAL:
		return "the region is not mapped";
	case -EBUSY:
		return "the region is mapped already; or a driver has this resource2: open the "
		       "driver's /dev/ivshmemN in its place";
	case -ENODEV:
		return "the device is gone: close the region";
	case -ENOTSUP:
		return "files of this filesystem can't be mapped: put the file into /dev/shm";
	case -ESTALE:
		return "the file was truncated, or replaced by another: end the programs that use "
		       "it, and open the region again";
	case -ECONNRESET:
		return "the connection to the server has ended: the memory and the peers known so "
		       "far still work; ivshmem_rejoin() joins the next server";
	default:
		return NOT_SPECIFIC;
	}
}

static const char *explain_ring(int error)
{
	switch (error) {
	case -EINVAL:
		return "there is no such vector: 'ivshmem info' shows how many there are, counted "
		       "from 0";
	case -ENOTSUP:
		return "the region has no interrupts: they need a doorbell device, or a server";
	case -ENXIO:
		return "there is no such peer, or it has no such vector: 'ivshmem peers' shows "
		       "who is there";
	case -ENOSPC:
		return "the vector has too many eventfds: end programs that wait for it";
	case -ENODEV:
		return "the device is gone: close the region";
	case -ECONNRESET:
		return "the connection to the server has ended: peers known so far still ring "
		       "each other; ivshmem_rejoin() joins the next server";
	case -EACCES:
		return "who has opened the region for reading only can neither ring nor wait for "
		       "rings: open it without IVSHMEM_RDONLY";
	default:
		return NOT_SPECIFIC;
	}
}

static const char *explain_laying_out(int error)
{
	switch (error) {
	case -EINVAL:
		return "a label has up to 63 letters, digits and '-_.+', no dot in front; a "
		       "region has 1 to 4096 objects, and rings of up to 4 GiB";
	case -EACCES:
		return "the region was opened for reading only";
	case -EEXIST:
		return "the region is formatted already: use it, or, once nobody uses it, lay it "
		       "out anew (IVSHMEM_FORMAT_FORCE, 'ivshmem format --force')";
	case -ENOTEMPTY:
		return "the region holds something already: if that may go, say so "
		       "(IVSHMEM_FORMAT_FORCE, 'ivshmem format --force')";
	case -ENOSPC:
		return "the region is too small for so many objects or such rings (ask for less), or "
		       "the filesystem that holds it is full (see df)";
	default:
		return explain_map(error);
	}
}

static const char *explain_object(int error)
{
	switch (error) {
	case -EINVAL:
		return "a name has 1 to 55 letters, digits and '-_.+', no dot in front; a ring has "
		       "4 GiB at most";
	case -EACCES:
		return "the region was opened for reading only";
	case -EEXIST:
		return "there is an object of that name: 'ivshmem info' shows what it is, and "
		       "'ivshmem rm' removes it";
	case -ENOENT:
		return "there is no object of that name: 'ivshmem info' shows those that there are";
	case -EPROTOTYPE:
		return "the object of that name is of another kind: 'ivshmem info' shows which";
	case -ENOSPC:
		return "the region has no room for one more object, or no free piece of that size "
		       "('ivshmem info' shows what it holds, 'ivshmem rm' makes room), or the "
		       "filesystem that holds it is full (see df)";
	case -EBUSY:
		return "a program uses it, or may: 'ivshmem info' shows which; if it can't be "
		       "alive, remove it all the same (IVSHMEM_REMOVE_FORCE, --force)";
	case -EAGAIN:
		return "other programs make and remove objects all the time: try again";
	default:
		return explain_format(error);
	}
}

static const char *explain_channel_open(int error)
{
	switch (error) {
	case -EINVAL:
		return "a channel's name has 1 to 55 letters, digits and '-_.+', no dot in front";
	case -EACCES:
		return "the region was opened for reading only";
	case -EBUSY:
		return "another program has this end: 'ivshmem info' shows which; if it can't be "
		       "alive, take its place (IVSHMEM_CHANNEL_TAKE_OVER, --take-over)";
	case -ENOSPC:
		return "the region has no room for one more channel ('ivshmem info' shows what it "
		       "holds, 'ivshmem rm' makes room), or the filesystem that holds it is full "
		       "(see df)";
	case -EPROTOTYPE:
		return "the object of that name is no channel: 'ivshmem info' shows what it is";
	case -ETIMEDOUT:
		return "the other side did not come in time: 'ivshmem info' shows who is there";
	case -ENODEV:
		return "the device is gone: close the region";
	case -ESTALE:
		return "the region was formatted anew, cut short or replaced by another: close the "
		       "channel and the region, and open both again";
	default:
		return explain_format(error);
	}
}

static const char *explain_channel_reconnect(int error)
{
	switch (error) {
	case -EBUSY:
		return "another program has taken this end over: close the channel";
	case -ETIMEDOUT:
		return "the other side did not come back in time: try again";
	default:
		return explain_channel_open(error);
	}
}

static const char *explain_transfer(int error)
{
	switch (error) {
	case -EPIPE:
		return "the other side has closed the channel";
	case -ECONNRESET:
		return "the other side is dead or was replaced, or this end was taken over: "
		       "reconnect";
	case -ESTALE:
		return "the memory went back in time, by a snapshot or an older copy, or was moved "
		       "away from the other side: reconnect";
	case -EHOSTDOWN:
		return "the VM of the other side has left the server: it has ended, was moved away, "
		       "or is hibernated and comes back: wait for it again, or reconnect";
	case -ENOTCONN:
		return "the other side was lost before, or is not there yet: reconnect";
	case -EPROTO:
		return "the other side wrote what it can't mean: reconnect, if you trust it";
	case -ENODEV:
		return "the device is gone: close the channel and the region";
	default:
		return NOT_SPECIFIC;
	}
}

static const char *explain_send(int error)
{
	switch (error) {
	case -EAGAIN:
	case -ETIMEDOUT:
		return "there was no room in time: the other side does not receive";
	case -EMSGSIZE:
		return "the message is too long: at most half its ring less 8 bytes; for longer "
		       "ones make the channel with larger rings ('ivshmem make')";
	case -EBUSY:
		return "a reserved message is open: commit it first, or drop it "
		       "(ivshmem_channel_unreserve())";
	default:
		return explain_transfer(error);
	}
}

static const char *explain_receive(int error)
{
	switch (error) {
	case -EAGAIN:
	case -ETIMEDOUT:
		return "no message came in time";
	case -EMSGSIZE:
		return "the message is longer than the buffer: it stays until it is taken by a "
		       "larger one, or in place";
	case -EBUSY:
		return "ivshmem_channel_read() has begun a message: call it until that message "
		       "has ended";
	default:
		return explain_transfer(error);
	}
}

static const char *explain_listen(int error)
{
	switch (error) {
	case -EINVAL:
		return "a service's name has 1 to 55 letters, digits and '-_.+', no dot in front";
	case -EBUSY:
		return "another program listens: 'ivshmem info' shows which; if it runs under another "
		       "kernel and can't be alive, take its place (IVSHMEM_LISTEN_TAKE_OVER, "
		       "--take-over)";
	case -EPROTOTYPE:
		return "the object of that name is no service: 'ivshmem info' shows what it is";
	case -ECONNRESET:
		return "the service was removed or taken over, or the region formatted anew: listen "
		       "again";
	case -EAGAIN:
	case -ETIMEDOUT:
		return "no client came in time";
	case -EACCES:
	case -ENOSPC:
		return explain_object(error);
	default:
		return explain_channel_open(error);
	}
}

static const char *explain_connect(int error)
{
	switch (error) {
	case -ECONNREFUSED:
		return "the server has as many clients of this program, or of this guest, as it "
		       "takes: close some of them, or let the server take more "
		       "(ivshmem_listener_set_limit(), --clients)";
	case -ETIMEDOUT:
		return "no server has accepted in time: 'ivshmem info' shows who is there";
	case -EAGAIN:
		return NOT_SPECIFIC;
	default:
		return explain_listen(error);
	}
}

static const char *explain_call(int error)
{
	switch (error) {
	case -EBADMSG:
		return "what came is no answer, or no question: the other side uses this channel "
		       "for something else";
	case -EAGAIN:
	case -ETIMEDOUT:
		return "nothing came in time: the other side has not answered, or does not ask";
	case -EMSGSIZE:
		return "the question is too long for the ring (half of it less 16 bytes), or what "
		       "came is longer than the room for it";
	default:
		return explain_send(error);
	}
}

static const char *explain_topic(int error)
{
	switch (error) {
	case -EACCES:
		return "the region was opened for reading only: that will do to receive from a "
		       "topic that overwrites, not to publish, to hold, or for a lossless one";
	case -ENOENT:
		return "there is no topic of that name: 'ivshmem make --topic NAME:LENGTH WHERE' "
		       "makes one, and 'ivshmem info' shows what there is";
	case -EPROTOTYPE:
		return "the object of that name is no topic: 'ivshmem info' shows what it is";
	case -EBUSY:
		return "all places of the topic are taken, and none of their programs is known to "
		       "be dead: make a topic with more (publishers=, subscribers=)";
	case -EMSGSIZE:
		return "the message is longer than those of the topic, or than the room for it";
	case -ENOBUFS:
		return "as many messages are held as the topic allows: release one, or make a topic "
		       "with more (holds=)";
	case -EPIPE:
		return "this subscriber was too slow for a lossless topic, and was dropped: what "
		       "comes next follows what was skipped";
	case -ECONNRESET:
		return "another program has taken the place, or the topic was removed, or the "
		       "region formatted anew: open it again";
	default:
		return explain_format(error);
	}
}

static const char *explain_waitset(int error)
{
	switch (error) {
	case -EAGAIN:
	case -ETIMEDOUT:
		return "none of those in the wait set had anything in time";
	case -EACCES:
		return "the region was opened for reading only: a wait set is an object of the "
		       "region, and has to be written there";
	case -EBUSY:
		return "it is in another wait set: take it out there first";
	case -ENOENT:
		return "it is not in this wait set";
	case -EXDEV:
		return "it was opened by another handle than the wait set: make a wait set for each "
		       "handle, and wait for their descriptors (ivshmem_waitset_fd())";
	case -EMSGSIZE:
		return "the message to wait for room for is longer than any can be";
	case -ENOSPC:
		return "the region has no room for one more object, as a wait set is one: 'ivshmem "
		       "info' shows what it holds, 'ivshmem rm' makes room";
	case -ESTALE:
		return "the region was formatted anew, cut short or replaced by another: close all "
		       "that is open in it, and open it again";
	case -ENODEV:
		return "the device is gone: close the wait set, what is in it, and the region";
	default:
		return explain_format(error);
	}
}

static const char *explain_task(enum ivshmem_task task, int error)
{
	switch (task) {
	case IVSHMEM_TASK_OPEN:
		return explain_open(error);
	case IVSHMEM_TASK_REJOIN:
		return explain_rejoin(error);
	case IVSHMEM_TASK_CREATE:
		return explain_create(error);
	case IVSHMEM_TASK_MAP:
		return explain_map(error);
	case IVSHMEM_TASK_RING:
		return explain_ring(error);
	case IVSHMEM_TASK_MAKE:
	case IVSHMEM_TASK_REMOVE:
		return explain_object(error);
	case IVSHMEM_TASK_FORMAT:
		return explain_laying_out(error);
	case IVSHMEM_TASK_READ_LAYOUT:
		return explain_format(error);
	case IVSHMEM_TASK_CHANNEL_OPEN:
		return explain_channel_open(error);
	case IVSHMEM_TASK_CHANNEL_RECONNECT:
		return explain_channel_reconnect(error);
	case IVSHMEM_TASK_LISTEN:
		return explain_listen(error);
	case IVSHMEM_TASK_CONNECT:
		return explain_connect(error);
	case IVSHMEM_TASK_CALL:
		return explain_call(error);
	case IVSHMEM_TASK_TOPIC:
		return explain_topic(error);
	case IVSHMEM_TASK_WAITSET:
		return explain_waitset(error);
	case IVSHMEM_TASK_SEND:
		return explain_send(error);
	case IVSHMEM_TASK_RECEIVE:
		return explain_receive(error);
	}
	return NOT_SPECIFIC;
}

const char *ivshmem_explain(enum ivshmem_task task, int error)
{
	const char *text = explain_task(task, error);

	return text ? text : ivshmem_strerror(error);
}
