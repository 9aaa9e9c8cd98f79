/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Clients of the raft engine. Every node takes their requests. An update goes into the leader's
 * log, from here when this node leads, else in a message, which is repeated until the update is
 * applied here: then its client is answered. Copies in the log do no harm (judge, group_apply.c). A
 * read is answered at once by a leader with a lease, else at a read index, one for all that came
 * meanwhile.
 */
#include "replication/group_priv.h"

/* ---- table, hash chains, timer list ---------------------------------------------------------- */

static uint32_t ask_number(const struct group *g, const struct ask *k)
{
	return (uint32_t)(k - g->asks);
}

static uint32_t *chain_of(const struct group *g, uint64_t client, uint64_t request)
{
	uint64_t z = (client ^ request * 0x9e3779b97f4a7c15ull) * 0xbf58476d1ce4e5b9ull;

	return &g->heads[(z >> 32) & g->head_mask];
}

static struct ask *find(const struct group *g, uint64_t client, uint64_t request, bool read)
{
	for (uint32_t i = *chain_of(g, client, request); i != OP_NONE; i = g->asks[i].chain) {
		struct ask *k = &g->asks[i];

		if (k->client == client && k->request == request && read == (k->type == WIRE_GET))
			return k;
	}
	return NULL;
}

static void list_append(struct group *g, struct ask *k)
{
	k->before = g->newest;
	k->after = OP_NONE;
	if (g->newest == OP_NONE)
		g->oldest = ask_number(g, k);
	else
		g->asks[g->newest].after = ask_number(g, k);
	g->newest = ask_number(g, k);
}

static void list_remove(struct group *g, struct ask *k)
{
	if (k->before == OP_NONE)
		g->oldest = k->after;
	else
		g->asks[k->before].after = k->after;
	if (k->after == OP_NONE)
		g->newest = k->before;
	else
		g->asks[k->after].before = k->before;
}

static uint64_t interval_ns(const struct replica *r)
{
	return r->config.retransmit_ns;
}

/* look_again: the interval is the same for all, which keeps the list in order. */
static void look_again(struct replica *r, struct ask *k)
{
	list_remove(r->group, k);
	k->again_ns = r->now_ns + interval_ns(r);
	list_append(r->group, k);
}

void group_ask_init(struct replica *r)
{
	struct group *g = r->group;

	for (uint32_t i = 0; i <= g->head_mask; i++)
		g->heads[i] = OP_NONE;
	for (uint32_t i = 0; i < r->config.ops_max; i++)
		g->asks[i] = (struct ask){ .chain = i + 1 < r->config.ops_max ? i + 1 : OP_NONE };
	g->ask_free = 0;
	g->oldest = g->newest = OP_NONE;
	g->gathered = g->asked = g->ready = (struct ask_queue){ OP_NONE, OP_NONE };
}

static struct ask *ask_alloc(struct replica *r, uint64_t client, const struct event *ev)
{
	struct group *g = r->group;
	const struct wire_message *m = ev->message;
	struct ask *k;
	uint32_t *head;

	if (g->open == r->config.ops_max)
		return NULL;
	k = &g->asks[g->ask_free];
	g->ask_free = k->chain;
	g->open++;
	head = chain_of(g, client, m->id);
	*k = (struct ask){ .client = client, .request = m->id, .session = ev->header->session,
			   .addr = ev->from, .type = (uint8_t)m->type, .chain = *head,
			   .queue = OP_NONE };
	if (m->patience_ms != 0)
		k->expires_ns = r->now_ns + m->patience_ms * 1000000ull;
	*head = ask_number(g, k);
	k->again_ns = r->now_ns + interval_ns(r);
	list_append(g, k);
	return k;
}

/* ask_leave: nobody finds it any more; a read may still be in its queue. */
static void ask_leave(struct group *g, struct ask *k)
{
	uint32_t *at = chain_of(g, k->client, k->request);

	while (*at != ask_number(g, k))
		at = &g->asks[*at].chain;
	*at = k->chain;
	list_remove(g, k);
	k->session = 0;
}

static void ask_release(struct group *g, struct ask *k)
{
	k->type = 0;
	k->chain = g->ask_free;
	g->ask_free = ask_number(g, k);
	g->open--;
}

/* ---- answers --------------------------------------------------------------------------------- */

