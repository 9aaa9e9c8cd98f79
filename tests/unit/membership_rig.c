/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/unit/membership_rig.h"

#include <stdlib.h>

#include "replication/raft_wire.h"

#define JOIN_NS (3 * RIG_MS)
#define RESTART_NS (2 * RIG_MS)

static uint64_t rig_random(struct rig *r)
{
	r->random ^= r->random << 13;
	r->random ^= r->random >> 7;
	r->random ^= r->random << 17;
	return r->random;
}

/* ---- checks ---------------------------------------------------------------------------------- */

static bool is_member(const struct view *v, uint8_t node, uint32_t incarnation)
{
	return (v->members >> node & 1) != 0 && v->incarnation[node] == incarnation;
}

/* M-LEASE-GAP: nobody has installed a view without a member whose lease still runs. */
static void check_leases(const struct rig *r)
{
	for (uint8_t n = 0; n < RIG_NODES; n++) {
		const struct rig_node *holder = &r->node[n];

		if (!holder->up || holder->lease_ns <= r->now_ns || holder->view.epoch == 0)
			continue;
		for (uint8_t i = 0; i < RIG_NODES; i++) {
			const struct view *v = &r->node[i].view;

			if (r->node[i].up && v->epoch > holder->view.epoch)
				must(is_member(v, n, holder->incarnation));
		}
	}
}

/* M-INCARN: a life that is over is never taken for the newest one. */
static void check_incarnations(struct rig *r, uint8_t node)
{
	struct rig_node *n = &r->node[node];

	for (uint8_t i = 0; i < RIG_NODES; i++) {
		uint32_t incarnation = membership_peer(n->service, i)->incarnation;

		must(incarnation >= n->heard[i] || incarnation == 0); /* 0: another disk */
		n->heard[i] = incarnation;
	}
}

static void check_view(struct rig *r, const struct view *v)
{
	struct view *known = &r->view[v->epoch % RIG_VIEWS];
	struct view agreed = *v;

	agreed.first_disk = false; /* each one's own */
	if (known->epoch == v->epoch)
		must(memcmp(known, &agreed, sizeof(agreed)) == 0);
	*known = agreed;
}

/* ---- what a node asks for -------------------------------------------------------------------- */

static void rig_send(struct rig *r, uint8_t from, uint8_t to, const struct raft_message *m)
{
	struct rig_packet *p;
	uint32_t copies = 1 + (rig_random(r) % 1000 < r->double_permille);

	if (r->cut[from][to] || rig_random(r) % 1000 < r->loss_permille)
		return;
	while (copies-- > 0 && r->packets < RIG_PACKETS) {
		p = &r->packet[r->packets++];
		p->due_ns = r->now_ns + r->delay_ns + r->slow_ns[from] + r->slow_ns[to] +
			    rig_random(r) % (r->delay_ns + 1);
		p->from = from;
		p->to = to;
		p->from_incarnation = r->node[from].incarnation;
		p->ident = r->node[from].ident;
		p->bytes = raft_message_bytes(m);
		must(p->bytes <= sizeof(p->data));
		raft_message_encode(p->data, m);
		if (!r->replay)
			r->old[r->olds++ % RIG_OLD] = *p;
	}
}

/* replay: something that was sent long ago arrives once more. */
static void replay(struct rig *r)
{
	uint64_t kept = min_u64(r->olds, RIG_OLD);
	const struct rig_packet *p = &r->old[rig_random(r) % kept];

	r->replay_ns = r->now_ns + RIG_MS / 10;
	if (r->packets < RIG_PACKETS && !r->cut[p->from][p->to]) {
		r->packet[r->packets] = *p;
		r->packet[r->packets++].due_ns = r->now_ns + r->delay_ns;
	}
}

static void keep(struct rig_node *n, const struct membership_action *a)
{
	struct rig_record *k = &n->record[n->records++];

	must(n->records < RIG_RECORDS && a->persist_seq == n->seq_next);
	k->record = a->record;
	k->seq = n->seq_next++;
	if (a->record.entry.bytes)
		memcpy(k->data, a->record.entry.data, a->record.entry.bytes);
	k->record.entry.data = k->data;
}

