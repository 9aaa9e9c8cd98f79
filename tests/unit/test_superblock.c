/* SPDX-License-Identifier: Apache-2.0 */
/* test_superblock.c: layout, every bit flip, crashes and failures at every write of an advance. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "replication/crc.h"
#include "storage/superblock.h"
#include "tests/sim/sim_disk.h"

#define DISK_BYTES (16u * BLOCK_BYTES)

static _Alignas(BLOCK_BYTES) uint8_t scratch[BLOCK_BYTES];

static const struct superblock sample = {
	.cluster = 0x0123456789abcdefull,
	.device_id = 0xfeedface12345678ull,
	.fingerprint = 42,
	.device_bytes = DISK_BYTES,
	.shard_count = 4,
	.stream = 1,
	.stream_count = 2,
	.node = 2,
	.node_count = 3,
	.engine = 1,
	.flags = SUPERBLOCK_JOINING | SUPERBLOCK_WITNESS,
};

static struct blockdev *formatted(uint64_t seed)
{
	struct blockdev *dev = sim_disk_create(DISK_BYTES, seed, NULL);

	assert_int_equal(superblock_format(dev, scratch, &sample), 0);
	return dev;
}

static void layout_and_flips(void **state)
{
	static uint8_t block[BLOCK_BYTES], again[BLOCK_BYTES];
	struct superblock sb = sample, got;

	(void)state;
	sb.generation = 7;
	sb.incarnation = 5;
	superblock_encode(block, &sb);
	assert_memory_equal(block, "CAIRNSUP", 8);
	assert_int_equal(load_u32(block + 8), 3);
	assert_int_equal(load_u64(block + 16), 7);
	assert_true(load_u64(block + 24) == sb.cluster && load_u64(block + 32) == sb.device_id);
	assert_true(load_u64(block + 40) == 42 && load_u64(block + 48) == DISK_BYTES);
	assert_true(load_u32(block + 56) == 5 && load_u16(block + 60) == 4);
	assert_true(block[62] == 2 && block[63] == 3);
	assert_true(load_u16(block + 64) == 1 && load_u16(block + 66) == 2);
	assert_true(block[68] == 1 && block[69] == 3 && block[70] == 0);
	assert_true(superblock_decode(block, &got));
	assert_true(superblock_shape(&got) != superblock_fingerprint(sb.cluster, 3, 4));
	got.engine = 0;
	assert_true(superblock_shape(&got) == superblock_fingerprint(sb.cluster, 3, 4));
	got.engine = 1;
	superblock_encode(again, &got);
	assert_memory_equal(again, block, BLOCK_BYTES);
	for (uint32_t bit = 0; bit < SUPERBLOCK_BYTES * 8; bit++) {
		block[bit / 8] ^= (uint8_t)(1u << bit % 8);
		assert_false(superblock_decode(block, &got));
		block[bit / 8] ^= (uint8_t)(1u << bit % 8);
	}
}

static void fresh_blank_foreign(void **state)
{
	struct blockdev *dev = sim_disk_create(DISK_BYTES, 1, NULL);
	uint8_t *image = sim_disk_image(dev);
	struct superblock sb = { 0 };

	(void)state;
	assert_int_equal(superblock_read(dev, scratch, &sb), -ENODATA);
	memset(image, 0x5a, 2 * BLOCK_BYTES);
	assert_int_equal(superblock_read(dev, scratch, &sb), -EBADMSG);
	assert_int_equal(superblock_format(dev, scratch, &sample), 0);
	assert_int_equal(superblock_read(dev, scratch, &sb), 0);
	assert_int_equal(sb.generation, 2);
	assert_int_equal(sb.incarnation, 0);
	sim_disk_destroy(dev);
}

/* set_format: makes the copy one of another format, intact. */
static void set_format(uint8_t *block, uint32_t format)
{
	uint32_t crc;

	store_u32(block + 8, format);
	crc = crc32c_update(~0u, block + 8, 4);
	store_u32(block + 12, ~crc32c_update(crc, block + 16, 112));
}

/* Older and newer formats are named, so that the cure can be; damage is not mistaken for one. */
static void other_formats_and_shrunk_device(void **state)
{
	struct blockdev *dev = formatted(1);
	uint8_t *image = sim_disk_image(dev);
	struct superblock sb = sample, got;

	(void)state;
	for (uint32_t format = 0; format < 5; format++) {
		for (uint32_t copies = 1; copies < 4; copies++) {
			for (uint32_t i = 0; i < 2; i++)
				set_format(image + i * BLOCK_BYTES,
					   copies & 1u << i ? format : SUPERBLOCK_FORMAT);
			got = sample;
			assert_int_equal(superblock_read(dev, scratch, &got),
					 format == SUPERBLOCK_FORMAT ? 0 : -EPROTONOSUPPORT);
			assert_int_equal(got.format, format);
			assert_true(got.generation == (format == SUPERBLOCK_FORMAT ? 2 : 0));
		}
	}
	set_format(image, 1);
	image[12] ^= 1;
	assert_int_equal(superblock_read(dev, scratch, &sb), -EPROTONOSUPPORT);
	set_format(image + BLOCK_BYTES, SUPERBLOCK_FORMAT);
	assert_int_equal(superblock_read(dev, scratch, &sb), 0);
	assert_int_equal(sb.generation, 1);
	sb.device_bytes = 2 * DISK_BYTES;
	sb.generation = 3;
	superblock_encode(image + BLOCK_BYTES, &sb);
	memset(image, 0, BLOCK_BYTES);
	assert_int_equal(superblock_read(dev, scratch, &sb), -ENXIO);
	sim_disk_destroy(dev);
}

