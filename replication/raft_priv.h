/* SPDX-License-Identifier: Apache-2.0 */
/*
 * raft_priv.h: the inside of a Raft member, shared by raft.c (door, timers), raft_log.c (entries in
 * memory), raft_election.c, raft_append.c (replication), raft_read.c (heartbeat rounds, leases,
 * reads), raft_conf.c (who takes part) and raft_snapshot.c. Nobody else includes it, except tests
 * that look inside.
 *
 * A handler changes what this node knows and owes; raft_settle draws the conclusions (won, commit,
 * next configuration); raft_pump then sends what is owed and may go out: nothing of this term
 * before the record of the term and vote is durable, no acknowledgement beyond what is.
 */
#ifndef CAIRN_REPLICATION_RAFT_PRIV_H
#define CAIRN_REPLICATION_RAFT_PRIV_H

#include "replication/raft.h"
#include "replication/raft_wire.h"

/* What other nodes may claim, so that no sum of it overflows. */
#define RAFT_TERM_MAX  0xfffffff0u
#define RAFT_INDEX_MAX (UINT64_MAX >> 2)

#define RAFT_ROUNDS    64u /* heartbeat rounds whose begin is remembered; a power of two */
#define RAFT_NODES_ALL ((uint8_t)((1u << NODES_MAX) - 1))

/* raft_slot: one entry in memory. */
struct raft_slot {
	uint64_t seq; /* of its record in the log; 0: recovered */

	uint64_t offset; /* free running, of its data */
	uint32_t term;
	uint16_t bytes;
	uint8_t kind, flags;
};

/* raft_open_write: records up to seq were handed out at `since_ns` or a little later. */
struct raft_open_write {
	uint64_t seq, since_ns;
};

#define RAFT_WRITES 32u /* open ones told apart; a power of two */

/* What a leader does about a follower (the same three states as etcd's progress). */
enum raft_progress {
	RAFT_PROBE,	/* where do our logs part? One message at a time */
	RAFT_REPLICATE, /* entries go out as soon as they are there */
	RAFT_SNAPSHOTS, /* what it lacks is gone: it is sent the snapshot */
};

enum raft_owed { RAFT_OWED_NOTHING, RAFT_OWED_YES, RAFT_OWED_NO };

struct raft_peer {
	uint64_t match; /* durable and matching there */
	uint64_t next;	/* index of the next entry to send */
	uint64_t since; /* index of the conf that took it in; 0: it is older than the log here */
	uint64_t heard_ns, acked_ns; /* last word; last acknowledgement of what this leader sent */
	uint64_t round;		     /* newest heartbeat round it answered */
	uint64_t beat_next;	     /* `next` when the newest round began */
	uint64_t retry_ns;	     /* PROBE, SNAPSHOTS: when to send again */
	uint64_t rewind_ns;	     /* REPLICATE: goes back for what was lost not before */
	uint32_t window;	     /* entries under way at most: halved by a loss, grows slowly */
	enum raft_progress state;
	enum raft_owed pre_vote, vote; /* answers it waits for */
	uint32_t pre_vote_term;
	uint32_t promise_us; /* what it said last; 0: nothing yet */
};

/* raft_read: a read that waits for its index; a ring of them, in order of arrival. */
enum raft_read_state {
	RAFT_READ_DONE,	  /* answered, still in the ring */
	RAFT_READ_HERE,	  /* of this node's user */
	RAFT_READ_REMOTE, /* of `from` */
};

struct raft_read {
	uint64_t id;	/* the user's, or of the message */
	uint64_t index; /* leader: commit at its arrival; 0: not ready then */
	uint64_t round; /* leader: a quorum must have answered this one */
	uint64_t until_ns;
	uint8_t from;
	enum raft_read_state what;
};

struct raft {
	struct raft_config config;
	struct raft_counters counters;
	uint64_t random;
	uint64_t now_ns;
	bool started, failed, is_void;

	/* Term and vote; hard_seq: of the record that says so. */
	uint32_t term;
	uint8_t vote;
	bool hard_dirty;
	uint64_t hard_seq;
	uint64_t persist_next, durable_seq;
	struct raft_open_write writes[RAFT_WRITES]; /* not durable yet; positions free running */
	uint64_t write_head, write_tail;

