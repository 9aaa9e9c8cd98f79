/* SPDX-License-Identifier: Apache-2.0 */
/*
 * check_hidden.c: which UNKNOWN operations can have done what only they can have done? A demand is
 * met by a chain of them: the last leaves what the demand asks for, those before it are versions
 * that nobody saw and that the chain needs as its base. Operations with the same effect are
 * interchangeable but for their start, so a chain asks for slots, one per operation: "this effect,
 * started before this deadline". Slots are matched with operations by augmenting paths, which is
 * exact; only the choice among several chains is searched, demand by demand in version order.
 *
 * A dead end jumps back to the last demand that had a part in it: the one whose state the chains
 * started from, or one that holds an operation which the slot that stays empty could have had
 * (every slot on the way of the failed augmentation; together they want more than there is). If
 * there is none, nothing can meet the demand.
 *
 * Chains. A base: the state before, or a PUT, or a CAS or INCR on an absence (which an extra DEL
 * may have made). Then any number of INCR and CASV, each one number higher. Shorter ones first.
 * A version of which nobody knows the content, on which nothing depends, is met by any blind update
 * that its readers allow: ANY_BLIND.
 */
#include "tests/check/check_priv.h"

#include <stdlib.h>

#define ANY_BLIND     UINT32_MAX
#define NUMBERS_SMALL ((int64_t)1 << 61)
#define DELTAS_SMALL  ((int64_t)1 << 30)

/* All UNKNOWN operations with one effect: key_unknowns[first..end), by start. */
struct class {
	const struct check_op *op; /* one of them */
	uint32_t first, end;
};

struct slot {
	uint64_t deadline_ns;
	uint32_t class; /* or ANY_BLIND */
	uint32_t frame;
	uint32_t unknown; /* what fills it, or NONE */
};

struct option {
	struct state after;
	uint32_t first; /* its classes in the pool */
	uint32_t count;
};

/* One demand and how it is being met. */
struct frame {
	struct state before, after;
	struct option *options; /* chains of `length` operations; the next to try is at `tried` */
	uint32_t *pool;
	uint32_t option_count, option_max, pool_count, pool_max, tried;
	uint32_t length, length_max;
	uint32_t slots; /* how many there were before it */
	uint32_t *blame; /* earlier frames that had a part in its dead ends, ascending */
	uint32_t blame_count, blame_max;
};

struct search {
	struct checker *c;
	struct class *classes;
	int64_t *casv_values; /* what the CASV classes write, ascending */
	struct slot *slots;
	uint32_t *queue;
	struct frame *frames;
	uint32_t class_count, slot_count;
	uint32_t kind_first[CHECK_KIND_COUNT], kind_end[CHECK_KIND_COUNT]; /* classes */
	uint32_t hops; /* UNKNOWN INCR and CASV */
	uint32_t stamp;
	int64_t delta_min, delta_max;
	bool deltas_small;
	uint64_t steps;
	uint32_t chain[64]; /* of the option being made */
	uint32_t frame;	    /* that is being worked on */
	const struct demand *demand;
};

#define CHAIN_MAX ARRAY_LEN(((struct search *)0)->chain)

/* ---- effects ---- */

/* is_next: the number of what is made from this version. */
static bool is_next(const struct checker *c, uint64_t number, uint64_t version)
{
	return c->sparse ? number > version : number == version + 1;
}

bool check_built_on(const struct checker *c, const struct check_op *op, uint64_t number,
		    const struct state *s)
{
	uint64_t sum;

	if (op->kind == CHECK_CAS && op->base_writer != 0)
		return check_same_ts(s->ts, check_base_ts(op)) && is_next(c, number, op->base) &&
		       number >= s->low;
	if (s->content == CONTENT_OPEN)
		return false;
	if (s->content == CONTENT_ABSENT)
		return op->kind != CHECK_CASV && number >= s->low_rmw &&
		       (op->kind != CHECK_INCR || op->value == op->base);
	if (!is_next(c, number, s->ts.version))
		return false;
	if (op->kind == CHECK_CASV)
		return s->value == op->base;
	return op->kind == CHECK_INCR && s->is_number && check_add(s->value, op->base, &sum) &&
	       sum == op->value;
}

