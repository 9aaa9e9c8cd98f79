/* SPDX-License-Identifier: Apache-2.0 */
/* sim_disk.c: a disk in memory, under virtual time and seeded faults. */
#include "tests/sim/sim_disk.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/mman.h>

#define KEPT_BYTES (8ull << 20) /* of an image, from one seed to the next; more goes back */

struct sim_transfer {
	uint64_t token;
	uint64_t offset;
	uint64_t done_ns;
	const uint8_t *source; /* write */
	uint8_t *target;       /* read */
	uint32_t bytes;
	uint64_t sum; /* of source at submission */
	int error;    /* the write fails with this, 0: succeeds */
	bool lost;    /* it says it succeeds */
};

struct blockdev {
	uint64_t bytes;
	uint8_t *image;
	uint64_t touched; /* nothing at or above this was ever written */
	uint64_t now_ns;
	uint64_t last_done_ns;
	uint64_t random;
	uint64_t writes;
	uint64_t fail_at; /* index of the write that fails, 0: none */
	int fail_error;
	uint64_t lose_at, misdirect_at, misdirect_word; /* likewise */
	uint64_t slow_until_ns;
	uint32_t slow_factor;
	uint32_t armed;
	bool armed_after;
	void (*fire)(void *context);
	void *context;
	struct sim_disk_options options;
	uint32_t running_count, finished_count;
	struct sim_transfer running[BLOCKDEV_DEPTH];
	struct blockdev_completion finished[BLOCKDEV_DEPTH];
};

static uint64_t next_random(struct blockdev *dev)
{
	uint64_t z = dev->random += 0x9e3779b97f4a7c15ull;

	z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9ull;
	z = (z ^ z >> 27) * 0x94d049bb133111ebull;
	return z ^ z >> 31;
}

/* sum_of: whether whole blocks changed; four lanes, where a CRC's steps wait for each other. */
static uint64_t sum_of(const uint8_t *data, uint32_t bytes)
{
	uint64_t lane[4] = { 1, 2, 3, 4 };

	for (uint32_t i = 0; i < bytes; i += 32) {
		for (uint32_t k = 0; k < 4; k++)
			lane[k] = (lane[k] ^ load_u64(data + i + 8 * k)) * 0x9e3779b97f4a7c15ull;
	}
	return lane[0] ^ lane[1] << 1 ^ lane[2] << 2 ^ lane[3] << 3;
}

static uint8_t *blank_image(uint64_t bytes)
{
	void *image = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	must(image != MAP_FAILED);
	return image;
}

/* wipe: a log goes round its disk: without limit, every page of every disk would stay for good. */
static void wipe(struct blockdev *dev)
{
	if (dev->touched <= KEPT_BYTES) {
		memset(dev->image, 0, dev->touched);
		return;
	}
	must(munmap(dev->image, dev->bytes) == 0);
	dev->image = blank_image(dev->bytes);
}

void sim_disk_reset(struct blockdev *dev, uint64_t seed, const struct sim_disk_options *options)
{
	struct blockdev fresh = { .bytes = dev->bytes, .random = seed };

	wipe(dev);
	fresh.image = dev->image;
	if (options != NULL)
		fresh.options = *options;
	if (fresh.options.latency_base_ns == 0)
		fresh.options.latency_base_ns = 20000;
	if (fresh.options.latency_tail_ns == 0)
		fresh.options.latency_tail_ns = 10000;
	if (fresh.options.stall_ns == 0)
		fresh.options.stall_ns = 5000000;
	*dev = fresh;
}

struct blockdev *sim_disk_create(uint64_t bytes, uint64_t seed,
				 const struct sim_disk_options *options)
{
	struct blockdev *dev = calloc(1, sizeof(*dev));

	must(dev != NULL);
	must(bytes > 0 && bytes % BLOCK_BYTES == 0);
	dev->bytes = bytes;
	dev->image = blank_image(bytes);
	sim_disk_reset(dev, seed, options);
	return dev;
}

void sim_disk_destroy(struct blockdev *dev)
{
	if (dev == NULL)
		return;
	must(munmap(dev->image, dev->bytes) == 0);
	free(dev);
}

/*
 * The exponential part, in integers so that every machine gets the same: the position of the
 * highest random bit gives whole halvings, the bits below it interpolate between them.
 */
static uint64_t latency_ns(struct blockdev *dev)
{
	uint64_t r = next_random(dev) | 1;
	uint32_t halvings = (uint32_t)__builtin_clzll(r);
	uint64_t below = halvings == 63 ? 0 : (r << (halvings + 1)) >> 54; /* 0..1023 */
	uint64_t log2_1024 = (uint64_t)halvings * 1024 + (1023 - below);
	uint64_t ns = dev->options.latency_base_ns;

	ns += dev->options.latency_tail_ns * log2_1024 * 710 / 1024 / 1024; /* ln 2 = 710/1024 */
	if (next_random(dev) % 1000000 < dev->options.stalls_per_million)
		ns += dev->options.stall_ns;
	return dev->now_ns < dev->slow_until_ns ? ns * dev->slow_factor : ns;
}

