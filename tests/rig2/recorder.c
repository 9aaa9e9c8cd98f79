/* SPDX-License-Identifier: Apache-2.0 */
/*
 * cairn-recorder: clients of rig R2. Puts a bounded load on a cluster through libcairn, as users
 * do, and writes down every operation as a history (docs/testing.md, Histories).
 *
 * Each slot is a client with a handle, and so a session, of its own: one operation at a time, the
 * next when its answer is there and its time has come. The first --slots slots take any node, each
 * with another one to begin with; --pinned more per node insist on that node; --readers more per
 * node insist, too, and only read: the first of a node quiet keys, the others any. In the history a
 * client's number is slot * 10 + the node that answered.
 *
 * Keys: few hot ones (h0..), counters (n0..), cold ones (c0..), and quiet ones (q0..), which are
 * written once at the start: reads of them wait for no write. --final reads all of them at every
 * node. A value says who wrote it when, so no two are the same.
 */
#include <errno.h>
#include <getopt.h>
#include <inttypes.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "dataplane/client/cairn.h"
#include "tests/check/check_file.h"

#define SLOTS_MAX    128u
#define KEYS_MAX     100000u
#define QUIET	     16u /* keys */
#define VALUE_MIN    24u
#define VALUE_TEXT   64u /* what is remembered of a value, for CASV */
#define NODE_DIGITS  10u
#define PROGRESS_NS  100000000ull
#define REFUSED_MAX  100u
#define REFUSED_NS   50000000ull
#define NS_A_SECOND  1000000000ull
#define SLEEP_MAX_NS 20000000ull

/* What was last heard of a key, by anybody. */
struct key {
	struct cairn_version version;
	char value[VALUE_TEXT + 1];
	uint32_t value_bytes; /* 0: not known */
};

struct slot {
	struct cairn *handle;
	struct cairn_op op;
	uint64_t key, start_ns, next_ns, count;
	uint32_t refused; /* in a row */
	bool open;
	char key_text[24];
	char value[CAIRN_VALUE_BYTES_MAX], compare[VALUE_TEXT];
	struct cairn_result result;
};

struct settings {
	const char *endpoints, *history, *progress;
	uint64_t cluster, seed;
	double secs, rate, timeout, failover;
	uint32_t absent; /* bit set of nodes without an endpoint */
	uint32_t slots, pinned, readers, nodes, hot, counters, cold, value_bytes;
	bool puts_only, final;
};

struct recorder {
	struct settings set;
	FILE *file;
	struct key *keys;
	struct slot *slots;
	uint32_t slot_count;
	uint64_t random, next_key, ended, acked, unknown, failed, missing;
	uint64_t outcomes[16];
};

static volatile sig_atomic_t stop_asked;

static void on_signal(int number)
{
	(void)number;
	stop_asked = 1;
}

static uint64_t now_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * NS_A_SECOND + (uint64_t)t.tv_nsec;
}

static uint64_t draw(struct recorder *r, uint64_t below)
{
	uint64_t x = r->random += 0x9e3779b97f4a7c15ull;

	x = (x ^ x >> 30) * 0xbf58476d1ce4e5b9ull;
	x = (x ^ x >> 27) * 0x94d049bb133111ebull;
	return (x ^ x >> 31) % below;
}

static uint64_t key_count(const struct settings *set)
{
	return (uint64_t)set->hot + set->counters + set->cold + QUIET;
}

static bool is_counter(const struct settings *set, uint64_t key)
{
	return key >= set->hot && key < (uint64_t)set->hot + set->counters;
}

static void print_key(const struct settings *set, uint64_t key, char out[24])
{
	if (key < set->hot)
		snprintf(out, 24, "h%" PRIu64, key);
	else if (is_counter(set, key))
		snprintf(out, 24, "n%" PRIu64, key - set->hot);
	else if (key < key_count(set) - QUIET)
		snprintf(out, 24, "c%" PRIu64, key - set->hot - set->counters);
	else
		snprintf(out, 24, "q%" PRIu64, key - (key_count(set) - QUIET));
}

/* ---- what to ask ---- */

