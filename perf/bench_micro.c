/* SPDX-License-Identifier: Apache-2.0 */
/* cairn-bench-micro: the cost of each part by itself. Needs no network, no disk, no rights. */
#include <stdio.h>
#include <stdlib.h>

#include "dataplane/client/core.h"
#include "perf/bench.h"
#include "perf/memory_disk.h"
#include "perf/trio.h"
#include "replication/crc.h"
#include "storage/record.h"
#include "storage/store.h"
#include "storage/wal.h"

#define KEY_BYTES 16u
#define KEYS	  100000u

_Noreturn void must_failed(const char *expression, const char *file, int line)
{
	fprintf(stderr, "cairn-bench-micro: %s:%d: must(%s) failed\n", file, line, expression);
	abort();
}

static uint8_t value[FRAME_PAYLOAD_MAX];

static void make_key(uint8_t *key, uint64_t i)
{
	memcpy(key, "benchkey", 8);
	store_u64(key + 8, i);
}

/* A full-period walk over 0..KEYS-1 that no prefetcher follows. */
static uint64_t next_key(uint64_t i)
{
	return (i * 48271 + 12345) % KEYS;
}

/* ---- checksum and wire ---- */

static void bench_crc32c(struct bench_state *state)
{
	uint32_t bytes = (uint32_t)bench_arg(state);

	while (bench_keep_running(state))
		bench_keep(crc32c(value, bytes));
	bench_bytes(state, bench_iterations(state) * bytes);
}

static struct wire_message inv(uint8_t *key, uint32_t value_bytes)
{
	return (struct wire_message) { .type = WIRE_INV,
				       .key = key,
				       .key_bytes = KEY_BYTES,
				       .value = value,
				       .value_bytes = (uint16_t)value_bytes,
				       .ts = { 18, writer_make(2, 3) },
				       .id = 7 };
}

static uint32_t encode(uint8_t *payload, const struct wire_message *m)
{
	struct wire_header header = { .kind = WIRE_PEER,
				      .cluster = 1,
				      .epoch = EPOCH_STATIC,
				      .from_incarnation = 1,
				      .to_incarnation = 1,
				      .from = 0,
				      .to = 1 };
	uint32_t bytes = WIRE_HEADER_BYTES + wire_message_bytes(m);

	wire_header_encode(payload, &header);
	wire_message_encode(payload + WIRE_HEADER_BYTES, m);
	wire_seal(payload, bytes);
	return bytes;
}

static void bench_wire_encode(struct bench_state *state)
{
	uint8_t payload[FRAME_PAYLOAD_MAX], key[KEY_BYTES];
	struct wire_message m = inv(key, (uint32_t)bench_arg(state));

	make_key(key, 1);
	while (bench_keep_running(state))
		bench_keep(encode(payload, &m));
	bench_label(state, "frame with one INV, sealed");
}

static void bench_wire_decode(struct bench_state *state)
{
	uint8_t payload[FRAME_PAYLOAD_MAX], key[KEY_BYTES];
	struct wire_message m = inv(key, (uint32_t)bench_arg(state));
	struct wire_header header;
	uint32_t bytes;

	make_key(key, 1);
	bytes = encode(payload, &m);
	while (bench_keep_running(state)) {
		uint32_t offset = WIRE_HEADER_BYTES;

		must(wire_header_decode(payload, bytes, &header) == WIRE_OK);
		must(wire_message_decode(payload, bytes, header.kind, &offset, &m) == WIRE_OK);
		bench_keep(m.id);
	}
	bench_label(state, "frame with one INV, checksum verified");
}

/* ---- store ---- */

static struct store *new_store(void **ret_mem)
{
	struct store_config config = { .keys_max = KEYS, .blob_bytes = KEYS * 512ull, .seed = 1 };

	*ret_mem = aligned_alloc(64, round_up(store_size(&config), 64));
	must(*ret_mem != NULL);
	memset(*ret_mem, 0, store_size(&config));
	return store_init(*ret_mem, &config);
}

static void insert(struct store *s, uint64_t i)
{
	uint8_t key[KEY_BYTES];

	make_key(key, i);
	must(store_insert(s, store_hash(s, key, KEY_BYTES), key, KEY_BYTES, 64) != NULL);
}

static void bench_store_find(struct bench_state *state)
{
	uint8_t key[KEY_BYTES];
	uint64_t i = 0;
	void *mem;
	struct store *s = new_store(&mem);

	for (uint64_t k = 0; k < KEYS; k++)
		insert(s, k);
	while (bench_keep_running(state)) {
		i = next_key(i);
		make_key(key, i);
		bench_keep((uintptr_t)store_find(s, store_hash(s, key, KEY_BYTES), key, KEY_BYTES));
	}
	bench_items(state, bench_iterations(state));
	bench_label(state, "of 100,000 keys");
	free(mem);
}

