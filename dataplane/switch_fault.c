/* SPDX-License-Identifier: Apache-2.0 */
#include "dataplane/switch_fault.h"

#include <errno.h>

#define NS_PER_US   1000u
#define HOLD_MIN_US 50u
#define HOLD_MAX_US 500u

static uint64_t draw(uint64_t *state)
{
	uint64_t z = (*state += 0x9e3779b97f4a7c15ull);

	z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9ull;
	z = (z ^ (z >> 27)) * 0x94d049bb133111ebull;
	return z ^ (z >> 31);
}

/* Uniform in [0, limit), as nearly as limits far below 2^64 make it. */
static uint64_t draw_below(uint64_t *state, uint64_t limit)
{
	return draw(state) % limit;
}

static bool chance(uint64_t *state, uint32_t ppm)
{
	return draw_below(state, SWITCH_FAULT_PPM) < ppm;
}

/* Decimal digits at *p up to end; advances. false: none, or more than limit. */
static bool parse_number(const char **p, const char *end, uint64_t limit, uint64_t *ret_value)
{
	const char *s = *p;
	uint64_t v = 0;

	for (; s < end && *s >= '0' && *s <= '9'; s++) {
		uint64_t digit = (uint64_t)(*s - '0');

		if (v > (limit - digit) / 10)
			return false;
		v = v * 10 + digit;
	}
	if (s == *p)
		return false;
	*p = s;
	*ret_value = v;
	return true;
}

/* "12.5%" -> parts per million. */
static bool parse_percent(const char *s, const char *end, uint32_t *ret_ppm)
{
	uint64_t whole, part = 0;
	uint32_t scale = SWITCH_FAULT_PPM / 100;

	if (!parse_number(&s, end, 100, &whole))
		return false;
	if (s < end && *s == '.') {
		const char *digits = ++s;

		if (!parse_number(&s, end, 9999, &part) || s - digits > 4)
			return false;
		for (long n = s - digits; n < 4; n++)
			part *= 10;
	}
	if (s + 1 != end || *s != '%')
		return false;
	uint64_t ppm = whole * scale + part;

	if (ppm > SWITCH_FAULT_PPM)
		return false;
	*ret_ppm = (uint32_t)ppm;
	return true;
}

static bool parse_hold(const char *s, const char *end, struct switch_fault_spec *spec)
{
	uint64_t from, to;

	if (!parse_number(&s, end, SWITCH_FAULT_HOLD_MAX_US, &from) || s == end || *s++ != '-')
		return false;
	if (!parse_number(&s, end, SWITCH_FAULT_HOLD_MAX_US, &to) || s != end || from > to)
		return false;
	spec->hold_min_ns = from * NS_PER_US;
	spec->hold_max_ns = to * NS_PER_US;
	return true;
}

static bool parse_port(const char *s, const char *end, struct switch_fault_spec *spec)
{
	uint64_t port;

	if (!parse_number(&s, end, SWITCH_FAULT_PORTS - 1, &port) || s != end)
		return false;
	spec->port = (uint32_t)port + 1;
	return true;
}

/* One "key=value" in [s, end). */
static bool parse_item(const char *s, const char *end, struct switch_fault_spec *spec)
{
	const struct {
		const char *key;
		uint32_t *ppm;
	} rates[] = {
		{ "drop", &spec->drop },       { "dup", &spec->duplicate },
		{ "delay", &spec->delay },     { "reorder", &spec->delay },
		{ "corrupt", &spec->corrupt }, { "truncate", &spec->truncate },
		{ "replay", &spec->replay },
	};
	const char *equals = memchr(s, '=', (size_t)(end - s));

	if (!equals)
		return false;
	size_t n = (size_t)(equals - s);
	const char *value = equals + 1;

	if (n == 4 && memcmp(s, "seed", n) == 0)
		return parse_number(&value, end, UINT64_MAX, &spec->seed) && value == end;
	if (n == 4 && memcmp(s, "hold", n) == 0)
		return parse_hold(value, end, spec);
	if (n == 4 && memcmp(s, "port", n) == 0)
		return parse_port(value, end, spec);
	for (size_t i = 0; i < ARRAY_LEN(rates); i++)
		if (strlen(rates[i].key) == n && memcmp(rates[i].key, s, n) == 0)
			return parse_percent(value, end, rates[i].ppm);
	return false;
}

