/* SPDX-License-Identifier: Apache-2.0 */
/*
 * search.c: breadth first over everything that can happen next. States, and the parts they consist
 * of, are kept and compared whole: two of them are never taken for one by chance.
 */
#include <stdio.h>
#include <stdlib.h>

#include "replication/hermes.h"
#include "tests/model/model.h"
#include "tests/model/runs.h"

#define INBOX_MAX 2048u
#define CANDIDATES_MAX 32u
#define PROGRESS_SECS 10.0

struct search {
	struct model m;
	struct map set_add; /* (set, message) to set */
	struct map sifted;  /* (set, context) to set */
	struct intern contexts;
	struct trace_step *how; /* how each state was first reached */
	uint32_t *parent;
	uint64_t how_room, parent_room;
	uint64_t transitions, answered;
	bool eager; /* one_more_ack */
	bool stuck; /* nothing leads away from the state being expanded */
	bool wrong_here; /* the violation is in that state, not in a step from it */
	uint32_t at; /* the state being expanded */
	struct state now;
	struct authority authority;
	struct history history;
	const char *violation;
	struct trace_step violated_by;
};

static bool bit(uint8_t set, uint32_t n)
{
	return (set >> n & 1) != 0;
}

static uint32_t put(struct intern *t, const void *data, uint32_t bytes)
{
	bool new;

	return intern_put(t, data, bytes, &new);
}

/* ---- inboxes --------------------------------------------------------------------------------- */

static uint32_t set_read(const struct search *s, uint32_t set, uint32_t *out)
{
	uint32_t bytes = intern_length(&s->m.sets, set);

	must(bytes <= INBOX_MAX * sizeof(*out));
	memcpy(out, intern_get(&s->m.sets, set), bytes);
	return bytes / (uint32_t)sizeof(*out);
}

static uint32_t set_with(struct search *s, uint32_t set, uint32_t message)
{
	uint32_t known = map_find(&s->set_add, set, message);
	uint32_t list[INBOX_MAX + 1];
	uint32_t count, at;

	if (known != MAP_NONE)
		return known;
	count = at = set_read(s, set, list);
	while (at > 0 && list[at - 1] > message)
		at--;
	known = set;
	if (at == 0 || list[at - 1] != message) {
		memmove(list + at + 1, list + at, (count - at) * sizeof(*list));
		list[at] = message;
		known = put(&s->m.sets, list, (count + 1) * (uint32_t)sizeof(*list));
	}
	map_add(&s->set_add, set, message, known);
	return known;
}

/* waits: the sender still wants the answer to this message. */
static bool waits(const struct local_facts *from, const struct model_message *mm)
{
	if (!from->alive || from->epoch != mm->epoch || from->incarnation != mm->from_incarnation)
		return false;
	if (mm->type == WIRE_FETCH)
		return from->chunk == mm->id >> 32;
	return mm->id != 0 && from->live >> (mm->id - 1) & 1;
}

/* overtaken: the node knows something newer, or as new and Valid: nothing can come of it now. */
static bool overtaken(const struct local_facts *f, struct op_ts ts)
{
	int order = op_ts_compare(ts, f->ts);

	return f->ts.writer != 0 && (order < 0 || (order == 0 && f->state == HERMES_VALID));
}

/* unwanted: by the rules of the protocol the node will not use it in this epoch. */
static bool unwanted(const struct local_facts *f, const struct local_facts *from,
		     const struct model_message *mm)
{
	uint32_t op = (uint32_t)(mm->id - 1);
	struct op_ts least;

	switch (mm->type) {
	case WIRE_VAL:
		return overtaken(f, mm->ts);
	case WIRE_ACK:
		if (mm->id == 0)
			return mm->key_bytes == 0 || overtaken(f, mm->ts);
		if (!(f->live >> op & 1))
			return true;
		least = f->target[op].version != 0 ? f->target[op] : f->ts;
		return least.writer != 0 && op_ts_compare(mm->ts, least) < 0;
	case WIRE_INV:
		return f->ts.writer != 0 && op_ts_compare(mm->ts, f->ts) <= 0 && !waits(from, mm);
	case WIRE_FETCH:
		return !waits(from, mm);
	case WIRE_COPY:
	case WIRE_COPY_SESSION:
	case WIRE_COPIED:
		return f->chunk == 0 || f->chunk > mm->id >> 32;
	default:
		return false;
	}
}

