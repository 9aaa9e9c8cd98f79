/* SPDX-License-Identifier: Apache-2.0 */
/*
 * group_priv.h: the inside of the raft engine, shared by group.c (memory, the door, the leader's
 * duties), group_ask.c (clients and forwarding), group_apply.c (log entries and sessions),
 * group_copy.c (bulk copy to who lags behind the log) and group_reach.c (who reaches whom).
 */
#ifndef CAIRN_REPLICATION_GROUP_PRIV_H
#define CAIRN_REPLICATION_GROUP_PRIV_H

#include "replication/group.h"
#include "replication/replica_priv.h"

/* Versions are log indices, so nobody else ever writes the same one: one writer for all. */
#define GROUP_WRITER 1u /* writer_make(0, 1) */

/* What entries do (group_apply.c); another number for each change: who differs is not heard. */
#define GROUP_RULES 2ull

#define GROUP_FORWARD RAFT_TYPE_USER /* to the leader: propose this; payload: an entry's data */

/*
 * An entry's data (32-byte head, key, value; little-endian)
 *   0  u8 type (enum wire_type, less WIRE_GET) | flags << 4   1  u56 expected (CAS: version; CASV:
 *      bytes; see group_apply.c)   8  u64 client   16  u64 request
 *  24  u32 low half of the index up to which the node asked had applied the log
 *  28  u16 key bytes   30  u16 request less the first one the client had not used when it opened
 *      its session there; 0xffff: or more
 */
#define GROUP_HEAD_BYTES 32u
#define GROUP_OLD 0x1u	 /* WIRE_OLD */
#define GROUP_BELOW 0x2u /* the request is below that first one */
#define GROUP_EXPECTED_MAX 0xffffffffffffffull /* of no key: never matches */

_Static_assert(GROUP_HEAD_BYTES + KEY_BYTES_MAX + VALUE_BYTES_MAX == RAFT_ENTRY_BYTES_MAX, "head");

/* command: an entry's data, decoded; key and value point into it. */
struct command {
	enum wire_type type; /* PUT .. CASV */
	uint8_t flags;
	uint16_t key_bytes, value_bytes, back;
	uint32_t seen;
	uint64_t expected;
	struct origin origin;
	const uint8_t *key, *value;
};

/*
 * ask: a client's request that this node has to answer: an update until it is applied here, a read
 * until it may be served. In a hash chain by who asks, in the timer list (oldest first), and, if it
 * is a read, in one of the read queues. Owned by group_ask.c.
 */
struct ask {
	uint64_t client; /* updates: the client's number; reads: the session's */
	uint64_t request;
	uint64_t session;
	struct client_addr addr;
	uint64_t expires_ns; /* 0: never */
	uint64_t again_ns;   /* when to look after it again; the timer list is in this order */
	uint64_t index;	     /* read, ready: may be served once this is applied */
	uint32_t term;	     /* update: in the log of this node since it led this term; 0: not */
	uint32_t before, after; /* timer list */
	uint32_t chain;	     /* hash chain, or the free list */
	uint32_t queue;	     /* reads: next in its queue */
	uint32_t visits;     /* times looked after since the leader last changed */
	bool sent;	     /* update: it may be in somebody's log */
	uint16_t bytes;	     /* of its entry's data; reads: key bytes */
	uint8_t type;	     /* enum wire_type; 0: free */
};

struct ask_queue {
	uint32_t first, last; /* OP_NONE: empty */
};

/* recent: an update that a leader has put into its log and not applied yet, direct-mapped. */
struct recent {
	struct origin origin;
	uint64_t index;
	uint32_t term;
};
#define RECENT_COUNT 1024u

#define FORWARDS_MAX 8u /* updates sent to the leader in one step */

/* pull: this node fetches everything that it lacks and the log no longer has. */
struct pull {
	bool active;
	enum pull_phase { PULL_SESSIONS, PULL_KEYS } phase;
	uint8_t donor;
	uint32_t donor_incarnation;
	struct lanes lanes;
	uint64_t stay_ns; /* when to say that it is still there, if nothing else is asked */
	bool whole;	/* answer to the first question: what this node holds is void */
	uint64_t start; /* the index the donor's session table is of; 0: not known yet */
	uint64_t floor;
	uint64_t above; /* only what is newer than this */
};

