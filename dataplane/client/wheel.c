/* SPDX-License-Identifier: Apache-2.0 */
#include "dataplane/client/wheel.h"

#define SLOT_DUE WHEEL_SLOTS

void wheel_init(struct wheel *w, struct wheel_timer *timers, uint32_t count, uint64_t slot_ns)
{
	must(slot_ns >= 1);
	memset(w, 0, sizeof(*w));
	w->slot_ns = slot_ns;
	w->soonest_ns = UINT64_MAX;
	w->timers = timers;
	w->count = count;
	for (uint32_t i = 0; i <= WHEEL_SLOTS; i++)
		w->head[i] = WHEEL_NONE;
	for (uint32_t i = 0; i < count; i++)
		timers[i].slot = WHEEL_NONE;
}

static void slot_link(struct wheel *w, uint32_t timer, uint32_t slot)
{
	struct wheel_timer *t = &w->timers[timer];

	t->slot = slot;
	t->prev = WHEEL_NONE;
	t->next = w->head[slot];
	if (t->next != WHEEL_NONE)
		w->timers[t->next].prev = timer;
	w->head[slot] = timer;
	if (slot < WHEEL_SLOTS)
		w->occupied[slot / 64] |= 1ull << (slot % 64);
}

static void slot_unlink(struct wheel *w, uint32_t timer)
{
	struct wheel_timer *t = &w->timers[timer];

	if (t->next != WHEEL_NONE)
		w->timers[t->next].prev = t->prev;
	if (t->prev != WHEEL_NONE)
		w->timers[t->prev].next = t->next;
	else
		w->head[t->slot] = t->next;
	if (t->slot < WHEEL_SLOTS && w->head[t->slot] == WHEEL_NONE)
		w->occupied[t->slot / 64] &= ~(1ull << (t->slot % 64));
	t->slot = WHEEL_NONE;
}

void wheel_arm(struct wheel *w, uint32_t timer, uint64_t at_ns)
{
	struct wheel_timer *t = &w->timers[timer];
	uint64_t number = max_u64(at_ns / w->slot_ns, w->cursor);

	must_dbg(timer < w->count);
	if (t->slot != WHEEL_NONE)
		slot_unlink(w, timer);
	t->at_ns = at_ns;
	slot_link(w, timer, (uint32_t)(number % WHEEL_SLOTS));
	w->soonest_ns = min_u64(w->soonest_ns, at_ns);
}

void wheel_disarm(struct wheel *w, uint32_t timer)
{
	must_dbg(timer < w->count);
	if (w->timers[timer].slot != WHEEL_NONE)
		slot_unlink(w, timer);
}

/* slot_collect: moves what is due out of one slot; returns the earliest moment of what stays. */
static uint64_t slot_collect(struct wheel *w, uint32_t slot, uint64_t now_ns)
{
	uint64_t earliest = UINT64_MAX;
	uint32_t timer = w->head[slot];

	while (timer != WHEEL_NONE) {
		uint32_t next = w->timers[timer].next;

		if (w->timers[timer].at_ns <= now_ns) {
			slot_unlink(w, timer);
			slot_link(w, timer, SLOT_DUE);
		} else {
			earliest = min_u64(earliest, w->timers[timer].at_ns);
		}
		timer = next;
	}
	return earliest;
}

static bool slot_occupied(const struct wheel *w, uint64_t number)
{
	uint32_t slot = (uint32_t)(number % WHEEL_SLOTS);

	return w->occupied[slot / 64] & 1ull << (slot % 64);
}

/* next_occupied_ns: when the first occupied slot after the cursor's begins. */
static uint64_t next_occupied_ns(const struct wheel *w)
{
	for (uint64_t number = w->cursor + 1; number < w->cursor + WHEEL_SLOTS; number++) {
		if (slot_occupied(w, number))
			return number * w->slot_ns;
	}
	return UINT64_MAX;
}

void wheel_collect(struct wheel *w, uint64_t now_ns)
{
	uint64_t last, steps, earliest = UINT64_MAX;

	if (now_ns < w->soonest_ns)
		return;
	last = max_u64(now_ns / w->slot_ns, w->cursor);
	steps = min_u64(last - w->cursor, WHEEL_SLOTS - 1);
	for (uint64_t number = last - steps; number <= last; number++) {
		if (slot_occupied(w, number))
			earliest = slot_collect(w, (uint32_t)(number % WHEEL_SLOTS), now_ns);
		else
			earliest = UINT64_MAX;
	}
	w->cursor = last;
	/* The last slot looked at is the cursor's own; what stays there may be the soonest. */
	w->soonest_ns = min_u64(earliest, next_occupied_ns(w));
}

uint32_t wheel_take(struct wheel *w)
{
	uint32_t timer = w->head[SLOT_DUE];

	if (timer != WHEEL_NONE)
		slot_unlink(w, timer);
	return timer;
}

uint64_t wheel_soonest_ns(const struct wheel *w)
{
	return w->head[SLOT_DUE] != WHEEL_NONE ? 0 : w->soonest_ns;
}
