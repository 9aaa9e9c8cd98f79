/* SPDX-License-Identifier: Apache-2.0 */
/*
 * trace.c: the way to a violation, as a script of tests/replay. There, a link delivers the oldest
 * message of a type and epoch; where that is not the one meant, the comment above says which it is.
 */
#include <stdio.h>

#include "replication/hermes.h"
#include "tests/model/model.h"

struct trace {
	struct model *m;
	uint32_t local[MODEL_NODES];
	uint32_t delivered[1024]; /* messages, in order */
	uint32_t delivered_count;
	uint32_t views; /* bitmap of epochs shown */
};

static char letter(uint32_t node)
{
	return (char)('a' + node);
}

static const char *type_name(uint8_t type)
{
	static const char *const names[] = {
		[WIRE_INV] = "INV",	[WIRE_ACK] = "ACK",   [WIRE_VAL] = "VAL",
		[WIRE_HELLO] = "HELLO", [WIRE_FETCH] = "FETCH", [WIRE_COPY] = "COPY",
		[WIRE_COPY_SESSION] = "COPY_SESSION", [WIRE_COPIED] = "COPIED",
	};

	return type < ARRAY_LEN(names) && names[type] ? names[type] : "?";
}

static void print_set(const char *name, uint8_t set)
{
	if (set == 0)
		return;
	printf(" %s=", name);
	for (uint32_t n = 0; n < MODEL_NODES; n++)
		if (set >> n & 1)
			putchar(letter(n));
}

static void print_view(struct trace *t, const struct view *v)
{
	if (t->views & 1u << v->epoch)
		return;
	t->views |= 1u << v->epoch;
	printf("view %u", v->epoch);
	print_set("members", v->members);
	print_set("shadows", v->shadows);
	print_set("recovered", v->recovered);
	putchar('\n');
}

static void print_delivery(struct trace *t, uint32_t message)
{
	const struct model_message *mm = intern_get(&t->m->messages, message);
	bool before = false;

	for (uint32_t i = 0; i < t->delivered_count; i++)
		before |= t->delivered[i] == message;
	if (t->delivered_count < ARRAY_LEN(t->delivered))
		t->delivered[t->delivered_count++] = message;
	printf("# %s %llu.%c.%u\n", type_name(mm->type), (unsigned long long)mm->ts.version,
	       letter(writer_node(mm->ts.writer)), writer_incarnation(mm->ts.writer));
	printf("%s %c->%c %s @%u\n", before ? "old" : "deliver", letter(mm->from), letter(mm->to),
	       type_name(mm->type), mm->epoch);
}

static void print_request(const struct model_config *c, uint8_t op)
{
	const struct model_op *mo = &c->op[op];
	char n = letter(mo->node);
	long long value = (long long)model_put_value(op);

	switch (mo->type) {
	case WIRE_GET:
		printf("get %c k", n);
		break;
	case WIRE_PUT:
		printf("put %c k %lld", n, value);
		break;
	case WIRE_DEL:
		printf("del %c k", n);
		break;
	case WIRE_INCR:
		printf("incr %c k %lld", n, (long long)model_delta(op));
		break;
	case WIRE_CAS:
		if (mo->expect == 0)
			printf("cas %c k 0 %lld", n, value);
		else
			printf("cas %c k %u.%c.1 %lld", n, mo->expect, letter(mo->expect_node),
			       value);
		break;
	case WIRE_CASV:
		printf("casv %c k %u %lld", n, mo->expect, value);
		break;
	default:
		break;
	}
	printf(" as %c\n", letter(op));
}

static void print_install(struct trace *t, uint8_t node, uint32_t arg)
{
	struct view v = *(const struct view *)intern_get(&t->m->views, arg >> 1);

	print_view(t, &v);
	printf("install %c %u\n", letter(node), v.epoch);
	if (arg & 1)
		printf("lease %c %u 1000000\n", letter(node), v.epoch);
}

static void print_event(struct trace *t, uint8_t node, uint32_t event)
{
	uint32_t arg = event_arg_of(event);
	uint8_t op = (uint8_t)arg;

	switch (event_kind_of(event)) {
	case MODEL_DELIVER:
		print_delivery(t, arg);
		return;
	case MODEL_TIMER:
		printf("# at %c only\ntick 200\n", letter(node));
		return;
	case MODEL_DURABLE:
		printf("# one record only\ndurable %c\n", letter(node));
		return;
	case MODEL_ISSUE:
		if (arg & MODEL_AGAIN)
			printf("# of client %c\nagain %c\n", letter(op), letter(node));
		else
			print_request(t->m->config, op);
		return;
	case MODEL_RETRY:
		printf("retry %c %c\n", letter(node), letter(op));
		return;
	case MODEL_INSTALL:
		print_install(t, node, arg);
		return;
	case MODEL_LAPSE:
		printf("lease %c %u off\n", letter(node),
		       facts(t->m, t->local[node])->epoch);
		return;
	case MODEL_CRASH:
		printf("crash %c\n", letter(node));
		return;
	case MODEL_RESTART:
		printf("restart %c\n", letter(node));
		return;
	case MODEL_COLLECT:
		printf("collect %c k\n", letter(node));
		return;
	case MODEL_POWER:
		puts("crash abc");
		return;
	}
}

static void follow(struct trace *t, uint8_t node, uint32_t event)
{
	const struct model_outcome *o;

	if (event_kind_of(event) == MODEL_POWER) {
		for (uint8_t n = 0; n < MODEL_NODES; n++)
			if (facts(t->m, t->local[n])->alive)
				t->local[n] = node_outcome(t->m, t->local[n],
							   model_event(MODEL_CRASH, 0))->local;
		return;
	}
	o = node_outcome(t->m, t->local[node], event);
	if (!o || o->fault != 0)
		return;
	t->local[node] = o->local;
	for (uint32_t i = 0; i < o->replies; i++)
		printf("# reply to client %c: %s %llu.%c.%u\n", letter(o->reply[i].op),
		       status_name((enum status)o->reply[i].status),
		       (unsigned long long)o->reply[i].ts.version,
		       letter(writer_node(o->reply[i].ts.writer)),
		       writer_incarnation(o->reply[i].ts.writer));
	if (!t->m->config->disk && facts(t->m, o->local)->alive)
		printf("durable %c\n", letter(node));
	node_dump(t->m, t->local[node]);
}

void trace_print(struct model *m, const struct trace_step *step, uint32_t count,
		 const char *violation)
{
	static struct trace t;
	struct view first = *(const struct view *)intern_get(&m->views, 0);

	t = (struct trace){ .m = m };
	printf("# %s: %u steps to: %s\n", m->config->name, count, violation);
	printf("nodes %u\noption views\n", MODEL_NODES);
	if (m->config->broadcast_acks)
		puts("option o3");
	print_view(&t, &first);
	for (uint8_t n = 0; n < MODEL_NODES; n++) {
		uint32_t event = model_event(MODEL_INSTALL, first.members >> n & 1); /* view 0 */

		t.local[n] = node_start(m, n);
		print_event(&t, n, event);
		follow(&t, n, event);
	}
	for (uint32_t i = 0; i < count; i++) {
		print_event(&t, step[i].node, step[i].event);
		follow(&t, step[i].node, step[i].event);
	}
	printf("# %s\n", violation);
	fflush(stdout);
}
