/* SPDX-License-Identifier: Apache-2.0 */
/* cairnctl: the command table, and main. Everything a command does is in its handler's file. */
#include <stdio.h>
#include <stdlib.h>

#include "mgmt/ctl_member.h"
#include "mgmt/ctl_status.h"
#include "mgmt/kv.h"
#include "mgmt/lab.h"
#include "replication/base.h"

#ifndef CAIRN_VERSION
#define CAIRN_VERSION "0.1.0"
#endif

_Noreturn void must_failed(const char *expression, const char *file, int line)
{
	fprintf(stderr, "cairnctl: %s:%d: must(%s) failed\n", file, line, expression);
	abort();
}

/* clang-format off */
#define OPTION_DIR {"dir", "DIR", "folder of the lab (default /var/tmp/cairn-lab-UID)", 'd'}
#define OPTION_WAIT {"wait", "TIME", "how long nodes may take to serve (default 60s)", 'w'}
#define OPTIONS_KV \
	{"endpoints", "LIST", "nodes: host:port or gw:host:port,.. (default: the lab)", 'e'}, \
	{"node", "I", "the node that coordinates or answers (default: any)", 'n'}, \
	{"timeout", "TIME", "for one request, e.g. 500ms (default 5s)", 't'}, \
	{"record", "FILE", "append what was done to a history, for cairn-check", 0}, \
	OPTION_DIR
#define OPTIONS_PIPE \
	{"window", "N", "operations in flight, 1 to 1024 (default 512)", 0}, \
	{"patience", "TIME", "for one record, all its attempts together (default 30s)", 0}

#define OPTION_SOCKET {"socket", "PATH", "control socket of one cairnd (CAIRN_SOCKET)", 's'}
#define OPTIONS_CHANGE \
	{"wait", "TIME", "how long what was agreed on may take (default 10m)", 'w'}, \
	{"no-wait", NULL, "return when it is agreed on", 0}, \
	{"timeout", "TIME", "for the agreement (default 10s)", 't'}
#define OPTIONS_DANGER \
	{"force", NULL, "do it although too few members are left for updates", 0}, \
	{"yes", NULL, "do it unasked", 'y'}

