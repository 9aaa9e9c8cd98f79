/* SPDX-License-Identifier: Apache-2.0 */
#include "mgmt/toml.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

void toml_init(struct toml_reader *r, const char *text, size_t bytes)
{
	*r = (struct toml_reader) { .text = text, .bytes = bytes, .line = 1 };
	if (bytes >= 3 && memcmp(text, "\xef\xbb\xbf", 3) == 0)
		r->offset = r->line_start = 3;
}

const char *toml_type_name(enum toml_type type)
{
	switch (type) {
	case TOML_STRING:
		return "a string";
	case TOML_INTEGER:
		return "an integer";
	case TOML_BOOLEAN:
		return "true or false";
	case TOML_ARRAY:
		return "an array";
	}
	return "a value";
}

/* The byte ahead, or -1 at the end. */
static int peek(const struct toml_reader *r)
{
	return r->offset < r->bytes ? (unsigned char)r->text[r->offset] : -1;
}

static int peek_at(const struct toml_reader *r, size_t ahead)
{
	return r->bytes - r->offset > ahead ? (unsigned char)r->text[r->offset + ahead] : -1;
}

static struct toml_pos here(const struct toml_reader *r)
{
	return (struct toml_pos) { r->line, (uint32_t)(r->offset - r->line_start + 1) };
}

__attribute__((format(printf, 3, 4))) static int fail(struct toml_reader *r, struct toml_pos pos,
						      const char *format, ...)
{
	va_list args;

	va_start(args, format);
	vsnprintf(r->error, sizeof(r->error), format, args);
	va_end(args);
	r->error_pos = pos;
	return -EINVAL;
}

/* How a byte looks in a message: itself when printable, else its number. */
static const char *show(int byte, char out[16])
{
	if (byte < 0)
		snprintf(out, 16, "end of file");
	else if (byte == '\n' || byte == '\r')
		snprintf(out, 16, "end of line");
	else if (byte > ' ' && byte < 127)
		snprintf(out, 16, "'%c'", byte);
	else
		snprintf(out, 16, "byte 0x%02x", (unsigned)byte);
	return out;
}

static void skip_blanks(struct toml_reader *r)
{
	while (peek(r) == ' ' || peek(r) == '\t')
		r->offset++;
}

static bool at_line_end(const struct toml_reader *r)
{
	return peek(r) == '\n' || (peek(r) == '\r' && peek_at(r, 1) == '\n');
}

static void take_line_end(struct toml_reader *r)
{
	r->offset += peek(r) == '\r' ? 2 : 1;
	r->line++;
	r->line_start = r->offset;
}

static int skip_comment(struct toml_reader *r)
{
	int c;

	if (peek(r) != '#')
		return 0;
	while ((c = peek(r)) >= 0 && !at_line_end(r)) {
		if ((c < ' ' && c != '\t') || c == 127)
			return fail(r, here(r), "control character 0x%02x in a comment",
				    (unsigned)c);
		r->offset++;
	}
	return 0;
}

/* Blanks, comments and empty lines. */
static int skip_lines(struct toml_reader *r)
{
	for (;;) {
		skip_blanks(r);
		int rc = skip_comment(r);
		if (rc < 0)
			return rc;
		if (!at_line_end(r))
			return 0;
		take_line_end(r);
	}
}

static int expect_line_end(struct toml_reader *r, const char *after)
{
	char shown[16];

	skip_blanks(r);
	int rc = skip_comment(r);
	if (rc < 0)
		return rc;
	if (peek(r) < 0)
		return 0;
	if (!at_line_end(r))
		return fail(r, here(r), "expected the end of the line after %s, found %s", after,
			    show(peek(r), shown));
	take_line_end(r);
	return 0;
}

static bool is_name_byte(int c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
	       c == '_' || c == '-';
}

static int read_name(struct toml_reader *r, const char *what, char out[TOML_NAME_BYTES_MAX + 1])
{
	struct toml_pos pos = here(r);
	char shown[16];
	size_t n = 0;

	if (peek(r) == '"' || peek(r) == '\'')
		return fail(r, pos, "quoted %s names are not supported here: write it bare", what);
	while (is_name_byte(peek(r))) {
		if (n == TOML_NAME_BYTES_MAX)
			return fail(r, pos, "%s name is longer than %u bytes", what,
				    TOML_NAME_BYTES_MAX);
		out[n++] = r->text[r->offset++];
	}
	out[n] = 0;
	if (n == 0)
		return fail(r, pos, "expected a %s name, found %s", what, show(peek(r), shown));
	if (peek(r) == '.')
		return fail(r, here(r), "dotted names are not supported here: use [table] and key");
	return 0;
}

static int read_table(struct toml_reader *r, struct toml_item *item)
{
	bool array = peek_at(r, 1) == '[';
	char shown[16];

	r->offset += array ? 2 : 1;
	skip_blanks(r);
	item->kind = array ? TOML_TABLE_ARRAY : TOML_TABLE;
	item->pos = here(r);
	int rc = read_name(r, "table", item->name);
	if (rc < 0)
		return rc;
	skip_blanks(r);
	if (peek(r) != ']' || (array && peek_at(r, 1) != ']'))
		return fail(r, here(r), "expected '%s' after the table name, found %s",
			    array ? "]]" : "]", show(peek(r), shown));
	r->offset += array ? 2 : 1;
	return expect_line_end(r, "a table name");
}

