/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What nodes and clients say to each other, judged in the moment they say it. All updates enter
 * the ledger here: H-UNIQUE-TS, H-REPLAY-SAME, H-RMW-EXCL, S-ONCE and S-EVICT come by the way.
 */
#include <stdlib.h>

#include "replication/crc.h"
#include "replication/raft_wire.h"
#include "tests/sim/sim.h"

#define REQUEST_SLOTS 32768u
#define OPS 256u       /* a replica runs at once, at most, in the simulator's plans */
#define EPOCHS_KEPT 32u /* how far a coordinator may be behind those who acknowledge */
#define SHARDS 8u      /* of the simulator's plans, at most */
#define SESSIONS 64u   /* of a replica, at most, likewise */
#define UDP_LENGTH_AT 38u

/* The newest ts a node has acknowledged of a key, by epoch. */
struct promise {
	uint32_t epoch;
	struct op_ts ts;
};

/* What the ACKs of a coordinator's op are about; the low bits of its id are its place. */
struct op_id {
	uint64_t id;
	uint32_t key;
};

/* One client request, and what nodes answered. */
struct request {
	uint64_t id; /* 0: free */
	uint8_t client, shard, type, key;
	bool ok;
	struct op_ts ts; /* of the OK */
	uint64_t number; /* INCR's */
	uint32_t answered[NODES_MAX]; /* incarnation that gave a definite answer; its status: */
	uint8_t status[NODES_MAX];
	uint32_t evicted[NODES_MAX]; /* incarnation that said EVICTED */
};

/* Whose session it is. The low bits of its number are its place. */
struct session_owner {
	uint64_t session;
	uint32_t client;
};

struct sim_watch {
	struct promise promise[NODES_MAX][SIM_KEYS_MAX][EPOCHS_KEPT];
	struct op_ts kept[NODES_MAX][SIM_KEYS_MAX]; /* promised to be on its disk */
	struct op_id op_id[NODES_MAX][SHARDS][OPS];
	uint64_t client_number[SIM_CLIENTS_MAX][SHARDS];
	struct session_owner owner[NODES_MAX][SHARDS][SESSIONS];
	uint32_t requests;
	struct request request[REQUEST_SLOTS];
	struct sim_ledger *ledger;
};

struct sim_watch *sim_watch_create(void)
{
	struct sim_watch *w = calloc(1, sizeof(*w));

	if (!w)
		return NULL;
	w->ledger = calloc(1, sim_ledger_bytes());
	if (w->ledger)
		return w;
	free(w);
	return NULL;
}

void sim_watch_destroy(struct sim_watch *w)
{
	if (w)
		free(w->ledger);
	free(w);
}

void sim_watch_reset(struct sim_watch *w)
{
	memset(w, 0, offsetof(struct sim_watch, ledger));
	sim_ledger_reset(w->ledger);
}

struct sim_ledger *sim_watch_ledger(struct sim_watch *w)
{
	return w->ledger;
}

static const char *ts_text(char out[48], struct op_ts ts)
{
	snprintf(out, 48, "%llu.%u.%u", (unsigned long long)ts.version, writer_node(ts.writer),
		 writer_incarnation(ts.writer));
	return out;
}

/* ---- who holds what -------------------------------------------------------------------------- */

/* holds: the node's store has this update of the key or a newer one, or forgot a tombstone. */
static bool holds(struct sim *s, uint8_t node, uint32_t key, struct op_ts ts)
{
	const struct replica *r = sim_node_replica(s, node, s->key[key].shard);
	const struct entry *e = sim_node_entry(s, node, key);

	if (e && replica_proven(r, e) && op_ts_compare(entry_ts(e), ts) >= 0)
		return true;
	return sim_ledger_forgotten(s, key, ts, replica_floor(r));
}

/*
 * check_members: H-COMMIT-ALL: what `node` calls committed, every live member of its view has. A
 * member that is another incarnation by now is about to be excluded; without views it is not, and
 * its disk brought back what it had.
 */
