/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/check/brute.h"

#define NAMES_MAX (2 * BRUTE_OPS_MAX)
#define SEEN_SLOTS (1u << 16)

/*
 * Where a version stands: its number, and its place among those of that number: 2i + 1 is the i-th
 * one that some reply names, 2i lies before it, and as many as you like find room there.
 */
struct place {
	uint32_t number, rank;
};

struct register_state {
	uint64_t value;
	struct place at;
	uint32_t floor; /* later updates have higher numbers */
	uint32_t done;	/* bitmap of operations */
	uint32_t present, is_number;
};

struct brute {
	struct check_op op[BRUTE_OPS_MAX];
	struct op_ts name[NAMES_MAX]; /* ascending */
	uint32_t count, name_count, number_max;
};

struct seen {
	uint32_t round;
	struct register_state state;
};

/* States that led nowhere, of the history of this round. */
static struct seen seen_table[SEEN_SLOTS];
static uint32_t seen_round, seen_count;

static bool try_all(const struct brute *b, const struct register_state *now);

static bool was_seen(const struct register_state *s)
{
	const uint8_t *p = (const uint8_t *)s;
	uint64_t h = 0;

	for (size_t i = 0; i < sizeof(*s); i += 8)
		h = (h ^ load_u64(p + i)) * 0x9e3779b97f4a7c15ull, h ^= h >> 29;
	for (uint32_t i = (uint32_t)h % SEEN_SLOTS;; i = (i + 1) % SEEN_SLOTS) {
		struct seen *e = &seen_table[i];

		if (e->round == seen_round && memcmp(&e->state, s, sizeof(*s)) == 0)
			return true;
		if (e->round == seen_round)
			continue;
		must(seen_count++ < SEEN_SLOTS / 2);
		*e = (struct seen) { seen_round, *s };
		return false;
	}
}

/* ---- names ---- */

static bool same(struct op_ts a, struct op_ts b)
{
	return a.version == b.version && a.writer == b.writer;
}

static void add_name(struct brute *b, struct op_ts ts)
{
	uint32_t i = b->name_count;

	b->number_max = (uint32_t)max_u64(b->number_max, ts.version);
	if (ts.writer == 0)
		return;
	for (uint32_t k = 0; k < b->name_count; k++)
		if (same(b->name[k], ts))
			return;
	for (; i > 0 && op_ts_compare(b->name[i - 1], ts) > 0; i--)
		b->name[i] = b->name[i - 1];
	b->name[i] = ts;
	b->name_count++;
}

static struct place place_of(const struct brute *b, struct op_ts ts)
{
	struct place at = { (uint32_t)ts.version, 0 };

	for (uint32_t k = 0; k < b->name_count && !same(b->name[k], ts); k++)
		at.rank += b->name[k].version == ts.version ? 2 : 0;
	at.rank++;
	return at;
}

static uint32_t names_of(const struct brute *b, uint32_t number)
{
	uint32_t count = 0;

	for (uint32_t k = 0; k < b->name_count; k++)
		count += b->name[k].version == number;
	return count;
}

/* ---- the register ---- */

static bool is_after(struct place a, struct place b)
{
	bool between = a.rank % 2 == 0;

	if (a.number != b.number)
		return a.number > b.number;
	return a.rank > b.rank || (between && a.rank == b.rank);
}

static bool add(uint64_t a, uint64_t b, uint64_t *ret_sum)
{
	*ret_sum = a + b;
	return ((a ^ b) >> 63) || ((a ^ *ret_sum) >> 63) == 0;
}

/* The update happens now and gets this place. */
static bool update(const struct brute *b, const struct check_op *o, struct place at,
		   struct register_state *now)
{
	struct op_ts base = { o->base, o->base_writer };
	bool step = at.number == now->at.number + 1;

	if (!is_after(at, now->at) || at.number <= now->floor)
		return false;
	if (o->kind == CHECK_CAS && base.writer != 0) {
		struct place p = place_of(b, base);

		/* Odd: a name; a base without a name has no place like it. */
		if (p.number != now->at.number || p.rank != now->at.rank || !step)
			return false;
	} else if (o->kind == CHECK_CAS) {
		if (now->present || at.number <= now->at.number)
			return false;
	} else if (o->kind == CHECK_CASV) {
		if (!now->present || now->value != o->base || !step)
			return false;
	} else if (o->kind == CHECK_INCR && now->present) {
		if (!step || !now->is_number || !add(now->value, o->base, &now->value))
			return false;
	} else if (o->kind == CHECK_INCR) {
		if (at.number <= now->at.number)
			return false;
		now->value = o->base;
	}
	now->at = at;
	now->present = o->kind != CHECK_DEL;
	if (o->kind == CHECK_DEL)
		now->value = now->is_number = 0;
	else if (o->kind == CHECK_INCR)
		now->is_number = 1;
	else
		now->value = o->value, now->is_number = o->is_number;
	return true;
}

