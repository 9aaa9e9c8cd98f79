/* SPDX-License-Identifier: Apache-2.0 */
/* record.c: encoding and checking of what the log consists of. Every check comes before the use. */
#include "storage/record.h"

#include "replication/crc.h"

/* A batch this size or smaller adds at most one block per record; wal_can_append counts on it. */
_Static_assert(BATCH_HEAD_BYTES + RECORD_BYTES_MAX <= BLOCK_BYTES, "one record, one block");
_Static_assert(RECORD_HEAD_BYTES % 8 == 0 && BATCH_HEAD_BYTES % 8 == 0, "aligned");

#define RECORD_BYTES_MIN RECORD_HEAD_BYTES /* a RESET is a head and no more */

static const char *const verdict_names[] = {
	[RECORD_OK] = "ok",
	[RECORD_SHORT] = "record runs past the end of its batch",
	[RECORD_BAD_LENGTH] = "record key or value length out of range",
	[RECORD_BAD_CHECKSUM] = "record checksum mismatch",
	[RECORD_BAD_FIELD] = "record field out of range",
	[BATCH_BAD_MAGIC] = "no batch head",
	[BATCH_BAD_CHECKSUM] = "batch head checksum mismatch",
	[BATCH_BAD_FIELD] = "batch head field out of range",
};

const char *record_verdict_name(enum record_verdict verdict)
{
	return (size_t)verdict < ARRAY_LEN(verdict_names) ? verdict_names[verdict] : "INVALID";
}

static uint32_t unpadded_bytes(const struct record *r)
{
	return RECORD_HEAD_BYTES + r->key_bytes + r->value_bytes;
}

uint32_t record_bytes(const struct record *r)
{
	return (uint32_t)round_up(unpadded_bytes(r), 8);
}

/* lengths_ok: an unknown kind is left to fields_ok: first of all its checksum must be right. */
static bool lengths_ok(uint8_t kind, uint32_t key_bytes, uint32_t value_bytes)
{
	bool keyless = kind == RECORD_RESET || kind == RECORD_NOTE;

	if (kind >= RECORD_RAFT_ENTRY && kind <= RECORD_RAFT_USER)
		return key_bytes == 0 &&
		       value_bytes <= (kind == RECORD_RAFT_HARD ? 0 : RAFT_ENTRY_BYTES_MAX);
	if (kind == RECORD_RESET ? key_bytes != 0 : key_bytes > KEY_BYTES_MAX)
		return false;
	if (key_bytes == 0 && !keyless)
		return false;
	if (kind >= RECORD_NOTE && kind <= RECORD_FORGET)
		return value_bytes == 0;
	return value_bytes <= VALUE_BYTES_MAX;
}

uint32_t record_encode(uint8_t *out, const struct record *r)
{
	uint32_t end = unpadded_bytes(r);
	uint32_t total = record_bytes(r);

	must(lengths_ok(r->kind, r->key_bytes, r->value_bytes));
	must_dbg(r->shard < SHARDS_MAX || (record_is_raft(r) && r->shard == RECORD_SHARD_VIEW));
	must_dbg(!(r->flags & ~(ENTRY_RMW | ENTRY_TOMBSTONE)));
	/* The last word first: what key and value leave of it is the padding. */
	store_u64(out + total - 8, 0);
	store_u16(out + 4, r->key_bytes);
	store_u16(out + 6, r->value_bytes);
	store_u64(out + 8, r->ts.version);
	store_u32(out + 16, r->ts.writer);
	store_u16(out + 20, r->shard);
	out[22] = r->flags;
	out[23] = r->kind;
	store_u32(out + 24, r->epoch);
	store_u32(out + 28, r->base);
	store_u64(out + 32, r->origin.client);
	store_u64(out + 40, r->origin.request);
	if (r->key_bytes != 0)
		memcpy(out + RECORD_HEAD_BYTES, r->key, r->key_bytes);
	if (r->value_bytes != 0)
		memcpy(out + RECORD_HEAD_BYTES + r->key_bytes, r->value, r->value_bytes);
	store_u32(out, crc32c(out + 4, end - 4));
	return total;
}

