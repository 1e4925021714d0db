# SPDX-License-Identifier: MIT
#
# The table of what tests/bench/kvm gathered. "Idle" is the same time with both sides
# looking at memory; what is above that was caused. The names of the hardware's reasons
# are those of AMD's processors, and of KVM for what goes to QEMU.

BEGIN {
	split("96 external interrupt|100 interrupt window|112 RFLAGS pushed|114 CPUID|116 interrupt return|" \
		"120 HLT|123 port|124 MSR|1024 nested page fault", list, "|")
	for (i in list) {
		code = list[i] + 0
		sub(/^[0-9]+ /, "", list[i])
		reason["exit", code] = list[i]
	}
	split("2 port|5 HLT|6 memory of a device|10 signal|24 system event", list, "|")
	for (i in list) {
		code = list[i] + 0
		sub(/^[0-9]+ /, "", list[i])
		reason["user", code] = "to QEMU: " list[i]
	}
	gauge["pf_fixed"] = "entries made in the nested page table"
	gauge["pages_4k"] = "more entries of 4 KiB in it"
	gauge["pages_2m"] = "more entries of 2 MiB in it"
	gauge["pages_1g"] = "more entries of 1 GiB in it"
	title["ring-from-guest"] = "rings from the guest"
	title["ring-busy"] = "rings from the host, of a guest whose processor is busy"
	title["ring-asleep"] = "rings from the host, of a guest that sleeps"
	title["channel"] = "messages through a channel, half of them each way, both ends awake"
	title["touch-small"] = "first touch of 1 GiB, in /dev/shm"
	title["touch-large"] = "first touch of 1 GiB, in a tmpfs with huge=always"
	title["touch-aligned"] = "first touch of 1 GiB, in a tmpfs with huge=always, mapped by QEMU with align=2M"
	title["touch-pool"] = "first touch of 1 GiB, in hugetlbfs, pages of 2 MiB"
}

!/\// { value[$1] = $2; next }

{
	split($1, part, "/")
	if (part[2] == "count")
		order[++measurements] = part[1]
	if (part[2] == "count" || part[2] == "ms")
		value[part[1], part[2]] = $2
	else {
		number[part[1], part[2], part[3], part[4]] = $2
		if (!known[part[3], part[4]]++)
			keys[++n] = part[3] SUBSEP part[4]
	}
}

function name(kind, key) {
	if (kind == "kvm")
		return gauge[key]
	if ((kind, key) in reason)
		return reason[kind, key]
	return (kind == "user" ? "to QEMU: " : "") "reason " key
}

function row(text, busy, idle, count) {
	printf "  %-42s %10d %10d", text, busy, idle
	if (count > 1)
		printf " %12.3f\n", (busy - idle) * 1000 / count
	else
		printf " %12d\n", busy - idle
}

function block(m,    i, key, busy, idle, count, exits, users, all, user_all, skip) {
	count = value[m, "count"]
	printf "%s%s\n", (count > 1 ? count " " : ""), title[m]
	for (i = 1; i <= n; i++) {
		split(keys[i], key, SUBSEP)
		busy = number[m, "busy", key[1], key[2]]
		idle = number[m, "idle", key[1], key[2]]
		if (key[1] == "exit") { exits += busy; all += idle }
		if (key[1] == "user") { users += busy; user_all += idle }
		if (key[1] == "kvm" ? m ~ /^touch/ && (busy || idle) : busy || idle)
			row(name(key[1], key[2]), busy, idle, count)
	}
	row("all exits", exits, all, count)
	row("of them to QEMU", users, user_all, count)
}

END {
	printf "Guest: Linux %s, cores: %s. Host: Linux %s, cores: %s, QEMU %s, accelerator %s.\n",
		value["guest-kernel"], value["guest-cores"], value["host-kernel"], value["host-cores"],
		value["qemu"], value["accelerator"]
	print "Exits of the guest's processor. Idle: in the same time, while both sides look at memory."
	print "Caused: the difference, for each 1,000 rings or messages, or for all of the touching."
	printf "\n%-44s %10s %10s %12s\n", "", "counted", "idle", "caused"
	for (i = 1; i <= measurements; i++)
		block(order[i])
	exit !measurements
}
