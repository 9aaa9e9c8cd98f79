/* SPDX-License-Identifier: Apache-2.0 */
/*
 * How a shadow comes to hold everything (CC-19, CC-24, H11). It is in the write set, so whatever is
 * new reaches it by itself; the rest it pulls from one member, chunk by chunk, from several places
 * of the donor's store at once (lane.h): first every key, then the session tables. Pulling needs no
 * state at the donor, and a lost message costs one chunk.
 *
 * What it held before is void when it missed a view: the donor knows, it does not. Either it drops
 * all of that, or every key of it is absent to everybody until an answer or an INV of this very
 * epoch shows that it stands: unproven. Such entries are those that this life has not logged
 * anything about. What is left of them in the end the donor does not have: it goes.
 */
#include "replication/crc.h"
#include "replication/group.h"
#include "replication/replica_priv.h"

#define JOIN_ASKS_MAX 8u  /* asked in vain so often: try another donor */
#define WHOLE_CHUNKS 8u	  /* to ask for at once with values, after one of which nothing stood */
#define MESSAGE_COST 64u  /* bytes that a message is, beside key and value */
#define COMPARED_SHARE 4u /* a value compared costs both nodes this part of one that is copied */

#define COPIED_COMPLETE 1u /* COPIED, byte 12: no session was ever dropped */
#define COPIED_BLIND 2u	   /* an update came whose origin nobody knew */

/* ---- what the joiner brings ------------------------------------------------------------------ */

static bool unproven(const struct replica *r, const struct entry *e)
{
	return (r->join.guard & GUARD_UNPROVEN) && e->persist_seq == 0 && e->version != 0;
}

bool replica_proven(const struct replica *r, const struct entry *e)
{
	return !unproven(r, e);
}

/* log_void: the record that makes a later life forget what the entry holds, too. */
static struct action *log_void(struct replica *r, struct entry *e, struct actions *a)
{
	struct action *action = replica_action(a, ACTION_FORGET);

	action->entry = NULL;
	action->message = (struct wire_message){
		.key_bytes = e->key_bytes, .ts = entry_ts(e), .key = e->blob,
	};
	action->persist_seq = r->persist_next++;
	r->counters.join_voided++;
	if (!mutant(207))
		r->join.persist_seq = max_u64(r->join.persist_seq, action->persist_seq);
	return action;
}

/*
 * drop_unproven: the entry becomes one that was never written; an update with ts takes its place
 * next. In the log the newer of both would win: the older one must say so.
 */
static void drop_unproven(struct replica *r, struct entry *e, struct op_ts ts, struct actions *a)
{
	if (op_ts_compare(entry_ts(e), ts) > 0 && !mutant(201))
		log_void(r, e, a);
	if (e->state != HERMES_VALID)
		hermes_move(e, HERMES_VALID);
	e->version = 0;
	e->writer = 0;
	e->value_bytes = 0;
	e->flags = 0;
	e->base = 0;
	e->origin = 0;
	e->acks = 0;
}

/*
 * prove: the key's update, which m is about and which lies on the disk, stands: as good as adopted
 * now. That it does is forgotten by a crash, so nothing rests on a record of it.
 */
static void prove(struct replica *r, struct entry *e, const struct wire_message *m)
{
	e->persist_seq = r->join.proof_seq;
	e->base = m->prior;
	e->origin = origin_note(r, m, e->hash, OUTCOME_SEEN);
	e->acks = 0;
	e->view = r->view_count & ENTRY_VIEW_MASK;
	r->counters.join_confirmed++;
}

/* guard_inv: an INV of this epoch meets an unproven key: the INV counts. */
static bool guard_inv(struct replica *r, const struct event *ev, struct actions *a)
{
	const struct wire_message *m = ev->message;

	if (m->flags & WIRE_OVERTAKEN)
		return true; /* what it was overtaken by comes, too, and first of all */
	if (op_ts_compare(m->ts, entry_ts(ev->entry)) != 0) {
		drop_unproven(r, ev->entry, m->ts, a);
		return false;
	}
	prove(r, ev->entry, m);
	r->sessions.blind |= m->origin.client == 0;
	return false;
}

