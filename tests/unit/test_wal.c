/* SPDX-License-Identifier: Apache-2.0 */
/*
 * test_wal.c: append, group commit, sealing and recovery on the simulated disk: crashes at every
 * write, torn in many ways; failures of every write; rot at every byte; leftovers of earlier lives.
 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "replication/crc.h"
#include "tests/unit/wal_rig.h"

#define DISK_BYTES (256u << 10)

static void append_recover_append(void **state)
{
	struct wal_rig rig;

	(void)state;
	wal_rig_make(&rig, DISK_BYTES, 1);
	for (uint64_t life = 0; life < 5; life++) {
		for (uint32_t i = 0; i < 7; i++) {
			wal_rig_append(&rig, i * 100);
			wal_rig_turn(&rig, i * 7000);
		}
		wal_rig_drain(&rig);
		assert_int_equal(rig.acked, rig.appended);
		sim_disk_crash(rig.dev);
		assert_int_equal(wal_rig_recover(&rig), (life + 1) * 7);
		assert_int_equal(wal_recovered_torn(rig.wal), 0);
	}
	wal_rig_free(&rig);
}

/* What the view service is told of the disk: the mean, what hangs, and nothing for ever. */
static void latency_is_measured(void **state)
{
	struct wal_rig rig;
	uint64_t slow_ns;

	(void)state;
	wal_rig_make(&rig, DISK_BYTES, 3);
	rig.now_ns = 1000;
	assert_int_equal(wal_latency_ns(rig.wal, rig.now_ns), 0);
	for (uint32_t i = 0; i < 40; i++) {
		wal_rig_append(&rig, 10);
		assert_int_equal(wal_submit(rig.wal, rig.now_ns), 0);
		rig.now_ns += 500000;
		sim_disk_advance(rig.dev, rig.now_ns);
		(void)wal_poll(rig.wal);
		assert_int_equal(wal_submit(rig.wal, rig.now_ns), 0);
	}
	assert_in_range(wal_latency_ns(rig.wal, rig.now_ns), 450000, 500000);
	wal_rig_append(&rig, 10);
	assert_int_equal(wal_submit(rig.wal, rig.now_ns), 0);
	assert_int_equal(wal_latency_ns(rig.wal, rig.now_ns + 90000000), 90000000); /* it hangs */
	rig.now_ns += 90000000;
	sim_disk_advance(rig.dev, rig.now_ns);
	(void)wal_poll(rig.wal);
	assert_int_equal(wal_submit(rig.wal, rig.now_ns), 0);
	wal_rig_seal(&rig);
	slow_ns = wal_latency_ns(rig.wal, rig.now_ns);
	assert_in_range(slow_ns, 9000000, 12000000);
	assert_int_equal(wal_latency_ns(rig.wal, rig.now_ns + 3000000000u), slow_ns >> 3);
	assert_int_equal(wal_latency_ns(rig.wal, rig.now_ns + 100000000000u), 0);
	wal_rig_free(&rig);
}

/* While writes are under way the next batch grows; several batches may be closed and waiting. */
static void group_commit_and_full(void **state)
{
	struct wal_rig rig;
	uint32_t n = 0;

	(void)state;
	wal_rig_make(&rig, DISK_BYTES, 2);
	wal_rig_append(&rig, 10);
	assert_int_equal(wal_submit(rig.wal, 0), 0);
	for (; wal_can_append(rig.wal, 1); n++)
		wal_rig_append(&rig, VALUE_BYTES_MAX);
	assert_in_range(n, 4 * 11, 4 * 18);
	assert_int_equal(wal_submit(rig.wal, 0), 0);
	assert_int_equal(wal_submit(rig.wal, 0), 0);
	assert_int_equal(sim_disk_writes(rig.dev) - 5, 4); /* 3 at format, 2 at advance */
	assert_false(wal_can_append(rig.wal, 1));
	assert_true(wal_counters(rig.wal)->full > 0);
	wal_rig_drain(&rig);
	assert_int_equal(rig.acked, n + 1);
	assert_int_equal(wal_counters(rig.wal)->batches, 5);
	assert_int_equal(wal_counters(rig.wal)->records, n + 1);
	assert_true(wal_can_append(rig.wal, n / 2));
	assert_int_equal(wal_rig_recover(&rig), n + 1);
	wal_rig_free(&rig);
}

