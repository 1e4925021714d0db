# SPDX-License-Identifier: MIT
# shellcheck shell=bash
#
# The packages of one suite of Debian, which the name of this file tells: each suite is
# a link to it. Later tests use the packages that earlier ones have built, in
# build/packages/SUITE.

setup_file() {
	cd "$BATS_TEST_DIRNAME/../.." || return
	. tests/packages/roots.bash
	suite=$(basename "$BATS_TEST_FILENAME" .bats)
	out=build/packages/$suite
	mkdir -p "$out"
	version=$(sed -n '1s/^ivshmem-\(.*\)$/\1/p' build/packages/name)
	newer=${version%.*}.$((${version##*.} + 1))
	export suite out version newer
}

setup() {
	cd "$BATS_TEST_DIRNAME/../.." || return
	. tests/packages/roots.bash
}

teardown() {
	layer_free "$suite-test"
}

teardown_file() {
	cd "$BATS_TEST_DIRNAME/../.." || return
	. tests/packages/roots.bash
	layer_free "$suite-build"
}

# in_root NAME COMMAND...: a function of in-root; what it prints is shown if it fails
in_root() {
	local name=$1 log=build/packages/$suite.log
	shift
	cp tests/packages/in-root build/packages/in-root
	layer_run "$name" /srv/in-root "$@" >"$log" 2>&1 </dev/null || {
		tail -n 40 "$log" | cut -c1-300
		return 1
	}
}

@test "the packages build from the tarball in a clean root, by a user who is not root" {
	layer_new "$suite-build" "$suite"
	in_root "$suite-build" build_dependencies "$(dpkg --print-architecture)"
	rm -rf "$out"
	in_root "$suite-build" build /build/ivshmem builder "/srv/$suite"
	for package in libivshmem0 libivshmem-dev ivshmem-{tools,server,udev,dkms}; do
		[[ -e $(echo "$out/${package}_$version"-*.deb) ]]
	done
	# The folder is a repository for apt, without the packages of debugging symbols.
	(cd "$out" && apt-ftparchive packages . | awk -v RS= -v ORS='\n\n' '!/^Package: [^\n]*-dbgsym\n/' >Packages)
}

@test "a second build, elsewhere, by another user, in other settings, is the same bit for bit" {
	rm -rf "$out-again"
	layer_run "$suite-build" apt-get install -y -qq locales >/dev/null 2>&1
	layer_run "$suite-build" sh -c 'echo "tr_TR.UTF-8 UTF-8" >/etc/locale.gen && locale-gen' >/dev/null
	layer_run "$suite-build" sh -c 'hostname elsewhere; umask 002; sleep 1
		exec setarch --uname-2.6 env TZ=Pacific/Kiritimati LC_ALL=tr_TR.UTF-8 LANG=tr_TR.UTF-8 USER=other \
		/srv/in-root build /var/tmp/quite/elsewhere/x other "/srv/$1-again" -j1' sh "$suite" >"$out/again.log" 2>&1 ||
		{ tail -n 40 "$out/again.log"; false; }
	diff <(cd "$out" && sha256sum ./*.deb ./*.dsc ./*.tar.*) \
		<(cd "$out-again" && sha256sum ./*.deb ./*.dsc ./*.tar.*)
}

@test "lintian has nothing to complain of" {
	layer_new "$suite-test" "$suite"
	in_root "$suite-test" lint "/srv/$suite"
	! grep -E '^[EWIPX]:' "build/packages/$suite.log"
}

@test "the packages are installed, upgraded, downgraded, removed and purged, and leave nothing" {
	PATCH=${newer##*.} NEWER=$newer in_root "$suite-build" build /build/ivshmem builder "/srv/$suite-newer" -b
	layer_new "$suite-test" "$suite"
	in_root "$suite-test" life "$version" "/srv/$suite" "$newer" "/srv/$suite-newer"
}

@test "a host's packages bring no module, and a guest's no server" {
	layer_new "$suite-test" "$suite"
	in_root "$suite-test" alone ivshmem-server "/srv/$suite" ivshmem-dkms ivshmem-udev dkms libivshmem-dev
	layer_new "$suite-test" "$suite"
	in_root "$suite-test" alone ivshmem-dkms "/srv/$suite" ivshmem-server ivshmem-tools libivshmem-dev
}

@test "piuparts has nothing to complain of" {
	# What systemd leaves, which comes for its systemd-sysusers.
	local packages systemds='^/(root/[.]ssh|var/(cache|lib|log)/private|var/lib/systemd/.*)/?$'
	mapfile -t packages < <(find "$out" -name '*.deb' ! -name '*-dbgsym_*')
	tests/as-root piuparts --existing-chroot="$IVSHMEM_CACHE/clean/$suite" -d "$suite" --keep-sources-list \
		--no-upgrade-test --no-eatmydata --ignore-regex="$systemds" --tmpdir "$BATS_TEST_TMPDIR" -l "$out/piuparts.log" \
		"${packages[@]}" >/dev/null 2>&1 ||
		{ grep -E 'ERROR|FAIL|  /' "$out/piuparts.log" | tail -n 40; false; }
}

@test "the packages' own tests pass: README's example, and the module in a guest" {
	local packages
	mapfile -t packages < <(find "$out" -name '*.deb' ! -name '*-dbgsym_*')
	layer_new "$suite-test" "$suite"
	layer_with "$suite-test" bash -c 'exec autopkgtest --no-built-binaries "$@" -- chroot "$ROOT"' bash \
		--timeout-factor=10 --summary-file="$out/tests.log" "${packages[@]}" "$out"/*.dsc >"$out/autopkgtest.log" 2>&1 ||
		{ tail -n 40 "$out/autopkgtest.log"; false; }
	[[ $(grep -c PASS "$out/tests.log") == 2 ]]
}

@test "the packages for arm64 build" {
	layer_new "$suite-test" "$suite"
	in_root "$suite-test" build_dependencies arm64
	rm -rf "$out-arm64"
	DEB_BUILD_OPTIONS=nocheck in_root "$suite-test" build /build/ivshmem builder "/srv/$suite-arm64" \
		-aarm64 -B -Pcross,nocheck
	[[ -e $(echo "$out-arm64/libivshmem0_$version"-*_arm64.deb) ]]
	[[ -e $(echo "$out-arm64/ivshmem-tools_$version"-*_arm64.deb) ]]
}