static void installed(struct rig *r, uint8_t node)
{
	struct rig_node *n = &r->node[node];
	uint8_t bit = (uint8_t)(1u << node);

	n->view = *membership_installed(n->service);
	n->lease_ns = 0;
	check_view(r, &n->view);
	/* A life takes part once: on the disk it began on (R19, CC-12). */
	if ((view_write_set(&n->view) & bit) && n->view.incarnation[node] == n->incarnation) {
		uint32_t *ident = &r->lived[node][n->incarnation % RIG_LIVES];

		must(*ident == 0 || *ident == n->ident);
		*ident = n->ident;
	}
	if ((n->view.shadows & bit) && n->view.incarnation[node] == n->incarnation &&
	    n->joined_ns == UINT64_MAX)
		n->joined_ns = r->now_ns + JOIN_NS;
}

static void execute(struct rig *r, uint8_t node, const struct membership_actions *actions)
{
	struct rig_node *n = &r->node[node];

	for (uint32_t i = 0; i < actions->count; i++) {
		const struct membership_action *a = &actions->list[i];

		switch (a->kind) {
		case MEMBERSHIP_ACTION_SEND:
			for (uint8_t to = 0; to < RIG_NODES; to++)
				if (a->to >> to & 1)
					rig_send(r, node, to, &a->message);
			break;
		case MEMBERSHIP_ACTION_PERSIST:
			keep(n, a);
			if (n->durable_due_ns == UINT64_MAX)
				n->durable_due_ns = r->now_ns + n->disk_ns;
			break;
		case MEMBERSHIP_ACTION_INSTALL:
			installed(r, node);
			break;
		case MEMBERSHIP_ACTION_LEASE:
			n->unleased = a->lease_ns == 0;
			if (a->epoch == n->view.epoch)
				n->lease_ns = a->lease_ns;
			break;
		case MEMBERSHIP_ACTION_RESULT:
			n->result_id = a->id;
			n->result_code = a->code;
			break;
		case MEMBERSHIP_ACTION_NOTE:
			n->notes[a->code]++;
			break;
		case MEMBERSHIP_ACTION_RESTART:
			n->restart_ns = r->now_ns + RESTART_NS;
			if (a->value > n->incarnation)
				n->incarnation = (uint32_t)a->value;
			break;
		case MEMBERSHIP_ACTION_PEERS:
			break;
		}
	}
}

/* hurry: false: nothing is to be told. */
static bool hurry(struct rig *r, struct rig_node *n, struct membership_event *ev)
{
	if (!r->hasty || n->durable == n->seq_next - 1)
		return false;
	n->durable_due_ns = UINT64_MAX;
	n->durable = n->seq_next - 1;
	ev->kind = MEMBERSHIP_EVENT_DURABLE;
	ev->durable_seq = n->durable;
	return true;
}

static void step(struct rig *r, uint8_t node, struct membership_event *ev)
{
	static struct membership_actions actions;
	struct rig_node *n = &r->node[node];
	uint32_t rounds = 0;
	bool again;

	do {
		ev->now_ns = r->now_ns;
		ev->persist_seq_next = n->seq_next;
		again = membership_step(n->service, ev, &actions);
		execute(r, node, &actions);
		ev->kind = MEMBERSHIP_EVENT_TICK;
		must(++rounds < 200);
	} while (hurry(r, n, ev) || again);
	r->steps++;
	membership_check(n->service);
	check_leases(r);
	check_incarnations(r, node);
}

/* ---- life and death -------------------------------------------------------------------------- */

