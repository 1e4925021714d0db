# SPDX-License-Identifier: MIT
#
# The table of what tests/bench/doorbells gathered: awk -f rows.awk -f doorbells.awk.
# Fails where a figure is missing.

END {
	rounds = fact("rounds") + 0
	machine()
	printf "Two guests and host programs, peers of one server. Load of the host before: %s.\n", fact("load")
	printf "Rounds: %d, interleaved; medians of them.\n", rounds
	columns()
	round_trips()
	inside()
	joins()
	uses()
	notes()
	exit missing > 0
}

function round_trip(name, link, goal) {
	percentile(name ", p50", link, "median", goal)
	percentile(name ", p99", link, "p99")
	percentile(name ", p99.9", link, "p999")
}

function percentile(name, link, which, goal) {
	row(name, "rtt/" link "/" which, "ns", 0, link == "tcp" ? "" : "rtt/tcp/" which, "of TCP", goal)
}

function round_trips() {
	print "round trip between host and guest, 64 bytes"
	round_trip("doorbells", "doorbell", "≤ 0.2")
	round_trip("doorbells, busy guest", "guest-busy", "≤ 0.2")
	round_trip("doorbells, busy host", "host-busy", "≤ 0.2")
	round_trip("doorbells, both busy", "busy", "≤ 0.2")
	round_trip("virtio-serial", "serial")
	round_trip("TCP over virtio-net", "tcp")
	print "round trip between two guests, 64 bytes"
	round_trip("doorbells", "guests")
	print "round trip between two programs of the host"
	round_trip("bare eventfds", "eventfd")
	round_trip("doorbells, 64 bytes", "programs")
}

# Parts of a round trip that the guest can measure by itself.
function inside() {
	print "within one guest"
	round_trip("eventfds of two processes", "guest-eventfd")
	round_trip("the guest rings itself", "self")
	row("a write to the doorbell", "ring/write", "ns", 0, "rtt/tcp/median", "of TCP")
}

function joins(    n, levels, i) {
	n = split("10 100 1000", levels, " ")
	print "one peer more at a server, of one vector"
	for (i = 1; i <= n; i++)
		row("joins, with " levels[i] " peers there", "join/" levels[i] "/rate", "a second", 0)
	for (i = 1; i <= n; i++)
		per_peer("server's time for a join, " levels[i] " peers", "join/" levels[i] "/time", levels[i])
	for (i = 1; i <= n; i++)
		per_peer("server's time for a leave, " levels[i] " peers", "leave/" levels[i] "/time", levels[i])
	power("a join's time grows, 10 to 100 peers", "join/10/time", "join/100/time")
	power("a join's time grows, 100 to 1000 peers", "join/100/time", "join/1000/time", "≤ 1.25")
	print "the same while 4000 peers never read, and one process connects and closes in a loop"
	row("a join, mean of 20", "attack/4000/join", "ns", 0)
	row("a join, longest of 20, goal 100 ms", "attack/4000/longest", "ns", 0)
	row("server's RSS for each that never reads", "attack/4000/rss", "bytes", 0)
}

# A row whose ratio is the figure for each peer.
function per_peer(name, key, peers,    i) {
	for (i = 1; i <= rounds; i++)
		value["peers", i] = peers
	count["peers"] = rounds
	row(name, key, "ns", 0, "peers", "ns a peer")
}

# A row that tells with which power of the number of peers a figure grows, where
# there are ten times as many.
function power(name, below, above, goal,    i, key, text) {
	if (!complete(below) || !complete(above))
		return
	key = "power/" above
	for (i = 1; i <= rounds; i++)
		value[key, i] = logarithm(value[above, i]) - logarithm(value[below, i])
	collect(key)
	text = sprintf("  %-42s %10.2f %21s  %s", name, median(),
		sprintf("%.2f .. %.2f", sorted[1], sorted[rounds]),
		"as a power; 1 is linear, 2 quadratic")
	print text (goal == "" ? "" : goal_text(median(), goal))
}

# To the base of 10. A time of 0 was not measured.
function logarithm(x) {
	return x > 0 ? log(x) / log(10) : 0
}

function uses(    n, levels, i) {
	n = split("10 100 1000", levels, " ")
	print "what a server takes for each peer, beside the kernel's own memory"
	for (i = 1; i <= n; i++)
		row("RSS, " levels[i] " peers", "peer/" levels[i] "/rss", "bytes", 0)
	for (i = 1; i <= n; i++)
		row("PSS, " levels[i] " peers", "peer/" levels[i] "/pss", "bytes", 0)
	row("descriptors, 1000 peers", "peer/1000/fds", "", 2)
}

function notes() {
	print ""
	print "Busy: looks for rings before it sleeps, see ivshmem_set_busy_poll(). With both busy" \
		"\nthere are three threads that want a processor: the two, and QEMU's main thread."
	print "A join tells each peer one message, and the newcomer one of each; that was checked." \
		"\nThe server's time is its processor time, the kernel's on its behalf included."
	if (fact("accelerator") == "tcg")
		print "With TCG a ring goes through QEMU's main thread, which wakes the processor's; the" \
			"\nguest's kernel and programs are translated, which slows a switch between processes" \
			"\nmost. With KVM the host's kernel hands interrupts to the guest by itself."
}
