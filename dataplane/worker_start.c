/* SPDX-License-Identifier: Apache-2.0 */
/* worker_start.c: the worker's memory, and what its log brings back. */
#include "dataplane/worker_priv.h"

#include <errno.h>

#include "replication/hermes.h"

static void set_space_limits(struct worker *w)
{
	const struct store_config *store = &w->config.store;
	uint64_t low = w->config.space_low_permille;

	w->low_wal = max_u64(w->sb.device_bytes / 1000 * low, 8ull * w->config.wal.batch_bytes_max);
	w->low_blob = max_u64(store->blob_bytes / 1000 * low, 1);
	/* Each shard may always have one update of a new key under way: half of it is for those. */
	w->low_keys = max_u64(store->keys_max * low / 1000, 1);
	w->low_keys = max_u64(w->low_keys, min_u64(2ull * w->shard_count, store->keys_max / 4));
}

static struct replica_config replica_config_of(const struct worker_config *c,
					       const struct superblock *sb, uint16_t shard)
{
	const struct membership_state *first = c->first;
	uint8_t founders = 0, witnesses = 0;

	for (uint8_t n = 0; first && n < NODES_MAX; n++) {
		founders |= (uint8_t)((first->node[n].want != WANT_NONE) << n);
		witnesses |= (uint8_t)((first->node[n].want == WANT_WITNESS) << n);
	}
	return (struct replica_config){
		.cluster = sb->cluster,
		.fingerprint = sb->fingerprint,
		.seed = c->seed + shard,
		.incarnation = sb->incarnation,
		.shard = shard,
		.shard_count = sb->shard_count,
		.node = sb->node,
		.node_count = sb->node_count,
		.ops_max = c->ops_max,
		.held_max = c->held_max,
		.sessions_max = c->sessions_max,
		.session_window = c->session_window,
		.views = c->views,
		.broadcast_acks = c->broadcast_acks,
		.retransmit_ns = c->retransmit_ns,
		.replay_ns = c->replay_ns,
		.hello_ns = c->hello_ns,
		.join_delta = c->join_delta,
		.join_bytes_per_s = c->join_bytes_per_s,
		.join_lanes = c->join_lanes,
		.join_places = c->join_places,
		.engine = sb->engine,
		.founders = founders,
		.witnesses = witnesses,
		.witness = (sb->flags & SUPERBLOCK_WITNESS) != 0,
		.raft = c->raft,
	};
}

static uint64_t owned_shards(const struct worker_config *c, const struct superblock *sb)
{
	if ((sb->flags & SUPERBLOCK_WITNESS) && sb->engine == ENGINE_HERMES)
		return 0;
	return (sb->shard_count + c->worker_count - 1u - c->worker_index) / c->worker_count;
}

uint64_t worker_size(const struct worker_config *config, const struct superblock *sb)
{
	struct replica_config rc = replica_config_of(config, sb, 0);
	uint64_t bytes = round_up(wal_size(&config->wal), BLOCK_BYTES);

	must(config->worker_index < config->worker_count);
	/* The log comes first: it alone needs whole blocks. */
	bytes += round_up(sizeof(struct worker), 64);
	bytes += round_up(store_size(&config->store), 64);
	bytes += round_up(worker_service_size(config), 64);
	return bytes + owned_shards(config, sb) * round_up(replica_size(&rc), 64);
}

/* complete_membership: what the superblock knows. */
static void complete_membership(struct worker *w)
{
	struct membership_config *c = &w->config.membership;

	c->node = w->sb.node;
	c->incarnation = w->sb.incarnation;
	c->engine = w->sb.engine;
	c->joining = (w->sb.flags & SUPERBLOCK_JOINING) != 0;
	if (c->ident == 0 && w->sb.stream == 0)
		c->ident = worker_ident(&w->sb);
	if (w->config.service && w->config.worker_index == 0)
		w->reserve = MEMBERSHIP_ACTIONS_MAX;
}

struct worker *worker_init(void *mem, const struct worker_config *config,
			   const struct superblock *sb, struct netdev *net, struct blockdev *disk,
			   struct worker_stats *stats)
{
	uint8_t *wal_mem = mem;
	uint8_t *p = wal_mem + round_up(wal_size(&config->wal), BLOCK_BYTES);
	struct worker *w = (struct worker *)(void *)p;

	must(((uintptr_t)mem & (BLOCK_BYTES - 1)) == 0);
	must(config->wal.batch_bytes_max >= WORKER_BATCH_BYTES_MIN);
	must(!config->views || config->clock_ns);
	memset(w, 0, sizeof(*w));
	p += round_up(sizeof(*w), 64);
	w->config = *config;
	w->config.store.shard_count = sb->shard_count;
	w->sb = *sb;
	w->net = net;
	w->stats = stats;
	w->wal = wal_init(wal_mem, &config->wal, disk, sb);
	w->store = store_init(p, &w->config.store);
	p += round_up(store_size(&config->store), 64);
	complete_membership(w);
	worker_service_init(w, p);
	p += round_up(worker_service_size(config), 64);
	for (uint64_t i = 0; i < owned_shards(config, sb); i++) {
		uint16_t s = (uint16_t)(config->worker_index + i * config->worker_count);
		struct replica_config rc = replica_config_of(config, sb, s);

		w->replica[s] = replica_init(p, &rc);
		w->shards[w->shard_count++] = s;
		p += round_up(replica_size(&rc), 64);
	}
	set_space_limits(w);
	memcpy(w->self.mac, netdev_mac(net), sizeof(w->self.mac));
	w->self.ip = config->ip[sb->node];
	for (uint8_t n = 0; n < sb->node_count; n++)
		w->peer[n].ip = config->ip[n];
	return w;
}

