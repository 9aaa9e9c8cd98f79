/* SPDX-License-Identifier: Apache-2.0 */
/* config_check.c: every limit and every rule between keys, in one pure function, and config_finish.
 */
#include "mgmt/config_keys.h"

#include <stdarg.h>
#include <stdio.h>

#include "mgmt/ctl_proto.h"

struct check {
	const struct config *c;
	const char *file;
	struct problem *p;
};

/* Names the key, and its place in the file when it is there. */
__attribute__((format(printf, 4, 5))) static int fail(const struct check *k, const char *name,
						      enum problem_id id, const char *format, ...)
{
	struct toml_pos pos = { 1, 1 };
	char what[PROBLEM_TEXT_BYTES], key[64];
	va_list args;

	for (uint32_t i = 0; i < config_keys_count; i++)
		if (strcmp(config_key_name(i, key), name) == 0 && k->c->origin[i].line != 0)
			pos = k->c->origin[i];
	va_start(args, format);
	vsnprintf(what, sizeof(what), format, args);
	va_end(args);
	return problem_set(k->p, id, "%s:%u:%u: %s", k->file, pos.line, pos.column, what);
}

static const char *limit_text(const struct config_key *key, uint64_t limit, char out[32])
{
	if (key->kind == CONFIG_SIZE)
		return config_size_text(limit, out);
	snprintf(out, 32,
		 key->kind == CONFIG_MODE  ? "0%llo"
		 : key->kind == CONFIG_HEX ? "%llx"
					   : "%llu",
		 (unsigned long long)limit);
	return out;
}

static int check_ranges(const struct check *k)
{
	for (uint32_t i = 0; i < config_keys_count; i++) {
		const struct config_key *key = &config_keys[i];
		char name[64], value[32], low[32], high[32];
		uint64_t number;

		if (key->kind != CONFIG_NUMBER && key->kind != CONFIG_SIZE &&
		    key->kind != CONFIG_MODE && key->kind != CONFIG_HEX)
			continue;
		memcpy(&number, (const char *)k->c + key->offset, sizeof(number));
		if (number < key->min || number > key->max)
			return fail(k, config_key_name(i, name), PROBLEM_CONFIG_OUT_OF_RANGE,
				    "\"%s\" = %s is out of range: %s to %s", key->name,
				    limit_text(key, number, value), limit_text(key, key->min, low),
				    limit_text(key, key->max, high));
	}
	return 0;
}

/* A name of digits alone could be taken for a number. */
bool config_name_ok(const char *name)
{
	static const char allowed[] =
		"abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
		"0123456789-_.";

	return name[strspn(name, allowed)] == 0 && name[0] != '.' && name[0] != '-' &&
	       strlen(name) < CONFIG_NAME_BYTES &&
	       (name[0] == 0 || name[strspn(name, "0123456789")] != 0);
}

#define NAME_RULE "may hold letters, digits, '-', '_' and '.' only, and not digits alone"

static int check_names(const struct check *k)
{
	if (!config_name_ok(k->c->node_name))
		return fail(k, "node.name", PROBLEM_CONFIG_OUT_OF_RANGE,
			    "\"name\" = \"%s\" " NAME_RULE, k->c->node_name);
	if (!config_name_ok(k->c->cluster_name))
		return fail(k, "cluster.name", PROBLEM_CONFIG_OUT_OF_RANGE,
			    "\"name\" = \"%s\" " NAME_RULE, k->c->cluster_name);
	if (k->c->node_data[0] == 0)
		return fail(k, "node.data", PROBLEM_CONFIG_OUT_OF_RANGE, "\"data\" is empty");
	return 0;
}

