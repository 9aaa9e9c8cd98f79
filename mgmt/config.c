/* SPDX-License-Identifier: Apache-2.0 */
/* config.c: text to values. Limits and rules between keys are in config_check.c. */
#include "mgmt/config_keys.h"

#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "mgmt/ctl_proto.h"

/* One parse: where we are in the file and what has been seen. */
struct parse {
	struct config *c;
	const char *file;
	struct problem *p;
	char section[TOML_NAME_BYTES_MAX + 1]; /* "" before the first table */
	bool in_peer, peer_has_id, peer_has_addr, peer_has_witness, peer_has_control;
	struct toml_pos section_pos;
	uint64_t sections_seen; /* bit per index of the section's first key */
};

__attribute__((format(printf, 4, 5))) static int fail(struct parse *s, enum problem_id id,
						      struct toml_pos pos, const char *format, ...)
{
	char what[PROBLEM_TEXT_BYTES];
	va_list args;

	va_start(args, format);
	vsnprintf(what, sizeof(what), format, args);
	va_end(args);
	return problem_set(s->p, id, "%s:%u:%u: %s", s->file, pos.line, pos.column, what);
}

static uint32_t least(uint32_t a, uint32_t b, uint32_t c)
{
	uint32_t m = a < b ? a : b;

	return m < c ? m : c;
}

/* Levenshtein distance, two rows; names are short. */
static uint32_t distance(const char *a, const char *b)
{
	uint32_t row[TOML_NAME_BYTES_MAX + 1], n = (uint32_t)strlen(b);

	for (uint32_t j = 0; j <= n; j++)
		row[j] = j;
	for (uint32_t i = 0; a[i]; i++) {
		uint32_t diagonal = row[0];
		row[0] = i + 1;
		for (uint32_t j = 0; j < n; j++) {
			uint32_t above = row[j + 1];
			row[j + 1] = least(above + 1, row[j] + 1, diagonal + (a[i] != b[j]));
			diagonal = above;
		}
	}
	return row[n];
}

/* Remembers the candidate nearest to name, if it is near enough to be meant. */
static void suggest(const char *name, const char *candidate, uint32_t *best, const char **ret)
{
	uint32_t d = distance(name, candidate);

	if (d < *best && d <= 1 + (uint32_t)strlen(candidate) / 3) {
		*best = d;
		*ret = candidate;
	}
}

static int unknown_section(struct parse *s, const struct toml_item *item)
{
	const char *near = NULL;
	uint32_t best = UINT32_MAX;

	for (uint32_t i = 0; i < config_keys_count; i++)
		suggest(item->name, config_keys[i].section, &best, &near);
	suggest(item->name, "peer", &best, &near);
	fail(s, PROBLEM_CONFIG_UNKNOWN_KEY, item->pos, "unknown table [%s]", item->name);
	if (near)
		problem_cure(s->p,
			     strcmp(near, "peer") ? "did you mean [%s]?" : "did you mean [[%s]]?",
			     near);
	return -EINVAL;
}

static int unknown_key(struct parse *s, const struct toml_item *item)
{
	const char *near = NULL, *elsewhere = NULL;
	uint32_t best = UINT32_MAX;

	for (uint32_t i = 0; i < config_keys_count; i++) {
		if (!s->in_peer && strcmp(config_keys[i].section, s->section) == 0)
			suggest(item->name, config_keys[i].name, &best, &near);
		if (strcmp(config_keys[i].name, item->name) == 0)
			elsewhere = config_keys[i].section;
	}
	if (s->in_peer) {
		suggest(item->name, "id", &best, &near);
		suggest(item->name, "addr", &best, &near);
		suggest(item->name, "witness", &best, &near);
		suggest(item->name, "name", &best, &near);
		suggest(item->name, "control", &best, &near);
	}
	fail(s, PROBLEM_CONFIG_UNKNOWN_KEY, item->pos, "unknown key \"%s\" in [%s]", item->name,
	     s->section);
	if (near)
		return problem_cure(s->p, "did you mean \"%s\"?", near);
	if (elsewhere)
		return problem_cure(s->p, "\"%s\" belongs to [%s]", item->name, elsewhere);
	return -EINVAL;
}

