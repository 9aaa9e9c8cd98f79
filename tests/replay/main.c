/* SPDX-License-Identifier: Apache-2.0 */
/*
 * cairn-replay: runs scripts of protocol events and compares what the replicas do, line by line,
 * with what the script says. In a script, lines that start in column one are commands or #
 * comments; lines that start with two blanks are the expected output of the command above them.
 * Every script runs twice: the same events must give the same actions, to the byte.
 *
 *   link                          HELLOs are exchanged
 *   put|get|del|cas|incr NODE KEY [VALUE | VERSION VALUE | DELTA]
 *   again NODE                    its newest request arrives once more
 *   deliver|drop|double X->Y [TYPE]   the oldest message (double: delivered, and stays)
 *   flow                          everything is delivered and durable, until all is quiet
 *   durable NODE, tick MS, restart NODE, show KEY, queues
 */
#include <errno.h>
#include <stdlib.h>

#include "tests/replay/world.h"

#define LINE_MAX_BYTES 512u

#ifdef CAIRN_MUTANTS
int mutant_active;
#endif

_Noreturn void must_failed(const char *expression, const char *file, int line)
{
	fflush(stdout);
	fprintf(stderr, "%s:%d: assertion failed: %s\n", file, line, expression);
	abort();
}

struct words {
	uint32_t count;
	char *word[6];
};

static struct words split(char *line)
{
	struct words s = { 0 };
	char *save;

	for (char *p = strtok_r(line, " \n", &save); p && s.count < ARRAY_LEN(s.word);
	     p = strtok_r(NULL, " \n", &save))
		s.word[s.count++] = p;
	return s;
}

static bool parse_node(const char *text, uint32_t *ret_node)
{
	if (text[0] < 'a' || text[0] >= (char)('a' + WORLD_NODES))
		return false;
	*ret_node = (uint32_t)(text[0] - 'a');
	return true;
}

static bool parse_version(const char *text, struct op_ts *ret_ts)
{
	unsigned long long version;
	unsigned incarnation;
	uint32_t node;
	char who;

	if (strcmp(text, "0") == 0) {
		*ret_ts = (struct op_ts){ 0, 0 };
		return true;
	}
	if (sscanf(text, "%llu.%c.%u", &version, &who, &incarnation) != 3 ||
	    !parse_node(&who, &node))
		return false;
	*ret_ts = (struct op_ts){ version, writer_make((uint8_t)node, incarnation) };
	return true;
}

static bool request(struct world *w, const struct words *s)
{
	static const struct {
		const char *name;
		enum wire_type type;
		uint32_t words;
	} kinds[] = { { "get", WIRE_GET, 3 },
		      { "put", WIRE_PUT, 4 },
		      { "del", WIRE_DEL, 3 },
		      { "cas", WIRE_CAS, 5 },
		      { "incr", WIRE_INCR, 4 } };
	struct wire_message m = { .key = (const uint8_t *)s->word[2] };
	uint8_t delta[8];
	uint32_t node, i = 0;

	while (i < ARRAY_LEN(kinds) && strcmp(s->word[0], kinds[i].name) != 0)
		i++;
	if (i == ARRAY_LEN(kinds) || s->count != kinds[i].words || !parse_node(s->word[1], &node))
		return false;
	m.type = kinds[i].type;
	m.key_bytes = (uint16_t)strlen(s->word[2]);
	if (m.type == WIRE_INCR) {
		store_u64(delta, (uint64_t)strtoll(s->word[3], NULL, 10));
		m.value = delta;
		m.value_bytes = sizeof(delta);
	} else if (m.type == WIRE_PUT || m.type == WIRE_CAS) {
		m.value = (const uint8_t *)s->word[s->count - 1];
		m.value_bytes = (uint16_t)strlen(s->word[s->count - 1]);
	}
	if (m.type == WIRE_CAS && !parse_version(s->word[3], &m.ts))
		return false;
	world_request(w, node, &m);
	return true;
}

static bool message(struct world *w, const struct words *s)
{
	uint32_t from, to;
	uint8_t type = s->count > 2 ? world_type(s->word[2]) : 0;
	bool found;

	if (s->count < 2 || strlen(s->word[1]) != 4 || memcmp(s->word[1] + 1, "->", 2) != 0 ||
	    !parse_node(s->word[1], &from) || !parse_node(s->word[1] + 3, &to) ||
	    (s->count > 2 && type == 0))
		return false;
	if (strcmp(s->word[0], "drop") == 0)
		found = world_drop(w, from, to, type);
	else
		found = world_deliver(w, from, to, type, strcmp(s->word[0], "double") == 0);
	if (!found)
		fputs("  nothing there\n", w->out);
	return true;
}

static void flow(struct world *w)
{
	bool moved = true;

	while (moved) {
		moved = false;
		for (uint32_t from = 0; from < WORLD_NODES; from++) {
			for (uint32_t to = 0; to < WORLD_NODES; to++)
				moved |= world_deliver(w, from, to, 0, false);
		}
		for (uint32_t i = 0; i < WORLD_NODES; i++) {
			if (w->node[i].durable + 1 == w->node[i].seq_next)
				continue;
			world_durable(w, i);
			moved = true;
		}
	}
}