static void check_members(struct sim *s, uint8_t node, uint32_t key, struct op_ts ts,
			  const char *why)
{
	const struct view *v = replica_view(sim_node_replica(s, node, s->key[key].shard));
	char text[48];

	for (uint8_t m = 0; m < s->plan.nodes; m++) {
		if (!(v->members >> m & 1) || !sim_node_holds(s, m))
			continue;
		/* One that has been left out meanwhile may have begun anew. */
		if (s->plan.worker.views && !(v->incarnation[m] == s->node[m].incarnation &&
					      sim_view_member(s, m)))
			continue;
		if (!holds(s, m, key, ts))
			sim_violation(s, "H-COMMIT-ALL: node %u %s of key %u at %s, but node %u "
					 "does not have it", node, why, key, ts_text(text, ts), m);
	}
}

static void commit(struct sim *s, uint8_t node, uint32_t key, struct op_ts ts, const char *why)
{
	if (!sim_is_raft(s))
		check_members(s, node, key, ts, why);
	sim_ledger_commit(s, key, ts);
}

static void keep(struct sim *s, uint8_t node, uint32_t key, struct op_ts ts)
{
	struct op_ts *kept = &s->watch->kept[node][key];

	if (op_ts_compare(ts, *kept) > 0)
		*kept = ts;
}

/* key_named: the key's number, which its text contains; SIM_NONE: nobody's key. */
static uint32_t key_named(const struct sim *s, const struct wire_message *m)
{
	uint32_t index = 0;

	for (uint32_t i = 0; i < m->key_bytes; i++) {
		if (m->key[i] >= '0' && m->key[i] <= '9')
			index = index * 10 + m->key[i] - '0';
	}
	if (index >= s->plan.keys || s->key[index].bytes != m->key_bytes ||
	    memcmp(s->key[index].text, m->key, m->key_bytes) != 0)
		return SIM_NONE;
	return index;
}

/* ---- between nodes --------------------------------------------------------------------------- */

static struct op_id *op_id_at(struct sim *s, uint8_t node, uint16_t shard, uint64_t id)
{
	return &s->watch->op_id[node][shard % SHARDS][id % OPS];
}

/* key_acked: what an ACK is about: it names its key (O3), or the coordinator's op. */
static uint32_t key_acked(struct sim *s, const struct wire_header *h, const struct wire_message *m)
{
	const struct op_id *id = op_id_at(s, h->to, h->shard, m->id);

	if (m->key_bytes != 0)
		return key_named(s, m);
	return m->id != 0 && id->id == m->id ? id->key : SIM_NONE;
}

/* on_update: INV, COPY. */
static void on_update(struct sim *s, uint8_t node, const struct wire_header *h,
		      const struct wire_message *m)
{
	uint32_t key = key_named(s, m);
	struct sim_update u = {
		.ts = m->ts,
		.hash = (uint64_t)crc32c(m->value, m->value_bytes) << 32 | m->value_bytes,
		.origin = m->origin,
		.base = m->prior,
		.flags = m->flags & (WIRE_RMW | WIRE_TOMBSTONE),
	};
	uint64_t step = m->flags & WIRE_RMW ? 1 : 2;

	if (key == SIM_NONE) {
		sim_violation(s, "node %u sends an update of a key nobody ever used", node);
		return;
	}
	if ((m->flags & WIRE_STUB) && !(m->flags & WIRE_TOMBSTONE)) /* it says so itself */
		u.hash = (uint64_t)load_u32(m->value) << 32 | load_u32(m->value + 4);
	u.key = (uint8_t)key;
	if (m->ts.version == 0)
		return;
	sim_ledger_see(s, node, &u);
	if (m->type != WIRE_INV)
		return;
	if (m->prior != 0 && m->ts.version > step)
		commit(s, node, key, (struct op_ts){ m->ts.version - step, m->prior },
		       "builds on the update");
	if (m->id != 0)
		*op_id_at(s, node, h->shard, m->id) = (struct op_id){ m->id, key };
}

static struct promise *promise_find(struct sim *s, uint8_t node, uint32_t key, uint32_t epoch)
{
	struct promise *p = s->watch->promise[node][key];

	for (uint32_t i = 0; i < EPOCHS_KEPT; i++)
		if (p[i].epoch == epoch)
			return &p[i];
	return NULL;
}

static void promise_make(struct sim *s, uint8_t node, uint32_t key, uint32_t epoch, struct op_ts ts)
{
	struct promise *all = s->watch->promise[node][key];
	struct promise *p = promise_find(s, node, key, epoch);

	if (!p) {
		memmove(all + 1, all, (EPOCHS_KEPT - 1) * sizeof(*all));
		all[0] = (struct promise){ .epoch = epoch };
		p = all;
	}
	if (op_ts_compare(ts, p->ts) > 0)
		p->ts = ts;
}

