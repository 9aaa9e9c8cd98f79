/* SPDX-License-Identifier: Apache-2.0 */
/*
 * check.h: is this history of client operations linearizable? A sort and one pass, because every
 * reply carries the version it read or installed: who read what is in the history. Only what
 * UNKNOWN updates may have done is searched, and only where somebody's answer depends on it.
 *
 * What is decided, per key (linearizability is compositional). There must be one order of all
 * operations that took effect such that
 *   1. an operation that ended before another began comes first (end < start, strictly);
 *   2. updates come in the order of their versions (op_ts_compare), no version twice;
 *   3. every read (GET; DEL, CAS, CASV, INCR that answered NOT_FOUND; CONFLICT; NOT_A_NUMBER;
 *      OVERFLOW) sees the version it reported, with that version's content: value, or absent.
 *      {0, 0} names no version: the key was absent, never written or its tombstone forgotten; the
 *      read lies at any absence, that of an UNKNOWN DEL nobody saw included. {v, writer 0}, v > 0,
 *      says more: every version up to number v, and none above it, is older than this read;
 *   4. CAS succeeded right after the version it expected, with a number one higher; expected
 *      {0, 0}: right after an absence, with any higher number. It did not CONFLICT with that very
 *      version, nor, expecting {0, 0}, with an absence;
 *   5. CASV succeeded right after a version with the expected content, with a number one higher,
 *      and did not CONFLICT with such a version;
 *   6. INCR succeeded right after a version that holds a number, with a version number one higher,
 *      or right after an absence (counts as 0), with any higher one; its result is that number +
 *      delta.
 * Higher than an absence read as {v, 0} means above v, too. Blind updates (PUT, DEL) may have any
 * number: one that was retried has its base's + 1, like a read-modify-write.
 * 2 makes this stronger than plain linearizability, and exact: positions are totally ordered, so
 * an order exists iff no operation ended before one at an earlier position began.
 *
 * Outcomes. OK, NOT_FOUND, CONFLICT, NOT_A_NUMBER, OVERFLOW are judged as above. UNKNOWN, EVICTED
 * and WAIT updates took effect, by the same rules, at any time after their start, or never: each
 * stands for at most one version: one that somebody saw (by reading it, or by expecting it in a CAS
 * that succeeded) and that no acknowledged operation installed, or one that nobody saw, anywhere in
 * the order, with any number those rules allow and a writer of its own. A seen version that no such
 * operation can stand for is a violation. An UNKNOWN CAS can only have succeeded after a version
 * that somebody saw. UNKNOWN reads are ignored. Every other outcome means "no effect": whoever sees
 * such an operation's value sees a version nobody wrote.
 * DEL OK means "a tombstone was installed": two racing DELs may both get it.
 *
 * Exactness. Deciding which UNKNOWN operation did what is NP-hard in general (increments that must
 * add up). The search is exact and bounded: CHECK_SEARCH_MAX steps per key, and for reads that name
 * no version, where their first places are wrong, a number of others (check_absent.c). A key on
 * which it gives up counts as undecided, and the history is not ok.
 */
#ifndef CAIRN_TESTS_CHECK_H
#define CAIRN_TESTS_CHECK_H

#include "replication/types.h"

#define CHECK_SEARCH_MAX 20000000ull

enum check_kind {
	CHECK_GET,
	CHECK_PUT,
	CHECK_DEL,
	CHECK_CAS,  /* compare on version */
	CHECK_INCR, /* fetch-add */
	CHECK_CASV, /* compare on value */
	CHECK_KIND_COUNT
};

/* One operation of one client, 64 bytes. Times are of one clock, any origin, start <= end. */
struct check_op {
	uint64_t key;	  /* the caller's id of the key */
	uint64_t version; /* the reply's version and writer; ignored for UNKNOWN */
	uint64_t base;	  /* CAS: expected version; INCR: delta; CASV: check_expect() */
	uint64_t value;	  /* written (PUT, CAS[V]), read (GET), resulting (INCR); check_value() */
	uint64_t start_ns;
	uint64_t end_ns; /* ignored for UNKNOWN */
	uint32_t writer;
	uint32_t base_writer; /* CAS: expected writer */
	uint32_t client;      /* for the explanation only */
	uint8_t kind;	      /* enum check_kind */
	uint8_t outcome;      /* enum status */
	uint8_t is_number;    /* value is a number, not a hash; check_value() */
	uint8_t base_is_number; /* CASV, for the explanation only: base is a number, not a hash */
};

_Static_assert(sizeof(struct check_op) == 64, "one cache line per operation");

struct check_result {
	bool ok;		  /* no violation, and nothing undecided */
	uint64_t undecided;	  /* keys on which the search gave up */
	uint64_t keys;		  /* distinct keys judged */
	uint64_t versions;	  /* versions that took effect, hidden ones included */
	uint64_t unknown_applied; /* UNKNOWN updates that somebody saw */
	uint64_t unknown_dropped; /* UNKNOWN updates that nobody saw */
	uint64_t key;		  /* of the violation, else of the last one undecided */
	char text[1024];	  /* what is wrong, with the operations; empty when ok */
};

/*
 * check_value: what a value is compared by. A decimal 64-bit number in its shortest form becomes
 * itself (INCR needs that), anything else a 64-bit hash. Sets op->value and op->is_number.
 */
void check_value(struct check_op *op, const void *value, uint32_t value_bytes);

/* check_number: the same for a number the caller has. */
void check_number(struct check_op *op, int64_t number);

/* check_expect: the same for what a CASV expects. Sets op->base and op->base_is_number. */
void check_expect(struct check_op *op, const void *value, uint32_t value_bytes);

/*
 * check_history: judges count operations, in any order. 0: judged, see ret_result->ok (the first
 * violation found ends the work); -ENOMEM; -EINVAL: an operation with an unknown kind or outcome,
 * start > end, an INCR that is OK without a number, or more than 2^31 - 1 operations. Allocates
 * about 100 bytes per operation.
 */
int check_history(const struct check_op *ops, uint64_t count, struct check_result *ret_result);

/*
 * check_history_log: the same for the raft engine, whose versions are places in a log that all keys
 * of a shard share: where the rules say "a number one higher", any higher one will do.
 */
int check_history_log(const struct check_op *ops, uint64_t count, struct check_result *ret_result);

#endif
