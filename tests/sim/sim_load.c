/* SPDX-License-Identifier: Apache-2.0 */
/* Clients: production client cores under a drawn load. Every operation is recorded. */
#include <stdlib.h>

#include "replication/slot.h"
#include "tests/check/check_file.h"
#include "tests/sim/sim.h"

#define FINAL_TIMEOUT_NS 100000000ull
#define FINAL_RETRY_NS 3000000ull
#define WARM_NS 20000000ull /* keys that are only read are written before */
/*
 * A key of whose updates that many have an open fate is only read from then on: the checker has to
 * find out what each of them did.
 */
#define OPEN_UPDATES_MAX 150u
#define OP_KNOWN (1ull << 24)
#define OP_ANY (1ull << 25)
#define OP_TIMEOUT 26u

static void draw_key(struct sim *s, uint32_t index)
{
	struct sim_key *k = &s->key[index];
	char text[SIM_KEY_TEXT + 1];

	k->bytes = (uint32_t)snprintf(text, sizeof(text), index % 3 == 2 ? "key/%u/longer" : "k%u",
				      index);
	memcpy(k->text, text, k->bytes);
	k->shard = slot_shard_of_key(k->text, k->bytes, s->plan.shards);
	k->acked = k->committed = k->deleted = (struct op_ts){ 0, 0 };
	k->open_updates = 0;
}

/* scripted_ns: when the slot's next operation in the script is due. */
static uint64_t scripted_ns(const struct sim *s, uint32_t client, uint32_t slot)
{
	const struct script_event *e = script_peek(s->follow, script_op_stream(client, slot));

	return e ? max_u64(e->ns, s->now_ns) : SIM_NEVER;
}

static void start_client(struct sim *s, uint32_t index)
{
	struct sim_client *c = &s->client[index];
	struct client_core_config config = {
		.seed = rng_mix(rng_make(s->seed, 32 + index).state),
		.retransmit_ns = s->plan.retransmit_ns,
		.timeout_ns = s->plan.timeout_ns,
		.failover_ns = s->plan.failover_ns,
		.ops_max = SIM_SLOTS_MAX,
		.server_count = s->plan.nodes,
		.shard_count = s->plan.shards,
		.servers_unused = s->plan.service.witness == 0 ? 0 :
					(uint8_t)(1u << (s->plan.service.witness - 1)),
	};
	uint64_t bytes = client_core_size(&config);

	if (c->mem_bytes < bytes) {
		free(c->mem);
		c->mem_bytes = round_up(bytes, 64);
		c->mem = aligned_alloc(64, c->mem_bytes);
		must(c->mem != NULL);
	}
	c->core = client_core_init(c->mem, &config);
	c->addr = (struct frame_addr){ .mac = { 0x02, 0xca, 0x1a, 0, 1, (uint8_t)index },
				       .port = (uint16_t)(SIM_CLIENT_PORT + index),
				       .ip = 0x0a4d0065u + index };
	c->port = sim_net_add_port(s->net, c->addr.mac, 1, 0);
	memset(c->known, 0, sizeof(c->known));
	memset(c->value, 0, sizeof(c->value));
	for (uint32_t i = 0; i < SIM_SLOTS_MAX; i++) {
		c->slot_final[i] = SIM_NONE;
		c->slot_ns[i] = SIM_NEVER;
		if (s->follow)
			c->slot_ns[i] = scripted_ns(s, index, i);
		else if (i < s->plan.slots)
			c->slot_ns[i] = rng_exponential(&s->load_rng, s->plan.think_ns);
	}
	c->due_ns = 0;
}

void sim_load_start(struct sim *s)
{
	for (uint32_t i = 0; i < s->plan.keys; i++)
		draw_key(s, i);
	for (uint32_t i = 0; i < s->plan.clients; i++)
		start_client(s, i);
}

/* op_value: unique per operation, the same whenever it is asked for. */
static uint32_t op_value(const struct sim *s, uint32_t index, uint8_t *out)
{
	char text[32];
	int length;

	if (s->op[index].key < s->plan.counters) {
		length = snprintf(text, sizeof(text), "%llu", (index + 1) * 1000000ull);
		memcpy(out, text, (size_t)length);
		return (uint32_t)length;
	}
	length = snprintf(text, sizeof(text), "v%u.", index);
	memset(out, 'a' + (int)(index % 26), s->op_more[index].value_bytes);
	memcpy(out, text, (size_t)length);
	return s->op_more[index].value_bytes;
}

