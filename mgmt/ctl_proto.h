/* SPDX-License-Identifier: Apache-2.0 */
/*
 * ctl_proto.h: where daemon and CLI meet: paths of the HTTP API on cairnd's UNIX socket, the JSON
 * fields of its answers, and the exit codes of every Cairn program. The only header both share; it
 * includes nothing, and the CLI needs no other from the daemon.
 *
 * Every answer is one JSON object with "schema" first. Ids (cluster, incarnation) are strings: JSON
 * numbers lose bits above 2^53. Counters and sizes are numbers up to 2^53 and strings beyond.
 * Every error answer has HTTP status >= 400 and is {"schema": CTL_SCHEMA_ERROR, "error": {"id",
 * "text", "cure"}}.
 */
#ifndef CAIRN_MGMT_CTL_PROTO_H
#define CAIRN_MGMT_CTL_PROTO_H

/* Socket of a node's daemon, unless [control] socket says otherwise: <runtime>/cairnd.sock */
#define CTL_SOCKET_NAME	    "cairnd.sock"
#define CTL_SOCKET_PATH_MAX 107	  /* bytes a UNIX socket path may have */
#define CTL_BODY_MAX	    65536 /* bytes of the largest answer */
#define CTL_RUNTIME_DEFAULT "/run/cairn"

/* Files of a node in its runtime folder, and in its data folder. */
#define CTL_FILE_LOCK	 "dataplane.lock" /* runtime and data folder: held by flock; pid in it */
#define CTL_FILE_STATS	 "stats"	  /* runtime: struct stats_region, see dataplane/stats.h */
#define CTL_FILE_CONTROL "control" /* runtime: struct control_region, see dataplane/control.h */
#define CTL_FILE_RESTART "dataplane.restart" /* runtime: this incarnation must end; the floor */
#define CTL_FILE_ERROR	 "dataplane.error" /* runtime: last start error: "CAIRN-0nnn\ttext\tcure" */
#define CTL_FILE_STREAM	 "stream-%u.wal"   /* data: log of worker %u */

/*
 * GET  status    one node on one screen (fields below)
 * GET  health    {"schema", "healthy": bool, "state", "reasons": [{"id","text","cure"}]}
 *                healthy: the node serves (a witness: votes); reasons: why not, or warnings
 * GET  counters  {"schema", "workers": n, "counters": {"<group>.<name>": number}}, summed
 * GET  config    {"schema", "file", "settings": {"<section>.<key>": value}, "peers": [..]}
 * POST stop, start, restart: answered at once, 202, {"schema", "action", "state"}; poll status
 */
#define CTL_PATH_EVENTS "/v1/events" /* ?after=N: {"events": [..], "last": "N"} */
#define CTL_PATH_COMMAND                                                      \
	"/v1/command" /* POST ?verb=..: 202 {"command": "N"}; GET ?command=N: \
		       * {"command", "done": bool, "index"}, or its error */
#define CTL_PATH_STATUS	  "/v1/status"
#define CTL_PATH_HEALTH	  "/v1/health"
#define CTL_PATH_COUNTERS "/v1/counters"
#define CTL_PATH_CONFIG	  "/v1/config"
#define CTL_PATH_STOP	  "/v1/dataplane/stop"
#define CTL_PATH_START	  "/v1/dataplane/start"
#define CTL_PATH_RESTART  "/v1/dataplane/restart"

#define CTL_SCHEMA_STATUS   "cairn.status/1"
#define CTL_SCHEMA_HEALTH   "cairn.health/1"
#define CTL_SCHEMA_COUNTERS "cairn.counters/1"
#define CTL_SCHEMA_CONFIG   "cairn.config/1"
#define CTL_SCHEMA_ACTION   "cairn.action/1"
#define CTL_SCHEMA_EVENTS   "cairn.events/1"
#define CTL_SCHEMA_COMMAND  "cairn.command/1"
#define CTL_SCHEMA_ERROR    "cairn.error/1"

/*
 * States of a node, the "state" word. STOPPED: by request. FAILED: the dataplane died too often and
 * is left alone until "start". The others are the dataplane's own.
 */
#define CTL_STATE_STOPPED     "STOPPED"
#define CTL_STATE_STARTING    "STARTING"
#define CTL_STATE_RECOVERING  "RECOVERING"
#define CTL_STATE_WAITING     "WAITING"
#define CTL_STATE_SERVING     "SERVING"
#define CTL_STATE_STOPPING    "STOPPING"
#define CTL_STATE_DISK_FAILED "DISK_FAILED"
#define CTL_STATE_FAILED      "FAILED"
#define CTL_STATE_STALLED     "STALLED" /* it runs, and its workers do not go round */

/* Further states of a node, by the view service: alive, and not serving data. */
#define CTL_NODE_JOINING "JOINING" /* a shadow: takes updates, copies what it lacks */
#define CTL_NODE_LEARNER "LEARNER" /* the same, until an operator promotes it */
#define CTL_NODE_OUT	 "OUT"	   /* not in the view: left out, in hold-down, not yet let in */
#define CTL_NODE_DRAINED "DRAINED" /* out by an operator's wish */
#define CTL_NODE_LEAVING "LEAVING" /* on its way out for good */
#define CTL_NODE_REMOVED "REMOVED" /* none of the cluster's any more (the node itself says so) */
#define CTL_NODE_OTHER	 "OTHER_DISK" /* the cluster knows this machine with another disk */
#define CTL_NODE_ENGINE	 "OTHER_ENGINE" /* it is formatted for another engine than the cluster's */
#define CTL_NODE_VOTING	 "VOTING"  /* a witness at work */
#define CTL_NODE_SILENT	 "SILENT"  /* in the view, not heard */
#define CTL_NODE_DEAD	 "DEAD"	   /* not in the view, not heard */

