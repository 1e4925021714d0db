# SPDX-License-Identifier: MIT
#
# make            build everything; the module for KDIR's kernel
# make demo       see it work: host and guest, one transcript
# make check      run every test
# make check-kernels  run those of a guest on many kernels, or on KERNELS
# make check-upstream   check the driver in the newest kernel's own tree
# make check-debug    run those of a guest on a kernel that finds mistakes
# make check-migration  migrate a guest a hundred times, or MIGRATIONS
# make check-kvm      run those of a guest, or KVM_TESTS, on KVM, which QEMU emulates
# make kernel-tree      put the driver into the kernel's tree KERNEL_TREE
# make kernel-series    make the patches that do, in build/series
# make check-packages  build and try the packages, for SUITES of Debian
# make release-check  see that all is ready for a release
# make style      checkpatch, sparse, shellcheck, codespell
# make bench      measure, all or PARTS of it
# make bench-kvm  count KVM's exits, on the KVM that QEMU emulates
# make fuzz       fuzz for ten minutes each, or SECONDS_EACH
# make soak       ten million wake-ups, an hour of random traffic in channels and one in topics,
#                 20,000 killings of each, 100 of a server among guests, and four machines in a topic
# make install    DESTDIR and PREFIX are honoured; make uninstall undoes it
# make install-dkms  the module, for DKMS to build; make uninstall-dkms undoes it
# make dist       the release tarball, in build/dist
# make deb        the Debian packages, in build/deb
#
# WERROR=-Werror makes errors of warnings, as the project's own checks do.
#
# Every path here is relative, so that the tree may lie in a folder whose name
# has a space in it.

SHELL := /bin/bash
VERSION := $(shell awk '/define IVSHMEM_VERSION_(MAJOR|MINOR|PATCH)/ { printf "%s%s", dot, $$3; dot = "." }' userspace/include/ivshmem/version.h)
SOVERSION := 0

PREFIX ?= /usr/local
BINDIR ?= $(PREFIX)/bin
LIBDIR ?= $(PREFIX)/lib
INCLUDEDIR ?= $(PREFIX)/include
MANDIR ?= $(PREFIX)/share/man

# Only with one of the system's own prefixes is anything put outside of it unasked:
# what udev, systemd and the kernel look for. Any other prefix holds all.
OWN_PREFIX := $(if $(filter-out /usr /usr/local,$(PREFIX:/=)),yes)
UDEVDIR ?= $(if $(OWN_PREFIX),$(PREFIX),/usr)/lib/udev
SYSUSERSDIR ?= $(if $(OWN_PREFIX),$(PREFIX),/usr)/lib/sysusers.d
SYSTEMDDIR ?= $(if $(OWN_PREFIX),$(PREFIX),/usr)/lib/systemd/system
INSTALL ?= install

KDIR ?= /lib/modules/$(shell uname -r)/build
KERNELRELEASE := $(shell sed -n 's/.*UTS_RELEASE "\(.*\)"/\1/p' '$(KDIR)/include/generated/utsrelease.h' 2>/dev/null)

CFLAGS ?= -O2 -g
WERROR ?=
check style check-kernels check-debug check-kvm check-migration check-packages: export WERROR = -Werror
build/asan/% build/tsan/%: WERROR = -Werror
IVSHMEM_CPPFLAGS := -D_GNU_SOURCE -D_FILE_OFFSET_BITS=64 \
	-Iuserspace/include -Iuserspace/lib -Ikmod $(CPPFLAGS)
IVSHMEM_CFLAGS := -std=gnu11 -Wall -Wextra -Wshadow -Wmissing-prototypes \
	-Wstrict-prototypes -Wformat=2 -Wno-unused-parameter $(WERROR) \
	-fvisibility=hidden -fPIC -MMD -MP $(CFLAGS)
SANITIZE := -fsanitize=address,undefined -fno-sanitize-recover=all -fno-omit-frame-pointer

# What a script or a macro makes has no part in the jobs of this make, and is not to ask.
NO_JOBS = MAKEFLAGS="$$(sed -E ':a; s/(^| )(-j[0-9]*|--jobserver-[^ ]*)( |$$)/ /; ta' <<<"$$MAKEFLAGS")"

PKG_CONFIG ?= pkg-config
pkg = $(shell $(PKG_CONFIG) $(1) 2>/dev/null)

all: userspace modules

# --- userspace ---------------------------------------------------------------

