/* SPDX-License-Identifier: Apache-2.0 */
/*
 * hermes.h: the per-key protocol (Katsarakis et al., "Hermes", ASPLOS 2020, and its TLA+ modules),
 * with the durable acknowledgement rule: an ACK leaves only when the record it speaks of is on
 * disk.
 *
 * State of one key at one replica:
 *
 *                 INV newer                          VAL same ts
 *      +-----------------------------+   +--------------------------------+
 *      |                             v   |                                |
 *   +-------+  own update starts  +---------+   replay timer     +--------+
 *   | VALID |---------------+     | INVALID |------------------->| REPLAY |
 *   +-------+               |     +---------+                    +--------+
 *      ^  ^                 v      ^   ^  INV newer                 |  |
 *      |  |  all acked   +-------+ |   +----------------------------+  |
 *      |  +--------------| WRITE |-+ INV newer, own RMW: aborted       |
 *      |  (sends VAL)    +-------+                                     |
 *      |                    | INV newer, own blind write               |
 *      |  all acked and     v                                          |
 *      |  VAL same ts    +-------+                                     |
 *      +-----------------| TRANS |--> INVALID when own write is acked  |
 *      |                 +-------+    by all (no VAL: O1)              |
 *      +--- all acked (sends VAL), or VAL same ts ---------------------+
 *
 * VAL same ts means also: an INV made from this ts, or (O3) exact ACKs of everybody. A node that
 * leaves the view lets go of what it runs: to INVALID.
 *
 * WRITE and REPLAY go to INVALID instead, without VAL, when all acked but somebody holds a newer
 * update: nobody may start from a value that has a rival (docs/protocol.md, rule 2).
 *
 * Who may move: WRITE only by the coordinator of its own update; REPLAY by whoever waits for the
 * key; every other arrow by what peers send. A replay keeps timestamp, value and flags.
 */
#ifndef CAIRN_REPLICATION_HERMES_H
#define CAIRN_REPLICATION_HERMES_H

#include "replication/step.h"

enum hermes_state {
	HERMES_VALID = 0, /* newest committed value: reads are served */
	HERMES_INVALID,	  /* an update is under way elsewhere, or nothing is known (recovery) */
	HERMES_WRITE,	  /* own update sent, not yet acknowledged by all */
	HERMES_REPLAY,	  /* finishing somebody's update with its own timestamp */
	HERMES_TRANS,	  /* own blind write overtaken by a newer update, client still owed */
	HERMES_STATE_COUNT
};

const char *hermes_state_name(enum hermes_state state);

struct replica;
struct op;

/* hermes_can_move: the table behind the diagram. */
bool hermes_can_move(enum hermes_state from, enum hermes_state to);

/* hermes_move: the only writer of entry->state after recovery. An arrow not drawn: must(). */
void hermes_move(struct entry *e, enum hermes_state to);

/* Peer messages, cluster, epoch and incarnations checked. HRcvInv, HRcvAck, HRcvVal. */
void hermes_on_inv(struct replica *r, const struct event *ev, struct actions *a);
void hermes_on_ack(struct replica *r, const struct event *ev, struct actions *a);
void hermes_on_val(struct replica *r, const struct event *ev, struct actions *a);

/*
 * hermes_submit: a client operation, op filled from the request, on ev->entry. Runs it, or queues
 * it behind what the key is doing. HRead, HWrite, HRMW.
 */
void hermes_submit(struct replica *r, const struct event *ev, struct op *op, struct actions *a);

/*
 * hermes_base_validates: an INV says which version it was made from. If that is what this replica
 * holds, it is committed: as if its VAL had come just before (CC-16). True: the key became Valid,
 * and the INV itself is still to be given.
 */
bool hermes_base_validates(struct replica *r, const struct event *ev, struct actions *a);

/* hermes_on_copy: one key as a member has it, for a shadow: the newer one wins (CC-19). */
void hermes_on_copy(struct replica *r, const struct event *ev, struct actions *a);

/* hermes_tell_ack: O3: tells all but `except` that ts is durable here, if still the newest. */
void hermes_tell_ack(struct replica *r, struct entry *e, struct op_ts ts, uint8_t except,
		     struct actions *a);

/* hermes_on_timer: the op's deadline passed: resend, or start a replay. HReplay, HSendInv. */
void hermes_on_timer(struct replica *r, struct op *op, struct actions *a);

/* hermes_on_durable: the record behind a held "count me in" is on disk. */
void hermes_on_durable(struct replica *r, struct op *op, struct op_ts ts, struct actions *a);

/* hermes_on_epoch: another view: what was acknowledged before does not count (CC-5). */
void hermes_on_epoch(struct replica *r, struct op *op);

/* hermes_run: lets the key's waiting operations go, as far as its state and room in *a allow. */
void hermes_run(struct replica *r, struct entry *e, struct actions *a);

#endif
