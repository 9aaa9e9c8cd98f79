/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The raft engine's door: memory, what comes in, what Raft wants done, and what a leader looks
 * after: who takes part, who had better lead, and how much of the log stays in memory.
 */
#include "replication/group.h"

#include "replication/group_priv.h"

#define PREFERRED_ELECTIONS 10u /* a better leader must have been fit for so many election times */
#define CAUGHT_UP 64u /* entries a node may lack and still become a voter, or the leader */
#define HELLO_REACH 44u /* offset in HELLO: bitmap of whom its sender hears, itself too */

/* ---- memory ---------------------------------------------------------------------------------- */

static struct raft_config raft_config_of(const struct replica_config *c)
{
	struct raft_config rc = c->raft;

	must(rc.entries_max >= 64 && (rc.entries_max & (rc.entries_max - 1)) == 0);
	rc.seed = c->seed ^ (uint64_t)c->shard << 32 ^ c->node;
	rc.incarnation = c->incarnation;
	rc.node = c->node;
	rc.open_max = rc.entries_max / 4;
	rc.inflight_max = rc.entries_max / 8;
	rc.reads_max = 64;
	rc.strip = true;
	rc.passive = c->witness;
	return rc;
}

static void *carve(uint8_t *base, uint64_t *offset, uint64_t bytes)
{
	void *piece = base ? base + *offset : NULL;

	*offset += round_up(bytes, 64);
	return piece;
}

static uint32_t heads_of(const struct replica_config *c)
{
	uint32_t heads = 1;

	while (heads < c->ops_max)
		heads *= 2;
	return heads;
}

struct pieces {
	struct group *g;
	struct ask *asks;
	uint8_t *data;
	uint32_t *heads;
	uint64_t *size_to;
	void *sessions, *stage, *raft;
};

static uint64_t layout(const struct replica_config *c, uint8_t *base, struct pieces *p)
{
	struct raft_config rc = raft_config_of(c);
	uint64_t table = session_table_size(c->sessions_max, c->session_window);
	uint64_t offset = 0;

	p->g = carve(base, &offset, sizeof(*p->g));
	p->asks = carve(base, &offset, (uint64_t)c->ops_max * sizeof(struct ask));
	p->data = carve(base, &offset, (uint64_t)c->ops_max * RAFT_ENTRY_BYTES_MAX);
	p->heads = carve(base, &offset, (uint64_t)heads_of(c) * sizeof(uint32_t));
	p->size_to = carve(base, &offset, (uint64_t)rc.entries_max * sizeof(uint64_t));
	p->sessions = carve(base, &offset, table);
	p->stage = carve(base, &offset, table);
	p->raft = carve(base, &offset, raft_size(&rc));
	return offset;
}

uint64_t group_size(const struct replica_config *config)
{
	struct pieces p;

	return layout(config, NULL, &p);
}

/* set_copies: as the view asks for; who knows none yet commits no update. */
static void set_copies(struct replica *r)
{
	bool blind = r->config.views && r->view.epoch == 0;

	raft_set_copies(r->group->raft, blind ? NODES_MAX : r->view.copies_min);
}

struct group *group_init(void *mem, struct replica *r)
{
	const struct replica_config *c = &r->config;
	struct raft_config rc = raft_config_of(c);
	struct pieces p;
	struct group *g;

	layout(c, mem, &p);
	g = p.g;
	memset(g, 0, sizeof(*g));
	memset(p.size_to, 0, (size_t)rc.entries_max * sizeof(uint64_t));
	g->asks = p.asks;
	g->data = p.data;
	g->heads = p.heads;
	g->head_mask = heads_of(c) - 1;
	g->entries_max = rc.entries_max;
	g->room_to = UINT64_MAX;
	g->size_to = p.size_to;
	g->leader = RAFT_NODE_NONE;
	g->ticked_ns = UINT64_MAX;
	session_table_init(&g->sessions, p.sessions, c->sessions_max, c->session_window, c->seed);
	session_table_init(&g->stage, p.stage, c->sessions_max, c->session_window, c->seed);
	g->raft_mem = p.raft;
	g->raft = raft_init(p.raft, &rc);
	r->group = g;
	set_copies(r);
	group_ask_init(r);
	if (!c->views) {
		r->view = (struct view){ .epoch = EPOCH_STATIC };
		r->view.members = (uint8_t)((1u << c->node_count) - 1);
		r->member = true;
	}
	return g;
}

