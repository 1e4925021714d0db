// SPDX-License-Identifier: GPL-2.0-only
/*
 * The ID of this guest on its server, and the news that it is another one.
 *
 * The ID belongs to the device in the hypervisor. It may be another one when the guest wakes
 * up from hibernation in a new device. (A device that migrates, or is restored from a
 * snapshot, has to be its server's first peer: QEMU sees to that.) Whoever rang the old ID
 * meanwhile rang somebody else, or nobody. So every vector then counts as rung: a needless
 * signal is allowed, a missing one is not.
 *
 * No interrupt tells of it, and to read the register costs an exit to the hypervisor:
 * too much for each interrupt, and for a look now and then, which would mostly find
 * nothing. So it is read when the kernel knows that something has happened, see
 * ivshmem_power.c, and when somebody asks for the ID.
 */

#include <linux/io.h>
#include <linux/kobject.h>
#include <linux/sysfs.h>

#include "ivshmem.h"

#define IVSHMEM_REG_IVPOSITION	0x08

/* All ones are no ID: the server has not answered yet, or the device does not now. */
static bool ivshmem_is_peer_id(u32 id)
{
	return id <= IVSHMEM_PEER_MAX;
}

static u32 ivshmem_read_peer_id(struct ivshmem_device *ivs)
{
	return ivs->regs ? ioread32(ivs->regs + IVSHMEM_REG_IVPOSITION) : 0;
}

static void ivshmem_tell_peer_id(struct ivshmem_device *ivs)
{
	char variable[sizeof("IVSHMEM_PEER_ID=65535")];
	char *environment[2] = { variable };

	lockdep_assert_held(&ivs->peer_lock);
	wake_up_all(&ivs->news);
	if (!ivs->is_shown)
		return;
	scnprintf(variable, sizeof(variable), "IVSHMEM_PEER_ID=%u", ivs->peer_id);
	kobject_uevent_env(&ivs->dev.kobj, KOBJ_CHANGE, environment);
	sysfs_notify(&ivs->dev.kobj, NULL, "peer_id");
}

static void ivshmem_note_peer_id(struct ivshmem_device *ivs)
{
	u32 before, id;

	mutex_lock(&ivs->peer_lock);
	/* Anew under the lock: what is noted last is the newest. */
	id = ivshmem_read_peer_id(ivs);
	before = ivs->peer_id;
	if (id != before && ivshmem_is_peer_id(id)) {
		WRITE_ONCE(ivs->peer_id, id);
		if (ivshmem_is_peer_id(before))
			dev_info(&ivs->pdev->dev, "%s: peer ID %u became %u\n",
				 dev_name(&ivs->dev), before, id);
		ivshmem_signal_all(ivs);
		ivshmem_tell_peer_id(ivs);
	}
	mutex_unlock(&ivs->peer_lock);
}

/**
 * ivshmem_peer_id() - ID of this guest on its server.
 * @ivs: Device, in a section.
 *
 * Read anew each time. Revision 0 (QEMU before 2.6) shows -1 until the server has
 * answered. Where the ID is another one than before, all are told.
 *
 * Return: The ID; 0 for a device without a doorbell.
 */
u32 ivshmem_peer_id(struct ivshmem_device *ivs)
{
	u32 id = ivshmem_read_peer_id(ivs);

	if (id != READ_ONCE(ivs->peer_id))
		ivshmem_note_peer_id(ivs);
	return id;
}

/**
 * ivshmem_peer_start() - Note the first ID, before anybody can ask.
 * @ivs: Device, with its registers.
 */
void ivshmem_peer_start(struct ivshmem_device *ivs)
{
	ivs->peer_id = ivshmem_read_peer_id(ivs);
}

/**
 * ivshmem_peer_show() - From now on udev is told of another ID; or no longer.
 * @ivs: Device.
 * @is_shown: It is in sysfs.
 */
void ivshmem_peer_show(struct ivshmem_device *ivs, bool is_shown)
{
	mutex_lock(&ivs->peer_lock);
	ivs->is_shown = is_shown;
	mutex_unlock(&ivs->peer_lock);
}
