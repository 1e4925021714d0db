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

	head -c 128 "$region" >"$part"
	printf "$2" | dd of="$part" bs=1 seek="$1" conv=notrunc status=none
	gzip -c "$part" | tail -c 8 | head -c 4 >>"$part"
	dd if="$part" of="$region" conv=notrunc status=none
}

@test "info shows an area that somebody has open" {
	ivshmem create "$region" --size 16M
	ivshmem format --label x --area "a:64K" "$region"
	[ "$(info '.objects[0].users | length')" = 0 ]
	run -0 ivshmem info "$region"
	grep -Eq '^a +area +64K$' <<<"$output"
	: >"$dir/go"
	python3 -c '
import fcntl, os, struct, sys, time
fd = os.open(sys.argv[1], os.O_RDONLY)
fcntl.fcntl(fd, fcntl.F_OFD_SETLK, struct.pack("hhqqixxxx", fcntl.F_RDLCK, 0, 4096 + 2, 1, 0))
while os.path.exists(sys.argv[2]): time.sleep(0.05)' "$region" "$dir/go" 3>&- &
	program=$!
	eventually bash -c 'ivshmem info --json "$region" | jq -e ".objects[0].users | length == 1"'
	[ "$(info '.objects[0].users[0].pid')" = $program ]
	run -0 ivshmem info "$region"
	rm "$dir/go"
	wait
	grep -Eq '^a +area +64K user +attached '"$program$" <<<"$output"
	[ "$(info '.objects[0].users | length')" = 0 ]
}

@test "format says nothing, and info tells label, UUID and room" {
	ivshmem create "$region" --size 16M
	[ "$(info .format)" = none ]
	run -0 --separate-stderr ivshmem format --label demo "$region"
	[ -z "$output$stderr" ]
	run -0 --separate-stderr ivshmem info "$region"
	[ -z "$stderr" ]
	grep -qE '^format +objects *$' <<<"$output"
	grep -qE '^label +demo *$' <<<"$output"
	grep -qE '^uuid +[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12} *$' <<<"$output"
	grep -qE '^objects +0 of 256 *$' <<<"$output"
	grep -qE '^free +16[0-9]{3}K *$' <<<"$output"
	[ "$(info '.label, .max_objects, (.objects | length)')" = $'demo\n256\n0' ]
}

@test "each format has a UUID of its own" {
	ivshmem create "$region" --size 1M
	ivshmem format --label one "$region"
	uuid=$(info .uuid)
	ivshmem format --label one --force "$region"
	[ "$(info .uuid)" != "$uuid" ]
}

@test "so many objects and such rings have room, and no more than fit are given" {
	ivshmem create "$region" --size 1M
	ivshmem format --label x --objects 1 --ring 256K "$region"
	[ "$(info '.max_objects, .ring_size' | xargs)" = "1 262144" ]
	ivshmem format --label x --objects 100 --ring 5000 --force "$region"
	[ "$(info '.max_objects, .ring_size' | xargs)" = "100 8192" ]
	for options in "--objects 4096" "--ring 512K"; do
		run -1 --separate-stderr ivshmem format --label x $options --force "$region"
		says "too small for so many objects or such rings"
	done
	[ "$(info .max_objects)" -eq 100 ]
	for ring in 0 5G x -1 ''; do
		run -2 --separate-stderr ivshmem format --label x --ring "$ring" /nowhere
	done
}

