/* SPDX-License-Identifier: Apache-2.0 */
/*
 * lab_nodes.h: makes and starts the parts of a lab. Every function returns CTL_EXIT_OK, or an exit
 * code after printing one error that names the log file, whose last lines go to standard error.
 */
#ifndef CAIRN_MGMT_LAB_NODES_H
#define CAIRN_MGMT_LAB_NODES_H

#include "mgmt/lab_process.h"
#include "mgmt/lab_state.h"

#define LAB_ALL_NODES ((1u << NODES_MAX) - 1)

/* lab_nodes_create: folders and node.toml of the nodes in the bit set. */
int lab_nodes_create(const struct lab *lab, uint32_t nodes);

/* lab_nodes_introduce: a new node's [[peer]] block into the files of those that came before it. */
int lab_nodes_introduce(const struct lab *lab, uint32_t node);

/* lab_nodes_format: as cluster init does, for the nodes in the bit set, all at once. */
int lab_nodes_format(const struct lab *lab, uint32_t nodes);

/* lab_nodes_switch: starts cairn-switch and waits for it; fills lab->gateway. */
int lab_nodes_switch(struct lab *lab, uint64_t timeout_ms);

/* lab_nodes_start: starts a cairnd for each node in the bit set. */
int lab_nodes_start(const struct lab *lab, uint32_t nodes);

/*
 * lab_nodes_wait: until the nodes in the bit set serve, or vote, or are kept out by an operator;
 * unless `serving`, until they answer and have read their data. Ends early when one of them has
 * failed for good.
 */
int lab_nodes_wait(const struct lab *lab, uint32_t nodes, bool serving, uint64_t timeout_ms);

#endif
