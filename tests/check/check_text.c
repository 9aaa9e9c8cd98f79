/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/check/check_priv.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>

#define TS_TEXT 64

static const char *ts_text(char *out, struct op_ts ts)
{
	if (ts.writer == HIDDEN_WRITER)
		snprintf(out, TS_TEXT, "%" PRIu64 ".?", ts.version);
	else
		snprintf(out, TS_TEXT, "%" PRIu64 ".%u.%u", ts.version, writer_node(ts.writer),
			 writer_incarnation(ts.writer));
	return out;
}

static const char *value_text(char *out, uint64_t value, bool is_number)
{
	if (is_number)
		snprintf(out, TS_TEXT, "%" PRId64, (int64_t)value);
	else
		snprintf(out, TS_TEXT, "#%016" PRIx64, value);
	return out;
}

static uint32_t append_op(const struct checker *c, char *out, uint32_t room, uint32_t index)
{
	static const char *const kinds[CHECK_KIND_COUNT] = { "GET", "PUT", "DEL", "CAS", "INCR" };
	const struct check_op *op = &c->ops[index];
	char ts[TS_TEXT], base[TS_TEXT] = "", value[TS_TEXT], end[32] = "...";
	bool unknown = op->outcome == STATUS_UNKNOWN;
	int n;

	if (op->kind == CHECK_INCR)
		value_text(base, op->base, true);
	if (op->kind == CHECK_CAS)
		ts_text(base, check_base_ts(op));
	if (!unknown)
		snprintf(end, sizeof(end), "%.3f", (double)(op->end_ns - c->origin_ns) / 1e3);
	n = snprintf(out, room, "\n  op %u client %u [%.3f .. %s us] %s%s%s %s version %s value %s",
		     index, op->client, (double)(op->start_ns - c->origin_ns) / 1e3, end,
		     kinds[op->kind], base[0] ? " on " : "", base,
		     status_name((enum status)op->outcome),
		     unknown ? "unknown" : ts_text(ts, check_op_ts(op)),
		     value_text(value, op->value, op->is_number));
	return n < 0 ? 0 : (uint32_t)min_u64((uint64_t)n, room - 1);
}

bool check_violation(struct checker *c, const uint32_t ops[3], const char *format, ...)
{
	char *out = c->result->text;
	uint32_t room = sizeof(c->result->text), used;
	va_list args;
	int n;

	c->result->ok = false;
	c->result->key = c->key;
	n = snprintf(out, room, "key %" PRIu64 ": ", c->key);
	used = n < 0 ? 0 : (uint32_t)n;
	va_start(args, format);
	n = vsnprintf(out + used, room - used, format, args);
	va_end(args);
	used = (uint32_t)min_u64(used + (n < 0 ? 0 : (uint32_t)n), room - 1);
	for (uint32_t i = 0; i < 3; i++)
		if (ops[i] != NONE && used < room - 1)
			used += append_op(c, out + used, room - used, ops[i]);
	return false;
}

/* The operation that tried to write this content to the key being judged, or NONE. */
static uint32_t author(const struct checker *c, const struct version *v)
{
	for (uint64_t i = 0; i < c->count; i++) {
		const struct check_op *op = &c->ops[i];

		if (op->key == c->key && op->kind != CHECK_GET && op->kind != CHECK_DEL &&
		    v->content == CONTENT_VALUE && op->value == v->value &&
		    op->is_number == v->is_number)
			return (uint32_t)i;
	}
	return NONE;
}

bool check_orphan(struct checker *c, const struct version *v)
{
	uint32_t reader = v->read_count > 0 ? c->refs[v->first_read].op >> 1 : NONE;
	uint32_t writer = author(c, v);
	uint32_t base = NONE;
	char ts[TS_TEXT];

	/* Nobody read it: the operation built on it is the next in version order. */
	if (reader == NONE && v + 1 < c->versions + c->version_count)
		base = v[1].install;
	return check_violation(c, (uint32_t[3]) { reader != NONE ? reader : base, writer, NONE },
			       "version %s was %s, but no operation can have written it%s",
			       ts_text(ts, v->ts), reader != NONE ? "seen" : "built upon",
			       writer == NONE
				       ? ""
				       : "; the last one shown carries its value, without effect, "
					 "under another version, too late, or already counted");
}
