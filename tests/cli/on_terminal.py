#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""Runs a command on a terminal of its own, and does with it what the steps say.

Use: on_terminal.py COMMAND STEP...   The command is one for the shell. Steps:

    see TEXT        wait until TEXT is on the screen
    miss TEXT       wait until it is not
    press KEYS      type them
    size ROWSxCOLS  give the terminal another size
    run COMMAND     run another command meanwhile, elsewhere; it must succeed
    kill NAME       send it this signal, as TERM
    end STATUS      wait until the command has ended, with this exit status

The screen is that of a VT100, as far as ncurses makes use of it. What fails is told, with
the screen.
"""

import fcntl
import os
import pty
import re
import select
import signal
import struct
import subprocess
import sys
import termios
import time

PATIENCE = 30
SEQUENCE = re.compile(r"\x1b\[(\??)([0-9;]*)([A-Za-z])|\x1b[()][0-9A-Za-z]|\x1b[=>78]|\x1b[DM]")


class Screen:
	"""What a VT100 shows."""

	def __init__(self, rows, columns):
		self.rest = ""
		self.resize(rows, columns)

	def resize(self, rows, columns):
		self.rows, self.columns = rows, columns
		self.row = self.column = 0
		self.saved = 0, 0
		self.top, self.bottom = 0, rows - 1
		self.cells = [[" "] * columns for _ in range(rows)]

	def text(self):
		return "\n".join("".join(line).rstrip() for line in self.cells)

	def feed(self, text):
		text = self.rest + text
		at = 0
		while at < len(text):
			if text[at] == "\x1b":
				found = SEQUENCE.match(text, at)
				if not found:
					break
				self.control(found)
				at = found.end()
				continue
			self.put(text[at])
			at += 1
		self.rest = text[at:]

	def put(self, char):
		if char == "\r":
			self.column = 0
		elif char == "\n":
			self.down()
		elif char == "\b":
			self.column = max(self.column - 1, 0)
		elif char == "\t":
			self.column = min(self.column // 8 * 8 + 8, self.columns - 1)
		elif char >= " ":
			if self.column < self.columns:
				self.cells[self.row][self.column] = char
			self.column = min(self.column + 1, self.columns)

	def down(self):
		if self.row == self.bottom:
			del self.cells[self.top]
			self.cells.insert(self.bottom, [" "] * self.columns)
		else:
			self.row = min(self.row + 1, self.rows - 1)

	def up(self):
		if self.row == self.top:
			del self.cells[self.bottom]
			self.cells.insert(self.top, [" "] * self.columns)
		else:
			self.row = max(self.row - 1, 0)

	def erase(self, row, start, end):
		for column in range(start, end):
			self.cells[row][column] = " "

	def control(self, found):
		mark, numbers, kind = found.group(1, 2, 3)
		if found.group() == "\x1bD":
			self.down()
		if found.group() == "\x1b7":
			self.saved = self.row, self.column
		if found.group() == "\x1b8":
			self.row, self.column = self.saved
		if found.group() == "\x1bM":
			self.up()
		if kind is None or mark:
			return
		numbers = [int(number or 0) for number in numbers.split(";")]
		count = max(numbers[0], 1)
		if kind == "H":
			self.row = min(count, self.rows) - 1
			self.column = min(max(numbers[1], 1) if len(numbers) > 1 else 1, self.columns) - 1
		elif kind == "A":
			self.row = max(self.row - count, 0)
		elif kind == "B":
			self.row = min(self.row + count, self.rows - 1)
		elif kind == "C":
			self.column = min(self.column + count, self.columns - 1)
		elif kind == "D":
			self.column = max(self.column - count, 0)
		elif kind == "r":
			self.top = count - 1
			self.bottom = (numbers[1] if len(numbers) > 1 and numbers[1] else self.rows) - 1
			self.row = self.column = 0
		elif kind == "K":
			start = self.column if numbers[0] == 0 else 0
			end = self.column + 1 if numbers[0] == 1 else self.columns
			self.erase(self.row, start, end)
		elif kind == "J":
			if numbers[0] == 0:
				self.erase(self.row, self.column, self.columns)
			for row in range(self.row + 1 if numbers[0] == 0 else 0, self.rows):
				self.erase(row, 0, self.columns)


def set_size(fd, rows, columns):
	fcntl.ioctl(fd, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))


class Terminal:
	def __init__(self, command):
		self.screen = Screen(24, 100)
		self.pid, self.fd = pty.fork()
		if not self.pid:
			os.environ["TERM"] = os.environ.get("TEST_TERM", "vt100")
			set_size(0, 24, 100)
			os.execv("/bin/sh", ["sh", "-c", "exec " + command])
		self.status = None

	def fail(self, what):
		sys.exit("%s. The screen:\n%s" % (what, self.screen.text()))

	def listen(self, seconds):
		if not select.select([self.fd], [], [], seconds)[0]:
			return True
		try:
			data = os.read(self.fd, 65536)
		except OSError:
			data = b""
		self.screen.feed(data.decode(errors="replace"))
		return bool(data)

	def until(self, what, is_so):
		end = time.monotonic() + PATIENCE
		while not is_so():
			if time.monotonic() > end:
				self.fail("no " + what)
			if not self.listen(0.1) and not is_so():
				self.fail("it has ended: no " + what)

	def see(self, text):
		self.until("'%s'" % text, lambda: text in self.screen.text())

	def miss(self, text):
		self.until("screen without '%s'" % text, lambda: text not in self.screen.text())

	def press(self, keys):
		os.write(self.fd, keys.encode().decode("unicode_escape").encode())

	def size(self, size):
		rows, columns = map(int, size.split("x"))
		self.screen.resize(rows, columns)
		set_size(self.fd, rows, columns)

	def kill(self, name):
		os.kill(self.pid, getattr(signal, "SIG" + name))

	def run(self, command):
		if subprocess.call(command, shell=True, stdin=subprocess.DEVNULL):
			self.fail("'%s' has failed" % command)

	def end(self, status):
		end = time.monotonic() + PATIENCE
		while True:
			pid, code = os.waitpid(self.pid, os.WNOHANG)
			if pid:
				break
			if time.monotonic() > end:
				os.kill(self.pid, signal.SIGKILL)
				self.fail("it does not end")
			self.listen(0.1)
		if os.WIFSIGNALED(code):
			code = 128 + os.WTERMSIG(code)
		else:
			code = os.WEXITSTATUS(code)
		if code != int(status):
			self.fail("exit status %d, not %s" % (code, status))


def main(command, *steps):
	terminal = Terminal(command)
	for step in steps:
		verb, _, argument = step.partition(" ")
		getattr(terminal, verb)(argument)


main(*sys.argv[1:])