int switch_fault_parse(const char *text, struct switch_fault_spec *ret_spec, const char **ret_bad,
		       uint32_t *ret_bad_bytes)
{
	struct switch_fault_spec spec = {
		.seed = 1,
		.hold_min_ns = HOLD_MIN_US * NS_PER_US,
		.hold_max_ns = HOLD_MAX_US * NS_PER_US,
	};
	const char *s = text;

	while (*s) {
		const char *end = strchr(s, ',');

		if (!end)
			end = s + strlen(s);
		if (!parse_item(s, end, &spec)) {
			*ret_bad = s;
			*ret_bad_bytes = (uint32_t)(end - s);
			return -EINVAL;
		}
		s = *end ? end + 1 : end;
	}
	*ret_spec = spec;
	return 0;
}

static void refresh(struct switch_fault *fault)
{
	const struct switch_fault_spec *s = &fault->spec;
	uint64_t any = 0;

	fault->drawing =
		s->drop || s->duplicate || s->delay || s->corrupt || s->truncate || s->replay;
	for (uint32_t in = 0; in < SWITCH_FAULT_PORTS; in++)
		any |= fault->blocked[in];
	fault->active = fault->drawing || any;
}

void switch_fault_set(struct switch_fault *fault, const struct switch_fault_spec *spec)
{
	fault->spec = *spec;
	for (uint32_t in = 0; in < SWITCH_FAULT_PORTS; in++) {
		for (uint32_t out = 0; out < SWITCH_FAULT_PORTS; out++) {
			uint64_t link =
				spec->seed ^ ((uint64_t)in << 32 | out) * 0xd6e8feb86659fd93ull;

			fault->state[in][out] = draw(&link);
		}
	}
	refresh(fault);
}

void switch_fault_off(struct switch_fault *fault)
{
	fault->spec = (struct switch_fault_spec) { .seed = fault->spec.seed };
	refresh(fault);
}

void switch_fault_block(struct switch_fault *fault, uint64_t from, uint64_t to)
{
	for (uint32_t in = 0; in < SWITCH_FAULT_PORTS; in++)
		if (from >> in & 1)
			fault->blocked[in] |= to;
	refresh(fault);
}

void switch_fault_heal(struct switch_fault *fault)
{
	memset(fault->blocked, 0, sizeof(fault->blocked));
	refresh(fault);
}

static uint64_t draw_hold(struct switch_fault *fault, uint64_t *state)
{
	const struct switch_fault_spec *s = &fault->spec;

	if (!chance(state, s->delay))
		return 0;
	fault->counters.delayed++;
	return s->hold_min_ns + draw_below(state, s->hold_max_ns - s->hold_min_ns + 1);
}

static void draw_damage(struct switch_fault *fault, uint64_t *state, uint32_t bytes,
			struct switch_fault_plan *plan)
{
	if (chance(state, fault->spec.truncate) && bytes > SWITCH_FAULT_BYTES_MIN) {
		uint64_t cut = draw_below(state, bytes - SWITCH_FAULT_BYTES_MIN);

		plan->bytes = (uint32_t)(SWITCH_FAULT_BYTES_MIN + cut);
		fault->counters.truncated++;
	}
	if (chance(state, fault->spec.corrupt)) {
		plan->flip_bit = (int64_t)draw_below(state, (uint64_t)plan->bytes * 8);
		fault->counters.corrupted++;
	}
}

/* Do the drawn faults concern this link? */
static bool concerns(const struct switch_fault *fault, uint32_t in, uint32_t out)
{
	uint32_t port = fault->spec.port;

	return fault->drawing && (port == 0 || port == in + 1 || port == out + 1);
}

void switch_fault_draw(struct switch_fault *fault, uint32_t in, uint32_t out, uint32_t bytes,
		       struct switch_fault_plan *ret_plan)
{
	struct switch_fault_plan plan = { .copies = 1, .bytes = bytes, .flip_bit = -1 };
	uint64_t *state = &fault->state[in][out];
	bool drawing = concerns(fault, in, out);

	if (fault->blocked[in] >> out & 1) {
		plan.copies = 0;
		fault->counters.partitioned++;
	} else if (drawing && chance(state, fault->spec.drop)) {
		plan.copies = 0;
		fault->counters.dropped++;
	} else if (drawing) {
		if (chance(state, fault->spec.duplicate)) {
			plan.copies = 2;
			fault->counters.duplicated++;
		}
		draw_damage(fault, state, bytes, &plan);
		for (uint32_t i = 0; i < plan.copies; i++)
			plan.hold_ns[i] = draw_hold(fault, state);
		plan.replay = chance(state, fault->spec.replay);
		plan.replay_draw = plan.replay ? draw(state) : 0;
	}
	*ret_plan = plan;
}
