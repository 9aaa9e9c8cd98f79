/* SPDX-License-Identifier: Apache-2.0 */
#include "perf/load.h"

#include <errno.h>
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>

#include "perf/cairn_bench.h"

#define PREPARE_IN_FLIGHT 64u
#define PREPARE_PASSES	  5u
#define BACKLOG_NS	  5000000000ull

struct load {
	struct load_config config;
	void *core_mem;
	struct client_core *core;
	struct check_op *records;
	uint64_t *intended_ns; /* by record: when it should have been sent */
	uint64_t record_count;
	struct op_ts *seen;    /* by key: the newest version heard of, for CAS */
	uint64_t *seen_record; /* by key: 1 + record whose value that version has, 0: unknown */
	uint8_t *prepared;     /* by key: its first write was acknowledged */
	uint64_t key_count;    /* counters included */
	uint64_t prepare_next; /* key that preparation writes next; key_count: done */
	bool preparing;
	uint64_t random;
	uint32_t weight_sum;
	uint32_t server_next;
	struct idle idle;
	struct load_result *result;
	uint64_t measure_ns, end_ns; /* the measured part */
	double next_ns;		     /* open loop: when the next operation should be sent */
	struct client_completion completion;
};

static uint64_t mix64(uint64_t x)
{
	x = (x ^ x >> 30) * 0xbf58476d1ce4e5b9ull;
	x = (x ^ x >> 27) * 0x94d049bb133111ebull;
	return x ^ x >> 31;
}

static uint64_t random_u64(struct load *l)
{
	return mix64(l->random += 0x9e3779b97f4a7c15ull);
}

static double random_exponential(struct load *l, double mean)
{
	return -log((double)((random_u64(l) >> 11) + 1) / 9007199254740993.0) * mean;
}

/* ---- construction ---- */

static void *touched(uint64_t bytes)
{
	void *mem = mmap(NULL, bytes, PROT_READ | PROT_WRITE,
			 MAP_PRIVATE | MAP_ANONYMOUS | MAP_POPULATE, -1, 0);

	return mem == MAP_FAILED ? NULL : mem;
}

static bool allocate(struct load *l)
{
	uint64_t n = l->config.records_max;
	struct client_core_config core = {
		.seed = l->config.seed ^ idle_clock_ns(),
		.cluster = l->config.target->cluster,
		.retransmit_ns = 20000000,
		.timeout_ns = l->config.timeout_ns,
		.failover_ns = l->config.failover_ns,
		.ops_max = LOAD_OPS_OPEN,
		.server_count = l->config.target->node_count,
		.shard_count = l->config.target->shard_count,
	};

	l->records = touched(n * sizeof(*l->records));
	l->intended_ns = touched(n * sizeof(*l->intended_ns));
	l->seen = calloc(l->key_count, sizeof(*l->seen));
	l->seen_record = calloc(l->key_count, sizeof(*l->seen_record));
	l->prepared = calloc(l->key_count, 1);
	l->core_mem = aligned_alloc(64, round_up(client_core_size(&core), 64));
	if (!l->records || !l->intended_ns || !l->seen || !l->seen_record || !l->prepared ||
	    !l->core_mem)
		return false;
	memset(l->core_mem, 0, client_core_size(&core));
	l->core = client_core_init(l->core_mem, &core);
	return true;
}

int load_create(const struct load_config *config, struct load **ret_load)
{
	struct load *l = calloc(1, sizeof(*l));

	if (!l)
		return bench_fail(-ENOMEM, "no memory");
	l->config = *config;
	l->random = config->seed;
	l->key_count = config->keys * (config->weight[CHECK_INCR] ? 2 : 1);
	for (uint32_t i = 0; i < CHECK_KIND_COUNT; i++)
		l->weight_sum += config->weight[i];
	must(l->weight_sum > 0);
	idle_init(&l->idle, config->idle);
	if (!allocate(l)) {
		load_destroy(l);
		return bench_fail(-ENOMEM,
				  "no memory to remember %" PRIu64 " operations of %" PRIu64
				  " keys; ask for fewer seconds, a lower rate or fewer keys",
				  config->records_max, config->keys);
	}
	*ret_load = l;
	return 0;
}