/* effectless: delivered now, it changes nothing; an answer nobody waits for does not count. */
static bool effectless(struct search *s, uint32_t message, uint32_t local)
{
	const struct model_outcome *o = node_outcome(&s->m, local,
						     model_event(MODEL_DELIVER, message));

	if (!o)
		return true;
	if (o->fault != 0 || o->local != local || o->replies + o->mades != 0)
		return false;
	for (uint32_t i = 0; i < o->sends; i++) {
		const struct model_message *answer = intern_get(&s->m.messages, o->send[i]);

		if (answer->type == WIRE_INV || answer->type == WIRE_VAL)
			return false;
	}
	return true;
}

/*
 * is_void: the node will never use it. Frames of older epochs and for other incarnations: that it
 * does not use them now is tried out (H-ACK-EPOCH, M-INCARN). Others: by the rules, and only if the
 * node agrees.
 */
static bool is_void(struct search *s, const struct state *next, uint32_t message)
{
	struct model_message mm = *(const struct model_message *)intern_get(&s->m.messages,
									    message);
	uint32_t local = next->local[mm.to];
	const struct local_facts *f = facts(&s->m, local);

	if (!f->alive)
		return true;
	if (mm.epoch < f->epoch || mm.to_incarnation != f->incarnation) {
		if (node_outcome(&s->m, local, model_event(MODEL_DELIVER, message)))
			s->violation = "H-ACK-EPOCH: a frame of another epoch or incarnation "
				       "had an effect";
		return !s->m.config->keep_old;
	}
	if (mm.epoch != f->epoch || f->resetting)
		return false;
	/* Without its tombstone a node may fall for what it had overtaken (H12). */
	if (s->m.config->collect && (mm.type == WIRE_INV || mm.type == WIRE_VAL))
		return false;
	return unwanted(f, facts(&s->m, next->local[mm.from]), &mm) &&
	       effectless(s, message, local);
}

/* sift: the inbox without what is void. That depends on the node, and on what others wait for. */
static uint32_t sift(struct search *s, const struct state *next, uint8_t node)
{
	struct {
		uint32_t local, voice[MODEL_NODES];
	} key = { .local = next->local[node] };
	uint32_t list[INBOX_MAX];
	uint32_t set = next->inbox[node];
	uint32_t context, count, kept = 0, result;

	for (uint8_t n = 0; n < s->m.nodes; n++)
		if (n != node)
			key.voice[n] = facts(&s->m, next->local[n])->voice;
	context = put(&s->contexts, &key, sizeof(key));
	result = map_find(&s->sifted, set, context);
	if (result != MAP_NONE)
		return result;
	count = set_read(s, set, list);
	for (uint32_t i = 0; i < count; i++)
		if (!is_void(s, next, list[i]))
			list[kept++] = list[i];
	result = put(&s->m.sets, list, kept * (uint32_t)sizeof(*list));
	map_add(&s->sifted, set, context, result);
	return result;
}

/* ---- one transition -------------------------------------------------------------------------- */

static void violated(struct search *s, uint8_t node, uint32_t event, const char *what)
{
	if (s->violation)
		return;
	s->violation = what;
	s->violated_by = (struct trace_step){ .event = event, .node = node };
}

static const struct view *view_of(const struct search *s, uint32_t epoch)
{
	for (uint32_t i = 0; i < s->authority.views; i++) {
		const struct view *v = intern_get(&s->m.views, s->authority.view[i]);

		if (v->epoch == epoch)
			return v;
	}
	return NULL;
}

/*
 * held_by_all: H-COMMIT-ALL: whoever the update needed holds it, or something newer, on disk. A
 * shadow that still copies may lack what was committed before it came: its donor has it.
 */
static bool held_by_all(const struct search *s, const struct state *next, uint8_t node,
			struct op_ts ts)
{
	const struct local_facts *f = facts(&s->m, next->local[node]);
	const struct view *v = view_of(s, f->epoch);

	for (uint8_t n = 0; v && n < s->m.nodes; n++) {
		const struct local_facts *of = facts(&s->m, next->local[n]);

		if (!bit(f->write_set, n) || !of->alive || of->epoch > f->epoch ||
		    of->incarnation != v->incarnation[n] ||
		    (!bit(v->members, n) && !of->joined))
			continue;
		/* A tombstone that was collected before the node copied leaves it a floor. */
		if (op_ts_compare(of->durable, ts) < 0 && of->floor < ts.version)
			return false;
	}
	return true;
}