/*
 * The word for the whole cluster, as the node that is asked knows it. Reads and updates go on in
 * the first three of them.
 */
#define CTL_CLUSTER_HEALTHY    "HEALTHY"
#define CTL_CLUSTER_WARNINGS   "WARNINGS"   /* healthy; something wants attention (cairnctl only) */
#define CTL_CLUSTER_DEGRADED   "DEGRADED"   /* fewer members or voters than there are to be */
#define CTL_CLUSTER_READ_ONLY  "READ_ONLY"  /* fewer members than copies_min: no updates */
#define CTL_CLUSTER_RECOVERING "RECOVERING" /* a majority, but no member yet: starts from disks */
#define CTL_CLUSTER_NO_QUORUM  "NO_QUORUM"  /* no majority of voters: neither reads nor updates */
#define CTL_CLUSTER_UNKNOWN    "UNKNOWN"    /* this node does not run, or knows no cluster */

/*
 * Fields of the status answer:
 *   "state", "healthy": bool
 *   "node":      {"id", "name", "address", "port", "incarnation": "3"}
 *   "cluster":   {"id": "00c0ffee00c0ffee", "name", "state": CTL_CLUSTER_*, "engine", "durability",
 *                 "nodes", "quorum": bool, "epoch", "revision": "N", "term", "leader": node or
 * null, "leader_name", "voters", "voters_heard", "members", "members_wanted", "copies_min",
 * "unsafe_recoveries", "changing": bool, "lease_ms", "commit": "N"} "members":   [{"node", "name",
 * "address", "role": "member"|"shadow"|"witness"|"out", "state", "heard": bool, "heard_ms",
 * "rtt_us", "disk_us", "holddown_ms", "slow", "joined", "epoch", "lag", "incarnation": "N",
 * "evictions", "drained", "leader": bool, "replaces"}]   every node of the cluster, as this one
 * knows it "dataplane": {"pid", "uptime_ms", "restarts", "returns", "workers", "idle", "hugepages":
 * bool, "device", "disk": "io_uring"|"pwritev2", "direct": bool} pid 0: not running; disk: how the
 * logs are written, "" while not running; direct: past the page cache "daemon":    {"pid",
 * "version", "uptime_ms"} "peers":     {"count", "linked"}        other nodes of the cluster;
 * linked: heard lately "shards":    {"count"} "store":     {"keys", "keys_max", "bytes",
 * "bytes_max", "space": "OK"|"LOW"|"FULL"} "log":       {"bytes", "bytes_max"}     used and size,
 * over all streams "recovery":  {"records", "torn_bytes", "duration_us"} "ops":       {"reads",
 * "writes", "deletes", "cas", "incrs", "commits", "retransmits", "replays", "open"} "warnings":
 * [{"id": "CAIRN-0101", "text", "cure"}]
 */
#define CTL_FIELD_SCHEMA    "schema"
#define CTL_FIELD_STATE	    "state"
#define CTL_FIELD_HEALTHY   "healthy"
#define CTL_FIELD_REASONS   "reasons"
#define CTL_FIELD_NODE	    "node"
#define CTL_FIELD_CLUSTER   "cluster"
#define CTL_FIELD_DATAPLANE "dataplane"
#define CTL_FIELD_DAEMON    "daemon"
#define CTL_FIELD_PEERS	    "peers"
#define CTL_FIELD_MEMBERS   "members"
#define CTL_FIELD_SHARDS    "shards"
#define CTL_FIELD_STORE	    "store"
#define CTL_FIELD_LOG	    "log"
#define CTL_FIELD_RECOVERY  "recovery"
#define CTL_FIELD_OPS	    "ops"
#define CTL_FIELD_WARNINGS  "warnings"
#define CTL_FIELD_COUNTERS  "counters"
#define CTL_FIELD_ACTION    "action"
#define CTL_FIELD_ERROR	    "error"
#define CTL_FIELD_ID	    "id"
#define CTL_FIELD_TEXT	    "text"
#define CTL_FIELD_CURE	    "cure"

/* Exit codes of every Cairn program. */
enum ctl_exit {
	CTL_EXIT_OK = 0,     /* done, healthy, predicate true */
	CTL_EXIT_FAILED = 1, /* failed, or predicate false */
	CTL_EXIT_USAGE = 2,  /* usage or configuration error; missing confirmation */
	CTL_EXIT_NOT_FOUND = 3,
	CTL_EXIT_DENIED = 4,	  /* not authorised */
	CTL_EXIT_CONFLICT = 5,	  /* conflict or precondition failed */
	CTL_EXIT_UNREACHABLE = 6, /* unreachable or timed out; nothing is known to have changed */
	CTL_EXIT_UNKNOWN = 7,	  /* the request may or may not have taken effect */
	CTL_EXIT_WARNINGS = 8,	  /* healthy with warnings (health only) */
	CTL_EXIT_RESTART = 9,	  /* cairn-dataplane only: start me again, at once */
};

#endif
