/* SPDX-License-Identifier: Apache-2.0 */
#include "mgmt/lab.h"

#include <dirent.h>
#include <errno.h>
#include <ftw.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/random.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "dataplane/switch_fault.h"
#include "mgmt/ctl_member.h"
#include "mgmt/lab_links.h"
#include "mgmt/lab_nodes.h"
#include "mgmt/lab_process.h"
#include "mgmt/lab_state.h"

#define STOP_MS		   5000u
#define SWITCH_MS	   20000u
#define START_NS	   60000000000ull
#define PORT_BASE	   7400u
#define SWITCH_REPLY_BYTES 1024u

static int check_fault(const char *text)
{
	struct switch_fault_spec spec;
	const char *bad;
	uint32_t bytes;

	if (strlen(text) >= LAB_FAULT_BYTES)
		return ctl_output_fail(CTL_EXIT_USAGE, "CAIRN-0519", NULL,
				       "the fault text has over %u bytes", LAB_FAULT_BYTES - 1);
	if (strcmp(text, "off") == 0 || switch_fault_parse(text, &spec, &bad, &bytes) == 0)
		return CTL_EXIT_OK;
	return ctl_output_fail(
		CTL_EXIT_USAGE, "CAIRN-0519",
		"such as seed=7,drop=2%,dup=1%,delay=5%,hold=50-500,corrupt=1%, or off",
		"fault '%s': '%.*s' is wrong", text, (int)bytes, bad);
}

static int choose(const struct ctl_call *call, const char *name, const char *const *words,
		  const char **ret_word)
{
	const char *text = ctl_args_option(call, name);
	char list[96] = "";
	size_t n = 0;

	*ret_word = text ? text : words[0];
	for (size_t i = 0; words[i]; i++)
		if (strcmp(words[i], *ret_word) == 0)
			return CTL_EXIT_OK;
	for (size_t i = 0; words[i] && n < sizeof(list); i++)
		n += (size_t)snprintf(list + n, sizeof(list) - n, "%s%s", i ? ", " : "", words[i]);
	return ctl_output_fail(CTL_EXIT_USAGE, "CAIRN-0706", NULL, "--%s '%s': use one of %s", name,
			       text, list);
}

static int read_numbers(const struct ctl_call *call, struct lab *lab)
{
	uint64_t nodes = 3, shards = 1, workers = 1, gateway = 0, port_base = PORT_BASE, spare = 2;
	int rc;

	lab->keys = 400000;
	lab->wal_bytes = 256ull << 20;
	rc = ctl_args_number(call, "nodes", (struct ctl_range) { 1, NODES_MAX }, &nodes);
	if (!rc)
		rc = ctl_args_number(call, "shards", (struct ctl_range) { 1, SHARDS_MAX }, &shards);
	if (!rc)
		rc = ctl_args_number(call, "spare", (struct ctl_range) { 0, NODES_MAX }, &spare);
	if (!rc)
		rc = ctl_args_number(call, "workers", (struct ctl_range) { 1, WORKERS_MAX },
				     &workers);
	if (!rc)
		rc = ctl_args_number(call, "keys", (struct ctl_range) { 1024, 1u << 31 },
				     &lab->keys);
	if (!rc)
		rc = ctl_args_bytes(call, "wal-bytes", (struct ctl_range) { 8u << 20, 1ull << 40 },
				    &lab->wal_bytes);
	if (!rc)
		rc = ctl_args_number(call, "gateway-port", (struct ctl_range) { 1024, 65528 },
				     &gateway);
	if (!rc)
		rc = ctl_args_number(call, "port-base",
				     (struct ctl_range) { 1024, 65535 - SHARDS_MAX }, &port_base);
	if (!rc && workers > shards)
		rc = ctl_output_fail(CTL_EXIT_USAGE, "CAIRN-0520", "raise --shards",
				     "%u workers share %u shards: some would have none",
				     (unsigned)workers, (unsigned)shards);
	lab->wal_bytes &= ~4095ull;
	lab->nodes = lab->founders = (uint32_t)nodes;
	lab->ports = (uint32_t)min_u64(nodes + spare, NODES_MAX);
	lab->shards = (uint32_t)shards;
	lab->workers = (uint32_t)workers;
	lab->port_base = (uint16_t)port_base;
	for (uint32_t i = 0; gateway && i < lab->ports; i++)
		lab->gateway[i] = (uint16_t)(gateway + i);
	return rc;
}

