/* SPDX-License-Identifier: Apache-2.0 */
#include "mgmt/ctl_http.h"

#include <curl/curl.h>
#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/un.h>
#include <unistd.h>

#include "mgmt/ctl_proto.h"

struct answer {
	size_t bytes;
	char text[CTL_BODY_MAX];
};

static size_t answer_append(char *data, size_t size, size_t count, void *user)
{
	struct answer *a = user;
	size_t bytes = size * count;

	if (bytes > sizeof(a->text) - a->bytes)
		return 0;
	memcpy(a->text + a->bytes, data, bytes);
	a->bytes += bytes;
	return bytes;
}

/*
 * curl says only "could not connect"; the errno of our own connect says why. It waits while the
 * daemon's backlog is full, so it has a limit too.
 */
static int probe(const char *socket_path, uint64_t timeout_ms)
{
	struct timeval limit = { .tv_sec = (time_t)(timeout_ms / 1000),
				 .tv_usec = (suseconds_t)(timeout_ms % 1000) * 1000 };
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	int fd, rc = 0;

	if (strlen(socket_path) >= sizeof(address.sun_path))
		return -ENAMETOOLONG;
	memcpy(address.sun_path, socket_path, strlen(socket_path));
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return -errno;
	if (setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof(limit)) < 0 ||
	    connect(fd, (struct sockaddr *)&address, sizeof(address)) < 0)
		rc = errno == EAGAIN || errno == EINPROGRESS ? -ETIMEDOUT : -errno;
	close(fd);
	return rc;
}

static int perform(CURL *curl, struct answer *a, long *ret_status, json_t **ret_body, char *error)
{
	CURLcode code = curl_easy_perform(curl);
	json_error_t parse;
	json_t *body;

	if (code != CURLE_OK) {
		snprintf(error, CTL_HTTP_ERROR_BYTES, "%s", curl_easy_strerror(code));
		if (code == CURLE_OPERATION_TIMEDOUT)
			return -ETIMEDOUT;
		return code == CURLE_WRITE_ERROR ? -EPROTO : -EIO;
	}
	body = json_loadb(a->text, a->bytes, 0, &parse);
	if (!json_is_object(body)) {
		json_decref(body);
		snprintf(error, CTL_HTTP_ERROR_BYTES, "the answer is not a JSON object");
		return -EPROTO;
	}
	curl_easy_getinfo(curl, CURLINFO_RESPONSE_CODE, ret_status);
	*ret_body = body;
	return 0;
}

int ctl_http_request(const char *socket_path, const char *path, bool post, uint64_t timeout_ms,
		     long *ret_status, json_t **ret_body, char error[CTL_HTTP_ERROR_BYTES])
{
	struct answer *answer;
	char url[128];
	CURL *curl;
	int rc = probe(socket_path, timeout_ms);

	if (rc) {
		snprintf(error, CTL_HTTP_ERROR_BYTES, "%s", strerror(-rc));
		return rc;
	}
	curl = curl_easy_init();
	answer = malloc(sizeof(*answer));
	if (!curl || !answer) {
		snprintf(error, CTL_HTTP_ERROR_BYTES, "out of memory");
		curl_easy_cleanup(curl);
		free(answer);
		return -ENOMEM;
	}
	answer->bytes = 0;
	snprintf(url, sizeof(url), "http://localhost%s", path);
	curl_easy_setopt(curl, CURLOPT_URL, url);
	curl_easy_setopt(curl, CURLOPT_UNIX_SOCKET_PATH, socket_path);
	curl_easy_setopt(curl, CURLOPT_PROXY, "");
	curl_easy_setopt(curl, CURLOPT_NOSIGNAL, 1L);
	curl_easy_setopt(curl, CURLOPT_CONNECTTIMEOUT_MS, (long)timeout_ms);
	curl_easy_setopt(curl, CURLOPT_TIMEOUT_MS, (long)timeout_ms);
	curl_easy_setopt(curl, CURLOPT_WRITEFUNCTION, answer_append);
	curl_easy_setopt(curl, CURLOPT_WRITEDATA, answer);
	if (post) {
		curl_easy_setopt(curl, CURLOPT_POST, 1L);
		curl_easy_setopt(curl, CURLOPT_POSTFIELDSIZE, 0L);
	}
	rc = perform(curl, answer, ret_status, ret_body, error);
	curl_easy_cleanup(curl);
	free(answer);
	return rc;
}

static void *ask(void *user)
{
	struct ctl_http_question *q = user;
	long status;

	if (ctl_http_request(q->socket_path, q->path, false, q->timeout_ms, &status, &q->body,
			     q->error) < 0)
		q->body = NULL;
	return NULL;
}

void ctl_http_at_once(struct ctl_http_question *questions, size_t count)
{
	pthread_t thread[CTL_HTTP_AT_ONCE];
	size_t n = 0;

	curl_global_init(CURL_GLOBAL_DEFAULT); /* before there are threads */
	while (n < count && n < CTL_HTTP_AT_ONCE &&
	       pthread_create(&thread[n], NULL, ask, &questions[n]) == 0)
		n++;
	for (size_t i = n; i < count; i++)
		ask(&questions[i]);
	while (n-- > 0)
		pthread_join(thread[n], NULL);
	curl_global_cleanup();
}
