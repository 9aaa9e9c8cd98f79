/* SPDX-License-Identifier: Apache-2.0 */
/*
 * lab_links.h: the veth form of a lab: one network namespace per node with one interface eth0, and
 * a bridge in the caller's own namespace that has 10.77.0.254/24, so that kernel clients, ping and
 * tcpdump reach the nodes. All names carry the lab's tag. Needs root and the `ip` program.
 */
#ifndef CAIRN_MGMT_LAB_LINKS_H
#define CAIRN_MGMT_LAB_LINKS_H

#include "mgmt/lab_state.h"

#define LAB_LINKS_NAME_BYTES 16u

/* lab_links_check: can they be made here? CTL_EXIT_OK, or an exit code after its error. */
int lab_links_check(void);

/* lab_links_up: makes them all; CTL_EXIT_OK or CTL_EXIT_FAILED after its error. */
int lab_links_up(const struct lab *lab);

/* lab_links_add: those of one more node. */
int lab_links_add(const struct lab *lab, uint32_t node);

/* lab_links_down: removes what is there of them. Quiet; nothing to remove is fine. */
void lab_links_down(const struct lab *lab);

/* lab_links_netns: name of a node's namespace. */
void lab_links_netns(const struct lab *lab, uint32_t node, char out[LAB_LINKS_NAME_BYTES]);

#endif