static struct action *reply(struct actions *a, uint64_t session, const struct client_addr *addr,
			    const struct wire_message *result)
{
	struct action *action = replica_reply(a, session, addr, result);

	action->message.durability = DURABILITY_QUORUM;
	return action;
}

static void refuse(struct replica *r, const struct event *ev, enum status status,
		   struct actions *a)
{
	struct wire_message m = { .type = WIRE_RESULT, .status = (uint8_t)status,
				  .id = ev->message->id };

	r->counters.busy += status == STATUS_BUSY;
	r->counters.no_space += status == STATUS_NO_SPACE;
	r->counters.not_linked += status == STATUS_NOT_SERVING;
	reply(a, ev->header->session, &ev->from, &m);
}

static struct session_outcome *refusal_at(struct replica *r, struct session *s, uint64_t request)
{
	return session_at(&r->sessions, session_place(&r->sessions, s, request));
}

/*
 * note_refusal: that it was certainly not applied stays so: a copy of the request that comes late
 * must find this answer. UNKNOWN: it may be in somebody's log: no copy is ever told otherwise.
 */
static void note_refusal(struct replica *r, struct session *s, uint64_t request,
			 enum status status)
{
	struct session_outcome *o = refusal_at(r, s, request);

	if (o->request <= request)
		*o = (struct session_outcome){
			.request = request, .status = (uint8_t)status,
			.fate = status == STATUS_UNKNOWN ? OUTCOME_UNSURE : OUTCOME_DONE,
		};
}

/* may_be_out: this node has passed the request on before, and given up on it. */
static bool may_be_out(struct replica *r, struct session *s, uint64_t request)
{
	const struct session_outcome *o = refusal_at(r, s, request);

	return o->request == request && o->fate == OUTCOME_UNSURE && !mutant(186);
}

/*
 * in_doubt: this node has dropped its state in this life, and not applied as much again: it may
 * have executed anything that it is asked for, and lost the answer.
 */
static bool in_doubt(const struct group *g)
{
	return g->applied < g->knew && !mutant(292);
}

/* give_up: an update or a read that this node waits for no more. */
static void give_up(struct replica *r, struct ask *k, enum status status, struct actions *a)
{
	struct group *g = r->group;
	struct wire_message m = { .type = WIRE_RESULT, .id = k->request };
	bool read = k->type == WIRE_GET;
	struct session *s = session_find(&r->sessions, k->session);

	m.status = (uint8_t)(k->sent && !mutant(182) ? STATUS_UNKNOWN : status);
	if (!read && s)
		note_refusal(r, s, k->request, (enum status)m.status);
	reply(a, k->session, &k->addr, &m);
	ask_leave(g, k);
	if (!read)
		ask_release(g, k);
}

void group_answer(struct replica *r, const struct command *c, const struct wire_message *result,
		  struct actions *a)
{
	struct ask *k = find(r->group, c->origin.client, c->origin.request, false);

	if (!k)
		return;
	reply(a, k->session, &k->addr, result);
	ask_leave(r->group, k);
	ask_release(r->group, k);
}

static void reply_read(struct replica *r, uint64_t session, const struct client_addr *addr,
		       uint64_t request, const struct entry *e, bool lease, struct actions *a)
{
	struct wire_message m = { .type = WIRE_RESULT, .id = request };

	if (e)
		m.ts = entry_ts(e);
	if (e && entry_exists(e)) {
		m.value = entry_value(e);
		m.value_bytes = e->value_bytes;
	} else {
		m.status = STATUS_NOT_FOUND;
		r->counters.not_found++;
	}
	reply(a, session, addr, &m)->lease = lease;
}

/* ---- updates --------------------------------------------------------------------------------- */

uint8_t group_space(const struct replica *r)
{
	uint8_t space = r->space;

	for (uint8_t n = 0; n < r->config.node_count; n++) {
		const struct peer *p = &r->peers[n];

		if (n != r->config.node && view_heard(r, p) && p->space > space)
			space = p->space;
	}
	return space;
}

/* read_only: too few nodes that keep data are there: an update would not be acknowledged. */
static bool read_only(const struct replica *r)
{
	const struct raft_conf *c = raft_conf(r->group->raft);
	uint8_t data = c->voters & (uint8_t)~c->witnesses, there = 0;

	if (r->view.read_only)
		return true;
	for (uint8_t n = 0; n < r->config.node_count; n++)
		if ((data >> n & 1) && (n == r->config.node || view_heard(r, &r->peers[n])))
			there++;
	return there < r->view.copies_min;
}

