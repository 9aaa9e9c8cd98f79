/* SPDX-License-Identifier: Apache-2.0 */
/*
 * worker_service.c: the view service at worker 0: its events, its actions, how its orders reach all
 * workers of the node and come back as confirmed; and what cairnd sees of it.
 */
#include "dataplane/worker_priv.h"

#define HEARD_HELLOS   4u /* a peer silent on data frames for so many intervals is not heard */
#define SILENT_ROUNDS  8u /* reports of ours in which another worker has not gone round */
#define TELLS_PER_BEAT 2u

static bool hosted(const struct worker *w)
{
	return w->service.membership != NULL;
}

/* ---- steps and their actions ----------------------------------------------------------------- */

static void persist(struct worker *w, const struct membership_action *a)
{
	struct record record;

	if (w->failed)
		return;
	record_of_raft(&record, RECORD_SHARD_VIEW, &a->record);
	must(wal_append(w->wal, &record) == a->persist_seq);
}

static void result(struct worker *w, const struct membership_action *a)
{
	struct worker_service *s = &w->service;
	struct control_answer answer = {
		.index = a->index, .number = s->command_number, .code = a->code,
	};

	if (w->config.control && a->id == s->command.id)
		control_reply(w->config.control, &answer);
}

static void order_peers(struct worker *w)
{
	for (uint8_t n = 0; n < NODES_MAX; n++) {
		uint32_t ip = membership_ip(w->service.membership, n);

		if (ip != 0)
			w->service.order.ip[n] = ip;
	}
}

static void restart(struct worker_service *s, uint32_t above)
{
	uint64_t before = atomic_load_explicit(&s->restart, memory_order_relaxed);

	atomic_store_explicit(&s->restart, max_u64(before, 1ull << 32 | above),
			      memory_order_relaxed);
}

/* execute: returns true when there is a new order for all workers. */
static bool execute(struct worker *w)
{
	struct worker_service *s = &w->service;
	bool ordered = false;

	for (uint32_t i = 0; i < s->actions.count; i++) {
		const struct membership_action *a = &s->actions.list[i];

		switch (a->kind) {
		case MEMBERSHIP_ACTION_SEND:
			for (uint8_t n = 0; n < NODES_MAX; n++)
				if (a->to & 1u << n)
					worker_tx_raft(w, WIRE_SHARD_VIEW, n, &a->message);
			break;
		case MEMBERSHIP_ACTION_PERSIST:
			persist(w, a);
			break;
		case MEMBERSHIP_ACTION_INSTALL:
			s->order.view = *membership_installed(s->membership);
			ordered = true;
			break;
		case MEMBERSHIP_ACTION_LEASE:
			s->order.lease_epoch = a->epoch;
			s->order.lease_ns = a->lease_ns;
			ordered = true;
			break;
		case MEMBERSHIP_ACTION_PEERS:
			order_peers(w);
			ordered = true;
			break;
		case MEMBERSHIP_ACTION_RESULT:
			result(w, a);
			break;
		case MEMBERSHIP_ACTION_NOTE:
			if (w->config.control)
				control_note(w->config.control, w->now_ns, a->code, a->node,
					     a->value);
			break;
		case MEMBERSHIP_ACTION_RESTART:
			restart(s, (uint32_t)a->value);
			break;
		}
	}
	return ordered;
}

/* post: a new order for all workers of the node. */
static void post(struct worker *w)
{
	struct worker_service *s = &w->service;

	if (w->config.board)
		s->version = view_board_post(w->config.board, &s->order);
	else
		s->version += 2;
}

/* room: whatever a step appends will fit. A log at its very end is as good as a failed one. */
static bool room(struct worker *w)
{
	if (w->failed || wal_can_append(w->wal, MEMBERSHIP_ACTIONS_MAX))
		return true;
	if (wal_remaining_bytes(w->wal) < 2ull * w->config.wal.batch_bytes_max && !wal_busy(w->wal))
		worker_fail(w);
	return w->failed;
}

static bool step(struct worker *w, struct membership_event *ev);

/* tell_failed: before anything else: it must not promise what no log will keep. */
static void tell_failed(struct worker *w)
{
	struct membership_event ev = { .kind = MEMBERSHIP_EVENT_FAIL };

	if (!w->failed || w->service.failed)
		return;
	w->service.failed = true;
	(void)step(w, &ev);
}