static bool padding_ok(const uint8_t *p, uint32_t end, uint32_t total)
{
	for (uint32_t i = end; i < total; i++) {
		if (p[i] != 0)
			return false;
	}
	return true;
}

/* raft_fields_ok: index and term begin at 1; a node that has not voted says so. */
static bool raft_fields_ok(const uint8_t *p)
{
	uint8_t kind = p[23];
	uint64_t index = load_u64(p + 8);
	uint32_t term = load_u32(p + 16), base = load_u32(p + 28);

	if (load_u16(p + 20) >= SHARDS_MAX && load_u16(p + 20) != RECORD_SHARD_VIEW)
		return false;
	if (p[22] != 0 || load_u32(p + 24) != 0 || load_u64(p + 32) != 0 || load_u64(p + 40) != 0)
		return false;
	if (kind == RECORD_RAFT_HARD)
		return index == 0 && (base < NODES_MAX || base == RAFT_NODE_NONE);
	if (kind == RECORD_RAFT_USER)
		return index <= VERSION_MAX && base <= UINT16_MAX;
	if (index == 0 || index > VERSION_MAX || term == 0)
		return false;
	if (kind == RECORD_RAFT_SNAPSHOT)
		return base == 0;
	return (base & 0xff) <= RAFT_ENTRY_CONF && (base >> 8) <= RAFT_STRIPPED;
}

/* fields_ok: what a checksum cannot say, as a faulty writer checksums nonsense just as well. */
static bool fields_ok(const uint8_t *p, uint32_t end, uint32_t total)
{
	uint8_t kind = p[23];

	if (kind > RECORD_RAFT_USER || !padding_ok(p, end, total))
		return false;
	if (kind >= RECORD_RAFT_ENTRY)
		return raft_fields_ok(p);
	if (load_u16(p + 20) >= SHARDS_MAX)
		return false;
	if ((p[22] & ~(ENTRY_RMW | ENTRY_TOMBSTONE)) != 0)
		return false;
	if (kind != RECORD_UPDATE && load_u32(p + 28) != 0)
		return false;
	if (kind == RECORD_NOTE && (load_u16(p + 4) == 0) != (load_u64(p + 32) == 0))
		return false;
	if (kind == RECORD_RESET && (load_u64(p + 8) > RECORD_RESET_CLIENTS ||
				     load_u32(p + 16) != 0 || p[22] != 0))
		return false;
	if (kind >= RECORD_RESET && (load_u64(p + 32) != 0 || load_u64(p + 40) != 0))
		return false;
	if (kind == RECORD_FORGET && p[22] != 0 && !(p[22] & ENTRY_TOMBSTONE))
		return false;
	return !(p[22] & ENTRY_TOMBSTONE) || load_u16(p + 6) == 0;
}

enum record_verdict record_decode(const uint8_t *body, uint32_t bytes, uint32_t *offset,
				  struct record *ret_record)
{
	const uint8_t *p = body + *offset;
	uint32_t left;
	struct record r;

	must(*offset <= bytes);
	left = bytes - *offset;
	if (left < RECORD_HEAD_BYTES)
		return RECORD_SHORT;
	r.key_bytes = load_u16(p + 4);
	r.value_bytes = load_u16(p + 6);
	r.kind = p[23];
	if (!lengths_ok(r.kind, r.key_bytes, r.value_bytes))
		return RECORD_BAD_LENGTH;
	if (record_bytes(&r) > left)
		return RECORD_SHORT;
	if (crc32c(p + 4, unpadded_bytes(&r) - 4) != load_u32(p))
		return RECORD_BAD_CHECKSUM;
	if (!fields_ok(p, unpadded_bytes(&r), record_bytes(&r)))
		return RECORD_BAD_FIELD;

	r.ts.version = load_u64(p + 8);
	r.ts.writer = load_u32(p + 16);
	r.shard = load_u16(p + 20);
	r.flags = p[22];
	r.epoch = load_u32(p + 24);
	r.base = load_u32(p + 28);
	r.origin.client = load_u64(p + 32);
	r.origin.request = load_u64(p + 40);
	r.key = p + RECORD_HEAD_BYTES;
	r.value = r.key + r.key_bytes;
	*ret_record = r;
	*offset += record_bytes(&r);
	return RECORD_OK;
}

