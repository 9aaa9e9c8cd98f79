/* SPDX-License-Identifier: Apache-2.0 */
/*
 * cairn.h: the client library of Cairn, a replicated, durable key-value store.
 *
 * A handle talks UDP to the nodes of one cluster. Every operation goes to one node, which
 * coordinates it; any node can, reads are linearizable at every node. Requests are resent until
 * they are answered or their time is over, and asked for at other nodes when theirs is silent, or
 * again when it has restarted; every update takes effect at most once, whatever happens: writes,
 * compare-and-set and increments alike.
 *
 * Outcomes are honest. Every operation ends with exactly one result, and its status says one of:
 *   - it took effect, or found what it was asked for (CAIRN_OK, CAIRN_NOT_FOUND);
 *   - it certainly changed nothing (every other status but two);
 *   - CAIRN_UNKNOWN: an update may have been applied, may never be, or may still take effect later,
 *     even after a newer write. Reading the key tells only whether it has so far. Where a late
 *     write would do harm use compare-and-set: one that comes late finds another version and
 *     changes nothing;
 *   - CAIRN_EVICTED: as CAIRN_UNKNOWN, and no node remembers the request any more: they serve more
 *     clients than they have room to remember (sessions). It was not executed a second time.
 *
 * Operations that are open at once may take effect in any order, also those on one key: wait for
 * the result of the first where the order matters.
 *
 * Keys are 1..CAIRN_KEY_BYTES_MAX bytes, values 0..CAIRN_VALUE_BYTES_MAX bytes, both any bytes.
 *
 * Two ways to use a handle, which mix freely:
 *   - blocking: cairn_get, cairn_put, cairn_del, cairn_cas, cairn_incr;
 *   - asynchronous: cairn_submit many, collect results with cairn_poll, sleep with cairn_wait or,
 *     in an event loop, in poll(2) on cairn_fd for at most cairn_sleep_ns.
 *
 * A handle belongs to one thread at a time: nothing here locks. Several handles are independent.
 * Memory is allocated in cairn_connect only. The library makes no threads, installs no signal
 * handlers and prints nothing. Times are in nanoseconds of CLOCK_MONOTONIC.
 *
 * After fork() only one of the two processes may go on with a handle, and the other may not even
 * close it: both would speak with one session and socket. Connect after the fork instead.
 *
 * Initialise struct cairn_options and struct cairn_op with zeros before setting fields: fields may
 * be added, and 0 is the default of each. Note the exception: server 0 is node 0, so an operation
 * for any node says CAIRN_ANY_SERVER.
 */
#ifndef CAIRN_H
#define CAIRN_H

#include <stddef.h>
#include <stdint.h>
#include <string.h>

