/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Where views come from: nowhere (static), from the scripted authority (sim_authority.h), or from
 * the nodes themselves (sim_service.h).
 */
#include "tests/sim/sim.h"

const struct view *sim_view_of(const struct sim *s, uint32_t epoch)
{
	return s->plan.service.on ? sim_service_of(s, epoch) : sim_authority_of(s, epoch);
}

const struct view *sim_view_latest(const struct sim *s)
{
	return s->plan.service.on ? sim_service_latest(s) :
				    sim_authority_of(s, s->authority.epoch);
}

bool sim_view_whole(const struct sim *s)
{
	return s->plan.service.on ? sim_service_whole(s) : sim_authority_whole(s);
}

bool sim_view_member(const struct sim *s, uint8_t node)
{
	return s->plan.service.on ? sim_service_member(s, node) : sim_authority_member(s, node);
}

bool sim_view_holds(const struct sim *s, uint8_t node)
{
	return s->plan.service.witness != node + 1;
}

static void due(struct sim *s)
{
	s->view_due_ns = s->service.operator_ns;
	s->fault_due_ns = min_u64(s->fault_due_ns, s->view_due_ns);
}

void sim_view_start(struct sim *s)
{
	sim_authority_start(s);
	if (!s->plan.service.on)
		return;
	s->service.operator_ns = s->now_ns + 1;
	due(s);
}

void sim_view_stop(struct sim *s)
{
	sim_authority_stop(s);
	if (!s->plan.service.on)
		return;
	sim_operator_stop(s);
	due(s);
}

void sim_view_turn(struct sim *s)
{
	if (!s->plan.service.on) {
		sim_authority_turn(s);
		return;
	}
	sim_operator_turn(s);
	due(s);
}

void sim_view_order(struct sim *s, const struct script_event *e)
{
	if (e->kind == SCRIPT_command)
		sim_operator_order(s, e);
	else
		sim_authority_order(s, e);
}

void sim_view_crashed(struct sim *s, uint8_t node)
{
	sim_authority_crashed(s, node);
}

void sim_view_started(struct sim *s, uint8_t node)
{
	if (s->plan.service.on)
		sim_service_started(s, node);
	else
		sim_authority_started(s, node);
}

void sim_view_frozen(struct sim *s, uint8_t node, uint64_t length_ns)
{
	sim_authority_frozen(s, node, length_ns);
}
