/* SPDX-License-Identifier: Apache-2.0 */
/*
 * membership_priv.h: the inside of the view service, shared by membership.c (door, log, states),
 * membership_lease.c (reports, grants, promises), membership_plan.c (the leader's next step),
 * membership_watch.c (the leader's picture of the nodes), membership_command.c (operators) and
 * membership_wire.c. Nobody else includes it, except tests that look inside.
 */
#ifndef CAIRN_REPLICATION_MEMBERSHIP_PRIV_H
#define CAIRN_REPLICATION_MEMBERSHIP_PRIV_H

#include "replication/membership.h"
#include "replication/raft_wire.h"

#define MEMBERSHIP_SELF UINT32_MAX /* in an entry, epoch and since: the entry's own index */

/* The group's log is tiny: states of a few hundred bytes, few of them open. */
#define MEMBERSHIP_ENTRIES_MAX 256u
#define MEMBERSHIP_OPEN_MAX 8u
#define MEMBERSHIP_COMPACT 64u /* applied entries kept for members that lag a little */
#define MEMBERSHIP_COMMANDS 8u /* of operators, under way or just answered */
#define MEMBERSHIP_NOTES 16u   /* waiting to be told */
#define COMMAND_ATTEMPTS 20u
#define EVICTIONS_SHIFT_MAX 5u

/* ---- payloads of own messages ---------------------------------------------------------------- */

#define REPORT_ASK 0x01u      /* a lease, please */
#define REPORT_GAVE_UP 0x02u  /* what was granted before is void: no read rests on it any more */
#define REPORT_JOINED 0x04u
#define REPORT_FAILED 0x08u
#define REPORT_PROGRESS 0x10u
#define REPORT_ANSWER 0x20u   /* an answer is wanted (round trip, newest state) */

struct membership_report {
	uint64_t seq;	   /* grows by one with every report of an incarnation */
	uint64_t revision; /* of the sender's state */
	uint64_t sent_ns;  /* the sender's clock; echoed */
	uint64_t disk_ns;
	uint32_t epoch;
	uint32_t rtt_us[NODES_MAX];
	uint8_t flags;
	uint8_t seen; /* bitmap: nodes whose reports arrive */
	uint8_t stuck, heard, groups;
};
#define MEMBERSHIP_REPORT_BYTES 72u

#define GRANT_GIVEN 0x01u
#define GRANT_STATE 0x02u /* the newest state follows: the asker's is older */
#define GRANT_LOW 0x04u	  /* the asker's incarnation is not above `floor`: it must restart */

struct membership_grant {
	uint64_t seq, sent_ns;	/* of the report answered */
	uint64_t conf_index;	/* of conf: the newest in the voter's log */
	uint32_t floor;
	uint32_t lease_us; /* the voter promises for so long */
	struct raft_conf conf;
	uint8_t flags;
	struct membership_state state; /* GRANT_STATE */
};
#define MEMBERSHIP_GRANT_BYTES 40u
#define MEMBERSHIP_GRANT_MAX (MEMBERSHIP_GRANT_BYTES + MEMBERSHIP_STATE_BYTES)

#define MEMBERSHIP_COMMAND_BYTES 40u
#define MEMBERSHIP_RESULT_BYTES 24u

void membership_report_encode(uint8_t *out, const struct membership_report *r);
bool membership_report_decode(const uint8_t *in, uint32_t bytes, struct membership_report *ret);
uint32_t membership_grant_encode(uint8_t *out, const struct membership_grant *g);
bool membership_grant_decode(const uint8_t *in, uint32_t bytes, struct membership_grant *ret);
void membership_command_encode(uint8_t *out, const struct membership_command *c);
bool membership_command_decode(const uint8_t *in, uint32_t bytes, struct membership_command *ret);

/* ---- the service ----------------------------------------------------------------------------- */

/* promise: what this voter promised a member. */
struct membership_promise {
	uint32_t incarnation; /* 0: nothing */
	uint64_t until_ns;
};

