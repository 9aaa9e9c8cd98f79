/* SPDX-License-Identifier: Apache-2.0 */
/*
 * make_corpus.c: writes the seeds of corpus/ from valid encodings: fuzz_make_corpus FOLDER.
 * Run it again after a format change and commit what it wrote.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>

#include "dataplane/frame.h"
#include "mgmt/config.h"
#include "mgmt/obituary.h"
#include "replication/membership.h"
#include "replication/raft_wire.h"
#include "replication/session.h"
#include "replication/wire.h"
#include "storage/record.h"
#include "storage/superblock.h"
#include "tests/fuzz/fuzz.h"

static const char *folder;
static const uint8_t key[KEY_BYTES_MAX] = "user:1001", value[VALUE_BYTES_MAX] = "-17 or any bytes";

static void save(const char *target, const char *name, const void *data, size_t bytes)
{
	char path[4096];
	FILE *f;

	snprintf(path, sizeof(path), "%s/%s", folder, target);
	if (mkdir(path, 0755) != 0)
		must(errno == EEXIST);
	snprintf(path, sizeof(path), "%s/%s/%s", folder, target, name);
	f = fopen(path, "wb");
	must(f != NULL);
	must(fwrite(data, 1, bytes, f) == bytes);
	must(fclose(f) == 0);
}

/* frame_of: a frame of the message once or twice; returns its length. */
static uint32_t frame_of(uint8_t *out, enum wire_kind kind, const struct wire_message *m,
			 uint32_t copies)
{
	struct wire_header header = {
		.kind = kind, .cluster = 7, .to = 1, .shard = 3, .to_incarnation = 5
	};
	uint32_t at = WIRE_HEADER_BYTES;

	if (kind == WIRE_PEER) {
		header.epoch = EPOCH_STATIC;
		header.from_incarnation = 4;
		header.from = 2;
	} else {
		header.session = 0x1122334455667788u;
		header.from = kind == WIRE_REQUEST ? WIRE_NODE_CLIENT : 1;
		header.to = kind == WIRE_REQUEST ? 1 : WIRE_NODE_CLIENT;
	}
	wire_header_encode(out, &header);
	while (copies-- > 0) {
		wire_message_encode(out + at, m);
		at += wire_message_bytes(m);
	}
	wire_seal(out, at);
	return at;
}

