/* SPDX-License-Identifier: Apache-2.0 */
/*
 * view_core.c: one node with its view service, its disk, and what its workers were told. Left out
 * of its state, besides what raft_core.c leaves out: what is only shown to people, round trip
 * times, promises and leases that have run out, when something began that has lasted long enough.
 */
#include "tests/model/view_model.h"

#define SCRATCH_BYTES 122880u
#define FROM_BYTES    5u /* node and incarnation, in front of a message */
#define OLD_TICKS     4u /* no timer but a hold-down is longer */

struct raw {
	uint8_t node, alive, unleased, spare[5];
	uint32_t incarnation, lease_epoch;
	uint64_t clock_ns, lease_ns;
	struct disk disk;
};

struct scratch {
	struct raw raw;
	uint8_t mem[SCRATCH_BYTES] __attribute__((aligned(64)));
};

static struct scratch scratch; /* one node at a time lives here */

static struct membership *service(void)
{
	return (struct membership *)(void *)scratch.mem;
}

static struct membership_config config_of(const struct view_model_config *c, const struct raw *w)
{
	return (struct membership_config){
		.heartbeat_ns = VIEW_MODEL_TICK,
		.election_ns = RAFT_MODEL_ELECTION * VIEW_MODEL_TICK,
		.lease_ns = (uint64_t)c->lease * VIEW_MODEL_TICK,
		.detect_ns = (uint64_t)c->detect * VIEW_MODEL_TICK,
		.recover_ns = 50u * VIEW_MODEL_TICK,
		.holddown_ns = 2u * VIEW_MODEL_TICK,
		.slow_ns = 50u * VIEW_MODEL_TICK,
		.slow_floor_ns = VIEW_MODEL_TICK,
		.incarnation = w->incarnation,
		.ident = 10u + w->node,
		.node = w->node,
	};
}

/* ---- what matters ---------------------------------------------------------------------------- */

static void no_later(uint64_t *ns, uint64_t now_ns)
{
	if (*ns <= now_ns)
		*ns = 0;
}

/* long_ago: since when something is so; beyond every timer all are alike, but not zero. */
static void long_ago(uint64_t *ns, uint64_t now_ns)
{
	if (*ns != 0 && *ns + OLD_TICKS * VIEW_MODEL_TICK < now_ns)
		*ns = 1;
}

static void tidy_peers(struct membership *m)
{
	for (uint32_t n = 0; n < NODES_MAX; n++) {
		struct membership_peer *p = &m->peer[n];
		struct membership_report *r = &m->last[n], was = *r;
		struct membership_watch *w = &m->watch[n];

		long_ago(&p->heard_ns, m->now_ns);
		p->rtt_ns = p->disk_ns = p->holddown_ns = 0;
		memset(r, 0, sizeof(*r));
		r->seen = was.seen;
		r->stuck = was.stuck;
		r->groups = was.groups;
		for (uint32_t i = 0; i < NODES_MAX; i++) {
			long_ago(&w->apart_ns[i], m->now_ns);
			long_ago(&w->stuck_ns[i], m->now_ns);
		}
		long_ago(&w->slow_ns, m->now_ns);
		long_ago(&w->hung_ns, m->now_ns);
		long_ago(&w->well_ns, m->now_ns);
		no_later(&m->promise[n].until_ns, m->now_ns);
		if (m->promise[n].until_ns == 0 || m->promise[n].incarnation == 0)
			memset(&m->promise[n], 0, sizeof(m->promise[n]));
		if (m->granted_ns[n] + m->config.lease_ns <= m->now_ns)
			m->granted_ns[n] = 0;
	}
}

static void tidy(struct membership *m)
{
	uint64_t now_ns = m->now_ns;

	memset(&m->counters, 0, sizeof(m->counters));
	memset(&m->raft_actions, 0, sizeof(m->raft_actions));
	memset(m->note, 0, sizeof(m->note));
	memset(m->report_out, 0, sizeof(m->report_out));
	memset(m->grant_out, 0, sizeof(m->grant_out));
	memset(m->command_out, 0, sizeof(m->command_out));
	memset(m->result_out, 0, sizeof(m->result_out));
	memset(m->entry_out, 0, sizeof(m->entry_out));
	m->start_ns = m->persist_next = 0;
	must(m->durable == m->durable_given);
	m->durable = m->durable_given = 0;
	tidy_peers(m);
	no_later(&m->boot_ns, now_ns);
	no_later(&m->joint_ns, now_ns);
	no_later(&m->lease_ns, now_ns);
	no_later(&m->hand_over_ns, now_ns);
	long_ago(&m->awake_ns, now_ns);
	long_ago(&m->report_ns, now_ns);
	if (!m->lead)
		m->lead_ns = 0;
	if (!m->pending.propose)
		memset(&m->pending.state, 0, sizeof(m->pending.state));
	if (!m->pending.configure)
		memset(&m->pending.conf, 0, sizeof(m->pending.conf));
	if (!m->pending.transfer)
		m->pending.transfer_to = 0;
	if (!m->pending.restored)
		m->pending.restored_index = 0;
	raft_core_tidy(m->raft);
}

