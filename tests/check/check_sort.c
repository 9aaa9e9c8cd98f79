/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/check/check_priv.h"

#include <stdlib.h>

#define DIGIT_BITS 11u
#define DIGITS	   (1u << DIGIT_BITS)

/* One stable pass by `bits` bits of the version, or of the key, from `shift` on. */
static void sort_digit(struct checker *c, uint32_t shift, bool by_key)
{
	uint32_t at[DIGITS + 1] = { 0 };
	struct ref *to = c->spare, *from = c->refs;
	const struct check_op *ops = c->ops;

	for (uint64_t i = 0; i < c->ref_count; i++) {
		uint64_t word = by_key ? ops[from[i].op].key : ref_version(&from[i]);

		at[(word >> shift & (DIGITS - 1)) + 1]++;
	}
	for (uint32_t i = 0; i < DIGITS; i++)
		at[i + 1] += at[i];
	for (uint64_t i = 0; i < c->ref_count; i++) {
		uint64_t word = by_key ? ops[from[i].op].key : ref_version(&from[i]);

		to[at[word >> shift & (DIGITS - 1)]++] = from[i];
	}
	c->refs = to;
	c->spare = from;
}

/* By position among those of one number, writer 0 last. */
static int compare_ties(const void *x, const void *y)
{
	const struct ref *a = x, *b = y;

	if (a->writer == b->writer)
		return a->op < b->op ? -1 : a->op > b->op;
	if (a->writer == 0 || b->writer == 0)
		return a->writer == 0 ? 1 : -1;
	return op_ts_compare((struct op_ts) { ref_version(a), a->writer },
			     (struct op_ts) { ref_version(b), b->writer });
}

/* Most numbers were used by one writer only; nothing is to be done for them. */
static void sort_ties(struct checker *c)
{
	uint64_t end;

	for (uint64_t first = 0; first < c->ref_count; first = end) {
		const struct ref *r = &c->refs[first];
		uint64_t version = ref_version(r);
		bool mixed = false;

		for (end = first + 1; end < c->ref_count; end++) {
			if (ref_version(&c->refs[end]) != version ||
			    (c->key_bits && c->ops[c->refs[end].op].key != c->ops[r->op].key))
				break;
			mixed |= c->refs[end].writer != r->writer;
		}
		if (mixed)
			qsort(&c->refs[first], end - first, sizeof(*r), compare_ties);
	}
}

void check_sort_refs(struct checker *c)
{
	/* Bits that never differ cost nothing: most histories have small versions, few keys. */
	for (uint32_t shift = 0; shift < 64; shift += DIGIT_BITS)
		if (c->version_bits >> shift & (DIGITS - 1))
			sort_digit(c, shift, false);
	for (uint32_t shift = 0; shift < 64; shift += DIGIT_BITS)
		if (c->key_bits >> shift & (DIGITS - 1))
			sort_digit(c, shift, true);
	sort_ties(c);
}

static int compare_u64(uint64_t a, uint64_t b)
{
	return a < b ? -1 : a > b;
}

/* Blind ones first. */
static uint64_t kind_order(uint8_t kind)
{
	return kind == CHECK_PUT ? 0 : kind == CHECK_DEL ? 1 : kind;
}

static int compare_i64(uint64_t a, uint64_t b)
{
	return (int64_t)a < (int64_t)b ? -1 : (int64_t)a > (int64_t)b;
}

int check_effect_compare(const struct check_op *a, const struct check_op *b)
{
	bool writes = a->kind == CHECK_PUT || a->kind == CHECK_CAS || a->kind == CHECK_CASV;
	int order = compare_u64(kind_order(a->kind), kind_order(b->kind));

	if (order == 0 && (a->kind == CHECK_INCR || a->kind == CHECK_CASV))
		order = compare_i64(a->base, b->base);
	if (order == 0 && writes)
		order = compare_i64(a->value, b->value);
	if (order == 0 && writes)
		order = compare_u64(a->is_number, b->is_number);
	if (order == 0 && a->kind == CHECK_CAS)
		order = compare_u64(a->base, b->base);
	if (order == 0 && a->kind == CHECK_CAS)
		order = compare_u64(a->base_writer, b->base_writer);
	return order;
}

static int compare_unknowns(const void *x, const void *y, void *arg)
{
	const struct unknown *a = x, *b = y;
	const struct check_op *ops = arg;
	int order = compare_u64(a->key, b->key);

	if (order == 0)
		order = check_effect_compare(&ops[a->op], &ops[b->op]);
	if (order == 0)
		order = compare_u64(a->start_ns, b->start_ns);
	return order ? order : compare_u64(a->op, b->op);
}

void check_sort_unknowns(struct checker *c)
{
	if (c->unknown_count > 1)
		qsort_r(c->unknowns, c->unknown_count, sizeof(c->unknowns[0]), compare_unknowns,
			(void *)c->ops);
}
