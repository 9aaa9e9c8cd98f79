/* SPDX-License-Identifier: Apache-2.0 */
/* wal.c: append, group commit, sealing. Recovery is wal_recover.c. */
#include "storage/wal.h"

#include <errno.h>

#include "replication/crc.h"
#include "storage/wal_priv.h"

static uint32_t buffer_count(const struct wal_config *config)
{
	return config->batches_in_flight_max + 1;
}

uint64_t wal_size(const struct wal_config *config)
{
	return round_up(sizeof(struct wal), BLOCK_BYTES) +
	       (uint64_t)buffer_count(config) * config->batch_bytes_max + WAL_READ_BYTES;
}

struct wal *wal_init(void *mem, const struct wal_config *config, struct blockdev *dev,
		     const struct superblock *sb)
{
	struct wal *w = mem;
	uint8_t *p = (uint8_t *)mem + round_up(sizeof(*w), BLOCK_BYTES);

	must((uintptr_t)mem % BLOCK_BYTES == 0);
	must(config->batch_bytes_max % BLOCK_BYTES == 0 && config->batch_bytes_max > 0);
	must(config->batch_bytes_max <= BLOCKDEV_TRANSFER_MAX);
	must(config->batches_in_flight_max >= 1);
	must(config->batches_in_flight_max <= WAL_DEPTH_MAX);
	must(sb->device_bytes <= blockdev_bytes(dev));
	memset(w, 0, sizeof(*w));
	w->dev = dev;
	w->config = *config;
	w->device_id = sb->device_id;
	w->device_bytes = sb->device_bytes;
	w->incarnation = sb->incarnation;
	w->mode = WAL_RECOVERING;
	w->offset_next = LOG_OFFSET;
	w->record_next = 1;
	for (uint32_t i = 0; i < buffer_count(config); i++) {
		w->batches[i].data = p;
		p += config->batch_bytes_max;
	}
	w->recovery.reader.data = p;
	w->recovery.reader.base = LOG_OFFSET;
	return w;
}

static void start_open(struct wal *w)
{
	struct wal_batch *b = wal_priv_batch(w, w->open);

	b->used = BATCH_HEAD_BYTES;
	b->record_count = 0;
	b->done = false;
}

void wal_priv_open(struct wal *w)
{
	w->mode = WAL_WRITABLE;
	w->submitted = w->durable;
	w->open = w->durable + 1;
	start_open(w);
}

uint64_t wal_seq_next(const struct wal *w)
{
	return w->record_next;
}

static uint64_t in_flight(const struct wal *w)
{
	return w->submitted - w->durable;
}

static const struct wal_batch *open_batch(const struct wal *w)
{
	return &w->batches[w->open % buffer_count(&w->config)];
}

static bool can_close(const struct wal *w)
{
	return w->open - w->durable < buffer_count(&w->config);
}

/* footprint_end: where the device is written up to once the open batch is. */
static uint64_t footprint_end(const struct wal *w)
{
	const struct wal_batch *b = open_batch(w);

	return w->offset_next + (b->record_count == 0 ? 0 : round_up(b->used, BLOCK_BYTES));
}

uint64_t wal_remaining_bytes(const struct wal *w)
{
	return w->device_bytes - (w->mode == WAL_WRITABLE ? footprint_end(w) : w->offset_next);
}

bool wal_can_append(const struct wal *w, uint32_t n)
{
	uint64_t fit, spare;

	if (w->failed != 0 || w->mode != WAL_WRITABLE)
		return false;
	if (mutant(75))
		return true;
	/*
	 * A record lengthens the log by at most one block, whether it joins a batch or begins one.
	 * One block more stays free for the batch that seals the tail.
	 */
	if (wal_remaining_bytes(w) / BLOCK_BYTES < (uint64_t)n + 1)
		return false;
	fit = (w->config.batch_bytes_max - open_batch(w)->used) / RECORD_BYTES_MAX;
	if (fit >= n)
		return true;
	spare = buffer_count(&w->config) - (w->open - w->durable);
	fit += spare * ((w->config.batch_bytes_max - BATCH_HEAD_BYTES) / RECORD_BYTES_MAX);
	return fit >= n;
}

/* close_open: fixes size and place of the open batch and begins the next one. */
static void close_open(struct wal *w)
{
	struct wal_batch *b = wal_priv_batch(w, w->open);

	must(can_close(w));
	b->write_bytes = (uint32_t)round_up(b->used, BLOCK_BYTES);
	b->offset = w->offset_next;
	b->last_record = w->record_next - 1;
	w->offset_next += b->write_bytes;
	must(w->offset_next <= w->device_bytes);
	w->open++;
	start_open(w);
}

uint64_t wal_append(struct wal *w, const struct record *record)
{
	uint32_t bytes = record_bytes(record);
	struct wal_batch *b;

	must(w->mode == WAL_WRITABLE && w->failed == 0);
	if (open_batch(w)->used + bytes > w->config.batch_bytes_max)
		close_open(w);
	b = wal_priv_batch(w, w->open);
	b->used += record_encode(b->data + b->used, record);
	b->record_count++;
	w->counters.records++;
	return w->record_next++;
}

