/* SPDX-License-Identifier: Apache-2.0 */
/*
 * membership.c: the door of the view service, its log, and what follows from agreed states. One
 * step gives the Raft core one event at most; what else there is to give waits in `pending` for the
 * next TICK, which the caller makes at once.
 */
#include "replication/membership_priv.h"

_Static_assert(RAFT_ACTIONS_MAX + 16 + NODES_MAX <= MEMBERSHIP_ACTIONS_MAX, "a step fits");

/* ---- small things ---------------------------------------------------------------------------- */

struct membership_action *membership_act(struct membership_actions *a,
					 enum membership_action_kind kind)
{
	struct membership_action *action = &a->list[a->count++];

	must(a->count <= MEMBERSHIP_ACTIONS_MAX);
	memset(action, 0, sizeof(*action));
	action->kind = kind;
	return action;
}

struct raft_message *membership_send(struct membership_actions *a, uint8_t to, uint8_t type,
				     const uint8_t *payload, uint32_t bytes)
{
	struct membership_action *action = membership_act(a, MEMBERSHIP_ACTION_SEND);

	must(to != 0 && bytes <= RAFT_PAYLOAD_MAX);
	action->to = to;
	action->message.type = type;
	action->message.payload = payload;
	action->message.payload_bytes = (uint16_t)bytes;
	return &action->message;
}

/* A note that finds no room is lost: notes are for people. */
void membership_note(struct membership *m, enum membership_note note, uint8_t node, uint64_t value)
{
	if (m->notes >= MEMBERSHIP_NOTES)
		return;
	m->note[m->notes++] = (struct membership_action){
		.kind = MEMBERSHIP_ACTION_NOTE,
		.code = (uint8_t)note,
		.node = node,
		.value = value,
	};
}

/*
 * tell_view: once nothing committed waits behind it: whoever starts anew, or was away, runs through
 * views that ended long ago, and they are no news to anybody.
 */
static void tell_view(struct membership *m)
{
	if (!m->view_untold || m->applied < raft_commit(m->raft))
		return;
	m->view_untold = false;
	membership_note(m, NOTE_VIEW, m->config.node, m->view.epoch);
	if (m->view.read_only)
		membership_note(m, NOTE_READ_ONLY, m->config.node, raft_bits(m->view.members));
}

static void tell_notes(struct membership *m, struct membership_actions *a)
{
	tell_view(m);
	for (uint32_t i = 0; i < m->notes && a->count < MEMBERSHIP_ACTIONS_MAX; i++)
		a->list[a->count++] = m->note[i];
	m->notes = 0;
}

bool membership_leads(const struct membership *m)
{
	return !m->failed && raft_role(m->raft) == RAFT_LEADER && raft_ready(m->raft);
}

void membership_want_restart(struct membership *m, uint32_t floor, struct membership_actions *a)
{
	if (m->restart_told)
		return;
	m->restart_told = true;
	membership_note(m, NOTE_SPENT, m->config.node, floor);
	membership_act(a, MEMBERSHIP_ACTION_RESTART)->value = floor;
}

/* ---- states ---------------------------------------------------------------------------------- */

bool membership_entry_state(const struct raft_entry *e, const struct membership_state *before,
			    struct membership_state *ret_state)
{
	struct membership_state s;

	if (!membership_state_decode(e->data, e->bytes, &s))
		return false;
	/* Made from a state that something else has followed since. */
	if (s.revision != before->revision)
		return false;
	s.revision = e->index;
	must(e->index < UINT32_MAX);
	if (s.epoch == MEMBERSHIP_SELF)
		s.epoch = (uint32_t)e->index;
	for (uint8_t n = 0; n < NODES_MAX; n++)
		if (s.node[n].since == MEMBERSHIP_SELF)
			s.node[n].since = (uint32_t)e->index;
	*ret_state = s;
	return true;
}

static uint8_t reach_of(const struct membership *m)
{
	uint8_t reach = 0;

	for (uint8_t n = 0; n < NODES_MAX; n++)
		if (m->agreed.node[n].want != WANT_NONE && m->agreed.node[n].ip != 0)
			reach |= membership_bit(n);
	return reach & (uint8_t)~membership_bit(m->config.node);
}