/* ---- Raft ------------------------------------------------------------------------------------ */

/* look: what follows from who leads now. */
static void look(struct replica *r)
{
	struct group *g = r->group;
	uint8_t leader = raft_leader(g->raft);

	r->lease_ns = raft_ready(g->raft) ? raft_lease_ns(g->raft) : 0;
	r->linked = leader != RAFT_NODE_NONE;
	if (r->linked)
		g->leader_ns = r->now_ns;
	if (leader == g->leader)
		return;
	g->leader = leader;
	g->led_ns = r->now_ns;
	g->preferred_ns = 0;
	if (r->linked)
		group_hurry(r);
}

static void persist(struct replica *r, const struct raft_record *record, struct actions *a)
{
	struct action *action = replica_action(a, ACTION_RAFT_PERSIST);

	action->record = record;
	action->persist_seq = r->persist_next++;
}

void group_note(struct replica *r, enum group_record kind, uint64_t index, const uint8_t *data,
		uint32_t bytes, struct actions *a)
{
	struct group *g = r->group;
	struct raft_record *record = &g->notes[g->notes_count++];

	must(g->notes_count <= ARRAY_LEN(g->notes));
	*record = (struct raft_record){ .kind = RAFT_RECORD_USER };
	record->entry = (struct raft_entry){ .index = index, .term = kind, .data = data,
					     .bytes = (uint16_t)bytes };
	persist(r, record, a);
}

uint64_t group_raft_step(struct replica *r, struct raft_event *ev, struct actions *a)
{
	struct group *g = r->group;

	ev->now_ns = r->now_ns;
	ev->persist_seq_next = r->persist_next;
	g->raft_more = raft_step(g->raft, ev, &g->out);
	g->more |= g->raft_more;
	g->steps++;
	for (uint32_t i = 0; i < g->out.count; i++) {
		struct raft_action *x = &g->out.list[i];
		struct action *action;

		switch (x->kind) {
		case RAFT_ACTION_SEND:
			action = replica_action(a, ACTION_RAFT_SEND);
			action->to = x->to;
			action->raft = &x->message;
			break;
		case RAFT_ACTION_PERSIST:
			must(x->persist_seq == r->persist_next);
			persist(r, &x->record, a);
			break;
		case RAFT_ACTION_READ:
			group_on_read_index(r, x->id, x->index);
			break;
		case RAFT_ACTION_RESTORE:
			g->restore = x->message.index;
			g->more = true;
			break;
		case RAFT_ACTION_ROLE:
			g->more = true;
			break;
		}
	}
	look(r);
	return g->out.proposed;
}

/*
 * is_blank: a disk that held nothing at start. Its number may be one that the group still counts on
 * for what the last disk held (R19, R20).
 */
static bool is_blank(const struct replica *r)
{
	return r->config.views && !r->group->recovered && raft_last(r->group->raft) == 0;
}

static void bootstrap(struct replica *r)
{
	struct group *g = r->group;
	const struct replica_config *c = &r->config;
	struct raft_conf conf = { .voters = c->founders, .witnesses = c->witnesses };

	if (conf.voters == 0)
		conf.voters = (uint8_t)((1u << c->node_count) - 1);
	must((conf.witnesses & ~conf.voters) == 0);
	raft_bootstrap(g->raft, &conf, NULL, 0);
	g->applied = max_u64(g->applied, raft_base(g->raft));
}

/* start: the first event: recovery is over. */
static void start(struct replica *r)
{
	struct group *g = r->group;
	const struct replica_config *c = &r->config;

	g->started = true;
	if (!g->recovered && (!c->views || (c->founders != 0 && mutant(260))))
		bootstrap(r);
	raft_start(g->raft, r->now_ns);
	g->leader_ns = r->now_ns;
}