static int recover_update(struct worker *w, struct replica *r, const struct record *record)
{
	bool valid = w->sb.engine == ENGINE_RAFT || mutant(14);
	uint8_t state = valid ? HERMES_VALID : HERMES_INVALID;
	struct wire_message m = {
		.type = WIRE_INV,
		.flags = record->flags,
		.key_bytes = record->key_bytes,
		.value_bytes = record->value_bytes,
		.ts = record->ts,
		.prior = record->base,
		.origin = record->origin,
		.key = record->key,
		.value = record->value,
	};
	uint64_t hash = store_hash(w->store, record->key, record->key_bytes);
	struct entry *e = store_find(w->store, hash, record->key, record->key_bytes);
	uint32_t link = replica_recover(r, e, &m, hash);
	int rc = store_merge(w->store, record, state, &e);

	if (rc == 1)
		e->origin = link;
	return rc < 0 ? rc : 0;
}

/* recover_entries: the log's entries, as far as recovery needs them now. */
static void recover_entries(struct worker *w, uint16_t shard, enum step_next next)
{
	struct event ev = { .persist_seq_next = 1 };

	while (next != STEP_DONE) {
		ev.kind = EVENT_TICK;
		if (next == STEP_APPLY)
			worker_apply(w, shard, &ev);
		next = replica_step(w->replica[shard], &ev, &w->actions);
		must(w->actions.count == 0);
	}
}

static void recover_forget(struct worker *w, struct replica *r, const struct record *record)
{
	uint64_t hash = store_hash(w->store, record->key, record->key_bytes);
	struct entry *e;

	if (record->flags & ENTRY_TOMBSTONE)
		recover_entries(w, record->shard,
				replica_recover_forget(r, record->ts.version));
	e = store_find(w->store, hash, record->key, record->key_bytes);
	if (mutant(209) && !(record->flags & ENTRY_TOMBSTONE))
		return;
	if (e && op_ts_compare(entry_ts(e), record->ts) == 0)
		store_remove(w->store, e);
	if ((record->flags & ENTRY_TOMBSTONE) && !mutant(246))
		replica_recover_note(r, &(struct origin){ 0, 0 }, record->ts);
}

static int recover_raft(struct worker *w, struct replica *r, const struct record *record)
{
	struct raft_record raft;

	if (w->sb.engine != ENGINE_RAFT)
		return -EBADMSG;
	record_to_raft(record, &raft);
	recover_entries(w, record->shard, replica_recover_raft(r, &raft));
	return 0;
}

static int recover_record(struct worker *w, const struct record *record)
{
	struct replica *r;

	if (record_is_raft(record) && record->shard == RECORD_SHARD_VIEW)
		return worker_service_recover(w, record) ? 0 : -EBADMSG;

	if (record->shard >= w->sb.shard_count || !w->replica[record->shard])
		return -EBADMSG;
	r = w->replica[record->shard];
	switch ((enum record_kind)record->kind) {
	case RECORD_UPDATE:
		return recover_update(w, r, record);
	case RECORD_NOTE:
		if (!mutant(47))
			replica_recover_note(r, &record->origin, record->ts);
		break;
	case RECORD_RESET:
		if (record->ts.version == RECORD_RESET_CLIENTS) {
			if (!mutant(208))
				replica_recover_rejoin(r);
			break;
		}
		if (mutant(46))
			break;
		store_drop_shard(w->store, record->shard);
		replica_recover_reset(r);
		break;
	case RECORD_FORGET:
		recover_forget(w, r, record);
		break;
	case RECORD_RAFT_ENTRY:
	case RECORD_RAFT_HARD:
	case RECORD_RAFT_SNAPSHOT:
	case RECORD_RAFT_USER:
		return recover_raft(w, r, record);
	}
	return 0;
}

int worker_recover(struct worker *w, uint32_t records_max, uint64_t *ret_offset)
{
	struct record record;
	int rc;

	for (uint32_t i = 0; i < records_max; i++) {
		rc = wal_recover_next(w->wal, &record, ret_offset);
		w->count.recovered_torn_bytes = wal_recovered_torn(w->wal);
		if (rc == 0)
			worker_service_start(w);
		if (rc == 0)
			*w->stats = w->count; /* what was recovered; the rest is still zero */
		if (rc <= 0)
			return rc;
		w->count.recovered_records++;
		rc = recover_record(w, &record);
		if (rc != 0)
			return rc;
	}
	return 1;
}
