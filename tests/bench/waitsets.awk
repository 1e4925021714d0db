# SPDX-License-Identifier: MIT
#
# The table of what tests/bench/waitsets gathered: awk -f rows.awk -f waitsets.awk. Fails where
# a figure is missing.

END {
	rounds = fact("rounds") + 0
	printf "Questions by one of many channels in a wait set. Linux %s, cores: %s, load before: %s.\n",
		fact("host-kernel"), fact("host-cores"), fact("load")
	printf "Rounds: %d, interleaved; medians of them.\n", rounds
	columns()
	part("futex")
	part("doorbell")
	exit missing > 0
}

function part(how) {
	print "by " how (how == "doorbell" ? ", one vector" : "")
	rows("until the answer, the server awake", "ask/" how, "/busy", "ns", 0)
	rows("until the answer, the server asleep", "ask/" how, "/rare", "ns", 0)
	rows("sleeps of the server for each", "sleeps/" how, "/rare", "", 2)
	rows("system calls of both for each", "calls/" how, "", "", 2)
}

function rows(text, from, to, unit, digits,    n, counts, i) {
	row(text ", no set", from "/0" to, unit, digits)
	n = split("1 50 1000", counts, " ")
	for (i = 1; i <= n; i++)
		row(text ", of " counts[i], from "/" counts[i] to, unit, digits, from "/0" to,
			"of no set")
}