/* ---- matching ---- */

static bool blind_fits(const struct search *s, const struct demand *d, const struct class *class)
{
	struct state content = {
		.value = class->op->value,
		.content = class->op->kind == CHECK_DEL ? CONTENT_ABSENT : CONTENT_VALUE,
		.is_number = class->op->is_number,
	};

	for (uint32_t i = d->first; i < d->end; i++)
		if (!check_allows(s->c, &s->c->refs[i], &content))
			return false;
	return true;
}

/* The operation `from` is free: it goes to its slot, whose old one goes to its slot, and so on. */
static void shift_along(struct search *s, uint32_t unknown, uint32_t slot)
{
	struct unknown *u = s->c->key_unknowns;

	while (true) {
		uint32_t via = u[unknown].via, next = s->slots[via].unknown;

		s->slots[via].unknown = unknown;
		u[unknown].slot = via;
		if (via == slot)
			return;
		unknown = next;
	}
}

/* Reaches the operations of one class from the slot queue[at]; true: one was free. */
static bool reach(struct search *s, const struct class *class, uint32_t at, uint32_t *tail)
{
	struct unknown *u = s->c->key_unknowns;
	uint32_t from = s->queue[at];

	for (uint32_t i = class->first; i < class->end; i++) {
		if (u[i].start_ns > s->slots[from].deadline_ns)
			break;
		s->steps++;
		if (u[i].visited == s->stamp)
			continue;
		u[i].visited = s->stamp;
		u[i].via = from;
		if (u[i].slot == NONE) {
			shift_along(s, i, s->queue[0]);
			return true;
		}
		s->queue[(*tail)++] = u[i].slot;
	}
	return false;
}

/* An augmenting path from a new slot. false: the queue holds the slots that compete in vain. */
static bool fill_slot(struct search *s, uint32_t slot, uint32_t *ret_reached)
{
	uint32_t tail = 1;

	s->stamp++;
	s->queue[0] = slot;
	for (uint32_t at = 0; at < tail; at++) {
		const struct slot *from = &s->slots[s->queue[at]];

		if (from->class != ANY_BLIND) {
			if (reach(s, &s->classes[from->class], at, &tail))
				return true;
			continue;
		}
		for (uint32_t k = 0; k < s->kind_end[CHECK_DEL]; k++)
			if (blind_fits(s, &s->c->demands[from->frame], &s->classes[k]) &&
			    reach(s, &s->classes[k], at, &tail))
				return true;
	}
	*ret_reached = tail;
	return false;
}

static void drop_slots(struct search *s, uint32_t count)
{
	while (s->slot_count > count) {
		const struct slot *slot = &s->slots[--s->slot_count];

		if (slot->unknown != NONE)
			s->c->key_unknowns[slot->unknown].slot = NONE;
	}
}

/* ---- memory ---- */

static bool grow(struct search *s, void **array, uint32_t *max, size_t bytes)
{
	uint32_t more = *max ? 2 * *max : 8;
	void *grown = realloc(*array, more * bytes);

	if (!grown) {
		s->c->out_of_memory = true;
		return false;
	}
	*array = grown;
	*max = more;
	return true;
}

static void blame(struct search *s, struct frame *f, uint32_t frame)
{
	uint32_t at = f->blame_count;

	while (at > 0 && f->blame[at - 1] > frame)
		at--;
	if (at > 0 && f->blame[at - 1] == frame)
		return;
	if (f->blame_count == f->blame_max &&
	    !grow(s, (void **)&f->blame, &f->blame_max, sizeof(*f->blame)))
		return;
	memmove(&f->blame[at + 1], &f->blame[at], (f->blame_count - at) * sizeof(*f->blame));
	f->blame[at] = frame;
	f->blame_count++;
}

/* ---- options: chains of exactly f->length operations ---- */

static void add_option(struct search *s, const struct state *after)
{
	struct frame *f = &s->frames[s->frame];

	s->steps += 16 + f->length; /* it takes memory, too */
	if (f->option_count == f->option_max &&
	    !grow(s, (void **)&f->options, &f->option_max, sizeof(*f->options)))
		return;
	while (f->pool_count + f->length > f->pool_max)
		if (!grow(s, (void **)&f->pool, &f->pool_max, sizeof(*f->pool)))
			return;
	f->options[f->option_count++] = (struct option) { *after, f->pool_count, f->length };
	for (uint32_t i = 0; i < f->length; i++)
		f->pool[f->pool_count++] = s->chain[i];
}

