# SPDX-License-Identifier: MIT
#
# The table of what tests/bench/channels gathered: awk -f rows.awk -f channels.awk.
# Fails where a figure is missing.

END {
	rounds = fact("rounds") + 0
	printf "Channels between two programs of one host. Linux %s, cores: %s, load before: %s.\n",
		fact("host-kernel"), fact("host-cores"), fact("load")
	printf "Rounds: %d, interleaved; medians of them.\n", rounds
	columns()
	limits()
	trips()
	one_way()
	waiting()
	exit missing > 0
}

function limits() {
	print "the limit: a cache line there and back"
	row("one line, which both write", "trip/line/8", "ns", 0)
	row("two lines, of one writer each", "trip/lines/8", "ns", 0, "trip/line/8", "of one line")
}

function text_of(bytes) {
	if (bytes < 1024)
		return bytes " bytes"
	return bytes < 1048576 ? bytes / 1024 " KiB" : bytes / 1048576 " MiB"
}

function trips(    n, lengths, i) {
	n = split("8 56 256 1024 4096 16384 65536 1048576", lengths, " ")
	for (i = 1; i <= n; i++) {
		print "round trip, " text_of(lengths[i] + 0)
		if (i == 1)
			row("channel", "trip/channel/8", "ns", 0, "trip/line/8", "of one line", "≤ 1.1")
		else if (lengths[i] < 1048576)
			row("channel", "trip/channel/" lengths[i], "ns", 0)
		else
			row("channel", "trip/channel/" lengths[i], "ns", 0,
				"trip/socket/" lengths[i], "of the UNIX socket", "≤ 0.7")
		beside("pipe", lengths[i])
		beside("UNIX socket", lengths[i], "socket")
		if (lengths[i] <= 4096)
			beside("POSIX message queue", lengths[i], "mq")
	}
}

function beside(name, size, key) {
	row(name, "trip/" (key == "" ? name : key) "/" size, "ns", 0, "trip/channel/" size, "of the channel")
}

function rate(name, how, goal) {
	row(name, "rate/" how, "a second", 0)
	collect("rate/" how)
	printf "  %-42s %s\n", "", goal " million a second: " (median() >= goal * 1e6 ? "reached" : "missed")
}

function one_way() {
	print "one way, 56 bytes"
	rate("copied: send and recv", "copied", 60)
	rate("in place: one by one", "placed", 100)
	rate("in place: 32 together", "batched", 100)
	print "one way, 1 MiB"
	row("memcpy into such memory", "move/memcpy", "MB/s", 0)
	row("in place", "move/placed", "MB/s", 0, "move/memcpy", "of memcpy", "≥ 0.9")
}

function waiting() {
	print "round trip of 8 bytes, once a millisecond, so that both sleep"
	row("channel", "sleep/channel", "ns", 0, "sleep/pipe", "of the pipe")
	row("channel, processor of who asks", "sleep/channel/cpu", "%", 2)
	row("pipe", "sleep/pipe", "ns", 0)
	row("pipe, processor of who asks", "sleep/pipe/cpu", "%", 2)
	print "a receiver to which nobody sends"
	row("processor", "idle", "%", 3)
	print "round trip of 8 bytes, beside other channels of the region"
	row("1 channel", "crowd/1", "ns", 0)
	row("1000 channels", "crowd/1000", "ns", 0, "crowd/1", "of one")
}
