/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/check/check_priv.h"

#include <stdlib.h>

/* Byte `digit` of the sort order, least significant first: role, writer, version, key. */
static inline uint32_t digit_of(const struct ref *r, uint32_t digit)
{
	if (digit == 0)
		return r->op & 1;
	if (digit < 5)
		return r->writer >> (8 * (digit - 1)) & 0xff;
	if (digit < 13)
		return (uint32_t)(r->version >> (8 * (digit - 5))) & 0xff;
	return (uint32_t)(r->key >> (8 * (digit - 13))) & 0xff;
}

#define DIGITS 21u

static void sort_digit(struct checker *c, uint32_t digit)
{
	uint32_t at[257] = { 0 };
	struct ref *swap = c->refs;

	for (uint64_t i = 0; i < c->ref_count; i++)
		at[digit_of(&c->refs[i], digit) + 1]++;
	for (uint32_t i = 0; i < 256; i++)
		at[i + 1] += at[i];
	for (uint64_t i = 0; i < c->ref_count; i++)
		c->spare[at[digit_of(&c->refs[i], digit)]++] = c->refs[i];
	c->refs = c->spare;
	c->spare = swap;
}

void check_sort_refs(struct checker *c)
{
	struct ref all = { 0 };

	/* Bytes that never differ cost nothing: most histories have small versions and few keys. */
	for (uint64_t i = 1; i < c->ref_count; i++) {
		all.key |= c->refs[i].key ^ c->refs[0].key;
		all.version |= c->refs[i].version ^ c->refs[0].version;
		all.writer |= c->refs[i].writer ^ c->refs[0].writer;
		all.op |= c->refs[i].op ^ c->refs[0].op;
	}
	for (uint32_t digit = 0; digit < DIGITS; digit++)
		if (digit_of(&all, digit) != 0)
			sort_digit(c, digit);
}

static int compare_u64(uint64_t a, uint64_t b)
{
	return a < b ? -1 : a > b;
}

static int compare_unknowns(const void *x, const void *y, void *arg)
{
	const struct unknown *a = x, *b = y;
	const struct check_op *ops = arg;
	int order = compare_u64(a->key, b->key);

	if (order == 0)
		order = compare_u64(a->class, b->class);
	if (order == 0)
		order = compare_u64(a->value, b->value);
	if (order == 0)
		order = compare_u64(ops[a->op].start_ns, ops[b->op].start_ns);
	return order;
}

void check_sort_unknowns(struct checker *c)
{
	if (c->unknown_count > 1)
		qsort_r(c->unknowns, c->unknown_count, sizeof(c->unknowns[0]), compare_unknowns,
			(void *)c->ops);
}