LIB_SRC := $(wildcard userspace/lib/*/*.c)
LIB_OBJ := $(LIB_SRC:userspace/%.c=build/%.o)
CLI_OBJ := $(patsubst userspace/%.c,build/%.o,$(wildcard userspace/text/*.c userspace/memory/*.c userspace/server/*.c userspace/cli/*.c))
EXAMPLES := $(patsubst userspace/examples/%.c,build/examples/%,$(wildcard userspace/examples/*.c))
MAN := $(patsubst userspace/man/%.scd,build/man/%,$(wildcard userspace/man/*.scd))
# So that man finds a page of section 3 by each of its calls.
MAN_CALLS := $(shell awk -f userspace/man/calls.awk userspace/man/*.3.scd)
MAN_LINKS := $(foreach c,$(MAN_CALLS),build/man/$(firstword $(subst :, ,$(c))).3)

LIB_LIBS = $(call pkg,--libs libudev liburing)
CLI_LIBS = $(call pkg,--libs smartcols json-c libkmod libsystemd ncursesw)
CLI_CPPFLAGS = -Iuserspace $(call pkg,--cflags smartcols json-c libkmod libsystemd ncursesw)
build/text/%.o build/memory/%.o build/cli/%.o build/server/%.o: IVSHMEM_CPPFLAGS += $(CLI_CPPFLAGS)
SONAME := libivshmem.so.$(SOVERSION)
SHARED := build/libivshmem.so.$(VERSION)

# What runs where it was built looks for the library there.
RUN_HERE = -Wl,-rpath,'$$ORIGIN$(1)'

# The command that is installed. Nothing finds a library in a prefix of one's own, so
# there the command holds it.
COMMAND := build/$(if $(OWN_PREFIX),own-prefix,install)/ivshmem

userspace: $(SHARED) build/libivshmem.a build/libivshmem.pc build/ivshmem $(COMMAND) \
	build/ivshmem_id $(EXAMPLES) man

build/%.o: userspace/%.c
	@mkdir -p $(@D)
	$(CC) $(IVSHMEM_CPPFLAGS) $(IVSHMEM_CFLAGS) -c -o $@ $<

$(SHARED): $(LIB_OBJ) userspace/lib/libivshmem.map
	$(CC) $(IVSHMEM_CFLAGS) $(LDFLAGS) -shared -Wl,-soname,$(SONAME) -Wl,-z,defs \
		-Wl,--version-script=userspace/lib/libivshmem.map -o $@ $(LIB_OBJ) $(LIB_LIBS)
	ln -sf $(@F) build/$(SONAME)
	ln -sf $(SONAME) build/libivshmem.so

build/libivshmem.a: $(LIB_OBJ)
	rm -f $@
	$(AR) rcs $@ $^

# PREFIX is known at install time only, so this one is made anew each time.
build/libivshmem.pc: userspace/lib/libivshmem.pc.in FORCE
	@mkdir -p build
	@sed -e 's|@PREFIX@|$(PREFIX)|' -e 's|@LIBDIR@|$(LIBDIR)|' \
		-e 's|@INCLUDEDIR@|$(INCLUDEDIR)|' -e 's|@VERSION@|$(VERSION)|' $< >$@.$$$$ && mv $@.$$$$ $@

build/ivshmem: $(CLI_OBJ) $(SHARED)
	$(CC) $(IVSHMEM_CFLAGS) $(LDFLAGS) -o $@ $(CLI_OBJ) -Lbuild -livshmem $(CLI_LIBS) $(call RUN_HERE,)

build/install/ivshmem: $(CLI_OBJ) $(SHARED)
	@mkdir -p $(@D)
	$(CC) $(IVSHMEM_CFLAGS) $(LDFLAGS) -o $@ $(CLI_OBJ) -Lbuild -livshmem $(CLI_LIBS)

build/own-prefix/ivshmem: $(CLI_OBJ) build/libivshmem.a
	@mkdir -p $(@D)
	$(CC) $(IVSHMEM_CFLAGS) $(LDFLAGS) -o $@ $(CLI_OBJ) build/libivshmem.a $(CLI_LIBS) $(LIB_LIBS)

# Linked with the archive: udev runs it also where the library can't be found.
build/ivshmem_id: udev/ivshmem_id.c build/libivshmem.a
	$(CC) $(IVSHMEM_CPPFLAGS) $(IVSHMEM_CFLAGS) $(LDFLAGS) -o $@ $< build/libivshmem.a \
		-Wl,--as-needed $(LIB_LIBS)

build/examples/%: userspace/examples/%.c $(SHARED)
	@mkdir -p $(@D)
	$(CC) $(IVSHMEM_CPPFLAGS) $(IVSHMEM_CFLAGS) $(LDFLAGS) -o $@ $< -Lbuild -livshmem $(call RUN_HERE,/..)

man: $(MAN) $(MAN_LINKS)
# The first line tells man that there are tables.
build/man/%: userspace/man/%.scd
	@mkdir -p $(@D)
	set -o pipefail; scdoc <$< | sed "1i '\\\\\" t" >$@
$(MAN_LINKS): build/man/%.3: $(wildcard userspace/man/*.3.scd)
	@mkdir -p $(@D)
	@echo '.so man3/$(patsubst $*:%,%,$(filter $*:%,$(MAN_CALLS))).3' >$@

-include $(LIB_OBJ:.o=.d) $(CLI_OBJ:.o=.d)

# --- module ------------------------------------------------------------------

# kbuild refuses paths with spaces, so the sources are built in a folder of
# their own; what the compiler says is put back in terms of this tree.
# $(call kbuild,FOLDER): builds the modules of a folder and copies them to $(@D).
MODULE_DIR := build/kmod/$(KERNELRELEASE)
MODULE := $(MODULE_DIR)/ivshmem.ko
KERNEL_CONFIG := $(wildcard $(KDIR)/include/generated/autoconf.h)

define kbuild
	@[ -n '$(KERNELRELEASE)' ] || { echo "ivshmem: no kernel headers in $(KDIR): install those of your kernel (Debian: apt install linux-headers-$$(uname -r)), or name others with KDIR=" >&2; exit 1; }
	@mkdir -p $(@D)
	@stage=$$(mktemp -d) && trap 'rm -rf "$$stage"' EXIT && cp -r $(1) "$$stage/module" && set -o pipefail && \
	$(NO_JOBS) $(MAKE) -C '$(KDIR)' M="$$stage/module" IVSHMEM_VERSION=$(VERSION) $(MODULE_FLAGS) modules 2>&1 | sed "s|$$stage/module|$(1)|g" && \
	cp "$$stage"/module/*.ko $(@D)
endef

modules: $(MODULE)

$(MODULE): $(wildcard kmod/*.c kmod/*.h kmod/uapi/*.h) kmod/Kbuild kmod/Makefile userspace/include/ivshmem/version.h $(KERNEL_CONFIG)
	$(call kbuild,kmod)

# Modules that the tests in a guest use.
GUEST_MODULES := $(addprefix $(MODULE_DIR)/,hold_bar.ko import_dmabuf.ko fail_call.ko)

guest-modules: $(GUEST_MODULES)

$(MODULE_DIR)/hold_bar.ko: $(wildcard tests/vm/hold_bar/*) $(KERNEL_CONFIG)
	$(call kbuild,tests/vm/hold_bar)

$(MODULE_DIR)/import_dmabuf.ko: $(wildcard tests/vm/import_dmabuf/*) $(KERNEL_CONFIG)
	$(call kbuild,tests/vm/import_dmabuf)

$(MODULE_DIR)/fail_call.ko: $(wildcard tests/vm/fail_call/*) $(KERNEL_CONFIG)
	$(call kbuild,tests/vm/fail_call)

# For a kernel's own tree. KERNEL_TREE is its sources.
kernel-tree:
	@packaging/linux/make-tree '$(KERNEL_TREE)'

kernel-series:
	@packaging/linux/make-series '$(KERNEL_TREE)' build/series
	@ls build/series/*.patch

# --- install -----------------------------------------------------------------

MODDIR ?= $(if $(OWN_PREFIX),$(PREFIX))/lib/modules/$(KERNELRELEASE)/updates
COMPLETIONDIR ?= $(PREFIX)/share/bash-completion/completions

install: install-userspace install-modules

install-userspace: userspace
	$(INSTALL) -d $(foreach d,$(INSTALL_DIRS),'$(DESTDIR)$(d)')
	$(INSTALL) -m 755 $(COMMAND) '$(DESTDIR)$(BINDIR)/ivshmem'
	$(INSTALL) -m 644 $(SHARED) '$(DESTDIR)$(LIBDIR)/$(notdir $(SHARED))'
	ln -sf $(notdir $(SHARED)) '$(DESTDIR)$(LIBDIR)/$(SONAME)'
	ln -sf $(SONAME) '$(DESTDIR)$(LIBDIR)/libivshmem.so'
	$(INSTALL) -m 644 build/libivshmem.a '$(DESTDIR)$(LIBDIR)/libivshmem.a'
	$(INSTALL) -m 644 build/libivshmem.pc '$(DESTDIR)$(LIBDIR)/pkgconfig/libivshmem.pc'
	$(INSTALL) -m 644 userspace/include/ivshmem.h '$(DESTDIR)$(INCLUDEDIR)/ivshmem.h'
	$(INSTALL) -m 644 userspace/include/ivshmem/*.h '$(DESTDIR)$(INCLUDEDIR)/ivshmem'
	$(INSTALL) -m 644 kmod/uapi/ivshmem.h '$(DESTDIR)$(INCLUDEDIR)/linux/ivshmem.h'
	$(INSTALL) -m 755 build/ivshmem_id '$(DESTDIR)$(UDEVDIR)/ivshmem_id'
	$(INSTALL) -m 644 udev/70-ivshmem.rules '$(DESTDIR)$(UDEVDIR)/rules.d/70-ivshmem.rules'
	sed -i 's|"ivshmem_id |"$(UDEVDIR)/ivshmem_id |' '$(DESTDIR)$(UDEVDIR)/rules.d/70-ivshmem.rules'
	$(INSTALL) -m 644 udev/ivshmem.sysusers.conf '$(DESTDIR)$(SYSUSERSDIR)/ivshmem.conf'
	$(INSTALL) -m 644 userspace/server/ivshmem-server.sysusers.conf '$(DESTDIR)$(SYSUSERSDIR)/ivshmem-server.conf'
	$(INSTALL) -m 644 userspace/server/ivshmem@.service '$(DESTDIR)$(SYSTEMDDIR)/ivshmem@.service'
	sed -i 's|^ExecStart=ivshmem |ExecStart=$(BINDIR)/ivshmem |' '$(DESTDIR)$(SYSTEMDDIR)/ivshmem@.service'
	$(INSTALL) -m 644 userspace/server/ivshmem@.socket '$(DESTDIR)$(SYSTEMDDIR)/ivshmem@.socket'
	$(INSTALL) -m 644 userspace/cli/completion/ivshmem.bash '$(DESTDIR)$(COMPLETIONDIR)/ivshmem'
	set -e; $(foreach m,$(MAN) $(MAN_LINKS),$(INSTALL) -m 644 $(m) '$(DESTDIR)$(MANDIR)/man$(subst .,,$(suffix $(m)))/$(notdir $(m))';)
	$(if $(OWN_PREFIX)$(DESTDIR),,@[ "$$(id -u)" != 0 ] || ldconfig)

install-modules: modules
	$(INSTALL) -d '$(DESTDIR)$(MODDIR)'
	$(INSTALL) -m 644 $(MODULE) '$(DESTDIR)$(MODDIR)/ivshmem.ko'
	$(DEPMOD)

# DKMS builds it for each kernel. With DESTDIR the sources are laid there, and that is all.
DKMS_DIR := /usr/src/ivshmem-$(VERSION)

install-dkms:
	rm -rf '$(DESTDIR)$(DKMS_DIR)'
	$(INSTALL) -d '$(DESTDIR)$(DKMS_DIR)/uapi'
	$(INSTALL) -m 644 kmod/*.c kmod/*.h kmod/Kbuild kmod/Makefile kmod/dkms.conf '$(DESTDIR)$(DKMS_DIR)'
	$(INSTALL) -m 644 kmod/uapi/*.h '$(DESTDIR)$(DKMS_DIR)/uapi'
	sed -i 's/#MODULE_VERSION#/$(VERSION)/' '$(DESTDIR)$(DKMS_DIR)/dkms.conf'
	$(if $(DESTDIR),,dkms install ivshmem/$(VERSION))

uninstall-dkms:
	$(if $(DESTDIR),,dkms remove ivshmem/$(VERSION) --all)
	rm -rf '$(DESTDIR)$(DKMS_DIR)'

# It looks nowhere else.
DEPMOD = $(if $(DESTDIR)$(filter-out /lib/modules/% /usr/lib/modules/%,$(MODDIR)),,@[ -z '$(KERNELRELEASE)' ] || depmod $(KERNELRELEASE))

INSTALL_DIRS = $(BINDIR) $(LIBDIR)/pkgconfig $(INCLUDEDIR)/linux $(INCLUDEDIR)/ivshmem $(UDEVDIR)/rules.d \
	$(SYSUSERSDIR) $(SYSTEMDDIR) $(COMPLETIONDIR) $(MANDIR)/man1 \
	$(MANDIR)/man3 $(MANDIR)/man4 $(MANDIR)/man5 $(MANDIR)/man7
INSTALLED = $(BINDIR)/ivshmem $(LIBDIR)/$(notdir $(SHARED)) $(LIBDIR)/$(SONAME) \
	$(LIBDIR)/libivshmem.so $(LIBDIR)/libivshmem.a $(LIBDIR)/pkgconfig/libivshmem.pc \
	$(INCLUDEDIR)/ivshmem.h $(addprefix $(INCLUDEDIR)/,$(patsubst userspace/include/%,%,$(wildcard userspace/include/ivshmem/*.h))) \
	$(INCLUDEDIR)/linux/ivshmem.h $(UDEVDIR)/ivshmem_id $(UDEVDIR)/rules.d/70-ivshmem.rules \
	$(SYSUSERSDIR)/ivshmem.conf $(SYSUSERSDIR)/ivshmem-server.conf $(SYSTEMDDIR)/ivshmem@.service $(SYSTEMDDIR)/ivshmem@.socket \
	$(COMPLETIONDIR)/ivshmem $(MODDIR)/ivshmem.ko \
	$(foreach m,$(MAN) $(MAN_LINKS),$(MANDIR)/man$(subst .,,$(suffix $(m)))/$(notdir $(m)))

uninstall:
	rm -f $(foreach f,$(INSTALLED),'$(DESTDIR)$(f)')
	$(DEPMOD)
	@$(REMOVE_FOLDERS)

# What is empty then: of a prefix of one's own all, of the system's just the library's.
define REMOVE_FOLDERS
top='$(DESTDIR)$(if $(OWN_PREFIX),$(PREFIX),$(INCLUDEDIR)/ivshmem)'; top=$${top%/}; \
for folder in $(foreach d,$(INSTALL_DIRS) $(MODDIR),'$(DESTDIR)$(d)'); do \
	while [[ $$folder/ == "$$top"/* ]] && rmdir "$$folder" 2>/dev/null; do folder=$${folder%/*}; done; \
done
endef

# --- packages ----------------------------------------------------------------

dist:
	@packaging/dist

deb:
	@$(NO_JOBS) packaging/deb

# --- tests -------------------------------------------------------------------

# What the tests take of the kernel's sources, in one pass over the archive.
KERNEL_SCRIPTS := build/kernel-scripts
KERNEL_SOURCES = $(lastword $(sort $(wildcard /usr/src/linux-source-*.tar.xz)))
SELFTESTS := $(KERNEL_SCRIPTS)/tools/testing/selftests

KSELFTEST_CFLAGS := -O1 -g -D_GNU_SOURCE -D_FILE_OFFSET_BITS=64 -Wall -Wextra -Werror \
	-Wno-unused-parameter -Wno-sign-compare -Wno-nonnull -isystem $(SELFTESTS) -Ikmod -Itests/vm -static
KSELFTESTS := $(patsubst tests/kselftest/%.c,build/kselftest/bin/%,$(wildcard tests/kselftest/*.c))
KSELFTESTS_32 := $(addsuffix -32,$(filter-out %/removal %/pin %/huge,$(KSELFTESTS)))

$(SELFTESTS)/kselftest_harness.h:
	rm -rf $(KERNEL_SCRIPTS) $(KERNEL_SCRIPTS).part
	mkdir -p $(KERNEL_SCRIPTS).part
	tar -xmf $(KERNEL_SOURCES) -C $(KERNEL_SCRIPTS).part --strip-components=1 --wildcards --occurrence=1 \
		'*/scripts/checkpatch.pl' '*/scripts/spelling.txt' '*/scripts/const_structs.checkpatch' '*/scripts/kernel-doc' \
		'*/tools/testing/selftests/kselftest.h' '*/tools/testing/selftests/kselftest_harness.h'
	mv $(KERNEL_SCRIPTS).part $(KERNEL_SCRIPTS)

build/kselftest/bin/%: tests/kselftest/%.c tests/kselftest/region.h tests/vm/import_dmabuf/import_dmabuf.h kmod/uapi/ivshmem.h $(SELFTESTS)/kselftest_harness.h
	@mkdir -p $(@D)
	$(CC) $(KSELFTEST_CFLAGS) -o $@ $<

build/kselftest/bin/%-32: tests/kselftest/%.c tests/kselftest/region.h tests/vm/import_dmabuf/import_dmabuf.h kmod/uapi/ivshmem.h $(SELFTESTS)/kselftest_harness.h
	@mkdir -p $(@D)
	$(CC) -m32 $(KSELFTEST_CFLAGS) -o $@ $<

# Programs that the tests in a guest use.
GUEST_PROGRAMS := $(patsubst tests/vm/programs/%.c,build/tests/%,$(wildcard tests/vm/programs/*.c))

build/tests/%: tests/vm/programs/%.c kmod/uapi/ivshmem.h $(SHARED)
	@mkdir -p $(@D)
	$(CC) $(IVSHMEM_CPPFLAGS) $(IVSHMEM_CFLAGS) -pthread -o $@ $< -Wl,--as-needed -Lbuild -livshmem $(call RUN_HERE,/..)

# The fuzzer of "make check-debug".
FUZZ_CALLS := $(wildcard tests/kernels/fuzz/*.c)
GUEST_PROGRAMS += build/tests/fuzz_calls

build/tests/fuzz_calls: $(FUZZ_CALLS) tests/kernels/fuzz/fuzz.h tests/vm/import_dmabuf/import_dmabuf.h kmod/uapi/ivshmem.h
	@mkdir -p $(@D)
	$(CC) $(IVSHMEM_CPPFLAGS) -Itests/vm $(IVSHMEM_CFLAGS) -pthread -o $@ $(FUZZ_CALLS)

# The library's tests, with the library, under the sanitizers.
ASAN_OBJ := $(LIB_SRC:userspace/%.c=build/asan/%.o)
LIB_TESTS := $(patsubst %.c,build/asan/%,$(notdir $(wildcard tests/lib/*/test_*.c)))
vpath test_%.c $(wildcard tests/lib/*)

build/asan/%.o: userspace/%.c
	@mkdir -p $(@D)
	$(CC) $(IVSHMEM_CPPFLAGS) $(IVSHMEM_CFLAGS) $(SANITIZE) -c -o $@ $<

build/asan/%: %.c tests/tap.h $(wildcard tests/lib/*.h) $(ASAN_OBJ)
	@mkdir -p $(@D)
	$(CC) $(IVSHMEM_CPPFLAGS) -Itests/lib $(IVSHMEM_CFLAGS) $(SANITIZE) -o $@ $< $(ASAN_OBJ) \
		-lcmocka $(LIB_LIBS)

# Those that share memory between threads, under the sanitizer for races.
SANITIZE_THREADS := -fsanitize=thread -fno-omit-frame-pointer
TSAN_OBJ := $(LIB_SRC:userspace/%.c=build/tsan/%.o)
TSAN_TESTS := $(addprefix build/tsan/test_,ring channel mailbox opening cancel threads objects races topic topic_traffic service service_set call waitset waitset_kinds waitset_wakeup)

build/tsan/%.o: userspace/%.c
	@mkdir -p $(@D)
	$(CC) $(IVSHMEM_CPPFLAGS) $(IVSHMEM_CFLAGS) $(SANITIZE_THREADS) -Wno-tsan -c -o $@ $<

build/tsan/%: %.c tests/tap.h $(wildcard tests/lib/*.h) tests/lib/one_map.c $(TSAN_OBJ)
	@mkdir -p $(@D)
	$(CC) $(IVSHMEM_CPPFLAGS) -Itests/lib $(IVSHMEM_CFLAGS) $(SANITIZE_THREADS) \
		-Wl,--wrap=mmap64,--wrap=munmap -o $@ $< tests/lib/one_map.c $(TSAN_OBJ) \
		-lcmocka $(LIB_LIBS)

# The whole command under the sanitizers, and the server's tests, which start it.
ASAN_CLI_OBJ := $(CLI_OBJ:build/%=build/asan/%)
SERVER_TESTS := $(patsubst tests/server/%.c,build/asan/server-tests/%,$(wildcard tests/server/test_*.c))

build/asan/text/%.o build/asan/memory/%.o build/asan/cli/%.o build/asan/server/%.o: IVSHMEM_CPPFLAGS += $(CLI_CPPFLAGS)

build/asan/ivshmem: $(ASAN_CLI_OBJ) $(ASAN_OBJ)
	$(CC) $(IVSHMEM_CFLAGS) $(SANITIZE) -o $@ $^ $(CLI_LIBS) $(LIB_LIBS)

# An archive, so that a test gets those objects only that it calls.
build/asan/server.a: $(filter build/asan/server/%,$(ASAN_CLI_OBJ))
	rm -f $@
	$(AR) rcs $@ $^

build/asan/server-tests/%: tests/server/%.c tests/tap.h $(wildcard tests/server/*.h) build/asan/server.a build/asan/ivshmem
	@mkdir -p $(@D)
	$(CC) $(IVSHMEM_CPPFLAGS) -Iuserspace $(IVSHMEM_CFLAGS) $(SANITIZE) -o $@ $< \
		build/asan/server.a -lcmocka $(call pkg,--libs libsystemd)

-include $(ASAN_OBJ:.o=.d) $(TSAN_OBJ:.o=.d) $(ASAN_CLI_OBJ:.o=.d)

# Fuzzers: a fixed number of runs in "make check", a long time in "make fuzz".
FUZZERS := $(patsubst tests/fuzz/%.c,build/fuzz/%,$(wildcard tests/fuzz/fuzz_*.c))

build/fuzz/%: tests/fuzz/%.c $(wildcard userspace/lib/client/*)
	@mkdir -p $(@D)
	clang $(IVSHMEM_CPPFLAGS) -std=gnu11 -g -O1 -Wall -Wextra \
		-fsanitize=fuzzer,address,undefined -fno-sanitize-recover=all \
		-o $@ $< userspace/lib/client/protocol.c userspace/lib/client/message_socket.c

# The whole library, with the other side's turns in between.
FUZZ_OBJ := $(LIB_SRC:userspace/%.c=build/fuzz/%.o)

FUZZ_FLAGS := -std=gnu11 -g -O1 -Wall -Wextra -Wno-unused-parameter -fno-sanitize-recover=all

build/fuzz/lib/%.o: userspace/lib/%.c $(wildcard userspace/lib/*/*.h) tests/fuzz/hooks.h
	@mkdir -p $(@D)
	clang $(IVSHMEM_CPPFLAGS) $(FUZZ_FLAGS) -fsanitize=fuzzer-no-link,address,undefined \
		-include tests/fuzz/hooks.h -c -o $@ $<

