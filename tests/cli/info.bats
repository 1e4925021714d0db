# SPDX-License-Identifier: MIT
# shellcheck disable=SC2016,SC2154

load helper

@test "info tells the facts of a host region" {
	ivshmem create "$region" --size 64M
	run -0 --separate-stderr ivshmem info "$region"
	[ -z "$stderr" ]
	facts=$(tr -s ' ' <<<"$output" | sed 's/ $//')
	[ "$facts" = "side host
path $region
location $region
size 64M
kind plain
mapping file
cache write-back
page_size 4K
sealed no
format none" ]
}

@test "info --json tells the same, with the size in bytes" {
	ivshmem create "$region" --size 64M
	run -0 --separate-stderr ivshmem info --json "$region"
	[ -z "$stderr" ]
	[ "$(jq -c . <<<"$output")" = "{\"side\":\"host\",\"path\":\"$region\",\"location\":\"$region\",\"size\":67108864,\"kind\":\"plain\",\"mapping\":\"file\",\"cache\":\"write-back\",\"page_size\":4096,\"sealed\":false,\"format\":\"none\"}" ]
}

@test "info knows sizes beyond 32 bits" {
	ivshmem create "$region" --size 8G
	run -0 ivshmem info "$region"
	stdout_has " 8G"
	run -0 bash -c 'ivshmem info --json "$region" | jq .size'
	[ "$output" = 8589934592 ]
}

@test "info --json escapes what JSON must" {
	name="$dir/quote\" back\\slash	tab"
	ivshmem create "$name" --size 4K
	run -0 bash -c 'ivshmem info --json "$1" | jq -r .path' - "$name"
	[ "$output" = "$name" ]
}

@test "info --json is UTF-8 whatever the path is" {
	name="$dir/"$'\xff r\xc3\xa9gion \xe2\x82'
	ivshmem create "$name" --size 4K
	run -0 bash -c 'ivshmem info --json "$1" | iconv -f UTF-8 -t UTF-8 | jq -r .path' - "$name"
	[ "$output" = "$dir/"$'\\xff r\xc3\xa9gion \\xe2\\x82' ]
}

@test "info follows the relative path, and shows the absolute one" {
	ivshmem create "$region" --size 4K
	cd "$dir"
	run -0 bash -c 'ivshmem info --json ./region | jq -r .path'
	[ "$output" = "$region" ]
}

@test "info needs no permission to write" {
	ivshmem create "$region" --size 4K --mode 0400
	run -0 without_override "$IVSHMEM_BUILD/ivshmem" info "$region"
}

@test "info without permission fails" {
	ivshmem create "$region" --size 4K --mode 0
	run -1 --separate-stderr without_override "$IVSHMEM_BUILD/ivshmem" info "$region"
	says "ivshmem: $region: "
}

@test "info of what is no region fails, and names it" {
	mkfifo "$dir/fifo"
	: >"$dir/empty"
	printf x >"$dir/odd"
	for where in "$dir/absent" "$dir" "$dir/fifo" "$dir/empty" "$dir/odd" /dev/null; do
		run -1 --separate-stderr timeout 10 ivshmem info "$where"
		says "ivshmem: $where: "
		[ "${#stderr_lines[@]}" -eq 1 ]
	done
}

@test "info of a file that is absent, or of an odd size, says what that means" {
	run -1 --separate-stderr ivshmem info "$region"
	says "ivshmem: $region: there is no such file or device: 'ivshmem create' makes"
	printf x >"$region"
	run -1 --separate-stderr ivshmem info "$region"
	says "ivshmem: $region: this is no region: its size is not a multiple"
}
