# SPDX-License-Identifier: MIT
# shellcheck disable=SC2016,SC2154
#
# top: what goes on in a region, again and again.

load helper

with_objects() {
	ivshmem create "$region" --size 16M
	ivshmem format --label busy --topic t:64 --channel c:64K "$region"
}

# on_terminal STEP...: top, on a terminal, with what $options has
on_terminal() {
	run -0 "$BATS_TEST_DIRNAME/on_terminal.py" \
		"'$IVSHMEM_BUILD/ivshmem' top $options '$region'" "$@"
}

@test "top shows who uses which object, and ends by q" {
	with_objects
	timeout 60 ivshmem subscribe "$region" t >/dev/null 3>&- &
	subscriber=$!
	options="--delay 0.1"
	on_terminal "see busy" "see 16M" "see 2 of 256 objects" "see subscriber 0 attached" \
		"see connector" "press q" "end 0"
	kill $subscriber
	wait $subscriber || true
}

@test "top follows what is made, removed and formatted anew meanwhile" {
	with_objects
	options="--delay 0.1"
	on_terminal "see t    topic" "run ivshmem make --area later:4K '$region'" "see later" \
		"run ivshmem rm '$region' later" "miss later" \
		"run ivshmem format --force --label other --topic u:8 '$region'" \
		"see other" "see u    topic" "press q" "end 0"
}

@test "top says what has become of its region, and goes on when there is one again" {
	ivshmem create "$region" --size 16M
	options="--delay 0.1"
	on_terminal "see not formatted" "run ivshmem format --label busy --topic t:64 '$region'" \
		"see busy" "see t    topic" "run rm '$region'" "see no such file" "miss topic" \
		"run ivshmem create --size 16M '$region'" "see not formatted" \
		"run ivshmem format --label again --topic t:64 '$region'" "see again" \
		"run truncate -s 4096 '$region'" "see damaged" "press q" "end 0"
}

@test "top fits its terminal, and scrolls" {
	ivshmem create "$region" --size 16M
	mapfile -t areas < <(printf -- '--area=area%02d:4K\n' {1..40})
	ivshmem format --label busy "${areas[@]}" "$region"
	options="--delay 60"
	on_terminal "see area01" "see area21" "miss area22" "size 30x100" "see area27" "miss area28" \
		"press j" "see area28" "miss area01" "press k" "see area01" "press \x20" "see area40" \
		"press \x20" "press k" "see area13" "size 4x20" "see NAME" "press q" "end 0"
}

@test "top on a narrow terminal shows the other columns by the arrows" {
	with_objects
	options="--delay 60"
	on_terminal "size 24x20" "see MEMBER" "miss STATE" "press ll" "see STATE" "miss NAME" \
		"press \x1bOD" "press h" "see NAME" "press llllllllllllllllllll" "miss NAME" \
		"press hhh" "see NAME" "press q" "end 0"
}

@test "top hides what is idle, and shows it again" {
	with_objects
	options="--delay 0.2"
	(for ((i = 0; i < 600; i++)); do
		echo "$i"
		sleep 0.05
	done | timeout 60 ivshmem publish "$region" t) 3>&- &
	on_terminal "see connector" "press i" "miss connector" "see publisher 0" "press i" \
		"see connector" "press q" "end 0"
	rm "$region"
	kill %1
	wait || true
}

@test "top gives the terminal back when a signal ends it" {
	with_objects
	options="--delay 60"
	on_terminal "see topic" "kill TERM" "end 143"
}

@test "top on a terminal that is not known says so, and --batch does without" {
	with_objects
	options=
	export TEST_TERM=no-such-terminal
	on_terminal "see this terminal is not known here (TERM is 'no-such-terminal')" "end 1"
	options="--batch --count 1 --delay 0.1"
	on_terminal "see t    topic" "end 0"
}

@test "top that is no terminal's prints one table below the other" {
	with_objects
	run -0 --separate-stderr timeout 30 ivshmem top --count 3 --delay 0.1 "$region"
	[ -z "$stderr" ]
	[ "$(grep -c "'busy': 16M, of which .* free; 2 of 256 objects" <<<"$output")" = 3 ]
	[ "$(grep -c '^t *topic' <<<"$output")" = 3 ]
	[ "$(grep -cE '^c *channel creator +free .* 0 +0 ' <<<"$output")" = 3 ]
}

