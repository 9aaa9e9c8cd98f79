/* SPDX-License-Identifier: Apache-2.0 */
/*
 * membership_command.c: what operators ask for. Any node takes a command and forwards it to the
 * leader, again and again until it is answered; the leader knows copies by their number, refuses
 * what would lose data or quorum, and answers when the change is agreed on.
 */
#include "replication/membership_priv.h"

/* ---- the table ------------------------------------------------------------------------------- */

static struct membership_asked *asked_find(struct membership *m, uint8_t from, uint64_t id)
{
	for (uint32_t i = 0; i < MEMBERSHIP_COMMANDS; i++)
		if (m->asked[i].used && m->asked[i].from == from && m->asked[i].command.id == id)
			return &m->asked[i];
	return NULL;
}

/* asked_take: a free place, or that of the oldest answered one; NULL: all are under way. */
static struct membership_asked *asked_take(struct membership *m, uint8_t from,
					   const struct membership_command *c)
{
	struct membership_asked *best = NULL;

	for (uint32_t i = 0; i < MEMBERSHIP_COMMANDS; i++) {
		struct membership_asked *k = &m->asked[i];

		if (k->used && !k->answered)
			continue;
		if (!best || (best->used && (!k->used || k->used_ns < best->used_ns)))
			best = k;
	}
	if (!best)
		return NULL;
	*best = (struct membership_asked){ .used = true, .from = from, .command = *c,
					   .used_ns = m->now_ns };
	return best;
}

/* asked_tell: the answer, to the operator here or to the node that asked. */
static void asked_tell(struct membership *m, const struct membership_asked *k,
		       struct membership_actions *a)
{
	uint8_t *out = m->result_out[k - m->asked];
	struct membership_action *result;

	if (k->from == m->config.node) {
		result = membership_act(a, MEMBERSHIP_ACTION_RESULT);
		result->id = k->command.id;
		result->code = k->code;
		result->index = k->index;
		return;
	}
	memset(out, 0, MEMBERSHIP_RESULT_BYTES);
	store_u64(out, k->command.id);
	store_u64(out + 8, k->index);
	out[16] = k->code;
	membership_send(a, membership_bit(k->from), MEMBERSHIP_RESULT, out,
			MEMBERSHIP_RESULT_BYTES);
}

static void asked_answer(struct membership *m, struct membership_asked *k, uint8_t code,
			 struct membership_actions *a)
{
	k->answered = true;
	k->code = code;
	m->counters.commands++;
	asked_tell(m, k, a);
}

/* ---- what is asked --------------------------------------------------------------------------- */

static bool known(const struct membership_state *s, const struct membership_command *c)
{
	return c->node < NODES_MAX && s->node[c->node].want != WANT_NONE;
}

static uint8_t living(const struct membership *m)
{
	uint8_t alive = 0;

	for (uint8_t n = 0; n < NODES_MAX; n++)
		alive |= watch_alive(m, n) ? membership_bit(n) : 0;
	return alive;
}

/* leaves_enough: what becomes of the copies when this node takes no part any more. */
static uint8_t leaves_enough(const struct membership *m, const struct membership_state *s,
			     const struct membership_command *c)
{
	uint8_t left = s->members & living(m) & (uint8_t)~membership_bit(c->node);

	if (!membership_has(s->members, c->node))
		return COMMAND_DONE;
	if (left == 0)
		return COMMAND_LAST_MEMBER;
	if (raft_bits(left) < s->copies_min && !(c->flags & COMMAND_FORCE) && !mutant(154))
		return COMMAND_TOO_FEW;
	return COMMAND_DONE;
}

/* same_name: operators name nodes by it; without one a node is named by its number. */
static bool same_name(const struct membership_node *node, const struct membership_command *c)
{
	return c->name[0] != 0 && strncmp(node->name, c->name, sizeof(c->name)) == 0 &&
	       !mutant(231);
}

static uint8_t do_add(struct membership_state *s, const struct membership_command *c)
{
	struct membership_node *node = &s->node[c->node];
	uint32_t incarnation = node->incarnation;
	uint32_t since = node->since;
	uint32_t floor = node->floor;

	if ((c->want != WANT_DATA && c->want != WANT_WITNESS) || c->ip == 0 ||
	    (c->member_flags & ~MEMBER_LEARNER) || c->replaces > NODES_MAX)
		return COMMAND_BAD;
	if (c->replaces != 0 && (s->node[c->replaces - 1].want != c->want ||
				 (s->node[c->replaces - 1].flags & MEMBER_LEAVING)))
		return COMMAND_NO_SUCH_NODE;
	for (uint8_t n = 0; n < NODES_MAX; n++)
		if (s->node[n].want != WANT_NONE &&
		    (n == c->node || s->node[n].ip == c->ip || same_name(&s->node[n], c)))
			return COMMAND_EXISTS;
	*node = (struct membership_node){
		.want = c->want, .flags = c->member_flags, .replaces = c->replaces, .ip = c->ip,
		.incarnation = incarnation, .since = since, .floor = floor,
	};
	memcpy(node->name, c->name, sizeof(node->name));
	/* A witness holds nothing: it replaces the other one as soon as it votes. */
	if (c->want == WANT_WITNESS && c->replaces != 0) {
		node->replaces = 0;
		s->node[c->replaces - 1].flags |= MEMBER_LEAVING;
	}
	return COMMAND_DONE;
}

