/* SPDX-License-Identifier: Apache-2.0 */
#include "replication/session.h"

/* splitmix64 (public domain, S. Vigna): one step of a well-mixed sequence. */
static uint64_t mix(uint64_t *state)
{
	uint64_t z = (*state += 0x9e3779b97f4a7c15ull);

	z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9ull;
	z = (z ^ (z >> 27)) * 0x94d049bb133111ebull;
	return z ^ (z >> 31);
}

void session_table_init(struct session_table *t, struct session *list, uint32_t count,
			uint64_t seed)
{
	must(count >= 1 && count <= SESSIONS_MAX);
	for (uint32_t i = 0; i < count; i++)
		list[i].id = 0;
	*t = (struct session_table){ .seed = seed, .count = count, .list = list };
}

static struct session *session_victim(struct session_table *t, uint64_t nonce)
{
	struct session *victim = NULL;

	for (uint32_t i = 0; i < t->count; i++) {
		struct session *s = &t->list[i];

		if (s->id != 0 && s->nonce == nonce)
			return s;
		if (s->id != 0 && s->open != 0)
			continue;
		if (!victim || (victim->id != 0 && (s->id == 0 || s->used_ns < victim->used_ns)))
			victim = s;
	}
	return victim;
}

struct session *session_open(struct session_table *t, uint64_t nonce, uint64_t now_ns,
			     bool *ret_evicted)
{
	struct session *s = session_victim(t, nonce);

	*ret_evicted = false;
	if (!s)
		return NULL;
	if (s->id == 0 || s->nonce != nonce) {
		*ret_evicted = s->id != 0;
		memset(s, 0, sizeof(*s));
		/* The slot sits in the low bits; never 0, and never a number used before. */
		s->id = (mix(&t->seed) & ~(uint64_t)0xffff) | (uint64_t)(s - t->list + 1);
		s->nonce = nonce;
	}
	s->used_ns = now_ns;
	return s;
}

struct session *session_find(struct session_table *t, uint64_t id)
{
	uint64_t slot = (id & 0xffff) - 1;

	if (slot >= t->count || t->list[slot].id != id)
		return NULL;
	return &t->list[slot];
}

enum session_verdict session_check(const struct session *s, uint64_t request,
				   const struct session_outcome **ret_outcome)
{
	const struct session_outcome *o = &s->window[request & (SESSION_WINDOW - 1)];

	if (mutant(11) && o->done)
		return SESSION_NEW;
	if (o->request == request) {
		if (!o->done)
			return SESSION_UNDER_WAY;
		*ret_outcome = o;
		return SESSION_DONE;
	}
	if (o->request > request)
		return SESSION_OLD;
	return o->request == 0 || o->done ? SESSION_NEW : SESSION_FULL;
}

void session_begin(struct session *s, uint64_t request)
{
	struct session_outcome *o = &s->window[request & (SESSION_WINDOW - 1)];

	must(o->request == 0 || o->done);
	must(request > o->request || mutant(11));
	*o = (struct session_outcome){ .request = request };
	s->open++;
}

void session_finish(struct session *s, const struct session_outcome *outcome)
{
	struct session_outcome *o = &s->window[outcome->request & (SESSION_WINDOW - 1)];

	must(o->request == outcome->request && !o->done);
	must(s->open > 0);
	*o = *outcome;
	o->done = true;
	s->open--;
}
