/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/model/explore.h"

#include <setjmp.h>
#include <stdlib.h>

#include "tests/model/runs.h"

#define PROGRESS_SECS 20.0

/* outcome: of one node state and one event. */
struct outcome {
	uint32_t local;
	uint32_t sent_first, sent_count; /* in x->sent */
	uint32_t said;			 /* in x->saids */
	const char *fault;
};

struct sent {
	uint32_t message;
	uint8_t to;
};

struct explore {
	const struct explore_core *core;
	struct intern locals, messages, inboxes, ghosts, states, saids;
	struct map memo;
	struct outcome *outcomes;
	uint64_t outcomes_room;
	uint32_t outcome_count;
	struct sent *sent;
	uint64_t sent_room;
	uint32_t sent_count;
	uint8_t *facts; /* by local */
	uint64_t facts_room;
	/* How each state was reached first. */
	uint32_t *parent;
	struct explore_event *how;
	uint64_t parent_room, how_room;
	struct explore_state now; /* of the opening */
	struct explore_out out;
	uint64_t steps, transitions, beyond;
	const char *violation;
	struct explore_event violated_by;
	uint32_t violated_at;
};

static jmp_buf on_fault;
static const char *fault_text;
static bool in_step;
static char fault_buffer[256];

_Noreturn void must_failed(const char *expression, const char *file, int line)
{
	if (!in_step) {
		fprintf(stderr, "%s:%d: assertion failed: %s\n", file, line, expression);
		abort();
	}
	snprintf(fault_buffer, sizeof(fault_buffer), "assertion failed: %s (%s:%d)", expression,
		 strrchr(file, '/') ? strrchr(file, '/') + 1 : file, line);
	explore_fault(fault_buffer);
}

_Noreturn void explore_fault(const char *text)
{
	fault_text = text;
	longjmp(on_fault, 1);
}

/* ---- bytes ----------------------------------------------------------------------------------- */

/* Runs of words: how many zeros, how many that are none, then those. */
uint32_t explore_pack(const uint8_t *in, uint32_t bytes, uint8_t *out, uint32_t room)
{
	uint32_t words = bytes / 8, at = 0, i = 0;

	must(bytes % 8 == 0);
	while (i < words) {
		uint32_t zeros = i, some;

		while (i < words && load_u64(in + (size_t)8 * i) == 0)
			i++;
		zeros = i - zeros;
		for (some = i; i < words && load_u64(in + (size_t)8 * i) != 0; i++)
			;
		some = i - some;
		if (some == 0)
			break;
		must(at + 4 + 8 * some <= room && zeros < 65536 && some < 65536);
		store_u16(out + at, (uint16_t)zeros);
		store_u16(out + at + 2, (uint16_t)some);
		memcpy(out + at + 4, in + (size_t)8 * (i - some), (size_t)8 * some);
		at += 4 + 8 * some;
	}
	return at;
}

void explore_unpack(const uint8_t *in, uint32_t bytes, uint8_t *out, uint32_t room)
{
	uint32_t to = 0;

	memset(out, 0, room);
	for (uint32_t at = 0; at < bytes;) {
		uint32_t some = 8u * load_u16(in + at + 2);

		to += 8u * load_u16(in + at);
		must(to + some <= room);
		memcpy(out + to, in + at + 4, some);
		to += some;
		at += 4 + some;
	}
}

uint8_t *explore_send(struct explore_out *out, uint8_t to, uint32_t bytes)
{
	uint8_t *at = out->sent_bytes + out->sent_used;

	must(out->sent_count < EXPLORE_SENT_MAX && out->sent_used + bytes <= EXPLORE_SENT_BYTES);
	out->sent[out->sent_count].to = to;
	out->sent[out->sent_count].offset = out->sent_used;
	out->sent[out->sent_count].bytes = bytes;
	out->sent_count++;
	out->sent_used += bytes;
	return at;
}

/* ---- one node -------------------------------------------------------------------------------- */

static const uint8_t *facts_of(const struct explore *x, uint32_t local)
{
	return x->facts + (uint64_t)local * x->core->facts_bytes;
}

/* keep_local: the number of the node state in x->out, and its facts. */
static uint32_t keep_local(struct explore *x)
{
	bool new;
	uint32_t id = intern_put(&x->locals, x->out.local, x->out.local_bytes, &new);

	if (new) {
		uint32_t bytes = x->core->facts_bytes;

		x->facts = grow(x->facts, &x->facts_room, ((uint64_t)id + 1) * bytes, 1);
		memcpy(x->facts + (uint64_t)id * bytes, x->out.facts, bytes);
	}
	return id;
}