static const struct ctl_option options_lab_up[] = {
	OPTION_DIR, OPTION_WAIT,
	{"nodes", "N", "1 to 7 (default 3)", 0},
	{"links", "memif|veth", "shared memory and a switch (default), or namespaces", 0},
	{"engine", "hermes|raft", "how they agree (default hermes)", 0},
	{"witnesses", "N", "the last N of the nodes vote and hold no data", 0},
	{"witness", NULL, "short for --witnesses 1", 0},
	{"timers", "lab|production|..", "of the view service, NAME=VALUE,.. (default lab)", 0},
	{"spare", "N", "ports for nodes added later (default 2)", 0},
	{"shards", "N", "1 to 64 (default 1)", 0},
	{"workers", "N", "polling threads of each node (default 1)", 0},
	{"idle", "adaptive|spin|auto", "what idle workers do (default adaptive)", 0},
	{"keys", "N", "keys each node has room for (default 400000)", 0},
	{"wal-bytes", "SIZE", "log of each worker, e.g. 256MiB (default)", 0},
	{"hugepages", NULL, "use huge pages when enough are free (default: never)", 0},
	{"fault", "SPEC", "faults from the start; see cairnctl help lab fault", 0},
	{"gateway-port", "PORT", "UDP port of node 0 on 127.0.0.1 (default: free ones)", 0},
	{"port-base", "PORT", "UDP port of shard 0 on the nodes (default 7400)", 0},
	{0},
};
static const struct ctl_option options_lab[] = {OPTION_DIR, {0}};
static const struct ctl_option options_lab_start[] = {OPTION_DIR, OPTION_WAIT, {0}};
static const struct ctl_option options_lab_kill[] = {
	OPTION_DIR,
	{"only", "daemon|dataplane", "kill only this one of the two", 0},
	{0},
};
static const struct ctl_option options_lab_add[] = {
	OPTION_DIR, OPTIONS_CHANGE,
	{"witness", NULL, "it votes and holds no data", 0},
	{"learner", NULL, "it copies the data, and waits for member promote", 0},
	{"replaces", "ID", "that node leaves for good when this one is a member", 0},
	{0},
};
static const struct ctl_option options_status[] = {OPTION_DIR, OPTION_SOCKET, {0}};
static const struct ctl_option options_health[] = {
	OPTION_DIR, OPTION_SOCKET,
	{"wait", "TIME", "wait so long for health, e.g. 30s", 'w'},
	{"full", NULL, "fewer members than wanted (DEGRADED) is a failure, too", 0},
	{0},
};
static const struct ctl_option options_events[] = {
	OPTION_DIR, OPTION_SOCKET,
	{"follow", NULL, "go on showing what happens", 'f'},
	{"since", "TIME", "only what is not older, e.g. 10m", 0},
	{0},
};
static const struct ctl_option options_init[] = {
	{"config", "FILE", "configuration of this node", 'c'},
	{"engine", "hermes|raft", "how nodes agree on data; the same at every node", 0},
	{"join", NULL, "this node comes into a cluster by member add", 0},
	{"witness", NULL, "it votes and holds no data", 0},
	{0},
};
static const struct ctl_option options_change[] = {
	OPTION_DIR, OPTION_SOCKET, OPTIONS_CHANGE, OPTIONS_DANGER, {0},
};
static const struct ctl_option options_add[] = {
	OPTION_DIR, OPTION_SOCKET, OPTIONS_CHANGE,
	{"address", "ADDRESS", "IPv4 address of its port, [net] address", 'a'},
	{"id", "ID", "its number, [node] id (default: the lowest free one)", 0},
	{"witness", NULL, "it votes and holds no data", 0},
	{"learner", NULL, "it copies the data, and waits for member promote", 0},
	{0},
};
static const struct ctl_option options_replace[] = {
	OPTION_DIR, OPTION_SOCKET, OPTIONS_CHANGE,
	{"address", "ADDRESS", "IPv4 address of the new one's port", 'a'},
	{"id", "ID", "the new one's number (default: the lowest free one)", 0},
	{"yes", NULL, "do it unasked", 'y'},
	{0},
};
static const struct ctl_option options_transfer[] = {
	OPTION_DIR, OPTION_SOCKET, OPTIONS_CHANGE,
	{"to", "NODE", "the node to lead (default: the fittest)", 0},
	{0},
};
static const struct ctl_option options_kv[] = {OPTIONS_KV, {0}};
static const struct ctl_option options_get[] = {
	OPTIONS_KV,
	{"with-version", NULL, "print VALUE<TAB>VERSION", 0},
	{"raw", NULL, "print the value's bytes, no newline after them", 0},
	{0},
};
static const struct ctl_option options_put[] = {
	OPTIONS_KV,
	{"if-absent", NULL, "only if there is no such key", 0},
	{0},
};
static const struct ctl_option options_cas[] = {
	OPTIONS_KV,
	{"value-is", "OLD", "or the value the key must have", 0},
	{"version", "V", "the version the key must have; 0: it must not exist", 'v'},
	{0},
};
static const struct ctl_option options_import[] = {
	OPTIONS_KV, OPTIONS_PIPE,
	{"format", "tsv|md5sums", "KEY<TAB>VALUE (default), or \"md5  path\" lines", 'f'},
	{"acked", "FILE", "append KEY<TAB>VALUE<TAB>VERSION of acknowledged records", 0},
	{"retry", NULL, "put a record again when its outcome is unknown", 0},
	{"skip-large", NULL, "too large records do not make the import fail", 0},
	{0},
};
static const struct ctl_option options_export[] = {
	OPTIONS_KV, OPTIONS_PIPE,
	{"keys", "FILE", "the keys to read, one per line up to a tab; - for standard input", 'k'},
	{"with-version", NULL, "print KEY<TAB>VALUE<TAB>VERSION", 0},
	{"allow-missing", NULL, "keys that do not exist do not make the export fail", 0},
	{0},
};

static int run_help(const struct ctl_call *call);
static int run_version(const struct ctl_call *call);

