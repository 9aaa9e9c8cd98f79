/* SPDX-License-Identifier: Apache-2.0 */
/*
 * check_hidden.c: a version that was seen but that no acknowledged operation installed must be the
 * work of an UNKNOWN one. Which one is a bipartite matching; values are unique nearly always, so
 * that the first try succeeds, and augmenting paths settle the rest.
 */
#include "tests/check/check_priv.h"

#include <stdlib.h>

/* Index of the first UNKNOWN operation of the key at or after (class, value). */
static uint32_t lower_bound(const struct checker *c, uint8_t class, uint64_t value)
{
	uint32_t low = 0, high = c->key_unknown_count;

	while (low < high) {
		uint32_t middle = low + (high - low) / 2;
		const struct unknown *u = &c->key_unknowns[middle];

		if (u->class < class || (u->class == class && u->value < value))
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

/* May content be what an operation that writes `value` leaves behind? */
static bool value_fits(const struct version *v, const struct check_op *op)
{
	if (v->content == CONTENT_VALUE)
		return op->value == v->value && op->is_number == v->is_number;
	if (v->content == CONTENT_ZERO)
		return op->is_number && op->value == 0;
	return v->content != CONTENT_ABSENT;
}

static bool cas_fits(const struct checker *c, const struct version *previous,
		     const struct check_op *op)
{
	struct op_ts base = check_base_ts(op);
	uint32_t del = lower_bound(c, UNKNOWN_DEL, 0);

	if (!check_ts_zero(base))
		return op_ts_compare(previous->ts, base) == 0;
	if (previous->content != CONTENT_VALUE && previous->content != CONTENT_EXISTS)
		return true;
	/* An UNKNOWN delete that nobody saw may lie between. */
	return del < c->key_unknown_count && c->key_unknowns[del].class == UNKNOWN_DEL;
}

static bool incr_fits(const struct checker *c, const struct version *v, const struct check_op *op)
{
	const struct version *previous = v - 1;
	uint64_t base = previous->content == CONTENT_VALUE ? previous->value : 0;
	/* An UNKNOWN blind write with a tied version may lie between. */
	bool tie = c->key_unknown_count > 1 && c->key_unknowns[0].class != UNKNOWN_INCR;

	if (v->content == CONTENT_ABSENT || (v->content == CONTENT_VALUE && !v->is_number))
		return false;
	/* Something nobody saw may lie between; with one UNKNOWN operation nothing can. */
	if (previous->ts.version + 1 < v->ts.version)
		return c->key_unknown_count > 1;
	if (previous->ts.version + 1 != v->ts.version)
		return false;
	if (tie || previous->content == CONTENT_ANY || previous->content == CONTENT_EXISTS ||
	    previous->content == CONTENT_ZERO)
		return true;
	if (previous->content == CONTENT_VALUE && !previous->is_number)
		return false;
	if (v->content == CONTENT_VALUE)
		return base + op->base == v->value;
	return v->content != CONTENT_ZERO || base + op->base == 0;
}

static bool fits(const struct checker *c, const struct version *v, const struct unknown *u)
{
	const struct check_op *op = &c->ops[u->op];

	if (op->start_ns > v->deadline_ns)
		return false;
	switch ((enum check_kind)op->kind) {
	case CHECK_PUT:
		return value_fits(v, op);
	case CHECK_CAS:
		return value_fits(v, op) && cas_fits(c, v - 1, op);
	case CHECK_DEL:
		return v->content == CONTENT_ABSENT || v->content == CONTENT_ANY ||
		       v->content == CONTENT_ZERO;
	case CHECK_INCR:
		return incr_fits(c, v, op);
	case CHECK_GET:
	case CHECK_KIND_COUNT:
		break;
	}
	return false;
}

/* Up to two ranges of candidates, by what is known of the content. */
static void candidates(const struct checker *c, const struct version *v, uint32_t range[4])
{
	uint32_t incr = lower_bound(c, UNKNOWN_INCR, 0);

	range[0] = 0;
	range[1] = range[2] = range[3] = c->key_unknown_count;
	if (v->content == CONTENT_ABSENT) {
		range[0] = lower_bound(c, UNKNOWN_DEL, 0);
		range[1] = incr;
	} else if (v->content == CONTENT_VALUE) {
		range[0] = lower_bound(c, UNKNOWN_WRITE, v->value);
		range[1] = v->value == UINT64_MAX ? lower_bound(c, UNKNOWN_DEL, 0)
						  : lower_bound(c, UNKNOWN_WRITE, v->value + 1);
		if (v->is_number)
			range[2] = incr;
	}
}

static bool assign(struct checker *c, uint32_t version, uint32_t stamp)
{
	const struct version *v = &c->versions[version];
	uint32_t range[4];

	candidates(c, v, range);
	for (uint32_t k = 0; k < 4; k += 2) {
		for (uint32_t j = range[k]; j < range[k + 1]; j++) {
			struct unknown *u = &c->key_unknowns[j];

			if (u->version != NONE || !fits(c, v, u))
				continue;
			u->version = version;
			return true;
		}
	}
	for (uint32_t k = 0; k < 4; k += 2) {
		for (uint32_t j = range[k]; j < range[k + 1]; j++) {
			struct unknown *u = &c->key_unknowns[j];

			if (u->visited == stamp || !fits(c, v, u))
				continue;
			u->visited = stamp;
			if (!assign(c, u->version, stamp))
				continue;
			u->version = version;
			return true;
		}
	}
	return false;
}

bool check_hidden_match(struct checker *c)
{
	for (uint32_t i = 1; i < c->version_count; i++) {
		struct version *v = &c->versions[i];

		if (v->install == NONE && !assign(c, i, i))
			return check_orphan(c, v);
	}
	for (uint32_t j = 0; j < c->key_unknown_count; j++) {
		const struct unknown *u = &c->key_unknowns[j];

		if (u->version == NONE) {
			c->result->unknown_dropped++;
			continue;
		}
		c->versions[u->version].install = u->op;
		c->result->unknown_applied++;
	}
	return true;
}
