/* SPDX-License-Identifier: Apache-2.0 */
/* The commands `floor` and `latency`. */
#include <errno.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>

#include "perf/cairn_bench.h"
#include "perf/floor.h"
#include "perf/load.h"

#define SLICES_MAX 101u

static const char floor_help[] =
	"usage: cairn-bench floor [options]\n\n"
	"A private switch and three bare echo processes with one durable 4 KiB write each.\n\n"
	"  --secs S      (default 3)      --value BYTES  of the write it stands for (default 64)\n"
	"  --dir DIR     where the files go; the disk that is measured (default .)\n"
	"  --idle spin|adaptive           (default adaptive)\n"
	"  -o table|json\n";

static const char latency_help[] =
	"usage: cairn-bench latency [options]\n\n"
	"Durable writes, one in flight, over a polled port of the lab's switch, beside the floor:\n"
	"short slices of both in turn, medians over the slices.\n\n"
	"  --target lab[:DIR]  (default lab)      --slices N  of each (default 5)\n"
	"  --secs S            of one slice (default 1)\n"
	"  --value BYTES       (default 64)       --dir DIR   files of the floor (default: the "
	"lab's)\n"
	"  --client J          client port of the lab (default 0)\n"
	"  --max-ratio R       fail when p50 is more than R times the floor's\n"
	"  -o table|json\n";

struct settings {
	const char *help, *dir, *lab_dir;
	double secs, max_ratio;
	uint64_t value, slices, client;
	enum idle_policy idle;
	bool json, latency;
};

static bool parse_option(int option, const char *text, struct settings *s)
{
	switch (option) {
	case 's':
		return bench_number("secs", text, 0.05, 3600, &s->secs);
	case 'v':
		return bench_size("value", text, LOAD_VALUE_MIN, VALUE_BYTES_MAX, &s->value);
	case 'd':
		s->dir = text;
		return true;
	case 'i':
		return idle_policy_parse(text, &s->idle) ||
		       bench_fail(0, "--idle '%s': spin or adaptive", text);
	case 'o':
		s->json = strcmp(text, "json") == 0;
		return s->json || strcmp(text, "table") == 0 ||
		       bench_fail(0, "-o '%s': table or json", text);
	case 't':
		if (strncmp(text, "lab:", 4) == 0 && text[4])
			s->lab_dir = text + 4;
		else if (strcmp(text, "lab") != 0)
			return bench_fail(0, "--target '%s': lab or lab:DIR", text);
		return true;
	case 'n':
		return bench_size("slices", text, 1, SLICES_MAX, &s->slices);
	case 'j':
		return bench_size("client", text, 0, 99, &s->client);
	case 'm':
		return bench_number("max-ratio", text, 0.1, 1000, &s->max_ratio);
	default:
		return false;
	}
}

static int parse_options(int argc, char **argv, struct settings *s)
{
	static const struct option options[] = {
		{ "secs", 1, NULL, 's' },   { "value", 1, NULL, 'v' },
		{ "dir", 1, NULL, 'd' },    { "output", 1, NULL, 'o' },
		{ "help", 0, NULL, 'h' },   { "idle", 1, NULL, 'i' },
		{ "target", 1, NULL, 't' }, { "slices", 1, NULL, 'n' },
		{ "client", 1, NULL, 'j' }, { "max-ratio", 1, NULL, 'm' },
		{ NULL, 0, NULL, 0 },
	};
	int option;

	while ((option = getopt_long(argc, argv, "o:h", options, NULL)) != -1) {
		if (option == 'h') {
			fputs(s->help, stdout);
			exit(BENCH_EXIT_OK);
		}
		if (option == '?' || (!s->latency && option && strchr("tnjm", option)))
			return bench_fail(BENCH_EXIT_USAGE, "see cairn-bench %s --help", argv[0]);
		if (!parse_option(option, optarg, s))
			return BENCH_EXIT_USAGE;
	}
	if (optind < argc)
		return bench_fail(BENCH_EXIT_USAGE, "'%s': options only", argv[optind]);
	return BENCH_EXIT_OK;
}

static double us(uint64_t ns)
{
	return (double)ns / 1e3;
}

