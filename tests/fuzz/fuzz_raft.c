/* SPDX-License-Identifier: Apache-2.0 */
/*
 * fuzz_raft.c: any payload as a Raft frame, as received and again with kind, format and checksum
 * repaired. A message that is accepted encodes to the very same bytes; what it carries is given to
 * the decoders of configurations and of the view service's states.
 */
#include "replication/membership.h"
#include "replication/raft_wire.h"
#include "tests/fuzz/fuzz.h"

static void check_payload(const uint8_t *data, uint32_t bytes)
{
	static uint8_t again[MEMBERSHIP_STATE_BYTES];
	struct membership_state state;
	struct raft_conf conf;

	if (bytes >= RAFT_CONF_BYTES && raft_conf_decode(data, &conf)) {
		fuzz_accepted++;
		raft_conf_encode(again, &conf);
		must(memcmp(again, data, RAFT_CONF_BYTES) == 0);
	}
	fuzz_pattern(&state, sizeof(state));
	if (!membership_state_decode(data, bytes, &state)) {
		must(fuzz_untouched(&state, sizeof(state)));
		return;
	}
	fuzz_accepted++;
	membership_state_encode(again, &state);
	must(bytes == sizeof(again) && memcmp(again, data, sizeof(again)) == 0);
}

static void check_message(const uint8_t *payload, uint32_t bytes, uint32_t from, uint32_t to,
			  const struct raft_message *m)
{
	static uint8_t again[FRAME_PAYLOAD_MAX];

	must(to > from && to <= bytes);
	must(raft_message_bytes(m) == to - from);
	must(m->entry.bytes <= RAFT_ENTRY_BYTES_MAX && m->payload_bytes <= RAFT_PAYLOAD_MAX);
	raft_message_encode(again, m);
	must(memcmp(again, payload + from, to - from) == 0);
	if (m->entry.index != 0)
		check_payload(m->entry.data, m->entry.bytes);
	else
		check_payload(m->payload, m->payload_bytes);
	if (m->type == RAFT_SNAPSHOT && m->payload_bytes > RAFT_CONF_BYTES)
		check_payload(m->payload + RAFT_CONF_BYTES, m->payload_bytes - RAFT_CONF_BYTES);
}

static void decode(const uint8_t *payload, uint32_t bytes)
{
	struct wire_header header;
	struct raft_message message;
	uint32_t offset = WIRE_HEADER_BYTES;

	if (wire_header_decode(payload, bytes, &header) != WIRE_OK || header.kind != WIRE_RAFT)
		return;
	must(header.shard < SHARDS_MAX || header.shard == WIRE_SHARD_VIEW);
	while (offset < bytes) {
		uint32_t from = offset;

		fuzz_pattern(&message, sizeof(message));
		if (raft_message_decode(payload, bytes, &offset, &message) != WIRE_OK) {
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
	sealed[2] = WIRE_FORMAT;
	sealed[3] = WIRE_RAFT;
	wire_seal(sealed, (uint32_t)bytes);
	decode(sealed, (uint32_t)bytes);
	return 0;
}