bool join_guards(struct replica *r, const struct event *ev, struct actions *a)
{
	/* Out of the view, or about to drop everything: nothing may be acknowledged. */
	if (r->write_set == 0 || (r->join.guard & GUARD_RESET))
		return true;
	if (!ev->entry || !unproven(r, ev->entry) || mutant(200))
		return false;
	if (!view_accepts(r, ev))
		return true;
	if (ev->message->type == WIRE_INV)
		return guard_inv(r, ev, a);
	return ev->message->type == WIRE_VAL || ev->message->type == WIRE_ACK;
}

/* ---- shadow ---------------------------------------------------------------------------------- */

/* what: to ask for next. */
static enum wire_walk what(const struct join *j, const struct lane *at)
{
	if (j->sessions)
		return WIRE_WALK_SESSIONS;
	if (at->want != 0)
		return WIRE_WALK_SOME;
	return j->stubs && j->whole == 0 ? WIRE_WALK_STUBS : WIRE_WALK_KEYS;
}

/* first_of: so many of the bitmap as make one chunk with values. */
static uint32_t first_of(uint32_t bits)
{
	uint32_t some = 0;

	for (uint32_t i = 0; i < WALK_MAX && bits != 0; i++) {
		some |= bits & -bits;
		bits &= bits - 1;
	}
	return some;
}

/* ask: for the keys behind the cursor, when the rate allows it. */
static void ask(struct replica *r, struct lane *at, struct actions *a)
{
	struct join *j = &r->join;
	struct wire_message *m;

	if (j->sweeping || !lane_may_ask(&j->lanes, at, r->now_ns))
		return;
	m = replica_send(r, a, replica_bit(j->donor), WIRE_FETCH);
	m->id = lane_ask(&j->lanes, at, r->now_ns, r->config.retransmit_ns);
	m->ts.version = what(j, at);
	at->wanted = 0;
	if (m->ts.version == WIRE_WALK_SOME) {
		at->wanted = first_of(at->want);
		m->ts.writer = at->wanted;
		m->prior = at->want_sum;
	}
}

static void begin_sessions(struct join *j)
{
	j->sessions = true;
	lanes_begin(&j->lanes, 1, WALK_END);
}

/* choose_donor: the next member after the last one, around. What is proven stays so. */
static void choose_donor(struct replica *r)
{
	struct join *j = &r->join;

	do
		j->donor = (uint8_t)((j->donor + 1u) % r->config.node_count);
	while (!(r->view.members & replica_bit(j->donor)));
	j->donor_incarnation = r->view.incarnation[j->donor];
	j->sessions = false;
	j->keys_done = false;
	j->stubs |= r->config.join_delta && j->lanes.chunk != 0;
	j->whole = 0;
	if (j->lanes.count == 0 || !mutant(226))
		lanes_begin(&j->lanes, r->config.join_lanes, r->config.join_places);
}

static void set_guard(struct replica *r, uint8_t guard)
{
	r->join.guard = guard;
	r->closed = r->write_set == 0 || guard != 0;
}

void join_view(struct replica *r, bool from_nothing)
{
	struct join *j = &r->join;
	bool shadow = (r->write_set & r->view.shadows & replica_bit(r->config.node)) != 0;

	set_guard(r, shadow ? j->guard : 0);
	if (!shadow) {
		j->active = false;
		return;
	}
	if (from_nothing) {
		*j = (struct join){ .active = true, .donor = r->config.node };
		set_guard(r, GUARD_RESET);
	} else if (!j->active) {
		j->done = true; /* it has joined before, or was a member until now */
		return;
	}
	if (!(r->view.members & replica_bit(j->donor)) ||
	    j->donor_incarnation != r->view.incarnation[j->donor])
		choose_donor(r);
	lanes_hurry(&j->lanes);
}

/*
 * begin: ops are gone; nothing of before may be used again: entries go next, or are unproven from
 * here on. A node short of room cannot keep what may be void beside what is true.
 */
static void begin(struct replica *r, struct actions *a)
{
	struct join *j = &r->join;
	bool delta = r->config.join_delta && r->space == SPACE_OK && !r->failed;
	struct action *action = replica_action(a, delta ? ACTION_REJOIN : ACTION_RESET);

	r->counters.resets++;
	set_guard(r, delta ? GUARD_UNPROVEN : 0);
	j->stubs = delta;
	r->held_head = r->held_tail; /* promises about what is void */
	if (!delta)
		r->floor = 0;
	if (!delta || !mutant(204))
		session_table_clear(&r->sessions, false);
	action->persist_seq = r->persist_next++;
	j->persist_seq = j->proof_seq = action->persist_seq;
}