static void wire_corpus(void)
{
	static const struct {
		const char *name;
		enum wire_kind kind;
		enum wire_type type;
		uint16_t key_bytes, value_bytes;
	} list[] = {
		{ "inv", WIRE_PEER, WIRE_INV, 9, 16 },
		{ "inv_max", WIRE_PEER, WIRE_INV, KEY_BYTES_MAX, VALUE_BYTES_MAX },
		{ "ack", WIRE_PEER, WIRE_ACK, 0, 0 },
		{ "val", WIRE_PEER, WIRE_VAL, 9, 0 },
		{ "hello", WIRE_PEER, WIRE_HELLO, 0, WIRE_HELLO_BYTES },
		{ "ack_key", WIRE_PEER, WIRE_ACK, 9, 0 },
		{ "fetch", WIRE_PEER, WIRE_FETCH, 0, 0 },
		{ "copy", WIRE_PEER, WIRE_COPY, 9, 16 },
		{ "copy_session", WIRE_PEER, WIRE_COPY_SESSION, 0,
		  SESSION_PACK_HEAD + SESSION_PACK_ONE },
		{ "copied", WIRE_PEER, WIRE_COPIED, 0, WIRE_COPIED_BYTES },
		{ "open", WIRE_REQUEST, WIRE_OPEN, 0, WIRE_OPEN_BYTES },
		{ "get", WIRE_REQUEST, WIRE_GET, 9, 0 },
		{ "put", WIRE_REQUEST, WIRE_PUT, 9, 16 },
		{ "del", WIRE_REQUEST, WIRE_DEL, 9, 0 },
		{ "cas", WIRE_REQUEST, WIRE_CAS, 9, 16 },
		{ "incr", WIRE_REQUEST, WIRE_INCR, 9, 8 },
		{ "casv", WIRE_REQUEST, WIRE_CASV, 9, 16 },
		{ "opened", WIRE_REPLY, WIRE_OPENED, 0, WIRE_OPEN_BYTES },
		{ "result", WIRE_REPLY, WIRE_RESULT, 0, 16 },
	};
	static const uint8_t zeros[WIRE_OPEN_BYTES];
	uint8_t pack[SESSION_PACK_HEAD + SESSION_PACK_ONE] = { 0 };
	uint8_t out[FRAME_PAYLOAD_MAX * 2];

	store_u64(pack, 0x8877665544332211u); /* client, floor, one outcome: it took effect */
	store_u64(pack + 8, 3);
	store_u64(pack + 16, 1);
	store_u64(pack + SESSION_PACK_HEAD, 41);
	store_u64(pack + SESSION_PACK_HEAD + 8, 18);
	pack[SESSION_PACK_HEAD + 20] = OUTCOME_TOOK;
	for (size_t i = 0; i < ARRAY_LEN(list); i++) {
		bool zero = list[i].type == WIRE_OPEN || list[i].type == WIRE_HELLO;
		struct wire_message m = { .type = list[i].type,
					  .key_bytes = list[i].key_bytes,
					  .value_bytes = list[i].value_bytes,
					  .key = key,
					  .value = zero ? zeros : value,
					  .id = 12 };

		if (list[i].kind == WIRE_PEER && list[i].type != WIRE_HELLO)
			m.ts = (struct op_ts) { 18, writer_make(2, 4) };
		if (list[i].type == WIRE_INV || list[i].type == WIRE_COPY) {
			m.prior = writer_make(1, 5);
			m.origin = (struct origin) { 0x8877665544332211u, 41 };
		}
		if (list[i].type == WIRE_COPY_SESSION)
			m.value = pack;
		if (list[i].kind == WIRE_REQUEST)
			m.patience_ms = 5000;
		if (list[i].type == WIRE_CASV) {
			m.ts.version = 3;
			m.prior = writer_make(1, 5);
		}
		save("wire", list[i].name, out,
		     frame_of(out, list[i].kind, &m, list[i].key_bytes == KEY_BYTES_MAX ? 1 : 2));
	}
}

/* raft_frame: two messages, the first with an entry. */
static uint32_t raft_frame(uint8_t *out, uint16_t shard, const struct raft_message *a,
			   const struct raft_message *b)
{
	struct wire_header h = { .kind = WIRE_RAFT, .cluster = 0x1122334455667788u, .ident = 77,
				 .to_ident = 78, .from_incarnation = 4, .from = 1, .to = 2,
				 .shard = shard };
	uint32_t at = WIRE_HEADER_BYTES;

	wire_header_encode(out, &h);
	raft_message_encode(out + at, a);
	at += raft_message_bytes(a);
	raft_message_encode(out + at, b);
	at += raft_message_bytes(b);
	wire_seal(out, at);
	return at;
}