void load_destroy(struct load *l)
{
	if (l->records)
		munmap(l->records, l->config.records_max * sizeof(*l->records));
	if (l->intended_ns)
		munmap(l->intended_ns, l->config.records_max * sizeof(*l->intended_ns));
	free(l->seen);
	free(l->seen_record);
	free(l->prepared);
	free(l->core_mem);
	free(l);
}

/* ---- one operation ---- */

uint32_t load_key_text(const struct load *l, uint64_t key, char out[64])
{
	bool counter = key >= l->config.keys;

	return (uint32_t)snprintf(out, 64, "bench%u-%c%" PRIu64, l->config.client,
				  counter ? 'c' : 'k', counter ? key - l->config.keys : key);
}

/* A value that no other operation of this load writes and that shows any damage. */
static uint32_t value_bytes(const struct load *l, uint64_t record, uint8_t *out)
{
	uint64_t x = record;

	store_u64(out, record << 8 | 0xa5); /* never a decimal number */
	for (uint32_t i = 8; i < l->config.value_bytes; i += 8) {
		uint32_t n = l->config.value_bytes - i;

		x = x * 6364136223846793005ull + 1442695040888963407ull;
		memcpy(out + i, &x, n < 8 ? n : 8);
	}
	return l->config.value_bytes;
}

static enum check_kind draw_kind(struct load *l)
{
	uint32_t draw = (uint32_t)(random_u64(l) % l->weight_sum), i = 0;

	while (draw >= l->config.weight[i])
		draw -= l->config.weight[i++];
	return (enum check_kind)i;
}

static uint8_t draw_server(struct load *l)
{
	if (l->config.server >= 0)
		return (uint8_t)l->config.server;
	l->server_next = (l->server_next + 1) % l->config.target->node_count;
	return (uint8_t)l->server_next;
}

/* What the request needs besides its key; value and compare have room for any value. */
static void fill_update(struct load *l, struct check_op *op, struct client_op *request,
			uint8_t *value, uint8_t *compare)
{
	uint64_t record = (uint64_t)(op - l->records);

	if (op->kind == CHECK_INCR) {
		op->base = 1;
		request->delta = 1;
		return;
	}
	if (op->kind != CHECK_PUT && op->kind != CHECK_CAS && op->kind != CHECK_CASV)
		return;
	if (op->key >= l->config.keys)
		value[0] = '0', request->value_bytes = 1; /* preparation of a counter */
	else
		request->value_bytes = value_bytes(l, record, value);
	request->value = value;
	check_value(op, value, request->value_bytes);
	if (op->kind == CHECK_CAS) {
		request->expected = l->seen[op->key];
		op->base = request->expected.version;
		op->base_writer = request->expected.writer;
	}
	if (op->kind == CHECK_CASV) {
		if (l->seen_record[op->key])
			request->compare_bytes =
				value_bytes(l, l->seen_record[op->key] - 1, compare);
		request->compare = compare;
		check_expect(op, compare, request->compare_bytes);
	}
}

/* Submits one operation that should have been sent at intended_ns. false: not accepted now. */
static bool submit(struct load *l, enum check_kind kind, uint64_t key, uint64_t intended_ns,
		   uint64_t now_ns)
{
	static const enum wire_type types[CHECK_KIND_COUNT] = { WIRE_GET, WIRE_PUT,  WIRE_DEL,
								WIRE_CAS, WIRE_INCR, WIRE_CASV };
	struct check_op *op = &l->records[l->record_count];
	uint8_t value[VALUE_BYTES_MAX], compare[VALUE_BYTES_MAX];
	char text[64];
	struct client_op request = {
		.type = types[kind],
		.server = draw_server(l),
		.any = l->config.server < 0,
		.key = (const uint8_t *)text,
		.key_bytes = load_key_text(l, key, text),
		.tag = l->record_count,
	};

	*op = (struct check_op) { .key = key,
				  .start_ns = now_ns,
				  .client = request.server,
				  .kind = (uint8_t)kind,
				  .outcome = STATUS_UNKNOWN };
	fill_update(l, op, &request, value, compare);
	if (client_core_submit(l->core, &request, now_ns) != STATUS_OK)
		return false;
	l->intended_ns[l->record_count++] = intended_ns;
	return true;
}

