/* SPDX-License-Identifier: Apache-2.0 */
/*
 * memory_disk.h: a side of storage/blockdev.h that completes every write at once and keeps nothing:
 * what the log costs without a disk. For benchmarks only.
 */
#ifndef CAIRN_PERF_MEMORY_DISK_H
#define CAIRN_PERF_MEMORY_DISK_H

#include "storage/blockdev.h"

/* memory_disk_create: reads as zeros. NULL: no memory. Free with free(). */
struct blockdev *memory_disk_create(uint64_t bytes);

#endif
