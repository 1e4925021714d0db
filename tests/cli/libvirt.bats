# SPDX-License-Identifier: MIT
# shellcheck disable=SC2016,SC2154

load helper

# libvirt knows files directly in /dev/shm alone.
setup() {
	region=$(mktemp -u /dev/shm/ivshmem-cli.XXXXXX)
	dir=$region.dir
	mkdir "$dir"
	export dir region
}

teardown() {
	rm -rf "$dir" "$region"*
}

@test "libvirt prints the element for a file in /dev/shm" {
	ivshmem create "$region" --size 64M
	run -0 --separate-stderr ivshmem libvirt "$region"
	[ -z "$stderr" ]
	[ "$output" = "<shmem name='${region##*/}'>
  <model type='ivshmem-plain'/>
  <size unit='M'>64</size>
</shmem>" ]
}

@test "libvirt calls --master the role, and says none without it" {
	run -0 ivshmem libvirt "$region" --size 4M --master on
	[ "${lines[0]}" = "<shmem name='${region##*/}' role='master'>" ]
	run -0 ivshmem libvirt "$region" --size 4M --master off
	[ "${lines[0]}" = "<shmem name='${region##*/}' role='peer'>" ]
	run -0 --separate-stderr ivshmem libvirt --doorbell --socket "$dir/server" --master off demo
	[ "${lines[0]}" = "<shmem name='demo' role='peer'>" ]
	[ -z "$stderr" ]
}

@test "libvirt --doorbell --master on says that libvirt does not tell QEMU" {
	run -0 --separate-stderr ivshmem libvirt --doorbell --socket "$dir/server" --master on demo
	[ "${lines[0]}" = "<shmem name='demo' role='master'>" ]
	stderr_has "libvirt does not tell QEMU the role of a doorbell device: add a <qemu:override>"
}

@test "libvirt states large sizes in their own unit" {
	run -0 ivshmem libvirt "$region" --size 2G
	stdout_has "<size unit='G'>2</size>"
	run -0 ivshmem libvirt "$region" --size 1024K
	stdout_has "<size unit='M'>1</size>"
}

@test "libvirt escapes what XML must, and the result parses" {
	name="$region<&>\"'"
	ivshmem create "$name" --size 1M
	run -0 ivshmem libvirt "$name"
	stdout_has "name='${region##*/}&lt;&amp;&gt;&quot;&apos;'"
	! command -v xmllint >/dev/null || xmllint --noout - <<<"$output"
}

@test "libvirt takes other ways to write /dev/shm" {
	cd /dev/shm
	for path in "${region##*/}" "./${region##*/}" "/dev//shm/${region##*/}" \
		    "/dev/shm/../shm/${region##*/}"; do
		run -0 ivshmem libvirt "$path" --size 1M
		stdout_has "<shmem name='${region##*/}'>"
	done
}

@test "libvirt explains that it knows no other folder" {
	: >"$dir/region"
	for path in "$dir/region" /tmp/region /nowhere/region; do
		run -1 --separate-stderr ivshmem libvirt "$path" --size 1M
		says "ivshmem: $path: libvirt's <shmem> takes files directly in /dev/shm only"
	done
	for path in /dev/shm/ /dev/shm/. /dev/shm/..; do
		run -1 --separate-stderr ivshmem libvirt "$path" --size 1M
		says "this is a folder"
	done
}

@test "libvirt refuses what libvirt refuses: less than 1M" {
	run -1 --separate-stderr ivshmem libvirt "$region" --size 512K
	says "less than 1M"
}

@test "libvirt refuses what is not a power of two" {
	run -2 --separate-stderr ivshmem libvirt "$region" --size 3M
	says "the next one is 4M"
	truncate -s 3M "$region"
	run -1 --separate-stderr ivshmem libvirt "$region"
	says "the next one is 4M"
}

@test "libvirt needs a size for a file that is not there" {
	run -2 --separate-stderr ivshmem libvirt "$region"
	says "no such file: say how large"
}

@test "libvirt refuses control characters, which XML can't hold" {
	run -1 --separate-stderr ivshmem libvirt "$region"$'\n' --size 1M
	says "control characters"
}
