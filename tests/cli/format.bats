# SPDX-License-Identifier: MIT
# shellcheck disable=SC2016,SC2154
#
# format, and what info tells of a formatted region.

load helper

info() {
	ivshmem info --json "$region" | jq -r "$1"
}

# superblock_with OFFSET BYTES: the region's superblock changed there, its CRC right.
superblock_with() {
	local part=$dir/superblock

	head -c 120 "$region" >"$part"
	printf "$2" | dd of="$part" bs=1 seek="$1" conv=notrunc status=none
	gzip -c "$part" | tail -c 8 | head -c 4 >>"$part"
	dd if="$part" of="$region" conv=notrunc status=none
}

@test "format says nothing, and info tells label, UUID and room" {
	ivshmem create "$region" --size 16M
	[ "$(info .format)" = none ]
	run -0 --separate-stderr ivshmem format --label demo "$region"
	[ -z "$output$stderr" ]
	run -0 --separate-stderr ivshmem info "$region"
	[ -z "$stderr" ]
	grep -qE '^format +channels *$' <<<"$output"
	grep -qE '^label +demo *$' <<<"$output"
	grep -qE '^uuid +[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12} *$' <<<"$output"
	grep -qE '^channels +0 of 4 *$' <<<"$output"
	[ "$(info '.label, .max_channels, (.channels | length)')" = $'demo\n4\n0' ]
}

@test "each format has a UUID of its own" {
	ivshmem create "$region" --size 1M
	ivshmem format --label one "$region"
	uuid=$(info .uuid)
	ivshmem format --label one --force "$region"
	[ "$(info .uuid)" != "$uuid" ]
}

@test "the channels share the region evenly, and no more of them than fit are given" {
	ivshmem create "$region" --size 1M
	ivshmem format --label x --channels 1 "$region"
	[ "$(info .max_channels)" -eq 1 ]
	large=$(info .ring_size)
	ivshmem format --label x --channels 100 --force "$region"
	[ "$(info .max_channels)" -eq 100 ]
	small=$(info .ring_size)
	[ $((large % 4096)) -eq 0 ] && [ $((small % 4096)) -eq 0 ]
	[ "$large" -gt $((100 * small / 2)) ]
	[ $((2 * large)) -lt 1048576 ] && [ $((200 * small)) -lt 1048576 ]
	run -1 --separate-stderr ivshmem format --label x --channels 1000 --force "$region"
	says "too small for so many channels"
	[ "$(info .max_channels)" -eq 100 ]
}

# on_full_tmpfs COMMAND...: as the last of a region of 1 MiB whose filesystem has 256 KiB
on_full_tmpfs() {
	local flags=-m script='mount -t tmpfs -o size=256K none "$dir" || exit 99
		ivshmem create "$region" --size 1M || exit 98
		"$@"'

	[ "$(id -u)" -eq 0 ] || flags=-rm
	run --separate-stderr unshare "$flags" bash -c "$script" - "$@"
	[ "$status" -ne 99 ] && [[ "$stderr" != unshare:* ]] ||
		skip "no tmpfs can be mounted here: $stderr"
}

@test "format on a full filesystem says so, and does not die of it" {
	on_full_tmpfs bash -c 'head -c 1M /dev/zero >"$dir/filler" 2>/dev/null
		ivshmem format --label full "$region"'
	[ "$status" -eq 1 ]
	says "the filesystem that holds it is full"
}

@test "info on a full filesystem tells what it can, and does not die of it" {
	on_full_tmpfs bash -c 'head -c 1M /dev/zero >"$dir/filler" 2>/dev/null
		ivshmem info "$region"'
	[ "$status" -eq 0 ]
	stdout_has "format    none"
}

@test "send and recv on a full filesystem say so, and do not die of it" {
	for command in send recv; do
		on_full_tmpfs bash -c 'ivshmem format --label full "$region" && head -c 1M /dev/zero >"$dir/filler" 2>/dev/null
			echo text | ivshmem $0 --timeout 1 "$region" a' "$command --create"
		[ "$status" -eq 1 ]
		says "the filesystem that holds it is full"
	done
}

@test "a formatted region is refused, and formatted anew by --force" {
	ivshmem create "$region" --size 1M
	ivshmem format --label first "$region"
	run -1 --separate-stderr ivshmem format --label second "$region"
	says "ivshmem: $region: the region is formatted already"
	[ "$(info .label)" = first ]
	ivshmem format --label second --force "$region"
	[ "$(info .label)" = second ]
}

@test "a region that holds something is refused wherever that is, and formatted by --force" {
	for offset in 0 5000 1048575; do
		rm -f "$region"
		ivshmem create "$region" --size 1M
		printf x | ivshmem write "$region" --offset "$offset"
		run -1 --separate-stderr ivshmem format --label x "$region"
		says "ivshmem: $region: the region holds something already"
		[ "$(info .format)" = none ]
		ivshmem format --label x --force "$region"
		[ "$(info .format)" = channels ]
	done
}

