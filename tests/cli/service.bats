# SPDX-License-Identifier: MIT
# shellcheck disable=SC2016,SC2154
#
# call and answer, and services that are made beforehand.

load helper

setup() {
	dir=$(mktemp -d /dev/shm/ivshmem-cli.XXXXXX)
	region=$dir/region
	export dir region
	ivshmem create "$region" --size 8M
	ivshmem format --label x --objects 64 --ring 4K "$region"
}

@test "a question gets what the command prints" {
	timeout 30 ivshmem answer "$region" upper tr a-z A-Z 3>&- &
	server=$!
	run -0 --separate-stderr timeout 20 ivshmem call "$region" upper "hello, world"
	[ "$output" = "HELLO, WORLD" ]
	[ -z "$stderr" ]
	run -0 timeout 20 ivshmem call "$region" upper < <(printf 'one\n\ntwo\n')
	[ "$output" = $'ONE\n\nTWO' ]
	kill $server
	wait $server || true
}

@test "a client that comes first waits for the server" {
	timeout 20 ivshmem call "$region" echo hi >"$dir/out" 3>&- &
	client=$!
	sleep 0.3
	timeout 20 ivshmem answer --count 1 "$region" echo cat
	wait $client
	[ "$(cat "$dir/out")" = hi ]
}

@test "without a command the lines of stdin are the answers" {
	timeout 20 ivshmem answer "$region" ask >"$dir/questions" 3>&- < <(printf 'yes\nno\n') &
	server=$!
	run -0 timeout 20 ivshmem call "$region" ask < <(printf 'more?\nless?\n')
	[ "$output" = $'yes\nno' ]
	# The next question finds that there are no more answers.
	run -1 --separate-stderr timeout 20 ivshmem call "$region" ask again
	says "ivshmem: $region: service 'ask': the other side has closed the channel"
	wait $server
	[ "$(cat "$dir/questions")" = $'more?\nless?\nagain' ]
}

@test "with --whole all of the input is one question, and answers come as they are" {
	head -c 1500 /dev/urandom >"$dir/in"
	timeout 20 ivshmem answer --whole --count 1 "$region" copy cat 3>&- &
	timeout 20 ivshmem call --whole "$region" copy <"$dir/in" >"$dir/out"
	cmp "$dir/in" "$dir/out"
	wait $!
}

@test "many clients at a time are answered by one server" {
	timeout 60 ivshmem answer --clients 64 "$region" echo cat 3>&- &
	server=$!
	clients=()
	for i in $(seq 20); do
		timeout 50 ivshmem call "$region" echo >"$dir/out$i" 3>&- < <(seq "$i" 25) &
		clients+=($!)
	done
	wait "${clients[@]}"
	for i in $(seq 20); do
		[ "$(cat "$dir/out$i")" = "$(seq "$i" 25)" ]
	done
	kill $server
	wait $server || true
	# Nothing is left of them, nor of the server.
	run -0 ivshmem info "$region"
	stdout_has "objects   0 of 64"
}

@test "the example serves fifty clients" {
	timeout 60 "$IVSHMEM_BUILD/examples/census" "$region" 3>&- &
	server=$!
	clients=()
	for i in $(seq 50); do
		timeout 50 ivshmem call "$region" census >"$dir/out$i" 3>&- < <(seq 3) &
		clients+=($!)
	done
	wait "${clients[@]}"
	for i in $(seq 50); do
		[ "$(cut -d ' ' -f 1-3 "$dir/out$i")" = $'question 1 of\nquestion 2 of\nquestion 3 of' ]
	done
	kill $server
	wait $server || true
}

@test "each program may have as many clients as is said, and several programs have one each" {
	timeout 30 ivshmem answer --clients 1 "$region" one cat 3>&- &
	server=$!
	mkfifo "$dir/questions"
	timeout 20 ivshmem call "$region" one <"$dir/questions" >"$dir/out" 3>&- &
	client=$!
	exec 4>"$dir/questions"
	echo first >&4
	eventually grep -q first "$dir/out"
	run -0 timeout 20 ivshmem call "$region" one second
	[ "$output" = second ]
	exec 4>&-
	wait $client
	kill $server
	wait $server || true
	run -2 --separate-stderr ivshmem answer --clients 0 "$region" one
	says "ivshmem: answer: --clients '0' is not a number from 1 to 4096"
}

@test "no answer in time, no server, and a second server are told" {
	run -1 --separate-stderr ivshmem call --timeout 0.1 "$region" nobody hi
	says "ivshmem: $region: service 'nobody': no server has accepted in time"
	timeout 30 ivshmem answer "$region" slow sleep 2 3>&- &
	server=$!
	run -1 --separate-stderr ivshmem call --timeout 0.5 "$region" slow hi
	says "ivshmem: $region: service 'slow': nothing came in time"
	run -1 --separate-stderr ivshmem answer "$region" slow cat
	says "ivshmem: $region: service 'slow': another program listens"
	kill $server
	wait $server || true
	run -1 --separate-stderr ivshmem answer --timeout 0.1 "$region" slow cat
	says "ivshmem: $region: service 'slow': no client came in time"
}

@test "a command that fails, or is not there, is told" {
	timeout 20 ivshmem answer --count 1 "$region" bad sh -c 'echo so far; exit 3' 2>"$dir/err" 3>&- &
	run -0 timeout 20 ivshmem call "$region" bad hi
	[ "$output" = "so far" ]
	wait $!
	[ "$(cat "$dir/err")" = "ivshmem: sh: it has ended with status 3" ]
	timeout 20 ivshmem answer "$region" bad "$dir/nothing" 2>"$dir/err" 3>&- &
	server=$!
	run -1 timeout 20 ivshmem call "$region" bad hi
	run -1 wait $server
	[ "$(cat "$dir/err")" = "ivshmem: $dir/nothing: No such file or directory" ]
}

@test "a service that is made beforehand stays, with its rings, until it is removed" {
	run -0 ivshmem make --service big:1M:64K --service usual "$region"
	[ -z "$output" ]
	run -1 --separate-stderr ivshmem make --service big "$region"
	says "ivshmem: $region: 'big' was not made: there is an object of that name"
	head -c 400000 /dev/zero >"$dir/in"
	timeout 20 ivshmem answer --count 1 "$region" big wc -c 3>&- &
	run -0 timeout 20 ivshmem call --whole "$region" big <"$dir/in"
	[ "$output" = 400000 ]
	wait $!
	run -0 ivshmem info "$region"
	[[ $output == *"big "*service* ]]
	run -0 ivshmem rm "$region" big usual
	run -2 --separate-stderr ivshmem make --service a:1M:1M:1M "$region"
	says "ivshmem: make: --service 'a' has too many sizes"
}

@test "who uses call and answer wrongly is told how" {
	run -2 --separate-stderr ivshmem call "$region"
	says "ivshmem: call: give WHERE and NAME: "
	run -2 --separate-stderr ivshmem answer "$region"
	says "ivshmem: answer: give WHERE and NAME: "
	run -2 --separate-stderr ivshmem answer --whole "$region" x
	says "ivshmem: answer: --whole is for what a COMMAND prints"
	run -2 --separate-stderr ivshmem call "$region" a/b hi
	says "ivshmem: $region: service 'a/b': a service's name has 1 to 55"
}