/* ---- facts ----------------------------------------------------------------------------------- */

static uint64_t hash_of(const void *data, uint32_t bytes)
{
	const uint8_t *p = data;
	uint64_t h = bytes;

	for (uint32_t i = 0; i < bytes; i++)
		h = (h ^ p[i]) * 0x100000001b3ull;
	return h;
}

static void fill_service_facts(const struct membership *m, struct view_facts *f)
{
	const struct view *v = membership_installed(m);
	uint8_t state[MEMBERSHIP_STATE_BYTES];

	if (m->agreed.revision >= VIEW_MODEL_EPOCHS || raft_term(m->raft) >= VIEW_MODEL_EPOCHS)
		explore_fault("the situation is too large for the facts of the model");
	membership_state_encode(state, &m->agreed);
	f->state_hash = hash_of(state, sizeof(state));
	f->term = raft_term(m->raft);
	f->revision = (uint8_t)m->agreed.revision;
	f->agreed_epoch = (uint8_t)m->agreed.epoch;
	f->agreed_members = m->agreed.members;
	f->epoch = (uint8_t)v->epoch;
	f->members = v->members;
	f->shadows = v->shadows;
	for (uint8_t n = 0; n < EXPLORE_NODES; n++)
		if (membership_has(v->members, n))
			f->member_incarnation[n] = v->incarnation[n];
	f->conf = raft_conf(m->raft)->voters;
	f->conf_old = raft_conf(m->raft)->voters_old;
	f->role = (uint8_t)raft_role(m->raft);
	f->leader = raft_leader(m->raft);
	f->leads = membership_leads(m);
	f->due = membership_deadline_ns(m) <= m->now_ns || m->report_ns <= m->now_ns;
	f->overdue = m->report_ns + VIEW_MODEL_TICK <= m->now_ns;
	f->election_due = raft_role(m->raft) != RAFT_LEADER && m->raft->election_at_ns == 0;
	f->lease = scratch.raw.lease_ns > m->now_ns && scratch.raw.lease_epoch == v->epoch &&
		   f->member_incarnation[scratch.raw.node] == scratch.raw.incarnation;
}

static void keep(struct explore_out *out)
{
	struct view_facts *f = (struct view_facts *)(void *)out->facts;
	struct raw *w = &scratch.raw;

	if (w->alive) {
		membership_check(service());
		tidy(service());
		no_later(&w->lease_ns, w->clock_ns);
		fill_service_facts(service(), f);
	} else {
		memset(scratch.mem, 0, sizeof(scratch.mem));
		w->lease_ns = w->lease_epoch = w->unleased = 0;
	}
	f->alive = w->alive;
	f->incarnation = w->incarnation;
	f->pending = w->disk.pending_count;
	out->local_bytes = explore_pack((const uint8_t *)&scratch, sizeof(scratch), out->local,
					EXPLORE_LOCAL_BYTES);
}

/* ---- steps ----------------------------------------------------------------------------------- */

static void on_send(const struct membership_action *a, struct explore_out *out)
{
	uint8_t *at = explore_send(out, a->to, FROM_BYTES + raft_message_bytes(&a->message));

	at[0] = scratch.raw.node;
	store_u32(at + 1, scratch.raw.incarnation);
	raft_message_encode(at + FROM_BYTES, &a->message);
}

static void act(const struct membership_action *a, struct explore_out *out)
{
	struct raw *w = &scratch.raw;

	switch (a->kind) {
	case MEMBERSHIP_ACTION_SEND:
		on_send(a, out);
		return;
	case MEMBERSHIP_ACTION_PERSIST:
		disk_take(&w->disk, &a->record);
		return;
	case MEMBERSHIP_ACTION_INSTALL:
		w->lease_ns = w->lease_epoch = 0;
		return;
	case MEMBERSHIP_ACTION_LEASE:
		w->lease_ns = a->lease_ns;
		w->lease_epoch = a->epoch;
		w->unleased = a->lease_ns == 0;
		return;
	case MEMBERSHIP_ACTION_RESTART: /* this life ends here */
		((struct view_said *)(void *)out->said)->restart = 1;
		if (a->value > w->incarnation)
			w->incarnation = (uint32_t)a->value;
		return;
	case MEMBERSHIP_ACTION_RESULT:
	case MEMBERSHIP_ACTION_NOTE:
	case MEMBERSHIP_ACTION_PEERS:
		return;
	}
}

