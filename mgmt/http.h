/* SPDX-License-Identifier: Apache-2.0 */
/*
 * http.h: HTTP on a UNIX socket, driven by the caller's own poll loop: no threads. Requests carry
 * no body that matters, but arguments (?name=value&..); answers are one JSON object.
 */
#ifndef CAIRN_MGMT_HTTP_H
#define CAIRN_MGMT_HTTP_H

#include <jansson.h>

#include "mgmt/problem.h"

struct http;

struct http_request {
	const char *method, *path;
	void *connection; /* of http.c */
};

/* http_argument: value of ?name=, decoded; NULL: not given. Valid during the request. */
const char *http_argument(const struct http_request *request, const char *name);

/*
 * http_handler: answers one request. *ret_json is a new object, which http.c releases. Returns the
 * HTTP status.
 */
typedef unsigned http_handler(void *context, const struct http_request *request, json_t **ret_json);

/*
 * http_start: listens on path with the given permissions. A socket file nobody answers on is
 * removed first; anything else there is left alone. 0 and *ret_http, or -EINVAL and *p:
 * SOCKET_TAKEN or RUNTIME_UNUSABLE.
 */
int http_start(const char *path, unsigned mode, http_handler *handler, void *context,
	       struct http **ret_http, struct problem *p);

/*
 * http_fd: readable when http_run has something to do. http_timeout_ms: call it after this time at
 * the latest in any case, 0..500 ms.
 */
int http_fd(const struct http *http);
int http_timeout_ms(const struct http *http);
void http_run(struct http *http);

/* http_stop: closes, removes the socket file. NULL is allowed. */
void http_stop(struct http *http);

#endif
