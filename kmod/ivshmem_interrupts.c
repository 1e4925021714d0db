// SPDX-License-Identifier: GPL-2.0-only
/*
 * Doorbells: ringing peers, and being rung.
 *
 * A vector signals the eventfds that open files have bound to it. An interrupt
 * that finds none bound is kept, and signals the next one to be bound: a program
 * that binds and then waits misses nothing.
 *
 * Keep in mind what the device does not tell: which peers exist, and whether a
 * ring was delivered. MSI-X may merge interrupts that come close together.
 */

#include <linux/eventfd.h>
#include <linux/interrupt.h>
#include <linux/io.h>
#include <linux/list.h>
#include <linux/nospec.h>
#include <linux/pci.h>
#include <linux/slab.h>
#include <linux/spinlock.h>
#include <linux/workqueue.h>

#include "ivshmem.h"

#define CREATE_TRACE_POINTS
#include "ivshmem_trace.h"

#define IVSHMEM_BAR_REGS	0
#define IVSHMEM_REGS_SIZE	0x10

/* Little-endian, 32 bits: docs/specs/ivshmem-spec.rst in QEMU's sources. */
#define IVSHMEM_REG_DOORBELL	0x0c

/* Of a vector, and of one file on a vector. */
#define IVSHMEM_BINDINGS_MAX		1024
#define IVSHMEM_FILE_BINDINGS_MAX	64

/*
 * So many eventfds the interrupt handler signals itself: no program need wait for a
 * worker where few share a vector. The others get a worker, which lets interrupts in
 * after each. (How long one takes is up to its waiters. Whoever holds an eventfd can have
 * the kernel walk them with interrupts off by write(2) as well.)
 */
#define IVSHMEM_SIGNALS_AT_ONCE		4

/**
 * struct ivshmem_vector - One interrupt line of this guest.
 * @ivs: Device.
 * @name: Name in /proc/interrupts.
 * @lock: Guards what follows. Taken in the interrupt handler.
 * @bindings: The eventfds to signal, struct ivshmem_binding; those that the newest
 *	interrupt did not reach yet come first.
 * @interrupts: How many interrupts there were; only whether two are the same counts.
 * @kept: There was an interrupt while nothing was bound.
 * @others: Signals those that the handler left out.
 */
struct ivshmem_vector {
	struct ivshmem_device *ivs;
	char *name;
	spinlock_t lock; /* guards what follows */
	struct list_head bindings;
	unsigned long interrupts;
	bool kept;
	struct work_struct others;
};

/**
 * struct ivshmem_binding - One eventfd, bound to one vector by one open file.
 * @node: In ivshmem_vector.bindings.
 * @file: The file that bound it, and whose release unbinds it. Not referenced.
 * @eventfd: Owned.
 * @interrupts: Those of the vector when it was last signalled, or bound.
 */
struct ivshmem_binding {
	struct list_head node;
	unsigned long interrupts;
	struct file *file;
	struct eventfd_ctx *eventfd;
};

/* Signals one of those that the newest interrupt did not reach yet; false if all are. */
static bool ivshmem_signal_next(struct ivshmem_vector *vector)
{
	struct ivshmem_binding *binding;

	lockdep_assert_held(&vector->lock);
	binding = list_first_entry_or_null(&vector->bindings, struct ivshmem_binding, node);
	if (!binding || binding->interrupts == vector->interrupts)
		return false;
	binding->interrupts = vector->interrupts;
	list_move_tail(&binding->node, &vector->bindings);
	eventfd_signal(binding->eventfd);
	return true;
}

static void ivshmem_signal_others(struct work_struct *work)
{
	struct ivshmem_vector *vector = container_of(work, struct ivshmem_vector, others);
	bool more;

	do {
		spin_lock_irq(&vector->lock);
		more = ivshmem_signal_next(vector);
		spin_unlock_irq(&vector->lock);
		cond_resched();
	} while (more);
}

/* Returns how many eventfds it has signalled itself. */
static unsigned int ivshmem_signal(struct ivshmem_vector *vector, bool *bound)
{
	unsigned int signalled = 0;
	unsigned long flags;

	spin_lock_irqsave(&vector->lock, flags);
	*bound = !list_empty(&vector->bindings);
	if (!*bound)
		vector->kept = true;
	vector->interrupts++;
	while (signalled < IVSHMEM_SIGNALS_AT_ONCE && ivshmem_signal_next(vector))
		signalled++;
	if (signalled == IVSHMEM_SIGNALS_AT_ONCE)
		queue_work(system_highpri_wq, &vector->others);
	spin_unlock_irqrestore(&vector->lock, flags);
	return signalled;
}

