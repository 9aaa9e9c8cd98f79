/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/check/check_file.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>

#define FIELDS	   9u
#define LINE_BYTES 8192u
#define CURE_NUMBER "write a decimal number below 2^64"
#define CURE_VERSION "write number.node.incarnation, like 4.1.1, or - for none"
#define CURE_VALUE "write a number as such, anything else as # and 16 hex digits of its hash"

static const char *const kind_names[CHECK_KIND_COUNT] = { "get", "put",	 "del",
							  "cas", "incr", "casv" };

const char *check_file_kind_name(enum check_kind kind)
{
	return kind_names[kind];
}

/* ---- writing ---- */

static bool is_plain(uint8_t c)
{
	return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
	       (c != 0 && strchr("-._~/:", c));
}

static void write_key(FILE *file, const uint8_t *key, uint32_t key_bytes)
{
	for (uint32_t i = 0; i < key_bytes; i++) {
		if (is_plain(key[i]))
			putc(key[i], file);
		else
			fprintf(file, "%%%02X", key[i]);
	}
}

static void write_value(FILE *file, uint64_t value, bool is_number)
{
	if (is_number)
		fprintf(file, "%" PRId64, (int64_t)value);
	else
		fprintf(file, "#%016" PRIx64, value);
}

static void write_version(FILE *file, uint64_t version, uint32_t writer)
{
	fprintf(file, "%" PRIu64 ".%u.%u", version, writer_node(writer),
		writer_incarnation(writer));
}

static void write_argument(FILE *file, const struct check_op *op)
{
	switch ((enum check_kind)op->kind) {
	case CHECK_PUT:
		write_value(file, op->value, op->is_number);
		return;
	case CHECK_CAS:
		write_version(file, op->base, op->base_writer);
		putc(',', file);
		write_value(file, op->value, op->is_number);
		return;
	case CHECK_CASV:
		write_value(file, op->base, op->base_is_number);
		putc(',', file);
		write_value(file, op->value, op->is_number);
		return;
	case CHECK_INCR:
		write_value(file, op->base, true);
		return;
	case CHECK_GET:
	case CHECK_DEL:
	case CHECK_KIND_COUNT:
		break;
	}
	putc('-', file);
}

/* Does the outcome come with a version? */
static bool has_version(const struct check_op *op)
{
	return op->outcome == STATUS_OK || op->outcome == STATUS_NOT_FOUND ||
	       op->outcome == STATUS_CONFLICT || op->outcome == STATUS_NOT_A_NUMBER ||
	       op->outcome == STATUS_OVERFLOW;
}

static bool has_result(const struct check_op *op)
{
	return op->outcome == STATUS_OK && (op->kind == CHECK_GET || op->kind == CHECK_INCR);
}

void check_file_write_line(FILE *file, const struct check_op *op, const void *key,
			   uint32_t key_bytes)
{
	must(key_bytes > 0 && op->kind < CHECK_KIND_COUNT);
	fprintf(file, "%u %s ", op->client, kind_names[op->kind]);
	write_key(file, key, key_bytes);
	putc(' ', file);
	write_argument(file, op);
	putc(' ', file);
	if (has_result(op))
		write_value(file, op->value, op->is_number);
	else
		putc('-', file);
	putc(' ', file);
	if (has_version(op))
		write_version(file, op->version, op->writer);
	else
		putc('-', file);
	fprintf(file, " %" PRIu64 " %" PRIu64 " %s\n", op->start_ns, op->end_ns,
		status_name((enum status)op->outcome));
}

/* ---- reading numbers, values and versions: each takes what it understands off *text ---- */

static bool take_u64(const char **text, uint64_t *ret_number)
{
	uint64_t n = 0;
	const char *p = *text;

	for (; *p >= '0' && *p <= '9'; p++) {
		uint64_t d = (uint64_t)(*p - '0');

		if (n > (UINT64_MAX - d) / 10)
			return false;
		n = n * 10 + d;
	}
	if (p == *text)
		return false;
	*text = p;
	*ret_number = n;
	return true;
}