static uint64_t draw_key(struct recorder *r)
{
	uint64_t dice = draw(r, 100);

	if (r->set.cold > 0 && dice < 20)
		return r->set.hot + r->set.counters + draw(r, r->set.cold);
	if (r->set.counters > 0 && dice < 50)
		return r->set.hot + draw(r, r->set.counters);
	return draw(r, r->set.hot);
}

enum role { ROLE_ANY, ROLE_PINNED, ROLE_READER, ROLE_QUIET_READER };

static enum role slot_role(const struct recorder *r, uint32_t slot)
{
	uint32_t pinned_end = r->set.slots + r->set.pinned * r->set.nodes;

	if (slot < r->set.slots)
		return ROLE_ANY;
	if (slot < pinned_end)
		return ROLE_PINNED;
	return slot < pinned_end + r->set.nodes ? ROLE_QUIET_READER : ROLE_READER;
}

static enum cairn_kind draw_kind(struct recorder *r, uint64_t key)
{
	uint64_t dice = draw(r, 100);
	const struct key *k = &r->keys[key];

	if (r->set.puts_only)
		return CAIRN_PUT;
	if (dice < 45)
		return CAIRN_GET;
	if (is_counter(&r->set, key))
		return dice < 98 ? CAIRN_INCR : CAIRN_DEL;
	if (dice < 75)
		return CAIRN_PUT;
	if (dice < 88)
		return CAIRN_CAS;
	if (dice < 96)
		return k->value_bytes ? CAIRN_CAS_VALUE : CAIRN_PUT;
	return CAIRN_DEL;
}

/* A value nobody else writes. One in eight is as long as allowed. */
static struct cairn_bytes make_value(struct recorder *r, struct slot *s, uint32_t max)
{
	uint32_t bytes = draw(r, 8) == 0 && !r->set.puts_only ? max : r->set.value_bytes;
	int n;

	bytes = bytes > max ? max : bytes;
	n = snprintf(s->value, sizeof(s->value), "s%u.%" PRIu64 ".%" PRIx64 "-",
		     (unsigned)(s - r->slots), s->count, r->set.seed & 0xffff);
	for (uint32_t i = (uint32_t)n; i < bytes; i++)
		s->value[i] = (char)('a' + (s->count + i) % 26);
	if ((uint32_t)n > bytes)
		bytes = (uint32_t)n;
	return (struct cairn_bytes) { s->value, bytes };
}

static void make_op(struct recorder *r, struct slot *s, uint32_t server)
{
	enum role role = slot_role(r, (uint32_t)(s - r->slots));
	uint64_t quiet = key_count(&r->set) - QUIET;
	bool fill = s == r->slots && s->count < QUIET;
	const struct key *k;

	if (fill)
		s->key = quiet + s->count;
	else
		s->key = role == ROLE_QUIET_READER ? quiet + draw(r, QUIET) : draw_key(r);
	k = &r->keys[s->key];
	print_key(&r->set, s->key, s->key_text);
	s->op = (struct cairn_op) { .kind = draw_kind(r, s->key),
				    .server = server,
				    .key = cairn_text(s->key_text) };
	if (fill)
		s->op.kind = CAIRN_PUT;
	else if (role == ROLE_READER || role == ROLE_QUIET_READER)
		s->op.kind = CAIRN_GET;
	s->count++;
	switch (s->op.kind) {
	case CAIRN_PUT:
		s->op.value = make_value(r, s, CAIRN_VALUE_BYTES_MAX);
		break;
	case CAIRN_CAS:
		s->op.value = make_value(r, s, CAIRN_VALUE_BYTES_MAX);
		s->op.expected = k->version;
		break;
	case CAIRN_CAS_VALUE:
		memcpy(s->compare, k->value, k->value_bytes);
		s->op.compare = (struct cairn_bytes) { s->compare, k->value_bytes };
		s->op.value = make_value(r, s, CAIRN_VALUE_BYTES_MAX - k->value_bytes);
		break;
	case CAIRN_INCR:
		s->op.delta = 1 + (int64_t)draw(r, 3);
		break;
	case CAIRN_GET:
	case CAIRN_DEL:
		break;
	}
}

/* --final: the next key at this slot's node; false: no more. */
static bool make_read(struct recorder *r, struct slot *s, uint32_t server)
{
	if (s->count == key_count(&r->set))
		return false;
	s->key = s->count++;
	print_key(&r->set, s->key, s->key_text);
	s->op = (struct cairn_op) { .kind = CAIRN_GET,
				    .server = server,
				    .key = cairn_text(s->key_text) };
	return true;
}

