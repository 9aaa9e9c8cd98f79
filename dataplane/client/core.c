/* SPDX-License-Identifier: Apache-2.0 */
#include "dataplane/client/core_priv.h"
#include "replication/slot.h"

#define BLOB_BYTES (KEY_BYTES_MAX + VALUE_BYTES_MAX)
#define RETRY_BACKOFF_MAX 2u

static const uint8_t op_next[OP_STATE_COUNT] = {
	[OP_FREE] = 1u << OP_WAITING,
	[OP_WAITING] = 1u << OP_SENT | 1u << OP_WAITING | 1u << OP_DONE,
	[OP_SENT] = 1u << OP_RESEND | 1u << OP_WAITING | 1u << OP_DONE,
	[OP_RESEND] = 1u << OP_SENT | 1u << OP_RESEND | 1u << OP_WAITING | 1u << OP_DONE,
	[OP_DONE] = 1u << OP_FREE,
};

static const uint8_t lane_next[LANE_STATE_COUNT] = {
	[LANE_CLOSED] = 1u << LANE_OPENING,
	[LANE_OPENING] = 1u << LANE_OPEN | 1u << LANE_CLOSED,
	[LANE_OPEN] = 1u << LANE_CLOSED,
};

static uint32_t config_shards(const struct client_core_config *config)
{
	return config->shard_count ? config->shard_count : SHARDS_MAX;
}

/* layout: where the parts lie in mem; returns the total. */
static uint64_t layout(const struct client_core_config *config, uint64_t part[5])
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
	at += round_up(config_shards(config) * sizeof(struct shard), 64);
	part[4] = at;
	return at + (uint64_t)config->ops_max * BLOB_BYTES;
}