static bool take_hash(const char **text, uint64_t *ret_hash)
{
	uint64_t h = 0;

	for (uint32_t i = 0; i < 16; i++) {
		char c = (*text)[i];
		uint32_t digit = c >= '0' && c <= '9' ? (uint32_t)(c - '0') :
				 c >= 'a' && c <= 'f' ? (uint32_t)(c - 'a') + 10 :
							16;

		if (digit == 16)
			return false;
		h = h << 4 | digit;
	}
	*text += 16;
	*ret_hash = h;
	return true;
}

static bool take_value(const char **text, uint64_t *ret_value, uint8_t *ret_is_number)
{
	bool negative = **text == '-';
	uint64_t n, limit = negative ? (uint64_t)1 << 63 : INT64_MAX;

	*ret_is_number = **text != '#';
	if (**text == '#' || negative)
		(*text)++;
	if (!*ret_is_number)
		return take_hash(text, ret_value);
	if (!take_u64(text, &n) || n > limit)
		return false;
	*ret_value = negative ? 0 - n : n;
	return true;
}

static bool take_dot(const char **text)
{
	if (**text != '.')
		return false;
	(*text)++;
	return true;
}

static bool take_version(const char **text, uint64_t *ret_version, uint32_t *ret_writer)
{
	uint64_t node, incarnation;

	if (!take_u64(text, ret_version) || !take_dot(text) || !take_u64(text, &node) ||
	    !take_dot(text) || !take_u64(text, &incarnation) || node > UINT8_MAX ||
	    incarnation > INCARNATION_MAX)
		return false;
	*ret_writer = writer_make((uint8_t)node, (uint32_t)incarnation);
	return true;
}

/* ---- keys ---- */

static uint64_t hash_text(const char *text)
{
	struct check_op op;

	check_value(&op, text, (uint32_t)strlen(text));
	return op.value * 0x9e3779b97f4a7c15ull >> 16;
}

/* The slot of this key, or the empty one where it belongs. */
static uint64_t *key_slot(const struct check_file *f, const char *text)
{
	uint64_t i = hash_text(text) & (f->slot_count - 1);

	while (f->slots[i] != 0 && strcmp(f->keys[f->slots[i] - 1], text) != 0)
		i = (i + 1) & (f->slot_count - 1);
	return &f->slots[i];
}

static bool grow_keys(struct check_file *f)
{
	uint64_t max = f->key_max ? 2 * f->key_max : 1024;
	char **keys = realloc(f->keys, max * sizeof(*keys));
	uint64_t *slots;

	if (!keys)
		return false;
	f->keys = keys;
	slots = calloc(2 * max, sizeof(*slots));
	if (!slots)
		return false;
	free(f->slots);
	f->slots = slots;
	f->slot_count = 2 * max;
	f->key_max = max;
	for (uint64_t i = 0; i < f->key_count; i++)
		*key_slot(f, keys[i]) = i + 1;
	return true;
}

static int intern_key(struct check_file *f, const char *text, uint64_t *ret_key)
{
	uint64_t *slot;

	if (f->key_count == f->key_max && !grow_keys(f))
		return -ENOMEM;
	slot = key_slot(f, text);
	if (*slot == 0) {
		f->keys[f->key_count] = strdup(text);
		if (!f->keys[f->key_count])
			return -ENOMEM;
		*slot = ++f->key_count;
	}
	*ret_key = *slot - 1;
	return 0;
}

/* One spelling per key: what is_plain() is never escaped, hex digits are capitals. */
static bool key_is_good(const char *text)
{
	uint32_t bytes = 0;

	for (; *text; text++, bytes++) {
		if (is_plain((uint8_t)*text))
			continue;
		if (*text != '%' || !text[1] || !text[2] || !strchr("0123456789ABCDEF", text[1]) ||
		    !strchr("0123456789ABCDEF", text[2]) ||
		    is_plain((uint8_t)strtoul((char[3]) { text[1], text[2], 0 }, NULL, 16)))
			return false;
		text += 2;
	}
	return bytes > 0 && bytes <= KEY_BYTES_MAX;
}

