/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Log entries of the raft engine: their bytes, and what each does to its key and to its client's
 * session. Everything that is decided here must come out the same at every replica: it may rest on
 * the entry, its index, the key's entry and the replicated session table, and on nothing else.
 */
#include "replication/group_priv.h"
#include "replication/number.h"

_Static_assert(WIRE_CASV - WIRE_GET < 16, "a type is four bits");

/* ---- bytes ----------------------------------------------------------------------------------- */

uint32_t group_encode(uint8_t *out, const struct command *c)
{
	uint64_t type = (uint64_t)(c->type - WIRE_GET);

	store_u64(out, type | (uint64_t)c->flags << 4 | c->expected << 8);
	store_u64(out + 8, c->origin.client);
	store_u64(out + 16, c->origin.request);
	store_u32(out + 24, c->seen);
	store_u16(out + 28, c->key_bytes);
	store_u16(out + 30, c->back);
	memcpy(out + GROUP_HEAD_BYTES, c->key, c->key_bytes);
	if (c->value_bytes)
		memcpy(out + GROUP_HEAD_BYTES + c->key_bytes, c->value, c->value_bytes);
	return GROUP_HEAD_BYTES + c->key_bytes + c->value_bytes;
}

static bool lengths_ok(const struct command *c)
{
	if (c->key_bytes < 1 || c->key_bytes > KEY_BYTES_MAX || c->value_bytes > VALUE_BYTES_MAX)
		return false;
	if (c->type == WIRE_DEL)
		return c->value_bytes == 0;
	if (c->type == WIRE_INCR)
		return c->value_bytes == 8;
	return c->type != WIRE_CASV || c->expected <= c->value_bytes;
}

bool group_decode(const uint8_t *data, uint32_t bytes, struct command *ret_command)
{
	struct command c = { 0 };
	uint64_t word;

	if (bytes < GROUP_HEAD_BYTES || bytes > RAFT_ENTRY_BYTES_MAX)
		return false;
	word = load_u64(data);
	c.type = (enum wire_type)(WIRE_GET + (word & 0xf));
	c.flags = word >> 4 & 0xf;
	c.expected = word >> 8;
	c.origin = (struct origin){ load_u64(data + 8), load_u64(data + 16) };
	c.seen = load_u32(data + 24);
	c.key_bytes = load_u16(data + 28);
	c.back = load_u16(data + 30);
	if (c.type <= WIRE_GET || c.type > WIRE_CASV || (c.flags & ~(GROUP_OLD | GROUP_BELOW)))
		return false;
	if (c.key_bytes > bytes - GROUP_HEAD_BYTES || !c.origin.client || !c.origin.request)
		return false;
	c.value_bytes = (uint16_t)(bytes - GROUP_HEAD_BYTES - c.key_bytes);
	if (!lengths_ok(&c))
		return false;
	c.key = data + GROUP_HEAD_BYTES;
	c.value = c.key + c.key_bytes;
	*ret_command = c;
	return true;
}

/* ---- sessions -------------------------------------------------------------------------------- */

/* seen_of: the index whose low half the command carries: at most 2^32 entries before its own. */
static uint64_t seen_of(const struct command *c, uint64_t index)
{
	return index - (uint32_t)((uint32_t)index - c->seen);
}

static struct session_outcome *place_of(const struct session_table *t, const struct session *s,
					uint64_t request)
{
	return session_at(t, session_place(t, s, request));
}

struct session_outcome *group_outcome(struct group *g, struct origin origin, bool *ret_old)
{
	struct session *s = session_of(&g->sessions, origin.client);
	struct session_outcome *o = s ? place_of(&g->sessions, s, origin.request) : NULL;

	*ret_old = o && o->request > origin.request;
	return o && o->request == origin.request && o->fate != OUTCOME_NONE ? o : NULL;
}

/* slot_for: where session_open will put a new session. */
static uint32_t slot_for(const struct session_table *t)
{
	uint32_t oldest = 0;

	for (uint32_t i = 0; i < t->count; i++) {
		if (t->list[i].client == 0)
			return i;
		if (t->list[i].used_ns < t->list[oldest].used_ns)
			oldest = i;
	}
	return oldest;
}

/*
 * make_session: of a client that has none. The least recently used one makes room: by the log, so
 * the same everywhere. Its client's session with this node ends with it: what is numbered by that
 * client from now on it numbers after this (S-EVICT).
 */
static struct session *make_session(struct replica *r, const struct command *c, uint64_t index)
{
	struct group *g = r->group;
	uint32_t slot = slot_for(&g->sessions);
	uint64_t victim = g->sessions.list[slot].client;
	uint64_t first = c->origin.request - (c->back < c->origin.request ? c->back : 0);
	struct session *s;
	bool evicted;

	group_copy_touch(g, slot);
	if (victim != 0) {
		s = session_of(&r->sessions, victim);
		if (s) {
			s->id = 0;
			s->floor = UINT64_MAX;
		}
		g->dropped = mutant(311) ? index :
					   max_u64(g->dropped, g->sessions.list[slot].used_ns);
		r->counters.sessions_evicted++;
	}
	s = session_open(&g->sessions, c->origin.client, first, index, &evicted);
	must(s && (uint32_t)(s - g->sessions.list) == slot && evicted == (victim != 0));
	s->id = index;
	return s;
}

