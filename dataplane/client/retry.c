/* SPDX-License-Identifier: Apache-2.0 */
/*
 * retry.c: where an operation goes when its server does not answer, cannot, or has restarted, so
 * that every update takes effect at most once (S-ONCE, H22), and what answers mean then.
 *
 * An update's first attempt goes to its home, and stays there while the home answers others, or
 * OPENs sent to find out whether it lives, for up to half of the operation's time. What
 * may have been executed is never sent as something new: it keeps its request id, and is sent with
 * `prior`, the writer word of the home's incarnation. A node asked with it looks into what all
 * replicas remember, and executes the update only once the prior one can no longer; until then it
 * says WAIT.
 *
 * Who may execute it, beyond the home: one node, the retrier. The rules:
 *  1. prior stays that of the first attempt for ever. Every later one runs under RMW rules, and two
 *     RMWs of one origin cannot both commit; a blind first attempt is what others must wait out.
 *  2. Another retrier is chosen only when every request sent to the present one was answered with
 *     WAIT or a refusal, or when it said UNKNOWN: that it does not go on with it. A silent retrier
 *     is asked again, also after it restarted: its new incarnation takes part only where the old
 *     one no longer can. So is the home, in turn with it, while its session lives: it remembers
 *     what it did.
 *  3. OK is taken from whoever says it. That nothing happened (CONFLICT, NOT_FOUND..) is taken
 *     from the home only if nobody was asked after it, and from the retrier only if it was the
 *     only one: a late copy of the request must find a node that remembers its answer. Otherwise
 *     such an answer leaves the outcome UNKNOWN.
 *  4. A node that lives and has forgotten the session of a first attempt (S-EVICT) cannot tell it
 *     from a new one, and the others will not while it lives: EVICTED.
 *  5. A server whose memory of this client may have a hole where the request is (struct lane, first
 *     and known_from) is not asked: an OPEN that travelled long may have made its session anew.
 * Reads have no such worries: they go to the next server under the same request id.
 */
#include "dataplane/client/core_priv.h"

#define SHUN_FACTOR 8u	 /* in failover_ns: how long new operations avoid a silent server */
#define TURNS_MAX 16u	 /* times a retrier may say WAIT before another one is asked */
#define TURNS_REFUSED 4u /* so much counts NOT_SERVING */
#define COUNT_MAX UINT16_MAX

bool retry_can_move(const struct client_core *c, const struct op *op)
{
	return c->config.failover_ns != 0 && op->any && c->config.server_count > 1;
}

static bool is_usable(const struct client_core *c, uint32_t server)
{
	return (c->config.servers_unused & server_bit(server)) == 0;
}

/* remembers: rule 5. */
static bool remembers(const struct lane *l, uint64_t id)
{
	if (l->first == 0 || id < l->first)
		return true;
	return l->state == LANE_OPEN && id >= l->known_from;
}

/* server_after: the next usable server after this one that is not in `without`, or SERVER_NONE. */
static uint8_t server_after(const struct client_core *c, uint32_t server, uint8_t without)
{
	for (uint32_t i = 1; i <= c->config.server_count; i++) {
		uint32_t s = (server + i) % c->config.server_count;

		if (is_usable(c, s) && (without & server_bit(s)) == 0)
			return (uint8_t)s;
	}
	return SERVER_NONE;
}

/* retrier_after: likewise, among those that may be asked to retry op; silent ones come last. */
static uint8_t retrier_after(const struct client_core *c, const struct op *op, uint32_t server,
			     uint8_t without)
{
	uint8_t silent = 0, s;

	for (uint32_t i = 0; i < c->config.server_count; i++) {
		const struct lane *l = &c->lanes[op_lane_at(c, op, i)];

		if (!remembers(l, op->id))
			without |= server_bit(i);
		if (l->shun_ns != 0)
			silent |= server_bit(i);
	}
	s = server_after(c, server, without | silent);
	return s != SERVER_NONE ? s : server_after(c, server, without);
}

static void shun(struct client_core *c, struct lane *l)
{
	if (l->shun_ns == 0)
		l->shun_ns = c->now_ns + SHUN_FACTOR * c->config.failover_ns;
}

