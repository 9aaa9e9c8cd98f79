/* SPDX-License-Identifier: Apache-2.0 */
/*
 * membership.h: the view service, one instance per node, on worker 0. One Raft group over all
 * voters agrees on a sequence of states: who is wanted, who takes part, in which incarnation, since
 * when (struct membership_state). From a state follows the view that replicas install (view.h); its
 * epoch is the log index of the entry that made it (M-EPOCH-LOG). The leader of the group watches
 * the nodes and proposes one change at a time, from what is to what is wanted.
 *
 * Leases (docs/membership.md). A member asks all voters, again and again; a voter's grant is a
 * promise not to take part in excluding that incarnation for lease_ns. A member may serve while a
 * majority's promises last, counted from when it asked. A voter that has promised acknowledges an
 * entry that excludes the member only once the promise has run out or is void, so no majority, and
 * no leader, can exclude a member whose lease runs (M-LEASE-GAP). No leader is needed for a lease:
 * the death of the leader alone stops no reads.
 *
 * Sans-I/O, as replica.h and raft.h.
 */
#ifndef CAIRN_REPLICATION_MEMBERSHIP_H
#define CAIRN_REPLICATION_MEMBERSHIP_H

#include "replication/raft.h"
#include "replication/view.h"

struct membership;

#define MEMBERSHIP_NAME_BYTES 16u /* of a node, zero-terminated */

enum membership_want {
	WANT_NONE = 0,	  /* no node of this number, or it is to go */
	WANT_DATA = 1,	  /* votes, and is to be a member */
	WANT_WITNESS = 2, /* votes, holds no data */
};

/* What an operator asked for, or the service found out, about one node. */
#define MEMBER_DRAINED 0x01u /* to hold data, but to take no part until undrained */
#define MEMBER_LEARNER 0x02u /* stays a shadow until promoted by hand */
#define MEMBER_LEAVING 0x04u /* removed: leaves the view first, then the voters */
#define MEMBER_EVICTED 0x08u /* left out while alive: slow, unreachable; back after hold-down */

struct membership_node {
	uint8_t want;  /* enum membership_want */
	uint8_t flags; /* MEMBER_* */
	uint8_t replaces; /* node + 1 that leaves the moment this one is a member; 0: none */
	uint8_t evictions; /* in a row; doubles its hold-down, up to 32 times */
	uint32_t ident;	   /* of its disk (device id, folded); 0: not seen yet (R19, R20) */
	uint32_t ip;	   /* host byte order */
	uint32_t incarnation; /* newest that was ever in a write set */
	uint32_t since;	      /* as in struct view */
	uint32_t floor; /* former disks of this number have used incarnations up to it */
	char name[MEMBERSHIP_NAME_BYTES];
};

/*
 * membership_state: what the log agrees on; each DATA entry is a whole one. members, shadows,
 * recovered, epoch: see view.h.
 */
struct membership_state {
	uint64_t revision; /* index of the entry that made it */
	uint32_t epoch;	   /* of the newest one that changed the view */
	uint8_t members, shadows, recovered;
	uint8_t engine;	    /* enum membership_engine */
	uint8_t copies_min; /* fewer members: no updates (M-MIN-SIZE) */
	uint8_t unsafe;	    /* unsafe recoveries since format, audited */
	struct membership_node node[NODES_MAX];
};

enum membership_engine { ENGINE_HERMES = 0, ENGINE_RAFT = 1 };

#define MEMBERSHIP_STATE_BYTES 320u
void membership_state_encode(uint8_t *out, const struct membership_state *s);
/* false: malformed (lengths, overlaps, unknown values). */
bool membership_state_decode(const uint8_t *in, uint32_t bytes, struct membership_state *ret_state);
/* membership_view: the view that a state means. */
void membership_view(const struct membership_state *s, struct view *ret_view);

struct membership_config {
	uint64_t seed;
	uint64_t heartbeat_ns; /* interval of reports, lease requests and of Raft */
	uint64_t election_ns;  /* as in raft_config */
	uint64_t lease_ns;     /* a grant holds so long; > 2 election_ns is wise, see docs */
	uint64_t detect_ns;    /* a node silent for so long is taken for dead */
	uint64_t recover_ns;   /* restart of the whole cluster: wait so long for more members */
	uint64_t holddown_ns;  /* a node evicted alive stays out for so long, at least */
	uint64_t slow_ns;      /* slower than slow_factor x the others for so long: evicted */
	uint64_t slow_floor_ns; /* what is faster than this is never slow */
	uint32_t slow_factor;  /* 0: nobody is evicted for being slow */
	uint32_t incarnation;
	uint32_t ident;
	uint16_t drift_ppm;
	uint8_t node;
	uint8_t engine;	       /* enum membership_engine: what its logs are formatted for */
	bool joining;	       /* formatted to join: knows nobody, is told */
};

