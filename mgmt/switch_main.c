/* SPDX-License-Identifier: Apache-2.0 */
/* cairn-switch: the lab's wire: memif ports, UDP gateway, fault injector. See dataplane/switch.h.
 */
#include <errno.h>
#include <getopt.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "dataplane/gateway_udp.h"
#include "dataplane/idle.h"
#include "dataplane/netdev_dpdk.h"
#include "dataplane/switch.h"
#include "dataplane/switch_control.h"

#define EXIT_USAGE	  2
#define LAB_NETWORK	  0x0a4d0000u /* 10.77.0.0/24 */
#define LAB_GATEWAY_HOST  250u
#define PORT_BASE_DEFAULT 7400u

static const char usage[] =
	"usage: cairn-switch --socket NAME --nodes N [options]\n"
	"\n"
	"  --socket NAME       abstract memif socket name; nodes are ids 0.., clients follow\n"
	"  --nodes N           ports for nodes, 1 to 7\n"
	"  --clients M         further ports, for clients (default 1)\n"
	"  --port-base P       UDP port of shard 0 on the nodes (default 7400)\n"
	"  --gateway 127.0.0.1:P0,P1,..\n"
	"                      one UDP port per node that leads to it; 0: any free one\n"
	"  --control PATH      UNIX socket for: fault SPEC|off, partition 0|1,2, block 0>1, heal, "
	"stats\n"
	"  --fault SPEC        faults from the start: seed=7,drop=2%,dup=1%,delay=5%,hold=50-500,\n"
	"                      corrupt=1%,truncate=1%,replay=1%\n"
	"  --ready-file PATH   written as JSON when everything is open\n"
	"  --idle spin|adaptive  (default adaptive)\n"
	"  --buffers N         frame buffers (default 8192)\n";

struct settings {
	const char *socket, *control, *fault, *ready_file, *gateway;
	uint32_t nodes, clients, buffers;
	uint16_t port_base;
	enum idle_policy idle;
};

struct running {
	struct settings set;
	struct switch_fault_spec fault;
	struct switch_config config;
	struct switch_plane *sw;
	struct switch_control *control;
	void *mem, *control_mem;
	char device[SWITCH_PORTS_MAX][NETDEV_DEVICE_BYTES];
	const char *devices[SWITCH_PORTS_MAX];
};

static atomic_bool stop;

_Noreturn void must_failed(const char *expression, const char *file, int line)
{
	fprintf(stderr, "cairn-switch: %s:%d: must(%s) failed\n", file, line, expression);
	abort();
}

static void on_signal(int number)
{
	(void)number;
	atomic_store_explicit(&stop, true, memory_order_relaxed);
}

static bool parse_u32(const char *text, uint32_t min, uint32_t max, uint32_t *ret_value)
{
	char *end;

	errno = 0;
	unsigned long v = strtoul(text, &end, 10);

	if (errno || end == text || *end || text[0] == '-' || v < min || v > max)
		return false;
	*ret_value = (uint32_t)v;
	return true;
}

static int bad_option(const char *name, const char *value, const char *cure)
{
	fprintf(stderr, "cairn-switch: --%s '%s': %s\n", name, value, cure);
	return EXIT_USAGE;
}

static int set_option(struct settings *s, int option, const char *value)
{
	uint32_t number;

	switch (option) {
	case 's':
		s->socket = value;
		return 0;
	case 'n':
		return parse_u32(value, 1, NODES_MAX, &s->nodes)
			       ? 0
			       : bad_option("nodes", value, "a number, 1 to 7");
	case 'm':
		return parse_u32(value, 0, SWITCH_PORTS_MAX - NODES_MAX, &s->clients)
			       ? 0
			       : bad_option("clients", value, "a number, 0 to 25");
	case 'p':
		if (!parse_u32(value, 1, UINT16_MAX - SHARDS_MAX, &number))
			return bad_option("port-base", value, "a port, 1 to 65471");
		s->port_base = (uint16_t)number;
		return 0;
	case 'b':
		return parse_u32(value, NETDEV_BUFFERS_MIN, NETDEV_BUFFERS_MAX, &s->buffers)
			       ? 0
			       : bad_option("buffers", value, "a number, 1024 to 1048576");
	case 'g':
		s->gateway = value;
		return 0;
	case 'c':
		s->control = value;
		return 0;
	case 'f':
		s->fault = value;
		return 0;
	case 'r':
		s->ready_file = value;
		return 0;
	case 'i':
		return idle_policy_parse(value, &s->idle)
			       ? 0
			       : bad_option("idle", value, "spin or adaptive");
	default:
		return EXIT_USAGE; /* getopt has said what it does not know */
	}
}