static bool read_fits(const struct check_op *o, const struct register_state *now)
{
	uint64_t sum;

	switch (o->outcome) {
	case STATUS_OK:
		return now->present && now->value == o->value && now->is_number == o->is_number;
	case STATUS_NOT_FOUND:
		return !now->present;
	case STATUS_NOT_A_NUMBER:
		return now->present && !now->is_number;
	case STATUS_OVERFLOW:
		return now->present && now->is_number && !add(now->value, o->base, &sum);
	default:
		break;
	}
	if (o->kind == CHECK_CASV)
		return !now->present || now->value != o->base;
	if (o->base_writer == 0)
		return now->present;
	return !same((struct op_ts) { o->version, o->writer },
		     (struct op_ts) { o->base, o->base_writer });
}

static bool read_now(const struct brute *b, const struct check_op *o, struct register_state *now)
{
	struct place at = place_of(b, (struct op_ts) { o->version, o->writer });

	if (!read_fits(o, now))
		return false;
	if (o->writer != 0)
		return at.number == now->at.number && at.rank == now->at.rank;
	if (now->present)
		return false;
	if (o->version == 0)
		return true; /* no version known */
	if (now->at.number > o->version)
		return false;
	now->floor = (uint32_t)max_u64(now->floor, o->version);
	return true;
}

/* ---- all orders ---- */

static bool is_unknown(const struct check_op *o)
{
	return o->outcome == STATUS_UNKNOWN || o->outcome == STATUS_EVICTED ||
	       o->outcome == STATUS_WAIT;
}

static bool is_update(const struct check_op *o)
{
	return o->kind != CHECK_GET && o->outcome == STATUS_OK;
}

/* Names that an acknowledged update carries are not for UNKNOWN ones. */
static bool is_taken(const struct brute *b, struct op_ts ts)
{
	for (uint32_t i = 0; i < b->count; i++)
		if (is_update(&b->op[i]) &&
		    same((struct op_ts) { b->op[i].version, b->op[i].writer }, ts))
			return true;
	return false;
}

static bool try_unknown(const struct brute *b, uint32_t index, const struct register_state *now)
{
	for (uint32_t number = now->at.number; number <= b->number_max; number++) {
		uint32_t places = 2 * names_of(b, number) + 1, name = 0;

		while (name < b->name_count && b->name[name].version < number)
			name++;
		for (uint32_t rank = 0; rank < places; rank++) {
			struct register_state next = *now;

			if (rank % 2 == 1 && is_taken(b, b->name[name + rank / 2]))
				continue;
			if (number > 0 &&
			    update(b, &b->op[index], (struct place) { number, rank }, &next) &&
			    try_all(b, &next))
				return true;
		}
	}
	return false;
}

static bool try_op(const struct brute *b, uint32_t index, const struct register_state *now)
{
	const struct check_op *o = &b->op[index];
	struct register_state next = *now;

	next.done |= 1u << index;
	if (is_unknown(o))
		return try_unknown(b, index, &next);
	if (!is_update(o))
		return read_now(b, o, &next) && try_all(b, &next);
	if (!update(b, o, place_of(b, (struct op_ts) { o->version, o->writer }), &next))
		return false;
	if (next.present && (next.value != o->value || next.is_number != o->is_number))
		return false;
	return try_all(b, &next);
}

static bool try_all(const struct brute *b, const struct register_state *now)
{
	uint64_t end = UINT64_MAX;

	for (uint32_t i = 0; i < b->count; i++)
		if (!(now->done & 1u << i) && b->op[i].end_ns < end)
			end = b->op[i].end_ns;
	if (end == UINT64_MAX)
		return true; /* only UNKNOWN ones are left: they never happened */
	if (was_seen(now))
		return false;
	for (uint32_t i = 0; i < b->count; i++)
		if (!(now->done & 1u << i) && b->op[i].start_ns <= end && try_op(b, i, now))
			return true;
	return false;
}

/* An answer that says something: the others had no effect, or are reads without an answer. */
static bool is_answer(const struct check_op *o)
{
	switch (o->outcome) {
	case STATUS_OK:
		return true;
	case STATUS_NOT_FOUND:
		return o->kind != CHECK_PUT;
	case STATUS_CONFLICT:
		return o->kind == CHECK_CAS || o->kind == CHECK_CASV;
	case STATUS_NOT_A_NUMBER:
	case STATUS_OVERFLOW:
		return o->kind == CHECK_INCR;
	default:
		return false;
	}
}

bool brute_check(const struct check_op *ops, uint32_t count)
{
	struct register_state start;
	struct brute b = { .count = 0 };

	must(count <= BRUTE_OPS_MAX);
	for (uint32_t i = 0; i < count; i++) {
		const struct check_op *o = &ops[i];
		bool unknown = is_unknown(o) && o->kind != CHECK_GET;

		if (!unknown && !is_answer(o))
			continue;
		b.op[b.count] = *o;
		if (unknown)
			b.op[b.count].end_ns = UINT64_MAX;
		b.count++;
		if (unknown)
			continue;
		if ((is_update(o) || o->version == 0) && (o->writer == 0) != (o->version == 0))
			return false;
		if (is_update(o) && o->version == 0)
			return false;
		add_name(&b, (struct op_ts) { o->version, o->writer });
		if (is_update(o) && o->kind == CHECK_CAS && o->base_writer != 0)
			add_name(&b, (struct op_ts) { o->base, o->base_writer });
	}
	memset(&start, 0, sizeof(start));
	seen_round++;
	seen_count = 0;
	return try_all(&b, &start);
}
