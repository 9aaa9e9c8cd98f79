/* SPDX-License-Identifier: Apache-2.0 */
/*
 * ctl_http.h: requests to cairnds over their UNIX sockets. Prints nothing.
 */
#ifndef CAIRN_MGMT_CTL_HTTP_H
#define CAIRN_MGMT_CTL_HTTP_H

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

#define CTL_HTTP_ERROR_BYTES 256

/*
 * ctl_http_request: GET, or POST when post, of path. 0: the daemon answered with JSON, given to
 * *ret_body (the caller's reference), its HTTP status in *ret_status. Otherwise a negative errno
 * and the reason in error: -ENOENT no such socket, -ECONNREFUSED nobody listens, -EACCES not
 * allowed, -ETIMEDOUT, -ENAMETOOLONG, -EPROTO for an answer that is no JSON object or too long,
 * -EIO else. timeout_ms bounds waiting for a place in the daemon's backlog, and then the request.
 */
int ctl_http_request(const char *socket_path, const char *path, bool post, uint64_t timeout_ms,
		     long *ret_status, json_t **ret_body, char error[CTL_HTTP_ERROR_BYTES]);

#define CTL_HTTP_AT_ONCE 32 /* more are asked one after the other */

struct ctl_http_question {
	const char *socket_path, *path;
	uint64_t timeout_ms;
	json_t *body; /* the answer, the caller's reference; NULL: none, and error says why */
	char error[CTL_HTTP_ERROR_BYTES];
};

/* ctl_http_at_once: GETs all, at once: those that hang cost no more than one of them. */
void ctl_http_at_once(struct ctl_http_question *questions, size_t count);

#endif
