/* SPDX-License-Identifier: Apache-2.0 */
/*
 * ctl_status.h: `cairnctl status`, `health` and `events`: what the daemons say, on one screen. The
 * daemons asked are --socket, else CAIRN_SOCKET, else those of the lab, else the ones of this host
 * in /run/cairn.
 */
#ifndef CAIRN_MGMT_CTL_STATUS_H
#define CAIRN_MGMT_CTL_STATUS_H

#include "mgmt/ctl_args.h"

/* Handlers of the command table. */
int ctl_status_show(const struct ctl_call *call);
int ctl_status_health(const struct ctl_call *call);
int ctl_events_show(const struct ctl_call *call);

/* ctl_status_rows: one row per member of the cluster, for a table of ctl_status_columns. */
json_t *ctl_status_rows(const json_t *answers);
extern const char *const ctl_status_columns[];

#endif
