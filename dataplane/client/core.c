/* SPDX-License-Identifier: Apache-2.0 */
#include "dataplane/client/core.h"

#include "dataplane/client/wheel.h"
#include "replication/slot.h"

#define NONE UINT32_MAX
#define BACKOFF_MAX 4u /* the waiting time doubles this often: 16 times the first */
#define BLOB_BYTES (KEY_BYTES_MAX + VALUE_BYTES_MAX)

/*
 * The life of an operation. FREE, WAITING, RESEND and DONE are lists; SENT is found by its request
 * id alone. Only op_move changes the state.
 *
 *           submit            output            result, deadline, lost update
 *   FREE ------------> WAITING -----> SENT -------------------------------> DONE -----> FREE
 *                       | ^          |    ^  timer                           ^   complete
 *                       | |          |    +--------- RESEND -----------------+
 *                       | +----------+--- lost read ---+
 *                       +------------ deadline, refused ---------------------+
 */
enum op_state {
	OP_FREE,
	OP_WAITING, /* has no request id: no datagram ever carried it under this session */
	OP_SENT,
	OP_RESEND, /* its answer is overdue: waits for the next datagram */
	OP_DONE,
	OP_STATE_COUNT
};

static const uint8_t op_next[OP_STATE_COUNT] = {
	[OP_FREE] = 1u << OP_WAITING,
	[OP_WAITING] = 1u << OP_SENT | 1u << OP_WAITING | 1u << OP_DONE,
	[OP_SENT] = 1u << OP_RESEND | 1u << OP_WAITING | 1u << OP_DONE,
	[OP_RESEND] = 1u << OP_SENT | 1u << OP_WAITING | 1u << OP_DONE,
	[OP_DONE] = 1u << OP_FREE,
};

struct op {
	uint64_t deadline_ns;
	uint64_t id; /* request id, 0 while WAITING */
	uint64_t tag;
	struct op_ts ts; /* CAS: expected; once DONE: the answer's */
	int64_t number;	 /* INCR: delta; once DONE: the new value */
	uint32_t next, prev;
	uint32_t lane;
	uint16_t key_bytes;
	uint16_t value_bytes;
	uint8_t type;
	uint8_t state;
	uint8_t status;
	uint8_t durability;
	uint8_t attempts;
};

struct op_list {
	uint32_t head, tail;
};

/*
 * A lane is the way to one (server, shard).
 *   CLOSED --- an operation waits ---> OPENING --- OPENED ---> OPEN --- session lost ---> CLOSED
 *                                      OPENING --- refused, nobody waits any more ------> CLOSED
 */
enum lane_state { LANE_CLOSED, LANE_OPENING, LANE_OPEN, LANE_STATE_COUNT };

static const uint8_t lane_next[LANE_STATE_COUNT] = {
	[LANE_CLOSED] = 1u << LANE_OPENING,
	[LANE_OPENING] = 1u << LANE_OPEN | 1u << LANE_CLOSED,
	[LANE_OPEN] = 1u << LANE_CLOSED,
};

struct lane {
	uint64_t session;
	uint64_t nonce;	     /* of the OPEN under way, 0: none */
	uint64_t id_next;    /* next request id, from 1 in every session */
	uint64_t id_low;     /* lowest open request id; id_next when none is open */
	uint32_t incarnation;
	uint32_t window;
	uint32_t ready_next; /* list of lanes with something to send */
	uint8_t state;
	uint8_t attempts;    /* OPENs sent */
	bool open_due;
	bool ready;
	struct op_list waiting;
	struct op_list resend;
	uint32_t ring[SESSION_WINDOW]; /* request id -> operation */
};

struct client_core {
	struct client_core_config config;
	uint64_t cluster;
	uint64_t nonce_state;
	uint32_t shard_count; /* 0: not learned yet, everything waits in the lanes of shard 0 */
	uint32_t shards_max;  /* lanes of each server */
	uint32_t lane_count;
	uint32_t open;
	uint32_t ready_head, ready_tail;
	struct op_list free;
	struct op_list done;
	struct op *ops;
	struct lane *lanes;
	uint8_t *blobs; /* BLOB_BYTES per operation: key, value; once DONE: the value read */
	struct wheel wheel; /* timers: operations, then lanes */
	struct client_counters counters;
};