/*
 * found: a founder begins when a view says that no disk but this one ever had its number: one that
 * was formatted anew begins with nothing, and does not vote like the one that it replaced.
 */
static void found(struct replica *r)
{
	struct group *g = r->group;
	struct raft_config rc = raft_config_of(&r->config);

	if (!is_blank(r) || !r->view.first_disk ||
	    !(r->config.founders & replica_bit(r->config.node)))
		return;
	rc.reads_before = raft_reads(g->raft);
	g->raft = raft_init(g->raft_mem, &rc);
	set_copies(r);
	bootstrap(r);
	raft_start(g->raft, r->now_ns);
	g->raft_more = false;
	g->more = true;
	group_on_read_index(r, g->read_id, 0); /* what was asked is asked again */
}

/* ---- frames ---------------------------------------------------------------------------------- */

/* accept: not from an older life of its sender than is known. */
static bool accept(struct replica *r, const struct wire_header *h)
{
	struct peer *p = &r->peers[h->from];

	must(h->from < r->config.node_count && h->from != r->config.node);
	if (h->cluster != r->config.cluster) {
		r->counters.foreign_cluster++;
		return false;
	}
	if (h->from_incarnation == 0 || h->from_incarnation < p->incarnation) {
		r->counters.stale_incarnation++;
		return false;
	}
	p->incarnation = h->from_incarnation;
	p->heard_ns = r->now_ns;
	return true;
}

/*
 * shape: what must be the same at all members, beside the cluster's own: sessions make room for
 * others by the log, so tables of other sizes would forget other requests (S-EVICT, C-EQUAL).
 * So does what an entry means.
 */
static uint64_t shape(const struct replica_config *c)
{
	uint64_t sizes = (uint64_t)c->sessions_max << 40 | (uint64_t)c->session_window << 24;

	return c->fingerprint ^ (sizes ^ c->raft.entries_max ^ GROUP_RULES) * 0x9e3779b97f4a7c15ull;
}

/* introduced: a HELLO of this life of the sender's has shown that it has our shape (M-IDENT). */
static bool introduced(struct replica *r, const struct wire_header *h)
{
	if (r->group->shaped[h->from] == h->from_incarnation || mutant(222))
		return true;
	r->counters.unintroduced++;
	return false;
}

static void on_hello(struct replica *r, const struct event *ev)
{
	struct group *g = r->group;
	uint8_t from = ev->header->from;

	if (load_u64(ev->message->value) != shape(&r->config)) {
		r->counters.shape_mismatch++;
		return;
	}
	if (!accept(r, ev->header))
		return;
	if (g->shaped[from] != ev->header->from_incarnation)
		r->peers[from].hello_ns = r->now_ns; /* it has not heard of us, either */
	g->shaped[from] = ev->header->from_incarnation;
	r->peers[ev->header->from].space = ev->message->value[8];
	g->reach[from] = ev->message->value[HELLO_REACH];
	g->all_have = max_u64(g->all_have, load_u64(ev->message->value + 8) >> 8);
}

void group_fill_hello(const struct replica *r, uint8_t *value)
{
	struct group *g = r->group;
	const struct raft_conf *c = raft_conf(g->raft);
	uint8_t all = (c->voters | c->voters_old | c->learners) & (uint8_t)~c->witnesses;
	uint64_t have = UINT64_MAX;

	store_u64(value, shape(&r->config));
	value[HELLO_REACH] = group_reach_heard(r);
	if (!group_leads(g))
		return;
	for (uint8_t left = all; left; left &= left - 1)
		have = min_u64(have, raft_match(g->raft, (uint8_t)__builtin_ctz(left)));
	if (have == UINT64_MAX)
		return;
	g->all_have = max_u64(g->all_have, have);
	store_u64(value + 8, (uint64_t)value[8] | g->all_have << 8);
}