static void sweep(struct join *j)
{
	j->sweeping = true;
	j->sweep_at = 0;
}

/*
 * in_vain: nobody has answered. Some of it may have come: see first what is still missing. The rate
 * may hold the next question back: what comes for the last one until then counts no more, or a part
 * of the values asked for would be taken for all of them (H-LAG-JOIN).
 */
static bool in_vain(struct join *j, struct lane *at)
{
	if (at->paced || at->chunk == 0)
		return false;
	at->want = j->whole = 0;
	if (!mutant(214))
		at->chunk = 0;
	return at->silent++ == JOIN_ASKS_MAX;
}

static void ask_due(struct replica *r, struct actions *a)
{
	struct join *j = &r->join;
	struct lane *at;
	uint32_t i = 0;

	while (!j->sweeping && actions_room(a) && (at = lane_due(&j->lanes, &i, r->now_ns))) {
		if (in_vain(j, at)) {
			choose_donor(r);
			at = &j->lanes.list[0];
		}
		ask(r, at, a);
	}
}

void join_tick(struct replica *r, struct actions *a)
{
	struct join *j = &r->join;

	if (!j->active || !actions_room(a) || view_dismissing(r))
		return;
	if (j->guard & GUARD_RESET)
		begin(r, a);
	if ((j->guard & GUARD_UNPROVEN) && r->space != SPACE_OK && !j->sweeping)
		sweep(j); /* absent it is in any case; make room for what is true */
	ask_due(r, a);
}

uint64_t join_deadline_ns(const struct replica *r)
{
	const struct join *j = &r->join;

	if (!j->active)
		return UINT64_MAX;
	if (j->guard & GUARD_RESET)
		return 0;
	return j->sweeping ? j->lanes.paid_ns : lanes_deadline_ns(&j->lanes);
}

uint32_t replica_walk_from(const struct replica *r)
{
	return r->join.sweep_at;
}

/* join_on_walk: what nobody has proven by now goes. */
void join_on_walk(struct replica *r, const struct event *ev, struct actions *a)
{
	struct join *j = &r->join;
	uint64_t bytes = 0;

	if (!j->active || !j->sweeping)
		return;
	must(ev->walk_count <= WALK_MAX);
	for (uint32_t i = 0; i < ev->walk_count; i++) {
		struct entry *e = ev->walk[i];

		if (!unproven(r, e) || mutant(202))
			continue;
		must(e->op == OP_NONE && e->wait == OP_NONE);
		log_void(r, e, a)->entry = e;
		bytes += MESSAGE_COST + e->key_bytes;
	}
	j->sweep_at = ev->walk_next;
	lanes_pay(&j->lanes, r->now_ns, bytes, r->config.join_bytes_per_s);
	if (j->sweep_at != WALK_END)
		return;
	j->sweeping = false;
	set_guard(r, 0);
	if (j->keys_done)
		begin_sessions(j);
	ask_due(r, a);
}

/* take: the lane whose chunk this message is part of, and was not in yet; NULL: none. */
static struct lane *take(struct replica *r, const struct event *ev)
{
	const struct wire_message *m = ev->message;
	struct join *j = &r->join;
	struct lane *at = lane_asked(&j->lanes, m->id >> 32);

	if (!j->active || (j->guard & GUARD_RESET) || ev->header->from != j->donor || !at ||
	    !lane_take(at, (uint32_t)m->id, WALK_STUBS_MAX))
		return NULL;
	lanes_pay(&j->lanes, r->now_ns, MESSAGE_COST + m->key_bytes + m->value_bytes,
		  r->config.join_bytes_per_s);
	r->counters.copies_merged++;
	return at;
}