static void clear_out(struct explore_out *out)
{
	out->sent_count = out->sent_used = 0;
	memset(out->said, 0, sizeof(out->said));
	memset(out->facts, 0, sizeof(out->facts));
}

static uint32_t run_step(struct explore *x, uint32_t local, const struct explore_event *event)
{
	static uint8_t before[EXPLORE_LOCAL_BYTES], message[EXPLORE_SENT_BYTES];
	struct outcome *o;
	uint32_t bytes = intern_length(&x->locals, local), message_bytes = 0;
	bool new;

	memcpy(before, intern_get(&x->locals, local), bytes);
	if (event->kind == EXPLORE_DELIVER) {
		message_bytes = intern_length(&x->messages, event->arg);
		memcpy(message, intern_get(&x->messages, event->arg), message_bytes);
	}
	clear_out(&x->out);
	x->outcomes = grow(x->outcomes, &x->outcomes_room, (uint64_t)x->outcome_count + 1,
			   sizeof(*x->outcomes));
	o = &x->outcomes[x->outcome_count];
	*o = (struct outcome){ .sent_first = x->sent_count };
	x->steps++;
	in_step = true;
	if (setjmp(on_fault) == 0)
		x->core->step(x->core->config, before, bytes, event, message, message_bytes,
			      &x->out);
	else
		o->fault = strdup(fault_text);
	in_step = false;
	if (o->fault) {
		o->local = local;
		return x->outcome_count++;
	}
	o->local = keep_local(x);
	o->said = intern_put(&x->saids, x->out.said, x->core->said_bytes, &new);
	for (uint32_t i = 0; i < x->out.sent_count; i++) {
		uint32_t id = intern_put(&x->messages, x->out.sent_bytes + x->out.sent[i].offset,
					 x->out.sent[i].bytes, &new);

		x->sent = grow(x->sent, &x->sent_room, (uint64_t)x->sent_count + 1,
			       sizeof(*x->sent));
		x->sent[x->sent_count++] = (struct sent){ id, x->out.sent[i].to };
		o->sent_count++;
	}
	return x->outcome_count++;
}

static const struct outcome *outcome_of(struct explore *x, uint32_t local,
					const struct explore_event *event)
{
	uint32_t code = event->arg << 4 |
			(event->kind == EXPLORE_REPEAT ? EXPLORE_DELIVER : event->kind);
	uint32_t known = map_find(&x->memo, local, code);

	must(event->arg < 1u << 28);
	if (known == MAP_NONE) {
		struct explore_event alone = { .kind = code & 15, .node = event->node,
					       .arg = event->arg };

		known = run_step(x, local, &alone);
		map_add(&x->memo, local, code, known);
	}
	return &x->outcomes[known];
}

/* ---- messages on their way ------------------------------------------------------------------- */

struct inbox {
	uint32_t list[EXPLORE_INBOX_MAX + 1];
	uint32_t count;
};

static void open_inbox(const struct explore *x, uint32_t id, struct inbox *in)
{
	in->count = intern_length(&x->inboxes, id) / 4;
	memcpy(in->list, intern_get(&x->inboxes, id), (size_t)4 * in->count);
}

static void take_out(struct inbox *in, uint32_t at)
{
	memmove(in->list + at, in->list + at + 1, (size_t)4 * (in->count - at - 1));
	in->count--;
}

static void put_in(struct inbox *in, uint32_t message, uint32_t most)
{
	uint32_t at = 0;

	while (at < in->count && in->list[at] < message)
		at++;
	if (at < in->count && in->list[at] == message)
		return; /* two of the same are one */
	memmove(in->list + at + 1, in->list + at, (size_t)4 * (in->count - at));
	in->list[at] = message;
	in->count++;
	if (in->count > most)
		take_out(in, 0);
}

/* close_inbox: without what cannot matter any more to the node as it is now. */
static uint32_t close_inbox(struct explore *x, struct inbox *in, uint32_t local)
{
	bool new;

	for (uint32_t i = in->count; x->core->stale && i-- > 0;)
		if (x->core->stale(facts_of(x, local), intern_get(&x->messages, in->list[i]),
				   intern_length(&x->messages, in->list[i])))
			take_out(in, i);
	return intern_put(&x->inboxes, in->list, 4 * in->count, &new);
}

