/* SPDX-License-Identifier: Apache-2.0 */
#include "mgmt/lab_nodes.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "mgmt/ctl_http.h"
#include "mgmt/ctl_proto.h"
#include "mgmt/lab_links.h"

#define BYTES_PER_KEY	384u /* room for key and value of an average record */
#define VALUE_BYTES_MIN (64ull << 20)
#define POLL_MS		10u
#define JOIN_MIB_S	32u /* the nodes share their disk and their cores */
#define ANSWER_MS	2000u

static int need_program(const char *name, char out[512])
{
	if (lab_process_sibling(name, out) == 0)
		return CTL_EXIT_OK;
	return ctl_output_fail(CTL_EXIT_FAILED, "CAIRN-0514",
			       "install it, or build it, in the folder of cairnctl",
			       "the program '%s' is not beside cairnctl: '%s'", name, out);
}

static int fail_path(const char *path)
{
	return ctl_output_fail(errno == EACCES ? CTL_EXIT_DENIED : CTL_EXIT_FAILED, "CAIRN-0503",
			       "make the folder writable, with some room", "cannot write '%s': %s",
			       path, strerror(errno));
}

static void write_peer(const struct lab *lab, uint32_t node, FILE *f)
{
	char listen[32];

	fprintf(f, "\n[[peer]]\nid = %u\naddr = \"10.77.0.%u\"\nwitness = %s\n", node, node + 1,
		lab->witnesses >> node & 1 ? "true" : "false");
	if (!lab->veth)
		fprintf(f, "control = \"%s\"\n", lab_state_listen(lab, node, listen));
}

static void write_settings(const struct lab *lab, uint32_t node, FILE *f)
{
	uint64_t value_bytes = max_u64(lab->keys * BYTES_PER_KEY, VALUE_BYTES_MIN);
	char listen[32];

	fprintf(f,
		"# Made by cairnctl lab up.\n"
		"[node]\nid = %u\ndata = \"%s/node%u/data\"\nruntime = \"%s/node%u\"\n"
		"witness = %s\n\n"
		"[cluster]\nid = \"%016" PRIx64
		"\"\nname = \"lab\"\nshards = %u\n\n"
		"[cpu]\nworkers = %u\nidle = \"%s\"\n\n"
		"[memory]\nkeys_max = %" PRIu64 "\nvalue_bytes = %" PRIu64
		"\n"
		"hugepages = \"%s\"\n\n",
		node, lab->dir, node, lab->run, node, lab->witnesses >> node & 1 ? "true" : "false",
		lab->cluster, lab->shards, lab->workers, lab->idle, lab->keys,
		round_up(value_bytes, 4096), lab->hugepages ? "auto" : "never");
	if (lab->veth)
		fprintf(f, "[net]\ndevice = \"af_packet:eth0\"\n");
	else
		fprintf(f, "[net]\ndevice = \"memif:%s:%u\"\n", lab->memif_socket, node);
	fprintf(f, "address = \"10.77.0.%u/24\"\nport = %u\njoin_mib_s = %u\n\n", node + 1,
		lab->port_base, JOIN_MIB_S);
	fprintf(f, "[storage]\nwal_bytes = %" PRIu64 "\n", lab->wal_bytes);
	if (!lab->veth)
		fprintf(f, "\n[control]\nlisten = \"%s\"\n", lab_state_listen(lab, node, listen));
	fprintf(f, "\n[timers]\n");
#define LAB_TIMER(name, value) fprintf(f, #name " = %" PRIu64 "\n", lab->timers.name);
	LAB_TIMERS(LAB_TIMER)
#undef LAB_TIMER
	for (uint32_t i = 0; i < (node < lab->founders ? lab->founders : node + 1); i++)
		write_peer(lab, i, f);
}

int lab_nodes_introduce(const struct lab *lab, uint32_t node)
{
	char path[LAB_PATH_BYTES];
	FILE *f;

	for (uint32_t i = 0; i < node; i++) {
		lab_state_node_path(lab, i, "node.toml", path);
		f = fopen(path, "ae");
		if (!f)
			return fail_path(path);
		write_peer(lab, node, f);
		if (fclose(f) != 0)
			return fail_path(path);
	}
	return CTL_EXIT_OK;
}

int lab_nodes_create(const struct lab *lab, uint32_t nodes)
{
	static const char *const folders[] = { "", "data" };
	char path[LAB_PATH_BYTES];
	FILE *f;

	for (uint32_t i = 0; i < lab->nodes; i++) {
		if (!(nodes >> i & 1))
			continue;
		for (size_t d = 0; d < ARRAY_LEN(folders); d++) {
			lab_state_node_path(lab, i, folders[d], path);
			if (mkdir(path, 0700) < 0 && errno != EEXIST)
				return fail_path(path);
		}
		lab_state_node_path(lab, i, "node.toml", path);
		f = fopen(path, "we");
		if (!f)
			return fail_path(path);
		write_settings(lab, i, f);
		if (fclose(f) != 0)
			return fail_path(path);
	}
	return CTL_EXIT_OK;
}