/* Node this slot insists on, or CAIRN_ANY_SERVER. */
static uint32_t slot_server(const struct recorder *r, uint32_t slot)
{
	if (slot < r->set.slots)
		return CAIRN_ANY_SERVER;
	return (slot - r->set.slots) % r->set.nodes;
}

static void begin(struct recorder *r, struct slot *s, uint64_t time_ns)
{
	uint32_t server = slot_server(r, (uint32_t)(s - r->slots));
	double period = (double)r->slot_count / r->set.rate * 1e9;

	if (!r->set.final)
		make_op(r, s, server);
	else if (!make_read(r, s, server)) {
		s->next_ns = UINT64_MAX;
		return;
	}
	s->start_ns = now_ns();
	if (cairn_submit(s->handle, &s->op) != CAIRN_OK) {
		fprintf(stderr, "cairn-recorder: an operation was not accepted\n");
		exit(3);
	}
	s->open = true;
	s->next_ns = r->set.final ? 0 : time_ns + (uint64_t)period;
}

/* ---- what came of it ---- */

static const enum check_kind check_kinds[] = {
	[CAIRN_GET] = CHECK_GET, [CAIRN_PUT] = CHECK_PUT,   [CAIRN_DEL] = CHECK_DEL,
	[CAIRN_CAS] = CHECK_CAS, [CAIRN_INCR] = CHECK_INCR, [CAIRN_CAS_VALUE] = CHECK_CASV,
};

static uint32_t writer(struct cairn_version version)
{
	return version.node << 24 | version.incarnation;
}

static void write_down(struct recorder *r, const struct slot *s, uint64_t end_ns)
{
	const struct cairn_result *got = &s->result;
	struct check_op op = {
		.key = s->key,
		.version = got->version.number,
		.writer = writer(got->version),
		.start_ns = s->start_ns,
		.end_ns = end_ns,
		.client = (uint32_t)(s - r->slots) * NODE_DIGITS + got->server % NODE_DIGITS,
		.kind = (uint8_t)check_kinds[s->op.kind],
		.outcome = (uint8_t)got->status,
	};

	if (s->op.kind == CAIRN_PUT || s->op.kind == CAIRN_CAS || s->op.kind == CAIRN_CAS_VALUE)
		check_value(&op, s->op.value.data, (uint32_t)s->op.value.bytes);
	if (s->op.kind == CAIRN_CAS_VALUE)
		check_expect(&op, s->op.compare.data, (uint32_t)s->op.compare.bytes);
	if (s->op.kind == CAIRN_CAS) {
		op.base = s->op.expected.number;
		op.base_writer = writer(s->op.expected);
	}
	if (s->op.kind == CAIRN_INCR)
		op.base = (uint64_t)s->op.delta;
	if (s->op.kind == CAIRN_GET && got->status == CAIRN_OK)
		check_value(&op, got->value, got->value_bytes);
	if (s->op.kind == CAIRN_INCR && got->status == CAIRN_OK)
		check_number(&op, got->number);
	check_file_write_line(r->file, &op, s->key_text, (uint32_t)strlen(s->key_text));
}

/* For later CAS and CASV of any slot. */
static void remember(struct recorder *r, const struct slot *s)
{
	const struct cairn_result *got = &s->result;
	struct key *k = &r->keys[s->key];
	struct cairn_bytes value = s->op.value;

	if (got->version.number == 0 || cairn_version_compare(got->version, k->version) <= 0)
		return;
	k->version = got->version;
	k->value_bytes = 0;
	if (got->status != CAIRN_OK || s->op.kind == CAIRN_DEL || s->op.kind == CAIRN_INCR)
		return;
	if (s->op.kind == CAIRN_GET)
		value = (struct cairn_bytes) { got->value, got->value_bytes };
	if (value.bytes == 0 || value.bytes > VALUE_TEXT)
		return;
	memcpy(k->value, value.data, value.bytes);
	k->value_bytes = (uint32_t)value.bytes;
}