void rig_start(struct rig *r, uint8_t node)
{
	struct rig_node *n = &r->node[node];
	struct membership_config c = r->config;

	n->incarnation++;
	c.node = node;
	c.incarnation = n->incarnation;
	c.ident = n->ident;
	c.seed = r->config.seed + node * 77u + n->incarnation;
	c.joining = n->joining;
	c.engine = n->odd ? ENGINE_HERMES + ENGINE_RAFT - r->first.engine : r->first.engine;
	if (n->own_lease_ns != 0)
		c.lease_ns = n->own_lease_ns;
	free(n->mem);
	n->mem = calloc(1, membership_size(&c));
	must(n->mem != NULL);
	n->service = membership_init(n->mem, &c);
	for (uint32_t i = 0; i < n->records; i++)
		membership_recover(n->service, &n->record[i].record);
	membership_start(n->service, &r->first, r->now_ns);
	n->up = n->exists = true;
	n->seq_next = 1;
	n->durable = 0;
	n->durable_due_ns = UINT64_MAX;
	n->restart_ns = 0;
	n->paused_ns = 0;
	n->joined_ns = UINT64_MAX;
	n->health_ns = 0;
	memset(&n->view, 0, sizeof(n->view));
	memset(n->heard, 0, sizeof(n->heard));
	n->lease_ns = 0;
	n->unleased = false;
}

void rig_kill(struct rig *r, uint8_t node)
{
	struct rig_node *n = &r->node[node];
	uint32_t kept = 0;

	must(n->up);
	n->up = false;
	/* What was appended and is not durable is lost; sequences begin anew with every start. */
	for (uint32_t i = 0; i < n->records; i++)
		if (n->record[i].seq <= n->durable)
			kept = i + 1;
	n->records = kept;
	for (uint32_t i = 0; i < n->records; i++)
		n->record[i].seq = 0;
}

void rig_bury(struct rig *r, uint8_t node, uint8_t told)
{
	struct membership_event ev = {
		.kind = MEMBERSHIP_EVENT_OBITUARY, .from = node,
		.incarnation = r->node[node].incarnation,
	};

	must(!r->node[node].up);
	if (r->node[told].up)
		step(r, told, &ev);
}

void rig_new_disk(struct rig *r, uint8_t node)
{
	struct rig_node *n = &r->node[node];

	must(!n->up);
	if (!n->record)
		n->record = calloc(RIG_RECORDS, sizeof(*n->record));
	n->records = 0;
	n->incarnation = 0;
	n->ident += 100;
	n->joining = true;
	n->disk_ns = 50000;
}

void rig_pause(struct rig *r, uint8_t node, uint64_t ns)
{
	r->node[node].paused_ns = r->now_ns + ns;
}

void rig_cut(struct rig *r, uint8_t a, uint8_t b, bool is_cut)
{
	r->cut[a][b] = r->cut[b][a] = is_cut;
}

void rig_isolate(struct rig *r, uint8_t node, bool is_cut)
{
	for (uint8_t n = 0; n < RIG_NODES; n++)
		rig_cut(r, node, n, is_cut);
}

/* ---- time ------------------------------------------------------------------------------------ */

static void give_health(struct rig *r, uint8_t node)
{
	struct rig_node *n = &r->node[node];
	struct membership_health h = {
		.epoch = n->view.epoch,
		.joined = r->now_ns >= n->joined_ns,
		.progress = true,
		.unleased = n->unleased,
		.heard = 0x7f,
		.stuck = n->stuck,
		.groups = n->groups,
		.disk_ns = n->disk_ns,
	};
	struct membership_event ev = { .kind = MEMBERSHIP_EVENT_HEALTH, .health = &h };

	n->health_ns = r->now_ns + r->config.heartbeat_ns;
	step(r, node, &ev);
}

static void turn(struct rig *r, uint8_t node)
{
	struct rig_node *n = &r->node[node];
	struct membership_event ev = { .kind = MEMBERSHIP_EVENT_TICK };

	if (n->durable_due_ns <= r->now_ns) {
		n->durable_due_ns = UINT64_MAX;
		n->durable = n->seq_next - 1;
		ev.kind = MEMBERSHIP_EVENT_DURABLE;
		ev.durable_seq = n->durable;
		step(r, node, &ev);
	}
	if (n->health_ns <= r->now_ns)
		give_health(r, node);
	ev.kind = MEMBERSHIP_EVENT_TICK;
	if (membership_deadline_ns(n->service) <= r->now_ns)
		step(r, node, &ev);
	if (n->restart_ns != 0 && n->restart_ns <= r->now_ns) {
		rig_kill(r, node);
		rig_start(r, node);
	}
}