static const struct ctl_command commands[] = {
	{"lab up", "", "Make a cluster of real processes on this machine and wait until it serves",
	 "Prints the lab's folder. One switch process carries all frames over shared memory\n"
	 "and can make faults; UDP clients reach node i through a port on 127.0.0.1. With\n"
	 "--links veth (root) the nodes are at 10.77.0.1, .2, ... for kernel clients, ping\n"
	 "and tcpdump. Node i uses the --gateway-port + i when one is given.",
	 options_lab_up, lab_up, 0, 0},
	{"lab down", "", "Stop a lab's processes and remove its folder", NULL, options_lab,
	 lab_down, 0, 0},
	{"lab status", "", "Show a lab's processes and endpoints", "Exit code 1: some do not run.",
	 options_lab, lab_status, 0, 0},
	{"lab kill", "[NODE|all]", "Kill nodes without warning (SIGKILL)",
	 "Kills the control daemon and the dataplane. Data stay where they are.", options_lab_kill,
	 lab_kill, 0, 1},
	{"lab start", "[NODE|all]", "Start nodes that do not run, on the data they have", NULL,
	 options_lab_start, lab_start, 0, 1},
	{"lab add", "", "Make one more node, and add it to the cluster",
	 "Formats it to join, starts it, and does what member add does.", options_lab_add, lab_add,
	 0, 0},
	{"lab fault", "[SPEC|off]", "Make the switch lose, repeat, delay or damage frames",
	 "SPEC: seed=N,drop=P,dup=P,delay=P,hold=MIN-MAX,corrupt=P,truncate=P,replay=P;\n"
	 "each P in percent: 2%. Without SPEC: the switch's counters.",
	 options_lab, lab_fault, 0, 1},
	{"lab partition", "GROUPS|off", "Cut links between ports of the switch",
	 "\"0|1,2\" cuts all links between node 0 and the nodes 1 and 2; \"0>1\" cuts one\n"
	 "direction.",
	 options_lab, lab_partition, 1, 1},
	{"cluster init", "", "Format this node's data folder for a new cluster",
	 "Once per founding node, with the same [[peer]] blocks everywhere. --join: for a node\n"
	 "that is added to a cluster that runs; --engine must be that cluster's then, too.\n"
	 "Existing data are never touched.",
	 options_init, ctl_cluster_init, 0, 0},
	{"cluster info", "", "Show what the nodes agree on", NULL, options_status,
	 ctl_cluster_info, 0, 0},
	{"cluster copies", "N", "Stop updates below so many members",
	 "More than there are members stops updates at once: --force.", options_change,
	 ctl_cluster_copies, 1, 1},
	{"member list", "", "Show the nodes of the cluster", NULL, options_status,
	 ctl_member_list, 0, 0},
	{"member add", "NAME", "Add a node; it copies the data and becomes a member by itself",
	 "Says what the new node needs. Exit code 1: agreed on, but not done in time.",
	 options_add, ctl_member_add, 1, 1},
	{"member promote", "NODE", "Make a learner a member", NULL, options_change,
	 ctl_member_promote, 1, 1},
	{"member drain", "NODE", "Take a node out, for maintenance; its data stay",
	 "NODE is a name or a number, here and below. Exit code 5: refused, with the reason.",
	 options_change, ctl_member_drain, 1, 1},
	{"member undrain", "NODE", "Let a drained node in again; it copies what it missed", NULL,
	 options_change, ctl_member_undrain, 1, 1},
	{"member remove", "NODE", "Take a node out of the cluster for good", NULL, options_change,
	 ctl_member_remove, 1, 1},
	{"member replace", "OLD NEW", "Add a node; the old one goes when the new one is a member",
	 "Also for a node that is lost. OLD is a name or a number, NEW a name.", options_replace,
	 ctl_member_replace, 2, 2},
	{"leader show", "", "Show who leads the view service, and the shards of the raft engine",
	 NULL, options_status, ctl_leader_show, 0, 0},
	{"leader transfer", "[NODE]", "Let another node lead the view service", NULL,
	 options_transfer, ctl_leader_transfer, 0, 1},
	{"events", "", "Show what happened: views, leaders, deaths, returns, commands",
	 "As each node that answers saw it, in the order of time; AT is who says it.",
	 options_events, ctl_events_show, 0, 0},
	{"status", "", "Show the cluster and every node on one screen",
	 "The first word is HEALTHY, WARNINGS, DEGRADED, READ_ONLY, RECOVERING or NO_QUORUM; of a\n"
	 "single node that does not do its part, that node's state. A * marks the leader.",
	 options_status, ctl_status_show, 0, 0},
	{"health", "", "Tell by exit code whether the cluster serves",
	 "Exit codes: 0 healthy; 8 it serves, and something wants attention (WARNINGS,\n"
	 "DEGRADED); 1 it does not serve, or no updates; 6 no daemon answers. Reasons and cures\n"
	 "go to standard error.",
	 options_health, ctl_status_health, 0, 0},
	{"kv get", "KEY", "Read a key", "Exit code 3: there is no such key.", options_get, kv_get,
	 1, 1},
	{"kv put", "KEY VALUE|-", "Write a key; prints its new version",
	 "\"-\" takes the value from standard input. Keys have 1 to 512 bytes, values up to\n"
	 "848.",
	 options_put, kv_put, 2, 2},
	{"kv del", "KEY", "Delete a key; prints the version of the deletion", NULL, options_kv,
	 kv_del, 1, 1},
	{"kv cas", "KEY VALUE|-", "Write a key if it has this --version, or this --value-is",
	 "Exit code 5: it has another one, or there is no such key. Old and new value together\n"
	 "may have 848 bytes.",
	 options_cas, kv_cas, 2, 2},
	{"kv incr", "KEY [DELTA]", "Add to the number a key holds; prints the sum",
	 "A key that does not exist counts as 0. DELTA may be negative (default 1).", options_kv,
	 kv_incr, 1, 2},
	{"kv import", "FILE|-", "Write many records, with many requests in flight",
	 "Lines are KEY<TAB>VALUE. Of a key given twice either value may stay. Records over\n"
	 "the limits are named, counted and left out. Prints counts; exit code 7 when the\n"
	 "outcome of some is unknown, 1 when some were not stored.",
	 options_import, kv_import, 1, 1},
	{"kv export", "", "Read many keys, in the order given, with many requests in flight",
	 "Prints KEY<TAB>VALUE. The keys must be given: this stage cannot list them. With\n"
	 "--node all are read at that replica. -o json: one object per line.",
	 options_export, kv_export, 0, 0},
	{"help", "[COMMAND...]", "Explain a command", NULL, NULL, run_help, 0, 2},
	{"version", "", "Print the version", NULL, NULL, run_version, 0, 0},
	{0},
};
/* clang-format on */

