/* SPDX-License-Identifier: Apache-2.0 */
/* rig.c: the lives of the members, their clocks, and one step of one of them. */
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include "tests/raft/rig_priv.h"

static void *memory(size_t count, size_t size)
{
	void *p = calloc(count, size);

	if (!p) {
		fputs("raft rig: out of memory\n", stderr);
		exit(1);
	}
	return p;
}

struct rig *rig_create(const struct rig_driver *driver, void *of)
{
	struct rig *rig = memory(1, sizeof(*rig));

	rig->driver = driver;
	rig->of = of;
	rig->committed = memory(RIG_INDEX_MAX, sizeof(rig->committed[0]));
	rig->pairs = memory(RIG_PAIRS, sizeof(rig->pairs[0]));
	rig->leaders = memory(RIG_TERM_MAX, 1);
	rig->leader_lives = memory(RIG_TERM_MAX, sizeof(rig->leader_lives[0]));
	for (uint8_t i = 0; i < NODES_MAX; i++) {
		struct rig_node *n = &rig->node[i];

		n->node = i;
		n->records = memory(RIG_RECORDS, sizeof(n->records[0]));
		n->arena = memory(RIG_ARENA_BYTES, 1);
		n->mirror.log = memory(RIG_INDEX_MAX, sizeof(n->mirror.log[0]));
		n->votes = memory(RIG_TERM_MAX, 1);
		n->lost_votes = memory(RIG_TERM_MAX, 1);
	}
	return rig;
}

void rig_destroy(struct rig *rig)
{
	for (uint32_t i = 0; i < NODES_MAX; i++) {
		struct rig_node *n = &rig->node[i];

		free(n->mem);
		free(n->records);
		free(n->arena);
		free(n->mirror.log);
		free(n->votes);
		free(n->lost_votes);
	}
	free(rig->committed);
	free(rig->pairs);
	free(rig->leaders);
	free(rig->leader_lives);
	free(rig);
}

void rig_fail(struct rig *rig, const char *format, ...)
{
	va_list arguments;

	if (rig->failed)
		return;
	rig->failed = true;
	va_start(arguments, format);
	vsnprintf(rig->failure, sizeof(rig->failure), format, arguments);
	va_end(arguments);
}

/* node_begin: a node of a new run; the memory stays. */
static void node_begin(struct rig *rig, struct rig_node *n, const struct raft_config *config)
{
	struct rig_node old = *n;
	uint64_t size;

	*n = (struct rig_node) { .node = old.node,
				 .records = old.records,
				 .arena = old.arena,
				 .votes = old.votes,
				 .lost_votes = old.lost_votes,
				 .mem = old.mem,
				 .mirror.log = old.mirror.log };
	n->config = *config;
	n->config.node = n->node;
	n->config.seed = config->seed ^ rng_mix(n->node + 1u);
	n->first = ((rig->bootstrap.voters | rig->bootstrap.learners) >> n->node & 1) != 0;
	n->witness = (rig->bootstrap.witnesses >> n->node & 1) != 0;
	n->seq_next = 1;
	n->leader = RAFT_NODE_NONE;
	n->read_next = 1;
	memset(n->votes, 0, RIG_TERM_MAX);
	memset(n->lost_votes, 0, RIG_TERM_MAX);
	free(n->mem);
	size = raft_size(&n->config);
	n->mem = memory(1, size + 16);
	rig_log_begin(rig, n);
}

void rig_begin(struct rig *rig, uint32_t nodes, const struct raft_conf *conf,
	       const struct raft_config *config)
{
	rig->run++;
	rig->now_ns = 0;
	rig->nodes = nodes;
	rig->bootstrap = *conf;
	rig->leader_term_max = 0;
	rig->last_max = rig->commit_max = 1;
	rig->failed = false;
	rig->digest = 0;
	memset(rig->leaders, 0, RIG_TERM_MAX);
	memset(rig->committed, 0, RIG_INDEX_MAX * sizeof(rig->committed[0]));
	rig->committed[1] = (struct rig_committed) {
		.chain = rig_first_chain(), .term = 1, .by_term = 1, .conf = *conf
	};
	if (rig->state_bytes < RIG_STATE_BYTES)
		rig->state_bytes = RIG_STATE_BYTES;
	for (uint32_t i = 0; i < nodes; i++)
		node_begin(rig, &rig->node[i], config);
}

