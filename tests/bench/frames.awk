# SPDX-License-Identifier: MIT
#
# The table of what tests/bench/frames gathered: awk -f rows.awk -f frames.awk. Fails where a
# figure is missing.

END {
	rounds = fact("rounds") + 0
	print "Frames of 8 MiB by a topic."
	machine()
	printf "Rounds: %d, interleaved; medians of them.\n", rounds
	columns()
	print "to write, on the host, while a guest holds each"
	row("memcpy into such memory", "frame/memcpy", "MB/s", 0)
	row("in place, published", "frame/placed", "MB/s", 0, "frame/memcpy", "of memcpy", "≥ 0.95")
	print "to read, in the guest, a frame that is there"
	row("copied", "view/copied", "ns", 0)
	row("held in place and released, no copy", "view/held", "ns", 0, "view/copied", "of the copy")
	print "from publishing to who takes the newest, host"
	row("alone, median", "newest/0/median", "ns", 0)
	row("alone, p99", "newest/0/p99", "ns", 0)
	row("beside 3 that hold each 100 ms, median", "newest/3/median", "ns", 0, "newest/0/median",
		"of alone", "≤ 1.2")
	row("beside 3 that hold each 100 ms, p99", "newest/3/p99", "ns", 0, "newest/0/p99", "of alone")
	exit missing > 0
}
