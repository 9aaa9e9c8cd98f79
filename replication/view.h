/* SPDX-License-Identifier: Apache-2.0 */
/*
 * view.h: who takes part, since when, in which incarnation. Whoever decides on views (the view
 * service; a script in tests) hands each node a sequence of them, epochs growing, some perhaps left
 * out, each node at its own time. An update needs the ACK of every node in the write set, members
 * and shadows; only members serve clients (docs/protocol.md, Views).
 *
 * The decider promises: a node leaves the write set, or stops being a member, only after its lease
 * has surely expired or its incarnation can surely not answer (M-LEASE-GAP); who left comes back in
 * a new incarnation only; a shadow becomes a
 * member only after it reported replica_joined() in an epoch from which on it was never left out;
 * all nodes that ever see epoch e see the same view e.
 */
#ifndef CAIRN_REPLICATION_VIEW_H
#define CAIRN_REPLICATION_VIEW_H

#include "replication/types.h"

struct view {
	uint32_t epoch;			  /* > 0 */
	uint8_t members;		  /* bitmap: coordinate, serve reads, acknowledge */
	uint8_t shadows;		  /* bitmap: acknowledge, copy what they lack */
	/* Of members and shadows; of others the newest that was ever in a write set, 0: none. */
	uint32_t incarnation[NODES_MAX];
	/*
	 * since: the epoch from which on the node, in this incarnation, has been in every write
	 * set. A node that did not install a view at or after it has missed something, drops what
	 * it holds and copies (CC-24); but see recovered.
	 */
	uint32_t since[NODES_MAX];
	/*
	 * recovered: bitmap, subset of members: begin with what their disks hold (restart of the
	 * whole cluster, 3.11): all of them intact members of the last view before.
	 * A node keeps its bit in later views until it is known to have installed one.
	 */
	uint8_t recovered;
	uint8_t witnesses; /* bitmap: vote without data (raft engine); take no part in Hermes */
	uint8_t slow; /* raft engine: bitmap of members that should lead no shard now */
	/* Fewer members than copies asked for: updates are refused, none completes (M-MIN-SIZE). */
	bool read_only;
	uint8_t copies_min; /* raft engine: that many copies; updates wait, or are refused */
	/* Of the node that installs it: nobody else ever had its number, on any other disk. */
	bool first_disk;
};

/* view_write_set: bitmap of the nodes every update needs. */
static inline uint8_t view_write_set(const struct view *v)
{
	return v->members | v->shadows;
}

#endif