static bool same_peers(const struct membership_state *a, const struct membership_state *b)
{
	for (uint8_t n = 0; n < NODES_MAX; n++)
		if (a->node[n].ip != b->node[n].ip || a->node[n].want != b->node[n].want ||
		    a->node[n].ident != b->node[n].ident)
			return false;
	return true;
}

/*
 * is_this: the node of that number is this one, on this disk: a log tells of earlier owners of the
 * number, too, and their incarnations mean nothing here (R19).
 */
static bool is_this(const struct membership *m)
{
	return m->agreed.node[m->config.node].ident == m->config.ident || mutant(152);
}

/* spent: this incarnation has been in a view and is not any more (CC-12). */
static bool spent(const struct membership *m)
{
	const struct membership_state *s = &m->agreed;

	return is_this(m) && s->engine == ENGINE_HERMES && s->node[m->config.node].incarnation ==
	       m->config.incarnation &&
	       !membership_has(membership_write_set(s), m->config.node);
}

static void install(struct membership *m, struct membership_actions *a)
{
	struct view v;

	membership_view(&m->agreed, &v);
	if (v.epoch <= m->view.epoch || !is_this(m))
		return;
	m->view = v;
	/* Who comes under a number that was in use begins above a floor. */
	m->view.first_disk = m->agreed.node[m->config.node].floor == 0 || mutant(261);
	m->lease_ns = 0;
	m->counters.views++;
	m->view_untold = true;
	membership_act(a, MEMBERSHIP_ACTION_INSTALL);
}

/* forget_owner: what was heard of a number counts no more when another disk gets it. */
static void forget_owner(struct membership *m, const struct membership_state *next)
{
	for (uint8_t n = 0; n < NODES_MAX; n++) {
		const struct membership_node *now = &m->agreed.node[n];
		bool known = now->ident != 0 && now->ident == next->node[n].ident;
		bool named = now->want != WANT_NONE && now->ident == 0 &&
			     next->node[n].ident == m->peer_ident[n];

		if (known || named || (now->want == next->node[n].want && now->ident == 0 &&
				       next->node[n].ident == 0))
			continue;
		memset(&m->peer[n], 0, sizeof(m->peer[n]));
		memset(&m->last[n], 0, sizeof(m->last[n]));
		memset(&m->watch[n], 0, sizeof(m->watch[n]));
		m->peer_seq[n] = 0;
		m->peer_ident[n] = 0;
		m->buried[n] = 0;
	}
}

/* see_evictions: hold-downs count from when all agreed on them, at every node that may lead. */
static void see_evictions(struct membership *m, const struct membership_state *next)
{
	for (uint8_t n = 0; n < NODES_MAX; n++) {
		bool before = (m->agreed.node[n].flags & MEMBER_EVICTED) != 0;

		if (before || !(next->node[n].flags & MEMBER_EVICTED))
			continue;
		m->watch[n].evicted_ns = m->now_ns;
		m->watch[n].well_ns = 0;
	}
}

void membership_adopt(struct membership *m, const struct membership_state *s,
		      struct membership_actions *a)
{
	must(s->revision > m->agreed.revision);
	see_evictions(m, s);
	m->peers_changed |= !same_peers(&m->agreed, s);
	forget_owner(m, s);
	for (uint8_t n = 0; n < NODES_MAX; n++)
		if (membership_has(membership_write_set(s), n) && !mutant(157))
			m->watch[n].ghost = false; /* it was told of, and was let in again since */
	m->agreed = *s;
	m->reach = reach_of(m);
	if (m->latest.revision < s->revision)
		m->latest = *s;
	install(m, a);
	lease_update(m, a);
	if (spent(m) && m->started)
		membership_want_restart(m, m->config.incarnation, a);
}

/* ---- the log --------------------------------------------------------------------------------- */

