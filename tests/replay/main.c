/* SPDX-License-Identifier: Apache-2.0 */
/*
 * cairn-replay: runs scripts of protocol events and compares what the replicas do, line by line,
 * with what the script says. In a script, lines that start in column one are commands or #
 * comments; lines that start with two blanks are the expected output of the command above them.
 * Every script runs twice: the same events must give the same actions, to the byte.
 *
 * Before anything else (else: three nodes, a static cluster):
 *   nodes N, option views|o3|delta|sessions=N|walk=N  walk: entries per chunk of a bulk copy
 * Requests of client x, by default the one named like its node:
 *   put|get|del|cas|casv|incr NODE KEY [VALUE | VERSION VALUE | EXPECTED VALUE | DELTA]
 *     [as CLIENT] [within MS]     within: the client's patience
 *   retry NODE CLIENT             its newest request, sent there now
 *   again NODE                    the newest request that arrived there arrives once more
 * Messages (TYPE: INV, ...; EPOCH: of the frame):
 *   deliver|drop|double X->Y [TYPE] [@EPOCH]        the oldest (double: delivered, and stays)
 *   old X->Y [TYPE] [@EPOCH]      the oldest that was delivered or dropped comes again
 *   inject X->Y KEY VERSION BASE VALUE     X "sends" the INV of a write made from version BASE
 *   flow [NODES]                  everything is delivered and durable, until all is quiet
 *   link                          HELLOs are exchanged
 * Nodes (NODES: letters, as in abc):
 *   durable|crash|restart|amnesia|fail|joined NODES, tick MS, stall NODE MS
 *   space NODES 0|1|2             room as in enum space; HELLOs carry it
 *   plant NODES KEY VERSION VALUE   a log record of an earlier life, for the next restart
 *   collect NODES KEY             forget its tombstone
 * Views (option views):
 *   view EPOCH [members=NODES] [shadows=NODES] [recovered=NODES]
 *   install NODES EPOCH, lease NODES EPOCH MS|off
 * Looking: show KEY, queues
 *
 * A comment line "# kills N..." names the mutants of tests/mutants.h that must make the script
 * fail; tests/sim/mutants.py sees to it.
 */
#include <errno.h>
#include <stdlib.h>

#include "tests/replay/world.h"

#define LINE_MAX_BYTES 512u
#define MS 1000000ull

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
	char *word[9];
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

static bool parse_node(const struct world *w, const char *text, uint32_t *ret_node)
{
	if (text[0] < 'a' || text[0] >= (char)('a' + w->nodes))
		return false;
	*ret_node = (uint32_t)(text[0] - 'a');
	return true;
}

/* parse_nodes: letters to a bitmap. */
static bool parse_nodes(const struct world *w, const char *text, uint8_t *ret_nodes)
{
	uint8_t nodes = 0;
	uint32_t node;

	for (; *text; text++) {
		if (!parse_node(w, text, &node))
			return false;
		nodes |= (uint8_t)(1u << node);
	}
	*ret_nodes = nodes;
	return nodes != 0;
}

static bool parse_client(const char *text, uint32_t *ret_client)
{
	*ret_client = (uint32_t)(text[0] - 'a');
	return text[0] >= 'a' && text[0] <= 'z' && text[1] == '\0';
}

static bool parse_version(const struct world *w, const char *text, struct op_ts *ret_ts)
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
	    !parse_node(w, &who, &node))
		return false;
	*ret_ts = (struct op_ts){ version, writer_make((uint8_t)node, incarnation) };
	return true;
}

static uint32_t number(const char *text)
{
	return (uint32_t)strtoul(text, NULL, 10);
}

/* ---- requests -------------------------------------------------------------------------------- */

static bool request(struct world *w, const struct words *s)
{
	static const struct {
		const char *name;
		enum wire_type type;
		uint32_t words;
	} kinds[] = { { "get", WIRE_GET, 3 },	{ "put", WIRE_PUT, 4 },	  { "del", WIRE_DEL, 3 },
		      { "cas", WIRE_CAS, 5 },	{ "casv", WIRE_CASV, 5 },
		      { "incr", WIRE_INCR, 4 } };
	struct wire_message m = { .key = (const uint8_t *)s->word[2] };
	char both[LINE_MAX_BYTES];
	uint32_t node, client, i = 0;

	while (i < ARRAY_LEN(kinds) && strcmp(s->word[0], kinds[i].name) != 0)
		i++;
	if (i == ARRAY_LEN(kinds) || s->count < kinds[i].words ||
	    !parse_node(w, s->word[1], &node))
		return false;
	client = node;
	for (uint32_t k = kinds[i].words; k < s->count; k += 2) {
		if (k + 1 == s->count)
			return false;
		if (strcmp(s->word[k], "within") == 0)
			m.patience_ms = (uint16_t)number(s->word[k + 1]);
		else if (strcmp(s->word[k], "as") != 0 || !parse_client(s->word[k + 1], &client))
			return false;
	}
	m.type = kinds[i].type;
	m.key_bytes = (uint16_t)strlen(s->word[2]);
	if (m.type == WIRE_INCR) {
		store_u64((uint8_t *)both, (uint64_t)strtoll(s->word[3], NULL, 10));
		m.value = (const uint8_t *)both;
		m.value_bytes = sizeof(uint64_t);
	} else if (m.type == WIRE_CASV) {
		m.ts.version = strlen(s->word[3]);
		m.value_bytes = (uint16_t)snprintf(both, sizeof(both), "%s%s", s->word[3],
						   s->word[4]);
		m.value = (const uint8_t *)both;
	} else if (m.type == WIRE_PUT || m.type == WIRE_CAS) {
		m.value = (const uint8_t *)s->word[kinds[i].words - 1];
		m.value_bytes = (uint16_t)strlen(s->word[kinds[i].words - 1]);
	}
	if (m.type == WIRE_CAS && !parse_version(w, s->word[3], &m.ts))
		return false;
	world_request(w, node, client, &m);
	return true;
}

