/* SPDX-License-Identifier: Apache-2.0 */
/*
 * problem.h: everything that can be wrong with a node, as one table: a stable id that documents and
 * monitoring can rely on, and the cure. A problem is a value: made where the failure is understood,
 * handed up, and printed or put into JSON once, at the top.
 *
 * CAIRN-00xx: configuration. CAIRN-01xx: a warning about a running node. CAIRN-02xx: a node or
 * daemon that could not start. CAIRN-03xx: a request that the daemon, or the cluster, refused. Ids
 * are never reused; docs/operating.md lists them all (a unit test compares).
 */
#ifndef CAIRN_MGMT_PROBLEM_H
#define CAIRN_MGMT_PROBLEM_H

#include <stdint.h>

#define PROBLEM_TEXT_BYTES 512u
#define PROBLEM_CURE_BYTES 384u

/* name, number, cure (used when the place of failure has no better one) */
#define PROBLEMS(X)                                                                                \
	X(CONFIG_UNREADABLE, 1, "give an existing, readable file with -c FILE")                    \
	X(CONFIG_SYNTAX, 2, "correct the line; cairnd --print-config-reference shows the form")    \
	X(CONFIG_UNKNOWN_KEY, 3, "cairnd --print-config-reference lists every key")                \
	X(CONFIG_WRONG_TYPE, 4, "cairnd --print-config-reference shows the type of each key")      \
	X(CONFIG_OUT_OF_RANGE, 5, "choose a value inside the range")                               \
	X(CONFIG_DUPLICATE, 6, "keep one of the two")                                              \
	X(CONFIG_MISSING, 7, "add the key")                                                        \
	X(CONFIG_CONFLICT, 8, "make the two settings agree")                                       \
	X(CONFIG_NOT_AVAILABLE, 9, "use the value named in the message")                           \
	X(NO_HUGEPAGES, 101, "reserve some: sysctl vm.nr_hugepages=N; or accept slower memory"     \
			     " with [memory] hugepages = \"never\"")                               \
	X(PEERS_NOT_LINKED, 102, "start it; check its address and the link; if it is lost:"        \
				 " cairnctl member replace")                                       \
	X(STORE_LOW, 103, "delete keys (with hermes, restart a node then), or restart with larger" \
			  " [memory] keys_max, value_bytes, at all nodes")                         \
	X(LOG_LOW, 104, "the log only grows at this stage: export the data, format with larger"    \
			" [storage] wal_bytes (a lab: a new one with --wal-bytes), import")        \
	X(DISK_FAILED, 105, "check the disk and its kernel messages, then restart the dataplane")  \
	X(DATAPLANE_RESTARTED, 106, "look for the reason in the log of cairnd")                    \
	X(DATAPLANE_FAILED, 107, "cure the reason given, then: cairnctl or POST"                   \
				 " /v1/dataplane/start")                                           \
	X(DATAPLANE_STOPPED, 108, "POST /v1/dataplane/start")                                      \
	X(DATAPLANE_STALLED, 109, "its polling thread makes no progress: look at CPU load and"     \
				  " core pinning; POST /v1/dataplane/restart")                     \
	X(DISK_BACKEND, 110, "allow io_uring (sysctl kernel.io_uring_disabled, rules of the"       \
			     " container), and put the data on a file system with O_DIRECT")       \
	X(NODE_OUT, 111, "it comes back by itself when its hold-down is over; look at its disk"    \
			 " and link: cairnctl events; if it comes and goes for ever, its log or"   \
			 " [memory] is smaller than the others'")                                  \
	X(NODE_JOINING, 112, "wait; cairnctl status shows how far it is")                          \
	X(NODE_DRAINED, 113, "cairnctl member undrain NODE, when its maintenance is done")         \
	X(NO_QUORUM, 114, "start the missing nodes or mend the links; if a majority is lost for"   \
			  " good: cairnutil recover --unsafe")                                     \
	X(READ_ONLY, 115, "bring members back; or accept fewer copies: cairnctl cluster copies N") \
	X(RECOVERING, 116, "start the missing nodes: those of the last view are needed")           \
	X(NOT_ADDED, 117, "on a node of the cluster: cairnctl member add NAME --address ADDRESS"   \
			  " --id ID; if ID is a lost disk's still, first: cairnctl member remove"  \
			  " ID")                                                                   \
	X(CONTROL_LISTEN, 118, "correct [control] listen, or free the port, and restart cairnd:"   \
			       " until then a crash of the dataplane costs a lease")               \
	X(LINK_CUT, 119, "mend the network between the two; clients reach the others meanwhile")   \
	X(REMOVED, 120, "stop its cairnd; to bring the machine back, as a new node: empty its"     \
			" data folder, cairnctl cluster init --join --engine E (the cluster's),"   \
			" cairnctl member add")                                                    \
	X(LEADERLESS, 121, "its leader, or a majority of the members, does not reach this node:"   \
			   " mend the links, start what is silent; others may serve")              \
	X(OTHER_DISK, 122, "give it the disk it had; if that is lost: cairnctl member remove ID"   \
			   " (this node's number), empty its data folder, cairnctl cluster init"   \
			   " --join --engine E (the cluster's), cairnctl member add NAME --id ID"  \
			   " --address ADDRESS")                                                   \
	X(OTHER_ENGINE, 123, "stop its cairnd, empty its data folder, cairnctl cluster init"       \
			     " --join --engine E (the cluster's), and start it again")             \
	X(DATA_UNUSABLE, 201, "create the folder and give this user read and write permission")    \
	X(NOT_FORMATTED, 202, "run: cairnutil format --engine E; for a node that comes into a"     \
			      " cluster: the cluster's engine, and --join")                        \
	X(WRONG_DATA, 203, "point [node] data at this node's own folder")                          \
	X(LOG_ROT, 204, "keep it: cairnutil verify shows the damage. While the cluster lives:"     \
			" cairnctl member replace; never put an older copy of the folder back")    \
	X(STORE_TOO_SMALL, 205, "raise [memory] keys_max and value_bytes")                         \
	X(ALREADY_RUNNING, 206, "stop the other process first")                                    \
	X(RUNTIME_UNUSABLE, 207, "set [node] runtime to a folder this user may write")             \
	X(SOCKET_TAKEN, 208, "stop the other cairnd, or set another [control] socket")             \
	X(NIC_UNUSABLE, 209, "check [net] device: the name, that the port exists and is up,"       \
			     " and permissions")                                                   \
	X(NO_MEMORY, 210, "lower [memory] keys_max and value_bytes, or add memory")                \
	X(DISK_ERROR, 211, "check the disk and its kernel messages")                               \
	X(FORMAT_NEWER, 212, "use the Cairn release that wrote it, or a newer one")                \
	X(INCARNATIONS_USED, 213, "copy the data out, format anew, and import it")                 \
	X(PROGRAM_MISSING, 214, "install cairn-dataplane beside cairnd, or name it with"           \
				" --dataplane")                                                    \
	X(DISK_FULL, 215, "free some space on that file system")                                   \
	X(INTERNAL, 216, "report it with the log")                                                 \
	X(FORMAT_OLDER, 217, "run the Cairn release that wrote it and export the data; then move"  \
			     " the folder away, cairnutil format, and import them")                \
	X(API_NO_SUCH_PATH, 301, "GET /v1/status, health, counters, config, events, command; POST" \
				 " /v1/command, /v1/dataplane/start, stop, restart")               \
	X(API_METHOD, 302, "use GET to ask, POST to act")                                          \
	X(API_REFUSED, 303, "look at GET /v1/status")                                              \
	X(API_ARGUMENT, 304, "give each argument a value inside its range")                        \
	X(API_NO_SERVICE, 305, "start the dataplane of this node, or ask another node")            \
	X(COMMAND_NO_LEADER, 311, "nothing was changed: try again when cairnctl status shows a"    \
				  " quorum")                                                       \
	X(COMMAND_BUSY, 312, "nothing was changed: another change is under way, try again")        \
	X(COMMAND_UNKNOWN, 313, "the leader changed meanwhile: cairnctl member list shows what"    \
				" came of it")                                                     \
	X(COMMAND_NO_SUCH_NODE, 314, "cairnctl member list shows the nodes")                       \
	X(COMMAND_EXISTS, 315, "choose another number, name or address: cairnctl member list; if"  \
			       " its node is lost for good, first: cairnctl member remove NODE")   \
	X(COMMAND_LAST_MEMBER, 316, "add a member and wait for it first: no copy would be left") \
	X(COMMAND_TOO_FEW, 317, "add a member first; or accept that updates stop, with --force")   \
	X(COMMAND_QUORUM, 318, "start the silent voters first: those left would be no majority")   \
	X(COMMAND_NOT_READY, 319, "wait until it has caught up: cairnctl status")                  \
	X(COMMAND_BAD, 320, "choose a value inside the range")

enum problem_id {
	PROBLEM_NONE = 0,
#define PROBLEM_ENUM(name, number, cure) PROBLEM_##name = number,
	PROBLEMS(PROBLEM_ENUM)
#undef PROBLEM_ENUM
};

struct problem {
	enum problem_id id;
	char text[PROBLEM_TEXT_BYTES]; /* what failed, with the values involved; one line */
	char cure[PROBLEM_CURE_BYTES]; /* what to do about it; one line */
};

/* problem_set: fills *p with the table's cure. Returns -EINVAL, for "return problem_set(...)". */
int problem_set(struct problem *p, enum problem_id id, const char *format, ...)
	__attribute__((format(printf, 3, 4)));

/* problem_cure: replaces the cure. Returns -EINVAL. */
int problem_cure(struct problem *p, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* problem_code: "CAIRN-0206" into out. problem_name: "ALREADY_RUNNING", static; "NONE". */
const char *problem_code(enum problem_id id, char out[16]);
const char *problem_name(enum problem_id id);

/* problem_default_cure: of the table; "" for none. */
const char *problem_default_cure(enum problem_id id);

/* problem_next: the id after this one in the table; PROBLEM_NONE starts and ends. */
enum problem_id problem_next(enum problem_id id);

#endif
