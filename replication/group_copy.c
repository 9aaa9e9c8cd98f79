/* SPDX-License-Identifier: Apache-2.0 */
/*
 * How a node comes by what the log in memory no longer tells it: it pulls it from the leader,
 * chunk by chunk, several under way (lane.h), while both go on. First the session table as it was
 * at one index, the start; then the keys, each as it is when its turn comes, which may be later.
 * What was applied to a key between the start and its copy the node meets again in the log, and
 * skips by the key's version (skip, group_apply.c). Of keys it gets those newer than what it has
 * applied itself; all of them, into an empty store, when the donor has forgotten tombstones since
 * then, or when it has nothing to rely on.
 */
#include "replication/group_priv.h"

#define PULL_ASKS_MAX 8u   /* asked in vain so often: begin again, of who leads now */
#define GIVE_ELECTIONS 20u /* nothing heard of it for so many election times: it has given up */

#define COPIED_WHOLE 4u /* COPIED, byte 12: what you hold is of no use */

enum fetch_what { FETCH_KEYS = 0, FETCH_SESSIONS = 1 }; /* FETCH: ts.writer */

/* ---- sessions as bytes ----------------------------------------------------------------------- */

static void pack_one(uint8_t *out, const struct session_outcome *o)
{
	memset(out, 0, PACK_ONE);
	store_u64(out, o->request);
	store_u64(out + 8, o->ts.version);
	store_u64(out + 16, (uint64_t)o->number);
	out[24] = o->fate;
	out[25] = o->status;
	out[26] = o->has_number;
}

static bool worth_packing(const struct session_outcome *o)
{
	if (mutant(175) && o->fate == OUTCOME_DONE && o->status != STATUS_OK)
		return false;
	return o->request != 0 && o->fate != OUTCOME_NONE;
}

static const struct session *slot_at_start(const struct group *g, uint32_t slot)
{
	bool frozen = (g->give.frozen[slot / 64] >> slot % 64 & 1) != 0;

	return frozen && !mutant(181) ? &g->stage.list[slot] : &g->sessions.list[slot];
}

/* pack: outcomes from *cursor (slot << 16 | place) on; returns bytes, 0: there are none left. */
static uint32_t pack(const struct group *g, uint32_t *cursor, uint8_t *out)
{
	const struct session_table *t = &g->sessions;
	uint32_t slot = *cursor >> 16, at = *cursor & 0xffff, count = 0;
	const struct session *s;

	while (slot < t->count && slot_at_start(g, slot)->client == 0) {
		slot++;
		at = 0;
	}
	if (slot >= t->count)
		return 0;
	s = slot_at_start(g, slot);
	for (; at < t->window && count < PACK_OUTCOMES; at++)
		if (worth_packing(&s->window[at]))
			pack_one(out + PACK_HEAD + PACK_ONE * count++, &s->window[at]);
	store_u64(out, s->client);
	store_u64(out + 8, s->floor);
	store_u64(out + 16, s->used_ns);
	store_u64(out + 24, s->id);
	store_u64(out + 32, g->give.dropped);
	*cursor = at < t->window ? slot << 16 | at : (slot + 1) << 16;
	return PACK_HEAD + PACK_ONE * count;
}

static void unpack_one(struct session_table *t, const struct session *s, const uint8_t *in)
{
	uint64_t version = load_u64(in + 8);
	struct session_outcome *o = session_at(t, session_place(t, s, load_u64(in)));

	*o = (struct session_outcome){
		.request = load_u64(in),
		.ts = { version, version != 0 ? GROUP_WRITER : 0 },
		.number = (int64_t)load_u64(in + 16),
		.fate = in[24], .status = in[25], .has_number = in[26] != 0,
	};
}

