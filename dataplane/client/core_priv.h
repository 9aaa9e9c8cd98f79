/* SPDX-License-Identifier: Apache-2.0 */
/*
 * core_priv.h: the inside of a client core, shared by core.c (doors, datagrams, timers) and retry.c
 * (where an operation goes next). Nobody else includes it.
 */
#ifndef CAIRN_DATAPLANE_CLIENT_CORE_PRIV_H
#define CAIRN_DATAPLANE_CLIENT_CORE_PRIV_H

#include "dataplane/client/core.h"
#include "dataplane/client/wheel.h"

#define NONE UINT32_MAX
#define SERVER_NONE 0xffu
#define BACKOFF_MAX 4u /* the waiting time doubles this often: 16 times the first */

/*
 * The life of an operation. FREE, WAITING, RESEND and DONE are lists; SENT is found by its request
 * id alone. Only op_move changes the state.
 *
 *           submit            output            result, deadline
 *   FREE ------------> WAITING -----> SENT -------------------------------> DONE -----> FREE
 *                       | ^          |    ^  timer, lost session             ^   complete
 *                       | |          |    +--------- RESEND -----------------+
 *                       | +----------+-- certainly not executed --+
 *                       +------------ deadline, refused ---------------------+
 */
enum op_state {
	OP_FREE,
	OP_WAITING, /* has no request id: no server can have executed it */
	OP_SENT,    /* an answer, or the time to ask again, will come */
	OP_RESEND,  /* waits for the next datagram of its lane */
	OP_DONE,
	OP_STATE_COUNT
};

struct op {
	uint64_t deadline_ns;
	uint64_t silent_ns; /* the server asked now counts as silent from then on */
	uint64_t id;	    /* request id, 0 while WAITING */
	uint64_t tag;
	struct op_ts ts; /* CAS: expected; once DONE: the answer's */
	int64_t number;	 /* INCR: delta; once DONE: the new value */
	uint32_t next, prev;
	uint32_t lane;	/* where it waits, or was sent last */
	uint32_t prior; /* retries of updates: writer word of the node asked first (retry.c) */
	uint16_t key_bytes;
	uint16_t value_bytes;
	uint16_t copies;  /* requests sent to the retrier */
	uint16_t answers; /* of those, answered "not done, ask again" */
	uint32_t turns;	  /* the more, the sooner another retrier is asked */
	uint8_t type;
	uint8_t state;
	uint8_t status;
	uint8_t durability;
	uint8_t attempts;
	uint8_t home;	 /* updates: server of the first attempt */
	uint8_t retrier; /* with prior: the server asked to find out or do it */
	uint8_t asked;	 /* bitmap of servers whose present session knows the request */
	uint8_t clueless; /* bitmap of retriers that said UNKNOWN */
	uint8_t refused; /* bitmap of servers that said, or show by silence, that they cannot */
	bool any;	 /* any server will do */
	bool told;	 /* at least one of `refused` said so */
	bool scattered;	 /* more than one server may have got the retry */
	bool denied;	 /* the home says nothing happened, or nobody knows what did */
};

struct op_list {
	uint32_t head, tail;
};

/*
 * A lane is the way to one (server, shard).
 *   CLOSED --- an operation waits ---> OPENING --- OPENED ---> OPEN --- session lost ---> CLOSED
 *                                      OPENING --- refused, nobody waits any more ------> CLOSED
 */
enum lane_state { LANE_CLOSED, LANE_OPENING, LANE_OPEN, LANE_STATE_COUNT };

struct lane {
	uint64_t session;
	uint64_t first;	     /* lowest request id unused when the first OPEN left; 0: none left */
	uint64_t known_from; /* OPEN: the server's memory is whole from this request id on */
	uint64_t shun_ns;    /* new operations go elsewhere until then; 0: no reason to */
	uint64_t ping_ns;    /* OPEN: oldest unanswered OPEN that asks whether it lives; 0: none */
	uint64_t pinged_ns;  /* the newest such one */
	uint32_t incarnation;
	uint32_t newest_incarnation; /* ever heard of; outlives sessions */
	uint32_t ready_next; /* list of lanes with something to send */
	uint8_t state;
	uint8_t attempts;    /* OPENs sent */
	bool open_due;
	bool ready;
	struct op_list waiting;
	struct op_list resend;
};