/* command: false when it cannot be understood. */
static bool command(struct world *w, const struct words *s)
{
	const char *name = s->word[0];
	uint32_t node = 0;

	if (strcmp(name, "link") == 0)
		world_link(w);
	else if (strcmp(name, "flow") == 0)
		flow(w);
	else if (strcmp(name, "queues") == 0)
		world_queues(w);
	else if (strcmp(name, "deliver") == 0 || strcmp(name, "drop") == 0 ||
		 strcmp(name, "double") == 0)
		return message(w, s);
	else if (s->count == 2 && strcmp(name, "tick") == 0)
		world_tick(w, strtoull(s->word[1], NULL, 10) * 1000000);
	else if (s->count == 2 && strcmp(name, "show") == 0)
		world_show(w, s->word[1]);
	else if (s->count == 2 && strcmp(name, "durable") == 0 && parse_node(s->word[1], &node))
		world_durable(w, node);
	else if (s->count == 2 && strcmp(name, "restart") == 0 && parse_node(s->word[1], &node))
		world_restart(w, node);
	else if (s->count == 2 && strcmp(name, "again") == 0 && parse_node(s->word[1], &node))
		world_again(w, node);
	else
		return s->count >= 3 && request(w, s);
	return true;
}

/* play: the script with what really happens as its output. NULL: not understood. */
static char *play(const char *path, const char *script, uint64_t *ret_digest)
{
	char line[LINE_MAX_BYTES];
	char *text = NULL;
	size_t bytes = 0;
	FILE *out = open_memstream(&text, &bytes);
	FILE *in = fmemopen((void *)(uintptr_t)script, strlen(script), "r");
	struct world *w = world_create(out);
	uint32_t number = 0;
	bool good = true;

	must(in != NULL && out != NULL);
	while (good && fgets(line, sizeof(line), in)) {
		struct words s;

		number++;
		if (line[0] == ' ')
			continue;
		fputs(line, out);
		if (line[0] == '#' || line[0] == '\n')
			continue;
		s = split(line);
		good = command(w, &s);
		if (!good)
			fprintf(stderr, "%s:%u: cannot understand '%s'\n", path, number, s.word[0]);
	}
	*ret_digest = w->digest;
	world_destroy(w);
	fclose(in);
	fclose(out);
	if (good)
		return text;
	free(text);
	return NULL;
}

static char *read_file(const char *path)
{
	FILE *f = fopen(path, "r");
	char *text = calloc(1, 1 << 18);

	if (!f || !text) {
		fprintf(stderr, "cairn-replay: %s: %s\n", path, strerror(errno));
		exit(2);
	}
	if (fread(text, 1, (1 << 18) - 1, f) == 0) {
		fprintf(stderr, "cairn-replay: %s: empty\n", path);
		exit(2);
	}
	fclose(f);
	return text;
}

/* first_difference: shows the line at which what happens leaves the script. */
static void first_difference(const char *path, const char *expected, const char *actual)
{
	uint32_t number = 1;

	for (;;) {
		size_t a = strcspn(expected, "\n"), b = strcspn(actual, "\n");

		if (a != b || memcmp(expected, actual, a) != 0) {
			fprintf(stderr, "%s:%u: expected: %.*s\n%s:%u: happened: %.*s\n", path,
				number, (int)a, expected, path, number, (int)b, actual);
			return;
		}
		if (expected[a] == '\0' || actual[b] == '\0')
			return;
		expected += a + 1;
		actual += b + 1;
		number++;
	}
}

static bool run(const char *path, bool rewrite)
{
	char *script = read_file(path);
	uint64_t digest = 0, second = 0;
	char *text = play(path, script, &digest);
	char *again = text ? play(path, script, &second) : NULL;
	bool good = text && again;

	if (good && (digest != second || strcmp(text, again) != 0)) {
		fprintf(stderr, "%s: two runs differ\n", path);
		good = false;
	}
	if (good && rewrite) {
		FILE *f = fopen(path, "w");

		good = f && fputs(text, f) >= 0;
		good = f && fclose(f) == 0 && good;
	} else if (good && strcmp(script, text) != 0) {
		first_difference(path, script, text);
		good = false;
	}
	printf("%s: %s\n", path, good ? "ok" : "FAILED");
	free(script);
	free(text);
	free(again);
	return good;
}

int main(int argc, char **argv)
{
	bool rewrite = argc > 1 && strcmp(argv[1], "--rewrite") == 0;
	int failed = 0;

#ifdef CAIRN_MUTANTS
	const char *mutant = getenv("CAIRN_MUTANT");

	mutant_active = mutant ? (int)strtol(mutant, NULL, 10) : 0;
#endif
	if (argc < (rewrite ? 3 : 2)) {
		fputs("usage: cairn-replay [--rewrite] SCRIPT...\n", stderr);
		return 2;
	}
	for (int i = rewrite ? 2 : 1; i < argc; i++)
		failed += !run(argv[i], rewrite);
	return failed == 0 ? 0 : 1;
}