build/fuzz/fuzz_channel build/fuzz/fuzz_topic: build/fuzz/%: tests/fuzz/%.c \
		tests/fuzz/other_side.c tests/fuzz/other_side.h $(FUZZ_OBJ)
	clang $(IVSHMEM_CPPFLAGS) $(FUZZ_FLAGS) -fsanitize=fuzzer,address,undefined \
		-o $@ $< tests/fuzz/other_side.c $(FUZZ_OBJ) $(LIB_LIBS)

fuzz: $(FUZZERS)
	SECONDS_EACH=$${SECONDS_EACH:-600} tests/fuzz/check

# SOAK_MESSAGES, SOAK_SECONDS, DEATH_ROUNDS, DEATH_STEPS, RESTART_STRIDE, KILLS and GUESTS
# choose other numbers.
soak: build/asan/test_wakeup build/asan/test_death build/asan/test_topic_traffic \
		build/asan/test_topic_death build/asan/server-tests/test_restart build/asan/server-tests/keeper userspace
	@$(GUEST_MAKE) build/tests/initramfs
	RESTART_STRIDE=$${RESTART_STRIDE:-1} \
	SOAK_MESSAGES=$${SOAK_MESSAGES:-10000000} SOAK_SECONDS=$${SOAK_SECONDS:-3600} \
	DEATH_ROUNDS=$${DEATH_ROUNDS:-20000} DEATH_STEPS=$${DEATH_STEPS:-10000} \
		tests/run build/asan/test_wakeup build/asan/test_death build/asan/test_topic_traffic \
			build/asan/test_topic_death build/asan/server-tests/test_restart tests/soak/restart.bats \
			tests/vm/topic_guests.bats

