/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/check/make.h"

/* A correct register, and how the history is drawn. */
struct maker {
	uint64_t random;
	struct op_ts ts;
	uint64_t value, floor;
	bool present, is_number, collected;
	bool named; /* an absence without tombstone is told with a number */
	uint32_t values; /* how many different ones are written */
	struct op_ts old[MAKE_SMALL_MAX + 1];
	uint32_t old_count;
};

static uint32_t draw(struct maker *m, uint32_t n)
{
	m->random = m->random * 6364136223846793005ull + 1442695040888963407ull;
	return (uint32_t)((m->random >> 33) % n);
}

static void draw_value(struct maker *m, uint64_t *value, uint8_t *is_number)
{
	*value = draw(m, m->values);
	*is_number = draw(m, 4) != 0;
}

/* An operation nobody has executed yet. */
static struct check_op draw_op(struct maker *m)
{
	struct check_op o = { .kind = (uint8_t)draw(m, CHECK_KIND_COUNT) };

	if (o.kind == CHECK_PUT || o.kind == CHECK_CAS || o.kind == CHECK_CASV)
		draw_value(m, &o.value, &o.is_number);
	if (o.kind == CHECK_INCR)
		o.base = (uint64_t)draw(m, 4) - 1;
	if (o.kind == CHECK_CASV) {
		draw_value(m, &o.base, &o.base_is_number);
		if (m->present && draw(m, 2)) {
			o.base = m->value;
			o.base_is_number = m->is_number;
		}
	}
	if (o.kind == CHECK_CAS && draw(m, 4) && m->ts.version != 0) {
		struct op_ts base = draw(m, 3) ? m->ts : m->old[draw(m, m->old_count)];

		o.base = base.version;
		o.base_writer = base.writer;
	}
	return o;
}

static struct op_ts next_ts(struct maker *m, bool rmw)
{
	uint64_t from = m->present ? m->ts.version : max_u64(m->ts.version, m->floor);
	struct op_ts ts = { from + 1, 1 + draw(m, 3) }, tie = { m->ts.version, ts.writer };

	if (!m->present)
		ts.version += draw(m, 2);
	if (rmw)
		return ts;
	if (m->ts.version > m->floor && draw(m, 3) == 0 && op_ts_compare(tie, m->ts) > 0)
		return tie;
	ts.version += draw(m, 2);
	return ts;
}

static void install(struct maker *m, struct check_op *o, bool rmw)
{
	m->ts = next_ts(m, rmw);
	m->present = o->kind != CHECK_DEL;
	m->value = o->value;
	m->is_number = o->is_number;
	m->collected = false;
	o->outcome = STATUS_OK;
}

static void do_incr(struct maker *m, struct check_op *o)
{
	if (m->present && !m->is_number) {
		o->outcome = STATUS_NOT_A_NUMBER;
		return;
	}
	o->value = (m->present ? m->value : 0) + o->base;
	o->is_number = 1;
	install(m, o, true);
}

static void do_cas(struct maker *m, struct check_op *o)
{
	bool same = o->base == m->ts.version && o->base_writer == m->ts.writer;
	bool good = o->base_writer == 0 ? !m->present : same;

	/* A tombstone forgotten somewhere is nobody's base any more. */
	if (good && o->base_writer != 0 && m->floor > m->ts.version) {
		m->collected = true;
		good = false;
	}
	if (o->kind == CHECK_CASV)
		good = m->present && m->value == o->base;
	if (good && o->base_writer != 0) {
		m->present = true; /* its number follows the expected version's, tombstone or not */
		m->collected = false;
	}
	if (good)
		install(m, o, true);
	else
		o->outcome = STATUS_CONFLICT;
}