/* promised: it has acknowledged this ts of the key, or a newer one, in the epoch. */
static bool promised(struct sim *s, uint8_t node, uint32_t key, uint32_t epoch, struct op_ts ts)
{
	const struct promise *p = promise_find(s, node, key, epoch);

	if (p)
		return op_ts_compare(p->ts, ts) >= 0;
	/* So long ago that it may be forgotten here. */
	return s->watch->promise[node][key][EPOCHS_KEPT - 1].epoch != 0;
}

/* on_ack: a promise to hold it durably; kept is compared when the node comes back (W-PREFIX). */
static void on_ack(struct sim *s, uint8_t node, const struct wire_header *h,
		   const struct wire_message *m)
{
	uint32_t key = key_acked(s, h, m);
	char text[48];

	if (key == SIM_NONE)
		return;
	if (!holds(s, node, key, m->ts))
		sim_violation(s, "H-COMMIT-ALL: node %u acknowledges key %u at %s and does not "
				 "have it", node, key, ts_text(text, m->ts));
	keep(s, node, key, m->ts);
	promise_make(s, node, key, h->epoch, m->ts);
}

/*
 * on_val: the commit. H-COMMIT-ALL, H-ACK-EPOCH: everybody else of the epoch's write set has
 * acknowledged this ts, or a newer one, in this very epoch.
 */
static void on_val(struct sim *s, uint8_t node, const struct wire_header *h,
		   const struct wire_message *m)
{
	const struct view *v = s->plan.worker.views ? sim_view_of(s, h->epoch) : NULL;
	uint32_t key = key_named(s, m);
	char text[48];

	if (key == SIM_NONE || (s->plan.worker.views && !v)) {
		sim_violation(s, "node %u sends a VAL of no key or in no view", node);
		return;
	}
	for (uint8_t n = 0; n < s->plan.nodes; n++) {
		if (n == node || (v && !(view_write_set(v) >> n & 1)))
			continue;
		if (!promised(s, n, key, h->epoch, m->ts))
			sim_violation(s, "H-ACK-EPOCH: node %u validates key %u at %s, which node "
					 "%u has not acknowledged in epoch %#x", node, key,
				      ts_text(text, m->ts), n, h->epoch);
	}
	keep(s, node, key, m->ts);
	commit(s, node, key, m->ts, "validates the update");
}

static void peer_frame(struct sim *s, uint8_t node, const struct wire_header *h,
		       const struct wire_message *m)
{
	if (m->type == WIRE_INV || m->type == WIRE_COPY)
		on_update(s, node, h, m);
	else if (m->type == WIRE_ACK)
		on_ack(s, node, h, m);
	else if (m->type == WIRE_VAL)
		on_val(s, node, h, m);
}

/* ---- clients --------------------------------------------------------------------------------- */

static struct request *request_find(struct sim *s, uint32_t client, uint16_t shard, uint64_t id)
{
	for (uint64_t at = rng_mix(id << 16 | shard << 8 | client);; at++) {
		struct request *q = &s->watch->request[at % REQUEST_SLOTS];

		if (q->id == 0 || (q->id == id && q->client == client && q->shard == shard))
			return q;
	}
}

static void request_frame(struct sim *s, uint32_t client, const struct wire_header *h,
			  const struct wire_message *m)
{
	struct request *q;
	uint32_t key;

	if (m->type == WIRE_OPEN) {
		s->watch->client_number[client][h->shard % SHARDS] = m->id;
		return;
	}
	key = key_named(s, m);
	q = request_find(s, client, h->shard, m->id);
	if (q->id == 0) {
		*q = (struct request){ .id = m->id, .client = (uint8_t)client,
				       .shard = (uint8_t)h->shard, .type = (uint8_t)m->type,
				       .key = (uint8_t)key };
		must(++s->watch->requests < REQUEST_SLOTS / 8 * 7);
	}
	if (q->key != key || q->type != m->type)
		sim_violation(s, "client %u uses request id %llu for two requests", client,
			      (unsigned long long)m->id);
}

/* client_of: which client has this number at this shard; SIM_NONE: nobody. */
static uint32_t client_of(const struct sim *s, uint16_t shard, uint64_t number)
{
	for (uint32_t c = 0; c < s->plan.clients; c++)
		if (s->watch->client_number[c][shard % SHARDS] == number)
			return c;
	return SIM_NONE;
}