/* unpack: into the stage. False: malformed. */
static bool unpack(struct group *g, const uint8_t *in, uint32_t bytes)
{
	struct session_table *t = &g->stage;
	struct session *s;
	bool evicted;

	if (bytes < PACK_HEAD || (bytes - PACK_HEAD) % PACK_ONE != 0 || load_u64(in) == 0)
		return false;
	for (uint32_t at = PACK_HEAD; at < bytes; at += PACK_ONE)
		if (load_u64(in + at) == 0 || in[at + 24] > OUTCOME_DONE ||
		    in[at + 25] >= STATUS_COUNT)
			return false;
	s = session_open(t, load_u64(in), 1, load_u64(in + 16), &evicted);
	if (!s || evicted)
		return false;
	s->floor = load_u64(in + 8);
	s->used_ns = load_u64(in + 16);
	s->id = load_u64(in + 24);
	g->stage_dropped = load_u64(in + 32);
	for (uint32_t at = PACK_HEAD; at < bytes; at += PACK_ONE)
		unpack_one(t, s, in + at);
	return true;
}

static void stage_clear(struct group *g)
{
	session_table_clear(&g->stage, true);
	g->stage_dropped = 0;
}

/* ---- the node that copies -------------------------------------------------------------------- */

/*
 * forget_local: sessions that clients have here, and whose replicated ones had to make room while
 * this node did not follow: those it knew itself, made again meanwhile or not, or all, if one was
 * made that it never heard of.
 */
static void forget_local(struct replica *r, struct session_table *before, bool all)
{
	for (uint32_t i = 0; i < r->sessions.count; i++) {
		struct session *s = &r->sessions.list[i];
		struct session *was = session_of(before, s->client);
		struct session *now = session_of(&r->group->sessions, s->client);
		bool stays = !was || (now && (now->id == was->id || mutant(313)));

		if (!all && (stays || mutant(312)))
			continue;
		s->id = 0;
		s->floor = UINT64_MAX;
	}
}

/* install: sessions and keys are those of `start` now, some keys newer. */
static void install(struct replica *r, uint64_t start, uint64_t floor, uint64_t dropped)
{
	struct group *g = r->group;
	struct session_table table = g->sessions;

	if (!mutant(184)) {
		g->sessions = g->stage;
		g->stage = table;
	}
	g->sessions.complete = dropped == 0;
	forget_local(r, &table, dropped > g->applied);
	g->dropped = dropped;
	r->floor = max_u64(r->floor, floor);
	g->applied = start;
	g->is_void = false;
	raft_set_void(g->raft, false);
	for (uint32_t i = 0; i < g->entries_max; i++)
		g->size_to[i] = g->size;
}

/* needs: the log in memory does not lead on from what this node has applied. */
static bool needs(const struct replica *r)
{
	const struct group *g = r->group;

	return !r->config.witness && (g->is_void || g->restore > g->applied ||
				      (g->applied < raft_base(g->raft) && g->started));
}

static void begin(struct replica *r)
{
	struct group *g = r->group;
	struct pull *p = &g->pull;
	uint8_t leader = raft_leader(g->raft);

	*p = (struct pull){ .active = true, .donor = RAFT_NODE_NONE, .lanes = p->lanes };
	lanes_begin(&p->lanes, 1, WALK_END);
	if (leader >= r->config.node_count || leader == r->config.node) {
		p->lanes.list[0].ask_ns = r->now_ns + r->config.retransmit_ns;
		return;
	}
	g->give.active = false;
	p->donor = leader;
	p->donor_incarnation = r->peers[leader].incarnation;
	p->above = g->is_void ? 0 : g->applied;
}

static uint64_t give_ns(const struct replica *r)
{
	return GIVE_ELECTIONS * r->config.raft.election_ns;
}

/*
 * stay: whom its rate holds back says that it is still there, by a question for nothing, whose
 * answer nobody waits for: a donor that hears no questions gives up.
 */
