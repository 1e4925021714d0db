# SPDX-License-Identifier: MIT
# shellcheck shell=bash
#
# Roots of other Debian suites, to build in with their compilers, and what else
# takes long to make. Sourced; the working folder is the tree's.
#
#   root_of SUITE               make the root where there is none: its folder
#   root_add SUITE PACKAGE...   install packages in it
#   root_enter SUITE COMMAND... run a command in it, in this tree, as this user;
#                               unpacked kernels are in /srv, and ROOT_BUILD is
#                               what it sees as build/
#   root_kernel SUITE RELEASE[:ARCHITECTURE] FOLDER
#                               unpack a kernel of the suite, without installing it
#
# All is kept in IVSHMEM_CACHE, and never made anew: remove a folder there to get
# newer packages.

IVSHMEM_CACHE=${IVSHMEM_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/ivshmem}

root_die() {
	echo "ivshmem: $*" >&2
	exit 1
}

# root_make SUITE FOLDER OPTION...: by mmdebstrap, where there is none.
# Forky's and sid's lists may be past their date on a mirror.
root_make() {
	local suite=$1 folder=$2
	shift 2
	[[ ! -d $folder ]] || return 0
	echo "ivshmem: making a root of $suite in $folder" >&2
	mkdir -p "${folder%/*}"
	tests/as-root rm -rf "$folder.part"
	tests/as-root mmdebstrap --quiet --mode=root --skip=cleanup/apt \
		--aptopt='APT::Install-Recommends "false"' \
		--aptopt='Acquire::Check-Valid-Until "false"' \
		"$@" "$suite" "$folder.part" >&2 || root_die "cannot make a root of $suite"
	tests/as-root mv "$folder.part" "$folder"
}

root_of() {
	local folder=$IVSHMEM_CACHE/roots/$1
	root_make "$1" "$folder" --variant=apt --include=make,gcc,libc6-dev,bash
	echo "$folder"
}

# Mounts of its own, which go with the command.
root_run() {
	local root
	root=$(root_of "$1") || return
	shift
	mkdir -p "$IVSHMEM_CACHE/kernels"
	# shellcheck disable=SC2016
	tests/as-root unshare --mount sh -ec 'root=$1 tree=$2 kernels=$3 build=$4; shift 4
		mount -t proc proc "$root/proc"
		mount --bind "$tree" "$root/mnt"
		mount --bind "$kernels" "$root/srv"
		[ -z "$build" ] || mount --bind "$build" "$root/mnt/build"
		exec chroot "$@"' sh "$root" "$PWD" "$IVSHMEM_CACHE/kernels" "${ROOT_BUILD-}" "${root_user[@]}" "$root" "$@"
}

root_add() {
	local suite=$1 root package missing=()
	shift
	root=$(root_of "$suite") || return
	for package; do
		[[ $(dpkg-query --admindir="$root/var/lib/dpkg" -W -f '${db:Status-Status}' "$package" 2>/dev/null) == installed ]] ||
			missing+=("$package")
	done
	((${#missing[@]})) || return 0
	echo "ivshmem: installing in the root of $suite: ${missing[*]}" >&2
	root_run "$suite" apt-get update -qq >&2 &&
		root_run "$suite" env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq "${missing[@]}" >&2
}

root_enter() {
	local suite=$1 root_user
	shift
	root_user=("--userspec=$(id -u):$(id -g)")
	root_run "$suite" env -C /mnt "$@"
}

# Newer kernels are in several packages.
root_kernel() {
	local suite=$1 release=$2 folder=$3 root
	[[ ! -d $folder ]] || return 0
	root=$(root_of "$suite") || return
	echo "ivshmem: fetching Linux $release of $suite" >&2
	# shellcheck disable=SC2016
	root_run "$suite" sh -ec 'rm -rf /var/cache/ivshmem; mkdir -p /var/cache/ivshmem; cd /var/cache/ivshmem
		apt-get update -qq
		packages=linux-image-$1
		for part in linux-base linux-binary linux-modules; do
			! apt-cache show "$part-$1" >/dev/null 2>&1 || packages="$packages $part-$1"
		done
		apt-get -o APT::Sandbox::User=root download -qq $packages' sh "$release" >&2 || return
	mkdir -p "${folder%/*}"
	rm -rf "$folder.part"
	tests/vm/guest-kernel unpack "$folder" "$root"/var/cache/ivshmem/*.deb
}