/* refusal: why nothing can come of the request here; before anything is sent. */
static enum status refusal(const struct replica *r, enum wire_type type)
{
	const struct group *g = r->group;
	uint8_t space;

	if (r->failed || !r->member || r->now_ns - g->leader_ns > 4 * r->config.raft.election_ns)
		return STATUS_NOT_SERVING;
	if (type == WIRE_GET)
		return STATUS_OK;
	if (read_only(r) || (g->applied == 0 && !mutant(269)))
		return STATUS_NOT_SERVING; /* without state: from when would it speak (seen)? */
	space = group_space(r);
	if (space == SPACE_FULL || (space == SPACE_LOW && type != WIRE_DEL))
		return STATUS_NO_SPACE;
	return STATUS_OK;
}

static struct recent *recent_of(struct group *g, struct origin origin)
{
	uint64_t z = (origin.client ^ origin.request) * 0x9e3779b97f4a7c15ull;

	return &g->recent[z >> 54];
}

/*
 * Of this node alone: who lags applies the same log later, to a store of the same size. To wait for
 * the others would stop all updates with one that is slow, copies, or has just died.
 */
uint64_t group_unapplied(const struct replica *r)
{
	const struct group *g = r->group;

	return raft_last(g->raft) - min_u64(raft_last(g->raft), g->applied);
}

void group_set_room(struct replica *r, uint32_t keys)
{
	r->group->room_to = keys == UINT32_MAX ? UINT64_MAX : r->group->applied + keys;
}

/*
 * crowded: what the log holds and is not applied may need all the room there is for new keys. An
 * update that finds none when it is applied cannot be refused any more: the node would have to
 * stop, and the others with it.
 */
static bool crowded(const struct replica *r, enum wire_type type)
{
	const struct group *g = r->group;

	return type != WIRE_DEL && raft_last(g->raft) >= g->room_to && !mutant(297);
}

/* propose: into this leader's log; false: not now. */
static bool propose(struct replica *r, const struct command *c, const uint8_t *data, uint32_t bytes,
		    struct actions *a)
{
	struct origin origin = c->origin;
	struct group *g = r->group;
	struct recent *recent = recent_of(g, origin);
	struct raft_event ev = { .kind = RAFT_EVENT_PROPOSE, .data = data, .bytes = bytes };
	uint64_t index;

	if (recent->origin.client == origin.client && recent->origin.request == origin.request &&
	    recent->index > g->applied && recent->term == raft_term(g->raft))
		return true;
	if (crowded(r, c->type) || !raft_can_propose(g->raft, bytes))
		return false;
	index = group_raft_step(r, &ev, a);
	if (index != 0)
		*recent = (struct recent){ origin, index, raft_term(g->raft) };
	return index != 0;
}

/* pass_on: to whoever leads. What is repeated becomes rarer. */
static void pass_on(struct replica *r, struct ask *k, uint8_t leader, struct actions *a)
{
	struct group *g = r->group;
	struct raft_message *m;
	struct action *action;

	if (g->forwards == FORWARDS_MAX || !group_has_room(a, 1))
		return;
	if ((k->visits & (k->visits - 1)) != 0)
		return;
	k->sent = true;
	m = &g->forward[g->forwards++];
	*m = (struct raft_message){ .type = GROUP_FORWARD, .term = raft_term(g->raft),
				    .payload = ask_data(g, k), .payload_bytes = k->bytes };
	action = replica_action(a, ACTION_RAFT_SEND);
	action->to = replica_bit(leader);
	action->raft = m;
	r->counters.retransmits += k->visits > 0;
}

/* move_on: brings an update nearer to the leader's log. */
static void move_on(struct replica *r, struct ask *k, struct actions *a)
{
	struct group *g = r->group;
	uint8_t leader = raft_leader(g->raft);
	struct command c = { .type = k->type, .origin = { k->client, k->request } };

	if (group_leads(g)) {
		if (k->term == raft_term(g->raft) || read_only(r))
			return;
		if (propose(r, &c, ask_data(g, k), k->bytes, a)) {
			k->sent = true;
			k->term = raft_term(g->raft);
		}
	} else if (leader < r->config.node_count && leader != r->config.node) {
		pass_on(r, k, leader, a);
	}
	k->visits++;
}