# Other kernels have theirs elsewhere.
GUEST_INITRAMFS ?= build/tests/initramfs

# Those of the library that need a device or a guest's udev. GUEST_LIBRARY=all takes all, for
# what the library needs of the kernel, but those that try all orders and thousands of
# killings, on which a guest has no influence.
GUEST_LIB_TESTS := $(if $(filter all,$(GUEST_LIBRARY)), \
	$(filter-out $(addprefix build/asan/test_,back_in_time death directory races service_faults service_wakeup topic_faults topic_wakeup wakeup),$(LIB_TESTS)), \
	$(addprefix build/asan/test_,doorbell guest list monitor))

$(GUEST_INITRAMFS): userspace $(MODULE) $(GUEST_MODULES) $(KSELFTESTS) $(KSELFTESTS_32) \
		$(GUEST_PROGRAMS) $(GUEST_LIB_TESTS) tests/vm/initramfs tests/vm/init tests/vm/requests udev/70-ivshmem.rules
	@mkdir -p $(@D)
	$(NO_JOBS) tests/vm/initramfs "$$(tests/vm/guest-kernel fetch)" "$$(tests/vm/guest-kernel release)" $@ \
		$(GUEST_MODULES) $(KSELFTESTS) $(KSELFTESTS_32) $(GUEST_PROGRAMS) $(GUEST_LIB_TESTS) $(EXAMPLES)

