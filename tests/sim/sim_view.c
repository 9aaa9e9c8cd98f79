/* SPDX-License-Identifier: Apache-2.0 */
/* Where views come from: nowhere (static) or from the scripted authority (sim_authority.h). */
#include "tests/sim/sim.h"

const struct view *sim_view_of(const struct sim *s, uint32_t epoch)
{
	return sim_authority_of(s, epoch);
}

const struct view *sim_view_latest(const struct sim *s)
{
	return sim_authority_of(s, s->authority.epoch);
}

bool sim_view_whole(const struct sim *s)
{
	return sim_authority_whole(s);
}

bool sim_view_member(const struct sim *s, uint8_t node)
{
	return sim_authority_member(s, node);
}

void sim_view_start(struct sim *s)
{
	sim_authority_start(s);
}

void sim_view_stop(struct sim *s)
{
	sim_authority_stop(s);
}

void sim_view_turn(struct sim *s)
{
	sim_authority_turn(s);
}

void sim_view_order(struct sim *s, const struct script_event *e)
{
	sim_authority_order(s, e);
}

void sim_view_crashed(struct sim *s, uint8_t node)
{
	sim_authority_crashed(s, node);
}

void sim_view_started(struct sim *s, uint8_t node)
{
	sim_authority_started(s, node);
}

void sim_view_frozen(struct sim *s, uint8_t node, uint64_t length_ns)
{
	sim_authority_frozen(s, node, length_ns);
}
