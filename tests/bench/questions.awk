# SPDX-License-Identifier: MIT
#
# The table of what tests/bench/questions gathered: awk -f rows.awk -f questions.awk. Fails
# where a figure is missing.

END {
	rounds = fact("rounds") + 0
	printf "Questions of 64 bytes and their answers, by a channel. Linux %s, cores: %s, load before: %s.\n",
		fact("host-kernel"), fact("host-cores"), fact("load")
	printf "Rounds: %d, interleaved; medians of them. The rings fill the region.\n", rounds
	columns()
	questions(64, "≤ 1.3")
	questions(4, "")
	exit missing > 0
}

function questions(size, goal,    n, sizes, i, line, first) {
	n = split("256K 1M 8M 64M", sizes, " ")
	line = "ask/line/64/" size
	first = "ask/" sizes[1] "/64/" size
	print "question of 64 bytes, answer of " size
	row("a cache line of each end, median", line "/median", "ns", 0)
	row("a cache line of each end, p99", line "/p99", "ns", 0)
	for (i = 1; i <= n; i++)
		row("region of " sizes[i] ", median", "ask/" sizes[i] "/64/" size "/median", "ns", 0,
			line "/median", "of the lines", goal)
	for (i = 1; i <= n; i++)
		row("region of " sizes[i] ", p99", "ask/" sizes[i] "/64/" size "/p99", "ns", 0,
			i > 1 ? first "/p99" : "", "of " sizes[1], i == n ? "≤ 1.2" : "")
	printf "  %-42s not measured: LGMP is in no package\n", "LGMP's queue"
}
