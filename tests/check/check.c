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
	bool cas = op->kind == CHECK_CAS || op->kind == CHECK_CASV;

	switch ((enum status)op->outcome) {
	case STATUS_OK:
		return op->kind == CHECK_GET ? EFFECT_READ : EFFECT_INSTALL;
	case STATUS_NOT_FOUND:
		return op->kind == CHECK_PUT ? EFFECT_NONE : EFFECT_READ;
	case STATUS_CONFLICT:
		return cas ? EFFECT_READ : EFFECT_NONE;
	case STATUS_NOT_A_NUMBER:
	case STATUS_OVERFLOW:
		return op->kind == CHECK_INCR ? EFFECT_READ : EFFECT_NONE;
	case STATUS_UNKNOWN:
	case STATUS_EVICTED:
	case STATUS_WAIT:
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

bool check_allows(const struct checker *c, const struct ref *r, const struct state *s)
{
	const struct check_op *op = &c->ops[r->op];
	bool present = s->content == CONTENT_VALUE;
	uint64_t sum;

	if (ref_role(r) != REF_READ)
		return true;
	if (op->outcome == STATUS_OK)
		return present && op->value == s->value && op->is_number == s->is_number;
	if (op->outcome == STATUS_NOT_FOUND)
		return !present;
	if (op->outcome == STATUS_NOT_A_NUMBER)
		return present && !s->is_number;
	if (op->outcome == STATUS_OVERFLOW)
		return present && s->is_number && !check_add(s->value, op->base, &sum);
	/* CONFLICT. */
	if (op->kind == CHECK_CASV)
		return !present || s->value != op->base;
	if (op->base_writer == 0)
		return present;
	return op->version != op->base || op->writer != op->base_writer;
}

/* ---- one key, from version to version ---- */

struct latest {
	uint64_t start_ns;
	uint32_t op;
};

/* The mentions of one version, refs[first..end). */
struct group {
	struct op_ts ts;
	uint64_t end_ns; /* earliest end of any of them */
	uint32_t first, end;
	uint32_t install; /* operation, or NONE */
};

struct pass {
	struct state now;
	bool uncertain;	       /* now depends on how the last demand is met */
	bool absent_group;     /* the last group was an absence and has a demand, which grows */
	struct latest earlier; /* of all operations at earlier positions */
	struct latest reads;   /* of those that read this position */
	struct latest orphan;  /* reads of the open version before the absence demand */
	uint64_t end_ns;       /* earliest end since the last demand began */
	uint32_t placed;       /* how many of c->places have been passed */
};

static void latest_take(struct latest *l, uint64_t start_ns, uint32_t op)
{
	if (l->op == NONE || start_ns > l->start_ns)
		*l = (struct latest) { start_ns, op };
}

static bool too_late(struct checker *c, const struct latest *l, uint32_t index)
{
	const struct check_op *op = &c->ops[index];

	if (l->op == NONE || op->end_ns >= l->start_ns)
		return true;
	return check_violation(
		c, (uint32_t[3]) { index, l->op, NONE },
		"an operation ended before the next one shown began, yet shows a newer version: "
		"the later one %s",
		c->ops[l->op].kind == CHECK_GET ? "is a stale read"
						: "came too late in version order");
}

/* The position moves on: what was read so far is earlier than what follows. */
static void next_position(struct pass *p)
{
	if (p->reads.op != NONE)
		latest_take(&p->earlier, p->reads.start_ns, p->reads.op);
	p->reads.op = NONE;
}

static struct demand *add_demand(struct checker *c, struct pass *p, enum demand_type type,
				 const struct group *g)
{
	struct demand *d;

	if (c->demand_count == c->demand_max) {
		uint32_t max = c->demand_max ? 2 * c->demand_max : 256;

		d = realloc(c->demands, max * sizeof(*d));
		if (!d) {
			c->out_of_memory = true;
			return NULL;
		}
		c->demands = d;
		c->demand_max = max;
	}
	/* deadline_ns: for now, of the mentions up to the next demand. */
	if (c->demand_count > 0)
		c->demands[c->demand_count - 1].deadline_ns = p->end_ns;
	p->end_ns = UINT64_MAX;
	d = &c->demands[c->demand_count++];
	*d = (struct demand) { .before = p->now,
			       .ts = g->ts,
			       .first = g->first,
			       .end = g->end,
			       .op = g->install,
			       .type = (uint8_t)type,
			       .linked = p->uncertain };
	return d;
}

static bool two_contents(struct checker *c, const struct group *g, uint32_t reader)
{
	const struct check_op *op = &c->ops[reader];
	uint32_t other = g->install;

	if (op->outcome == STATUS_CONFLICT)
		return check_violation(c, (uint32_t[3]) { reader, other, NONE },
				       "%s conflicted with the very %s it expected",
				       op->kind == CHECK_CASV ? "CASV" : "CAS",
				       op->kind == CHECK_CASV	? "value"
				       : op->base_writer == 0 ? "absence"
								: "version");
	for (uint32_t i = g->first; i < g->end && other == NONE; i++)
		if (c->refs[i].op != reader && ref_role(&c->refs[i]) == REF_READ)
			other = c->refs[i].op;
	return check_violation(c, (uint32_t[3]) { reader, other, NONE },
			       "two contents under one version%s",
			       g->ts.writer == 0 ? " (it was never written)" : "");
}

/* Every read of the group against the content and against time; in p->reads afterwards. */
static bool take_reads(struct checker *c, struct pass *p, const struct group *g)
{
	struct latest reads = p->reads;

	for (uint32_t i = g->first; i < g->end; i++) {
		const struct ref *r = &c->refs[i];

		if (ref_role(r) != REF_READ)
			continue;
		if (p->now.content != CONTENT_OPEN && !check_allows(c, r, &p->now))
			return two_contents(c, g, r->op);
		if (!too_late(c, &p->earlier, r->op))
			return false;
		latest_take(&reads, c->ops[r->op].start_ns, r->op);
	}
	p->reads = reads;
	return true;
}

static bool absence(struct checker *c, struct pass *p, struct group *g)
{
	bool open = p->now.content == CONTENT_OPEN;

	if (g->install != NONE)
		return check_violation(c, (uint32_t[3]) { g->install, NONE, NONE },
				       "an update was acknowledged without a version");
	if (p->now.content != CONTENT_ABSENT) {
		struct demand *d = add_demand(c, p, DEMAND_ABSENCE, g);

		if (!d)
			return false;
		p->orphan = p->reads;
		if (!open)
			next_position(p);
		p->now.content = CONTENT_ABSENT;
		p->now.ts.writer = 0;
		p->absent_group = true;
		p->uncertain = open;
	}
	if (p->absent_group) {
		struct demand *d = &c->demands[c->demand_count - 1];

		d->ts = g->ts;
		d->merged |= p->orphan.op != NONE && p->uncertain &&
			     p->orphan.start_ns > g->end_ns;
	}
	if (g->ts.version != 0)
		p->now.low = p->now.low_rmw = g->ts.version + 1;
	p->end_ns = min_u64(p->end_ns, g->end_ns);
	return take_reads(c, p, g);
}

/* What the mentions of a version without an acknowledged author say about it. */
static void read_content(const struct checker *c, const struct group *g, struct state *now)
{
	now->content = CONTENT_OPEN;
	for (uint32_t i = g->first; i < g->end; i++) {
		const struct check_op *op = &c->ops[c->refs[i].op];

		if (ref_role(&c->refs[i]) != REF_READ)
			continue;
		if (op->outcome == STATUS_NOT_FOUND) {
			now->content = CONTENT_ABSENT;
			return;
		}
		if (op->outcome == STATUS_OK) {
			now->content = CONTENT_VALUE;
			now->value = op->value;
			now->is_number = op->is_number;
			return;
		}
	}
}

static bool is_rmw(const struct check_op *op)
{
	return op->kind == CHECK_CAS || op->kind == CHECK_CASV || op->kind == CHECK_INCR;
}

/* The author of the version: acknowledged, or a demand. */
static bool take_install(struct checker *c, struct pass *p, const struct group *g,
			 const struct state *next)
{
	const struct check_op *op;
	struct demand *d;

	if (g->install == NONE) {
		d = add_demand(c, p, DEMAND_ORPHAN, g);
		if (!d)
			return false;
		d->content = next->content;
		d->value = next->value;
		d->is_number = next->is_number;
		p->uncertain = next->content == CONTENT_OPEN;
		return true;
	}
	op = &c->ops[g->install];
	if (is_rmw(op) && !check_built_on(c, op, g->ts.version, &p->now) &&
	    !add_demand(c, p, DEMAND_RMW, g))
		return false;
	p->uncertain = false;
	if (!too_late(c, &p->earlier, g->install))
		return false;
	latest_take(&p->earlier, op->start_ns, g->install);
	return true;
}

static bool take_version(struct checker *c, struct pass *p, const struct group *g)
{
	struct state next = { .ts = g->ts,
			      .low = g->ts.version,
			      .low_rmw = g->ts.version + 1,
			      .content = CONTENT_ABSENT };

	if (g->ts.version == 0)
		return check_violation(c, (uint32_t[3]) { c->refs[g->first].op, NONE, NONE },
				       "a version 0 with a writer");
	if (g->install == NONE) {
		read_content(c, g, &next);
	} else if (c->ops[g->install].kind != CHECK_DEL) {
		next.content = CONTENT_VALUE;
		next.value = c->ops[g->install].value;
		next.is_number = c->ops[g->install].is_number;
	}
	next_position(p);
	if (!take_install(c, p, g, &next))
		return false;
	p->now = next;
	p->absent_group = false;
	p->end_ns = min_u64(p->end_ns, g->end_ns);
	c->result->versions++;
	return take_reads(c, p, g);
}

/* The group that begins at refs[first]; false: two updates with one version. */
static bool take_group(struct checker *c, uint32_t first, uint32_t end, struct group *g)
{
	uint64_t version = ref_version(&c->refs[first]);
	uint32_t writer = c->refs[first].writer, i;

	*g = (struct group) { { version, writer }, UINT64_MAX, first, end, NONE };
	for (i = first; i < end; i++) {
		const struct ref *r = &c->refs[i];

		if (ref_version(r) != version || r->writer != writer)
			break;
		if (i + 16 < end)
			__builtin_prefetch(&c->ops[c->refs[i + 16].op]);
		if (ref_role(r) == REF_BASE)
			continue;
		g->end_ns = min_u64(g->end_ns, c->ops[r->op].end_ns);
		if (ref_role(r) == REF_READ)
			continue;
		if (g->install != NONE)
			return check_violation(c, (uint32_t[3]) { g->install, r->op, NONE },
					       "two updates carry one version");
		g->install = r->op;
	}
	g->end = i;
	return true;
}

/* The reads of an absence that lie behind `versions` versions; the first is refs[*at]. */
static bool take_placed(struct checker *c, struct pass *p, uint32_t versions, uint32_t *at)
{
	struct group g = { { 0, 0 }, UINT64_MAX, *at, *at, NONE };
	uint32_t first = *at - p->placed;

	while (p->placed < c->place_count && c->places[p->placed] == versions) {
		p->placed++;
		g.end_ns = min_u64(g.end_ns, c->ops[c->refs[g.end++].op].end_ns);
	}
	*at = first + p->placed;
	return g.first == g.end || absence(c, p, &g);
}

bool check_key(struct checker *c, uint32_t first, uint32_t end)
{
	struct pass p = {
		.now = { .low = 1, .low_rmw = 1, .content = CONTENT_ABSENT },
		.earlier.op = NONE,
		.reads.op = NONE,
		.orphan.op = NONE,
		.end_ns = UINT64_MAX,
	};
	uint32_t at = first, versions = 0;
	uint64_t deadline_ns;
	struct group g;

	c->demand_count = 0;
	c->key = c->ops[c->refs[first].op].key;
	if (!take_placed(c, &p, 0, &at))
		return false;
	for (first += c->place_count; first < end; first = g.end) {
		if (!take_group(c, first, end, &g))
			return false;
		if (g.ts.writer == 0) {
			if (!absence(c, &p, &g))
				return false;
		} else if (!take_version(c, &p, &g) || !take_placed(c, &p, ++versions, &at)) {
			return false;
		}
	}
	deadline_ns = p.end_ns;
	for (uint32_t i = c->demand_count; i-- > 0;) {
		if (i + 1 < c->demand_count)
			deadline_ns = min_u64(deadline_ns, c->demands[i].deadline_ns);
		c->demands[i].deadline_ns = deadline_ns;
	}
	c->result->keys++;
	return check_hidden(c);
}

/* ---- the whole history ---- */

/* Every key that somebody got an answer about; UNKNOWN updates of others were seen by nobody. */
static void check_keys(struct checker *c)
{
	uint64_t u = 0, u_first;
	uint32_t first, end, count = (uint32_t)c->ref_count;

	for (first = 0; first < count; first = end) {
		uint64_t key = c->ops[c->refs[first].op].key;

		for (end = c->key_bits ? first + 1 : count; end < count; end++)
			if (c->ops[c->refs[end].op].key != key)
				break;
		for (; u < c->unknown_count && c->unknowns[u].key < key; u++)
			c->result->unknown_dropped++;
		for (u_first = u; u < c->unknown_count && c->unknowns[u].key == key; u++)
			;
		c->key_unknowns = u > u_first ? c->unknowns + u_first : NULL;
		c->key_unknown_count = (uint32_t)(u - u_first);
		if (!check_absences(c, first, end))
			return;
	}
	c->result->unknown_dropped += c->unknown_count - u;
}

static void add_ref(struct checker *c, uint32_t index, struct op_ts ts, enum ref_role role)
{
	struct ref *r = &c->refs[c->ref_count++];

	*r = (struct ref) { ts.version | (uint64_t)role << REF_ROLE_SHIFT, ts.writer, index };
	c->version_bits |= ts.version ^ ref_version(&c->refs[0]);
	c->key_bits |= c->ops[index].key ^ c->ops[c->refs[0].op].key;
}

static bool add_unknown(struct checker *c, uint32_t index)
{
	const struct check_op *op = &c->ops[index];

	if ((c->unknown_count & (c->unknown_count - 1)) == 0) {
		uint64_t max = c->unknown_count ? 2 * c->unknown_count : 1;
		struct unknown *grown = realloc(c->unknowns, max * sizeof(*grown));

		if (!grown) {
			c->out_of_memory = true;
			return false;
		}
		c->unknowns = grown;
	}
	c->unknowns[c->unknown_count++] = (struct unknown) {
		.key = op->key, .start_ns = op->start_ns, .op = index, .slot = NONE
	};
	return true;
}

/* Checks that the operation makes sense, and takes what it mentions. */
static int add_op(struct checker *c, uint32_t index)
{
	const struct check_op *op = &c->ops[index];
	enum effect effect;

	if (op->kind >= CHECK_KIND_COUNT || op->outcome >= STATUS_COUNT)
		return -EINVAL;
	effect = effect_of(op);
	c->origin_ns = min_u64(c->origin_ns, op->start_ns);
	if (effect == EFFECT_NONE)
		return op->start_ns > op->end_ns && !check_is_unknown(op) ? -EINVAL : 0;
	if (effect == EFFECT_UNKNOWN)
		return add_unknown(c, index) ? 0 : -ENOMEM;
	if (op->start_ns > op->end_ns || op->version > REF_VERSION ||
	    (effect == EFFECT_INSTALL && op->kind == CHECK_INCR && !op->is_number))
		return -EINVAL;
	add_ref(c, index, (struct op_ts) { op->version, op->writer },
		effect == EFFECT_INSTALL ? REF_INSTALL : REF_READ);
	/* A successful CAS is also a witness of the version it was built on. */
	if (effect == EFFECT_INSTALL && op->kind == CHECK_CAS && op->base_writer != 0) {
		if (op->base > REF_VERSION)
			return -EINVAL;
		add_ref(c, index, check_base_ts(op), REF_BASE);
	}
	return 0;
}

static int judge(const struct check_op *ops, uint64_t count, bool sparse,
		 struct check_result *ret_result)
{
	struct check_result result = { .ok = true };
	struct checker c = {
		.ops = ops, .count = count, .origin_ns = UINT64_MAX, .sparse = sparse,
	};
	int rc = 0;

	if (count > INT32_MAX)
		return -EINVAL;
	c.result = &result;
	c.refs = malloc((2 * count + 1) * sizeof(*c.refs));
	c.spare = malloc((2 * count + 1) * sizeof(*c.spare));
	if (!c.refs || !c.spare)
		rc = -ENOMEM;
	for (uint32_t i = 0; i < count && rc == 0; i++)
		rc = add_op(&c, i);
	if (rc == 0) {
		check_sort_refs(&c);
		check_sort_unknowns(&c);
		check_keys(&c);
	}
	free(c.refs);
	free(c.spare);
	free(c.unknowns);
	free(c.demands);
	if (c.out_of_memory)
		rc = -ENOMEM;
	if (rc == 0)
		*ret_result = result;
	return rc;
}

int check_history(const struct check_op *ops, uint64_t count, struct check_result *ret_result)
{
	return judge(ops, count, false, ret_result);
}

int check_history_log(const struct check_op *ops, uint64_t count, struct check_result *ret_result)
{
	return judge(ops, count, true, ret_result);
}