/* all_durable: the event that says so. */
static struct membership_event all_durable(void)
{
	struct membership_event ev = { .kind = MEMBERSHIP_EVENT_DURABLE };

	ev.durable_seq = service()->raft->persist_next - 1;
	while (scratch.raw.disk.pending_count != 0)
		disk_done(&scratch.raw.disk);
	return ev;
}

/* give: one event, TICKs while there is more, and, where disks are instant, what they say. */
static void give(const struct view_model_config *c, struct membership_event ev,
		 struct explore_out *out)
{
	static struct membership_actions actions;
	struct raw *w = &scratch.raw;
	bool instant = !(c->disk >> w->node & 1), again = true;

	for (uint32_t rounds = 0; again && w->alive; rounds++) {
		must(rounds < 100);
		ev.now_ns = w->clock_ns;
		ev.persist_seq_next = max_u64(service()->raft->persist_next, 1);
		again = membership_step(service(), &ev, &actions);
		for (uint32_t i = 0; i < actions.count; i++)
			act(&actions.list[i], out);
		if (((struct view_said *)(void *)out->said)->restart)
			return;
		ev = (struct membership_event){ .kind = MEMBERSHIP_EVENT_TICK };
		if (instant && w->disk.pending_count != 0 && (!again || c->hasty)) {
			ev = all_durable();
			again = true;
		}
	}
}

static void look_around(const struct view_model_config *c, bool election, struct explore_out *out)
{
	const struct view *v = membership_installed(service());
	struct membership_health h = {
		.epoch = v->epoch,
		.joined = membership_has(v->shadows, scratch.raw.node),
		.progress = true,
		.unleased = scratch.raw.unleased != 0,
		.heard = 7,
	};
	struct membership_event ev = { .kind = MEMBERSHIP_EVENT_HEALTH, .health = &h };

	if (!election)
		raft_core_hold_election(service()->raft);
	give(c, ev, out);
	if (!((struct view_said *)(void *)out->said)->restart)
		give(c, (struct membership_event){ .kind = MEMBERSHIP_EVENT_TICK }, out);
}

static void first_state(const struct view_model_config *c, struct membership_state *s)
{
	memset(s, 0, sizeof(*s));
	s->revision = 1;
	s->copies_min = c->copies ? c->copies : 1;
	for (uint8_t n = 0; n < EXPLORE_NODES; n++) {
		s->node[n].want = WANT_DATA;
		s->node[n].ip = 1u + n;
		s->node[n].name[0] = (char)('a' + n);
	}
}

static void boot(const struct view_model_config *c)
{
	struct raw *w = &scratch.raw;
	struct membership_config mc;
	struct membership_state first;
	struct raft_record r;
	struct raft *raft;

	w->incarnation++;
	w->alive = 1;
	mc = config_of(c, w);
	must(membership_size(&mc) <= sizeof(scratch.mem));
	memset(scratch.mem, 0, sizeof(scratch.mem));
	membership_init(scratch.mem, &mc);
	raft = service()->raft;
	raft->config.passive = !(c->stand >> w->node & 1);
	for (uint32_t i = 0; disk_read(&w->disk, i, &r); i++)
		membership_recover(service(), &r);
	first_state(c, &first);
	membership_start(service(), &first, w->clock_ns);
	raft->election_at_ns = w->clock_ns + raft->config.election_ns;
}

void view_core_start(const void *config, uint8_t node, struct explore_out *out)
{
	memset(&scratch, 0, sizeof(scratch));
	scratch.raw.node = node;
	scratch.raw.clock_ns = VIEW_MODEL_BEGIN;
	disk_begin(&scratch.raw.disk);
	boot(config);
	keep(out);
}

static void command(const struct view_model_config *c, uint8_t verb, uint8_t node,
		    struct explore_out *out)
{
	struct membership_command k = { .id = 1u + verb, .verb = verb, .node = node };
	struct membership_event ev = { .kind = MEMBERSHIP_EVENT_COMMAND, .command = &k };

	give(c, ev, out);
}

static void run(const struct view_model_config *c, const struct explore_event *e,
		const uint8_t *message, uint32_t bytes, struct explore_out *out)
{
	struct membership_event ev = { .kind = MEMBERSHIP_EVENT_MESSAGE };
	struct raft_message m;
	uint32_t offset = 0;

	switch (e->kind) {
	case EXPLORE_DELIVER:
		must(raft_message_decode(message + FROM_BYTES, bytes - FROM_BYTES, &offset, &m) ==
		     WIRE_OK);
		ev.from = message[0];
		ev.incarnation = load_u32(message + 1);
		ev.ident = 10u + message[0];
		ev.message = &m;
		give(c, ev, out);
		return;
	case VIEW_MODEL_DURABLE:
		disk_done(&scratch.raw.disk);
		ev.kind = MEMBERSHIP_EVENT_DURABLE;
		ev.durable_seq = service()->raft->durable_seq + 1;
		give(c, ev, out);
		return;
	case VIEW_MODEL_DRAIN:
		command(c, VERB_DRAIN, (uint8_t)e->arg, out);
		return;
	case VIEW_MODEL_REMOVE:
		command(c, VERB_REMOVE, (uint8_t)e->arg, out);
		return;
	default:
		look_around(c, e->arg != 0, out);
	}
}