static void count(struct load *l, const struct check_op *op, uint64_t intended_ns)
{
	struct load_result *r = l->result;
	uint64_t latency_ns = op->end_ns - intended_ns;

	r->outcome[op->kind][op->outcome]++;
	if (op->outcome != STATUS_OK && op->outcome != STATUS_NOT_FOUND &&
	    op->outcome != STATUS_CONFLICT)
		return;
	histogram_record(&r->latency[op->kind], latency_ns);
	histogram_record(&r->all, latency_ns);
	if (op->kind != CHECK_GET || r->all.count == 1)
		r->durability = l->completion.durability;
}

/* seen_record: 1 + the record whose value the answer says, or implies, the key has; 0: neither. */
static uint64_t seen_record(const struct check_op *op, const struct client_completion *c)
{
	if (c->status != STATUS_OK || op->is_number || op->kind == CHECK_DEL)
		return 0;
	return op->kind == CHECK_GET ? (load_u64(c->value) >> 8) + 1 : c->tag + 1;
}

static void finish(struct load *l, uint64_t now_ns)
{
	const struct client_completion *c = &l->completion;
	struct check_op *op = &l->records[c->tag];
	uint64_t intended_ns = l->intended_ns[c->tag];

	op->end_ns = now_ns;
	op->outcome = (uint8_t)c->status;
	op->version = c->ts.version;
	op->writer = c->ts.writer;
	if (c->status == STATUS_OK && op->kind == CHECK_GET)
		check_value(op, c->value, c->value_bytes);
	if (c->status == STATUS_OK && op->kind == CHECK_INCR)
		check_number(op, c->number);
	if (c->ts.version != 0 && op_ts_compare(c->ts, l->seen[op->key]) > 0) {
		l->seen[op->key] = c->ts;
		l->seen_record[op->key] = seen_record(op, c);
	}
	if (l->preparing && c->status == STATUS_OK)
		l->prepared[op->key] = 1;
	if (!l->preparing && intended_ns >= l->measure_ns && intended_ns < l->end_ns)
		count(l, op, intended_ns);
}

/* ---- the loop ---- */

static void submit_prepare(struct load *l, uint64_t now_ns)
{
	while (l->prepare_next < l->key_count && client_core_open(l->core) < PREPARE_IN_FLIGHT &&
	       l->record_count < l->config.records_max) {
		if (!l->prepared[l->prepare_next] &&
		    !submit(l, CHECK_PUT, l->prepare_next, now_ns, now_ns))
			return;
		l->prepare_next++;
	}
}

static bool submit_drawn(struct load *l, uint64_t intended_ns, uint64_t now_ns)
{
	enum check_kind kind = draw_kind(l);
	uint64_t key = random_u64(l) % l->config.keys;

	if (l->record_count == l->config.records_max) {
		l->result->records_full = true;
		l->end_ns = now_ns;
		return false;
	}
	return submit(l, kind, kind == CHECK_INCR ? key + l->config.keys : key, intended_ns,
		      now_ns);
}

static void submit_due(struct load *l, uint64_t now_ns)
{
	if (l->preparing) {
		submit_prepare(l, now_ns);
		return;
	}
	if (l->config.rate <= 0) {
		while (now_ns < l->end_ns && client_core_open(l->core) < l->config.in_flight)
			if (!submit_drawn(l, now_ns, now_ns))
				return;
		return;
	}
	while (l->next_ns <= (double)min_u64(now_ns, l->end_ns) &&
	       client_core_open(l->core) < LOAD_OPS_OPEN) {
		if (!submit_drawn(l, (uint64_t)l->next_ns, now_ns))
			return;
		l->next_ns += random_exponential(l, 1e9 / l->config.rate);
	}
}

