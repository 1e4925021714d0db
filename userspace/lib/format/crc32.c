// SPDX-License-Identifier: MIT
#include "superblock.h"

/* CRC-32 of IEEE 802.3, bit by bit: it is needed for 120 bytes. */
uint32_t ivshmem_crc32(const void *data, size_t size)
{
	const uint8_t *byte = data;
	uint32_t crc = ~0u;
	int bit;

	while (size--) {
		crc ^= *byte++;
		for (bit = 0; bit < 8; bit++)
			crc = crc >> 1 ^ (crc & 1 ? 0xedb88320u : 0);
	}
	return ~crc;
}
