/* SPDX-License-Identifier: Apache-2.0 */
/*
 * raft_core.c: one node of the search: the production core in a scratch, its disk, and what of both
 * matters. Left out of a node's state: counters, random numbers, words about when somebody was
 * heard, timers that have run out (they are all alike), what belongs to a role it is not in, bytes
 * of the log that nothing points at any more. Log sequences count from what is durable.
 */
#include "tests/model/raft_model.h"

#define ENTRY_BYTES   RAFT_CONF_BYTES
#define STATE_BYTES   8u
#define SCRATCH_BYTES 65536u

/* raw: all of a node, before and after a step. */
struct raw {
	uint8_t node, alive, life, spare[5];
	uint64_t clock_ns;
	struct disk disk;
};

struct scratch {
	struct raw raw;
	uint8_t mem[SCRATCH_BYTES] __attribute__((aligned(16)));
};

static struct scratch scratch; /* one node at a time lives here */

static struct raft *core(void)
{
	return (struct raft *)(void *)scratch.mem;
}

static struct raft_config config_of(const struct raft_model_config *c, const struct raw *w)
{
	return (struct raft_config){
		.heartbeat_ns = RAFT_MODEL_TICK,
		.election_ns = RAFT_MODEL_ELECTION * RAFT_MODEL_TICK,
		.disk_ns = 1u << 30,
		.incarnation = w->life,
		.entries_max = c->entries ? c->entries : 16,
		.bytes_max = 7u * RAFT_ENTRY_BYTES_MAX,
		.open_max = c->entries ? c->entries / 4 : 2,
		.inflight_max = 2,
		.reads_max = 2,
		.drift_ppm = c->slow_clock ? 60000 : 0,
		.node = w->node,
		.passive = c->stand != 0 && !(c->stand >> w->node & 1),
	};
}

/* ---- logs ------------------------------------------------------------------------------------ */

static uint64_t chain_next(uint64_t chain, uint32_t term, uint32_t kind, uint32_t data)
{
	uint64_t h = (chain ^ term) * 0x9e3779b97f4a7c15ull;

	h = (h ^ h >> 29 ^ kind) * 0xbf58476d1ce4e5b9ull;
	h = (h ^ h >> 32 ^ data) * 0x94d049bb133111ebull;
	return h ^ h >> 29;
}

static uint32_t data_of(const uint8_t *data, uint32_t bytes)
{
	if (bytes != 0 && bytes != ENTRY_BYTES)
		explore_fault("an entry of a length that nobody proposed");
	return bytes ? load_u32(data) : 0;
}

static uint64_t state_of(const uint8_t *payload, uint32_t bytes)
{
	if (bytes != RAFT_CONF_BYTES + STATE_BYTES)
		explore_fault("a snapshot of a length that nobody made");
	return load_u64(payload + RAFT_CONF_BYTES);
}

/* ---- what matters ---------------------------------------------------------------------------- */

static void no_later(uint64_t *ns, uint64_t now_ns)
{
	if (*ns <= now_ns)
		*ns = 0;
}

/* since: how long ago something was matters only below an election time. */
static void since(uint64_t *ns, const struct raft *r)
{
	if (r->now_ns - *ns >= r->config.election_ns)
		*ns = 0;
}

static void tidy_peers(struct raft *r)
{
	for (uint32_t i = 0; i < NODES_MAX; i++) {
		struct raft_peer *p = &r->peers[i], was = *p;
		bool sent = i != r->config.node &&
			    ((raft_targets(r) | raft_bit(r->config.node)) >> i & 1);

		p->heard_ns = 0;
		if (r->role == RAFT_LEADER && sent) {
			since(&p->acked_ns, r);
			no_later(&p->retry_ns, r->now_ns);
			no_later(&p->rewind_ns, r->now_ns);
			if (p->state == RAFT_REPLICATE)
				p->retry_ns = 0;
			continue;
		}
		memset(p, 0, sizeof(*p));
		p->pre_vote = was.pre_vote;
		p->vote = was.vote;
		p->pre_vote_term = was.pre_vote == RAFT_OWED_NOTHING ? 0 : was.pre_vote_term;
		if (r->role == RAFT_LEADER)
			p->next = 1; /* raft_check */
	}
}

