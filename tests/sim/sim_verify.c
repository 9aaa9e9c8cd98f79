/* SPDX-License-Identifier: Apache-2.0 */
/* What must hold: at any moment, after a restart, when all is quiet, and in the history. */
#include "replication/crc.h"
#include "replication/hermes.h"
#include "tests/sim/sim.h"

void sim_verify_start(struct sim *s)
{
	memset(s->ts_map, 0, sizeof(s->ts_map));
	s->ts_map_used = 0;
	s->verify_turn = 0;
}

static uint64_t content_hash(const struct entry *e)
{
	uint64_t low = crc32c(entry_value(e), e->value_bytes);

	return (low << 32 | e->value_bytes) ^ (uint64_t)(e->flags & ENTRY_TOMBSTONE) << 20;
}

/* verify_unique: H-UNIQUE-TS: one timestamp of a key has one content, ever, anywhere. */
static void verify_unique(struct sim *s, uint32_t key, const struct entry *e, uint8_t node)
{
	struct op_ts ts = entry_ts(e);
	uint64_t hash = content_hash(e);
	uint64_t at = rng_mix(ts.version * 0x9e3779b97f4a7c15ull ^ ts.writer ^
			      (uint64_t)key << 40);

	for (;; at++) {
		struct ts_map_slot *slot = &s->ts_map[at % TS_MAP_SLOTS];

		if (slot->ts.version == 0) {
			*slot = (struct ts_map_slot){ .ts = ts, .key = key, .hash = hash };
			must(++s->ts_map_used < TS_MAP_SLOTS);
			return;
		}
		if (slot->key != key || op_ts_compare(slot->ts, ts) != 0)
			continue;
		if (slot->hash != hash)
			sim_violation(s, "H-UNIQUE-TS: key %u at %llu.%u.%u has two values, the "
					 "second at node %u", key, (unsigned long long)ts.version,
				      writer_node(ts.writer), writer_incarnation(ts.writer), node);
		return;
	}
}

static struct entry *entry_find(struct sim *s, uint8_t node, uint32_t key)
{
	struct sim_node *n = &s->node[node];
	const struct sim_key *k = &s->key[key];
	struct store *store;

	if (n->entry[key])
		return n->entry[key];
	store = worker_store(n->worker[k->shard % s->plan.workers].worker);
	n->entry[key] = store_find(store, store_hash(store, k->text, k->bytes), k->text, k->bytes);
	return n->entry[key];
}

static struct op_ts ts_of(const struct entry *e)
{
	return e ? entry_ts(e) : (struct op_ts){ 0, 0 };
}

/* verify_key: H-MONO, H-UNIQUE-TS, H-COMMIT-ALL (what a client was told is at every live node). */
static void verify_key(struct sim *s, uint8_t node, uint32_t key, const struct entry *e)
{
	struct sim_node *n = &s->node[node];
	struct op_ts ts = ts_of(e);

	if (op_ts_compare(ts, s->key[key].acked) < 0)
		sim_violation(s, "H-COMMIT-ALL: node %u holds key %u at version %llu, but %llu was "
				 "acknowledged", node, key, (unsigned long long)ts.version,
			      (unsigned long long)s->key[key].acked.version);
	if (op_ts_compare(ts, n->seen[key]) < 0)
		sim_violation(s, "H-MONO: key %u at node %u went back to version %llu from %llu",
			      key, node, (unsigned long long)ts.version,
			      (unsigned long long)n->seen[key].version);
	if (op_ts_compare(ts, n->seen[key]) > 0) {
		verify_unique(s, key, e, node);
		n->seen[key] = ts;
	}
}

/* verify_replica: one replica in turn looks itself over, which costs more than all the rest. */
static void verify_replica(struct sim *s)
{
	uint64_t turn = s->verify_turn++;
	uint8_t n = (uint8_t)(turn % s->plan.nodes);
	uint16_t shard = (uint16_t)(turn / s->plan.nodes % s->plan.shards);

	if (s->node[n].up)
		replica_check(sim_node_replica(s, n, shard));
}

void sim_verify_step(struct sim *s)
{
	for (uint32_t key = 0; key < s->plan.keys; key++) {
		const struct entry *valid = NULL;

		for (uint8_t n = 0; n < s->plan.nodes; n++) {
			const struct entry *e;

			if (!s->node[n].up)
				continue;
			e = entry_find(s, n, key);
			verify_key(s, n, key, e);
			if (!e || e->state != HERMES_VALID)
				continue;
			if (valid && op_ts_compare(entry_ts(valid), entry_ts(e)) != 0)
				sim_violation(s, "H-AGREE: key %u is valid at %llu and at %llu",
					      key, (unsigned long long)valid->version,
					      (unsigned long long)e->version);
			valid = e;
		}
	}
	verify_replica(s);
}

/* W-PREFIX: a restarted node still has everything that any client was told is committed. */
void sim_verify_recovered(struct sim *s, uint8_t node)
{
	for (uint32_t key = 0; key < s->plan.keys; key++) {
		const struct entry *e = entry_find(s, node, key);

		if (op_ts_compare(ts_of(e), s->key[key].acked) < 0) {
			sim_violation(s, "W-PREFIX: node %u recovered key %u at version %llu, but "
					 "%llu was acknowledged", node, key,
				      (unsigned long long)ts_of(e).version,
				      (unsigned long long)s->key[key].acked.version);
			return;
		}
		if (e)
			verify_unique(s, key, e, node);
		s->node[node].seen[key] = ts_of(e);
	}
}

static void verify_equal(struct sim *s, uint32_t key, const struct entry *a, uint8_t node)
{
	const struct entry *b = entry_find(s, node, key);

	if (!a && !b)
		return;
	if (!a || !b || op_ts_compare(entry_ts(a), entry_ts(b)) != 0 ||
	    a->flags != b->flags || a->value_bytes != b->value_bytes ||
	    memcmp(entry_value(a), entry_value(b), a->value_bytes) != 0)
		sim_violation(s, "H-AGREE: nodes 0 and %u differ on key %u when all is quiet", node,
			      key);
	else if (b->state != HERMES_VALID)
		sim_violation(s, "H-INVALID-BOUND: key %u is %s at node %u when all is quiet", key,
			      hermes_state_name((enum hermes_state)b->state), node);
}

void sim_verify_quiet(struct sim *s)
{
	for (uint32_t key = 0; key < s->plan.keys; key++) {
		for (uint8_t n = 0; n < s->plan.nodes; n++)
			verify_equal(s, key, entry_find(s, 0, key), n);
	}
	/* X-LEAK: workers hold no buffers between rounds. */
	for (uint16_t port = 0; port < s->plan.nodes + s->plan.clients; port++) {
		if (sim_net_held(s->net, port) != 0)
			sim_violation(s, "X-LEAK: port %u still holds %u buffers", port,
				      sim_net_held(s->net, port));
	}
}

void sim_verify_history(struct sim *s)
{
	struct check_result result;

	must(check_history(s->op, s->op_count, &result) == 0);
	if (!result.ok)
		sim_violation(s, "S-LIN: key %u: %s", (uint32_t)result.key, result.text);
}
