/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/unit/raft_rig.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

struct rig rig;

void rig_config(struct raft_config *ret_config, uint8_t node)
{
	*ret_config = (struct raft_config) {
		.seed = 7 + node,
		.heartbeat_ns = HEARTBEAT,
		.election_ns = ELECTION,
		.disk_ns = 200 * MS,
		.incarnation = 1,
		.entries_max = 64,
		.bytes_max = 64u * RAFT_ENTRY_BYTES_MAX,
		.open_max = 16,
		.inflight_max = 8,
		.reads_max = 16,
		.drift_ppm = 500,
		.node = node,
	};
}

static void rig_make(struct rig_node *n)
{
	uint64_t bytes = raft_size(&n->config);

	free(n->mem);
	n->mem = aligned_alloc(16, round_up(bytes, 16));
	assert_non_null(n->mem);
	memset(n->mem, 0xee, bytes); /* it must not count on zeroed memory */
	n->raft = raft_init(n->mem, &n->config);
}

/* rig_recover: what the log holds, in order; room is made as the contract says. */
static void rig_recover(struct rig_node *n)
{
	struct raft_actions a;

	for (uint32_t i = 0; i < n->records_count; i++) {
		uint64_t apply = raft_recover_apply(n->raft);

		if (apply > 0) {
			struct raft_event ev = { .kind = RAFT_EVENT_COMPACT, .index = apply };

			raft_step(n->raft, &ev, &a);
			assert_int_equal(a.count, 0);
		}
		raft_recover(n->raft, &n->records[i].record);
	}
}

void rig_boot(uint8_t node, bool member)
{
	struct rig_node *n = &rig.node[node];

	rig_make(n);
	rig_recover(n);
	if (n->records_count == 0 && member)
		raft_bootstrap(n->raft, &rig.founding, (const uint8_t *)"first", 5);
	raft_start(n->raft, rig.now_ns);
	n->applied = raft_commit(n->raft);
	n->reads_count = 0;
	n->up = true;
}

void rig_start(uint32_t count, const struct raft_conf *conf)
{
	rig_end();
	rig.count = count;
	rig.now_ns = 1000 * MS;
	rig.founding = *conf;
	rig.packets = calloc(RIG_PACKETS, sizeof(*rig.packets));
	assert_non_null(rig.packets);
	for (uint8_t i = 0; i < count; i++) {
		struct rig_node *n = &rig.node[i];

		rig_config(&n->config, i);
		n->seq_next = 1;
		n->records = calloc(RIG_RECORDS, sizeof(*n->records));
		assert_non_null(n->records);
		rig_boot(i, (conf->voters | conf->learners) & raft_bit(i));
	}
}

void rig_end(void)
{
	for (uint32_t i = 0; i < NODES_MAX; i++) {
		free(rig.node[i].mem);
		free(rig.node[i].records);
	}
	free(rig.packets);
	memset(&rig, 0, sizeof(rig));
}

void rig_crash(uint8_t node)
{
	struct rig_node *n = &rig.node[node];
	uint32_t kept = 0;

	while (kept < n->records_count && n->records[kept].seq <= n->seq_durable)
		kept++;
	n->records_count = kept;
	n->up = false;
}

void rig_restart(uint8_t node)
{
	rig.node[node].config.incarnation++;
	rig_boot(node, (rig.founding.voters | rig.founding.learners) & raft_bit(node));
}

static void rig_keep(struct rig_node *n, const struct raft_action *action)
{
	struct rig_record *rec = &n->records[n->records_count++];

	assert_true(n->records_count <= RIG_RECORDS);
	assert_int_equal(action->persist_seq, n->seq_next);
	rec->record = action->record;
	rec->seq = n->seq_next++;
	if (rec->record.kind != RAFT_RECORD_HARD && rec->record.entry.bytes)
		memcpy(rec->data, action->record.entry.data, rec->record.entry.bytes);
	rec->record.entry.data = rec->data;
}

static void rig_send(uint8_t from, uint8_t to, const struct raft_message *m)
{
	struct rig_packet *p = &rig.packets[rig.packets_count];
	uint8_t frame[RAFT_HEAD_BYTES + RAFT_PAYLOAD_MAX];
	uint32_t offset = 0, bytes = raft_message_bytes(m);

	assert_int_not_equal(from, to);
	assert_int_equal(m->type == RAFT_PRE_VOTE || m->type == RAFT_PRE_VOTE_ACK ||
				 m->term == raft_term(rig.node[from].raft),
			 1);
	if (to >= rig.count || rig.packets_count == RIG_PACKETS)
		return;
	raft_message_encode(frame, m);
	p->from = from;
	p->to = to;
	assert_int_equal(raft_message_decode(frame, bytes, &offset, &p->message), WIRE_OK);
	memcpy(p->data, frame + RAFT_HEAD_BYTES, bytes - RAFT_HEAD_BYTES);
	if (p->message.entry.index)
		p->message.entry.data = p->data;
	p->message.payload = p->data;
	rig.packets_count++;
}

