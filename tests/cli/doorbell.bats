# SPDX-License-Identifier: MIT
# shellcheck disable=SC2154
# notify, wait, and the doorbell's part of qemu and libvirt. (Peers that really
# ring each other: tests/vm/peers.bats.)

load helper

@test "qemu prints the arguments for a server's region" {
	run -0 --separate-stderr ivshmem qemu --doorbell --socket /run/a.sock --vectors 4
	[ -z "$stderr" ]
	[ "$output" = '-chardev socket,id=ivshmem,path=/run/a.sock -device ivshmem-doorbell,chardev=ivshmem,vectors=4' ]
}

@test "qemu doubles commas and quotes blanks in the socket's path" {
	run -0 ivshmem qemu --doorbell --socket '/run/a,b c' --id x --acpi-index 3
	[ "$output" = "-chardev 'socket,id=x,path=/run/a,,b c' -device ivshmem-doorbell,chardev=x,vectors=1,acpi-index=3" ]
}

@test "libvirt prints the element for a server's region, escaped" {
	run -0 --separate-stderr ivshmem libvirt --doorbell --socket '/run/<a>.sock' --vectors 2 'a&b'
	[ -z "$stderr" ]
	[ "$output" = "<shmem name='a&amp;b'>
  <model type='ivshmem-doorbell'/>
  <server path='/run/&lt;a&gt;.sock'/>
  <msi vectors='2' ioeventfd='on'/>
</shmem>" ]
}

@test "libvirt refuses names that a shmem cannot have" {
	for name in a/b . ..; do
		run -1 --separate-stderr ivshmem libvirt --doorbell --socket /run/a.sock "$name"
		says 'without a slash'
	done
	run -1 --separate-stderr ivshmem libvirt --doorbell --socket /run/a.sock $'a\nb'
	says "XML can't hold"
}

@test "the doorbell's options go together, and without a size or a file" {
	for verb in qemu libvirt; do
		run -2 --separate-stderr ivshmem $verb --doorbell name
		says '--doorbell needs --socket PATH'
		run -2 --separate-stderr ivshmem $verb --socket /run/a.sock name
		says '--socket and --vectors are for --doorbell'
		run -2 --separate-stderr ivshmem $verb --vectors 2 name
		says '--socket and --vectors are for --doorbell'
		run -2 --separate-stderr ivshmem $verb --doorbell --socket /run/a.sock --size 1M name
		says 'give no --size'
		for vectors in 0 257 -1 x ''; do
			run -2 --separate-stderr ivshmem $verb --doorbell --socket /run/a.sock --vectors "$vectors" name
			says 'is not a number from 1 to 256'
		done
	done
	run -2 --separate-stderr ivshmem qemu --doorbell --socket /run/a.sock /dev/shm/x
	says 'give no PATH'
}

@test "a plain region can neither be rung nor waited for" {
	ivshmem create "$region" --size 4K
	run -1 --separate-stderr ivshmem notify "$region" 0 0
	says 'a plain region has no doorbell'
	run -1 --separate-stderr ivshmem wait "$region" 0
	says 'a plain region has no interrupts'
}

@test "peer and vector are checked before anything is opened" {
	for peer in -1 65536 x '' 1.5; do
		run -2 --separate-stderr ivshmem notify /nowhere -- "$peer" 0
		says "PEER '$peer' is not a number from 0 to 65535"
	done
	for vector in 256 x ''; do
		run -2 --separate-stderr ivshmem notify /nowhere 0 "$vector"
		says "VECTOR '$vector' is not a number from 0 to 255"
		run -2 --separate-stderr ivshmem wait /nowhere "$vector"
		says "VECTOR '$vector' is not a number from 0 to 255"
	done
	run -2 --separate-stderr ivshmem notify /nowhere 0
	says 'give WHERE, PEER and VECTOR'
	run -2 --separate-stderr ivshmem wait /nowhere
	says 'give WHERE and VECTOR'
}

@test "timeout and count are checked" {
	for timeout in -1 x '' 1e99 nan inf . 1.2.3 ' 1' +1 0x10 1,5 1000000001; do
		run -2 --separate-stderr ivshmem wait /nowhere 0 --timeout "$timeout"
		says 'is not a number of seconds'
	done
	for count in 0 -1 x 2147483648; do
		run -2 --separate-stderr ivshmem wait /nowhere 0 --count "$count"
		says 'is not a number from 1'
		run -2 --separate-stderr ivshmem notify /nowhere 0 0 --count "$count"
		says 'is not a number from 1'
	done
}

start_server() {
	ivshmem serve --socket "$dir/server" --size 4K --vectors 2 "$@" 2>"$dir/log" 3>&- &
	server=$!
	eventually test -S "$dir/server"
}

end_server() {
	kill $server
	wait $server
}

@test "notify refuses the ID that the command has itself, and rings others" {
	start_server
	ivshmem info "unix:$dir/server" >/dev/null
	run -1 --separate-stderr ivshmem notify "unix:$dir/server" 2 0
	says "ivshmem: unix:$dir/server: there is no other peer 2"
	stderr_has "'ivshmem peers --socket $dir/server'"
	ivshmem wait --timeout 30 "unix:$dir/server" 0 >"$dir/rings" 3>&- &
	waiter=$!
	eventually grep -q peer=3 "$dir/log"
	ivshmem notify "unix:$dir/server" 3 0
	ends_with 0 $waiter
	[ "$(cat "$dir/rings")" = 1 ]
	end_server
}

@test "the advice about a peer that is not there lists those that are" {
	start_server
	run -1 --separate-stderr ivshmem notify "unix:$dir/server" 77 0
	says "there is no vector 0 of a peer 77"
	ivshmem wait --timeout 30 "unix:$dir/server" 0 3>&- &
	waiter=$!
	eventually grep -q peer=1 "$dir/log"
	# shellcheck disable=SC2046
	run -0 $(grep -o "ivshmem peers [^']*" <<<"$stderr")
	[ "${#lines[@]}" -eq 2 ]
	kill $waiter
	end_server
}

@test "wait for a vector that is not there tells how many there are" {
	start_server
	run -1 --separate-stderr ivshmem wait "unix:$dir/server" 2
	says "there is no vector 2: this end has 2, counted from 0"
	end_server
}

@test "peers at a server without a status socket says so" {
	start_server --status-socket "$dir/elsewhere"
	run -1 --separate-stderr ivshmem peers --socket "$dir/server"
	says "ivshmem: $dir/server.status: there is a server at $dir/server, and it has no status socket"
	run -0 ivshmem peers --socket "$dir/server" --status-socket "$dir/elsewhere"
	end_server
	run -1 --separate-stderr ivshmem peers --socket "$dir/server"
	says "no ivshmem server answers here"
	run -1 --separate-stderr ivshmem peers --socket "$(printf 'x%.0s' {1..200})" --status-socket "$dir/elsewhere"
	says "no ivshmem server answers here"
}

@test "a server that is not there is named" {
	run -1 --separate-stderr ivshmem wait "unix:$dir/absent" 0
	stderr_has "unix:$dir/absent"
	[ -z "$output" ]
}
