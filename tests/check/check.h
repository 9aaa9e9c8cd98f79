/* SPDX-License-Identifier: Apache-2.0 */
/*
 * check.h: is this history of client operations linearizable? O(n log n), because every reply
 * carries the version it read or installed: who read what is in the history, nothing is searched.
 *
 * What is decided, per key (linearizability is compositional). There must be one order of all
 * operations that took effect such that
 *   1. an operation that ended before another began comes first (end < start, strictly);
 *   2. updates come in the order of their versions (version, then writer), no version twice;
 *   3. every read (GET; DEL, CAS, INCR that answered NOT_FOUND; CONFLICT; NOT_A_NUMBER; OVERFLOW)
 *      sees the version it reported, with that version's content: value, or absent;
 *   4. CAS succeeded right after the version it expected (expected {0,0}: right after an absence,
 *      the never-written key or a tombstone), and did not CONFLICT with that very version;
 *   5. INCR succeeded right after a version whose number is exactly one less (RMW = base + 1) and
 *      its number is that version's number + delta (absent counts as 0).
 * 2 makes this stronger than plain linearizability, and exact: positions are totally ordered, so
 * an order exists iff no operation ended before one at an earlier position began.
 *
 * Outcomes. OK, NOT_FOUND, CONFLICT, NOT_A_NUMBER, OVERFLOW are judged as above. UNKNOWN updates
 * took effect at any time after their start, or never: each stands for at most one version that
 * somebody saw (by reading it, expecting it in a CAS, or building an INCR on it) and that no
 * acknowledged operation installed; those nobody saw are left out. A seen version that no such
 * operation can stand for is a violation. UNKNOWN reads are ignored. Every other outcome means
 * "no effect": whoever sees such an operation's value sees a version nobody wrote.
 * DEL OK means "a tombstone was installed": two racing DELs may both get it.
 *
 * What is not decided (no false alarms, possible misses): a key with two or more UNKNOWN updates
 * and at least one CAS or INCR is judged leniently where versions that nobody read lie below one of
 * these, because several UNKNOWN updates might stand for them in more than one way. On random
 * small histories made to provoke it that is 0.7 % of the violations (tests/unit/test_check.c
 * counts). The expected version of an UNKNOWN CAS is taken to be one that some reply carried.
 * Values of UNKNOWN operations should be unique in the history (put the operation's id into them).
 */
#ifndef CAIRN_TESTS_CHECK_H
#define CAIRN_TESTS_CHECK_H

#include "replication/types.h"

enum check_kind { CHECK_GET, CHECK_PUT, CHECK_DEL, CHECK_CAS, CHECK_INCR, CHECK_KIND_COUNT };

/* One operation of one client, 64 bytes. Times are of one clock, any origin, start <= end. */
struct check_op {
	uint64_t key;	  /* the caller's id of the key */
	uint64_t version; /* the reply's version and writer; ignored for UNKNOWN */
	uint64_t base;	  /* CAS: expected version; INCR: the delta, as two's complement */
	uint64_t value;	  /* written (PUT, CAS), read (GET) or resulting (INCR); check_value() */
	uint64_t start_ns;
	uint64_t end_ns; /* ignored for UNKNOWN */
	uint32_t writer;
	uint32_t base_writer; /* CAS: expected writer */
	uint32_t client;      /* for the explanation only */
	uint8_t kind;	      /* enum check_kind */
	uint8_t outcome;      /* enum status */
	uint8_t is_number;    /* value is a number, not a hash; check_value() */
	uint8_t reserved;
};

_Static_assert(sizeof(struct check_op) == 64, "one cache line per operation");

struct check_result {
	bool ok;
	uint64_t keys;		  /* distinct keys judged */
	uint64_t versions;	  /* versions that took effect, hidden ones included */
	uint64_t unknown_applied; /* UNKNOWN updates that somebody saw */
	uint64_t unknown_dropped; /* UNKNOWN updates that nobody saw */
	uint64_t key;		  /* of the violation */
	char text[1024];	  /* what is wrong, with the operations; empty when ok */
};

/*
 * check_value: what a value is compared by. A decimal 64-bit number in its shortest form becomes
 * itself (INCR needs that), anything else a 64-bit hash. Sets op->value and op->is_number.
 */
void check_value(struct check_op *op, const void *value, uint32_t value_bytes);

/* check_number: the same for a number the caller has. */
void check_number(struct check_op *op, int64_t number);

/*
 * check_history: judges count operations, in any order. 0: judged, see ret_result->ok (the first
 * violation found ends the work); -ENOMEM; -EINVAL: an operation with an unknown kind or outcome,
 * start > end, an INCR that is OK without a number, or more than 2^31 - 1 operations. Allocates
 * about 100 bytes per operation.
 */
int check_history(const struct check_op *ops, uint64_t count, struct check_result *ret_result);

#endif