/* step: one event, then whatever else there is to say. false: no room in the log for now. */
static bool step(struct worker *w, struct membership_event *ev)
{
	struct worker_service *s = &w->service;
	bool more = true, ordered = false;

	if (!room(w))
		return false;
	tell_failed(w);
	do {
		ev->now_ns = w->now_ns;
		ev->persist_seq_next = wal_seq_next(w->wal);
		more = membership_step(s->membership, ev, &s->actions);
		ordered |= execute(w);
		ev->kind = MEMBERSHIP_EVENT_TICK;
	} while (more && room(w) && w->failed == s->failed);
	s->more = more;
	if (ordered)
		post(w);
	return true;
}

/* ---- frames ---------------------------------------------------------------------------------- */

/* learn: a node that was told no addresses learns them from whoever speaks to it. */
static void learn(struct worker *w, const struct wire_header *h, const struct frame_addr *source)
{
	struct worker_service *s = &w->service;

	if (w->config.ip[h->from] == source->ip)
		return;
	s->order.ip[h->from] = source->ip;
	post(w);
	worker_set_peers(w, s->order.ip);
}

void worker_service_receive(struct worker *w, const struct frame_info *info,
			    const struct wire_header *h)
{
	struct worker_service *s = &w->service;
	uint32_t offset = WIRE_HEADER_BYTES;

	if (!hosted(w)) {
		w->count.drop_shard++;
		return;
	}
	if (!membership_accepts(s->membership, h->from, h->from_incarnation)) {
		w->count.drop_unknown_peer++;
		return;
	}
	learn(w, h, &info->source);
	if (!worker_addressed(w, info, h))
		return;
	while (offset < info->payload_bytes) {
		struct raft_message m;
		struct membership_event ev = {
			.kind = MEMBERSHIP_EVENT_MESSAGE,
			.from = h->from,
			.incarnation = h->from_incarnation,
			.ident = h->ident,
			.message = &m,
		};
		enum wire_verdict verdict = raft_message_decode(info->payload, info->payload_bytes,
								&offset, &m);

		if (verdict != WIRE_OK) {
			w->count.drop_wire[verdict]++;
			return;
		}
		w->count.rx_messages++;
		w->count.drop_no_room += !step(w, &ev);
	}
}

/* ---- orders ---------------------------------------------------------------------------------- */

static void take_order(struct worker *w)
{
	struct worker_service *s = &w->service;
	struct view_board_order order;
	uint32_t version;

	if (hosted(w) || view_board_version(w->config.board) == s->version)
		return;
	if (!view_board_read(w->config.board, &order, &version))
		return;
	s->order = order;
	s->version = version;
}

/* carry_out: the newest order; what the log has no room for now is tried again. */
static bool carry_out(struct worker *w)
{
	struct worker_service *s = &w->service;

	if (s->done == s->version)
		return false;
	worker_set_peers(w, s->order.ip);
	if (s->order.view.epoch != 0 && !worker_take_view(w, &s->order.view))
		return false;
	if (!worker_take_lease(w, s->order.lease_epoch, s->order.lease_ns))
		return false;
	s->done = s->version;
	return true;
}

/* ---- health ---------------------------------------------------------------------------------- */

static struct view_board_health own_health(struct worker *w)
{
	const struct worker_service *s = &w->service;
	struct view_board_health h = {
		.epoch = w->shard_count != 0 ? worker_epoch(w) :
			 s->done == s->version ? s->order.view.epoch : 0,
		.version = s->done,
		.joined = worker_joined(w),
		.failed = w->failed,
		.heard = (uint8_t)~0u,
		.disk_ns = wal_latency_ns(w->wal, w->now_ns),
		.rounds = w->count.polls,
	};

	for (uint16_t i = 0; i < w->shard_count; i++) {
		struct replica *r = w->replica[w->shards[i]];

		h.spent |= replica_spent(r);
		h.heard &= replica_heard(r, w->now_ns, HEARD_HELLOS * w->config.hello_ns);
		h.groups |= replica_groups(r);
		h.stuck |= replica_stuck(r, w->config.membership.detect_ns);
	}
	return h;
}

/* confirmed: every worker has carried out the newest order. */
static bool confirmed(const struct worker *w)
{
	const struct worker_service *s = &w->service;

	if (s->done != s->version)
		return false;
	for (uint16_t i = 1; i < w->config.worker_count && !mutant(193); i++) {
		struct view_board_health h;

		if (!view_board_health(w->config.board, i, &h) || h.version != s->version)
			return false;
	}
	return true;
}