uint64_t rig_clock(const struct rig *rig, uint8_t node)
{
	const struct rig_node *n = &rig->node[node];
	int64_t spent = (int64_t)(rig->now_ns - n->clock_real);

	return n->clock_local + (uint64_t)(spent + spent / 1000 * n->rate_ppb / 1000000);
}

uint64_t rig_real(const struct rig *rig, uint8_t node, uint64_t local)
{
	const struct rig_node *n = &rig->node[node];
	int64_t spent;

	if (local <= n->clock_local)
		return n->clock_real;
	if (local - n->clock_local > 1000000000000000ull)
		return n->clock_real + 1000000000000000ull;
	spent = (int64_t)(local - n->clock_local);
	return n->clock_real + (uint64_t)(spent - spent / 1000 * n->rate_ppb / 1000000);
}

/* state: of a snapshot at an index that was committed. */
static void make_state(const struct rig *rig, uint64_t index, uint8_t *out)
{
	store_u64(out, index);
	store_u64(out + 8, rig->committed[index].chain);
	for (uint32_t i = RIG_STATE_BYTES; i < rig->state_bytes; i++)
		out[i] = (uint8_t)(index * 7 + i);
}

static bool state_is_right(const struct rig *rig, uint64_t index, const uint8_t *data,
			   uint32_t bytes)
{
	uint8_t state[RAFT_PAYLOAD_MAX];

	make_state(rig, index, state);
	return bytes == rig->state_bytes && memcmp(state, data, bytes) == 0;
}

/* look: remembers what the node looks like from outside. */
static void look(struct rig_node *n)
{
	n->role = raft_role(n->raft);
	n->term = raft_term(n->raft);
	n->leader = raft_leader(n->raft);
	n->commit = raft_commit(n->raft);
}

/* recover_apply: memory does not hold the whole log; what is certain goes first. */
static void recover_apply(struct rig *rig, struct rig_node *n)
{
	static uint8_t state[RAFT_PAYLOAD_MAX];
	uint64_t index = raft_recover_apply(n->raft);
	struct raft_event event = { .kind = RAFT_EVENT_COMPACT, .index = index };

	if (index == 0)
		return;
	if (index > rig->commit_max) {
		rig_fail(rig,
			 "R-APPLY-ONCE: %c is to apply up to %llu in recovery, committed: %llu",
			 rig_letter(n->node), (unsigned long long)index,
			 (unsigned long long)rig->commit_max);
		return;
	}
	rig_apply(rig, n->node, index);
	make_state(rig, index, state);
	event.data = state;
	event.bytes = rig->state_bytes;
	event.now_ns = rig_clock(rig, n->node);
	event.persist_seq_next = n->seq_next;
	raft_step(n->raft, &event, &rig->actions);
	if (rig->actions.count != 0)
		rig_fail(rig, "R-PERSIST-VIEW: %c acts before raft_start", rig_letter(n->node));
}

static void recover(struct rig *rig, struct rig_node *n)
{
	struct raft_record record;

	for (uint32_t i = 0; i < n->record_count && !rig->failed; i++) {
		recover_apply(rig, n);
		rig_log_record(n, i, &record);
		raft_recover(n->raft, &record);
		if (record.kind != RAFT_RECORD_SNAPSHOT || record.entry.index < n->applied)
			continue;
		n->applied = record.entry.index;
		n->chain = rig->committed[n->applied].chain;
		if (!state_is_right(rig, n->applied, record.entry.data + RAFT_CONF_BYTES,
				    record.entry.bytes - RAFT_CONF_BYTES))
			rig_fail(rig, "R-STATE-SAFE: %c has a wrong state on disk at %llu",
				 rig_letter(n->node), (unsigned long long)n->applied);
	}
	recover_apply(rig, n);
}