static void tidy_leader(struct raft *r)
{
	if (r->role != RAFT_LEADER) {
		r->noop_due = r->ready = r->round_wanted = false;
		r->noop_index = r->round = r->quorum_round = r->transfer_round = 0;
		r->beat_due = r->notice_due = r->leaving = 0;
		r->beat_ns = r->lease_ns = r->leaving_ns = r->transfer_ns = 0;
		memset(r->round_ns, 0, sizeof(r->round_ns));
		return;
	}
	no_later(&r->beat_ns, r->now_ns);
	no_later(&r->lease_ns, r->now_ns);
	if (r->leaving == 0)
		r->leaving_ns = 0;
	if (r->transfer_to == RAFT_NODE_NONE)
		r->transfer_ns = 0;
	for (uint64_t i = 0; i < RAFT_ROUNDS; i++) {
		bool open = i > r->quorum_round && i <= r->round;

		must(r->round < RAFT_ROUNDS);
		if (!open)
			r->round_ns[i] = 0;
		else
			since(&r->round_ns[i], r);
	}
	r->election_at_ns = r->matched = r->beat_round = 0;
	r->acked = 0;
}

static void tidy_follower(struct raft *r)
{
	no_later(&r->silent_ns, r->now_ns);
	no_later(&r->protected_ns, r->now_ns);
	no_later(&r->election_at_ns, r->now_ns + 1);
	no_later(&r->retry_ns, r->now_ns);
	no_later(&r->read_retry_ns, r->now_ns);
	if (r->protected_ns == 0)
		r->promised_term = 0;
	if (r->protected_ns == 0)
		r->promised_round = 0;
	if (r->role == RAFT_FOLLOWER || r->role == RAFT_LEADER)
		r->retry_ns = 0;
	if (r->role != RAFT_CANDIDATE) {
		r->by_transfer = false;
		r->transfer_id = 0;
	}
	if (r->farewell == RAFT_NODE_NONE)
		r->farewell_id = 0;
	if (!r->reject_due)
		r->reject_index = r->reject_hint = r->reject_term = 0;
	if (r->leader == RAFT_NODE_NONE)
		r->acked = 0;
}

static void tidy_log(struct raft *r)
{
	for (uint64_t i = 0; i < r->config.entries_max; i++) {
		uint64_t index = r->base + 1 + i;
		struct raft_slot *s = raft_log_slot(r, index);

		if (index > r->last)
			memset(s, 0, sizeof(*s));
		else
			s->seq = s->seq <= r->durable_seq ? 0 : s->seq - r->durable_seq;
	}
	/* Nothing here is long enough to go round the ring. */
	if (r->data_tail >= r->config.bytes_max)
		explore_fault("the situation is too large for the model's log");
	memset(r->data, 0, r->data_head);
	memset(r->data + r->data_tail, 0, r->config.bytes_max - r->data_tail);
	r->hard_seq = r->hard_seq <= r->durable_seq ? 0 : r->hard_seq - r->durable_seq;
	r->base_seq = r->base_seq <= r->durable_seq ? 0 : r->base_seq - r->durable_seq;
	r->persist_next -= r->durable_seq;
	for (uint64_t i = r->write_head; i < r->write_tail; i++) {
		struct raft_open_write *w = &r->writes[i & (RAFT_WRITES - 1)];

		w->seq -= r->durable_seq;
		w->since_ns = r->now_ns; /* disks are as slow as they like here */
	}
	r->durable_seq = 0;
	if (r->write_head == r->write_tail) {
		r->write_head = r->write_tail = 0;
		memset(r->writes, 0, sizeof(r->writes));
	}
	if (r->restoring == 0) {
		memset(r->restore, 0, sizeof(r->restore));
		r->restoring_term = r->restore_bytes = 0;
	}
}

static void tidy_reads(struct raft *r)
{
	for (uint64_t i = 0; i < r->config.reads_max; i++) {
		uint64_t at = r->read_head + i;
		struct raft_read *s = &r->reads[at & (r->config.reads_max - 1)], was = *s;

		memset(s, 0, sizeof(*s)); /* padding, too */
		if (at >= r->read_tail)
			continue;
		s->id = was.id;
		s->index = was.index;
		s->round = was.round;
		s->until_ns = was.until_ns;
		s->from = was.from;
		s->what = was.what;
		no_later(&s->until_ns, r->now_ns);
	}
	if (r->read_sent == r->read_head)
		r->read_retry_ns = 0;
}

