/* SPDX-License-Identifier: Apache-2.0 */
/*
 * ctl_status.h: `cairnctl status` and `cairnctl health`: what the daemons say, on one screen. The
 * daemons asked are --socket, else CAIRN_SOCKET, else those of the lab, else the ones of this host
 * in /run/cairn.
 */
#ifndef CAIRN_MGMT_CTL_STATUS_H
#define CAIRN_MGMT_CTL_STATUS_H

#include "mgmt/ctl_args.h"
#include "mgmt/ctl_http.h"

#define CTL_STATUS_SOCKETS_MAX 16u

/* Handlers of the command table. */
int ctl_status_show(const struct ctl_call *call);
int ctl_status_health(const struct ctl_call *call);

/*
 * ctl_status_ask: one answer per socket in an array: the daemon's object, or {"socket", "state":
 * "UNREACHABLE", "reason"}; each gets a "socket" member. *ret_answered: daemons that answered.
 */
json_t *ctl_status_ask(const json_t *sockets, const char *path, uint32_t *ret_answered);

#endif
