/* SPDX-License-Identifier: Apache-2.0 */
/*
 * check_absent.c: where in the order of versions do reads of an absence lie that name no version?
 *
 * Gap g lies behind g versions. Time allows a read a range of gaps, from one before which nothing
 * may come that ended before the read began, to one behind which nothing may that began after its
 * end; both bounds grow with the read's times. The first gap of the range where the key is known to
 * be absent (a tombstone, or the beginning) is the best: of two reads one after the other the later
 * never gets an earlier gap, and the fewer versions lie before a read, the less it demands of them.
 * Without UNKNOWN operations that is all, and exact.
 *
 * A read without such a gap needs an UNKNOWN DEL that nobody saw. As few as possible are
 * asked for, in gaps where what follows can follow an absence. If that turns out wrong, every other
 * way to place the reads is tried, up to a bound.
 */
#include <stdlib.h>

#include "tests/check/check_priv.h"

#define PLACES_TRIED_MAX (1u << 20)
#define REFS_TRIED_MAX	 ((uint64_t)1 << 24)

struct gap {
	uint64_t start_ns; /* latest start of all that lies before it for sure */
	uint64_t reads_ns; /* the same, if its version is no tombstone */
	uint64_t end_ns;   /* earliest end of all that lies behind it */
	uint32_t absent;   /* the first gap from here on that is known to be absent, or NONE */
	uint32_t good;	   /* the last gap up to here that an unseen DEL leaves in peace, or NONE */
};

/* A read and its gaps, low..high. */
struct open_read {
	struct ref ref;
	uint32_t low, high, place;
	uint32_t late; /* the latest gap that is likely to be right */
	bool needy;    /* none of its gaps is known to be absent */
};

struct placing {
	struct gap *gaps;
	struct open_read *reads;
	uint32_t *places;
	uint32_t gap_count, count;
	uint32_t first, end; /* refs of the key, the open reads before all others */
};

/* The versions of the key as they are read one after the other. */
struct scan {
	uint64_t version;
	uint64_t reads_ns;   /* latest start of those who read it, or an absence behind it */
	uint64_t present_ns; /* latest start of those who read a value */
	uint32_t writer;
	bool absent;
};

static bool disturbs(const struct check_op *op)
{
	if (op->kind == CHECK_CASV)
		return true;
	if (op->kind == CHECK_INCR)
		return op->value != op->base;
	return op->kind == CHECK_CAS && op->base_writer != 0;
}

/* All mentions of the version before the gap have been seen. */
static void end_gap(struct gap *g, const struct scan *scan)
{
	g->start_ns = max_u64(g->start_ns, scan->present_ns);
	g->reads_ns = scan->absent ? g->start_ns : max_u64(g->start_ns, scan->reads_ns);
}

/* The next version begins. */
static struct gap *next_gap(struct placing *p, struct scan *scan, const struct ref *r)
{
	struct gap *before = &p->gaps[p->gap_count - 1], *g = &p->gaps[p->gap_count];

	if (scan->absent)
		before->absent = p->gap_count - 1;
	before->good = p->gap_count - 1;
	end_gap(before, scan);
	*g = (struct gap) { .start_ns = max_u64(before->start_ns, scan->reads_ns),
			    .end_ns = UINT64_MAX,
			    .absent = NONE,
			    .good = NONE };
	*scan = (struct scan) { .version = ref_version(r), .writer = r->writer };
	p->gap_count++;
	return g;
}

static void scan_ref(const struct checker *c, struct placing *p, struct scan *scan,
		     const struct ref *r)
{
	const struct check_op *op = &c->ops[r->op];
	struct gap *g = &p->gaps[p->gap_count - 1];

	if (r->writer != 0 && (ref_version(r) != scan->version || r->writer != scan->writer))
		g = next_gap(p, scan, r);
	if (ref_role(r) == REF_BASE)
		return;
	if (p->gap_count > 1)
		g[-1].end_ns = min_u64(g[-1].end_ns, op->end_ns);
	if (ref_role(r) == REF_READ) {
		scan->reads_ns = max_u64(scan->reads_ns, op->start_ns);
		scan->absent |= op->outcome == STATUS_NOT_FOUND || r->writer == 0;
		if (op->outcome == STATUS_OK)
			scan->present_ns = max_u64(scan->present_ns, op->start_ns);
		return;
	}
	g->start_ns = max_u64(g->start_ns, op->start_ns);
	scan->absent |= op->kind == CHECK_DEL;
	if (p->gap_count > 1 && disturbs(op))
		g[-1].good = NONE;
}

