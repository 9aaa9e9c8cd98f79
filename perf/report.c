/* SPDX-License-Identifier: Apache-2.0 */
#include "perf/report.h"

#include <errno.h>
#include <inttypes.h>
#include <jansson.h>
#include <stdio.h>

#include "perf/cairn_bench.h"
#include "tests/check/check_file.h"

static const double percents[] = { 50, 90, 99, 99.9 };
static const char *const percent_names[] = { "p50_us", "p90_us", "p99_us", "p99_9_us" };

const char *report_kind_name(enum check_kind kind)
{
	static const char *const names[CHECK_KIND_COUNT] = { "get", "put",  "del",
							     "cas", "incr", "casv" };

	return names[kind];
}

static const char *durability_name(enum durability durability)
{
	switch (durability) {
	case DURABILITY_MEMORY:
		return "memory";
	case DURABILITY_QUORUM:
		return "quorum";
	case DURABILITY_ALL:
		return "all disks";
	}
	return "unknown";
}

static void print_row(const char *name, const struct histogram *h, double secs)
{
	printf("%-5s %11.0f", name, secs > 0 ? (double)h->count / secs : 0);
	for (size_t i = 0; i < ARRAY_LEN(percents); i++)
		printf(" %9.1f", (double)histogram_percentile(h, percents[i]) / 1e3);
	printf(" %10.1f\n", (double)h->max_ns / 1e3);
}

static void print_outcomes(const struct report *r)
{
	for (uint32_t k = 0; k < CHECK_KIND_COUNT; k++) {
		for (uint32_t s = 1; s < STATUS_COUNT; s++) {
			if (r->result->outcome[k][s] == 0)
				continue;
			printf("      %s %s: %" PRIu64 "\n", report_kind_name((enum check_kind)k),
			       status_name((enum status)s), r->result->outcome[k][s]);
		}
	}
}

static void print_head(const struct report *r)
{
	const struct load_config *c = r->load;

	if (c->rate > 0)
		printf("open loop, poisson, %.0f/s, latency from the intended send time\n",
		       c->rate);
	else
		printf("closed loop: not latency under load; %u in flight\n", c->in_flight);
	printf("%u nodes, %s, durability %s, %u B values, %" PRIu64
	       " keys, transport %s, idle %s, %.1f s\n",
	       c->target->node_count, c->server < 0 ? "all asked in turn" : "one asked",
	       durability_name(r->result->durability), c->value_bytes, c->keys, r->transport,
	       idle_policy_name(c->idle), r->result->secs);
}

void report_table(const struct report *r)
{
	uint32_t kinds = 0;

	print_head(r);
	printf("%-5s %11s %9s %9s %9s %9s %10s\n", "op", "ops/s", "p50 us", "p90 us", "p99 us",
	       "p99.9 us", "max us");
	for (uint32_t k = 0; k < CHECK_KIND_COUNT; k++) {
		if (r->load->weight[k] == 0)
			continue;
		print_row(report_kind_name((enum check_kind)k), &r->result->latency[k],
			  r->result->secs);
		kinds++;
	}
	if (kinds > 1)
		print_row("all", &r->result->all, r->result->secs);
	print_outcomes(r);
	if (r->core->retransmits > 0)
		printf("      requests sent again: %" PRIu64 "\n", r->core->retransmits);
	if (r->result->unsent > 0)
		printf("      overload: %" PRIu64 " operations were due and could not be sent\n",
		       r->result->unsent);
	if (r->result->records_full)
		printf("      ended early: no more operations could be remembered\n");
	printf("check %" PRIu64 " operations on %" PRIu64 " keys, %" PRIu64
	       " unknown, %s, %.2f s\n",
	       r->checked, r->check.keys, r->check.unknown_applied + r->check.unknown_dropped,
	       r->check.ok ? "linearizable" : "VIOLATION", r->check_secs);
}

static json_t *histogram_json(const struct histogram *h, double secs)
{
	json_t *o = json_object();

	json_object_set_new(o, "count", json_integer((json_int_t)h->count));
	json_object_set_new(o, "ops_s", json_real(secs > 0 ? (double)h->count / secs : 0));
	for (size_t i = 0; i < ARRAY_LEN(percents); i++)
		json_object_set_new(o, percent_names[i],
				    json_real((double)histogram_percentile(h, percents[i]) / 1e3));
	json_object_set_new(o, "max_us", json_real((double)h->max_ns / 1e3));
	json_object_set_new(o, "mean_us", json_real(histogram_mean(h) / 1e3));
	return o;
}

static json_t *kinds_json(const struct report *r)
{
	json_t *kinds = json_object();

	for (uint32_t k = 0; k < CHECK_KIND_COUNT; k++) {
		json_t *o, *outcomes;

		if (r->load->weight[k] == 0)
			continue;
		o = histogram_json(&r->result->latency[k], r->result->secs);
		outcomes = json_object();
		for (uint32_t s = 0; s < STATUS_COUNT; s++)
			if (r->result->outcome[k][s] > 0)
				json_object_set_new(
					outcomes, status_name((enum status)s),
					json_integer((json_int_t)r->result->outcome[k][s]));
		json_object_set_new(o, "outcomes", outcomes);
		json_object_set_new(kinds, report_kind_name((enum check_kind)k), o);
	}
	return kinds;
}

void report_json(const struct report *r)
{
	const struct load_config *c = r->load;
	json_t *o = json_pack("{s:s, s:s, s:s, s:s, s:s, s:i, s:i, s:I, s:f}", "schema",
			      "cairn.bench/1", "loop", c->rate > 0 ? "open" : "closed", "transport",
			      r->transport, "durability", durability_name(r->result->durability),
			      "idle", idle_policy_name(c->idle), "nodes",
			      (int)c->target->node_count, "value_bytes", (int)c->value_bytes,
			      "keys", (json_int_t)c->keys, "secs", r->result->secs);

	if (c->rate > 0)
		json_object_set_new(o, "rate", json_real(c->rate));
	else
		json_object_set_new(o, "in_flight", json_integer(c->in_flight));
	json_object_set_new(o, "all", histogram_json(&r->result->all, r->result->secs));
	json_object_set_new(o, "ops", kinds_json(r));
	json_object_set_new(o, "unsent", json_integer((json_int_t)r->result->unsent));
	json_object_set_new(o, "retransmits", json_integer((json_int_t)r->core->retransmits));
	json_object_set_new(o, "ended_early", json_boolean(r->result->records_full));
	json_object_set_new(o, "checked", json_integer((json_int_t)r->checked));
	json_object_set_new(o, "linearizable", json_boolean(r->check.ok));
	if (!r->check.ok)
		json_object_set_new(o, "violation", json_string(r->check.text));
	json_dumpf(o, stdout, JSON_INDENT(2) | JSON_REAL_PRECISION(9));
	putchar('\n');
	json_decref(o);
}

int report_history(const struct load *l, const char *path)
{
	uint64_t count;
	const struct check_op *ops = load_history(l, &count);
	FILE *f = fopen(path, "we");
	char key[64];
	bool failed;

	if (!f)
		return bench_fail(-errno, "--record '%s': %s", path, strerror(errno));
	fputs(CHECK_FILE_HEAD, f);
	for (uint64_t i = 0; i < count; i++) {
		uint32_t key_bytes = load_key_text(l, ops[i].key, key);

		check_file_write_line(f, &ops[i], key, key_bytes);
	}
	failed = ferror(f) != 0;
	if (fclose(f) != 0 || failed)
		return bench_fail(-errno, "--record '%s': %s", path, strerror(errno));
	return 0;
}