/* One operation at a time finds out whether the server is back. */
uint8_t retry_begins_at(struct client_core *c, const struct client_op *op, uint32_t shard)
{
	uint32_t server = op->server;

	if (!op->any || c->config.failover_ns == 0)
		return op->server;
	for (uint32_t i = 0; i < c->config.server_count; i++) {
		struct lane *l = &c->lanes[server * c->shards_max + shard];

		if (is_usable(c, server) && l->shun_ns == 0)
			return (uint8_t)server;
		if (is_usable(c, server) && c->now_ns >= l->shun_ns) {
			l->shun_ns = c->now_ns + SHUN_FACTOR * c->config.failover_ns;
			return (uint8_t)server;
		}
		server = (server + 1) % c->config.server_count;
	}
	return op->server;
}

static uint64_t failover_ns(const struct client_core *c, const struct op *op)
{
	return c->config.failover_ns ? c->config.failover_ns : op->deadline_ns;
}

/* visit: the operation is to be sent in this lane. */
static void visit(struct client_core *c, struct op *op, uint32_t lane)
{
	if (lane != op->lane && op->prior == 0)
		op->attempts = 0;
	op_move(c, op, op->id ? OP_RESEND : OP_WAITING, lane);
	op_arm(c, op, op_again_at(c, op, failover_ns(c, op)));
	lane_kick(c, op_lane(c, op));
}

/* elsewhere: to the next server that has not refused; false: all have. */
static bool elsewhere(struct client_core *c, struct op *op)
{
	uint32_t server = op->lane / c->shards_max;
	uint8_t next;

	op->refused |= server_bit(server);
	next = server_after(c, server, op->refused);
	if (next == SERVER_NONE && !op->told) {
		op->refused = 0; /* nobody answered: round again, until the deadline */
		next = server_after(c, server, 0);
	}
	if (next == SERVER_NONE)
		return false;
	op->silent_ns = op_again_at(c, op, c->config.failover_ns);
	visit(c, op, op_lane_at(c, op, next));
	return true;
}

/* start_over: no server can have executed it. It becomes new, and gets another request id. */
static void start_over(struct client_core *c, struct op *op)
{
	op_move(c, op, OP_WAITING, op->lane);
	op_forget_id(c, op);
	op->prior = 0;
	op->home = op->retrier = SERVER_NONE;
	op->asked = 0;
	op->copies = op->answers = 0;
	op->turns = 0;
}

/* ---- updates that may have been executed ---- */

static void retry_begin(struct client_core *c, struct op *op, uint32_t incarnation, uint8_t retrier)
{
	op->prior = writer_make(op->home, incarnation);
	op->retrier = retrier;
	op->copies = op->answers = 0;
	op->turns = 0;
	op->clueless = 0;
	c->counters.retries++;
}

static bool retrier_free(const struct op *op)
{
	return op->copies != COUNT_MAX && op->answers >= op->copies;
}

static void retrier_change(struct client_core *c, struct op *op)
{
	uint8_t home_bit = op->home != op->retrier ? op->asked & server_bit(op->home) : 0;
	uint8_t next = retrier_after(c, op, op->retrier, home_bit);

	if (next == SERVER_NONE || next == op->retrier)
		return;
	op->scattered |= op->copies > 0;
	op->retrier = next;
	op->copies = op->answers = 0;
	op->turns = 0;
}

/* home_lives: the home is still the one that got the first attempt, and may be asked about it. */
static bool home_lives(const struct client_core *c, const struct op *op)
{
	const struct lane *l = &c->lanes[op_lane_at(c, op, op->home)];

	return (op->asked & server_bit(op->home)) != 0 &&
	       l->incarnation == writer_incarnation(op->prior);
}

/* retry_again: the home and the retrier in turn. */
static void retry_again(struct client_core *c, struct op *op)
{
	bool home = op->home != op->retrier && home_lives(c, op);
	bool unsent = op->state == OP_RESEND && op->lane / c->shards_max == op->retrier;

	if (op->denied && c->now_ns >= op->silent_ns) {
		op_give_up(c, op);
		return;
	}
	if (retry_can_move(c, op) && retrier_free(op) && (op->turns >= TURNS_MAX || unsent))
		retrier_change(c, op);
	if (home && op->lane / c->shards_max == op->retrier)
		visit(c, op, op_lane_at(c, op, op->home));
	else
		visit(c, op, op_lane_at(c, op, op->retrier));
}