	/* The log. */
	struct raft_slot *slots;
	uint8_t *data;
	uint64_t data_head, data_tail; /* free running */
	uint64_t base, last;	       /* entries base < index <= last are here */
	uint32_t base_term;
	uint64_t base_seq; /* of the record of the snapshot at base */
	uint64_t durable;  /* the log is durable up to this index */
	uint64_t commit;
	uint64_t matched;  /* follower: up to here the log is that of this term's leader */
	bool floating;	   /* recovery: the log began in the middle, its snapshot is to come */
	uint32_t stripped; /* entries here without their data */
	struct raft_conf conf, base_conf; /* newest in the log; at base */
	uint64_t conf_index, base_conf_index;
	uint8_t snap[RAFT_PAYLOAD_MAX]; /* conf at base, the user's state there */
	uint32_t snap_bytes;
	bool unrecorded; /* the log does not begin with a snapshot record yet */

	/* A snapshot that the user is taking over; restoring: its index, 0: none. */
	uint64_t restoring;
	uint32_t restoring_term;
	bool restore_due; /* the user does not know yet */
	uint8_t restore[RAFT_PAYLOAD_MAX];
	uint32_t restore_bytes;

	/* Role; told: what the user knows of it. */
	enum raft_role role, told_role;
	uint8_t leader, told_leader;
	uint32_t told_term;
	struct raft_peer peers[NODES_MAX];
	uint64_t hold;		 /* acknowledge lower entries only; 0: all */
	uint8_t copies;		 /* of DATA, to be committed */
	uint64_t silent_ns;	 /* no votes and no standing before */
	uint64_t protected_ns;	 /* a leader was heard: votes for nobody else before (9.6, 6.4.1) */
	uint64_t promised_round; /* then: in this round of its */
	uint32_t promised_term;
	uint64_t election_at_ns;
	uint64_t retry_ns;    /* candidates: ask again */
	uint8_t votes;	      /* bitmap: of the role this node is in */
	bool by_transfer;     /* candidate: the leader asked for it */
	uint64_t transfer_id; /* then: the leader's round */
	uint8_t farewell;     /* node that shall stand at once: this one cannot lead on */
	uint64_t farewell_id;

	/* Follower: owed to the leader. */
	bool ack_due, ack_now, reject_due, beat_ack_due;
	uint64_t acked; /* last acknowledged to this leader */
	uint64_t reject_index, reject_hint;
	uint32_t reject_term;
	uint8_t ack_to, beat_to, stale_to; /* bitmaps; stale_to: who does not know our term */
	uint64_t beat_round;		   /* newest round heard of this term's leader */

	/* Leader. */
	bool noop_due;
	bool ready;		      /* an entry of this term is committed */
	bool settled;		      /* a quorum holds one; copies may be wanting still */
	uint64_t noop_index;	      /* first of this term */
	uint64_t round, quorum_round; /* newest begun; newest that a quorum answered */
	uint64_t round_ns[RAFT_ROUNDS];
	bool round_wanted;
	uint8_t beat_due, notice_due; /* bitmaps: heartbeat of this round, word of the commit */
	uint64_t beat_ns;
	uint64_t lease_ns;
	uint8_t leaving; /* bitmap: left the conf, and shall hear so */
	uint64_t leaving_ns;
	uint8_t transfer_to;
	bool transfer_sent, transfer_due; /* TIMEOUT_NOW went out; is to go out */
	uint64_t transfer_ns;		  /* given up then */
	uint64_t transfer_round;	  /* no lease from rounds up to this one */

	/* Reads; positions free running. */
	struct raft_read *reads;
	uint64_t read_head, read_tail;
	uint64_t read_refuse;  /* those below are to be refused */
	uint64_t read_indexed; /* leader: those below have an index */
	uint64_t read_sent;    /* follower: those below are with the leader */
	uint64_t read_retry_ns;
};

static inline uint8_t raft_bit(uint8_t node)
{
	return (uint8_t)(1u << node);
}

static inline uint8_t raft_voters(const struct raft *r)
{
	return r->conf.voters | r->conf.voters_old;
}

/* raft_targets: whom a leader sends its log. */
static inline uint8_t raft_targets(const struct raft *r)
{
	return (uint8_t)((raft_voters(r) | r->conf.learners | r->leaving) &
			 ~raft_bit(r->config.node));
}