/* CC-12: whatever single byte is lost afterwards, the next incarnation is a new one. */
static void rot_never_repeats_an_incarnation(void **state)
{
	(void)state;
	for (uint32_t at = 0; at < 2 * BLOCK_BYTES; at += at % BLOCK_BYTES < 160 ? 1 : 101) {
		struct blockdev *dev = formatted(at);
		struct superblock sb = { 0 };

		for (uint32_t life = 1; life <= 3; life++) {
			assert_int_equal(superblock_read(dev, scratch, &sb), 0);
			assert_int_equal(sb.incarnation, life - 1);
			assert_int_equal(superblock_advance(dev, scratch, &sb, 0), 0);
			assert_int_equal(sb.incarnation, life);
			sim_disk_rot(dev, at);
		}
		sim_disk_destroy(dev);
	}
}

static void crash_in_advance(void **state)
{
	(void)state;
	for (uint64_t seed = 1; seed <= 400; seed++) {
		struct blockdev *dev = formatted(seed);
		struct superblock sb = { 0 };

		assert_int_equal(superblock_read(dev, scratch, &sb), 0);
		assert_int_equal(superblock_advance(dev, scratch, &sb, 0), 0);
		/* The next advance gets as far as its first or second write, then the power goes.
		 */
		sb.incarnation++;
		for (uint64_t i = 0; i <= seed % 2; i++) {
			struct blockdev_completion c;

			sb.generation++;
			superblock_encode(scratch, &sb);
			assert_int_equal(blockdev_write(dev, 0, scratch, BLOCK_BYTES,
							sb.generation % 2 * BLOCK_BYTES),
					 0);
			if (i == seed % 2)
				break;
			blockdev_wait(dev);
			assert_int_equal(blockdev_poll(dev, &c, 1), 1);
		}
		sim_disk_crash(dev);
		assert_int_equal(superblock_read(dev, scratch, &sb), 0);
		assert_true(sb.incarnation == 1 || sb.incarnation == 2);
		assert_int_equal(superblock_advance(dev, scratch, &sb, 0), 0);
		assert_true(sb.incarnation >= 2);
		sim_disk_destroy(dev);
	}
}

/* At least what the view service asked for, and never less than the next. */
static void incarnations_have_a_floor(void **state)
{
	struct blockdev *dev = formatted(9);
	struct superblock sb = { 0 };

	(void)state;
	assert_int_equal(superblock_read(dev, scratch, &sb), 0);
	assert_int_equal(superblock_advance(dev, scratch, &sb, 20), 0);
	assert_int_equal(sb.incarnation, 20);
	assert_int_equal(superblock_advance(dev, scratch, &sb, 20), 0);
	assert_int_equal(sb.incarnation, 21);
	assert_int_equal(superblock_read(dev, scratch, &sb), 0);
	assert_int_equal(superblock_advance(dev, scratch, &sb, 5), 0);
	assert_int_equal(sb.incarnation, 22);
	sim_disk_destroy(dev);
}

static void errors_and_end_of_incarnations(void **state)
{
	struct superblock sb = { 0 };

	(void)state;
	for (uint64_t n = 1; n <= 2; n++) {
		struct blockdev *dev = formatted(n);

		assert_int_equal(superblock_read(dev, scratch, &sb), 0);
		sim_disk_fail_write(dev, n, -EIO);
		assert_int_equal(superblock_advance(dev, scratch, &sb, 0), -EIO);
		assert_int_equal(sb.incarnation, 0);
		assert_int_equal(superblock_read(dev, scratch, &sb), 0);
		assert_int_equal(superblock_advance(dev, scratch, &sb, INCARNATION_MAX + 1),
				 -EOVERFLOW);
		sb.incarnation = INCARNATION_MAX;
		assert_int_equal(superblock_advance(dev, scratch, &sb, 0), -EOVERFLOW);
		sim_disk_destroy(dev);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(layout_and_flips),
		cmocka_unit_test(fresh_blank_foreign),
		cmocka_unit_test(other_formats_and_shrunk_device),
		cmocka_unit_test(rot_never_repeats_an_incarnation),
		cmocka_unit_test(crash_in_advance),
		cmocka_unit_test(incarnations_have_a_floor),
		cmocka_unit_test(errors_and_end_of_incarnations),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
