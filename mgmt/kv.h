/* SPDX-License-Identifier: Apache-2.0 */
/*
 * kv.h: `cairnctl kv ...`, a user of the client library like any other. The nodes are found by
 * --endpoints, else CAIRN_ENDPOINTS (the syntax of cairn.h), else in the lab's lab.json.
 */
#ifndef CAIRN_MGMT_KV_H
#define CAIRN_MGMT_KV_H

#include "dataplane/client/cairn.h"
#include "mgmt/ctl_args.h"

/* Handlers of the command table. */
int kv_get(const struct ctl_call *call);
int kv_put(const struct ctl_call *call);
int kv_del(const struct ctl_call *call);
int kv_cas(const struct ctl_call *call);
int kv_incr(const struct ctl_call *call);
int kv_import(const struct ctl_call *call);
int kv_export(const struct ctl_call *call);

/* What the kv commands share. */
struct kv_target {
	struct cairn *client;
	uint32_t server;		     /* --node, or CAIRN_ANY_SERVER */
	uint32_t servers[CAIRN_SERVERS_MAX]; /* nodes that have an endpoint */
	uint32_t server_count;
	uint64_t timeout_ns;
};

/* kv_connect: CTL_EXIT_OK, or an exit code after its error. operations_max: open at once. */
int kv_connect(const struct ctl_call *call, uint32_t operations_max, struct kv_target *ret_target);

/* kv_exit: the exit code of an outcome. kv_fail: prints why an operation on key failed. */
enum ctl_exit kv_exit(enum cairn_status status);
int kv_fail(const char *verb, const char *key, const struct cairn_result *result);

/* kv_text: bytes as a JSON string, or as {"base64": "..."} when they are no UTF-8. */
json_t *kv_text(const void *bytes, size_t count);

#endif