void rig_start(struct rig *rig, uint8_t node)
{
	static uint8_t state[RAFT_PAYLOAD_MAX];
	struct rig_node *n = &rig->node[node];

	must(!n->up);
	n->life++;
	n->config.incarnation = n->life;
	n->config.seed = rng_mix(n->config.seed);
	n->raft = raft_init((uint8_t *)n->mem + (-(uintptr_t)n->mem & 15), &n->config);
	n->applied = n->told_seq = 0;
	n->failed = n->restoring = false;
	n->start_ns = rig_clock(rig, node);
	n->hold = 0;
	n->heard_ns = n->heard_round = 0;
	n->heard_term = n->transfer_term = 0;
	n->reads_open = 0;
	memset(n->reads, 0, sizeof(n->reads));
	n->durable_count = n->told_count = n->record_count;
	if (n->first) {
		make_state(rig, 1, state);
		raft_bootstrap(n->raft, &rig->bootstrap, state, rig->state_bytes);
		n->applied = 1;
		n->chain = rig_first_chain();
	}
	rig_log_rebuild(rig, n);
	recover(rig, n);
	n->up = true;
	if (rig->failed)
		return;
	raft_start(n->raft, rig_clock(rig, node));
	look(n);
	rig_watch_recovered(rig, n);
}

void rig_crash(struct rig *rig, uint8_t node, uint32_t keep)
{
	struct rig_node *n = &rig->node[node];

	must(n->up && keep >= n->durable_count && keep <= n->record_count);
	n->record_count = n->durable_count = n->told_count = keep;
	n->arena_used = keep == 0 ? 0 : n->records[keep - 1].offset + n->records[keep - 1].bytes;
	n->up = false;
	rig->crashes++;
}

/* rig_may_wipe: nobody's newest conf that could still win anything counts the node. */
bool rig_may_wipe(const struct rig *rig, uint8_t node)
{
	const struct raft_conf *c = &rig->committed[rig->commit_max].conf;
	uint8_t bit = (uint8_t)(1u << node);

	if (((c->voters | c->voters_old | c->learners) & bit) != 0 || c->voters_old != 0)
		return false;
	for (uint32_t i = 0; i < rig->nodes; i++) {
		const struct rig_mirror *m = &rig->node[i].mirror;
		const struct raft_conf *own = &m->log[m->last].conf;

		if (m->last > rig->commit_max &&
		    ((own->voters | own->voters_old | own->learners) & bit) != 0)
			return false;
	}
	return true;
}

void rig_wipe(struct rig *rig, uint8_t node)
{
	struct rig_node *n = &rig->node[node];

	must(!n->up);
	n->first = false;
	n->wipes++;
	n->promised_term = 0;
	memcpy(n->lost_votes, n->votes, RIG_TERM_MAX);
	memset(n->votes, 0, RIG_TERM_MAX);
	rig_log_begin(rig, n);
	rig->wipes++;
}

/* restore: the core asks the user to take a snapshot over. */
static void restore(struct rig *rig, struct rig_node *n, const struct raft_message *message)
{
	const uint8_t *state = message->payload + RAFT_CONF_BYTES;

	rig_watch_restore(rig, n, message);
	if (rig->failed)
		return;
	if (!state_is_right(rig, message->index, state, message->payload_bytes - RAFT_CONF_BYTES))
		rig_fail(rig, "R-STATE-SAFE: %c gets a wrong state for %llu", rig_letter(n->node),
			 (unsigned long long)message->index);
	n->restore_index = message->index;
	n->restore_chain = rig->committed[message->index].chain;
	n->restoring = true;
	rig->snapshots++;
	rig->driver->restore(rig, n->node);
}

static void send(struct rig *rig, struct rig_node *n, const struct raft_action *action)
{
	rig_watch_send(rig, n, action);
	for (uint8_t to = 0; to < rig->nodes && !rig->failed; to++) {
		if (action->to >> to & 1)
			rig->driver->send(rig, n->node, to, &action->message);
	}
}