/* submit: hands operation `index` to the client core. */
static void submit(struct sim *s, uint32_t index)
{
	static const enum wire_type types[] = { WIRE_GET, WIRE_PUT,  WIRE_DEL,
						WIRE_CAS, WIRE_INCR, WIRE_CASV };
	struct check_op *o = &s->op[index];
	struct sim_op *more = &s->op_more[index];
	struct sim_client *c = &s->client[more->client];
	uint8_t value[VALUE_BYTES_MAX];
	struct client_op op = {
		.type = types[o->kind],
		.server = more->server,
		.any = more->any,
		.key = s->key[o->key].text,
		.key_bytes = s->key[o->key].bytes,
		.expected = { o->base, o->base_writer },
		.delta = more->delta,
		.timeout_ns = s->phase == PHASE_FAULTS ? more->timeout_ns : FINAL_TIMEOUT_NS,
		.tag = index,
	};

	if (o->kind == CHECK_CASV) {
		op.compare = more->expected.data;
		op.compare_bytes = more->expected.bytes;
		check_expect(o, op.compare, op.compare_bytes);
	}
	if (o->kind == CHECK_PUT || o->kind == CHECK_CAS || o->kind == CHECK_CASV) {
		op.value = value;
		op.value_bytes = op_value(s, index, value);
		check_value(o, value, op.value_bytes);
	}
	o->start_ns = s->now_ns;
	more->floor = s->key[o->key].acked;
	must(client_core_submit(c->core, &op, s->now_ns) == STATUS_OK);
	c->slot_ns[more->slot] = SIM_NEVER;
	s->ops_open++;
	sim_trace(s, "c%u op %u kind %u key %u at n%u", more->client, index, o->kind,
		  (uint32_t)o->key, more->server);
}

static uint32_t new_op(struct sim *s, uint32_t client, uint32_t slot)
{
	uint32_t index = s->op_count++;

	memset(&s->op[index], 0, sizeof(s->op[index]));
	memset(&s->op_more[index], 0, sizeof(s->op_more[index]));
	s->op[index].client = client;
	s->op_more[index].client = (uint8_t)client;
	s->op_more[index].slot = (uint8_t)slot;
	s->op_more[index].value_bytes = 12;
	return index;
}

static enum check_kind draw_kind(struct sim *s)
{
	uint64_t at = rng_below(&s->load_rng, s->plan.weight_sum);
	uint32_t kind = 0;

	while (at >= s->plan.weight[kind])
		at -= s->plan.weight[kind++];
	return (enum check_kind)kind;
}

/*
 * submit_event: a drawn or scripted operation. Its length field: server (8 bits), value bytes (16),
 * whether it expects what its client saw last, whether another server will do, its timeout.
 */
static void submit_event(struct sim *s, const struct script_event *e)
{
	uint32_t index = new_op(s, e->node, e->other);
	struct check_op *o = &s->op[index];
	struct sim_op *more = &s->op_more[index];

	o->kind = e->more;
	o->key = e->n;
	more->server = (uint8_t)e->length_ns;
	more->value_bytes = (uint32_t)(e->length_ns >> 8 & 0xffff);
	if (o->kind == CHECK_CAS && (e->length_ns & OP_KNOWN) != 0) {
		o->base = s->client[e->node].known[o->key].version;
		o->base_writer = s->client[e->node].known[o->key].writer;
	}
	if (o->kind == CHECK_INCR) {
		more->delta = (int64_t)e->arg;
		o->base = e->arg;
	}
	if (o->kind == CHECK_CASV) {
		/* What it saw last, or what nobody ever writes. */
		more->expected = s->client[e->node].value[o->key];
		if (more->expected.bytes == 0 || (e->length_ns & OP_KNOWN) == 0)
			more->expected = (struct sim_value){ 3, "no" };
		more->value_bytes = (uint32_t)min_u64(more->value_bytes,
						      VALUE_BYTES_MAX - SIM_VALUE_KEPT);
	}
	more->any = (e->length_ns & OP_ANY) != 0;
	more->timeout_ns = e->length_ns >> OP_TIMEOUT;
	submit(s, index);
}

/* data_node: this one, or the next when it is the witness. */
static uint32_t data_node(const struct sim *s, uint32_t node)
{
	node %= s->plan.nodes;
	return sim_view_holds(s, (uint8_t)node) ? node : (node + 1) % s->plan.nodes;
}

