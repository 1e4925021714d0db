# SPDX-License-Identifier: MIT
# shellcheck disable=SC2016,SC2154

load helper

@test "qemu prints the arguments for a file, on one line" {
	ivshmem create "$region" --size 64M
	run -0 --separate-stderr ivshmem qemu "$region"
	[ -z "$stderr" ]
	[ "$output" = "-object memory-backend-file,id=ivshmem,share=on,mem-path=$region,size=64M,align=2M -device ivshmem-plain,memdev=ivshmem" ]
}

@test "qemu states the size in the largest unit that divides it" {
	for size in 4K 8M 2G 1T; do
		run -0 ivshmem qemu "$dir/absent" --size "$size"
		[[ "$output" =~ ,size=${size}[,\ ] ]]
	done
	run -0 ivshmem qemu "$dir/absent" --size 1024K
	stdout_has ",size=1M "
	run -0 ivshmem qemu "$dir/absent" --size 0x100000
	stdout_has ",size=1M "
}

@test "qemu aligns what holds a huge page, whether the file is there or not" {
	for size in 2M 64M; do
		run -0 ivshmem qemu "$dir/absent" --size "$size"
		stdout_has ",size=$size,align=2M "
		ivshmem create "$dir/$size" --size "$size"
		run -0 ivshmem qemu "$dir/$size"
		stdout_has ",size=$size,align=2M "
	done
	run -0 ivshmem qemu "$dir/absent" --size 1M
	stdout_has ",size=1M "
}

# QEMU refuses an alignment to less than the file's pages.
@test "qemu leaves it to QEMU to align a file whose pages are larger" {
	unshare --mount mount -t hugetlbfs -o pagesize=1G none "$dir" 2>/dev/null ||
		skip "no hugetlbfs with pages of 1 GiB here"
	# shellcheck disable=SC2016
	run -0 unshare --mount sh -ec 'mount -t hugetlbfs -o pagesize=1G none "$0"
		ivshmem qemu "$0/absent" --size 1G
		truncate --size 1G "$0/region"
		ivshmem qemu "$0/region"' "$dir"
	[ "${#lines[@]}" -eq 2 ]
	for line in "${lines[@]}"; do
		[[ "$line" == *,size=1G\ * ]]
	done
}

@test "qemu takes an ID and an ACPI index" {
	ivshmem create "$region" --size 4K
	run -0 ivshmem qemu "$region" --id video-0 --acpi-index 7
	[ "$output" = "-object memory-backend-file,id=video-0,share=on,mem-path=$region,size=4K -device ivshmem-plain,memdev=video-0,acpi-index=7" ]
}

@test "qemu --master on and off tell QEMU, and without it nothing is said" {
	ivshmem create "$region" --size 4K
	for master in on off; do
		run -0 ivshmem qemu "$region" --master $master
		[[ "$output" == *" -device ivshmem-plain,memdev=ivshmem,master=$master" ]]
		run -0 ivshmem qemu --doorbell --socket "$dir/server" --master $master
		[[ "$output" == *" -device ivshmem-doorbell,chardev=ivshmem,vectors=1,master=$master" ]]
	done
	run -0 ivshmem qemu "$region"
	[[ "$output" != *master* ]]
}

@test "qemu and libvirt refuse another --master than on and off" {
	for verb in qemu libvirt; do
		for master in "" auto ON yes; do
			run -2 --separate-stderr ivshmem $verb "$region" --size 4K --master="$master"
			says "ivshmem: $verb: --master '$master' is neither 'on' nor 'off'"
		done
	done
}

@test "qemu --root-port prints a port that reserves twice the region, where that is more than 2M" {
	run -0 ivshmem qemu "$region" --size 2M --root-port slot1
	[ "$output" = "-device pcie-root-port,id=slot1,chassis=1 -object memory-backend-file,id=ivshmem,share=on,mem-path=$region,size=2M,align=2M -device ivshmem-plain,memdev=ivshmem,bus=slot1" ]
	run -0 ivshmem qemu "$region" --size 4M --root-port slot1 --chassis 7 --acpi-index 3
	[[ "$output" == "-device pcie-root-port,id=slot1,chassis=7,pref64-reserve=8M -object "*" -device ivshmem-plain,memdev=ivshmem,bus=slot1,acpi-index=3" ]]
}

@test "qemu --root-port asks the server how large its region is" {
	run -1 --separate-stderr ivshmem qemu --doorbell --socket "$dir/server" --root-port slot1
	says "ivshmem: unix:$dir/server: no such socket: 'ivshmem serve' makes one"
	[ -z "$output" ]
	ivshmem serve --socket "$dir/server" --size 64M 2>"$dir/log" 3>&- &
	server=$!
	eventually test -S "$dir/server"
	run -0 ivshmem qemu --doorbell --socket "$dir/server" --root-port slot1
	kill $server
	wait $server
	[ "$output" = "-device pcie-root-port,id=slot1,chassis=1,pref64-reserve=128M -chardev socket,id=ivshmem,path=$dir/server -device ivshmem-doorbell,chardev=ivshmem,vectors=1,bus=slot1" ]
}