/* look_around: H-AGREE, H-MONO: what nodes would serve now fits what was known before. */
static const char *look_around(const struct search *s, const struct state *next,
			       struct history *h, bool *changed)
{
	for (uint32_t round = 0; round < 2; round++) {
		for (uint32_t n = 0; n < s->m.nodes; n++) {
			const struct local_facts *f = facts(&s->m, next->local[n]);
			const char *wrong;

			if (!f->readable || (f->read.version == h->known.version &&
					     f->read.writer == h->known.writer && round == 0 &&
					     f->read.writer != 0))
				continue;
			wrong = history_readable(h, f);
			if (wrong)
				return wrong;
			*changed = true;
		}
	}
	return NULL;
}

/* judge: the history after this outcome, or what is wrong with it. */
static const char *judge(struct search *s, const struct model_outcome *o, uint8_t node,
			 uint32_t event, struct state *next)
{
	struct history h = s->history;
	bool changed = o->mades + o->replies != 0;
	const char *wrong = NULL;

	if (event_kind_of(event) == MODEL_ISSUE) {
		history_issue(&h, (uint8_t)event_arg_of(event),
			      (uint8_t)facts(&s->m, next->local[node])->incarnation);
		changed = true;
	}
	if (event_kind_of(event) == MODEL_RETRY) {
		h.request[(uint8_t)event_arg_of(event)].moved = true;
		changed = true;
	}
	for (uint32_t i = 0; i < o->mades && !wrong; i++)
		wrong = history_made(&h, s->m.config, &o->made[i]);
	for (uint32_t i = 0; i < o->replies && !wrong; i++) {
		const struct model_reply *reply = &o->reply[i];

		wrong = history_reply(&h, s->m.config, reply, node);
		if (!wrong && reply->status == STATUS_OK &&
		    s->m.config->op[reply->op].type != WIRE_GET &&
		    !held_by_all(s, next, node, reply->ts))
			wrong = "H-COMMIT-ALL: answered OK, and not on every disk";
	}
	if (!wrong)
		wrong = look_around(s, next, &h, &changed);
	if (changed)
		next->history = put(&s->m.histories, &h, sizeof(h));
	return wrong;
}

static void reach(struct search *s, const struct state *next, uint8_t node, uint32_t event)
{
	bool new;
	uint32_t id = intern_put(&s->m.states, next, sizeof(*next), &new);

	s->transitions++;
	s->stuck &= id == s->at;
	if (!new)
		return;
	s->how = grow(s->how, &s->how_room, (uint64_t)id + 1, sizeof(*s->how));
	s->parent = grow(s->parent, &s->parent_room, (uint64_t)id + 1, sizeof(*s->parent));
	s->how[id] = (struct trace_step){ .event = event, .node = node };
	s->parent[id] = s->at;
}

/* apply: the outcome, put into *next. False: violated. */
static bool apply(struct search *s, struct state *next, uint8_t node, uint32_t event,
		  const struct model_outcome *outcome)
{
	struct model_outcome o;
	const char *wrong;
	uint32_t voice;

	/* The next outcome will be where this one is. */
	memcpy(&o, outcome, offsetof(struct model_outcome, send));
	memcpy(o.send, outcome->send, o.sends * sizeof(o.send[0]));
	memcpy(o.reply, outcome->reply, o.replies * sizeof(o.reply[0]));
	memcpy(o.made, outcome->made, o.mades * sizeof(o.made[0]));

	if (o.fault != 0) {
		violated(s, node, event, s->m.fault[o.fault - 1]);
		return false;
	}
	next->local[node] = o.local;
	for (uint32_t i = 0; i < o.sends; i++) {
		uint8_t to = ((const struct model_message *)intern_get(&s->m.messages,
								       o.send[i]))->to;

		next->inbox[to] = set_with(s, next->inbox[to], o.send[i]);
	}
	voice = facts(&s->m, s->now.local[node])->voice;
	for (uint8_t n = 0; n < s->m.nodes; n++)
		if (n == node || next->inbox[n] != s->now.inbox[n] ||
		    facts(&s->m, o.local)->voice != voice)
			next->inbox[n] = sift(s, next, n);
	if (o.mades + o.replies == 0 && memcmp(next, &s->now, sizeof(*next)) == 0 &&
	    event_kind_of(event) == MODEL_DELIVER && !s->violation)
		return true;
	wrong = judge(s, &o, node, event, next);
	if (s->violation)
		s->violated_by = (struct trace_step){ .event = event, .node = node };
	else if (wrong)
		violated(s, node, event, wrong);
	return s->violation == NULL;
}