static irqreturn_t ivshmem_interrupt(int irq, void *data)
{
	struct ivshmem_vector *vector = data;
	unsigned int signalled;
	bool bound;

	signalled = ivshmem_signal(vector, &bound);
	trace_ivshmem_interrupt(vector->ivs->index, vector - vector->ivs->vector, bound, signalled);
	return IRQ_HANDLED;
}

/**
 * ivshmem_signal_all() - As if each vector had been rung: it may have been, unnoticed.
 * @ivs: Device, in a section.
 */
void ivshmem_signal_all(struct ivshmem_device *ivs)
{
	bool bound;
	u32 i;

	for (i = 0; i < ivs->vectors; i++)
		ivshmem_signal(&ivs->vector[i], &bound);
}

/**
 * ivshmem_interrupts_restore() - Get interrupts from a device that was restored.
 * @ivs: Device, in a section.
 *
 * Where there is KVM, QEMU (seen in 7.2, and so in the sources since) connects it with the
 * rings when MSI-X is switched on, but not when it restores a device that has MSI-X on:
 * no ring reaches a guest that was migrated, or went back to a snapshot. So switch it off
 * and on. What is rung in between may be lost. The PCI core writes this register when the
 * driver is bound or unbound, and when the device is restored in another way.
 */
void ivshmem_interrupts_restore(struct ivshmem_device *ivs)
{
	struct pci_dev *pdev = ivs->pdev;
	int flags = pdev->msix_cap + PCI_MSIX_FLAGS;
	u16 control;

	if (!pdev->msix_enabled)
		return;
	pci_read_config_word(pdev, flags, &control);
	if (!(control & PCI_MSIX_FLAGS_ENABLE))
		return;
	control &= ~PCI_MSIX_FLAGS_ENABLE;
	pci_write_config_word(pdev, flags, control);
	pci_write_config_word(pdev, flags, control | PCI_MSIX_FLAGS_ENABLE);
}

/**
 * ivshmem_ring_doorbell() - Interrupt one vector of one peer.
 * @ivs: Device, in a section.
 * @ring: What user space asked for, in kernel memory.
 *
 * Return: 0; -EOPNOTSUPP (no doorbell); -EINVAL (out of range).
 */
int ivshmem_ring_doorbell(struct ivshmem_device *ivs, const struct ivshmem_ring *ring)
{
	if (ring->flags || ring->reserved)
		return -EINVAL;
	if (!ivs->regs)
		return -EOPNOTSUPP;
	if (ring->peer > IVSHMEM_PEER_MAX || ring->vector > IVSHMEM_VECTOR_MAX)
		return -EINVAL;
	trace_ivshmem_ring(ivs->index, ring->peer, ring->vector);
	/* Orders the caller's stores to the region before it, as any MMIO write. */
	iowrite32(ring->peer << 16 | ring->vector, ivs->regs + IVSHMEM_REG_DOORBELL);
	return 0;
}

/* May @file have @eventfd as one more binding of @vector? */
static int ivshmem_check_binding(struct ivshmem_vector *vector, struct file *file,
				 struct eventfd_ctx *eventfd)
{
	unsigned int all = 0, of_file = 0;
	struct ivshmem_binding *binding;

	lockdep_assert_held(&vector->lock);
	list_for_each_entry(binding, &vector->bindings, node) {
		all++;
		if (binding->file != file)
			continue;
		of_file++;
		if (binding->eventfd == eventfd)
			return -EEXIST;
	}
	return all < IVSHMEM_BINDINGS_MAX && of_file < IVSHMEM_FILE_BINDINGS_MAX ? 0 : -ENOSPC;
}

/* On success the binding owns the caller's reference on @eventfd. */
static int ivshmem_bind_eventfd(struct ivshmem_device *ivs, struct ivshmem_vector *vector,
				struct file *file, struct eventfd_ctx *eventfd)
{
	struct ivshmem_binding *binding;
	int ret;

	binding = kmalloc_obj(*binding, GFP_KERNEL_ACCOUNT);
	if (!binding)
		return -ENOMEM;
	binding->file = file;
	binding->eventfd = eventfd;

	if (!ivshmem_enter(ivs)) {
		kfree(binding);
		return -ENODEV;
	}
	spin_lock_irq(&vector->lock);
	ret = ivshmem_check_binding(vector, file, eventfd);
	if (!ret) {
		binding->interrupts = vector->interrupts;
		list_add_tail(&binding->node, &vector->bindings);
		if (vector->kept)
			eventfd_signal(eventfd);
		vector->kept = false;
	}
	spin_unlock_irq(&vector->lock);
	ivshmem_exit(ivs);
	if (ret)
		kfree(binding);
	return ret;
}