#ifdef __cplusplus
extern "C" {
#endif

#define CAIRN_KEY_BYTES_MAX 512u
#define CAIRN_VALUE_BYTES_MAX 848u
#define CAIRN_SERVERS_MAX 7u
#define CAIRN_OPERATIONS_MAX 65536u
#define CAIRN_ANY_SERVER 0xffu
#define CAIRN_NEVER UINT64_MAX
#define CAIRN_ERROR_BYTES 160u
#define CAIRN_VERSION_BYTES 40u /* text of a version, with its terminating zero */

struct cairn; /* a handle */

/* How an operation ended. Numbers are part of the interface. */
enum cairn_status {
	CAIRN_OK = 0,
	CAIRN_NOT_FOUND = 1,	 /* get, del: no such key; the version is that of its deletion */
	CAIRN_CONFLICT = 2,	 /* cas, cas_value: not as expected; the result holds its version */
	CAIRN_BUSY = 3,		 /* no room for it at the moment: try again */
	CAIRN_NO_SPACE = 4,	 /* store or log of a node is nearly full: delete, or add room */
	CAIRN_NOT_SERVING = 5,	 /* no node could answer in time, or it said it cannot now */
	CAIRN_TOO_LARGE = 6,	 /* key or value over its limit */
	CAIRN_DENIED = 7,	 /* not allowed */
	CAIRN_UNKNOWN = 8,	 /* sent, no answer: may or may not take effect, now or later */
	/* 9 is internal: a server that forgot the session; the library opens a new one */
	CAIRN_NOT_A_NUMBER = 10, /* incr: the value is no decimal number of 64 bits */
	CAIRN_OVERFLOW = 11,	 /* incr: the sum would leave the range of int64_t */
	CAIRN_BAD_REQUEST = 12,	 /* empty key, no such server, unknown kind */
	CAIRN_EVICTED = 13,	 /* sent, and forgotten by the nodes: may or may not take effect */
	/* 14 is internal: a node that cannot tell yet; the library asks again */
};

/* What an OK rests on when it is given; a setting of the cluster. */
enum cairn_durability {
	CAIRN_DURABILITY_MEMORY = 0, /* in memory of every replica */
	CAIRN_DURABILITY_QUORUM = 1, /* on enough disks */
	CAIRN_DURABILITY_ALL = 2,    /* on every replica's disk */
};

/*
 * cairn_version: which update of a key this is. Versions of one key are totally ordered, grow with
 * every update, deletes too, and never repeat: they serve for compare-and-set and as fencing
 * tokens. Compare them with cairn_version_compare: of two with one number either may be the newer.
 * {0,0,0}: the key was never written, or no trace is left of its deletion; its next version is
 * newer than every earlier one all the same. Written as number.node.incarnation, e.g. 18.2.3.
 */
struct cairn_version {
	uint64_t number;
	uint32_t node;	      /* that coordinated the update, 0..255 */
	uint32_t incarnation; /* of that node, 0..16777215 */
};

enum cairn_kind {
	CAIRN_GET = 1,
	CAIRN_PUT = 2,
	CAIRN_DEL = 3,
	CAIRN_CAS = 4,
	CAIRN_INCR = 5,
	CAIRN_CAS_VALUE = 6,
};

/* cairn_bytes: some bytes of the caller. data may be NULL when bytes is 0. */
struct cairn_bytes {
	const void *data;
	size_t bytes;
};

/* cairn_text: the bytes of a string, without its terminating zero. */
static inline struct cairn_bytes cairn_text(const char *text)
{
	struct cairn_bytes b = { text, strlen(text) };

	return b;
}

/*
 * An operation to submit: initialise with zeros. Fields its kind does not use are ignored. Copied
 * before return.
 */
struct cairn_op {
	enum cairn_kind kind;
	uint32_t server;     /* node number (0: node 0), or CAIRN_ANY_SERVER; see cairn_submit */
	struct cairn_bytes key;
	struct cairn_bytes value; /* PUT, CAS, CAS_VALUE */
	struct cairn_bytes compare; /* CAS_VALUE: the value the key must have */
	struct cairn_version expected; /* CAS: see cairn_cas */
	int64_t delta;	     /* INCR */
	uint64_t timeout_ns; /* 0: the handle's */
	uint64_t tag;	     /* comes back in the result */
};

struct cairn_result {
	uint64_t tag;
	enum cairn_kind kind;
	enum cairn_status status;
	enum cairn_durability durability; /* of an update that is OK */
	uint32_t server;		  /* the node that answered, or was asked last */
	struct cairn_version version;	  /* of the key; {0,0,0} when nothing is known */
	int64_t number;			  /* INCR: the new value */
	uint32_t value_bytes;		  /* GET */
	uint8_t value[CAIRN_VALUE_BYTES_MAX];
};

/* Options of a handle: initialise with zeros. */
struct cairn_options {
	/*
	 * Where the nodes are: one entry per node, in node order, separated by commas; an empty
	 * entry is a node this handle does not use. Each is
	 *   host:port      the node itself: shard s is at UDP port + s, so port <= 65472;
	 *   gw:host:port   a gateway of that node: all its shards are behind this one port
	 *                  (`cairnctl lab status` shows those of a lab).
	 * host is an IPv4 address or a name that has one.
	 */
	const char *endpoints;
	uint64_t cluster;	   /* the cluster id to insist on; 0: that of the first answer */
	uint64_t timeout_ns;	   /* time an operation may take; 0: 5 s */
	uint64_t retransmit_ns;	   /* first resend after this long, then less often; 0: 20 ms */
	/*
	 * failover_ns: a node silent for this long is no longer waited for: another one is asked.
	 * 0: 7 * retransmit_ns. CAIRN_NEVER: no node but the first, and no update is asked for
	 * again when that node has restarted: its outcome is CAIRN_UNKNOWN then.
	 */
	uint64_t failover_ns;
	uint32_t operations_max;   /* open at once, up to CAIRN_OPERATIONS_MAX; 0: 256 */
	uint32_t preferred_server; /* where CAIRN_ANY_SERVER begins; must have an endpoint */
	char *error;		   /* NULL, or CAIRN_ERROR_BYTES bytes for what was wrong */
};

/*
 * cairn_connect: makes a handle. Resolves names and binds a socket; sends nothing to a node yet,
 * so it succeeds while nodes are down. 0, or with *ret untouched and options->error filled:
 *   -EINVAL   endpoints missing or malformed, more than CAIRN_SERVERS_MAX, no endpoint for
 *             preferred_server, operations_max out of range
 *   -ENOENT   a host name has no IPv4 address
 *   -EAGAIN   a name server did not answer
 *   -ENOMEM   no memory; or the error of socket(2)
 */
int cairn_connect(const struct cairn_options *options, struct cairn **ret);

/*
 * cairn_close: frees the handle. Operations still open are abandoned without a result: updates
 * among them may or may not take effect, also later. NULL is allowed.
 */
void cairn_close(struct cairn *c);

/*
 * cairn_submit: begins an operation. CAIRN_OK: accepted, exactly one result will come, in any
 * order. Otherwise nothing was begun: CAIRN_BUSY (operations_max are open: collect results first),
 * CAIRN_TOO_LARGE, CAIRN_BAD_REQUEST. Requests are sent by cairn_poll and cairn_wait; those
 * submitted between two calls share datagrams.
 *
 * CAIRN_ANY_SERVER: the handle's current server, and the other ones, within its time, if that is
 * silent (failover_ns) or says it cannot serve now. What a silent node may have done is found out,
 * not done again: another node executes such an update only when the first certainly cannot any
 * more. Until then the update waits; at the end of its time it is CAIRN_UNKNOWN. Later operations
 * begin at the node that answered. An update for one server stays there, also across its restart.
 */
enum cairn_status cairn_submit(struct cairn *c, const struct cairn_op *op);

/*
 * cairn_poll: sends, receives, never sleeps; stores up to max results. Returns how many. A socket
 * that fails to send counts as a network that loses.
 */
uint32_t cairn_poll(struct cairn *c, struct cairn_result *results, uint32_t max);

/*
 * cairn_wait: like cairn_poll, but sleeps until a result can be collected (1) or timeout_ns have
 * passed (0; UINT64_MAX: no limit). Returns 0 at once when no operation is open. -EINTR: a signal
 * handler ran.
 */
int cairn_wait(struct cairn *c, uint64_t timeout_ns);

/*
 * cairn_fd: a descriptor that is readable when cairn_poll has something to receive. It belongs to
 * the handle: only wait for it. cairn_sleep_ns: call cairn_poll after that long in any case
 * (timers); 0: now; UINT64_MAX: only when readable. Ask again after every submit and poll.
 */
int cairn_fd(const struct cairn *c);
uint64_t cairn_sleep_ns(const struct cairn *c);

/* cairn_open: operations begun whose result was not collected yet. */
uint32_t cairn_open(const struct cairn *c);

/*
 * cairn_call: the blocking form of every operation: submits op, waits for its result, fills
 * *result (never NULL) and returns its status. Signals do not interrupt it. Results of operations
 * submitted before are kept for cairn_poll.
 */
enum cairn_status cairn_call(struct cairn *c, const struct cairn_op *op,
			     struct cairn_result *result);

/*
 * The same for each kind, at CAIRN_ANY_SERVER and with the handle's timeout.
 *   get   OK: the value; NOT_FOUND: deleted, or never written
 *   put   writes the value, whatever was there
 *   del   OK: deleted, the version is that of the deletion; NOT_FOUND: there was nothing
 *   cas   writes the value if the key has exactly the expected version; {0,0,0}: if there is no
 *         such key. Otherwise CONFLICT, and the result holds the version it has
 *   put_if_absent  cas with {0,0,0}: CONFLICT when the key exists
 *   cas_value  writes the value if the key's value is exactly `compare`. Otherwise, and when there
 *         is no such key, CONFLICT. Both values together may have CAIRN_VALUE_BYTES_MAX bytes
 *   incr  adds delta to the number the value holds in decimal; no such key: 0. The result's number
 *         is the sum
 */
enum cairn_status cairn_get(struct cairn *c, struct cairn_bytes key, struct cairn_result *result);
enum cairn_status cairn_put(struct cairn *c, struct cairn_bytes key, struct cairn_bytes value,
			    struct cairn_result *result);
enum cairn_status cairn_del(struct cairn *c, struct cairn_bytes key, struct cairn_result *result);
enum cairn_status cairn_cas(struct cairn *c, struct cairn_bytes key, struct cairn_version expected,
			    struct cairn_bytes value, struct cairn_result *result);
enum cairn_status cairn_put_if_absent(struct cairn *c, struct cairn_bytes key,
				      struct cairn_bytes value, struct cairn_result *result);
enum cairn_status cairn_cas_value(struct cairn *c, struct cairn_bytes key,
				  struct cairn_bytes compare, struct cairn_bytes value,
				  struct cairn_result *result);
enum cairn_status cairn_incr(struct cairn *c, struct cairn_bytes key, int64_t delta,
			     struct cairn_result *result);

/* cairn_status_name: "OK", "NOT_FOUND", ...; "INVALID" for other numbers. Static storage. */
const char *cairn_status_name(enum cairn_status status);

/* cairn_version_compare: <0, 0, >0 as a is older than, equal to, newer than b (of the same key). */
int cairn_version_compare(struct cairn_version a, struct cairn_version b);

/* cairn_version_print: into text, which has CAIRN_VERSION_BYTES bytes. Returns text. */
char *cairn_version_print(struct cairn_version version, char *text);

/* cairn_version_parse: "18.2.3". 0, or -EINVAL with *ret untouched: other text, out of range. */
int cairn_version_parse(const char *text, struct cairn_version *ret);

/* cairn_cluster: the cluster id, 0 while no node has answered. */
uint64_t cairn_cluster(const struct cairn *c);

/*
 * cairn_counter: the index-th counter of the handle (from 0): what was sent, received, resent, and
 * why datagrams were ignored. NULL past the last one. *ret_value only with a name.
 */
const char *cairn_counter(const struct cairn *c, uint32_t index, uint64_t *ret_value);

#ifdef __cplusplus
}
#endif

#endif