/* try: one event at one node; a: what the authority is afterwards, NULL: as before. */
static void try(struct search *s, uint8_t node, uint32_t event, const struct authority *a)
{
	const struct model_outcome *o = node_outcome(&s->m, s->now.local[node], event);
	struct state next = s->now;

	if (!o || s->violation || !apply(s, &next, node, event, o))
		return;
	if (a)
		next.authority = put(&s->m.authorities, a, sizeof(*a));
	reach(s, &next, node, event);
}

/* ---- the authority --------------------------------------------------------------------------- */

static const struct local_facts *fact(const struct search *s, uint32_t node)
{
	return facts(&s->m, s->now.local[node]);
}

static const struct view *latest(const struct search *s)
{
	return intern_get(&s->m.views, s->authority.view[s->authority.views - 1]);
}

/* lives_in: the node is alive in the very incarnation the view means. */
static bool lives_in(const struct search *s, const struct view *v, uint32_t node)
{
	return fact(s, node)->alive && fact(s, node)->incarnation == v->incarnation[node];
}

static bool some_live(const struct search *s, const struct view *v, uint8_t members)
{
	for (uint32_t n = 0; n < s->m.nodes; n++)
		if (bit(members, n) && lives_in(s, v, n))
			return true;
	return false;
}

struct candidates {
	uint32_t count;
	struct {
		struct view view;
		struct authority after;
	} list[CANDIDATES_MAX];
};

static struct view *candidate(struct search *s, struct candidates *c, uint8_t node,
			      uint8_t members, uint8_t shadows)
{
	struct view *v = &c->list[c->count].view;
	struct authority *a = &c->list[c->count].after;

	must(c->count < CANDIDATES_MAX);
	c->count++;
	*v = *latest(s);
	*a = s->authority;
	v->epoch++;
	v->members = members;
	v->shadows = shadows;
	for (uint32_t n = 0; n < NODES_MAX; n++) {
		/* Whoever is out: the incarnation it was in with, so that all know it gone. */
		if (!bit(view_write_set(v), n))
			v->since[n] = 0;
		/* Who has not installed the view that lets it keep what it has must hear it yet. */
		if (!bit(members, n) || !lives_in(s, v, n) || fact(s, n)->epoch >= v->since[n])
			v->recovered &= (uint8_t)~(1u << n);
	}
	a->lapsed &= (uint8_t)~(1u << node);
	return v;
}

/* removals: a node that is dead, or alive and without a lease for good; that one may be demoted. */
static void removals(struct search *s, struct candidates *c, uint8_t n)
{
	const struct view *v = latest(s);
	uint8_t me = (uint8_t)(1u << n);
	uint8_t members = v->members & (uint8_t)~me;
	bool lapsed = bit(s->authority.lapsed, n);

	if (!bit(view_write_set(v), n) || !some_live(s, v, members))
		return;
	if (!fact(s, n)->alive || lapsed)
		candidate(s, c, n, members, v->shadows & (uint8_t)~me);
	if (lapsed && bit(v->members, n) && lives_in(s, v, n))
		candidate(s, c, n, members, v->shadows | me);
}

/* lacks: a shadow says that it holds everything, and does not (H-LAG-JOIN). */
static bool lacks(const struct search *s, uint32_t node)
{
	const struct local_facts *f = fact(s, node);
	const struct view *v = latest(s);

	return bit(v->shadows, node) && lives_in(s, v, node) && f->joined &&
	       !s->m.config->collect && op_ts_compare(f->durable, s->history.known) < 0;
}

/* was_in: the node, in the incarnation it has now, was in a write set. */
static bool was_in(const struct search *s, uint32_t node)
{
	for (uint32_t i = 0; i < s->authority.views; i++) {
		const struct view *v = intern_get(&s->m.views, s->authority.view[i]);

		if (bit(view_write_set(v), node) &&
		    v->incarnation[node] == fact(s, node)->incarnation)
			return true;
	}
	return false;
}