static void bench_store_insert(struct bench_state *state)
{
	uint64_t i = 0;
	void *mem;
	struct store *s = new_store(&mem);

	while (bench_keep_running(state)) {
		if (i == KEYS) {
			bench_pause(state);
			free(mem);
			s = new_store(&mem);
			i = 0;
			bench_resume(state);
		}
		insert(s, i++);
	}
	bench_items(state, bench_iterations(state));
	free(mem);
}

/* ---- log ---- */

static struct record a_record(uint8_t *key, uint32_t value_bytes)
{
	make_key(key, 1);
	return (struct record) { .key = key,
				 .key_bytes = KEY_BYTES,
				 .value = value,
				 .value_bytes = (uint16_t)value_bytes,
				 .ts = { 18, 1 },
				 .epoch = EPOCH_STATIC };
}

static void bench_record_encode(struct bench_state *state)
{
	_Alignas(8) uint8_t out[RECORD_BYTES_MAX];
	uint8_t key[KEY_BYTES];
	struct record r = a_record(key, (uint32_t)bench_arg(state));

	while (bench_keep_running(state))
		bench_keep(record_encode(out, &r));
	bench_bytes(state, bench_iterations(state) * record_bytes(&r));
}

struct log {
	struct blockdev *dev;
	void *mem;
	struct wal *wal;
};

static void open_log(struct log *log)
{
	struct wal_config config = { 65536, 4, 0 };
	struct superblock sb = { .cluster = 1,
				 .device_id = 2,
				 .device_bytes = 1ull << 28,
				 .incarnation = 1,
				 .shard_count = 1,
				 .stream_count = 1,
				 .node_count = 3 };
	struct record r;
	uint64_t offset;

	log->dev = memory_disk_create(sb.device_bytes);
	log->mem = aligned_alloc(BLOCK_BYTES, round_up(wal_size(&config), BLOCK_BYTES));
	must(log->dev && log->mem);
	memset(log->mem, 0, wal_size(&config));
	log->wal = wal_init(log->mem, &config, log->dev, &sb);
	must(wal_recover_next(log->wal, &r, &offset) == 0);
}

static void close_log(struct log *log)
{
	free(log->mem);
	free(log->dev);
}

/* Group commit of 32 records: append, submit, poll. */
static void bench_wal_append(struct bench_state *state)
{
	uint8_t key[KEY_BYTES];
	struct record r = a_record(key, (uint32_t)bench_arg(state));
	struct log log;
	uint64_t now_ns = 1;

	open_log(&log);
	while (bench_keep_running(state)) {
		if (!wal_can_append(log.wal, 32)) {
			bench_pause(state);
			close_log(&log);
			open_log(&log);
			bench_resume(state);
		}
		for (uint32_t i = 0; i < 32; i++)
			bench_keep(wal_append(log.wal, &r));
		must(wal_submit(log.wal, now_ns++) == 0);
		bench_keep(wal_poll(log.wal));
	}
	bench_items(state, bench_iterations(state) * 32);
	bench_label(state, "32 records a batch, no disk");
	close_log(&log);
}

/* ---- protocol ---- */

static void bench_replica_write(struct bench_state *state)
{
	uint8_t key[KEY_BYTES];
	struct trio *t = trio_create(1024);
	struct wire_message put = { .type = WIRE_PUT,
				    .key = key,
				    .key_bytes = KEY_BYTES,
				    .value = value,
				    .value_bytes = (uint16_t)bench_arg(state) };
	uint64_t i = 0, before;

	must(t != NULL);
	before = trio_events(t);
	while (bench_keep_running(state)) {
		make_key(key, i++ % 1000);
		must(trio_request(t, (uint8_t)(i % 3), &put) == STATUS_OK);
	}
	bench_items(state, bench_iterations(state));
	bench_counter(state, "steps",
		      (double)(trio_events(t) - before) / (double)bench_iterations(state));
	bench_label(state, "committed on three replicas, no network, no disk");
	trio_destroy(t);
}

static void bench_replica_read(struct bench_state *state)
{
	uint8_t key[KEY_BYTES];
	struct trio *t = trio_create(1024);
	struct wire_message get = { .type = WIRE_GET, .key = key, .key_bytes = KEY_BYTES };
	struct wire_message put = { .type = WIRE_PUT,
				    .key = key,
				    .key_bytes = KEY_BYTES,
				    .value = value,
				    .value_bytes = 64 };
	uint64_t i = 0;

	must(t != NULL);
	for (uint64_t k = 0; k < 1000; k++) {
		make_key(key, k);
		must(trio_request(t, 0, &put) == STATUS_OK);
	}
	while (bench_keep_running(state)) {
		make_key(key, i++ % 1000);
		must(trio_request(t, 1, &get) == STATUS_OK);
	}
	bench_items(state, bench_iterations(state));
	bench_label(state, "local read at one replica");
	trio_destroy(t);
}