static int parse_options(int argc, char **argv, struct settings *s)
{
	static const struct option options[] = {
		{ "socket", 1, NULL, 's' },  { "nodes", 1, NULL, 'n' },
		{ "clients", 1, NULL, 'm' }, { "port-base", 1, NULL, 'p' },
		{ "gateway", 1, NULL, 'g' }, { "control", 1, NULL, 'c' },
		{ "fault", 1, NULL, 'f' },   { "ready-file", 1, NULL, 'r' },
		{ "idle", 1, NULL, 'i' },    { "buffers", 1, NULL, 'b' },
		{ "help", 0, NULL, 'h' },    { NULL, 0, NULL, 0 },
	};
	int option;

	while ((option = getopt_long(argc, argv, "", options, NULL)) != -1) {
		if (option == 'h') {
			fputs(usage, stdout);
			exit(0);
		}
		int r = set_option(s, option, optarg);

		if (r)
			return r;
	}
	if (optind < argc)
		return bad_option("socket", argv[optind], "no arguments besides options");
	if (s->socket && s->nodes)
		return 0;
	fprintf(stderr, "cairn-switch: --socket and --nodes are needed\n%s", usage);
	return EXIT_USAGE;
}

static struct frame_addr lab_address(uint8_t host)
{
	return (struct frame_addr) {
		.mac = { 0x02, 0xca, 0x1a, 0x00, 0x00, host },
		.ip = LAB_NETWORK | host,
	};
}

static int parse_gateway(const struct settings *s, struct gateway_udp_config *config)
{
	static const char prefix[] = "127.0.0.1:";
	const char *p = s->gateway + sizeof(prefix) - 1;
	static const char cure[] = "127.0.0.1:PORT,PORT,.. with one port (or 0) for each node";

	if (strncmp(s->gateway, prefix, sizeof(prefix) - 1) != 0)
		return bad_option("gateway", s->gateway, cure);
	config->node_count = s->nodes;
	config->self = lab_address(LAB_GATEWAY_HOST);
	for (uint32_t i = 0; i < s->nodes; i++) {
		char *end;
		unsigned long port = strtoul(p, &end, 10);

		if (end == p || port > UINT16_MAX || *end != (i + 1 < s->nodes ? ',' : 0))
			return bad_option("gateway", s->gateway, cure);
		config->listen_port[i] = (uint16_t)port;
		config->node[i] = lab_address((uint8_t)(i + 1));
		config->node[i].port = s->port_base;
		p = end + 1;
	}
	return 0;
}

static int report(const struct netdev_error *error)
{
	fprintf(stderr, "cairn-switch: %s\n", error->text);
	return EXIT_FAILURE;
}

static int open_gateway(struct running *r)
{
	struct gateway_udp_config config = { 0 };
	struct netdev_error error;

	if (!r->set.gateway)
		return 0;
	int code = parse_gateway(&r->set, &config);

	if (code)
		return code;
	return gateway_udp_open(&config, &r->config.gateway, &error) < 0 ? report(&error) : 0;
}

static int open_ports(struct running *r)
{
	struct netdev_dpdk_options options = { .devices = r->devices, .buffers = r->set.buffers };
	struct netdev_error error;

	r->config.port_count = r->set.nodes + r->set.clients;
	options.device_count = r->config.port_count;
	for (uint32_t i = 0; i < r->config.port_count; i++) {
		int n = snprintf(r->device[i], sizeof(r->device[i]), "memif-server:%s:%u",
				 r->set.socket, i);

		if (n >= (int)sizeof(r->device[i]))
			return bad_option("socket", r->set.socket, "at most 48 characters");
		r->devices[i] = r->device[i];
	}
	if (netdev_dpdk_start(&options, &error) < 0)
		return report(&error);
	for (uint32_t i = 0; i < r->config.port_count; i++) {
		struct netdev_dpdk_port port = { .device = r->device[i], .queue_count = 1 };

		if (netdev_dpdk_open(&port, &r->config.port[i], &error) < 0)
			return report(&error);
	}
	return 0;
}

/* A JSON string; the paths and names are ours or the user's, quotes in them included. */
static void json_string(FILE *f, const char *text)
{
	fputc('"', f);
	for (const unsigned char *p = (const unsigned char *)text; *p; p++) {
		if (*p == '"' || *p == '\\')
			fprintf(f, "\\%c", *p);
		else if (*p < 0x20)
			fprintf(f, "\\u%04x", *p);
		else
			fputc(*p, f);
	}
	fputc('"', f);
}