/* ---- the whole ------------------------------------------------------------------------------- */

static void look(const struct explore *x, const struct explore_state *s,
		 const uint8_t *facts[EXPLORE_NODES])
{
	for (uint32_t n = 0; n < EXPLORE_NODES; n++)
		facts[n] = facts_of(x, s->local[n]);
}

static struct explore_ghost *common(uint8_t *ghost)
{
	return (struct explore_ghost *)(void *)ghost;
}

static const char *pass_time(struct explore *x, struct explore_state *s, uint8_t *ghost,
			     const struct explore_event *event)
{
	const uint8_t *before[EXPLORE_NODES], *after[EXPLORE_NODES];
	struct explore_state then = *s;

	common(ghost)->time++;
	for (uint8_t n = 0; n < EXPLORE_NODES; n++) {
		struct explore_event here = { .kind = EXPLORE_TIME, .node = n };
		const struct outcome *o = outcome_of(x, s->local[n], &here);

		if (o->fault)
			return o->fault;
		s->local[n] = o->local;
	}
	look(x, &then, before);
	look(x, s, after);
	return x->core->watch(x->core->config, ghost, event, before, after, NULL);
}

/* remove: from the inbox, where it is next, or else from what is held. true: it was next. */
static bool remove_message(struct inbox *next, struct inbox *held, uint32_t message)
{
	if (next->count != 0 && next->list[0] == message) {
		take_out(next, 0);
		return true;
	}
	for (uint32_t i = 0; i < held->count; i++)
		if (held->list[i] == message) {
			take_out(held, i);
			break;
		}
	return false;
}

/* spread: what a node has sent goes on its way; g says who is cut off. */
static void spread(struct explore *x, struct explore_state *s, const struct outcome *o,
		   uint8_t from, const struct explore_ghost *g)
{
	uint32_t most = x->core->inbox_max;

	for (uint8_t n = 0; n < EXPLORE_NODES; n++) {
		bool touched = n == from, apart = g->cut == n + 1 || g->cut == from + 1;
		struct inbox next, held;

		open_inbox(x, s->inbox[n], &next);
		open_inbox(x, s->held[n], &held);
		for (uint32_t i = 0; o && i < o->sent_count; i++) {
			const struct sent *sent = &x->sent[o->sent_first + i];

			if (!(sent->to >> n & 1) || apart)
				continue;
			put_in(x->core->prompt ? &next : &held, sent->message, most);
			touched = true;
		}
		if (!touched)
			continue;
		s->inbox[n] = close_inbox(x, &next, s->local[n]);
		s->held[n] = close_inbox(x, &held, s->local[n]);
	}
}

/* move_message: it has arrived, or is held up. true: it was next. */
static bool move_message(struct explore *x, struct explore_state *s, struct explore_ghost *g,
			 const struct explore_event *event)
{
	uint8_t n = event->node;
	struct inbox next, held;
	bool was_next;

	open_inbox(x, s->inbox[n], &next);
	open_inbox(x, s->held[n], &held);
	was_next = remove_message(&next, &held, event->arg);
	if (event->kind != EXPLORE_DELIVER)
		put_in(&held, event->arg, x->core->inbox_max);
	if (event->kind == EXPLORE_REPEAT)
		g->repeats++;
	if (event->kind == EXPLORE_HOLD)
		g->holds++;
	s->inbox[n] = close_inbox(x, &next, s->local[n]);
	s->held[n] = close_inbox(x, &held, s->local[n]);
	return was_next;
}

static const char *node_step(struct explore *x, struct explore_state *s, uint8_t *ghost,
			     const struct explore_event *event)
{
	const uint8_t *before[EXPLORE_NODES], *after[EXPLORE_NODES];
	struct explore_state then = *s;
	const struct outcome *o = outcome_of(x, s->local[event->node], event);
	bool arrival = event->kind == EXPLORE_DELIVER || event->kind == EXPLORE_REPEAT;

	if (o->fault)
		return o->fault;
	if (arrival && !move_message(x, s, common(ghost), event) &&
	    o->local == then.local[event->node] && o->sent_count == 0) {
		*s = then; /* no effect: it may as well be on its way still */
		return NULL;
	}
	s->local[event->node] = o->local;
	spread(x, s, o, event->node, common(ghost));
	look(x, &then, before);
	look(x, s, after);
	return x->core->watch(x->core->config, ghost, event, before, after,
			      intern_get(&x->saids, o->said));
}