static int check_cpu(const struct check *k)
{
	const struct config *c = k->c;
	const struct config_cores *cores = &c->cpu_cores;

	if (cores->count != 0 && cores->count != c->cpu_workers) {
		fail(k, "cpu.cores", PROBLEM_CONFIG_CONFLICT,
		     "\"cores\" names %u cores for %u workers", cores->count,
		     (unsigned)c->cpu_workers);
		return problem_cure(k->p, "name one core per worker, or none");
	}
	for (uint32_t i = 0; i < cores->count; i++)
		for (uint32_t j = 0; j < i; j++)
			if (cores->core[i] == cores->core[j])
				return fail(k, "cpu.cores", PROBLEM_CONFIG_CONFLICT,
					    "\"cores\" names core %u twice", cores->core[i]);
	if (c->cluster_shards != 0 && c->cpu_workers > c->cluster_shards) {
		fail(k, "cpu.workers", PROBLEM_CONFIG_CONFLICT,
		     "\"workers\" = %u, but only %u shards", (unsigned)c->cpu_workers,
		     (unsigned)c->cluster_shards);
		return problem_cure(k->p,
				    "a worker without a shard is idle: at most one per shard");
	}
	return 0;
}

static int check_device(const struct check *k)
{
	static const char *const kinds[] = { "memif:", "af_packet:", "af_xdp:", "pci:" };
	const char *device = k->c->net_device;

	for (const char *at = device; *at; at++)
		if ((unsigned char)*at <= ' ' || (unsigned char)*at > '~')
			return fail(k, "net.device", PROBLEM_CONFIG_OUT_OF_RANGE,
				    "\"device\" may hold printable ASCII only");
	for (size_t i = 0; i < ARRAY_LEN(kinds); i++)
		if (strncmp(device, kinds[i], strlen(kinds[i])) == 0 && device[strlen(kinds[i])])
			return 0;
	fail(k, "net.device", PROBLEM_CONFIG_OUT_OF_RANGE, "\"device\" = \"%s\" names no device",
	     device);
	return problem_cure(k->p,
			    "write memif:SOCKET:ID, af_packet:IFNAME, af_xdp:IFNAME or"
			    " pci:DDDD:BB:DD.F");
}

static uint32_t net_mask(const struct config_net_address *a)
{
	return a->prefix_bits == 0 ? 0 : ~0u << (32 - a->prefix_bits);
}

static int check_address(const struct check *k)
{
	const struct config_net_address *a = &k->c->net_address;
	uint32_t host = a->ip & ~net_mask(a);
	char text[16];

	if (a->prefix_bits < 8 || a->prefix_bits > 30)
		return fail(k, "net.address", PROBLEM_CONFIG_OUT_OF_RANGE,
			    "\"address\": prefix /%u is out of range: /8 to /30", a->prefix_bits);
	if (host == 0 || host == ~net_mask(a) || !config_ip_is_host(a->ip))
		return fail(k, "net.address", PROBLEM_CONFIG_OUT_OF_RANGE,
			    "\"address\" = \"%s/%u\" is no host address",
			    config_ip_text(a->ip, text), a->prefix_bits);
	return 0;
}

static int fail_peer(const struct check *k, const struct config_peer *peer, const char *what)
{
	return problem_set(k->p, PROBLEM_CONFIG_CONFLICT, "%s:%u:%u: [[peer]] with id %u: %s",
			   k->file, peer->pos.line, peer->pos.column, (unsigned)peer->id, what);
}

static bool same_endpoint(const struct config_endpoint *a, const struct config_endpoint *b)
{
	return a->ip == b->ip && a->port == b->port;
}

/* check_control: who is told of this node's end, and believed about its own. */
static int check_control(const struct check *k, uint32_t index)
{
	const struct config *c = k->c;
	const struct config_peer *peer = &c->peer[index];
	const struct config_endpoint *listen = &c->control_listen;

	if (peer->control.port == 0)
		return 0;
	if (peer->control.ip >> 24 == 0 || peer->control.ip >> 28 >= 14)
		return fail_peer(k, peer, "control is no host address");
	if (listen->port == 0) {
		fail_peer(k, peer, "control is set, but [control] listen is not");
		return problem_cure(k->p, "set [control] listen at every node, or control at none");
	}
	if (peer->id == c->node_id && !same_endpoint(&peer->control, listen))
		return fail_peer(k, peer, "is this node, but control is not [control] listen");
	if (peer->id != c->node_id && same_endpoint(&peer->control, listen))
		return fail_peer(k, peer, "has this node's own control address");
	for (uint32_t j = 0; j < index; j++)
		if (same_endpoint(&c->peer[j].control, &peer->control))
			return fail_peer(k, peer, "control is used twice");
	return 0;
}

