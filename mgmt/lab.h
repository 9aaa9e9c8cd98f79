/* SPDX-License-Identifier: Apache-2.0 */
/*
 * lab.h: `cairnctl lab ...`: a whole cluster on this machine, made of real processes: rig R2. See
 * lab_state.h for its folder, docs/operating.md for its use. Handlers of the command table.
 */
#ifndef CAIRN_MGMT_LAB_H
#define CAIRN_MGMT_LAB_H

#include "mgmt/ctl_args.h"

int lab_up(const struct ctl_call *call);
int lab_down(const struct ctl_call *call);
int lab_status(const struct ctl_call *call);
int lab_kill(const struct ctl_call *call);
int lab_start(const struct ctl_call *call);
int lab_add(const struct ctl_call *call);
int lab_fault(const struct ctl_call *call);
int lab_partition(const struct ctl_call *call);

#endif