static bool parse_ip(const char *text, uint32_t *ret_ip)
{
	unsigned part[4];
	int end = 0;

	if (sscanf(text, "%3u.%3u.%3u.%3u%n", &part[0], &part[1], &part[2], &part[3], &end) != 4 ||
	    text[end] != 0 || strspn(text, "0123456789.") != strlen(text))
		return false;
	for (int i = 0; i < 4; i++)
		if (part[i] > 255)
			return false;
	*ret_ip = part[0] << 24 | part[1] << 16 | part[2] << 8 | part[3];
	return true;
}

bool config_ip_is_host(uint32_t ip)
{
	return ip >> 24 != 0 && ip >> 24 != 127 && ip >> 28 < 14;
}

static bool parse_address(const char *text, struct config_net_address *ret)
{
	const char *slash = strchr(text, '/');
	char ip[16];
	uint32_t bits = 24;

	if (slash) {
		if (slash[1] == 0 || strlen(slash + 1) > 2 ||
		    strspn(slash + 1, "0123456789") != strlen(slash + 1))
			return false;
		bits = (uint32_t)strtoul(slash + 1, NULL, 10);
	}
	size_t n = slash ? (size_t)(slash - text) : strlen(text);
	if (n >= sizeof(ip) || bits > 32)
		return false;
	memcpy(ip, text, n);
	ip[n] = 0;
	uint32_t address;
	if (!parse_ip(ip, &address))
		return false;
	*ret = (struct config_net_address) { address, bits };
	return true;
}

/* parse_endpoint: "a.b.c.d:port"; "" is none. */
static bool parse_endpoint(const char *text, struct config_endpoint *ret)
{
	const char *colon = strchr(text, ':');
	struct config_endpoint e = { 0 };
	unsigned long port;
	char ip[16];

	if (*text == 0) {
		*ret = e;
		return true;
	}
	if (!colon || (size_t)(colon - text) >= sizeof(ip) || strlen(colon + 1) > 5 ||
	    colon[1] == 0 || strspn(colon + 1, "0123456789") != strlen(colon + 1))
		return false;
	memcpy(ip, text, (size_t)(colon - text));
	ip[colon - text] = 0;
	port = strtoul(colon + 1, NULL, 10);
	if (!parse_ip(ip, &e.ip) || port == 0 || port > UINT16_MAX)
		return false;
	e.port = (uint16_t)port;
	*ret = e;
	return true;
}

static bool parse_size(const char *text, uint64_t *ret_bytes)
{
	static const struct {
		const char *name;
		uint32_t shift;
	} units[] = { { "", 0 }, { "B", 0 }, { "KiB", 10 }, { "MiB", 20 }, { "GiB", 30 } };
	char *end;

	if (*text < '0' || *text > '9')
		return false;
	errno = 0;
	uint64_t number = strtoull(text, &end, 10);
	if (errno != 0)
		return false;
	for (size_t i = 0; i < ARRAY_LEN(units); i++) {
		if (strcmp(end, units[i].name) != 0)
			continue;
		if (number > UINT64_MAX >> units[i].shift)
			return false;
		*ret_bytes = number << units[i].shift;
		return true;
	}
	return false;
}

static bool parse_base(const char *text, int base, uint64_t *ret)
{
	size_t n = strlen(text);
	const char *digits = base == 8 ? "01234567" : "0123456789abcdefABCDEF";

	if (n == 0 || n > 16 || strspn(text, digits) != n)
		return false;
	*ret = strtoull(text, NULL, base);
	return true;
}

static bool parse_choice(const char *choices, const char *text, uint64_t *ret_index)
{
	char word[32];

	for (uint64_t i = 0; *config_choice(choices, i, word); i++) {
		if (strcmp(word, text) == 0) {
			*ret_index = i;
			return true;
		}
	}
	return false;
}