static void on_peer(struct replica *r, const struct event *ev, struct actions *a)
{
	if (ev->message->type == WIRE_HELLO) {
		on_hello(r, ev);
		return;
	}
	if (!accept(r, ev->header) || !introduced(r, ev->header))
		return;
	if (ev->header->to_incarnation != r->config.incarnation) {
		r->counters.stale_incarnation++;
		return;
	}
	if (ev->message->type == WIRE_FETCH)
		group_on_fetch(r, ev, a);
	else if (ev->message->type == WIRE_COPY)
		group_on_copy(r, ev, a);
	else if (ev->message->type == WIRE_COPY_SESSION)
		group_on_copy_session(r, ev, a);
	else if (ev->message->type == WIRE_COPIED)
		group_on_copied(r, ev, a);
}

/* is_stranger: until a view names this disk, it is told nothing, and takes no part. */
static bool is_stranger(const struct replica *r)
{
	uint8_t named = r->view.members | r->view.shadows | r->view.witnesses;

	return is_blank(r) && (r->view.epoch == 0 || !(named & replica_bit(r->config.node)));
}

static void on_raft(struct replica *r, const struct event *ev, struct actions *a)
{
	struct group *g = r->group;
	const struct raft_message *m = ev->raft;
	struct raft_event raft = { .kind = RAFT_EVENT_MESSAGE, .from = ev->header->from,
				   .message = m };

	if (is_stranger(r) || !accept(r, ev->header) || !introduced(r, ev->header))
		return;
	if (m->type == GROUP_FORWARD) {
		group_on_forward(r, ev, a);
		return;
	}
	if (m->type >= RAFT_TYPE_USER)
		return;
	group_raft_step(r, &raft, a);
	if ((m->type == RAFT_APPEND || m->type == RAFT_HEARTBEAT) &&
	    m->term == raft_term(g->raft))
		g->leader_commit = max_u64(g->leader_commit, m->commit);
}

static void on_view(struct replica *r, const struct view *v)
{
	uint8_t self = replica_bit(r->config.node);

	must(r->config.views);
	if (v->epoch <= r->view.epoch)
		return;
	r->counters.views_installed++;
	r->view_count++;
	r->view = *v;
	r->member = (v->members & self) != 0;
	set_copies(r);
	for (uint8_t n = 0; n < r->config.node_count; n++)
		r->peers[n].incarnation =
			(uint32_t)max_u64(r->peers[n].incarnation, v->incarnation[n]);
	found(r);
	group_hurry(r);
}

/* ---- the log in memory ----------------------------------------------------------------------- */

static uint64_t live_bytes(const struct group *g, uint64_t base)
{
	return g->size - g->size_to[base & (g->entries_max - 1)];
}

/* slowest: up to where all have the log, but for those so far behind that they must copy. */
static uint64_t slowest(const struct replica *r)
{
	const struct group *g = r->group;
	const struct raft_conf *c = raft_conf(g->raft);
	uint8_t others = c->voters | c->voters_old | c->learners;
	uint64_t last = raft_last(g->raft);
	uint64_t match = UINT64_MAX;

	for (others &= (uint8_t)~replica_bit(r->config.node); others; others &= others - 1) {
		uint64_t m = raft_match(g->raft, (uint8_t)__builtin_ctz(others));

		if (last - m <= g->entries_max / 2)
			match = min_u64(match, m);
	}
	return match;
}

/* compact_to: entries up to this one need not stay in memory; <= base: nothing to do. */
static uint64_t compact_to(const struct replica *r)
{
	const struct group *g = r->group;
	uint64_t base = raft_base(g->raft), last = raft_last(g->raft), to = base;
	uint64_t most = min_u64(g->applied, raft_commit(g->raft));
	uint64_t entries = g->entries_max, bytes = r->config.raft.bytes_max;
	bool tight = last - base > entries / 4 * 3 || raft_bytes(g->raft) > bytes / 4 * 3;
	uint64_t wanted = raft_wants_compact(g->raft);

	if (!g->is_void && wanted > base && wanted <= min_u64(most, group_copy_holds(r)))
		return wanted; /* by a newcomer */
	if (g->is_void || base >= most ||
	    (last - base <= entries / 2 && raft_bytes(g->raft) <= bytes / 2))
		return base;
	if (!tight)
		most = min_u64(most, group_copy_holds(r));
	if (!tight && group_leads(g))
		most = min_u64(most, slowest(r));
	while (to < most && (last - to > entries / 4 || live_bytes(g, to) > bytes / 4))
		to++;
	return to;
}