/* add_worker: what another worker says; whether it went round since it was last asked. */
static void add_worker(struct worker *w, uint16_t index, struct membership_health *sum)
{
	struct worker_service *s = &w->service;
	struct view_board_health *h = &s->heard_of[index];
	uint64_t rounds = h->rounds;

	(void)view_board_health(w->config.board, index, h);
	s->silent[index] = h->rounds != rounds ? 0 : (uint8_t)min_u64(s->silent[index] + 1u, 255);
	if (!mutant(192))
		sum->epoch = (uint32_t)min_u64(sum->epoch, h->epoch);
	sum->joined &= h->joined;
	sum->spent |= h->spent;
	sum->failed |= h->failed;
	sum->progress &= s->silent[index] < SILENT_ROUNDS || mutant(194);
	sum->heard &= h->heard;
	sum->stuck |= h->stuck;
	sum->groups |= h->groups;
	sum->disk_ns = max_u64(sum->disk_ns, h->disk_ns);
	sum->progress_count += h->rounds;
}

static void report_health(struct worker *w)
{
	struct worker_service *s = &w->service;
	struct view_board_health own = own_health(w);
	struct membership_health sum = {
		.epoch = own.epoch,
		.joined = own.joined,
		.spent = own.spent,
		.failed = own.failed,
		.progress = true,
		.unleased = confirmed(w) && s->order.lease_ns == 0,
		.heard = own.heard,
		.stuck = own.stuck,
		.groups = own.groups,
		.disk_ns = own.disk_ns,
		.progress_count = own.rounds,
	};
	struct membership_event ev = { .kind = MEMBERSHIP_EVENT_HEALTH, .health = &sum };

	for (uint16_t i = 1; i < w->config.worker_count; i++)
		add_worker(w, i, &sum);
	s->health = sum;
	if (!step(w, &ev))
		return;
	s->health_ns = w->now_ns + w->config.membership.heartbeat_ns;
	s->waiting = !confirmed(w);
}

/* tell_board: how this worker, which is not the host, is. */
static void tell_board(struct worker *w, bool now)
{
	struct worker_service *s = &w->service;
	struct view_board_health own;

	if (!now && w->now_ns < s->health_ns)
		return;
	s->health_ns = w->now_ns + w->config.membership.heartbeat_ns / TELLS_PER_BEAT;
	own = own_health(w);
	view_board_tell(w->config.board, w->config.worker_index, &own);
}

/* ---- the turn -------------------------------------------------------------------------------- */

static void take_command(struct worker *w)
{
	struct worker_service *s = &w->service;
	struct membership_event ev = { .kind = MEMBERSHIP_EVENT_COMMAND, .command = &s->command };

	if (!s->commanded)
		return;
	s->commanded = !step(w, &ev);
}

static void give_events(struct worker *w)
{
	struct worker_service *s = &w->service;
	struct membership_event durable = { .kind = MEMBERSHIP_EVENT_DURABLE,
					    .durable_seq = w->durable };
	struct membership_event tick = { .kind = MEMBERSHIP_EVENT_TICK };

	tell_failed(w);
	if (s->durable != w->durable && step(w, &durable))
		s->durable = w->durable;
	take_command(w);
	/* What all workers have carried out is news to the others: at once. */
	if (w->now_ns >= s->health_ns || (s->waiting && confirmed(w)))
		report_health(w);
	if (s->more || w->now_ns >= membership_deadline_ns(s->membership))
		(void)step(w, &tick);
}

uint32_t worker_service_turn(struct worker *w)
{
	struct worker_service *s = &w->service;
	uint32_t version = s->version;
	bool done;

	if (hosted(w))
		give_events(w);
	else
		take_order(w);
	s->waiting |= s->version != version;
	done = carry_out(w);
	if (!hosted(w))
		tell_board(w, done);
	else if (s->waiting && confirmed(w))
		report_health(w);
	return done;
}

uint64_t worker_service_deadline_ns(const struct worker *w)
{
	const struct worker_service *s = &w->service;

	if (s->done != s->version)
		return 0;
	if (!hosted(w))
		return view_board_version(w->config.board) != s->version ? 0 : s->health_ns;
	if (s->more || s->commanded || (s->waiting && confirmed(w)))
		return 0;
	return min_u64(s->health_ns, membership_deadline_ns(s->membership));
}

/* ---- what cairnd sees ------------------------------------------------------------------------ */

static uint64_t age_of(uint64_t now_ns, uint64_t at_ns)
{
	return at_ns == 0 ? CONTROL_NEVER : now_ns - min_u64(now_ns, at_ns);
}

static struct control_peer control_peer_of(const struct worker *w, uint8_t node)
{
	const struct membership *m = w->service.membership;
	const struct membership_peer *p = membership_peer(m, node);
	const struct raft *raft = membership_raft(m);