static int wrong_type(struct parse *s, const struct toml_item *item, const char *wanted)
{
	const struct toml_value *v = &item->value;

	fail(s, PROBLEM_CONFIG_WRONG_TYPE, v->pos, "\"%s\" is %s", item->name,
	     toml_type_name(v->type));
	return problem_cure(s->p, "write %s", wanted);
}

static int bad_text(struct parse *s, const struct toml_item *item, const char *wanted)
{
	fail(s, PROBLEM_CONFIG_WRONG_TYPE, item->value.pos, "\"%s\" = \"%s\" is not %s", item->name,
	     item->value.string, wanted);
	return problem_cure(s->p, "write %s", wanted);
}

static int set_text(struct parse *s, const struct toml_item *item, char *out, uint32_t bytes)
{
	const char *text = item->value.string;

	if (item->value.type != TOML_STRING)
		return wrong_type(s, item, "a string in quotes");
	if (strlen(text) >= bytes)
		return fail(s, PROBLEM_CONFIG_OUT_OF_RANGE, item->value.pos,
			    "\"%s\" is %zu bytes long; at most %u", item->name, strlen(text),
			    bytes - 1);
	for (const char *at = text; *at; at++)
		if ((unsigned char)*at < ' ' || *at == 127)
			return fail(s, PROBLEM_CONFIG_OUT_OF_RANGE, item->value.pos,
				    "\"%s\" holds control character 0x%02x", item->name,
				    (unsigned)(unsigned char)*at);
	memcpy(out, text, strlen(text) + 1);
	return 0;
}

static int set_integer(struct parse *s, const struct config_key *key, const struct toml_item *item,
		       uint64_t *ret)
{
	int64_t number = item->value.integer;

	if (number < 0)
		return fail(s, PROBLEM_CONFIG_OUT_OF_RANGE, item->value.pos,
			    "\"%s\" = %lld is out of range: %llu to %llu", item->name,
			    (long long)number, (unsigned long long)key->min,
			    (unsigned long long)key->max);
	*ret = (uint64_t)number;
	return 0;
}

/* The kinds whose value is one uint64_t written as a string. */
static int set_word(struct parse *s, const struct config_key *key, const struct toml_item *item,
		    uint64_t *ret)
{
	const char *text = item->value.string;
	char wanted[160];

	switch (key->kind) {
	case CONFIG_SIZE:
		return parse_size(text, ret)
			       ? 0
			       : bad_text(s, item, "a size such as \"64MiB\" (KiB, MiB, GiB)");
	case CONFIG_HEX:
		return parse_base(text, 16, ret) ? 0 : bad_text(s, item, "1 to 16 hex digits");
	case CONFIG_MODE:
		return parse_base(text, 8, ret) ? 0 : bad_text(s, item, "octal such as \"0660\"");
	case CONFIG_CHOICE:
		snprintf(wanted, sizeof(wanted), "one of: %s", key->choices);
		return parse_choice(key->choices, text, ret) ? 0 : bad_text(s, item, wanted);
	case CONFIG_TEXT:
	case CONFIG_NUMBER:
	case CONFIG_ADDRESS:
	case CONFIG_CORES:
	case CONFIG_FLAG:
	case CONFIG_ENDPOINT:
		break;
	}
	return wrong_type(s, item, "an integer");
}

static int set_cores(struct parse *s, const struct toml_item *item, struct config_cores *ret)
{
	const struct toml_value *v = &item->value;

	if (v->type != TOML_ARRAY || (v->count > 0 && v->item_type != TOML_INTEGER))
		return wrong_type(s, item, "an array of core numbers such as [2, 3]");
	if (v->count > CONFIG_CORES_MAX)
		return fail(s, PROBLEM_CONFIG_OUT_OF_RANGE, v->pos,
			    "\"%s\" has %u cores; at most %u", item->name, v->count,
			    CONFIG_CORES_MAX);
	for (uint32_t i = 0; i < v->count; i++) {
		if (v->integers[i] < 0 || v->integers[i] > 1023)
			return fail(s, PROBLEM_CONFIG_OUT_OF_RANGE, v->pos,
				    "\"%s\" item %lld is out of range: 0 to 1023", item->name,
				    (long long)v->integers[i]);
		ret->core[i] = (uint16_t)v->integers[i];
	}
	ret->count = v->count;
	return 0;
}