static uint32_t config_shards(const struct client_core_config *config)
{
	return config->shard_count ? config->shard_count : SHARDS_MAX;
}

/* layout: where the parts lie in mem; returns the total. */
static uint64_t layout(const struct client_core_config *config, uint64_t part[4])
{
	uint64_t lanes = (uint64_t)config->server_count * config_shards(config);
	uint64_t at = round_up(sizeof(struct client_core), 64);

	part[0] = at;
	at += round_up(config->ops_max * sizeof(struct op), 64);
	part[1] = at;
	at += round_up(lanes * sizeof(struct lane), 64);
	part[2] = at;
	at += round_up((config->ops_max + lanes) * sizeof(struct wheel_timer), 64);
	part[3] = at;
	return at + (uint64_t)config->ops_max * BLOB_BYTES;
}

uint64_t client_core_size(const struct client_core_config *config)
{
	uint64_t part[4];

	return layout(config, part);
}

/* ---- lists ---- */

static void list_append(struct client_core *c, struct op_list *l, uint32_t index)
{
	struct op *op = &c->ops[index];

	op->next = NONE;
	op->prev = l->tail;
	if (l->tail == NONE)
		l->head = index;
	else
		c->ops[l->tail].next = index;
	l->tail = index;
}

static void list_remove(struct client_core *c, struct op_list *l, uint32_t index)
{
	struct op *op = &c->ops[index];

	if (op->prev == NONE)
		l->head = op->next;
	else
		c->ops[op->prev].next = op->next;
	if (op->next == NONE)
		l->tail = op->prev;
	else
		c->ops[op->next].prev = op->prev;
}

static struct op_list *list_of(struct client_core *c, const struct op *op)
{
	switch ((enum op_state)op->state) {
	case OP_FREE:
		return &c->free;
	case OP_WAITING:
		return &c->lanes[op->lane].waiting;
	case OP_RESEND:
		return &c->lanes[op->lane].resend;
	case OP_DONE:
		return &c->done;
	case OP_SENT:
	case OP_STATE_COUNT:
		break;
	}
	return NULL;
}

/* op_move: the only writer of state; lane is where it goes (the same, except when it is routed). */
static void op_move(struct client_core *c, struct op *op, enum op_state to, uint32_t lane)
{
	uint32_t index = (uint32_t)(op - c->ops);
	struct op_list *from_list = list_of(c, op), *to_list;

	must(op_next[op->state] & 1u << to);
	if (from_list)
		list_remove(c, from_list, index);
	op->state = (uint8_t)to;
	op->lane = lane;
	to_list = list_of(c, op);
	if (to_list)
		list_append(c, to_list, index);
}

static void lane_reset(struct lane *l)
{
	l->session = 0;
	l->nonce = 0;
	l->incarnation = 0;
	l->window = 0;
	l->id_next = 1;
	l->id_low = 1;
	l->attempts = 0;
	l->open_due = false;
	for (uint32_t i = 0; i < SESSION_WINDOW; i++)
		l->ring[i] = NONE;
}

static void config_check(const struct client_core_config *config)
{
	must(config->server_count >= 1 && config->server_count <= CLIENT_SERVERS_MAX);
	must(config->shard_count <= SHARDS_MAX);
	must(config->ops_max >= 1 && config->ops_max <= CLIENT_OPS_MAX);
	must(config->retransmit_ns >= 1 && config->retransmit_ns <= UINT64_MAX >> BACKOFF_MAX);
	must(config->timeout_ns >= 1);
}

struct client_core *client_core_init(void *mem, const struct client_core_config *config)
{
	struct client_core *c = mem;
	uint64_t part[4];