/* W-PREFIX: after a crash, all acknowledged records and nothing but a prefix of the appended. */
static void one_crash(uint64_t write_index, uint64_t seed)
{
	struct wal_rig rig;
	uint64_t appended;
	int64_t n;

	wal_rig_make(&rig, DISK_BYTES, seed);
	for (uint32_t life = 0; life < 3; life++) {
		uint64_t until = sim_disk_writes(rig.dev) + write_index;

		for (uint32_t i = 0; sim_disk_writes(rig.dev) < until; i++) {
			if (i % 9 != 8 && wal_can_append(rig.wal, 1))
				wal_rig_append(&rig, (i * 397 + (uint32_t)seed) % VALUE_BYTES_MAX);
			wal_rig_turn(&rig, i % 3 * 4000);
			assert_true(i < 100000);
		}
		appended = rig.appended;
		sim_disk_crash(rig.dev);
		n = wal_rig_recover(&rig);
		assert_true(n >= (int64_t)rig.acked);
		assert_true(n <= (int64_t)appended);
		rig.acked = (uint64_t)n; /* what was read back must stay */
	}
	wal_rig_free(&rig);
}

static void crash_at_every_write(void **state)
{
	(void)state;
	for (uint64_t write_index = 1; write_index <= 12; write_index++) {
		for (uint64_t seed = 1; seed <= 40; seed++)
			one_crash(write_index, seed);
	}
}

/* W-FSYNC-DEAD: after the n-th write has failed nothing more is reported durable, ever. */
static void fail_every_write(void **state)
{
	(void)state;
	for (uint64_t n = 1; n <= 20; n++) {
		struct wal_rig rig;
		uint64_t stuck;

		wal_rig_make(&rig, DISK_BYTES, n);
		sim_disk_fail_write(rig.dev, n, n % 2 ? -EIO : -ENOSPC);
		for (uint32_t i = 0; wal_failed(rig.wal) == 0 && i < 1000; i++) {
			if (wal_can_append(rig.wal, 1))
				wal_rig_append(&rig, i % 200);
			wal_rig_turn(&rig, 15000);
		}
		assert_int_equal(wal_failed(rig.wal), n % 2 ? -EIO : -ENOSPC);
		stuck = rig.acked;
		assert_false(wal_can_append(rig.wal, 1));
		for (uint32_t i = 0; i < 20; i++)
			assert_int_equal(wal_rig_turn(&rig, 1000000), wal_failed(rig.wal));
		assert_int_equal(rig.acked, stuck);
		assert_false(wal_busy(rig.wal));
		sim_disk_crash(rig.dev);
		assert_true(wal_rig_recover(&rig) >= (int64_t)stuck);
		wal_rig_free(&rig);
	}
}

static void sealing(void **state)
{
	struct wal_rig rig;

	(void)state;
	wal_rig_make(&rig, DISK_BYTES, 3);
	wal_rig_turn(&rig, 5000000);
	assert_int_equal(wal_counters(rig.wal)->seals, 0); /* nothing to seal */
	wal_rig_append(&rig, 5);
	wal_rig_drain(&rig);
	assert_true(wal_deadline_ns(rig.wal) <= rig.now_ns + rig.config.seal_ns);
	wal_submit(rig.wal, wal_deadline_ns(rig.wal) - 1);
	assert_int_equal(wal_counters(rig.wal)->seals, 0);
	wal_submit(rig.wal, wal_deadline_ns(rig.wal));
	assert_int_equal(wal_counters(rig.wal)->seals, 1);
	wal_rig_seal(&rig);
	wal_rig_turn(&rig, 5000000);
	assert_int_equal(wal_counters(rig.wal)->seals, 1);
	assert_int_equal(wal_rig_recover(&rig), 1);
	assert_true(wal_deadline_ns(rig.wal) == UINT64_MAX); /* the seal was found */
	wal_rig_free(&rig);
}

/* W-NO-FALSE-TRUNC: any damage to sealed batches is rot, at the right place; never a short log. */
static void rot_everywhere(void **state)
{
	static uint8_t clean[DISK_BYTES];
	uint64_t used, starts[4];
	struct wal_rig rig;
	uint8_t *image;

	(void)state;
	wal_rig_make(&rig, DISK_BYTES, 4);
	for (uint32_t i = 0; i < 3; i++) {
		starts[i] = DISK_BYTES - wal_remaining_bytes(rig.wal);
		wal_rig_append(&rig, 500);
		wal_rig_append(&rig, VALUE_BYTES_MAX);
		wal_rig_append(&rig, VALUE_BYTES_MAX);
		wal_rig_append(&rig, VALUE_BYTES_MAX);
		wal_rig_append(&rig, VALUE_BYTES_MAX - i);
		wal_rig_drain(&rig);
	}
	starts[3] = DISK_BYTES - wal_remaining_bytes(rig.wal);
	wal_rig_seal(&rig);
	image = sim_disk_image(rig.dev);
	memcpy(clean, image, DISK_BYTES);
	for (uint32_t b = 0; b < 3; b++) {
		used = BATCH_HEAD_BYTES + load_u32(image + starts[b] + 48);
		for (uint64_t at = starts[b]; at < starts[b] + used; at += at % 64 == 0 ? 1 : 9) {
			memcpy(image, clean, DISK_BYTES);
			sim_disk_rot(rig.dev, at);
			assert_int_equal(wal_rig_recover(&rig), -EBADMSG);
			assert_int_equal(rig.offset, starts[b]);
			assert_int_equal(wal_failed(rig.wal), -EBADMSG);
			assert_false(wal_can_append(rig.wal, 1));
		}
		memcpy(image, clean, DISK_BYTES);
		memset(image + starts[b], 0, BLOCK_BYTES); /* a lost write */
		assert_int_equal(wal_rig_recover(&rig), -EBADMSG);
	}
	/* The seal holds nothing: without it, the log is the same. */
	memcpy(image, clean, DISK_BYTES);
	sim_disk_rot(rig.dev, starts[3] + 20);
	assert_int_equal(wal_rig_recover(&rig), 15);
	assert_int_equal(wal_recovered_torn(rig.wal), BLOCK_BYTES);
	wal_rig_free(&rig);
}