static int set_flag(struct parse *s, const struct toml_item *item, bool *ret)
{
	if (item->value.type != TOML_BOOLEAN)
		return wrong_type(s, item, "true or false, without quotes");
	*ret = item->value.boolean;
	return 0;
}

static int set_endpoint(struct parse *s, const struct toml_item *item, struct config_endpoint *ret)
{
	if (item->value.type != TOML_STRING)
		return wrong_type(s, item, "a string such as \"192.168.1.1:7390\"");
	return parse_endpoint(item->value.string, ret)
		       ? 0
		       : bad_text(s, item, "an IPv4 address and a port: \"192.168.1.1:7390\"");
}

static int set_value(struct parse *s, const struct config_key *key, const struct toml_item *item)
{
	void *at = (char *)s->c + key->offset;
	enum toml_type type = item->value.type;
	bool flag = false;
	int rc;

	switch (key->kind) {
	case CONFIG_TEXT:
		return set_text(s, item, at, key->bytes);
	case CONFIG_CORES:
		return set_cores(s, item, at);
	case CONFIG_FLAG:
		rc = set_flag(s, item, &flag);
		*(uint64_t *)at = flag;
		return rc;
	case CONFIG_ENDPOINT:
		return set_endpoint(s, item, at);
	case CONFIG_ADDRESS:
		if (type != TOML_STRING)
			return wrong_type(s, item, "a string such as \"10.77.0.1/24\"");
		return parse_address(item->value.string, at)
			       ? 0
			       : bad_text(s, item, "an IPv4 address such as \"10.77.0.1/24\"");
	case CONFIG_NUMBER:
		if (type != TOML_INTEGER)
			return wrong_type(s, item, "an integer, without quotes");
		return set_integer(s, key, item, at);
	case CONFIG_SIZE:
		if (type == TOML_INTEGER)
			return set_integer(s, key, item, at);
		break;
	case CONFIG_CHOICE:
	case CONFIG_HEX:
	case CONFIG_MODE:
		break;
	}
	if (type != TOML_STRING)
		return wrong_type(s, item,
				  key->kind == CONFIG_SIZE
					  ? "a size such as \"64MiB\" or an integer"
					  : "a string in quotes");
	return set_word(s, key, item, at);
}

static int peer_id(struct parse *s, const struct toml_item *item, struct config_peer *peer)
{
	if (item->value.type != TOML_INTEGER)
		return wrong_type(s, item, "an integer, without quotes");
	if (item->value.integer < 0 || item->value.integer >= NODES_MAX)
		return fail(s, PROBLEM_CONFIG_OUT_OF_RANGE, item->value.pos,
			    "peer id %lld is out of range: 0 to %u", (long long)item->value.integer,
			    NODES_MAX - 1);
	peer->id = (uint64_t)item->value.integer;
	return 0;
}

static int peer_addr(struct parse *s, const struct toml_item *item, struct config_peer *peer)
{
	if (item->value.type != TOML_STRING)
		return wrong_type(s, item, "a string such as \"10.77.0.2\"");
	return parse_ip(item->value.string, &peer->ip)
		       ? 0
		       : bad_text(s, item, "an IPv4 address such as \"10.77.0.2\"");
}