build/tests/outer-initramfs: tests/kvm/initramfs tests/kvm/init tests/vm/requests
	@mkdir -p $(@D)
	tests/kvm/initramfs "$$(tests/vm/guest-kernel fetch)" "$$(tests/vm/guest-kernel release)" $@

# What a target needs is installed first; the rest runs in a make of its own,
# which finds it, with the headers of the guest's kernel.
GUEST_MAKE = $(MAKE) --no-print-directory KDIR="$$(tests/vm/guest-kernel headers)"

demo:
	@tests/setup demo
	@$(GUEST_MAKE) -s build/demo/initramfs
	@tests/demo

# What is built for the tests is built by as many compilers as there are processors,
# unless make was told a number. One test more than that runs at once, since many wait.
JOBS = $(if $(filter -j%,$(MAKEFLAGS)),,-j$(shell nproc))
CHECK_JOBS ?= $(shell echo $$(($$(nproc) + 1)))

check:
	@tests/setup check
	@$(GUEST_MAKE) $(JOBS) build-check
	@$(GUEST_MAKE) run-check

bench:
	@tests/setup bench
	@$(GUEST_MAKE) -s build/bench/initramfs
	@tests/bench/run $(PARTS)

bench-kvm:
	@tests/setup bench
	@$(GUEST_MAKE) -s build/bench/initramfs build/tests/outer-initramfs
	@tests/bench/kvm