static uint64_t *timer_of(struct lab_timers *timers, const char *name, size_t bytes)
{
#define LAB_TIMER(key, value)                                         \
	if (strlen(#key) == bytes && strncmp(name, #key, bytes) == 0) \
		return &timers->key;
	LAB_TIMERS(LAB_TIMER)
#undef LAB_TIMER
	return NULL;
}

/* lab, production, and NAME=VALUE pairs that change single ones; what fits is the node's to say. */
static int read_timers(const char *text, struct lab_timers *timers)
{
	*timers = (struct lab_timers) {
#define LAB_TIMER(key, value) .key = value,
		LAB_TIMERS(LAB_TIMER)
#undef LAB_TIMER
	};
	for (const char *at = text; at && *at;
	     at += strcspn(at, ",") + (at[strcspn(at, ",")] != 0)) {
		size_t bytes = strcspn(at, ","), name = strcspn(at, "=,");
		uint64_t *timer = timer_of(timers, at, name);
		char value[24] = "";

		if (bytes > name && bytes - name - 1 < sizeof(value))
			memcpy(value, at + name + 1, bytes - name - 1);
		if (bytes == 10 && strncmp(at, "production", 10) == 0)
			*timers = (struct lab_timers) { 2000, 20000, 40000, 30000, 1000,
							2000, 250,   1000,  20 };
		else if ((bytes != 3 || strncmp(at, "lab", 3) != 0) &&
			 (!timer || !ctl_args_u64(value, timer)))
			return ctl_output_fail(
				CTL_EXIT_USAGE, "CAIRN-0706",
				"write lab, production, or pairs such as lease_us=200000,detect_us="
				"120000: keys of [timers]",
				"--timers '%.*s' is wrong", (int)bytes, at);
	}
	return CTL_EXIT_OK;
}

/* Who votes without data, and the times of the view service. */
static int read_service(const struct ctl_call *call, struct lab *lab)
{
	static const char *const engines[] = { "hermes", "raft", NULL };
	uint64_t witnesses = ctl_args_option(call, "witness") ? 1 : 0;
	const char *word;
	int rc = choose(call, "engine", engines, &word);

	snprintf(lab->engine, sizeof(lab->engine), "%.7s", word);
	if (!rc)
		rc = ctl_args_number(call, "witnesses", (struct ctl_range) { 0, NODES_MAX },
				     &witnesses);
	if (!rc && witnesses >= lab->nodes)
		rc = ctl_output_fail(CTL_EXIT_USAGE, "CAIRN-0527", "lower --witnesses",
				     "%u witnesses among %u nodes: none would hold data",
				     (unsigned)witnesses, lab->nodes);
	lab->witnesses = ((1u << witnesses) - 1) << (lab->nodes - witnesses);
	return rc ? rc : read_timers(ctl_args_option(call, "timers"), &lab->timers);
}

static int read_options(const struct ctl_call *call, struct lab *lab)
{
	static const char *const idles[] = { "adaptive", "spin", "auto", NULL };
	static const char *const links[] = { "memif", "veth", NULL };
	const char *fault = ctl_args_option(call, "fault"), *word;
	uint32_t random[4];
	int rc;

	memset(lab, 0, sizeof(*lab));
	rc = read_numbers(call, lab);
	if (!rc)
		rc = read_service(call, lab);
	if (!rc)
		rc = choose(call, "idle", idles, &word);
	if (rc)
		return rc;
	snprintf(lab->idle, sizeof(lab->idle), "%s", word);
	rc = choose(call, "links", links, &word);
	lab->veth = strcmp(word, "veth") == 0;
	lab->hugepages = ctl_args_option(call, "hugepages") != NULL;
	if (!rc)
		rc = check_fault(fault ? fault : "off");
	if (!rc && lab->veth && fault)
		rc = ctl_output_fail(CTL_EXIT_USAGE, "CAIRN-0521", "use --links memif",
				     "--fault needs the switch, which a veth lab does not have");
	if (!rc && getrandom(random, sizeof(random), 0) != sizeof(random))
		rc = ctl_output_fail(CTL_EXIT_FAILED, "CAIRN-0522", NULL, "getrandom: %s",
				     strerror(errno));
	if (rc)
		return rc;
	snprintf(lab->fault, sizeof(lab->fault), "%s", fault ? fault : "off");
	snprintf(lab->tag, sizeof(lab->tag), "%04x", random[0] & 0xffff);
	snprintf(lab->memif_socket, sizeof(lab->memif_socket), "cairn-lab-%08x", random[1]);
	lab->cluster = (uint64_t)random[2] << 32 | random[3] | 1;
	return CTL_EXIT_OK;
}

/* Signals every process of a program, or of one node's; returns how many there were. */
static unsigned stop_program(const char *dir, enum lab_program program, uint32_t nodes, int signal)
{
	struct lab_processes found;
	unsigned count = 0;
	bool mine;

	lab_process_find(dir, &found);
	for (unsigned i = 0; i < found.count; i++) {
		struct lab_process *p = &found.process[i];

		mine = p->program == program &&
		       (p->node == LAB_NODE_NONE || (nodes >> p->node & 1));
		p->node = mine ? p->node : -2;
		if (mine && lab_process_signal(p, signal) == 0)
			count++;
	}
	for (unsigned i = 0; i < found.count; i++) {
		struct lab_process *p = &found.process[i];

		if (p->node == -2 || lab_process_wait(p, STOP_MS))
			continue;
		lab_process_signal(p, SIGKILL);
		lab_process_wait(p, STOP_MS);
	}
	lab_process_release(&found);
	return count;
}

/* The daemons first: they would start their dataplanes again. */
static unsigned stop_all(const char *dir, int signal)
{
	unsigned count = stop_program(dir, LAB_DAEMON, LAB_ALL_NODES, signal);

	count += stop_program(dir, LAB_DATAPLANE, LAB_ALL_NODES, signal);
	return count + stop_program(dir, LAB_SWITCH, LAB_ALL_NODES, signal);
}

static int remove_entry(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
	(void)st;
	(void)type;
	return ftw->level == 0 ? 0 : remove(path);
}

static int remove_contents(const char *dir)
{
	if (nftw(dir, remove_entry, 16, FTW_DEPTH | FTW_PHYS | FTW_MOUNT) == 0)
		return CTL_EXIT_OK;
	return ctl_output_fail(CTL_EXIT_FAILED, "CAIRN-0503", "remove it by hand",
			       "cannot remove '%s' wholly: %s", dir, strerror(errno));
}

static int remove_folder(const char *dir)
{
	int rc = remove_contents(dir);

	if (rc || rmdir(dir) == 0)
		return rc;
	return ctl_output_fail(CTL_EXIT_FAILED, "CAIRN-0503", "remove it by hand",
			       "cannot remove '%s': %s", dir, strerror(errno));
}

/* Only a folder that lab_state_make_run can have made: the name comes from a file. */
static void remove_run(const struct lab *lab)
{
	static const char prefix[] = "/dev/shm/cairn-lab-";
	struct stat st;

	if (strncmp(lab->run, prefix, sizeof(prefix) - 1) != 0 ||
	    strchr(lab->run + sizeof(prefix) - 1, '/') || lstat(lab->run, &st) < 0 ||
	    !S_ISDIR(st.st_mode) || (geteuid() != 0 && st.st_uid != geteuid()))
		return;
	remove_folder(lab->run);
}

static bool folder_empty(const char *dir)
{
	DIR *d = opendir(dir);
	struct dirent *e = NULL;

	while (d && (e = readdir(d)))
		if (strcmp(e->d_name, ".") != 0 && strcmp(e->d_name, "..") != 0)
			break;
	bool empty = d && !e;
	if (d)
		closedir(d);
	return empty;
}

/*
 * Makes room for a new lab: no folder, an empty one, or what a failed `lab up` left. The folder is
 * locked before anything in it is looked at.
 */
static int prepare_folder(const char *dir)
{
	struct lab_processes found;
	struct lab old;
	int rc;

	if (mkdir(dir, 0700) < 0 && errno != EEXIST)
		return ctl_output_fail(errno == EACCES ? CTL_EXIT_DENIED : CTL_EXIT_FAILED,
				       "CAIRN-0503", "use another --dir", "cannot make '%s': %s",
				       dir, strerror(errno));
	rc = lab_state_lock(dir);
	if (rc)
		return rc;
	if (lab_state_exists(dir)) {
		lab_process_find(dir, &found);
		lab_process_release(&found);
		rc = lab_state_load(dir, false, &old);
		if (!rc && (old.up || found.count > 0))
			return ctl_output_fail(CTL_EXIT_CONFLICT, "CAIRN-0508",
					       "cairnctl lab down, or another --dir",
					       "there is a lab in '%s' already, with %u processes",
					       dir, found.count);
		if (!rc) {
			lab_links_down(&old);
			remove_run(&old);
			rc = remove_contents(dir);
		}
		return rc;
	}
	if (!folder_empty(dir))
		return ctl_output_fail(CTL_EXIT_CONFLICT, "CAIRN-0507",
				       "use an empty or a new folder",
				       "'%s' is not empty and not a lab", dir);
	if (chmod(dir, 0700) == 0)
		return CTL_EXIT_OK;
	return ctl_output_fail(CTL_EXIT_DENIED, "CAIRN-0503", "use another --dir",
			       "cannot make '%s' private: %s", dir, strerror(errno));
}

static int bring_up(const struct ctl_call *call, struct lab *lab)
{
	uint64_t patience = START_NS;
	uint32_t all = (1u << lab->nodes) - 1;
	int rc = ctl_args_duration(call, "wait", (struct ctl_range) { 1000000, 3600000000000ull },
				   &patience);

	if (!rc)
		rc = lab_state_save(lab);
	if (!rc)
		rc = lab_state_make_run(lab);
	if (!rc)
		rc = lab_state_save(lab); /* with the folder to remove */
	if (!rc)
		rc = lab_nodes_create(lab, all);
	if (!rc)
		rc = lab_nodes_format(lab, all);
	if (!rc)
		rc = lab->veth ? lab_links_up(lab) : lab_nodes_switch(lab, SWITCH_MS);
	if (!rc)
		rc = lab_state_save(lab); /* with the gateway's ports */
	if (!rc)
		rc = lab_nodes_start(lab, all);
	if (!rc)
		rc = lab_nodes_wait(lab, all, true, patience / 1000000);
	lab->up = true;
	return rc ? rc : lab_state_save(lab);
}

static void print_endpoints(const struct lab *lab)
{
	char endpoint[32];

	fputs("reach it by UDP: CAIRN_ENDPOINTS=", stderr);
	for (uint32_t i = 0; i < lab->nodes; i++) {
		lab_state_endpoint(lab, i, endpoint);
		fprintf(stderr, "%s%s%s", i ? "," : "", lab->veth ? "" : "gw:", endpoint);
	}
	fputc('\n', stderr);
}

int lab_up(const struct ctl_call *call)
{
	char dir[LAB_DIR_BYTES];
	uint64_t started = lab_process_now_ms();
	struct lab lab;
	int rc = lab_state_dir(call, dir);

	if (!rc)
		rc = read_options(call, &lab);
	if (!rc && lab.veth)
		rc = lab_links_check();
	if (!rc)
		rc = prepare_folder(dir);
	if (rc)
		return rc;
	memcpy(lab.dir, dir, sizeof(lab.dir));
	rc = bring_up(call, &lab);
	if (rc) {
		stop_all(dir, SIGTERM);
		lab_links_down(&lab);
		ctl_output_note("the folder '%s' is left for inspection; lab down removes it", dir);
		return rc;
	}
	if (call->format == CTL_JSON)
		return ctl_output_json("cairn.lab/1", lab_state_json(&lab));
	printf("%s\n", dir);
	ctl_output_note("%u nodes, %s, links %s, %u shards, durability %s, up in %.1f s", lab.nodes,
			lab.engine, lab.veth ? "veth" : "memif", lab.shards,
			strcmp(lab.engine, "raft") == 0 ? "quorum" : "all",
			(double)(lab_process_now_ms() - started) / 1000);
	print_endpoints(&lab);
	return ctl_output_flush();
}

int lab_down(const struct ctl_call *call)
{
	char dir[LAB_DIR_BYTES];
	struct lab lab;
	unsigned count;
	int rc = lab_state_dir(call, dir);

	if (rc)
		return rc;
	if (!lab_state_exists(dir)) {
		if (access(dir, F_OK) < 0) {
			ctl_output_note("there is no lab in '%s'", dir);
			return CTL_EXIT_OK;
		}
		return ctl_output_fail(CTL_EXIT_FAILED, "CAIRN-0509",
				       "name the lab's own folder with --dir",
				       "'%s' is not a lab: nothing in it is touched", dir);
	}
	rc = lab_state_lock(dir);
	if (!rc)
		rc = lab_state_load(dir, false, &lab);
	if (rc)
		return rc;
	count = stop_all(dir, SIGTERM);
	lab_links_down(&lab);
	remove_run(&lab);
	ctl_output_note("%u processes stopped, '%s' removed", count, dir);
	return remove_folder(dir);
}

static int load_locked(const struct ctl_call *call, struct lab *lab)
{
	char dir[LAB_DIR_BYTES];
	int rc = lab_state_dir(call, dir);

	if (!rc)
		rc = lab_state_load(dir, false, lab);
	if (!rc)
		rc = lab_state_lock(dir);
	return rc ? rc : lab_state_load(dir, false, lab); /* as it is now, under the lock */
}

/* The nodes that NODE|all means, as a bit set. */
static int read_nodes(const struct ctl_call *call, const struct lab *lab, uint32_t *ret_nodes)
{
	const char *text = call->argument_count ? call->argument[0] : "all";
	uint64_t node;

	*ret_nodes = (1u << lab->nodes) - 1;
	if (strcmp(text, "all") == 0)
		return CTL_EXIT_OK;
	if (!ctl_args_u64(text, &node) || node >= lab->nodes)
		return ctl_output_fail(CTL_EXIT_USAGE, "CAIRN-0523", NULL,
				       "'%s' is no node of this lab: use 0 to %u, or all", text,
				       lab->nodes - 1);
	*ret_nodes = 1u << node;
	return CTL_EXIT_OK;
}

int lab_kill(const struct ctl_call *call)
{
	const char *which = ctl_args_option(call, "only");
	bool daemon = !which || strcmp(which, "daemon") == 0;
	bool dataplane = !which || strcmp(which, "dataplane") == 0;
	unsigned count = 0;
	struct lab lab;
	uint32_t nodes;
	int rc = load_locked(call, &lab);

	if (!rc)
		rc = read_nodes(call, &lab, &nodes);
	if (!rc && !daemon && !dataplane)
		rc = ctl_output_fail(CTL_EXIT_USAGE, "CAIRN-0524", NULL,
				     "--only '%s': use daemon or dataplane", which);
	if (rc)
		return rc;
	/* The daemons first: they would start their dataplanes again. */
	if (daemon)
		count += stop_program(lab.dir, LAB_DAEMON, nodes, SIGKILL);
	if (dataplane)
		count += stop_program(lab.dir, LAB_DATAPLANE, nodes, SIGKILL);
	ctl_output_note("%u processes killed", count);
	return CTL_EXIT_OK;
}

static uint32_t running_nodes(const struct lab *lab, enum lab_program program)
{
	struct lab_processes found;
	uint32_t nodes = 0;

	lab_process_find(lab->dir, &found);
	for (unsigned i = 0; i < found.count; i++)
		if (found.process[i].program == program && found.process[i].node >= 0)
			nodes |= 1u << found.process[i].node;
	lab_process_release(&found);
	return nodes;
}

static bool switch_runs(const struct lab *lab)
{
	struct lab_processes found;
	pid_t pid;

	lab_process_find(lab->dir, &found);
	pid = lab_process_of(&found, LAB_SWITCH, LAB_NODE_NONE);
	lab_process_release(&found);
	return pid != 0;
}

int lab_start(const struct ctl_call *call)
{
	uint64_t patience = START_NS;
	struct lab lab;
	uint32_t nodes, all;
	int rc = ctl_args_duration(call, "wait", (struct ctl_range) { 1000000, 3600000000000ull },
				   &patience);

	if (!rc)
		rc = load_locked(call, &lab);
	if (!rc)
		rc = read_nodes(call, &lab, &nodes);
	if (!rc && !lab.veth && !switch_runs(&lab))
		rc = lab_nodes_switch(&lab, SWITCH_MS);
	if (rc)
		return rc;
	all = (1u << lab.nodes) - 1;
	rc = lab_nodes_start(&lab, nodes & ~running_nodes(&lab, LAB_DAEMON));
	/* With a majority of them it serves; with fewer, nodes wait for the others. */
	uint32_t running = running_nodes(&lab, LAB_DATAPLANE) | running_nodes(&lab, LAB_DAEMON);
	bool majority = (uint32_t)__builtin_popcount(running & all) > lab.nodes / 2;
	if (!rc)
		rc = lab_nodes_wait(&lab, nodes, majority, patience / 1000000);
	return rc;
}

/* introduce: the others' daemons are to know where the new one's is, for its obituaries. */
static int introduce(const struct lab *lab, uint32_t node)
{
	struct lab_processes found;
	int rc = lab_nodes_introduce(lab, node);

	lab_process_find(lab->dir, &found);
	for (unsigned i = 0; !rc && i < found.count; i++)
		if (found.process[i].program == LAB_DAEMON && found.process[i].node != (int)node)
			lab_process_signal(&found.process[i], SIGHUP);
	lab_process_release(&found);
	return rc;
}

/* A folder, a format to join, a process; it waits to be told who its cluster is. */
static int make_member(struct lab *lab, uint32_t node, uint64_t patience_ms)
{
	uint32_t bit = 1u << node;
	int rc;

	lab->nodes = node + 1;
	rc = lab_nodes_create(lab, bit);
	if (!rc)
		rc = lab_nodes_format(lab, bit);
	if (!rc && lab->veth)
		rc = lab_links_add(lab, node);
	if (!rc)
		rc = lab_state_save(lab);
	if (!rc)
		rc = lab_nodes_start(lab, bit);
	return rc ? rc : lab_nodes_wait(lab, bit, false, patience_ms);
}

int lab_add(const struct ctl_call *call)
{
	struct ctl_member_add add = { .witness = ctl_args_option(call, "witness") != NULL,
				      .learner = ctl_args_option(call, "learner") != NULL,
				      .replaces = -1 };
	uint64_t replaces = NODES_MAX, started = lab_process_now_ms();
	char name[16], address[16];
	struct lab lab;
	int rc = ctl_member_options(call);

	if (!rc)
		rc = load_locked(call, &lab);
	if (!rc)
		rc = ctl_args_number(call, "replaces", (struct ctl_range) { 0, NODES_MAX - 1 },
				     &replaces);
	if (!rc && lab.nodes == lab.ports)
		rc = ctl_output_fail(CTL_EXIT_CONFLICT, "CAIRN-0528",
				     "make a lab with more --spare ports",
				     "this lab has room for %u nodes, all taken", lab.ports);
	if (rc)
		return rc;
	add.node = lab.nodes;
	add.replaces = replaces < NODES_MAX ? (int)replaces : -1;
	lab.witnesses |= (uint32_t)add.witness << add.node;
	snprintf(name, sizeof(name), "node%u", (unsigned)add.node);
	snprintf(address, sizeof(address), "10.77.0.%u", (unsigned)add.node + 1);
	add.name = name;
	add.address = address;
	rc = make_member(&lab, (uint32_t)add.node, START_NS / 1000000);
	if (!rc)
		rc = introduce(&lab, (uint32_t)add.node);
	if (!rc)
		rc = ctl_member_add_node(call, &add);
	if (rc)
		return rc;
	ctl_output_note("node %u %s, %.1f s", (unsigned)add.node,
			ctl_args_option(call, "no-wait") ? "agreed on" : "added",
			(double)(lab_process_now_ms() - started) / 1000);
	return CTL_EXIT_OK;
}

/* One command line to the switch; its reply line, or a negative errno. */
static int switch_ask(const struct lab *lab, const char *command, char reply[SWITCH_REPLY_BYTES])
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	char path[LAB_PATH_BYTES], line[LAB_FAULT_BYTES + 32];
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0), n, rc = 0;
	struct timeval limit = { .tv_sec = 5 };
	size_t got = 0;
	ssize_t bytes = 1;

	lab_state_path(lab, "switch.sock", path);
	n = snprintf(line, sizeof(line), "%s\n", command);
	snprintf(address.sun_path, sizeof(address.sun_path), "%.107s", path);
	if (fd < 0 || setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof(limit)) < 0 ||
	    connect(fd, (struct sockaddr *)&address, sizeof(address)) < 0 ||
	    write(fd, line, (size_t)n) != n)
		rc = -errno;
	while (!rc && bytes > 0 && got < SWITCH_REPLY_BYTES - 1 && !memchr(reply, '\n', got)) {
		bytes = read(fd, reply + got, SWITCH_REPLY_BYTES - 1 - got);
		got += bytes > 0 ? (size_t)bytes : 0;
		rc = bytes < 0 ? -errno : 0;
	}
	if (fd >= 0)
		close(fd);
	reply[got] = '\0';
	reply[strcspn(reply, "\n")] = '\0';
	return rc;
}

