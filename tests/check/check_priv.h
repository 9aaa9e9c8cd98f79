/* SPDX-License-Identifier: Apache-2.0 */
/*
 * check_priv.h: what the sources of the checker share. check.c goes over the versions of a key in
 * order and judges whatever is certain; what depends on UNKNOWN operations it writes down as
 * demands, which check_hidden.c tries to meet. check_absent.c finds places for reads that name no
 * version. check_sort.c brings the history into version order,
 * check_text.c explains.
 */
#ifndef CAIRN_TESTS_CHECK_PRIV_H
#define CAIRN_TESTS_CHECK_PRIV_H

#include "tests/check/check.h"

#define NONE UINT32_MAX

/* One mention of a version by an operation. */
enum ref_role {
	REF_INSTALL = 0,
	REF_READ = 1,
	REF_BASE = 2, /* a CAS that succeeded on it */
};

struct ref {
	uint64_t version;
	uint32_t writer;
	uint32_t op; /* index of the operation */
};

/* Versions start at 1 and stay far below this; the top bits of ref.version are the role. */
#define REF_ROLE_SHIFT 62u
#define REF_VERSION    (((uint64_t)1 << REF_ROLE_SHIFT) - 1)

static inline uint64_t ref_version(const struct ref *r)
{
	return r->version & REF_VERSION;
}

static inline enum ref_role ref_role(const struct ref *r)
{
	return (enum ref_role)(r->version >> REF_ROLE_SHIFT);
}

enum content {
	CONTENT_OPEN, /* not known (yet) */
	CONTENT_VALUE,
	CONTENT_ABSENT,
};

/* The key right after a version. */
struct state {
	struct op_ts ts; /* writer 0: a version that has no name in the history */
	uint64_t value;
	uint64_t low;	  /* lowest number a blind update may have next */
	uint64_t low_rmw; /* lowest number of a read-modify-write on an absence */
	uint8_t content;  /* enum content */
	uint8_t is_number;
};

/* Something only UNKNOWN operations can explain, in version order. */
enum demand_type {
	DEMAND_ORPHAN,	/* a version that no acknowledged operation installed */
	DEMAND_ABSENCE, /* an absence after what may be a value */
	DEMAND_RMW,	/* an acknowledged read-modify-write whose base is not what precedes it */
};

struct demand {
	struct state before;  /* unless linked */
	struct op_ts ts;      /* ABSENCE: the highest number it was read with, 0 without any */
	uint64_t deadline_ns; /* earliest end of any operation from here on */
	uint64_t value;	      /* ORPHAN, when content is CONTENT_VALUE */
	uint32_t first, end;  /* its mentions in refs */
	uint32_t op;	      /* RMW: the operation */
	uint8_t type;	      /* enum demand_type */
	uint8_t content;      /* ORPHAN: enum content */
	uint8_t is_number;
	bool linked; /* the state before is what the previous demand leaves behind */
	bool merged; /* ABSENCE: its reads overlap those before in a way that no delete fits between
		      */
};

/* An UNKNOWN update. */
struct unknown {
	uint64_t key;
	uint64_t start_ns;
	uint32_t op;
	uint32_t slot; /* what it is used for, or NONE */
	uint32_t via;
	uint32_t visited;
};

struct checker {
	const struct check_op *ops;
	uint64_t count;
	struct ref *refs, *spare;
	uint64_t ref_count;
	uint64_t key_bits;	  /* that differ between refs */
	uint64_t version_bits;	  /* likewise */
	struct unknown *unknowns; /* of all keys */
	uint64_t unknown_count;
	struct demand *demands; /* of the key being judged */
	uint32_t demand_count, demand_max;
	const uint32_t *places; /* of refs[first..), absences without a version; see check_key */
	uint32_t place_count;
	struct unknown *key_unknowns;
	uint32_t key_unknown_count;
	uint64_t key;
	uint64_t origin_ns; /* earliest start, for the explanation */
	bool sparse; /* versions are places in a log: check_history_log */
	bool out_of_memory;
	struct check_result *result;
};

/* check_sort_refs: by key, then position (writer 0 behind all of its number); result in c->refs. */
void check_sort_refs(struct checker *c);

/*
 * check_key: judges refs[first..end), of one key. The first place_count of them are reads of an
 * absence without a version; places, ascending, says behind how many versions each one lies.
 * false: a violation, or out of memory.
 */
bool check_key(struct checker *c, uint32_t first, uint32_t end);

/* check_absences: the same, but first finds places for those reads. */
bool check_absences(struct checker *c, uint32_t first, uint32_t end);

/* check_is_open: is this an absence without a version? */
static inline bool check_is_open(const struct ref *r)
{
	return r->writer == 0 && r->version == (uint64_t)REF_READ << REF_ROLE_SHIFT;
}

/* check_sort_unknowns: by key, kind, effect, start. */
void check_sort_unknowns(struct checker *c);

/*
 * check_effect_compare: order of two updates: by kind, blind ones first; then INCR and CASV by
 * base, PUT and CAS by value, signed; then by the rest. 0: the same effect.
 */
int check_effect_compare(const struct check_op *a, const struct check_op *b);

/* check_allows: may the mention r be of a version with this content? */
bool check_allows(const struct checker *c, const struct ref *r, const struct state *s);

/* check_built_on: may op, a read-modify-write with this version number, follow s right away? */
bool check_built_on(const struct checker *c, const struct check_op *op, uint64_t number,
		    const struct state *s);

/* check_hidden: are there UNKNOWN operations to meet all demands? false: said, or out of memory. */
bool check_hidden(struct checker *c);

/*
 * check_violation: fills the result and returns false. ops: up to three operations to show, NONE
 * for fewer.
 */
__attribute__((format(printf, 3, 4))) bool check_violation(struct checker *c, const uint32_t ops[3],
							   const char *format, ...);

/* check_unmet: explains a demand that nothing can meet. Returns false. */
bool check_unmet(struct checker *c, const struct demand *d);

/* check_gave_up: the search was too long; the key counts as undecided. */
void check_gave_up(struct checker *c, const struct demand *d);

static inline bool check_is_unknown(const struct check_op *op)
{
	return op->outcome == STATUS_UNKNOWN || op->outcome == STATUS_EVICTED ||
	       op->outcome == STATUS_WAIT;
}

static inline struct op_ts check_base_ts(const struct check_op *op)
{
	return (struct op_ts) { op->base, op->base_writer };
}

static inline bool check_same_ts(struct op_ts a, struct op_ts b)
{
	return a.version == b.version && a.writer == b.writer;
}

/* check_add: signed addition; false: outside 64 bits. */
static inline bool check_add(uint64_t a, uint64_t b, uint64_t *ret_sum)
{
	int64_t sum;

	if (__builtin_add_overflow((int64_t)a, (int64_t)b, &sum))
		return false;
	*ret_sum = (uint64_t)sum;
	return true;
}

#endif