static void end(struct recorder *r, struct slot *s, uint64_t end_ns)
{
	enum cairn_status status = s->result.status;

	write_down(r, s, end_ns);
	s->open = false;
	r->ended++;
	r->outcomes[status < 16 ? status : 15]++;
	if (status == CAIRN_OK || status == CAIRN_NOT_FOUND || status == CAIRN_CONFLICT)
		remember(r, s);
	if (!r->set.final || status == CAIRN_OK || status == CAIRN_NOT_FOUND) {
		s->refused = 0;
	} else if (status == CAIRN_NOT_SERVING && s->refused++ < REFUSED_MAX) {
		s->count = s->key; /* leadership may be moving: ask again */
		s->next_ns = end_ns + REFUSED_NS;
	} else {
		fprintf(stderr, "cairn-recorder: key %s at node %u: %s\n", s->key_text,
			s->op.server, cairn_status_name(status));
		r->missing++;
	}
}

/* ---- the loop ---- */

/* Serves one slot: results first, then a new operation when it is due. */
static void serve(struct recorder *r, struct slot *s, uint64_t time_ns, bool running)
{
	if (s->open && cairn_poll(s->handle, &s->result, 1) == 1)
		end(r, s, now_ns());
	if (!s->open && running && time_ns >= s->next_ns) {
		begin(r, s, time_ns);
		if (s->open && cairn_poll(s->handle, &s->result, 1) == 1)
			end(r, s, now_ns());
	}
}

static uint64_t due_ns(const struct slot *s, uint64_t time_ns, bool running)
{
	if (s->open) {
		uint64_t sleep_ns = cairn_sleep_ns(s->handle);

		return sleep_ns == UINT64_MAX ? UINT64_MAX : time_ns + sleep_ns;
	}
	return running ? s->next_ns : UINT64_MAX;
}

static uint32_t open_count(const struct recorder *r)
{
	uint32_t count = 0;

	for (uint32_t i = 0; i < r->slot_count; i++)
		count += r->slots[i].open;
	return count;
}

static bool work_left(const struct recorder *r)
{
	for (uint32_t i = 0; i < r->slot_count; i++)
		if (r->slots[i].open || r->slots[i].next_ns != UINT64_MAX)
			return true;
	return false;
}

/* So that the driver can wait for progress without reading the history. */
static void tell_progress(const struct recorder *r)
{
	char next[512];
	FILE *f;

	if (!r->set.progress)
		return;
	snprintf(next, sizeof(next), "%s.next", r->set.progress);
	f = fopen(next, "we");
	if (!f)
		return;
	fprintf(f, "%" PRIu64 " %" PRIu64 "\n", r->ended, r->outcomes[CAIRN_OK]);
	if (fclose(f) == 0)
		rename(next, r->set.progress);
}

static void sleep_until(struct recorder *r, struct pollfd *fds, uint64_t until_ns)
{
	uint64_t time_ns = now_ns();
	uint64_t ns = until_ns > time_ns ? until_ns - time_ns : 0;
	struct timespec t;

	ns = ns > SLEEP_MAX_NS ? SLEEP_MAX_NS : ns;
	t = (struct timespec) { .tv_nsec = (long)ns };
	if (ppoll(fds, r->slot_count, &t, NULL) < 0 && errno != EINTR) {
		perror("cairn-recorder: ppoll");
		exit(3);
	}
}

static void loop(struct recorder *r, struct pollfd *fds)
{
	uint64_t end_ns = now_ns() + (uint64_t)(r->set.secs * 1e9), told_ns = 0, time_ns;
	bool running = true;

	while (true) {
		uint64_t next_ns = UINT64_MAX;

		time_ns = now_ns();
		running = running && !stop_asked && time_ns < end_ns;
		for (uint32_t i = 0; i < r->slot_count; i++) {
			struct slot *s = &r->slots[i];

			if (fds[i].revents || due_ns(s, time_ns, running) <= time_ns)
				serve(r, s, time_ns, running);
		}
		if (!running && open_count(r) == 0)
			return;
		if (r->set.final && !work_left(r))
			return;
		if (time_ns >= told_ns + PROGRESS_NS) {
			tell_progress(r);
			told_ns = time_ns;
		}
		time_ns = now_ns();
		for (uint32_t i = 0; i < r->slot_count; i++) {
			uint64_t due = due_ns(&r->slots[i], time_ns, running);

			next_ns = due < next_ns ? due : next_ns;
		}
		sleep_until(r, fds, next_ns);
	}
}