static uint8_t do_promote(const struct membership *m, struct membership_state *s,
			  const struct membership_command *c)
{
	if (membership_has(s->members, c->node))
		return COMMAND_DONE;
	if (!membership_has(s->shadows, c->node) || !m->peer[c->node].joined)
		return COMMAND_NOT_READY;
	s->node[c->node].flags &= (uint8_t)~MEMBER_LEARNER;
	return COMMAND_DONE;
}

/*
 * groups_live: of the engine with a Raft group per shard: those that are left to vote there are
 * reached by a majority. Without it no shard would be led, for reads either: there is no override.
 */
static bool groups_live(const struct membership *m, const struct membership_state *s, uint8_t node)
{
	uint8_t voters = s->members;

	if (s->engine != ENGINE_RAFT || mutant(160))
		return true;
	for (uint8_t n = 0; n < NODES_MAX; n++)
		if (s->node[n].want == WANT_WITNESS && !(s->node[n].flags & MEMBER_LEAVING))
			voters |= membership_bit(n);
	voters &= (uint8_t)~membership_bit(node);
	return raft_is_majority(living(m), voters);
}

static uint8_t do_drain(const struct membership *m, struct membership_state *s,
			const struct membership_command *c)
{
	uint8_t code = leaves_enough(m, s, c);

	if (s->node[c->node].want != WANT_DATA)
		return COMMAND_BAD;
	if (code != COMMAND_DONE)
		return code;
	if (membership_has(s->members, c->node) && !groups_live(m, s, c->node))
		return COMMAND_QUORUM;
	s->node[c->node].flags |= MEMBER_DRAINED;
	return COMMAND_DONE;
}

static uint8_t do_remove(const struct membership *m, struct membership_state *s,
			 const struct membership_command *c)
{
	uint8_t voters = raft_conf(m->raft)->voters & (uint8_t)~membership_bit(c->node);
	uint8_t code = leaves_enough(m, s, c);

	if (code != COMMAND_DONE)
		return code;
	if (!raft_is_majority(living(m), voters) || !groups_live(m, s, c->node))
		return COMMAND_QUORUM;
	s->node[c->node].flags |= MEMBER_LEAVING;
	for (uint8_t n = 0; n < NODES_MAX; n++)
		if (s->node[n].replaces == c->node + 1)
			s->node[n].replaces = 0;
	return COMMAND_DONE;
}

static uint8_t do_copies(const struct membership *m, struct membership_state *s,
			 const struct membership_command *c)
{
	uint8_t there = mutant(310) ? s->members : s->members & living(m);
	uint32_t data = 0;

	for (uint8_t n = 0; n < NODES_MAX; n++)
		data += s->node[n].want == WANT_DATA && !(s->node[n].flags & MEMBER_LEAVING);
	if (c->value == 0 || c->value > data)
		return COMMAND_BAD;
	/* Fewer than before is what helps when there are too few: that is never refused. */
	if (c->value > raft_bits(there) && c->value > s->copies_min &&
	    !(c->flags & COMMAND_FORCE))
		return COMMAND_TOO_FEW;
	s->copies_min = c->value;
	return COMMAND_DONE;
}

static uint8_t do_transfer(struct membership *m, const struct membership_command *c)
{
	uint8_t voters = raft_conf(m->raft)->voters & (uint8_t)~raft_conf(m->raft)->witnesses;

	if (c->node != RAFT_NODE_ANY &&
	    (c->node >= NODES_MAX || m->agreed.node[c->node].want == WANT_NONE))
		return COMMAND_NO_SUCH_NODE;
	if (c->node != RAFT_NODE_ANY && (!membership_has(voters, c->node) ||
					 !watch_alive(m, c->node)))
		return COMMAND_NOT_READY;
	if (c->node != m->config.node) {
		m->pending.transfer = true;
		m->pending.transfer_to = c->node;
	}
	return COMMAND_DONE;
}

/* carry_out: changes s, a copy of the state; anything but DONE: nothing happens. */
static uint8_t carry_out(struct membership *m, struct membership_state *s,
			 const struct membership_command *c)
{
	if (c->verb == VERB_COPIES)
		return do_copies(m, s, c);
	if (c->verb == VERB_ADD)
		return c->node < NODES_MAX ? do_add(s, c) : COMMAND_BAD;
	if (!known(s, c))
		return COMMAND_NO_SUCH_NODE;
	switch ((enum membership_verb)c->verb) {
	case VERB_PROMOTE:
		return do_promote(m, s, c);
	case VERB_DRAIN:
		return do_drain(m, s, c);
	case VERB_UNDRAIN:
		s->node[c->node].flags &= (uint8_t)~MEMBER_DRAINED;
		return COMMAND_DONE;
	case VERB_REMOVE:
		return do_remove(m, s, c);
	case VERB_ADD:
	case VERB_TRANSFER:
	case VERB_COPIES:
		break;
	}
	return COMMAND_BAD;
}

