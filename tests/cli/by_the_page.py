#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""A second implementation of ivshmem-format(5), written from that page alone.

	by_the_page FILE format OBJECTS			lay the region out
	by_the_page FILE show				print what superblock and slots say
	by_the_page FILE make NAME channel RING RING	make a channel with these rings, in bytes
	by_the_page FILE make NAME area SIZE		make an area
	by_the_page FILE remove NAME			remove an object that nobody uses
	by_the_page FILE read|write NAME		the bytes of an area
	by_the_page FILE create|connect NAME send	send the lines of stdin
	by_the_page FILE create|connect NAME recv	print messages as lines

It waits by looking at memory again and again, as the page allows, and wakes by futex.
Python has no atomic operations, so these come from libatomic.
"""
import ctypes
import fcntl
import mmap
import os
import platform
import random
import re
import struct
import subprocess
import sys
import time
import uuid
import zlib
from collections import namedtuple

LOW = 0xffffffff
TRIES = 10000			# with a pause of a millisecond each: about ten seconds


class Again(Exception):
	"""A claim, an end or an object was lost to another program."""


def die(why):
	sys.exit(f"by_the_page: {why}")


def meanwhile(step):
	"""What the tests let happen, once, right before the step."""
	if os.environ.get("STEP") != step:
		return
	del os.environ["STEP"]
	if subprocess.run(["bash", "-c", os.environ["MEANWHILE"]], check=False).returncode:
		die(f"what was done before {step} has failed")


# --- memory ---

atomic = ctypes.CDLL("libatomic.so.1")
libc = ctypes.CDLL(None, use_errno=True)
SEQ_CST = 5
FUTEX = {"x86_64": 202, "aarch64": 98, "riscv64": 98, "ppc64le": 221, "i686": 240}


def call_of(name, result, *arguments):
	call = atomic[name]
	call.restype = result
	call.argtypes = arguments
	return call


class Memory:
	"""A region that is mapped. Loads and stores are as strict as it gets."""

	WORDS = {4: ctypes.c_uint32, 8: ctypes.c_uint64}

	def __init__(self, path):
		try:
			self.fd = os.open(path, os.O_RDWR)
			self.file = os.fstat(self.fd)
			self.bytes = mmap.mmap(self.fd, self.file.st_size)
		except OSError as err:
			die(err)
		self.size = self.file.st_size
		self.base = ctypes.addressof(ctypes.c_char.from_buffer(self.bytes))
		self.loads, self.stores, self.swaps = {}, {}, {}
		for size, word in self.WORDS.items():
			where, order = ctypes.c_void_p, ctypes.c_int
			self.loads[size] = call_of(f"__atomic_load_{size}", word, where, order)
			self.stores[size] = call_of(f"__atomic_store_{size}", None, where, word, order)
			self.swaps[size] = call_of(f"__atomic_compare_exchange_{size}", ctypes.c_bool,
						   where, where, word, order, order)

	def get32(self, at):
		return self.loads[4](self.base + at, SEQ_CST)

	def get64(self, at):
		return self.loads[8](self.base + at, SEQ_CST)

	def put32(self, at, value):
		self.stores[4](self.base + at, value & LOW, SEQ_CST)

	def put64(self, at, value):
		self.stores[8](self.base + at, value, SEQ_CST)

	def swap(self, size, at, old, new, step):
		meanwhile(step)
		expected = self.WORDS[size](old)
		return self.swaps[size](self.base + at, ctypes.byref(expected), new & (1 << 8 * size) - 1,
					SEQ_CST, SEQ_CST)

	def swap32(self, at, old, new, step):
		return self.swap(4, at, old, new, step)

	def swap64(self, at, old, new, step):
		return self.swap(8, at, old, new, step)

	@staticmethod
	def fence():
		call_of("atomic_thread_fence", None, ctypes.c_int)(SEQ_CST)

	def lock(self, byte, kind, command=fcntl.F_OFD_SETLK):
		"""False where another open file has a lock that is in the way."""
		flock = struct.pack("hhqqi", kind, os.SEEK_SET, byte, 1, 0)
		try:
			flock = fcntl.fcntl(self.fd, command, flock)
		except OSError:
			return False
		return command == fcntl.F_OFD_SETLK or struct.unpack("hhqqi", flock)[0] == fcntl.F_UNLCK

	def is_locked(self, byte):
		return not self.lock(byte, fcntl.F_WRLCK, fcntl.F_OFD_GETLK)

	def wake(self, at):
		libc.syscall(FUTEX[platform.machine()], ctypes.c_void_p(self.base + at), 1, 2**31 - 1,
			     None, None, 0)


# --- superblock ---

MAGIC = b"IVSHMEF2"
Superblock = namedtuple("Superblock", "magic version slots region_size block_size blocks_offset "
			"blocks ring_units uuid label crc")
SUPERBLOCK = struct.Struct("<8s2I3Q2I16s64sI")


def is_name(field):
	name, _, rest = field.partition(b"\0")
	return (len(name) < len(field) and not rest.strip(b"\0") and
		re.fullmatch(rb"([A-Za-z0-9_+-][A-Za-z0-9._+-]*)?", name) is not None)


def is_whole(block, memory):
	return (block.version == 2 and 1 <= block.slots <= 4096 and
		block.crc == zlib.crc32(memory.bytes[:128]) and
		block.region_size == memory.size and
		block.block_size > 0 and block.block_size % 4096 == 0 and
		block.blocks_offset % 4096 == 0 and 1 <= block.blocks <= 65536 and
		block.blocks_offset >= 4096 + 1024 * block.slots + 8 * block.blocks and
		1 <= block.ring_units <= 2**20 and is_name(block.label) and
		block.blocks_offset + block.blocks * block.block_size <= block.region_size)


def read_superblock(memory):
	block = Superblock(*SUPERBLOCK.unpack(memory.bytes[:SUPERBLOCK.size]))
	if block.magic != MAGIC:
		die("raw" if any(memory.bytes[:4096]) else "empty")
	if block.version > 2:
		die("newer")
	if not is_whole(block, memory):
		die("damaged")
	return block


def format_region(memory, slots):
	map_offset = 4096 + 1024 * slots
	blocks = (memory.size - map_offset) // (4096 + 8)
	blocks_offset = (map_offset + 8 * blocks + 4095) // 4096 * 4096
	blocks = (memory.size - blocks_offset) // 4096
	memory.put64(0, 0)
	memory.bytes[8:map_offset + 8 * blocks] = bytes(map_offset + 8 * blocks - 8)
	fields = SUPERBLOCK.pack(MAGIC, 2, slots, memory.size, 4096, blocks_offset, blocks, 1,
				 uuid.uuid4().bytes, b"by_the_page", 0)[:128]
	memory.bytes[8:132] = fields[8:] + struct.pack("<I", zlib.crc32(fields))
	memory.put64(0, int.from_bytes(MAGIC, "little"))


# --- keys, names and facts ---

FREE, CLAIMED, NAMED, DOOMED = range(4)
KIND, FIRST, BLOCKS, CREATOR_RING, CONNECTOR_RING = range(5)
CHANNEL, AREA, KEPT = 1, 2, 256
Object = namedtuple("Object", "index generation")


def state_of(key):
	return key & 3


def generation_of(key):
	return key >> 32


def next_key(key, state):
	return key & ~LOW | ((key & LOW) + 4 & LOW & ~3) | state


def claim_key(key):
	return next_key(key, CLAIMED) + (1 << 32) & (1 << 64) - 1


class Directory:
	def __init__(self, memory):
		self.memory = memory
		self.block = read_superblock(memory)
		self.indices = range(self.block.slots)
		self.map = 4096 + 1024 * self.block.slots

	def is_current(self):
		return self.memory.bytes[:128] == SUPERBLOCK.pack(*self.block)[:128]

	@staticmethod
	def at(index):
		return 4096 + 1024 * index

	def key(self, index):
		return self.memory.get64(self.at(index))

	def change(self, index, key, state, step="other"):
		new = next_key(key, state)
		return new if self.memory.swap64(self.at(index), key, new, step) else None

	def name(self, index, key):
		"""None: it has none of the key's generation."""
		words = [self.memory.get64(self.at(index) + 8 + 8 * i) for i in range(14)]
		if any(word >> 32 != generation_of(key) for word in words):
			return None
		return b"".join((word & LOW).to_bytes(4, "little") for word in words)

	def is_called(self, index, key, name):
		return state_of(key) != FREE and self.name(index, key) == name

	def fact(self, it, which):
		word = self.memory.get64(self.at(it.index) + 960 + 8 * which)
		return word & LOW if word >> 32 == it.generation else None

	def has(self, it):
		key = self.key(it.index)
		return state_of(key) >= NAMED and generation_of(key) == it.generation

	def write_word(self, it, claim, at, value, step):
		while True:
			word = self.memory.get64(at)
			behind = it.generation - (word >> 32) & LOW
			if not 0 < behind < 2**31 and self.key(it.index) != claim:
				raise Again
			if self.memory.swap64(at, word, it.generation << 32 | value, step):
				return

	def write_name(self, it, claim, name):
		for i in range(14):
			value = int.from_bytes(name[4 * i:4 * i + 4], "little")
			self.write_word(it, claim, self.at(it.index) + 8 + 8 * i, value, f"name.{i}")

	def write_fact(self, it, claim, which, value):
		at = self.at(it.index) + 960 + 8 * which
		self.write_word(it, claim, at, value, f"fact.{which}")

	# --- is it used? ---

	def is_used(self, it):
		return (any(self.end_counts(it, side) for side in range(2)) or
			self.memory.is_locked(self.at(it.index) + 2))

	def end_counts(self, it, side):
		end = End(self.memory, it, side)
		epoch = end.epoch()
		return (epoch % 4 in (ATTACHING, ATTACHED) and not end.is_dead() and
			end.purpose() == end.purpose_at(epoch))

	def is_kept(self, it):
		"""Also of a kind that is not known: that is left alone."""
		kind = self.fact(it, KIND)
		return kind is not None and (kind & KEPT or kind & 0xff != CHANNEL)

	def decide(self, index, key):
		"""True: the object stays."""
		it = Object(index, generation_of(key))
		self.memory.fence()
		stays = self.is_used(it) or self.is_kept(it)
		self.change(index, key, NAMED if stays else FREE)
		return self.has(it)

	# --- finding and making ---

	def is_object(self, index, key, name):
		return (state_of(key) >= NAMED and self.is_called(index, key, name) and
			(state_of(key) == NAMED or self.decide(index, key)))

	def find(self, name):
		for index in self.indices:
			key = self.key(index)
			if self.is_object(index, key, name):
				return Object(index, generation_of(key))
		return None

	def stop_others(self, own, name):
		self.memory.fence()
		for index in self.indices:
			key = self.key(index)
			if index == own or not self.is_called(index, key, name):
				continue
			if state_of(key) == CLAIMED and not self.change(index, key, FREE, "stop"):
				raise Again
			if state_of(key) != CLAIMED and self.is_object(index, key, name):
				raise Again

	def is_taken(self, word):
		if not 1 <= word & LOW <= self.block.slots:
			return False
		key = self.key((word & LOW) - 1)
		return state_of(key) != FREE and generation_of(key) == word >> 32

	def take_run(self, it, first, count):
		"""The number of blocks that were taken."""
		for i in range(count):
			word = self.memory.get64(self.map + 8 * (first + i))
			if self.is_taken(word) or not self.memory.swap64(
					self.map + 8 * (first + i), word,
					it.generation << 32 | it.index + 1, f"block.{i}"):
				return i
		return count

	def take_blocks(self, it, count):
		"""The first one; None where there is no run."""
		first = 0
		while first + count <= self.block.blocks:
			got = self.take_run(it, first, count)
			if got == count:
				return first
			for i in range(first, first + got):
				self.memory.swap64(self.map + 8 * i, it.generation << 32 | it.index + 1, 0,
						   "give back")
			first += got + 1
		return None

	def free_unused(self, index):
		key = self.key(index)
		it = Object(index, generation_of(key))
		if state_of(key) == NAMED and not self.is_kept(it) and not self.is_used(it):
			key = self.change(index, key, DOOMED) or 0
		return state_of(key) == DOOMED and not self.decide(index, key)

	def make_room(self, own, keys):
		"""False: the region is full. What comes and goes is waited for elsewhere."""
		if any([self.free_unused(index) for index in self.indices]):
			return True
		freed = False
		for index in self.indices:
			key = self.key(index)
			if index != own and state_of(key) == CLAIMED:
				self.change(index, key, FREE)
				freed = True
		return freed or [self.key(index) for index in self.indices] != keys

	def fill(self, it, claim, name, kind, size, rings):
		facts = {KIND: kind, CREATOR_RING: rings[0], CONNECTOR_RING: rings[1], 5: 0, 6: 0, 7: 0}
		count = -(-size // self.block.block_size)
		self.write_name(it, claim, name)
		for which, value in facts.items():
			self.write_fact(it, claim, which, value)
		self.stop_others(it.index, name)
		keys = [self.key(index) for index in self.indices]
		first = self.take_blocks(it, count)
		if first is None:
			if not self.make_room(it.index, keys):
				self.change(it.index, claim, FREE)
				die("the region is full")
			raise Again
		self.write_fact(it, claim, FIRST, first)
		self.write_fact(it, claim, BLOCKS, count)
		if not self.change(it.index, claim, NAMED, "named"):
			raise Again

	def make(self, name, kind, size, rings=(0, 0)):
		"""None: look again whether it is there, then try again."""
		keys = [self.key(index) for index in self.indices]
		index = next((i for i in self.indices if state_of(keys[i]) == FREE), None)
		if index is None:
			if not self.make_room(None, keys):
				die("the region is full")
			return None
		claim = claim_key(keys[index])
		if not self.memory.swap64(self.at(index), keys[index], claim, "claim"):
			return None
		it = Object(index, generation_of(claim))
		try:
			self.fill(it, claim, name, kind, size, rings)
		except Again:
			self.change(index, claim, FREE)
			return None
		return it

	def remove(self, name):
		it = self.find(name)
		if not it:
			die("no such object")
		doomed = self.change(it.index, self.key(it.index), DOOMED)
		if not doomed:
			die("another program changes it")
		self.memory.fence()
		used = self.is_used(it)
		if not self.change(it.index, doomed, NAMED if used else FREE) or used:
			die("it is in use")

	def extent(self, it):
		first, count = self.fact(it, FIRST), self.fact(it, BLOCKS)
		if first is None or count is None or first + count > self.block.blocks:
			die("its facts are damaged")
		size = self.block.block_size
		return self.block.blocks_offset + first * size, count * size

	def rings(self, it):
		"""The creator's and the connector's, each with its place and size."""
		at, size = self.extent(it)
		units = [self.fact(it, CREATOR_RING), self.fact(it, CONNECTOR_RING)]
		if (self.fact(it, KIND) or 0) & 0xff != CHANNEL:
			die("it is no channel")
		if any(not unit or unit > 2**20 for unit in units) or 4096 * sum(units) > size:
			die("its facts are damaged")
		return (at, 4096 * units[0]), (at + 4096 * units[0], 4096 * units[1])

	def area(self, name):
		"""Its place and size, with a lock on it."""
		it = self.find(name)
		if not it or (self.fact(it, KIND) or 0) & 0xff != AREA:
			die("no such area")
		self.memory.lock(self.at(it.index) + 2, fcntl.F_RDLCK)
		if not self.has(it):
			die("it was removed")
		return self.extent(it)


# --- ends ---

NEVER, ATTACHING, ATTACHED, CLOSED = range(4)
WAKE_BY_FUTEX, LOCKED = 4, 8
RECEIVER, SENDER = 4, 8
BOOT_ID = uuid.UUID(open("/proc/sys/kernel/random/boot_id", encoding="ascii").read().strip()).bytes


class End:
	"""Creator's (0) or connector's (1) end of a channel."""

	def __init__(self, memory, it, side):
		self.memory = memory
		self.it = it
		self.slot = 4096 + 1024 * it.index
		self.at = self.slot + (512 if side else 128)
		self.mail = self.slot + (928 if side else 896)
		self.byte = self.slot + side

	def epoch(self):
		return self.memory.get32(self.at)

	def purpose(self):
		return self.memory.get64(self.at + 32)

	def purpose_at(self, epoch):
		return (epoch & ~3) << 32 | self.it.generation

	def is_dead(self):
		"""In state 1 or 2: is its program known to be dead?"""
		epoch = self.epoch()
		memory, at = self.memory, self.at
		if epoch % 4 == ATTACHED and not (
				memory.get32(at + 68) & LOCKED and
				memory.bytes[at + 80:at + 96] == BOOT_ID and
				memory.get64(at + 96) == memory.file.st_dev and
				memory.get64(at + 104) == memory.file.st_ino):
			return False
		return not memory.is_locked(self.byte) and self.epoch() == epoch


class OwnEnd(End):
	def __init__(self, directory, it, side):
		super().__init__(directory.memory, it, side)
		self.directory = directory
		self.locked = False
		self.own_epoch = 0

	def is_free(self, epoch, purpose):
		"""Raises Again where the answer is open."""
		if epoch % 4 in (NEVER, CLOSED) or self.is_dead():
			return True
		if epoch % 4 == ATTACHING or not self.directory.has(self.it):
			raise Again
		return purpose != self.purpose_at(epoch)

	def take_lock(self):
		for _ in range(100):
			if self.memory.lock(self.byte, fcntl.F_WRLCK):
				return True
			time.sleep(0.001)
		return False

	def drop_lock(self):
		if self.locked:
			self.memory.lock(self.byte, fcntl.F_UNLCK)

	def write_purpose(self):
		while True:
			purpose = self.purpose()
			if self.epoch() != self.own_epoch:
				raise Again
			if self.memory.swap64(self.at + 32, purpose, self.purpose_at(self.own_epoch), "purpose"):
				return

	def tell_whereabouts(self):
		memory, at = self.memory, self.at
		memory.put32(at + 64, os.getpid())
		memory.put32(at + 68, WAKE_BY_FUTEX | (LOCKED if self.locked else 0))
		memory.put32(at + 72, 0)
		memory.put32(at + 76, 0)
		memory.bytes[at + 80:at + 96] = BOOT_ID
		memory.put64(at + 96, memory.file.st_dev)
		memory.put64(at + 104, memory.file.st_ino)

	def attach(self, epoch):
		self.own_epoch = ((epoch or random.getrandbits(32)) & ~3) + 4 + ATTACHING & LOW
		if not self.memory.swap32(self.at, epoch, self.own_epoch, "epoch"):
			raise Again
		for field in (12, 16, RECEIVER, SENDER):
			self.memory.put32(self.at + field, 0)
		for field in (192, 256, 264):
			self.memory.put64(self.at + field, 0)
		self.write_purpose()
		self.tell_whereabouts()
		if not self.memory.swap32(self.at, self.own_epoch, self.own_epoch + 1, "attached"):
			raise Again
		self.own_epoch += 1

	def keep(self):
		"""The last step of taking an end."""
		self.memory.fence()
		key = self.directory.key(self.it.index)
		if generation_of(key) == self.it.generation and state_of(key) == DOOMED:
			self.directory.change(self.it.index, key, NAMED)
			key = self.directory.key(self.it.index)
		if (generation_of(key), state_of(key)) != (self.it.generation, NAMED):
			raise Again
		if self.epoch() != self.own_epoch:
			raise Again

	def take(self):
		epoch = self.epoch()
		if not self.is_free(epoch, self.purpose()):
			die("the end is taken")
		self.locked = self.take_lock()
		try:
			self.attach(epoch)
			self.keep()
		except Again:
			self.leave()
			raise

	def leave(self):
		self.memory.swap32(self.at, self.own_epoch, self.own_epoch | CLOSED, "leave")
		self.drop_lock()


def take_end(directory, name, side):
	ring = directory.block.ring_units
	for _ in range(TRIES):
		if not directory.is_current():
			die("the region was formatted again")
		it = directory.find(name)
		if not it and side == 0:
			it = directory.make(name, CHANNEL, 2 * 4096 * ring, (ring, ring))
		try:
			if it:
				end = OwnEnd(directory, it, side)
				end.take()
				return end
		except Again:
			pass
		time.sleep(0.001)
	die("others come and go for too long")


# --- sessions ---

END_OF_RING = LOW		# the length that says that the record lies at the start
UNDER_WAY = 1 << 31		# of a length: the message may still be written
PART = 10000			# of such a message


class Session:
	def __init__(self, end, side):
		rings = end.directory.rings(end.it)
		self.memory = end.memory
		self.own = end
		self.other = End(end.memory, end.it, 1 - side)
		(self.own_ring, self.own_size), (self.other_ring, self.other_size) = (
			rings if side == 0 else reversed(rings))
		self.other_epoch = 0
		self.start = 0
		self.written = self.consumed = self.read = 0
		self.sent = self.received = self.mailed = self.taken = 0
		self.begun = 0
		self.handled = {}

	def reset(self, epoch):
		"""What the other reads, once it is known to look at nothing older."""
		memory, own = self.memory, self.own
		self.start = ((own.own_epoch & ~3) * 0x9e3779b1 + (epoch & ~3) + 1 & LOW) << 32
		memory.put64(self.own_ring, 0)
		memory.put64(own.mail, 0)
		memory.put32(own.mail + 24, 0)
		memory.put64(own.at + 128, 0)
		memory.put64(own.at + 256, self.start)
		memory.put64(own.at + 192, self.start - 1)
		self.begun = memory.get64(own.at + 264) + 1
		memory.put64(own.at + 264, self.begun)
		memory.put32(own.at + 16, epoch)
		self.other_epoch = epoch

	def agree(self):
		"""True: the session has begun."""
		memory, own, other = self.memory, self.own, self.other
		epoch = other.epoch()
		if (self.other_epoch not in (0, epoch) and
				memory.get32(other.at + 20) == self.other_epoch):
			memory.put64(own.at + 192, self.start)
			return True
		if epoch % 4 != ATTACHED or other.purpose() != other.purpose_at(epoch):
			return False
		memory.put32(own.at + 12, epoch)
		if memory.get32(other.at + 12) != own.own_epoch:
			return False
		if (self.other_epoch != epoch or memory.get32(own.at + 16) != epoch or
				memory.get64(own.at + 256) != self.start or
				memory.get64(own.at + 192) != self.start - 1):
			self.reset(epoch)
		if memory.get32(other.at + 16) != own.own_epoch:
			return False
		memory.put64(own.at + 192, self.start)
		if memory.get32(other.at + 16) == own.own_epoch and other.epoch() == epoch:
			return True
		memory.put64(own.at + 192, self.start - 1)
		return False

	def begin(self):
		"""Raises Again where the end is lost before the session has begun."""
		while not self.agree():
			self.own.keep()
			time.sleep(0.0001)

	def is_over(self):
		return self.other.epoch() != self.other_epoch

	def wake(self, waiting, always=False):
		"""Whoever sleeps at the other end as a receiver or sender."""
		memory, other = self.memory, self.other
		word = memory.get32(other.at + waiting)
		if word % 4 == 1 and word != self.handled.get(waiting):
			memory.fence()
			word = memory.get32(other.at + waiting)
		if not always and (word % 4 != 2 or word == self.handled.get(waiting)):
			return
		self.handled[waiting] = word
		if memory.get32(other.at + 68) & WAKE_BY_FUTEX:
			bell = self.own.at + (24 if waiting == RECEIVER else 28)
			memory.put32(bell, memory.get32(bell) + 1)
			memory.wake(bell)

	def close(self):
		own = self.own
		self.memory.put64(own.at + 128, self.consumed)
		self.memory.put32(own.at + 20, own.own_epoch)
		own.leave()
		self.wake(RECEIVER, always=True)
		self.wake(SENDER, always=True)

	# --- sending ---

	def header(self, number, low):
		return (number & 0x7fffffff | 0x80000000) << 32 | low

	def wait_for_room(self, needed):
		"""The last 64 bytes of the ring stay empty: the oldest header may lie there."""
		while self.written + needed - self.other_consumed() > self.own_size - 64:
			if self.is_over():
				die("the other side is gone")
			time.sleep(0.00001)

	def other_consumed(self):
		consumed = self.memory.get64(self.other.at + 128)
		if consumed % 64 or consumed > self.written:
			die("it has consumed what was not sent")
		return consumed

	def send(self, message):
		if len(message) > self.own_size // 2 - 8:
			die("too long")
		if (self.memory.get64(self.own.at + 256) != self.start + self.sent or
				self.memory.get64(self.own.at + 264) != self.begun):
			die("memory went back")
		if len(message) > 1024:
			self.begun += 1
			self.memory.put64(self.own.at + 264, self.begun)
		if len(message) > 16 or not self.send_by_mail(message):
			self.send_by_ring(message)
		self.memory.put64(self.own.at + 256, self.start + self.sent)
		self.wake(RECEIVER)

	def send_by_mail(self, message):
		memory, mail = self.memory, self.own.mail
		taken = memory.get32(self.other.mail + 24) == self.mailed & LOW
		if taken:
			memory.bytes[mail + 8:mail + 8 + len(message)] = message
		memory.put32(mail + 24, self.taken)
		if not taken:
			return False
		self.sent += 1
		self.mailed += 1
		memory.put64(mail, self.header(self.sent, (self.mailed & 0xffffff) << 8 | len(message)))
		return True

	def send_by_ring(self, message):
		memory = self.memory
		record = (len(message) + 8 + 63) // 64 * 64
		at = self.written % self.own_size
		left = self.own_size - at if at + record > self.own_size else 0
		self.wait_for_room(left + record)
		self.sent += 1
		if left:
			memory.put64(self.own_ring, 0)
			memory.put64(self.own_ring + at, self.header(self.sent, END_OF_RING))
			at = 0
		place = self.own_ring + at
		if len(message) > 1024:
			memory.put64(self.own_ring + (at + record) % self.own_size, 0)
			self.write_under_way(place, message)
		else:
			memory.bytes[place + 8:place + 8 + len(message)] = message
			memory.put64(self.own_ring + (at + record) % self.own_size, 0)
			memory.put64(place, self.header(self.sent, len(message)))
		self.written += left + record

	def write_under_way(self, place, message):
		memory, progress = self.memory, self.own.at + 272
		number = (self.sent & LOW) << 32
		memory.put64(progress, number)
		memory.put64(place, self.header(self.sent, len(message) | UNDER_WAY))
		for at in range(0, len(message), PART):
			part = message[at:at + PART]
			memory.bytes[place + 8 + at:place + 8 + at + len(part)] = part
			memory.put64(progress, number | at + len(part))

	# --- receiving ---

	def take_message(self, message, consumed):
		"""False: what was read can't be counted on."""
		at = self.own.at + 192
		if self.memory.get64(at) != self.start + self.received:
			die("memory went back")
		self.received += 1
		self.memory.put64(at, self.start + self.received)
		self.consumed = consumed
		self.memory.put64(self.own.at + 128, consumed)
		return message

	def receive(self):
		"""None: there is no message yet."""
		message = self.receive_mail()
		if message is None:
			message = self.receive_record()
		if message is not None:
			self.wake(SENDER)
		return message

	def receive_mail(self):
		memory, mail = self.memory, self.other.mail
		header = memory.get64(mail)
		number = self.header(self.received + 1, 0)
		if header & ~LOW != number or header >> 8 & 0xffffff != self.taken + 1 & 0xffffff:
			return None
		length = header & 0xff
		if length > 16:
			die("too long a mail")
		message = self.take_message(memory.bytes[mail + 8:mail + 8 + length], self.consumed)
		self.taken += 1
		memory.put32(self.own.mail + 24, self.taken)
		return message

	def receive_record(self):
		number = self.header(self.received + 1, 0)
		at = self.read % self.other_size
		header = self.memory.get64(self.other_ring + at)
		if header & ~LOW != number:
			return None
		length = header & LOW
		if length == END_OF_RING and at:
			self.read += self.other_size - at
			return self.receive_record()
		under_way = length & UNDER_WAY
		length &= ~UNDER_WAY
		record = (length + 8 + 63) // 64 * 64
		if length > self.other_size // 2 - 8 or at + record > self.other_size:
			die("too long a message")
		if self.read + record - self.consumed > self.other_size:
			die("more messages than the ring can hold")
		if under_way and self.bytes_there() < length:
			return None
		self.read += record
		place = self.other_ring + at + 8
		return self.take_message(self.memory.bytes[place:place + length], self.read)

	def bytes_there(self):
		"""Of the next message, which is under way."""
		progress = self.memory.get64(self.other.at + 272)
		ahead = (progress >> 32) - (self.received + 1) & LOW
		if ahead == 0:
			return progress & LOW
		return LOW if ahead < 2**31 else 0


def open_session(directory, name, side):
	while True:
		end = take_end(directory, name, side)
		session = Session(end, side)
		try:
			session.begin()
			return session
		except Again:
			end.leave()


def send_lines(session):
	for line in sys.stdin.buffer:
		session.send(line.removesuffix(b"\n"))


def receive_all(session):
	while True:
		over = session.is_over()
		message = session.receive()
		if message is not None:
			sys.stdout.buffer.write(message + b"\n")
		elif over:
			break
	if session.memory.get32(session.other.at + 20) != session.other_epoch:
		die("the other side was lost")


# --- the command ---

def show(directory):
	block = directory.block
	print(block.label.rstrip(b"\0").decode(), uuid.UUID(bytes=block.uuid), block.slots,
	      block.ring_units * 4096)
	for index in directory.indices:
		key = directory.key(index)
		name = directory.name(index, key)
		if state_of(key) < NAMED or name is None:
			continue
		it = Object(index, generation_of(key))
		kind = directory.fact(it, KIND) or 0
		sizes = [size for _, size in directory.rings(it)] if kind & 0xff == CHANNEL else [
			directory.extent(it)[1]]
		print(name.rstrip(b"\0").decode() if is_name(name) else "?",
		      {CHANNEL: "channel", AREA: "area"}.get(kind & 0xff, "?"), *sizes,
		      *["kept"] * bool(kind & KEPT))


def make(directory, name, kind, *sizes):
	sizes = [int(size) for size in sizes]
	units = [-(-size // 4096) for size in sizes]
	for _ in range(TRIES):
		if directory.find(name):
			die("there is such an object already")
		if kind == "area":
			it = directory.make(name, AREA | KEPT, sizes[0])
		else:
			it = directory.make(name, CHANNEL | KEPT, sum(units) * 4096, units)
		if it:
			return
	die("others come and go for too long")


def use_area(directory, name, write):
	at, size = directory.area(name)
	if write:
		data = sys.stdin.buffer.read(size)
		directory.memory.bytes[at:at + len(data)] = data
	else:
		sys.stdout.buffer.write(directory.memory.bytes[at:at + size])


def use_channel(directory, name, side, what):
	session = open_session(directory, name, side)
	(send_lines if what == "send" else receive_all)(session)
	session.close()


def main(path, verb, *arguments):
	memory = Memory(path)
	if verb == "format":
		format_region(memory, int(arguments[0]))
		return
	directory = Directory(memory)
	if verb == "show":
		show(directory)
		return
	name = arguments[0].encode().ljust(56, b"\0")
	if not is_name(name) or not name[0]:
		die("no name")
	if verb == "make":
		make(directory, name, *arguments[1:])
	elif verb == "remove":
		directory.remove(name)
	elif verb in ("read", "write"):
		use_area(directory, name, verb == "write")
	else:
		use_channel(directory, name, ("create", "connect").index(verb), arguments[1])


if __name__ == "__main__":
	if len(sys.argv) < 3:
		die("see its first lines for how to use it")
	main(*sys.argv[1:])
	if "STEP" in os.environ:
		die("it came to no " + os.environ["STEP"])