/* is_spent: it was left out: it comes back in another incarnation only. */
static bool is_spent(const struct search *s, uint32_t node)
{
	const struct view *v = latest(s);

	return was_in(s, node) && !(bit(view_write_set(v), node) && lives_in(s, v, node));
}

/* additions: a node that is out, or back in another incarnation; a shadow that has copied all. */
static void additions(struct search *s, struct candidates *c, uint8_t n)
{
	const struct view *v = latest(s);
	const struct local_facts *f = fact(s, n);
	uint8_t me = (uint8_t)(1u << n);
	uint8_t members = v->members & (uint8_t)~me;

	if (!f->alive)
		return;
	if (bit(v->shadows, n) && lives_in(s, v, n) && f->joined && f->epoch >= v->since[n]) {
		candidate(s, c, n, v->members | me, v->shadows & (uint8_t)~me);
		return;
	}
	if (s->authority.rejoins == 0 || !some_live(s, v, members) || is_spent(s, n))
		return;
	if (!bit(view_write_set(v), n) || !lives_in(s, v, n)) {
		struct view *new = candidate(s, c, n, members, v->shadows | me);

		new->incarnation[n] = f->incarnation;
		new->since[n] = new->epoch;
		c->list[c->count - 1].after.rejoins--;
	}
}

/* recovery: all members are back after a power failure. */
static void recovery(struct search *s, struct candidates *c)
{
	const struct view *v = latest(s);
	struct view *new;

	if (!s->authority.powered)
		return;
	for (uint32_t n = 0; n < s->m.nodes; n++)
		if (bit(v->members, n) && (!fact(s, n)->alive || lives_in(s, v, n)))
			return;
	new = candidate(s, c, NODES_MAX, v->members, 0);
	new->recovered = new->members;
	for (uint32_t n = 0; n < s->m.nodes; n++) {
		if (!bit(new->members, n))
			continue;
		new->incarnation[n] = fact(s, n)->incarnation;
		new->since[n] = new->epoch;
	}
	c->list[c->count - 1].after.powered = false;
}

static void install(struct search *s, uint8_t n, const struct view *v, struct authority *a)
{
	const struct view *last;
	uint32_t id = put(&s->m.views, v, sizeof(*v));
	uint32_t newest = a->view[a->views - 1];
	bool lease;

	last = intern_get(&s->m.views, newest);
	v = intern_get(&s->m.views, id);
	lease = v->epoch > fact(s, n)->epoch && bit(v->members, n) && bit(last->members, n) &&
		!bit(a->lapsed, n) &&
		v->incarnation[n] == fact(s, n)->incarnation &&
		last->incarnation[n] == v->incarnation[n];
	try(s, n, model_event(MODEL_INSTALL, id << 1 | lease), a);
}

/* views: every node may install any view newer than its own; the next one is made by the first. */
static void expand_views(struct search *s)
{
	static struct candidates c;

	c.count = 0;
	if (s->authority.views < s->m.config->epochs) {
		for (uint8_t n = 0; n < s->m.nodes; n++) {
			removals(s, &c, n);
			additions(s, &c, n);
		}
		recovery(s, &c);
	}
	for (uint32_t i = 0; i < c.count; i++) {
		struct authority *a = &c.list[i].after;

		a->view[a->views++] = put(&s->m.views, &c.list[i].view, sizeof(struct view));
	}
	for (uint8_t n = 0; n < s->m.nodes; n++) {
		if (!fact(s, n)->alive)
			continue;
		for (uint32_t i = 0; i < c.count; i++)
			install(s, n, &c.list[i].view, &c.list[i].after);
		for (uint32_t i = 0; i < s->authority.views; i++) {
			struct view v = *(const struct view *)intern_get(&s->m.views,
									 s->authority.view[i]);

			install(s, n, &v, &s->authority); /* an older one must do nothing */
		}
	}
}

