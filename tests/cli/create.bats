# SPDX-License-Identifier: MIT
# shellcheck disable=SC2016,SC2154

load helper

@test "create makes a file of zeroes, silently" {
	run -0 --separate-stderr ivshmem create "$region" --size 64M
	[ -z "$output$stderr" ]
	[ "$(stat -c %s "$region")" -eq 67108864 ]
	cmp -n 67108864 "$region" /dev/zero
}

@test "create takes every way to write a size" {
	for size in 8192 8k 8K 8KiB 8kib 0x2000 0X2000 0x8K; do
		ivshmem create "$dir/$size" --size "$size"
		[ "$(stat -c %s "$dir/$size")" -eq 8192 ]
	done
	ivshmem create -s 1T "$dir/tera"
	[ "$(stat -c %s "$dir/tera")" -eq 1099511627776 ]
}

@test "create refuses what is not a size" {
	for size in "" x 1.5G 64MB 64Mi 64MiBx 64B 16E 1P -1 -4096 +4096 " 4096" \
		    "4096 " 4096,0 0x 0xg 0x-1 0x0x10 K 4KK "4 K" ∞; do
		run -2 --separate-stderr ivshmem create "$region" --size "$size"
		says "--size '$size' is not a number of bytes"
		[ ! -e "$region" ]
	done
}

@test "create refuses sizes beyond 64 bits" {
	for size in 18446744073709551616 99999999999999999999999 0x10000000000000000 \
		    16777216T 18014398509481984K 17592186044416MiB; do
		run -2 --separate-stderr ivshmem create "$region" --size "$size"
		says "--size '$size' is too large"
		[ ! -e "$region" ]
	done
}

@test "create offers the next power of two" {
	while read -r size better; do
		run -2 --separate-stderr ivshmem create "$region" --size "$size"
		says "not a power of two"
		stderr_has "the next one is $better"
		[ ! -e "$region" ]
	done <<-SIZES
		48M 64M
		$(($(getconf PAGESIZE) + 1)) $(($(getconf PAGESIZE) / 512))K
		67108865 128M
		1025M 2G
	SIZES
}

@test "create refuses less than a page" {
	for size in 0 1 1K; do
		run -2 --separate-stderr ivshmem create "$region" --size "$size"
		says "the smallest region is $(($(getconf PAGESIZE) / 1024))K"
	done
	[ ! -e "$region" ]
}

@test "create refuses a size that no file can have" {
	run -2 --separate-stderr ivshmem create "$region" --size 18446744073709551615
	says "too large"
	run -1 --separate-stderr ivshmem create "$region" --size 8388608T
	says "ivshmem: $region: "
	[ ! -e "$region" ]
}

@test "create without a size is misuse" {
	run -2 --separate-stderr ivshmem create "$region"
	says "--size is missing"
	[ ! -e "$region" ]
}

@test "create makes the file for its owner alone, whatever the umask" {
	umask 0
	ivshmem create "$region" --size 4K
	[ "$(stat -c %a "$region")" = 600 ]
}

@test "create gives exactly the mode it was told" {
	umask 077
	for mode in 0660 666 0400 0 0777; do
		ivshmem create "$dir/$mode" --size 4K --mode "$mode"
		[ "$((8#$(stat -c %a "$dir/$mode")))" -eq "$((8#$mode))" ]
	done
}

@test "create refuses what is not a mode" {
	for mode in "" 8 0668 rw -1 +7 01000 7777 99999999999999999999999 "0660 "; do
		run -2 --separate-stderr ivshmem create "$region" --size 4K --mode "$mode"
		says "--mode '$mode' is not a mode"
		[ ! -e "$region" ]
	done
}

@test "create --group gives the file to a group, and opens it to that group" {
	group=$(id -gn)
	if [ "$(id -u)" -eq 0 ]; then
		group=daemon
	fi
	ivshmem create "$region" --size 4K --group "$group"
	[ "$(stat -c '%G %a' "$region")" = "$group 660" ]
	ivshmem create "$region.2" --size 4K --group "$group" --mode 640
	[ "$(stat -c '%G %a' "$region.2")" = "$group 640" ]
	ivshmem create "$region.3" --size 4K --group "$(stat -c %g "$region")"
	[ "$(stat -c '%G %a' "$region.3")" = "$group 660" ]
}