static void find_gaps(const struct checker *c, struct placing *p)
{
	struct scan scan = { .absent = true };
	struct gap *last;
	uint32_t good = NONE;

	p->gaps[0] = (struct gap) { .end_ns = UINT64_MAX, .absent = NONE, .good = NONE };
	p->gap_count = 1;
	for (uint32_t i = p->first + p->count; i < p->end; i++) {
		if (i + 16 < p->end)
			__builtin_prefetch(&c->ops[c->refs[i + 16].op]);
		scan_ref(c, p, &scan, &c->refs[i]);
	}
	last = &p->gaps[p->gap_count - 1];
	last->good = p->gap_count - 1;
	end_gap(last, &scan);
	if (scan.absent)
		last->absent = p->gap_count - 1;
	for (uint32_t i = p->gap_count - 1; i-- > 0;) {
		struct gap *g = &p->gaps[i];

		g->end_ns = min_u64(g->end_ns, g[1].end_ns);
		if (g->absent == NONE)
			g->absent = g[1].absent;
	}
	for (uint32_t i = 0; i < p->gap_count; i++) {
		if (p->gaps[i].good != NONE)
			good = i;
		p->gaps[i].good = good;
	}
}

/* The gaps that time allows the read; low > high: none. */
static void find_range(const struct checker *c, const struct placing *p, struct open_read *r)
{
	const struct check_op *op = &c->ops[r->ref.op];
	uint32_t low = 0, high = p->gap_count - 1; /* the last gap has nothing behind it */

	while (low < high) {
		uint32_t middle = low + (high - low) / 2;

		if (p->gaps[middle].end_ns >= op->start_ns)
			high = middle;
		else
			low = middle + 1;
	}
	r->low = low;
	low = 0;
	high = p->gap_count - 1; /* the first has nothing before it */
	while (low < high) {
		uint32_t middle = low + (high - low + 1) / 2;

		if (p->gaps[middle].start_ns <= op->end_ns)
			low = middle;
		else
			high = middle - 1;
	}
	r->high = low;
	while (low > r->low && p->gaps[low].reads_ns > op->end_ns)
		low--;
	r->late = p->gaps[low].good;
	if (r->late == NONE || r->late < r->low)
		r->late = low;
}

static int compare_by(uint64_t a, uint64_t b)
{
	return a < b ? -1 : a > b;
}

static int compare_late(const void *x, const void *y)
{
	const struct open_read *a = x, *b = y;
	int order = compare_by(a->late, b->late);

	return order ? order : compare_by(a->ref.op, b->ref.op);
}

static int compare_place(const void *x, const void *y)
{
	const struct open_read *a = x, *b = y;
	int order = compare_by(a->place, b->place);

	return order ? order : compare_by(a->ref.op, b->ref.op);
}

/* The first place of every read: known absences; else as few gaps as possible. */
static void place_first(const struct checker *c, struct placing *p)
{
	uint32_t last = NONE;

	for (uint32_t i = 0; i < p->count; i++)
		find_range(c, p, &p->reads[i]);
	qsort(p->reads, p->count, sizeof(*p->reads), compare_late);
	for (uint32_t i = 0; i < p->count; i++) {
		struct open_read *r = &p->reads[i];
		uint32_t absent = p->gaps[r->low].absent;

		r->place = r->low;
		r->needy = r->low <= r->high;
		if (!r->needy)
			continue;
		if (absent != NONE && absent <= r->high) {
			r->place = absent;
			r->needy = false;
			continue;
		}
		if (last == NONE || last < r->low)
			last = r->late;
		r->place = last;
	}
}

/* Judges the key with the reads where they are placed. */
static bool try_places(struct checker *c, struct placing *p, const struct check_result *before)
{
	*c->result = *before;
	qsort(p->reads, p->count, sizeof(*p->reads), compare_place);
	for (uint32_t i = 0; i < p->count; i++) {
		c->refs[p->first + i] = p->reads[i].ref;
		p->places[i] = p->reads[i].place;
	}
	c->places = p->places;
	c->place_count = p->count;
	return check_key(c, p->first, p->end);
}