	config_check(config);
	layout(config, part);
	memset(c, 0, sizeof(*c));
	c->config = *config;
	c->cluster = config->cluster;
	c->nonce_state = config->seed;
	c->shard_count = config->shard_count;
	c->shards_max = config_shards(config);
	c->lane_count = config->server_count * c->shards_max;
	c->ops = (struct op *)((uint8_t *)mem + part[0]);
	c->lanes = (struct lane *)((uint8_t *)mem + part[1]);
	c->blobs = (uint8_t *)mem + part[3];
	c->ready_head = c->ready_tail = NONE;
	c->free = c->done = (struct op_list){ NONE, NONE };
	wheel_init(&c->wheel, (struct wheel_timer *)((uint8_t *)mem + part[2]),
		   config->ops_max + c->lane_count, max_u64(config->retransmit_ns / 4, 1));
	memset(c->ops, 0, config->ops_max * sizeof(struct op));
	for (uint32_t i = 0; i < config->ops_max; i++)
		list_append(c, &c->free, i);
	memset(c->lanes, 0, c->lane_count * sizeof(struct lane));
	for (uint32_t i = 0; i < c->lane_count; i++) {
		c->lanes[i].waiting = c->lanes[i].resend = (struct op_list){ NONE, NONE };
		lane_reset(&c->lanes[i]);
	}
	return c;
}

static uint8_t *blob(struct client_core *c, const struct op *op)
{
	return c->blobs + (uint64_t)(op - c->ops) * BLOB_BYTES;
}

/* ---- lanes ---- */

static uint32_t lane_index(const struct client_core *c, const struct lane *l)
{
	return (uint32_t)(l - c->lanes);
}

static uint32_t lane_timer(const struct client_core *c, const struct lane *l)
{
	return c->config.ops_max + lane_index(c, l);
}

/* splitmix64 (public domain, S. Vigna): one step of a well-mixed sequence. */
static uint64_t nonce_next(struct client_core *c)
{
	uint64_t z = (c->nonce_state += 0x9e3779b97f4a7c15ull);

	z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9ull;
	z = (z ^ (z >> 27)) * 0x94d049bb133111ebull;
	z ^= z >> 31;
	return z ? z : 1;
}

static bool lane_window_open(const struct lane *l)
{
	return l->id_next - l->id_low < l->window;
}

static bool lane_wants(const struct lane *l)
{
	switch ((enum lane_state)l->state) {
	case LANE_CLOSED:
		return false;
	case LANE_OPENING:
		return l->open_due;
	case LANE_OPEN:
		return l->resend.head != NONE || (l->waiting.head != NONE && lane_window_open(l));
	case LANE_STATE_COUNT:
		break;
	}
	return false;
}

/* lane_move: the only writer of its state; every state begins with nothing of the one before. */
static void lane_move(struct client_core *c, struct lane *l, enum lane_state to)
{
	must(lane_next[l->state] & 1u << to);
	wheel_disarm(&c->wheel, lane_timer(c, l));
	lane_reset(l);
	l->state = (uint8_t)to;
}

/* lane_kick: after anything that may give the lane something to send. */
static void lane_kick(struct client_core *c, struct lane *l)
{
	uint32_t index = lane_index(c, l);

	if (l->state == LANE_CLOSED && l->waiting.head != NONE) {
		lane_move(c, l, LANE_OPENING);
		l->nonce = nonce_next(c);
		l->open_due = true;
	}
	if (l->ready || !lane_wants(l))
		return;
	l->ready = true;
	l->ready_next = NONE;
	if (c->ready_tail == NONE)
		c->ready_head = index;
	else
		c->lanes[c->ready_tail].ready_next = index;
	c->ready_tail = index;
}

static struct lane *ready_take(struct client_core *c)
{
	struct lane *l;

	if (c->ready_head == NONE)
		return NULL;
	l = &c->lanes[c->ready_head];
	c->ready_head = l->ready_next;
	if (c->ready_head == NONE)
		c->ready_tail = NONE;
	l->ready = false;
	return l;
}

/* ---- operations ---- */

static bool op_is_update(const struct op *op)
{
	return op->type != WIRE_GET;
}

/* op_forget_id: its request id is closed; the window moves past everything closed. */
static void op_forget_id(struct lane *l, struct op *op)
{
	l->ring[op->id & (SESSION_WINDOW - 1)] = NONE;
	op->id = 0;
	while (l->id_low < l->id_next && l->ring[l->id_low & (SESSION_WINDOW - 1)] == NONE)
		l->id_low++;
}

static void op_finish(struct client_core *c, struct op *op, enum status status)
{
	struct lane *l = &c->lanes[op->lane];

	wheel_disarm(&c->wheel, (uint32_t)(op - c->ops));
	op->status = (uint8_t)status;
	op_move(c, op, OP_DONE, op->lane);
	if (op->id)
		op_forget_id(l, op);
	lane_kick(c, l);
}