static int check_peer(const struct check *k, uint32_t index)
{
	const struct config *c = k->c;
	const struct config_peer *peer = &c->peer[index];
	uint32_t mask = net_mask(&c->net_address);
	bool self = peer->id == c->node_id;

	if (!config_name_ok(peer->name))
		return fail_peer(k, peer, "its name " NAME_RULE);
	if (self && peer->witness != (c->node_witness != 0))
		return fail_peer(k, peer, "is this node, but witness is not [node] witness");
	if (self && peer->name[0] && c->node_name[0] && strcmp(peer->name, c->node_name) != 0)
		return fail_peer(k, peer, "is this node, but name is not [node] name");
	if (self && peer->ip != c->net_address.ip)
		return fail_peer(k, peer, "is this node, but addr is not [net] address");
	if (!self && peer->ip == c->net_address.ip)
		return fail_peer(k, peer, "has this node's own address");
	if ((peer->ip & mask) != (c->net_address.ip & mask)) {
		fail_peer(k, peer, "addr is outside the subnet of [net] address");
		return problem_cure(k->p, "there is no routing: put all nodes into one subnet");
	}
	for (uint32_t j = 0; j < index; j++) {
		if (c->peer[j].id == peer->id)
			return fail_peer(k, peer, "id is used twice");
		if (c->peer[j].ip == peer->ip)
			return fail_peer(k, peer, "addr is used twice");
	}
	return check_control(k, index);
}

static int check_cluster(const struct check *k)
{
	const struct config *c = k->c;
	struct membership_state state;
	struct config finished = *c;
	uint32_t data = 0;

	for (uint32_t i = 0; i < c->peer_count; i++) {
		int rc = check_peer(k, i);
		if (rc < 0)
			return rc;
	}
	config_finish(&finished);
	config_founding(&finished, ENGINE_HERMES, &state);
	for (uint8_t n = 0; n < NODES_MAX; n++)
		data += state.node[n].want == WANT_DATA;
	for (uint8_t n = 0; n < NODES_MAX; n++)
		for (uint8_t m = 0; m < n; m++)
			if (state.node[n].want && state.node[m].want &&
			    strcmp(state.node[n].name, state.node[m].name) == 0)
				return fail(k, "node.name", PROBLEM_CONFIG_CONFLICT,
					    "nodes %u and %u have the same name \"%s\"", m, n,
					    state.node[n].name);
	/* A witness that joins need not name anyone. */
	if (data == 0 && c->peer_count != 0) {
		fail(k, "node.witness", PROBLEM_CONFIG_CONFLICT, "every node is a witness");
		return problem_cure(k->p, "at least one node must hold data");
	}
	if (c->cluster_copies_min > data && data != 0) {
		fail(k, "cluster.copies_min", PROBLEM_CONFIG_CONFLICT,
		     "\"copies_min\" = %u, but only %u nodes hold data",
		     (unsigned)c->cluster_copies_min, data);
		return problem_cure(k->p, "no update could ever succeed: lower it, or add nodes");
	}
	return 0;
}