/* apply: what the event makes of the state. Returns what it violates, or NULL. */
static const char *apply(struct explore *x, struct explore_state *s,
			 const struct explore_event *event)
{
	uint8_t ghost[EXPLORE_GHOST_BYTES] __attribute__((aligned(8)));
	const char *wrong = NULL;
	bool new;

	memcpy(ghost, intern_get(&x->ghosts, s->ghost), x->core->ghost_bytes);
	x->transitions++;
	if (event->kind == EXPLORE_TIME) {
		wrong = pass_time(x, s, ghost, event);
	} else if (event->kind == EXPLORE_HOLD) {
		move_message(x, s, common(ghost), event);
	} else if (event->kind == EXPLORE_CUT) {
		common(ghost)->cut = event->node + 1;
		common(ghost)->cuts++;
	} else if (event->kind == EXPLORE_HEAL) {
		common(ghost)->cut = 0;
	} else {
		wrong = node_step(x, s, ghost, event);
	}
	s->ghost = intern_put(&x->ghosts, ghost, x->core->ghost_bytes, &new);
	return wrong;
}

static void reach(struct explore *x, const struct explore_state *s, uint32_t parent,
		  const struct explore_event *how)
{
	bool new;
	uint32_t id = intern_put(&x->states, s, sizeof(*s), &new);

	if (!new)
		return;
	x->parent = grow(x->parent, &x->parent_room, (uint64_t)id + 1, sizeof(*x->parent));
	x->how = grow(x->how, &x->how_room, (uint64_t)id + 1, sizeof(*x->how));
	x->parent[id] = parent;
	x->how[id] = *how;
}

/* next_message: prompt: the one that arrives now; false: it is quiet. */
static bool next_message(const struct explore *x, const struct explore_state *s, uint8_t *ret_node,
			 uint32_t *ret_message)
{
	for (uint8_t n = 0; n < EXPLORE_NODES; n++) {
		if (intern_length(&x->inboxes, s->inbox[n]) == 0)
			continue;
		*ret_node = n;
		memcpy(ret_message, intern_get(&x->inboxes, s->inbox[n]), 4);
		return true;
	}
	return false;
}

/* may_be: of a bitmap in which none means all. */
static bool may_be(uint8_t nodes, uint8_t node)
{
	return nodes == 0 || (nodes >> node & 1);
}

static void held_events(const struct explore *x, const struct explore_state *s,
			const struct explore_ghost *g, struct explore_events *ret)
{
	for (uint8_t n = 0; n < EXPLORE_NODES; n++) {
		struct inbox in;

		open_inbox(x, s->held[n], &in);
		for (uint32_t i = 0; i < in.count && g->cut != n + 1; i++) {
			explore_may(ret, EXPLORE_DELIVER, n, in.list[i]);
			if (g->repeats < x->core->repeats_max)
				explore_may(ret, EXPLORE_REPEAT, n, in.list[i]);
		}
		if (g->cut == 0 && g->cuts < x->core->cuts_max && may_be(x->core->cut_nodes, n))
			explore_may(ret, EXPLORE_CUT, n, 0);
		if (g->cut == n + 1)
			explore_may(ret, EXPLORE_HEAL, n, 0);
	}
}

static void all_events(struct explore *x, const struct explore_state *s, struct explore_events *ret)
{
	const uint8_t *facts[EXPLORE_NODES];
	const uint8_t *ghost = intern_get(&x->ghosts, s->ghost);
	const struct explore_ghost *g = (const struct explore_ghost *)(const void *)ghost;
	uint32_t message;
	uint8_t node;

	ret->count = 0;
	look(x, s, facts);
	if (x->core->beyond(x->core->config, ghost, facts)) {
		x->beyond++;
	} else if (next_message(x, s, &node, &message)) {
		explore_may(ret, EXPLORE_DELIVER, node, message);
		if (g->repeats < x->core->repeats_max)
			explore_may(ret, EXPLORE_REPEAT, node, message);
		if (g->holds < x->core->holds_max && may_be(x->core->hold_nodes, node))
			explore_may(ret, EXPLORE_HOLD, node, message);
	} else {
		x->core->events(x->core->config, ghost, facts, ret);
		held_events(x, s, g, ret);
		if (g->time < x->core->time_max)
			explore_may(ret, EXPLORE_TIME, 0, 0);
	}
}