/*
 * R23: batches that had to wait because the disk had as many writes under way as it takes go out
 * when those end, also when nothing more is appended.
 */
static void full_depth_goes_on(void **state)
{
	struct wal_rig rig;
	uint32_t n = 0;

	(void)state;
	wal_rig_make(&rig, DISK_BYTES, 3);
	for (; wal_can_append(rig.wal, 1); n++)
		wal_rig_append(&rig, VALUE_BYTES_MAX);
	assert_int_equal(wal_submit(rig.wal, 0), 0);
	for (uint32_t i = 0; i < 10000 && wal_busy(rig.wal); i++)
		wal_rig_turn(&rig, 10000);
	assert_int_equal(rig.acked, n);
	wal_rig_free(&rig);
}

/* An unsealed tail that is damaged was possibly never acknowledged: cut, counted, written over. */
static void torn_tail(void **state)
{
	struct wal_rig rig;
	uint64_t tail;

	(void)state;
	wal_rig_make(&rig, DISK_BYTES, 5);
	wal_rig_append(&rig, 100);
	wal_rig_drain(&rig);
	tail = DISK_BYTES - wal_remaining_bytes(rig.wal);
	for (uint32_t i = 0; i < 6; i++)
		wal_rig_append(&rig, VALUE_BYTES_MAX);
	wal_rig_drain(&rig);
	sim_disk_rot(rig.dev, tail + 5000);
	assert_int_equal(wal_rig_recover(&rig), 1);
	assert_int_equal(wal_recovered_torn(rig.wal), 2 * BLOCK_BYTES);
	rig.acked = 1;
	assert_int_equal(DISK_BYTES - wal_remaining_bytes(rig.wal), tail);
	wal_rig_append(&rig, 300);
	wal_rig_seal(&rig);
	assert_int_equal(wal_rig_recover(&rig), 2);
	wal_rig_free(&rig);
}

/* put_batch: hand-made, with one small record whose version is `version`. */
static void put_batch(uint8_t *image, struct batch_head head, uint64_t version)
{
	uint8_t *at = image + head.offset;
	uint8_t key[12] = "key-";
	struct record r = { .key = key,
			    .value = key,
			    .ts = { version, 1 },
			    .epoch = EPOCH_STATIC,
			    .key_bytes = 12,
			    .shard = 3 };

	store_u64(key + 4, version);
	memset(at, 0, BLOCK_BYTES);
	head.body_bytes = record_encode(at + BATCH_HEAD_BYTES, &r);
	head.record_count = 1;
	head.body_crc = crc32c(at + BATCH_HEAD_BYTES, head.body_bytes);
	batch_head_encode(at, &head);
}

/*
 * Batches that would fit in every respect but one must not be taken into the chain: another
 * device's, another place's, an older life's, another predecessor's, a later one's.
 */
static void strangers(void **state)
{
	for (uint32_t fault = 0; fault < 7; fault++) {
		struct wal_rig rig;
		struct batch_head first, next;
		uint8_t *image;

		(void)state;
		wal_rig_make(&rig, DISK_BYTES, 6);
		assert_int_equal(wal_rig_recover(&rig), 0); /* a second life */
		wal_rig_append(&rig, 0);
		wal_rig_drain(&rig);
		image = sim_disk_image(rig.dev);
		assert_int_equal(batch_head_decode(image + LOG_OFFSET, &first), RECORD_OK);
		assert_int_equal(first.incarnation, 2);
		next = first;
		next.offset += BLOCK_BYTES;
		next.seq = 2;
		next.durable_seq = 1;
		next.previous_crc = first.crc;
		next.device_id ^= fault == 1;
		next.seq += fault == 2;
		next.incarnation -= fault == 3;
		next.previous_crc ^= fault == 4;
		next.offset += fault == 6 ? BLOCK_BYTES : 0;
		put_batch(image, next, 2);
		if (fault == 6) /* meant for the block behind: a misdirected write */
			memmove(image + next.offset - BLOCK_BYTES, image + next.offset,
				BLOCK_BYTES);
		if (fault == 5) /* the same bytes one block further on */
			memmove(image + next.offset + BLOCK_BYTES, image + next.offset,
				BLOCK_BYTES);
		if (fault == 5)
			memset(image + next.offset, 0, BLOCK_BYTES);
		assert_int_equal(wal_rig_recover(&rig), fault == 0 ? 2 : 1);
		wal_rig_free(&rig);
	}
}