static void apply(struct membership *m, uint64_t index, struct membership_actions *a)
{
	struct membership_state s;
	struct raft_entry e;
	bool took = false;

	raft_entry(m->raft, index, &e);
	m->applied = index;
	if (e.kind == RAFT_ENTRY_DATA && index > m->agreed.revision) {
		took = membership_entry_state(&e, &m->agreed, &s);
		if (took)
			membership_adopt(m, &s, a);
		m->counters.proposals_lost += !took;
	}
	if (index == m->proposed)
		m->proposed = 0;
	command_applied(m, index, e.term, took, a);
}

/* look_at_role: who leads now; a plan of an earlier leadership is void. */
static void look_at_role(struct membership *m)
{
	bool lead = raft_role(m->raft) == RAFT_LEADER;

	if (lead && (!m->lead || m->lead_term != raft_term(m->raft))) {
		for (uint8_t n = 0; n < NODES_MAX; n++)
			m->watch[n].told_dead = false;
		m->all_gone_ns = 0;
		m->proposed = 0;
		m->lead_ns = m->now_ns;
		membership_note(m, NOTE_LEADER, m->config.node, raft_term(m->raft));
	}
	if (lead != m->lead || m->lead_term != raft_term(m->raft)) {
		m->pending.propose = m->pending.configure = m->pending.transfer = false;
		m->pending.asked = -1;
	}
	m->lead = lead;
	m->lead_term = raft_term(m->raft);
}

static void restore(struct membership *m, const struct raft_message *message,
		    struct membership_actions *a)
{
	struct membership_state s;

	/* A snapshot that cannot be read is not taken; the leader sends it again. */
	if (message->payload_bytes < RAFT_CONF_BYTES ||
	    !membership_state_decode(message->payload + RAFT_CONF_BYTES,
				     message->payload_bytes - RAFT_CONF_BYTES, &s))
		return;
	m->applied = max_u64(m->applied, message->index);
	if (s.revision > m->agreed.revision)
		membership_adopt(m, &s, a);
	m->pending.restored = true;
	m->pending.restored_index = message->index;
}

static void take_actions(struct membership *m, struct membership_actions *a)
{
	for (uint32_t i = 0; i < m->raft_actions.count; i++) {
		const struct raft_action *in = &m->raft_actions.list[i];
		struct membership_action *out;

		switch (in->kind) {
		case RAFT_ACTION_SEND:
			out = membership_act(a, MEMBERSHIP_ACTION_SEND);
			out->to = in->to;
			out->message = in->message;
			break;
		case RAFT_ACTION_PERSIST:
			out = membership_act(a, MEMBERSHIP_ACTION_PERSIST);
			out->persist_seq = in->persist_seq;
			out->record = in->record;
			break;
		case RAFT_ACTION_RESTORE:
			restore(m, &in->message, a);
			break;
		case RAFT_ACTION_ROLE:
		case RAFT_ACTION_READ:
			break;
		}
	}
}

/* give: one event for the Raft core, and all that follows from it. Returns what was proposed. */
static uint64_t give(struct membership *m, struct raft_event *ev, struct membership_actions *a)
{
	struct membership_state before;
	uint64_t proposed;

	ev->now_ns = m->now_ns;
	ev->persist_seq_next = m->persist_next;
	m->raft_again = raft_step(m->raft, ev, &m->raft_actions);
	proposed = m->raft_actions.proposed;
	take_actions(m, a);
	look_at_role(m);
	while (m->applied < raft_commit(m->raft) && a->count + 6 < MEMBERSHIP_ACTIONS_MAX)
		apply(m, m->applied + 1, a);
	before = m->latest;
	lease_look_at_log(m);
	m->peers_changed |= !same_peers(&before, &m->latest);
	return proposed;
}

static void compact(struct membership *m, struct membership_actions *a)
{
	uint8_t state[MEMBERSHIP_STATE_BYTES];
	struct raft_event ev = {
		.kind = RAFT_EVENT_COMPACT, .index = m->applied, .data = state,
		.bytes = sizeof(state),
	};

	membership_state_encode(state, &m->agreed);
	give(m, &ev, a);
}

/* changes_view: what replicas see of it is not what they see now: it needs an epoch of its own. */
static bool changes_view(const struct membership_state *now, const struct membership_state *next)
{
	struct view a, b;

	membership_view(now, &a);
	membership_view(next, &b);
	b.epoch = a.epoch;
	return memcmp(&a, &b, sizeof(a)) != 0;
}