check-kernels:
	@tests/setup kernels
	@tests/kernels/check $(KERNELS)

check-debug:
	@tests/setup debug
	@tests/kernels/debug

check-migration:
	@tests/setup check
	@$(GUEST_MAKE) $(JOBS) build/tests/initramfs
	@MIGRATIONS=$${MIGRATIONS:-100} VM_PATIENCE=$${VM_PATIENCE:-4} tests/run tests/vm/migration.bats

check-upstream:
	@tests/setup upstream
	@tests/run tests/kernels/upstream

check-kvm:
	@tests/setup kvm
	@$(GUEST_MAKE) $(JOBS) build/tests/initramfs build/tests/outer-initramfs
	@tests/run tests/kvm/guests

# Every suite that there is a file for, unless told.
SUITES ?= bullseye bookworm trixie sid

check-packages:
	@tests/setup packages
	@$(GUEST_MAKE) userspace
	@$(NO_JOBS) tests/packages/check $(SUITES)

release-check:
	@packaging/release-check

style:
	@tests/setup style
	@$(GUEST_MAKE) run-style

run-style: userspace $(SELFTESTS)/kselftest_harness.h
	tests/run tests/style

build-check: build/tests/initramfs build/demo/initramfs $(LIB_TESTS) $(FUZZERS) $(TSAN_TESTS) $(SERVER_TESTS) $(SELFTESTS)/kselftest_harness.h