/* ---- lines ---- */

struct line {
	struct check_file *f;
	struct check_file_problem *problem;
	char *field[FIELDS];
	struct check_op op;
};

static int wrong(struct line *l, const char *name, const char *value, const char *cure)
{
	snprintf(l->problem->text, sizeof(l->problem->text), "%s '%.80s': %s", name, value, cure);
	return -EINVAL;
}

static bool is_none(const char *text)
{
	return text[0] == '-' && text[1] == 0;
}

static int read_number(struct line *l, const char *name, const char *text, uint64_t *ret_number)
{
	const char *p = text;

	if (!take_u64(&p, ret_number) || *p)
		return wrong(l, name, text, CURE_NUMBER);
	return 0;
}

static int read_argument(struct line *l, const char *text)
{
	struct check_op *op = &l->op;
	const char *p = text;
	uint8_t is_number;

	switch ((enum check_kind)op->kind) {
	case CHECK_GET:
	case CHECK_DEL:
		return is_none(text) ? 0 : wrong(l, "argument", text, "write - for get and del");
	case CHECK_PUT:
		if (!take_value(&p, &op->value, &op->is_number) || *p)
			return wrong(l, "argument of put", text, CURE_VALUE);
		return 0;
	case CHECK_INCR:
		if (!take_value(&p, &op->base, &is_number) || *p || !is_number)
			return wrong(l, "argument of incr", text, "write the number to add");
		return 0;
	case CHECK_CAS:
		if (!take_version(&p, &op->base, &op->base_writer))
			return wrong(l, "argument of cas", text,
				     "write version,value, like 4.1.1,17; 0.0.0 for absent");
		break;
	case CHECK_CASV:
		if (!take_value(&p, &op->base, &op->base_is_number))
			return wrong(l, "argument of casv", text,
				     "write expected value,new value, like 17,18");
		break;
	case CHECK_KIND_COUNT:
		break;
	}
	if (*p++ != ',' || !take_value(&p, &op->value, &op->is_number) || *p)
		return wrong(l, "argument, the new value after the comma", text, CURE_VALUE);
	return 0;
}

static int read_result(struct line *l, const char *text)
{
	const char *p = text;

	if (!has_result(&l->op) && is_none(text))
		return 0;
	if (!has_result(&l->op))
		return wrong(l, "result", text, "write -: only a get or incr that is OK has one");
	if (is_none(text) || !take_value(&p, &l->op.value, &l->op.is_number) || *p)
		return wrong(l, "result", text, CURE_VALUE);
	if (l->op.kind == CHECK_INCR && !l->op.is_number)
		return wrong(l, "result of incr", text, "write a number");
	return 0;
}

static int read_version(struct line *l, const char *text)
{
	const char *p = text;

	if (is_none(text) && !has_version(&l->op))
		return 0;
	if (!take_version(&p, &l->op.version, &l->op.writer) || *p)
		return wrong(l, "version", text, CURE_VERSION);
	return 0;
}

static int read_times(struct line *l)
{
	struct check_op *op = &l->op;
	int rc = read_number(l, "start_ns", l->field[6], &op->start_ns);

	if (rc == 0)
		rc = read_number(l, "end_ns", l->field[7], &op->end_ns);
	if (rc == 0 && op->end_ns < op->start_ns && has_version(op))
		rc = wrong(l, "end_ns", l->field[7], "an operation cannot end before it starts: "
						     "take both times from one clock");
	return rc;
}