static void expand_failures(struct search *s, uint8_t n)
{
	struct authority a = s->authority;
	const struct view *v = latest(s);
	bool spare = some_live(s, v, v->members & (uint8_t)~(1u << n));
	bool lapse = fact(s, n)->member && bit(v->members, n) && lives_in(s, v, n);

	if (!fact(s, n)->alive) {
		if (a.rejoins > 0 || a.powered)
			try(s, n, model_event(MODEL_RESTART, 0), NULL);
		return;
	}
	if (is_spent(s, n) ? a.rejoins > 0 : a.crashes > 0 && spare) {
		a.crashes = (uint8_t)(a.crashes - !is_spent(s, n));
		a.lapsed &= (uint8_t)~(1u << n);
		try(s, n, model_event(MODEL_CRASH, 0), &a);
	}
	a = s->authority;
	if (a.lapses > 0 && spare && lapse && !bit(a.lapsed, n)) {
		a.lapses--;
		a.lapsed |= (uint8_t)(1u << n);
		try(s, n, model_event(MODEL_LAPSE, 0), &a);
	}
}

/* expand_power: every node dies at once. */
static void expand_power(struct search *s)
{
	uint32_t event = model_event(MODEL_POWER, 0);
	struct authority a = s->authority;
	struct state next = s->now;

	if (a.powers == 0 || s->violation)
		return;
	a.powers--;
	a.powered = true;
	a.lapsed = 0;
	for (uint8_t n = 0; n < s->m.nodes; n++) {
		const struct model_outcome *o;

		if (!fact(s, n)->alive)
			continue;
		o = node_outcome(&s->m, next.local[n], model_event(MODEL_CRASH, 0));
		if (!apply(s, &next, n, event, o))
			return;
	}
	next.authority = put(&s->m.authorities, &a, sizeof(a));
	reach(s, &next, 0, event);
}

/* ---- everything that can happen next --------------------------------------------------------- */

static void expand_node(struct search *s, uint8_t n)
{
	uint32_t list[INBOX_MAX];
	uint32_t count = set_read(s, s->now.inbox[n], list);

	for (uint32_t i = 0; i < count; i++)
		try(s, n, model_event(MODEL_DELIVER, list[i]), NULL);
	if (fact(s, n)->timer)
		try(s, n, model_event(MODEL_TIMER, 0), NULL);
	if (fact(s, n)->undurable && s->m.config->disk)
		try(s, n, model_event(MODEL_DURABLE, 0), NULL);
	if (fact(s, n)->collectable && s->m.config->collect)
		try(s, n, model_event(MODEL_COLLECT, 0), NULL);
}

static void expand_client(struct search *s, uint8_t i)
{
	const struct model_op *op = &s->m.config->op[i];
	const struct history_request *q = &s->history.request[i];
	const struct local_facts *f = fact(s, op->node);

	if (q->state == REQUEST_NOT_YET) {
		if ((op->after == NOBODY || s->history.request[op->after].state == REQUEST_DONE) &&
		    f->alive && f->member)
			try(s, op->node, model_event(MODEL_ISSUE, i), NULL);
		return;
	}
	if (op->again && f->alive && f->incarnation == q->incarnation)
		try(s, op->node, model_event(MODEL_ISSUE, i | MODEL_AGAIN), NULL);
	/* An answer may be lost on its way, too: the client asks elsewhere all the same. */
	if (op->retry != NOBODY && (q->state == REQUEST_OPEN || q->status == STATUS_OK) &&
	    fact(s, op->retry)->alive && fact(s, op->retry)->member)
		try(s, op->retry,
		    model_event(MODEL_RETRY, i | (uint32_t)q->incarnation << 8), NULL);
}

/*
 * one_more_ack: an ACK for exactly what an op of the node waits for, which changes nothing but that
 * it is in. It commutes with everything else, and a node that has it can do all that one that
 * lacks it can: it is taken first, alone.
 */
static bool one_more_ack(struct search *s, uint8_t n)
{
	uint32_t list[INBOX_MAX];
	uint32_t count = set_read(s, s->now.inbox[n], list);

	for (uint32_t i = 0; i < count; i++) {
		const struct model_message *mm = intern_get(&s->m.messages, list[i]);
		uint32_t event = model_event(MODEL_DELIVER, list[i]);
		struct local_facts before = *fact(s, n);
		const struct local_facts *after;
		const struct model_outcome *o;

		if (mm->type != WIRE_ACK || mm->id == 0 ||
		    op_ts_compare(mm->ts, before.target[mm->id - 1]) != 0)
			continue;
		o = node_outcome(&s->m, s->now.local[n], event);
		if (!o || o->fault != 0 || o->sends + o->replies + o->mades != 0)
			continue;
		after = facts(&s->m, o->local);
		if (after->state != before.state || after->readable != before.readable ||
		    after->live != before.live)
			continue;
		try(s, n, event, NULL);
		return true;
	}
	return false;
}

