# SPDX-License-Identifier: MIT
#
# The table of what tests/bench/fanout gathered: awk -f rows.awk -f fanout.awk. Fails where a
# figure is missing.

END {
	rounds = fact("rounds") + 0
	printf "A topic with one publisher. Linux %s, cores: %s, load before: %s.\n",
		fact("host-kernel"), fact("host-cores"), fact("load")
	printf "Rounds: %d, interleaved; medians of them. Messages have 64 bytes.\n", rounds
	columns()
	costs("overwriting", "overwriting")
	costs("lossless", "lossless")
	costs("lockstep", "lossless, a history of 2: all are looked at each time")
	print "a subscriber to which nobody publishes"
	idle("processor", "idle/subscriber")
	idle("processor, region open for reading only", "idle/reader")
	exit missing > 0
}

function costs(how, text,    n, counts, i, key) {
	n = split("0 1 4 16 64 256", counts, " ")
	print "to publish, " text
	for (i = 1; i <= n; i++)
		row(counts[i] + 0 == 1 ? "1 subscriber" : counts[i] " subscribers",
			"publish/" how "/" counts[i], "ns", 1,
			i > 2 ? "publish/" how "/1" : "", "of one")
	for (i = 1; i <= rounds; i++)
		value["each/" how, i] = (value["publish/" how "/256", i] - value["publish/" how "/1", i]) / 255
	count["each/" how] = rounds
	row("for each more subscriber", "each/" how, "ns", 2)
	goal_line(how == "overwriting" ? 1 : 20, "ns")
	instructions(how, counts, n)
}

# Of the row before, whose median is known.
function goal_line(most, unit) {
	printf "  %-42s %s\n", "", "goal ≤ " most " " unit ": " (median() <= most ? "reached" : "missed")
}

# The same in each run, so there are no rounds.
function instructions(how, counts, n,    i, text) {
	for (i = 1; i <= n; i++)
		text = text (text == "" ? "" : ", ") fact("instructions/" how "/" counts[i])
	if (fact("instructions/" how "/0") == "")
		text = "not counted: valgrind is not installed"
	printf "  %-42s %s\n", "instructions, of the same", text
}

function idle(text, key) {
	row(text, key, "%", 3)
	goal_line(0.1, "%")
}
