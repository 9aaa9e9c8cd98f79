/* SPDX-License-Identifier: Apache-2.0 */
/*
 * node_priv.h: one node's memory as node.c runs it and canon.c reads it. It lies at one address for
 * as long as the program runs, so that pointers in it survive being put away and brought back.
 */
#ifndef CAIRN_TESTS_MODEL_NODE_PRIV_H
#define CAIRN_TESTS_MODEL_NODE_PRIV_H

#include "replication/replica_priv.h"
#include "storage/record.h"
#include "tests/model/model.h"

#define RAW_BLOB 64u
#define CANON_MAX 4096u

/* A record of the log; seq 0: written in an earlier life, durable whatever this one counts. */
struct raw_record {
	uint64_t seq;
	struct op_ts ts;
	struct origin origin;
	uint32_t base;
	uint8_t kind, flags, value_bytes;
	uint8_t value[MODEL_VALUE];
};

struct raw {
	bool alive, has_entry;
	uint8_t node;
	uint8_t records;
	uint32_t incarnation;
	uint64_t seq_next, durable;
	struct entry entry;
	uint8_t blob[RAW_BLOB];
	struct raw_record record[MODEL_RECORDS];
	_Alignas(64) uint8_t mem[]; /* the replica */
};

static inline struct replica *raw_replica(struct raw *w)
{
	return (struct replica *)(void *)w->mem;
}

/* raw_op_name: the number by which the model knows an op of this node: 1 + index; 0: none. */
uint64_t raw_op_name(struct raw *w, uint64_t id);

/* canon_write: all that matters about a node, the same for equal situations; returns bytes. */
uint32_t canon_write(struct raw *w, uint8_t *out);

#endif