static void raft_corpus(void)
{
	static const uint8_t conf[RAFT_CONF_BYTES] = { 7, 0, 0, 4 };
	struct membership_state s = { .revision = 9, .epoch = 8, .members = 3, .copies_min = 2 };
	uint8_t out[FRAME_PAYLOAD_MAX * 2], snapshot[RAFT_CONF_BYTES + MEMBERSHIP_STATE_BYTES];
	struct raft_message vote = { .type = RAFT_VOTE, .term = 3, .index = 5, .log_term = 2 };
	struct raft_message append = { .type = RAFT_APPEND, .term = 3, .index = 5, .log_term = 2,
				       .commit = 4 };
	struct raft_message snap = { .type = RAFT_SNAPSHOT, .term = 3, .index = 9, .log_term = 3,
				     .payload = snapshot, .payload_bytes = sizeof(snapshot) };
	struct raft_message user = { .type = MEMBERSHIP_REPORT, .payload = value,
				     .payload_bytes = 68 };

	for (uint8_t n = 0; n < 3; n++) {
		s.node[n] = (struct membership_node){ .want = n == 2 ? WANT_WITNESS : WANT_DATA,
						      .ident = 70u + n, .ip = 0x0a4d0001u + n,
						      .incarnation = n == 2 ? 0 : 4, .since = 2,
						      .name = "n" };
	}
	memcpy(snapshot, conf, sizeof(conf));
	membership_state_encode(snapshot + RAFT_CONF_BYTES, &s);
	append.entry = (struct raft_entry){ .index = 6, .term = 3, .kind = RAFT_ENTRY_DATA,
					    .bytes = MEMBERSHIP_STATE_BYTES,
					    .data = snapshot + RAFT_CONF_BYTES };
	save("raft", "append", out, raft_frame(out, WIRE_SHARD_VIEW, &append, &vote));
	append.entry.kind = RAFT_ENTRY_CONF;
	append.entry.bytes = RAFT_CONF_BYTES;
	append.entry.data = conf;
	save("raft", "conf", out, raft_frame(out, 3, &append, &user));
	append.entry = (struct raft_entry){ .index = 6, .term = 3, .kind = RAFT_ENTRY_DATA,
					    .flags = RAFT_STRIPPED };
	save("raft", "stripped", out, raft_frame(out, 3, &append, &append));
	save("raft", "snapshot", out, raft_frame(out, WIRE_SHARD_VIEW, &snap, &vote));
}

static void obituary_corpus(void)
{
	static const struct obituary known = { 0xc0ffee, 71, 4, 1 }, other = { 7, 9, 12, 6 };
	uint8_t out[OBITUARY_BYTES];

	obituary_encode(out, &known);
	save("obituary", "known", out, sizeof(out));
	obituary_encode(out, &other);
	save("obituary", "other", out, sizeof(out));
}

static void frame_corpus(void)
{
	static const struct frame_addr self = { { 2, 0xca, 0x1a, 0, 0, 1 }, 4420, 0x0a4d0001 };
	static const struct frame_addr peer = { { 2, 0xca, 0x1a, 0, 0, 2 }, 4421, 0x0a4d0002 };
	struct wire_message m = { .type = WIRE_GET, .key_bytes = 9, .key = key, .id = 1 };
	uint8_t out[FRAME_BYTES_MAX] = { 0 };
	uint32_t bytes = frame_of(out + FRAME_HEADERS_BYTES, WIRE_REQUEST, &m, 1);

	save("frame", "udp", out, frame_udp_finish(out, bytes, &peer, &self));
	memset(out, 0, sizeof(out));
	save("frame", "arp_request", out, frame_arp_request(out, &peer, self.ip));
	frame_arp_request(out, &self, peer.ip);
	save("frame", "arp_reply", out, frame_arp_reply(out, &peer));
	/* An echo request with 8 bytes of data: type 8, checksums filled in. */
	bytes = frame_udp_finish(out, 8, &peer, &self);
	memcpy(out + 34, "\x08\x00\xf7\xff\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00", 16);
	out[23] = 1;
	uint32_t sum = (uint32_t)(out[24] << 8 | out[25]) + 16; /* protocol 17 became 1 */
	out[24] = (uint8_t)(sum >> 8);
	out[25] = (uint8_t)sum;
	save("frame", "ping", out, bytes);
}

static void raft_records(uint8_t *out)
{
	static const char *const names[] = { "raft_entry", "raft_hard", "raft_snapshot",
					     "raft_user" };

	for (uint32_t i = 0; i < ARRAY_LEN(names); i++) {
		struct raft_record raft = { .kind = (enum raft_record_kind)i };
		struct record r;

		if (raft.kind == RAFT_RECORD_HARD) {
			raft.term = 4;
			raft.vote = 2;
		} else {
			raft.entry = (struct raft_entry){ .index = 6, .term = 3, .bytes = 24,
							  .data = value };
		}
		record_of_raft(&r, RECORD_SHARD_VIEW, &raft);
		save("record", names[i], out, 1 + record_encode(out + 1, &r));
	}
}

