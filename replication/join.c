/* SPDX-License-Identifier: Apache-2.0 */
/*
 * How a shadow comes to hold everything (CC-19, CC-24, H11). It is in the write set, so whatever is
 * new reaches it by itself; the rest it pulls from one member, chunk by chunk: first every key,
 * then the session tables. Pulling needs no state at the donor, and a lost message costs one chunk.
 * What it held before is void when it missed a view: the donor knows, it does not.
 */
#include "replication/group.h"
#include "replication/replica_priv.h"

#define JOIN_ASKS_MAX 8u /* asked in vain so often: try another donor */

#define COPIED_COMPLETE 1u /* COPIED, byte 12: no session was ever dropped */
#define COPIED_BLIND 2u	   /* an update came whose origin nobody knew */

enum walk { WALK_KEYS = 0, WALK_SESSIONS = 1 }; /* FETCH: ts.version */

/* ---- shadow ---------------------------------------------------------------------------------- */

/*
 * ask: for the keys behind the cursor. Every time under a new number: what a donor finds there may
 * have changed since the last answer, so parts of two answers do not make one.
 */
static void ask(struct replica *r, struct actions *a)
{
	struct join *j = &r->join;
	uint32_t shift = j->silent < BACKOFF_SHIFT_MAX ? j->silent : BACKOFF_SHIFT_MAX;
	struct wire_message *m = replica_send(r, a, replica_bit(j->donor), WIRE_FETCH);

	if (!mutant(103)) {
		j->chunk++;
		j->got = 0;
		j->expected = UINT32_MAX;
	}
	m->ts = (struct op_ts){ j->sessions ? WALK_SESSIONS : WALK_KEYS, 0 };
	m->id = (uint64_t)j->chunk << 32 | j->cursor;
	j->ask_ns = r->now_ns + (r->config.retransmit_ns << shift);
}

static void next_chunk(struct join *j, uint32_t cursor)
{
	j->cursor = cursor;
	j->got = 0;
	j->expected = UINT32_MAX;
	j->silent = 0;
	j->ask_ns = 0; /* at the next tick */
}

/* choose_donor: the next member after the last one, around. */
static void choose_donor(struct replica *r)
{
	struct join *j = &r->join;

	do
		j->donor = (uint8_t)((j->donor + 1u) % r->config.node_count);
	while (!(r->view.members & replica_bit(j->donor)));
	j->donor_incarnation = r->view.incarnation[j->donor];
	j->sessions = false;
	next_chunk(j, 0);
}

void join_view(struct replica *r, bool from_nothing)
{
	struct join *j = &r->join;
	bool shadow = (r->write_set & r->view.shadows & replica_bit(r->config.node)) != 0;

	if (!shadow) {
		j->active = j->reset = false;
		return;
	}
	if (from_nothing) {
		*j = (struct join){ .active = true, .reset = true, .donor = r->config.node };
	} else if (!j->active) {
		j->done = true; /* it has joined before, or was a member until now */
		return;
	}
	if (!(r->view.members & replica_bit(j->donor)) ||
	    j->donor_incarnation != r->view.incarnation[j->donor])
		choose_donor(r);
	j->ask_ns = 0;
}

/* reset: ops are gone, entries go next; nothing of before may be used again. */
static void reset(struct replica *r, struct actions *a)
{
	struct action *action = replica_action(a, ACTION_RESET);

	r->counters.resets++;
	r->join.reset = false;
	r->held_head = r->held_tail; /* promises about what is void */
	r->floor = 0;
	session_table_clear(&r->sessions, false);
	action->persist_seq = r->persist_next++;
	r->join.persist_seq = action->persist_seq;
}

void join_tick(struct replica *r, struct actions *a)
{
	struct join *j = &r->join;

	if (!j->active || !actions_room(a) || view_dismissing(r))
		return;
	if (j->reset)
		reset(r, a);
	if (r->now_ns < j->ask_ns)
		return;
	if (j->silent++ == JOIN_ASKS_MAX)
		choose_donor(r);
	ask(r, a);
}

uint64_t join_deadline_ns(const struct replica *r)
{
	return r->join.active ? r->join.ask_ns : UINT64_MAX;
}

/* take: is this message part of the chunk asked for, and not in yet? */
static bool take(struct replica *r, const struct event *ev)
{
	struct join *j = &r->join;
	uint32_t index = (uint32_t)ev->message->id;

	if (!j->active || j->reset || ev->header->from != j->donor ||
	    ev->message->id >> 32 != j->chunk || index >= WALK_MAX || (j->got & 1u << index))
		return false;
	j->got |= 1u << index;
	r->counters.copies_merged++;
	return true;
}

static void finish(struct replica *r, struct actions *a)
{
	struct join *j = &r->join;
	struct action *action;

	session_unpacked(&r->sessions, j->complete || mutant(69));
	j->active = false;
	j->done = true;
	r->counters.joins++;
	if (r->floor == 0)
		return;
	/* Keys whose tombstones the donor had collected: a restart must not write below them. */
	action = replica_action(a, ACTION_NOTE);
	action->message = (struct wire_message){ .ts = { r->floor, 0 } };
	action->persist_seq = r->persist_next++;
	j->persist_seq = action->persist_seq;
}