/* send: seals the batch after the submitted ones and starts its write. */
static int send(struct wal *w, uint64_t now_ns)
{
	uint64_t seq = w->submitted + 1;
	struct wal_batch *b = wal_priv_batch(w, seq);
	uint32_t body_bytes = b->used - BATCH_HEAD_BYTES;
	struct batch_head head = {
		.device_id = w->device_id,
		.offset = b->offset,
		.seq = seq,
		.durable_seq = mutant(74) ? 0 : w->durable,
		.incarnation = w->incarnation,
		.previous_crc = w->chain_crc,
		.body_bytes = body_bytes,
		.record_count = b->record_count,
		.body_crc = crc32c(b->data + BATCH_HEAD_BYTES, body_bytes),
	};
	int rc;

	memset(b->data + b->used, 0, b->write_bytes - b->used);
	batch_head_encode(b->data, &head);
	rc = blockdev_write(w->dev, seq, b->data, b->write_bytes, b->offset);
	if (rc < 0) {
		w->failed = rc;
		return rc;
	}
	b->sent_ns = now_ns;
	w->chain_crc = head.crc;
	w->submitted = seq;
	w->tail_sealed = b->record_count == 0;
	w->counters.batches++;
	w->counters.bytes += b->write_bytes;
	return 0;
}

static bool idle(const struct wal *w)
{
	return w->submitted == w->durable && w->submitted + 1 == w->open &&
	       open_batch(w)->record_count == 0;
}

uint64_t wal_deadline_ns(const struct wal *w)
{
	if (w->mode != WAL_WRITABLE || w->failed != 0 || w->config.seal_ns == 0)
		return UINT64_MAX;
	if (!idle(w) || w->tail_sealed || wal_remaining_bytes(w) < BLOCK_BYTES)
		return UINT64_MAX;
	return w->active_ns + w->config.seal_ns;
}

/* measure: a write of done_sent_ns has become durable between the last submit and this one. */
static void measure(struct wal *w, uint64_t now_ns)
{
	uint64_t took_ns = now_ns - min_u64(now_ns, w->done_sent_ns);

	w->latency_ns = w->latency_ns - w->latency_ns / 8 + took_ns / 8;
	w->latency_at_ns = now_ns;
	w->done_sent_ns = 0;
}

uint64_t wal_latency_ns(const struct wal *w, uint64_t now_ns)
{
	const struct wal_batch *oldest =
		&w->batches[(w->durable + 1) % buffer_count(&w->config)];
	uint64_t idle_s = (now_ns - min_u64(now_ns, w->latency_at_ns)) / 1000000000u;
	uint64_t latency_ns = idle_s < 64 ? w->latency_ns >> idle_s : 0;

	if (in_flight(w) == 0)
		return latency_ns;
	return max_u64(latency_ns, now_ns - min_u64(now_ns, oldest->sent_ns));
}

int wal_submit(struct wal *w, uint64_t now_ns)
{
	int rc = 0;

	if (w->failed != 0)
		return w->failed;
	must(w->mode == WAL_WRITABLE);
	if (w->done_sent_ns != 0)
		measure(w, now_ns);
	if (idle(w)) {
		if (now_ns < wal_deadline_ns(w))
			return 0;
		close_open(w);
		w->counters.seals++;
		rc = send(w, now_ns);
	}
	while (rc == 0 && in_flight(w) < w->config.batches_in_flight_max) {
		if (w->submitted + 1 == w->open) {
			if (open_batch(w)->record_count == 0)
				break;
			close_open(w);
		} else if (mutant(253)) {
			break;
		}
		rc = send(w, now_ns);
	}
	w->active_ns = now_ns;
	if (rc == 0 && !wal_can_append(w, 1))
		w->counters.full++;
	return rc;
}

/* complete: notes the end of one write. */
static void complete(struct wal *w, const struct blockdev_completion *c)
{
	struct wal_batch *b = wal_priv_batch(w, c->token);

	must(c->token > w->durable && c->token <= w->submitted);
	must(!b->done);
	if (c->result != (int32_t)b->write_bytes && !mutant(76)) {
		if (w->failed == 0)
			w->failed = c->result < 0 ? c->result : -EIO;
		return;
	}
	b->done = true;
	if (mutant(44) && w->failed == 0)
		w->record_durable = max_u64(w->record_durable, b->last_record);
}

uint64_t wal_poll(struct wal *w)
{
	struct blockdev_completion done[BLOCKDEV_DEPTH];
	uint32_t n;

	if (w->mode != WAL_WRITABLE || in_flight(w) == 0)
		return w->record_durable;
	n = blockdev_poll(w->dev, done, ARRAY_LEN(done));
	for (uint32_t i = 0; i < n; i++)
		complete(w, &done[i]);
	/* A batch behind a failed or missing one is on disk, but recovery could not reach it. */
	while (w->failed == 0 && w->durable < w->submitted) {
		struct wal_batch *b = wal_priv_batch(w, w->durable + 1);

		if (!b->done)
			break;
		b->done = false;
		w->done_sent_ns = b->sent_ns;
		w->durable++;
		w->record_durable = max_u64(w->record_durable, b->last_record);
	}
	if (mutant(40) && w->failed == 0 && w->submitted > w->durable)
		w->record_durable = wal_priv_batch(w, w->submitted)->last_record;
	return w->record_durable;
}

int wal_failed(const struct wal *w)
{
	return w->failed;
}

bool wal_busy(const struct wal *w)
{
	return w->mode == WAL_WRITABLE && w->failed == 0 && !idle(w);
}

const struct wal_counters *wal_counters(const struct wal *w)
{
	return &w->counters;
}
