/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <getopt.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "dataplane/netdev_dpdk.h"
#include "perf/cairn_bench.h"
#include "perf/load.h"
#include "perf/report.h"

static const char help[] =
	"usage: cairn-bench run [options]\n\n"
	"  --target lab[:DIR]   the lab of 'cairnctl lab up' (default: lab)\n"
	"  --endpoints LIST     or UDP addresses: ADDRESS:PORT,.. in the order of the nodes\n"
	"  --transport memif|udp  memif: polled port of the lab's switch (default for a lab)\n"
	"  --op KIND            get, put, del, cas, incr or casv (default put)\n"
	"  --mix KIND:N,..      several kinds by weight: get:50,put:50\n"
	"  --rate R             open loop: R operations per second (suffix k, m; default 10k)\n"
	"  --closed             closed loop instead, with --inflight N (default 64) operations\n"
	"  --keys N             (default 10k)    --value BYTES  8 to 848 (default 64)\n"
	"  --secs S             (default 5)      --warmup S     (default 1)\n"
	"  --servers all|I      all nodes in turn, or node I only (default all)\n"
	"  --seed N             --timeout SECONDS (default 5)\n"
	"  --failover SECONDS   ask another node when one is silent so long (default: never)\n"
	"  --client J           which of the lab's client ports, 0.. (default 0)\n"
	"  --idle spin|adaptive (default: as the lab's nodes)\n"
	"  --record FILE        write the history, one operation a line\n"
	"  --result             also print: RESULT ops_s p50_us p99_us\n"
	"  -o table|json        (default table)\n";

struct settings {
	const char *lab_dir, *endpoints, *record;
	struct load_config load;
	double secs, warmup;
	bool udp, memif, json, result;
	bool idle_given, op_given, rate_given, inflight_given, closed;
};

static int parse_kind(const char *text, size_t bytes)
{
	for (int k = 0; k < CHECK_KIND_COUNT; k++)
		if (strlen(report_kind_name((enum check_kind)k)) == bytes &&
		    strncmp(report_kind_name((enum check_kind)k), text, bytes) == 0)
			return k;
	return -1;
}

static bool parse_mix(const char *text, struct settings *s)
{
	if (s->op_given)
		return bench_fail(0, "give --op or --mix once");
	s->op_given = true;
	for (const char *p = text; *p;) {
		size_t bytes = strcspn(p, ","), name = strcspn(p, ":,");
		char *end = NULL;
		unsigned long weight = p[name] == ':' ? strtoul(p + name + 1, &end, 10) : 1;
		int kind = parse_kind(p, name);

		if (kind < 0 || weight > 1000000 || (end && end != p + bytes))
			return bench_fail(
				0,
				"'%s': write KIND:WEIGHT,.. with the kinds get, put, del, "
				"cas, incr, casv",
				text);
		s->load.weight[kind] += (uint32_t)weight;
		p += bytes + (p[bytes] == ',');
	}
	for (uint32_t k = 0; k < CHECK_KIND_COUNT; k++)
		if (s->load.weight[k] > 0)
			return true;
	return bench_fail(0, "'%s': no kind has a weight above zero", text);
}

static bool parse_target(const char *text, struct settings *s)
{
	if (strcmp(text, "lab") == 0)
		return true;
	if (strncmp(text, "lab:", 4) != 0 || !text[4])
		return bench_fail(0, "--target '%s': lab or lab:DIR", text);
	s->lab_dir = text + 4;
	return true;
}

static bool parse_word(const char *option, const char *text, const char *a, const char *b,
		       bool *ret_is_b)
{
	if (strcmp(text, a) != 0 && strcmp(text, b) != 0)
		return bench_fail(0, "--%s '%s': %s or %s", option, text, a, b);
	*ret_is_b = strcmp(text, b) == 0;
	return true;
}

static bool parse_number_option(int option, const char *text, struct settings *s)
{
	double number = 0;
	uint64_t size = 0;
	bool ok = true;

	switch (option) {
	case 'R':
		s->rate_given = true;
		return bench_number("rate", text, 1, 1e8, &s->load.rate);
	case 'n':
		s->inflight_given = true;
		ok = bench_size("inflight", text, 1, LOAD_OPS_OPEN, &size);
		s->load.in_flight = (uint32_t)size;
		return ok;
	case 'k':
		return bench_size("keys", text, 1, 100000000, &s->load.keys);
	case 'v':
		ok = bench_size("value", text, LOAD_VALUE_MIN, VALUE_BYTES_MAX, &size);
		s->load.value_bytes = (uint32_t)size;
		return ok;
	case 's':
		return bench_number("secs", text, 0.01, 86400, &s->secs);
	case 'w':
		return bench_number("warmup", text, 0, 86400, &s->warmup);
	case 'S':
		return bench_size("seed", text, 0, UINT32_MAX, &s->load.seed);
	case 'T':
		ok = bench_number("timeout", text, 0.001, 3600, &number);
		s->load.timeout_ns = (uint64_t)(number * 1e9);
		return ok;
	case 'F':
		ok = bench_number("failover", text, 0.001, 3600, &number);
		s->load.failover_ns = (uint64_t)(number * 1e9);
		return ok;
	default:
		ok = bench_size("client", text, 0, 99, &size);
		s->load.client = (uint32_t)size;
		return ok;
	}
}

