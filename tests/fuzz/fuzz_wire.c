/* SPDX-License-Identifier: Apache-2.0 */
/*
 * fuzz_wire.c: any payload, as received and again with its checksum repaired, so that the checks
 * behind the checksum are reached. What is accepted must encode to the very same bytes. Packed
 * sessions are unpacked, too.
 */
#include "replication/session.h"
#include "replication/wire.h"
#include "tests/fuzz/fuzz.h"

static void check_header(const uint8_t *payload, const struct wire_header *header)
{
	uint8_t again[WIRE_HEADER_BYTES] = { 0 };

	must(header->shard < SHARDS_MAX ||
	     (header->kind == WIRE_RAFT && header->shard == WIRE_SHARD_VIEW));
	wire_header_encode(again, header);
	memcpy(again + 4, payload + 4, 4); /* the checksum is wire_seal's */
	must(memcmp(again, payload, WIRE_HEADER_BYTES) == 0);
}

/* check_sessions: whatever is unpacked, the table stays one that can be packed again. */
static void check_sessions(const struct wire_message *m)
{
	static _Alignas(64) uint8_t mem[65536];
	static struct session_table table;
	static bool made;
	uint8_t out[SESSION_PACK_BYTES];
	uint32_t cursor = 0, bytes, packs = 0;

	if (!made) {
		must(session_table_size(4, 8) <= sizeof(mem));
		session_table_init(&table, mem, 4, 8, 1);
		made = true;
	}
	if (!session_unpack(&table, m->value, m->value_bytes, 1))
		return;
	fuzz_accepted++;
	while ((bytes = session_pack(&table, &cursor, out)) != 0) {
		must(bytes <= sizeof(out));
		must(++packs <= 8);
	}
}

static void check_message(const uint8_t *payload, uint32_t bytes, uint32_t from, uint32_t to,
			  const struct wire_message *m)
{
	static uint8_t again[FRAME_PAYLOAD_MAX + WIRE_MESSAGE_BYTES];

	must(to > from && to <= bytes);
	must(m->key_bytes <= KEY_BYTES_MAX);
	must(m->value_bytes <= VALUE_BYTES_MAX);
	must(wire_message_bytes(m) == to - from);
	wire_message_encode(again, m);
	must(memcmp(again, payload + from, to - from) == 0);
	if (m->type == WIRE_COPY_SESSION)
		check_sessions(m);
}

static void decode(const uint8_t *payload, uint32_t bytes)
{
	struct wire_header header;
	struct wire_message message;
	uint32_t offset = WIRE_HEADER_BYTES;

	fuzz_pattern(&header, sizeof(header));
	if (wire_header_decode(payload, bytes, &header) != WIRE_OK) {
		must(fuzz_untouched(&header, sizeof(header)));
		return;
	}
	check_header(payload, &header);
	fuzz_accepted++;
	while (offset < bytes) {
		uint32_t from = offset;

		fuzz_pattern(&message, sizeof(message));
		if (wire_message_decode(payload, bytes, header.kind, &offset, &message) !=
		    WIRE_OK) {
			must(offset == from);
			must(fuzz_untouched(&message, sizeof(message)));
			return;
		}
		fuzz_accepted++;
		check_message(payload, bytes, from, offset, &message);
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes)
{
	uint8_t sealed[FRAME_PAYLOAD_MAX];

	decode(data, (uint32_t)min_u64(bytes, UINT16_MAX));
	if (bytes < WIRE_HEADER_BYTES || bytes > sizeof(sealed))
		return 0;
	memcpy(sealed, data, bytes);
	wire_seal(sealed, (uint32_t)bytes);
	decode(sealed, (uint32_t)bytes);
	return 0;
}
