/* SPDX-License-Identifier: Apache-2.0 */
#include "perf/target.h"

#include <arpa/inet.h>
#include <errno.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "perf/cairn_bench.h"

struct frame_addr target_node_addr(uint32_t node, uint16_t port)
{
	return (struct frame_addr) { { 0x02, 0xca, 0x1a, 0, 0, (uint8_t)(node + 1) },
				     port,
				     TARGET_NETWORK + node + 1 };
}

struct frame_addr target_client_addr(uint32_t client, uint16_t port)
{
	return (struct frame_addr) { { 0x02, 0xca, 0x1a, 0, 1, (uint8_t)client },
				     port,
				     TARGET_NETWORK + TARGET_CLIENT_HOST + client };
}

static bool parse_endpoint(const char *text, size_t bytes, struct target_server *ret_server)
{
	char copy[64], *colon, *end;
	struct in_addr address;
	unsigned long port;

	if (bytes >= sizeof(copy))
		return false;
	memcpy(copy, text, bytes);
	copy[bytes] = '\0';
	colon = strchr(copy, ':');
	if (!colon)
		return false;
	*colon = '\0';
	port = strtoul(colon + 1, &end, 10);
	if (inet_pton(AF_INET, copy, &address) != 1 || end == colon + 1 || *end || port == 0 ||
	    port > UINT16_MAX)
		return false;
	*ret_server = (struct target_server) { ntohl(address.s_addr), (uint16_t)port };
	return true;
}

int target_endpoints(const char *list, struct target *ret_target)
{
	struct target t = { .udp_port_per_shard = true };

	for (const char *p = list; *p;) {
		size_t bytes = strcspn(p, ",");

		if (t.node_count == NODES_MAX)
			return bench_fail(-EINVAL, "--endpoints '%s': at most %u nodes", list,
					  NODES_MAX);
		if (!parse_endpoint(p, bytes, &t.udp[t.node_count++]))
			return bench_fail(
				-EINVAL,
				"--endpoints '%s': write ADDRESS:PORT,ADDRESS:PORT,.. with "
				"IPv4 addresses, one per node",
				list);
		p += bytes + (p[bytes] == ',');
	}
	if (t.node_count == 0)
		return bench_fail(-EINVAL, "--endpoints: name at least one ADDRESS:PORT");
	*ret_target = t;
	return 0;
}

static int64_t number_of(json_t *o, const char *name)
{
	return json_integer_value(json_object_get(o, name));
}

static const char *text_of(json_t *o, const char *name)
{
	const char *text = json_string_value(json_object_get(o, name));

	return text ? text : "";
}

static bool fill_lab(json_t *o, struct target *t)
{
	json_t *gateway = json_object_get(o, "gateway"), *item;
	const char *socket = text_of(o, "memif_socket");
	size_t i;

	t->node_count = (uint32_t)number_of(o, "nodes");
	t->shard_count = (uint32_t)number_of(o, "shards");
	t->port_base = (uint16_t)number_of(o, "port_base");
	t->cluster = strtoull(text_of(o, "cluster"), NULL, 16);
	t->spin = strcmp(text_of(o, "idle"), "spin") == 0;
	if (t->node_count == 0 || t->node_count > NODES_MAX || t->shard_count == 0 ||
	    t->shard_count > SHARDS_MAX || json_array_size(gateway) > NODES_MAX)
		return false;
	json_array_foreach(gateway, i, item)
	{
		const char *text = json_string_value(item);

		if (!text || !parse_endpoint(text, strlen(text), &t->udp[i]))
			return false;
	}
	t->memif = *socket != '\0';
	t->udp_port_per_shard = !t->memif;
	if (strlen(socket) >= sizeof(t->memif_socket) ||
	    strlen(text_of(o, "dir")) >= sizeof(t->dir))
		return false;
	snprintf(t->dir, sizeof(t->dir), "%s", text_of(o, "dir"));
	snprintf(t->memif_socket, sizeof(t->memif_socket), "%s", socket);
	t->memif_client_first = (uint32_t)number_of(o, "memif_client_first");
	t->memif_clients = (uint32_t)number_of(o, "memif_clients");
	return true;
}

int target_lab(const char *dir, struct target *ret_target)
{
	struct target t = { 0 };
	json_error_t error;
	char path[4096];
	json_t *o;
	bool ok;

	if (!dir)
		dir = getenv("CAIRN_LAB_DIR");
	if (dir && *dir)
		snprintf(path, sizeof(path), "%s/lab.json", dir);
	else
		snprintf(path, sizeof(path), "/var/tmp/cairn-lab-%u/lab.json", (unsigned)getuid());
	if (access(path, R_OK) != 0)
		return bench_fail(-ENOENT,
				  "no lab at %s: %s; start one with 'cairnctl lab up', or "
				  "name its folder with --target lab:DIR",
				  path, strerror(errno));
	o = json_load_file(path, 0, &error);
	if (!o)
		return bench_fail(-EINVAL, "%s:%d: %s", path, error.line, error.text);
	ok = fill_lab(o, &t);
	json_decref(o);
	if (!ok)
		return bench_fail(-EINVAL, "%s: not the description of a lab that is up", path);
	*ret_target = t;
	return 0;
}
