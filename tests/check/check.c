/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/check/check_priv.h"

#include <errno.h>
#include <stdlib.h>

static bool parse_number(const uint8_t *text, uint32_t bytes, int64_t *ret_number)
{
	bool negative = bytes > 0 && text[0] == '-';
	uint32_t first = negative ? 1 : 0;
	uint64_t limit = negative ? (uint64_t)1 << 63 : INT64_MAX, n = 0;

	if (bytes == first || bytes > 20 || (text[first] == '0' && (bytes > 1)))
		return false;
	for (uint32_t i = first; i < bytes; i++) {
		uint32_t d = (uint32_t)text[i] - '0';

		if (d > 9 || n > (limit - d) / 10)
			return false;
		n = n * 10 + d;
	}
	*ret_number = negative ? (int64_t)(0 - n) : (int64_t)n;
	return true;
}

/* A multiply-and-rotate hash of 8 bytes at a time with the length mixed in; only equality counts.
 */
static uint64_t hash_bytes(const uint8_t *p, uint32_t bytes)
{
	uint64_t h = 0x9e3779b97f4a7c15ull ^ bytes;

	while (bytes > 0) {
		uint8_t block[8] = { 0 };
		uint32_t n = bytes < 8 ? bytes : 8;

		memcpy(block, p, n);
		h = (h ^ load_u64(block)) * 0xd6e8feb86659fd93ull;
		h ^= h >> 32;
		p += n;
		bytes -= n;
	}
	h *= 0xd6e8feb86659fd93ull;
	return h ^ h >> 29;
}

void check_number(struct check_op *op, int64_t number)
{
	op->value = (uint64_t)number;
	op->is_number = 1;
}

void check_value(struct check_op *op, const void *value, uint32_t value_bytes)
{
	int64_t number;

	if (parse_number(value, value_bytes, &number)) {
		check_number(op, number);
		return;
	}
	op->value = hash_bytes(value, value_bytes);
	op->is_number = 0;
}

void check_expect(struct check_op *op, const void *value, uint32_t value_bytes)
{
	struct check_op expected;

	check_value(&expected, value, value_bytes);
	op->base = expected.value;
	op->base_is_number = expected.is_number;
}

/* ---- which version an operation mentions ---- */

enum effect {
	EFFECT_NONE,
	EFFECT_INSTALL,
	EFFECT_READ,
	EFFECT_UNKNOWN,
};

static enum effect effect_of(const struct check_op *op)
{
	switch ((enum status)op->outcome) {
	case STATUS_OK:
		return op->kind == CHECK_GET ? EFFECT_READ : EFFECT_INSTALL;
	case STATUS_NOT_FOUND:
		return op->kind == CHECK_PUT ? EFFECT_NONE : EFFECT_READ;
	case STATUS_CONFLICT:
		return op->kind == CHECK_CAS ? EFFECT_READ : EFFECT_NONE;
	case STATUS_NOT_A_NUMBER:
	case STATUS_OVERFLOW:
		return op->kind == CHECK_INCR ? EFFECT_READ : EFFECT_NONE;
	case STATUS_UNKNOWN:
		return op->kind == CHECK_GET ? EFFECT_NONE : EFFECT_UNKNOWN;
	case STATUS_BUSY:
	case STATUS_NO_SPACE:
	case STATUS_NOT_SERVING:
	case STATUS_TOO_LARGE:
	case STATUS_DENIED:
	case STATUS_NO_SESSION:
	case STATUS_BAD_REQUEST:
	case STATUS_COUNT:
		break;
	}
	return EFFECT_NONE;
}

/* What a mention says about the content of its version. */
static enum content content_of(const struct checker *c, const struct ref *r)
{
	const struct check_op *op = &c->ops[r->op >> 1];

