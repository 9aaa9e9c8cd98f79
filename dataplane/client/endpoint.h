/* SPDX-License-Identifier: Apache-2.0 */
/*
 * endpoint.h: the endpoint list of libcairn: text to IPv4 addresses. Grammar in cairn.h
 * (struct cairn_options). Blocks in the resolver; called by cairn_connect only.
 */
#ifndef CAIRN_DATAPLANE_CLIENT_ENDPOINT_H
#define CAIRN_DATAPLANE_CLIENT_ENDPOINT_H

#include <stdbool.h>
#include <stdint.h>

#include "dataplane/client/cairn.h"

struct endpoint {
	uint32_t ip;   /* host byte order; 0: this node is not used */
	uint16_t port; /* of shard 0, or of the gateway */
	bool gateway;  /* every shard at the same port */
};

/*
 * endpoint_parse: fills list[CAIRN_SERVERS_MAX], returns how many entries (1..). Or -EINVAL,
 * -ENOENT, -EAGAIN with the reason, and what to write instead, in error (CAIRN_ERROR_BYTES).
 */
int endpoint_parse(const char *text, struct endpoint *list, char *error);

#endif
