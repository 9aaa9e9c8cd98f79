/* SPDX-License-Identifier: Apache-2.0 */
#include "replication/lane.h"

#define BACKOFF_MAX 4u	   /* patience is doubled at most so often */
#define PATIENCE_MAX 16u   /* and is at most so many times the first one */
#define SECOND_NS 1000000000ull

/* occupy: the lane walks the next range, if there is one. */
static void occupy(struct lanes *l, struct lane *at)
{
	uint32_t from = l->frontier;

	*at = (struct lane){ .open = from != WALK_END, .cursor = from, .expected = UINT32_MAX };
	if (at->open)
		at->end = l->frontier = WALK_END - from > l->places ? from + l->places : WALK_END;
}

void lanes_begin(struct lanes *l, uint32_t count, uint32_t places)
{
	l->count = count ? count : 1;
	l->places = places ? places : LANE_PLACES;
	must(l->count <= LANES_MAX);
	l->frontier = 0;
	for (uint32_t i = 0; i < LANES_MAX; i++)
		l->list[i].open = false;
	occupy(l, &l->list[0]);
}

void lanes_hurry(struct lanes *l)
{
	for (uint32_t i = 0; i < l->count; i++)
		l->list[i].ask_ns = l->list[i].patience_ns = 0;
}

uint64_t lanes_deadline_ns(const struct lanes *l)
{
	uint64_t deadline = UINT64_MAX;

	for (uint32_t i = 0; i < l->count; i++)
		if (l->list[i].open)
			deadline = min_u64(deadline, l->list[i].ask_ns);
	return deadline;
}

/* on_its_way: its answer, since others still come; if so, that is looked at again later. */
static bool on_its_way(const struct lanes *l, struct lane *at, uint64_t now_ns)
{
	uint64_t until_ns = l->heard_ns + at->patience_ns;

	if (at->paced || at->chunk == 0 || at->chunk <= l->answered || until_ns <= now_ns ||
	    mutant(278))
		return false;
	at->ask_ns = until_ns;
	return true;
}

struct lane *lane_due(struct lanes *l, uint32_t *at, uint64_t now_ns)
{
	while (*at < l->count) {
		struct lane *lane = &l->list[(*at)++];

		if (lane->open && lane->ask_ns <= now_ns && !on_its_way(l, lane, now_ns))
			return lane;
	}
	return NULL;
}

bool lane_may_ask(struct lanes *l, struct lane *at, uint64_t now_ns)
{
	at->paced = l->paid_ns > now_ns;
	if (at->paced)
		at->ask_ns = l->paid_ns;
	return !at->paced;
}

static void await(struct lane *at)
{
	at->got = 0;
	at->expected = UINT32_MAX;
	at->miss = at->miss_sum = 0;
	at->stubbed = false;
}

uint64_t lane_ask(struct lanes *l, struct lane *at, uint64_t now_ns, uint64_t retransmit_ns)
{
	uint32_t shift = at->silent < BACKOFF_MAX ? at->silent : BACKOFF_MAX;
	uint64_t patience_ns = max_u64(retransmit_ns, 2 * l->answer_ns) << shift;

	if (!mutant(103)) {
		at->chunk = ++l->chunk;
		await(at);
	}
	at->paced = false;
	at->asked_ns = now_ns;
	at->patience_ns = min_u64(patience_ns, retransmit_ns * PATIENCE_MAX);
	at->ask_ns = now_ns + at->patience_ns;
	return (uint64_t)at->chunk << 32 | at->cursor;
}

struct lane *lane_asked(struct lanes *l, uint64_t chunk)
{
	for (uint32_t i = 0; i < l->count; i++)
		if (l->list[i].open && l->list[i].chunk == chunk && (chunk != 0 || mutant(103)))
			return &l->list[i];
	return NULL;
}

bool lane_take(struct lane *at, uint32_t index, uint32_t max)
{
	if (index >= max || (at->got & 1u << index))
		return false;
	at->got |= 1u << index;
	return true;
}

void lane_answered(struct lanes *l, struct lane *at, uint64_t now_ns)
{
	uint64_t took_ns = now_ns - at->asked_ns;

	l->answer_ns = max_u64(took_ns, l->answer_ns - l->answer_ns / 8);
	l->answered = (uint32_t)max_u64(l->answered, at->chunk);
	l->heard_ns = now_ns;
	at->silent = 0;
	at->chunk = 0;
	at->ask_ns = 0;
}

bool lane_advance(struct lanes *l, struct lane *at)
{
	uint32_t next = at->next, end = at->end, i = 0;

	if (next == WALK_END)
		l->frontier = WALK_END;
	if (next == WALK_END && mutant(225))
		return false;
	if (next < end)
		*at = (struct lane){ .open = true, .cursor = next, .end = end };
	else
		occupy(l, at);
	await(at);
	while (i < l->count && l->list[i].open)
		i++;
	if (i < l->count)
		occupy(l, &l->list[i]);
	return lanes_deadline_ns(l) != UINT64_MAX;
}

void lanes_pay(struct lanes *l, uint64_t now_ns, uint64_t bytes, uint64_t bytes_per_s)
{
	l->heard_ns = now_ns;
	if (bytes_per_s != 0 && !mutant(227))
		l->paid_ns = max_u64(l->paid_ns, now_ns) + bytes * SECOND_NS / bytes_per_s;
}
