/* SPDX-License-Identifier: Apache-2.0 */
/*
 * group.h: the `raft` engine: one Raft group (raft.h) per shard behind the door replica.h, over the
 * same store, log and clients as Hermes. Any node takes requests: updates go to the leader and are
 * answered by the node that was asked, once it has applied them itself; reads are served at the
 * leader by its lease, elsewhere at a read index. What became of clients' requests is part of the
 * replicated state, the same at every node (S-ONCE). docs/raft.md tells the rest.
 *
 * Only replica.c includes this, and cairnutil recover for its records; it is not on the path of the
 * other engine.
 */
#ifndef CAIRN_REPLICATION_GROUP_H
#define CAIRN_REPLICATION_GROUP_H

#include "replication/replica.h"

struct group;

/* RAFT_RECORD_USER: term says what it is, index is the start of the pass. */
enum group_record {
	GROUP_RECORD_NONE = 0,	  /* in no log: what group_recover_to works on */
	GROUP_RECORD_BEGIN = 1,	  /* a copy of the session table begins */
	GROUP_RECORD_SESSION = 2, /* one pack of it */
	/* State and sessions are those of this index; u64 floor, dropped, applied until then. */
	GROUP_RECORD_END = 3,
};
#define GROUP_END_BYTES 24u
#define GROUP_END_BYTES_SHORT 16u /* made by hand: nothing was applied since the copy began */

/* group_size: bytes, beside those of struct replica and its sessions. group_init: in mem. */
uint64_t group_size(const struct replica_config *config);
struct group *group_init(void *mem, struct replica *r);

/* These are what replica.h says of the functions named alike. */
enum step_next group_step(struct replica *r, const struct event *ev, struct actions *a);
uint64_t group_deadline_ns(const struct replica *r);
const struct wire_message *group_apply_message(const struct replica *r);
bool group_walk(const struct replica *r, const struct wire_message *fetch, uint64_t *ret_above);
const struct raft *group_raft(const struct replica *r);
enum step_next group_recover_raft(struct replica *r, const struct raft_record *record);
enum step_next group_recover_to(struct replica *r, uint64_t index);
void group_recover_reset(struct replica *r);
bool group_can_collect(const struct replica *r, const struct entry *e);
/*
 * group_fill_hello: bytes 0..7: the shape, which covers what all members of a group must have
 * alike; 9..15: everybody has the log up to there, as the leader knows (u56).
 */
void group_fill_hello(const struct replica *r, uint8_t *value);
bool group_joined(const struct replica *r);

/* group_set_room: the store has room for so many new keys. */
uint64_t group_unapplied(const struct replica *r);
void group_set_room(struct replica *r, uint32_t keys);
/* group_nodes: replica_groups. All ones while this node cannot say what has been agreed on. */
uint8_t group_nodes(const struct replica *r);
uint32_t group_ops(const struct replica *r);
void group_check(const struct replica *r);

/* group_applied: the index up to which this node has applied the log. For tests. */
uint64_t group_applied(const struct replica *r);

#endif