static int peer_key(struct parse *s, const struct toml_item *item)
{
	static const char *const names[] = { "id", "addr", "witness", "control", "name" };
	struct config_peer *peer = &s->c->peer[s->c->peer_count - 1];
	bool *const has[] = { &s->peer_has_id, &s->peer_has_addr, &s->peer_has_witness,
			      &s->peer_has_control, NULL };
	size_t i = 0;

	while (i < ARRAY_LEN(names) && strcmp(names[i], item->name) != 0)
		i++;
	if (i == ARRAY_LEN(names))
		return unknown_key(s, item);
	if (has[i] ? *has[i] : peer->name[0] != 0)
		return fail(s, PROBLEM_CONFIG_DUPLICATE, item->pos,
			    "\"%s\" is set twice in one [[peer]]", item->name);
	if (has[i])
		*has[i] = true;
	switch (i) {
	case 0:
		return peer_id(s, item, peer);
	case 1:
		return peer_addr(s, item, peer);
	case 2:
		return set_flag(s, item, &peer->witness);
	case 3:
		return set_endpoint(s, item, &peer->control);
	default:
		return set_text(s, item, peer->name, sizeof(peer->name));
	}
}

/* What must hold when a [[peer]] block ends. */
static int peer_close(struct parse *s)
{
	if (!s->in_peer || (s->peer_has_id && s->peer_has_addr))
		return 0;
	fail(s, PROBLEM_CONFIG_MISSING, s->section_pos, "[[peer]] has no \"%s\"",
	     s->peer_has_id ? "addr" : "id");
	return problem_cure(s->p, "give each [[peer]] an id and an addr");
}

static int peer_open(struct parse *s, const struct toml_item *item)
{
	if (strcmp(item->name, "peer") != 0)
		return unknown_section(s, item);
	if (s->c->peer_count == ARRAY_LEN(s->c->peer))
		return fail(s, PROBLEM_CONFIG_OUT_OF_RANGE, item->pos,
			    "more than %u [[peer]] blocks: a cluster has at most %u nodes",
			    (unsigned)ARRAY_LEN(s->c->peer), NODES_MAX);
	s->c->peer[s->c->peer_count++] = (struct config_peer) { .pos = item->pos };
	s->in_peer = true;
	s->peer_has_id = s->peer_has_addr = false;
	s->peer_has_witness = s->peer_has_control = false;
	return 0;
}

static int table_open(struct parse *s, const struct toml_item *item)
{
	uint32_t i = 0;

	while (i < config_keys_count && strcmp(config_keys[i].section, item->name) != 0)
		i++;
	if (i == config_keys_count) {
		unknown_section(s, item);
		return strcmp(item->name, "peer") ? -EINVAL : problem_cure(s->p, "write [[peer]]");
	}
	if (s->sections_seen & 1ull << i)
		return fail(s, PROBLEM_CONFIG_DUPLICATE, item->pos, "table [%s] appears twice",
			    item->name);
	s->sections_seen |= 1ull << i;
	s->in_peer = false;
	return 0;
}

_Static_assert(CONFIG_KEYS_MAX <= 64, "sections_seen has a bit for every key");

static int take_table(struct parse *s, const struct toml_item *item)
{
	int rc = peer_close(s);

	if (rc == 0)
		rc = item->kind == TOML_TABLE_ARRAY ? peer_open(s, item) : table_open(s, item);
	memcpy(s->section, item->name, sizeof(s->section));
	s->section_pos = item->pos;
	return rc;
}

static int take_key(struct parse *s, const struct toml_item *item)
{
	if (s->in_peer)
		return peer_key(s, item);
	if (s->section[0] == 0) {
		fail(s, PROBLEM_CONFIG_UNKNOWN_KEY, item->pos, "key \"%s\" stands before any table",
		     item->name);
		return problem_cure(s->p, "put it under its [table]");
	}
	for (uint32_t i = 0; i < config_keys_count; i++) {
		if (strcmp(config_keys[i].section, s->section) != 0 ||
		    strcmp(config_keys[i].name, item->name) != 0)
			continue;
		if (s->c->origin[i].line != 0)
			return fail(s, PROBLEM_CONFIG_DUPLICATE, item->pos,
				    "\"%s\" was set already in line %u", item->name,
				    s->c->origin[i].line);
		s->c->origin[i] = item->value.pos;
		return set_value(s, &config_keys[i], item);
	}
	return unknown_key(s, item);
}