	if ((r->op & 1) == REF_INSTALL)
		return op->kind == CHECK_DEL ? CONTENT_ABSENT : CONTENT_VALUE;
	if (op->outcome == STATUS_NOT_FOUND)
		return CONTENT_ABSENT;
	if (op->kind == CHECK_GET)
		return CONTENT_VALUE;
	if (op->kind == CHECK_INCR)
		return CONTENT_EXISTS; /* NOT_A_NUMBER, OVERFLOW */
	if (op->outcome == STATUS_CONFLICT && check_ts_zero(check_base_ts(op)))
		return CONTENT_EXISTS; /* expected absence, and found something */
	return CONTENT_ANY;	       /* CAS conflict, or the version a CAS was built on */
}

static void add_ref(struct checker *c, const struct check_op *op, struct op_ts ts,
		    enum ref_role role)
{
	uint32_t index = (uint32_t)(op - c->ops);

	c->refs[c->ref_count++] =
		(struct ref) { op->key, ts.version, ts.writer, index << 1 | role };
}

static void add_unknown(struct checker *c, const struct check_op *op)
{
	c->unknowns[c->unknown_count++] = (struct unknown) {
		.key = op->key,
		.value = op->kind == CHECK_PUT || op->kind == CHECK_CAS ? op->value : 0,
		.op = (uint32_t)(op - c->ops),
		.version = NONE,
		.class = op->kind == CHECK_DEL	  ? UNKNOWN_DEL
			 : op->kind == CHECK_INCR ? UNKNOWN_INCR
						  : UNKNOWN_WRITE,
	};
}

static void add_op(struct checker *c, const struct check_op *op)
{
	switch (effect_of(op)) {
	case EFFECT_NONE:
		break;
	case EFFECT_INSTALL:
		add_ref(c, op, check_op_ts(op), REF_INSTALL);
		/* A successful CAS is also a witness of the version it was built on. */
		if (op->kind == CHECK_CAS && !check_ts_zero(check_base_ts(op)))
			add_ref(c, op, check_base_ts(op), REF_READ);
		break;
	case EFFECT_READ:
		add_ref(c, op, check_op_ts(op), REF_READ);
		break;
	case EFFECT_UNKNOWN:
		add_unknown(c, op);
		break;
	}
}

/* ---- the versions of one key ---- */

static struct version *add_version(struct checker *c, struct op_ts ts)
{
	struct version *v;

	if (c->version_count == c->version_max) {
		uint32_t max = c->version_max ? 2 * c->version_max : 1024;

		v = realloc(c->versions, max * sizeof(*v));
		if (!v) {
			c->out_of_memory = true;
			return NULL;
		}
		c->versions = v;
		c->version_max = max;
	}
	v = &c->versions[c->version_count++];
	*v = (struct version) { .ts = ts, .install = NONE, .deadline_ns = UINT64_MAX };
	return v;
}

/* A version nobody saw, but that the operation `above` was built on. */
static bool add_hidden(struct checker *c, uint64_t number, enum content content, uint64_t value)
{
	struct version *v = add_version(c, (struct op_ts) { number, HIDDEN_WRITER });

	if (!v)
		return false;
	v->content = (uint8_t)content;
	v->value = value;
	v->is_number = 1;
	return true;
}

static struct version *last_version(struct checker *c)
{
	return &c->versions[c->version_count - 1];
}

/*
 * Two UNKNOWN operations, one of them no INCR: one may stand for the last version, the other for
 * one between it and what was built on top, with a tied version. Then nothing is certain about the
 * last version.
 */
static bool may_hide(const struct checker *c)
{
	return c->key_unknown_count > 1 && c->key_unknowns[0].class != UNKNOWN_INCR;
}

/* base_cas: the version before a successful CAS must be the expected one. */
static bool base_cas(struct checker *c, uint32_t index)
{
	const struct check_op *op = &c->ops[index];
	struct version *previous = last_version(c);
	struct op_ts expected = check_base_ts(op);

	if (!check_ts_zero(expected)) {
		if (op_ts_compare(previous->ts, expected) == 0)
			return true;
		return check_violation(
			c, (uint32_t[3]) { index, previous->install, NONE },
			"CAS succeeded, but not right after the version it expected");
	}
	if (previous->content == CONTENT_ANY && !may_hide(c))
		previous->content = CONTENT_ABSENT;
	if (previous->content == CONTENT_ABSENT || previous->content == CONTENT_ANY)
		return true;
	if (c->key_unknown_count > 0 && previous->ts.version < op->version)
		return add_hidden(c, op->version - 1, CONTENT_ABSENT, 0);
	return check_violation(c, (uint32_t[3]) { index, previous->install, NONE },
			       "CAS expected no value and succeeded, but there was one");
}