@test "formatting a sparse file leaves it sparse" {
	ivshmem create "$region" --size 1G
	ivshmem format --label x "$region"
	[ "$(du -k "$region" | cut -f1)" -lt 1024 ]
}

@test "labels are letters, digits and a few signs, and may be empty" {
	ivshmem create "$region" --size 1M
	long=$(printf 'x%.0s' {1..63})
	for label in a 0 A-b_c.d+e "$long" -- ''; do
		[ "$label" != -- ] || continue
		ivshmem format --label "$label" --force "$region"
		[ "$(info .label)" = "$label" ]
	done
	for label in .a . .. a/b 'a b' $'a\nb' ä 'a%' "${long}x"; do
		run -2 --separate-stderr ivshmem format --label "$label" --force "$region"
		says "is no label"
		[ "$(info .label)" = '' ]
	done
}

@test "label and channels are checked before anything is opened" {
	run -2 --separate-stderr ivshmem format /nowhere
	says "ivshmem: format: --label is missing"
	for channels in 0 4097 -1 x ''; do
		run -2 --separate-stderr ivshmem format --label x --channels "$channels" /nowhere
		says "is not a number from 1 to 4096"
	done
}

@test "a region that is too small for one channel is refused" {
	ivshmem create "$region" --size 8K
	run -1 --separate-stderr ivshmem format --label x "$region"
	says "ivshmem: $region: "
	[ "$(info .format)" = none ]
}

@test "a label from the other side that is none makes the format damaged" {
	ivshmem create "$region" --size 1M
	ivshmem format --label label "$region"
	superblock_with 56 'other'
	[ "$(info .label)" = other ]
	for bytes in '../x' '\001' 'a/b' 'a\n'; do
		superblock_with 56 "$bytes"
		run -0 --separate-stderr ivshmem info "$region"
		stderr_has "the format of the region is damaged"
		grep -qE '^format +damaged *$' <<<"$output"
		run -1 --separate-stderr ivshmem recv --timeout 0 "$region" x
		says "the format of the region is damaged"
		superblock_with 56 'other'
	done
}

@test "a superblock with one wrong bit is damaged, and a newer one is newer" {
	ivshmem create "$region" --size 1M
	ivshmem format --label label "$region"
	printf '\377' | ivshmem write "$region" --offset 41
	run -0 --separate-stderr ivshmem info --json "$region"
	stderr_has "'ivshmem format --force'"
	[ "$(jq -r '.format, .label' <<<"$output")" = $'damaged\nnull' ]
	ivshmem format --label label --force "$region"
	superblock_with 8 '\002'
	run -0 --separate-stderr ivshmem info --json "$region"
	stderr_has "by a newer version"
	[ "$(jq -r .format <<<"$output")" = newer ]
	run -1 --separate-stderr ivshmem format --label label "$region"
	says "formatted already"
}

@test "a read-only file is refused" {
	ivshmem create "$region" --size 1M --mode 0400
	run -1 --separate-stderr without_override "$IVSHMEM_BUILD/ivshmem" format --label x "$region"
	says "ivshmem: $region: "
}

@test "info escapes nothing of a channel's name: what is no name reads as ?" {
	ivshmem create "$region" --size 1M
	ivshmem format --label x --channels 1 "$region"
	run -1 ivshmem send --timeout 0 "$region" name
	[ "$(info '.channels[].name')" = name ]
	printf 'a\033[31m' | ivshmem write "$region" --offset $((4096 + 8))
	[ "$(info '.channels[].name')" = '?' ]
	run -0 ivshmem info "$region"
	[[ "$output" != *$'\033'* ]]
}

@test "ivshmem_id prints label and UUID for udev, and nothing of a raw region" {
	ivshmem create "$region" --size 1M
	run -0 --separate-stderr "$IVSHMEM_BUILD/ivshmem_id" "$region"
	[ -z "$output$stderr" ]
	printf text | ivshmem write "$region"
	run -0 --separate-stderr "$IVSHMEM_BUILD/ivshmem_id" "$region"
	[ -z "$output$stderr" ]
	ivshmem format --label demo --force "$region"
	run -0 --separate-stderr "$IVSHMEM_BUILD/ivshmem_id" "$region"
	[ -z "$stderr" ]
	[ "$output" = "IVSHMEM_LABEL=demo
IVSHMEM_UUID=$(info .uuid)" ]
	ivshmem format --label '' --force "$region"
	run -0 "$IVSHMEM_BUILD/ivshmem_id" "$region"
	[ "$output" = "IVSHMEM_UUID=$(info .uuid)" ]
	superblock_with 56 '../x'
	run -1 --separate-stderr "$IVSHMEM_BUILD/ivshmem_id" "$region"
	says "ivshmem_id: $region: "
	run -1 --separate-stderr "$IVSHMEM_BUILD/ivshmem_id" "$dir/absent"
	says "ivshmem_id: "
	run -2 --separate-stderr "$IVSHMEM_BUILD/ivshmem_id"
	says usage
}
