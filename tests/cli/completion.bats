# SPDX-License-Identifier: MIT
# shellcheck disable=SC2016,SC2154

load helper

# complete_words WORD...: what bash offers for the last one, a line each.
complete_words() {
	# shellcheck source=/dev/null
	source "$tree/userspace/cli/completion/ivshmem.bash"
	COMP_WORDS=("$@")
	COMP_CWORD=$(($# - 1))
	_ivshmem
	printf '%s\n' "${COMPREPLY[@]}"
}

@test "the first word completes to verbs, all that the command has" {
	run -0 complete_words ivshmem ""
	for verb in $(ivshmem --help | sed -n 's/^  \([a-z]\+\) .*/\1/p'); do
		grep -qx "$verb" <<<"$output"
	done
	run -0 complete_words ivshmem cr
	[ "$output" = create ]
}

@test "options complete to all that a verb has" {
	for verb in $(ivshmem --help | sed -n 's/^  \([a-z]\+\) .*/\1/p'); do
		run -0 complete_words ivshmem "$verb" --
		[ "$(sort <<<"$output")" = "$(ivshmem "$verb" --help |
			sed -n 's/^ *\(-., \)\?\(--[a-z0-9-]\+\).*/\2/p' | sort)" ]
	done
}

@test "WHERE completes to paths, with spaces in them too" {
	: >"$dir/a region"
	run -0 complete_words ivshmem info "$dir/a"
	[ "$output" = "$dir/a region" ]
}