uint64_t client_core_size(const struct client_core_config *config)
{
	uint64_t part[5];

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

void op_move(struct client_core *c, struct op *op, enum op_state to, uint32_t lane)
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

void op_arm(struct client_core *c, const struct op *op, uint64_t at_ns)
{
	wheel_arm(&c->wheel, (uint32_t)(op - c->ops), at_ns);
}

static void lane_reset(struct lane *l)
{
	l->session = 0;
	l->first = 0;
	l->known_from = 0;
	l->incarnation = 0;
	l->ping_ns = l->pinged_ns = 0;
	l->attempts = 0;
	l->open_due = false;
}

static void config_check(const struct client_core_config *config)
{
	must(config->server_count >= 1 && config->server_count <= CLIENT_SERVERS_MAX);
	must(config->shard_count <= SHARDS_MAX);
	must(config->ops_max >= 1 && config->ops_max <= CLIENT_OPS_MAX);
	must(config->retransmit_ns >= 1 && config->retransmit_ns <= UINT64_MAX >> BACKOFF_MAX);
	must(config->timeout_ns >= 1);
	must(config->failover_ns <= UINT64_MAX >> 8);
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

static void shards_init(struct client_core *c)
{
	for (uint32_t i = 0; i < c->shards_max; i++) {
		struct shard *s = &c->shards[i];

		*s = (struct shard){ .client = nonce_next(c), .id_next = 1, .id_low = 1,
				     .window = SESSION_WINDOW };
		for (uint32_t j = 0; j < SESSION_WINDOW; j++)
			s->ring[j] = NONE;
	}
}

struct client_core *client_core_init(void *mem, const struct client_core_config *config)
{
	struct client_core *c = mem;
	uint64_t part[5];

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
	c->shards = (struct shard *)((uint8_t *)mem + part[3]);
	c->blobs = (uint8_t *)mem + part[4];
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
	shards_init(c);
	return c;
}

static uint8_t *blob(struct client_core *c, const struct op *op)
{
	return c->blobs + (uint64_t)(op - c->ops) * BLOB_BYTES;
}

/* ---- lanes ---- */

static uint32_t lane_timer(const struct client_core *c, const struct lane *l)
{
	return c->config.ops_max + lane_index(c, l);
}

static bool window_open(const struct shard *s)
{
	return s->id_next - s->id_low < s->window;
}

static bool lane_wants(struct client_core *c, const struct lane *l)
{
	switch ((enum lane_state)l->state) {
	case LANE_CLOSED:
		return false;
	case LANE_OPENING:
		return l->open_due;
	case LANE_OPEN:
		return l->open_due || l->resend.head != NONE ||
		       (l->waiting.head != NONE && window_open(lane_shard(c, l)));
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

/* After anything that may give the lane something to send. */
void lane_kick(struct client_core *c, struct lane *l)
{
	uint32_t index = lane_index(c, l);

	if (l->state == LANE_CLOSED && (l->waiting.head != NONE || l->resend.head != NONE)) {
		lane_move(c, l, LANE_OPENING);
		l->open_due = true;
	}
	if (l->waiting.head != NONE && !window_open(lane_shard(c, l)))
		lane_shard(c, l)->held = true;
	if (l->ready || !lane_wants(c, l))
		return;
	l->ready = true;
	l->ready_next = NONE;
	if (c->ready_tail == NONE)
		c->ready_head = index;
	else
		c->lanes[c->ready_tail].ready_next = index;
	c->ready_tail = index;
}

void lane_ping(struct client_core *c, struct lane *l)
{
	if (l->state != LANE_OPEN || c->now_ns < l->pinged_ns + c->config.retransmit_ns)
		return;
	l->pinged_ns = c->now_ns;
	if (l->ping_ns == 0)
		l->ping_ns = c->now_ns;
	l->open_due = true;
	lane_kick(c, l);
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

/* op_forget_id: its request id is closed; the window moves past everything closed. */
void op_forget_id(struct client_core *c, struct op *op)
{
	struct shard *s = op_shard(c, op);

	s->ring[op->id & (SESSION_WINDOW - 1)] = NONE;
	op->id = 0;
	while (s->id_low < s->id_next && s->ring[s->id_low & (SESSION_WINDOW - 1)] == NONE)
		s->id_low++;
	if (!s->held || !window_open(s))
		return;
	s->held = false;
	for (uint32_t server = 0; server < c->config.server_count; server++)
		lane_kick(c, &c->lanes[op_lane_at(c, op, server)]);
}

/* finish_at: lane says who answered. */
static void finish_at(struct client_core *c, struct op *op, enum status status, uint32_t lane)
{
	struct lane *l = op_lane(c, op);

	wheel_disarm(&c->wheel, (uint32_t)(op - c->ops));
	op->status = (uint8_t)status;
	c->counters.outcomes_unknown += status == STATUS_UNKNOWN;
	op_move(c, op, OP_DONE, lane);
	if (op->id)
		op_forget_id(c, op);
	lane_kick(c, l);
}

void op_finish(struct client_core *c, struct op *op, enum status status)
{
	finish_at(c, op, status, op->lane);
}

/* op_give_up: nobody answered; what is known about its effect decides its outcome. */
void op_give_up(struct client_core *c, struct op *op)
{
	bool unknown = op->id && op_is_update(op);

	op->ts = (struct op_ts){ 0 };
	op->value_bytes = 0;
	op->number = 0;
	op_finish(c, op, unknown ? STATUS_UNKNOWN : STATUS_NOT_SERVING);
}

static uint32_t shard_of(const struct client_core *c, const uint8_t *key, uint32_t key_bytes)
{
	return c->shard_count > 1 ? slot_shard_of_key(key, key_bytes, (uint16_t)c->shard_count) : 0;
}

/* value_bytes: of the request's value. */
static uint64_t value_bytes(const struct client_op *op)
{
	switch ((int)op->type) {
	case WIRE_PUT:
	case WIRE_CAS:
		return op->value_bytes;
	case WIRE_CASV:
		return (uint64_t)op->compare_bytes + op->value_bytes;
	case WIRE_INCR:
		return 8;
	default:
		return 0;
	}
}

static enum status submit_check(const struct client_core *c, const struct client_op *op)
{
	if (op->type < WIRE_GET || op->type > WIRE_CASV)
		return STATUS_BAD_REQUEST;
	if (op->server >= c->config.server_count || op->key_bytes == 0)
		return STATUS_BAD_REQUEST;
	if (op->key_bytes > KEY_BYTES_MAX || value_bytes(op) > VALUE_BYTES_MAX)
		return STATUS_TOO_LARGE;
	return c->free.head == NONE ? STATUS_BUSY : STATUS_OK;
}

static void value_copy(uint8_t *out, const struct client_op *op)
{
	uint32_t compare_bytes = op->type == WIRE_CASV ? op->compare_bytes : 0;

	if (op->type == WIRE_INCR) {
		store_u64(out, (uint64_t)op->delta);
		return;
	}
	if (compare_bytes)
		memcpy(out, op->compare, compare_bytes);
	if (op->value_bytes)
		memcpy(out + compare_bytes, op->value, op->value_bytes);
}

enum status client_core_submit(struct client_core *c, const struct client_op *submitted,
			       uint64_t now_ns)
{
	enum status status = submit_check(c, submitted);
	uint64_t timeout_ns = submitted->timeout_ns ? submitted->timeout_ns : c->config.timeout_ns;
	uint32_t shard, index = c->free.head;
	struct op *op;

	if (status != STATUS_OK)
		return status;
	c->now_ns = now_ns;
	shard = shard_of(c, submitted->key, submitted->key_bytes);
	op = &c->ops[index];
	*op = (struct op){
		.deadline_ns = timeout_ns > UINT64_MAX - now_ns ? UINT64_MAX : now_ns + timeout_ns,
		.tag = submitted->tag,
		.next = op->next,
		.prev = op->prev,
		.key_bytes = (uint16_t)submitted->key_bytes,
		.value_bytes = (uint16_t)value_bytes(submitted),
		.type = (uint8_t)submitted->type,
		.state = OP_FREE,
		.home = SERVER_NONE,
		.retrier = SERVER_NONE,
		.any = submitted->any,
	};
	if (submitted->type == WIRE_CAS)
		op->ts = submitted->expected;
	if (submitted->type == WIRE_CASV)
		op->ts.version = submitted->compare_bytes;
	memcpy(blob(c, op), submitted->key, submitted->key_bytes);
	if (op->value_bytes)
		value_copy(blob(c, op) + op->key_bytes, submitted);
	op_move(c, op, OP_WAITING,
		retry_begins_at(c, submitted, shard) * c->shards_max + shard);
	op->silent_ns = op_again_at(c, op, c->config.failover_ns);
	op_arm(c, op, op->any && c->config.failover_ns ? op->silent_ns : op->deadline_ns);
	c->open++;
	lane_kick(c, op_lane(c, op));
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
	ret_completion->server = (uint8_t)(op->lane / c->shards_max);
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

	if (*attempts < BACKOFF_MAX || mutant(252))
		(*attempts)++;
	return wait_ns;
}

static void header_write(const struct client_core *c, const struct lane *l, uint8_t *payload)
{
	struct wire_header h = {
		.kind = WIRE_REQUEST,
		.cluster = c->cluster,
		.session = l->open_due ? 0 : l->session,
		.to_incarnation = l->open_due ? 0 : l->incarnation,
		.from = WIRE_NODE_CLIENT,
		.to = lane_server(c, l),
		.shard = (uint16_t)(lane_index(c, l) % c->shards_max),
	};

	wire_header_encode(payload, &h);
}

static uint32_t output_open(struct client_core *c, struct lane *l, uint8_t *payload)
{
	const struct shard *s = lane_shard(c, l);
	uint8_t value[WIRE_OPEN_BYTES] = { 0 };
	struct wire_message m = {
		.type = WIRE_OPEN,
		.id = s->client,
		.value = value,
		.value_bytes = WIRE_OPEN_BYTES,
	};

	store_u64(value, s->id_next);
	wire_message_encode(payload + WIRE_HEADER_BYTES, &m);
	if (l->first == 0)
		l->first = s->id_next;
	l->open_due = false;
	if (l->state == LANE_OPENING)
		wheel_arm(&c->wheel, lane_timer(c, l), c->now_ns + backoff_ns(c, &l->attempts));
	c->counters.opens_sent++;
	return WIRE_HEADER_BYTES + wire_message_bytes(&m);
}

static void id_take(struct client_core *c, struct op *op)
{
	struct shard *s = op_shard(c, op);

	op->id = s->id_next++;
	must_dbg(s->ring[op->id & (SESSION_WINDOW - 1)] == NONE);
	s->ring[op->id & (SESSION_WINDOW - 1)] = (uint32_t)(op - c->ops);
}

/* op_sent: the bookkeeping of a request that goes out in lane l. */
static void op_sent(struct client_core *c, struct lane *l, struct op *op)
{
	uint8_t server = lane_server(c, l);
	uint64_t wait_ns;

	if (op->state == OP_RESEND) {
		c->counters.retransmits++;
	} else {
		id_take(c, op);
		op->attempts = 0;
		op->home = server;
		op->silent_ns = op_again_at(c, op, c->config.failover_ns);
	}
	if (op->prior && mutant(55)) {
		op_forget_id(c, op);
		id_take(c, op);
	}
	if (op->prior) {
		op->attempts = op->attempts < RETRY_BACKOFF_MAX ? op->attempts : RETRY_BACKOFF_MAX;
		if (server == op->retrier && op->copies < UINT16_MAX)
			op->copies++;
	}
	op->asked |= server_bit(server);
	op_move(c, op, OP_SENT, op->lane);
	wait_ns = backoff_ns(c, &op->attempts);
	if (op->prior == 0 && retry_can_move(c, op)) /* soon enough to find out that it is silent */
		wait_ns = min_u64(wait_ns, max_u64(c->config.failover_ns / 2, 1));
	op_arm(c, op, op_again_at(c, op, wait_ns));
	c->counters.requests_sent++;
}

/* patience_ms: what is left until the deadline, rounded up; 0: it has none. */
static uint16_t patience_ms(const struct client_core *c, const struct op *op)
{
	uint64_t left_ns = op->deadline_ns - min_u64(c->now_ns, op->deadline_ns);

	if (op->deadline_ns == UINT64_MAX)
		return 0;
	return (uint16_t)max_u64(min_u64((left_ns - (left_ns > 0)) / 1000000 + 1, UINT16_MAX), 1);
}

static uint32_t output_requests(struct client_core *c, struct lane *l, uint8_t *payload)
{
	uint32_t offset = WIRE_HEADER_BYTES;

	while (lane_wants(c, l)) {
		uint32_t index = l->resend.head != NONE ? l->resend.head : l->waiting.head;
		struct op *op = &c->ops[index];
		struct wire_message m = {
			.type = (enum wire_type)op->type,
			.patience_ms = patience_ms(c, op),
			.key_bytes = op->key_bytes,
			.value_bytes = op->value_bytes,
			.ts = op->ts,
			.prior = mutant(52) ? 0 : op->prior,
			.key = blob(c, op),
			.value = blob(c, op) + op->key_bytes,
		};

		if (offset + wire_message_bytes(&m) > FRAME_PAYLOAD_MAX)
			break;
		op_sent(c, l, op);
		m.id = op->id;
		if (op_is_update(op) && op->id < l->known_from && !mutant(101))
			m.flags = WIRE_OLD;
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

	c->now_ns = now_ns;
	do {
		l = ready_take(c);
		if (!l)
			return 0;
	} while (!lane_wants(c, l)); /* its operations may have ended meanwhile */
	header_write(c, l, payload);
	if (l->open_due)
		bytes = output_open(c, l, payload);
	else
		bytes = output_requests(c, l, payload);
	wire_seal(payload, bytes);
	lane_kick(c, l);
	c->counters.datagrams_sent++;
	*ret_server = lane_server(c, l);
	*ret_shard = (uint16_t)(lane_index(c, l) % c->shards_max);
	return bytes;
}

/* ---- input ---- */

/*
 * lane_lost: the server does not know the session any more. What it was asked may or may not have
 * been done; what was never sent just waits.
 */
static void lane_lost(struct client_core *c, struct lane *l, uint32_t incarnation)
{
	struct shard *s = lane_shard(c, l);
	uint8_t bit = server_bit(lane_server(c, l));
	uint32_t was = l->incarnation;
	uint64_t end = s->id_next;

	c->counters.sessions_lost++;
	lane_move(c, l, LANE_CLOSED);
	for (uint64_t id = s->id_low; id < end; id++) {
		uint32_t index = s->ring[id & (SESSION_WINDOW - 1)];

		if (index != NONE && c->ops[index].id == id && (c->ops[index].asked & bit))
			retry_lost(c, &c->ops[index], l, was, incarnation);
	}
	lane_kick(c, l);
}

/* lane_refused: the server will not open a session now: nothing was sent in it. */
static void lane_refused(struct client_core *c, struct lane *l, enum status status)
{
	c->counters.opens_refused++;
	if (status != STATUS_BUSY && status != STATUS_DENIED)
		status = STATUS_NOT_SERVING;
	/* Still OPENING, so that op_finish does not open again while the lists empty. */
	l->open_due = false;
	while (l->waiting.head != NONE)
		retry_refused(c, &c->ops[l->waiting.head], status);
	while (l->resend.head != NONE)
		retry_refused(c, &c->ops[l->resend.head], status);
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
			op_move(c, op, OP_WAITING,
				server * c->shards_max +
					shard_of(c, blob(c, op), op->key_bytes));
			lane_kick(c, &c->lanes[op->lane]);
		}
	}
}

/* heard: the server lives. */
static void heard(struct lane *l)
{
	l->ping_ns = 0;
	l->shun_ns = 0;
}

/* on_pong: the server lives, in the same incarnation or in another one. */
static void on_pong(struct client_core *c, struct lane *l, uint8_t status, uint32_t incarnation)
{
	if (status == STATUS_OK && incarnation > l->incarnation && incarnation <= INCARNATION_MAX)
		lane_lost(c, l, incarnation);
	else if (status != STATUS_OK || incarnation == l->incarnation)
		heard(l);
}

static void lane_opened(struct client_core *c, struct lane *l, uint64_t session,
			uint32_t incarnation)
{
	struct shard *s = lane_shard(c, l);
	uint64_t first = l->first;

	lane_move(c, l, LANE_OPEN);
	l->session = session;
	l->incarnation = l->newest_incarnation = incarnation;
	l->first = first;
	if (mutant(53) && s->id_low == s->id_next)
		s->id_low = s->id_next = 1;
	l->known_from = s->id_next;
	heard(l);
	c->counters.sessions_opened++;
}

static void on_opened(struct client_core *c, struct lane *l, const struct wire_message *m)
{
	struct shard *s = lane_shard(c, l);
	uint64_t session = load_u64(m->value);
	uint32_t incarnation = load_u32(m->value + 8);
	uint16_t shards = load_u16(m->value + 12);
	uint16_t window = load_u16(m->value + 16);

	if (l->state == LANE_OPEN && l->pinged_ns != 0 && m->id == s->client) {
		on_pong(c, l, m->status, incarnation);
		return;
	}
	if (l->state != LANE_OPENING || l->first == 0 || m->id != s->client) {
		c->counters.drop_open++;
		return;
	}
	if (m->status != STATUS_OK) {
		heard(l);
		lane_refused(c, l, (enum status)m->status);
		return;
	}
	if (session == 0 || incarnation == 0 || incarnation > INCARNATION_MAX || window == 0 ||
	    shards == 0 || shards > SHARDS_MAX || (c->shard_count && shards != c->shard_count)) {
		c->counters.drop_shape++;
		return;
	}
	if (incarnation < l->newest_incarnation) {
		c->counters.drop_open++; /* from before its restart */
		return;
	}
	lane_opened(c, l, session, incarnation);
	s->window = (uint32_t)min_u64(window, s->window);
	if (!c->shard_count)
		shards_learned(c, shards);
	lane_kick(c, l);
}

/* result_fits: whether this request can have this answer. */
static bool result_fits(const struct op *op, const struct wire_message *m)
{
	if (!op_is_update(op) && (m->status == STATUS_UNKNOWN || m->status == STATUS_WAIT ||
				  m->status == STATUS_EVICTED))
		return false;
	if (op->type == WIRE_INCR && m->status == STATUS_OK)
		return m->value_bytes == 8;
	return m->value_bytes == 0 || (op->type == WIRE_GET && m->status == STATUS_OK);
}

static void result_take(struct client_core *c, struct op *op, const struct wire_message *m,
			uint32_t lane)
{
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
	finish_at(c, op, (enum status)m->status, lane);
}

static void on_result(struct client_core *c, struct lane *l, const struct wire_header *h,
		      const struct wire_message *m)
{
	uint32_t index = lane_shard(c, l)->ring[m->id & (SESSION_WINDOW - 1)];
	enum status status = (enum status)m->status;
	struct op *op;

	if (l->state != LANE_OPEN || h->session != l->session) {
		c->counters.drop_session++;
		return;
	}
	op = index == NONE ? NULL : &c->ops[index];
	if (!op || (op->id != m->id && !mutant(51)) ||
	    (op->asked & server_bit(lane_server(c, l))) == 0) {
		c->counters.drop_unmatched++;
		return;
	}
	if (status == STATUS_NO_SESSION || h->to_incarnation != l->incarnation) {
		lane_lost(c, l, h->to_incarnation);
		return;
	}
	if (!result_fits(op, m)) {
		c->counters.drop_result++;
		return;
	}
	c->counters.replies_received++;
	heard(l);
	if (!retry_result(c, op, lane_server(c, l), &status))
		return;
	c->counters.outcomes_evicted += status == STATUS_EVICTED;
	if (status == STATUS_UNKNOWN)
		op_give_up(c, op);
	else
		result_take(c, op, m, lane_index(c, l));
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

	c->now_ns = now_ns;
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

static void op_timer(struct client_core *c, struct op *op)
{
	must_dbg(op->state != OP_FREE && op->state != OP_DONE);
	if (c->now_ns >= op->deadline_ns) {
		c->counters.timeouts++;
		op_give_up(c, op);
	} else {
		retry_timer(c, op);
	}
}

static void lane_timer_due(struct client_core *c, struct lane *l)
{
	must(l->state == LANE_OPENING);
	if (l->waiting.head == NONE && l->resend.head == NONE) {
		lane_move(c, l, LANE_CLOSED);
		return;
	}
	l->open_due = true;
	lane_kick(c, l);
}

void client_core_tick(struct client_core *c, uint64_t now_ns)
{
	uint32_t timer;

	c->now_ns = now_ns;
	wheel_collect(&c->wheel, now_ns);
	while ((timer = wheel_take(&c->wheel)) != WHEEL_NONE) {
		if (timer < c->config.ops_max)
			op_timer(c, &c->ops[timer]);
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
