/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/check/check_priv.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>

#define TS_TEXT 64

static const char *ts_text(char *out, struct op_ts ts)
{
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

/* Microseconds since the history began, to the nanosecond. */
static void time_text(char *out, uint64_t ns)
{
	snprintf(out, TS_TEXT, "%" PRIu64 ".%03u", ns / 1000, (uint32_t)(ns % 1000));
}

static uint32_t append_op(const struct checker *c, char *out, uint32_t room, uint32_t index)
{
	static const char *const kinds[CHECK_KIND_COUNT] = { "GET", "PUT",  "DEL",
							     "CAS", "INCR", "CASV" };
	const struct check_op *op = &c->ops[index];
	char ts[TS_TEXT], base[TS_TEXT] = "", value[TS_TEXT], start[TS_TEXT], end[TS_TEXT] = "...";
	bool unknown = check_is_unknown(op);
	int n;

	if (op->kind == CHECK_INCR)
		value_text(base, op->base, true);
	if (op->kind == CHECK_CASV)
		value_text(base, op->base, op->base_is_number);
	if (op->kind == CHECK_CAS)
		ts_text(base, check_base_ts(op));
	time_text(start, op->start_ns - c->origin_ns);
	if (!unknown)
		time_text(end, op->end_ns - c->origin_ns);
	n = snprintf(out, room, "\n  op %u client %u [%s .. %s us] %s%s%s %s version %s value %s",
		     index, op->client, start, end, kinds[op->kind], base[0] ? " on " : "", base,
		     status_name((enum status)op->outcome),
		     unknown ? "unknown" :
			       ts_text(ts, (struct op_ts) { op->version, op->writer }),
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
static uint32_t author(const struct checker *c, const struct demand *d)
{
	for (uint64_t i = 0; i < c->count; i++) {
		const struct check_op *op = &c->ops[i];

		if (op->key == c->key && op->kind != CHECK_GET && op->kind != CHECK_DEL &&
		    d->content == CONTENT_VALUE && op->value == d->value &&
		    op->is_number == d->is_number)
			return (uint32_t)i;
	}
	return NONE;
}

static bool unmet_orphan(struct checker *c, const struct demand *d)
{
	uint32_t witness = c->refs[d->first].op, writer = author(c, d);
	bool seen = false;
	char ts[TS_TEXT];

	for (uint32_t i = d->first; i < d->end && !seen; i++) {
		seen = ref_role(&c->refs[i]) == REF_READ;
		if (seen)
			witness = c->refs[i].op;
	}
	return check_violation(c, (uint32_t[3]) { witness, writer, NONE },
			       "version %s was %s, but no operation can have written it%s",
			       ts_text(ts, d->ts), seen ? "seen" : "built upon",
			       writer == NONE
				       ? ""
				       : "; the last one shown carries its value, without effect, "
					 "under another version, too late, or already counted");
}

bool check_unmet(struct checker *c, const struct demand *d)
{
	uint32_t ops[3] = { d->op != NONE ? d->op : c->refs[d->first].op, NONE, NONE };
	const struct check_op *op = &c->ops[ops[0]];

	if (d->type == DEMAND_ORPHAN)
		return unmet_orphan(c, d);
	/* The operation before, if it is certain: the last mention of an earlier position. */
	if (d->first > 0 && c->ops[c->refs[d->first - 1].op].key == c->key)
		ops[1] = c->refs[d->first - 1].op;
	if (d->type == DEMAND_ABSENCE)
		return check_violation(c, ops, "read as absent, but nothing can have deleted it");
	if (op->kind == CHECK_INCR)
		return check_violation(c, ops,
				       "INCR did not build on the version before it: lost update");
	if (op->kind == CHECK_CASV)
		return check_violation(c, ops,
				       "CASV succeeded, but not right after the value it expected");
	if (op->base_writer == 0)
		return check_violation(c, ops,
				       "CAS expected no value and succeeded, but there was one");
	return check_violation(c, ops,
			       "CAS succeeded, but not right after the version it expected");
}

void check_gave_up(struct checker *c, const struct demand *d)
{
	uint32_t op = d->op != NONE ? d->op : c->refs[d->first].op;

	c->result->undecided++;
	check_violation(c, (uint32_t[3]) { op, NONE, NONE },
			"undecided: %u UNKNOWN updates can be combined in too many ways; the "
			"search for one that explains the operation shown was given up",
			c->key_unknown_count);
}