static void finish(struct replica *r, struct actions *a)
{
	struct join *j = &r->join;
	struct action *action;

	must((j->guard & GUARD_UNPROVEN) == 0 || mutant(69));
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

/* chunk_done: true: on to the next one; false: some of it is still to be asked for. */
static bool chunk_done(struct join *j, struct lane *at)
{
	/* Other keys are there now, or none. */
	bool seen = at->stubbed || at->expected == 0;

	if (at->stubbed && at->miss == (1u << at->expected) - 1)
		j->whole = WHOLE_CHUNKS;
	at->want = seen ? at->miss : at->want & ~at->wanted;
	if (seen)
		at->want_sum = at->miss_sum;
	return at->want == 0;
}

/* walked: all of the donor's keys have been seen. */
static void walked(struct join *j)
{
	j->keys_done = true;
	if (!(j->guard & GUARD_UNPROVEN))
		begin_sessions(j);
	else if (!j->sweeping)
		sweep(j);
}

static void advance(struct replica *r, struct lane *at, struct actions *a)
{
	struct join *j = &r->join;

	if (!lane_complete(at))
		return;
	lane_answered(&j->lanes, at, r->now_ns);
	if (chunk_done(j, at)) {
		j->whole -= j->whole != 0;
		if (!lane_advance(&j->lanes, at)) {
			if (j->sessions || mutant(69)) {
				finish(r, a);
				return;
			}
			walked(j);
			at = &j->lanes.list[0];
		}
	}
	if (at->open)
		ask(r, at, a);
}

/* key_sum: of the keys of a chunk, in their places. */
static uint32_t key_sum(uint32_t index, const uint8_t *key, uint32_t key_bytes)
{
	return crc32c_update(crc32c_u64(~0u, index), key, key_bytes);
}

static bool stub_fits(const struct entry *e, const struct wire_message *m)
{
	if (m->flags & WIRE_TOMBSTONE)
		return e->value_bytes == 0;
	return load_u32(m->value) == crc32c(entry_value(e), e->value_bytes) &&
	       load_u32(m->value + 4) == e->value_bytes;
}

/*
 * on_stub: what the donor has of a key. The very same here, from whenever: it stands. Older, or
 * unproven and another one: to be asked for.
 */
static void on_stub(struct replica *r, struct lane *at, const struct event *ev, struct actions *a)
{
	struct wire_message m = *ev->message;
	struct event copy = *ev;
	struct entry *e = ev->entry;
	int order = op_ts_compare(entry_ts(e), m.ts);
	uint32_t index = (uint32_t)m.id;

	at->stubbed = true;
	at->miss_sum += key_sum(index, m.key, m.key_bytes);
	if (unproven(r, e) && mutant(203) && order > 0) {
		e->persist_seq = r->join.proof_seq;
		return;
	}
	if (!mutant(291))
		lanes_pay(&r->join.lanes, r->now_ns, e->value_bytes / COMPARED_SHARE,
			  r->config.join_bytes_per_s);
	if (order != 0) {
		if (order < 0 || unproven(r, e))
			at->miss |= 1u << index;
		return;
	}
	must(stub_fits(e, &m)); /* CC-21 */
	m.flags &= (uint8_t)~WIRE_STUB;
	if (mutant(205))
		m.flags |= WIRE_VALID;
	m.value = entry_value(e);
	m.value_bytes = e->value_bytes;
	copy.message = &m;
	if (unproven(r, e))
		prove(r, e, &m);
	hermes_on_copy(r, &copy, a);
}

static void on_whole(struct replica *r, const struct event *ev, struct actions *a)
{
	const struct wire_message *m = ev->message;
	struct entry *e = ev->entry;

	if (unproven(r, e)) {
		if (op_ts_compare(entry_ts(e), m->ts) == 0)
			prove(r, e, m);
		else
			drop_unproven(r, e, m->ts, a);
	}
	hermes_on_copy(r, ev, a);
}

void join_on_copy(struct replica *r, const struct event *ev, struct actions *a)
{
	const struct wire_message *m = ev->message;
	bool stub = (m->flags & WIRE_STUB) != 0;
	struct lane *at;

	if (stub && m->value_bytes != (m->flags & WIRE_TOMBSTONE ? 0 : WIRE_STUB_BYTES)) {
		r->counters.bad_request++;
		return;
	}
	at = take(r, ev);
	if (!at)
		return;
	if (stub)
		on_stub(r, at, ev, a);
	else
		on_whole(r, ev, a);
	r->join.persist_seq = max_u64(r->join.persist_seq, ev->entry->persist_seq);
	advance(r, at, a);
}

void join_on_copy_session(struct replica *r, const struct event *ev, struct actions *a)
{
	const struct wire_message *m = ev->message;
	struct lane *at = r->join.sessions ? take(r, ev) : NULL;

	if (!at)
		return;
	if (!session_unpack(&r->sessions, m->value, m->value_bytes, r->now_ns))
		r->counters.bad_request++;
	advance(r, at, a);
}

void join_on_copied(struct replica *r, const struct event *ev, struct actions *a)
{
	const struct wire_message *m = ev->message;
	struct join *j = &r->join;
	struct lane *at = lane_asked(&j->lanes, m->id >> 32);
	uint32_t expected = load_u32(m->value + 8);

	if (!j->active || (j->guard & GUARD_RESET) || ev->header->from != j->donor || !at ||
	    expected > WALK_STUBS_MAX)
		return;
	if (!mutant(91))
		r->floor = max_u64(r->floor, load_u64(m->value));
	at->expected = expected;
	at->next = (uint32_t)m->id;
	j->complete = (m->value[12] & COPIED_COMPLETE) != 0;
	/* What the donor cannot tell apart, this node cannot either. */
	r->sessions.blind |= (m->value[12] & COPIED_BLIND) != 0;
	advance(r, at, a);
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

bool replica_alone_short(const struct replica *r)
{
	uint8_t members = r->view.members & (uint8_t)~replica_bit(r->config.node);

	if (members == 0 || r->join.guard != 0)
		return false;
	for (; members != 0; members &= members - 1) {
		const struct peer *p = &r->peers[__builtin_ctz(members)];

		if (!view_heard(r, p) || p->space != SPACE_OK)
			return false;
	}
	return true;
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

/* send_stub: the key without its value; what says which value it is goes into r->stubs[at]. */
static void send_stub(struct replica *r, uint8_t to, const struct entry *e, uint64_t id,
		      uint32_t at, struct actions *a)
{
	struct wire_message *m;
	uint8_t *stub = r->stubs[at];

	send_copy(r, to, e, id, a);
	r->counters.copies_sent--;
	r->counters.stubs_sent++;
	m = &a->list[a->count - 1].message;
	m->flags |= WIRE_STUB;
	if (e->flags & ENTRY_TOMBSTONE)
		return;
	store_u32(stub, crc32c(entry_value(e), e->value_bytes));
	store_u32(stub + 4, e->value_bytes);
	m->value = stub;
	m->value_bytes = WIRE_STUB_BYTES;
}

uint32_t join_walk_max(const struct wire_message *fetch)
{
	if (fetch->ts.version == WIRE_WALK_SESSIONS)
		return 0;
	return fetch->ts.version == WIRE_WALK_KEYS ? WALK_MAX : WALK_STUBS_MAX;
}

/* walk_sum: of the keys that this walk met. */
static uint32_t walk_sum(const struct event *ev)
{
	uint32_t sum = 0, count = 0;

	for (uint32_t i = 0; i < ev->walk_count; i++) {
		const struct entry *e = ev->walk[i];

		if (e->version != 0)
			sum += key_sum(count++, e->blob, e->key_bytes);
	}
	return sum;
}

/*
 * give_keys: the entries of the walk, in the form asked for. A bitmap of them means something only
 * as long as they are the same ones; else the joiner must see first what is there now.
 */
static void give_keys(struct replica *r, const struct event *ev, struct actions *a)
{
	const struct wire_message *m = ev->message;
	uint64_t chunk = m->id >> 32 << 32;
	uint8_t to = ev->header->from;
	bool some = m->ts.version == WIRE_WALK_SOME &&
		    (walk_sum(ev) == m->prior || mutant(206));
	bool stubs = m->ts.version != WIRE_WALK_KEYS && !some;
	uint32_t place = 0, count = 0;

	must(ev->walk_count <= WALK_STUBS_MAX);
	for (uint32_t i = 0; i < ev->walk_count; i++) {
		const struct entry *e = ev->walk[i];

		/* Version 0: made, and never written. */
		if (e->version == 0 || (some && !(m->ts.writer & 1u << place++)))
			continue;
		if (stubs)
			send_stub(r, to, e, chunk | count, count, a);
		else
			send_copy(r, to, e, chunk | count, a);
		count++;
	}
	send_copied(r, to, (uint32_t)(m->id >> 32), ev->walk_next, count, a);
}

void join_on_fetch(struct replica *r, const struct event *ev, struct actions *a)
{
	uint32_t chunk = (uint32_t)(ev->message->id >> 32);
	uint32_t cursor = (uint32_t)ev->message->id;
	uint8_t to = ev->header->from;

	if (!r->member || !(r->view.shadows & replica_bit(to)))
		return;
	if (ev->message->ts.version == WIRE_WALK_SESSIONS) {
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
	give_keys(r, ev, a);
}