static void print_floor(const struct settings *s, const struct histogram *h)
{
	double p50 = us(histogram_percentile(h, 50)), p99 = us(histogram_percentile(h, 99));

	if (s->json) {
		printf("{\"schema\": \"cairn.floor/1\", \"requests\": %lu, \"p50_us\": %.2f, "
		       "\"p90_us\": "
		       "%.2f, \"p99_us\": %.2f, \"max_us\": %.2f, \"value_bytes\": %lu, \"idle\": "
		       "\"%s\"}\n",
		       (unsigned long)h->count, p50, us(histogram_percentile(h, 90)), p99,
		       us(h->max_ns), (unsigned long)s->value, idle_policy_name(s->idle));
		return;
	}
	printf("floor: bare echo of three processes with one durable 4 KiB write each, memif "
	       "through a "
	       "switch,\n%lu B values, idle %s, 1 in flight (closed loop)\n",
	       (unsigned long)s->value, idle_policy_name(s->idle));
	printf("%11s %9s %9s %9s %9s %10s\n", "ops/s", "p50 us", "p90 us", "p99 us", "p99.9 us",
	       "max us");
	printf("%11.0f %9.1f %9.1f %9.1f %9.1f %10.1f\n", h->count ? 1e9 / histogram_mean(h) : 0,
	       p50, us(histogram_percentile(h, 90)), p99, us(histogram_percentile(h, 99.9)),
	       us(h->max_ns));
}

static int start_dpdk(const char *const *devices, uint32_t count)
{
	struct netdev_dpdk_options options = { .devices = devices, .device_count = count };
	struct netdev_error error;
	int rc = netdev_dpdk_start(&options, &error);

	return rc < 0 ? bench_fail(rc, "%s", error.text) : 0;
}

int bench_floor(int argc, char **argv)
{
	struct settings s = {
		.help = floor_help, .dir = ".", .secs = 3, .value = 64, .idle = IDLE_ADAPTIVE
	};
	static struct histogram h;
	struct floor f;
	int rc = parse_options(argc, argv, &s);

	if (rc != 0)
		return rc;
	histogram_init(&h);
	rc = floor_start(&f, s.dir, (uint32_t)s.value, s.idle);
	if (rc == 0)
		rc = start_dpdk((const char *const[]) { f.device }, 1);
	if (rc == 0)
		rc = floor_connect(&f);
	if (rc == 0)
		rc = floor_run(&f, s.secs, &h);
	floor_stop(&f);
	if (rc < 0)
		return BENCH_EXIT_FAILED;
	print_floor(&s, &h);
	return BENCH_EXIT_OK;
}

/* ---- latency: the floor and the product in turn ---- */

struct slices {
	uint64_t p50_ns[2][SLICES_MAX], p99_ns[2][SLICES_MAX]; /* 0: floor, 1: product */
};

static int compare_u64(const void *a, const void *b)
{
	uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

	return x < y ? -1 : x > y;
}

static double median_us(const uint64_t *values, uint64_t count)
{
	uint64_t sorted[SLICES_MAX];

	memcpy(sorted, values, count * sizeof(*values));
	qsort(sorted, count, sizeof(*sorted), compare_u64);
	return us(count % 2 ? sorted[count / 2] : (sorted[count / 2 - 1] + sorted[count / 2]) / 2);
}

static int take_slices(const struct settings *s, struct floor *f, struct load *l,
		       struct slices *out)
{
	static struct load_result result;
	static struct histogram h;

	for (uint64_t i = 0; i < s->slices; i++) {
		/* Waiting processes cost time too: the product must not pay for the floor's. */
		histogram_init(&h);
		floor_pause(f, false);
		if (floor_run(f, s->secs, &h) < 0)
			return -EIO;
		floor_pause(f, true);
		load_run(l, s->secs / 20, s->secs, &result);
		if (result.all.count == 0)
			return bench_fail(-EIO, "no write succeeded; see 'cairnctl health'");
		out->p50_ns[0][i] = histogram_percentile(&h, 50);
		out->p99_ns[0][i] = histogram_percentile(&h, 99);
		out->p50_ns[1][i] = histogram_percentile(&result.all, 50);
		out->p99_ns[1][i] = histogram_percentile(&result.all, 99);
	}
	return 0;
}