/*
 * All UNKNOWN operations are INCRs by one delta: then the versions between are known one by one.
 * false when they are not, and one hidden version must do.
 */
static bool same_delta(const struct checker *c)
{
	for (uint32_t j = 0; j < c->key_unknown_count; j++) {
		const struct unknown *u = &c->key_unknowns[j];

		if (u->class != UNKNOWN_INCR ||
		    c->ops[u->op].base != c->ops[c->key_unknowns[0].op].base)
			return false;
	}
	return c->key_unknown_count > 0;
}

static bool known_number(const struct version *v, uint64_t *ret_number)
{
	if (v->content == CONTENT_VALUE && !v->is_number)
		return false;
	if (v->content != CONTENT_VALUE && v->content != CONTENT_ABSENT)
		return false;
	*ret_number = v->content == CONTENT_VALUE ? v->value : 0;
	return true;
}

/* The versions between the last one and an INCR built on the number `want`, which nobody saw. */
static bool add_hidden_incrs(struct checker *c, uint32_t index, uint64_t want)
{
	const struct check_op *op = &c->ops[index];
	struct version *previous = last_version(c);
	uint32_t first = previous->install;
	uint64_t number, from = previous->ts.version, gap = op->version - 1 - from;

	if (from >= op->version || c->key_unknown_count == 0)
		return check_violation(c, (uint32_t[3]) { index, first, NONE },
				       "INCR did not build on the version before it: lost update");
	if (!same_delta(c) || !known_number(previous, &number))
		return add_hidden(c, op->version - 1, want == 0 ? CONTENT_ZERO : CONTENT_VALUE,
				  want);
	if (gap == 0 || gap > c->key_unknown_count ||
	    number + gap * c->ops[c->key_unknowns[0].op].base != want)
		return check_violation(c, (uint32_t[3]) { index, first, c->key_unknowns[0].op },
				       "INCR counts more or fewer increments than there can be");
	for (uint64_t k = 1; k <= gap; k++) {
		number += c->ops[c->key_unknowns[0].op].base;
		if (!add_hidden(c, from + k, CONTENT_VALUE, number))
			return false;
	}
	return true;
}

/* base_incr: the version before a successful INCR must be one less and hold number - delta. */
static bool base_incr(struct checker *c, uint32_t index)
{
	const struct check_op *op = &c->ops[index];
	struct version *previous = last_version(c);
	uint64_t want = op->value - op->base;

	if (previous->ts.version + 1 == op->version) {
		switch ((enum content)previous->content) {
		case CONTENT_ANY:
		case CONTENT_EXISTS:
		case CONTENT_ZERO:
			if (may_hide(c))
				return true;
			if (want == 0 && previous->content != CONTENT_EXISTS) {
				previous->content = CONTENT_ZERO;
				return true;
			}
			previous->content = CONTENT_VALUE;
			previous->value = want;
			previous->is_number = 1;
			return true;
		case CONTENT_VALUE:
			if (previous->is_number && previous->value == want)
				return true;
			break;
		case CONTENT_ABSENT:
			if (want == 0)
				return true;
			break;
		}
	}
	return add_hidden_incrs(c, index, want);
}

static bool merge_content(struct checker *c, struct version *v, const struct ref *r)
{
	const struct check_op *op = &c->ops[r->op >> 1];
	enum content content = content_of(c, r);
	uint32_t other = v->install != NONE  ? v->install
			 : v->read_count > 0 ? c->refs[v->first_read].op >> 1
					     : NONE;
	bool agree = true;

	if (content == CONTENT_ANY)
		return true;
	if (v->content == CONTENT_ANY ||
	    (v->content == CONTENT_EXISTS && content == CONTENT_VALUE)) {
		v->content = (uint8_t)content;
		v->value = op->value;
		v->is_number = op->is_number;
	} else if (content == CONTENT_EXISTS) {
		agree = v->content != CONTENT_ABSENT;
	} else {
		agree = v->content == content &&
			(content != CONTENT_VALUE ||
			 (v->value == op->value && v->is_number == op->is_number));
	}
	if (agree)
		return true;
	return check_violation(c, (uint32_t[3]) { r->op >> 1, other, NONE },
			       "two contents under one version%s",
			       other == NONE ? " (it was never written)" : "");
}