static void record_corpus(void)
{
	struct record r = { .key = key,
			    .key_bytes = 9,
			    .value = value,
			    .value_bytes = 16,
			    .ts = { 18, writer_make(1, 1) },
			    .origin = { 0x1122334455667788u, 7 },
			    .base = writer_make(2, 1),
			    .epoch = 1,
			    .shard = 3 };
	struct record note = { .key = key,
			       .key_bytes = 9,
			       .ts = { 16, writer_make(0, 2) },
			       .origin = { 5, 8 },
			       .epoch = 1,
			       .shard = 3,
			       .kind = RECORD_NOTE };
	struct record floor_note = { .ts = { 16, 0 }, .epoch = 1, .shard = 3, .kind = RECORD_NOTE };
	struct record reset = { .epoch = 2, .shard = 3, .kind = RECORD_RESET };
	struct record forget = { .key = key,
				 .key_bytes = 9,
				 .ts = { 20, writer_make(1, 1) },
				 .epoch = 2,
				 .shard = 3,
				 .flags = ENTRY_TOMBSTONE,
				 .kind = RECORD_FORGET };
	struct superblock sb = { .generation = 3,
				 .cluster = 7,
				 .device_id = 9,
				 .fingerprint = 11,
				 .device_bytes = 1u << 20,
				 .incarnation = 2,
				 .shard_count = 4,
				 .stream_count = 1,
				 .node = 1,
				 .node_count = 3 };
	static uint8_t out[1 + 2 * BLOCK_BYTES];
	uint32_t bytes = record_encode(out + 1, &r);
	struct batch_head head = { .device_id = 9,
				   .offset = LOG_OFFSET,
				   .seq = 1,
				   .incarnation = 1,
				   .body_bytes = bytes,
				   .record_count = 1 };

	save("record", "record", out, 1 + bytes);
	save("record", "note", out, 1 + record_encode(out + 1, &note));
	save("record", "floor", out, 1 + record_encode(out + 1, &floor_note));
	save("record", "reset", out, 1 + record_encode(out + 1, &reset));
	save("record", "forget", out, 1 + record_encode(out + 1, &forget));
	raft_records(out);
	superblock_encode(out + 1, &sb);
	save("record", "superblock", out, 1 + 128);
	batch_head_encode(out + 1, &head);
	record_encode(out + 1 + BATCH_HEAD_BYTES, &r);
	save("record", "batch", out, 1 + BATCH_HEAD_BYTES + bytes);
	out[0] = 1;
	save("record", "log", out, 1 + BATCH_HEAD_BYTES + bytes);
	static const uint8_t damage[] = { 2, 0, 0, 1, 60, 8, 7, 0, 16, 9 };
	for (uint32_t n = 1; n <= sizeof(damage); n += 3) {
		char name[32];

		snprintf(name, sizeof(name), "damage_%u", n / 3);
		save("record", name, damage, n);
	}
}

static void config_corpus(void)
{
	static const char node[] =
		"[node]\nname = \"n1\"\nid = 1\ndata = '/tmp/n1'\n"
		"[cpu]\nworkers = 1\ncores = [0, 0x1]\n"
		"[net]\naddress = \"10.77.0.2/24\"\n"
		"[[peer]]\nid = 0\nip = \"10.77.0.1\"\n# end\n";
	static const char wrong[] = "[cpu]\nwokers = 1_000\nx = true\n";
	static char reference[65536];
	size_t bytes = config_reference(reference, sizeof(reference));

	must(bytes < sizeof(reference));
	save("config", "reference", reference, bytes);
	save("config", "node", node, sizeof(node) - 1);
	save("config", "wrong", wrong, sizeof(wrong) - 1);
}

int main(int argc, char **argv)
{
	if (argc != 2) {
		fprintf(stderr, "usage: %s FOLDER\n", argv[0]);
		return 2;
	}
	folder = argv[1];
	wire_corpus();
	raft_corpus();
	frame_corpus();
	obituary_corpus();
	record_corpus();
	config_corpus();
	return 0;
}