static void stay(struct replica *r, struct actions *a)
{
	struct pull *p = &r->group->pull;
	struct wire_message *m;

	if (p->donor == RAFT_NODE_NONE || r->now_ns < p->stay_ns)
		return;
	p->stay_ns = r->now_ns + give_ns(r) / 4;
	if (mutant(275))
		return;
	m = replica_send(r, a, replica_bit(p->donor), WIRE_FETCH);
	m->id = WALK_END;
	m->ts.version = p->above;
	m->ts.writer = FETCH_KEYS;
}

static void ask(struct replica *r, struct lane *at, struct actions *a)
{
	struct group *g = r->group;
	struct pull *p = &g->pull;
	bool sessions = p->phase == PULL_SESSIONS, first = sessions && at->cursor == 0;
	struct wire_message *m;

	if (!lane_may_ask(&p->lanes, at, r->now_ns))
		return;
	p->stay_ns = r->now_ns + give_ns(r) / 4;
	if (first) {
		stage_clear(g);
		p->start = 0;
	}
	m = replica_send(r, a, replica_bit(p->donor), WIRE_FETCH);
	m->id = lane_ask(&p->lanes, at, r->now_ns, r->config.retransmit_ns);
	m->ts.version = sessions && !first ? p->start : p->above;
	m->ts.writer = sessions ? FETCH_SESSIONS : FETCH_KEYS;
}

/* answered: the lane that this message is an answer to; NULL: none, or it comes late. */
static struct lane *answered(struct replica *r, const struct event *ev)
{
	struct pull *p = &r->group->pull;

	if (!p->active || group_leads(r->group) || ev->header->from != p->donor ||
	    ev->header->from_incarnation != p->donor_incarnation)
		return NULL;
	return lane_asked(&p->lanes, ev->message->id >> 32);
}

/* take: likewise, of a part of the answer that was not in yet. */
static struct lane *take(struct replica *r, const struct event *ev)
{
	const struct wire_message *m = ev->message;
	struct lane *at = answered(r, ev);

	if (!at || !lane_take(at, (uint32_t)m->id, WALK_MAX))
		return NULL;
	lanes_pay(&r->group->pull.lanes, r->now_ns, wire_message_bytes(m),
		  r->config.join_bytes_per_s);
	r->counters.copies_merged++;
	return at;
}

/* begun: by its first answer a pass gets its start. */
static void begun(struct replica *r, uint64_t start, struct actions *a)
{
	struct group *g = r->group;

	if (g->pull.start == 0)
		group_note(r, GROUP_RECORD_BEGIN, max_u64(g->applied, 1), NULL, 0, a);
	g->pull.start = start;
}

/*
 * note_end: from here on in the log, state and sessions are those of the start; `applied` entries
 * are part of it by themselves: keys that were up to date by them did not come by copy.
 */
static void note_end(struct replica *r, uint64_t dropped, uint64_t applied, struct actions *a)
{
	struct group *g = r->group;

	store_u64(g->record_data, r->floor);
	store_u64(g->record_data + 8, dropped);
	store_u64(g->record_data + 16, applied);
	group_note(r, GROUP_RECORD_END, g->pull.start, g->record_data, GROUP_END_BYTES, a);
}

/* finish: a pass is over; raft is told by restored() if that was enough, else comes another. */
static void finish(struct replica *r, struct actions *a)
{
	struct group *g = r->group;
	struct pull *p = &g->pull;
	bool newer = g->is_void ? p->start >= raft_base(g->raft) : p->start > g->applied;
	uint64_t applied = g->is_void ? 0 : g->applied;

	p->active = false;
	g->more = true;
	if (!newer)
		return;
	r->counters.joins++;
	install(r, p->start, p->floor, g->stage_dropped);
	note_end(r, g->dropped, applied, a);
	group_hurry(r);
}

static void advance(struct replica *r, struct lane *at, struct actions *a)
{
	struct pull *p = &r->group->pull;

	if (!lane_complete(at))
		return;
	lane_answered(&p->lanes, at, r->now_ns);
	if (!lane_advance(&p->lanes, at)) {
		if (p->phase == PULL_KEYS) {
			finish(r, a);
			return;
		}
		p->phase = PULL_KEYS;
		lanes_begin(&p->lanes, r->config.join_lanes, r->config.join_places);
		at = &p->lanes.list[0];
		if (mutant(240))
			note_end(r, r->group->stage_dropped, 0, a);
	}
	if (at->open)
		ask(r, at, a);
}