static void fill(struct replica *r, struct ask *k, const struct session *s,
		 const struct wire_message *m)
{
	struct group *g = r->group;
	uint64_t back = m->id >= s->floor ? m->id - s->floor : 0;
	struct command c = {
		.type = m->type,
		.flags = (m->flags & WIRE_OLD ? GROUP_OLD : 0) |
			 (m->id < s->floor ? GROUP_BELOW : 0),
		.key_bytes = m->key_bytes, .value_bytes = m->value_bytes,
		.back = (uint16_t)min_u64(back, UINT16_MAX), .seen = (uint32_t)g->applied,
		.origin = { k->client, k->request }, .key = m->key, .value = m->value,
	};

	if (m->type == WIRE_CASV)
		c.expected = m->ts.version;
	else if (m->type == WIRE_CAS && m->ts.writer != 0)
		c.expected = m->ts.writer == GROUP_WRITER ?
			     min_u64(m->ts.version, GROUP_EXPECTED_MAX) : GROUP_EXPECTED_MAX;
	k->bytes = (uint16_t)group_encode(ask_data(g, k), &c);
}

static void count_request(struct replica *r, enum wire_type type)
{
	r->counters.reads += type == WIRE_GET;
	r->counters.writes += type == WIRE_PUT;
	r->counters.deletes += type == WIRE_DEL;
	r->counters.incrs += type == WIRE_INCR;
	r->counters.cas += type == WIRE_CAS || type == WIRE_CASV;
}

/*
 * asked_here_first: nobody was asked before this life of this node; it may be named as the one that
 * was asked first, when its client thought that it had gone. What it refuses then is final, too.
 */
static bool asked_here_first(const struct replica *r, const struct wire_message *m)
{
	return m->prior == 0 || (m->prior == writer_make(r->config.node, r->config.incarnation) &&
				 !mutant(224));
}

/* known_here: answered before, or under way: needs no more than that. */
static bool known_here(struct replica *r, struct session *s, const struct event *ev,
		       struct actions *a)
{
	struct group *g = r->group;
	struct origin origin = { s->client, ev->message->id };
	struct ask *k = find(g, origin.client, origin.request, false);
	const struct session_outcome *o, *refused = refusal_at(r, s, origin.request);
	struct wire_message m;
	bool old;

	o = group_outcome(g, origin, &old);
	old |= refused->request > origin.request; /* its client has long heard, or given up */
	if (!o && !old && !k && (refused->request != origin.request ||
				 refused->fate != OUTCOME_DONE ||
				 !asked_here_first(r, ev->message)))
		return false;
	r->counters.duplicate_requests++;
	if (o) {
		group_result(o, &m);
		r->counters.replies_resent++;
		reply(a, s->id, &s->addr, &m);
	} else if (k) {
		k->addr = ev->from;
		k->session = s->id;
	} else if (!old) {
		refuse(r, ev, (enum status)refused->status, a);
	}
	return true;
}

static void on_update(struct replica *r, struct session *s, const struct event *ev,
		      struct actions *a)
{
	const struct wire_message *m = ev->message;
	enum status status;
	struct ask *k = NULL;
	bool unsure;

	if (known_here(r, s, ev, a))
		return;
	unsure = may_be_out(r, s, m->id) || in_doubt(r->group);
	count_request(r, m->type);
	status = refusal(r, m->type);
	if (status == STATUS_OK) {
		k = ask_alloc(r, s->client, ev);
		status = k ? STATUS_OK : STATUS_BUSY;
	}
	if (status != STATUS_OK) {
		status = unsure ? STATUS_UNKNOWN : status;
		/* Asked elsewhere before, it may have been applied: nothing final is said. */
		if (unsure || asked_here_first(r, m))
			note_refusal(r, s, m->id, status);
		refuse(r, ev, status, a);
		return;
	}
	k->sent = unsure;
	r->counters.retries += m->prior != 0;
	fill(r, k, s, m);
	move_on(r, k, a);
}

void group_on_forward(struct replica *r, const struct event *ev, struct actions *a)
{
	const struct raft_message *m = ev->raft;
	struct group *g = r->group;
	struct command c;
	uint8_t space;
	bool old;

	if (!group_leads(g) || g->is_void || read_only(r) ||
	    !group_decode(m->payload, m->payload_bytes, &c))
		return;
	space = group_space(r);
	if (space == SPACE_FULL || (space == SPACE_LOW && c.type != WIRE_DEL))
		return;
	if (group_outcome(g, c.origin, &old) || old)
		return;
	propose(r, &c, m->payload, m->payload_bytes, a);
}