/* Unbinds @eventfd, or all where it is NULL. Returns how many that were. */
static unsigned int ivshmem_unbind_eventfd(struct ivshmem_vector *vector, struct file *file,
					   struct eventfd_ctx *eventfd)
{
	struct ivshmem_binding *binding, *next;
	unsigned int count = 0;
	LIST_HEAD(unbound);

	spin_lock_irq(&vector->lock);
	list_for_each_entry_safe(binding, next, &vector->bindings, node)
		if (binding->file == file && (!eventfd || binding->eventfd == eventfd))
			list_move(&binding->node, &unbound);
	spin_unlock_irq(&vector->lock);

	list_for_each_entry_safe(binding, next, &unbound, node) {
		eventfd_ctx_put(binding->eventfd);
		kfree(binding);
		count++;
	}
	return count;
}

/**
 * ivshmem_set_eventfd() - Bind an eventfd to a vector, or unbind it.
 * @ivs: Device, not in a section.
 * @file: Open file that asks.
 * @set: What user space asked for, in kernel memory.
 *
 * Return: 0; -EOPNOTSUPP (no vectors); -EINVAL (no such vector, unknown flag, no
 * eventfd); -EBADF; -EEXIST (this file has bound it already); -ENOSPC (too many
 * are bound); -ENOENT (nothing to unbind); -ENODEV; -ENOMEM.
 */
int ivshmem_set_eventfd(struct ivshmem_device *ivs, struct file *file,
			const struct ivshmem_eventfd *set)
{
	bool unbind = set->flags & IVSHMEM_EVENTFD_UNBIND;
	struct ivshmem_vector *vector;
	struct eventfd_ctx *eventfd = NULL;
	int ret;

	if (set->reserved || set->flags & ~IVSHMEM_EVENTFD_UNBIND)
		return -EINVAL;
	if (!ivs->vectors)
		return -EOPNOTSUPP;
	if (set->vector >= ivs->vectors)
		return -EINVAL;
	vector = &ivs->vector[array_index_nospec(set->vector, ivs->vectors)];

	if (!unbind || set->fd != -1) {
		eventfd = eventfd_ctx_fdget(set->fd);
		if (IS_ERR(eventfd))
			return PTR_ERR(eventfd);
	}
	if (unbind)
		ret = ivshmem_unbind_eventfd(vector, file, eventfd) ? 0 : -ENOENT;
	else
		ret = ivshmem_bind_eventfd(ivs, vector, file, eventfd);
	/* The binding has taken the reference over. */
	if (eventfd && (unbind || ret))
		eventfd_ctx_put(eventfd);
	return ret;
}

/**
 * ivshmem_release_eventfds() - Unbind all that an open file has bound.
 * @ivs: Device, which may be gone.
 * @file: File that is being closed.
 */
void ivshmem_release_eventfds(struct ivshmem_device *ivs, struct file *file)
{
	u32 i;

	for (i = 0; i < ivs->vectors; i++)
		ivshmem_unbind_eventfd(&ivs->vector[i], file, NULL);
}

static int ivshmem_request_vector(struct ivshmem_device *ivs, u32 i)
{
	struct ivshmem_vector *vector = &ivs->vector[i];
	int ret;

	vector->ivs = ivs;
	spin_lock_init(&vector->lock);
	INIT_LIST_HEAD(&vector->bindings);
	INIT_WORK(&vector->others, ivshmem_signal_others);
	vector->name = kasprintf(GFP_KERNEL, "%s-%u", dev_name(&ivs->dev), i);
	if (!vector->name)
		return -ENOMEM;
	ret = request_irq(pci_irq_vector(ivs->pdev, i), ivshmem_interrupt, 0,
			  vector->name, vector);
	if (ret) {
		kfree(vector->name);
		vector->name = NULL;
	}
	return ret;
}

/*
 * As many vectors as the device offers and the machine has. x86 may find out only
 * when they are requested, one by one, that there are no more.
 */