/* ---- client ---- */

/* Answers every request of a datagram; the reply's length, 0 when there is nothing to say. */
static uint32_t answer(const uint8_t *in, uint32_t bytes, uint8_t *out)
{
	static const uint8_t opened_rest[WIRE_OPEN_BYTES];
	struct wire_header header, reply = { .kind = WIRE_REPLY,
					     .cluster = 1,
					     .session = 77,
					     .to_incarnation = 1,
					     .from = 0,
					     .to = WIRE_NODE_CLIENT };
	uint32_t offset = WIRE_HEADER_BYTES, used = WIRE_HEADER_BYTES;
	struct wire_message m;

	must(wire_header_decode(in, bytes, &header) == WIRE_OK);
	wire_header_encode(out, &reply);
	while (offset < bytes) {
		uint8_t opened[WIRE_OPEN_BYTES];
		struct wire_message r = { .type = WIRE_RESULT,
					  .durability = DURABILITY_ALL,
					  .ts = { 2, 1 } };

		must(wire_message_decode(in, bytes, header.kind, &offset, &m) == WIRE_OK);
		r.id = m.id;
		if (m.type == WIRE_OPEN) {
			memcpy(opened, opened_rest, sizeof(opened));
			store_u64(opened, 77);
			store_u32(opened + 8, 1);
			store_u16(opened + 12, 1);
			opened[14] = 3;
			store_u16(opened + 16, SESSION_WINDOW);
			store_u16(opened + 18, KEY_BYTES_MAX);
			store_u16(opened + 20, VALUE_BYTES_MAX);
			r = (struct wire_message) { .type = WIRE_OPENED,
						    .id = m.id,
						    .value = opened,
						    .value_bytes = WIRE_OPEN_BYTES };
		}
		wire_message_encode(out + used, &r);
		used += wire_message_bytes(&r);
	}
	wire_seal(out, used);
	return used;
}

static void exchange(struct client_core *c, uint64_t now_ns)
{
	uint8_t in[FRAME_PAYLOAD_MAX], out[FRAME_PAYLOAD_MAX], server;
	uint32_t bytes;
	uint16_t shard;

	while ((bytes = client_core_output(c, in, &server, &shard, now_ns)) > 0) {
		uint32_t n = answer(in, bytes, out);

		client_core_input(c, server, out, n, now_ns);
	}
}

static void bench_client_core(struct bench_state *state)
{
	struct client_core_config config = { .seed = 1,
					     .cluster = 1,
					     .retransmit_ns = 1000000000,
					     .timeout_ns = 5000000000ull,
					     .ops_max = 64,
					     .server_count = 3,
					     .shard_count = 1 };
	static struct client_completion done;
	void *mem = aligned_alloc(64, round_up(client_core_size(&config), 64));
	uint8_t key[KEY_BYTES];
	struct client_op op = { .type = WIRE_PUT,
				.key = key,
				.key_bytes = KEY_BYTES,
				.value = value,
				.value_bytes = 64 };
	uint64_t now_ns = 1000, depth = (uint64_t)bench_arg(state);
	struct client_core *c;

	must(mem != NULL);
	memset(mem, 0, client_core_size(&config));
	c = client_core_init(mem, &config);
	make_key(key, 1);
	while (bench_keep_running(state)) {
		for (uint64_t i = 0; i < depth; i++)
			must(client_core_submit(c, &op, now_ns) == STATUS_OK);
		while (client_core_open(c) > 0) {
			exchange(c, now_ns += 1000);
			while (client_core_complete(c, &done))
				must(done.status == STATUS_OK);
		}
	}
	bench_items(state, bench_iterations(state) * depth);
	bench_label(state, "PUT, request and reply coded on both sides");
	free(mem);
}

int main(int argc, char **argv)
{
	static const int64_t sizes[] = { 64, VALUE_BYTES_MAX }, depths[] = { 1, 32 };

	memset(value, 0xa5, sizeof(value));
	bench_register("crc32c", bench_crc32c, (const int64_t[]) { 64, 1472 }, 2);
	bench_register("wire_encode", bench_wire_encode, sizes, 2);
	bench_register("wire_decode", bench_wire_decode, sizes, 2);
	bench_register("store_find", bench_store_find, NULL, 0);
	bench_register("store_insert", bench_store_insert, NULL, 0);
	bench_register("record_encode", bench_record_encode, sizes, 2);
	bench_register("wal_append", bench_wal_append, sizes, 2);
	bench_register("replica_write", bench_replica_write, sizes, 2);
	bench_register("replica_read", bench_replica_read, NULL, 0);
	bench_register("client_core", bench_client_core, depths, 2);
	return bench_run_all(argc, argv);
}
