/* SPDX-License-Identifier: Apache-2.0 */
/*
 * ctl_member.h: cluster, member and leader commands: who takes part. Any node answers; commands go
 * to the leader by themselves. What takes time is waited for (--wait, --no-wait), with each step on
 * standard error.
 */
#ifndef CAIRN_MGMT_CTL_MEMBER_H
#define CAIRN_MGMT_CTL_MEMBER_H

#include "mgmt/ctl_args.h"

/* Handlers of the command table. */
int ctl_cluster_init(const struct ctl_call *call);
int ctl_cluster_info(const struct ctl_call *call);
int ctl_cluster_copies(const struct ctl_call *call);
int ctl_member_list(const struct ctl_call *call);
int ctl_member_add(const struct ctl_call *call);
int ctl_member_promote(const struct ctl_call *call);
int ctl_member_drain(const struct ctl_call *call);
int ctl_member_undrain(const struct ctl_call *call);
int ctl_member_remove(const struct ctl_call *call);
int ctl_member_replace(const struct ctl_call *call);
int ctl_leader_show(const struct ctl_call *call);
int ctl_leader_transfer(const struct ctl_call *call);

struct ctl_member_add {
	const char *name, *address;
	uint64_t node; /* NODES_MAX: the lowest free number */
	bool witness, learner;
	int replaces; /* -1: none */
};

/*
 * ctl_member_add_node: agrees on a new node and waits for it. CTL_EXIT_OK, or an exit code after
 * its error. For lab add, too.
 */
int ctl_member_add_node(const struct ctl_call *call, const struct ctl_member_add *add);

/*
 * ctl_member_options: CTL_EXIT_OK, or CTL_EXIT_USAGE after the error: --wait or --timeout cannot be
 * read. Comes before anything that cannot be taken back.
 */
int ctl_member_options(const struct ctl_call *call);

/* ctl_member_free: the lowest number no node of the cluster has; NODES_MAX: none is free. */
uint64_t ctl_member_free(const json_t *answer);

#endif
