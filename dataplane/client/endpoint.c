/* SPDX-License-Identifier: Apache-2.0 */
#include "dataplane/client/endpoint.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netdb.h>
#include <stdio.h>
#include <string.h>

#include "replication/types.h"

#define ENTRY_BYTES_MAX 280u /* "gw:", a host name of 253 characters, ":65535" */

static int wrong(char *error, const char *entry, const char *what, int status)
{
	snprintf(error, CAIRN_ERROR_BYTES, "endpoint '%.60s': %s", entry, what);
	return status;
}

/* port_parse: 1..max in decimal; 0 when it is anything else. */
static uint16_t port_parse(const char *text, uint32_t max)
{
	uint32_t port = 0;

	if (*text == '\0')
		return 0;
	for (; *text != '\0'; text++) {
		if (*text < '0' || *text > '9')
			return 0;
		port = port * 10 + (uint32_t)(*text - '0');
		if (port > max)
			return 0;
	}
	return (uint16_t)port;
}

static int host_resolve(const char *host, uint32_t *ret_ip)
{
	const struct addrinfo hints = { .ai_family = AF_INET, .ai_socktype = SOCK_DGRAM };
	struct addrinfo *found = NULL;
	struct in_addr numeric;
	struct sockaddr_in address;
	int error;

	if (inet_pton(AF_INET, host, &numeric) == 1) {
		*ret_ip = ntohl(numeric.s_addr);
		return 0;
	}
	error = getaddrinfo(host, NULL, &hints, &found);
	if (error)
		return error == EAI_AGAIN ? -EAGAIN : -ENOENT;
	memcpy(&address, found->ai_addr, sizeof(address));
	freeaddrinfo(found);
	*ret_ip = ntohl(address.sin_addr.s_addr);
	return 0;
}

static int entry_parse(const char *text, size_t bytes, struct endpoint *ret, char *error)
{
	char entry[ENTRY_BYTES_MAX], host[ENTRY_BYTES_MAX];
	struct endpoint e = { 0 };
	char *colon;
	int status;

	if (bytes == 0) {
		*ret = e;
		return 0;
	}
	snprintf(entry, sizeof(entry), "%.*s", (int)(bytes < sizeof(entry) ? bytes : 0), text);
	if (bytes >= sizeof(entry))
		return wrong(error, text, "too long; write host:port", -EINVAL);
	e.gateway = strncmp(entry, "gw:", 3) == 0;
	memcpy(host, entry + (e.gateway ? 3 : 0), strlen(entry) + 1 - (e.gateway ? 3 : 0));
	colon = strrchr(host, ':');
	if (!colon || colon == host)
		return wrong(error, entry, "write host:port or gw:host:port", -EINVAL);
	*colon = '\0';
	e.port = port_parse(colon + 1, e.gateway ? UINT16_MAX : UINT16_MAX - SHARDS_MAX + 1);
	if (e.port == 0)
		return wrong(error, entry,
			     e.gateway ? "port must be 1..65535" :
					 "port must be 1..65472 (shard s is at port + s)",
			     -EINVAL);
	status = host_resolve(host, &e.ip);
	if (status == -EAGAIN)
		return wrong(error, entry, "the name server did not answer; try again", status);
	if (status)
		return wrong(error, entry, "no IPv4 address for this name; check it", status);
	if (e.ip == 0)
		return wrong(error, entry, "0.0.0.0 is not the address of a node", -EINVAL);
	*ret = e;
	return 0;
}

/* endpoint_repeated: the newest entry is the address of an earlier one. */
static bool endpoint_repeated(const struct endpoint *list, uint32_t newest)
{
	for (uint32_t i = 0; i < newest; i++) {
		if (list[i].ip != 0 && list[i].ip == list[newest].ip &&
		    list[i].port == list[newest].port)
			return true;
	}
	return false;
}

int endpoint_parse(const char *text, struct endpoint *list, char *error)
{
	uint32_t count = 0;
	bool any = false;

	for (;;) {
		size_t bytes = strcspn(text, ",");
		int status;

		if (count == CAIRN_SERVERS_MAX) {
			snprintf(error, CAIRN_ERROR_BYTES, "endpoints: more than %u; one per node",
				 CAIRN_SERVERS_MAX);
			return -EINVAL;
		}
		status = entry_parse(text, bytes, &list[count], error);
		if (status)
			return status;
		if (endpoint_repeated(list, count))
			return wrong(error, text, "given twice; each node has its own", -EINVAL);
		any = any || list[count].ip != 0;
		count++;
		if (text[bytes] == '\0')
			break;
		text += bytes + 1;
	}
	if (!any) {
		snprintf(error, CAIRN_ERROR_BYTES,
			 "endpoints: empty; write host:port,host:port,... one per node");
		return -EINVAL;
	}
	return (int)count;
}