void sim_disk_slow(struct blockdev *dev, uint32_t factor, uint64_t until_ns)
{
	dev->slow_factor = factor;
	dev->slow_until_ns = until_ns;
}

static void touch(struct blockdev *dev, uint64_t end)
{
	dev->touched = max_u64(dev->touched, end);
}

/* write_torn: any subset of the sectors; now and then a plain prefix or suffix, as disks do. */
static void write_torn(struct blockdev *dev, const struct sim_transfer *t)
{
	uint32_t sectors = t->bytes / SIM_SECTOR_BYTES;
	uint32_t cut = (uint32_t)(next_random(dev) % (sectors + 1));
	uint64_t kind = next_random(dev) % 4;

	for (uint32_t i = 0; i < sectors; i++) {
		bool keep = (next_random(dev) & 1) != 0;

		if (kind < 2)
			keep = (i < cut) == (kind == 0);
		if (keep)
			memcpy(dev->image + t->offset + (uint64_t)i * SIM_SECTOR_BYTES,
			       t->source + (size_t)i * SIM_SECTOR_BYTES, SIM_SECTOR_BYTES);
	}
	touch(dev, t->offset + t->bytes);
}

/* read_image: what was never written reads as zeros, without looking. */
static void read_image(const struct blockdev *dev, const struct sim_transfer *t)
{
	uint64_t written = t->offset < dev->touched ? dev->touched - t->offset : 0;
	uint32_t copy = (uint32_t)min_u64(written, t->bytes);

	memcpy(t->target, dev->image + t->offset, copy);
	memset(t->target + copy, 0, t->bytes - copy);
}

static void finish(struct blockdev *dev, const struct sim_transfer *t)
{
	struct blockdev_completion *c = &dev->finished[dev->finished_count++];

	c->token = t->token;
	c->result = t->error != 0 ? t->error : (int32_t)t->bytes;
	if (t->target != NULL) {
		read_image(dev, t);
		return;
	}
	must(sum_of(t->source, t->bytes) == t->sum);
	if (t->error != 0) {
		write_torn(dev, t);
		return;
	}
	if (t->lost)
		return;
	memcpy(dev->image + t->offset, t->source, t->bytes);
	touch(dev, t->offset + t->bytes);
}

/* earliest: the running transfer that completes first, or running_count. */
static uint32_t earliest(const struct blockdev *dev)
{
	uint32_t best = dev->running_count;

	for (uint32_t i = 0; i < dev->running_count; i++) {
		if (best == dev->running_count ||
		    dev->running[i].done_ns < dev->running[best].done_ns)
			best = i;
	}
	return best;
}

uint32_t sim_disk_advance(struct blockdev *dev, uint64_t now_ns)
{
	uint32_t i, count = 0;

	dev->now_ns = max_u64(dev->now_ns, now_ns);
	while ((i = earliest(dev)) < dev->running_count && dev->running[i].done_ns <= dev->now_ns) {
		count++;
		finish(dev, &dev->running[i]);
		dev->running_count--;
		memmove(&dev->running[i], &dev->running[i + 1],
			(dev->running_count - i) * sizeof(dev->running[0]));
	}
	return count;
}

uint64_t sim_disk_next_ns(const struct blockdev *dev)
{
	uint32_t i = earliest(dev);

	if (dev->finished_count > 0)
		return dev->now_ns;
	return i < dev->running_count ? dev->running[i].done_ns : UINT64_MAX;
}

void sim_disk_crash(struct blockdev *dev)
{
	for (uint32_t i = 0; i < dev->running_count; i++) {
		const struct sim_transfer *t = &dev->running[i];
		uint64_t fate = next_random(dev) % 4;

		if (t->source == NULL || fate == 0)
			continue;
		if (fate == 1) {
			memcpy(dev->image + t->offset, t->source, t->bytes);
			touch(dev, t->offset + t->bytes);
		} else {
			write_torn(dev, t);
		}
	}
	dev->running_count = 0;
	dev->finished_count = 0;
	dev->last_done_ns = 0;
	dev->fail_at = dev->lose_at = dev->misdirect_at = 0;
	dev->armed = 0;
}

void sim_disk_crash_by(struct blockdev *dev, uint64_t word)
{
	uint64_t random = dev->random;

	dev->random = word;
	sim_disk_crash(dev);
	dev->random = random;
}

