/* SPDX-License-Identifier: Apache-2.0 */
/* rig_priv.h: what the sources of the rig share: mirrors (rig_log.c) and checks (rig_watch.c). */
#ifndef CAIRN_TESTS_RAFT_RIG_PRIV_H
#define CAIRN_TESTS_RAFT_RIG_PRIV_H

#include "tests/raft/rig.h"

static inline char rig_letter(uint8_t node)
{
	return node < NODES_MAX ? (char)('a' + node) : '-';
}

/* rig_log_begin: an empty disk. */
void rig_log_begin(struct rig *rig, struct rig_node *n);
/* rig_log_append: a record of this step, into disk queue and mirror. */
void rig_log_append(struct rig *rig, struct rig_node *n, const struct raft_record *record,
		    uint64_t seq);
/* rig_log_rebuild: the mirror anew from the records; all of them are durable. */
void rig_log_rebuild(struct rig *rig, struct rig_node *n);
void rig_log_record(const struct rig_node *n, uint32_t which, struct raft_record *ret_record);
/* rig_log_durable: last index that the core may know to be durable. */
uint64_t rig_log_durable(const struct rig_node *n);
uint64_t rig_hash(const uint8_t *data, uint32_t bytes);
uint64_t rig_first_chain(void);

/* Checks. watch_record: before the mirror takes it. */
void rig_watch_record(struct rig *rig, struct rig_node *n, const struct raft_record *record);
void rig_watch_entry(struct rig *rig, struct rig_node *n, uint64_t index, const uint8_t *data,
		     uint32_t bytes);
void rig_watch_send(struct rig *rig, struct rig_node *n, const struct raft_action *action);
void rig_watch_read(struct rig *rig, struct rig_node *n, uint64_t id, uint64_t index);
void rig_watch_restore(struct rig *rig, struct rig_node *n, const struct raft_message *message);
/* rig_watch_arrival, rig_watch_heard: before and after the step that takes a message. */
void rig_watch_arrival(struct rig *rig, struct rig_node *n, uint8_t from,
		       const struct raft_message *m);
void rig_watch_heard(struct rig *rig, struct rig_node *n, uint8_t from,
		     const struct raft_message *m);
void rig_watch_recovered(struct rig *rig, struct rig_node *n);
/* rig_watch_step: role, term, commit, lease and memory after a step. role_said: ACTION_ROLE came.
 */
void rig_watch_step(struct rig *rig, struct rig_node *n, const struct raft_event *event,
		    bool role_said, bool persisted_hard);

#endif
