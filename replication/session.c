/* SPDX-License-Identifier: Apache-2.0 */
#include "replication/session.h"

_Static_assert(SESSION_PACK_BYTES <= VALUE_BYTES_MAX, "a pack travels as one message's value");

/* splitmix64 (public domain, S. Vigna): one step of a well-mixed sequence. */
static uint64_t mix(uint64_t *state)
{
	uint64_t z = (*state += 0x9e3779b97f4a7c15ull);

	z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9ull;
	z = (z ^ (z >> 27)) * 0x94d049bb133111ebull;
	return z ^ (z >> 31);
}

/* ---- memory and the index by client ---------------------------------------------------------- */

static uint32_t index_slots(uint32_t count)
{
	uint32_t slots = 4;

	while (slots < 2 * count)
		slots *= 2;
	return slots;
}

uint64_t session_table_size(uint32_t count, uint32_t window)
{
	return (uint64_t)count * window * sizeof(struct session_outcome) +
	       (uint64_t)count * sizeof(struct session) +
	       round_up(index_slots(count) * sizeof(uint16_t), 8);
}

void session_table_init(struct session_table *t, void *mem, uint32_t count, uint32_t window,
			uint64_t seed)
{
	struct session_outcome *outcomes = mem;

	must(count >= 1 && count <= SESSIONS_MAX);
	must(window >= 4 && window <= SESSION_WINDOW && (window & (window - 1)) == 0);
	*t = (struct session_table){
		.seed = seed,
		.count = count,
		.window = window,
		.window_shift = (uint32_t)__builtin_ctz(window),
		.index_mask = index_slots(count) - 1,
		.outcomes = outcomes,
		.list = (struct session *)(void *)(outcomes + (size_t)count * window),
	};
	t->index = (uint16_t *)(void *)(t->list + count);
	for (uint32_t i = 0; i < count; i++)
		t->list[i] = (struct session){ .window = outcomes + (size_t)i * window };
	session_table_clear(t, true);
}

void session_table_clear(struct session_table *t, bool complete)
{
	t->complete = complete;
	t->blind = false;
	t->dropped = 0;
	memset(t->index, 0, (t->index_mask + 1) * sizeof(*t->index));
	for (uint32_t i = 0; i < t->count; i++) {
		struct session_outcome *window = t->list[i].window;

		if (t->list[i].client != 0) /* links may still lead there */
			memset(window, 0, t->window * sizeof(*window));
		t->list[i] = (struct session){ .window = window };
	}
}

static uint32_t index_home(const struct session_table *t, uint64_t client)
{
	return (uint32_t)(client * 0x9e3779b97f4a7c15ull >> 32) & t->index_mask;
}

struct session *session_of(struct session_table *t, uint64_t client)
{
	for (uint32_t i = index_home(t, client);; i = (i + 1) & t->index_mask) {
		struct session *s;

		if (t->index[i] == 0)
			return NULL;
		s = &t->list[t->index[i] - 1];
		if (s->client == client)
			return s;
	}
}

static void index_add(struct session_table *t, const struct session *s)
{
	uint32_t i = index_home(t, s->client);

	while (t->index[i] != 0)
		i = (i + 1) & t->index_mask;
	t->index[i] = (uint16_t)(s - t->list + 1);
}

/* index_remove: closes the gap, so that no probe stops early. */
static void index_remove(struct session_table *t, const struct session *s)
{
	uint32_t gap = index_home(t, s->client);

	while (t->index[gap] != (uint16_t)(s - t->list + 1))
		gap = (gap + 1) & t->index_mask;
	for (uint32_t i = (gap + 1) & t->index_mask; t->index[i] != 0;
	     i = (i + 1) & t->index_mask) {
		uint32_t home = index_home(t, t->list[t->index[i] - 1].client);

		if (((i - home) & t->index_mask) < ((i - gap) & t->index_mask))
			continue; /* it may not move in front of its home */
		t->index[gap] = t->index[i];
		gap = i;
	}
	t->index[gap] = 0;
}

/* ---- sessions -------------------------------------------------------------------------------- */