/* op_give_up: nobody answered; what is known about its effect decides its outcome. */
static void op_give_up(struct client_core *c, struct op *op)
{
	bool unknown = op->id && op_is_update(op);

	op->ts = (struct op_ts){ 0 };
	op->value_bytes = 0;
	op->number = 0;
	c->counters.outcomes_unknown += unknown;
	op_finish(c, op, unknown ? STATUS_UNKNOWN : STATUS_NOT_SERVING);
}

static uint32_t op_route(const struct client_core *c, uint32_t server, const uint8_t *key,
			 uint32_t key_bytes)
{
	uint32_t shard = 0;

	if (c->shard_count > 1)
		shard = slot_shard_of_key(key, key_bytes, (uint16_t)c->shard_count);
	return server * c->shards_max + shard;
}

static enum status submit_check(const struct client_core *c, const struct client_op *op)
{
	bool has_value = op->type == WIRE_PUT || op->type == WIRE_CAS;

	if (op->type < WIRE_GET || op->type > WIRE_INCR)
		return STATUS_BAD_REQUEST;
	if (op->server >= c->config.server_count || op->key_bytes == 0)
		return STATUS_BAD_REQUEST;
	if (op->key_bytes > KEY_BYTES_MAX || (has_value && op->value_bytes > VALUE_BYTES_MAX))
		return STATUS_TOO_LARGE;
	return c->free.head == NONE ? STATUS_BUSY : STATUS_OK;
}

enum status client_core_submit(struct client_core *c, const struct client_op *submitted,
			       uint64_t now_ns)
{
	enum status status = submit_check(c, submitted);
	uint64_t timeout_ns = submitted->timeout_ns ? submitted->timeout_ns : c->config.timeout_ns;
	struct op *op;
	uint8_t *bytes;

	if (status != STATUS_OK)
		return status;
	op = &c->ops[c->free.head];
	bytes = blob(c, op);
	op->deadline_ns = timeout_ns > UINT64_MAX - now_ns ? UINT64_MAX : now_ns + timeout_ns;
	op->id = 0;
	op->tag = submitted->tag;
	op->ts = submitted->type == WIRE_CAS ? submitted->expected : (struct op_ts){ 0 };
	op->number = submitted->type == WIRE_INCR ? submitted->delta : 0;
	op->type = (uint8_t)submitted->type;
	op->durability = 0;
	op->key_bytes = (uint16_t)submitted->key_bytes;
	op->value_bytes = 0;
	memcpy(bytes, submitted->key, submitted->key_bytes);
	if (submitted->type == WIRE_INCR) {
		op->value_bytes = 8;
		store_u64(bytes + op->key_bytes, (uint64_t)submitted->delta);
	} else if (submitted->type != WIRE_GET && submitted->type != WIRE_DEL) {
		op->value_bytes = (uint16_t)submitted->value_bytes;
		if (submitted->value_bytes)
			memcpy(bytes + op->key_bytes, submitted->value, submitted->value_bytes);
	}
	op_move(c, op, OP_WAITING, op_route(c, submitted->server, bytes, op->key_bytes));
	wheel_arm(&c->wheel, (uint32_t)(op - c->ops), op->deadline_ns);
	c->open++;
	lane_kick(c, &c->lanes[op->lane]);
	return STATUS_OK;
}

bool client_core_complete(struct client_core *c, struct client_completion *ret_completion)
{
	struct op *op;

	if (c->done.head == NONE)
		return false;
	op = &c->ops[c->done.head];
	ret_completion->tag = op->tag;
	ret_completion->status = (enum status)op->status;
	ret_completion->durability = (enum durability)op->durability;
	ret_completion->ts = op->ts;
	ret_completion->number = op->number;
	ret_completion->value_bytes = op->value_bytes;
	memcpy(ret_completion->value, blob(c, op), op->value_bytes);
	op_move(c, op, OP_FREE, 0);
	must(c->open > 0);
	c->open--;
	return true;
}

/* ---- output ---- */