/*
 * Leftovers: a first life loses its batch b, while whole batches after it reach the disk. A second
 * life writes b anew, shorter or longer. Whatever the crash left, nothing of the first life behind
 * the cut comes back, and nothing is taken for rot.
 */
static void leftovers_of_older_lives(void **state)
{
	uint64_t torn = 0;

	(void)state;
	for (uint64_t seed = 1; seed <= 600; seed++) {
		struct wal_rig rig;

		wal_rig_make(&rig, DISK_BYTES, seed);
		for (uint32_t life = 0; life < 4; life++) {
			uint32_t batches = 1 + (uint32_t)((seed + life) % 4);

			for (uint32_t b = 0; b < batches; b++) {
				for (uint32_t i = 0; i <= (seed >> life) % 3; i++)
					wal_rig_append(&rig, VALUE_BYTES_MAX - 13 * b);
				wal_rig_turn(&rig, 0);
			}
			wal_rig_turn(&rig, (seed * 7 + life) % 40 * 1000);
			sim_disk_crash(rig.dev);
			assert_true(wal_rig_recover(&rig) >= (int64_t)rig.acked);
			torn += wal_recovered_torn(rig.wal) != 0;
			rig.acked = rig.base;
		}
		wal_rig_append(&rig, 1);
		wal_rig_seal(&rig);
		assert_int_equal(wal_rig_recover(&rig), rig.acked);
		wal_rig_free(&rig);
	}
	assert_true(torn > 200); /* the test does meet torn tails */
}

static void log_full(void **state)
{
	struct wal_rig rig;
	uint64_t before;

	(void)state;
	wal_rig_make(&rig, 16 * BLOCK_BYTES, 7);
	before = wal_remaining_bytes(rig.wal);
	assert_int_equal(before, 14 * BLOCK_BYTES);
	while (wal_can_append(rig.wal, 1)) {
		wal_rig_append(&rig, 700);
		wal_rig_drain(&rig);
	}
	assert_int_equal(rig.acked, 13);
	assert_int_equal(wal_remaining_bytes(rig.wal), BLOCK_BYTES);
	wal_rig_seal(&rig);
	assert_int_equal(wal_remaining_bytes(rig.wal), 0);
	assert_int_equal(wal_rig_recover(&rig), 13);
	assert_false(wal_can_append(rig.wal, 1));
	assert_int_equal(wal_remaining_bytes(rig.wal), 0);
	wal_rig_free(&rig);
}

/* Arbitrary bytes: never a crash, never an endless loop. The fuzz target goes further. */
static void arbitrary_images(void **state)
{
	(void)state;
	for (uint64_t seed = 1; seed <= 200; seed++) {
		struct wal_rig rig;
		uint8_t *image;
		uint64_t x = seed;
		int64_t n;

		wal_rig_make(&rig, DISK_BYTES, seed);
		for (uint32_t i = 0; i < 20; i++) {
			wal_rig_append(&rig, i * 40);
			wal_rig_turn(&rig, 9000);
		}
		wal_rig_drain(&rig);
		image = sim_disk_image(rig.dev);
		for (uint32_t i = 0; i < seed % 50 + 1; i++) {
			x = x * 6364136223846793005ull + 1442695040888963407ull;
			image[LOG_OFFSET + (x >> 33) % 40000] = (uint8_t)(x >> 20);
		}
		n = wal_rig_recover(&rig);
		assert_true(n == -EBADMSG || (n >= 0 && n <= 20));
		wal_rig_free(&rig);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(append_recover_append),
		cmocka_unit_test(latency_is_measured),
		cmocka_unit_test(group_commit_and_full),
		cmocka_unit_test(full_depth_goes_on),
		cmocka_unit_test(crash_at_every_write),
		cmocka_unit_test(fail_every_write),
		cmocka_unit_test(sealing),
		cmocka_unit_test(rot_everywhere),
		cmocka_unit_test(torn_tail),
		cmocka_unit_test(strangers),
		cmocka_unit_test(leftovers_of_older_lives),
		cmocka_unit_test(log_full),
		cmocka_unit_test(arbitrary_images),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
