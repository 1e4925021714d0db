# SPDX-License-Identifier: MIT
#
# Makes rows out of what a benchmark gathered, lines "KEY VALUE", where a measured
# key comes once a round. A ratio is taken within each round, and the median of
# those is shown. The other half says which rows: region.awk, doorbells.awk.

{
	key = $0
	sub(/ [^ ]*$/, "", key)
	value[key, ++count[key]] = $NF
}

function fact(key) {
	return value[key, 1]
}

function machine() {
	printf "Guest: Linux %s, cores: %s, QEMU %s, accelerator %s. Host: Linux %s, cores: %s.\n",
		fact("guest-kernel"), fact("guest-cores"), fact("qemu"), fact("accelerator"),
		fact("host-kernel"), fact("host-cores")
}

function columns() {
	printf "\n%-44s %10s %21s  %-8s %7s\n", "", "median", "least .. most", "", "ratio"
}

# A row: the figure, its unit and digits, its ratio to another one, a goal for that
# ("≥ 300", "≤ 0.2").
function row(name, key, unit, digits, other, of, goal,    text) {
	if (!complete(key) || (other != "" && !complete(other)))
		return
	collect(key)
	text = sprintf("  %-42s %10.*f %21s  %-8s", name, digits, median(),
		sprintf("%.*f .. %.*f", digits, sorted[1], digits, sorted[rounds]), unit)
	if (other != "")
		text = text ratio_text(key, other, of, goal)
	sub(/ +$/, "", text)
	print text
}

function ratio_text(key, other, of, goal,    r, text) {
	if (of ~ /^times/)
		collect_ratio(other, key)
	else
		collect_ratio(key, other)
	r = median()
	text = sprintf(r < 10 ? " %7.2f  %s" : " %7.0f  %s", r, of)
	if (goal != "")
		text = text goal_text(r, goal)
	return text
}

function goal_text(x, goal,    part, reached) {
	split(goal, part, " ")
	reached = part[1] == "≤" ? x <= part[2] + 0 : x >= part[2] + 0
	return sprintf(", goal %s: %s", goal, reached ? "reached" : "missed")
}

function complete(key) {
	if (count[key] == rounds && rounds)
		return 1
	printf "ivshmem: bench: %s: %d of %d rounds\n", key, count[key], rounds >"/dev/stderr"
	missing++
	return 0
}

function collect(key,    i) {
	for (i = 1; i <= rounds; i++)
		sorted[i] = value[key, i] + 0
	sort()
}

# A denominator of 0 (no page fault at all) makes no ratio.
function collect_ratio(above, below,    i) {
	for (i = 1; i <= rounds; i++)
		sorted[i] = value[below, i] + 0 ? value[above, i] / value[below, i] : 0
	sort()
}

function sort(    i, j, x) {
	for (i = 2; i <= rounds; i++) {
		x = sorted[i]
		for (j = i - 1; j >= 1 && sorted[j] > x; j--)
			sorted[j + 1] = sorted[j]
		sorted[j + 1] = x
	}
}

function median() {
	return (sorted[int((rounds + 1) / 2)] + sorted[int((rounds + 2) / 2)]) / 2
}