/*
 * home_silent: the first attempt has no answer: ask somebody else. But a home that shows life has
 * half of the operation's time: while it is in the view nobody else may execute the update anyway.
 */
static void home_silent(struct client_core *c, struct op *op)
{
	struct lane *l = op_lane(c, op);
	uint64_t start_ns = op->silent_ns - min_u64(c->config.failover_ns, op->silent_ns);
	bool alive = l->ping_ns == 0 || c->now_ns < l->ping_ns + c->config.failover_ns / 2;
	uint8_t retrier = retrier_after(c, op, op->home, server_bit(op->home));

	if (retrier == SERVER_NONE ||
	    (alive && c->now_ns < start_ns + (op->deadline_ns - start_ns) / 2)) {
		lane_ping(c, l);
		visit(c, op, op->lane);
		return;
	}
	if (!alive)
		shun(c, l);
	retry_begin(c, op, l->incarnation, retrier);
	visit(c, op, op_lane_at(c, op, retrier));
}

/* ---- events ---- */

void retry_timer(struct client_core *c, struct op *op)
{
	struct lane *l = op_lane(c, op);
	bool silent = retry_can_move(c, op) && c->now_ns >= op->silent_ns;

	if (op->prior) {
		retry_again(c, op);
	} else if (op->state == OP_WAITING && (!silent || l->state == LANE_OPEN)) {
		op_arm(c, op, op_again_at(c, op, failover_ns(c, op))); /* for the window */
	} else if (!silent) {
		if (op->state == OP_SENT && op_is_update(op) && retry_can_move(c, op))
			lane_ping(c, l);
		visit(c, op, op->lane);
	} else if (op->id && op_is_update(op)) {
		home_silent(c, op);
	} else {
		shun(c, l);
		if (!elsewhere(c, op))
			op_give_up(c, op);
	}
}

static void op_evicted(struct client_core *c, struct op *op)
{
	op->ts = (struct op_ts){ 0 };
	op->number = 0;
	op->value_bytes = 0;
	c->counters.outcomes_evicted++;
	op_finish(c, op, STATUS_EVICTED);
}

void retry_lost(struct client_core *c, struct op *op, struct lane *l, uint32_t was, uint32_t is)
{
	uint8_t server = lane_server(c, l);

	op->asked &= (uint8_t)~server_bit(server);
	if (op_lane(c, op) != l)
		return;
	if (op_is_update(op) && op->prior == 0) {
		if (c->config.failover_ns == 0 && !mutant(50)) {
			op_give_up(c, op);
			return;
		}
		if (mutant(50)) {
			start_over(c, op);
			op_arm(c, op, op->deadline_ns);
			return;
		}
		if (was == is) {
			op_evicted(c, op);
			return;
		}
		retry_begin(c, op, was, server);
	}
	visit(c, op, op->prior ? op_lane_at(c, op, op->retrier) : op->lane);
}

/* ask_later: what must not be asked at once again waits as if it had been sent. */
static void ask_later(struct client_core *c, struct op *op)
{
	uint32_t shift = op->turns < 2 ? op->turns : 2;

	if (op->state == OP_RESEND)
		op_move(c, op, OP_SENT, op->lane);
	op_arm(c, op, op_again_at(c, op, c->config.retransmit_ns << shift));
}

void retry_refused(struct client_core *c, struct op *op, enum status status)
{
	if (op->prior) {
		ask_later(c, op);
		if (retry_can_move(c, op) && retrier_free(op))
			retrier_change(c, op);
		return;
	}
	op->told = true;
	if (retry_can_move(c, op) && elsewhere(c, op))
		return;
	op->ts = (struct op_ts){ 0 };
	op->number = 0;
	op->value_bytes = 0;
	op_finish(c, op, status);
}

/* first_unknown: the home has dropped it; the others can tell what becomes of it. */
static bool first_unknown(struct client_core *c, struct op *op)
{
	uint8_t retrier = retrier_after(c, op, op->home, server_bit(op->home));

	if (!retry_can_move(c, op) || retrier == SERVER_NONE)
		return true;
	retry_begin(c, op, op_lane(c, op)->incarnation, retrier);
	op->asked = 0; /* the home has told all it knows */
	visit(c, op, op_lane_at(c, op, retrier));
	return false;
}