static int write_ready(const struct running *r)
{
	const char *path = r->set.ready_file;
	char temporary[4096];

	if (!path)
		return 0;
	snprintf(temporary, sizeof(temporary), "%s.tmp", path);
	FILE *f = fopen(temporary, "we");

	if (!f) {
		fprintf(stderr, "cairn-switch: cannot write %s: %s\n", temporary, strerror(errno));
		return EXIT_FAILURE;
	}
	fprintf(f, "{\"pid\": %d, \"socket\": ", getpid());
	json_string(f, r->set.socket);
	fprintf(f, ", \"nodes\": %u, \"clients\": %u, \"port_base\": %u, \"memory\": \"%s\", ",
		r->set.nodes, r->set.clients, r->set.port_base, netdev_dpdk_memory());
	fprintf(f, "\"gateway_ports\": [");
	for (uint32_t i = 0; r->config.gateway && i < r->set.nodes; i++)
		fprintf(f, "%s%u", i ? ", " : "", gateway_udp_port(r->config.gateway, i));
	fprintf(f, "], \"control\": ");
	json_string(f, r->set.control ? r->set.control : "");
	fprintf(f, "}\n");
	if (fclose(f) != 0 || rename(temporary, path) != 0) {
		fprintf(stderr, "cairn-switch: cannot write %s: %s\n", path, strerror(errno));
		return EXIT_FAILURE;
	}
	return 0;
}

static void run(struct running *r)
{
	struct idle idle;

	idle_init(&idle, r->set.idle);
	while (!atomic_load_explicit(&stop, memory_order_relaxed)) {
		uint64_t now_ns = idle_clock_ns();

		if (r->control)
			switch_control_poll(r->control, r->sw, now_ns);
		if (switch_poll(r->sw, now_ns) > 0)
			idle_reset(&idle);
		else
			idle_wait(&idle, now_ns, switch_deadline_ns(r->sw));
	}
}

static int check_fault(struct running *r)
{
	const char *bad;
	uint32_t bytes;

	if (!r->set.fault || switch_fault_parse(r->set.fault, &r->fault, &bad, &bytes) == 0)
		return 0;
	fprintf(stderr, "cairn-switch: --fault '%s': '%.*s' is wrong: see --help\n", r->set.fault,
		(int)bytes, bad);
	return EXIT_USAGE;
}

static int open_control(struct running *r)
{
	struct netdev_error error;

	if (!r->set.control)
		return 0;
	r->control_mem = malloc(switch_control_size());
	if (!r->control_mem) {
		fprintf(stderr, "cairn-switch: no memory for the control socket\n");
		return EXIT_FAILURE;
	}
	return switch_control_open(r->control_mem, r->set.control, &r->control, &error) < 0
		       ? report(&error)
		       : 0;
}

static int start(struct running *r)
{
	int code = check_fault(r);

	if (!code)
		code = open_gateway(r);
	if (!code)
		code = open_control(r);
	if (!code)
		code = open_ports(r);
	if (code)
		return code;
	r->mem = aligned_alloc(64, round_up(switch_size(), 64));
	if (!r->mem) {
		fprintf(stderr, "cairn-switch: no memory for the switch\n");
		return EXIT_FAILURE;
	}
	r->sw = switch_init(r->mem, &r->config);
	if (r->set.fault)
		switch_fault_set(switch_faults(r->sw), &r->fault);
	return write_ready(r);
}

static void finish(struct running *r)
{
	if (r->sw)
		switch_flush(r->sw);
	if (r->config.gateway && r->config.port[0])
		gateway_udp_close(r->config.gateway, r->config.port[0]);
	if (r->control)
		switch_control_close(r->control);
	netdev_dpdk_stop();
	if (r->set.ready_file && r->sw)
		(void)unlink(r->set.ready_file);
	free(r->control_mem);
	free(r->mem);
}

int main(int argc, char **argv)
{
	static struct running r = {
		.set = { .clients = 1, .port_base = PORT_BASE_DEFAULT, .idle = IDLE_ADAPTIVE },
	};
	struct sigaction action = { .sa_handler = on_signal };
	int code = parse_options(argc, argv, &r.set);

	if (code)
		return code;
	sigaction(SIGTERM, &action, NULL);
	sigaction(SIGINT, &action, NULL);
	code = start(&r);
	if (!code)
		run(&r);
	finish(&r);
	return code;
}
