# SPDX-License-Identifier: MIT
#
# The table of what tests/bench/services gathered: awk -f rows.awk -f services.awk. Fails where
# a figure is missing.

END {
	rounds = fact("rounds") + 0
	printf "A service of one thread, in a region with room for 4096 objects. Linux %s, cores: %s, load before: %s.\n",
		fact("host-kernel"), fact("host-cores"), fact("load")
	printf "Rounds: %d, interleaved; medians of them.\n", rounds
	columns()
	for (i = 1; i <= rounds; i++) {
		value["rate/0", i] = 1e9 / (value["connect/0", i] + value["close/0", i])
		value["rate/1000", i] = 1e9 / (value["connect/1000", i] + value["close/1000", i])
	}
	count["rate/0"] = count["rate/1000"] = rounds
	print "one more client, beside so many that are connected"
	times("connect")
	times("close")
	row("connects in a second, beside none", "rate/0", "1/s", 0)
	row("connects in a second, beside 1000", "rate/1000", "1/s", 0)
	print "for each client, of 100 and of 1000"
	memory("heap of its program", "heap", "bytes")
	memory("page tables of its program", "tables", "bytes")
	memory("mappings of its program", "mappings", "")
	memory("of the region, rings of 4K", "region", "bytes")
	exit missing > 0
}

function times(what,    n, counts, i) {
	n = split("0 10 100 1000", counts, " ")
	for (i = 1; i <= n; i++)
		row(what ", beside " counts[i], what "/" counts[i], "ns", 0,
			i > 1 ? what "/0" : "", "of beside none")
}

function memory(text, key, unit) {
	row(text ", 100", key "/100", unit, 1)
	row(text ", 1000", key "/1000", unit, 1, key "/100", "of 100")
}