/* act: the actions of one raft_step, in order. */
static void act(struct rig *rig, struct rig_node *n, bool *ret_role, bool *ret_hard)
{
	for (uint32_t i = 0; i < rig->actions.count && !rig->failed; i++) {
		const struct raft_action *a = &rig->actions.list[i];

		if (a->kind == RAFT_ACTION_SEND) {
			send(rig, n, a);
		} else if (a->kind == RAFT_ACTION_PERSIST) {
			if (a->persist_seq != n->seq_next || n->failed)
				rig_fail(rig, "R-DURABLE-ACK: %c persists under a wrong number",
					 rig_letter(n->node));
			rig_log_append(rig, n, &a->record, n->seq_next++);
			*ret_hard |= a->record.kind == RAFT_RECORD_HARD;
		} else if (a->kind == RAFT_ACTION_READ) {
			rig_watch_read(rig, n, a->id, a->index);
		} else if (a->kind == RAFT_ACTION_RESTORE) {
			restore(rig, n, &a->message);
		} else {
			*ret_role = true;
		}
	}
}

uint64_t rig_step(struct rig *rig, uint8_t node, struct raft_event *event)
{
	struct rig_node *n = &rig->node[node];
	uint64_t proposed = 0;
	bool again = true;

	must(n->up);
	for (uint32_t round = 0; again && !rig->failed; round++) {
		bool role = false, hard = false;

		event->now_ns = rig_clock(rig, node);
		event->persist_seq_next = n->seq_next;
		again = raft_step(n->raft, event, &rig->actions);
		rig->steps++;
		if (round == 0)
			proposed = rig->actions.proposed;
		rig_mix(rig, rig->actions.count << 3 | node);
		act(rig, n, &role, &hard);
		if (!rig->failed)
			rig_watch_step(rig, n, event, role, hard);
		look(n);
		if (round == 1000)
			rig_fail(rig, "X-BOUND: %c wants to step for ever", rig_letter(node));
		*event = (struct raft_event) { .kind = RAFT_EVENT_TICK };
	}
	return proposed;
}

void rig_tick(struct rig *rig, uint8_t node)
{
	struct raft_event event = { .kind = RAFT_EVENT_TICK };

	rig_step(rig, node, &event);
}

void rig_message(struct rig *rig, uint8_t to, uint8_t from, const struct raft_message *message)
{
	struct raft_event event = { .kind = RAFT_EVENT_MESSAGE, .from = from, .message = message };

	rig_watch_arrival(rig, &rig->node[to], from, message);
	rig_step(rig, to, &event);
	rig_watch_heard(rig, &rig->node[to], from, message);
}

void rig_durable(struct rig *rig, uint8_t node, uint32_t count, bool told)
{
	struct rig_node *n = &rig->node[node];
	struct raft_event event = { .kind = RAFT_EVENT_DURABLE };
	uint64_t seq;

	must(count >= n->durable_count && count <= n->record_count);
	n->durable_count = count;
	if (!told || count == 0 || n->failed)
		return;
	n->told_count = count;
	/* What others wrote into the same log behind it is durable as well, sometimes. */
	seq = n->records[count - 1].seq;
	if (seq & 1)
		seq = (count < n->record_count ? n->records[count].seq : n->seq_next) - 1;
	n->told_seq = max_u64(n->told_seq, seq);
	event.durable_seq = n->told_seq;
	rig_step(rig, node, &event);
}

uint64_t rig_propose(struct rig *rig, uint8_t node, const uint8_t *data, uint32_t bytes)
{
	struct raft_event event = { .kind = RAFT_EVENT_PROPOSE, .data = data, .bytes = bytes };
	bool can = raft_can_propose(rig->node[node].raft, bytes);
	uint64_t index = rig_step(rig, node, &event);

	if (can != (index != 0))
		rig_fail(rig, "X-BOUND: %c: raft_can_propose says %d, PROPOSE says %llu",
			 rig_letter(node), can, (unsigned long long)index);
	rig->proposed += index != 0;
	return index;
}