void group_on_copy(struct replica *r, const struct event *ev, struct actions *a)
{
	const struct wire_message *m = ev->message;
	struct entry *e = ev->entry;
	struct lane *at = r->group->pull.phase == PULL_KEYS ? take(r, ev) : NULL;

	if (!at)
		return;
	if (m->ts.version > e->version) {
		must((uint32_t)e->key_bytes + m->value_bytes <= e->blob_capacity);
		if (m->value_bytes)
			memcpy(e->blob + e->key_bytes, m->value, m->value_bytes);
		e->value_bytes = m->value_bytes;
		e->flags = m->flags & ENTRY_TOMBSTONE;
		e->version = mutant(241) ? r->group->pull.start : m->ts.version;
		e->writer = GROUP_WRITER;
		e->base = 0;
		e->origin = 0;
		replica_persist(r, e, (struct origin){ 0, 0 }, a);
	}
	advance(r, at, a);
}

void group_on_copy_session(struct replica *r, const struct event *ev, struct actions *a)
{
	const struct wire_message *m = ev->message;
	struct group *g = r->group;
	struct pull *p = &g->pull;
	struct lane *at;

	if (p->phase != PULL_SESSIONS || (p->start != 0 && m->ts.version != p->start))
		return;
	at = take(r, ev);
	if (!at)
		return;
	begun(r, m->ts.version, a);
	if (!unpack(g, m->value, m->value_bytes)) {
		r->counters.bad_request++;
		return;
	}
	group_note(r, GROUP_RECORD_SESSION, p->start, m->value, m->value_bytes, a);
	advance(r, at, a);
}

/* empty: entries and sessions go: they are not those of any index any more. */
static void empty(struct replica *r, struct actions *a)
{
	struct group *g = r->group;
	struct action *action = replica_action(a, ACTION_RESET);

	action->persist_seq = r->persist_next++;
	r->counters.resets++;
	g->knew = max_u64(g->knew, g->applied);
	group_recover_reset(r);
	g->pull.above = 0;
}

void group_on_copied(struct replica *r, const struct event *ev, struct actions *a)
{
	const struct wire_message *m = ev->message;
	struct pull *p = &r->group->pull;
	struct lane *at = answered(r, ev);
	uint32_t expected = load_u32(m->value + 8);

	if (!at || expected > WALK_MAX)
		return;
	if (p->start != 0 && m->ts.version != p->start) {
		begin(r); /* the donor's sessions are of another index by now */
		return;
	}
	begun(r, m->ts.version, a);
	p->floor = max_u64(p->floor, load_u64(m->value));
	if ((m->value[12] & COPIED_WHOLE) && !p->whole && !mutant(183)) {
		p->whole = true;
		empty(r, a);
	}
	at->expected = expected;
	at->next = (uint32_t)m->id;
	advance(r, at, a);
}

void group_copy_recover(struct replica *r, const struct raft_record *record)
{
	const struct raft_entry *e = &record->entry;

	switch ((enum group_record)e->term) {
	case GROUP_RECORD_NONE:
		break;
	case GROUP_RECORD_BEGIN:
		stage_clear(r->group);
		break;
	case GROUP_RECORD_SESSION:
		unpack(r->group, e->data, e->bytes);
		break;
	case GROUP_RECORD_END:
		must(e->bytes == GROUP_END_BYTES || e->bytes == GROUP_END_BYTES_SHORT);
		install(r, e->index, load_u64(e->data), load_u64(e->data + 8));
		break;
	}
}

/* ---- the donor ------------------------------------------------------------------------------- */