static void rig_act(uint8_t node, const struct raft_action *action)
{
	struct rig_node *n = &rig.node[node];

	switch (action->kind) {
	case RAFT_ACTION_SEND:
		for (uint8_t to = 0; to < NODES_MAX; to++) {
			if (action->to & raft_bit(to))
				rig_send(node, to, &action->message);
		}
		return;
	case RAFT_ACTION_PERSIST:
		rig_keep(n, action);
		return;
	case RAFT_ACTION_READ:
		assert_true(n->reads_count < RIG_READS);
		n->read_id[n->reads_count] = action->id;
		n->read_index[n->reads_count++] = action->index;
		return;
	case RAFT_ACTION_RESTORE:
		n->restore = action->message.index;
		return;
	case RAFT_ACTION_ROLE:
		n->roles++;
		return;
	}
}

/* rig_apply: what a node knows to be committed is the same everywhere (R-STATE-SAFE). */
static void rig_apply(struct rig_node *n)
{
	uint64_t commit = raft_commit(n->raft);

	assert_true(commit >= n->applied);
	if (n->applied < raft_base(n->raft))
		n->applied = raft_base(n->raft);
	for (; n->applied < commit; n->applied++) {
		uint32_t *chosen = &rig.chosen[n->applied + 1];
		struct raft_entry e;

		assert_true(n->applied + 1 < RIG_INDEX_MAX);
		raft_entry(n->raft, n->applied + 1, &e);
		if (*chosen == 0)
			*chosen = e.term;
		assert_int_equal(*chosen, e.term);
	}
}

void rig_event(uint8_t node, struct raft_event *ev)
{
	struct rig_node *n = &rig.node[node];
	struct raft_event tick = { .kind = RAFT_EVENT_TICK };
	bool more = true;
	uint32_t steps = 0;

	assert_true(n->up);
	for (; more; ev = &tick) {
		uint64_t proposed = n->actions.proposed;

		ev->now_ns = rig.now_ns;
		ev->persist_seq_next = n->seq_next;
		more = raft_step(n->raft, ev, &n->actions);
		for (uint32_t i = 0; i < n->actions.count; i++)
			rig_act(node, &n->actions.list[i]);
		raft_check(n->raft);
		rig_apply(n);
		if (ev == &tick)
			n->actions.proposed = proposed;
		assert_true(++steps < 100);
	}
	if (n->restore != 0 && !n->no_restore) {
		struct raft_event done = { .kind = RAFT_EVENT_RESTORED, .index = n->restore };

		n->restore = 0;
		rig_event(node, &done);
	}
	if (raft_wants_compact(n->raft) != 0)
		rig_compact(node, raft_wants_compact(n->raft), "wanted");
	if (!n->slow_disk && n->seq_durable + 1 < n->seq_next)
		rig_disk(node);
}

void rig_tick(uint8_t node)
{
	struct raft_event ev = { .kind = RAFT_EVENT_TICK };

	rig_event(node, &ev);
}

void rig_disk(uint8_t node)
{
	struct rig_node *n = &rig.node[node];
	struct raft_event ev = { .kind = RAFT_EVENT_DURABLE, .durable_seq = n->seq_next - 1 };

	n->seq_durable = n->seq_next - 1;
	rig_event(node, &ev);
}

uint64_t rig_propose(uint8_t node, const char *text)
{
	struct raft_event ev = { .kind = RAFT_EVENT_PROPOSE,
				 .data = (const uint8_t *)text,
				 .bytes = (uint32_t)strlen(text) };
	uint64_t last = raft_last(rig.node[node].raft);

	rig_event(node, &ev);
	return raft_last(rig.node[node].raft) > last ? raft_last(rig.node[node].raft) : 0;
}

uint64_t rig_configure(uint8_t node, struct raft_conf conf)
{
	struct raft_event ev = { .kind = RAFT_EVENT_CONFIGURE, .conf = conf };
	uint64_t last = raft_last(rig.node[node].raft);

	rig_event(node, &ev);
	return raft_last(rig.node[node].raft) > last ? last + 1 : 0;
}

void rig_read(uint8_t node, uint64_t id)
{
	struct raft_event ev = { .kind = RAFT_EVENT_READ, .id = id };

	rig_event(node, &ev);
}

void rig_transfer(uint8_t node, uint8_t to)
{
	struct raft_event ev = { .kind = RAFT_EVENT_TRANSFER, .node = to };

	rig_event(node, &ev);
}

void rig_compact(uint8_t node, uint64_t index, const char *state)
{
	struct raft_event ev = { .kind = RAFT_EVENT_COMPACT,
				 .index = index,
				 .data = (const uint8_t *)state,
				 .bytes = (uint32_t)strlen(state) };

	rig_event(node, &ev);
}