static bool compact(struct replica *r, struct actions *a)
{
	struct group *g = r->group;
	struct raft_event ev = { .kind = RAFT_EVENT_COMPACT, .index = compact_to(r) };

	if (ev.index <= raft_base(g->raft))
		return false;
	group_raft_step(r, &ev, a);
	return true;
}

/* ---- the leader's duties --------------------------------------------------------------------- */

static bool caught_up(const struct replica *r, uint8_t node)
{
	const struct group *g = r->group;
	uint64_t match = raft_match(g->raft, node);
	uint64_t heard_ns = raft_heard_ns(g->raft, node);

	return match != 0 && match + CAUGHT_UP >= raft_last(g->raft) &&
	       r->now_ns - heard_ns < r->config.raft.election_ns;
}

/* heard_majority: so many of them live that they can decide; else no change to them would end. */
static bool heard_majority(const struct replica *r, uint8_t voters)
{
	uint8_t heard = replica_bit(r->config.node);

	for (uint8_t n = 0; n < NODES_MAX; n++)
		if (r->now_ns - raft_heard_ns(r->group->raft, n) < r->config.raft.election_ns)
			heard |= replica_bit(n);
	return raft_is_majority(heard, voters) || mutant(219);
}

/*
 * configure: brings those who take part nearer to what the view says. A node becomes a voter only
 * when it is a learner that has the log: one that came back without its disk votes for nobody.
 */
static bool configure(struct replica *r, struct actions *a)
{
	struct group *g = r->group;
	const struct raft_conf *c = raft_conf(g->raft);
	const struct view *v = &r->view;
	struct raft_event ev = { .kind = RAFT_EVENT_CONFIGURE };
	struct raft_conf want = { .voters = v->members | v->witnesses, .learners = v->shadows };

	if (!r->config.views || v->epoch == 0 || !raft_settled(g->raft) ||
	    raft_configuring(g->raft))
		return false;
	for (uint8_t left = want.voters & (uint8_t)~c->voters; left; left &= left - 1) {
		uint8_t n = (uint8_t)__builtin_ctz(left);

		/* It has the entry that took it in: it is counted on from the next one on. */
		if ((c->learners & replica_bit(n)) && caught_up(r, n) &&
		    raft_match(g->raft, n) >= raft_conf_index(g->raft))
			continue;
		want.voters &= (uint8_t)~replica_bit(n);
		want.learners |= replica_bit(n);
	}
	/* While none of them that holds data may vote, those who vote now stay. */
	if ((want.voters & (uint8_t)~v->witnesses) == 0 && !mutant(188))
		want.voters |= c->voters;
	want.learners &= (uint8_t)~want.voters;
	if (want.voters != c->voters && !heard_majority(r, want.voters))
		return false;
	want.witnesses = v->witnesses;
	/* Who stays against the view holds no more data than before. */
	if (!mutant(277))
		want.witnesses |= c->witnesses & (uint8_t)~(v->members | v->shadows);
	want.witnesses &= want.voters | want.learners;
	if (want.voters == 0 || (want.voters & ~want.witnesses) == 0 ||
	    memcmp(&want, c, sizeof(want)) == 0)
		return false;
	ev.conf = want;
	group_raft_step(r, &ev, a);
	return true;
}

