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
#define CTL_SOCKET_NAME "cairnd.sock"
#define CTL_SOCKET_PATH_MAX 107 /* bytes a UNIX socket path may have */
#define CTL_BODY_MAX 65536	/* bytes of the largest answer */
#define CTL_RUNTIME_DEFAULT "/run/cairn"

/* Files of a node in its runtime folder, and in its data folder. */
#define CTL_FILE_LOCK "dataplane.lock" /* runtime and data folder: held by flock; pid in it */
#define CTL_FILE_STATS "stats"	       /* runtime: struct stats_region, see dataplane/stats.h */
#define CTL_FILE_ERROR "dataplane.error" /* runtime: last start error: "CAIRN-0nnn\ttext\tcure" */
#define CTL_FILE_STREAM "stream-%u.wal"	 /* data: log of worker %u */

/*
 * GET  status    one node on one screen (fields below)
 * GET  health    {"schema", "healthy": bool, "state", "reasons": [{"id","text","cure"}]}
 *                healthy: the node serves; reasons: why not, or warnings
 * GET  counters  {"schema", "workers": n, "counters": {"<group>.<name>": number}}, summed
 * GET  config    {"schema", "file", "settings": {"<section>.<key>": value}, "peers": [..]}
 * POST stop, start, restart: answered at once, 202, {"schema", "action", "state"}; poll status
 */
#define CTL_PATH_STATUS "/v1/status"
#define CTL_PATH_HEALTH "/v1/health"
#define CTL_PATH_COUNTERS "/v1/counters"
#define CTL_PATH_CONFIG "/v1/config"
#define CTL_PATH_STOP "/v1/dataplane/stop"
#define CTL_PATH_START "/v1/dataplane/start"
#define CTL_PATH_RESTART "/v1/dataplane/restart"

#define CTL_SCHEMA_STATUS "cairn.status/1"
#define CTL_SCHEMA_HEALTH "cairn.health/1"
#define CTL_SCHEMA_COUNTERS "cairn.counters/1"
#define CTL_SCHEMA_CONFIG "cairn.config/1"
#define CTL_SCHEMA_ACTION "cairn.action/1"
#define CTL_SCHEMA_ERROR "cairn.error/1"

/*
 * States of a node, the "state" word. STOPPED: by request. FAILED: the dataplane died too often and
 * is left alone until "start". The others are the dataplane's own.
 */
#define CTL_STATE_STOPPED "STOPPED"
#define CTL_STATE_STARTING "STARTING"
#define CTL_STATE_RECOVERING "RECOVERING"
#define CTL_STATE_WAITING "WAITING"
#define CTL_STATE_SERVING "SERVING"
#define CTL_STATE_STOPPING "STOPPING"
#define CTL_STATE_DISK_FAILED "DISK_FAILED"
#define CTL_STATE_FAILED "FAILED"

/*
 * Fields of the status answer:
 *   "state", "healthy": bool
 *   "node":      {"id", "name", "address", "port", "incarnation": "3"}
 *   "cluster":   {"id": "00c0ffee00c0ffee", "nodes", "engine": "hermes", "durability": "all",
 *                 "epoch"}
 *   "dataplane": {"pid", "uptime_ms", "restarts", "workers", "idle", "hugepages": bool, "device",
 *                 "disk": "io_uring"|"pwritev2", "direct": bool}
 *                pid 0: not running; disk: how the logs are written, "" while not running;
 *                direct: past the page cache
 *   "daemon":    {"pid", "version", "uptime_ms"}
 *   "peers":     {"count", "linked"}        other nodes; linked: heard lately on every shard
 *   "shards":    {"count"}
 *   "store":     {"keys", "keys_max", "bytes", "bytes_max", "space": "OK"|"LOW"|"FULL"}
 *   "log":       {"bytes", "bytes_max"}     used and size, over all streams
 *   "recovery":  {"records", "torn_bytes", "duration_us"}
 *   "ops":       {"reads", "writes", "deletes", "cas", "incrs", "commits", "retransmits",
 *                 "replays", "open"}
 *   "warnings":  [{"id": "CAIRN-0101", "text", "cure"}]
 */
#define CTL_FIELD_SCHEMA "schema"
#define CTL_FIELD_STATE "state"
#define CTL_FIELD_HEALTHY "healthy"
#define CTL_FIELD_REASONS "reasons"
#define CTL_FIELD_NODE "node"
#define CTL_FIELD_CLUSTER "cluster"
#define CTL_FIELD_DATAPLANE "dataplane"
#define CTL_FIELD_DAEMON "daemon"
#define CTL_FIELD_PEERS "peers"
#define CTL_FIELD_SHARDS "shards"
#define CTL_FIELD_STORE "store"
#define CTL_FIELD_LOG "log"
#define CTL_FIELD_RECOVERY "recovery"
#define CTL_FIELD_OPS "ops"
#define CTL_FIELD_WARNINGS "warnings"
#define CTL_FIELD_COUNTERS "counters"
#define CTL_FIELD_ACTION "action"
#define CTL_FIELD_ERROR "error"
#define CTL_FIELD_ID "id"
#define CTL_FIELD_TEXT "text"
#define CTL_FIELD_CURE "cure"

/* Exit codes of every Cairn program. */
enum ctl_exit {
	CTL_EXIT_OK = 0,	  /* done, healthy, predicate true */
	CTL_EXIT_FAILED = 1,	  /* failed, or predicate false */
	CTL_EXIT_USAGE = 2,	  /* usage or configuration error; missing confirmation */
	CTL_EXIT_NOT_FOUND = 3,
	CTL_EXIT_DENIED = 4,	  /* not authorised */
	CTL_EXIT_CONFLICT = 5,	  /* conflict or precondition failed */
	CTL_EXIT_UNREACHABLE = 6, /* unreachable or timed out; nothing is known to have changed */
	CTL_EXIT_UNKNOWN = 7,	  /* the request may or may not have taken effect */
	CTL_EXIT_WARNINGS = 8,	  /* healthy with warnings (health only) */
};

#endif
