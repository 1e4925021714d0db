# SPDX-License-Identifier: MIT
# shellcheck shell=bash
#
# The packages of one suite of Debian in machines that boot from a disk, with a kernel and
# systemd of their own, and no network: what a user of a guest, and of a host, types. The
# name of this file tells the suite: each is a link to it. The packages are those that
# suite.bats has left in build/packages. Each test goes on where the one before ended.

bats_require_minimum_version 1.5.0

setup_file() {
	cd "$BATS_TEST_DIRNAME/../.." || return
	suite=$(basename "$BATS_TEST_FILENAME" -machine.bats)
	out=$PWD/build/packages/$suite
	version=$(sed -n '1s/^ivshmem-\(.*\)$/\1/p' build/packages/name)
	newer=${version%.*}.$((${version##*.} + 1))
	REGIONS=$(mktemp -d /dev/shm/ivshmem-test.XXXXXX)
	export suite out version newer REGIONS
	build/ivshmem create "$REGIONS/plain" --size 4M
	build/ivshmem serve --socket "$REGIONS/server" --size 4M --vectors 2 3>&- 2>"$REGIONS/log" &
	echo $! >"$REGIONS/pid"
	until [[ -S $REGIONS/server ]]; do sleep 0.05; done
	build/ivshmem format --label demo "unix:$REGIONS/server"
}

setup() {
	cd "$BATS_TEST_DIRNAME/../.." || return
	. tests/packages/machines.bash
}

teardown_file() {
	cd "$BATS_TEST_DIRNAME/../.." || return
	. tests/packages/machines.bash
	for MACHINE in "$BATS_FILE_TMPDIR"/*/; do
		[[ ! -e $MACHINE/vm ]] || VM_DIR=$(<"$MACHINE/vm") vm_kill
	done
	kill "$(<"$REGIONS/pid")"
	rm -rf "$REGIONS"
}

# machine NAME: the machine that is meant from here on
machine() {
	export MACHINE=$BATS_FILE_TMPDIR/$1
	[[ ! -e $MACHINE/vm ]] || VM_DIR=$(<"$MACHINE/vm")
}

# A guest has a plain device, and one with a doorbell.
guest_boot() {
	machine_boot -object "memory-backend-file,id=plain,share=on,mem-path=$REGIONS/plain,size=4M" \
		-device ivshmem-plain,memdev=plain,addr=4 \
		-chardev "socket,id=server,path=$REGIONS/server" \
		-device ivshmem-doorbell,chardev=server,vectors=2,addr=5
	machine_ready
}

host() {
	timeout $((600 * VM_PATIENCE)) build/ivshmem "$@"
}

# guest_says SECONDS SCRIPT: it succeeds; what it prints is $output, and shown if the test fails
guest_says() {
	run guest_within "$@"
	echo "$output"
	return "$status"
}

# user_does SCRIPT: in the guest, by a user who is in the group, and not root
user_does() {
	guest_within 300 "{ id -nG user | grep -qw ivshmem || adduser --quiet user ivshmem >/dev/null; } && runuser -u user -- sh -c '$1'"
}

# Something new each time, by memory alone and by a channel.
message_passes() {
	local text="Hello, $BATS_TEST_NUMBER!"
	echo "$text" | host write "$REGIONS/plain"
	[[ $(user_does "ivshmem read /dev/ivshmem/by-path/pci-0000:00:04.0 --length ${#text}") == "$text" ]]
	echo "$text" | host send "unix:$REGIONS/server" news 3>&- &
	[[ $(user_does "ivshmem recv /dev/ivshmem/by-label/demo news") == "$text" ]]
	wait $!
}

# What is installed, what DKMS has built for the kernel that runs, and signed, and what is
# loaded.
version_is() {
	[[ $(guest 'dpkg-query -W -f "\${Version}" ivshmem-dkms') == "$1"-* ]]
	[[ $(guest 'modinfo -F version ivshmem') == "$1" ]]
	[[ $(guest 'modinfo -F signer ivshmem') == "DKMS module signing key" ]]
	[[ $(guest 'cat /sys/module/ivshmem/version') == "$1" ]]
}

@test "apt install in a guest makes node, group and names, and loads the module, with no restart" {
	machine guest
	machine_new "$suite" "$out" "$out-newer" "$IVSHMEM_CACHE/machines/$suite"/{base,updates}
	guest_boot
	guest '[ ! -e /sys/module/ivshmem ] && ! getent group ivshmem'
	machine_apt base
	machine_apt "$suite"
	guest_says 3600 'apt-get install -y -qq ivshmem-dkms ivshmem-tools 2>&1
		cd /dev && stat -c "%n %F %G %a" ivshmem0 ivshmem1
		readlink ivshmem/by-path/pci-0000:00:04.0 ivshmem/by-path/pci-0000:00:05.0 ivshmem/by-label/demo'
	diff - <(tail -n 5 <<<"$output") <<-'END'
		ivshmem0 character special file ivshmem 660
		ivshmem1 character special file ivshmem 660
		../../ivshmem0
		../../ivshmem1
		../../ivshmem1
	END
	version_is "$version"
}

@test "the first message passes then, with one command more" {
	machine guest
	message_passes
}

@test "an upgrade lets programs with open channels go on, keeps their module, and says what to do" {
	machine guest
	guest 'systemd-run -q --unit=receiver -p StandardOutput=file:/root/received ivshmem recv /dev/ivshmem/by-label/demo open'
	mkfifo "$REGIONS/open"
	host send "unix:$REGIONS/server" open <"$REGIONS/open" 3>&- &
	exec {news}>"$REGIONS/open"
	echo before >&"$news"
	machine_apt "$suite-newer"
	guest_says 3600 'apt-get upgrade -y -qq 2>&1'
	[[ $output == *'programs use the devices: '*' modprobe -r ivshmem && modprobe ivshmem'* ]]
	[[ $(guest 'cat /sys/module/ivshmem/version; systemctl is-active receiver') == "$version"$'\n'active ]]
	echo after >&"$news"
	exec {news}>&-
	wait $!
	guest_within 120 'while systemctl -q is-active receiver; do sleep 0.2; done; ! systemctl -q is-failed receiver'
	[[ $(guest 'cat /root/received') == before$'\n'after ]]
	guest 'modprobe -r ivshmem && modprobe ivshmem && udevadm settle'
	version_is "$newer"
	message_passes
}

@test "a new kernel that apt installs has the module when it is booted" {
	machine guest
	old=$(guest 'uname -r')
	machine_apt updates
	guest_within 7200 "apt-get $(<"$IVSHMEM_CACHE/machines/$suite/upgrade") -y -qq 2>&1"
	machine_off
	guest_boot
	[[ $(guest 'uname -r') != "$old" ]]
	version_is "$newer"
	message_passes
}

@test "a downgrade replaces a module that nobody uses" {
	machine guest
	guest_within 7200 "cd /srv/$suite && apt-get install -y -qq --allow-downgrades \
		./libivshmem0_*.deb ./ivshmem-dkms_*.deb ./ivshmem-tools_*.deb ./ivshmem-udev_*.deb 2>&1"
	version_is "$version"
	message_passes
}

# enrol: what a user does in the firmware's dialogue, after mokutil --import. The word
# that each screen has, and the keys for it.
enrol() {
	while read -r screen keys; do
		within 300 grep -qa "${screen//_/ }" "$VM_DIR/console" || {
			tail -c 2000 "$VM_DIR/console"
			return 1
		}
		sleep 1
		for key in $keys; do
			hmp "sendkey $key" >/dev/null
			sleep 0.5
		done
	done <<-'END'
		Press_any_key ret
		Enroll_MOK down ret
		View_key down ret
		Enroll_the_key down ret
		Password s e c r e t ret
		Reboot ret
	END
	within 300 vm_gone
}

@test "Secure Boot refuses the module, and its package says what to do" {
	machine guest
	export MACHINE_SECURE=1
	machine_off
	guest_boot
	[[ $(guest 'mokutil --sb-state') == *enabled* ]]
	# As when a kernel's headers come, but with nothing to build.
	guest_says 300 'dpkg-trigger --by-package=dpkg --no-await /usr/src && dpkg --triggers-only ivshmem-dkms 2>&1'
	[[ $output == *'the kernel refuses the module'*'mokutil --import /var/lib/dkms/mok.pub'* ]]
	run guest 'modprobe ivshmem 2>&1'
	[[ $status != 0 && $output == *"Key was rejected by service"* ]]
	guest '[ ! -e /dev/ivshmem0 ]'
}

@test "with DKMS's key enrolled, Secure Boot takes the module, and a message passes" {
	machine guest
	export MACHINE_SECURE=1
	guest 'mokutil --generate-hash=secret >/root/hash && mokutil --import /var/lib/dkms/mok.pub --hash-file /root/hash'
	machine_off
	machine_boot
	enrol
	vm_kill
	guest_boot
	[[ $(guest 'mokutil --sb-state') == *enabled* ]]
	version_is "$version"
	message_passes
}

@test "a purge unloads the module, and leaves nothing" {
	machine guest
	guest_within 600 'apt-get purge -y -qq "*ivshmem*" 2>&1'
	guest '[ ! -e /sys/module/ivshmem ]'
	guest_within 600 'bash /srv/in-root is_clean'
	machine_off
}

@test "a host's service starts with the first who connects, under a user of its own, confined" {
	machine host
	machine_new "$suite" "$out" "$out-newer" "$IVSHMEM_CACHE/machines/$suite/base"
	machine_boot
	machine_ready
	machine_apt base
	machine_apt "$suite"
	guest_within 1200 'apt-get install -y -qq ivshmem-server 2>&1'
	guest '! systemctl list-units --plain --no-legend "ivshmem@*" | grep .'
	guest 'systemctl enable --now ivshmem@demo.socket 2>&1'
	[[ $(guest 'systemctl is-active ivshmem@demo.service || true') == inactive ]]
	guest 'adduser --quiet user ivshmem >/dev/null; ! runuser -u nobody -- ivshmem info unix:/run/ivshmem/demo.sock
		runuser -u user -- ivshmem format --label demo unix:/run/ivshmem/demo.sock &&
		systemctl is-active ivshmem@demo.service'
	guest 'cd /proc/$(systemctl show --value -p MainPID ivshmem@demo.service) &&
		[ $(stat -c %U .) = ivshmem-server ] && cat status &&
		grep -qx "NoNewPrivs:.1" status && grep -qx "Seccomp:.2" status && grep -qx "CapBnd:.0*" status &&
		! nsenter -t ${PWD##*/} -m touch /etc/written && ! nsenter -t ${PWD##*/} -n ip -o link | grep -v " lo: "'
}

# joins NAME FILE ARGUMENTS: a program of a user who is connected to the host's server from
# here on: "ivshmem ARGUMENTS", its output in a file of his
joins() {
	guest "before=\$(ivshmem peers --socket /run/ivshmem/demo.sock | wc -l)
		systemd-run -q --unit=$1 --uid=user -p StandardOutput=file:/home/user/$2 ivshmem $3
		until [ \$(ivshmem peers --socket /run/ivshmem/demo.sock | wc -l) -gt \$before ]; do sleep 0.2; done"
}

# What the host's server is killed for is that each peer goes on, and a newcomer finds them.
all_go_on() {
	guest 'ivshmem peers --socket /run/ivshmem/demo.sock | diff - /root/peers &&
		systemctl is-active receiver waiter'
}

@test "a host's server that is killed comes back, by systemd, with its peers and its region" {
	machine host
	joins receiver received 'recv unix:/run/ivshmem/demo.sock news'
	joins waiter rung 'wait unix:/run/ivshmem/demo.sock 3'
	guest 'ivshmem peers --socket /run/ivshmem/demo.sock >/root/peers
		systemctl kill -s KILL ivshmem@demo.service
		until [ $(systemctl show --value -p NRestarts ivshmem@demo.service) = 1 ] &&
			systemctl -q is-active ivshmem@demo.service; do sleep 0.2; done'
	all_go_on
	# Some before they are ready. More than 5 in 10 seconds make systemd give up most services.
	guest_within 300 'count=0
		while [ $count -lt 12 ]; do
			! systemctl -q is-failed ivshmem@demo.service || exit
			! kill -9 $(cat /sys/fs/cgroup/system.slice/system-ivshmem.slice/ivshmem@demo.service/cgroup.procs) 2>/dev/null ||
				count=$((count + 1))
			sleep 0.1
		done
		until systemctl -q is-active ivshmem@demo.service; do sleep 0.2; done'
	all_go_on
	guest_within 120 'echo "still here" | runuser -u user -- ivshmem send unix:/run/ivshmem/demo.sock news
		peer=$(awk -v pid=$(systemctl show --value -p MainPID waiter) "\$5 == pid { print \$1 }" /root/peers)
		runuser -u user -- ivshmem notify unix:/run/ivshmem/demo.sock $peer 3
		while systemctl -q is-active receiver || systemctl -q is-active waiter; do sleep 0.2; done'
	[[ $(guest 'cat /home/user/received /home/user/rung') == "still here"$'\n'1 ]]
}

@test "an upgrade on a host leaves a running server alone, which a reload changes to the new one" {
	machine host
	joins receiver received 'recv unix:/run/ivshmem/demo.sock news'
	guest 'systemctl show --value -p MainPID ivshmem@demo.service >/root/pid'
	machine_apt "$suite-newer"
	guest_within 1200 'apt-get upgrade -y -qq 2>&1'
	[[ $(guest 'ivshmem --version') == *" $newer"* ]]
	guest 'systemctl show --value -p MainPID ivshmem@demo.service | cmp - /root/pid && systemctl is-active receiver'
	guest 'ls -l /proc/$(cat /root/pid)/exe' | grep ' (deleted)$'
	guest 'systemctl reload "ivshmem@*.service" || exit
		until [ "$(readlink /proc/$(cat /root/pid)/exe)" = /usr/bin/ivshmem ]; do sleep 0.2; done
		systemctl show --value -p MainPID ivshmem@demo.service | cmp - /root/pid && systemctl is-active receiver'
	guest 'echo "still here" | runuser -u user -- ivshmem send unix:/run/ivshmem/demo.sock news
		while systemctl -q is-active receiver; do sleep 0.2; done; cat /home/user/received
		grep -qx "still here" /home/user/received'
}

@test "a host that is booted has the service's socket, and a purge leaves nothing" {
	machine host
	machine_off
	machine_boot
	machine_ready
	guest 'runuser -u user -- ivshmem info unix:/run/ivshmem/demo.sock && systemctl is-active ivshmem@demo.service'
	guest_within 600 'apt-get purge -y -qq "*ivshmem*" 2>&1'
	guest '! systemctl list-units --all --plain --no-legend "ivshmem@*" | grep .'
	guest_within 600 'bash /srv/in-root is_clean'
	machine_off
}