/* preferred: who had better lead this shard, so that leaders are spread over the nodes. */
static uint8_t preferred(const struct replica *r)
{
	const struct raft_conf *c = raft_conf(r->group->raft);
	uint8_t fit = c->voters & (uint8_t)~c->witnesses;
	uint32_t skip;

	if (r->config.views)
		fit &= r->view.members;
	fit = group_reach_best(r, fit); /* unserved is worse than slow */
	if (fit & (uint8_t)~r->view.slow)
		fit &= (uint8_t)~r->view.slow;
	if (fit == 0)
		return r->config.node;
	for (skip = r->config.shard % raft_bits(fit); skip > 0; skip--)
		fit &= fit - 1;
	return (uint8_t)__builtin_ctz(fit);
}

static bool transfer(struct replica *r, struct actions *a)
{
	struct group *g = r->group;
	struct raft_event ev = { .kind = RAFT_EVENT_TRANSFER, .node = preferred(r) };
	uint8_t both = replica_bit(r->config.node) | replica_bit(ev.node);
	bool slow = (r->view.slow & replica_bit(r->config.node)) != 0;
	bool unfit = slow || group_reach_best(r, both) == replica_bit(ev.node);
	uint64_t patience_ns = unfit ? 0 : PREFERRED_ELECTIONS * r->config.raft.election_ns;

	if (g->is_void) {
		ev.node = RAFT_NODE_ANY; /* it has the log, and not what the log was applied to */
	} else {
		if (ev.node == r->config.node || !caught_up(r, ev.node) ||
		    raft_configuring(g->raft) || (g->give.active && !unfit))
			g->preferred_ns = 0;
		else if (g->preferred_ns == 0)
			g->preferred_ns = r->now_ns;
		if (g->preferred_ns == 0 || r->now_ns - g->preferred_ns < patience_ns ||
		    r->now_ns - g->led_ns < patience_ns)
			return false;
		g->preferred_ns = 0;
	}
	group_raft_step(r, &ev, a);
	return true;
}

/* duties: true: there was one; it took a step of raft. */
static bool duties(struct replica *r, struct actions *a)
{
	struct group *g = r->group;

	if (compact(r, a))
		return true;
	if (!group_leads(g) || r->now_ns < g->duty_ns)
		return false;
	g->duty_ns = r->now_ns + r->config.raft.heartbeat_ns;
	return configure(r, a) || transfer(r, a);
}

/* ---- the door -------------------------------------------------------------------------------- */

static bool raft_due(const struct replica *r)
{
	const struct group *g = r->group;

	return g->raft_more ||
	       (raft_deadline_ns(g->raft) <= r->now_ns && g->ticked_ns != r->now_ns);
}

/* restored: raft waits for a snapshot, and what this node holds is no older. */
static bool restored(struct replica *r, struct actions *a)
{
	struct group *g = r->group;
	struct raft_event ev = { .kind = RAFT_EVENT_RESTORED, .index = g->restore };

	if (g->restore == 0 || ((g->is_void || g->applied < g->restore) && !mutant(176) &&
				!r->config.witness))
		return false;
	g->applied = max_u64(g->applied, g->restore); /* a witness holds nothing */
	g->restore = 0;
	group_raft_step(r, &ev, a);
	return true;
}

static void on_tick(struct replica *r, struct actions *a)
{
	struct group *g = r->group;
	struct raft_event ev = { .kind = RAFT_EVENT_TICK };

	g->more = true;
	if (raft_due(r)) {
		g->ticked_ns = r->now_ns;
		group_raft_step(r, &ev, a);
		return;
	}
	if (restored(r, a) || duties(r, a))
		return;
	g->more = false;
	group_reach_look(r);
	view_send_hellos(r, a);
	group_copy_tick(r, a);
	g->more |= group_work_asks(r, a);
}

static void on_durable(struct replica *r, uint64_t durable_seq, struct actions *a)
{
	struct raft_event ev = { .kind = RAFT_EVENT_DURABLE, .durable_seq = durable_seq };

	must(durable_seq >= r->durable_seq);
	r->durable_seq = durable_seq;
	group_raft_step(r, &ev, a);
}