/*
 * One round. The clock is read again after receiving: an operation must not be recorded as ended
 * before its answer was there, or the checker would see reads that came too early.
 */
static uint64_t round_trip(struct load *l, uint64_t now_ns)
{
	uint32_t work = port_receive(l->config.port, l->core, now_ns), sent;
	uint64_t deadline_ns;

	if (work > 0)
		now_ns = idle_clock_ns();
	if (now_ns >= client_core_deadline_ns(l->core))
		client_core_tick(l->core, now_ns);
	while (client_core_complete(l->core, &l->completion))
		finish(l, now_ns);
	submit_due(l, now_ns);
	while ((sent = port_send(l->config.port, l->core, now_ns)) > 0)
		work += sent;
	if (work > 0) {
		idle_reset(&l->idle);
	} else {
		deadline_ns = client_core_deadline_ns(l->core);
		if (!l->preparing && l->config.rate > 0 && now_ns < l->end_ns)
			deadline_ns = min_u64(deadline_ns, (uint64_t)l->next_ns);
		idle_wait(&l->idle, now_ns, deadline_ns);
	}
	return idle_clock_ns();
}

int load_prepare(struct load *l)
{
	uint64_t missing = l->key_count;

	l->preparing = true;
	for (uint32_t pass = 0; pass < PREPARE_PASSES && missing > 0; pass++) {
		uint64_t now_ns = idle_clock_ns();

		l->prepare_next = 0;
		do {
			now_ns = round_trip(l, now_ns);
		} while (client_core_open(l->core) > 0 ||
			 (l->prepare_next < l->key_count &&
			  l->record_count < l->config.records_max));
		missing = 0;
		for (uint64_t k = 0; k < l->key_count; k++)
			missing += !l->prepared[k];
	}
	l->preparing = false;
	if (missing == 0)
		return 0;
	return bench_fail(-EIO,
			  "%" PRIu64 " of %" PRIu64
			  " keys could not be written (last outcome: %s); "
			  "see 'cairnctl health'",
			  missing, l->key_count,
			  status_name((enum status)l->records[l->record_count - 1].outcome));
}

/* Open loop: operations that arrived in time wait to be sent; given up BACKLOG_NS after the end. */
static bool backlog(const struct load *l, uint64_t now_ns)
{
	return l->config.rate > 0 && l->next_ns < (double)l->end_ns &&
	       now_ns < l->end_ns + BACKLOG_NS;
}

void load_run(struct load *l, double warmup, double secs, struct load_result *ret_result)
{
	uint64_t now_ns = idle_clock_ns();

	memset(ret_result, 0, sizeof(*ret_result));
	histogram_init(&ret_result->all);
	for (uint32_t i = 0; i < CHECK_KIND_COUNT; i++)
		histogram_init(&ret_result->latency[i]);
	l->result = ret_result;
	l->measure_ns = now_ns + (uint64_t)(warmup * 1e9);
	l->end_ns = l->measure_ns + (uint64_t)(secs * 1e9);
	l->next_ns = (double)now_ns;
	while (now_ns < l->end_ns || client_core_open(l->core) > 0 || backlog(l, now_ns))
		now_ns = round_trip(l, now_ns);
	if (l->config.rate > 0 && l->next_ns < (double)l->end_ns)
		ret_result->unsent =
			(uint64_t)(((double)l->end_ns - l->next_ns) * l->config.rate / 1e9);
	if (l->end_ns > l->measure_ns)
		ret_result->secs = (double)(l->end_ns - l->measure_ns) / 1e9;
}

const struct check_op *load_history(const struct load *l, uint64_t *ret_count)
{
	*ret_count = l->record_count;
	return l->records;
}

const struct client_core *load_core(const struct load *l)
{
	return l->core;
}