void raft_core_tidy(struct raft *r)
{
	memset(&r->counters, 0, sizeof(r->counters));
	r->random = 0;
	tidy_peers(r);
	tidy_follower(r);
	tidy_leader(r);
	tidy_log(r);
	tidy_reads(r);
}

/* ---- facts ----------------------------------------------------------------------------------- */

static void fill_disk_facts(const struct raw *w, struct raft_facts *f)
{
	const struct disk *d = &w->disk;
	uint64_t chain = d->base ? state_of(d->snapshot.data, d->snapshot.bytes) : 0;

	if (d->last >= RAFT_MODEL_LOG)
		explore_fault("the situation is too large for the facts of the model");
	f->alive = w->alive;
	f->life = w->life;
	f->pending = d->pending_count;
	f->dterm = d->term;
	f->dvote = d->vote;
	f->dbase = d->base;
	f->dlast = d->last;
	f->dchain[d->base] = chain;
	for (uint32_t i = d->base + 1u; i <= d->last; i++) {
		const struct disk_record *r = &d->log[i];

		chain = chain_next(chain, r->term, r->entry_kind, data_of(r->data, r->bytes));
		f->dchain[i] = chain;
	}
}

static void fill_core_facts(const struct raft *r, struct raft_facts *f)
{
	uint64_t chain = state_of(r->snap, r->snap_bytes);
	struct raft_conf conf;

	if (r->last >= RAFT_MODEL_LOG || r->term >= RAFT_MODEL_TERMS)
		explore_fault("the situation is too large for the facts of the model");
	f->conf = r->conf;
	f->conf_index = (uint8_t)r->conf_index;
	f->term = r->term;
	f->commit = (uint8_t)r->commit;
	f->base = (uint8_t)r->base;
	f->last = (uint8_t)r->last;
	f->terms[r->base] = (uint8_t)r->base_term;
	f->chain[r->base] = chain;
	f->voters[r->base] = r->base_conf.voters | r->base_conf.voters_old;
	for (uint64_t i = r->base + 1; i <= r->last; i++) {
		struct raft_entry e;

		raft_entry(r, i, &e);
		chain = chain_next(chain, e.term, e.kind, data_of(e.data, e.bytes));
		f->terms[i] = (uint8_t)e.term;
		f->chain[i] = chain;
		raft_log_conf_at(r, i, &conf);
		f->voters[i] = conf.voters | conf.voters_old;
	}
	raft_log_conf_at(r, r->last, &conf);
	f->conf_astray = memcmp(&conf, &r->conf, sizeof(conf)) != 0;
	f->role = (uint8_t)r->role;
	f->leader = r->leader;
	f->vote = r->vote;
	f->reads = (uint8_t)(r->read_tail - r->read_head);
	f->ready = raft_ready(r);
	f->lease = raft_lease_ns(r) > r->now_ns;
	f->due = raft_deadline_ns(r) <= r->now_ns;
	f->can_propose = raft_can_propose(r, ENTRY_BYTES);
	f->transferring = r->transfer_to != RAFT_NODE_NONE;
}

static void keep(struct explore_out *out)
{
	struct raft_facts *f = (struct raft_facts *)(void *)out->facts;

	fill_disk_facts(&scratch.raw, f);
	if (scratch.raw.alive) {
		raft_check(core());
		raft_core_tidy(core());
		fill_core_facts(core(), f);
	} else {
		memset(scratch.mem, 0, sizeof(scratch.mem));
	}
	out->local_bytes = explore_pack((const uint8_t *)&scratch, sizeof(scratch), out->local,
					EXPLORE_LOCAL_BYTES);
}

/* ---- steps ----------------------------------------------------------------------------------- */

static void say_vote(struct raft_said *said, uint32_t term, uint8_t to)
{
	must(said->votes < ARRAY_LEN(said->vote_term));
	said->vote_term[said->votes] = term;
	said->vote_to[said->votes++] = to;
}