static uint64_t backoff_ns(const struct client_core *c, uint8_t *attempts)
{
	uint64_t wait_ns = c->config.retransmit_ns << *attempts;

	if (*attempts < BACKOFF_MAX)
		(*attempts)++;
	return wait_ns;
}

static void header_write(const struct client_core *c, const struct lane *l, uint8_t *payload)
{
	struct wire_header h = {
		.kind = WIRE_REQUEST,
		.cluster = c->cluster,
		.session = l->session,
		.to_incarnation = l->incarnation,
		.from = WIRE_NODE_CLIENT,
		.to = (uint8_t)(lane_index(c, l) / c->shards_max),
		.shard = (uint16_t)(lane_index(c, l) % c->shards_max),
	};

	wire_header_encode(payload, &h);
}

static uint32_t output_open(struct client_core *c, struct lane *l, uint8_t *payload,
			    uint64_t now_ns)
{
	static const uint8_t padding[WIRE_OPEN_BYTES];
	struct wire_message m = {
		.type = WIRE_OPEN,
		.id = l->nonce,
		.value = padding,
		.value_bytes = WIRE_OPEN_BYTES,
	};

	wire_message_encode(payload + WIRE_HEADER_BYTES, &m);
	l->open_due = false;
	wheel_arm(&c->wheel, lane_timer(c, l), now_ns + backoff_ns(c, &l->attempts));
	c->counters.opens_sent++;
	return WIRE_HEADER_BYTES + wire_message_bytes(&m);
}

static void op_sent(struct client_core *c, struct lane *l, struct op *op, uint64_t now_ns)
{
	if (op->state == OP_RESEND) {
		c->counters.retransmits++;
	} else {
		op->id = l->id_next++;
		op->attempts = 0;
		must_dbg(l->ring[op->id & (SESSION_WINDOW - 1)] == NONE);
		l->ring[op->id & (SESSION_WINDOW - 1)] = (uint32_t)(op - c->ops);
	}
	op_move(c, op, OP_SENT, op->lane);
	wheel_arm(&c->wheel, (uint32_t)(op - c->ops),
		  min_u64(now_ns + backoff_ns(c, &op->attempts), op->deadline_ns));
	c->counters.requests_sent++;
}

static uint32_t output_requests(struct client_core *c, struct lane *l, uint8_t *payload,
				uint64_t now_ns)
{
	uint32_t offset = WIRE_HEADER_BYTES;

	while (lane_wants(l)) {
		uint32_t index = l->resend.head != NONE ? l->resend.head : l->waiting.head;
		struct op *op = &c->ops[index];
		struct wire_message m = {
			.type = (enum wire_type)op->type,
			.key_bytes = op->key_bytes,
			.value_bytes = op->value_bytes,
			.ts = op->ts,
			.key = blob(c, op),
			.value = blob(c, op) + op->key_bytes,
		};

		if (offset + wire_message_bytes(&m) > FRAME_PAYLOAD_MAX)
			break;
		op_sent(c, l, op, now_ns);
		m.id = op->id;
		wire_message_encode(payload + offset, &m);
		offset += wire_message_bytes(&m);
	}
	return offset;
}

uint32_t client_core_output(struct client_core *c, uint8_t *payload, uint8_t *ret_server,
			    uint16_t *ret_shard, uint64_t now_ns)
{
	struct lane *l;
	uint32_t bytes;

	do {
		l = ready_take(c);
		if (!l)
			return 0;
	} while (!lane_wants(l)); /* its operations may have ended meanwhile */
	header_write(c, l, payload);
	if (l->state == LANE_OPENING)
		bytes = output_open(c, l, payload, now_ns);
	else
		bytes = output_requests(c, l, payload, now_ns);
	wire_seal(payload, bytes);
	lane_kick(c, l);
	c->counters.datagrams_sent++;
	*ret_server = (uint8_t)(lane_index(c, l) / c->shards_max);
	*ret_shard = (uint16_t)(lane_index(c, l) % c->shards_max);
	return bytes;
}

/* ---- input ---- */

/*
 * lane_lost: the server does not know the session any more. What was sent may or may not have been
 * applied before: updates end UNKNOWN, reads start over; what was never sent just waits.
 */
