# SPDX-License-Identifier: MIT
#
# The table of what tests/bench/mappings gathered: awk -f rows.awk -f mappings.awk.
# Fails where a figure is missing.

END {
	rounds = value["rounds", 1] + 0
	head()
	first_touch()
	rest()
	random_reads()
	spans()
	direct()
	if (fact("accelerator") == "tcg")
		print "\nTCG does not model cache types, nor the misses of a processor's TLB."
	exit missing > 0
}

function head() {
	machine()
	printf "Region of 1 GiB; pages: %s, entries up to %d KiB; pfn: %s, entries up to %d KiB.\n",
		fact("pages-cache"), fact("pages-entries") / 1024,
		fact("pfn-cache"), fact("pfn-entries") / 1024
	printf "Rounds: %d, interleaved; medians of them.\n", rounds
	columns()
}

function label(source) {
	if (source == "pages" || source == "pfn")
		return "/dev/ivshmem0, by " source
	if (source == "anonymous")
		return "anonymous memory, huge pages"
	if (source == "anonymous-4k")
		return "anonymous memory, no huge pages"
	if (source == "shared-4k")
		return "memfd that is filled, 4 KiB faults"
	return source
}

# Faults alone: the memfd's pages are there, as the region's are.
function first_touch() {
	print "mmap, first touch of each page of 1 GiB"
	list = "pages pfn resource2 anonymous anonymous-4k shared-4k"
	n = split(list, sources, " ")
	for (i = 1; i <= n; i++)
		row(label(sources[i]), "map/" sources[i] "/touch", "ns/page", 1,
			sources[i] == "pages" || sources[i] == "pfn" ? "map/shared-4k/touch" : "",
			"times quicker than 4 KiB faults", sources[i] == "pages" ? "≥ 10" : "")
}

function part(text, what, unit) {
	print text
	for (i = 1; i <= n; i++)
		row(label(sources[i]), "map/" sources[i] "/" what, unit, what == "faults" || what == "tables" ? 0 : 1)
}

function rest() {
	part("page faults for 1 GiB", "faults", "faults")
	part("page tables for 1 GiB", "tables", "KiB")
	part("mmap alone", "mmap", "ns/page")
	part("munmap", "munmap", "ns/page")
}

function random_reads() {
	print "random reads of 64 bytes over 1 GiB"
	row(label("pages"), "random/pages", "ns", 1, "random/anonymous",
		"of anonymous huge pages", "≤ 1.05")
	row(label("pfn"), "random/pfn", "ns", 1, "random/beside-pfn", "of anonymous huge pages")
	row(label("resource2"), "random/resource2", "ns", 1, "random/anonymous",
		"of anonymous huge pages")
	row(label("anonymous"), "random/anonymous", "ns", 1)
	row(label("anonymous-4k"), "random/anonymous-4k", "ns", 1, "random/anonymous",
		"of anonymous huge pages")
}

function spans() {
	print "mmap, touch of one page, munmap"
	for (i = 1; i <= 2; i++) {
		row(label(sources[i]) ", 1 MiB", "span/" sources[i] "/1", "ns", 0)
		row(label(sources[i]) ", 1 GiB", "span/" sources[i] "/1024", "ns", 0)
		row(label(sources[i]) ", 16 GiB", "span/" sources[i] "/16384", "ns", 0,
			"span/" sources[i] "/1024", "of 1 GiB", "≤ 1.1")
	}
}

function direct() {
	print "O_DIRECT from a disk, blocks of 1 MiB"
	row(label("pages"), "direct/pages", "MB/s", 0, "direct/anonymous", "of anonymous huge pages", "≥ 1")
	row(label("anonymous"), "direct/anonymous", "MB/s", 0)
	row(label("anonymous-4k"), "direct/anonymous-4k", "MB/s", 0)
}
