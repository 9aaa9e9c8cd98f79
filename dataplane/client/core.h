/* SPDX-License-Identifier: Apache-2.0 */
/*
 * core.h: the client protocol without I/O: operations and datagrams in, datagrams and completions
 * out. libcairn puts UDP sockets around it (client.c), cairn-bench a polled port, the simulator
 * virtual time. One thread owns a core. No clock, no system call, no allocation after init.
 *
 * One session per (server, shard), opened on first use and again when a server says NO_SESSION or
 * shows another incarnation. Operations waiting to go to one (server, shard) share datagrams. For
 * every shard the core has one number of its own and one sequence of request ids, the same at all
 * servers.
 *
 * Every update takes effect at most once (S-ONCE, H22). A server remembers request ids, so that
 * resending is safe; and with failover_ns an update without an answer, or whose server restarted,
 * is asked for again, elsewhere or there, as the same request: retry.c has the rules.
 *
 * Outcomes are honest (S-UNKNOWN): an update that may have reached a server and whose fate is open
 * at its deadline ends as STATUS_UNKNOWN; one that was sent before and that the servers have
 * forgotten as STATUS_EVICTED: it may or may not have been applied. Without failover_ns an update
 * also ends as UNKNOWN when its session is lost. A read without an answer, and an update that
 * certainly was not executed, end at their deadline as STATUS_NOT_SERVING: nothing changed.
 * STATUS_NO_SESSION and STATUS_WAIT are never outcomes.
 */
#ifndef CAIRN_DATAPLANE_CLIENT_CORE_H
#define CAIRN_DATAPLANE_CLIENT_CORE_H

#include "replication/wire.h"

#define CLIENT_SERVERS_MAX NODES_MAX
#define CLIENT_OPS_MAX 65536u

struct client_core;

/*
 * What happened; the drop_ ones say why a received datagram, or a message of one, was ignored.
 * Names are the counter names users see. drop_wire counts by enum wire_verdict.
 */
#define CLIENT_COUNTERS(X)                                                                         \
	X(datagrams_sent) X(datagrams_received) X(requests_sent) X(replies_received)               \
	X(retransmits) X(opens_sent) X(sessions_opened) X(sessions_lost) X(opens_refused)          \
	X(timeouts) X(outcomes_unknown) X(outcomes_evicted)                                        \
	X(retries)	  /* updates asked for again, elsewhere or after a restart */              \
	X(drop_kind)	  /* not a reply */                                                        \
	X(drop_server)	  /* the sender is not the node this server number stands for */           \
	X(drop_cluster)	  /* another cluster id */                                                 \
	X(drop_shard)	  /* no such shard in this cluster */                                      \
	X(drop_open)	  /* OPENED that answers no OPEN of ours (late, or doubled) */             \
	X(drop_shape)	  /* OPENED with a field out of range or another number of shards */       \
	X(drop_session)	  /* a result for a session that is not the current one */                 \
	X(drop_unmatched) /* a result for no open request (late, or doubled) */                    \
	X(drop_result)	  /* a result that no such request can have */

struct client_counters {
#define CLIENT_COUNTER(name) uint64_t name;
	CLIENT_COUNTERS(CLIENT_COUNTER)
#undef CLIENT_COUNTER
	uint64_t drop_wire[WIRE_VERDICT_COUNT];
};

struct client_core_config {
	uint64_t seed;		/* of the client's numbers: must differ between clients */
	uint64_t cluster;	/* cluster id; 0: learn it from the first OPENED */
	uint64_t retransmit_ns;	/* first resend of a request; doubles, up to 16 times it */
	uint64_t timeout_ns;	/* default deadline of an operation */
	uint64_t failover_ns;	/* a server silent for this long: ask another one; 0: never */
	uint32_t ops_max;	/* operations open at once, 1..CLIENT_OPS_MAX */
	uint32_t server_count;	/* 1..CLIENT_SERVERS_MAX; server i is node i */
	uint32_t shard_count;	/* of the cluster; 0: learn it from the first OPENED */
	uint8_t servers_unused; /* bitmap: servers that no operation may go to by itself */
};

/* One operation. key and value are copied by submit. */
struct client_op {
	enum wire_type type;	/* WIRE_GET .. WIRE_CASV */
	uint8_t server;		/* which server coordinates it: the node's number */
	bool any;		/* or another one, if failover_ns allows */
	const uint8_t *key;
	uint32_t key_bytes;
	const uint8_t *value;
	uint32_t value_bytes;
	struct op_ts expected;	/* CAS; {0,0}: the key must not exist */
	const uint8_t *compare; /* CASV: the value the key must have */
	uint32_t compare_bytes;
	int64_t delta;		/* INCR */
	uint64_t timeout_ns;	/* 0: the default */
	uint64_t tag;		/* the caller's, comes back in the completion */
};

struct client_completion {
	uint64_t tag;
	enum status status;
	enum durability durability;
	uint8_t server;		/* that answered, or was asked last */
	struct op_ts ts;	/* the key's version; {0,0} when nothing is known */
	int64_t number;		/* INCR: the new value */
	uint32_t value_bytes;	/* GET */
	uint8_t value[VALUE_BYTES_MAX];
};

/*
 * client_core_size, client_core_init: bytes needed, and a core built in mem (16-byte aligned),
 * which the caller owns and frees. A configuration out of range is a programmer error.
 */
uint64_t client_core_size(const struct client_core_config *config);
struct client_core *client_core_init(void *mem, const struct client_core_config *config);

/*
 * client_core_submit: takes an operation. STATUS_OK: accepted, a completion will come;
 * STATUS_BUSY: ops_max are open; STATUS_TOO_LARGE; STATUS_BAD_REQUEST (empty key, no such server,
 * not an operation). value is looked at for PUT, CAS and CASV only; TOO_LARGE is also a CASV whose
 * two values together are over the limit of one.
 */
enum status client_core_submit(struct client_core *c, const struct client_op *op,
			       uint64_t now_ns);

/*
 * client_core_output: the next datagram to send, into payload (FRAME_PAYLOAD_MAX bytes). Returns
 * its length, 0 when there is nothing to send. *ret_server, *ret_shard say where it goes.
 */
uint32_t client_core_output(struct client_core *c, uint8_t *payload, uint8_t *ret_server,
			    uint16_t *ret_shard, uint64_t now_ns);

/* client_core_input: a datagram that came from a server. Anything malformed is ignored, counted. */
void client_core_input(struct client_core *c, uint8_t server, const uint8_t *payload,
		       uint32_t bytes, uint64_t now_ns);

/*
 * client_core_tick: timers: resends, deadlines. client_core_deadline_ns: no tick is useful before
 * (it may be early by a little); UINT64_MAX: never.
 */
void client_core_tick(struct client_core *c, uint64_t now_ns);
uint64_t client_core_deadline_ns(const struct client_core *c);

/* client_core_complete: takes the next finished operation; false when there is none. */
bool client_core_complete(struct client_core *c, struct client_completion *ret_completion);

/* client_core_open: operations open (submitted, completion not yet taken). */
uint32_t client_core_open(const struct client_core *c);

/* client_core_cluster, client_core_shard_count: as configured or learned; 0: not known yet. */
uint64_t client_core_cluster(const struct client_core *c);
uint32_t client_core_shard_count(const struct client_core *c);

const struct client_counters *client_core_counters(const struct client_core *c);

#endif
