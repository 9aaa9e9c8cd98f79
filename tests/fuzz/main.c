/* SPDX-License-Identifier: Apache-2.0 */
/*
 * main.c: runs a fuzz target without an engine: every file of a corpus as it is, then mutations of
 * them from a fixed seed, so that plain builds, arm64 included, exercise the same decoders.
 *
 *   fuzz_<target> [--mutations N] [--seed S] FILE-OR-FOLDER...
 *
 * With --mutations 0 and the file an engine left behind, it replays that input.
 */
#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>

#include "tests/fuzz/fuzz.h"
#include "tests/sim/rng.h"

#define INPUTS_MAX	1024u
#define INPUT_BYTES_MAX 65536u

struct input {
	uint8_t *data;
	size_t bytes;
};

static struct input inputs[INPUTS_MAX];
static uint32_t input_count;
static uint8_t scratch[INPUT_BYTES_MAX];

static void run(const uint8_t *data, size_t bytes)
{
	/* An exact heap copy, so that a sanitizer sees the first byte read past the end. */
	uint8_t *copy = malloc(bytes + 1);

	must(copy != NULL);
	if (bytes > 0)
		memcpy(copy, data, bytes);
	uint8_t *exact = realloc(copy, bytes > 0 ? bytes : 1);
	must(exact != NULL);
	LLVMFuzzerTestOneInput(exact, bytes);
	free(exact);
}

static int load_file(const char *path)
{
	FILE *f = fopen(path, "rb");
	size_t n;

	if (f == NULL) {
		fprintf(stderr, "%s: %s\n", path, strerror(errno));
		return -errno;
	}
	n = fread(scratch, 1, sizeof(scratch), f);
	fclose(f);
	if (input_count == INPUTS_MAX)
		return 0;
	struct input *in = &inputs[input_count++];
	in->data = malloc(n + 1);
	must(in->data != NULL);
	memcpy(in->data, scratch, n);
	in->bytes = n;
	return 0;
}

static int load(const char *path)
{
	struct dirent **list;
	struct stat st;
	char name[4096];
	int status = 0;

	if (stat(path, &st) != 0 || !S_ISDIR(st.st_mode))
		return load_file(path);
	int n = scandir(path, &list, NULL,
			alphasort); /* sorted: the seed means the same everywhere */
	for (int i = 0; i < n; i++) {
		if (list[i]->d_name[0] != '.') {
			snprintf(name, sizeof(name), "%s/%s", path, list[i]->d_name);
			status |= load_file(name);
		}
		free(list[i]);
	}
	if (n >= 0)
		free(list);
	return status;
}

static const uint64_t edges[] = { 0,	 1,	    7,		8,	   31,	      32,   63,
				  64,	 127,	    128,	255,	   256,	      511,  512,
				  513,	 847,	    848,	849,	   4095,      4096, 65535,
				  65536, INT32_MAX, UINT32_MAX, INT64_MAX, UINT64_MAX };

static size_t splice(struct rng *rng, size_t bytes)
{
	const struct input *other = &inputs[rng_below(rng, input_count)];
	size_t at = rng_below(rng, bytes + 1), from = rng_below(rng, other->bytes + 1);
	size_t n = other->bytes - from;

	if (n > sizeof(scratch) - at)
		n = sizeof(scratch) - at;
	memcpy(scratch + at, other->data + from, n);
	return at + n;
}

/* mutate: one change of scratch[0..bytes), returns the new length. */
static size_t mutate(struct rng *rng, size_t bytes)
{
	size_t at = bytes > 0 ? rng_below(rng, bytes) : 0;
	uint64_t edge = edges[rng_below(rng, ARRAY_LEN(edges))];
	size_t width = (size_t)1 << rng_below(rng, 4);

	switch (rng_below(rng, 6)) {
	case 0:
		return at;
	case 1:
		return splice(rng, bytes);
	case 2:
		if (bytes == sizeof(scratch))
			return bytes;
		memmove(scratch + at + 1, scratch + at, bytes - at);
		scratch[at] = (uint8_t)rng_next(rng);
		return bytes + 1;
	case 3:
		if (bytes - at >= width)
			memcpy(scratch + at, &edge, width);
		return bytes;
	case 4:
		if (bytes > 0)
			scratch[at] = (uint8_t)rng_next(rng);
		return bytes;
	default:
		if (bytes > 0)
			scratch[at] ^= (uint8_t)(1u << rng_below(rng, 8));
		return bytes;
	}
}

static void run_mutations(uint64_t count, uint64_t seed)
{
	struct rng rng = rng_make(seed, 1);

	for (uint64_t i = 0; i < count; i++) {
		const struct input *in = &inputs[rng_below(&rng, input_count)];
		size_t bytes = in->bytes;

		memcpy(scratch, in->data, bytes);
		for (uint64_t n = rng_range(&rng, 1, 6); n > 0; n--)
			bytes = mutate(&rng, bytes);
		run(scratch, bytes);
	}
}

int main(int argc, char **argv)
{
	uint64_t mutations = 100000, seed = 1, corpus_accepted;
	int status = 0;

	for (int i = 1; i < argc; i++) {
		if (i + 1 < argc && strcmp(argv[i], "--mutations") == 0)
			mutations = strtoull(argv[++i], NULL, 10);
		else if (i + 1 < argc && strcmp(argv[i], "--seed") == 0)
			seed = strtoull(argv[++i], NULL, 10);
		else
			status |= load(argv[i]);
	}
	if (status != 0 || input_count == 0) {
		fprintf(stderr, "usage: %s [--mutations N] [--seed S] FILE-OR-FOLDER...\n",
			argv[0]);
		return 2;
	}
	run(NULL, 0);
	for (uint32_t i = 0; i < input_count; i++)
		run(inputs[i].data, inputs[i].bytes);
	corpus_accepted = fuzz_accepted;
	must(corpus_accepted > 0 || mutations == 0); /* 0: replay of one input */
	run_mutations(mutations, seed);
	printf("%u corpus files (%llu accepted), %llu mutations from seed %llu (%llu accepted):"
	       " no promise broken\n",
	       input_count, (unsigned long long)corpus_accepted, (unsigned long long)mutations,
	       (unsigned long long)seed, (unsigned long long)(fuzz_accepted - corpus_accepted));
	for (uint32_t i = 0; i < input_count; i++)
		free(inputs[i].data);
	return 0;
}