static void expand(struct explore *x, uint32_t id)
{
	struct explore_state s = *(const struct explore_state *)intern_get(&x->states, id);
	struct explore_events events;

	all_events(x, &s, &events);
	for (uint32_t i = 0; i < events.count; i++) {
		struct explore_state next = s;
		const char *wrong = apply(x, &next, &events.list[i]);

		if (wrong) {
			x->violation = wrong;
			x->violated_by = events.list[i];
			x->violated_at = id;
			return;
		}
		if (memcmp(&next, &s, sizeof(s)) != 0)
			reach(x, &next, id, &events.list[i]);
	}
}

/* ---- the way to a violation ------------------------------------------------------------------ */

static void print_event(struct explore *x, uint32_t step, const struct explore_state *s,
			const struct explore_event *e)
{
	static const char *const names[] = { "time passes", "", "(may come again) ",
					     "(held up) ", "cut off", "cut off no more" };
	bool message = e->kind == EXPLORE_DELIVER || e->kind == EXPLORE_REPEAT ||
		       e->kind == EXPLORE_HOLD;

	printf("%3u ", step);
	if (e->kind != EXPLORE_TIME)
		printf("%c: ", 'a' + e->node);
	if (e->kind < EXPLORE_CORE)
		printf("%s", names[e->kind]);
	if (message)
		x->core->print(e, intern_get(&x->messages, e->arg),
			       intern_length(&x->messages, e->arg));
	else if (e->kind >= EXPLORE_CORE)
		x->core->print(e, NULL, 0);
	putchar('\n');
	if (e->kind == EXPLORE_HOLD || e->kind == EXPLORE_CUT || e->kind == EXPLORE_HEAL)
		return;
	for (uint32_t n = 0; n < EXPLORE_NODES; n++) {
		if (n != e->node && e->kind != EXPLORE_TIME)
			continue;
		printf("      %c ", 'a' + n);
		x->core->print_facts(facts_of(x, s->local[n]));
		putchar('\n');
	}
}

static void show_way(struct explore *x, const char *name)
{
	static uint32_t way[4096];
	uint32_t count = 0;
	struct explore_state s;

	for (uint32_t id = x->violated_at; id != 0 && count < ARRAY_LEN(way); id = x->parent[id])
		way[count++] = id;
	printf("# %s: %u steps to: %s\n", name, count + 1, x->violation);
	for (uint32_t i = count; i-- > 0;) {
		s = *(const struct explore_state *)intern_get(&x->states, way[i]);
		print_event(x, count - i, &s, &x->how[way[i]]);
	}
	s = *(const struct explore_state *)intern_get(&x->states, x->violated_at);
	(void)apply(x, &s, &x->violated_by);
	print_event(x, count + 1, &s, &x->violated_by);
	printf("# %s\n", x->violation);
}

/* ---- outside --------------------------------------------------------------------------------- */

struct explore *explore_create(const struct explore_core *core)
{
	struct explore *x = calloc(1, sizeof(*x));
	uint8_t ghost[EXPLORE_GHOST_BYTES] __attribute__((aligned(8))) = { 0 };
	bool new;

	must(x != NULL && core->facts_bytes <= EXPLORE_FACTS_BYTES);
	must(core->ghost_bytes <= EXPLORE_GHOST_BYTES && core->said_bytes <= EXPLORE_SAID_BYTES);
	must(core->inbox_max <= EXPLORE_INBOX_MAX);
	x->core = core;
	x->out.local = malloc(EXPLORE_LOCAL_BYTES);
	must(x->out.local != NULL);
	intern_init(&x->locals, 0);
	intern_init(&x->messages, 0);
	intern_init(&x->inboxes, 0);
	intern_init(&x->ghosts, core->ghost_bytes);
	intern_init(&x->states, sizeof(struct explore_state));
	intern_init(&x->saids, core->said_bytes);
	map_init(&x->memo);
	core->begin(core->config, ghost);
	x->now.ghost = intern_put(&x->ghosts, ghost, core->ghost_bytes, &new);
	for (uint8_t n = 0; n < EXPLORE_NODES; n++) {
		clear_out(&x->out);
		core->start(core->config, n, &x->out);
		x->now.local[n] = keep_local(x);
		x->now.inbox[n] = x->now.held[n] = intern_put(&x->inboxes, "", 0, &new);
	}
	return x;
}

