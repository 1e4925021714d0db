# SPDX-License-Identifier: MIT
TEST_PROGS := ivshmem.sh
TEST_GEN_FILES := @PROGRAMS@

CFLAGS += -O2 -Wall -Wno-nonnull -Wno-unused-function -D_FILE_OFFSET_BITS=64 $(KHDR_INCLUDES)

include ../../lib.mk