static void lane_lost(struct client_core *c, struct lane *l)
{
	uint64_t end = l->id_next;

	c->counters.sessions_lost++;
	for (uint64_t id = l->id_low; id < end; id++) {
		uint32_t index = l->ring[id & (SESSION_WINDOW - 1)];
		struct op *op;

		if (index == NONE)
			continue;
		op = &c->ops[index];
		if (op_is_update(op) && !mutant(50)) {
			op_give_up(c, op);
			continue;
		}
		op_forget_id(l, op);
		op_move(c, op, OP_WAITING, op->lane);
		wheel_arm(&c->wheel, index, op->deadline_ns);
	}
	lane_move(c, l, LANE_CLOSED);
	lane_kick(c, l);
}

/* lane_refused: the server will not open a session now: nothing was sent, nothing changed. */
static void lane_refused(struct client_core *c, struct lane *l, enum status status)
{
	c->counters.opens_refused++;
	if (status != STATUS_BUSY && status != STATUS_DENIED)
		status = STATUS_NOT_SERVING;
	/* Still OPENING, so that op_finish does not open again while the list empties. */
	l->open_due = false;
	while (l->waiting.head != NONE) {
		struct op *op = &c->ops[l->waiting.head];

		op->ts = (struct op_ts){ 0 };
		op->number = 0;
		op->value_bytes = 0;
		op_finish(c, op, status);
	}
	lane_move(c, l, LANE_CLOSED);
}

/* shards_learned: what waits in the lanes of shard 0 goes where it belongs. */
static void shards_learned(struct client_core *c, uint32_t shard_count)
{
	c->shard_count = shard_count;
	for (uint32_t server = 0; server < c->config.server_count; server++) {
		struct lane *zero = &c->lanes[server * c->shards_max];
		uint32_t last = zero->waiting.tail, index = NONE;

		while (zero->waiting.head != NONE && index != last) {
			struct op *op;

			index = zero->waiting.head;
			op = &c->ops[index];
			op_move(c, op, OP_WAITING, op_route(c, server, blob(c, op), op->key_bytes));
			lane_kick(c, &c->lanes[op->lane]);
		}
	}
}

static void on_opened(struct client_core *c, struct lane *l, const struct wire_message *m)
{
	uint64_t session = load_u64(m->value);
	uint32_t incarnation = load_u32(m->value + 8);
	uint16_t shards = load_u16(m->value + 12);
	uint16_t window = load_u16(m->value + 16);

	if (l->state != LANE_OPENING || l->nonce == 0 || m->id != l->nonce) {
		c->counters.drop_open++;
		return;
	}
	if (m->status != STATUS_OK) {
		lane_refused(c, l, (enum status)m->status);
		return;
	}
	if (session == 0 || incarnation == 0 || incarnation > INCARNATION_MAX || window == 0 ||
	    shards == 0 || shards > SHARDS_MAX || (c->shard_count && shards != c->shard_count)) {
		c->counters.drop_shape++;
		return;
	}
	lane_move(c, l, LANE_OPEN);
	l->session = session;
	l->incarnation = incarnation;
	l->window = (uint32_t)min_u64(window, SESSION_WINDOW);
	c->counters.sessions_opened++;
	if (!c->shard_count)
		shards_learned(c, shards);
	lane_kick(c, l);
}

/* result_fits: whether this request can have this answer. */
static bool result_fits(const struct op *op, const struct wire_message *m)
{
	if (m->status == STATUS_UNKNOWN)
		return false;
	if (op->type == WIRE_INCR && m->status == STATUS_OK)
		return m->value_bytes == 8;
	return m->value_bytes == 0 || (op->type == WIRE_GET && m->status == STATUS_OK);
}

static void on_result(struct client_core *c, struct lane *l, const struct wire_header *h,
		      const struct wire_message *m)
{
	uint32_t index = l->ring[m->id & (SESSION_WINDOW - 1)];
	struct op *op;

	if (l->state != LANE_OPEN || h->session != l->session) {
		c->counters.drop_session++;
		return;
	}
	if (index == NONE || (c->ops[index].id != m->id && !mutant(51))) {
		c->counters.drop_unmatched++;
		return;
	}
	op = &c->ops[index];
	if (m->status == STATUS_NO_SESSION || h->to_incarnation != l->incarnation) {
		lane_lost(c, l);
		return;
	}
	if (!result_fits(op, m)) {
		c->counters.drop_result++;
		return;
	}
	op->ts = m->ts;
	op->durability = m->durability;
	op->number = 0;
	op->value_bytes = 0;
	if (op->type == WIRE_INCR && m->status == STATUS_OK) {
		op->number = (int64_t)load_u64(m->value);
	} else if (m->value_bytes) {
		op->value_bytes = m->value_bytes;
		memcpy(blob(c, op), m->value, m->value_bytes);
	}
	c->counters.replies_received++;
	op_finish(c, op, (enum status)m->status);
}