/* on_failed: the disk failed: whoever else can lead does (R28), and nobody waits here any more. */
static void on_failed(struct replica *r, struct actions *a)
{
	struct group *g = r->group;
	struct raft_event ev = { .kind = RAFT_EVENT_FAIL };

	g->more = !g->failure_told;
	if (g->failure_told) {
		g->more = group_work_asks(r, a);
		return;
	}
	g->failure_told = true;
	group_hurry(r);
	group_raft_step(r, &ev, a);
}

static void dispatch(struct replica *r, const struct event *ev, struct actions *a)
{
	switch (ev->kind) {
	case EVENT_PEER:
		on_peer(r, ev, a);
		break;
	case EVENT_REQUEST:
		group_on_request(r, ev, a);
		break;
	case EVENT_DURABLE:
		on_durable(r, ev->durable_seq, a);
		break;
	case EVENT_TICK:
		on_tick(r, a);
		break;
	case EVENT_VIEW:
		on_view(r, ev->view);
		break;
	case EVENT_LEASE:
		break; /* that of the raft group is what counts */
	case EVENT_RAFT:
		on_raft(r, ev, a);
		break;
	case EVENT_WALK:
		break; /* of Hermes */
	case EVENT_APPLY:
		group_apply(r, ev->entry, a);
		break;
	}
}

enum step_next group_step(struct replica *r, const struct event *ev, struct actions *a)
{
	struct group *g = r->group;
	uint64_t steps = g->steps;

	must(ev->now_ns >= r->now_ns);
	a->count = 0;
	g->forwards = 0;
	g->notes_count = 0;
	r->now_ns = ev->now_ns;
	r->persist_next = ev->persist_seq_next;
	if (!g->started && !g->recovering)
		start(r);
	if (r->failed && ev->kind != EVENT_REQUEST) {
		if (g->started)
			on_failed(r, a);
		return g->started && g->more ? STEP_TICK : STEP_DONE;
	}
	dispatch(r, ev, a);
	must(g->steps - steps <= 1);
	if (group_apply_wanted(r))
		return STEP_APPLY;
	if (g->recovering)
		return group_recover_raft(r, NULL);
	return g->more || g->raft_more ? STEP_TICK : STEP_DONE;
}

uint64_t group_deadline_ns(const struct replica *r)
{
	const struct group *g = r->group;
	uint64_t deadline = min_u64(group_asks_deadline_ns(r), group_copy_deadline_ns(r));

	if (!g->started)
		return 0;
	if (r->failed)
		return g->failure_told && !g->more ? UINT64_MAX : 0;
	for (uint8_t n = 0; n < r->config.node_count; n++)
		if (n != r->config.node)
			deadline = min_u64(deadline, r->peers[n].hello_ns);
	if (group_leads(g))
		deadline = min_u64(deadline, g->duty_ns);
	return min_u64(deadline, raft_deadline_ns(g->raft));
}

/* ---- recovery -------------------------------------------------------------------------------- */

/* apply_first: up to where entries must be applied before this record may go on to raft. */
static uint64_t apply_first(const struct group *g, const struct raft_record *record)
{
	const struct raft_entry *e = &record->entry;
	uint64_t to = raft_recover_apply(g->raft);

	if (record->kind == RAFT_RECORD_USER) { /* a copy is on top of what was applied */
		to = e->term == GROUP_RECORD_BEGIN ? e->index : 0;
		if (e->term == GROUP_RECORD_NONE && !mutant(276))
			to = e->index;
		if (e->term == GROUP_RECORD_END && e->bytes == GROUP_END_BYTES)
			to = load_u64(e->data + 16);
		return mutant(179) ? 0 : min_u64(to, raft_last(g->raft));
	}
	if (record->kind == RAFT_RECORD_SNAPSHOT &&
	    record->entry.index <= raft_last(g->raft))
		to = max_u64(to, record->entry.index);
	return to;
}

/*
 * group_recover_raft: raft gets the record once all is applied that it would forget by it; record
 * NULL: the one at hand, as far as it has come.
 */
enum step_next group_recover_raft(struct replica *r, const struct raft_record *record)
{
	struct group *g = r->group;
	struct raft_event ev = { .kind = RAFT_EVENT_COMPACT };