bool sim_watch_evicted(struct sim *s, uint8_t node, uint32_t key, const struct origin *origin)
{
	uint16_t shard = s->key[key].shard;
	uint32_t client = origin->client != 0 ? client_of(s, shard, origin->client) : SIM_NONE;

	return client != SIM_NONE &&
	       request_find(s, client, shard, origin->request)->evicted[node] ==
		       s->node[node].incarnation;
}

/* is_definite: the answer says what the request did or found. */
static bool is_definite(enum status status)
{
	return status == STATUS_OK || status == STATUS_NOT_FOUND || status == STATUS_CONFLICT ||
	       status == STATUS_NOT_A_NUMBER || status == STATUS_OVERFLOW;
}

/* on_read: H-READ-VALID: a read leaves while the lease holds (its value is judged by S-LIN). */
static void on_read(struct sim *s, uint8_t node, const struct request *q,
		    const struct wire_message *m)
{
	const struct replica *r = sim_node_replica(s, node, q->shard);

	if ((m->status != STATUS_OK && m->status != STATUS_NOT_FOUND) || sim_is_raft(s))
		return;
	if (sim_node_clock(s, node) >= replica_lease_ns(r) ||
	    !(replica_view(r)->members >> node & 1))
		sim_violation(s, "H-READ-VALID: node %u answers a read of key %u without a lease",
			      node, q->key);
}

/* is_read_only: the shard's view had too few members when the node's round began (M-MIN-SIZE). */
static bool is_read_only(const struct sim *s, uint8_t node, uint16_t shard)
{
	const struct view *v = sim_view_of(s, s->service.node[node].shard_epoch[shard]);

	/* With the raft engine a majority of the voters is what counts. */
	return v && v->read_only && !sim_is_raft(s);
}

/* on_update_answer: S-CACHE: one request, one answer; OK is the same wherever it is asked for. */
static void on_update_answer(struct sim *s, uint8_t node, struct request *q,
			     const struct wire_message *m)
{
	uint64_t number = m->value_bytes == 8 ? load_u64(m->value) : 0;
	bool again = q->answered[node] == s->node[node].incarnation;
	char first[48], second[48];

	if (m->status == STATUS_EVICTED)
		q->evicted[node] = s->node[node].incarnation;
	if (!is_definite((enum status)m->status))
		return;
	if (again && q->status[node] != m->status)
		sim_violation(s, "S-CACHE: node %u answers request %llu of client %u with %s, "
				 "after %s", node, (unsigned long long)q->id, q->client,
			      status_name((enum status)m->status),
			      status_name((enum status)q->status[node]));
	if (q->ok && m->status == STATUS_OK &&
	    (op_ts_compare(q->ts, m->ts) != 0 || q->number != number))
		sim_violation(s, "S-CACHE: request %llu of client %u is answered OK at %s by node "
				 "%u, and was at %s", (unsigned long long)q->id, q->client,
			      ts_text(second, m->ts), node, ts_text(first, q->ts));
	if (q->ok && m->status != STATUS_OK && !again)
		sim_violation(s, "S-ONCE: node %u executes request %llu of client %u, which took "
				 "effect before", node, (unsigned long long)q->id, q->client);
	q->answered[node] = s->node[node].incarnation;
	q->status[node] = m->status;
	if (m->status != STATUS_OK || q->ok)
		return;
	if (is_read_only(s, node, q->shard) && !sim_ledger_committed(s, q->key, m->ts))
		sim_violation(s, "M-MIN-SIZE: node %u acknowledges an update of key %u while there "
				 "are too few members", node, q->key);
	q->ok = true;
	q->ts = m->ts;
	q->number = number;
	commit(s, node, q->key, m->ts, "acknowledges the update");
}

/* reply_frame: it names the session; the address may be one that the wire has damaged. */
static void reply_frame(struct sim *s, uint8_t node, const struct wire_header *h,
			const struct wire_message *m)
{
	struct session_owner *owner =
		&s->watch->owner[node][h->shard % SHARDS][h->session % SESSIONS];
	struct request *q;

	if (m->type == WIRE_OPENED) {
		*owner = (struct session_owner){ h->session, client_of(s, h->shard, m->id) };
		return;
	}
	if (owner->session != h->session || owner->client == SIM_NONE)
		return;
	q = request_find(s, owner->client, h->shard, m->id);
	if (q->id == 0)
		sim_violation(s, "node %u answers what client %u never asked", node,
			      owner->client);
	else if (q->type == WIRE_GET)
		on_read(s, node, q, m);
	else
		on_update_answer(s, node, q, m);
}

