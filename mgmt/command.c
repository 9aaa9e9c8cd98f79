/* SPDX-License-Identifier: Apache-2.0 */
#include "mgmt/command.h"

#include <arpa/inet.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "mgmt/config.h"

static const char *const verbs[] = {
	[VERB_ADD] = "add",	    [VERB_PROMOTE] = "promote", [VERB_DRAIN] = "drain",
	[VERB_UNDRAIN] = "undrain", [VERB_REMOVE] = "remove",	[VERB_TRANSFER] = "transfer",
	[VERB_COPIES] = "copies",
};

const char *command_name(uint8_t verb)
{
	return verb < ARRAY_LEN(verbs) && verbs[verb] ? verbs[verb] : "?";
}

static int bad(struct problem *p, const char *name, const char *value, const char *wanted)
{
	problem_set(p, PROBLEM_API_ARGUMENT, "%s=%.60s: not %s", name, value ? value : "(missing)",
		    wanted);
	return problem_cure(p, "give %s %s", name, wanted);
}

static bool small_number(const char *text, uint8_t max, uint8_t *ret)
{
	if (!text || text[0] < '0' || text[0] > '9' || text[1] != 0 || text[0] - '0' > max)
		return false;
	*ret = (uint8_t)(text[0] - '0');
	return true;
}

static bool flag(const struct http_request *request, const char *name)
{
	const char *text = http_argument(request, name);

	return text && strcmp(text, "1") == 0;
}

/* is_edge: of this node's own network, and its first or last address: nobody's in particular. */
static bool is_edge(const struct config_net_address *net, uint32_t ip)
{
	uint32_t host_bits = ~0u >> net->prefix_bits;

	return (ip | host_bits) == (net->ip | host_bits) &&
	       ((ip & host_bits) == 0 || (ip & host_bits) == host_bits);
}

static int read_add(const struct http_request *request, const struct config_net_address *net,
		    struct membership_command *c, struct problem *p)
{
	const char *name = http_argument(request, "name"), *want = http_argument(request, "want");
	const char *address = http_argument(request, "address");
	const char *replaces = http_argument(request, "replaces");
	struct in_addr ip;
	uint8_t node;

	if (!name || name[0] == 0 || !config_name_ok(name))
		return bad(p, "name", name, "a name of 1 to 15 letters, digits, '-', '_', '.'");
	memcpy(c->name, name, strlen(name) + 1);
	if (!address || inet_pton(AF_INET, address, &ip) != 1)
		return bad(p, "address", address, "an IPv4 address");
	c->ip = ntohl(ip.s_addr);
	if (!config_ip_is_host(c->ip) || is_edge(net, c->ip))
		return bad(p, "address", address, "the address of a node's port");
	if (want && strcmp(want, "data") != 0 && strcmp(want, "witness") != 0)
		return bad(p, "want", want, "data or witness");
	c->want = want && strcmp(want, "witness") == 0 ? WANT_WITNESS : WANT_DATA;
	c->member_flags = flag(request, "learner") ? MEMBER_LEARNER : 0;
	if (replaces && !small_number(replaces, NODES_MAX - 1, &node))
		return bad(p, "replaces", replaces, "the number of a node, 0 to 6");
	c->replaces = replaces ? (uint8_t)(node + 1) : 0;
	return 0;
}

int command_read(const struct http_request *request, const struct config_net_address *net,
		 struct membership_command *ret_command, struct problem *p)
{
	const char *verb = http_argument(request, "verb"), *node = http_argument(request, "node");
	const char *value = http_argument(request, "value");
	struct membership_command c = { .verb = VERB_ADD };
	int rc = 0;

	while (c.verb < ARRAY_LEN(verbs) && (!verb || strcmp(verbs[c.verb], verb) != 0))
		c.verb++;
	if (c.verb == ARRAY_LEN(verbs))
		return bad(p, "verb", verb,
			   "add, promote, drain, undrain, remove, transfer, copies");
	c.flags = flag(request, "force") ? COMMAND_FORCE : 0;
	if (c.verb == VERB_TRANSFER && (!node || strcmp(node, "any") == 0))
		c.node = RAFT_NODE_ANY;
	else if (c.verb != VERB_COPIES && !small_number(node, NODES_MAX - 1, &c.node))
		return bad(p, "node", node, "the number of a node, 0 to 6");
	if (c.verb == VERB_COPIES && !small_number(value, NODES_MAX, &c.value))
		return bad(p, "value", value, "a number of copies, 1 to 7");
	if (c.verb == VERB_ADD)
		rc = read_add(request, net, &c, p);
	if (rc == 0)
		*ret_command = c;
	return rc;
}