/* ---- reads ----------------------------------------------------------------------------------- */

static void queue_append(struct group *g, struct ask_queue *q, struct ask *k)
{
	k->queue = OP_NONE;
	if (q->last == OP_NONE)
		q->first = ask_number(g, k);
	else
		g->asks[q->last].queue = ask_number(g, k);
	q->last = ask_number(g, k);
}

/* queue_move: all of `from` behind `to`; what was given up meanwhile is released. */
static void queue_move(struct group *g, struct ask_queue *to, struct ask_queue *from)
{
	uint32_t i = from->first;

	*from = (struct ask_queue){ OP_NONE, OP_NONE };
	while (i != OP_NONE) {
		struct ask *k = &g->asks[i];

		i = k->queue;
		if (k->session != 0)
			queue_append(g, to, k);
		else
			ask_release(g, k);
	}
}

/* start_batch: one read index for all reads that have gathered. */
static void start_batch(struct replica *r, struct actions *a)
{
	struct group *g = r->group;
	struct raft_event ev = { .kind = RAFT_EVENT_READ };

	queue_move(g, &g->asked, &g->gathered);
	if (g->asked.first == OP_NONE)
		return;
	ev.id = ++g->read_id;
	if (mutant(173)) {
		group_on_read_index(r, ev.id, g->applied);
		return;
	}
	group_raft_step(r, &ev, a);
}

static bool can_start_batch(const struct replica *r)
{
	const struct group *g = r->group;

	return g->gathered.first != OP_NONE && g->asked.first == OP_NONE &&
	       r->now_ns >= g->read_ns;
}

void group_on_read_index(struct replica *r, uint64_t id, uint64_t index)
{
	struct group *g = r->group;

	if (id != g->read_id)
		return;
	for (uint32_t i = g->asked.first; i != OP_NONE; i = g->asks[i].queue)
		g->asks[i].index = index;
	if (index == 0) {
		g->read_ns = r->now_ns + interval_ns(r) / 2;
		queue_move(g, &g->asked, &g->gathered);
		queue_move(g, &g->gathered, &g->asked);
	} else {
		queue_move(g, &g->ready, &g->asked);
	}
	g->more = true;
}

struct ask *group_read_ready(const struct replica *r)
{
	const struct group *g = r->group;
	struct ask *k = g->ready.first == OP_NONE ? NULL : &g->asks[g->ready.first];

	return k && (k->session == 0 || k->index <= g->applied) ? k : NULL;
}

void group_serve_read(struct replica *r, const struct entry *e, struct actions *a)
{
	struct group *g = r->group;
	struct ask *k = group_read_ready(r);

	must(k != NULL);
	g->ready.first = k->queue;
	if (g->ready.first == OP_NONE)
		g->ready.last = OP_NONE;
	if (k->session != 0) {
		reply_read(r, k->session, &k->addr, k->request, e, false, a);
		ask_leave(g, k);
	}
	ask_release(g, k);
}

/* has_lease: what this leader has applied is all there is. */
static bool has_lease(const struct replica *r)
{
	const struct group *g = r->group;

	return group_leads(g) && !g->is_void && g->applied >= raft_commit(g->raft) &&
	       ((raft_ready(g->raft) && r->now_ns < raft_lease_ns(g->raft)) || mutant(170));
}

static void on_read(struct replica *r, struct session *s, const struct event *ev,
		    struct actions *a)
{
	struct group *g = r->group;
	enum status status = refusal(r, WIRE_GET);
	struct ask *k = NULL;

	if (find(g, s->id, ev->message->id, true)) {
		r->counters.duplicate_requests++;
		return;
	}
	count_request(r, WIRE_GET);
	if (status == STATUS_OK && has_lease(r)) {
		reply_read(r, s->id, &ev->from, ev->message->id, ev->entry, !mutant(170), a);
		return;
	}
	if (status == STATUS_OK) {
		k = ask_alloc(r, s->id, ev);
		status = k ? STATUS_OK : STATUS_BUSY;
	}
	if (status != STATUS_OK) {
		refuse(r, ev, status, a);
		return;
	}
	r->counters.reads_queued++;
	k->bytes = ev->message->key_bytes;
	memcpy(ask_data(g, k), ev->message->key, k->bytes);
	queue_append(g, &g->gathered, k);
	if (can_start_batch(r))
		start_batch(r, a);
}

