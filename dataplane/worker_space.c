/* SPDX-License-Identifier: Apache-2.0 */
/* worker_space.c: how much room store and log have left, and who may use it. */
#include "dataplane/worker_priv.h"

static bool store_below(const struct store_usage *u, uint64_t keys, uint64_t blob)
{
	return u->keys_max - u->keys < keys || u->blob_bytes - u->blob_used < blob;
}

/* space_of: a delete needs the log, but no room in the store: it is the way out of a full one. */
static enum space space_of(const struct worker *w, const struct store_usage *u)
{
	uint64_t wal = wal_remaining_bytes(w->wal);

	if (wal < w->low_wal / 2)
		return SPACE_FULL;
	if (store_below(u, w->low_keys / 2, w->low_blob / 2) && mutant(298))
		return SPACE_FULL;
	return wal < w->low_wal || store_below(u, w->low_keys, w->low_blob) ? SPACE_LOW : SPACE_OK;
}

/*
 * joins_in_vain: what it has to copy does not fit its log, which only grows, or its store, though
 * it fits the members'. As long as it is in the write set nobody's updates fit it either.
 */
static bool joins_in_vain(const struct worker *w)
{
	uint8_t shadows = w->shard_count ? replica_view(w->replica[w->shards[0]])->shadows : 0;

	if (!(shadows & 1u << w->sb.node) || worker_joined(w))
		return false;
	if (wal_remaining_bytes(w->wal) < w->low_wal / 2)
		return !mutant(228);
	for (uint16_t i = 0; i < w->shard_count; i++)
		if (replica_alone_short(w->replica[w->shards[i]]))
			return !mutant(279);
	return false;
}

/*
 * count_room: new keys that may come before the next look: what is under way here may not have its
 * entries yet (engine raft), or not at the others, who begin as much meanwhile (Hermes). One may
 * always be: the reserve has room for it.
 */
static void count_room(struct worker *w, const struct store_usage *u)
{
	uint64_t keys = u->keys_max - u->keys, open = 0;
	uint64_t blobs = (u->blob_bytes - u->blob_used) / (KEY_BYTES_MAX + VALUE_BYTES_MAX);
	const struct view *view;

	if (w->shard_count == 0)
		return;
	keys -= min_u64(keys, w->low_keys / 2);
	if (w->sb.engine == ENGINE_RAFT) {
		keys = min_u64(keys, blobs);
		if (w->shard_count > 1) /* others may lead some: seen late, so count twice */
			keys /= 2;
		if (keys / w->shard_count >= w->config.raft.entries_max) {
			w->makes = UINT32_MAX; /* no log holds so many */
			return;
		}
		for (uint16_t i = 0; i < w->shard_count; i++)
			open += replica_unapplied(w->replica[w->shards[i]]);
		w->makes = (uint32_t)(keys / w->shard_count);
		w->spare = (uint32_t)((keys - min_u64(keys, open)) / w->shard_count);
		return;
	}
	view = replica_view(w->replica[w->shards[0]]);
	keys /= max_u64((uint64_t)__builtin_popcount(view->members | view->shadows), 1);
	for (uint16_t i = 0; i < w->shard_count; i++)
		open += replica_ops(w->replica[w->shards[i]]);
	w->makes = (uint32_t)(keys > open ? keys - open : open == 0);
	if (mutant(299))
		w->makes = UINT32_MAX;
}

/*
 * shard_room: updates of a shard that may be in its log and not applied: its share, and of what no
 * shard uses now. The others keep what they were given when there was more.
 */
static uint32_t shard_room(const struct worker *w, const struct replica *r)
{
	if (w->count.space != SPACE_OK || w->makes == UINT32_MAX || w->sb.engine != ENGINE_RAFT)
		return w->makes;
	return (uint32_t)max_u64(min_u64(w->makes, replica_unapplied(r) + w->spare), 1);
}

void worker_look_after_space(struct worker *w)
{
	struct store_usage u = store_usage(w->store);
	enum space space = space_of(w, &u);
	bool full = space == SPACE_FULL || store_below(&u, w->low_keys / 2, w->low_blob / 2);

	if (full && !w->failed && joins_in_vain(w))
		worker_fail(w);
	w->count.space = space;
	w->makes = 0;
	if (space == SPACE_OK)
		count_room(w, &u);
	for (uint16_t i = 0; i < w->shard_count; i++) {
		struct replica *r = w->replica[w->shards[i]];

		replica_set_space(r, space, shard_room(w, r));
	}
}
