/* SPDX-License-Identifier: Apache-2.0 */
#include "dataplane/view_board.h"

void view_board_init(struct view_board *b)
{
	memset(b, 0, sizeof(*b));
}

uint32_t view_board_post(struct view_board *b, const struct view_board_order *order)
{
	seqlock_write(&b->seq, b->order, order, sizeof(*order));
	return seqlock_version(&b->seq);
}

bool view_board_read(const struct view_board *b, struct view_board_order *ret_order,
		     uint32_t *ret_version)
{
	return seqlock_read(&b->seq, b->order, ret_order, sizeof(*ret_order), ret_version);
}

void view_board_tell(struct view_board *b, uint16_t worker, const struct view_board_health *health)
{
	struct view_board_slot *slot = &b->slot[worker];

	seqlock_write(&slot->seq, slot->word, health, sizeof(*health));
}

bool view_board_health(const struct view_board *b, uint16_t worker,
		       struct view_board_health *ret_health)
{
	const struct view_board_slot *slot = &b->slot[worker];
	struct view_board_health h;
	uint32_t version;

	if (!seqlock_read(&slot->seq, slot->word, &h, sizeof(h), &version))
		return false;
	*ret_health = h;
	return true;
}