/* ---- the door -------------------------------------------------------------------------------- */

static void message(struct sim *s, uint16_t port, const struct wire_header *h,
		    const struct wire_message *m)
{
	switch (h->kind) {
	case WIRE_PEER:
		peer_frame(s, (uint8_t)port, h, m);
		return;
	case WIRE_REQUEST:
		request_frame(s, port - s->plan.nodes, h, m);
		return;
	case WIRE_REPLY:
		reply_frame(s, (uint8_t)port, h, m);
		return;
	case WIRE_RAFT:
		break; /* raft_messages */
	}
}

/* raft_messages: M-IDENT: nobody speaks for another disk. */
static void raft_messages(struct sim *s, uint16_t port, const struct wire_header *h,
			  const uint8_t *payload, uint32_t length)
{
	uint32_t group = h->shard == WIRE_SHARD_VIEW ? SIM_GROUP_VIEW : h->shard + 1u;
	uint32_t offset = WIRE_HEADER_BYTES;
	struct raft_message m;

	if (h->ident != s->service.node[port].ident)
		sim_violation(s, "M-IDENT: node %u speaks for disk %x, and has %x", port, h->ident,
			      s->service.node[port].ident);
	while (offset < length && !s->violated) {
		if (raft_message_decode(payload, length, &offset, &m) != WIRE_OK) {
			sim_violation(s, "port %u sends a Raft message that is none", port);
			return;
		}
		if (m.type < RAFT_TYPE_USER)
			sim_raft_frame(s, (uint8_t)port, h, group, &m);
	}
}

void sim_watch_frame(void *sim, uint16_t port, const uint8_t *data, uint32_t bytes)
{
	struct sim *s = sim;
	const uint8_t *payload = data + FRAME_HEADERS_BYTES;
	uint32_t offset = WIRE_HEADER_BYTES, length;
	struct wire_header h;
	struct wire_message m;

	if (bytes < FRAME_HEADERS_BYTES + WIRE_HEADER_BYTES || data[12] != 8 || data[13] != 0)
		return;
	length = ((uint32_t)data[UDP_LENGTH_AT] << 8 | data[UDP_LENGTH_AT + 1]) - 8;
	if (wire_header_decode(payload, length, &h) != WIRE_OK) {
		sim_violation(s, "port %u sends a frame that is none", port);
		return;
	}
	if ((h.kind == WIRE_PEER || h.kind == WIRE_RAFT) &&
	    h.from_incarnation != s->node[port].incarnation)
		sim_violation(s, "M-INCARN: node %u speaks as incarnation %u", port,
			      h.from_incarnation);
	if (h.kind == WIRE_RAFT) {
		raft_messages(s, port, &h, payload, length);
		return;
	}
	while (offset < length && !s->violated) {
		if (wire_message_decode(payload, length, h.kind, &offset, &m) != WIRE_OK) {
			sim_violation(s, "port %u sends a message that is none", port);
			return;
		}
		message(s, port, &h, &m);
	}
}

void sim_watch_started(struct sim *s, uint8_t node)
{
	char text[48];

	/* W-PREFIX: what it promised to hold durably is there. */
	for (uint32_t key = 0; key < s->plan.keys; key++) {
		struct op_ts kept = s->watch->kept[node][key];

		if (kept.version != 0 && !holds(s, node, key, kept))
			sim_violation(s, "W-PREFIX: node %u promised key %u at %s and came back "
					 "without it", node, key, ts_text(text, kept));
	}
}

void sim_watch_lied(struct sim *s, uint8_t node)
{
	memset(s->watch->kept[node], 0, sizeof(s->watch->kept[node]));
}

void sim_watch_void(struct sim *s, uint8_t node, uint16_t shard)
{
	for (uint32_t key = 0; key < s->plan.keys; key++) {
		if (s->key[key].shard != shard)
			continue;
		s->watch->kept[node][key] = (struct op_ts){ 0, 0 };
	}
}