static void on_send(const struct raw *w, const struct raft_action *a, struct explore_out *out)
{
	struct raft_said *said = (struct raft_said *)(void *)out->said;
	const struct raft_message *m = &a->message;
	uint8_t *at = explore_send(out, a->to, 1 + raft_message_bytes(m));

	at[0] = w->node;
	raft_message_encode(at + 1, m);
	if (m->type == RAFT_HEARTBEAT_ACK ||
	    (m->type == RAFT_APPEND_ACK && !(m->flags & RAFT_REJECT)))
		said->acked = (uint8_t)max_u64(said->acked, m->index);
	if (m->type == RAFT_VOTE)
		say_vote(said, m->term, w->node);
	if (m->type == RAFT_VOTE_ACK && !(m->flags & RAFT_REJECT))
		say_vote(said, m->term, (uint8_t)__builtin_ctz(a->to));
}

static void give(struct raft_event *ev, struct explore_out *out);

static void act(const struct raft_action *a, struct explore_out *out)
{
	struct raft_said *said = (struct raft_said *)(void *)out->said;

	switch (a->kind) {
	case RAFT_ACTION_SEND:
		on_send(&scratch.raw, a, out);
		return;
	case RAFT_ACTION_PERSIST:
		disk_take(&scratch.raw.disk, &a->record);
		return;
	case RAFT_ACTION_READ:
		said->answered = 1;
		said->read_id = (uint8_t)a->id;
		said->read_index = (uint8_t)a->index;
		return;
	case RAFT_ACTION_RESTORE:
	case RAFT_ACTION_ROLE:
		return;
	}
}

/* give: one event, and what the core still has to say after it. */
static void give(struct raft_event *ev, struct explore_out *out)
{
	struct raft_actions actions;
	uint64_t restored = 0;
	bool again;

	for (uint32_t i = 0; i < 8; i++) {
		ev->now_ns = scratch.raw.clock_ns;
		ev->persist_seq_next = max_u64(core()->persist_next, 1);
		again = raft_step(core(), ev, &actions);
		for (uint32_t k = 0; k < actions.count; k++) {
			act(&actions.list[k], out);
			if (actions.list[k].kind == RAFT_ACTION_RESTORE)
				restored = actions.list[k].message.index;
		}
		if (!again)
			break;
		*ev = (struct raft_event){ .kind = RAFT_EVENT_TICK };
	}
	must(!again);
	if (restored != 0) {
		struct raft_event done = { .kind = RAFT_EVENT_RESTORED, .index = restored };

		give(&done, out);
	}
}

/* settle_disk: where disks are instant. */
static void settle_disk(const struct raft_model_config *c, struct explore_out *out)
{
	if (c->disk >> scratch.raw.node & 1)
		return;
	while (scratch.raw.disk.pending_count != 0) {
		struct raft_event ev = { .kind = RAFT_EVENT_DURABLE };

		ev.durable_seq = core()->durable_seq + scratch.raw.disk.pending_count;
		while (scratch.raw.disk.pending_count != 0)
			disk_done(&scratch.raw.disk);
		give(&ev, out);
	}
}

static void bootstrap(const struct raft_model_config *c)
{
	uint8_t state[STATE_BYTES] = { 1 };

	raft_bootstrap(core(), &c->conf, state, sizeof(state));
}

static void recover(const struct raw *w)
{
	struct raft_record r;

	for (uint32_t i = 0; disk_read(&w->disk, i, &r); i++)
		raft_recover(core(), &r);
}

/* boot: a life begins. Who is in no conf at first has nothing, and is told. */
static void boot(const struct raft_model_config *c)
{
	struct raw *w = &scratch.raw;
	struct raft_config rc;
	uint8_t all = c->conf.voters | c->conf.voters_old | c->conf.learners;

	w->life++;
	w->alive = 1;
	rc = config_of(c, w);
	must(raft_size(&rc) <= sizeof(scratch.mem) - 16);
	memset(scratch.mem, 0, sizeof(scratch.mem));
	raft_init(scratch.mem, &rc);
	if (w->disk.recorded)
		recover(w);
	else if (all >> w->node & 1)
		bootstrap(c);
	if (core()->snap_bytes == 0) { /* blank: nothing, the chain of nothing */
		memset(core()->snap, 0, RAFT_CONF_BYTES + STATE_BYTES);
		core()->snap_bytes = RAFT_CONF_BYTES + STATE_BYTES;
	}
	raft_start(core(), w->clock_ns);
	core()->election_at_ns = w->clock_ns + core()->config.election_ns;
}

