/* SPDX-License-Identifier: Apache-2.0 */
/* config_show.c: the key table as documentation and as listings. */
#include "mgmt/config_keys.h"

#include <stdarg.h>
#include <stdio.h>

struct out {
	char *data;
	size_t used, bytes; /* used counts on past the end, like snprintf */
};

__attribute__((format(printf, 2, 3))) static void add(struct out *o, const char *format, ...)
{
	size_t room = o->used < o->bytes ? o->bytes - o->used : 0;
	va_list args;

	va_start(args, format);
	int n = vsnprintf(room ? o->data + o->used : NULL, room, format, args);
	va_end(args);
	o->used += n > 0 ? (size_t)n : 0;
}

static void add_help(struct out *o, const char *help)
{
	while (*help) {
		size_t n = strcspn(help, "\n");
		add(o, "# %.*s\n", (int)n, help);
		help += n + (help[n] == '\n');
	}
}

static void add_range(struct out *o, const struct config_key *key)
{
	char low[32], high[32];

	switch (key->kind) {
	case CONFIG_NUMBER:
		add(o, "# %llu to %llu.\n", (unsigned long long)key->min,
		    (unsigned long long)key->max);
		break;
	case CONFIG_SIZE:
		add(o, "# %s to %s.\n", config_size_text(key->min, low),
		    config_size_text(key->max, high));
		break;
	case CONFIG_CHOICE:
		add(o, "# One of: %s.\n", key->choices);
		break;
	case CONFIG_TEXT:
	case CONFIG_HEX:
	case CONFIG_MODE:
	case CONFIG_ADDRESS:
	case CONFIG_CORES:
	case CONFIG_FLAG:
	case CONFIG_ENDPOINT:
		break;
	}
}

size_t config_reference(char *out, size_t bytes)
{
	struct out o = { out, 0, bytes };
	const char *section = "";

	add(&o,
	    "# Every setting of a Cairn node, with its default. A node's file holds only what "
	    "differs,\n"
	    "# and the keys marked \"required\", shown here with an example. Made by\n"
	    "# \"cairnd --print-config-reference\"; sizes are bytes, or strings with KiB, MiB, "
	    "GiB.\n"
	    "# A change takes effect when the dataplane is restarted.\n");
	for (uint32_t i = 0; i < config_keys_count; i++) {
		const struct config_key *key = &config_keys[i];
		if (strcmp(section, key->section) != 0)
			add(&o, "\n[%s]\n", key->section);
		else
			add(&o, "\n");
		section = key->section;
		add_help(&o, key->help);
		add_range(&o, key);
		if (key->required)
			add(&o, "# Required.\n");
		add(&o, "%s = %s\n", key->name, key->value);
	}
	add(&o,
	    "\n# One block for each other node that founds the cluster: its [node] id, the IPv4 "
	    "address of\n"
	    "# its port, and, where they are not the default, its name and whether it is a "
	    "witness. This\n"
	    "# node may be listed too, so that all nodes can share the blocks. Once the cluster "
	    "runs it\n"
	    "# keeps its members itself (\"cairnctl member\"), and the blocks are not looked at "
	    "again, but\n"
	    "# for \"control\", the [control] listen of that node; a node formatted with --join "
	    "needs none.\n"
	    "[[peer]]\nid = 1\naddr = \"10.77.0.2\"\nname = \"node1\"\nwitness = false\n"
	    "control = \"\"\n\n"
	    "[[peer]]\nid = 2\naddr = \"10.77.0.3\"\n");
	return o.used;
}

uint32_t config_key_count(void)
{
	return config_keys_count;
}

const char *config_key_name(uint32_t index, char out[64])
{
	snprintf(out, 64, "%s.%s", config_keys[index].section, config_keys[index].name);
	return out;
}

bool config_key_is_default(const struct config *c, uint32_t index)
{
	return c->origin[index].line == 0;
}

static void add_cores(struct out *o, const struct config_cores *cores)
{
	add(o, "[");
	for (uint32_t i = 0; i < cores->count; i++)
		add(o, "%s%u", i ? ", " : "", cores->core[i]);
	add(o, "]");
}

/* Quoted as TOML and JSON both read it; control characters cannot be in a value. */
static void add_text(struct out *o, const char *text)
{
	add(o, "\"");
	for (; *text; text++)
		add(o, *text == '"' || *text == '\\' ? "\\%c" : "%c", *text);
	add(o, "\"");
}

const char *config_key_value(const struct config *c, uint32_t index, char *out, size_t bytes)
{
	const struct config_key *key = &config_keys[index];
	const void *at = (const char *)c + key->offset;
	const struct config_net_address *address = at;
	struct out o = { out, 0, bytes };
	uint64_t number = 0;
	char word[32];

	if (bytes > 0)
		out[0] = 0;
	if (key->bytes == sizeof(number))
		memcpy(&number, at, sizeof(number));
	switch (key->kind) {
	case CONFIG_TEXT:
		add_text(&o, at);
		break;
	case CONFIG_NUMBER:
		add(&o, "%llu", (unsigned long long)number);
		break;
	case CONFIG_SIZE:
		add(&o, "\"%s\"", config_size_text(number, word));
		break;
	case CONFIG_CHOICE:
		add(&o, "\"%s\"", config_choice(key->choices, number, word));
		break;
	case CONFIG_HEX:
		add(&o, "\"%016llx\"", (unsigned long long)number);
		break;
	case CONFIG_MODE:
		add(&o, "\"0%llo\"", (unsigned long long)number);
		break;
	case CONFIG_ADDRESS:
		add(&o, "\"%s/%u\"", config_ip_text(address->ip, word), address->prefix_bits);
		break;
	case CONFIG_CORES:
		add_cores(&o, at);
		break;
	case CONFIG_FLAG:
		add(&o, number ? "true" : "false");
		break;
	case CONFIG_ENDPOINT:
		add(&o, "\"%s\"", config_endpoint_text(at, word));
		break;
	}
	return out;
}
