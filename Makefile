# SPDX-License-Identifier: MIT
#
# make            build everything; the module for KDIR's kernel
# make demo       see it work: host and guest, one transcript
# make check      run every test
# make style      checkpatch, sparse, shellcheck, codespell
# make bench      measure
# make install    DESTDIR and PREFIX are honoured; make uninstall undoes it
#
# Every path here is relative, so that the tree may lie in a folder whose name
# has a space in it.

VERSION := 0.1.0
SOVERSION := 0

PREFIX ?= /usr/local
BINDIR ?= $(PREFIX)/bin
LIBDIR ?= $(PREFIX)/lib
INCLUDEDIR ?= $(PREFIX)/include
MANDIR ?= $(PREFIX)/share/man
UDEVDIR ?= /usr/lib/udev
SYSUSERSDIR ?= /usr/lib/sysusers.d
INSTALL ?= install

KDIR ?= /lib/modules/$(shell uname -r)/build
KERNELRELEASE := $(shell cat '$(KDIR)/include/config/kernel.release' 2>/dev/null)

CFLAGS ?= -O2 -g
IVSHMEM_CPPFLAGS := -D_GNU_SOURCE -DIVSHMEM_VERSION='"$(VERSION)"' \
	-Iuserspace/include -Ikmod $(CPPFLAGS)
IVSHMEM_CFLAGS := -std=gnu11 -Wall -Wextra -Wshadow -Wmissing-prototypes \
	-Wstrict-prototypes -Wformat=2 -Wno-unused-parameter -Werror \
	-fvisibility=hidden -fPIC -MMD -MP $(CFLAGS)
SANITIZE := -fsanitize=address,undefined -fno-sanitize-recover=all -fno-omit-frame-pointer

pkg = $(shell pkg-config $(1) 2>/dev/null)

all: userspace modules

# --- userspace ---------------------------------------------------------------

LIB_SRC := $(wildcard userspace/lib/*.c)
LIB_OBJ := $(LIB_SRC:userspace/%.c=build/%.o)
CLI_OBJ := $(patsubst userspace/%.c,build/%.o,$(wildcard userspace/cli/*.c))
EXAMPLES := $(patsubst userspace/examples/%.c,build/examples/%,$(wildcard userspace/examples/*.c))
MAN := $(patsubst userspace/man/%.scd,build/man/%,$(wildcard userspace/man/*.scd))

LIB_LIBS = $(call pkg,--libs libudev)
CLI_LIBS = $(call pkg,--libs smartcols json-c libkmod)
SONAME := libivshmem.so.$(SOVERSION)
SHARED := build/libivshmem.so.$(VERSION)

userspace: $(SHARED) build/libivshmem.a build/libivshmem.pc build/ivshmem $(EXAMPLES) man

build/%.o: userspace/%.c
	@mkdir -p $(@D)
	$(CC) $(IVSHMEM_CPPFLAGS) $(IVSHMEM_CFLAGS) -c -o $@ $<

$(SHARED): $(LIB_OBJ) userspace/lib/libivshmem.map
	$(CC) $(CFLAGS) $(LDFLAGS) -shared -Wl,-soname,$(SONAME) -Wl,-z,defs \
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
		-e 's|@INCLUDEDIR@|$(INCLUDEDIR)|' -e 's|@VERSION@|$(VERSION)|' $< >$@

build/ivshmem: $(CLI_OBJ) $(SHARED)
	$(CC) $(CFLAGS) $(LDFLAGS) -o $@ $(CLI_OBJ) -Lbuild -livshmem $(CLI_LIBS)

build/examples/%: userspace/examples/%.c $(SHARED)
	@mkdir -p $(@D)
	$(CC) $(IVSHMEM_CPPFLAGS) $(IVSHMEM_CFLAGS) $(LDFLAGS) -o $@ $< -Lbuild -livshmem

man: $(MAN)
build/man/%: userspace/man/%.scd
	@mkdir -p $(@D)
	scdoc <$< >$@

-include $(LIB_OBJ:.o=.d) $(CLI_OBJ:.o=.d)

FORCE:
.PHONY: all userspace man FORCE