# Make takes these for a passing need, and would make them anew each time.
.SECONDARY: $(TSAN_OBJ)

# Long ones first, so that the last to end is a short one. Guests are given time, as they
# share the processors. The tests see nothing of how make was called.
TESTS = tests/style tests/builds $(filter-out %/test_guest %/test_doorbell,$(LIB_TESTS)) $(TSAN_TESTS) tests/model/check tests/fuzz/check \
	$(wildcard tests/cli/*.bats) $(SERVER_TESTS) $(wildcard tests/server/*.bats) \
	tests/demo.bats tests/vm/kselftest.sh $(filter-out %/topic_guests.bats,$(wildcard tests/vm/*.bats))
LONG_TESTS = $(foreach name,vm/kselftest.sh vm/peers.bats vm/removal.bats vm/device.bats vm/power.bats \
	vm/unplug.bats vm/highest.bats tests/style tests/builds test_join,$(filter %$(name),$(TESTS)))

run-check: build-check
	VM_PATIENCE=$${VM_PATIENCE:-4} env -u MAKEFLAGS -u MFLAGS \
		tests/run -j $(CHECK_JOBS) $(LONG_TESTS) $(filter-out $(LONG_TESTS),$(TESTS))

build/demo/initramfs: userspace $(MODULE) tests/vm/initramfs tests/vm/init tests/vm/requests
	@mkdir -p $(@D)
	$(NO_JOBS) tests/vm/initramfs "$$(tests/vm/guest-kernel fetch)" "$$(tests/vm/guest-kernel release)" $@ $(EXAMPLES)

BENCH := $(patsubst tests/bench/%.c,build/bench/%,$(wildcard tests/bench/*.c))

build/bench/%: tests/bench/%.c $(wildcard tests/bench/*.h) build/libivshmem.a
	@mkdir -p $(@D)
	$(CC) $(IVSHMEM_CPPFLAGS) $(IVSHMEM_CFLAGS) $(LDFLAGS) -static -o $@ $< build/libivshmem.a -luring

build/bench/initramfs: userspace $(MODULE) $(BENCH) tests/vm/initramfs tests/vm/init tests/vm/requests
	$(NO_JOBS) tests/vm/initramfs "$$(tests/vm/guest-kernel fetch)" "$$(tests/vm/guest-kernel release)" $@ $(BENCH)

clean:
	find build -mindepth 1 -maxdepth 1 ! -name guest ! -name kernel-scripts -exec rm -rf {} + 2>/dev/null || true

distclean:
	rm -rf build

FORCE:
.PHONY: all userspace man modules guest-modules kernel-tree kernel-series demo check check-kernels check-upstream check-debug check-kvm check-migration bench bench-kvm style build-check run-check run-style fuzz soak install install-userspace install-modules uninstall clean distclean install-dkms uninstall-dkms check-packages release-check dist deb FORCE
