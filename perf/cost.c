/* SPDX-License-Identifier: Apache-2.0 */
/*
 * cairn-cost write|read COUNT: exactly COUNT committed 64-byte writes, or local reads, on three
 * replicas in memory (trio.h), after a warm-up that leaves every table as full as it gets. For a
 * counting profiler (cost.sh): what two counts differ in is what the operations between cost.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "perf/trio.h"

#define KEY_BYTES   16u
#define VALUE_BYTES 64u
#define KEYS	    1000u
#define WARM_WRITES (10u * KEYS)
#define COUNT_MAX   10000000ull

_Noreturn void must_failed(const char *expression, const char *file, int line)
{
	fprintf(stderr, "cairn-cost: %s:%d: must(%s) failed\n", file, line, expression);
	abort();
}

static void make_key(uint8_t *key, uint64_t i)
{
	memcpy(key, "cost key", 8);
	store_u64(key + 8, i % KEYS);
}

/* Coordinators take turns. */
static void write_some(struct trio *t, uint64_t count)
{
	uint8_t key[KEY_BYTES], value[VALUE_BYTES];
	struct wire_message put = { .type = WIRE_PUT,
				    .key = key,
				    .key_bytes = KEY_BYTES,
				    .value = value,
				    .value_bytes = VALUE_BYTES };

	memset(value, 0xa5, sizeof(value));
	for (uint64_t i = 0; i < count; i++) {
		make_key(key, i);
		store_u64(value, i);
		must(trio_request(t, (uint8_t)(i % 3), &put) == STATUS_OK);
	}
}

static void read_some(struct trio *t, uint64_t count)
{
	uint8_t key[KEY_BYTES];
	struct wire_message get = { .type = WIRE_GET, .key = key, .key_bytes = KEY_BYTES };

	for (uint64_t i = 0; i < count; i++) {
		make_key(key, i);
		must(trio_request(t, (uint8_t)(i % 3), &get) == STATUS_OK);
	}
}

int main(int argc, char **argv)
{
	unsigned long long count = 0;
	struct trio *t;
	char *end = "";

	errno = 0;
	if (argc == 3)
		count = strtoull(argv[2], &end, 10);
	if (count == 0 || count > COUNT_MAX || *end != '\0' || errno != 0 ||
	    (strcmp(argv[1], "write") != 0 && strcmp(argv[1], "read") != 0)) {
		fprintf(stderr, "usage: cairn-cost write|read COUNT (1 to %llu)\n", COUNT_MAX);
		return 2;
	}
	t = trio_create(KEYS + 24);
	if (!t) {
		fprintf(stderr, "cairn-cost: no memory for three replicas\n");
		return 1;
	}
	write_some(t, WARM_WRITES);
	if (strcmp(argv[1], "write") == 0)
		write_some(t, count);
	else
		read_some(t, count);
	trio_destroy(t);
	return 0;
}
