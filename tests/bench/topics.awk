# SPDX-License-Identifier: MIT
#
# The table of what tests/bench/topics gathered: awk -f rows.awk -f topics.awk. Fails where
# a figure is missing.

END {
	rounds = fact("rounds") + 0
	printf "Topics between two programs of one host. Linux %s, cores: %s, load before: %s.\n",
		fact("host-kernel"), fact("host-cores"), fact("load")
	printf "Rounds: %d, interleaved; medians of them. One way is half a round trip.\n", rounds
	columns()
	one_way(8, "8 bytes")
	one_way(64, "64 bytes")
	one_way(8192, "8 KiB")
	exit missing > 0
}

function one_way(size, text) {
	length_now = size
	print "one way, " text
	way("line", size > 64 ? "memory alone" : "one cache line, the limit")
	way("topic", "topic", "line", "of the limit", size > 64 ? "" : "≤ 1.2")
	if (size > 64)
		way("topic_in_place", "topic, in place", "line", "of the limit")
	beside("ck", "ck_ring")
	beside("rte", "rte_ring")
	beside("boost_lockfree", "Boost, lock-free queue")
	beside("iceoryx", "iceoryx, in place")
	beside("boost_interprocess", "Boost, interprocess queue")
	beside("pipe", "pipe")
	beside("socket", "UNIX socket")
	beside("zmq", "ZeroMQ, ipc")
}

function way(name, text, other, of, goal,    key) {
	key = "way/" name "/" length_now
	row(text ", median", key "/median", "ns", 0, other == "" ? "" : "way/" other "/" length_now "/median",
		of, goal)
	row(text ", p99", key "/p99", "ns", 0, other == "" ? "" : "way/" other "/" length_now "/p99", of)
}

function beside(name, text,    ours) {
	ours = name == "iceoryx" && length_now > 64 ? "topic_in_place" : "topic"
	if (fact("absent/" name) != "")
		printf "  %-42s not measured: not installed: %s\n", text, fact("absent/" name)
	else
		way(name, text, ours, ours == "topic" ? "of the topic" : "of the topic in place", "≥ 1")
}
