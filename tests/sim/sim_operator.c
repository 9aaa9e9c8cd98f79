/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The operator of a cluster with the production view service: gives commands at random moments
 * while there are faults, replaces disks that were lost, and in the end sees to it that everybody
 * is wanted again.
 */
#include "tests/sim/sim.h"
#include "tests/sim/sim_service.h"

#define TURN_NS 400000ull
#define PATIENCE_NS 6000000ull /* a command without an answer for so long is given up */

static bool can_ask(const struct sim *s, uint8_t node)
{
	const struct sim_node *n = &s->node[node];

	return n->up && n->ready_ns <= s->now_ns && n->paused_ns <= s->now_ns && !n->spent &&
	       (s->service.node[node].command == 0 ||
		s->service.node[node].command_ns + PATIENCE_NS < s->now_ns);
}

static void ask(struct sim *s, uint8_t node, const struct membership_command *c)
{
	struct sim_service_node *n = &s->service.node[node];

	n->command = control_command(s->node[node].control, c);
	n->command_ns = s->now_ns;
	s->service.commands++;
	sim_event(s, (uint64_t)c->verb << 8 | c->node);
	sim_trace(s, "operator asks node %u: verb %u node %u value %u flags %u", node, c->verb,
		  c->node, c->value, c->flags);
	sim_node_wake(s, node);
}

static void add_command(const struct sim *s, uint8_t node, struct membership_command *c)
{
	*c = (struct membership_command){ .verb = VERB_ADD, .node = node, .want = WANT_DATA };
	if (s->plan.service.witness == node + 1)
		c->want = WANT_WITNESS;
	c->ip = sim_node_ip(node);
	snprintf(c->name, sizeof(c->name), "n%u", node);
}

/* mend: what this node needs from the operator now; false: nothing. */
static bool mend(struct sim *s, uint8_t node, struct membership_command *c)
{
	const struct membership_node *m = &s->service.newest.node[node];
	bool foreign = m->want != WANT_NONE && m->ident != 0 &&
		       m->ident != s->service.node[node].ident;

	*c = (struct membership_command){ .node = node };
	if (foreign) {
		c->verb = VERB_REMOVE;
		c->flags = COMMAND_FORCE;
		return (m->flags & MEMBER_LEAVING) == 0;
	}
	if (m->want == WANT_NONE && (s->service.calm || s->node[node].blank) &&
	    s->node[node].joining) {
		add_command(s, node, c);
		return true;
	}
	if (!s->service.calm || m->want == WANT_NONE)
		return false;
	c->verb = m->flags & MEMBER_DRAINED ? VERB_UNDRAIN : VERB_PROMOTE;
	return (m->flags & (MEMBER_DRAINED | MEMBER_LEARNER)) != 0;
}

/* clean_up: who was removed gets a new disk, formatted to join. */
static void clean_up(struct sim *s, uint8_t node)
{
	struct sim_node *n = &s->node[node];

	if (s->service.newest.revision <= 1 || s->service.newest.node[node].want != WANT_NONE ||
	    n->joining || !n->up || n->damaged)
		return;
	s->service.replacements++;
	sim_node_replace(s, node);
}

static bool needed(struct sim *s, struct membership_command *c)
{
	for (uint8_t i = 0; i < s->plan.nodes; i++) {
		uint8_t node = (uint8_t)((i + s->service.turn) % s->plan.nodes);

		if (mend(s, node, c))
			return true;
	}
	*c = (struct membership_command){ .verb = VERB_COPIES,
					  .value = s->plan.service.copies_min };
	return s->service.calm && s->service.newest.copies_min != c->value;
}

void sim_operator_turn(struct sim *s)
{
	struct membership_command c;
	uint8_t asked = (uint8_t)(s->service.turn++ % s->plan.nodes);

	s->service.operator_ns = s->now_ns + TURN_NS;
	for (uint8_t n = 0; n < s->plan.nodes && !s->violated; n++)
		clean_up(s, n);
	if (!s->violated && s->service.newest.revision != 0 && can_ask(s, asked) && needed(s, &c))
		ask(s, asked, &c);
}

void sim_operator_stop(struct sim *s)
{
	s->service.calm = true;
	s->service.operator_ns = s->now_ns;
}

/* ---- at random ------------------------------------------------------------------------------- */

void sim_operator_order(struct sim *s, const struct script_event *e)
{
	struct membership_command c = { .verb = e->other, .node = e->more };

	if (!can_ask(s, e->node))
		return;
	/* Nobody leaves while a disk is damaged or not yet filled again. */
	if (c.verb != VERB_TRANSFER && c.verb != VERB_COPIES && sim_fault_precious(s, NODES_MAX))
		return;
	if (c.verb == VERB_ADD)
		add_command(s, e->more, &c);
	c.value = (uint8_t)e->n;
	c.flags = (uint8_t)(e->n >> 8);
	c.member_flags = (uint8_t)(e->n >> 16);
	c.replaces = (uint8_t)(e->n >> 24);
	ask(s, e->node, &c);
}

/* free_number: a number nobody has; SIM_NONE. */
static uint32_t free_number(const struct sim *s)
{
	for (uint32_t n = 0; n < s->plan.nodes; n++)
		if (s->service.newest.node[n].want == WANT_NONE)
			return n;
	return SIM_NONE;
}

static uint32_t drained(const struct sim *s)
{
	for (uint32_t n = 0; n < s->plan.nodes; n++)
		if (s->service.newest.node[n].flags & (MEMBER_DRAINED | MEMBER_LEARNER))
			return n;
	return SIM_NONE;
}

bool sim_operator_draw(struct sim *s, struct script_event *ret_event)
{
	static const uint8_t verbs[] = { VERB_DRAIN, VERB_DRAIN,    VERB_TRANSFER, VERB_TRANSFER,
					 VERB_COPIES, VERB_REMOVE, VERB_REMOVE };
	struct rng *r = &s->fault_rng;
	uint64_t verb = verbs[rng_below(r, ARRAY_LEN(verbs))];
	uint64_t target = rng_below(r, s->plan.nodes);
	uint32_t spare = free_number(s), back = drained(s), n = 0;

	if (spare != SIM_NONE && rng_chance(r, 600000)) {
		verb = VERB_ADD;
		target = spare;
		n = rng_chance(r, 200000) ? (uint32_t)MEMBER_LEARNER << 16 : 0;
		if (rng_chance(r, 300000))
			n |= (uint32_t)rng_range(r, 1, s->plan.nodes) << 24;
	} else if (back != SIM_NONE && rng_chance(r, 600000)) {
		target = back;
		verb = s->service.newest.node[back].flags & MEMBER_DRAINED ? VERB_UNDRAIN :
									     VERB_PROMOTE;
	} else if (verb == VERB_COPIES) {
		n = (uint32_t)rng_range(r, 1, 3);
	}
	if (rng_chance(r, 200000))
		n |= COMMAND_FORCE << 8;
	*ret_event = (struct script_event){ .kind = SCRIPT_command,
					    .node = (uint8_t)rng_below(r, s->plan.nodes),
					    .other = (uint8_t)verb,
					    .more = (uint8_t)target,
					    .n = n };
	return s->service.newest.revision != 0;
}