static bool retry(struct world *w, const struct words *s)
{
	uint32_t node, client;

	return parse_node(w, s->word[1], &node) && parse_client(s->word[2], &client) &&
	       world_retry(w, node, client);
}

static bool parse_link(const struct world *w, const char *text, struct world_pick *ret_pick)
{
	return strlen(text) == 4 && memcmp(text + 1, "->", 2) == 0 &&
	       parse_node(w, text, &ret_pick->from) && parse_node(w, text + 3, &ret_pick->to);
}

static bool inject(struct world *w, const struct words *s)
{
	struct wire_message m = { .type = WIRE_INV,
				  .key = (const uint8_t *)s->word[2],
				  .key_bytes = (uint16_t)strlen(s->word[2]),
				  .value = (const uint8_t *)s->word[5],
				  .value_bytes = (uint16_t)strlen(s->word[5]) };
	struct world_pick pick = { 0 };
	struct op_ts base;

	if (!parse_link(w, s->word[1], &pick) || !parse_version(w, s->word[3], &m.ts) ||
	    !parse_version(w, s->word[4], &base) || m.ts.version != base.version + 2)
		return false;
	m.prior = base.writer;
	world_inject(w, &pick, &m);
	return true;
}

static bool message(struct world *w, const struct words *s)
{
	struct world_pick pick = { 0 };
	bool found;

	if (!parse_link(w, s->word[1], &pick))
		return false;
	for (uint32_t i = 2; i < s->count; i++) {
		if (s->word[i][0] == '@')
			pick.epoch = number(s->word[i] + 1);
		else
			pick.type = world_type(s->word[i]);
		if (s->word[i][0] == '@' ? pick.epoch == 0 : pick.type == 0)
			return false;
	}
	if (strcmp(s->word[0], "drop") == 0)
		found = world_drop(w, &pick);
	else if (strcmp(s->word[0], "old") == 0)
		found = world_old(w, &pick);
	else
		found = world_deliver(w, &pick, strcmp(s->word[0], "double") == 0);
	if (!found)
		fputs("  nothing there\n", w->out);
	return true;
}

/* ---- nodes ----------------------------------------------------------------------------------- */

/* at: one node of a command about several; false: not understood. */
static bool at(struct world *w, const struct words *s, uint32_t node)
{
	const char *name = s->word[0];

	if (strcmp(name, "restart") == 0 || strcmp(name, "amnesia") == 0)
		world_restart(w, node, name[0] == 'a');
	else if (w->node[node].dead)
		return false;
	else if (strcmp(name, "durable") == 0)
		world_durable(w, node);
	else if (strcmp(name, "crash") == 0)
		world_crash(w, node);
	else if (strcmp(name, "again") == 0)
		world_again(w, node);
	else if (strcmp(name, "fail") == 0)
		replica_fail(w->node[node].replica);
	else if (strcmp(name, "joined") == 0)
		world_joined(w, node);
	else if (strcmp(name, "space") == 0)
		replica_set_space(w->node[node].replica, (enum space)number(s->word[2]),
				  UINT32_MAX);
	else if (strcmp(name, "stall") == 0)
		w->node[node].stall_ns = number(s->word[2]) * MS;
	else if (strcmp(name, "collect") == 0)
		world_collect(w, node, s->word[2]);
	else if (strcmp(name, "install") == 0)
		return world_install(w, node, number(s->word[2]));
	else
		world_lease(w, node, number(s->word[2]),
			    strcmp(s->word[3], "off") == 0 ? 0 :
							     w->now_ns + number(s->word[3]) * MS);
	return true;
}

static bool nodes(struct world *w, const struct words *s)
{
	uint8_t set;

	if (!parse_nodes(w, s->word[1], &set))
		return false;
	for (uint32_t i = 0; i < w->nodes; i++) {
		if (set & 1u << i && !at(w, s, i))
			return false;
	}
	return true;
}

