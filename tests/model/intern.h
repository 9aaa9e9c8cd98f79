/* SPDX-License-Identifier: Apache-2.0 */
/*
 * intern.h: numbers for byte strings: equal content, equal number; compared byte by byte, so two
 * different things never share one. Grows as needed; nothing is ever removed. map: from a pair of
 * numbers to a number.
 */
#ifndef CAIRN_TESTS_MODEL_INTERN_H
#define CAIRN_TESTS_MODEL_INTERN_H

#include "replication/base.h"

struct intern {
	uint8_t *bytes;
	uint64_t bytes_used, bytes_room;
	uint64_t *end; /* of each string in bytes; NULL when all are item_bytes long */
	uint32_t item_bytes;
	uint32_t count, room;
	struct intern_slot {
		uint32_t id1; /* number + 1; 0: free */
		uint32_t tag; /* hash of the string, to look at fewer of them */
	} *slot; /* open addressing */
	uint32_t mask;
};

/* intern_init: item_bytes 0: strings of any length. */
void intern_init(struct intern *t, uint32_t item_bytes);
void intern_free(struct intern *t);

/* intern_put: the number of this string, a new one if it was never seen (*ret_new). */
uint32_t intern_put(struct intern *t, const void *data, uint32_t bytes, bool *ret_new);

/* intern_get: the string; valid until the next intern_put. */
const void *intern_get(const struct intern *t, uint32_t id);
uint32_t intern_length(const struct intern *t, uint32_t id);

/* intern_memory: bytes allocated. */
uint64_t intern_memory(const struct intern *t);

#define MAP_NONE UINT32_MAX

struct map_slot {
	uint32_t a, b, value, used;
};

struct map {
	struct map_slot *slot;
	uint32_t mask, count;
};

void map_init(struct map *m);
void map_free(struct map *m);
uint32_t map_find(const struct map *m, uint32_t a, uint32_t b);
void map_add(struct map *m, uint32_t a, uint32_t b, uint32_t value);

/* grow: the array with room for at least `need` items; ends the program when memory is out. */
void *grow(void *list, uint64_t *room, uint64_t need, uint64_t item_bytes);

#endif
