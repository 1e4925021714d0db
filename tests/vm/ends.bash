# SPDX-License-Identifier: MIT
# shellcheck shell=bash
#
# Loaded after the helper by tests of what becomes of a channel's two ends, one on the
# host and one in the guest. KIND is the label of a region: "plain", in $REGIONS/plain, or
# "doorbell", that of the server.
#
#   host_end KIND echo|ROUNDS    creates the channel, and goes on in the background
#   host_end_said KIND           what it has printed; fails where it has ended
#   end_host_end KIND            it may have ended before, as the other end has
#   guest_end KIND echo|ROUNDS   connects to it, in the background
#   start_talk KIND              the guest asks, and the host answers
#   host_has_sent KIND COUNT     so many messages at least
#   guest_end_is_taken KIND      for a program that does not take it over
#   comes_back KIND              the guest takes its end over, and the host's echo, which
#                                was not told before, goes on with it

path_of() {
	case $1 in
	plain) echo "$REGIONS/plain" ;;
	doorbell) echo "unix:$REGIONS/server" ;;
	esac
}

host_end() {
	build/tests/messages "$(path_of "$1")" chat create "$2" >"$REGIONS/$1.said" 2>&1 3>&- &
	echo $! >"$REGIONS/$1.end"
}

host_end_said() {
	cat "$REGIONS/$1.said" && kill -0 "$(<"$REGIONS/$1.end")"
}

end_host_end() {
	kill "$(<"$REGIONS/$1.end")" 2>/dev/null || true
	rm "$REGIONS/$1.end"
}

guest_end() {
	guest "/tests/messages /dev/ivshmem/by-label/$1 chat connect $2 >/run/$1.said 2>&1 & echo \$! >/run/$1.end"
}

sent_by_host() {
	guest "ivshmem info --json /dev/ivshmem/by-label/$1" |
		jq '.. | objects | select(.name? == "chat") | .creator.sent'
}

host_has_sent() {
	local count
	count=$(sent_by_host "$1")
	((${count:-0} >= $2))
}

start_talk() {
	host_end "$1" echo
	guest_end "$1" 2000000000
	within 30 host_has_sent "$1" 10
}

guest_end_is_taken() {
	local said
	said=$(guest "ivshmem recv --timeout 1 /dev/ivshmem/by-label/$1 chat") && return 1
	echo "$said"
	[[ $said == *'another program has this end'* ]]
}

comes_back() {
	[ -z "$(host_end_said "$1")" ] || return
	guest_end_is_taken "$1" || return
	guest "/tests/messages /dev/ivshmem/by-label/$1 chat connect 100" || return
	within 20 grep -qx reconnected "$REGIONS/$1.said"
}

teardown_file() {
	local file
	for file in "$REGIONS"/*.end; do
		[ ! -e "$file" ] || kill "$(<"$file")" 2>/dev/null || true
	done
	vm_kill
	end_server
	rm -rf "$REGIONS"
}