void sim_disk_fail_write(struct blockdev *dev, uint64_t n, int error)
{
	must(n > 0 && error < 0);
	dev->fail_at = dev->writes + n;
	dev->fail_error = error;
}

void sim_disk_lose_write(struct blockdev *dev, uint64_t n)
{
	must(n > 0);
	dev->lose_at = dev->writes + n;
}

void sim_disk_misdirect(struct blockdev *dev, uint64_t n, uint64_t word)
{
	must(n > 0);
	dev->misdirect_at = dev->writes + n;
	dev->misdirect_word = word;
}

void sim_disk_arm(struct blockdev *dev, uint32_t n, bool after, void (*fire)(void *context),
		  void *context)
{
	dev->armed = n;
	dev->armed_after = after;
	dev->fire = fire;
	dev->context = context;
}

void sim_disk_rot_somewhere(struct blockdev *dev, uint64_t word)
{
	if (dev->touched != 0)
		dev->image[word / 8 % dev->touched] ^= (uint8_t)(1u << (word % 8));
}

void sim_disk_rot(struct blockdev *dev, uint64_t offset)
{
	must(offset < dev->bytes);
	dev->image[offset] ^= (uint8_t)(1u << (next_random(dev) % 8));
	touch(dev, offset + 1);
}

uint8_t *sim_disk_image(struct blockdev *dev)
{
	dev->touched = dev->bytes; /* the test may write anywhere */
	return dev->image;
}

uint64_t sim_disk_writes(const struct blockdev *dev)
{
	return dev->writes;
}

uint64_t blockdev_blank_from(const struct blockdev *dev)
{
	return dev->touched;
}

uint64_t blockdev_bytes(const struct blockdev *dev)
{
	return dev->bytes;
}

static struct sim_transfer *start(struct blockdev *dev, uint64_t token, uint32_t bytes,
				  uint64_t offset)
{
	struct sim_transfer *t = &dev->running[dev->running_count];

	must(dev->running_count + dev->finished_count < BLOCKDEV_DEPTH);
	must(bytes > 0 && bytes <= BLOCKDEV_TRANSFER_MAX && bytes % BLOCK_BYTES == 0);
	must(offset % BLOCK_BYTES == 0 && offset <= dev->bytes && bytes <= dev->bytes - offset);
	*t = (struct sim_transfer) { .token = token, .bytes = bytes, .offset = offset };
	t->done_ns = dev->now_ns + latency_ns(dev);
	if (dev->options.in_order)
		t->done_ns = max_u64(t->done_ns, dev->last_done_ns);
	dev->last_done_ns = t->done_ns;
	dev->running_count++;
	return t;
}

/* elsewhere: another place for a write, within what was ever written or just behind. */
static uint64_t elsewhere(const struct blockdev *dev, const struct sim_transfer *t)
{
	uint64_t end = min_u64(dev->bytes, dev->touched + 4 * BLOCK_BYTES);
	uint64_t at;

	if (end < t->bytes)
		return t->offset;
	at = dev->misdirect_word % ((end - t->bytes) / BLOCK_BYTES + 1) * BLOCK_BYTES;
	return at == t->offset ? 0 : at;
}

int blockdev_write(struct blockdev *dev, uint64_t token, const void *data, uint32_t bytes,
		   uint64_t offset)
{
	struct sim_transfer *t;
	bool due;

	must((uintptr_t)data % BLOCK_BYTES == 0);
	due = dev->armed != 0 && --dev->armed == 0;
	if (due && !dev->armed_after)
		dev->fire(dev->context);
	t = start(dev, token, bytes, offset);
	t->source = data;
	t->sum = sum_of(data, bytes);
	if (++dev->writes == dev->fail_at)
		t->error = dev->fail_error;
	t->lost = dev->writes == dev->lose_at;
	if (dev->writes == dev->misdirect_at)
		t->offset = elsewhere(dev, t);
	if (due && dev->armed_after)
		dev->fire(dev->context);
	return 0;
}

int blockdev_read(struct blockdev *dev, uint64_t token, void *data, uint32_t bytes, uint64_t offset)
{
	must((uintptr_t)data % BLOCK_BYTES == 0);
	start(dev, token, bytes, offset)->target = data;
	return 0;
}

uint32_t blockdev_poll(struct blockdev *dev, struct blockdev_completion *out, uint32_t max)
{
	uint32_t n = dev->finished_count < max ? dev->finished_count : max;

	memcpy(out, dev->finished, n * sizeof(*out));
	dev->finished_count -= n;
	memmove(dev->finished, dev->finished + n, dev->finished_count * sizeof(*out));
	return n;
}

void blockdev_wait(struct blockdev *dev)
{
	must(dev->running_count + dev->finished_count > 0);
	if (dev->finished_count == 0)
		sim_disk_advance(dev, dev->running[earliest(dev)].done_ns);
}