/* make: the session of a client not in the table; NULL when every session runs something. */
static struct session *make(struct session_table *t, uint64_t client, uint64_t floor,
			    bool *ret_evicted)
{
	struct session *victim = NULL;

	*ret_evicted = false;
	for (uint32_t i = 0; i < t->count; i++) {
		struct session *s = &t->list[i];

		if (s->client == 0) {
			victim = s;
			break;
		}
		if (s->running == 0 && (!victim || s->used_ns < victim->used_ns))
			victim = s;
	}
	if (!victim || victim->client != 0) {
		t->complete = false;
		t->dropped++;
	}
	if (!victim)
		return NULL;
	if (victim->client != 0) {
		*ret_evicted = true;
		index_remove(t, victim);
	}
	/* A client that never was here was never here before either: nothing to be forgotten. */
	*victim = (struct session){ .client = client,
				    .floor = t->complete || mutant(31) ? 0 : floor,
				    .window = victim->window };
	memset(victim->window, 0, t->window * sizeof(*victim->window));
	index_add(t, victim);
	return victim;
}

struct session *session_open(struct session_table *t, uint64_t client, uint64_t first,
			     uint64_t now_ns, bool *ret_evicted)
{
	struct session *s = session_of(t, client);

	*ret_evicted = false;
	if (!s || mutant(251))
		s = make(t, client, first, ret_evicted);
	if (!s)
		return NULL;
	if (s->id == 0 && !mutant(31)) /* from here on it hears of everything itself */
		s->floor = min_u64(s->floor, first);
	if (s->id == 0) /* the slot sits in the low bits; never 0, never a number used before */
		s->id = (mix(&t->seed) & ~(uint64_t)0xffff) | (uint64_t)(s - t->list + 1);
	s->used_ns = now_ns;
	return s;
}

struct session *session_find(struct session_table *t, uint64_t id)
{
	uint64_t slot = (id & 0xffff) - 1;

	if (id == 0 || slot >= t->count || t->list[slot].id != id)
		return NULL;
	return &t->list[slot];
}

/* ---- outcomes -------------------------------------------------------------------------------- */

static struct session_outcome *place(const struct session_table *t, const struct session *s,
				     uint64_t request)
{
	return &s->window[request & (t->window - 1)];
}

uint32_t session_place(const struct session_table *t, const struct session *s, uint64_t request)
{
	return (uint32_t)(place(t, s, request) - t->outcomes) + 1;
}

enum session_verdict session_check(struct session_table *t, struct session *s, uint64_t request,
				   struct session_outcome **ret_outcome)
{
	struct session_outcome *o = place(t, s, request);

	*ret_outcome = o;
	if (mutant(11) && o->fate == OUTCOME_DONE)
		return SESSION_NEW;
	if (o->request == request) {
		if (o->running)
			return SESSION_RUNNING;
		if (o->fate == OUTCOME_DONE)
			return SESSION_DONE;
		return SESSION_KNOWN;
	}
	if (o->request > request)
		return SESSION_OLD;
	return o->running ? SESSION_FULL : SESSION_NEW;
}

struct session_outcome *session_begin(struct session_table *t, struct session *s, uint64_t request)
{
	struct session_outcome *o = place(t, s, request);

	must(!o->running || mutant(11));
	must(request >= o->request);
	if (o->request != request || o->fate == OUTCOME_DONE)
		*o = (struct session_outcome){ .request = request };
	o->running = true;
	s->running++;
	return o;
}

void session_forget(struct session_table *t, struct session *s, uint64_t request)
{
	struct session_outcome *o = place(t, s, request);

	if (!o->running && o->request <= request)
		*o = (struct session_outcome){ .request = request, .fate = OUTCOME_UNSURE };
}

void session_stop(struct session *s, struct session_outcome *o)
{
	must(o->running && s->running > 0);
	o->running = false;
	s->running--;
}

uint32_t session_seen(struct session_table *t, const struct origin *origin, uint64_t key,
		      struct op_ts ts, enum outcome_fate fate, uint64_t now_ns,
		      struct session_outcome **ret_outcome)
{
	struct session *s = session_of(t, origin->client);
	struct session_outcome *o;
	bool evicted;

	*ret_outcome = NULL;
	/* Nobody here knows how far its requests had got; when it opens a session it will say. */
	if (!s)
		s = make(t, origin->client, UINT64_MAX, &evicted);
	if (!s) {
		t->blind = true;
		return 0;
	}
	s->used_ns = now_ns;
	o = place(t, s, origin->request);
	if (o->request > origin->request)
		return 0; /* it left the window: its client has long heard of it, or given up */
	if (o->request != origin->request && o->running) {
		t->blind = true; /* a client that has given up on what still runs here */
		return 0;
	}
	if (o->request != origin->request)
		*o = (struct session_outcome){ .request = origin->request };
	/* The same update once more, perhaps settled, or an older try of it: nothing new. */
	if (o->ts.version == 0 || op_ts_compare(ts, o->ts) > 0) {
		bool forgotten = o->fate == OUTCOME_UNSURE && o->ts.version == 0;

		o->ts = ts;
		o->key = key;
		if (o->fate != OUTCOME_DONE && !forgotten)
			o->fate = (uint8_t)fate;
	}
	if (o->key == 0 && op_ts_compare(ts, o->ts) == 0 && !mutant(98))
		o->key = key; /* copied from another node, whose hashes are others */
	*ret_outcome = o;
	return (uint32_t)(o - t->outcomes) + 1;
}