/* give: a node that this one lets copy: its session table as of `start` stays what it was. */
struct give {
	bool active;
	uint8_t to;
	uint32_t to_incarnation;
	uint32_t chunk; /* newest first question */
	uint64_t start;
	uint64_t until_ns; /* given up when nothing is heard of it by then */
	uint64_t dropped;  /* as of start */
	uint64_t frozen[SESSIONS_MAX / 64]; /* bitmap: in stage is what the slot was at start */
};

/* odds: two nodes that live and do not hear each other; since when; believed until (hold-down). */
struct odds {
	uint64_t since_ns, until_ns;
	uint8_t times; /* in a row */
};

#define PACK_HEAD 40u
#define PACK_ONE 32u
#define PACK_OUTCOMES 24u
#define PACK_BYTES (PACK_HEAD + PACK_OUTCOMES * PACK_ONE)
#define PACKS_MAX 1u /* in one answer, which then is one frame: little is lost with it */
_Static_assert(PACK_BYTES <= VALUE_BYTES_MAX, "a pack is one message's value");

struct group {
	struct raft *raft;
	struct raft_actions out; /* of the last step of raft: actions point into it */
	uint64_t steps;		 /* of raft; at most one in each step of ours */
	bool raft_more;		 /* what the last one returned */
	void *raft_mem;
	struct raft_record notes[2]; /* of this step */
	uint32_t notes_count;
	uint8_t record_data[GROUP_END_BYTES];
	struct session_table sessions; /* replicated; used_ns: log index; id: made at this index */
	struct session_table stage;    /* pull: the copy; give: what it was */
	uint64_t stage_dropped;
	uint64_t dropped; /* newest index at which a session was used that has had to make room */
	uint64_t applied;
	uint64_t knew; /* the same, when this life dropped its state; 0: it has not */
	uint64_t restore; /* index of the snapshot that raft waits for; 0: none */
	bool is_void;	  /* entries and sessions are not those of `applied`: nothing is applied */
	bool started, recovered; /* recovered: the log had something for the group */
	bool more;		 /* there is something to do at once */
	bool failure_told;	 /* to raft: the disk failed */
	uint32_t shaped[NODES_MAX]; /* newest incarnation whose HELLO told our shape */
	uint64_t all_have; /* everybody has the log up to there, as leaders have said */
	uint64_t leader_commit; /* highest that any leader has spoken of */
	uint8_t leader;		/* as last seen */
	uint64_t leader_ns;	/* when this node last knew of a leader */
	uint64_t led_ns;	/* leading since */
	uint64_t preferred_ns;	/* the preferred leader is fit since; 0: it is not */
	uint64_t duty_ns;	/* leader's duties are due */
	uint64_t ticked_ns;
	uint64_t reach_ns;	  /* when to look again who reaches whom */
	uint8_t reach[NODES_MAX]; /* bitmap: whom that node hears, it says; 0: it has not told */
	struct odds odds[NODES_MAX][NODES_MAX]; /* [a][b], b < a */

	struct ask *asks;
	uint8_t *data; /* RAFT_ENTRY_BYTES_MAX per ask */
	uint32_t *heads; /* of hash chains; as many as ops_max, rounded up to a power of two */
	uint32_t head_mask;
	uint32_t ask_free, open;
	uint32_t oldest, newest; /* timer list */
	struct ask_queue gathered, asked, ready; /* reads */
	uint64_t read_id; /* of the read request under way, or the last one */
	uint64_t read_ns; /* not to be asked again before */
	struct recent recent[RECENT_COUNT];
	struct raft_message forward[FORWARDS_MAX]; /* of this step */
	uint32_t forwards;

	uint32_t entries_max; /* raft's */
	uint64_t *size_to; /* by index, of entries_max: bytes of all entries applied up to it */
	uint64_t size;	   /* the same of `applied` */
	uint64_t room_to;  /* the store has room for what entries up to here may need */