/* raft_hard_durable: term and vote may be spoken of. */
/* raft_promise_us: a voter votes for nobody else for so long after it heard its leader (9.6). */
static inline uint32_t raft_promise_us(const struct raft *r)
{
	return (uint32_t)min_u64(r->config.election_ns / 1000u, UINT32_MAX);
}

static inline bool raft_hard_durable(const struct raft *r)
{
	return !r->hard_dirty && r->hard_seq <= r->durable_seq;
}

static inline bool raft_room(const struct raft_actions *a)
{
	return a->count < RAFT_ACTIONS_MAX;
}

/* raft_acked: what this node may acknowledge, and count as its own part. */
static inline uint64_t raft_acked(const struct raft *r)
{
	uint64_t held = r->hold == 0 || mutant(119) ? UINT64_MAX : max_u64(r->hold - 1, r->commit);

	if (r->durable < r->base || (r->is_void && !mutant(266)))
		return 0; /* a snapshot is on its way to the disk; or what it stands for is */
	return min_u64(r->durable, held);
}

/* raft.c */
struct raft_action *raft_act(struct raft_actions *a, enum raft_action_kind kind);
struct raft_message *raft_send(const struct raft *r, struct raft_actions *a, uint8_t to,
			       enum raft_type type);
struct raft_record *raft_persist(struct raft *r, struct raft_actions *a,
				 enum raft_record_kind kind);
void raft_persist_hard(struct raft *r, struct raft_actions *a);
uint64_t raft_random(struct raft *r, uint64_t below);
/* raft_disk_ns: when the oldest write will have taken too long (R12); UINT64_MAX: none open. */
uint64_t raft_disk_ns(const struct raft *r);
/* raft_open: a leader may make one more entry of this size. */
bool raft_open(const struct raft *r, uint32_t bytes);
/* raft_kth: the largest value that a quorum of the conf has reached. */
uint64_t raft_kth(const struct raft *r, const uint64_t value[NODES_MAX]);

/* raft_log.c */
static inline struct raft_slot *raft_log_slot(const struct raft *r, uint64_t index)
{
	return &r->slots[index & (r->config.entries_max - 1)];
}

uint64_t raft_log_size(const struct raft_config *config);
/* raft_log_term: base <= index <= last. */
uint32_t raft_log_term(const struct raft *r, uint64_t index);
/* raft_log_below: the highest index <= index whose term is <= term; base - 1: none known. */
uint64_t raft_log_below(const struct raft *r, uint64_t index, uint32_t term);
bool raft_log_room(const struct raft *r, uint32_t bytes);
/* raft_log_append: at last + 1; there is room. actions NULL: recovered. */
void raft_log_append(struct raft *r, const struct raft_entry *e, struct raft_actions *a);
void raft_log_truncate(struct raft *r, uint64_t last);
/* raft_log_conf_at: the conf in force when the log ended at index, and where it is. */
uint64_t raft_log_conf_at(const struct raft *r, uint64_t index, struct raft_conf *ret_conf);
void raft_log_compact(struct raft *r, uint64_t index);
/* raft_log_reset: nothing but a snapshot at index. */
void raft_log_reset(struct raft *r, uint64_t index, uint32_t term);
void raft_log_durable(struct raft *r);
/* raft_log_add: a leader's own new entry. */
void raft_log_add(struct raft *r, enum raft_entry_kind kind, const uint8_t *data, uint32_t bytes,
		  struct raft_actions *a);

/* raft_election.c */
void raft_election_move(struct raft *r, enum raft_role to);
void raft_election_rearm(struct raft *r, uint64_t least_ns);
void raft_election_adopt(struct raft *r, uint32_t term);
void raft_election_step_down(struct raft *r);
/* raft_election_farewell: steps down, and asks the best of the others to stand at once. */
void raft_election_farewell(struct raft *r);
/*
 * raft_election_heed: a message of this term's leader, sent in that round; false: it cannot be
 * that, or it is late. Only a round that was not heard before says that the leader lives: the
 * network may bring old messages of a dead one again and again.
 */