/* ---- at the leader --------------------------------------------------------------------------- */

bool command_plan(struct membership *m)
{
	for (uint32_t i = 0; i < MEMBERSHIP_COMMANDS; i++) {
		struct membership_asked *k = &m->asked[i];
		struct membership_state s = m->agreed;
		uint8_t code;

		if (!k->used || k->answered || k->index != 0 || k->decided)
			continue;
		code = k->command.verb == VERB_TRANSFER ? do_transfer(m, &k->command) :
							  carry_out(m, &s, &k->command);
		if (code == COMMAND_DONE)
			membership_note(m, NOTE_COMMAND, k->command.node, k->command.verb);
		if (code != COMMAND_DONE || k->command.verb == VERB_TRANSFER) {
			k->decided = true; /* told at the next heartbeat */
			k->code = code;
			continue;
		}
		*plan_edit(m) = s;
		m->pending.asked = (int32_t)i;
		return true;
	}
	return false;
}

void command_applied(struct membership *m, uint64_t index, uint32_t term, bool took,
		     struct membership_actions *a)
{
	for (uint32_t i = 0; i < MEMBERSHIP_COMMANDS; i++) {
		struct membership_asked *k = &m->asked[i];

		if (!k->used || k->answered || k->index != index || index == 0)
			continue;
		asked_answer(m, k, took && term == k->term ? COMMAND_DONE : COMMAND_BUSY, a);
	}
}

/* ---- on its way ------------------------------------------------------------------------------ */

void command_on_event(struct membership *m, const struct membership_event *ev,
		      struct membership_actions *a)
{
	struct membership_asked *k = asked_find(m, m->config.node, ev->command->id);
	struct membership_action *result;

	if (k)
		return;
	if (asked_take(m, m->config.node, ev->command))
		return;
	result = membership_act(a, MEMBERSHIP_ACTION_RESULT);
	result->id = ev->command->id;
	result->code = COMMAND_BUSY;
}

static void on_command(struct membership *m, const struct membership_event *ev,
		       struct membership_actions *a)
{
	struct membership_command c;
	struct membership_asked *k;

	if (!membership_command_decode(ev->message->payload, ev->message->payload_bytes, &c))
		return;
	k = asked_find(m, ev->from, c.id);
	if (k && k->answered)
		asked_tell(m, k, a);
	if (!k && membership_leads(m))
		asked_take(m, ev->from, &c);
}

static void on_result(struct membership *m, const struct membership_event *ev,
		      struct membership_actions *a)
{
	const uint8_t *p = ev->message->payload;
	struct membership_asked *k;

	if (ev->message->payload_bytes != MEMBERSHIP_RESULT_BYTES || p[16] >= COMMAND_CODE_COUNT)
		return;
	k = asked_find(m, m->config.node, load_u64(p));
	if (!k || k->answered)
		return;
	k->index = load_u64(p + 8);
	asked_answer(m, k, p[16], a);
}

void command_on_message(struct membership *m, const struct membership_event *ev,
			struct membership_actions *a)
{
	if (ev->message->type == MEMBERSHIP_COMMAND)
		on_command(m, ev, a);
	else
		on_result(m, ev, a);
}

/* forward: an own command to whoever leads; after many attempts its operator is told to look. */
static void forward(struct membership *m, struct membership_asked *k, struct membership_actions *a)
{
	uint8_t *out = m->command_out[k - m->asked];
	uint8_t leader = raft_leader(m->raft);

	if (m->now_ns < k->due_ns)
		return;
	k->due_ns = m->now_ns + m->config.election_ns;
	if (k->attempts >= COMMAND_ATTEMPTS) {
		asked_answer(m, k, k->sent ? COMMAND_UNKNOWN : COMMAND_NO_LEADER, a);
		return;
	}
	k->attempts++;
	if (leader >= NODES_MAX || leader == m->config.node)
		return;
	k->sent = true;
	membership_command_encode(out, &k->command);
	membership_send(a, membership_bit(leader), MEMBERSHIP_COMMAND, out,
			MEMBERSHIP_COMMAND_BYTES);
}

void command_tick(struct membership *m, struct membership_actions *a)
{
	for (uint32_t i = 0; i < MEMBERSHIP_COMMANDS; i++) {
		struct membership_asked *k = &m->asked[i];

		if (!k->used || k->answered)
			continue;
		if (k->decided)
			asked_answer(m, k, k->code, a);
		else if (k->from == m->config.node && (k->index == 0 || !membership_leads(m)))
			forward(m, k, a);
		else if (!membership_leads(m))
			k->used = false; /* a copy goes to whoever leads now */
	}
}
