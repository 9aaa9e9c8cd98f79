/* SPDX-License-Identifier: Apache-2.0 */
/*
 * cairnutil.h: what the two sources of cairnutil share: exit codes (the contract of
 * docs/operating.md), options, and one failure printed in one form.
 */
#ifndef CAIRN_MGMT_CAIRNUTIL_H
#define CAIRN_MGMT_CAIRNUTIL_H

#include <stdbool.h>
#include <stdint.h>

enum cairnutil_exit {
	CAIRNUTIL_DONE = 0,
	CAIRNUTIL_FAILED = 1, /* or damaged */
	CAIRNUTIL_USAGE = 2,
	CAIRNUTIL_NOT_FOUND = 3,
	CAIRNUTIL_DENIED = 4,
	CAIRNUTIL_CONFLICT = 5, /* already formatted, or in use */
};

struct cairnutil_options {
	const char *data;
	const char *config;
	const char *engine;  /* NULL: of the configuration, else hermes */
	const char *confirm; /* recover: the cluster's name, typed */
	bool json, join, witness, unsafe, outdated, yes;
	uint64_t cluster, node, shards, streams, wal_bytes;
	bool has_cluster, has_node, has_shards, has_streams, has_wal_bytes;
};

/* cairnutil_fail: prints id (of docs/operating.md), text and cure to stderr; returns code. */
int cairnutil_fail(enum cairnutil_exit code, const char *id, const char *cure, const char *format,
		   ...) __attribute__((format(printf, 4, 5)));

/* The commands; each returns the exit code. */
int cairnutil_format(const struct cairnutil_options *o);
int cairnutil_inspect(const struct cairnutil_options *o);
int cairnutil_verify(const struct cairnutil_options *o);
int cairnutil_recover(const struct cairnutil_options *o);

#endif