void config_defaults(struct config *c)
{
	memset(c, 0, sizeof(*c));
	for (uint32_t i = 0; i < config_keys_count; i++) {
		const struct config_key *key = &config_keys[i];
		struct problem problem;
		struct parse s = { .c = c, .file = "default", .p = &problem };
		struct toml_reader reader;
		struct toml_item item;
		char line[256];
		int n = snprintf(line, sizeof(line), "%s = %s", key->name, key->value);

		if (key->required)
			continue;
		toml_init(&reader, line, (size_t)n);
		must(toml_next(&reader, &item) == 1);
		must(set_value(&s, key, &item) == 0);
	}
}

static int check_required(struct parse *s)
{
	for (uint32_t i = 0; i < config_keys_count; i++) {
		const struct config_key *key = &config_keys[i];
		if (!key->required || s->c->origin[i].line != 0)
			continue;
		problem_set(s->p, PROBLEM_CONFIG_MISSING, "%s:1:1: \"%s\" in [%s] is missing",
			    s->file, key->name, key->section);
		return problem_cure(s->p, "add it, for example: %s = %s", key->name, key->value);
	}
	return 0;
}

int config_parse_text(const char *text, size_t bytes, const char *name, struct config *ret_config,
		      struct problem *p)
{
	struct config c; /* *ret_config stays untouched when the text is refused */
	struct parse s = { .c = &c, .file = name, .p = p };
	struct toml_reader reader;
	struct toml_item item;
	int rc;

	config_defaults(&c);
	toml_init(&reader, text, bytes);
	while ((rc = toml_next(&reader, &item)) > 0) {
		rc = item.kind == TOML_KEY ? take_key(&s, &item) : take_table(&s, &item);
		if (rc < 0)
			return rc;
	}
	if (rc < 0)
		return fail(&s, PROBLEM_CONFIG_SYNTAX, reader.error_pos, "%s", reader.error);
	rc = peer_close(&s);
	if (rc == 0)
		rc = check_required(&s);
	if (rc == 0)
		*ret_config = c;
	return rc;
}

static int unreadable(struct problem *p, const char *path, int error)
{
	return problem_set(p, PROBLEM_CONFIG_UNREADABLE, "%s: cannot read: %s", path,
			   strerror(error));
}

static int read_whole(int fd, char *text, size_t bytes)
{
	size_t done = 0;
	ssize_t n;

	while (done < bytes && (n = read(fd, text + done, bytes - done)) != 0) {
		if (n < 0 && errno != EINTR)
			return -errno;
		done += n > 0 ? (size_t)n : 0;
	}
	return (int)done;
}

int config_load(const char *path, struct config *ret_config, struct problem *p)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	struct stat st;

	if (fd < 0)
		return unreadable(p, path, errno);
	int rc = fstat(fd, &st) < 0 ? errno : S_ISDIR(st.st_mode) ? EISDIR : 0;
	char *text = NULL;
	if (rc == 0 && (!S_ISREG(st.st_mode) || st.st_size > CONFIG_FILE_BYTES_MAX))
		rc = EFBIG;
	if (rc == 0 && !(text = malloc((size_t)st.st_size + 1)))
		rc = ENOMEM;
	int bytes = rc == 0 ? read_whole(fd, text, (size_t)st.st_size) : -rc;
	close(fd);
	if (bytes < 0) {
		free(text);
		return unreadable(p, path, -bytes);
	}
	rc = config_parse_text(text, (size_t)bytes, path, ret_config, p);
	free(text);
	if (rc == 0)
		rc = config_validate(ret_config, path, p);
	if (rc < 0)
		return rc;
	snprintf(ret_config->file, sizeof(ret_config->file), "%s", path);
	config_finish(ret_config);
	return 0;
}
