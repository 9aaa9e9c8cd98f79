/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/model/intern.h"

#include <stdio.h>
#include <stdlib.h>

#define SLOTS_AT_FIRST 1024u

static _Noreturn void out_of_memory(void)
{
	fputs("cairn-model: out of memory: lower --states-max\n", stderr);
	exit(2);
}

void *grow(void *list, uint64_t *room, uint64_t need, uint64_t item_bytes)
{
	uint64_t bigger = *room < 64 ? 64 : *room;

	if (need <= *room)
		return list;
	while (bigger < need)
		bigger += bigger / 2;
	list = realloc(list, bigger * item_bytes);
	if (!list)
		out_of_memory();
	*room = bigger;
	return list;
}

static void *zeros(uint64_t count, uint64_t item_bytes)
{
	void *p = calloc(count, item_bytes);

	if (!p)
		out_of_memory();
	return p;
}

static uint64_t fold(uint64_t h, uint64_t v)
{
	h = (h ^ v) * 0x9e3779b97f4a7c15ull;
	return h ^ h >> 29;
}

static uint32_t hash(const void *data, uint32_t bytes)
{
	const uint8_t *p = data;
	uint64_t h = bytes;
	uint64_t last = 0;

	for (; bytes >= 8; bytes -= 8, p += 8)
		h = fold(h, load_u64(p));
	memcpy(&last, p, bytes);
	h = fold(h, last);
	h = fold(h, h >> 32);
	return (uint32_t)(h >> 16);
}

void intern_init(struct intern *t, uint32_t item_bytes)
{
	*t = (struct intern){ .item_bytes = item_bytes, .mask = SLOTS_AT_FIRST - 1 };
	t->slot = zeros(SLOTS_AT_FIRST, sizeof(*t->slot));
}

void intern_free(struct intern *t)
{
	free(t->bytes);
	free(t->end);
	free(t->slot);
}

static uint64_t start_of(const struct intern *t, uint32_t id)
{
	if (t->item_bytes != 0)
		return (uint64_t)id * t->item_bytes;
	return id == 0 ? 0 : t->end[id - 1];
}

const void *intern_get(const struct intern *t, uint32_t id)
{
	must(id < t->count);
	return t->bytes + start_of(t, id);
}

uint32_t intern_length(const struct intern *t, uint32_t id)
{
	must(id < t->count);
	if (t->item_bytes != 0)
		return t->item_bytes;
	return (uint32_t)(t->end[id] - start_of(t, id));
}

uint64_t intern_memory(const struct intern *t)
{
	return t->bytes_room + (t->end ? t->room * sizeof(*t->end) : 0) +
	       ((uint64_t)t->mask + 1) * sizeof(*t->slot);
}

static void enlarge(struct intern *t)
{
	struct intern_slot *old = t->slot;
	uint32_t old_mask = t->mask;

	t->mask = old_mask * 2 + 1;
	t->slot = zeros((uint64_t)t->mask + 1, sizeof(*t->slot));
	for (uint64_t i = 0; i <= old_mask; i++) {
		uint32_t to = old[i].tag & t->mask;

		if (old[i].id1 == 0)
			continue;
		while (t->slot[to].id1 != 0)
			to = (to + 1) & t->mask;
		t->slot[to] = old[i];
	}
	free(old);
}

static uint32_t append(struct intern *t, const void *data, uint32_t bytes)
{
	uint64_t room = t->room;

	t->bytes = grow(t->bytes, &t->bytes_room, t->bytes_used + bytes + 1, 1);
	memcpy(t->bytes + t->bytes_used, data, bytes);
	t->bytes_used += bytes;
	if (t->item_bytes == 0) {
		t->end = grow(t->end, &room, (uint64_t)t->count + 1, sizeof(*t->end));
		t->end[t->count] = t->bytes_used;
		t->room = (uint32_t)room;
	}
	must(t->count < UINT32_MAX - 1);
	return t->count++;
}

uint32_t intern_put(struct intern *t, const void *data, uint32_t bytes, bool *ret_new)
{
	uint32_t tag = hash(data, bytes);
	uint32_t at = tag & t->mask;

	must(t->item_bytes == 0 || t->item_bytes == bytes);
	*ret_new = false;
	for (; t->slot[at].id1 != 0; at = (at + 1) & t->mask) {
		uint32_t id = t->slot[at].id1 - 1;

		if (t->slot[at].tag == tag && intern_length(t, id) == bytes &&
		    memcmp(t->bytes + start_of(t, id), data, bytes) == 0)
			return id;
	}
	*ret_new = true;
	t->slot[at] = (struct intern_slot){ append(t, data, bytes) + 1, tag };
	if (t->count > t->mask / 2)
		enlarge(t);
	return t->count - 1;
}

void map_init(struct map *m)
{
	*m = (struct map){ .mask = SLOTS_AT_FIRST - 1 };
	m->slot = zeros(SLOTS_AT_FIRST, sizeof(*m->slot));
}

void map_free(struct map *m)
{
	free(m->slot);
}

static uint32_t map_home(const struct map *m, uint32_t a, uint32_t b)
{
	return (uint32_t)(fold(fold(1, a), b) >> 20) & m->mask;
}

uint32_t map_find(const struct map *m, uint32_t a, uint32_t b)
{
	for (uint32_t i = map_home(m, a, b); m->slot[i].used; i = (i + 1) & m->mask)
		if (m->slot[i].a == a && m->slot[i].b == b)
			return m->slot[i].value;
	return MAP_NONE;
}

static void map_place(struct map *m, const struct map_slot *s)
{
	uint32_t i = map_home(m, s->a, s->b);

	while (m->slot[i].used)
		i = (i + 1) & m->mask;
	m->slot[i] = *s;
}

void map_add(struct map *m, uint32_t a, uint32_t b, uint32_t value)
{
	struct map_slot new = { .a = a, .b = b, .value = value, .used = 1 };

	if (m->count++ > m->mask / 2) {
		struct map old = *m;

		m->mask = old.mask * 2 + 1;
		m->slot = zeros((uint64_t)m->mask + 1, sizeof(*m->slot));
		for (uint64_t i = 0; i <= old.mask; i++)
			if (old.slot[i].used)
				map_place(m, &old.slot[i]);
		free(old.slot);
	}
	map_place(m, &new);
}