/* propose: the leader's next state. Its own index is not known yet: MEMBERSHIP_SELF. */
static void propose(struct membership *m, struct membership_actions *a)
{
	struct membership_pending *p = &m->pending;
	struct raft_event ev = {
		.kind = RAFT_EVENT_PROPOSE, .data = m->entry_out, .bytes = MEMBERSHIP_STATE_BYTES,
	};
	int32_t asked = p->asked;

	p->propose = false;
	p->asked = -1;
	if (changes_view(&m->agreed, &p->state))
		p->state.epoch = MEMBERSHIP_SELF;
	membership_state_encode(m->entry_out, &p->state);
	m->proposed = give(m, &ev, a);
	m->proposed_term = raft_term(m->raft);
	if (asked >= 0) {
		m->asked[asked].index = m->proposed;
		m->asked[asked].term = m->proposed_term;
	}
}

static void give_durable(struct membership *m, struct membership_actions *a)
{
	struct raft_event ev = { .kind = RAFT_EVENT_DURABLE, .durable_seq = m->durable };

	m->durable_given = m->durable;
	give(m, &ev, a);
}

/*
 * give_pending: true: something was given. What is held comes before what is durable: the Raft core
 * would acknowledge an entry that must wait.
 */
static bool give_pending(struct membership *m, struct membership_actions *a)
{
	struct membership_pending *p = &m->pending;
	struct raft_event ev = { 0 };

	if (m->hold != m->hold_wanted) {
		m->hold = m->hold_wanted;
		ev.kind = RAFT_EVENT_HOLD;
		ev.index = m->hold;
	} else if (m->durable != m->durable_given) {
		give_durable(m, a);
		return true;
	} else if (p->restored) {
		p->restored = false;
		ev.kind = RAFT_EVENT_RESTORED;
		ev.index = p->restored_index;
	} else if (p->propose) {
		propose(m, a);
		return true;
	} else if (p->configure) {
		p->configure = false;
		ev.kind = RAFT_EVENT_CONFIGURE;
		ev.conf = p->conf;
	} else if (p->transfer) {
		p->transfer = false;
		ev.kind = RAFT_EVENT_TRANSFER;
		ev.node = p->transfer_to;
	} else if (p->compact) {
		p->compact = false;
		compact(m, a);
		return true;
	} else {
		return false;
	}
	give(m, &ev, a);
	return true;
}

static bool has_pending(const struct membership *m)
{
	const struct membership_pending *p = &m->pending;

	return m->hold != m->hold_wanted || m->durable != m->durable_given || p->restored ||
	       p->propose || p->configure || p->transfer || p->compact || m->raft_again ||
	       m->applied < raft_commit(m->raft);
}

/* ---- the door -------------------------------------------------------------------------------- */

/* node_of: as agreed on; of a newcomer, whose votes that may take, as the log has it. */
static const struct membership_node *node_of(const struct membership *m, uint8_t node)
{
	if (m->agreed.node[node].want != WANT_NONE)
		return &m->agreed.node[node];
	return &m->latest.node[node];
}

/*
 * ident_of: the disk agreed on; else the one that the log names: who starts again does not know
 * that the last entries of its log are agreed on.
 */
static uint32_t ident_of(const struct membership *m, uint8_t node)
{
	uint32_t ident = node_of(m, node)->ident;

	return ident != 0 || mutant(262) ? ident : m->latest.node[node].ident;
}

/*
 * is_known: the sender is the node of that number, on the disk agreed on (R19, R20). A node that is
 * not itself named by what it knows reads the history of others, and believes everybody.
 */
static bool is_known(const struct membership *m, const struct membership_event *ev)
{
	uint32_t ident = ident_of(m, ev->from);

	if (!is_this(m) && m->latest.node[m->config.node].ident != m->config.ident &&
	    (m->config.joining || m->agreed.revision > 1))
		return true;
	return node_of(m, ev->from)->want != WANT_NONE &&
	       (ident == 0 || ident == ev->ident || mutant(149));
}

