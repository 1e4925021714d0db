# SPDX-License-Identifier: MIT
# shellcheck disable=SC2016,SC2154
#
# Commands that messages, manual pages and README.md name are those that there are.
# tests/vm/advice.bats types what is advised about devices, and looks whether it helps.

load helper

# named_in_messages: 'ivshmem ...' in the strings of the sources
named_in_messages() {
	# A string may go on in the next line.
	cat "$tree"/userspace/{cli,server,text,lib/errors,examples}/*.c | tr -d '\n' |
		sed -E 's/"[[:space:]]+"//g' | grep -oE "'ivshmem [^'\"]+'" | tr -d "'"
}

# named_in_pages: what stands in the code of documents
named_in_pages() {
	sed -nE '/^```/,/^```/{ s/.*(ivshmem [a-z]+ [^|<>&#]*).*/\1/p }' \
		"$tree/README.md" "$tree"/userspace/man/*.scd
	grep -oE '`ivshmem [a-z]+ [^`]*`' "$tree/README.md" | tr -d '`'
}

# exists COMMAND LINE: with values in place of their names, the command takes these
# options; what it would do with WHERE is not tried. What "answer" runs has its own.
exists() {
	local words
	read -ra words <<<"$(sed -E 's/^ivshmem (%s|VERB)/ivshmem list/; s/%s|PATH|NAME/x/g; s/libvirt-qemu|kvm/root/g; s/\$\(.*//; s/\b(N|%u)\b/1/g; s/\b(SIZE|LENGTH)\b/4K/g; s/["'"'"')]//g; s/ \.\.\.//; s/^(ivshmem answer( -[^ ]+( [0-9]+)?)*).*/\1/' <<<"$*")"
	run timeout 10 "${words[@]}" --help </dev/null
	if [ "$status" -ne 0 ] || [[ "$output" != "Usage: ivshmem ${words[1]} "* ]]; then
		echo "named, and refused: $* ($output)"
		return 1
	fi
}

check_all() {
	local line count=0
	while read -r line; do
		[[ $line != 'ivshmem --help' ]] || continue
		exists "$line"
		count=$((count + 1))
	done
	[ "$count" -ge "$1" ]
}

@test "each command that a message names is there, with its options" {
	check_all 30 < <(named_in_messages)
}

@test "each command that the documents name is there, with its options" {
	check_all 40 < <(named_in_pages)
}