static int switch_command(const struct lab *lab, const char *command)
{
	char reply[SWITCH_REPLY_BYTES];
	int rc;

	if (lab->veth)
		return ctl_output_fail(CTL_EXIT_FAILED, "CAIRN-0521",
				       "make the lab with --links memif",
				       "a veth lab has no switch that could make faults");
	rc = switch_ask(lab, command, reply);
	if (rc)
		return ctl_output_fail(CTL_EXIT_UNREACHABLE, "CAIRN-0525", "cairnctl lab start",
				       "the switch does not answer: %s", strerror(-rc));
	if (strncmp(reply, "ok", 2) != 0)
		return ctl_output_fail(CTL_EXIT_USAGE, "CAIRN-0519", "cairnctl help lab fault",
				       "'%s': the switch says: %s", command, reply);
	printf("%s\n", reply);
	return ctl_output_flush();
}

int lab_fault(const struct ctl_call *call)
{
	char command[LAB_FAULT_BYTES + 16];
	const char *text = call->argument_count ? call->argument[0] : NULL;
	struct lab lab;
	int rc = text ? check_fault(text) : CTL_EXIT_OK;

	if (!rc)
		rc = load_locked(call, &lab);
	if (rc)
		return rc;
	if (!text)
		return switch_command(&lab, "stats");
	snprintf(command, sizeof(command), "fault %s", text);
	rc = switch_command(&lab, command);
	if (rc)
		return rc;
	snprintf(lab.fault, sizeof(lab.fault), "%s", text);
	return lab_state_save(&lab);
}