static int read_names(struct line *l)
{
	uint32_t kind = 0, outcome = 0;

	while (kind < CHECK_KIND_COUNT && strcmp(kind_names[kind], l->field[1]) != 0)
		kind++;
	if (kind == CHECK_KIND_COUNT)
		return wrong(l, "op", l->field[1], "write get, put, del, cas, incr or casv");
	while (outcome < STATUS_COUNT &&
	       strcmp(status_name((enum status)outcome), l->field[8]) != 0)
		outcome++;
	if (outcome == STATUS_COUNT)
		return wrong(l, "outcome", l->field[8],
			     "write OK, NOT_FOUND, CONFLICT, UNKNOWN or another status's name");
	l->op.kind = (uint8_t)kind;
	l->op.outcome = (uint8_t)outcome;
	return 0;
}

static int read_fields(struct line *l)
{
	uint64_t client;
	int rc = read_number(l, "client", l->field[0], &client);

	if (rc == 0 && client > UINT32_MAX)
		rc = wrong(l, "client", l->field[0], "write a number below 2^32");
	if (rc == 0)
		rc = read_names(l);
	if (rc == 0 && !key_is_good(l->field[2]))
		rc = wrong(l, "key", l->field[2], "write 1 to 512 bytes; all but letters, digits "
						  "and -._~/: as % and two capital hex digits");
	if (rc == 0)
		rc = read_argument(l, l->field[3]);
	if (rc == 0)
		rc = read_result(l, l->field[4]);
	if (rc == 0)
		rc = read_version(l, l->field[5]);
	if (rc == 0)
		rc = read_times(l);
	if (rc == 0)
		rc = intern_key(l->f, l->field[2], &l->op.key);
	l->op.client = (uint32_t)client;
	return rc;
}

static int append_op(struct check_file *f, const struct check_op *op)
{
	if (f->count == f->max) {
		uint64_t max = f->max ? 2 * f->max : 4096;
		struct check_op *ops = realloc(f->ops, max * sizeof(*ops));

		if (!ops)
			return -ENOMEM;
		f->ops = ops;
		f->max = max;
	}
	f->ops[f->count++] = *op;
	return 0;
}

static int read_line(struct check_file *f, char *text, struct check_file_problem *problem)
{
	struct line l = { .f = f, .problem = problem };
	char *rest = NULL, *field = strtok_r(text, " \t\r", &rest);
	uint32_t count = 0;
	char number[32];
	int rc;

	if (!field || field[0] == '#')
		return 0;
	for (; field; field = strtok_r(NULL, " \t\r", &rest), count++)
		if (count < FIELDS)
			l.field[count] = field;
	if (count != FIELDS) {
		snprintf(number, sizeof(number), "%u", count);
		return wrong(&l, "fields", number,
			     "write nine: client op key argument result version start_ns end_ns "
			     "outcome");
	}
	rc = read_fields(&l);
	return rc == 0 ? append_op(f, &l.op) : rc;
}

int check_file_read(struct check_file *f, FILE *file, struct check_file_problem *ret_problem)
{
	char text[LINE_BYTES];
	int rc = 0;

	*ret_problem = (struct check_file_problem) { 0 };
	while (rc == 0 && fgets(text, sizeof(text), file)) {
		size_t bytes = strlen(text);

		ret_problem->line++;
		if (bytes > 0 && text[bytes - 1] == '\n') {
			text[bytes - 1] = 0;
			rc = read_line(f, text, ret_problem);
			continue;
		}
		snprintf(ret_problem->text, sizeof(ret_problem->text),
			 "the line is longer than %u bytes, contains a zero byte, or lacks its "
			 "newline: was the file cut off?",
			 LINE_BYTES - 2);
		rc = -EINVAL;
	}
	return rc == 0 && ferror(file) ? -EIO : rc;
}

void check_file_free(struct check_file *f)
{
	for (uint64_t i = 0; i < f->key_count; i++)
		free(f->keys[i]);
	free(f->keys);
	free(f->slots);
	free(f->ops);
	*f = (struct check_file) { 0 };
}
