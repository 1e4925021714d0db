// SPDX-License-Identifier: MIT
#include <errno.h>
#include <string.h>

#include <ivshmem/errors.h>

static const char *own_text(int error)
{
	switch (error) {
	case 0:
		return "no error";
	case -EINVAL:
		return "wrong argument, or a size that is no multiple of the page size "
		       "(a new region: no power of two), or a label or name that is none: "
		       "letters, digits and '-_.+', no dot in front";
	case -ENOENT:
		return "no such file or device: see 'ivshmem list'; in a guest try "
		       "'modprobe ivshmem', on the host 'ivshmem create'; or no object of "
		       "that name: see 'ivshmem info'";
	case -ENODEV:
		return "the device is gone, or the kernel module does not serve it: "
		       "see 'ivshmem list', try 'modprobe ivshmem', or without the module, as "
		       "root, its resource2 (IVSHMEM_RESOURCE2, --resource2)";
	case -EACCES:
		return "no permission: in a guest join the group 'ivshmem', "
		       "on the host see the owner and mode of the file; to format a region, "
		       "make objects or use a channel, open it without IVSHMEM_RDONLY";
	case -EPERM:
		return "not permitted: a resource2 needs root and no kernel lockdown, "
		       "a file must not be sealed or immutable";
	case -EISDIR:
		return "this is a directory: name the file of the region in it";
	case -ENOTTY:
		return "this is the device of another driver: see 'ivshmem list' "
		       "for those of ivshmem";
	case -ENOTSUP:
		return "not supported: a region is a regular file that can be mapped "
		       "(host), or a device of ivshmem (guest); interrupts need "
		       "a doorbell device or a server; channels and areas need a "
		       "little-endian machine";
	case -ENODATA:
		return "the file is empty: its creator has not given it a size; "
		       "remove it and use 'ivshmem create'";
	case -ELOOP:
		return "a symbolic link that somebody else owns in a directory for all, "
		       "or too many links: name the file itself";
	case -EFBIG:
		return "too large for this program's address space, "
		       "the filesystem or the file size limit (ulimit -f)";
	case -EEXIST:
		return "there is a file already: open it, take it with IVSHMEM_EXIST_OK, "
		       "or remove it once nobody uses it; or a format: use it, or lay the "
		       "region out anew with IVSHMEM_FORMAT_FORCE once nobody uses it; or an "
		       "object of that name: 'ivshmem rm' removes it";
	case -EMSGSIZE:
		return "the file is there at another size: ask for that size, or remove it "
		       "once nobody uses it; or the message does not fit: see "
		       "ivshmem_channel_max_length(), and the length of the buffer";
	case -ENOSPC:
		return "no room: on the filesystem free some, make the region smaller, or "
		       "remount with a larger size=; a vector that has too many eventfds "
		       "takes no more; the region has no room for one more channel or area, "
		       "or no free piece of that size: 'ivshmem rm' makes room";
	case -ENOMEM:
		return "out of memory: for huge pages raise vm.nr_hugepages";
	case -EBUSY:
		return "mapped already, or in use by a driver: open the driver's /dev/ivshmemN "
		       "in place of resource2; or another program has this end of the channel, "
		       "or uses the object, or a reserved message is open: commit or unreserve it; "
		       "or ivshmem_channel_read() has begun a message: read its rest";
	case -ESTALE:
		return "the file was truncated while in use, or replaced by another: close the region, "
		       "stop its users, and open it again, or create it anew if it is too short; "
		       "or the memory of the channel went back in time: connect again";
	case -ENOSYS:
		return "/proc is not mounted, and this library needs it: "
		       "try 'mount -t proc proc /proc'";
	case -ENXIO:
		return "no such peer, or it has no such vector";
	case -ECONNREFUSED:
		return "no server listens on this socket: start 'ivshmem serve'; or the server of a "
		       "service has as many clients of this peer as it takes";
	case -ECONNRESET:
		return "the other end of the channel was replaced, or this one taken over: "
		       "connect again; or the server closed the connection: the memory and the "
		       "peers known so far still work, open the region anew for others";
	case -EBADMSG:
		return "what came is no answer, or no question: the other side uses the channel for "
		       "something else";
	case -EPROTO:
		return "the other side of the channel wrote what it can't mean: connect again "
		       "if you trust it; or the server sent what the protocol does not allow: "
		       "is it an ivshmem server, of QEMU 2.5 or later?";
	case -ETIMEDOUT:
		return "nothing happened in time";
	case -ECANCELED:
		return "a wait was cancelled, as the program asked for: it waits again after "
		       "ivshmem_uncancel(), ivshmem_channel_uncancel() or "
		       "ivshmem_waitset_uncancel()";
	case -ENOBUFS:
		return "events were lost: list the devices again";
	case -EAGAIN:
		return "nothing to receive, no room to send, or no peer ID, at the moment; or "
		       "others make and remove objects all the time: try again";
	case -ENOMEDIUM:
		return "the region is not formatted, it holds zeroes: "
		       "'ivshmem format' lays it out for channels and areas";
	case -EMEDIUMTYPE:
		return "the region is not formatted, it holds something else: if that may go, "
		       "'ivshmem format --force' lays it out for channels and areas";
	case -EPROTONOSUPPORT:
		return "the region was formatted by a newer version: update this side";
	case -EUCLEAN:
		return "the format of the region is damaged: stop its users, "
		       "then 'ivshmem format --force' makes it anew";
	case -ENOTEMPTY:
		return "the region holds something already: if that may go, "
		       "format it with IVSHMEM_FORMAT_FORCE";
	case -EPROTOTYPE:
		return "the object of that name is of another kind: 'ivshmem info' shows which";
	case -EPIPE:
		return "the other side has closed the channel";
	case -ECHILD:
		return "this was opened before fork(), and belongs to the parent: open the "
		       "region anew in the child";
	case -EXDEV:
		return "this was opened by another handle than the wait set: make a wait set for "
		       "each handle, and wait for their descriptors";
	case -EHOSTDOWN:
		return "the VM of the channel's other side has left the server: it has ended, was "
		       "moved away, or is hibernated: wait for it again, or connect again";
	case -ENOTCONN:
		return "the channel has lost the other side: connect again";
	default:
		return NULL;
	}
}

const char *ivshmem_strerror(int error)
{
	const char *text = own_text(error);

	return text ? text : strerror((int)-(unsigned int)error);
}