static bool conflict_with_expected(const struct check_op *op)
{
	return op->kind == CHECK_CAS && op->outcome == STATUS_CONFLICT &&
	       op_ts_compare(check_op_ts(op), check_base_ts(op)) == 0;
}

/* One mention of the version v, in the order install, then reads. */
static bool add_mention(struct checker *c, struct version *v, uint32_t ref_index)
{
	const struct ref *r = &c->refs[ref_index];
	uint32_t index = r->op >> 1;
	const struct check_op *op = &c->ops[index];

	if ((r->op & 1) == REF_INSTALL) {
		if (check_ts_zero(v->ts))
			return check_violation(c, (uint32_t[3]) { index, NONE, NONE },
					       "an update was acknowledged without a version");
		if (v->install != NONE)
			return check_violation(c, (uint32_t[3]) { v->install, index, NONE },
					       "two updates carry one version");
	} else if (conflict_with_expected(op)) {
		return check_violation(c, (uint32_t[3]) { index, NONE, NONE },
				       "CAS conflicted with the very version it expected");
	}
	if (!merge_content(c, v, r))
		return false;
	if ((r->op & 1) == REF_INSTALL)
		v->install = index;
	else if (v->read_count++ == 0)
		v->first_read = ref_index;
	v->deadline_ns = min_u64(v->deadline_ns, op->end_ns);
	return true;
}

static bool base_of_install(struct checker *c, const struct ref *r)
{
	uint32_t index = r->op >> 1;

	if ((r->op & 1) != REF_INSTALL || (r->version == 0 && r->writer == 0))
		return true;
	if (c->ops[index].kind == CHECK_CAS)
		return base_cas(c, index);
	if (c->ops[index].kind == CHECK_INCR)
		return base_incr(c, index);
	return true;
}

/* The versions of refs[first..end), ascending, each with its content and its reads. */
static bool build_versions(struct checker *c, uint64_t first, uint64_t end)
{
	struct version *v;

	c->version_count = 0;
	v = add_version(c, (struct op_ts) { 0, 0 });
	if (!v)
		return false;
	v->content = CONTENT_ABSENT;
	for (uint64_t i = first; i < end; i++) {
		const struct ref *r = &c->refs[i];
		struct op_ts ts = { r->version, r->writer };

		v = last_version(c);
		if (op_ts_compare(ts, v->ts) != 0) {
			if (!base_of_install(c, r))
				return false;
			v = add_version(c, ts);
			if (!v)
				return false;
		}
		if (!add_mention(c, v, (uint32_t)i))
			return false;
	}
	for (uint32_t i = c->version_count - 1; i > 0; i--) {
		v = &c->versions[i - 1];
		v->deadline_ns = min_u64(v->deadline_ns, v[1].deadline_ns);
	}
	return true;
}

/* ---- real time against version order ---- */

struct latest {
	uint64_t start_ns;
	uint32_t op;
};

static void latest_take(struct latest *l, const struct checker *c, uint32_t index)
{
	if (l->op == NONE || c->ops[index].start_ns > l->start_ns)
		*l = (struct latest) { c->ops[index].start_ns, index };
}

static bool too_late(struct checker *c, const struct latest *l, uint32_t index)
{
	const struct check_op *op = &c->ops[index];

	if (l->op == NONE || op->outcome == STATUS_UNKNOWN || op->end_ns >= l->start_ns)
		return false;
	check_violation(c, (uint32_t[3]) { index, l->op, NONE },
			"an operation ended before the next one shown began, yet shows a newer "
			"version: the later one %s",
			c->ops[l->op].kind == CHECK_GET ? "is a stale read"
							: "came too late in version order");
	return true;
}

