/* SPDX-License-Identifier: Apache-2.0 */
#include "perf/memory_disk.h"

#include <stdlib.h>

struct blockdev {
	uint64_t bytes;
	uint32_t count; /* completions not yet taken */
	struct blockdev_completion done[BLOCKDEV_DEPTH];
};

struct blockdev *memory_disk_create(uint64_t bytes)
{
	struct blockdev *dev = calloc(1, sizeof(*dev));

	if (dev)
		dev->bytes = bytes;
	return dev;
}

uint64_t blockdev_bytes(const struct blockdev *dev)
{
	return dev->bytes;
}

uint64_t blockdev_blank_from(const struct blockdev *dev)
{
	return blockdev_bytes(dev);
}

int blockdev_write(struct blockdev *dev, uint64_t token, const void *data, uint32_t bytes,
		   uint64_t offset)
{
	(void)data;
	must(offset + bytes <= dev->bytes && dev->count < BLOCKDEV_DEPTH);
	dev->done[dev->count++] = (struct blockdev_completion) { token, (int32_t)bytes };
	return 0;
}

int blockdev_read(struct blockdev *dev, uint64_t token, void *data, uint32_t bytes, uint64_t offset)
{
	memset(data, 0, bytes);
	return blockdev_write(dev, token, data, bytes, offset);
}

uint32_t blockdev_poll(struct blockdev *dev, struct blockdev_completion *out, uint32_t max)
{
	uint32_t n = dev->count < max ? dev->count : max;

	memcpy(out, dev->done, n * sizeof(*out));
	memmove(dev->done, dev->done + n, (dev->count - n) * sizeof(*out));
	dev->count -= n;
	return n;
}

void blockdev_wait(struct blockdev *dev)
{
	must(dev->count > 0);
}
