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
	ivshmem format "$region" --label page --channels "${1-4}"
}

# Lines of all lengths up to more than two records, again and again around the ring.
lines() {
	awk 'BEGIN { for (i = 0; i < 30000; i++) printf "%d %0*d\n", i, i % 200 + 1, 7 }'
}

@test "the superblock is as the page says" {
	formatted 7
	run -0 by_the_page "$region" show
	[ "$output" = "$(ivshmem info --json "$region" |
		jq -r '[.label, .uuid, .max_channels, .ring_size] | join(" ")')" ]
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
	eventually bash -c '[ "$(ivshmem info --json "$region" | jq -r ".channels[0].creator.state")" = attached ]'
	run -1 --separate-stderr timeout 5 ivshmem send "$region" x </dev/null
	says "channel 'x': another program has this end"
	run -0 timeout 60 ivshmem recv "$region" x
	wait
	run -0 bash -c 'ivshmem info --json "$region" | jq -r ".channels[0].creator.state"'
	[ "$output" = free ]
}