static int ivshmem_request_vectors(struct ivshmem_device *ivs)
{
	int offered = min(pci_msix_vec_count(ivs->pdev), IVSHMEM_VECTOR_MAX + 1);
	int count;

	count = pci_alloc_irq_vectors(ivs->pdev, 1, offered, PCI_IRQ_MSIX);
	if (count > 0) {
		ivs->vector = kcalloc(count, sizeof(*ivs->vector), GFP_KERNEL);
		if (!ivs->vector) {
			pci_free_irq_vectors(ivs->pdev);
			return -ENOMEM;
		}
		while (ivs->vectors < count && !ivshmem_request_vector(ivs, ivs->vectors))
			ivs->vectors++;
		if (!ivs->vectors)
			pci_free_irq_vectors(ivs->pdev);
	}
	if (ivs->vectors < offered)
		dev_warn(&ivs->pdev->dev, "%s: %u of %d vectors can be used\n",
			 dev_name(&ivs->dev), ivs->vectors, offered);
	return 0;
}

static void ivshmem_free_vectors(struct ivshmem_device *ivs)
{
	u32 i;

	if (!ivs->vectors)
		return;
	for (i = 0; i < ivs->vectors; i++) {
		free_irq(pci_irq_vector(ivs->pdev, i), &ivs->vector[i]);
		cancel_work_sync(&ivs->vector[i].others);
	}
	pci_free_irq_vectors(ivs->pdev);
}

/* ACRN has shipped doorbell devices with another BAR 0, or none. */
static int ivshmem_map_registers(struct ivshmem_device *ivs)
{
	struct pci_dev *pdev = ivs->pdev;
	int ret;

	if (!(pci_resource_flags(pdev, IVSHMEM_BAR_REGS) & IORESOURCE_MEM) ||
	    pci_resource_len(pdev, IVSHMEM_BAR_REGS) < IVSHMEM_REGS_SIZE)
		return 0;
	ret = pci_request_region(pdev, IVSHMEM_BAR_REGS, "ivshmem");
	if (ret)
		return ret;
	ivs->regs = pci_iomap(pdev, IVSHMEM_BAR_REGS, IVSHMEM_REGS_SIZE);
	if (!ivs->regs) {
		pci_release_region(pdev, IVSHMEM_BAR_REGS);
		return -ENOMEM;
	}
	return 0;
}

static void ivshmem_unmap_registers(struct ivshmem_device *ivs)
{
	if (!ivs->regs)
		return;
	pci_iounmap(ivs->pdev, ivs->regs);
	ivs->regs = NULL;
	pci_release_region(ivs->pdev, IVSHMEM_BAR_REGS);
}

/**
 * ivshmem_interrupts_init() - Set the doorbell and the vectors up.
 * @ivs: Device.
 *
 * A plain device has neither. Only MSI-X tells it from a doorbell device:
 * IVPosition is 0 for it as well as for peer 0. A doorbell device without usable
 * registers serves its memory and its vectors.
 *
 * Return: 0, or a negative errno.
 */
int ivshmem_interrupts_init(struct ivshmem_device *ivs)
{
	struct pci_dev *pdev = ivs->pdev;
	int ret;

	if (!pdev->msix_cap)
		return 0;
	ret = ivshmem_map_registers(ivs);
	if (ret)
		return ret;
	ivshmem_peer_start(ivs);
	/* MSI-X messages are writes of the device. */
	pci_set_master(pdev);
	ret = ivshmem_request_vectors(ivs);
	if (ret) {
		pci_clear_master(pdev);
		ivshmem_unmap_registers(ivs);
		return ret;
	}
	ivs->kind = IVSHMEM_KIND_DOORBELL;
	return 0;
}

/**
 * ivshmem_interrupts_exit() - Take the doorbell and the vectors down.
 * @ivs: Device, without open sections.
 *
 * Signals every eventfd: whoever waits at one wakes, and finds the device gone.
 */
void ivshmem_interrupts_exit(struct ivshmem_device *ivs)
{
	u32 i;

	if (ivs->kind != IVSHMEM_KIND_DOORBELL)
		return;
	ivshmem_free_vectors(ivs);
	pci_clear_master(ivs->pdev);
	ivshmem_unmap_registers(ivs);

	for (i = 0; i < ivs->vectors; i++) {
		spin_lock_irq(&ivs->vector[i].lock);
		ivs->vector[i].interrupts++;
		spin_unlock_irq(&ivs->vector[i].lock);
		ivshmem_signal_others(&ivs->vector[i].others);
	}
}

/**
 * ivshmem_interrupts_free() - Free what open files could reach until now.
 * @ivs: Device that nobody refers to any more.
 */
void ivshmem_interrupts_free(struct ivshmem_device *ivs)
{
	u32 i;

	for (i = 0; i < ivs->vectors; i++)
		kfree(ivs->vector[i].name);
	kfree(ivs->vector);
}