int lab_partition(const struct ctl_call *call)
{
	char command[LAB_FAULT_BYTES + 16];
	const char *text = call->argument[0];
	struct lab lab;
	int rc = load_locked(call, &lab);

	if (rc)
		return rc;
	if (strcmp(text, "off") == 0)
		return switch_command(&lab, "heal");
	snprintf(command, sizeof(command), "%s %.200s", strchr(text, '>') ? "block" : "partition",
		 text);
	return switch_command(&lab, command);
}

static json_t *process_row(const struct lab *lab, const struct lab_processes *found,
			   enum lab_program program, int node)
{
	pid_t pid = lab_process_of(found, program, node);
	json_t *row = json_pack("{s:s, s:s}", "PROGRAM", lab_process_name(program), "STATE",
				pid ? "running" : "gone");
	char endpoint[32];

	if (pid)
		json_object_set_new(row, "PID", json_integer(pid));
	if (node >= 0)
		json_object_set_new(row, "NODE", json_integer(node));
	if (node >= 0 && program == LAB_DATAPLANE) {
		lab_state_endpoint(lab, (uint32_t)node, endpoint);
		json_object_set_new(row, "ENDPOINT", json_string(endpoint));
	}
	return row;
}

int lab_status(const struct ctl_call *call)
{
	static const char *const columns[] = {
		"PROGRAM", "NODE", "STATE", "PID", "ENDPOINT", NULL
	};
	json_t *rows = json_array(), *o;
	char dir[LAB_DIR_BYTES];
	struct lab_processes found;
	struct lab lab;
	int rc = lab_state_dir(call, dir);

	if (!rc)
		rc = lab_state_load(dir, false, &lab);
	if (rc) {
		json_decref(rows);
		return rc;
	}
	lab_process_find(dir, &found);
	if (!lab.veth)
		json_array_append_new(rows, process_row(&lab, &found, LAB_SWITCH, LAB_NODE_NONE));
	for (uint32_t i = 0; i < lab.nodes; i++) {
		json_array_append_new(rows, process_row(&lab, &found, LAB_DAEMON, (int)i));
		json_array_append_new(rows, process_row(&lab, &found, LAB_DATAPLANE, (int)i));
	}
	lab_process_release(&found);
	if (call->format == CTL_JSON) {
		o = lab_state_json(&lab);
		json_object_set(o, "processes", rows);
		rc = ctl_output_json("cairn.lab/1", o);
	} else {
		ctl_output_note("lab '%s', links %s, fault %s", dir, lab.veth ? "veth" : "memif",
				lab.fault);
		ctl_output_rows(call->format, call->no_header, columns, rows);
		rc = ctl_output_flush();
	}
	if (!rc && found.count < json_array_size(rows))
		rc = CTL_EXIT_FAILED;
	json_decref(rows);
	return rc;
}