/* The next combination of places, of all reads or of needy ones; false: all have been tried. */
static bool next_places(struct placing *p, bool all)
{
	for (uint32_t i = 0; i < p->count; i++) {
		struct open_read *r = &p->reads[i];

		if (!all && !r->needy)
			continue;
		if (r->low <= r->high && r->place++ < r->high)
			return true;
		r->place = r->low;
	}
	return false;
}

static int compare_ops(const void *x, const void *y)
{
	const struct open_read *a = x, *b = y;

	return compare_by(a->ref.op, b->ref.op);
}

/*
 * With !all reads that have a known absence stay there, the first one, which is nearly always
 * right: what it finds good is good, what it does not find may be there.
 */
static bool try_all(struct checker *c, struct placing *p, const struct check_result *before,
		    bool all)
{
	struct check_result first_try = *c->result;
	struct open_read *reads = malloc(p->count * sizeof(*reads));
	uint64_t refs = p->end - p->first, tries = 0;
	bool good = false, more = true, unsure = false;

	if (!reads) {
		c->out_of_memory = true;
		return false;
	}
	qsort(p->reads, p->count, sizeof(*reads), compare_ops);
	for (uint32_t i = 0; i < p->count; i++)
		if (all || p->reads[i].needy)
			p->reads[i].place = p->reads[i].low;
	while (!good && more && !c->out_of_memory && tries < PLACES_TRIED_MAX &&
	       tries * refs < REFS_TRIED_MAX) {
		memcpy(reads, p->reads, p->count * sizeof(*reads));
		good = try_places(c, p, before);
		unsure |= c->result->undecided > before->undecided;
		good &= c->result->undecided == before->undecided;
		memcpy(p->reads, reads, p->count * sizeof(*reads));
		more = next_places(p, all);
		tries++;
	}
	free(reads);
	if (good)
		return true;
	*c->result = first_try;
	if (more || unsure)
		c->result->undecided = before->undecided + 1;
	return false;
}

static bool judge(struct checker *c, struct placing *p)
{
	struct check_result before = *c->result;

	find_gaps(c, p);
	place_first(c, p);
	if (try_places(c, p, &before) || c->out_of_memory || c->key_unknown_count == 0)
		return c->result->ok || c->result->undecided > before.undecided;
	/* Wrong without these reads, it is wrong with them wherever they are. */
	if (p->first + p->count < p->end) {
		struct check_result first_try = *c->result;

		*c->result = before;
		c->place_count = 0;
		if (!check_key(c, p->first + p->count, p->end) || c->out_of_memory)
			return false;
		*c->result = first_try;
	}
	if (try_all(c, p, &before, false) || c->out_of_memory)
		return !c->out_of_memory;
	c->result->undecided = before.undecided;
	return try_all(c, p, &before, true);
}

/* Brings the open reads to the front and counts them. */
static uint32_t split(struct checker *c, uint32_t first, uint32_t end)
{
	uint32_t count = 0;

	for (uint32_t i = first; i < end && ref_version(&c->refs[i]) == 0; i++) {
		struct ref r = c->refs[i];

		if (!check_is_open(&r))
			continue;
		c->refs[i] = c->refs[first + count];
		c->refs[first + count++] = r;
	}
	return count;
}

bool check_absences(struct checker *c, uint32_t first, uint32_t end)
{
	struct placing p = { .first = first, .end = end, .count = split(c, first, end) };
	bool good = false;

	c->place_count = 0;
	if (p.count == 0)
		return check_key(c, first, end);
	p.gaps = malloc((end - first - p.count + 1ull) * sizeof(*p.gaps));
	p.reads = malloc(p.count * sizeof(*p.reads));
	p.places = malloc(p.count * sizeof(*p.places));
	if (p.gaps && p.reads && p.places) {
		for (uint32_t i = 0; i < p.count; i++)
			p.reads[i] = (struct open_read) { .ref = c->refs[first + i] };
		good = judge(c, &p);
	} else {
		c->out_of_memory = true;
	}
	free(p.gaps);
	free(p.reads);
	free(p.places);
	c->place_count = 0;
	return good;
}
