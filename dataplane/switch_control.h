/* SPDX-License-Identifier: Apache-2.0 */
/*
 * switch_control.h: how a running switch is told about faults: a UNIX stream socket (mode 0600),
 * one command a line, one reply line a command. Replies begin with "ok" or "error". Ports are
 * numbers: nodes first, then clients, then the gateway (its number is in the reply of `stats`).
 *
 *   fault SPEC           these faults from now on (switch_fault.h); all generators start anew
 *   fault off            none
 *   partition 0|1,2      cut every link between the groups; ports not named keep all their links;
 *                        replaces an earlier partition
 *   block 0>1,2          cut one direction only, besides what is cut already
 *   heal                 no link is cut any more
 *   stats                counters, as name=value pairs
 */
#ifndef CAIRN_DATAPLANE_SWITCH_CONTROL_H
#define CAIRN_DATAPLANE_SWITCH_CONTROL_H

#include "dataplane/netdev_dpdk.h"
#include "dataplane/switch.h"

#define SWITCH_CONTROL_LINE  512u
#define SWITCH_CONTROL_REPLY 1024u
#define SWITCH_CONTROL_PEERS 8u
#define SWITCH_CONTROL_NS    1000000u /* the socket is looked at this often */

struct switch_control;

/*
 * switch_control_run: one command without its newline; reply[0..SWITCH_CONTROL_REPLY) gets a line
 * without newline. Returns 0 or -EINVAL; the reply says what was wrong.
 */
int switch_control_run(struct switch_plane *sw, const char *line, char *reply);

/*
 * switch_control_size, switch_control_open: listens at path; mem stays the caller's. A socket file
 * left by a dead switch is replaced. 0, or with *ret_error filled: -EADDRINUSE a switch answers
 * there, -ENAMETOOLONG, or another errno.
 */
uint64_t switch_control_size(void);
int switch_control_open(void *mem, const char *path, struct switch_control **ret_control,
			struct netdev_error *ret_error);

/* switch_control_poll: serves what is there; cheap when called too often. Never blocks. */
void switch_control_poll(struct switch_control *control, struct switch_plane *sw, uint64_t now_ns);

/* switch_control_close: closes everything and removes the socket file. */
void switch_control_close(struct switch_control *control);

#endif