void raft_core_start(const void *config, uint8_t node, struct explore_out *out)
{
	memset(&scratch, 0, sizeof(scratch));
	scratch.raw.node = node;
	disk_begin(&scratch.raw.disk);
	scratch.raw.clock_ns = RAFT_MODEL_BEGIN;
	boot(config);
	core()->silent_ns = 0; /* they have been up for a while, and nothing happened */
	keep(out);
}

static void pass_time(const struct raft_model_config *c)
{
	bool slow = c->slow_clock && scratch.raw.node == 0;

	scratch.raw.clock_ns += slow ? RAFT_MODEL_TICK * 94u / 100u : RAFT_MODEL_TICK;
	if (scratch.raw.alive)
		core()->now_ns = scratch.raw.clock_ns;
}

/* compact: R-CONF-ONE: a snapshot holds the conf of its index, which is committed. */
static void compact(uint64_t index, struct explore_out *out)
{
	struct raft_event ev = { .kind = RAFT_EVENT_COMPACT, .index = index,
				 .bytes = STATE_BYTES };
	uint8_t state[STATE_BYTES], conf[RAFT_CONF_BYTES];
	struct raft_facts f = { 0 };
	struct raft_conf then;

	fill_core_facts(core(), &f);
	store_u64(state, f.chain[index]);
	ev.data = state;
	raft_log_conf_at(core(), index, &then);
	raft_conf_encode(conf, &then);
	give(&ev, out);
	if (memcmp(core()->snap, conf, sizeof(conf)) != 0)
		explore_fault("R-CONF-ONE: a snapshot holds another conf than its index");
}

static void run(const struct explore_event *e, const uint8_t *message, uint32_t bytes,
		struct explore_out *out)
{
	uint8_t data[STATE_BYTES];
	struct raft_message m;
	struct raft_event ev = { .kind = RAFT_EVENT_TICK };
	uint32_t offset = 0;

	switch (e->kind) {
	case EXPLORE_DELIVER:
		must(raft_message_decode(message + 1, bytes - 1, &offset, &m) == WIRE_OK);
		ev.kind = RAFT_EVENT_MESSAGE;
		ev.from = message[0];
		ev.message = &m;
		break;
	case RAFT_MODEL_DURABLE:
		disk_done(&scratch.raw.disk);
		ev.kind = RAFT_EVENT_DURABLE;
		ev.durable_seq = core()->durable_seq + 1;
		break;
	case RAFT_MODEL_PROPOSE:
		ev.kind = RAFT_EVENT_PROPOSE;
		store_u32(data, e->arg);
		ev.data = data;
		ev.bytes = ENTRY_BYTES;
		break;
	case RAFT_MODEL_READ:
		ev.kind = RAFT_EVENT_READ;
		ev.id = e->arg;
		break;
	case RAFT_MODEL_CONFIGURE:
		ev.kind = RAFT_EVENT_CONFIGURE;
		ev.conf.voters = (uint8_t)e->arg;
		ev.conf.learners = (uint8_t)(e->arg >> 8);
		break;
	case RAFT_MODEL_TRANSFER:
		ev.kind = RAFT_EVENT_TRANSFER;
		ev.node = (uint8_t)e->arg;
		break;
	case RAFT_MODEL_COMPACT:
		compact(e->arg, out);
		return;
	default:
		break;
	}
	give(&ev, out);
}

void raft_core_hold_election(struct raft *r)
{
	if (r->role != RAFT_LEADER)
		r->election_at_ns = max_u64(r->election_at_ns, r->now_ns + 1);
}

void raft_core_shorten(struct raft *r, uint64_t before_ns)
{
	if (r->election_at_ns != before_ns)
		r->election_at_ns -= (r->election_at_ns - r->now_ns) % r->config.election_ns;
}