/*
 * stuck_for_good: L-STUCK: nothing can change any more, everybody in the newest view is alive and
 * in it, and still a client of a member waits, or a shadow.
 */
static bool stuck_for_good(const struct search *s)
{
	const struct view *v = latest(s);

	for (uint32_t n = 0; n < s->m.nodes; n++)
		if (bit(view_write_set(v), n) &&
		    (!lives_in(s, v, n) || fact(s, n)->epoch != v->epoch))
			return false;
	for (uint32_t n = 0; n < s->m.nodes; n++)
		if (bit(v->shadows, n) && !fact(s, n)->joined)
			return true;
	for (uint32_t i = 0; i < s->m.config->op_count; i++) {
		const struct history_request *q = &s->history.request[i];
		uint8_t node = s->m.config->op[i].node;

		if (q->state == REQUEST_OPEN && s->m.config->op[i].retry == NOBODY &&
		    bit(v->members, node) && v->incarnation[node] == q->incarnation)
			return true;
	}
	return false;
}

static void wrong_here(struct search *s, const char *what)
{
	s->violation = what;
	s->wrong_here = true;
}

static void expand(struct search *s, uint32_t id)
{
	s->at = id;
	s->now = *(const struct state *)intern_get(&s->m.states, id);
	s->authority = *(const struct authority *)intern_get(&s->m.authorities, s->now.authority);
	s->history = *(const struct history *)intern_get(&s->m.histories, s->now.history);
	s->answered += history_answered(&s->history, s->m.config);
	s->stuck = true;
	for (uint8_t n = 0; n < s->m.nodes; n++)
		if (lacks(s, n))
			wrong_here(s, "H-LAG-JOIN: a shadow has joined, and lacks something");
	for (uint8_t n = 0; n < s->m.nodes && s->eager && !s->violation; n++)
		if (fact(s, n)->alive && one_more_ack(s, n))
			return;
	for (uint8_t n = 0; n < s->m.nodes && !s->violation; n++) {
		if (fact(s, n)->alive)
			expand_node(s, n);
		expand_failures(s, n);
	}
	for (uint8_t i = 0; i < s->m.config->op_count && !s->violation; i++)
		expand_client(s, i);
	if (!s->violation)
		expand_views(s);
	expand_power(s);
	if (s->stuck && !s->violation && stuck_for_good(s))
		wrong_here(s, "L-STUCK: nothing more can happen, and somebody still waits");
}

/* ---- the whole ------------------------------------------------------------------------------- */

static void start(struct search *s, const struct model_config *config)
{
	const struct model_config *c = config;
	uint8_t all = (uint8_t)((1u << MODEL_NODES) - 1);
	uint8_t members = c->first_members ? c->first_members : all;
	struct authority a = { .views = 1, .crashes = c->crashes, .lapses = c->lapses,
			       .rejoins = c->rejoins, .powers = c->powers };
	struct view v = { .epoch = 1, .members = members, .recovered = members };
	struct history h;

	*s = (struct search){ .m = { .config = config, .nodes = MODEL_NODES } };
	intern_init(&s->m.locals, 0);
	intern_init(&s->m.messages, sizeof(struct model_message));
	intern_init(&s->m.outcomes, 0);
	intern_init(&s->m.views, sizeof(struct view));
	intern_init(&s->m.sets, 0);
	intern_init(&s->m.histories, sizeof(struct history));
	intern_init(&s->m.authorities, sizeof(struct authority));
	intern_init(&s->m.states, sizeof(struct state));
	map_init(&s->m.memo);
	map_init(&s->set_add);
	map_init(&s->sifted);
	intern_init(&s->contexts, 0);
	intern_init(&s->m.voices, 0);
	node_init(&s->m);
	for (uint32_t n = 0; n < MODEL_NODES; n++)
		v.incarnation[n] = v.since[n] = bit(members, n);
	a.view[0] = put(&s->m.views, &v, sizeof(v));
	memset(&h, 0, sizeof(h));
	s->now.history = put(&s->m.histories, &h, sizeof(h));
	s->now.authority = put(&s->m.authorities, &a, sizeof(a));
	for (uint8_t n = 0; n < MODEL_NODES; n++) {
		const struct model_outcome *o;

		s->now.inbox[n] = put(&s->m.sets, "", 0);
		s->now.local[n] = node_start(&s->m, n);
		/* Everybody begins in the first view: what comes before it is not interesting. */
		o = node_outcome(&s->m, s->now.local[n],
				 model_event(MODEL_INSTALL, a.view[0] << 1 | bit(members, n)));
		if (!o || o->fault != 0)
			violated(s, n, model_event(MODEL_INSTALL, 0),
				 o ? s->m.fault[o->fault - 1] : "the first view had no effect");
		else
			s->now.local[n] = o->local;
	}
	reach(s, &s->now, 0, 0);
}

