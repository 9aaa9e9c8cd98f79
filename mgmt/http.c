/* SPDX-License-Identifier: Apache-2.0 */
#include "mgmt/http.h"

#include <errno.h>
#include <microhttpd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#define HTTP_CONNECTIONS_MAX 32u
#define HTTP_MEMORY_BYTES    16384u /* of one connection: request line and headers */
#define HTTP_TIMEOUT_S	     5u
#define HTTP_WAIT_MS_MAX     500

struct http {
	struct MHD_Daemon *daemon;
	http_handler *handler;
	void *context;
	struct sockaddr_un address;
};

static int connected(const struct sockaddr_un *address)
{
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

	if (fd < 0)
		return -errno;
	int rc = connect(fd, (const struct sockaddr *)address, sizeof(*address)) < 0 ? -errno : 0;
	close(fd);
	/* EAGAIN: its backlog is full, so somebody listens. */
	return rc == 0 || rc == -EAGAIN ? 1 : rc;
}

static int clear_path(const struct sockaddr_un *address, struct problem *p)
{
	const char *path = address->sun_path;
	struct stat st;

	if (lstat(path, &st) < 0) {
		if (errno == ENOENT)
			return 0;
		return problem_set(p, PROBLEM_RUNTIME_UNUSABLE, "socket %s: %s", path,
				   strerror(errno));
	}
	if (!S_ISSOCK(st.st_mode)) {
		problem_set(p, PROBLEM_SOCKET_TAKEN, "%s exists and is no socket", path);
		return problem_cure(p, "move it away, or set another [control] socket");
	}
	int rc = connected(address);
	if (rc == 1)
		return problem_set(p, PROBLEM_SOCKET_TAKEN,
				   "socket %s is served by another process", path);
	if (rc != -ECONNREFUSED && rc != -ENOENT)
		return problem_set(p, PROBLEM_RUNTIME_UNUSABLE, "socket %s: %s", path,
				   strerror(-rc));
	unlink(path); /* left by a daemon that was killed */
	return 0;
}

static int listen_on(const struct sockaddr_un *address, unsigned mode, struct problem *p)
{
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	/* Nobody may connect before the permissions are the wanted ones. */
	mode_t old = umask(0777);
	int rc = fd < 0 ? -errno : 0;

	if (rc == 0 && bind(fd, (const struct sockaddr *)address, sizeof(*address)) < 0)
		rc = -errno;
	umask(old);
	if (rc == 0 && (chmod(address->sun_path, mode) < 0 || listen(fd, HTTP_CONNECTIONS_MAX) < 0))
		rc = -errno;
	if (rc == 0)
		return fd;
	if (fd >= 0)
		close(fd);
	return problem_set(p, rc == -EADDRINUSE ? PROBLEM_SOCKET_TAKEN : PROBLEM_RUNTIME_UNUSABLE,
			   "socket %s: %s", address->sun_path, strerror(-rc));
}

static enum MHD_Result respond(struct MHD_Connection *connection, unsigned status, json_t *json)
{
	char *text = json ? json_dumps(json, JSON_INDENT(2) | JSON_REAL_PRECISION(9)) : NULL;

	json_decref(json);
	if (!text)
		return MHD_NO;
	struct MHD_Response *response =
		MHD_create_response_from_buffer(strlen(text), text, MHD_RESPMEM_MUST_FREE);
	if (!response) {
		free(text);
		return MHD_NO;
	}
	MHD_add_response_header(response, MHD_HTTP_HEADER_CONTENT_TYPE, "application/json");
	enum MHD_Result rc = MHD_queue_response(connection, status, response);
	MHD_destroy_response(response);
	return rc;
}

const char *http_argument(const struct http_request *request, const char *name)
{
	return MHD_lookup_connection_value(request->connection, MHD_GET_ARGUMENT_KIND, name);
}

/* Called once for the headers, again for each piece of a body, and then to answer. */
/* tidy: callback, because the HTTP library sets the signature */
static enum MHD_Result on_request(void *context, struct MHD_Connection *connection, const char *url,
				  const char *method, const char *version, const char *upload,
				  size_t *upload_bytes, void **seen)
{
	static int headers_seen;
	struct http *http = context;
	json_t *json = NULL;

	(void)version;
	(void)upload;
	if (*seen != &headers_seen) {
		*seen = &headers_seen;
		return MHD_YES;
	}
	if (*upload_bytes > 0) {
		*upload_bytes = 0; /* no request has a body that matters */
		return MHD_YES;
	}
	struct http_request request = { method, url, connection };
	unsigned status = http->handler(http->context, &request, &json);
	return respond(connection, status, json);
}

int http_start(const char *path, unsigned mode, http_handler *handler, void *context,
	       struct http **ret_http, struct problem *p)
{
	struct http *http = calloc(1, sizeof(*http));

	if (!http)
		return problem_set(p, PROBLEM_NO_MEMORY, "out of memory at start");
	http->handler = handler;
	http->context = context;
	http->address.sun_family = AF_UNIX;
	snprintf(http->address.sun_path, sizeof(http->address.sun_path), "%s", path);
	int fd = clear_path(&http->address, p);
	if (fd == 0)
		fd = listen_on(&http->address, mode, p);
	if (fd < 0) {
		free(http);
		return -EINVAL;
	}
	http->daemon = MHD_start_daemon(MHD_USE_EPOLL, 0, NULL, NULL, on_request, http,
					MHD_OPTION_LISTEN_SOCKET, fd, MHD_OPTION_CONNECTION_LIMIT,
					HTTP_CONNECTIONS_MAX, MHD_OPTION_CONNECTION_TIMEOUT,
					HTTP_TIMEOUT_S, MHD_OPTION_CONNECTION_MEMORY_LIMIT,
					(size_t)HTTP_MEMORY_BYTES, MHD_OPTION_END);
	if (!http->daemon) {
		close(fd);
		free(http);
		return problem_set(p, PROBLEM_INTERNAL, "the HTTP server did not start");
	}
	*ret_http = http;
	return 0;
}

int http_fd(const struct http *http)
{
	const union MHD_DaemonInfo *info =
		MHD_get_daemon_info(http->daemon, MHD_DAEMON_INFO_EPOLL_FD);

	return info ? info->epoll_fd : -1;
}

int http_timeout_ms(const struct http *http)
{
	MHD_UNSIGNED_LONG_LONG timeout;

	/*
	 * At its limit of connections the library stops watching the listening socket and starts
	 * again only in a later run, which no event announces and no timeout asks for.
	 */
	if (MHD_get_timeout(http->daemon, &timeout) != MHD_YES || timeout > HTTP_WAIT_MS_MAX)
		return HTTP_WAIT_MS_MAX;
	return (int)timeout;
}

void http_run(struct http *http)
{
	MHD_run(http->daemon);
}

void http_stop(struct http *http)
{
	if (!http)
		return;
	unlink(http->address.sun_path);
	MHD_stop_daemon(http->daemon);
	free(http);
}