@test "objects are made by format and by make, with their sizes, and removed by rm" {
	ivshmem create "$region" --size 16M
	ivshmem format --label x --channel video:4M:4K --area table:1M "$region"
	ivshmem make --channel plain --area "more:100K" --channel even:64K "$region"
	[ "$(info '.objects[] | [.name, .kind, .kept, .size] | join(" ")')" = \
"video channel true 4198400
table area true 1048576
plain channel true 2097152
more area true 102400
even channel true 131072" ]
	[ "$(info '.objects[0] | .creator.ring_size, .connector.ring_size' | xargs)" = "4194304 4096" ]
	before=$(info .free)
	run -0 --separate-stderr ivshmem rm "$region" table plain
	[ -z "$output$stderr" ]
	[ "$(info .free)" -eq $((before + 1048576 + 2097152)) ]
	[ "$(info '.objects[].name' | xargs)" = "video more even" ]
	run -1 --separate-stderr ivshmem rm "$region" nothing more
	says "ivshmem: $region: 'nothing': there is no object of that name: 'ivshmem info' shows"
	[ "$(info '.objects[].name' | xargs)" = "video even" ]
	run -0 ivshmem info "$region"
	grep -qE '^video +channel +4100K +creator +free +0 +0 +0$' <<<"$output"
}

@test "an object that can't be made is told, and those before it stay" {
	ivshmem create "$region" --size 1M
	run -1 --separate-stderr ivshmem make --area a:4K "$region"
	stderr_has "'ivshmem format'"
	ivshmem format --label x "$region"
	run -1 --separate-stderr ivshmem make --area a:4K --area b:4M --area c:4K "$region"
	says "ivshmem: $region: 'b' was not made: the region has no room"
	[ "$(info '.objects[].name' | xargs)" = a ]
	run -1 --separate-stderr ivshmem make --channel a "$region"
	says "ivshmem: $region: 'a' was not made: there is an object of that name"
	run -1 --separate-stderr ivshmem make --area .x:4K "$region"
	says "a name has 1 to 55 letters"
	for option in --area=a --area=a: --area=a:x --area=:4K --area=a:4K:4K --channel= --channel=a:1:2:3; do
		run -2 --separate-stderr ivshmem make "$option" "$region"
	done
	run -2 --separate-stderr ivshmem make "$region"
	says "say what, as --channel video:64M:4K, --area table:16M, --topic state:64 or --service clock"
	run -2 --separate-stderr ivshmem rm "$region"
	says "give WHERE and NAME"
}

@test "rm refuses a channel in use, and ends it by force" {
	ivshmem create "$region" --size 1M
	ivshmem format --label x "$region"
	timeout 30 ivshmem recv --create "$region" x 2>"$dir/told" 3>&- &
	receiver=$!
	eventually bash -c '[ "$(ivshmem info --json "$region" | jq -r ".objects[0].creator.state")" = attached ]'
	run -1 --separate-stderr ivshmem rm "$region" x
	says "ivshmem: $region: 'x': a program uses it, or may"
	ivshmem rm --force "$region" x
	kill $receiver
	wait $receiver || true
}

@test "send and recv of an area say that it is no channel" {
	ivshmem create "$region" --size 1M
	ivshmem format --label x --area table:4K "$region"
	run -1 --separate-stderr ivshmem recv --timeout 0 "$region" table
	stderr_has "the object of that name is no channel"
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
		[ "$(info .format)" = objects ]
	done
}

@test "formatting a sparse file leaves it sparse" {
	ivshmem create "$region" --size 1G
	ivshmem format --label x "$region"
	[ "$(du -k "$region" | cut -f1)" -lt 2048 ]
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

@test "label and number of objects are checked before anything is opened" {
	run -2 --separate-stderr ivshmem format /nowhere
	says "ivshmem: format: --label is missing"
	for objects in 0 4097 -1 x ''; do
		run -2 --separate-stderr ivshmem format --label x --objects "$objects" /nowhere
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
	superblock_with 64 'other'
	[ "$(info .label)" = other ]
	for bytes in '../x' '\001' 'a/b' 'a\n'; do
		superblock_with 64 "$bytes"
		run -0 --separate-stderr ivshmem info "$region"
		stderr_has "the format of the region is damaged"
		grep -qE '^format +damaged *$' <<<"$output"
		run -1 --separate-stderr ivshmem recv --timeout 0 "$region" x
		says "the format of the region is damaged"
		superblock_with 64 'other'
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
	superblock_with 8 '\003'
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
	ivshmem format --label x --objects 1 "$region"
	run -1 ivshmem send --timeout 0 "$region" name
	[ "$(info '.objects[].name')" = name ]
	printf 'a\033[31m' | ivshmem write "$region" --offset $((4096 + 8))
	[ "$(info '.objects[].name')" = '?' ]
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
	superblock_with 64 '../x'
	run -1 --separate-stderr "$IVSHMEM_BUILD/ivshmem_id" "$region"
	says "ivshmem_id: $region: "
	run -1 --separate-stderr "$IVSHMEM_BUILD/ivshmem_id" "$dir/absent"
	says "ivshmem_id: "
	run -2 --separate-stderr "$IVSHMEM_BUILD/ivshmem_id"
	says usage
}