/* A string being filled: all strings of one value share the value's buffer. */
struct text_out {
	char *data;
	size_t used, bytes;
};

static bool put(struct text_out *out, int byte)
{
	if (out->used + 1 >= out->bytes)
		return false;
	out->data[out->used++] = (char)byte;
	out->data[out->used] = 0;
	return true;
}

static bool put_utf8(struct text_out *out, uint32_t code)
{
	if (code < 0x80)
		return put(out, (int)code);
	if (code < 0x800)
		return put(out, (int)(0xc0 | code >> 6)) && put(out, (int)(0x80 | (code & 0x3f)));
	return put(out, (int)(0xe0 | code >> 12)) && put(out, (int)(0x80 | (code >> 6 & 0x3f))) &&
	       put(out, (int)(0x80 | (code & 0x3f)));
}

static int hex_digit(int c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	if (c >= 'a' && c <= 'f')
		return c - 'a' + 10;
	if (c >= 'A' && c <= 'F')
		return c - 'A' + 10;
	return -1;
}

/* After the backslash. Returns 1 when the string's buffer is full. */
static int read_escape(struct toml_reader *r, struct toml_pos pos, struct text_out *out)
{
	static const char from[] = "btnfr\"\\";
	static const char to[] = "\b\t\n\f\r\"\\";
	char shown[16];
	int c = peek(r);
	const char *at = c > 0 ? strchr(from, c) : NULL;

	if (at) {
		r->offset++;
		return put(out, to[at - from]) ? 0 : 1;
	}
	if (c != 'u')
		return fail(r, pos, "unknown escape: backslash and %s", show(c, shown));
	r->offset++;
	uint32_t code = 0;
	for (int i = 0; i < 4; i++) {
		int digit = hex_digit(peek(r));
		if (digit < 0)
			return fail(r, pos, "\\u needs four hex digits");
		code = code << 4 | (uint32_t)digit;
		r->offset++;
	}
	if (code == 0 || (code >= 0xd800 && code < 0xe000))
		return fail(r, pos, "\\u%04x is not a character", code);
	return put_utf8(out, code) ? 0 : 1;
}

static int read_string(struct toml_reader *r, struct text_out *out)
{
	struct toml_pos start = here(r);
	int quote = peek(r);

	if (peek_at(r, 1) == quote && peek_at(r, 2) == quote)
		return fail(r, start, "multi-line strings are not supported here");
	r->offset++;
	for (;;) {
		struct toml_pos pos = here(r);
		int c = peek(r), rc = 0;
		if (c < 0 || at_line_end(r))
			return fail(r, start, "string is not closed on its line: missing %c",
				    quote);
		if ((c < ' ' && c != '\t') || c == 127)
			return fail(r, pos, "control character 0x%02x in a string", (unsigned)c);
		r->offset++;
		if (c == quote)
			return 0;
		if (c == '\\' && quote == '"')
			rc = read_escape(r, pos, out);
		else if (!put(out, c))
			rc = 1;
		if (rc < 0)
			return rc;
		if (rc > 0)
			return fail(r, start, "value is longer than %u bytes",
				    TOML_STRING_BYTES_MAX);
	}
}

static unsigned take_base(struct toml_reader *r)
{
	if (peek(r) != '0')
		return 10;
	int c = peek_at(r, 1);
	unsigned base = c == 'x' ? 16 : c == 'o' ? 8 : c == 'b' ? 2 : 10;
	if (base != 10)
		r->offset += 2;
	return base;
}

/* Digits with single underscores between them; what follows must not belong to a number. */
static int read_digits(struct toml_reader *r, struct toml_pos pos, unsigned base, uint64_t *ret)
{
	uint64_t number = 0;
	uint32_t digits = 0;
	bool leading_zero =
		base == 10 && peek(r) == '0' && peek_at(r, 1) >= '0' && peek_at(r, 1) <= '9';

	if (leading_zero)
		return fail(r, pos, "a decimal number must not start with 0");
	for (;; r->offset++) {
		int c = peek(r), digit = hex_digit(c);
		if (c == '_' && digits > 0 && hex_digit(peek_at(r, 1)) >= 0)
			continue;
		if (digit < 0 || (unsigned)digit >= base)
			break;
		if (__builtin_mul_overflow(number, base, &number) ||
		    __builtin_add_overflow(number, (unsigned)digit, &number))
			return fail(r, pos, "number does not fit 64 bits");
		digits++;
	}
	if (peek(r) == '.' || peek(r) == 'e' || peek(r) == 'E')
		return fail(r, pos, "floating-point numbers are not supported here");
	if (peek(r) == ':' || peek(r) == '-')
		return fail(r, pos, "dates and times are not supported here: use a string");
	if (digits == 0 || is_name_byte(peek(r)))
		return fail(r, pos, "not a number (sizes such as \"64MiB\" need quotes)");
	*ret = number;
	return 0;
}