static bool check_times(struct checker *c)
{
	struct latest earlier = { 0, NONE };

	for (uint32_t i = 0; i < c->version_count; i++) {
		const struct version *v = &c->versions[i];
		struct latest reads = { 0, NONE };

		if (v->install != NONE) {
			if (too_late(c, &earlier, v->install))
				return false;
			latest_take(&earlier, c, v->install);
		}
		for (uint32_t k = v->first_read; k < v->first_read + v->read_count; k++) {
			if (too_late(c, &earlier, c->refs[k].op >> 1))
				return false;
			latest_take(&reads, c, c->refs[k].op >> 1);
		}
		if (reads.op != NONE)
			latest_take(&earlier, c, reads.op);
	}
	return true;
}

static bool check_key(struct checker *c, uint64_t first, uint64_t end)
{
	c->key = c->refs[first].key;
	if (!build_versions(c, first, end) || !check_hidden_match(c) || !check_times(c))
		return false;
	c->result->keys++;
	c->result->versions += c->version_count - 1;
	return true;
}

/* Every key that somebody got an answer about; UNKNOWN updates of other keys were seen by nobody.
 */
static bool check_keys(struct checker *c)
{
	uint64_t u = 0;

	for (uint64_t first = 0, end; first < c->ref_count; first = end) {
		uint64_t key = c->refs[first].key, u_first;

		for (end = first + 1; end < c->ref_count && c->refs[end].key == key; end++)
			;
		for (; u < c->unknown_count && c->unknowns[u].key < key; u++)
			c->result->unknown_dropped++;
		for (u_first = u; u < c->unknown_count && c->unknowns[u].key == key; u++)
			;
		c->key_unknowns = c->unknowns + u_first;
		c->key_unknown_count = (uint32_t)(u - u_first);
		if (!check_key(c, first, end))
			return false;
	}
	c->result->unknown_dropped += c->unknown_count - u;
	return true;
}

static int survey(struct checker *c, uint64_t *ret_refs, uint64_t *ret_unknowns)
{
	uint64_t refs = 0, unknowns = 0;

	c->origin_ns = UINT64_MAX;
	for (uint64_t i = 0; i < c->count; i++) {
		const struct check_op *op = &c->ops[i];

		if (op->kind >= CHECK_KIND_COUNT || op->outcome >= STATUS_COUNT ||
		    (op->outcome != STATUS_UNKNOWN && op->start_ns > op->end_ns) ||
		    (op->kind == CHECK_INCR && op->outcome == STATUS_OK && !op->is_number))
			return -EINVAL;
		c->origin_ns = min_u64(c->origin_ns, op->start_ns);
		refs += op->kind == CHECK_CAS ? 2 : 1;
		unknowns += op->outcome == STATUS_UNKNOWN;
	}
	*ret_refs = refs;
	*ret_unknowns = unknowns;
	return 0;
}

int check_history(const struct check_op *ops, uint64_t count, struct check_result *ret_result)
{
	struct check_result result = { .ok = true };
	struct checker c = { .ops = ops, .count = count, .result = &result };
	uint64_t refs, unknowns;
	int rc = count > INT32_MAX ? -EINVAL : survey(&c, &refs, &unknowns);

	if (rc != 0)
		return rc;
	c.refs = malloc((refs + 1) * sizeof(*c.refs));
	c.spare = malloc((refs + 1) * sizeof(*c.spare));
	c.unknowns = malloc((unknowns + 1) * sizeof(*c.unknowns));
	if (c.refs && c.spare && c.unknowns) {
		for (uint64_t i = 0; i < count; i++)
			add_op(&c, &ops[i]);
		check_sort_refs(&c);
		check_sort_unknowns(&c);
		check_keys(&c);
	} else {
		c.out_of_memory = true;
	}
	free(c.refs);
	free(c.spare);
	free(c.unknowns);
	free(c.versions);
	if (c.out_of_memory)
		return -ENOMEM;
	*ret_result = result;
	return 0;
}