static int print_latency(const struct settings *s, const struct slices *t)
{
	double p50[2], p99[2], ratio;
	bool over;

	for (uint32_t i = 0; i < 2; i++) {
		p50[i] = median_us(t->p50_ns[i], s->slices);
		p99[i] = median_us(t->p99_ns[i], s->slices);
	}
	ratio = p50[1] / p50[0];
	over = s->max_ratio > 0 && ratio > s->max_ratio;
	if (s->json) {
		printf("{\"schema\": \"cairn.latency/1\", \"floor_p50_us\": %.2f, "
		       "\"floor_p99_us\": %.2f, "
		       "\"put_p50_us\": %.2f, \"put_p99_us\": %.2f, \"ratio_p50\": %.3f, "
		       "\"slices\": %lu, "
		       "\"slice_secs\": %g, \"value_bytes\": %lu, \"durability\": \"all disks\", "
		       "\"transport\": \"memif\", \"in_flight\": 1}\n",
		       p50[0], p99[0], p50[1], p99[1], ratio, (unsigned long)s->slices, s->secs,
		       (unsigned long)s->value);
	} else {
		printf("durable put, all disks, memif through a switch, %lu B values, 1 in flight "
		       "(closed "
		       "loop),\nmedians of %lu slices of %g s, floor and product in turn (the floor"
		       " is stopped while the product runs)\n",
		       (unsigned long)s->value, (unsigned long)s->slices, s->secs);
		printf("%-8s %9s %9s\n", "", "p50 us", "p99 us");
		printf("%-8s %9.1f %9.1f\n%-8s %9.1f %9.1f\n", "floor", p50[0], p99[0], "put",
		       p50[1], p99[1]);
		printf("ratio of p50: %.2f\n", ratio);
	}
	if (over)
		return bench_fail(BENCH_EXIT_FAILED,
				  "p50 is %.2f times the floor's, more than %.2f", ratio,
				  s->max_ratio);
	return BENCH_EXIT_OK;
}

static int check_load(const struct load *l)
{
	struct check_result result;
	uint64_t count;
	const struct check_op *ops = load_history(l, &count);
	int rc = check_history(ops, count, &result);

	if (rc < 0)
		return bench_fail(BENCH_EXIT_FAILED, "the history could not be checked: %s",
				  strerror(-rc));
	if (!result.ok)
		return bench_fail(BENCH_EXIT_FAILED, "CONSISTENCY VIOLATION: %s", result.text);
	return BENCH_EXIT_OK;
}

static int measure(const struct settings *s, const struct target *target, struct floor *f)
{
	static struct slices slices;
	struct port port;
	struct load_config config = {
		.target = target,
		.port = &port,
		.weight = { [CHECK_PUT] = 1 },
		.keys = 1000,
		.value_bytes = (uint32_t)s->value,
		.in_flight = 1,
		.server = -1,
		.seed = 1,
		.client = (uint32_t)s->client,
		.timeout_ns = 5000000000ull,
		.idle = s->idle,
		.records_max = (uint64_t)((double)s->slices * s->secs * 1.1 * 200e3) + 100000,
	};
	struct load *l;
	int rc;

	if (port_memif(&port, target, (uint32_t)s->client) < 0 || floor_connect(f) < 0 ||
	    load_create(&config, &l) < 0)
		return BENCH_EXIT_FAILED;
	rc = load_prepare(l) < 0 || take_slices(s, f, l, &slices) < 0 ? BENCH_EXIT_FAILED : 0;
	if (rc == 0)
		rc = check_load(l);
	if (rc == 0)
		rc = print_latency(s, &slices);
	load_destroy(l);
	return rc;
}

int bench_latency(int argc, char **argv)
{
	struct settings s = {
		.help = latency_help, .secs = 1, .value = 64, .slices = 5, .latency = true
	};
	char device[NETDEV_DEVICE_BYTES];
	struct target target;
	struct floor f;
	int rc = parse_options(argc, argv, &s);

	if (rc != 0)
		return rc;
	if (target_lab(s.lab_dir, &target) < 0)
		return BENCH_EXIT_FAILED;
	if (!target.memif || s.client >= target.memif_clients)
		return bench_fail(BENCH_EXIT_FAILED, "this lab has no memif client port %lu",
				  (unsigned long)s.client);
	s.idle = target.spin ? IDLE_SPIN : IDLE_ADAPTIVE;
	port_device(&target, (uint32_t)s.client, device);
	rc = floor_start(&f, s.dir ? s.dir : target.dir, (uint32_t)s.value, s.idle);
	if (rc == 0)
		rc = start_dpdk((const char *const[]) { f.device, device }, 2);
	rc = rc < 0 ? BENCH_EXIT_FAILED : measure(&s, &target, &f);
	floor_stop(&f);
	return rc;
}