/*
 * keep_apart: for figures: a client has one server; half of its slots read what nobody updates, the
 * other half updates, so that neither waits for the other.
 */
static void keep_apart(const struct sim *s, struct script_event *e)
{
	uint32_t updated = s->plan.keys - s->plan.read_keys;
	bool writes = e->other % 2 != 0 || s->now_ns < WARM_NS;

	e->length_ns = (e->length_ns & ~0xffull) | e->node % s->plan.nodes;
	if (writes && s->now_ns >= WARM_NS)
		e->n %= updated;
	else if (!writes)
		e->n = updated + e->n % s->plan.read_keys;
	e->more = !writes			? CHECK_GET :
		  e->n < s->plan.counters	? CHECK_INCR :
						  CHECK_PUT;
	e->arg = 1;
}

static void submit_drawn(struct sim *s, uint32_t client, uint32_t slot)
{
	struct rng *r = &s->load_rng;
	struct script_event e = { .ns = s->now_ns,
				  .kind = SCRIPT_op,
				  .node = (uint8_t)client,
				  .other = (uint8_t)slot };

	e.more = (uint8_t)draw_kind(s);
	e.n = rng_chance(r, s->plan.hot_ppm) ? 0 : (uint32_t)rng_below(r, s->plan.keys);
	if (s->key[e.n].open_updates >= OPEN_UPDATES_MAX ||
	    (e.n >= s->plan.keys - s->plan.read_keys && s->now_ns > WARM_NS))
		e.more = CHECK_GET;
	e.length_ns = data_node(s, (uint32_t)rng_below(r, s->plan.nodes));
	e.length_ns |= rng_range(r, 12, s->plan.value_bytes_max) << 8;
	if (e.more == CHECK_CAS)
		e.length_ns |= rng_chance(r, 150000) ? 0 : OP_KNOWN;
	if (e.more == CHECK_CASV)
		e.length_ns |= rng_chance(r, 100000) ? 0 : OP_KNOWN;
	if (e.more == CHECK_INCR)
		e.arg = rng_range(r, 1, 9) - 3;
	if (rng_chance(r, s->plan.any_ppm))
		e.length_ns |= OP_ANY;
	if (rng_chance(r, s->plan.hasty_ppm))
		e.length_ns |= (1 + rng_exponential(r, s->plan.hasty_ns)) << OP_TIMEOUT;
	if (s->failover)
		keep_apart(s, &e);
	if (s->record)
		script_add(s->record, &e);
	submit_event(s, &e);
}

static void submit_scripted(struct sim *s, uint32_t client, uint32_t slot)
{
	uint32_t stream = script_op_stream(client, slot);
	struct script_event e = *script_peek(s->follow, stream);

	script_take(s->follow, stream);
	submit_event(s, &e);
}

/* submit_final: in the end every key is read at every node, written once, and read again. */
static void submit_final(struct sim *s, uint32_t client, uint32_t slot)
{
	uint32_t work = s->client[client].slot_final[slot];
	uint32_t index;

	if (s->op_count == SIM_OPS_MAX) {
		sim_violation(s, "stuck: final operations are refused again and again");
		return;
	}
	index = new_op(s, client, slot);
	s->op[index].kind = s->phase == PHASE_WRITE ? CHECK_PUT : CHECK_GET;
	s->op[index].key = work % s->plan.keys;
	s->op_more[index].server =
		(uint8_t)data_node(s, s->phase == PHASE_WRITE ?
					      (uint32_t)((work + s->seed) % s->plan.nodes) :
					      work / s->plan.keys);
	submit(s, index);
}

static bool take_final(struct sim *s, struct sim_client *c, uint32_t slot)
{
	if (s->phase != PHASE_READ && s->phase != PHASE_WRITE && s->phase != PHASE_READ_AGAIN)
		return false;
	if (c->slot_final[slot] == SIM_NONE && s->final_next < s->final_count)
		c->slot_final[slot] = s->final_next++;
	return c->slot_final[slot] != SIM_NONE;
}

static void submit_due(struct sim *s, uint32_t client)
{
	struct sim_client *c = &s->client[client];

	for (uint32_t slot = 0; slot < s->plan.slots; slot++) {
		if (c->slot_ns[slot] > s->now_ns || s->violated)
			continue;
		if (s->phase == PHASE_FAULTS && s->follow)
			submit_scripted(s, client, slot);
		else if (s->phase == PHASE_FAULTS && s->op_count < s->plan.ops)
			submit_drawn(s, client, slot);
		else if (take_final(s, c, slot))
			submit_final(s, client, slot);
		else
			c->slot_ns[slot] = SIM_NEVER;
	}
}

