# SPDX-License-Identifier: MIT
# shellcheck shell=bash
#
# Clean roots of Debian suites, to build and install packages in. Sourced; the working
# folder is the tree's.
#
#   layer_new NAME SUITE        a fresh root: a layer over the suite's, which stays clean
#   layer_run NAME COMMAND...   run a command in it; build/packages is /srv there
#   layer_with NAME COMMAND...  run a command here, to which $ROOT is the root
#   layer_free NAME             remove it
#
# The suites' roots and the packages that were downloaded are kept in IVSHMEM_CACHE.

. tests/kernels/roots.bash

layers=build/packages/layers

layer_new() {
	local name=$1 suite=$2 clean=$IVSHMEM_CACHE/clean/$2
	root_make "$suite" "$clean" --variant=minbase --include=eatmydata || return
	mkdir -p "$IVSHMEM_CACHE/archives/$suite"
	layer_free "$name"
	mkdir -p "$layers/$name"/{upper,work,root}
	echo "$suite" >"$layers/$name/suite"
	layer_run "$name" apt-get update -qq
}

layer_free() {
	tests/as-root rm -rf "$layers/$1"
}

# Mounts of its own, which go with the command. The layer's own folder is used and no
# memory, since toolchains and kernels are installed there.
layer_with() {
	local name=$1 suite
	shift
	suite=$(<"$layers/$name/suite") || return
	# shellcheck disable=SC2016
	tests/as-root unshare --mount --uts bash -ec 'clean=$1 layer=$2 archives=$3 packages=$4; shift 4
		export ROOT=$layer/root
		mount -t overlay overlay -o "lowerdir=$clean,upperdir=$layer/upper,workdir=$layer/work" "$ROOT"
		mount -t proc proc "$ROOT/proc"
		mount --rbind /dev "$ROOT/dev"
		mount --bind "$archives" "$ROOT/var/cache/apt/archives"
		mount --bind "$packages" "$ROOT/srv"
		export DEBIAN_FRONTEND=noninteractive LC_ALL=C.UTF-8
		exec "$@"' bash "$IVSHMEM_CACHE/clean/$suite" "$PWD/$layers/$name" \
		"$IVSHMEM_CACHE/archives/$suite" "$PWD/build/packages" "$@"
}

layer_run() {
	local name=$1
	shift
	# shellcheck disable=SC2016
	layer_with "$name" bash -c 'exec chroot "$ROOT" env -C /root HOME=/root "$@"' bash "$@"
}