	if (record) {
		g->recovered = true;
		/* Where all began: with nothing; and a witness never holds anything. */
		if (record->kind == RAFT_RECORD_SNAPSHOT &&
		    (record->entry.index == 1 || (r->config.witness && !mutant(218))))
			g->applied = max_u64(g->applied, record->entry.index);
		g->pending = *record;
		g->recover_to = apply_first(g, record);
		g->recovering = true;
	}
	if (group_apply_wanted(r))
		return STEP_APPLY;
	g->recovering = false;
	if (r->failed)
		return STEP_DONE;
	if (g->pending.kind == RAFT_RECORD_USER) {
		group_copy_recover(r, &g->pending);
		return STEP_DONE;
	}
	ev.index = raft_recover_apply(g->raft);
	if (ev.index != 0) {
		must(raft_step(g->raft, &ev, &g->out) == false && g->out.count == 0);
	}
	raft_recover(g->raft, &g->pending);
	return STEP_DONE;
}

enum step_next group_recover_to(struct replica *r, uint64_t index)
{
	struct raft_record none = { .kind = RAFT_RECORD_USER };

	none.entry = (struct raft_entry){ .index = index, .term = GROUP_RECORD_NONE };
	return group_recover_raft(r, &none);
}

/*
 * group_recover_reset: nothing is left of what the log was applied to. It may forget that: what it
 * got a snapshot of beyond its log is held by a majority without it. The log stays, and with it
 * this node's vote: others may need that to have a leader, and so somebody to copy from.
 */
void group_recover_reset(struct replica *r)
{
	struct group *g = r->group;

	g->recovered = true;
	g->is_void = !mutant(180);
	raft_set_void(g->raft, g->is_void);
	g->applied = g->is_void ? 0 : g->applied;
	g->dropped = 0;
	r->floor = 0;
	session_table_clear(&g->sessions, true);
}

/* ---- what others may ask --------------------------------------------------------------------- */

const struct wire_message *group_apply_message(const struct replica *r)
{
	return &r->group->wanted;
}

const struct raft *group_raft(const struct replica *r)
{
	return r->group->raft;
}

uint64_t group_applied(const struct replica *r)
{
	return r->group->is_void ? 0 : r->group->applied;
}

bool group_joined(const struct replica *r)
{
	const struct group *g = r->group;

	if (!g->started || r->failed)
		return false;
	if (r->config.witness)
		return r->linked;
	if (g->is_void || g->restore != 0 || g->pull.active || !r->linked)
		return false;
	if (group_leads(g))
		return raft_ready(g->raft);
	return g->leader_commit != 0 && g->applied >= g->leader_commit;
}

uint8_t group_nodes(const struct replica *r)
{
	const struct group *g = r->group;
	const struct raft_conf *c = raft_conf(g->raft);
	bool sure = r->linked && c->voters != 0 && raft_conf_index(g->raft) <= raft_commit(g->raft);

	/* What is not committed may give way to the conf before; who hears nobody may be late. */
	return sure || mutant(215) ? c->voters | c->voters_old | c->learners : (uint8_t)~0u;
}

uint32_t group_ops(const struct replica *r)
{
	return r->group->open;
}

void group_check(const struct replica *r)
{
	const struct group *g = r->group;
	uint32_t listed = 0, waiting = 0;
	uint64_t again_ns = 0;

	raft_check(g->raft);
	must(g->open <= r->config.ops_max);
	for (uint32_t i = g->oldest; i != OP_NONE; i = g->asks[i].after) {
		must(g->asks[i].type != 0 && g->asks[i].session != 0);
		must(g->asks[i].again_ns >= again_ns);
		again_ns = g->asks[i].again_ns;
		listed++;
	}
	for (uint32_t i = 0; i < r->config.ops_max; i++)
		waiting += g->asks[i].type != 0;
	must(waiting == g->open && listed <= waiting);
	must(g->is_void || !g->started || g->restore != 0 || g->pull.active ||
	     g->applied >= raft_base(g->raft));
}