void sim_load_final(struct sim *s, uint32_t count)
{
	s->final_count = count;
	s->final_next = s->final_done = 0;
	for (uint32_t i = 0; i < s->plan.clients; i++) {
		for (uint32_t slot = 0; slot < s->plan.slots; slot++)
			s->client[i].slot_ns[slot] = s->now_ns;
		s->client[i].due_ns = s->now_ns;
	}
}

static void send_output(struct sim *s, struct sim_client *c)
{
	struct netdev *dev = sim_net_queue(s->net, c->port, 0);
	uint8_t payload[FRAME_PAYLOAD_MAX];
	uint8_t server;
	uint16_t shard;
	uint32_t bytes;

	while ((bytes = client_core_output(c->core, payload, &server, &shard, s->now_ns)) != 0) {
		struct frame_addr target = {
			.mac = { 0x02, 0xca, 0x1a, 0, 0, (uint8_t)(server + 1) },
			.port = (uint16_t)(s->plan.worker.port_base + shard),
			.ip = 0x0a4d0001u + server,
		};
		struct netdev_buf buf;

		if (!netdev_alloc(dev, &buf))
			continue; /* lost; the core sends again */
		memcpy(buf.data + FRAME_HEADERS_BYTES, payload, bytes);
		buf.bytes = frame_udp_finish(buf.data, bytes, &c->addr, &target);
		netdev_send(dev, &buf, 1);
	}
}

static bool is_definite(enum status status)
{
	return status == STATUS_OK || status == STATUS_NOT_FOUND;
}

/* remember: what the client knows of the key from now on. */
static void remember(struct sim *s, const struct check_op *o, const struct sim_op *more,
		     const struct client_completion *done, uint32_t index)
{
	struct sim_client *c = &s->client[more->client];
	struct sim_value *v = &c->value[o->key];
	uint8_t written[VALUE_BYTES_MAX];
	const uint8_t *data = written;
	uint32_t bytes = 0;

	if (done->status == STATUS_OK || done->status == STATUS_CONFLICT)
		c->known[o->key] = done->ts;
	if (done->status == STATUS_NOT_FOUND || o->kind == CHECK_DEL)
		c->known[o->key] = (struct op_ts){ 0, 0 };
	if (o->kind == CHECK_GET && done->status == STATUS_OK) {
		data = done->value;
		bytes = done->value_bytes;
	} else if (o->kind == CHECK_INCR && done->status == STATUS_OK) {
		bytes = (uint32_t)snprintf((char *)written, sizeof(written), "%lld",
					   (long long)done->number);
	} else if (o->kind != CHECK_DEL && done->status == STATUS_OK) {
		bytes = op_value(s, index, written);
	} else if (!is_definite(done->status)) {
		return;
	}
	v->bytes = bytes <= SIM_VALUE_KEPT ? bytes : 0;
	memcpy(v->data, data, v->bytes);
}

/*
 * learn: what the reply proves: this version is committed, hence durable at every node.
 * H-READ-VALID: what was acknowledged before the operation began is not newer than what it saw.
 */
static void learn(struct sim *s, const struct check_op *o, const struct sim_op *more,
		  const struct client_completion *done)
{
	struct sim_key *k = &s->key[o->key];
	/* Absent, and nobody knows since when; the history says whether that can be. */
	bool forgotten = done->ts.writer == 0;
	bool update = done->status == STATUS_OK && o->kind != CHECK_GET;

	if (!is_definite(done->status) && done->status != STATUS_CONFLICT)
		return;
	if (op_ts_compare(done->ts, more->floor) < 0 && !forgotten)
		sim_violation(s, "H-READ-VALID: key %u is answered with version %llu, but %llu was "
				 "acknowledged before it was asked for", (uint32_t)o->key,
			      (unsigned long long)done->ts.version,
			      (unsigned long long)more->floor.version);
	if (update && done->durability != (sim_is_raft(s) ? DURABILITY_QUORUM : DURABILITY_ALL))
		sim_violation(s, "update acknowledged with durability %u", done->durability);
	if (forgotten)
		return;
	sim_ledger_commit(s, (uint32_t)o->key, done->ts);
	/* Stores are looked at now and then: a tombstone may have come and gone in between. */
	if ((done->status == STATUS_NOT_FOUND || (update && o->kind == CHECK_DEL)) &&
	    op_ts_compare(done->ts, k->deleted) > 0)
		k->deleted = done->ts;
	if (op_ts_compare(done->ts, k->acked) > 0)
		k->acked = done->ts;
}