@test "top tells messages, bytes and idle time" {
	with_objects
	mkfifo "$dir/fifo"
	timeout 60 ivshmem publish "$region" t <"$dir/fifo" 3>&- &
	exec 8>"$dir/fifo"
	timeout 60 ivshmem top --count 4 --delay 1 "$region" >"$dir/out" 3>&- &
	top=$!
	eventually grep -q publisher "$dir/out"
	seq 10000 19999 >&8
	wait $top
	exec 8>&-
	wait
	# What comes within one table's time, or on the border of two.
	awk '$3 == "publisher" && $7 > 0 { messages += $7; bytes += $8 * 1024 }
		END { exit !(messages > 5000 && messages <= 11000 && bytes > 4 * messages && bytes < 6 * messages) }' "$dir/out"
	grep -Eq '^t +topic +publisher 0 +attached .* 0 +0 +[0-9.]+s$' "$dir/out"
}

@test "top only reads, and needs no more permission" {
	with_objects
	seq 10 | ivshmem publish "$region" t
	cp "$region" "$dir/before"
	chmod 0400 "$region"
	run -0 without_override timeout 30 "$IVSHMEM_BUILD/ivshmem" top --count 2 --delay 0.1 "$region"
	stdout_has "publisher 0"
	cmp "$region" "$dir/before"
}

@test "top shows a service with its clients, and a served region" {
	ivshmem serve --socket "$dir/socket" --size 4M --vectors 1 2>/dev/null 3>&- &
	server=$!
	eventually test -S "$dir/socket"
	region=unix:$dir/socket
	eventually ivshmem format --label served --service s "$region"
	timeout 60 ivshmem answer "$region" s cat 2>/dev/null 3>&- &
	answer=$!
	eventually bash -c 'ivshmem info "$region" | grep -q listener'
	[ "$(timeout 30 ivshmem call "$region" s hello)" = hello ]
	run -0 --separate-stderr timeout 30 ivshmem top --count 1 --delay 0.1 "$region"
	[ -z "$stderr" ]
	stdout_has "$region 'served': 4M, of which "
	grep -Eq '^s +service +listener +attached +[0-9]+ ' <<<"$output"
	[ "$(ivshmem info --json "$region" | jq -c '.objects[] | select(.kind == "service") | .listener | [.state, .clients]')" = '["attached",0]' ]
	kill $answer $server
	wait $answer $server || true
}

@test "top keeps what a server had served, and goes on with the next server" {
	serve() {
		ivshmem create "$dir/$1" --size 4M
		ivshmem format --label "$1" --topic t:64 "$dir/$1"
		ivshmem serve --socket "$dir/socket" --file "$dir/$1" --size 4M --vectors 1 2>/dev/null 3>&- &
		server=$!
		eventually test -S "$dir/socket"
	}
	serve first
	timeout 60 ivshmem top --delay 0.1 "unix:$dir/socket" >"$dir/out" 2>"$dir/err" 3>&- &
	top=$!
	eventually grep -q "'first': 4M" "$dir/out"
	kill $server
	wait $server || true
	truncate -s 0 "$dir/out"
	eventually grep -q "'first': 4M" "$dir/out"
	serve second
	eventually grep -q "'second': 4M" "$dir/out"
	kill $top $server
	wait || true
	[ ! -s "$dir/err" ]
}

@test "top in batch mode ends where its region does" {
	with_objects
	timeout 60 ivshmem top --batch --delay 0.1 "$region" >"$dir/out" 2>"$dir/err" 3>&- &
	top=$!
	eventually grep -q topic "$dir/out"
	rm "$region"
	ends_with 1 $top
	grep -q "^ivshmem: $region: there is no such file" "$dir/err"
	ivshmem create "$region" --size 16M
	run -1 --separate-stderr ivshmem top --batch "$region"
	says "ivshmem: $region: the region is not formatted"
}

@test "top ends when nobody reads what it prints" {
	with_objects
	timeout 60 bash -c 'ivshmem top --delay 0.1 "$region" | head -n 1; echo ${PIPESTATUS[0]}' >"$dir/out"
	[ "$(tail -n 1 "$dir/out")" = 141 ]
}

@test "top used wrongly says how it is used" {
	run -2 --separate-stderr ivshmem top
	says "ivshmem: top: WHERE is missing"
	for options in "--delay 0" "--delay x" "--count 0" "--nothing"; do
		run -2 --separate-stderr ivshmem top $options "$region"
		says "see 'ivshmem top --help'"
	done
	run -1 --separate-stderr ivshmem top "$region"
	says "ivshmem: $region: there is no such file or device"
}