static void deliver(struct rig *r, uint32_t index)
{
	struct rig_packet p = r->packet[index];
	struct rig_node *n = &r->node[p.to];
	struct raft_message m;
	struct membership_event ev = {
		.kind = MEMBERSHIP_EVENT_MESSAGE, .from = p.from,
		.incarnation = p.from_incarnation, .ident = p.ident, .message = &m,
	};
	uint32_t offset = 0;

	r->packet[index] = r->packet[--r->packets];
	must(raft_message_decode(p.data, p.bytes, &offset, &m) == WIRE_OK);
	if (n->up && membership_accepts(n->service, p.from, p.from_incarnation))
		step(r, p.to, &ev);
}

static uint64_t due_of(const struct rig_node *n)
{
	uint64_t due_ns = min_u64(n->durable_due_ns, n->health_ns);

	due_ns = min_u64(due_ns, membership_deadline_ns(n->service));
	if (n->restart_ns != 0)
		due_ns = min_u64(due_ns, n->restart_ns);
	return max_u64(due_ns, n->paused_ns);
}

/* next: one thing happens, at its time, but not after `end`. false: nothing until then. */
static bool next(struct rig *r, uint64_t end_ns)
{
	uint64_t best_ns = UINT64_MAX;
	uint32_t packet = UINT32_MAX;
	uint8_t node = 0;

	for (uint8_t n = 0; n < RIG_NODES; n++) {
		if (r->node[n].up && due_of(&r->node[n]) < best_ns) {
			best_ns = due_of(&r->node[n]);
			node = n;
		}
	}
	for (uint32_t i = 0; i < r->packets; i++) {
		const struct rig_node *to = &r->node[r->packet[i].to];
		uint64_t due_ns = max_u64(r->packet[i].due_ns, to->paused_ns);

		if (due_ns < best_ns) {
			best_ns = due_ns;
			packet = i;
		}
	}
	if (r->replay && max_u64(r->replay_ns, r->now_ns) < min_u64(best_ns, end_ns)) {
		r->now_ns = max_u64(r->replay_ns, r->now_ns);
		replay(r);
		return true;
	}
	if (best_ns > end_ns)
		return false;
	r->now_ns = max_u64(r->now_ns, best_ns);
	if (packet != UINT32_MAX)
		deliver(r, packet);
	else
		turn(r, node);
	return true;
}

void rig_run(struct rig *r, uint64_t ns)
{
	uint64_t end_ns = r->now_ns + ns;

	while (next(r, end_ns))
		continue;
	r->now_ns = end_ns;
}

bool rig_until(struct rig *r, bool (*condition)(struct rig *r, uint32_t argument),
	       uint32_t argument, uint64_t ns)
{
	uint64_t end_ns = r->now_ns + ns;

	while (!condition(r, argument)) {
		if (!next(r, end_ns))
			return false;
	}
	return true;
}

uint8_t rig_command(struct rig *r, uint8_t node, struct membership_command c)
{
	struct membership_event ev = { .kind = MEMBERSHIP_EVENT_COMMAND, .command = &c };
	uint64_t end_ns = r->now_ns + 5000 * RIG_MS;

	c.id = ++r->command_id;
	step(r, node, &ev);
	while (r->node[node].result_id != c.id)
		if (!next(r, end_ns))
			return UINT8_MAX;
	return r->node[node].result_code;
}

/* ---- making ---------------------------------------------------------------------------------- */

struct rig *rig_prepare(uint32_t data, uint32_t witnesses, enum membership_engine engine)
{
	struct rig *r = calloc(1, sizeof(*r));