static void on_completion(struct sim *s, const struct client_completion *done)
{
	struct check_op *o = &s->op[done->tag];
	struct sim_op *more = &s->op_more[done->tag];
	struct sim_client *c = &s->client[more->client];
	/* A full log is an honest answer too: nothing trims it at this stage. */
	bool repeat = c->slot_final[more->slot] != SIM_NONE && !is_definite(done->status) &&
		      !(o->kind == CHECK_PUT && done->status == STATUS_NO_SPACE);

	o->outcome = (uint8_t)done->status;
	o->version = done->ts.version;
	o->writer = done->ts.writer;
	o->end_ns = s->now_ns;
	if (o->kind == CHECK_GET && done->status == STATUS_OK) {
		check_value(o, done->value, done->value_bytes);
		more->value_bytes = done->value_bytes;
	}
	if (o->kind == CHECK_INCR && done->status == STATUS_OK)
		check_number(o, done->number);
	s->ops_open--;
	if (done->status == STATUS_UNKNOWN || done->status == STATUS_EVICTED) {
		s->ops_unknown++;
		s->key[o->key].open_updates += o->kind != CHECK_GET;
	}
	learn(s, o, more, done);
	remember(s, o, more, done, (uint32_t)done->tag);
	sim_event(s, done->tag ^ (uint64_t)done->status << 32 ^ rng_mix(o->version ^ o->value));
	sim_trace(s, "c%u op %u ends %s at %llu.%u", more->client, (uint32_t)done->tag,
		  status_name(done->status), (unsigned long long)o->version, o->writer);
	c->slot_ns[more->slot] = s->follow ?
		scripted_ns(s, more->client, more->slot) :
		s->now_ns + rng_exponential(&s->load_rng, s->plan.think_ns);
	if (s->phase == PHASE_FAULTS)
		return;
	c->slot_ns[more->slot] = s->now_ns + (repeat ? FINAL_RETRY_NS : 0);
	if (c->slot_final[more->slot] != SIM_NONE && !repeat) {
		c->slot_final[more->slot] = SIM_NONE;
		s->final_done++;
	}
}

void sim_load_turn(struct sim *s, uint32_t client)
{
	struct sim_client *c = &s->client[client];
	struct client_completion done;
	uint64_t due_ns;

	if (client_core_deadline_ns(c->core) <= s->now_ns) {
		client_core_tick(c->core, s->now_ns);
		s->events++;
	}
	while (client_core_complete(c->core, &done))
		on_completion(s, &done);
	submit_due(s, client);
	send_output(s, c);
	due_ns = client_core_deadline_ns(c->core);
	for (uint32_t slot = 0; slot < s->plan.slots; slot++)
		due_ns = min_u64(due_ns, c->slot_ns[slot]);
	/* Whatever is due now has just been looked at: time must pass. */
	c->due_ns = max_u64(due_ns, s->now_ns + 1);
}

void sim_load_arrival(struct sim *s, const struct sim_delivery *delivery)
{
	uint32_t client = (uint32_t)(delivery->to - s->plan.nodes);
	struct sim_client *c = &s->client[client];
	struct frame_info info;

	if (frame_parse(delivery->data, delivery->bytes, &c->addr, &info) == FRAME_UDP &&
	    info.source.ip - 0x0a4d0001u < s->plan.nodes && info.target.port == c->addr.port)
		client_core_input(c->core, (uint8_t)(info.source.ip - 0x0a4d0001u), info.payload,
				  info.payload_bytes, s->now_ns);
	sim_net_release(s->net, delivery);
	sim_load_turn(s, client);
}

void sim_load_history(struct sim *s)
{
	fprintf(s->history, "# seed %llu\n" CHECK_FILE_HEAD, (unsigned long long)s->seed);
	for (uint32_t i = 0; i < s->op_count; i++) {
		const struct sim_key *k = &s->key[s->op[i].key];

		check_file_write_line(s->history, &s->op[i], k->text, k->bytes);
	}
	for (uint32_t i = 0; i < s->shown_count; i++) {
		const struct sim_key *k = &s->key[s->shown[i].key];

		check_file_write_line(s->history, &s->shown[i], k->text, k->bytes);
	}
}