static int reap(pid_t pid)
{
	int status;

	while (waitpid(pid, &status, 0) < 0)
		if (errno != EINTR)
			return -1;
	return WIFEXITED(status) ? WEXITSTATUS(status) : 128;
}

int lab_nodes_format(const struct lab *lab, uint32_t nodes)
{
	char program[512], config[LAB_PATH_BYTES], log[LAB_PATH_BYTES];
	const char *argv[] = { program,	   "format",	"--config", config,
			       "--engine", lab->engine, NULL,	    NULL };
	struct lab_spawn spawn = { .argv = argv, .log = log };
	pid_t pid[NODES_MAX] = { 0 };
	int rc = need_program("cairnutil", program), bad = -1;

	for (uint32_t i = 0; !rc && i < lab->nodes; i++) {
		if (!(nodes >> i & 1))
			continue;
		argv[6] = i < lab->founders ? NULL : "--join";
		lab_state_node_path(lab, i, "node.toml", config);
		lab_state_node_path(lab, i, "format.log", log);
		if (lab_process_spawn(&spawn, &pid[i]) < 0)
			bad = (int)i;
	}
	for (uint32_t i = 0; i < lab->nodes; i++)
		if (pid[i] && reap(pid[i]) != 0)
			bad = (int)i;
	if (rc || bad < 0)
		return rc;
	lab_state_node_path(lab, (uint32_t)bad, "format.log", log);
	lab_process_tail(log);
	return ctl_output_fail(CTL_EXIT_FAILED, "CAIRN-0515",
			       "see the last lines above; --wal-bytes sets the size of each log",
			       "cannot format node %d: '%s'", bad, log);
}

/* The gateway's ports from the switch's ready file. */
static bool read_ready(struct lab *lab, const char *path)
{
	json_t *o = json_load_file(path, 0, NULL);
	const json_t *ports = json_object_get(o, "gateway_ports");
	bool good = json_array_size(ports) == lab->ports;

	for (uint32_t i = 0; good && i < lab->ports; i++)
		lab->gateway[i] = (uint16_t)json_integer_value(json_array_get(ports, i));
	json_decref(o);
	return good;
}

static int fail_switch(const struct lab *lab, const char *log, const char *what)
{
	lab_process_tail(log);
	return ctl_output_fail(CTL_EXIT_FAILED, "CAIRN-0516",
			       lab->gateway[0] ? "a taken port: use another --gateway-port"
					       : "see the last lines above",
			       "cairn-switch %s: '%s'", what, log);
}

static void gateway_text(const struct lab *lab, char *out, size_t bytes)
{
	size_t n = (size_t)snprintf(out, bytes, "127.0.0.1:");

	for (uint32_t i = 0; i < lab->ports; i++)
		n += (size_t)snprintf(out + n, bytes - n, "%s%u", i ? "," : "", lab->gateway[i]);
}

int lab_nodes_switch(struct lab *lab, uint64_t timeout_ms)
{
	char program[512], control[LAB_PATH_BYTES], ready[LAB_PATH_BYTES], log[LAB_PATH_BYTES];
	char nodes[12], clients[12], port[12], gateway[96];
	const char *argv[] = { program,	    "--socket",	    lab->memif_socket,
			       "--nodes",   nodes,	    "--clients",
			       clients,	    "--port-base",  port,
			       "--gateway", gateway,	    "--control",
			       control,	    "--ready-file", ready,
			       "--fault",   lab->fault,	    NULL };
	struct lab_spawn spawn = { .argv = argv, .log = log };
	uint64_t end = lab_process_now_ms() + timeout_ms;
	int rc = need_program("cairn-switch", program);
	pid_t pid;

	if (rc)
		return rc;
	lab_state_path(lab, "switch.sock", control);
	lab_state_path(lab, "switch.json", ready);
	lab_state_path(lab, "switch.log", log);
	snprintf(nodes, sizeof(nodes), "%u", lab->ports);
	snprintf(clients, sizeof(clients), "%u", LAB_CLIENTS);
	snprintf(port, sizeof(port), "%u", lab->port_base);
	gateway_text(lab, gateway, sizeof(gateway));
	if (strcmp(lab->fault, "off") == 0)
		argv[15] = NULL;
	unlink(ready);
	rc = lab_process_spawn(&spawn, &pid);
	if (rc)
		return fail_switch(lab, log, strerror(-rc));
	while (!read_ready(lab, ready)) {
		if (waitpid(pid, NULL, WNOHANG) == pid)
			return fail_switch(lab, log, "did not start");
		if (lab_process_now_ms() > end)
			return fail_switch(lab, log, "is not ready in time");
		lab_process_sleep_ms(POLL_MS);
	}
	return CTL_EXIT_OK;
}