static bool plant(struct world *w, const struct words *s)
{
	struct op_ts ts;
	uint8_t set;

	if (!parse_nodes(w, s->word[1], &set) || !parse_version(w, s->word[3], &ts))
		return false;
	for (uint32_t i = 0; i < w->nodes; i++) {
		if (set & 1u << i)
			world_plant(w, i, s->word[2], ts, s->word[4]);
	}
	return true;
}

static bool view(struct world *w, const struct words *s)
{
	struct view v = { .epoch = number(s->word[1]) };

	if (v.epoch == 0 || v.epoch >= WORLD_VIEWS || w->view[v.epoch].epoch != 0)
		return false;
	for (uint32_t i = 2; i < s->count; i++) {
		char *value = strchr(s->word[i], '=');
		uint8_t set;

		if (!value || !parse_nodes(w, value + 1, &set))
			return false;
		if (strncmp(s->word[i], "members=", 8) == 0)
			v.members = set;
		else if (strncmp(s->word[i], "shadows=", 8) == 0)
			v.shadows = set;
		else if (strncmp(s->word[i], "recovered=", 10) == 0)
			v.recovered = set;
		else
			return false;
	}
	world_view(w, &v);
	return true;
}

static bool option(struct world *w, const struct words *s)
{
	const char *what = s->word[1];

	if (w->started)
		return false;
	if (strcmp(s->word[0], "nodes") == 0)
		w->nodes = number(what);
	else if (strcmp(what, "views") == 0)
		w->views = true;
	else if (strcmp(what, "o3") == 0)
		w->broadcast_acks = true;
	else if (strcmp(what, "delta") == 0)
		w->join_delta = true;
	else if (strncmp(what, "sessions=", 9) == 0)
		w->sessions = number(what + 9);
	else if (strncmp(what, "walk=", 5) == 0)
		w->walk = number(what + 5);
	else
		return false;
	return w->nodes >= 1 && w->nodes <= WORLD_NODES && w->sessions != 0 && w->walk != 0 &&
	       w->walk <= WALK_MAX;
}

static bool plain(struct world *w, const struct words *s)
{
	uint8_t set = (uint8_t)((1u << w->nodes) - 1);
	const char *name = s->word[0];

	if (strcmp(name, "link") == 0)
		world_link(w);
	else if (strcmp(name, "queues") == 0)
		world_queues(w);
	else if (strcmp(name, "tick") == 0)
		world_tick(w, number(s->word[1]) * MS);
	else if (strcmp(name, "show") == 0)
		world_show(w, s->word[1]);
	else if (s->count == 1 || parse_nodes(w, s->word[1], &set))
		world_flow(w, set);
	else
		return false;
	return true;
}

static const struct {
	const char *name;
	uint32_t words_min, words_max;
	bool (*run)(struct world *w, const struct words *s);
} commands[] = {
	{ "nodes", 2, 2, option },   { "option", 2, 2, option },   { "link", 1, 1, plain },
	{ "flow", 1, 2, plain },     { "queues", 1, 1, plain },	   { "tick", 2, 2, plain },
	{ "show", 2, 2, plain },     { "deliver", 2, 4, message }, { "drop", 2, 4, message },
	{ "double", 2, 4, message }, { "old", 2, 4, message },	   { "durable", 2, 2, nodes },
	{ "crash", 2, 2, nodes },    { "restart", 2, 2, nodes },   { "amnesia", 2, 2, nodes },
	{ "fail", 2, 2, nodes },     { "joined", 2, 2, nodes },	   { "again", 2, 2, nodes },
	{ "stall", 3, 3, nodes },    { "collect", 3, 3, nodes },   { "install", 3, 3, nodes },
	{ "lease", 4, 4, nodes },    { "plant", 5, 5, plant },	   { "view", 3, 5, view },
	{ "retry", 3, 3, retry },    { "get", 3, 7, request },	   { "put", 4, 8, request },
	{ "del", 3, 7, request },    { "cas", 5, 9, request },	   { "casv", 5, 9, request },
	{ "incr", 4, 8, request },   { "space", 3, 3, nodes },
	{ "inject", 6, 6, inject },
};

/* command: false when it cannot be understood. */
static bool command(struct world *w, const struct words *s)
{
	uint32_t i = 0;

	while (i < ARRAY_LEN(commands) && strcmp(commands[i].name, s->word[0]) != 0)
		i++;
	if (i == ARRAY_LEN(commands) || s->count < commands[i].words_min ||
	    s->count > commands[i].words_max)
		return false;
	if (commands[i].run != option && !w->started)
		world_start(w);
	return commands[i].run(w, s);
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
	uint32_t line_number = 0;
	bool good = true;

	must(in != NULL && out != NULL);
	while (good && fgets(line, sizeof(line), in)) {
		struct words s;

		line_number++;
		if (line[0] == ' ')
			continue;
		fputs(line, out);
		if (line[0] == '#' || line[0] == '\n')
			continue;
		s = split(line);
		good = command(w, &s);
		if (!good)
			fprintf(stderr, "%s:%u: cannot understand '%s'\n", path, line_number,
				s.word[0]);
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