/* watch: what the leader has been noticing about one node, and since when (0: not). */
struct membership_watch {
	uint64_t apart_ns[NODES_MAX]; /* one of the two does not hear the other */
	uint64_t stuck_ns[NODES_MAX]; /* its updates wait for that one */
	uint64_t slow_ns;
	uint64_t hung_ns; /* its workers do not go round */
	uint64_t well_ns;    /* out of the view, and nothing speaks against its return, since */
	uint64_t evicted_ns; /* left out while alive */
	bool ghost;	     /* left out as dead, it spoke again, in the same life */
	bool told_dead;	     /* NOTE_DEAD was said */
};

/* asked: a command, where it was given and at the leader. Answered ones stay, for copies. */
struct membership_asked {
	bool used, answered;
	bool decided; /* refused, or done at once: code is the answer */
	bool sent;    /* to some leader */
	uint8_t from; /* own node: an operator here */
	uint8_t code;
	uint8_t attempts; /* forwarded so often */
	uint64_t index; /* of the entry it became; 0: none */
	uint32_t term;
	uint64_t due_ns; /* the next attempt */
	uint64_t used_ns;
	struct membership_command command;
};

/* What the next TICKs have to give to the Raft core, one at a time. */
struct membership_pending {
	bool propose, configure, transfer, restored, compact;
	uint8_t transfer_to;
	uint64_t restored_index;
	struct raft_conf conf;
	struct membership_state state;
	int32_t asked; /* index of the command it carries out, or -1 */
};

struct membership {
	struct membership_config config;
	struct membership_counters counters;
	struct raft *raft;
	struct raft_actions raft_actions;

	struct membership_state agreed; /* the newest one known to be agreed on */
	struct membership_state latest; /* the newest in this node's log, agreed on or not */
	uint64_t applied;
	struct view view;
	uint8_t reach; /* bitmap: nodes with an address, this one excepted */

	uint64_t now_ns, start_ns;
	uint64_t awake_ns; /* it did not run for a while, until then: silence says nothing */
	uint64_t report_ns; /* the next one is due */
	uint64_t report_seq;
	uint64_t persist_next;
	bool started, failed, restart_told, peers_changed;
	bool raft_again; /* the core has more to say */
	bool lead; /* NOTE_LEADER was said */
	uint32_t lead_term;
	uint64_t lead_ns;

	/* Voter. */
	uint64_t boot_ns; /* what its last life promised has run out by then */
	struct membership_promise promise[NODES_MAX];
	uint64_t joint_index; /* of the entry that entered a joint conf, waited for below */
	uint32_t joint_term;
	uint64_t joint_ns; /* promises made before it have run out by then */
	uint64_t hold;	   /* told to the Raft core */
	uint64_t hold_wanted; /* to be told next */
	uint64_t durable;     /* of this node's log, as last heard */
	uint64_t durable_given; /* told to the Raft core */

	/* Member. */
	uint64_t granted_ns[NODES_MAX]; /* when what that voter granted last was asked for */
	struct raft_conf granted_conf[NODES_MAX]; /* what that voter's newest grant named */
	uint64_t granted_conf_index[NODES_MAX];
	uint64_t lease_ns;
	uint32_t lease_epoch;
	uint64_t gave_up_seq; /* grants for reports up to it are void */
	bool giving_up;

	struct membership_health health;
	struct membership_peer peer[NODES_MAX];
	uint64_t peer_seq[NODES_MAX];
	uint32_t peer_ident[NODES_MAX];
	uint32_t buried[NODES_MAX]; /* incarnations up to it are known to be over */
	struct membership_report last[NODES_MAX]; /* reports, as they came */

	/* Leader. */
	struct membership_watch watch[NODES_MAX];
	uint64_t proposed; /* index of the proposal under way; 0: none */
	uint32_t proposed_term;
	uint64_t all_gone_ns; /* every member of the view is gone, since */
	uint64_t hand_over_ns; /* it asked another one to lead; until then it waits */
	uint32_t hand_overs;   /* in vain, in a row */
	struct membership_pending pending;
	struct membership_asked asked[MEMBERSHIP_COMMANDS];