	must(r != NULL && data + witnesses <= RIG_NODES);
	r->packet = calloc(RIG_PACKETS, sizeof(*r->packet));
	r->old = calloc(RIG_OLD, sizeof(*r->old));
	must(r->packet != NULL && r->old != NULL);
	r->random = 88172645463325252ull;
	r->delay_ns = 20000;
	r->now_ns = RIG_MS;
	r->config = (struct membership_config){
		.seed = 1, .heartbeat_ns = 2 * RIG_MS, .election_ns = 20 * RIG_MS,
		.lease_ns = 60 * RIG_MS, .detect_ns = 30 * RIG_MS, .recover_ns = 1000 * RIG_MS,
		.holddown_ns = 2000 * RIG_MS, .slow_ns = 250 * RIG_MS,
		.slow_floor_ns = 5 * RIG_MS, .slow_factor = 20, .drift_ppm = 500,
	};
	r->first.revision = r->first.epoch = 1;
	r->first.engine = (uint8_t)engine;
	r->first.copies_min = data > 2 ? 2 : 1;
	for (uint8_t n = 0; n < RIG_NODES; n++) {
		r->node[n].ident = n + 1u;
		r->node[n].disk_ns = 50000;
		if (n >= data + witnesses)
			continue;
		r->first.node[n].want = n < data ? WANT_DATA : WANT_WITNESS;
		r->first.node[n].ip = 0x0a000001u + n;
		r->first.node[n].name[0] = (char)('a' + n);
		r->node[n].record = calloc(RIG_RECORDS, sizeof(*r->node[n].record));
		must(r->node[n].record != NULL);
	}
	return r;
}

void rig_found(struct rig *r)
{
	for (uint8_t n = 0; n < RIG_NODES; n++)
		if (r->first.node[n].want != WANT_NONE)
			rig_start(r, n);
}

struct rig *rig_create(uint32_t data, uint32_t witnesses, enum membership_engine engine)
{
	struct rig *r = rig_prepare(data, witnesses, engine);

	rig_found(r);
	return r;
}

void rig_destroy(struct rig *r)
{
	for (uint8_t n = 0; n < RIG_NODES; n++) {
		free(r->node[n].mem);
		free(r->node[n].record);
	}
	free(r->packet);
	free(r->old);
	free(r);
}

/* ---- conditions ------------------------------------------------------------------------------ */

uint8_t rig_leader(const struct rig *r)
{
	uint8_t leader = RAFT_NODE_NONE;
	uint32_t term = 0;

	for (uint8_t n = 0; n < RIG_NODES; n++) {
		const struct raft *raft;

		if (!r->node[n].up)
			continue;
		raft = membership_raft(r->node[n].service);
		if (raft_role(raft) != RAFT_LEADER || raft_term(raft) < term)
			continue;
		term = raft_term(raft);
		leader = n;
	}
	return leader;
}

const struct membership_state *rig_newest(const struct rig *r)
{
	const struct membership_state *newest = &r->first;

	for (uint8_t n = 0; n < RIG_NODES; n++) {
		const struct membership_state *s;

		if (!r->node[n].up)
			continue;
		s = membership_state(r->node[n].service);
		if (s->revision > newest->revision)
			newest = s;
	}
	return newest;
}

bool rig_members(struct rig *r, uint32_t members)
{
	const struct membership_state *s = rig_newest(r);

	if (s->members != members || s->shadows != 0)
		return false;
	for (uint8_t n = 0; n < RIG_NODES; n++)
		if ((members >> n & 1) && r->node[n].view.epoch != s->epoch)
			return false;
	return true;
}

bool rig_led(struct rig *r, uint32_t ignored)
{
	(void)ignored;
	return rig_leader(r) != RAFT_NODE_NONE;
}

bool rig_leased(struct rig *r, uint32_t nodes)
{
	for (uint8_t n = 0; n < RIG_NODES; n++)
		if ((nodes >> n & 1) && (!r->node[n].up || r->node[n].lease_ns <= r->now_ns))
			return false;
	return true;
}