/* is_settled: that number has no owner, or one whose disk is known. */
static bool is_settled(const struct membership_node *node)
{
	return node->want == WANT_NONE || (node->ident != 0 && !mutant(288));
}

/*
 * dismiss: whoever was removed may have been away then, and nobody speaks to it any more: asked, it
 * is shown a state that does without it, or in which another disk has its number. A disk that knows
 * no cluster yet waits to be added.
 */
static void dismiss(struct membership *m, const struct membership_event *ev,
		    struct membership_actions *a)
{
	struct membership_grant g = { .flags = GRANT_STATE };
	struct membership_report r;

	if (m->agreed.revision == 0 || !is_settled(&m->agreed.node[ev->from]) ||
	    !membership_report_decode(ev->message->payload, ev->message->payload_bytes, &r) ||
	    r.revision >= m->agreed.revision ||
	    (m->agreed.node[ev->from].want != WANT_NONE && r.revision == 0))
		return;
	g.seq = r.seq;
	g.sent_ns = r.sent_ns;
	g.conf = *raft_conf(m->raft);
	g.state = m->agreed;
	membership_send(a, membership_bit(ev->from), MEMBERSHIP_GRANT, m->grant_out,
			membership_grant_encode(m->grant_out, &g));
}

/* introduced: a stranger may say who it is, by an agreed state newer than what is known here. */
static void introduced(struct membership *m, const struct membership_event *ev,
		       struct membership_actions *a)
{
	struct membership_grant g;

	m->counters.foreign++;
	if (ev->message->type == MEMBERSHIP_REPORT)
		dismiss(m, ev, a);
	if (ev->message->type != MEMBERSHIP_GRANT ||
	    !membership_grant_decode(ev->message->payload, ev->message->payload_bytes, &g) ||
	    !(g.flags & GRANT_STATE) || g.state.revision <= m->agreed.revision ||
	    g.state.node[ev->from].ident != ev->ident)
		return;
	membership_adopt(m, &g.state, a);
}

static void on_message(struct membership *m, const struct membership_event *ev,
		       struct membership_actions *a)
{
	struct raft_event raft = {
		.kind = RAFT_EVENT_MESSAGE, .from = ev->from, .message = ev->message,
	};

	if (m->hold != m->hold_wanted)
		return; /* the first TICK has not been: as if lost on the way */
	if (!is_known(m, ev)) {
		introduced(m, ev, a);
		return;
	}
	if (ev->message->type < RAFT_TYPE_USER) {
		/* What a dead life had to say about terms and entries is durable: it holds. */
		give(m, &raft, a);
		return;
	}
	switch (ev->message->type) {
	case MEMBERSHIP_REPORT:
		lease_on_report(m, ev, a);
		break;
	case MEMBERSHIP_GRANT:
		lease_on_grant(m, ev, a);
		break;
	case MEMBERSHIP_COMMAND:
	case MEMBERSHIP_RESULT:
		command_on_message(m, ev, a);
		break;
	default:
		m->counters.foreign++;
	}
}

/* look_around: every heartbeat: report, and, where this node leads, see to it that all is well. */
static void look_around(struct membership *m, struct membership_actions *a)
{
	/* Held up, or stopped: what was silent meanwhile may just not have been read yet. */
	if (m->now_ns - m->report_ns > m->config.detect_ns / 2u && m->report_ns != 0)
		m->awake_ns = m->now_ns;
	m->report_ns = m->now_ns + m->config.heartbeat_ns;
	if (m->agreed.revision != 0)
		lease_send_report(m, a);
	lease_look_at_log(m);
	lease_update(m, a);
	command_tick(m, a);
	m->pending.compact = m->applied - raft_base(m->raft) > MEMBERSHIP_COMPACT ||
			     (raft_wants_compact(m->raft) != 0 &&
			      raft_wants_compact(m->raft) <= m->applied);
	watch_look(m);
	if (membership_leads(m) && m->proposed == 0 && !m->pending.propose)
		plan_next(m);
}

