/* SPDX-License-Identifier: Apache-2.0 */
/*
 * lab_state.h: what a lab is and its file DIR/lab.json, which other programs (cairn-bench, tests)
 * read too. The file is written before anything is started, so that `lab down` can clean up
 * whatever came of it, and is what makes a folder a lab: nothing is ever removed from a folder
 * without one.
 *
 *   DIR/lab.json  switch.log  switch.sock
 *   DIR/node<i>/node.toml  cairnd.log  data/
 *   RUN/node<i>/cairnd.sock  stats  ...
 *
 * RUN is in memory (/dev/shm), or DIR/run where there is none: a node writes its counters there
 * every 2 ms, which is nothing for a disk.
 *
 * lab.json: "schema" "cairn.lab/1"; "state" "starting" or "up"; "dir"; "links" "memif" or "veth";
 * "nodes", "shards", "workers", "port_base"; "engine" "hermes" or "raft"; "founders"; "witnesses":
 * numbers of nodes; "timers": {"heartbeat_us", ..}; "cluster" (hex string); "idle"; "hugepages";
 * "keys"; "wal_bytes"; "fault" (the faults of the switch, or "off"); "run" (the folder RUN);
 * "control": ["RUN/node0/cairnd.sock", ..]; "gateway": where a UDP client reaches each node:
 * ["127.0.0.1:PORT", ..], one port for all shards with memif; ["10.77.0.1:PORT", ..], shard s at
 * PORT + s, with veth; memif only: "memif_socket" (abstract name), "memif_client_first",
 * "memif_clients": ids that are free for polled clients; "ports": of the switch, for nodes, and
 * "gateway_ports" of all of them; veth only: "bridge", "netns": [..].
 */
#ifndef CAIRN_MGMT_LAB_STATE_H
#define CAIRN_MGMT_LAB_STATE_H

#include <stdbool.h>
#include <stdint.h>

#include "mgmt/ctl_args.h"
#include "replication/types.h"

#define LAB_DIR_BYTES	96u /* a control socket inside must fit CTL_SOCKET_PATH_MAX */
#define LAB_PATH_BYTES	160u
#define LAB_FAULT_BYTES 256u
#define LAB_CLIENTS	4u /* memif client ports */
#define LAB_LISTEN_PORT 7390u /* of every cairnd, each at an address of its own */

/* [timers] of the view service at every node. Slower than the defaults: cores are shared. */
#define LAB_TIMERS(X)                                                                       \
	X(heartbeat_us, 10000)                                                              \
	X(election_us, 150000) X(lease_us, 300000) X(detect_us, 200000) X(recover_ms, 1000) \
		X(holddown_ms, 2000) X(slow_ms, 2000) X(slow_floor_us, 50000) X(slow_factor, 20)

struct lab_timers {
#define LAB_TIMER(name, value) uint64_t name;
	LAB_TIMERS(LAB_TIMER)
#undef LAB_TIMER
};

struct lab {
	char dir[LAB_DIR_BYTES]; /* absolute, no symlinks */
	char run[LAB_DIR_BYTES]; /* made by lab_state_make_run */
	char tag[8];		 /* random hex: makes names unique per lab */
	char memif_socket[32];
	char idle[16];
	char fault[LAB_FAULT_BYTES];
	char engine[8];
	struct lab_timers timers;
	uint64_t cluster, keys, wal_bytes;
	uint32_t nodes, shards, workers;
	uint32_t ports;	    /* of the switch: room for nodes that are added */
	uint32_t founders;  /* nodes that founded the cluster; the others joined */
	uint32_t witnesses; /* bitmap of nodes */
	uint16_t port_base;
	uint16_t gateway_first; /* wanted port of node 0's gateway; 0: free ones */
	uint16_t gateway[NODES_MAX];
	bool veth;
	bool hugepages; /* use them when enough are free */
	bool up;
};

/*
 * lab_state_dir: the folder a command means: --dir, or CAIRN_LAB_DIR, or the default. Only text;
 * the folder need not exist. CTL_EXIT_OK, or CTL_EXIT_USAGE with an error printed.
 */
int lab_state_dir(const struct ctl_call *call, char out[LAB_DIR_BYTES]);

/* lab_state_exists: dir holds a lab.json. */
bool lab_state_exists(const char *dir);

/*
 * lab_state_load: CTL_EXIT_OK; CTL_EXIT_NOT_FOUND (quiet: nothing printed) when there is no lab;
 * CTL_EXIT_FAILED when its file cannot be read or understood.
 */
int lab_state_load(const char *dir, bool quiet, struct lab *ret_lab);

/* lab_state_save: replaces lab.json as a whole. CTL_EXIT_OK or CTL_EXIT_FAILED. */
int lab_state_save(const struct lab *lab);

/* lab_state_json: the object that is saved; the caller's reference. */
json_t *lab_state_json(const struct lab *lab);

/*
 * lab_state_lock: locks the folder itself for a command that changes the lab; it must exist. The
 * lock ends with the process. CTL_EXIT_OK; CTL_EXIT_CONFLICT when another command holds it or has
 * just removed the folder; CTL_EXIT_DENIED or CTL_EXIT_FAILED when it cannot be opened.
 */
int lab_state_lock(const char *dir);

/* lab_state_make_run: makes and sets lab->run. CTL_EXIT_OK or CTL_EXIT_FAILED. */
int lab_state_make_run(struct lab *lab);

/* Paths of a lab. file: "" for the folder itself. */
void lab_state_path(const struct lab *lab, const char *file, char out[LAB_PATH_BYTES]);
void lab_state_node_path(const struct lab *lab, uint32_t node, const char *file,
			 char out[LAB_PATH_BYTES]);

/* lab_state_control: the control socket of a node. */
void lab_state_control(const struct lab *lab, uint32_t node, char out[LAB_PATH_BYTES]);

/*
 * lab_state_listen: where the cairnd of a node hears from the others: an address of the loopback
 * interface that no other lab has, so that no port need be found. Not with veth: no kernel address
 * joins its namespaces.
 */
const char *lab_state_listen(const struct lab *lab, uint32_t node, char out[32]);

/* lab_state_endpoint: "ADDRESS:PORT" of a node for UDP clients. */
void lab_state_endpoint(const struct lab *lab, uint32_t node, char out[32]);

#endif