uint64_t rig_configure(struct rig *rig, uint8_t node, const struct raft_conf *conf)
{
	struct raft_event event = { .kind = RAFT_EVENT_CONFIGURE, .conf = *conf };
	uint64_t index = rig_step(rig, node, &event);

	rig->confs += index != 0;
	return index;
}

uint64_t rig_read(struct rig *rig, uint8_t node)
{
	struct rig_node *n = &rig->node[node];
	struct rig_read *read = &n->reads[n->read_next % RIG_READS];
	uint64_t id = n->read_next;
	struct raft_event event = { .kind = RAFT_EVENT_READ, .id = id };

	if (read->id != 0)
		return 0;
	*read = (struct rig_read) { id, rig->commit_max, rig->now_ns };
	n->read_next++;
	n->reads_open++;
	rig_step(rig, node, &event);
	return id;
}

void rig_hold(struct rig *rig, uint8_t node, uint64_t index)
{
	struct raft_event event = { .kind = RAFT_EVENT_HOLD, .index = index };

	rig->node[node].hold = index;
	rig_step(rig, node, &event);
}

uint64_t rig_transfer(struct rig *rig, uint8_t node, uint8_t to)
{
	struct raft_event event = { .kind = RAFT_EVENT_TRANSFER, .node = to };

	return rig_step(rig, node, &event);
}

/* rig_disk_fails: the process is told, and will never hear of its disk again. */
void rig_disk_fails(struct rig *rig, uint8_t node)
{
	struct raft_event event = { .kind = RAFT_EVENT_FAIL };

	rig->node[node].failed = true;
	rig_step(rig, node, &event);
}

/* rig_apply: R-APPLY-ONCE, R-STATE-SAFE: the next committed entries, in order, up to limit. */
void rig_apply(struct rig *rig, uint8_t node, uint64_t limit)
{
	struct rig_node *n = &rig->node[node];
	uint64_t commit = n->up ? raft_commit(n->raft) : limit;
	struct raft_entry e;

	if (n->restoring)
		return;
	if (n->applied < raft_base(n->raft) && raft_base(n->raft) > 0)
		rig_fail(rig, "R-APPLY-ONCE: %c has applied %llu, its log begins behind %llu",
			 rig_letter(node), (unsigned long long)n->applied,
			 (unsigned long long)raft_base(n->raft));
	while (n->applied < min_u64(commit, limit) && !rig->failed) {
		const struct rig_committed *c = &rig->committed[n->applied + 1];

		raft_entry(n->raft, n->applied + 1, &e);
		if (e.index != n->applied + 1 || e.term != c->term || e.kind != c->kind ||
		    ((e.flags & RAFT_STRIPPED) == 0 && rig_hash(e.data, e.bytes) != c->hash)) {
			rig_fail(rig, "R-STATE-SAFE: %c applies something else at %llu",
				 rig_letter(node), (unsigned long long)n->applied + 1);
			return;
		}
		n->applied++;
		n->chain = c->chain;
	}
}

void rig_compact(struct rig *rig, uint8_t node, uint64_t index)
{
	static uint8_t state[RAFT_PAYLOAD_MAX];
	struct rig_node *n = &rig->node[node];
	struct raft_event event = { .kind = RAFT_EVENT_COMPACT, .index = index, .data = state };

	if (index > n->applied || index <= raft_base(n->raft) || n->restoring)
		return;
	make_state(rig, index, state);
	event.bytes = rig->state_bytes;
	rig_step(rig, node, &event);
}

void rig_restored(struct rig *rig, uint8_t node)
{
	struct rig_node *n = &rig->node[node];
	struct raft_event event = { .kind = RAFT_EVENT_RESTORED, .index = n->restore_index };

	if (!n->restoring)
		return;
	n->restoring = false;
	n->applied = n->restore_index;
	n->chain = n->restore_chain;
	rig_step(rig, node, &event);
}