/* ---- the door -------------------------------------------------------------------------------- */

static void on_open(struct replica *r, const struct event *ev, struct actions *a)
{
	struct session *s = session_of(&r->sessions, ev->message->id);
	bool known = s && s->id != 0;

	request_on(r, ev, a);
	s = session_of(&r->sessions, ev->message->id);
	if (s && !known)
		s->floor = max_u64(load_u64(ev->message->value), 1);
}

void group_on_request(struct replica *r, const struct event *ev, struct actions *a)
{
	const struct wire_message *m = ev->message;
	struct session *s;

	if (m->type == WIRE_OPEN) {
		on_open(r, ev, a);
		return;
	}
	if (m->id == 0) {
		r->counters.bad_request++;
		return;
	}
	s = session_find(&r->sessions, ev->header->session);
	if (!s || ev->header->to_incarnation != r->config.incarnation) {
		r->counters.no_session++;
		refuse(r, ev, STATUS_NO_SESSION, a);
		return;
	}
	s->used_ns = r->now_ns;
	s->addr = ev->from;
	if (m->type == WIRE_GET)
		on_read(r, s, ev, a);
	else
		on_update(r, s, ev, a);
}

/* ---- time ------------------------------------------------------------------------------------ */

void group_hurry(struct replica *r)
{
	struct group *g = r->group;

	for (uint32_t i = g->oldest; i != OP_NONE; i = g->asks[i].after) {
		g->asks[i].again_ns = 0;
		g->asks[i].visits = 0;
	}
	g->read_ns = 0;
	g->more = true;
}

/* settled: it came with a copy of the sessions, or was forgotten: it will not be applied here. */
static bool settled(struct replica *r, struct ask *k, struct actions *a)
{
	struct command c = { .origin = { k->client, k->request } };
	struct wire_message m = { .type = WIRE_RESULT, .status = STATUS_EVICTED,
				  .id = k->request };
	bool old;
	const struct session_outcome *o = group_outcome(r->group, c.origin, &old);

	if (o)
		group_result(o, &m);
	if (o || old)
		group_answer(r, &c, &m, a);
	return o || old;
}

static void visit(struct replica *r, struct ask *k, struct actions *a)
{
	struct group *g = r->group;
	bool lost = !r->member || r->failed ||
		    r->now_ns - g->leader_ns > 4 * r->config.raft.election_ns;

	if (k->expires_ns != 0 && r->now_ns >= k->expires_ns) {
		r->counters.expired++;
		give_up(r, k, STATUS_BUSY, a);
	} else if (lost) {
		give_up(r, k, STATUS_NOT_SERVING, a);
	} else if (k->type == WIRE_GET) {
		look_again(r, k);
	} else if (settled(r, k, a)) {
		return;
	} else if (!k->sent && k->type != WIRE_DEL && group_space(r) != SPACE_OK) {
		give_up(r, k, STATUS_NO_SPACE, a);
	} else {
		look_again(r, k);
		move_on(r, k, a);
	}
}

static bool can_raft_step(const struct group *g, const struct actions *a, uint64_t steps)
{
	return g->steps == steps && group_has_room(a, RAFT_ACTIONS_MAX + 1);
}

bool group_work_asks(struct replica *r, struct actions *a)
{
	struct group *g = r->group;
	uint64_t steps = g->steps;

	while (g->oldest != OP_NONE && g->asks[g->oldest].again_ns <= r->now_ns) {
		if (g->forwards == FORWARDS_MAX || !can_raft_step(g, a, steps))
			return true;
		visit(r, &g->asks[g->oldest], a);
	}
	if (can_start_batch(r)) {
		if (!can_raft_step(g, a, steps))
			return true;
		start_batch(r, a);
	}
	return can_start_batch(r);
}

uint64_t group_asks_deadline_ns(const struct replica *r)
{
	const struct group *g = r->group;
	uint64_t deadline = g->oldest == OP_NONE ? UINT64_MAX : g->asks[g->oldest].again_ns;

	if (g->gathered.first != OP_NONE && g->asked.first == OP_NONE)
		deadline = min_u64(deadline, g->read_ns);
	return deadline;
}
