# SPDX-License-Identifier: MIT
# shellcheck disable=SC2016,SC2154
#
# ivshmem-format(5) is right and complete: what was written from it alone, in another
# language, talks with the library. See by_the_page.py.

load helper

export page=$BATS_TEST_DIRNAME/by_the_page.py

by_the_page() {
	timeout 60 python3 "$page" "$@"
}

# formatted [OBJECTS [OPTION...]]
formatted() {
	ivshmem create "$region" --size 1M
	ivshmem format "$region" --label page --objects "${1-4}" "${@:2}"
}

free() {
	ivshmem info --json "$region" | jq .free
}

library_sends() {
	echo "library's $1" | timeout 60 ivshmem send "$region" "$1"
}

page_sends() {
	echo "page's $1" | by_the_page "$region" create "$1" send
}

# receives NAME FROM: what FROM_sends has sent
receives() {
	[ "$(timeout 60 ivshmem recv "$region" "$1")" = "$2's $1" ]
}

# Lines of all lengths up to more than two records, again and again around the ring.
lines() {
	awk 'BEGIN { for (i = 0; i < 30000; i++) printf "%d %0*d\n", i, i % 200 + 1, 7 }'
}

@test "the superblock is as the page says" {
	formatted 7
	run -0 by_the_page "$region" show
	[ "$output" = "$(ivshmem info --json "$region" |
		jq -r '[.label, .uuid, .max_objects, .ring_size] | join(" ")')" ]
	printf x | ivshmem write "$region" --offset 57
	run -1 by_the_page "$region" show
	[[ "$output" == *damaged ]]
}

@test "the library finds the objects that were made by the page, and the page the library's" {
	ivshmem create "$region" --size 16M
	by_the_page "$region" format 9
	[ "$(ivshmem info --json "$region" | jq -r '[.label, .max_objects, .ring_size] | join(" ")')" = \
		"by_the_page 9 4096" ]
	empty=$(free)
	by_the_page "$region" make video channel 4194304 4096
	by_the_page "$region" make table area 10000
	ivshmem make --channel theirs:8K:64K --area raw:2M "$region"
	[ "$(ivshmem info --json "$region" | jq -r '.objects[] | [.name, .kind, .kept, .size] | join(" ")')" = \
		"$(printf '%s\n' "video channel true 4198400" "table area true 12288" \
			"theirs channel true 73728" "raw area true 2097152")" ]
	run -0 by_the_page "$region" show
	[ "$(tail -n +2 <<<"$output")" = "$(printf '%s\n' "video channel 4194304 4096 kept" \
		"table area 12288 kept" "theirs channel 8192 65536 kept" "raw area 2097152 kept")" ]
	for name in video theirs; do
		run -1 by_the_page "$region" make $name area 1
		[[ "$output" == *"such an object already" ]]
		page_sends $name &
		receives $name page
		wait $!
		library_sends $name &
		[ "$(by_the_page "$region" connect $name recv)" = "library's $name" ]
		wait $!
	done
	ivshmem rm "$region" video table
	by_the_page "$region" remove theirs
	by_the_page "$region" remove raw
	[ "$(free)" -eq "$empty" ]
}

@test "an area holds what was written there by the page, and is not removed while it is used" {
	formatted
	cat >"$dir/copy.c" <<-EOF
		#include <ivshmem.h>
		#include <unistd.h>

		/* WHERE NAME: what is in the area, or, with one more argument, goes there */
		int main(int argc, char **argv)
		{
			struct ivshmem *shm;
			struct ivshmem_area *area;

			if (ivshmem_open(&shm, argv[1], 0) || ivshmem_area_open(&area, shm, argv[2]))
				return 1;
			if (argc > 3)
				return read(0, ivshmem_area_data(area), ivshmem_area_size(area)) < 0;
			return write(1, ivshmem_area_data(area), ivshmem_area_size(area)) < 0;
		}
	EOF
	"${CC:-cc}" -I "$tree/userspace/include" -I "$tree/kmod" -o "$dir/copy" "$dir/copy.c" \
		-L "$IVSHMEM_BUILD" -livshmem -Wl,-rpath,"$IVSHMEM_BUILD"
	ivshmem make --area x:8K "$region"
	head -c 8192 /dev/urandom >"$dir/in"
	by_the_page "$region" write x <"$dir/in"
	"$dir/copy" "$region" x | cmp - "$dir/in"
	head -c 8192 /dev/urandom >"$dir/in"
	"$dir/copy" "$region" x write <"$dir/in"
	by_the_page "$region" read x | cmp - "$dir/in"
	mkfifo "$dir/fifo"
	by_the_page "$region" write x <"$dir/fifo" 3>&- &
	exec 8>"$dir/fifo"
	eventually grep -q "OFDLCK .* READ .*:$(stat -c %i "$region") " /proc/locks
	run -1 --separate-stderr ivshmem rm "$region" x
	run -1 by_the_page "$region" remove x
	[[ "$output" == *"it is in use" ]]
	echo new >&8
	exec 8>&-
	wait $!
	[ "$(by_the_page "$region" read x | head -n 1)" = new ]
	ivshmem rm "$region" x
}