	struct wire_message wanted; /* group_apply_message */
	bool recovering; /* the record at hand waits for entries to be applied */
	struct raft_record pending;
	uint64_t recover_to;

	struct pull pull;
	struct give give;
	uint8_t packs[PACKS_MAX][PACK_BYTES];
};

static inline uint8_t *ask_data(const struct group *g, const struct ask *k)
{
	return g->data + (size_t)(k - g->asks) * RAFT_ENTRY_BYTES_MAX;
}

static inline bool group_leads(const struct group *g)
{
	return raft_role(g->raft) == RAFT_LEADER;
}

/* group_has_room: for n more actions. */
static inline bool group_has_room(const struct actions *a, uint32_t n)
{
	return a->count + n <= ACTIONS_MAX;
}

/* group.c: group_raft_step: one step of raft, its actions executed; at most one in each step. */
uint64_t group_raft_step(struct replica *r, struct raft_event *ev, struct actions *a);
/* group_note: a record of our own. */
void group_note(struct replica *r, enum group_record kind, uint64_t index, const uint8_t *data,
		uint32_t bytes, struct actions *a);

/* group_ask.c */
void group_ask_init(struct replica *r);
void group_on_request(struct replica *r, const struct event *ev, struct actions *a);
void group_on_forward(struct replica *r, const struct event *ev, struct actions *a);
void group_on_read_index(struct replica *r, uint64_t id, uint64_t index);
/* group_hurry: everything open is looked after at once: the leader has changed, or the view. */
void group_hurry(struct replica *r);
/* group_work_asks: looks after what is due; false: nothing is left that is due now. */
bool group_work_asks(struct replica *r, struct actions *a);
uint64_t group_asks_deadline_ns(const struct replica *r);
/* group_answer: the update of this origin is applied: who waits for it here? */
void group_answer(struct replica *r, const struct command *c, const struct wire_message *result,
		  struct actions *a);
struct ask *group_read_ready(const struct replica *r);
void group_serve_read(struct replica *r, const struct entry *e, struct actions *a);
/* group_space: the tightest of this node and of those it hears. */
uint8_t group_space(const struct replica *r);

/*
 * group_reach.c: who reaches whom. group_reach_heard: whom this node hears, itself too.
 * group_reach_look: is to be called at least once for each HELLO. group_reach_best: of `fit`, those
 * who are at odds with the fewest living nodes.
 */
uint8_t group_reach_heard(const struct replica *r);
void group_reach_look(struct replica *r);
uint8_t group_reach_best(const struct replica *r, uint8_t fit);

/* group_apply.c */
bool group_decode(const uint8_t *data, uint32_t bytes, struct command *ret_command);
uint32_t group_encode(uint8_t *out, const struct command *c);
/* group_apply_wanted: something is to be applied or served; sets g->wanted. */
bool group_apply_wanted(struct replica *r);
void group_apply(struct replica *r, struct entry *e, struct actions *a);
void group_count_size(struct group *g, uint64_t index, uint32_t bytes);
/* group_outcome: what is known of a request here; NULL: nothing. */
struct session_outcome *group_outcome(struct group *g, struct origin origin, bool *ret_old);
bool group_result(const struct session_outcome *o, struct wire_message *ret_result);

/* group_copy.c */
void group_copy_tick(struct replica *r, struct actions *a);
uint64_t group_copy_deadline_ns(const struct replica *r);
void group_copy_touch(struct group *g, uint32_t slot);
void group_on_fetch(struct replica *r, const struct event *ev, struct actions *a);
void group_on_copy(struct replica *r, const struct event *ev, struct actions *a);
void group_on_copy_session(struct replica *r, const struct event *ev, struct actions *a);
void group_on_copied(struct replica *r, const struct event *ev, struct actions *a);
void group_copy_recover(struct replica *r, const struct raft_record *record);
/* group_copy_holds: entries above this index are still needed by a copy; UINT64_MAX: none. */
uint64_t group_copy_holds(const struct replica *r);

#endif