/* ---- start ---- */

static int usage(void)
{
	fputs("usage: cairn-recorder --endpoints LIST --nodes N --history FILE [options]\n"
	      "  --cluster HEX      the cluster id to insist on\n"
	      "  --secs S           (default 10; also ends on SIGTERM, after the last answers)\n"
	      "  --rate R           operations per second, all slots together (default 1000)\n"
	      "  --slots N          clients that take any node (default 6)\n"
	      "  --pinned N         clients per node that insist on it (default 2)\n"
	      "  --readers N        clients per node that insist on it and only read (default 2)\n"
	      "  --hot N --counters N --cold N   keys (default 3, 2, 500)\n"
	      "  --value BYTES      (default 48)\n"
	      "  --timeout S --failover S        of the library (default 5; its own)\n"
	      "  --puts             writes only\n"
	      "  --absent MASK      nodes (bits) that have no endpoint: an empty one in LIST\n"
	      "  --final            read every key at every node, once\n"
	      "  --progress FILE    operations ended and OK so far, replaced every 0.1 s\n"
	      "  --seed N\n",
	      stderr);
	return 2;
}

/* parse_keys: the options about keys and values; false: not one of them, or out of range. */
static bool parse_keys(int option, double number, struct settings *set)
{
	switch (option) {
	case 'a':
		set->absent = (uint32_t)number;
		return true;
	case 'h':
		set->hot = (uint32_t)number;
		return number >= 1 && number <= KEYS_MAX;
	case 'k':
		set->counters = (uint32_t)number;
		return number <= KEYS_MAX;
	case 'c':
		set->cold = (uint32_t)number;
		return number <= KEYS_MAX;
	case 'v':
		set->value_bytes = (uint32_t)number;
		return number >= VALUE_MIN && number <= CAIRN_VALUE_BYTES_MAX;
	default:
		return false;
	}
}

static bool parse_option(int option, const char *text, struct settings *set)
{
	char *rest = NULL;
	double number = strtod(text ? text : "0", &rest);
	bool good = !text || (*text && !*rest && number >= 0);

	switch (option) {
	case 'e':
		set->endpoints = text;
		return true;
	case 'H':
		set->history = text;
		return true;
	case 'P':
		set->progress = text;
		return true;
	case 'C':
		set->cluster = strtoull(text, &rest, 16);
		return !*rest;
	case 'u':
		set->puts_only = true;
		return true;
	case 'f':
		set->final = true;
		return true;
	case 's':
		set->secs = number;
		return good;
	case 'R':
		set->rate = number;
		return good && number > 0;
	case 'T':
		set->timeout = number;
		return good;
	case 'F':
		set->failover = number;
		return good;
	case 'S':
		set->seed = (uint64_t)number;
		return good;
	case 'n':
		set->nodes = (uint32_t)number;
		return good && number <= CAIRN_SERVERS_MAX;
	case 'l':
		set->slots = (uint32_t)number;
		return good && number <= SLOTS_MAX;
	case 'p':
		set->pinned = (uint32_t)number;
		return good && number <= SLOTS_MAX;
	case 'r':
		set->readers = (uint32_t)number;
		return good && number <= SLOTS_MAX;
	default:
		return parse_keys(option, number, set) && good;
	}
}

static bool parse(int argc, char **argv, struct settings *set)
{
	static const struct option options[] = {
		{ "endpoints", 1, NULL, 'e' }, { "history", 1, NULL, 'H' },
		{ "progress", 1, NULL, 'P' },  { "cluster", 1, NULL, 'C' },
		{ "puts", 0, NULL, 'u' },      { "final", 0, NULL, 'f' },
		{ "secs", 1, NULL, 's' },      { "rate", 1, NULL, 'R' },
		{ "timeout", 1, NULL, 'T' },   { "failover", 1, NULL, 'F' },
		{ "seed", 1, NULL, 'S' },      { "nodes", 1, NULL, 'n' },
		{ "readers", 1, NULL, 'r' },   { "absent", 1, NULL, 'a' },
		{ "slots", 1, NULL, 'l' },     { "pinned", 1, NULL, 'p' },
		{ "hot", 1, NULL, 'h' },       { "counters", 1, NULL, 'k' },
		{ "cold", 1, NULL, 'c' },      { "value", 1, NULL, 'v' },
		{ NULL, 0, NULL, 0 },
	};
	int option;

	while ((option = getopt_long(argc, argv, "", options, NULL)) != -1)
		if (option == '?' || !parse_option(option, optarg, set))
			return false;
	return optind == argc && set->endpoints && set->history && set->nodes >= 1 &&
	       set->slots + (set->pinned + set->readers) * set->nodes >= 1 &&
	       set->slots + (set->pinned + set->readers) * set->nodes <= SLOTS_MAX;
}