static void on_tick(struct membership *m, struct membership_actions *a)
{
	struct raft_event ev = { .kind = RAFT_EVENT_TICK };

	if (give_pending(m, a))
		return;
	give(m, &ev, a);
	if (m->now_ns >= m->report_ns)
		look_around(m, a);
}

/*
 * mute: a node of another engine could take part in nothing: as a member it would answer no update,
 * as a voter it would count where no shard can. Silent, it is in nobody's way (M-ENGINE).
 */
static void mute(struct membership_actions *a)
{
	uint32_t kept = 0;

	for (uint32_t i = 0; i < a->count; i++)
		if (a->list[i].kind != MEMBERSHIP_ACTION_SEND)
			a->list[kept++] = a->list[i];
	a->count = kept;
}

bool membership_step(struct membership *m, const struct membership_event *event,
		     struct membership_actions *actions)
{
	struct raft_event ev = { .kind = RAFT_EVENT_FAIL };

	must(m->started && event->now_ns >= m->now_ns);
	actions->count = 0;
	m->now_ns = event->now_ns;
	m->persist_next = event->persist_seq_next;
	switch (event->kind) {
	case MEMBERSHIP_EVENT_TICK:
		on_tick(m, actions);
		break;
	case MEMBERSHIP_EVENT_MESSAGE:
		on_message(m, event, actions);
		break;
	case MEMBERSHIP_EVENT_DURABLE:
		m->durable = event->durable_seq;
		if (m->hold == m->hold_wanted || mutant(156))
			give_durable(m, actions); /* else after the HOLD, at a TICK */
		break;
	case MEMBERSHIP_EVENT_HEALTH:
		m->health = *event->health;
		break;
	case MEMBERSHIP_EVENT_COMMAND:
		command_on_event(m, event, actions);
		break;
	case MEMBERSHIP_EVENT_OBITUARY:
		lease_on_obituary(m, event->from, event->incarnation);
		m->report_ns = m->now_ns; /* look around at once */
		break;
	case MEMBERSHIP_EVENT_FAIL:
		m->failed = true;
		give(m, &ev, actions);
		break;
	}
	if (m->peers_changed)
		membership_act(actions, MEMBERSHIP_ACTION_PEERS);
	m->peers_changed = false;
	tell_notes(m, actions);
	if (membership_is_odd(m) && !mutant(305))
		mute(actions);
	return has_pending(m);
}

uint64_t membership_deadline_ns(const struct membership *m)
{
	if (!m->started)
		return UINT64_MAX;
	return has_pending(m) ? m->now_ns : min_u64(m->report_ns, raft_deadline_ns(m->raft));
}

/* ---- start ----------------------------------------------------------------------------------- */

static struct raft_config raft_config_of(const struct membership_config *c)
{
	return (struct raft_config){
		.seed = c->seed,
		.heartbeat_ns = c->heartbeat_ns,
		.election_ns = c->election_ns,
		.disk_ns = 4u * c->election_ns,
		.incarnation = c->incarnation,
		.entries_max = MEMBERSHIP_ENTRIES_MAX,
		.bytes_max = MEMBERSHIP_ENTRIES_MAX * MEMBERSHIP_STATE_BYTES,
		.open_max = MEMBERSHIP_OPEN_MAX,
		.inflight_max = MEMBERSHIP_OPEN_MAX,
		.reads_max = 4,
		.drift_ppm = c->drift_ppm,
		.node = c->node,
	};
}

uint64_t membership_size(const struct membership_config *config)
{
	struct raft_config rc = raft_config_of(config);

	return round_up(sizeof(struct membership), 64) + raft_size(&rc);
}

struct membership *membership_init(void *mem, const struct membership_config *config)
{
	struct raft_config rc = raft_config_of(config);
	struct membership *m = mem;

	must(config->node < NODES_MAX && config->incarnation != 0 && config->heartbeat_ns != 0);
	must(config->election_ns >= 2 * config->heartbeat_ns && config->lease_ns != 0);
	memset(m, 0, sizeof(*m));
	m->config = *config;
	m->pending.asked = -1;
	m->raft = raft_init((uint8_t *)mem + round_up(sizeof(*m), 64), &rc);
	return m;
}