@test "the library receives what was sent by the page" {
	formatted
	lines >"$dir/in"
	for _ in 1 2 3; do
		by_the_page "$region" create x send <"$dir/in" &
		timeout 60 ivshmem recv "$region" x | cmp - "$dir/in"
		wait $!
		by_the_page "$region" connect y send <"$dir/in" &
		timeout 60 ivshmem recv --create "$region" y | cmp - "$dir/in"
		wait $!
	done
}

@test "messages that are read while they are written pass between the library and the page" {
	formatted
	ivshmem make --channel big:384K:384K "$region"
	awk 'BEGIN { for (i = 0; i < 40; i++) printf "%d %0*d\n", i, 60000 + i * 3000, 7 }' >"$dir/in"
	by_the_page "$region" create big send <"$dir/in" &
	timeout 60 ivshmem recv "$region" big | cmp - "$dir/in"
	wait $!
	timeout 60 ivshmem send "$region" big <"$dir/in" &
	by_the_page "$region" connect big recv | cmp - "$dir/in"
	wait $!
}

@test "by the page is received what the library sent, mailbox included" {
	formatted
	lines >"$dir/in"
	for _ in 1 2 3; do
		timeout 60 ivshmem send "$region" x <"$dir/in" &
		by_the_page "$region" connect x recv | cmp - "$dir/in"
		wait $!
		timeout 60 ivshmem send --connect "$region" y <"$dir/in" &
		by_the_page "$region" create y recv | cmp - "$dir/in"
		wait $!
	done
}

@test "messages that fill half the ring pass both ways" {
	formatted 1
	ring=$(ivshmem info --json "$region" | jq .ring_size)
	for fill in a b c d e; do
		head -c $((ring / 2 - 8)) /dev/zero | tr '\0' $fill
		echo
	done >"$dir/in"
	by_the_page "$region" create x send <"$dir/in" &
	timeout 60 ivshmem recv "$region" x | cmp - "$dir/in"
	wait $!
	timeout 60 ivshmem send "$region" x <"$dir/in" &
	by_the_page "$region" connect x recv | cmp - "$dir/in"
	wait $!
}

@test "where the rings differ in size, messages of all lengths pass both ways" {
	formatted
	ivshmem make --channel x:4K:64K "$region"
	awk 'BEGIN { for (i = 0; i < 3000; i++) printf "%d %0*d\n", i, i % 2030 + 1, 7 }' >"$dir/in"
	for _ in 1 2 3; do
		by_the_page "$region" create x send <"$dir/in" &
		timeout 60 ivshmem recv "$region" x | cmp - "$dir/in"
		wait $!
		timeout 60 ivshmem send "$region" x <"$dir/in" &
		by_the_page "$region" connect x recv | cmp - "$dir/in"
		wait $!
	done
}

@test "who believes facts that lie is told, and objects that do not lie work" {
	formatted
	ivshmem make --channel x:4K --area y:4K --channel z:4K "$region"
	for fact in 1 2 3 4; do
		printf '\377\377\377\377' | ivshmem write "$region" --offset $((4096 + 960 + 8 * fact))
		run -1 timeout 60 ivshmem send "$region" x </dev/null
		[[ "$output" == *damaged* ]]
		run -1 by_the_page "$region" create x send
		[[ "$output" == *damaged* ]]
		printf '\0\0\0\0' | ivshmem write "$region" --offset $((4096 + 960 + 8 * fact))
	done
	page_sends z &
	receives z page
	wait $!
	by_the_page "$region" read y | cmp -n 4096 - /dev/zero
}

@test "info shows an end that was taken by the page" {
	formatted
	by_the_page "$region" create x send </dev/null 3>&- &
	eventually bash -c '[ "$(ivshmem info --json "$region" | jq -r ".objects[0].creator.state")" = attached ]'
	run -1 --separate-stderr timeout 5 ivshmem send "$region" x </dev/null
	says "channel 'x': another program has this end"
	run -0 timeout 60 ivshmem recv "$region" x
	wait
	run -0 bash -c 'ivshmem info --json "$region" | jq -r ".objects[0].creator.state"'
	[ "$output" = free ]
}