bool raft_election_heed(struct raft *r, uint8_t from, uint64_t round);
void raft_election_on_pre_vote(struct raft *r, uint8_t from, const struct raft_message *m);
void raft_election_on_vote(struct raft *r, uint8_t from, const struct raft_message *m);
void raft_election_on_vote_ack(struct raft *r, uint8_t from, const struct raft_message *m);
void raft_election_on_timeout_now(struct raft *r, uint8_t from, const struct raft_message *m);
void raft_election_tick(struct raft *r);
void raft_election_settle(struct raft *r);
bool raft_election_asking(const struct raft *r);
bool raft_election_pump(struct raft *r, struct raft_actions *a);
bool raft_election_pump_farewell(struct raft *r, struct raft_actions *a);

/* raft_append.c */
void raft_append_lead(struct raft *r);
void raft_append_follow(struct raft *r);
void raft_append_fresh(struct raft *r, uint8_t node);
/* raft_append_lost: what was sent behind `received` did not arrive; it goes again. */
void raft_append_lost(struct raft *r, struct raft_peer *p, uint64_t received);
/* raft_append_ask: asks a follower in REPLICATE anew where the logs agree. */
void raft_append_ask(struct raft *r, struct raft_peer *p);
void raft_append_on_append(struct raft *r, uint8_t from, const struct raft_message *m,
			   struct raft_actions *a);
void raft_append_on_ack(struct raft *r, uint8_t from, const struct raft_message *m);
/* raft_append_matched: a follower says that it holds the log durably up to index. */
void raft_append_matched(struct raft *r, uint8_t from, const struct raft_message *m);
/* raft_append_learn: a leader says that this much is committed. */
void raft_append_learn(struct raft *r, uint64_t commit);
void raft_append_settle(struct raft *r, struct raft_actions *a);
bool raft_append_pump_leader(struct raft *r, struct raft_actions *a);
bool raft_append_pump_follower(struct raft *r, struct raft_actions *a);
uint64_t raft_append_deadline_ns(const struct raft *r);

/* raft_read.c */
void raft_read_lead(struct raft *r);
void raft_read_refuse_all(struct raft *r);
void raft_read_on_heartbeat(struct raft *r, uint8_t from, const struct raft_message *m);
void raft_read_on_heartbeat_ack(struct raft *r, uint8_t from, const struct raft_message *m);
void raft_read_on_event(struct raft *r, uint64_t id, struct raft_actions *a);
void raft_read_on_read(struct raft *r, uint8_t from, const struct raft_message *m);
void raft_read_on_read_ack(struct raft *r, uint8_t from, const struct raft_message *m,
			   struct raft_actions *a);
void raft_read_round(struct raft *r);
void raft_read_settle(struct raft *r);
uint64_t raft_read_deadline_ns(const struct raft *r);
bool raft_read_pump(struct raft *r, struct raft_actions *a);

/* raft_conf.c */
bool raft_conf_valid(const struct raft_conf *conf);
/* raft_conf_set: in force from now on; index: of its entry. */
void raft_conf_set(struct raft *r, const struct raft_conf *conf, uint64_t index);
/* raft_conf_lead: a new leader: who has left shall still hear that it may. */
void raft_conf_lead(struct raft *r);
void raft_conf_on_configure(struct raft *r, const struct raft_conf *conf, struct raft_actions *a);
void raft_conf_on_transfer(struct raft *r, uint8_t node);
/* raft_conf_best: who could lead best instead; RAFT_NODE_NONE: nobody. */
uint8_t raft_conf_best(const struct raft *r);
void raft_conf_tick(struct raft *r);
void raft_conf_settle(struct raft *r, struct raft_actions *a);
bool raft_conf_pump(struct raft *r, struct raft_actions *a);

/* raft_snapshot.c */
void raft_snapshot_on_snapshot(struct raft *r, uint8_t from, const struct raft_message *m);
void raft_snapshot_on_restored(struct raft *r, uint64_t index, struct raft_actions *a);
void raft_snapshot_on_compact(struct raft *r, const struct raft_event *ev, struct raft_actions *a);
void raft_snapshot_record(const struct raft *r, struct raft_record *record);
void raft_snapshot_recover(struct raft *r, const struct raft_entry *e);
void raft_snapshot_keep(struct raft *r, const struct raft_conf *conf, const uint8_t *state,
			uint32_t bytes);

#endif