/* recover_apply: while the log is read nothing is told; membership_start does it. */
static void recover_apply(struct membership *m, uint64_t upto)
{
	uint8_t state[MEMBERSHIP_STATE_BYTES];
	struct raft_event ev = { .kind = RAFT_EVENT_COMPACT, .index = upto, .data = state,
				 .bytes = sizeof(state) };

	for (uint64_t i = max_u64(m->applied, raft_base(m->raft)) + 1; i <= upto; i++) {
		struct membership_state s;
		struct raft_entry e;

		raft_entry(m->raft, i, &e);
		if (e.kind == RAFT_ENTRY_DATA && membership_entry_state(&e, &m->agreed, &s))
			m->agreed = s;
		m->applied = i;
	}
	membership_state_encode(state, &m->agreed);
	raft_step(m->raft, &ev, &m->raft_actions);
	must(m->raft_actions.count == 0);
}

void membership_recover(struct membership *m, const struct raft_record *record)
{
	uint64_t upto;

	must(!m->started);
	while ((upto = raft_recover_apply(m->raft)) > m->applied)
		recover_apply(m, upto);
	raft_recover(m->raft, record);
	if (record->kind != RAFT_RECORD_SNAPSHOT || record->entry.bytes < RAFT_CONF_BYTES)
		return;
	must(membership_state_decode(record->entry.data + RAFT_CONF_BYTES,
				     record->entry.bytes - RAFT_CONF_BYTES, &m->agreed));
	m->applied = record->entry.index;
}

void membership_start(struct membership *m, const struct membership_state *first, uint64_t now_ns)
{
	struct raft_conf conf = { 0 };
	uint8_t state[MEMBERSHIP_STATE_BYTES];

	m->now_ns = m->start_ns = m->awake_ns = now_ns;
	if (raft_last(m->raft) == 0 && first && !m->config.joining) {
		for (uint8_t n = 0; n < NODES_MAX; n++) {
			conf.voters |= first->node[n].want != WANT_NONE ? membership_bit(n) : 0;
			if (first->node[n].want == WANT_WITNESS)
				conf.witnesses |= membership_bit(n);
		}
		must(first->revision == 1 && first->members == 0);
		membership_state_encode(state, first);
		raft_bootstrap(m->raft, &conf, state, sizeof(state));
		m->agreed = *first;
		m->applied = 1;
	}
	m->latest = m->agreed;
	m->reach = reach_of(m);
	raft_start(m->raft, now_ns);
	m->started = m->peers_changed = true;
	lease_start(m);
	lease_look_at_log(m);
	m->hold = ~m->hold_wanted; /* to be told before anything is heard */
}

/* ---- looking inside -------------------------------------------------------------------------- */

const struct membership_state *membership_state(const struct membership *m)
{
	return &m->agreed;
}

const struct view *membership_installed(const struct membership *m)
{
	return &m->view;
}

bool membership_is_odd(const struct membership *m)
{
	return m->agreed.revision != 0 && m->agreed.engine != m->config.engine;
}

bool membership_accepts(const struct membership *m, uint8_t from, uint32_t incarnation)
{
	return from < NODES_MAX && from != m->config.node && incarnation != 0 &&
	       incarnation <= INCARNATION_MAX;
}

uint32_t membership_ip(const struct membership *m, uint8_t node)
{
	return node_of(m, node)->want != WANT_NONE ? node_of(m, node)->ip : 0;
}

const struct raft *membership_raft(const struct membership *m)
{
	return m->raft;
}

uint64_t membership_lease_ns(const struct membership *m)
{
	return m->lease_ns;
}

const struct membership_peer *membership_peer(const struct membership *m, uint8_t node)
{
	return &m->peer[node];
}

const struct membership_counters *membership_counters(const struct membership *m)
{
	return &m->counters;
}

void membership_check(const struct membership *m)
{
	must(m->latest.revision >= m->agreed.revision || m->latest.revision <= raft_last(m->raft));
	must(m->applied <= raft_commit(m->raft) || m->applied == 1);
	must((m->agreed.members & m->agreed.shadows) == 0);
	must(m->view.epoch <= m->agreed.epoch);
	raft_check(m->raft);
}