static void advance(struct replica *r, struct actions *a)
{
	struct join *j = &r->join;

	if (j->expected == UINT32_MAX || j->got != (1u << j->expected) - 1)
		return;
	if (j->next != WALK_END) {
		next_chunk(j, j->next);
	} else if (!j->sessions && !mutant(69)) {
		j->sessions = true;
		next_chunk(j, 0);
	} else {
		finish(r, a);
		return;
	}
	ask(r, a);
}

void join_on_copy(struct replica *r, const struct event *ev, struct actions *a)
{
	if (!take(r, ev))
		return;
	hermes_on_copy(r, ev, a);
	r->join.persist_seq = max_u64(r->join.persist_seq, ev->entry->persist_seq);
	advance(r, a);
}

void join_on_copy_session(struct replica *r, const struct event *ev, struct actions *a)
{
	const struct wire_message *m = ev->message;

	if (!r->join.sessions || !take(r, ev))
		return;
	if (!session_unpack(&r->sessions, m->value, m->value_bytes, r->now_ns))
		r->counters.bad_request++;
	advance(r, a);
}

void join_on_copied(struct replica *r, const struct event *ev, struct actions *a)
{
	const struct wire_message *m = ev->message;
	struct join *j = &r->join;
	uint32_t expected = load_u32(m->value + 8);

	if (!j->active || j->reset || ev->header->from != j->donor || m->id >> 32 != j->chunk ||
	    expected > WALK_MAX)
		return;
	if (!mutant(91))
		r->floor = max_u64(r->floor, load_u64(m->value));
	j->expected = expected;
	j->next = (uint32_t)m->id;
	j->complete = (m->value[12] & COPIED_COMPLETE) != 0;
	/* What the donor cannot tell apart, this node cannot either. */
	r->sessions.blind |= (m->value[12] & COPIED_BLIND) != 0;
	advance(r, a);
}

bool replica_joined(const struct replica *r)
{
	const struct join *j = &r->join;

	if (r->group)
		return group_joined(r);
	if (mutant(27))
		return r->write_set != 0;
	return j->done && (j->persist_seq <= r->durable_seq || mutant(90));
}

/* ---- donor ----------------------------------------------------------------------------------- */

static void send_copied(struct replica *r, uint8_t to, uint32_t chunk, uint32_t next,
			uint32_t count, struct actions *a)
{
	struct wire_message m = {
		.type = WIRE_COPIED,
		.id = (uint64_t)chunk << 32 | next,
		.value = r->copied,
		.value_bytes = WIRE_COPIED_BYTES,
	};

	memset(r->copied, 0, sizeof(r->copied));
	store_u64(r->copied, r->floor);
	store_u32(r->copied + 8, count);
	r->copied[12] = (r->sessions.complete ? COPIED_COMPLETE : 0) |
			(r->sessions.blind ? COPIED_BLIND : 0);
	*replica_send(r, a, replica_bit(to), m.type) = m;
}

static void send_copy(struct replica *r, uint8_t to, const struct entry *e, uint64_t id,
		      struct actions *a)
{
	struct wire_message m = {
		.type = WIRE_COPY,
		.flags = e->flags | (e->state == HERMES_VALID ? WIRE_VALID : 0),
		.key_bytes = e->key_bytes,
		.value_bytes = e->value_bytes,
		.ts = entry_ts(e),
		.prior = e->base,
		.origin = origin_of(r, e),
		.id = id,
		.key = e->blob,
		.value = entry_value(e),
	};

	r->counters.copies_sent++;
	*replica_send(r, a, replica_bit(to), m.type) = m;
}

void join_on_fetch(struct replica *r, const struct event *ev, struct actions *a)
{
	uint32_t chunk = (uint32_t)(ev->message->id >> 32);
	uint32_t cursor = (uint32_t)ev->message->id;
	uint8_t to = ev->header->from;
	uint32_t count = 0;

	if (!r->member || !(r->view.shadows & replica_bit(to)))
		return;
	if (ev->message->ts.version == WALK_SESSIONS) {
		uint32_t bytes = session_pack(&r->sessions, &cursor, r->pack);
		struct wire_message m = {
			.type = WIRE_COPY_SESSION,
			.id = (uint64_t)chunk << 32,
			.value = r->pack,
			.value_bytes = (uint16_t)bytes,
		};

		if (bytes != 0)
			*replica_send(r, a, replica_bit(to), m.type) = m;
		send_copied(r, to, chunk, bytes != 0 ? cursor : WALK_END, bytes != 0, a);
		return;
	}
	must(ev->walk_count <= WALK_MAX);
	for (uint32_t i = 0; i < ev->walk_count; i++)
		if (ev->walk[i]->version != 0) /* else: made, and never written */
			send_copy(r, to, ev->walk[i], (uint64_t)chunk << 32 | count++, a);
	send_copied(r, to, chunk, ev->walk_next, count, a);
}
