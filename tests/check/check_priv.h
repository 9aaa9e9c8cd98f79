/* SPDX-License-Identifier: Apache-2.0 */
/*
 * check_priv.h: what the sources of the checker share. check.c judges, check_hidden.c finds which
 * UNKNOWN operation stands for a version that no acknowledged one installed, check_sort.c brings
 * the history into version order, check_text.c explains.
 */
#ifndef CAIRN_TESTS_CHECK_PRIV_H
#define CAIRN_TESTS_CHECK_PRIV_H

#include "tests/check/check.h"

#define NONE	      UINT32_MAX
#define HIDDEN_WRITER UINT32_MAX /* writer of a version nobody saw, only built upon */

/* One mention of a version by an operation; key, version, writer and role are the sort order. */
enum ref_role {
	REF_INSTALL = 0,
	REF_READ = 1,
};

struct ref {
	uint64_t key;
	uint64_t version;
	uint32_t writer;
	uint32_t op; /* index << 1 | enum ref_role */
};

/* What is known of the content of a version. */
enum content {
	CONTENT_ANY,	/* nothing */
	CONTENT_EXISTS, /* a value */
	CONTENT_ZERO,	/* absent, or the number 0: what an INCR by n to n was built on */
	CONTENT_VALUE,
	CONTENT_ABSENT,
};

struct version {
	struct op_ts ts;
	uint64_t value;	      /* CONTENT_VALUE */
	uint64_t deadline_ns; /* earliest end of any operation at this version or a later one */
	uint32_t install;     /* operation, or NONE: {0,0}, or still to be found */
	uint32_t first_read;  /* refs[first_read .. +read_count) are its reads */
	uint32_t read_count;
	uint8_t content; /* enum content */
	uint8_t is_number;
};

/* An UNKNOWN update that may stand for a version. */
struct unknown {
	uint64_t key;
	uint64_t value;
	uint32_t op;
	uint32_t version; /* index of the version it stands for, or NONE */
	uint32_t visited;
	uint8_t class; /* enum unknown_class */
};

enum unknown_class {
	UNKNOWN_WRITE, /* PUT, CAS */
	UNKNOWN_DEL,
	UNKNOWN_INCR,
};

struct checker {
	const struct check_op *ops;
	uint64_t count;
	struct ref *refs, *spare;
	uint64_t ref_count;
	struct unknown *unknowns; /* of all keys */
	uint64_t unknown_count;
	struct version *versions; /* of the key being judged */
	uint32_t version_count, version_max;
	struct unknown *key_unknowns;
	uint32_t key_unknown_count;
	uint64_t key;
	uint64_t origin_ns; /* earliest start, for the explanation */
	bool out_of_memory;
	struct check_result *result;
};

/* check_sort_refs: radix sort by key, version, writer, role; result in c->refs. */
void check_sort_refs(struct checker *c);

/* check_sort_unknowns: by key, class, value, start. */
void check_sort_unknowns(struct checker *c);

/* check_hidden_match: finds an operation for every version without one; false: violation, said. */
bool check_hidden_match(struct checker *c);

/*
 * check_violation: fills the result and returns false. ops: up to three operations to show, NONE
 * for fewer.
 */
__attribute__((format(printf, 3, 4))) bool check_violation(struct checker *c, const uint32_t ops[3],
							   const char *format, ...);

/* check_orphan: explains a version that nobody can have written. Returns false. */
bool check_orphan(struct checker *c, const struct version *v);

static inline struct op_ts check_op_ts(const struct check_op *op)
{
	return (struct op_ts) { op->version, op->writer };
}

static inline struct op_ts check_base_ts(const struct check_op *op)
{
	return (struct op_ts) { op->base, op->base_writer };
}

static inline bool check_ts_zero(struct op_ts ts)
{
	return ts.version == 0 && ts.writer == 0;
}

#endif