/* Executes o on the register and writes down what it answers. */
static void execute(struct maker *m, struct check_op *o)
{
	if (o->kind == CHECK_PUT || (o->kind == CHECK_DEL && (m->present || draw(m, 3) == 0))) {
		install(m, o, false);
	} else if (o->kind == CHECK_INCR) {
		do_incr(m, o);
	} else if (o->kind == CHECK_CAS || o->kind == CHECK_CASV) {
		do_cas(m, o);
	} else {
		o->outcome = m->present ? STATUS_OK : STATUS_NOT_FOUND;
		if (m->present) {
			o->value = m->value;
			o->is_number = m->is_number;
		}
	}
	o->version = m->ts.version;
	o->writer = m->ts.writer;
	/* A node that has forgotten the tombstone answers with its floor; others need not. */
	if (!m->present && o->outcome != STATUS_OK && (m->collected || draw(m, 3) == 0)) {
		m->collected = draw(m, 2);
		m->floor = max_u64(m->floor, m->ts.version + draw(m, 2));
		o->version = m->named ? m->floor : 0;
		o->writer = 0;
	}
}

static void change_outcome(struct maker *m, struct check_op *o)
{
	static const uint8_t outcomes[] = { STATUS_UNKNOWN,  STATUS_BUSY,     STATUS_EVICTED,
					    STATUS_CONFLICT, STATUS_OVERFLOW, STATUS_NOT_FOUND,
					    STATUS_OK,	     STATUS_WAIT };

	o->outcome = outcomes[draw(m, ARRAY_LEN(outcomes))];
	if (o->kind == CHECK_INCR)
		o->is_number = 1;
}

static void change_version(struct maker *m, struct check_op *o, const struct check_op *other)
{
	switch (draw(m, 5)) {
	case 0:
		o->version = other->version;
		o->writer = other->writer;
		break;
	case 1:
		o->version += draw(m, 3);
		break;
	case 2:
		o->version -= o->version > 1;
		break;
	case 3:
		o->writer = o->version ? 1 + draw(m, 3) : 0;
		break;
	default:
		o->base = other->version;
		o->base_writer = o->kind == CHECK_CAS ? other->writer : 0;
		break;
	}
}

static void change(struct maker *m, struct check_op *ops, uint32_t count)
{
	struct check_op *o = &ops[draw(m, count)], *other = &ops[draw(m, count)];

	switch (draw(m, 6)) {
	case 0:
		o->value = other->value;
		o->is_number = other->is_number || o->kind == CHECK_INCR;
		break;
	case 1:
		o->start_ns = other->start_ns;
		o->end_ns = max_u64(o->start_ns, o->end_ns);
		break;
	case 2:
		o->end_ns = max_u64(o->start_ns, other->end_ns);
		break;
	case 3:
		change_outcome(m, o);
		break;
	default:
		change_version(m, o, other);
		break;
	}
}

/* Any operation with any answer. */
static void anything(struct maker *m, struct check_op *o)
{
	static const uint8_t outcomes[] = { STATUS_OK,	STATUS_OK,	 STATUS_OK,
					    STATUS_OK,	STATUS_UNKNOWN,	 STATUS_UNKNOWN,
					    STATUS_OK,	STATUS_CONFLICT, STATUS_NOT_FOUND,
					    STATUS_NOT_A_NUMBER };

	o->outcome = outcomes[draw(m, ARRAY_LEN(outcomes))];
	o->version = draw(m, 4);
	o->writer = o->version ? draw(m, 3) : 0;
	o->start_ns = 10 + draw(m, 20);
	o->end_ns = o->start_ns + draw(m, 20);
	if (o->kind == CHECK_INCR || o->kind == CHECK_GET)
		draw_value(m, &o->value, &o->is_number);
	if (o->kind == CHECK_INCR)
		o->is_number = 1;
	if (o->kind == CHECK_CAS) {
		o->base = draw(m, 3);
		o->base_writer = o->base ? draw(m, 3) : 0;
	}
}

