/* SPDX-License-Identifier: Apache-2.0 */
/* view_configs.c: what is searched of the view service. */
#include "tests/model/view_model.h"

#define OPENING_TICKS 20u

static const struct view_model_config configs[] = {
	{ .name = "view_cut",
	  .what = "a leads; a node is cut off, left out, and comes back",
	  .stand = 1,
	  .cuts = 1,
	  .time_max = 4,
	  .lease = 3,
	  .detect = 1,
	  .ci = true },
	{ .name = "view_hasty",
	  .what = "as cut; disks are done before the next step",
	  .hasty = true,
	  .stand = 1,
	  .cut_nodes = 4,
	  .cuts = 1,
	  .time_max = 4,
	  .lease = 3,
	  .detect = 1,
	  .ci = true },
	{ .name = "view_notice",
	  .what = "c leads; b is cut off and left out, a hears of it late",
	  .stand = 4,
	  .hold_nodes = 1,
	  .cut_nodes = 2,
	  .holds = 1,
	  .cuts = 1,
	  .time_max = 4,
	  .lease = 2,
	  .detect = 1,
	  .ci = true },
	{ .name = "view_restart",
	  .what = "a leads; c is cut off, b has promised and starts again",
	  .stand = 1,
	  .crash = 2,
	  .cut_nodes = 4,
	  .cuts = 1,
	  .time_max = 3,
	  .crashes = 1,
	  .lease = 3,
	  .detect = 1,
	  .ci = true },
	{ .name = "view_drain",
	  .what = "a command that would leave too few copies",
	  .copies = 3,
	  .stand = 1,
	  .time_max = 4,
	  .drains = 1,
	  .lease = 3,
	  .detect = 3,
	  .ci = true },
	{ .name = "view_leader",
	  .what = "a leads and is cut off or crashes; b leads",
	  .stand = 3,
	  .crash = 1,
	  .cut_nodes = 1,
	  .cuts = 1,
	  .time_max = 4,
	  .crashes = 1,
	  .lease = 3,
	  .detect = 1,
	  .states_max = 300000,
	  .ci = true },
	{ .name = "view_disk",
	  .what = "a slow disk at b, c is cut off",
	  .disk = 2,
	  .stand = 1,
	  .cut_nodes = 4,
	  .cuts = 1,
	  .time_max = 4,
	  .lease = 3,
	  .detect = 1,
	  .states_max = 300000,
	  .ci = true },
	{ .name = "view_promise",
	  .what = "the same, and a has not heard the last requests of c",
	  .stand = 1,
	  .crash = 2,
	  .hold_nodes = 1,
	  .cut_nodes = 4,
	  .holds = 2,
	  .cuts = 1,
	  .time_max = 3,
	  .crashes = 1,
	  .lease = 2,
	  .detect = 1 },
};

const struct view_model_config *view_model_configs(uint32_t *ret_count)
{
	*ret_count = ARRAY_LEN(configs);
	return configs;
}

static bool is_open(const struct explore *x)
{
	for (uint8_t n = 0; n < EXPLORE_NODES; n++) {
		const struct view_facts *f = explore_facts(x, n);

		if (f->members != 7 || !f->lease || f->pending != 0)
			return false;
	}
	return true;
}

void view_model_open(struct explore *x)
{
	for (uint32_t i = 0; i < OPENING_TICKS && !is_open(x); i++) {
		explore_opening(x, (struct explore_event){ EXPLORE_TIME, 0, 0 });
		for (uint8_t n = 0; n < EXPLORE_NODES; n++) {
			const struct view_facts *f = explore_facts(x, n);
			bool stand = f->election_due; /* of those that may, one by one */

			explore_opening(x, (struct explore_event){ VIEW_MODEL_LOOK, n, stand });
			while (((const struct view_facts *)explore_facts(x, n))->pending != 0)
				explore_opening(x,
						(struct explore_event){ VIEW_MODEL_DURABLE, n, 0 });
		}
	}
	must(is_open(x));
}
