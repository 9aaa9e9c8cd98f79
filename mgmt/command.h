/* SPDX-License-Identifier: Apache-2.0 */
/*
 * command.h: an operator's command on its way from an HTTP request to the view service: verb=add,
 * promote, drain, undrain, remove, transfer, copies; node=0..6, or any (transfer); for add also
 * name, address, want=data|witness, learner=1, replaces=NODE; for copies: value; force=1.
 */
#ifndef CAIRN_MGMT_COMMAND_H
#define CAIRN_MGMT_COMMAND_H

#include "mgmt/config.h"
#include "mgmt/http.h"
#include "replication/membership.h"

/*
 * command_read: 0; -EINVAL and *p: an argument is missing or out of its range. net: this node's own
 * address: no node has the first or the last one of its network.
 */
int command_read(const struct http_request *request, const struct config_net_address *net,
		 struct membership_command *ret_command, struct problem *p);

/* command_name: of a verb: "add". */
const char *command_name(uint8_t verb);

#endif