static uint64_t memory(const struct search *s)
{
	const struct model *m = &s->m;

	return intern_memory(&m->locals) + intern_memory(&m->messages) +
	       intern_memory(&m->outcomes) + intern_memory(&m->sets) +
	       intern_memory(&m->histories) + intern_memory(&m->authorities) +
	       intern_memory(&m->states) + m->facts_room * sizeof(*m->facts) + m->raws_room +
	       intern_memory(&s->contexts) +
	       ((uint64_t)m->memo.mask + s->set_add.mask + s->sifted.mask) *
		       sizeof(struct map_slot) +
	       s->how_room * sizeof(*s->how) + s->parent_room * sizeof(*s->parent);
}

static void show_way(struct search *s)
{
	static struct trace_step way[1024];
	uint32_t count = 0;

	for (uint32_t id = s->at; id != 0; id = s->parent[id])
		count++;
	must(count < ARRAY_LEN(way));
	way[count] = s->violated_by;
	for (uint32_t id = s->at, i = count; id != 0; id = s->parent[id])
		way[--i] = s->how[id];
	trace_print(&s->m, way, s->wrong_here ? count : count + 1, s->violation);
}

static void finish(struct search *s)
{
	struct intern *all[] = { &s->m.locals, &s->m.messages,	&s->m.outcomes,	   &s->m.views,
				 &s->m.sets,   &s->m.histories, &s->m.authorities, &s->m.states };

	for (uint32_t i = 0; i < ARRAY_LEN(all); i++)
		intern_free(all[i]);
	map_free(&s->m.memo);
	map_free(&s->set_add);
	map_free(&s->sifted);
	intern_free(&s->contexts);
	intern_free(&s->m.voices);
	node_free(&s->m);
	free(s->m.facts);
	free(s->m.raws);
	for (uint32_t i = 0; i < s->m.fault_count; i++)
		free((void *)(uintptr_t)s->m.fault[i]);
	free((void *)s->m.fault);
	free(s->how);
	free(s->parent);
}

/* on_time: shows that it lives, now and then; false: it has run long enough. */
static bool on_time(const struct search *s, const struct search_limits *limits, double begin,
		    double *told, uint64_t depth, uint32_t id)
{
	double now = runs_secs();

	if (now - *told > PROGRESS_SECS) {
		*told = now;
		fprintf(stderr, "%s: %u states, depth %llu, %u to do\n", s->m.config->name,
			s->m.states.count, (unsigned long long)depth, s->m.states.count - id);
	}
	return now - begin <= (double)limits->secs_max;
}

struct search_result search_run(const struct model_config *config,
				const struct search_limits *limits)
{
	static struct search s;
	struct search_result r = { .complete = true };
	double begin = runs_secs(), told = begin;
	uint32_t id = 0, level_end = 1;

	start(&s, config);
	s.eager = !limits->every_ack;
	for (; id < s.m.states.count && !s.violation; id++) {
		if (id == level_end) {
			level_end = s.m.states.count;
			r.depth++;
		}
		if (r.depth >= limits->depth_max || s.m.states.count >= limits->states_max) {
			r.complete = false;
			break;
		}
		if (id % 4096 == 0 && !on_time(&s, limits, begin, &told, r.depth, id)) {
			r.complete = false;
			break;
		}
		expand(&s, id);
	}
	r.secs = runs_secs() - begin;
	r.states = s.m.states.count;
	r.transitions = s.transitions;
	r.locals = s.m.locals.count;
	r.messages = s.m.messages.count;
	r.steps = s.m.steps;
	r.answered = s.answered;
	r.memory = memory(&s);
	if (s.violation) {
		r.complete = false;
		show_way(&s);
		r.violation = "see above";
	}
	finish(&s);
	return r;
}