static int connect_slots(struct recorder *r, struct pollfd *fds)
{
	char error[CAIRN_ERROR_BYTES] = "";

	for (uint32_t i = 0; i < r->slot_count; i++) {
		uint32_t server = slot_server(r, i);
		bool absent = server != CAIRN_ANY_SERVER && (r->set.absent >> server & 1);
		struct cairn_options options = {
			.endpoints = r->set.endpoints,
			.cluster = r->set.cluster,
			.timeout_ns = (uint64_t)(r->set.timeout * 1e9),
			.failover_ns = (uint64_t)(r->set.failover * 1e9),
			.operations_max = 8,
			.preferred_server = server == CAIRN_ANY_SERVER ? i % r->set.nodes : server,
			.error = error,
		};

		if (absent)
			options.preferred_server = (uint32_t)__builtin_ctz(~r->set.absent);
		if (cairn_connect(&options, &r->slots[i].handle) < 0) {
			fprintf(stderr, "cairn-recorder: %s\n", error);
			return -1;
		}
		fds[i] = (struct pollfd) { .fd = cairn_fd(r->slots[i].handle), .events = POLLIN };
		r->slots[i].next_ns = absent ? UINT64_MAX : now_ns() + draw(r, 20000000);
	}
	return 0;
}

static int run(struct recorder *r)
{
	static struct pollfd fds[SLOTS_MAX];
	bool bad;

	if (connect_slots(r, fds) < 0)
		return 3;
	loop(r, fds);
	tell_progress(r);
	for (uint32_t i = 0; i < r->slot_count; i++)
		cairn_close(r->slots[i].handle);
	bad = ferror(r->file) != 0;
	bad |= fclose(r->file) != 0;
	if (bad) {
		fprintf(stderr, "cairn-recorder: '%s' could not be written\n", r->set.history);
		return 3;
	}
	printf("{\"ended\": %" PRIu64, r->ended);
	for (unsigned i = 0; i < ARRAY_LEN(r->outcomes); i++)
		if (r->outcomes[i])
			printf(", \"%s\": %" PRIu64, cairn_status_name((enum cairn_status)i),
			       r->outcomes[i]);
	puts("}");
	return r->missing ? 1 : 0;
}

int main(int argc, char **argv)
{
	static struct recorder r = { .set = { .secs = 10,
					      .rate = 1000,
					      .timeout = 5,
					      .slots = 6,
					      .pinned = 2,
					      .readers = 2,
					      .hot = 3,
					      .counters = 2,
					      .cold = 500,
					      .value_bytes = 48,
					      .seed = 1 } };
	struct sigaction action = { .sa_handler = on_signal };

	if (!parse(argc, argv, &r.set))
		return usage();
	if (r.set.final) {
		r.set.slots = 0;
		r.set.pinned = 1;
		r.set.readers = 0;
		r.set.secs = 1e9;
	}
	sigaction(SIGTERM, &action, NULL);
	sigaction(SIGINT, &action, NULL);
	r.random = r.set.seed;
	r.slot_count = r.set.slots + (r.set.pinned + r.set.readers) * r.set.nodes;
	r.keys = calloc(key_count(&r.set), sizeof(*r.keys));
	r.slots = calloc(r.slot_count, sizeof(*r.slots));
	r.file = fopen(r.set.history, "we");
	if (!r.keys || !r.slots || !r.file) {
		perror("cairn-recorder");
		return 3;
	}
	fputs(CHECK_FILE_HEAD, r.file);
	return run(&r);
}