static bool parse_servers(const char *text, struct settings *s)
{
	uint64_t server;

	if (strcmp(text, "all") == 0)
		return true;
	if (!bench_size("servers", text, 0, NODES_MAX - 1, &server))
		return false;
	s->load.server = (int32_t)server;
	return true;
}

static bool parse_option(int option, const char *text, struct settings *s)
{
	bool memif_wanted = false;

	switch (option) {
	case 't':
		return parse_target(text, s);
	case 'e':
		s->endpoints = text;
		return true;
	case 'x':
		if (!parse_word("transport", text, "udp", "memif", &memif_wanted))
			return false;
		s->memif = memif_wanted;
		s->udp = !memif_wanted;
		return true;
	case 'm':
		return parse_mix(text, s);
	case 'c':
		s->closed = true;
		return true;
	case 'a':
		return parse_servers(text, s);
	case 'i':
		s->idle_given = true;
		return idle_policy_parse(text, &s->load.idle) ||
		       bench_fail(0, "--idle '%s': spin or adaptive", text);
	case 'f':
		s->record = text;
		return true;
	case 'r':
		s->result = true;
		return true;
	case 'o':
		return parse_word("o", text, "table", "json", &s->json);
	default:
		return parse_number_option(option, text, s);
	}
}

static int parse_options(int argc, char **argv, struct settings *s)
{
	static const struct option options[] = {
		{ "target", 1, NULL, 't' },    { "endpoints", 1, NULL, 'e' },
		{ "transport", 1, NULL, 'x' }, { "op", 1, NULL, 'm' },
		{ "mix", 1, NULL, 'm' },       { "rate", 1, NULL, 'R' },
		{ "closed", 0, NULL, 'c' },    { "inflight", 1, NULL, 'n' },
		{ "keys", 1, NULL, 'k' },      { "value", 1, NULL, 'v' },
		{ "secs", 1, NULL, 's' },      { "warmup", 1, NULL, 'w' },
		{ "servers", 1, NULL, 'a' },   { "seed", 1, NULL, 'S' },
		{ "timeout", 1, NULL, 'T' },   { "client", 1, NULL, 'j' },
		{ "failover", 1, NULL, 'F' },
		{ "idle", 1, NULL, 'i' },      { "record", 1, NULL, 'f' },
		{ "result", 0, NULL, 'r' },    { "output", 1, NULL, 'o' },
		{ "help", 0, NULL, 'h' },      { NULL, 0, NULL, 0 },
	};
	int option;

	while ((option = getopt_long(argc, argv, "o:h", options, NULL)) != -1) {
		if (option == 'h') {
			fputs(help, stdout);
			exit(BENCH_EXIT_OK);
		}
		if (option == '?' || !parse_option(option, optarg, s))
			return BENCH_EXIT_USAGE;
	}
	if (optind < argc)
		return bench_fail(BENCH_EXIT_USAGE, "'%s': options only", argv[optind]);
	if (s->closed && s->rate_given)
		return bench_fail(BENCH_EXIT_USAGE, "--rate is open loop: leave out --closed");
	if (!s->closed && s->inflight_given)
		return bench_fail(BENCH_EXIT_USAGE, "--inflight needs --closed");
	if (s->load.weight[CHECK_CASV] && 2 * s->load.value_bytes > VALUE_BYTES_MAX)
		return bench_fail(BENCH_EXIT_USAGE,
				  "--value %u: casv sends two values, so %u at most",
				  s->load.value_bytes, VALUE_BYTES_MAX / 2);
	if (!s->op_given)
		s->load.weight[CHECK_PUT] = 1;
	return BENCH_EXIT_OK;
}

