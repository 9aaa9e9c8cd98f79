/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/sim/script.h"

#include <errno.h>
#include <stdlib.h>

#define LINE_MAX_BYTES 512u
#define EVENTS_MAX (1u << 24)

static const char *const kind_names[] = {
#define SCRIPT_KIND(name) #name,
	SCRIPT_KINDS(SCRIPT_KIND)
#undef SCRIPT_KIND
};

const char *script_kind_name(uint8_t kind)
{
	return kind < SCRIPT_KIND_COUNT ? kind_names[kind] : "?";
}

void script_init(struct script *script)
{
	memset(script, 0, sizeof(*script));
}

void script_free(struct script *script)
{
	free(script->event);
	free(script->next);
	script_init(script);
}

void script_clear(struct script *script, uint64_t seed, const struct plan *plan)
{
	script->seed = seed;
	script->plan = *plan;
	script->count = 0;
	script->end_ns = 0;
}

void script_add(struct script *script, const struct script_event *event)
{
	if (script->count == script->room) {
		script->room = script->room == 0 ? 1024 : script->room * 2;
		script->event = realloc(script->event, script->room * sizeof(*script->event));
		script->next = realloc(script->next, script->room * sizeof(*script->next));
		must(script->event != NULL && script->next != NULL);
	}
	script->event[script->count++] = *event;
}

void script_copy(struct script *to, const struct script *from, const uint8_t *keep)
{
	script_clear(to, from->seed, &from->plan);
	to->end_ns = from->end_ns;
	for (uint32_t i = 0; i < from->count; i++) {
		if (!keep || keep[i])
			script_add(to, &from->event[i]);
	}
}

static uint32_t stream_of(const struct script_event *e)
{
	if (e->kind == SCRIPT_op)
		return script_op_stream(e->node, e->other);
	if (e->kind <= SCRIPT_misdeliver)
		return script_link_stream(e->node, e->other);
	return SCRIPT_FAULTS;
}

void script_rewind(struct script *script)
{
	memset(script->head, 0xff, sizeof(script->head));
	script->ops_left = 0;
	for (uint32_t i = script->count; i-- > 0;) {
		uint32_t stream = stream_of(&script->event[i]);

		script->next[i] = script->head[stream];
		script->head[stream] = i;
		script->ops_left += script->event[i].kind == SCRIPT_op;
	}
}

const struct script_event *script_peek(const struct script *script, uint32_t stream)
{
	uint32_t head = script->head[stream];

	return head == UINT32_MAX ? NULL : &script->event[head];
}

void script_take(struct script *script, uint32_t stream)
{
	uint32_t head = script->head[stream];

	must(head != UINT32_MAX);
	script->ops_left -= script->event[head].kind == SCRIPT_op;
	script->head[stream] = script->next[head];
}

int script_write(const struct script *script, const char *path, const char *note)
{
	FILE *f = fopen(path, "w");
	int rc = 0;

	if (!f)
		return -errno;
	fprintf(f, "# SPDX-License-Identifier: Apache-2.0\n# %.*s\n",
		(int)strcspn(note, "\n"), note);
	fprintf(f, "trace 1\nseed %llu\nend %llu\n", (unsigned long long)script->seed,
		(unsigned long long)script->end_ns);
	plan_write(&script->plan, f);
	for (uint32_t i = 0; i < script->count; i++) {
		const struct script_event *e = &script->event[i];

		fprintf(f, "%s %llu %u %u %u %u %llu %llu\n", kind_names[e->kind],
			(unsigned long long)e->ns, e->node, e->other, e->more, e->n,
			(unsigned long long)e->length_ns, (unsigned long long)e->arg);
	}
	if (ferror(f))
		rc = -EIO;
	if (fclose(f) != 0 && rc == 0)
		rc = -errno;
	return rc;
}

/* in_range: nothing a file says may lead outside a table. */
static bool in_range(const struct script_event *e, const struct plan *p)
{
	uint32_t ports = p->nodes + p->clients;

	if (e->kind == SCRIPT_op)
		return e->node < p->clients && e->other < p->slots && e->n < p->keys &&
		       e->more < SIM_KINDS && (e->length_ns & 0xff) < p->nodes &&
		       (e->length_ns >> 8 & 0xffff) <= VALUE_BYTES_MAX;
	if (e->kind == SCRIPT_misdeliver && (e->arg & 0xff) >= ports)
		return false;
	if (e->kind <= SCRIPT_misdeliver || ((e->kind == SCRIPT_cut || e->kind == SCRIPT_slow ||
					     e->kind == SCRIPT_clog) && e->arg == 0))
		return e->node < ports && e->other < ports;
	if (e->kind == SCRIPT_replay)
		return e->other < ports || e->other == 255;
	if (e->kind == SCRIPT_command)
		return e->node < p->nodes && e->more < p->nodes;
	return e->node < p->nodes && (e->other < p->workers || e->kind == SCRIPT_cut ||
				      e->kind == SCRIPT_slow || e->kind == SCRIPT_clog);
}

static int parse_event(struct script *script, const char *name, const char *rest)
{
	unsigned long long ns, length_ns, arg;
	unsigned int node, other, more, n;
	struct script_event e;

	if (sscanf(rest, "%llu %u %u %u %u %llu %llu", &ns, &node, &other, &more, &n, &length_ns,
		   &arg) != 7 || node > 255 || other > 255 || more > 255)
		return -EINVAL;
	e = (struct script_event){ ns, length_ns, arg, n, 0, (uint8_t)node, (uint8_t)other,
				   (uint8_t)more };
	while (e.kind < SCRIPT_KIND_COUNT && strcmp(name, kind_names[e.kind]) != 0)
		e.kind++;
	if (e.kind == SCRIPT_KIND_COUNT || !in_range(&e, &script->plan) ||
	    script->count == EVENTS_MAX)
		return -EINVAL;
	script_add(script, &e);
	return 0;
}

static int parse_line(struct script *script, const char *line)
{
	char name[64], what[64];
	unsigned long long value;
	int used = 0;

	if (line[0] == '#' || line[0] == '\n')
		return 0;
	if (sscanf(line, "plan %63s %llu", what, &value) == 2)
		return plan_set(&script->plan, what, value) ? 0 : -EINVAL;
	if (sscanf(line, "%63s %n", name, &used) != 1 || used == 0)
		return -EINVAL;
	if (strcmp(name, "trace") == 0)
		return strcmp(line + used, "1\n") == 0 ? 0 : -EINVAL;
	if (strcmp(name, "seed") == 0 || strcmp(name, "end") == 0) {
		if (sscanf(line + used, "%llu", &value) != 1)
			return -EINVAL;
		*(name[0] == 's' ? &script->seed : &script->end_ns) = value;
		return 0;
	}
	return plan_valid(&script->plan) ? parse_event(script, name, line + used) : -EINVAL;
}

int script_read(struct script *script, const char *path, uint32_t *ret_line)
{
	char line[LINE_MAX_BYTES];
	struct plan plan = { 0 };
	FILE *f = fopen(path, "r");
	int rc = 0;

	if (!f)
		return -errno;
	script_clear(script, 0, &plan);
	*ret_line = 0;
	while (rc == 0 && fgets(line, sizeof(line), f)) {
		++*ret_line;
		rc = parse_line(script, line);
	}
	if (rc == 0 && !plan_valid(&script->plan))
		rc = -EINVAL;
	fclose(f);
	return rc;
}