	return (struct control_peer){
		.age_ns = age_of(w->now_ns, p->heard_ns),
		.holddown_ns = p->holddown_ns - min_u64(p->holddown_ns, w->now_ns),
		.disk_ns = p->disk_ns,
		.rtt_ns = p->rtt_ns,
		.raft_age_ns = age_of(w->now_ns, raft_heard_ns(raft, node)),
		.match = raft_role(raft) == RAFT_LEADER ? raft_match(raft, node) : 0,
		.incarnation = p->incarnation,
		.epoch = p->epoch,
		.heard = p->heard,
		.stuck = p->stuck,
		.joined = p->joined,
		.failed = p->failed,
		.progress = p->progress,
		.slow = p->slow,
	};
}

static void publish(struct worker *w)
{
	const struct membership *m = w->service.membership;
	const struct raft *raft = membership_raft(m);
	uint64_t lease_ns = membership_lease_ns(m);
	struct control_status status = {
		.updated_ns = w->now_ns,
		.state = *membership_state(m),
		.installed = *membership_installed(m),
		.health = w->service.health,
		.counters = *membership_counters(m),
		.raft = *raft_counters(raft),
		.commit = raft_commit(raft),
		.last = raft_last(raft),
		.base = raft_base(raft),
		.lease_ns = lease_ns - min_u64(lease_ns, w->now_ns),
		.term = raft_term(raft),
		.incarnation = w->sb.incarnation,
		.ident = w->config.membership.ident,
		.conf = *raft_conf(raft),
		.configuring = raft_configuring(raft),
		.node = w->sb.node,
		.role = (uint8_t)raft_role(raft),
		.leader = raft_leader(raft),
		.engine = w->sb.engine,
	};

	for (uint8_t n = 0; n < NODES_MAX; n++)
		status.peer[n] = control_peer_of(w, n);
	control_publish(w->config.control, &status);
}

/* mourn: who has surely ended need not be waited for. One that finds no room is lost. */
static void mourn(struct worker *w)
{
	struct control_obituary o;

	while (control_mourn(w->config.control, &w->service.mourned, &o)) {
		struct membership_event ev = { .kind = MEMBERSHIP_EVENT_OBITUARY,
					       .from = o.node,
					       .incarnation = o.incarnation };

		(void)step(w, &ev);
	}
}

void worker_service_housekeep(struct worker *w)
{
	struct worker_service *s = &w->service;

	if (!hosted(w) || !w->config.control)
		return;
	publish(w);
	mourn(w);
	if (!control_take(w->config.control, &s->command_number, &s->command))
		return;
	s->command.id = (uint64_t)w->sb.incarnation << 32 | s->command_number;
	s->commanded = true;
}

/* ---- start, and what the program asks -------------------------------------------------------- */

uint64_t worker_service_size(const struct worker_config *config)
{
	return config->service && config->worker_index == 0 ? membership_size(&config->membership) :
							      0;
}

void worker_service_init(struct worker *w, void *mem)
{
	struct worker_service *s = &w->service;

	must(!w->config.service || (w->config.views && w->config.clock_ns));
	must(!w->config.service || w->config.board || w->config.worker_count == 1);
	memcpy(s->order.ip, w->config.ip, sizeof(s->order.ip));
	if (!w->config.service || w->config.worker_index != 0)
		return;
	if (w->config.first)
		s->first = *w->config.first;
	s->membership = membership_init(mem, &w->config.membership);
}

bool worker_service_recover(struct worker *w, const struct record *record)
{
	struct raft_record raft;

	if (!hosted(w))
		return false;
	record_to_raft(record, &raft);
	membership_recover(w->service.membership, &raft);
	return true;
}

void worker_service_start(struct worker *w)
{
	bool founds = w->config.first && !w->config.membership.joining;

	if (!hosted(w))
		return;
	w->now_ns = max_u64(w->now_ns, w->config.clock_ns(w->config.clock_context));
	membership_start(w->service.membership, founds ? &w->service.first : NULL, w->now_ns);
	w->service.more = true; /* its first event is a TICK */
	/* Where the nodes were when this one stopped: one that joined once was never told else. */
	order_peers(w);
	post(w);
}

uint32_t worker_ident(const struct superblock *sb)
{
	uint32_t ident = (uint32_t)(sb->device_id ^ sb->device_id >> 32);

	return ident != 0 ? ident : 1;
}

const struct membership *worker_membership(const struct worker *w)
{
	return w->service.membership;
}

bool worker_wants_restart(const struct worker *w, uint32_t *ret_above)
{
	uint64_t restart = atomic_load_explicit(&w->service.restart, memory_order_relaxed);

	if (restart != 0)
		*ret_above = (uint32_t)restart;
	return restart != 0;
}