/* first_result: an answer of the only server that was ever asked. */
static bool first_result(struct client_core *c, struct op *op, enum status status)
{
	if (status == STATUS_UNKNOWN)
		return first_unknown(c, op);
	if (status == STATUS_WAIT) {
		ask_later(c, op);
		return false;
	}
	if (status != STATUS_NOT_SERVING)
		return true;
	op->told = true;
	if (!retry_can_move(c, op))
		return true;
	if (op_is_update(op))
		start_over(c, op);
	return !elsewhere(c, op);
}

/* other_result: of a server asked before the retrier: the home, mostly. */
static bool other_result(struct client_core *c, struct op *op, uint8_t server, enum status status)
{
	if (status == STATUS_WAIT)
		return false;
	if (server == op->home && home_lives(c, op) && op->copies == 0 && !op->scattered &&
	    status != STATUS_UNKNOWN) {
		op->prior = 0; /* nobody but the home was asked after all */
		op_move(c, op, OP_RESEND, op_lane_at(c, op, server));
		return first_result(c, op, status);
	}
	op->asked &= (uint8_t)~server_bit(server);
	if (server == op->home && status != STATUS_UNKNOWN) {
		op->denied = true;
		op->silent_ns = op_again_at(c, op, c->config.failover_ns);
	}
	return false;
}

/*
 * nobody_knows: all that may be asked beside the home said UNKNOWN. The home gets one more chance:
 * waiting any longer would tell the caller the same, later.
 */
static bool nobody_knows(const struct client_core *c, const struct op *op)
{
	uint8_t out = op->clueless | server_bit(op->home);

	return server_after(c, op->retrier, out) == SERVER_NONE && !mutant(162);
}

static bool retrier_result(struct client_core *c, struct op *op, enum status *status)
{
	bool refused = *status == STATUS_BUSY || *status == STATUS_NO_SPACE ||
		       *status == STATUS_NOT_SERVING;

	if (*status == STATUS_EVICTED)
		return true;
	if (*status == STATUS_UNKNOWN) {
		/* It dropped it, or cannot tell: it does no more, and others may know. */
		op->turns = TURNS_MAX;
		op->clueless |= server_bit(op->retrier);
		if (!op->denied && nobody_knows(c, op)) {
			op->denied = true;
			op->silent_ns = op_again_at(c, op, 2 * c->config.failover_ns);
		}
		ask_later(c, op);
		if (retry_can_move(c, op))
			retrier_change(c, op);
		return false;
	}
	if (op->denied && *status == STATUS_WAIT) {
		*status = STATUS_UNKNOWN; /* the home lives: nothing more can be found out */
		return true;
	}
	if (refused || *status == STATUS_WAIT) {
		if (op->answers < op->copies)
			op->answers++;
		if (op->turns < TURNS_MAX)
			op->turns += *status == STATUS_NOT_SERVING ? TURNS_REFUSED : 1u;
		ask_later(c, op);
		return false;
	}
	if (op->scattered)
		*status = STATUS_UNKNOWN;
	return true;
}

bool retry_result(struct client_core *c, struct op *op, uint8_t server, enum status *status)
{
	if (*status == STATUS_EVICTED && mutant(54)) {
		start_over(c, op);
		visit(c, op, op->lane);
		return false;
	}
	if (*status == STATUS_OK || (!op_is_update(op) && *status != STATUS_NOT_SERVING))
		return true;
	if (!op_is_update(op) && op->lane / c->shards_max != server) {
		op->refused |= server_bit(server); /* late: another one is being asked */
		op->told = true;
		return false;
	}
	/* A copy before the one that was refused may have been taken up. */
	if (op->prior == 0 && *status == STATUS_NOT_SERVING && op_is_update(op) && op->attempts > 1)
		*status = STATUS_UNKNOWN;
	if (op->prior == 0)
		return first_result(c, op, *status);
	if (server != op->retrier)
		return other_result(c, op, server, *status);
	return retrier_result(c, op, status);
}