static int read_integer(struct toml_reader *r, int64_t *ret_integer)
{
	struct toml_pos pos = here(r);
	bool negative = peek(r) == '-';
	uint64_t number = 0;

	if (negative || peek(r) == '+')
		r->offset++;
	int rc = read_digits(r, pos, take_base(r), &number);
	if (rc < 0)
		return rc;
	if (number > (uint64_t)INT64_MAX + (negative ? 1 : 0))
		return fail(r, pos, "number does not fit 64 bits");
	*ret_integer = negative ? (int64_t)(0 - number) : (int64_t)number;
	return 0;
}

/* true or false; anything else here is a word without quotes. */
static int read_word(struct toml_reader *r, bool *ret_boolean)
{
	struct toml_pos pos = here(r);
	char word[TOML_NAME_BYTES_MAX + 1], shown[16];
	size_t n = 0;

	while (is_name_byte(peek(r)) && n < TOML_NAME_BYTES_MAX)
		word[n++] = r->text[r->offset++];
	word[n] = 0;
	if (n == 0)
		return fail(r, pos, "expected a value, found %s", show(peek(r), shown));
	if (strcmp(word, "true") != 0 && strcmp(word, "false") != 0)
		return fail(r, pos, "\"%s\" needs quotes", word);
	*ret_boolean = word[0] == 't';
	return 0;
}

static int read_scalar(struct toml_reader *r, struct toml_value *value, struct text_out *out)
{
	int c = peek(r);

	if (c == '"' || c == '\'') {
		value->type = TOML_STRING;
		return read_string(r, out);
	}
	if (c == '+' || c == '-' || (c >= '0' && c <= '9')) {
		value->type = TOML_INTEGER;
		return read_integer(r, &value->integer);
	}
	if (c == '{')
		return fail(r, here(r), "inline tables are not supported here: use [table]");
	value->type = TOML_BOOLEAN;
	return read_word(r, &value->boolean);
}

static int read_array_item(struct toml_reader *r, struct toml_value *value, struct text_out *out)
{
	struct toml_pos pos = here(r);

	if (value->count == TOML_ARRAY_MAX)
		return fail(r, pos, "array has more than %u items", TOML_ARRAY_MAX);
	if (peek(r) == '[')
		return fail(r, pos, "arrays in arrays are not supported here");
	int rc = read_scalar(r, value, out);
	if (rc < 0)
		return rc;
	if (value->type == TOML_BOOLEAN)
		return fail(r, pos, "arrays hold integers or strings");
	if (value->count == 0)
		value->item_type = value->type;
	if (value->type != value->item_type)
		return fail(r, pos, "array mixes integers and strings");
	if (value->type == TOML_INTEGER)
		value->integers[value->count] = value->integer;
	else if (out->used + 1 < out->bytes)
		out->data[++out->used] = 0; /* keep this string's NUL, start the next one */
	else
		return fail(r, pos, "strings of the array are longer than %u bytes together",
			    TOML_STRING_BYTES_MAX);
	value->count++;
	return 0;
}

static int read_array(struct toml_reader *r, struct toml_value *value, struct text_out *out)
{
	char shown[16];

	r->offset++;
	for (;;) {
		int rc = skip_lines(r);
		if (rc < 0)
			return rc;
		if (peek(r) == ']')
			break;
		rc = read_array_item(r, value, out);
		if (rc >= 0)
			rc = skip_lines(r);
		if (rc < 0)
			return rc;
		if (peek(r) == ']')
			break;
		if (peek(r) != ',')
			return fail(r, here(r), "expected ',' or ']' in an array, found %s",
				    show(peek(r), shown));
		r->offset++;
	}
	r->offset++;
	value->type = TOML_ARRAY;
	return 0;
}

static int read_key(struct toml_reader *r, struct toml_item *item)
{
	struct toml_value *value = &item->value;
	struct text_out out = { .data = value->string, .bytes = sizeof(value->string) };
	char shown[16];

	item->kind = TOML_KEY;
	item->pos = here(r);
	int rc = read_name(r, "key", item->name);
	if (rc < 0)
		return rc;
	skip_blanks(r);
	if (peek(r) != '=')
		return fail(r, here(r), "expected '=' after \"%s\", found %s", item->name,
			    show(peek(r), shown));
	r->offset++;
	skip_blanks(r);
	value->pos = here(r);
	value->count = 0;
	value->string[0] = 0;
	rc = peek(r) == '[' ? read_array(r, value, &out) : read_scalar(r, value, &out);
	if (rc < 0)
		return rc;
	return expect_line_end(r, "the value");
}

int toml_next(struct toml_reader *r, struct toml_item *ret_item)
{
	int rc = skip_lines(r);

	if (rc < 0)
		return rc;
	if (peek(r) < 0)
		return 0;
	rc = peek(r) == '[' ? read_table(r, ret_item) : read_key(r, ret_item);
	return rc < 0 ? rc : 1;
}