/* group_copy_touch: this slot of the table is about to change: who copies needs it as it is. */
void group_copy_touch(struct group *g, uint32_t slot)
{
	uint64_t bit = 1ull << slot % 64;
	struct session_outcome *window = g->stage.list[slot].window;

	if (!g->give.active || (g->give.frozen[slot / 64] & bit))
		return;
	g->give.frozen[slot / 64] |= bit;
	g->stage.list[slot] = g->sessions.list[slot];
	g->stage.list[slot].window = window;
	memcpy(window, g->sessions.list[slot].window, g->sessions.window * sizeof(*window));
}

/*
 * admit: a node begins a pass; one at a time. The leader need not have committed anything in its
 * term yet: it may need this very node for that.
 */
static bool admit(struct replica *r, const struct wire_header *h, uint32_t chunk)
{
	struct group *g = r->group;
	struct give *v = &g->give;
	bool same = v->active && v->to == h->from && v->to_incarnation == h->from_incarnation;

	if (!group_leads(g) || (v->active && v->to != h->from))
		return false;
	if (same && chunk <= v->chunk)
		return false;
	*v = (struct give){ .active = true, .to = h->from,
			    .to_incarnation = h->from_incarnation, .chunk = chunk,
			    .start = g->applied, .dropped = g->dropped };
	return true;
}

static void send_copied(struct replica *r, const struct wire_message *fetch, uint32_t next,
			uint32_t count, bool whole, struct actions *a)
{
	struct group *g = r->group;
	struct wire_message m = {
		.type = WIRE_COPIED,
		.id = fetch->id >> 32 << 32 | next,
		.ts.version = g->give.start,
		.value = r->copied,
		.value_bytes = WIRE_COPIED_BYTES,
	};

	memset(r->copied, 0, sizeof(r->copied));
	store_u64(r->copied, r->floor);
	store_u32(r->copied + 8, count);
	r->copied[12] = whole ? COPIED_WHOLE : 0;
	*replica_send(r, a, replica_bit(g->give.to), m.type) = m;
}

static void give_sessions(struct replica *r, const struct wire_message *fetch, bool whole,
			  struct actions *a)
{
	struct group *g = r->group;
	uint32_t cursor = (uint32_t)fetch->id, count = 0;

	while (count < PACKS_MAX) {
		uint32_t bytes = pack(g, &cursor, g->packs[count]);
		struct wire_message m = {
			.type = WIRE_COPY_SESSION,
			.id = fetch->id >> 32 << 32 | count,
			.ts.version = g->give.start,
			.value = g->packs[count],
			.value_bytes = (uint16_t)bytes,
		};

		if (bytes == 0) {
			cursor = WALK_END;
			break;
		}
		*replica_send(r, a, replica_bit(g->give.to), m.type) = m;
		count++;
	}
	send_copied(r, fetch, cursor, count, whole, a);
}

static void give_keys(struct replica *r, const struct event *ev, struct actions *a)
{
	const struct wire_message *fetch = ev->message;
	uint32_t count = 0;

	must(ev->walk_count <= WALK_MAX);
	for (uint32_t i = 0; i < ev->walk_count; i++) {
		const struct entry *e = ev->walk[i];
		struct wire_message m = {
			.type = WIRE_COPY,
			.flags = e->flags | WIRE_VALID,
			.key_bytes = e->key_bytes,
			.value_bytes = e->value_bytes,
			.ts = entry_ts(e),
			.id = fetch->id >> 32 << 32 | count,
			.key = e->blob,
			.value = entry_value(e),
		};

		if (e->version <= fetch->ts.version)
			continue;
		count++;
		r->counters.copies_sent++;
		*replica_send(r, a, replica_bit(r->group->give.to), m.type) = m;
	}
	send_copied(r, fetch, ev->walk_next, count, false, a);
}

