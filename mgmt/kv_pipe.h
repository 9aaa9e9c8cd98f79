/* SPDX-License-Identifier: Apache-2.0 */
/*
 * kv_pipe.h: many operations in flight over one client handle: what import and export share.
 * Records come from `next`, go out under a window, are tried again while their outcome says
 * "certainly not applied, try later", and are handed to `done` once each.
 */
#ifndef CAIRN_MGMT_KV_PIPE_H
#define CAIRN_MGMT_KV_PIPE_H

#include <stdio.h>
#include <sys/types.h>

#include "mgmt/kv.h"

#define KV_PIPE_WINDOW_MAX 1024u

struct kv_record {
	uint64_t line; /* of the input, from 1 */
	uint32_t key_bytes, value_bytes;
	uint8_t key[CAIRN_KEY_BYTES_MAX];
	uint8_t value[CAIRN_VALUE_BYTES_MAX];
};

struct kv_pipe {
	const struct kv_target *target;
	enum cairn_kind kind; /* CAIRN_GET or CAIRN_PUT */
	uint32_t window;      /* operations in flight at most */
	bool ordered;	      /* done is called in input order */
	bool retry_unknown;   /* an UNKNOWN put may be sent again: same key, same value */
	uint64_t attempt_ns;  /* one attempt may take this long */
	uint64_t record_ns;   /* all attempts of one record together */
	FILE *history;	      /* kv_record.h; every attempt goes into it */
	void *user;
	bool (*next)(void *user, struct kv_record *record); /* false: no more */
	/* false: begin no new records (those in flight still end) */
	bool (*done)(void *user, const struct kv_record *record, const struct cairn_result *result);
	uint64_t retries; /* out: attempts beyond the first */
};

/* kv_pipe_run: runs until the input has ended and every record is done. 0 or -ENOMEM. */
int kv_pipe_run(struct kv_pipe *pipe);

/*
 * kv_read_line: the next line into *text (getline's), its bytes into *ret_bytes, the newline among
 * them. false: no more; *ret_error is then the errno of a failed read and untouched at the end of
 * the file. The part of a line before a failed read is not handed out.
 */
bool kv_read_line(FILE *in, char **text, size_t *text_bytes, ssize_t *ret_bytes, int *ret_error);

/* kv_fail_read: prints that reading the input ended early, after so many lines; the exit code. */
int kv_fail_read(const char *name, uint64_t lines, int error);

#endif