void view_core_step(const void *config, const uint8_t *local, uint32_t bytes,
		    const struct explore_event *event, const uint8_t *message,
		    uint32_t message_bytes, struct explore_out *out)
{
	const struct view_model_config *c = config;
	const struct view_said *said = (const struct view_said *)(const void *)out->said;
	struct raw *w = &scratch.raw;
	uint64_t timer_ns;

	explore_unpack(local, bytes, (uint8_t *)&scratch, sizeof(scratch));
	if (event->kind == EXPLORE_TIME) {
		w->clock_ns += VIEW_MODEL_TICK;
		if (w->alive)
			service()->now_ns = service()->raft->now_ns = w->clock_ns;
	} else if (event->kind == VIEW_MODEL_CRASH) {
		disk_crash(&w->disk, event->arg);
		w->alive = 0;
	} else if (event->kind == VIEW_MODEL_RESTART) {
		boot(c);
	} else if (w->alive) {
		struct raft *r = service()->raft;

		if (event->kind != VIEW_MODEL_LOOK)
			raft_core_hold_election(r);
		timer_ns = r->election_at_ns;
		run(c, event, message, message_bytes, out);
		raft_core_shorten(r, timer_ns);
		if (said->restart) {
			disk_crash(&w->disk, 0);
			w->alive = 0;
		}
	}
	keep(out);
}

bool view_core_stale(const uint8_t *facts, const uint8_t *message, uint32_t bytes)
{
	const struct view_facts *f = (const struct view_facts *)(const void *)facts;
	uint8_t type = message[FROM_BYTES];

	must(bytes >= FROM_BYTES + RAFT_HEAD_BYTES);
	/* Of an older term: all it could do is to tell its sender of the newer one. */
	return type < RAFT_TYPE_USER && f->alive && load_u32(message + FROM_BYTES + 4) < f->term;
}

/* ---- for people ------------------------------------------------------------------------------ */

void view_core_print(const struct explore_event *event, const uint8_t *message, uint32_t bytes)
{
	static const char *const kinds[] = {
		[VIEW_MODEL_LOOK] = "looks around, elections:",
		[VIEW_MODEL_DURABLE] = "a record is durable",
		[VIEW_MODEL_CRASH] = "crash, of its writes survive",
		[VIEW_MODEL_RESTART] = "restart",
		[VIEW_MODEL_DRAIN] = "drain",
		[VIEW_MODEL_REMOVE] = "remove",
	};
	struct membership_report r;
	struct membership_grant g;

	if (!message) {
		printf("%s %u", kinds[event->kind], event->arg);
		return;
	}
	printf("from %c.%u ", 'a' + message[0], load_u32(message + 1));
	message += FROM_BYTES;
	bytes -= FROM_BYTES;
	if (message[0] < RAFT_TYPE_USER)
		raft_core_print_message(message, bytes);
	else if (membership_report_decode(message + RAFT_HEAD_BYTES, bytes - RAFT_HEAD_BYTES, &r))
		printf("REPORT %llu epoch %u flags %x seen %x", (unsigned long long)r.seq, r.epoch,
		       r.flags, r.seen);
	else if (membership_grant_decode(message + RAFT_HEAD_BYTES, bytes - RAFT_HEAD_BYTES, &g))
		printf("GRANT %llu flags %x conf %x/%x", (unsigned long long)g.seq, g.flags,
		       g.conf.voters, g.conf.voters_old);
	else
		printf("message %u", message[0]);
}

void view_core_print_facts(const uint8_t *facts)
{
	const struct view_facts *f = (const struct view_facts *)(const void *)facts;

	if (!f->alive) {
		printf("%u is down", f->incarnation);
		return;
	}
	printf("%u: %s term %u, agreed %u (epoch %u members %x), view %u members %x shadows %x%s, "
	       "conf %x/%x, %u pending",
	       f->incarnation, raft_role_name((enum raft_role)f->role), f->term, f->revision,
	       f->agreed_epoch, f->agreed_members, f->epoch, f->members, f->shadows,
	       f->lease ? ", lease" : "", f->conf, f->conf_old, f->pending);
}