void rig_hold(uint8_t node, uint64_t index)
{
	struct raft_event ev = { .kind = RAFT_EVENT_HOLD, .index = index };

	rig_event(node, &ev);
}

void rig_message(uint8_t node, uint8_t from, const struct raft_message *m)
{
	struct raft_event ev = { .kind = RAFT_EVENT_MESSAGE, .from = from, .message = m };

	rig_event(node, &ev);
}

bool rig_deliver(void)
{
	while (rig.packets_count > 0) {
		struct rig_packet p = rig.packets[0];

		memmove(rig.packets, rig.packets + 1, --rig.packets_count * sizeof(p));
		for (uint32_t i = 0; i < rig.packets_count; i++) {
			struct rig_packet *q = &rig.packets[i];

			q->message.payload = q->data;
			if (q->message.entry.index)
				q->message.entry.data = q->data;
		}
		p.message.payload = p.data;
		if (p.message.entry.index)
			p.message.entry.data = p.data;
		if (!rig.node[p.to].up || !rig.node[p.from].up ||
		    (rig.cut[p.from] & raft_bit(p.to)))
			continue;
		rig_message(p.to, p.from, &p.message);
		return true;
	}
	return false;
}

void rig_settle(void)
{
	while (rig_deliver())
		;
}

uint32_t rig_drop(uint8_t to, uint8_t type)
{
	uint32_t kept = 0, all = rig.packets_count;

	for (uint32_t i = 0; i < all; i++) {
		struct rig_packet *p = &rig.packets[i];

		if ((to == RAFT_NODE_ANY || p->to == to) && p->message.type == type)
			continue;
		if (kept != i)
			rig.packets[kept] = *p;
		kept++;
	}
	rig.packets_count = kept;
	return all - kept;
}

const struct raft_message *rig_find(uint8_t from, uint8_t to, uint8_t type)
{
	for (uint32_t i = rig.packets_count; i-- > 0;) {
		const struct rig_packet *p = &rig.packets[i];

		if (p->from == from && p->to == to && p->message.type == type)
			return &p->message;
	}
	return NULL;
}

uint32_t rig_count(uint8_t type)
{
	uint32_t count = 0;

	for (uint32_t i = 0; i < rig.packets_count; i++)
		count += rig.packets[i].message.type == type;
	return count;
}

void rig_pass(uint64_t ns)
{
	rig.now_ns += ns;
}

void rig_run(uint64_t ns)
{
	uint64_t end = rig.now_ns + ns;

	for (;;) {
		uint64_t next = end;

		rig_settle();
		for (uint8_t i = 0; i < rig.count; i++) {
			if (rig.node[i].up)
				next = min_u64(next, raft_deadline_ns(rig.node[i].raft));
		}
		rig.now_ns = max_u64(next, rig.now_ns);
		for (uint8_t i = 0; i < rig.count; i++) {
			if (rig.node[i].up && raft_deadline_ns(rig.node[i].raft) <= rig.now_ns) {
				rig_tick(i);
				/* A deadline that stays in the past would have its user spin. */
				assert_true(raft_deadline_ns(rig.node[i].raft) > rig.now_ns);
			}
		}
		if (next >= end)
			break;
	}
	rig_settle();
}

void rig_cut(uint8_t a, uint8_t b)
{
	rig.cut[a] |= raft_bit(b);
	rig.cut[b] |= raft_bit(a);
}

void rig_isolate(uint8_t node)
{
	for (uint8_t i = 0; i < rig.count; i++) {
		if (i != node)
			rig_cut(node, i);
	}
}

void rig_heal(void)
{
	memset(rig.cut, 0, sizeof(rig.cut));
}

void rig_lead(uint8_t node)
{
	for (uint32_t i = 0; i < 200 && !raft_ready(rig.node[node].raft); i++) {
		struct raft *r = rig.node[node].raft;

		rig_settle();
		rig.now_ns = max_u64(rig.now_ns, raft_deadline_ns(r));
		rig_tick(node);
		rig_settle();
	}
	assert_true(raft_ready(rig.node[node].raft));
}

uint8_t rig_leader(void)
{
	uint8_t leader = RAFT_NODE_NONE;

	for (uint8_t i = 0; i < rig.count; i++) {
		const struct raft *r = rig.node[i].raft;

		if (!rig.node[i].up || raft_role(r) != RAFT_LEADER)
			continue;
		if (leader == RAFT_NODE_NONE || raft_term(r) > raft_term(rig.node[leader].raft))
			leader = i;
	}
	return leader;
}

uint64_t rig_read_of(uint8_t node, uint64_t id)
{
	const struct rig_node *n = &rig.node[node];
	uint64_t index = UINT64_MAX;

	for (uint32_t i = 0; i < n->reads_count; i++) {
		if (n->read_id[i] != id)
			continue;
		assert_int_equal(index, UINT64_MAX); /* answered once */
		index = n->read_index[i];
	}
	return index;
}