void raft_core_step(const void *config, const uint8_t *local, uint32_t bytes,
		    const struct explore_event *event, const uint8_t *message,
		    uint32_t message_bytes, struct explore_out *out)
{
	const struct raft_model_config *c = config;
	uint64_t timer_ns;

	explore_unpack(local, bytes, (uint8_t *)&scratch, sizeof(scratch));
	if (event->kind == EXPLORE_TIME) {
		pass_time(c);
	} else if (event->kind == RAFT_MODEL_CRASH) {
		disk_crash(&scratch.raw.disk, event->arg);
		scratch.raw.alive = 0;
	} else if (event->kind == RAFT_MODEL_RESTART) {
		boot(c);
	} else if (scratch.raw.alive) {
		struct raft *r = core();

		if (event->kind != RAFT_MODEL_TICKS)
			raft_core_hold_election(r);
		timer_ns = r->election_at_ns;
		run(event, message, message_bytes, out);
		settle_disk(c, out);
		raft_core_shorten(r, timer_ns);
	}
	keep(out);
}

bool raft_core_stale(const uint8_t *facts, const uint8_t *message, uint32_t bytes)
{
	const struct raft_facts *f = (const struct raft_facts *)(const void *)facts;
	uint32_t term = load_u32(message + 1 + 4);

	must(bytes > RAFT_HEAD_BYTES);
	/* Of an older term: all it could do is to tell its sender of the newer one. */
	return term < f->dterm;
}

/* ---- for people ------------------------------------------------------------------------------ */

static const char *const types[] = {
	[RAFT_PRE_VOTE] = "PRE_VOTE",	  [RAFT_PRE_VOTE_ACK] = "PRE_VOTE_ACK",
	[RAFT_VOTE] = "VOTE",		  [RAFT_VOTE_ACK] = "VOTE_ACK",
	[RAFT_APPEND] = "APPEND",	  [RAFT_APPEND_ACK] = "APPEND_ACK",
	[RAFT_HEARTBEAT] = "HEARTBEAT",	  [RAFT_HEARTBEAT_ACK] = "HEARTBEAT_ACK",
	[RAFT_SNAPSHOT] = "SNAPSHOT",	  [RAFT_TIMEOUT_NOW] = "TIMEOUT_NOW",
	[RAFT_READ] = "READ",		  [RAFT_READ_ACK] = "READ_ACK",
};

void raft_core_print_message(const uint8_t *encoded, uint32_t bytes)
{
	struct raft_message m;
	uint32_t offset = 0;

	must(raft_message_decode(encoded, bytes, &offset, &m) == WIRE_OK);
	printf("%s%s, term %u index %llu log_term %u commit %llu id %llu", types[m.type],
	       m.flags & RAFT_REJECT ? "-" : "", m.term, (unsigned long long)m.index, m.log_term,
	       (unsigned long long)m.commit, (unsigned long long)m.id);
	if (m.type == RAFT_APPEND && m.entry.index != 0)
		printf(" entry %llu.%u", (unsigned long long)m.entry.index, m.entry.term);
}

void raft_core_print(const struct explore_event *event, const uint8_t *message, uint32_t bytes)
{
	static const char *const kinds[] = {
		[RAFT_MODEL_TICKS] = "its timers",
		[RAFT_MODEL_DURABLE] = "a record is durable",
		[RAFT_MODEL_CRASH] = "crash, of its writes survive",
		[RAFT_MODEL_RESTART] = "restart",
		[RAFT_MODEL_PROPOSE] = "propose",
		[RAFT_MODEL_READ] = "read",
		[RAFT_MODEL_CONFIGURE] = "configure",
		[RAFT_MODEL_TRANSFER] = "transfer to",
		[RAFT_MODEL_COMPACT] = "compact",
	};

	if (!message) {
		printf("%s %u", kinds[event->kind], event->arg);
		return;
	}
	printf("from %c ", 'a' + message[0]);
	raft_core_print_message(message + 1, bytes - 1);
}

void raft_core_print_facts(const uint8_t *facts)
{
	const struct raft_facts *f = (const struct raft_facts *)(const void *)facts;

	if (!f->alive) {
		printf("down; disk: term %u, log %u..%u", f->dterm, f->dbase, f->dlast);
		return;
	}
	printf("%s term %u vote %d commit %u log", raft_role_name((enum raft_role)f->role), f->term,
	       f->vote == RAFT_NODE_NONE ? -1 : f->vote, f->commit);
	for (uint32_t i = f->base; i <= f->last; i++)
		printf(" %u.%u", i, f->terms[i]);
	printf(" (durable %u, %u pending), conf %x/%x%s%s", f->dlast, f->pending, f->conf.voters,
	       f->conf.voters_old, f->ready ? ", ready" : "", f->lease ? ", lease" : "");
}