static bool table_full(const struct session_table *t)
{
	return t->list[slot_for(t)].client != 0;
}

enum verdict {
	VERDICT_RUN,	   /* first time; *ret_outcome: where its outcome goes */
	VERDICT_KNOWN,	   /* *ret_outcome is what became of it */
	VERDICT_FORGOTTEN, /* may have been executed and forgotten: never again */
};

/*
 * judge: has this request been here before? The table remembers all that was executed for a client
 * since its session was made. Whoever asked for the entry had no answer to it as of `seen`, and
 * knew a session with the client from after whatever was dropped of it by then, and the first
 * request not used at that time. So what was executed and forgotten was executed after `seen`, by
 * a session used after it; if none that was used since has had to make room, a client without a
 * session has executed nothing from that first one on. (Whether one has made room since is not the
 * question: with a full table every new client makes one, and a node a step behind the leader
 * would answer its own new clients EVICTED.) It rests on two things beside: a client's session with
 * a node ends when its replicated one does, applied there or passed by a copy (forget_local); and
 * what is OLD is refused by a session that has a floor, whose floor may be from before.
 */
static enum verdict judge(struct replica *r, const struct command *c, uint64_t index,
			  struct session_outcome **ret_outcome)
{
	struct group *g = r->group;
	struct session_table *t = &g->sessions;
	struct session *s = session_of(t, c->origin.client);
	uint64_t request = c->origin.request;
	uint64_t seen = seen_of(c, index);
	bool since_then = s && s->id <= seen;
	struct session_outcome *o;

	*ret_outcome = NULL;
	if (s) {
		group_copy_touch(g, (uint32_t)(s - t->list));
		s->used_ns = mutant(185) ? r->now_ns : index;
		o = *ret_outcome = place_of(t, s, request);
		if (o->request == request && o->fate != OUTCOME_NONE && !mutant(172))
			return VERDICT_KNOWN;
		if (o->request > request)
			return VERDICT_FORGOTTEN;
	}
	if (!since_then && g->dropped > seen && !mutant(171))
		return VERDICT_FORGOTTEN;
	if (!s) {
		if ((c->flags & GROUP_BELOW) && (!t->complete || table_full(t)))
			return VERDICT_FORGOTTEN;
		s = make_session(r, c, index);
		*ret_outcome = place_of(t, s, request);
	}
	if (request < s->floor || (s->floor != 0 && (c->flags & GROUP_OLD)))
		return VERDICT_FORGOTTEN;
	return VERDICT_RUN;
}

bool group_result(const struct session_outcome *o, struct wire_message *ret_result)
{
	struct wire_message m = { .type = WIRE_RESULT, .id = o->request, .ts = o->ts };

	m.status = o->fate == OUTCOME_DONE ? o->status : STATUS_UNKNOWN;
	if (o->fate == OUTCOME_DONE && o->has_number) {
		m.value = (const uint8_t *)&o->number;
		m.value_bytes = sizeof(o->number);
	}
	*ret_result = m;
	return o->fate == OUTCOME_DONE;
}

/* ---- keys ------------------------------------------------------------------------------------ */

static void set(struct entry *e, const uint8_t *value, uint16_t bytes, uint8_t flags,
		uint64_t index)
{
	must((uint32_t)e->key_bytes + bytes <= e->blob_capacity);
	if (bytes)
		memcpy(e->blob + e->key_bytes, value, bytes);
	e->value_bytes = bytes;
	e->flags = flags;
	e->version = index;
	e->writer = GROUP_WRITER;
	e->persist_seq = 0;
	e->base = 0;
	e->origin = 0;
}

static bool matches(const struct entry *e, const struct command *c)
{
	if (c->type == WIRE_CASV)
		return entry_exists(e) && e->value_bytes == c->expected &&
		       memcmp(entry_value(e), c->value, e->value_bytes) == 0;
	return entry_exists(e) || mutant(242) ? e->version == c->expected : c->expected == 0;
}

static enum status increment(struct entry *e, const struct command *c, uint64_t index,
			     struct session_outcome *o)
{
	uint8_t text[INCR_BYTES_MAX];
	int64_t number = 0;

	if (entry_exists(e) && !number_parse(entry_value(e), e->value_bytes, &number))
		return STATUS_NOT_A_NUMBER;
	if (__builtin_add_overflow(number, (int64_t)load_u64(c->value), &number))
		return STATUS_OVERFLOW;
	set(e, text, number_print(text, number), 0, index);
	o->has_number = true;
	o->number = number;
	return STATUS_OK;
}

/* run: the command, at its place in the log. e is NULL for want of an entry (DEL). */
static enum status run(struct entry *e, const struct command *c, uint64_t index,
		       struct session_outcome *o)
{
	uint16_t skip = c->type == WIRE_CASV ? (uint16_t)c->expected : 0;
	enum status status = STATUS_OK;