/* What the workers of this node say about the data path; a whole one with every event HEALTH. */
struct membership_health {
	uint32_t epoch;	     /* oldest view installed by any worker */
	bool joined;	     /* all shards: worker_joined */
	bool spent;	     /* this incarnation is over: the process must restart */
	bool failed;	     /* the disk failed */
	bool progress;	     /* every worker went round lately (M-DATA-ALIVE) */
	bool unleased;	     /* every worker has taken the newest ACTION_LEASE, and it was 0 */
	uint8_t heard;	     /* bitmap: nodes heard on every shard lately, by data frames */
	uint8_t groups;	     /* bitmap: nodes in the conf of any shard's group (raft engine) */
	uint8_t stuck;	     /* bitmap: nodes an update awaits for longer than detect_ns */
	uint64_t disk_ns;    /* a durable write takes so long, now */
	uint64_t progress_count; /* anything that only grows while the workers go round */
};

/* Messages of its own in WIRE_RAFT frames; payloads: membership_wire.c. */
enum membership_type {
	MEMBERSHIP_REPORT = RAFT_TYPE_USER, /* to all voters: health, and: may I have a lease? */
	MEMBERSHIP_GRANT,		    /* the answer: yes or no, conf, newest state */
	MEMBERSHIP_COMMAND,		    /* an operator's, on its way to the leader */
	MEMBERSHIP_RESULT,
};

/* Commands of operators (cairnctl member ..., leader ...). */
enum membership_verb {
	VERB_ADD = 1,	   /* node, want, ip, name, flags (MEMBER_LEARNER), replaces */
	VERB_PROMOTE = 2,  /* node: a learner may become a member */
	VERB_DRAIN = 3,	   /* node: out of the view, its data stays */
	VERB_UNDRAIN = 4,
	VERB_REMOVE = 5,   /* node: for good */
	VERB_TRANSFER = 6, /* node: leads from now on; RAFT_NODE_ANY */
	VERB_COPIES = 7,   /* value: copies_min */
};

#define COMMAND_FORCE 0x01u /* do it although it leaves fewer copies than copies_min */

struct membership_command {
	uint64_t id; /* the asker's, unique at this node */
	uint8_t verb, node, flags;
	uint8_t want, member_flags, replaces, value;
	uint32_t ip;
	char name[MEMBERSHIP_NAME_BYTES];
};

enum membership_result_code {
	COMMAND_DONE = 0,      /* agreed on, at index; what follows takes its time */
	COMMAND_NO_LEADER,     /* nothing happened: no leader known; ask again */
	COMMAND_BUSY,	       /* nothing happened: another change is under way; ask again */
	COMMAND_UNKNOWN,       /* the leader changed: may or may not have happened; look */
	COMMAND_NO_SUCH_NODE,
	COMMAND_EXISTS,	       /* the number or the address is taken */
	COMMAND_LAST_MEMBER,   /* it would leave no data */
	COMMAND_TOO_FEW,       /* fewer members than copies_min: COMMAND_FORCE */
	COMMAND_QUORUM,	       /* the voters left over are no majority that lives */
	COMMAND_NOT_READY,     /* promote: it has not copied everything yet; transfer: it lags */
	COMMAND_BAD,	       /* a value out of range */
	COMMAND_CODE_COUNT
};
const char *membership_result_name(enum membership_result_code code);

/* Why something happened; what cairnctl events shows. */
enum membership_note {
	NOTE_VIEW = 1,	     /* the newest view agreed on: value: epoch */
	NOTE_LEADER,	     /* node leads; value: term */
	NOTE_DEAD,	     /* leader: node is dead: silent; value: reaped in that incarnation */
	NOTE_RESTARTED,	     /* leader: a newer incarnation of node is there: value */
	NOTE_UNREACHABLE,    /* leader: node cannot be reached by some other members */
	NOTE_SLOW,	     /* leader: node is slow: value: ns */
	NOTE_DISK_FAILED,    /* leader: node says that its disk failed */
	NOTE_SHADOW,	     /* leader: node comes in as shadow */
	NOTE_MEMBER,	     /* leader: node becomes a member */
	NOTE_RECOVERED,	     /* leader: the cluster starts anew from disks; value: members */
	NOTE_COMMAND,	     /* leader: a command was carried out: value: verb */
	NOTE_READ_ONLY,	     /* fewer members than copies_min: value: how many */
	NOTE_SPENT,	     /* this node was left out: it restarts */
	NOTE_COUNT
};

enum membership_event_kind {
	MEMBERSHIP_EVENT_TICK,
	MEMBERSHIP_EVENT_MESSAGE, /* from, incarnation, ident, message */
	MEMBERSHIP_EVENT_DURABLE, /* durable_seq */
	MEMBERSHIP_EVENT_HEALTH,  /* health */
	MEMBERSHIP_EVENT_COMMAND, /* command; answered by ACTION_RESULT */
	MEMBERSHIP_EVENT_FAIL,	  /* the disk failed */
	/*
	 * The process of node `from` in that incarnation has been reaped, says its supervisor: it
	 * can answer nobody any more, so nothing has to be waited for (CC-25). A false one is a
	 * broken promise like a clock that stops.
	 */
	MEMBERSHIP_EVENT_OBITUARY,
};