@test "create --group refuses a group that does not exist" {
	run -2 --separate-stderr ivshmem create "$region" --size 4K --group no-such-group
	says "there is no such group"
	[ ! -e "$region" ]
}

@test "create --group leaves no file where the caller is not in the group" {
	run_as=()
	if [ "$(id -u)" -eq 0 ]; then
		run_as=(setpriv --bounding-set=-chown --inh-caps=-chown --clear-groups)
	elif id -Gn | grep -qw daemon; then
		skip "this user is in the group daemon"
	fi
	run -1 --separate-stderr "${run_as[@]}" "$IVSHMEM_BUILD/ivshmem" \
		create "$region" --size 4K --group daemon
	says "can't be given to the group daemon"
	[ ! -e "$region" ]
}

@test "create refuses a file that exists, and leaves it alone" {
	printf 'precious' >"$region"
	run -1 --separate-stderr ivshmem create "$region" --size 4K
	says "ivshmem: $region: the file exists"
	stderr_has "--exist-ok"
	[ "$(cat "$region")" = precious ]
}

@test "create --exist-ok takes a file of this size as it is" {
	ivshmem create "$region" --size 8K --exist-ok --mode 0640
	printf 'precious' | ivshmem write "$region"
	ivshmem create "$region" --size 8K --exist-ok --mode 0600
	[ "$(head -c 8 "$region")" = precious ]
	[ "$(stat -c %a "$region")" = 640 ]
}

@test "create --exist-ok refuses another size, and leaves the file alone" {
	ivshmem create "$region" --size 8K
	run -1 --separate-stderr ivshmem create "$region" --size 64K --exist-ok
	says "exists at another size than 64K"
	[ "$(stat -c %s "$region")" -eq 8192 ]
}

@test "create is sparse, and --preallocate is not" {
	ivshmem create "$dir/sparse" --size 8M
	ivshmem create "$dir/whole" --size 8M --preallocate
	[ "$(stat -c %b "$dir/sparse")" -eq 0 ]
	[ "$(stat -c '%b * %B' "$dir/whole")" = "16384 * 512" ]
}

@test "create --numa-node takes a node that is there, and names one that is not" {
	ivshmem create "$region" --size 2M --numa-node 0 --preallocate
	[ "$(stat -c %b "$region")" -eq 4096 ]
	rm "$region"
	ivshmem create "$region" --size 2M --numa-node 0
	[ "$(stat -c %b "$region")" -eq 0 ]
	rm "$region"
	run -1 --separate-stderr ivshmem create "$region" --size 2M --numa-node 1023
	says "there is no NUMA node 1023 with memory"
	[ ! -e "$region" ]
	for node in -1 1024 x ""; do
		run -2 --separate-stderr ivshmem create "$region" --size 2M --numa-node "$node"
		says "--numa-node '$node' is not a number from 0 to 1023"
	done
}

@test "create --numa-node without room on the node fails, and leaves no file" {
	run -1 --separate-stderr ivshmem create "$region" --size 4T --numa-node 0 --preallocate
	says "not enough free memory to preallocate it on this NUMA node"
	[ ! -e "$region" ]
}

@test "create --numa-node refuses a filesystem that forgets it" {
	folder=$(mktemp -d "$BATS_TEST_DIRNAME/../../build/numa.XXXXXX")
	case $(stat -f -c %T "$folder") in
	tmpfs | hugetlbfs) rmdir "$folder"; skip "the build folder is on such a filesystem" ;;
	esac
	run -1 --separate-stderr ivshmem create "$folder/region" --size 2M --numa-node 0
	[ ! -e "$folder/region" ]
	rmdir "$folder"
	stderr_has "the filesystem keeps no memory on a NUMA node: put the file into /dev/shm"
}

@test "create --preallocate without room fails, and leaves no file" {
	run -1 --separate-stderr ivshmem create "$region" --size 4T --preallocate
	says "ivshmem: $region: no room for 4T"
	[ ! -e "$region" ]
}

@test "create in an absent folder fails" {
	run -1 --separate-stderr ivshmem create "$dir/absent/region" --size 4K
	says "ivshmem: $dir/absent/region: the folder does not exist"
}

@test "create without permission in the folder fails" {
	chmod 0555 "$dir"
	run -1 --separate-stderr without_override "$IVSHMEM_BUILD/ivshmem" \
		create "$region" --size 4K
	chmod 0755 "$dir"
	says "ivshmem: $region: no permission"
	[ ! -e "$region" ]
}
