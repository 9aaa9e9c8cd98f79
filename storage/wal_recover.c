/* SPDX-License-Identifier: Apache-2.0 */
/*
 * wal_recover.c: reads the log back, and tells a torn tail from rot. Reads only: it never changes
 * the device.
 *
 * The walk. Batches lie one after the other from LOG_OFFSET. A batch is accepted when its head and
 * body are intact and it is ours, meant for this place, the next in sequence, chained to the head
 * before it, and of an incarnation not older than that one. The first place where this fails is
 * where the log ends: batch b is missing.
 *
 * Torn or rot? Let D be the highest batch such that it and all before it were durable. D never
 * falls, and a head states D as it was when the head was made. So an intact head of this device
 * that states durable >= b proves that b was durable, and perhaps acknowledged: b is rot. That
 * holds for any such head, whether its own body is whole or not. The writer has at most
 * batches_in_flight_max writes under way, so every batch that much later than b, and the seal of an
 * idle log, is such a proof. Without one, b and all after it were never durable in order, never
 * acknowledged (acks follow wal_poll, which moves over the contiguous prefix only), and may be cut.
 *
 * Leftovers. Whole batches of incarnation i may lie beyond the cut at b; incarnation j > i writes
 * its own batches b, b+1, ... over them from the cut on, of other lengths.
 *  - No false proof: had a leftover stated durable >= b, the cut would have been rot. So all state
 *    less than b, and a later walk that ends at e >= b finds no proof in them. A later walk that
 *    ends at e < b has lost a batch that was read back before: what a leftover says of it is true.
 *  - Never part of the chain: after a batch of j none of i is accepted (incarnations do not fall).
 *    Before j has written its first batch the place b is still not valid, and the leftovers are
 *    behind it. A torn first batch of j over b leaves a mix of both: it is accepted only if it is,
 *    to the byte, batch b of i or of j: records that were logged and never acknowledged, which
 *    recovery may keep or drop as it likes (3.11: promoting them is legal).
 */
#include "storage/wal.h"

#include <errno.h>

#include "replication/crc.h"
#include "storage/wal_priv.h"

/* settle: takes in the read in flight, if there is one; its bytes become readable. */
static int settle(struct wal *w)
{
	struct wal_reader *r = &w->recovery.reader;
	struct blockdev_completion done;

	if (r->pending_bytes == 0)
		return 0;
	while (blockdev_poll(w->dev, &done, 1) == 0)
		blockdev_wait(w->dev);
	if (done.result != (int32_t)r->pending_bytes) {
		r->pending_bytes = 0;
		return done.result < 0 ? done.result : -EIO;
	}
	r->have += r->pending_bytes;
	r->pending_bytes = 0;
	return 0;
}

/* scan_end: where looking may end: all after it is blank, and one such block is before it. */
static uint64_t scan_end(const struct wal *w)
{
	uint64_t blank = round_up(blockdev_blank_from(w->dev), BLOCK_BYTES);

	return min_u64(w->device_bytes, max_u64(blank, w->offset_next) + BLOCK_BYTES);
}

/* read_on: starts the next read if the device goes on and the window has room. */
static int read_on(struct wal *w)
{
	struct wal_reader *r = &w->recovery.reader;
	uint64_t from = r->base + r->have, end = scan_end(w);
	uint64_t left = (from < end ? end : w->device_bytes) - from;
	uint32_t bytes = (uint32_t)min_u64(BLOCKDEV_TRANSFER_MAX, left);
	int rc;

	if (bytes == 0 || r->have + bytes > WAL_READ_BYTES)
		return 0;
	rc = blockdev_read(w->dev, 0, r->data + r->have, bytes, from);
	if (rc == 0)
		r->pending_bytes = bytes;
	return rc;
}

/*
 * need: points *ret at device bytes [offset, offset + bytes), at most one transfer, inside the
 * device; they stay in place until the next call. What lies before offset may be forgotten.
 */
static int need(struct wal *w, uint64_t offset, uint32_t bytes, const uint8_t **ret)
{
	struct wal_reader *r = &w->recovery.reader;
	int rc = 0;

	must(offset >= r->base && offset + bytes <= w->device_bytes);
	must(bytes <= BLOCKDEV_TRANSFER_MAX);
	while (offset + bytes > r->base + r->have) {
		rc = settle(w);
		if (rc < 0)
			return rc;
		if (offset + bytes <= r->base + r->have)
			break;
		if (offset >= r->base + r->have) {
			r->base = offset;
			r->have = 0;
		} else if (r->have > WAL_READ_BYTES - BLOCKDEV_TRANSFER_MAX) {
			r->have -= (uint32_t)(offset - r->base);
			memmove(r->data, r->data + (offset - r->base), r->have);
			r->base = offset;
		}
		rc = read_on(w);
		if (rc < 0)
			return rc;
	}
	if (r->pending_bytes == 0 && r->base + r->have < scan_end(w))
		rc = read_on(w);
	if (rc < 0)
		return rc;
	*ret = r->data + (offset - r->base);
	return 0;
}

static uint64_t batch_span(const struct batch_head *head)
{
	return round_up(BATCH_HEAD_BYTES + head->body_bytes, BLOCK_BYTES);
}

/* fits_here: the head belongs to this device and place, and its batch ends on the device. */
static bool fits_here(const struct wal *w, const struct batch_head *head, uint64_t offset)
{
	if (head->device_id != w->device_id && !mutant(71))
		return false;
	if (head->offset != offset && !mutant(70))
		return false;
	return batch_span(head) <= w->device_bytes - offset;
}

