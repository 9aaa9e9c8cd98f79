/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/sim/sim_shrink.h"

#include <stdlib.h>

#define RUNS_MAX 3000u
#define EVENTS_MAX 150000000ull

struct shrinker {
	struct sim *s;
	struct script whole, part;
	uint8_t *keep; /* by event of whole */
	uint32_t kept;
	uint32_t runs;
	uint64_t events; /* simulated so far */
	uint64_t failed_ns;
	char name[96];	 /* what is violated */
	char violation[sizeof(((struct sim_shrunk *)0)->violation)];
};

/* name_of: the promise that is broken, without the details, which may differ. */
static void name_of(const char *violation, char *out, size_t bytes)
{
	size_t length = strcspn(violation, ":");

	if (strncmp(violation, "assertion", 9) == 0)
		length = strlen(violation);
	else if (strncmp(violation, "stuck", 5) == 0 || violation[length] == '\0')
		length = strcspn(violation, "0123456789");
	snprintf(out, bytes, "%.*s", (int)length, violation);
}

/* fails: the same promise is broken by what is kept of the events. */
static bool fails(struct shrinker *k, const uint8_t *keep)
{
	struct sim_totals totals = { 0 };
	char name[sizeof(k->name)];

	if (k->runs >= RUNS_MAX || k->events >= EVENTS_MAX)
		return false;
	script_copy(&k->part, &k->whole, keep);
	k->s->follow = &k->part;
	sim_run(k->s, 0, 0, &totals);
	k->s->follow = NULL;
	k->runs++;
	k->events += k->s->events;
	if (!k->s->violated)
		return false;
	name_of(k->s->violation, name, sizeof(name));
	if (strcmp(name, k->name) != 0)
		return false;
	k->failed_ns = k->s->now_ns;
	snprintf(k->violation, sizeof(k->violation), "%.*s", (int)sizeof(k->violation) - 1,
		 k->s->violation);
	return true;
}

/* without: tries to do without those kept events for which drop is not zero. */
static bool without(struct shrinker *k, const uint8_t *drop)
{
	uint8_t *keep = malloc(k->whole.count + 1u);
	uint32_t dropped = 0;
	bool good = false;

	must(keep != NULL);
	for (uint32_t i = 0; i < k->whole.count; i++) {
		keep[i] = k->keep[i] && !drop[i];
		dropped += k->keep[i] && drop[i];
	}
	if (dropped != 0 && fails(k, keep)) {
		memcpy(k->keep, keep, k->whole.count);
		k->kept -= dropped;
		good = true;
	}
	free(keep);
	return good;
}

enum criterion { LATE, KIND, CLIENT, KEY };

static bool matches(const struct shrinker *k, const struct script_event *e, enum criterion what,
		    uint32_t value)
{
	if (what == LATE)
		return e->ns > k->failed_ns;
	if (what == KIND)
		return e->kind == value;
	return e->kind == SCRIPT_op && (what == KEY ? e->n : e->node) == value;
}

static void without_all(struct shrinker *k, enum criterion what, uint32_t value, uint8_t *drop)
{
	for (uint32_t i = 0; i < k->whole.count; i++)
		drop[i] = matches(k, &k->whole.event[i], what, value);
	without(k, drop);
}

/* without_piece: the next `size` kept events from *at on; moves *at behind them. */
static bool without_piece(struct shrinker *k, uint32_t *at, uint32_t size, uint8_t *drop)
{
	uint32_t taken = 0;

	memset(drop, 0, k->whole.count);
	while (*at < k->whole.count && taken < size) {
		drop[*at] = k->keep[*at];
		taken += k->keep[*at];
		++*at;
	}
	return without(k, drop);
}

/* sooner: the phase with faults need not be longer than what happens in it. */
static void sooner(struct shrinker *k)
{
	uint64_t end_ns = k->whole.end_ns, last_ns = 0;

	for (uint32_t i = 0; i < k->whole.count; i++) {
		if (k->keep[i])
			last_ns = max_u64(last_ns, k->whole.event[i].ns);
	}
	k->whole.end_ns = min_u64(end_ns, last_ns + 1);
	if (k->whole.end_ns != end_ns && !fails(k, k->keep))
		k->whole.end_ns = end_ns;
}

static void pieces(struct shrinker *k, uint8_t *drop)
{
	uint32_t size = k->kept / 2;

	while (size >= 1 && k->runs < RUNS_MAX && k->events < EVENTS_MAX) {
		bool progress = false;

		for (uint32_t at = 0; at < k->whole.count;)
			progress |= without_piece(k, &at, size, drop);
		sooner(k);
		/* Single events: again as long as that helps. */
		if (size > 1 || !progress)
			size /= 2;
	}
}

static void shrink(struct shrinker *k)
{
	uint8_t *drop = malloc(k->whole.count + 1u);

	must(drop != NULL);
	without_all(k, LATE, 0, drop);
	for (uint32_t key = 0; key < k->whole.plan.keys; key++)
		without_all(k, KEY, key, drop);
	for (uint32_t kind = 0; kind < SCRIPT_KIND_COUNT; kind++)
		without_all(k, KIND, kind, drop);
	for (uint32_t client = 0; client < SIM_CLIENTS_MAX; client++)
		without_all(k, CLIENT, client, drop);
	without_all(k, LATE, 0, drop);
	pieces(k, drop);
	free(drop);
}

bool sim_shrink(struct sim *s, uint64_t seed, uint32_t nodes, struct script *ret_script,
		struct sim_shrunk *ret_shrunk)
{
	struct sim_totals totals = { 0 };
	struct shrinker k = { .s = s };
	bool good;

	script_init(&k.whole);
	script_init(&k.part);
	s->record = &k.whole;
	good = !sim_run(s, seed, nodes, &totals);
	s->record = NULL;
	name_of(s->violation, k.name, sizeof(k.name));
	if (s->phase == PHASE_FAULTS)
		k.whole.end_ns = s->now_ns + 1;
	good = good && fails(&k, NULL);
	if (good) {
		k.kept = k.whole.count;
		k.keep = malloc(k.whole.count + 1u);
		must(k.keep != NULL);
		memset(k.keep, 1, k.whole.count);
		shrink(&k);
		script_copy(ret_script, &k.whole, k.keep);
		*ret_shrunk = (struct sim_shrunk){ .before = k.whole.count, .runs = k.runs };
		memcpy(ret_shrunk->violation, k.violation, sizeof(k.violation));
	}
	free(k.keep);
	script_free(&k.whole);
	script_free(&k.part);
	return good;
}