static int check_storage(const struct check *k)
{
	if (k->c->storage_wal_bytes % 4096 != 0)
		return fail(k, "storage.wal_bytes", PROBLEM_CONFIG_OUT_OF_RANGE,
			    "\"wal_bytes\" = %llu is no multiple of 4096",
			    (unsigned long long)k->c->storage_wal_bytes);
	if (k->c->storage_durability == DURABILITY_ALL)
		return 0;
	fail(k, "storage.durability", PROBLEM_CONFIG_NOT_AVAILABLE,
	     "\"durability\" = \"%s\" is not available at this stage",
	     k->c->storage_durability == DURABILITY_MEMORY ? "memory" : "quorum");
	return problem_cure(k->p, "write durability = \"all\"");
}

/* The core's timer wheel spans 16 retransmissions, and a replay must fit half of it. */
static int check_timers(const struct check *k)
{
	if (k->c->timers_replay_us <= 8 * k->c->timers_retransmit_us)
		return 0;
	fail(k, "timers.replay_us", PROBLEM_CONFIG_OUT_OF_RANGE,
	     "\"replay_us\" = %llu is more than 8 times \"retransmit_us\" = %llu",
	     (unsigned long long)k->c->timers_replay_us,
	     (unsigned long long)k->c->timers_retransmit_us);
	return problem_cure(k->p, "lower replay_us or raise retransmit_us");
}

static int wrong_timer(const struct check *k, const char *key, const char *rule, uint64_t limit_us)
{
	const char *name = strchr(key, '.') + 1;

	fail(k, key, PROBLEM_CONFIG_OUT_OF_RANGE, "\"%s\" is too short: %s, %llu us", name, rule,
	     (unsigned long long)limit_us);
	return problem_cure(k->p, "raise %s, or lower what it is measured against", name);
}

/* What the times of the view service must be to each other; why: docs/membership.md. */
static int check_service(const struct check *k)
{
	const struct config *c = k->c;
	const struct {
		const char *key, *rule;
		uint64_t us, least_us;
	} rules[] = {
		{ "timers.election_us", "at least 5 times heartbeat_us", c->timers_election_us,
		  5 * c->timers_heartbeat_us },
		{ "timers.lease_us", "at least 8 times heartbeat_us", c->timers_lease_us,
		  8 * c->timers_heartbeat_us },
		{ "timers.detect_us", "at least 4 times heartbeat_us", c->timers_detect_us,
		  4 * c->timers_heartbeat_us },
		{ "timers.recover_ms", "at least lease_us", c->timers_recover_ms * 1000,
		  c->timers_lease_us },
		{ "timers.holddown_ms", "at least lease_us", c->timers_holddown_ms * 1000,
		  c->timers_lease_us },
		{ "timers.slow_ms", "at least detect_us", c->timers_slow_ms * 1000,
		  c->timers_detect_us },
	};

	for (size_t i = 0; i < ARRAY_LEN(rules); i++)
		if (rules[i].us < rules[i].least_us)
			return wrong_timer(k, rules[i].key, rules[i].rule, rules[i].least_us);
	return 0;
}

static int check_socket(const struct check *k)
{
	const struct config_endpoint *listen = &k->c->control_listen;
	struct config finished = *k->c;

	if (listen->port != 0 && (listen->ip >> 24 == 0 || listen->ip >> 28 >= 14)) {
		fail(k, "control.listen", PROBLEM_CONFIG_OUT_OF_RANGE,
		     "\"listen\" is no host address");
		return problem_cure(k->p, "give the address that the other nodes know this one by");
	}

	config_finish(&finished);
	if (strlen(finished.control_socket) <= CTL_SOCKET_PATH_MAX)
		return 0;
	fail(k, "control.socket", PROBLEM_CONFIG_OUT_OF_RANGE,
	     "socket path \"%.120s...\" is longer than %u bytes", finished.control_socket,
	     CTL_SOCKET_PATH_MAX);
	return problem_cure(k->p, "set a shorter [node] runtime or [control] socket");
}

int config_validate(const struct config *c, const char *name, struct problem *p)
{
	static int (*const rules[])(const struct check *) = {
		check_ranges,  check_names,   check_cpu,    check_device,  check_address,
		check_cluster, check_storage, check_timers, check_service, check_socket,
	};
	struct check k = { c, name, p };

	for (size_t i = 0; i < ARRAY_LEN(rules); i++) {
		int rc = rules[i](&k);
		if (rc < 0)
			return rc;
	}
	return 0;
}

