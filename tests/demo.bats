#!/usr/bin/env bats
# SPDX-License-Identifier: MIT

@test "make demo shows a message that goes each way" {
	folder=$(mktemp -d /dev/shm/ivshmem-test.XXXXXX)
	run env DEMO_REGION="$folder/shared" "$BATS_TEST_DIRNAME/demo" 3>&-
	rm -r "$folder"
	echo "$output"
	[ "$status" -eq 0 ]
	[[ "$output" == *'Message from host: Hello world!'* ]]
	[[ "$output" == *'Message from guest: Hello host!'* ]]
}
