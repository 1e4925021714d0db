// SPDX-License-Identifier: MIT
#include <ivshmem/version.h>

#define TEXT(number)		#number
#define JOIN(major, minor, patch) TEXT(major) "." TEXT(minor) "." TEXT(patch)

const char *ivshmem_version(void)
{
	return JOIN(IVSHMEM_VERSION_MAJOR, IVSHMEM_VERSION_MINOR, IVSHMEM_VERSION_PATCH);
}