/* A shard's request ids: one sequence for all servers. */
struct shard {
	uint64_t client;  /* this client's number at this shard */
	uint64_t id_next; /* next request id, from 1 */
	uint64_t id_low;  /* lowest open request id; id_next when none is open */
	uint32_t window;  /* the smallest a server told */
	bool held;	  /* some lane waits for the window */
	uint32_t ring[SESSION_WINDOW]; /* request id -> operation */
};

struct client_core {
	struct client_core_config config;
	uint64_t cluster;
	uint64_t nonce_state;
	uint64_t now_ns;      /* as told last */
	uint32_t shard_count; /* 0: not learned yet, everything waits in the lanes of shard 0 */
	uint32_t shards_max;  /* lanes of each server */
	uint32_t lane_count;
	uint32_t open;
	uint32_t ready_head, ready_tail;
	struct op_list free;
	struct op_list done;
	struct op *ops;
	struct lane *lanes;
	struct shard *shards;
	uint8_t *blobs; /* key, value of each operation; once DONE: the value read */
	struct wheel wheel; /* timers: operations, then lanes */
	struct client_counters counters;
};

static inline uint32_t lane_index(const struct client_core *c, const struct lane *l)
{
	return (uint32_t)(l - c->lanes);
}

static inline uint8_t lane_server(const struct client_core *c, const struct lane *l)
{
	return (uint8_t)(lane_index(c, l) / c->shards_max);
}

static inline struct shard *lane_shard(struct client_core *c, const struct lane *l)
{
	return &c->shards[lane_index(c, l) % c->shards_max];
}

static inline struct lane *op_lane(struct client_core *c, const struct op *op)
{
	return &c->lanes[op->lane];
}

static inline struct shard *op_shard(struct client_core *c, const struct op *op)
{
	return &c->shards[op->lane % c->shards_max];
}

/* op_lane_at: the lane to another server of the operation's shard. */
static inline uint32_t op_lane_at(const struct client_core *c, const struct op *op, uint32_t server)
{
	return server * c->shards_max + op->lane % c->shards_max;
}

static inline uint8_t server_bit(uint32_t server)
{
	return (uint8_t)(1u << server);
}

static inline bool op_is_update(const struct op *op)
{
	return op->type != WIRE_GET;
}

/* op_again_at: a time from now, but not behind the operation's deadline. */
static inline uint64_t op_again_at(const struct client_core *c, const struct op *op, uint64_t ns)
{
	uint64_t at_ns = ns > UINT64_MAX - c->now_ns ? UINT64_MAX : c->now_ns + ns;

	return min_u64(at_ns, op->deadline_ns);
}

/* core.c: */

/* op_move: the only writer of an operation's state; lane is where it goes. */
void op_move(struct client_core *c, struct op *op, enum op_state to, uint32_t lane);
void op_arm(struct client_core *c, const struct op *op, uint64_t at_ns);
void op_forget_id(struct client_core *c, struct op *op);
void op_finish(struct client_core *c, struct op *op, enum status status);
void op_give_up(struct client_core *c, struct op *op);
void lane_kick(struct client_core *c, struct lane *l);

/* lane_ping: asks an OPEN lane's server for a sign of life. */
void lane_ping(struct client_core *c, struct lane *l);

/* retry.c: */

/* retry_timer: the time of an operation (not DONE, not past its deadline) has come. */
void retry_timer(struct client_core *c, struct op *op);

/*
 * retry_lost: op was asked in a session of lane l that is lost; was, is: the server's incarnation
 * then and now.
 */
void retry_lost(struct client_core *c, struct op *op, struct lane *l, uint32_t was, uint32_t is);

/* retry_refused: a server does not open a session now; the operation waits for that. */
void retry_refused(struct client_core *c, struct op *op, enum status status);

/*
 * retry_result: what an answer of server means for this open operation. true: it ends the
 * operation with *status, which may have become another one; false: dealt with.
 */
bool retry_result(struct client_core *c, struct op *op, uint8_t server, enum status *status);

/* retry_can_move: op may be asked for at another server. */
bool retry_can_move(const struct client_core *c, const struct op *op);

/* retry_begins_at: the server a new operation for `server` goes to. */
uint8_t retry_begins_at(struct client_core *c, const struct client_op *op, uint32_t shard);

#endif
