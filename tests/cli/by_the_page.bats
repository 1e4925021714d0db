# SPDX-License-Identifier: MIT
# shellcheck disable=SC2016,SC2154
#
# ivshmem-format(5) is right and complete: what was written from it alone talks with
# the library. See by_the_page.c.

load helper

setup_file() {
	"${CC:-cc}" -O2 -Wall -Wextra -Werror -D_GNU_SOURCE -o "$BATS_FILE_TMPDIR/by_the_page" \
		"$BATS_TEST_DIRNAME/by_the_page.c"
}

by_the_page() {
	timeout 60 "$BATS_FILE_TMPDIR/by_the_page" "$@"
}

formatted() {
	ivshmem create "$region" --size 1M
	ivshmem format "$region" --label page --objects "${1-4}"
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

# The steps in which by_the_page.c takes an end of a new channel: 1 claims the slot, 2 to 15
# write the name, 16 says that it is there, 17 takes the end, 18 tells what it is for, and
# 19 attaches. Of the words of the name these are the first, one between, and the last.
steps="1 2 9 15 16 17 18 19"

# meanwhile "STEP) COMMAND;;..." ARGUMENT...: by_the_page, where the commands run right
# before the steps; $dir/step has the last one that was reached
meanwhile() {
	{
		declare -f by_the_page eventually has library_sends page_sends
		echo "unset MEANWHILE; echo \$STEP >$dir/step; case \$STEP in $1 esac; true"
	} >"$dir/meanwhile"
	MEANWHILE="exec bash $dir/meanwhile" by_the_page "${@:2}" 3>&-
}

# has NAME STATE: the channel is there, and its creator's end is so
has() {
	ivshmem info --json "$region" | jq -e --arg name "$1" --arg state "$2" \
		'.objects[] | select(.name == $name) | .creator.state | test($state)'
} >/dev/null

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

formatted_anew() {
	rm -f "$region"
	formatted "$1"
}

@test "a claim or an end that a dead program has left is taken, whatever step it died at" {
	for step in $steps; do
		for name in x y; do
			for who in library page; do
				formatted_anew 1
				run -137 meanwhile "$step) kill -KILL \$PPID;;" "$region" create x send
				[ "$(cat "$dir/step")" -eq "$step" ]
				"${who}_sends" $name 3>&- &
				receives $name $who
				wait $!
			done
		done
	done
}

@test "two programs that claim a slot at once get one each, whatever step one is stopped at" {
	for step in $steps; do
		formatted_anew 2
		echo "page's x" | meanwhile "$step) library_sends y >$dir/told 2>&1 &
				eventually has y attached;;" \
			"$region" create x send &
		receives x page
		wait $!
		receives y library
	done
}

@test "of two programs that create one channel at once one gets it, and the other is told" {
	for step in 1 2 9 15 16 17; do
		for who in library page; do
			formatted_anew 2
			run -1 meanwhile "$step) ${who}_sends x >$dir/told 2>&1 &
				eventually has x attached;;" "$region" create x send
			[[ "$output" == *"the end is taken" ]]
			receives x $who
			[ "$(ivshmem info --json "$region" | jq '.objects | length')" -eq 1 ]
		done
	done
	for step in 18 19; do
		formatted_anew 2
		echo "page's x" |
			meanwhile "$step) library_sends x >$dir/told 2>&1 &
				eventually has x .;;" \
				"$region" create x send &
		eventually grep -q "channel 'x': another program has this end" "$dir/told"
		receives x page
		wait $!
	done
}

@test "of two programs that claim the last slot at once one gets it, and the other is told" {
	for step in 1 2 9 15 16 17; do
		formatted_anew 1
		run -1 meanwhile "$step) library_sends y >$dir/told 2>&1 &
				eventually has y attached;;" \
			"$region" create x send
		[[ "$output" == *"the region is full" ]]
		receives y library
	done
	formatted_anew 1
	run -1 meanwhile "18) library_sends y >$dir/told 2>&1 &
				eventually has y .;;" "$region" create x send
	[[ "$output" == *"the region is full" ]]
	receives y library
	formatted_anew 1
	echo "page's x" | meanwhile "19) library_sends y >$dir/told 2>&1;;" \
		"$region" create x send &
	receives x page
	wait $!
	grep -q "all channels of the region are in use" "$dir/told"
}

@test "a slot that a program claims and dies is given back by an end that was there before" {
	for who in library page; do
		formatted_anew 1
		ivshmem send "$region" x </dev/null &
		ivshmem recv "$region" x
		wait $!
		run -137 meanwhile "1) ${who}_sends x >$dir/told 2>&1 & eventually has x attached;;
			2) kill -KILL \$PPID;;" "$region" create y send
		[ "$(cat "$dir/step")" -eq 2 ]
		receives x $who
	done
}
