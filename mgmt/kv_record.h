/* SPDX-License-Identifier: Apache-2.0 */
/*
 * kv_record.h: `cairnctl kv ... --record FILE`: what was asked and answered, appended to a history
 * that cairn-check judges (docs/testing.md, Histories). One operation a line, written with one
 * call: several commands may record into one file at the same time, if it is on this machine.
 */
#ifndef CAIRN_MGMT_KV_RECORD_H
#define CAIRN_MGMT_KV_RECORD_H

#include <stdio.h>

#include "mgmt/kv.h"

/* kv_record_open: *ret_file NULL without --record. CTL_EXIT_OK, or the exit code of its error. */
int kv_record_open(const struct ctl_call *call, FILE **ret_file);

/* kv_record_now: the clock of histories, in ns: that of every process of this machine. */
uint64_t kv_record_now(void);

/* kv_record_line: op began at start_ns and ends now. Nothing when file is NULL. */
void kv_record_line(FILE *file, const struct cairn_op *op, const struct cairn_result *result,
		    uint64_t start_ns);

/* kv_record_close: rc, unless that is CTL_EXIT_OK and the file could not be written. */
int kv_record_close(const struct ctl_call *call, FILE *file, int rc);

#endif