static int find_target(struct settings *s, struct target *t)
{
	int rc = s->endpoints ? target_endpoints(s->endpoints, t) : target_lab(s->lab_dir, t);

	if (rc < 0)
		return BENCH_EXIT_FAILED;
	if (s->memif && !t->memif)
		return bench_fail(BENCH_EXIT_USAGE,
				  "--transport memif: only with a lab on memif links");
	s->memif = !s->udp && t->memif;
	if (s->memif && s->load.client >= t->memif_clients)
		return bench_fail(BENCH_EXIT_USAGE,
				  "--client %u: this lab has client ports 0 to %u", s->load.client,
				  t->memif_clients - 1);
	if (s->load.server >= (int32_t)t->node_count)
		return bench_fail(BENCH_EXIT_USAGE, "--servers %d: there are nodes 0 to %u",
				  s->load.server, t->node_count - 1);
	if (!s->idle_given)
		s->load.idle = t->spin ? IDLE_SPIN : IDLE_ADAPTIVE;
	return BENCH_EXIT_OK;
}

static int open_port(const struct settings *s, const struct target *t, struct port *port)
{
	char device[NETDEV_DEVICE_BYTES];
	const char *devices[] = { device };
	struct netdev_dpdk_options options = { .devices = devices, .device_count = 1 };
	struct netdev_error error;

	if (!s->memif)
		return port_udp(port, t);
	port_device(t, s->load.client, device);
	if (netdev_dpdk_start(&options, &error) < 0)
		return bench_fail(-EIO, "%s", error.text);
	return port_memif(port, t, s->load.client);
}

/* Enough for what the rate asks for; in a closed loop, for a million a second. */
static uint64_t records_for(const struct settings *s)
{
	double rate = s->closed ? 1e6 : s->load.rate;

	return (uint64_t)((s->secs + s->warmup) * rate * 1.1) + 12 * s->load.keys + 100000;
}

static int judge(const struct load *l, struct report *report)
{
	uint64_t count;
	const struct check_op *ops = load_history(l, &count);
	uint64_t start_ns = idle_clock_ns();
	int rc = check_history(ops, count, &report->check);

	if (rc != 0)
		return bench_fail(BENCH_EXIT_FAILED,
				  "the history of %" PRIu64
				  " operations could not be "
				  "checked: %s",
				  count, strerror(-rc));
	report->checked = count;
	report->check_secs = (double)(idle_clock_ns() - start_ns) / 1e9;
	return BENCH_EXIT_OK;
}

static int finish(const struct settings *s, struct load *l, struct report *report)
{
	int rc = judge(l, report);

	if (rc != 0)
		return rc;
	if (s->record && report_history(l, s->record) < 0)
		return BENCH_EXIT_FAILED;
	if (s->json)
		report_json(report);
	else
		report_table(report);
	if (s->result)
		printf("RESULT %.0f %.2f %.2f\n",
		       (double)report->result->all.count / report->result->secs,
		       (double)histogram_percentile(&report->result->all, 50) / 1e3,
		       (double)histogram_percentile(&report->result->all, 99) / 1e3);
	if (!report->check.ok)
		return bench_fail(BENCH_EXIT_FAILED, "CONSISTENCY VIOLATION: %s",
				  report->check.text);
	if (report->result->all.count == 0)
		return bench_fail(BENCH_EXIT_FAILED, "no operation succeeded");
	return BENCH_EXIT_OK;
}

int bench_run(int argc, char **argv)
{
	struct settings s = { .secs = 5,
			      .warmup = 1,
			      .load = { .keys = 10000,
					.value_bytes = 64,
					.rate = 10000,
					.in_flight = 64,
					.server = -1,
					.seed = 1,
					.timeout_ns = 5000000000ull } };
	static struct load_result result;
	struct report report = { .result = &result };
	struct target target;
	struct port port;
	struct load *load;
	int rc = parse_options(argc, argv, &s);

	if (rc == 0)
		rc = find_target(&s, &target);
	if (rc != 0)
		return rc;
	if (s.closed)
		s.load.rate = 0;
	if (open_port(&s, &target, &port) < 0)
		return BENCH_EXIT_FAILED;
	s.load.target = &target;
	s.load.port = &port;
	s.load.records_max = records_for(&s);
	report.load = &s.load;
	report.transport = s.memif ? "memif" : "udp";
	if (load_create(&s.load, &load) < 0)
		return BENCH_EXIT_FAILED;
	rc = load_prepare(load) < 0 ? BENCH_EXIT_FAILED : 0;
	if (rc == 0) {
		load_run(load, s.warmup, s.secs, &result);
		report.core = client_core_counters(load_core(load));
		rc = finish(&s, load, &report);
	}
	load_destroy(load);
	port_close(&port);
	if (s.memif)
		netdev_dpdk_stop();
	return rc;
}
