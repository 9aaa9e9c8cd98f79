/* SPDX-License-Identifier: Apache-2.0 */
/*
 * config_keys.h: the table of keys, shared by config.c (parser, limits) and config_show.c
 * (reference and listings). Private to the two.
 */
#ifndef CAIRN_MGMT_CONFIG_KEYS_H
#define CAIRN_MGMT_CONFIG_KEYS_H

#include "mgmt/config.h"

enum config_kind {
	CONFIG_TEXT,	/* char array of `bytes` */
	CONFIG_NUMBER,	/* uint64_t, an integer */
	CONFIG_SIZE,	/* uint64_t, bytes: an integer, or a string with KiB, MiB or GiB */
	CONFIG_CHOICE,	/* uint64_t, index of a word in `choices` */
	CONFIG_HEX,	/* uint64_t, a string of 1..16 hex digits */
	CONFIG_MODE,	/* uint64_t, a string of octal digits */
	CONFIG_ADDRESS, /* struct config_net_address, "a.b.c.d/bits" */
	CONFIG_CORES,	/* struct config_cores, an array of integers */
	CONFIG_FLAG,	/* uint64_t, true or false */
	CONFIG_ENDPOINT, /* struct config_endpoint, "a.b.c.d:port", or "": none */
};

struct config_key {
	const char *section, *name;
	enum config_kind kind;
	uint32_t offset, bytes; /* in struct config */
	bool required;
	uint64_t min, max;   /* NUMBER, SIZE, HEX, MODE; of each core */
	const char *value;   /* default, as TOML; of a required key an example */
	const char *choices; /* CHOICE: words, one blank between them */
	const char *help;    /* lines of the reference */
};

extern const struct config_key config_keys[];
extern const uint32_t config_keys_count;

/* config_choice: word `index` of choices into out[32]; "" when there is none. */
const char *config_choice(const char *choices, uint64_t index, char out[32]);

/* config_size_text: "256MiB", "4096". */
const char *config_size_text(uint64_t bytes, char out[32]);

#endif