/* input_lane: the lane a frame belongs to; NULL: dropped and counted. */
static struct lane *input_lane(struct client_core *c, uint8_t server, const struct wire_header *h)
{
	if (h->kind != WIRE_REPLY) {
		c->counters.drop_kind++;
		return NULL;
	}
	if (server >= c->config.server_count || h->from != server) {
		c->counters.drop_server++;
		return NULL;
	}
	if (c->cluster && h->cluster != c->cluster) {
		c->counters.drop_cluster++;
		return NULL;
	}
	if (h->shard >= (c->shard_count ? c->shard_count : 1)) {
		c->counters.drop_shard++;
		return NULL;
	}
	return &c->lanes[server * c->shards_max + h->shard];
}

void client_core_input(struct client_core *c, uint8_t server, const uint8_t *payload,
		       uint32_t bytes, uint64_t now_ns)
{
	struct wire_header h;
	struct wire_message m;
	uint32_t offset = WIRE_HEADER_BYTES;
	enum wire_verdict verdict = wire_header_decode(payload, bytes, &h);
	struct lane *l;

	(void)now_ns; /* nothing here depends on time yet */
	c->counters.datagrams_received++;
	if (verdict != WIRE_OK) {
		c->counters.drop_wire[verdict]++;
		return;
	}
	l = input_lane(c, server, &h);
	if (!l)
		return;
	while (offset < bytes) {
		verdict = wire_message_decode(payload, bytes, h.kind, &offset, &m);
		if (verdict != WIRE_OK) {
			c->counters.drop_wire[verdict]++;
			return;
		}
		if (m.type == WIRE_OPENED) {
			on_opened(c, l, &m);
			if (!c->cluster && l->state == LANE_OPEN)
				c->cluster = h.cluster;
		} else {
			on_result(c, l, &h, &m);
		}
	}
}

/* ---- time ---- */

static void op_timer(struct client_core *c, struct op *op, uint64_t now_ns)
{
	must_dbg(op->state != OP_FREE && op->state != OP_DONE);
	if (now_ns >= op->deadline_ns) {
		c->counters.timeouts++;
		op_give_up(c, op);
		return;
	}
	must(op->state == OP_SENT);
	op_move(c, op, OP_RESEND, op->lane);
	wheel_arm(&c->wheel, (uint32_t)(op - c->ops), op->deadline_ns);
	lane_kick(c, &c->lanes[op->lane]);
}

static void lane_timer_due(struct client_core *c, struct lane *l)
{
	must(l->state == LANE_OPENING);
	if (l->waiting.head == NONE) {
		lane_move(c, l, LANE_CLOSED);
		return;
	}
	l->open_due = true;
	lane_kick(c, l);
}

void client_core_tick(struct client_core *c, uint64_t now_ns)
{
	uint32_t timer;

	wheel_collect(&c->wheel, now_ns);
	while ((timer = wheel_take(&c->wheel)) != WHEEL_NONE) {
		if (timer < c->config.ops_max)
			op_timer(c, &c->ops[timer], now_ns);
		else
			lane_timer_due(c, &c->lanes[timer - c->config.ops_max]);
	}
}

uint64_t client_core_deadline_ns(const struct client_core *c)
{
	return wheel_soonest_ns(&c->wheel);
}

uint32_t client_core_open(const struct client_core *c)
{
	return c->open;
}

uint64_t client_core_cluster(const struct client_core *c)
{
	return c->cluster;
}

uint32_t client_core_shard_count(const struct client_core *c)
{
	return c->shard_count;
}

const struct client_counters *client_core_counters(const struct client_core *c)
{
	return &c->counters;
}