void config_finish(struct config *c)
{
	c->ip[c->node_id % NODES_MAX] = c->net_address.ip;
	c->nodes = (uint8_t)(1u << c->node_id % NODES_MAX);
	c->witnesses = c->node_witness ? c->nodes : 0;
	for (uint32_t i = 0; i < c->peer_count; i++) {
		uint8_t bit = (uint8_t)(1u << c->peer[i].id % NODES_MAX);

		c->ip[c->peer[i].id % NODES_MAX] = c->peer[i].ip;
		c->nodes |= bit;
		c->witnesses |= c->peer[i].witness ? bit : 0;
		if (c->peer[i].id == c->node_id && c->node_name[0] == 0)
			memcpy(c->node_name, c->peer[i].name, sizeof(c->node_name));
	}
	c->node_count = (uint32_t)__builtin_popcount(c->nodes);
	if (c->node_name[0] == 0)
		snprintf(c->node_name, sizeof(c->node_name), "node%u", (unsigned)c->node_id);
	if (c->cluster_name[0] == 0)
		snprintf(c->cluster_name, sizeof(c->cluster_name), "cairn");
	if (c->node_runtime[0] == 0)
		snprintf(c->node_runtime, sizeof(c->node_runtime), CTL_RUNTIME_DEFAULT "/%s",
			 c->node_name);
	if (c->control_socket[0] == 0)
		snprintf(c->control_socket, sizeof(c->control_socket), "%s/" CTL_SOCKET_NAME,
			 c->node_runtime);
}

void config_founding(const struct config *c, enum membership_engine engine,
		     struct membership_state *ret_state)
{
	struct membership_state s = { .revision = 1, .engine = (uint8_t)engine };
	uint32_t data = (uint32_t)__builtin_popcount(c->nodes & ~c->witnesses);

	for (uint8_t n = 0; n < NODES_MAX; n++) {
		struct membership_node *node = &s.node[n];

		if (!(c->nodes >> n & 1))
			continue;
		node->want = c->witnesses >> n & 1 ? WANT_WITNESS : WANT_DATA;
		node->ip = c->ip[n];
		snprintf(node->name, sizeof(node->name), "node%u", n);
		for (uint32_t i = 0; i < c->peer_count; i++)
			if (c->peer[i].id == n && c->peer[i].name[0])
				memcpy(node->name, c->peer[i].name, sizeof(node->name));
	}
	memcpy(s.node[c->node_id % NODES_MAX].name, c->node_name, sizeof(c->node_name));
	s.copies_min = (uint8_t)c->cluster_copies_min;
	if (s.copies_min == 0)
		s.copies_min = (uint8_t)(data == 2 && c->witnesses ? 1 : data / 2 + 1);
	*ret_state = s;
}

void config_stream_path(const struct config *c, uint32_t stream, char out[CONFIG_PATH_BYTES + 32])
{
	snprintf(out, CONFIG_PATH_BYTES + 32, "%s/" CTL_FILE_STREAM, c->node_data, stream);
}

void config_runtime_path(const struct config *c, const char *file, char out[CONFIG_PATH_BYTES + 32])
{
	snprintf(out, CONFIG_PATH_BYTES + 32, "%s/%s", c->node_runtime, file);
}

const char *config_ip_text(uint32_t ip, char out[16])
{
	snprintf(out, 16, "%u.%u.%u.%u", ip >> 24, ip >> 16 & 255, ip >> 8 & 255, ip & 255);
	return out;
}

const char *config_endpoint_text(const struct config_endpoint *e, char out[24])
{
	char ip[16];

	out[0] = 0;
	if (e->port != 0)
		snprintf(out, 24, "%s:%u", config_ip_text(e->ip, ip), e->port);
	return out;
}
