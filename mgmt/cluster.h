/* SPDX-License-Identifier: Apache-2.0 */
/*
 * cluster.h: what one node knows about its cluster, in words and as JSON: one word for the whole,
 * one for each node, and the reasons. Pure: made from what the view service publishes
 * (dataplane/control.h). Words: ctl_proto.h.
 */
#ifndef CAIRN_MGMT_CLUSTER_H
#define CAIRN_MGMT_CLUSTER_H

#include <jansson.h>

#include "dataplane/control.h"
#include "mgmt/config.h"

struct cluster_look {
	const struct config *config;
	const struct control_status *service; /* of a running dataplane; NULL: none */
	const uint8_t *deaf; /* by node: whom it has not heard for a while, bitmaps; NULL: none */
	uint64_t now_ns;
	bool log_failed; /* this node's own disk */
	bool leaderless; /* engine raft: some shard has had no leader here for a while */
};

/* cluster_patience_ns: what was not heard for so long is silent, for these words. */
uint64_t cluster_patience_ns(const struct config *config);

/* cluster_state: the word for the whole, CTL_CLUSTER_*. */
const char *cluster_state(const struct cluster_look *look);

/* cluster_node_state: the word for a node, CTL_STATE_* and CTL_NODE_*; this one's with self. */
const char *cluster_node_state(const struct cluster_look *look, uint8_t node);

/* cluster_heard: this node's service heard that one lately; itself: always. */
bool cluster_heard(const struct cluster_look *look, uint8_t node);

/* cluster_is_odd: this node is formatted for another engine than the cluster's (M-ENGINE). */
bool cluster_is_odd(const struct cluster_look *look);
void cluster_odd_text(const struct cluster_look *look, char out[PROBLEM_TEXT_BYTES]);

/* cluster_quorum: a majority of the voters was heard, and leads or gives leases. */
bool cluster_quorum(const struct cluster_look *look);

/* cluster_peers: other nodes that are to be there, and how many of them were heard. */
uint32_t cluster_peers(const struct cluster_look *look, uint32_t *ret_heard);

/* The "cluster" and the "members" of a status answer; new references. */
json_t *cluster_json(const struct cluster_look *look);
json_t *cluster_members_json(const struct cluster_look *look);

/*
 * cluster_reasons: tells why the cluster, or this node, is not all right: calls warn for each.
 */
typedef void cluster_warn(void *context, enum problem_id id, const char *text);
void cluster_reasons(const struct cluster_look *look, cluster_warn *warn, void *context);

/* cluster_note_text: an event of the view service as a sentence. */
const char *cluster_note_text(const struct membership_state *state, const struct control_event *e,
			      char *out, size_t bytes);
const char *cluster_note_name(uint8_t note);

/* cluster_result_problem: what a command's answer means; PROBLEM_NONE: it is done. */
enum problem_id cluster_result_problem(uint8_t code);
const char *cluster_result_text(uint8_t code);

#endif