void record_of_raft(struct record *ret_record, uint16_t shard, const struct raft_record *raft)
{
	const struct raft_entry *e = &raft->entry;
	struct record r = { .shard = shard };

	switch (raft->kind) {
	case RAFT_RECORD_HARD:
		r.kind = RECORD_RAFT_HARD;
		r.ts.writer = raft->term;
		r.base = raft->vote;
		*ret_record = r;
		return;
	case RAFT_RECORD_ENTRY:
	case RAFT_RECORD_USER:
		r.kind = raft->kind == RAFT_RECORD_USER ? RECORD_RAFT_USER : RECORD_RAFT_ENTRY;
		r.base = (uint32_t)e->kind | (uint32_t)e->flags << 8;
		break;
	case RAFT_RECORD_SNAPSHOT:
		r.kind = RECORD_RAFT_SNAPSHOT;
		break;
	}
	r.ts = (struct op_ts){ e->index, e->term };
	r.value = e->data;
	r.value_bytes = e->bytes;
	*ret_record = r;
}

void record_to_raft(const struct record *r, struct raft_record *ret_raft)
{
	must(record_is_raft(r));
	memset(ret_raft, 0, sizeof(*ret_raft));
	if (r->kind == RECORD_RAFT_HARD) {
		ret_raft->kind = RAFT_RECORD_HARD;
		ret_raft->term = r->ts.writer;
		ret_raft->vote = (uint8_t)r->base;
		return;
	}
	ret_raft->kind = r->kind == RECORD_RAFT_ENTRY	 ? RAFT_RECORD_ENTRY :
			 r->kind == RECORD_RAFT_SNAPSHOT ? RAFT_RECORD_SNAPSHOT :
							   RAFT_RECORD_USER;
	ret_raft->entry = (struct raft_entry){
		.index = r->ts.version,
		.term = r->ts.writer,
		.kind = (uint8_t)(r->base & 0xff),
		.flags = (uint8_t)(r->base >> 8),
		.bytes = r->value_bytes,
		.data = r->value,
	};
}

void batch_head_encode(uint8_t *out, struct batch_head *head)
{
	store_u64(out, BATCH_MAGIC);
	store_u64(out + 8, head->device_id);
	store_u64(out + 16, head->offset);
	store_u64(out + 24, head->seq);
	store_u64(out + 32, head->durable_seq);
	store_u32(out + 40, head->incarnation);
	store_u32(out + 44, head->previous_crc);
	store_u32(out + 48, head->body_bytes);
	store_u32(out + 52, head->record_count);
	store_u32(out + 56, head->body_crc);
	head->crc = crc32c(out, 60);
	store_u32(out + 60, head->crc);
}

static bool head_fields_ok(const struct batch_head *h)
{
	if (h->seq == 0 || h->durable_seq >= h->seq || h->incarnation > INCARNATION_MAX)
		return false;
	if (h->offset % BLOCK_BYTES != 0 || h->offset < 2 * BLOCK_BYTES)
		return false;
	if (h->body_bytes % 8 != 0 || h->body_bytes > BLOCKDEV_TRANSFER_MAX - BATCH_HEAD_BYTES)
		return false;
	if (h->record_count > h->body_bytes / RECORD_BYTES_MIN)
		return false;
	return (h->record_count == 0) == (h->body_bytes == 0);
}

enum record_verdict batch_head_decode(const uint8_t *in, struct batch_head *ret_head)
{
	struct batch_head h;

	if (load_u64(in) != BATCH_MAGIC)
		return BATCH_BAD_MAGIC;
	h.crc = load_u32(in + 60);
	if (crc32c(in, 60) != h.crc)
		return BATCH_BAD_CHECKSUM;
	h.device_id = load_u64(in + 8);
	h.offset = load_u64(in + 16);
	h.seq = load_u64(in + 24);
	h.durable_seq = load_u64(in + 32);
	h.incarnation = load_u32(in + 40);
	h.previous_crc = load_u32(in + 44);
	h.body_bytes = load_u32(in + 48);
	h.record_count = load_u32(in + 52);
	h.body_crc = load_u32(in + 56);
	if (!head_fields_ok(&h))
		return BATCH_BAD_FIELD;
	*ret_head = h;
	return RECORD_OK;
}