void explore_destroy(struct explore *x)
{
	intern_free(&x->locals);
	intern_free(&x->messages);
	intern_free(&x->inboxes);
	intern_free(&x->ghosts);
	intern_free(&x->states);
	intern_free(&x->saids);
	map_free(&x->memo);
	for (uint32_t i = 0; i < x->outcome_count; i++)
		free((void *)(uintptr_t)x->outcomes[i].fault);
	free(x->outcomes);
	free(x->sent);
	free(x->facts);
	free(x->parent);
	free(x->how);
	free(x->out.local);
	free(x);
}

static void happen(struct explore *x, const struct explore_event *event)
{
	const char *wrong = apply(x, &x->now, event);

	if (wrong && !x->violation)
		x->violation = wrong;
}

/* arrive: one message that is on its way; false: none is. */
static bool arrive(struct explore *x)
{
	for (uint8_t n = 0; n < EXPLORE_NODES; n++) {
		struct explore_event e = { EXPLORE_DELIVER, n, 0 };
		struct explore_state was = x->now;
		struct inbox in;

		open_inbox(x, x->core->prompt ? x->now.inbox[n] : x->now.held[n], &in);
		for (uint32_t i = 0; i < in.count; i++) {
			e.arg = in.list[i];
			happen(x, &e);
			if (memcmp(&was, &x->now, sizeof(was)) != 0)
				return true;
		}
	}
	return false;
}

void explore_opening(struct explore *x, struct explore_event event)
{
	bool new;

	happen(x, &event);
	while (!x->violation && arrive(x))
		;
	for (uint8_t n = 0; n < EXPLORE_NODES; n++) /* what has no effect now is gone */
		x->now.held[n] = intern_put(&x->inboxes, "", 0, &new);
}

void explore_search_from_here(struct explore *x)
{
	uint8_t ghost[EXPLORE_GHOST_BYTES] __attribute__((aligned(8)));
	bool new;

	memcpy(ghost, intern_get(&x->ghosts, x->now.ghost), x->core->ghost_bytes);
	memset(common(ghost), 0, sizeof(struct explore_ghost));
	x->now.ghost = intern_put(&x->ghosts, ghost, x->core->ghost_bytes, &new);
}

const void *explore_facts(const struct explore *x, uint8_t node)
{
	return facts_of(x, x->now.local[node]);
}

static uint64_t memory(const struct explore *x)
{
	return intern_memory(&x->locals) + intern_memory(&x->messages) +
	       intern_memory(&x->inboxes) + intern_memory(&x->ghosts) + intern_memory(&x->states) +
	       ((uint64_t)x->memo.mask + 1) * sizeof(struct map_slot) + x->facts_room +
	       x->outcomes_room * sizeof(*x->outcomes) + x->sent_room * sizeof(*x->sent) +
	       x->parent_room * sizeof(*x->parent) + x->how_room * sizeof(*x->how);
}

/* search: breadth first, until something is wrong, all is seen, or it has run long enough. */
static void search(struct explore *x, const struct explore_limits *limits,
		   struct explore_result *r)
{
	double begin = runs_secs(), told = begin;
	uint32_t level_end = 1;

	r->complete = true;
	for (uint32_t id = 0; id < x->states.count && !x->violation; id++) {
		if (id == level_end) {
			level_end = x->states.count;
			r->depth++;
		}
		if (r->depth >= limits->depth_max || x->states.count >= limits->states_max ||
		    (id % 1024 == 0 && runs_secs() - begin > limits->secs_max)) {
			r->complete = false;
			break;
		}
		if (id % 4096 == 0 && runs_secs() - told > PROGRESS_SECS) {
			told = runs_secs();
			fprintf(stderr, "%u states, depth %llu, %u to do\n", x->states.count,
				(unsigned long long)r->depth, x->states.count - id);
		}
		expand(x, id);
	}
	r->secs = runs_secs() - begin;
}

struct explore_result explore_run(struct explore *x, const char *name,
				  const struct explore_limits *limits)
{
	struct explore_result r = { 0 };

	if (x->violation) {
		printf("# %s: 0 steps to: %s\n", name, x->violation);
	} else {
		reach(x, &x->now, 0, &(struct explore_event){ 0 });
		search(x, limits, &r);
		if (x->violation)
			show_way(x, name);
	}
	r.violated = x->violation != NULL;
	r.complete = r.complete && !r.violated;
	r.states = x->states.count;
	r.transitions = x->transitions;
	r.locals = x->locals.count;
	r.messages = x->messages.count;
	r.steps = x->steps;
	r.beyond = x->beyond;
	r.memory = memory(x);
	return r;
}