/* ---- bulk copy ------------------------------------------------------------------------------- */

/* worth_copying: a refusal is not: what was refused did not happen. */
static bool worth_copying(const struct session_outcome *o)
{
	if (o->request == 0 || o->fate == OUTCOME_NONE || o->fate == OUTCOME_DEAD)
		return false;
	return o->fate != OUTCOME_DONE || o->status == STATUS_OK;
}

static void pack_one(uint8_t *out, const struct session_outcome *o)
{
	store_u64(out, o->request);
	store_u64(out + 8, o->ts.version);
	store_u32(out + 16, o->ts.writer);
	out[20] = o->fate == OUTCOME_DONE ? OUTCOME_TOOK : o->fate;
	out[21] = o->has_number;
	store_u16(out + 22, 0);
	store_u64(out + 24, (uint64_t)o->number);
}

/* A cursor is slot << 16 | place. Every session is sent, were it only for its floor. */
uint32_t session_pack(const struct session_table *t, uint32_t *cursor, uint8_t *out)
{
	uint32_t slot = *cursor >> 16;
	uint32_t at = *cursor & 0xffff;
	uint32_t count = 0;

	while (slot < t->count && t->list[slot].client == 0) {
		slot++;
		at = 0;
	}
	if (slot >= t->count)
		return 0;
	for (; at < t->window && count < SESSION_PACK_MAX; at++)
		if (worth_copying(&t->list[slot].window[at]))
			pack_one(out + SESSION_PACK_HEAD + SESSION_PACK_ONE * count++,
				 &t->list[slot].window[at]);
	store_u64(out, t->list[slot].client);
	store_u64(out + 8, t->list[slot].floor);
	store_u64(out + 16, count);
	*cursor = at < t->window ? slot << 16 | at : (slot + 1) << 16;
	return SESSION_PACK_HEAD + SESSION_PACK_ONE * count;
}

static void unpack_one(struct session_table *t, const struct session *s, const uint8_t *in)
{
	uint64_t request = load_u64(in);
	struct op_ts ts = { load_u64(in + 8), load_u32(in + 16) };
	struct session_outcome *o = place(t, s, request);

	if (o->request > request || (o->request == request && op_ts_compare(o->ts, ts) > 0))
		return;
	/* What happened to it here since then is newer than what the donor knew. */
	if (o->request == request && op_ts_compare(o->ts, ts) == 0 && o->fate != OUTCOME_SEEN)
		return;
	*o = (struct session_outcome){ .request = request, .ts = ts, .fate = in[20],
				       .key = o->request == request ? o->key : 0,
				       .has_number = in[21] != 0,
				       .number = in[21] ? (int64_t)load_u64(in + 24) : 0 };
}

bool session_unpack(struct session_table *t, const uint8_t *in, uint32_t bytes, uint64_t now_ns)
{
	uint64_t count = bytes >= SESSION_PACK_HEAD ? load_u64(in + 16) : SESSION_PACK_MAX + 1;
	uint64_t client = bytes >= SESSION_PACK_HEAD ? load_u64(in) : 0;
	struct session *s;
	bool evicted;

	if (client == 0 || count > SESSION_PACK_MAX ||
	    bytes != SESSION_PACK_HEAD + SESSION_PACK_ONE * count)
		return false;
	for (uint32_t i = 0; i < count; i++) {
		const uint8_t *one = in + SESSION_PACK_HEAD + SESSION_PACK_ONE * i;

		if (load_u64(one) == 0 || one[20] < OUTCOME_SEEN || one[20] > OUTCOME_UNSURE)
			return false;
	}
	s = session_of(t, client);
	if (!s)
		s = make(t, client, 0, &evicted);
	if (!s)
		return true; /* no room: forgotten, and the table knows that it forgets */
	s->used_ns = now_ns;
	s->floor = t->dropped == 0 ? load_u64(in + 8) : max_u64(s->floor, load_u64(in + 8));
	for (uint32_t i = 0; i < count; i++)
		unpack_one(t, s, in + SESSION_PACK_HEAD + SESSION_PACK_ONE * i);
	return true;
}

void session_unpacked(struct session_table *t, bool complete)
{
	t->complete = complete && t->dropped == 0;
}