/* Is what the whole chain leaves behind what the demand asks for? */
static void end_chain(struct search *s, const struct state *last)
{
	const struct demand *d = s->demand;
	struct state after = *last;

	s->steps++;
	if (d->type == DEMAND_RMW) {
		if (check_built_on(s->c, &s->c->ops[d->op], d->ts.version, last))
			add_option(s, last);
		return;
	}
	if (d->type == DEMAND_ABSENCE) {
		if (last->content != CONTENT_ABSENT)
			return;
		if (d->ts.version != 0)
			after.low = after.low_rmw = d->ts.version + 1;
		add_option(s, &after);
		return;
	}
	for (uint32_t i = d->first; i < d->end; i++)
		if (!check_allows(s->c, &s->c->refs[i], last))
			return;
	after.ts = d->ts;
	after.low = d->ts.version;
	after.low_rmw = d->ts.version + 1;
	add_option(s, &after);
}

static bool is_small(uint64_t number, int64_t limit)
{
	return (int64_t)number < limit && (int64_t)number > -limit;
}

/* First class of the kind whose value (INCR, CASV: base) is not below this. */
static uint32_t lower_bound(const struct search *s, enum check_kind kind, int64_t value)
{
	bool by_base = kind == CHECK_INCR || kind == CHECK_CASV;
	uint32_t low = s->kind_first[kind], high = s->kind_end[kind];

	while (low < high) {
		uint32_t middle = low + (high - low) / 2;
		const struct check_op *op = s->classes[middle].op;

		if ((int64_t)(by_base ? op->base : op->value) < value)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

/* The classes of the kind with exactly this value (or base). */
static void equal_range(const struct search *s, enum check_kind kind, uint64_t value,
			uint32_t range[2])
{
	range[0] = lower_bound(s, kind, (int64_t)value);
	range[1] = value == INT64_MAX ? s->kind_end[kind]
				      : lower_bound(s, kind, (int64_t)value + 1);
}

/* What the last operation of the chain must leave behind; false: not one value. */
static bool wanted(const struct search *s, uint64_t *ret_want)
{
	const struct demand *d = s->demand;
	const struct check_op *op = d->type == DEMAND_RMW ? &s->c->ops[d->op] : NULL;

	*ret_want = d->value;
	if (op)
		*ret_want = op->kind == CHECK_INCR ? op->value - op->base : op->base;
	return op || d->content != CONTENT_OPEN;
}

/*
 * Can increments lead from this number to what is wanted, with `hops` of them, or with fewer to
 * what some CASV expects?
 */
static bool in_range(const struct search *s, const struct state *now, uint32_t hops)
{
	int64_t way, less = hops - 1, low = s->delta_min, high = s->delta_max;
	uint64_t want;
	uint32_t k;

	if (!wanted(s, &want) || !s->deltas_small || !is_small(now->value, NUMBERS_SMALL))
		return true;
	way = (int64_t)(want - now->value);
	if (is_small(want, NUMBERS_SMALL) && way >= low * hops && way <= high * hops)
		return true;
	low = (low < 0 ? low : 0) * less;
	high = (high > 0 ? high : 0) * less;
	k = lower_bound(s, CHECK_CASV, (int64_t)now->value + low);
	return k < s->kind_end[CHECK_CASV] &&
	       (int64_t)s->classes[k].op->base <= (int64_t)now->value + high;
}

/* How many times the chain uses the class already, and may it once more? */
static bool is_left(const struct search *s, uint32_t class, uint32_t used)
{
	const struct class *k = &s->classes[class];
	uint32_t count = 0;

	for (uint32_t i = 0; i < used; i++)
		count += s->chain[i] == class;
	if (count >= k->end - k->first)
		return false;
	return s->c->key_unknowns[k->first + count].start_ns <= s->demand->deadline_ns;
}

static void hop_on(struct search *s, const struct state *now, uint32_t used);

static void hop(struct search *s, const struct state *now, uint32_t used, uint32_t class)
{
	const struct check_op *op = s->classes[class].op;
	struct state next = *now;

	s->steps++;
	if (now->content != CONTENT_VALUE || !is_left(s, class, used))
		return;
	if (op->kind == CHECK_INCR) {
		if (!now->is_number || !check_add(now->value, op->base, &next.value))
			return;
	} else {
		if (now->value != op->base)
			return;
		next.value = op->value;
		next.is_number = op->is_number;
	}
	next.ts = (struct op_ts) { now->ts.version + 1, 0 };
	next.low = next.ts.version;
	next.low_rmw = next.low + 1;
	s->chain[used] = class;
	hop_on(s, &next, used + 1);
}

static void hop_on(struct search *s, const struct state *now, uint32_t used)
{
	uint32_t left = s->frames[s->frame].length - used, first = s->kind_first[CHECK_INCR];
	uint32_t range[2];

	if (left == 0) {
		end_chain(s, now);
		return;
	}
	if (s->steps > CHECK_SEARCH_MAX || s->c->out_of_memory)
		return;
	if (now->content == CONTENT_VALUE && now->is_number && in_range(s, now, left)) {
		/* Increments side by side in one order only, where none can overflow. */
		if (used > 0 && s->chain[used - 1] >= first &&
		    s->chain[used - 1] < s->kind_end[CHECK_INCR] && s->deltas_small &&
		    is_small(now->value, NUMBERS_SMALL) &&
		    s->classes[s->chain[used - 1]].op->kind == CHECK_INCR)
			first = s->chain[used - 1];
		for (uint32_t k = first; k < s->kind_end[CHECK_INCR]; k++)
			hop(s, now, used, k);
	}
	equal_range(s, CHECK_CASV, now->value, range);
	for (uint32_t k = range[0]; k < range[1]; k++)
		hop(s, now, used, k);
}

/* The base is an update that leaves this behind at `number`. */
static void base(struct search *s, uint32_t class, uint64_t number, uint32_t used)
{
	const struct check_op *op = s->classes[class].op;
	struct state next = {
		.ts = { number, 0 },
		.value = op->kind == CHECK_INCR ? op->base : op->value,
		.low = number,
		.low_rmw = number + 1,
		.content = op->kind == CHECK_DEL ? CONTENT_ABSENT : CONTENT_VALUE,
		.is_number = op->kind == CHECK_INCR ? 1 : op->is_number,
	};

	if (!is_left(s, class, used))
		return;
	s->chain[used] = class;
	hop_on(s, &next, used + 1);
}

/* Is there a CASV from which so many increments or fewer might lead to what is wanted? */
static bool casv_near(const struct search *s, int64_t want, uint32_t hops)
{
	int64_t low = want - (s->delta_max > 0 ? s->delta_max : 0) * hops;
	int64_t high = want - (s->delta_min < 0 ? s->delta_min : 0) * hops;
	uint32_t first = 0, end = s->kind_end[CHECK_CASV] - s->kind_first[CHECK_CASV];
	uint32_t count = end;

	while (first < end) {
		uint32_t middle = first + (end - first) / 2;

		if (s->casv_values[middle] < low)
			first = middle + 1;
		else
			end = middle;
	}
	return first < count && s->casv_values[first] <= high;
}

/* The classes of PUT or CAS that can begin a chain with so many hops. */
static void base_range(const struct search *s, enum check_kind kind, uint32_t hops,
		       uint32_t range[2])
{
	uint64_t want;

	range[0] = s->kind_first[kind];
	range[1] = s->kind_end[kind];
	if (!wanted(s, &want))
		return;
	if (hops == 0)
		equal_range(s, kind, want, range);
	if (hops == 0 || !s->deltas_small || !is_small(want, NUMBERS_SMALL) ||
	    casv_near(s, (int64_t)want, hops - 1))
		return;
	range[0] = lower_bound(s, kind, (int64_t)want - s->delta_max * hops);
	range[1] = lower_bound(s, kind, (int64_t)want - s->delta_min * hops + 1);
}

/* Nobody knows what this version contains, and no demand depends on it. */
static bool any_blind_does(const struct search *s)
{
	bool asked = s->frame + 1 < s->c->demand_count && s->c->demands[s->frame + 1].linked;

	return s->demand->type == DEMAND_ORPHAN && s->demand->content == CONTENT_OPEN && !asked;
}

/* Chains whose base is at `number` and takes `length` less `hops` operations. */
static void chains_from(struct search *s, uint64_t number, uint32_t hops)
{
	const struct frame *f = &s->frames[s->frame];
	const struct state *now = &f->before;
	uint32_t cost = f->length - hops, range[2];
	uint32_t del = s->kind_first[CHECK_DEL];
	bool absent = now->content == CONTENT_ABSENT && number >= now->low_rmw, extra;

	if (cost == 0 && now->content == CONTENT_VALUE &&
	    (now->ts.version == number || (s->c->sparse && now->ts.version < number)))
		hop_on(s, now, 0);
	if (cost == 1 && number >= now->low && !(hops == 0 && any_blind_does(s))) {
		base_range(s, CHECK_PUT, hops, range);
		for (uint32_t k = range[0]; k < range[1]; k++)
			base(s, k, number, 0);
	}
	extra = cost == 2 && number > now->low && now->content != CONTENT_ABSENT &&
		del < s->kind_end[CHECK_DEL];
	if (extra && !is_left(s, del, 0))
		return;
	if (extra)
		s->chain[0] = del;
	if (cost < 1 || cost > 2)
		return;
	base_range(s, CHECK_CAS, hops, range);
	for (uint32_t k = range[0]; k < range[1]; k++) {
		const struct check_op *op = s->classes[k].op;
		bool zero = op->base_writer == 0;

		if (zero ? (cost == 1 ? absent : extra) :
			   cost == 1 && check_built_on(s->c, op, number, now))
			base(s, k, number, cost - 1);
	}
	for (uint32_t k = s->kind_first[CHECK_INCR]; k < s->kind_end[CHECK_INCR]; k++)
		if (cost == 1 ? absent : extra)
			base(s, k, number, cost - 1);
}

/* A single DEL, or none where the key is absent already. */
static void absent_chain(struct search *s, uint64_t number)
{
	const struct frame *f = &s->frames[s->frame];
	uint32_t del = s->kind_first[CHECK_DEL];
	struct state after = f->before;

	if (f->length == 0 && f->before.content == CONTENT_ABSENT)
		end_chain(s, &f->before);
	if (f->length != 1 || del == s->kind_end[CHECK_DEL] || number < f->before.low ||
	    !is_left(s, del, 0) || f->before.content == CONTENT_ABSENT)
		return;
	s->chain[0] = del;
	after.content = CONTENT_ABSENT;
	after.ts.writer = 0;
	/* Its number is as low as can be: what is built on it may have any higher one. */
	after.low_rmw = f->before.low + 1;
	end_chain(s, &after);
}

static void orphan_chains(struct search *s)
{
	const struct demand *d = s->demand;
	struct frame *f = &s->frames[s->frame];
	struct state after = { .ts = d->ts,
			       .low = d->ts.version,
			       .low_rmw = d->ts.version + 1,
			       .content = CONTENT_OPEN };
	uint32_t del = s->kind_first[CHECK_DEL];

	if (f->length == 1 && d->content == CONTENT_OPEN && s->kind_end[CHECK_DEL] > 0) {
		s->chain[0] = ANY_BLIND;
		add_option(s, &after);
	}
	if (f->length == 1 && !any_blind_does(s) && del < s->kind_end[CHECK_DEL] &&
	    is_left(s, del, 0)) {
		after.content = CONTENT_ABSENT;
		s->chain[0] = del;
		end_chain(s, &after);
	}
	for (uint32_t hops = 0; hops <= f->length && hops < d->ts.version; hops++)
		chains_from(s, d->ts.version - hops, hops);
}

static void rmw_chains(struct search *s)
{
	const struct frame *f = &s->frames[s->frame];
	const struct check_op *op = &s->c->ops[s->demand->op];
	uint64_t number = s->demand->ts.version;

	if (f->length == 0 && check_built_on(s->c, op, number, &f->before))
		add_option(s, &f->before);
	else if (op->kind == CHECK_CAS && op->base_writer != 0)
		return;
	if (op->kind != CHECK_CASV && f->length > 0 &&
	    (op->kind == CHECK_CAS || op->value == op->base))
		absent_chain(s, number - 1);
	if (op->kind != CHECK_CAS)
		for (uint32_t hops = 0; hops <= f->length && f->length > 0 && hops + 1 < number;
		     hops++)
			chains_from(s, number - 1 - hops, hops);
}

/* The next longer chains; false: there can be none. */
static bool more_options(struct search *s)
{
	struct frame *f = &s->frames[s->frame];

	f->option_count = f->pool_count = f->tried = 0;
	if (f->length == NONE)
		f->length = 0;
	else if (f->length++ == f->length_max)
		return false;
	switch ((enum demand_type)s->demand->type) {
	case DEMAND_ORPHAN:
		if (f->length > 0)
			orphan_chains(s);
		break;
	case DEMAND_ABSENCE:
		if (f->length == 0 || !s->demand->merged)
			absent_chain(s, s->demand->ts.version ? s->demand->ts.version :
								UINT64_MAX);
		break;
	case DEMAND_RMW:
		rmw_chains(s);
		break;
	}
	return true;
}

/* ---- the search ---- */

static bool try_option(struct search *s, const struct option *o)
{
	struct frame *f = &s->frames[s->frame];
	uint32_t reached;

	for (uint32_t i = 0; i < o->count; i++) {
		uint32_t slot = s->slot_count++;

		s->slots[slot] = (struct slot) { s->demand->deadline_ns, f->pool[o->first + i],
						 s->frame, NONE };
		if (fill_slot(s, slot, &reached))
			continue;
		for (uint32_t k = 1; k < reached; k++)
			if (s->slots[s->queue[k]].frame != s->frame)
				blame(s, f, s->slots[s->queue[k]].frame);
		drop_slots(s, f->slots);
		return false;
	}
	f->after = o->after;
	return true;
}

static void enter(struct search *s, uint32_t frame)
{
	struct frame *f = &s->frames[frame];
	uint64_t hops = s->hops, gap;

	s->frame = frame;
	s->demand = &s->c->demands[frame];
	f->before = s->demand->linked ? s->frames[frame - 1].after : s->demand->before;
	f->slots = s->slot_count;
	f->length = NONE;
	f->option_count = f->tried = 0;
	f->blame_count = 0;
	if (s->demand->linked)
		blame(s, f, frame - 1);
	gap = s->demand->ts.version > f->before.ts.version ?
		      s->demand->ts.version - f->before.ts.version :
		      0;
	hops = min_u64(hops, gap);
	f->length_max = (uint32_t)min_u64(hops + 2, CHAIN_MAX);
	if (s->demand->type == DEMAND_ABSENCE || s->demand->content == CONTENT_ABSENT)
		f->length_max = 1;
}

/* Meets the demand of s->frame in a way not tried yet. */
static bool advance(struct search *s)
{
	struct frame *f = &s->frames[s->frame];

	do {
		while (f->tried < f->option_count) {
			if (s->steps > CHECK_SEARCH_MAX || s->c->out_of_memory)
				return false;
			s->steps++;
			if (try_option(s, &f->options[f->tried++]))
				return true;
		}
	} while (more_options(s));
	return false;
}

/* Back to the last frame that is to blame; false: none is. */
static bool jump_back(struct search *s)
{
	struct frame *f = &s->frames[s->frame];
	uint32_t target;

	if (f->blame_count == 0)
		return false;
	target = f->blame[f->blame_count - 1];
	for (uint32_t i = 0; i + 1 < f->blame_count; i++)
		blame(s, &s->frames[target], f->blame[i]);
	s->frame = target;
	s->demand = &s->c->demands[target];
	drop_slots(s, s->frames[target].slots);
	return true;
}

static bool find(struct search *s)
{
	struct checker *c = s->c;
	uint32_t next = 0, stuck = 0;
	bool unsure = false;

	while (next < c->demand_count) {
		enter(s, next);
		while (!advance(s)) {
			if (c->out_of_memory)
				return false;
			/* A longer chain might have met this one. */
			unsure |= s->frames[s->frame].length_max == CHAIN_MAX;
			if (s->frame == next)
				stuck = next;
			if (s->steps <= CHECK_SEARCH_MAX && jump_back(s))
				continue;
			if (s->steps <= CHECK_SEARCH_MAX && !unsure)
				return check_unmet(c, &c->demands[stuck]);
			check_gave_up(c, &c->demands[s->frame]);
			return true;
		}
		next = s->frame + 1;
	}
	c->result->versions += s->slot_count;
	for (uint32_t i = 0; i < c->demand_count; i++)
		if (c->demands[i].type == DEMAND_ORPHAN)
			c->result->versions--;
	c->result->unknown_applied += s->slot_count;
	c->result->unknown_dropped += c->key_unknown_count - s->slot_count;
	return true;
}

static int compare_numbers(const void *x, const void *y)
{
	int64_t a = *(const int64_t *)x, b = *(const int64_t *)y;

	return a < b ? -1 : a > b;
}

static void make_classes(struct search *s)
{
	const struct checker *c = s->c;
	uint32_t casvs = 0;

	s->deltas_small = true;
	for (uint32_t i = 0; i < c->key_unknown_count; i++) {
		const struct check_op *op = &c->ops[c->key_unknowns[i].op];
		struct class *last = s->class_count ? &s->classes[s->class_count - 1] : NULL;
		int64_t delta = (int64_t)op->base;

		c->key_unknowns[i].slot = NONE;
		c->key_unknowns[i].visited = 0;
		if (!last || check_effect_compare(last->op, op) != 0) {
			last = &s->classes[s->class_count++];
			*last = (struct class) { op, i, i };
		}
		last->end = i + 1;
		s->hops += op->kind == CHECK_INCR || op->kind == CHECK_CASV;
		if (op->kind != CHECK_INCR)
			continue;
		s->deltas_small &= is_small(op->base, DELTAS_SMALL);
		if (s->delta_min > s->delta_max)
			s->delta_min = s->delta_max = delta;
		s->delta_min = delta < s->delta_min ? delta : s->delta_min;
		s->delta_max = delta > s->delta_max ? delta : s->delta_max;
	}
	for (uint32_t i = s->class_count; i-- > 0;)
		s->kind_first[s->classes[i].op->kind] = i;
	for (uint32_t i = 0; i < s->class_count; i++)
		s->kind_end[s->classes[i].op->kind] = i + 1;
	for (uint32_t i = s->kind_first[CHECK_CASV]; i < s->kind_end[CHECK_CASV]; i++)
		s->casv_values[casvs++] = (int64_t)s->classes[i].op->value;
	if (casvs > 1)
		qsort(s->casv_values, casvs, sizeof(*s->casv_values), compare_numbers);
	if (s->kind_end[CHECK_DEL] == 0) /* no DEL: all blind ones end with the PUTs */
		s->kind_first[CHECK_DEL] = s->kind_end[CHECK_DEL] = s->kind_end[CHECK_PUT];
}

bool check_hidden(struct checker *c)
{
	struct search s = { .c = c, .delta_min = 1 };
	/* Every slot is filled but the one being tried. */
	uint64_t slots = (uint64_t)c->key_unknown_count + 2;
	bool good = false;

	if (c->demand_count == 0) {
		c->result->unknown_dropped += c->key_unknown_count;
		return true;
	}
	s.classes = malloc(slots * sizeof(*s.classes));
	s.casv_values = malloc(slots * sizeof(*s.casv_values));
	s.slots = malloc(slots * sizeof(*s.slots));
	s.queue = malloc(slots * sizeof(*s.queue));
	s.frames = calloc(c->demand_count, sizeof(*s.frames));
	if (s.classes && s.casv_values && s.slots && s.queue && s.frames) {
		make_classes(&s);
		good = find(&s);
	} else {
		c->out_of_memory = true;
	}
	for (uint32_t i = 0; s.frames && i < c->demand_count; i++) {
		free(s.frames[i].options);
		free(s.frames[i].pool);
		free(s.frames[i].blame);
	}
	free(s.classes);
	free(s.casv_values);
	free(s.slots);
	free(s.queue);
	free(s.frames);
	return good && !c->out_of_memory;
}