int lab_nodes_start(const struct lab *lab, uint32_t nodes)
{
	char program[512], config[LAB_PATH_BYTES], log[LAB_PATH_BYTES];
	char netns[LAB_LINKS_NAME_BYTES];
	const char *argv[] = { program, "--config", config, NULL };
	struct lab_spawn spawn = { .argv = argv, .log = log };
	pid_t pid;
	int rc = need_program("cairnd", program);

	for (uint32_t i = 0; !rc && i < lab->nodes; i++) {
		if (!(nodes >> i & 1))
			continue;
		lab_state_node_path(lab, i, "node.toml", config);
		lab_state_node_path(lab, i, "cairnd.log", log);
		lab_links_netns(lab, i, netns);
		spawn.netns = lab->veth ? netns : NULL;
		rc = lab_process_spawn(&spawn, &pid);
		if (rc)
			return ctl_output_fail(CTL_EXIT_FAILED, "CAIRN-0517",
					       "see whether the program runs by hand",
					       "cannot start '%s': %s", program, strerror(-rc));
	}
	return rc;
}

enum node_verdict { NODE_NOT_YET, NODE_READY, NODE_FAILED };

/* Formatted to join, it waits until an operator adds it. */
static bool waits_to_be_added(const json_t *answer)
{
	const json_t *warning;
	const char *id;
	size_t i;

	json_array_foreach(json_object_get(answer, CTL_FIELD_WARNINGS), i, warning)
	{
		id = json_string_value(json_object_get(warning, CTL_FIELD_ID));
		if (id && strcmp(id, "CAIRN-0117") == 0)
			return true;
	}
	return false;
}

static enum node_verdict ask_node(const struct lab *lab, uint32_t node, bool serving,
				  char state[32])
{
	char path[LAB_PATH_BYTES], error[CTL_HTTP_ERROR_BYTES];
	const char *word;
	json_t *answer;
	long status;
	enum node_verdict verdict = NODE_NOT_YET;

	lab_state_control(lab, node, path);
	snprintf(state, 32, "no answer");
	if (ctl_http_request(path, CTL_PATH_STATUS, false, ANSWER_MS, &status, &answer, error) < 0)
		return NODE_NOT_YET;
	word = json_string_value(json_object_get(answer, CTL_FIELD_STATE));
	snprintf(state, 32, "%s", word ? word : "without a state");
	if (json_is_true(json_object_get(answer, CTL_FIELD_HEALTHY)) ||
	    strcmp(state, CTL_NODE_DRAINED) == 0 || strcmp(state, CTL_NODE_LEARNER) == 0 ||
	    strcmp(state, CTL_NODE_REMOVED) == 0 || strcmp(state, CTL_NODE_OTHER) == 0 ||
	    strcmp(state, CTL_NODE_ENGINE) == 0 ||
	    waits_to_be_added(answer) ||
	    (!serving &&
	     (strcmp(state, CTL_STATE_WAITING) == 0 || strcmp(state, CTL_STATE_SERVING) == 0 ||
	      strcmp(state, CTL_NODE_JOINING) == 0 || strcmp(state, CTL_NODE_VOTING) == 0 ||
	      strcmp(state, CTL_NODE_OUT) == 0)))
		verdict = NODE_READY;
	else if (strcmp(state, CTL_STATE_FAILED) == 0 || strcmp(state, CTL_STATE_DISK_FAILED) == 0)
		verdict = NODE_FAILED;
	json_decref(answer);
	return verdict;
}

static int fail_node(const struct lab *lab, uint32_t node, const char *what)
{
	char log[LAB_PATH_BYTES];

	lab_state_node_path(lab, node, "cairnd.log", log);
	lab_process_tail(log);
	return ctl_output_fail(CTL_EXIT_FAILED, "CAIRN-0518", "see the last lines above",
			       "node %u does not serve: %s; its log: '%s'", node, what, log);
}

/* cairnd is our child when we started it: its end shows as a zombie, not as a missing process. */
static bool daemon_gone(const struct lab *lab, uint32_t node)
{
	struct lab_processes found;
	pid_t pid;

	while (waitpid(-1, NULL, WNOHANG) > 0)
		;
	lab_process_find(lab->dir, &found);
	pid = lab_process_of(&found, LAB_DAEMON, (int)node);
	lab_process_release(&found);
	return pid == 0;
}

int lab_nodes_wait(const struct lab *lab, uint32_t nodes, bool serving, uint64_t timeout_ms)
{
	uint64_t began = lab_process_now_ms(), end = began + timeout_ms;
	char state[32];

	for (uint32_t i = 0; i < lab->nodes; i++) {
		enum node_verdict verdict = NODE_NOT_YET;

		if (!(nodes >> i & 1))
			continue;
		while (verdict == NODE_NOT_YET) {
			verdict = ask_node(lab, i, serving, state);
			if (verdict == NODE_NOT_YET && daemon_gone(lab, i))
				return fail_node(lab, i, "cairnd has ended");
			if (verdict == NODE_NOT_YET && lab_process_now_ms() > end)
				return fail_node(lab, i, state);
			if (verdict == NODE_NOT_YET)
				lab_process_pause(began);
		}
		if (verdict == NODE_FAILED)
			return fail_node(lab, i, state);
	}
	return CTL_EXIT_OK;
}