	if (c->type == WIRE_DEL && (!e || !entry_exists(e)))
		status = STATUS_NOT_FOUND;
	else if (c->type == WIRE_DEL)
		set(e, NULL, 0, ENTRY_TOMBSTONE, index);
	else if (c->type == WIRE_INCR)
		status = increment(e, c, index, o);
	else if (c->type != WIRE_PUT && !matches(e, c))
		status = STATUS_CONFLICT;
	else
		set(e, c->value + skip, (uint16_t)(c->value_bytes - skip), 0, index);
	/* Of an absent key no version is told: a tombstone is not there at every replica. */
	if (e && (status == STATUS_OK || entry_exists(e)))
		o->ts = entry_ts(e);
	return status;
}

/*
 * skip: the key came by copy and holds this update already, or a later one. What the command
 * answered is known if it was the last one to change the key; else nobody here can tell, and a
 * client that asks this node is told so. That it was executed stands either way.
 */
static void skip(const struct entry *e, const struct command *c, uint64_t index,
		 struct session_outcome *o)
{
	bool known = e->version == index;

	if (known && c->type == WIRE_INCR)
		known = number_parse(entry_value(e), e->value_bytes, &o->number);
	o->has_number = known && c->type == WIRE_INCR;
	o->fate = known ? OUTCOME_DONE : OUTCOME_UNSURE;
	o->status = STATUS_OK;
	o->ts = entry_ts(e);
}

static void fail(struct replica *r)
{
	r->failed = true;
}

/* apply: the entry behind `applied`. False: there is no room for its key: this node must stop. */
static bool apply(struct replica *r, const struct command *c, struct entry *e, struct actions *a)
{
	struct group *g = r->group;
	uint64_t index = g->applied + 1;
	struct wire_message result = { .type = WIRE_RESULT, .id = c->origin.request };
	struct session_outcome *o;
	enum verdict verdict;

	if (!e && c->type != WIRE_DEL)
		return false;
	verdict = judge(r, c, index, &o);
	if (verdict == VERDICT_RUN) {
		*o = (struct session_outcome){ .request = c->origin.request, .key = index,
					       .fate = OUTCOME_DONE };
		if (e && e->version >= index && !mutant(174))
			skip(e, c, index, o);
		else
			o->status = (uint8_t)run(e, c, index, o);
		r->counters.commits++;
		r->counters.conflicts += o->status == STATUS_CONFLICT;
	}
	if (verdict != VERDICT_FORGOTTEN) {
		r->counters.duplicate_requests += verdict == VERDICT_KNOWN;
		group_result(o, &result);
	} else {
		struct session *s = session_of(&g->sessions, c->origin.client);

		result.status = STATUS_EVICTED;
		r->counters.evicted_requests++;
		if (s)
			session_forget(&g->sessions, s, c->origin.request);
	}
	group_answer(r, c, &result, a);
	return true;
}

/* ---- in order -------------------------------------------------------------------------------- */

void group_count_size(struct group *g, uint64_t index, uint32_t bytes)
{
	must(index == g->applied + 1);
	g->applied = index;
	g->size += bytes;
	g->size_to[index & (g->entries_max - 1)] = g->size;
}

static uint32_t room_wanted(const struct command *c)
{
	uint32_t first = c->type == WIRE_CASV ? (uint32_t)c->expected : 0;

	return c->type == WIRE_INCR ? INCR_BYTES_MAX : c->value_bytes - first;
}

bool group_apply_wanted(struct replica *r)
{
	struct group *g = r->group;
	uint64_t limit = g->recovering ? g->recover_to : raft_commit(g->raft);
	const struct ask *k;

	if (g->is_void || r->failed || g->applied < raft_base(g->raft))
		return false;
	while (g->applied < limit) {
		struct raft_entry re;
		struct command c;

		raft_entry(g->raft, g->applied + 1, &re);
		if (re.kind == RAFT_ENTRY_DATA && !(re.flags & RAFT_STRIPPED) &&
		    group_decode(re.data, re.bytes, &c)) {
			g->wanted = (struct wire_message){
				.type = c.type == WIRE_DEL ? WIRE_GET : WIRE_PUT,
				.id = re.index, .key = c.key, .key_bytes = c.key_bytes,
				.value_bytes = (uint16_t)room_wanted(&c),
			};
			return true;
		}
		group_count_size(g, re.index, re.bytes);
	}
	k = g->recovering ? NULL : group_read_ready(r);
	if (!k)
		return false;
	g->wanted = (struct wire_message){ .type = WIRE_GET, .key = ask_data(g, k),
					   .key_bytes = k->bytes };
	return true;
}

void group_apply(struct replica *r, struct entry *e, struct actions *a)
{
	struct group *g = r->group;
	struct raft_entry re;
	struct command c;

	if (!group_apply_wanted(r))
		return;
	if (g->wanted.id == 0) {
		group_serve_read(r, e, a);
		return;
	}
	raft_entry(g->raft, g->wanted.id, &re);
	must(re.index == g->applied + 1 && group_decode(re.data, re.bytes, &c));
	if (!apply(r, &c, e, a)) {
		fail(r);
		return;
	}
	group_count_size(g, re.index, re.bytes);
}