@test "qemu refuses a bad root port, a bad chassis, and one without the other" {
	run -2 --separate-stderr ivshmem qemu "$region" --size 4K --root-port 1
	says "--root-port '1' is no ID"
	run -2 --separate-stderr ivshmem qemu "$region" --size 4K --root-port x --id x
	says "--root-port and --id are to be two IDs"
	for chassis in "" 256 -1 x; do
		run -2 --separate-stderr ivshmem qemu "$region" --size 4K --root-port x --chassis="$chassis"
		says "--chassis '$chassis' is not a number from 0 to 255"
	done
	run -2 --separate-stderr ivshmem qemu "$region" --size 4K --chassis 2
	says "--chassis is for --root-port"
}

@test "qemu prints the node and the allocation of the memory" {
	run -0 ivshmem qemu --size 1M "$region" --numa-node 1 --preallocate
	[ "$output" = "-object memory-backend-file,id=ivshmem,share=on,mem-path=$region,size=1M,host-nodes=1,policy=bind,prealloc=on -device ivshmem-plain,memdev=ivshmem" ]
	run -0 ivshmem qemu --size 1M "$region" --preallocate
	stdout_has "size=1M,prealloc=on -device"
	for option in "--numa-node 0" --preallocate; do
		# shellcheck disable=SC2086
		run -2 --separate-stderr ivshmem qemu --doorbell --socket /run/x $option
		says "with --doorbell the server has the memory"
	done
}

@test "qemu refuses a bad ID" {
	ivshmem create "$region" --size 4K
	for id in "" 0a -a a,b "a b" "a=b" ä; do
		run -2 --separate-stderr ivshmem qemu "$region" --id="$id"
		says "--id '$id' is no ID"
	done
}

@test "qemu refuses a bad ACPI index" {
	ivshmem create "$region" --size 4K
	for index in "" 0 16384 -1 +1 x 1x 0x1 " 1" 4294967297 99999999999999999999; do
		run -2 --separate-stderr ivshmem qemu "$region" --acpi-index="$index"
		says "--acpi-index '$index' is not a number from 1 to 16383"
	done
	run -0 ivshmem qemu "$region" --acpi-index=16383
}

@test "qemu needs a size for a file that is not there" {
	run -2 --separate-stderr ivshmem qemu "$dir/absent"
	says "ivshmem: $dir/absent: no such file: say how large"
}

@test "qemu refuses a size that the file does not have" {
	ivshmem create "$region" --size 8K
	run -1 --separate-stderr ivshmem qemu "$region" --size 16K
	says "the file has 8K, not 16K"
	run -0 ivshmem qemu "$region" --size 8K
}

@test "qemu refuses what is not a power of two" {
	run -2 --separate-stderr ivshmem qemu "$region" --size 48M
	says "the next one is 64M"
	truncate -s 48M "$region"
	run -1 --separate-stderr ivshmem qemu "$region"
	says "the next one is 64M"
}

@test "qemu refuses what is not a file" {
	mkfifo "$dir/fifo"
	for path in "$dir" "$dir/fifo" /dev/null "$dir/fifo/x"; do
		run -1 --separate-stderr ivshmem qemu "$path" --size 4K
		says "ivshmem: $path: "
	done
	: >"$dir/empty"
	run -1 --separate-stderr ivshmem qemu "$dir/empty"
	says "the file is empty"
}

@test "qemu makes a relative path absolute" {
	cd "$dir"
	run -0 ivshmem qemu region --size 4K
	stdout_has ",mem-path=$dir/region,size=4K "
}

@test "qemu quotes for the shell, and doubles commas" {
	name="a b,c'd\$e\"f\\g*;h
i"
	ivshmem create "$dir/$name" --size 4K
	run -0 ivshmem qemu "$dir/$name"
	eval "set -- $output"
	[ "$#" -eq 4 ]
	[ "$1 $3" = "-object -device" ]
	[ "$2" = "memory-backend-file,id=ivshmem,share=on,mem-path=$dir/${name/,/,,},size=4K" ]
}

@test "QEMU takes the arguments" {
	qemu=$(command -v qemu-system-x86_64) || skip "no qemu-system-x86_64"
	name="a b,c'd"
	ivshmem create "$dir/$name" --size 2M
	run -0 ivshmem qemu "$dir/$name" --acpi-index 7
	stdout_has ",align=2M' "
	eval "set -- $output"
	# shellcheck disable=SC2030
	run -0 timeout 60 "$qemu" -machine pc,accel=tcg -nodefaults -display none \
		-S -monitor stdio "$@" <<<"info pci
quit"
	stdout_has "1af4:1110"
	run -0 ivshmem qemu "$dir/$name" --master on --root-port slot1
	eval "set -- $output"
	# shellcheck disable=SC2030,SC2031
	run -0 timeout 60 "$qemu" -machine q35,accel=tcg -nodefaults -display none \
		-S -monitor stdio "$@" <<<"info qtree
quit"
	stdout_has 'master = "on"'
	stdout_has 'dev: ivshmem-plain'
}