static int run_help(const struct ctl_call *call)
{
	char path[128];

	if (call->argument_count == 0)
		return ctl_args_help(commands, NULL, stdout);
	snprintf(path, sizeof(path), "%s%s%s", call->argument[0],
		 call->argument_count > 1 ? " " : "",
		 call->argument_count > 1 ? call->argument[1] : "");
	return ctl_args_help(commands, path, stdout);
}

static int run_version(const struct ctl_call *call)
{
	if (call->format == CTL_JSON)
		return ctl_output_json("cairn.version/1",
				       json_pack("{s:s}", "version", CAIRN_VERSION));
	printf("cairnctl %s\n", CAIRN_VERSION);
	return ctl_output_flush();
}

int main(int argc, char **argv)
{
	struct ctl_call call;
	int rc;

	if (argc == 2 && strcmp(argv[1], "--dump-commands") == 0) {
		ctl_args_dump(commands, stdout);
		return ctl_output_flush();
	}
	rc = ctl_args_parse(commands, argc, argv, &call);
	if (rc)
		return rc;
	if (call.help || !call.command) {
		const char *path = call.command ? call.command->path : NULL;

		if (!path && call.argument_count)
			path = call.argument[0];
		rc = ctl_args_help(commands, path, call.help ? stdout : stderr);
		return rc || call.help ? rc : CTL_EXIT_USAGE;
	}
	return call.command->run(&call);
}
