/* SPDX-License-Identifier: Apache-2.0 */
/*
 * ctl_ask.h: asking the control daemons: which ones there are, what each says, whose word counts
 * for the whole cluster, and commands to it, with what may be tried again tried again.
 */
#ifndef CAIRN_MGMT_CTL_ASK_H
#define CAIRN_MGMT_CTL_ASK_H

#include "mgmt/ctl_args.h"

#define CTL_ASK_UNREACHABLE "UNREACHABLE"
#define CTL_ASK_PATH_BYTES  256u

/* ctl_ask_text: a member of an object, when it is a string; other when not. */
const char *ctl_ask_text(const json_t *object, const char *name, const char *other);

/* ctl_ask_sockets: of --socket, CAIRN_SOCKET, the lab, this host; or an exit code after its error.
 */
int ctl_ask_sockets(const struct ctl_call *call, json_t **ret_sockets);

/*
 * ctl_ask_all: what each says at the path, in the same order, with "socket" added; of one that does
 * not answer {"state": "UNREACHABLE", "reason", "socket"}. A new array.
 */
json_t *ctl_ask_all(const json_t *sockets, const char *path, uint32_t *ret_answered);

/*
 * ctl_ask_best: among status answers the one whose view of the cluster counts: with a quorum, of
 * the newest revision, the leader's. NULL: nobody knows the cluster.
 */
json_t *ctl_ask_best(const json_t *answers);

/* ctl_ask_cluster: the best status answer there is, or an exit code after its error. */
int ctl_ask_cluster(const struct ctl_call *call, json_t **ret_answer);

/* ctl_ask_timeout: --timeout, how long the agreement may take. Absent: *timeout_ns stays. */
int ctl_ask_timeout(const struct ctl_call *call, uint64_t *timeout_ns);

/*
 * ctl_ask_command: a command (arguments of POST /v1/command, e.g. "verb=drain&node=2") to the node
 * that gave the answer, tried again while certainly nothing happened, until --timeout (10 s).
 * CTL_EXIT_OK: agreed on; or an exit code after its error.
 */
int ctl_ask_command(const struct ctl_call *call, const json_t *answer, const char *arguments);

#endif