	bool view_untold; /* no NOTE_VIEW of the installed view yet */
	struct membership_action note[MEMBERSHIP_NOTES];
	uint32_t notes;

	/* Bytes that actions point at until they are executed. */
	uint8_t report_out[MEMBERSHIP_REPORT_BYTES];
	uint8_t grant_out[MEMBERSHIP_GRANT_MAX];
	uint8_t command_out[MEMBERSHIP_COMMANDS][MEMBERSHIP_COMMAND_BYTES];
	uint8_t result_out[MEMBERSHIP_COMMANDS][MEMBERSHIP_RESULT_BYTES];
	uint8_t entry_out[MEMBERSHIP_STATE_BYTES];
};

static inline uint8_t membership_bit(uint8_t node)
{
	return (uint8_t)(1u << node);
}

static inline bool membership_has(uint8_t set, uint8_t node)
{
	return (set >> node & 1) != 0;
}

static inline uint8_t membership_write_set(const struct membership_state *s)
{
	return s->members | s->shadows;
}

/* membership.c, for the others */
struct membership_action *membership_act(struct membership_actions *a,
					 enum membership_action_kind kind);
struct raft_message *membership_send(struct membership_actions *a, uint8_t to, uint8_t type,
				     const uint8_t *payload, uint32_t bytes);
void membership_note(struct membership *m, enum membership_note note, uint8_t node, uint64_t value);
/* membership_adopt: this state is agreed on; installs what follows from it. */
void membership_adopt(struct membership *m, const struct membership_state *s,
		      struct membership_actions *a);
bool membership_leads(const struct membership *m);
void membership_want_restart(struct membership *m, uint32_t floor, struct membership_actions *a);
/*
 * membership_entry_state: the state an entry makes out of the one before; false: it was made from
 * another one, and makes nothing.
 */
bool membership_entry_state(const struct raft_entry *e, const struct membership_state *before,
			    struct membership_state *ret_state);

/* membership_lease.c */
uint64_t lease_promise_ns(const struct membership *m); /* how long a grant binds the voter */
void lease_start(struct membership *m);
void lease_look_at_log(struct membership *m); /* entries have come or gone: what must be held */
void lease_send_report(struct membership *m, struct membership_actions *a);
void lease_on_report(struct membership *m, const struct membership_event *ev,
		     struct membership_actions *a);
void lease_on_grant(struct membership *m, const struct membership_event *ev,
		    struct membership_actions *a);
void lease_update(struct membership *m, struct membership_actions *a);
void lease_on_obituary(struct membership *m, uint8_t node, uint32_t incarnation);

/* membership_watch.c */
bool watch_alive(const struct membership *m, uint8_t node);
void watch_look(struct membership *m);
/* watch_victims: nodes of `set` that cannot stay in a view with the others. */
uint8_t watch_victims(struct membership *m, uint8_t set);
bool watch_is_slow(const struct membership *m, uint8_t node);
bool watch_is_hung(const struct membership *m, uint8_t node);
bool watch_may_return(struct membership *m, uint8_t node);

/* membership_plan.c. plan_edit: the state the leader proposes next, to be changed. */
void plan_next(struct membership *m);
struct membership_state *plan_edit(struct membership *m);

/* membership_command.c */
void command_on_event(struct membership *m, const struct membership_event *ev,
		      struct membership_actions *a);
void command_on_message(struct membership *m, const struct membership_event *ev,
			struct membership_actions *a);
/* command_applied: the entry at index was applied; took: its state counts. */
void command_applied(struct membership *m, uint64_t index, uint32_t term, bool took,
		     struct membership_actions *a);
void command_tick(struct membership *m, struct membership_actions *a);
/* command_plan: a command waits for the leader: makes it the next proposal. true: done so. */
bool command_plan(struct membership *m);

#endif