uint32_t make_small(uint64_t seed, struct check_op ops[MAKE_SMALL_MAX])
{
	struct maker m = { .random = seed * 0x9e3779b97f4a7c15ull, .old_count = 1 };
	uint32_t style = draw(&m, 4), count = 2 + draw(&m, MAKE_SMALL_MAX - 1);
	uint32_t unknown = draw(&m, 4), width = draw(&m, 2) ? 25 : 60;
	/* What is UNKNOWN explains a lot: more must be wrong for something to be wrong. */
	uint32_t changes = style == 1 ? 1 + draw(&m, 3) + unknown : 0;

	m.named = draw(&m, 4) == 0;
	if (style == 2)
		changes = 1 + unknown / 2;
	m.values = 2 + draw(&m, 4);
	if (style == 3)
		count = 2 + draw(&m, 4);
	for (uint32_t i = 0; i < count; i++) {
		struct check_op *o = &ops[i], effect;
		uint64_t moment = 100 + 10 * (uint64_t)i;

		*o = effect = draw_op(&m);
		if (style == 3) {
			anything(&m, o);
		} else if (draw(&m, 6) < unknown) {
			/* No answer: its effect, or none. */
			if (draw(&m, 3))
				execute(&m, &effect);
			o->outcome = draw(&m, 5) ? STATUS_UNKNOWN : STATUS_EVICTED;
		} else {
			execute(&m, o);
		}
		if (style != 3) {
			o->start_ns = moment - draw(&m, width);
			o->end_ns = moment + draw(&m, width);
		}
		o->client = i;
		m.old[m.old_count++] = (struct op_ts) { o->version, o->writer };
	}
	for (uint32_t i = 0; i < changes; i++)
		change(&m, ops, count);
	return count;
}

/* ---- large ---- */

static const uint8_t large_kinds[16] = { CHECK_GET, CHECK_GET, CHECK_GET,  CHECK_GET,
					 CHECK_GET, CHECK_GET, CHECK_GET,  CHECK_GET,
					 CHECK_PUT, CHECK_PUT, CHECK_PUT,  CHECK_DEL,
					 CHECK_CAS, CHECK_CAS, CHECK_INCR, CHECK_CASV };

static void large_op(struct maker *m, struct check_op *o, uint64_t index, bool unknown)
{
	struct check_op effect;

	*o = (struct check_op) { .kind = large_kinds[draw(m, 16)] };
	if (o->kind == CHECK_PUT || o->kind == CHECK_CAS || o->kind == CHECK_CASV) {
		o->value = 1000 * (index + 1);
		o->is_number = 1;
	}
	if (o->kind == CHECK_INCR)
		o->base = 1 + draw(m, 9);
	if (o->kind == CHECK_CASV)
		o->base = draw(m, 2) ? m->value : index;
	/* old[0]: the last version that was told to anybody. */
	if (o->kind == CHECK_CAS && draw(m, 4)) {
		o->base = m->old[0].version;
		o->base_writer = m->old[0].writer;
	}
	effect = *o;
	if (!unknown)
		execute(m, o);
	else if (draw(m, 2))
		execute(m, &effect);
	if (unknown)
		o->outcome = STATUS_UNKNOWN;
	else if (o->writer != 0)
		m->old[0] = m->ts;
}

void make_large(uint64_t seed, struct check_op *ops, uint64_t count, uint32_t clients,
		uint32_t unknown_one_in)
{
	struct maker m = { .random = seed, .old_count = 1, .values = 2 };
	uint64_t span = 5ull * clients;

	for (uint64_t i = 0; i < count; i++) {
		/* In every round of operations the clients come in an order of their own. */
		uint64_t round = i & ~(uint64_t)(clients - 1);
		uint64_t place = round + ((i * 167 + (round >> 3)) & (clients - 1));
		struct check_op *o = &ops[round + clients <= count ? place : i];

		large_op(&m, o, i, unknown_one_in && draw(&m, unknown_one_in) == 0);
		o->client = (uint32_t)(i & (clients - 1));
		o->start_ns = span + 10 * i - draw(&m, (uint32_t)span);
		o->end_ns = span + 10 * i + draw(&m, (uint32_t)span);
	}
}