# The steps in which by_the_page.py takes an end of a new channel with rings of one block: the
# claim, the words of the name (the first, one between, and the last), the facts and the
# blocks, the key that says that the object is there, then the end: its epoch, its
# purpose, and that it is attached.
making="claim name.0 name.7 name.13 fact.0 fact.7 block.0 block.1 fact.1 fact.2 named"
taking="epoch purpose attached"

# meanwhile STEP COMMANDS ARGUMENT...: by_the_page, where the commands run right before the step
meanwhile() {
	{
		declare -f by_the_page eventually has has_settled library_sends page_sends
		echo "unset MEANWHILE; $2"
	} >"$dir/meanwhile"
	STEP=$1 MEANWHILE="exec bash $dir/meanwhile" by_the_page "${@:3}" 3>&-
}

# has NAME STATE: the channel is there, and its creator's end is so
has() {
	ivshmem info --json "$region" | jq -e --arg name "$1" --arg state "$2" \
		'.objects[] | select(.name == $name) | .creator.state | test($state)'
} >/dev/null

# A creator's end is attached for good. While it attaches, info knows it by its lock, which
# may be that of another one that is about to give it back.
has_settled() {
	for slot in 0 1; do
		(($(od -An -tu4 -N 4 -j $((4096 + 1024 * slot + 128)) "$region") % 4 == 2)) && return
	done
	return 1
}

formatted_anew() {
	rm -f "$region"
	formatted "$1" --ring 4K
}

@test "a claim or an end that a dead program has left is taken, whatever step it died at" {
	for step in $making $taking; do
		for name in x y; do
			for who in library page; do
				formatted_anew 1
				run -137 meanwhile $step 'kill -KILL $PPID' "$region" create x send
				"${who}_sends" $name 3>&- &
				receives $name $who
				wait $!
			done
		done
	done
}

@test "blocks that a dead program has taken come back, whatever step it died at" {
	formatted_anew 1
	size=$(free)
	for step in $making $taking; do
		for who in library page; do
			formatted_anew 2
			run -137 meanwhile $step 'kill -KILL $PPID' "$region" create x send
			case $who in
			library) ivshmem make --area y:"$size" "$region" ;;
			page) by_the_page "$region" make y area "$size" ;;
			esac
		done
	done
}

@test "two programs that claim a slot at once get one each, whatever step one is stopped at" {
	for step in $making $taking; do
		formatted_anew 2
		echo "page's x" | meanwhile $step "library_sends y >$dir/told 2>&1 &
				eventually has y attached" \
			"$region" create x send &
		receives x page
		wait $!
		receives y library
	done
}

@test "of two programs that create one channel at once one gets it, and the other is told" {
	for step in $making epoch; do
		for who in library page; do
			formatted_anew 2
			run -1 meanwhile $step "${who}_sends x >$dir/told 2>&1 &
				eventually has_settled" "$region" create x send
			[[ "$output" == *"the end is taken" ]]
			receives x $who
			[ "$(ivshmem info --json "$region" | jq '.objects | length')" -eq 1 ]
		done
	done
	for step in purpose attached; do
		formatted_anew 2
		echo "page's x" |
			meanwhile $step "library_sends x >$dir/told 2>&1 &
				eventually has x ." \
				"$region" create x send &
		eventually grep -q "channel 'x': another program has this end" "$dir/told"
		receives x page
		wait $!
	done
}

@test "of two programs that claim the last slot at once one gets it, and the other is told" {
	for step in $making epoch; do
		formatted_anew 1
		run -1 meanwhile $step "library_sends y >$dir/told 2>&1 &
				eventually has_settled" \
			"$region" create x send
		[[ "$output" == *"the region is full" ]]
		receives y library
	done
	formatted_anew 1
	run -1 meanwhile purpose "library_sends y >$dir/told 2>&1 &
				eventually has y ." "$region" create x send
	[[ "$output" == *"the region is full" ]]
	receives y library
	formatted_anew 1
	echo "page's x" | meanwhile attached "! library_sends y >$dir/told 2>&1" \
		"$region" create x send &
	receives x page
	wait $!
	grep -q "has no room" "$dir/told"
}

@test "an end that was attached too late is given up, and the channel made anew" {
	for who in library page; do
		formatted_anew 2
		echo "page's x" | meanwhile attached "ivshmem rm --force $region x" "$region" create x send &
		receives x page
		wait $!
	done
}