struct membership_event {
	enum membership_event_kind kind;
	uint8_t from;
	uint32_t incarnation, ident; /* of the sender, as its frame says */
	uint64_t now_ns;
	uint64_t persist_seq_next;
	uint64_t durable_seq;
	const struct raft_message *message;
	const struct membership_health *health;
	const struct membership_command *command;
};

enum membership_action_kind {
	MEMBERSHIP_ACTION_SEND,	   /* message to the nodes in `to` */
	MEMBERSHIP_ACTION_PERSIST, /* record; its sequence: persist_seq */
	MEMBERSHIP_ACTION_INSTALL, /* membership_installed() has changed: all workers install it */
	MEMBERSHIP_ACTION_LEASE,   /* lease for `epoch` until lease_ns (0: given up), all workers */
	MEMBERSHIP_ACTION_RESULT,  /* of the command `id`: code, index */
	MEMBERSHIP_ACTION_NOTE,	   /* note, node, value: for the event log */
	MEMBERSHIP_ACTION_PEERS,   /* addresses may have changed: membership_ip() */
	MEMBERSHIP_ACTION_RESTART, /* this process must end, and start with an incarnation
				    * above `value` */
};

struct membership_action {
	enum membership_action_kind kind;
	uint8_t to, node;
	uint8_t code; /* RESULT: enum membership_result_code; NOTE: enum membership_note */
	uint32_t epoch;
	uint64_t lease_ns;
	uint64_t persist_seq;
	uint64_t id, index, value;
	struct raft_message message;
	struct raft_record record;
};

#define MEMBERSHIP_ACTIONS_MAX 80u

struct membership_actions {
	uint32_t count;
	struct membership_action list[MEMBERSHIP_ACTIONS_MAX];
};

uint64_t membership_size(const struct membership_config *config);
struct membership *membership_init(void *mem, const struct membership_config *config);

/* Recovery: as raft_recover, records of this group in log order. */
void membership_recover(struct membership *m, const struct raft_record *record);

/*
 * membership_start: recovery is over. first: the state every founding node begins with, the same
 * at all (revision 1, no members yet, idents 0; voters: all that are wanted); used when nothing was
 * recovered and the node is not joining; NULL: none.
 */
void membership_start(struct membership *m, const struct membership_state *first, uint64_t now_ns);

/* membership_step: fills *actions (from zero). true: call again with TICK at once. */
bool membership_step(struct membership *m, const struct membership_event *event,
		     struct membership_actions *actions);
uint64_t membership_deadline_ns(const struct membership *m);

/* The newest agreed state; revision 0: none known yet. The view to install; epoch 0: none. */
const struct membership_state *membership_state(const struct membership *m);
const struct view *membership_installed(const struct membership *m);

/*
 * membership_is_odd: the engine agreed on is not what this node is formatted for: it listens, and
 * says nothing, so to the others it is a node that never came (M-ENGINE).
 */
bool membership_is_odd(const struct membership *m);

/*
 * membership_accepts: the frame's head makes sense; whose it really is, the step itself decides, by
 * the disk it names.
 */
bool membership_accepts(const struct membership *m, uint8_t from, uint32_t incarnation);

/* membership_ip: its address, host byte order; 0: none. Also of nodes whose entry is on its way. */
uint32_t membership_ip(const struct membership *m, uint8_t node);

const struct raft *membership_raft(const struct membership *m);

/* membership_lease_ns: of this node; what the last ACTION_LEASE said. */
uint64_t membership_lease_ns(const struct membership *m);

/* membership_promised_ns: until when this voter has promised not to exclude the node; tests. */
uint64_t membership_promised_ns(const struct membership *m, uint8_t node);

/* What a node's last report said; for the status screen. Leader and voters know; others do not. */
struct membership_peer {
	uint64_t heard_ns;    /* 0: never */
	uint32_t incarnation; /* newest heard of */
	uint32_t epoch;
	uint64_t disk_ns, rtt_ns;
	uint8_t heard, stuck;
	bool joined, failed, progress, slow;
	uint64_t holddown_ns; /* stays out until then */
};
const struct membership_peer *membership_peer(const struct membership *m, uint8_t node);

#define MEMBERSHIP_COUNTERS(X)                                                                     \
	X(reports_sent) X(reports_received) X(grants_sent) X(grants_refused) X(leases)             \
	X(leases_lost) X(views) X(exclusions) X(evictions) X(readmissions) X(promotions)           \
	X(recoveries) X(acks_withheld) X(foreign) X(commands) X(proposals_lost)

struct membership_counters {
#define MEMBERSHIP_COUNTER(name) uint64_t name;
	MEMBERSHIP_COUNTERS(MEMBERSHIP_COUNTER)
#undef MEMBERSHIP_COUNTER
};
const struct membership_counters *membership_counters(const struct membership *m);

void membership_check(const struct membership *m);

#endif