void group_on_fetch(struct replica *r, const struct event *ev, struct actions *a)
{
	const struct wire_message *fetch = ev->message;
	struct group *g = r->group;
	struct give *v = &g->give;
	bool sessions = fetch->ts.writer == FETCH_SESSIONS;
	bool first = sessions && (uint32_t)fetch->id == 0;

	if (g->is_void || g->pull.active)
		return;
	if (first && !admit(r, ev->header, (uint32_t)(fetch->id >> 32)))
		return;
	if (!v->active || v->to != ev->header->from ||
	    v->to_incarnation != ev->header->from_incarnation)
		return;
	v->until_ns = r->now_ns + give_ns(r);
	if (sessions)
		give_sessions(r, fetch, first && r->floor > fetch->ts.version, a);
	else
		give_keys(r, ev, a);
}

bool group_walk(const struct replica *r, const struct wire_message *fetch, uint64_t *ret_above)
{
	must(r->group != NULL);
	*ret_above = fetch->ts.version;
	return fetch->ts.writer == FETCH_KEYS && (uint32_t)fetch->id != WALK_END;
}

uint64_t group_copy_holds(const struct replica *r)
{
	return r->group->give.active && !mutant(244) ? r->group->give.start : UINT64_MAX;
}

/*
 * group_can_collect: in the order of the log nobody needs a tombstone; but who copies meets parts
 * of it again, and must see that the key has gone on.
 */
bool group_can_collect(const struct replica *r, const struct entry *e)
{
	const struct group *g = r->group;

	if (!(e->flags & ENTRY_TOMBSTONE) || e->version > g->applied || g->is_void || r->failed)
		return false;
	if ((g->give.active || g->pull.active) && !mutant(177))
		return false;
	/*
	 * Who was away for a while gets by with what is new, as long as all tombstones since are
	 * there: since what it surely applies by itself when it starts again.
	 */
	return e->persist_seq <= r->durable_seq &&
	       (e->version + g->entries_max <= g->all_have || r->space != SPACE_OK);
}

/* ---- time ------------------------------------------------------------------------------------ */

static void expire_give(struct replica *r)
{
	struct group *g = r->group;
	struct give *v = &g->give;
	bool has_it = group_leads(g) && raft_match(g->raft, v->to) >= v->start;

	if (v->active && (has_it || r->now_ns >= v->until_ns))
		v->active = false;
}

/* in_vain: nobody has answered, for too long; or there was nobody to ask. */
static bool in_vain(const struct replica *r, struct lane *at)
{
	const struct pull *p = &r->group->pull;

	if (p->donor == RAFT_NODE_NONE)
		return true;
	if (p->donor_incarnation != r->peers[p->donor].incarnation && !mutant(270))
		return true; /* it has begun another life, and knows of no copy */
	if (at->paced || at->chunk == 0 || at->silent++ < PULL_ASKS_MAX || mutant(243))
		return false;
	return p->donor != raft_leader(r->group->raft) || at->silent >= 4 * PULL_ASKS_MAX;
}

void group_copy_tick(struct replica *r, struct actions *a)
{
	struct pull *p = &r->group->pull;
	struct lane *at;
	uint32_t i = 0;

	expire_give(r);
	if (!needs(r) || group_leads(r->group)) {
		p->active = false;
		return;
	}
	if (!p->active)
		begin(r);
	while (group_has_room(a, 2) && (at = lane_due(&p->lanes, &i, r->now_ns))) {
		if (in_vain(r, at)) {
			begin(r);
			at = &p->lanes.list[0];
		}
		if (p->donor != RAFT_NODE_NONE)
			ask(r, at, a);
	}
	if (group_has_room(a, 1))
		stay(r, a);
}

uint64_t group_copy_deadline_ns(const struct replica *r)
{
	const struct group *g = r->group;
	uint64_t deadline = g->give.active ? g->give.until_ns : UINT64_MAX;

	if (!g->pull.active)
		return deadline;
	deadline = min_u64(deadline, lanes_deadline_ns(&g->pull.lanes));
	return g->pull.donor == RAFT_NODE_NONE ? deadline : min_u64(deadline, g->pull.stay_ns);
}
