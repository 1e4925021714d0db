# SPDX-License-Identifier: MIT
#
# The table of what tests/bench/run gathered: awk -f rows.awk -f region.awk. Fails
# where a figure is missing.

END {
	rounds = value["rounds", 1] + 0
	size = value["size", 1]
	head()
	copies("guest", "ivshmem resource2 anonymous anonymous-4k")
	copies("host", "file anonymous")
	mappings()
	round_trips()
	notes()
	exit missing > 0
}

function head() {
	machine()
	printf "Region of %s MiB; /dev/ivshmem0 maps it by \"%s\", cached \"%s\".\n",
		size, fact("mapping"), fact("cache")
	printf "Rounds: %d, interleaved; medians of them. Huge pages for anonymous memory: %s.\n",
		rounds, fact("huge")
	columns()
}

function label(source) {
	if (source == "ivshmem")
		return "/dev/ivshmem0"
	if (source == "file")
		return "the region's file"
	if (source == "anonymous")
		return "anonymous memory"
	if (source == "anonymous-4k")
		return "anonymous memory, no huge pages"
	return source
}

function copies(side, sources,    directions, blocks, list, n, d, b, i, start) {
	split("into|out of", directions, "|")
	split("4096 1048576 16777216", blocks, " ")
	n = split(sources, list, " ")
	for (d = 1; d <= 2; d++)
		for (b = 1; b <= 3; b++) {
			printf "memcpy %s, blocks of %s, %s\n", directions[d],
				(blocks[b] < 1048576 ? blocks[b] / 1024 " KiB" : blocks[b] / 1048576 " MiB"), side
			start = "copy/" side "/"
			for (i = 1; i <= n; i++)
				row(label(list[i]), start list[i] "/" directions[d] "/" blocks[b], "MB/s", 0,
					list[i] == "anonymous" ? "" : start "anonymous/" directions[d] "/" blocks[b],
					"of anonymous", list[i] == "ivshmem" ? "≥ 0.95" : "")
		}
}

function mapping(what, text, unit, digits,    list, n, i) {
	print text
	n = split("ivshmem resource2 anonymous anonymous-4k", list, " ")
	for (i = 1; i <= n; i++)
		row(label(list[i]), "map/" list[i] "/" what, unit, digits,
			list[i] == "anonymous" ? "" : "map/anonymous/" what, "of anonymous")
}

function mappings() {
	mapping("mmap", "mmap of " size " MiB, guest", "ns/page", 0)
	mapping("touch", "first touch of each page", "ns/page", 0)
	mapping("munmap", "munmap", "ns/page", 0)
	mapping("total", "mmap, first touch and munmap", "ns/page", 0)
	mapping("faults", "page faults for " size " MiB", "faults", 0)
	mapping("tables", "page tables for 1 GiB", "KiB", 0)
}

function round_trip(name, link, goal) {
	row(name ", median", "rtt/" link "/median", "ns", 0, link == "tcp" ? "" : "rtt/tcp/median",
		"times quicker than TCP", goal)
	row(name ", p99", "rtt/" link "/p99", "ns", 0, link == "tcp" ? "" : "rtt/tcp/p99",
		"times quicker than TCP")
}

function round_trips() {
	print "round trip between host and guest"
	round_trip("region, one cache line", "line", "≥ 300")
	round_trip("region, 64 bytes", "message")
	round_trip("channel, 8 bytes", "channel", "≥ 300")
	round_trip("channel, 64 bytes", "channel-64")
	row("channel, 8 bytes, beside the cache line", "rtt/channel/median", "ns", 0, "rtt/line/median",
		"of the line", "≤ 1.1")
	row("channel, 64 bytes, beside the region", "rtt/channel-64/median", "ns", 0,
		"rtt/message/median", "of the region", "≤ 1.3")
	round_trip("virtio-serial, 64 bytes", "serial")
	round_trip("TCP over virtio-net, 64 bytes", "tcp")
	print "the limit: between two processes of the host"
	round_trip("the region's file, one cache line", "limit")
}

function notes() {
	print ""
	if (fact("accelerator") == "tcg")
		print "TCG does not model cache types: uncached memory is as quick as any other here," \
			"\nand resource2 looks better than it is on hardware."
	print "The round trip over a cache line grows with the distance of the two cores; compare" \
		"\nit with the limit."
}