static bool continues(const struct wal *w, const struct batch_head *head)
{
	if (head->seq != w->durable + 1 && !mutant(72))
		return false;
	if (head->previous_crc != w->chain_crc && !mutant(41))
		return false;
	return head->incarnation >= w->recovery.incarnation || mutant(73);
}

static bool blank(const uint8_t *block)
{
	return load_u64(block) == 0 && memcmp(block, block + 8, BLOCK_BYTES - 8) == 0;
}

/*
 * survey: looks over everything from the missing batch on. *ret_proof: an intact head says that the
 * missing batch was durable. *ret_end: end of the last block that is not blank, within the reach of
 * the writes that can have been under way.
 */
static int survey(struct wal *w, bool *ret_proof, uint64_t *ret_end)
{
	const uint64_t start = w->offset_next;
	const uint64_t end = scan_end(w);
	const uint64_t reach = start + (uint64_t)WAL_DEPTH_MAX * BLOCKDEV_TRANSFER_MAX;
	struct batch_head head;
	const uint8_t *block;
	int rc;

	for (uint64_t at = start; at < end; at += BLOCK_BYTES) {
		rc = need(w, at, BLOCK_BYTES, &block);
		if (rc < 0)
			return rc;
		if (at < reach && !blank(block))
			*ret_end = at + BLOCK_BYTES;
		if (batch_head_decode(block, &head) != RECORD_OK || !fits_here(w, &head, at))
			continue;
		if (head.durable_seq > w->durable) {
			*ret_proof = true;
			return 0;
		}
	}
	return 0;
}

static int finish(struct wal *w, int result)
{
	int rc = settle(w);

	if (result == 0 && rc < 0)
		result = rc;
	if (result < 0)
		w->failed = result;
	else
		wal_priv_open(w);
	return result;
}

static int rot(struct wal *w, uint64_t offset, uint64_t *ret_offset)
{
	*ret_offset = offset;
	return finish(w, -EBADMSG);
}

/* end_of_log: batch durable + 1 is not at offset_next. stale: an older incarnation's is. */
static int end_of_log(struct wal *w, bool stale, uint64_t *ret_offset)
{
	uint64_t end = w->offset_next;
	bool proof = false;
	int rc = survey(w, &proof, &end);

	if (rc < 0)
		return finish(w, rc);
	if ((proof && !mutant(42)) || (mutant(249) && !stale && end != w->offset_next))
		return rot(w, w->offset_next, ret_offset);
	/* A leftover at the very cut is no tail of this life: it was reported when it was cut. */
	w->recovery.torn_bytes = stale ? 0 : end - w->offset_next;
	return finish(w, 0);
}

static void accept(struct wal *w, const struct batch_head *head, const uint8_t *batch)
{
	struct wal_recovery *r = &w->recovery;

	r->body = batch + BATCH_HEAD_BYTES;
	r->body_bytes = head->body_bytes;
	r->body_offset = 0;
	r->records_left = head->record_count;
	r->batch_offset = w->offset_next;
	r->incarnation = head->incarnation;
	w->tail_sealed = head->record_count == 0;
	w->chain_crc = head->crc;
	w->durable = head->seq;
	w->offset_next += batch_span(head);
}

/* next_batch: 1: accepted; otherwise as wal_recover_next. */
static int next_batch(struct wal *w, uint64_t *ret_offset)
{
	struct batch_head head;
	const uint8_t *batch;
	int rc;

	if (w->offset_next == w->device_bytes)
		return finish(w, 0);
	rc = need(w, w->offset_next, BLOCK_BYTES, &batch);
	if (rc < 0)
		return finish(w, rc);
	if (batch_head_decode(batch, &head) != RECORD_OK || !fits_here(w, &head, w->offset_next))
		return end_of_log(w, false, ret_offset);
	if (!continues(w, &head))
		return end_of_log(w, head.incarnation < w->recovery.incarnation, ret_offset);
	rc = need(w, w->offset_next, (uint32_t)batch_span(&head), &batch);
	if (rc < 0)
		return finish(w, rc);
	if (crc32c(batch + BATCH_HEAD_BYTES, head.body_bytes) != head.body_crc && !mutant(45))
		return end_of_log(w, false, ret_offset);
	/* Written by a life this superblock knows nothing of: an old copy of it was put back. */
	if (head.incarnation > w->incarnation)
		return rot(w, w->offset_next, ret_offset);
	accept(w, &head, batch);
	return 1;
}

int wal_recover_next(struct wal *w, struct record *ret_record, uint64_t *ret_offset)
{
	struct wal_recovery *r = &w->recovery;
	enum record_verdict verdict;
	int rc;

	while (w->mode == WAL_RECOVERING && w->failed == 0 && r->records_left == 0) {
		if (r->body_offset != r->body_bytes)
			return rot(w, r->batch_offset, ret_offset);
		rc = next_batch(w, ret_offset);
		if (rc <= 0)
			return rc;
	}
	if (w->failed != 0)
		return w->failed;
	if (w->mode != WAL_RECOVERING)
		return 0;
	/* The batch is whole, so a bad record was written bad: nothing after it can be trusted. */
	verdict = record_decode(r->body, r->body_bytes, &r->body_offset, ret_record);
	if (verdict != RECORD_OK)
		return rot(w, r->batch_offset, ret_offset);
	r->records_left--;
	return 1;
}

uint64_t wal_recovered_torn(const struct wal *w)
{
	return w->recovery.torn_bytes;
}
