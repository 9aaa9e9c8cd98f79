/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The polling loop: frames in, protocol steps, log and frames out. The loop itself is worker_poll;
 * everything above it is one of its calls.
 */
#include "dataplane/worker_priv.h"
#include "replication/hermes.h"
#include "replication/slot.h"

#define ARP_INTERVAL_NS 5000000ull /* between requests for an unknown peer address */
#define SWEEP_ENTRIES	16u	   /* looked at by one housekeeping, for old tombstones */
#define NO_SHARD	UINT16_MAX

_Static_assert(STORE_END == WALK_END, "the store's cursor is the protocol's");

/* ---- steps and their actions ----------------------------------------------------------------- */

void worker_fail(struct worker *w)
{
	w->failed = true;
	for (uint16_t i = 0; i < w->shard_count; i++)
		replica_fail(w->replica[w->shards[i]]);
}

static uint32_t record_epoch(const struct worker *w, uint16_t shard)
{
	return w->config.views ? replica_view(w->replica[shard])->epoch : EPOCH_STATIC;
}

static void append_update(struct worker *w, uint16_t shard, const struct action *a)
{
	const struct entry *e = a->entry;
	struct record record = {
		.key = e->blob,
		.value = entry_value(e),
		.ts = entry_ts(e),
		.origin = a->origin,
		.epoch = record_epoch(w, shard),
		.base = e->base,
		.key_bytes = e->key_bytes,
		.value_bytes = e->value_bytes,
		.shard = shard,
		.flags = e->flags,
		.kind = RECORD_UPDATE,
	};

	must(wal_append(w->wal, &record) == a->persist_seq);
}

static void append_note(struct worker *w, uint16_t shard, const struct action *a)
{
	struct record record = {
		.key = a->message.key,
		.ts = a->message.ts,
		.origin = a->origin,
		.epoch = record_epoch(w, shard),
		.key_bytes = a->message.key_bytes,
		.shard = shard,
		.flags = a->message.flags & (ENTRY_RMW | ENTRY_TOMBSTONE),
		.kind = RECORD_NOTE,
	};

	must(wal_append(w->wal, &record) == a->persist_seq);
}

/* reset: CC-24: what this shard holds may lack what was committed without it: it begins anew. */
static void reset(struct worker *w, uint16_t shard, const struct action *a)
{
	struct record record = {
		.epoch = record_epoch(w, shard),
		.shard = shard,
		.kind = RECORD_RESET,
	};

	store_drop_shard(w->store, shard);
	w->shrink = NULL;
	/* Even a log near its end has had room for some of these; one that has not is of no use. */
	if (!w->failed && !wal_can_append(w->wal, 1))
		worker_fail(w);
	if (!w->failed)
		must(wal_append(w->wal, &record) == a->persist_seq);
}

/* rejoin: what this shard holds is kept until a member has said whether it stands. */
static void rejoin(struct worker *w, uint16_t shard, const struct action *a)
{
	struct record record = {
		.ts = { RECORD_RESET_CLIENTS, 0 },
		.epoch = record_epoch(w, shard),
		.shard = shard,
		.kind = RECORD_RESET,
	};

	must(wal_append(w->wal, &record) == a->persist_seq);
}

/* append_void: the log must not bring back what never was, or is no more (CC-24). */
static void append_void(struct worker *w, uint16_t shard, const struct action *a)
{
	struct record record = {
		.key = a->message.key,
		.ts = a->message.ts,
		.epoch = record_epoch(w, shard),
		.key_bytes = a->message.key_bytes,
		.shard = shard,
		.kind = RECORD_FORGET,
	};

	must(wal_append(w->wal, &record) == a->persist_seq);
	if (a->entry)
		store_remove(w->store, a->entry);
}

static void append_raft(struct worker *w, uint16_t shard, const struct action *a)
{
	struct record record;

	record_of_raft(&record, shard, a->record);
	must(wal_append(w->wal, &record) == a->persist_seq);
}

static void execute(struct worker *w, uint16_t shard)
{
	for (uint32_t i = 0; i < w->actions.count; i++) {
		const struct action *a = &w->actions.list[i];

		switch (a->kind) {
		case ACTION_SEND:
			for (uint8_t n = 0; n < w->sb.node_count; n++)
				if (a->to & 1u << n)
					worker_tx_peer(w, shard, n, &a->message);
			break;
		case ACTION_PERSIST:
			append_update(w, shard, a);
			w->shrink = a->entry;
			break;
		case ACTION_REPLY:
			worker_tx_client(w, shard, a);
			break;
		case ACTION_RESET:
			reset(w, shard, a);
			break;
		case ACTION_NOTE:
			append_note(w, shard, a);
			break;
		case ACTION_REJOIN:
			rejoin(w, shard, a);
			break;
		case ACTION_FORGET:
			append_void(w, shard, a);
			break;
		case ACTION_RAFT_SEND:
			for (uint8_t n = 0; n < w->sb.node_count; n++)
				if (a->to & 1u << n)
					worker_tx_raft(w, shard, n, a->raft);
			break;
		case ACTION_RAFT_PERSIST:
			append_raft(w, shard, a);
			break;
		}
	}
}

/* shrink: only once the event is done: actions, and its second half, count on the blob. */
static void shrink(struct worker *w)
{
	if (w->shrink && replica_entry_can_shrink(w->shrink))
		store_fit(w->store, w->shrink);
	w->shrink = NULL;
}

/* log_near_end: the device is used up but for what one more round may need; it stays that way. */
static bool log_near_end(const struct worker *w)
{
	return wal_remaining_bytes(w->wal) < 2ull * w->config.wal.batch_bytes_max;
}

/*
 * can_step: whatever a step appends will fit the open batch, or it will append nothing, or, near
 * the end of the log, a RESET.
 */
static bool can_step(const struct worker *w)
{
	if (wal_can_append(w->wal, ACTIONS_MAX + w->reserve) || w->failed)
		return true;
	return log_near_end(w) && w->sb.engine == ENGINE_HERMES &&
	       (wal_can_append(w->wal, 1) || wal_remaining_bytes(w->wal) < 2 * BLOCK_BYTES);
}

/* adopts: peers' messages that put something into store and log, and promise that it is there. */
static bool adopts(const struct event *ev)
{
	enum wire_type type;

	if (ev->kind != EVENT_PEER)
		return false;
	type = ev->message->type;
	return type == WIRE_INV || type == WIRE_COPY || type == WIRE_COPY_SESSION ||
	       type == WIRE_COPIED;
}

/*
 * has_room: the step can be made; what could not be acknowledged must not be adopted. A walk in the
 * midst of a step acknowledges nothing, and must not wait for what another step makes room for.
 */
static bool has_room(const struct worker *w, uint16_t shard, const struct event *ev)
{
	if (ev->kind == EVENT_WALK)
		return wal_can_append(w->wal, ACTIONS_MAX + w->reserve);
	if (!adopts(ev))
		return can_step(w);
	return wal_can_append(w->wal, ACTIONS_MAX + w->reserve) &&
	       replica_can_hold(w->replica[shard]);
}

void worker_apply(struct worker *w, uint16_t shard, struct event *ev)
{
	const struct wire_message *m = replica_apply_message(w->replica[shard]);
	uint64_t hash = store_hash(w->store, m->key, m->key_bytes);
	struct entry *e = store_find(w->store, hash, m->key, m->key_bytes);

	if (m->type != WIRE_GET && e)
		e = store_reserve(w->store, e, m->value_bytes) ? e : NULL;
	else if (m->type != WIRE_GET)
		e = store_insert(w->store, hash, m->key, m->key_bytes, m->value_bytes);
	ev->kind = EVENT_APPLY;
	ev->entry = e;
}

/* walk_own: the next entries of the shard, for a replica that looks through them. */
static void walk_own(struct worker *w, uint16_t shard, struct event *ev)
{
	ev->kind = EVENT_WALK;
	ev->walk = w->walk;
	ev->walk_next = replica_walk_from(w->replica[shard]);
	ev->walk_count = store_walk(w->store, shard, 0, &ev->walk_next, w->walk, WALK_MAX);
}

/*
 * step: one event, then whatever else the replica has to say; what the log has no room for now
 * stays with the replica (stalled). Returns false when the event, or its second half, could not be
 * given.
 */
static bool step(struct worker *w, uint16_t shard, struct event *ev)
{
	struct replica *r = w->replica[shard];
	enum step_next next = STEP_TICK;
	bool begun = ev->kind == EVENT_TICK;

	if (!begun && w->stalled & 1ull << shard)
		return false;
	do {
		if (!has_room(w, shard, ev)) {
			if (!begun)
				return false;
			w->stalled |= 1ull << shard;
			shrink(w);
			return next != STEP_SAME;
		}
		begun = true;
		ev->now_ns = w->now_ns;
		ev->persist_seq_next = wal_seq_next(w->wal);
		next = replica_step(r, ev, &w->actions);
		if (ev->kind == EVENT_APPLY)
			w->shrink = ev->entry;
		execute(w, shard);
		if (next != STEP_SAME) {
			shrink(w);
			ev->kind = EVENT_TICK;
		}
		if (next == STEP_APPLY)
			worker_apply(w, shard, ev);
		if (next == STEP_WALK)
			walk_own(w, shard, ev);
	} while (next != STEP_DONE);
	w->stalled &= ~(1ull << shard);
	return true;
}

static void step_stalled(struct worker *w)
{
	for (uint16_t i = 0; i < w->shard_count && w->stalled != 0; i++) {
		struct event ev = { .kind = EVENT_TICK };

		if (w->stalled & 1ull << w->shards[i])
			step(w, w->shards[i], &ev);
	}
}

/* ---- receive --------------------------------------------------------------------------------- */

/* rx_message: a message of the frame at hand, its key hashed and on its way into the cache. */
struct rx_message {
	struct wire_message m;
	uint64_t hash;
};

/* entry_with_room: the key's entry, with room for a value; made when missing and `make`. */
static struct entry *entry_with_room(struct worker *w, const struct rx_message *rx,
				     uint32_t value_bytes, bool make)
{
	const struct wire_message *m = &rx->m;
	struct entry *e = store_find(w->store, rx->hash, m->key, m->key_bytes);

	if (e)
		return store_reserve(w->store, e, value_bytes) ? e : NULL;
	return make ? store_insert(w->store, rx->hash, m->key, m->key_bytes, value_bytes) : NULL;
}

static struct entry *entry_of(struct worker *w, const struct rx_message *rx)
{
	return store_find(w->store, rx->hash, rx->m.key, rx->m.key_bytes);
}

/* walk: what a FETCH is answered with. */
static void walk(struct worker *w, uint16_t shard, struct event *ev)
{
	const struct wire_message *m = ev->message;
	uint64_t above = 0;
	uint32_t max;

	ev->walk = w->walk;
	ev->walk_next = (uint32_t)m->id;
	max = replica_walk(w->replica[shard], m, &above);
	if (max != 0)
		ev->walk_count = store_walk(w->store, shard, above, &ev->walk_next, w->walk, max);
}

static void on_peer_message(struct worker *w, const struct wire_header *h,
			    const struct rx_message *rx)
{
	const struct wire_message *m = &rx->m;
	struct event ev = { .kind = EVENT_PEER, .header = h, .message = m };

	if (adopts(&ev) && !has_room(w, h->shard, &ev)) {
		w->count.drop_no_room++;
		return;
	}
	if (m->type == WIRE_INV || m->type == WIRE_COPY) {
		ev.entry = entry_with_room(w, rx, m->value_bytes, true);
		if (!ev.entry) {
			w->count.drop_no_room++;
			return;
		}
	} else if (m->type == WIRE_FETCH) {
		walk(w, h->shard, &ev);
	} else if (m->key_bytes) {
		ev.entry = entry_of(w, rx);
	}
	/* A message that finds no room is lost, as on the wire; its sender sends it again. */
	w->count.drop_no_room += !step(w, h->shard, &ev);
}

/* room_wanted: how large a value may become by this update. */
static uint32_t room_wanted(const struct wire_message *m)
{
	uint32_t expected;

	if (m->type == WIRE_INCR)
		return INCR_BYTES_MAX;
	if (m->type != WIRE_CASV)
		return m->value_bytes;
	expected = (uint32_t)min_u64(m->ts.version, m->value_bytes);
	return (uint32_t)max_u64(expected, m->value_bytes - expected);
}

static void on_request_message(struct worker *w, const struct frame_info *info,
			       const struct wire_header *h, const struct rx_message *rx)
{
	const struct wire_message *m = &rx->m;
	struct event ev = { .kind = EVENT_REQUEST, .header = h, .message = m };
	struct replica *r = w->replica[h->shard];

	memcpy(ev.from.mac, info->source.mac, sizeof(ev.from.mac));
	ev.from.ip = info->source.ip;
	ev.from.port = info->source.port;
	if (m->key_bytes &&
	    slot_shard_of_key(m->key, m->key_bytes, w->sb.shard_count) != h->shard) {
		w->count.drop_shard++;
		return;
	}
	if (m->type == WIRE_GET || m->type == WIRE_DEL) {
		ev.entry = entry_of(w, rx);
	} else if (w->sb.engine == ENGINE_RAFT) {
		ev.entry = NULL; /* not before the update is agreed on */
	} else if (m->type != WIRE_OPEN && replica_session_known(r, h)) {
		bool low = w->count.space != SPACE_OK;
		uint32_t keys = store_usage(w->store).keys;

		ev.entry = entry_with_room(w, rx, room_wanted(m), w->makes != 0);
		if (!ev.entry && !low && w->makes == 0) {
			w->count.drop_no_room++; /* until what is under way is done */
			return;
		}
		w->makes -= store_usage(w->store).keys - keys;
	}
	w->count.drop_no_room += !step(w, h->shard, &ev);
}

/* accept_header: the frame is for a shard of ours, and says truly where it comes from. */
static bool accept_header(struct worker *w, const struct frame_info *info,
			  const struct wire_header *h)
{
	if (h->to != w->sb.node || h->shard >= w->sb.shard_count || !w->replica[h->shard]) {
		w->count.drop_shard++;
		return false;
	}
	if (h->kind == WIRE_REQUEST)
		return true;
	if (h->kind != WIRE_PEER || h->from >= w->sb.node_count || h->from == w->sb.node ||
	    info->source.ip != w->config.ip[h->from]) {
		w->count.drop_unknown_peer++;
		return false;
	}
	return true;
}

/* accept_raft: likewise; a node whose address nobody has told may be anywhere. */
static bool accept_raft(struct worker *w, const struct frame_info *info,
			const struct wire_header *h)
{
	bool view = h->shard == WIRE_SHARD_VIEW;

	if (h->to != w->sb.node ||
	    (!view && (h->shard >= w->sb.shard_count || !w->replica[h->shard] ||
		       w->sb.engine != ENGINE_RAFT))) {
		w->count.drop_shard++;
		return false;
	}
	if (h->cluster != w->sb.cluster || h->from >= w->sb.node_count || h->from == w->sb.node ||
	    (info->source.ip != w->config.ip[h->from] && !(view && w->config.ip[h->from] == 0))) {
		w->count.drop_unknown_peer++;
		return false;
	}
	return true;
}

bool worker_addressed(struct worker *w, const struct frame_info *info, const struct wire_header *h)
{
	bool asks = info->payload_bytes > WIRE_HEADER_BYTES;

	w->peer_ident[h->from] = h->ident;
	if (h->to_ident == w->config.membership.ident || mutant(220))
		return true;
	w->count.drop_other_disk++;
	/* Frames without messages are not answered: two strangers would never end. */
	if (asks && !mutant(221))
		worker_tx_introduce(w, h->shard, h->from);
	return false;
}

/*
 * time_burst: what this node promises others from here on counts from a clock read after their
 * frames came in: this thread may have been stopped in between (CC-26, M-LEASE-GAP).
 */
static void time_burst(struct worker *w)
{
	if (w->burst_timed || !w->config.clock_ns || mutant(191))
		return;
	w->burst_timed = true;
	w->now_ns = max_u64(w->now_ns, w->config.clock_ns(w->config.clock_context));
}

static void on_raft(struct worker *w, const struct frame_info *info, const struct wire_header *h)
{
	uint32_t offset = WIRE_HEADER_BYTES;

	if (!accept_raft(w, info, h))
		return;
	time_burst(w);
	if (h->shard == WIRE_SHARD_VIEW) {
		worker_service_receive(w, info, h);
		return;
	}
	if (!worker_addressed(w, info, h))
		return;
	while (offset < info->payload_bytes) {
		struct raft_message m;
		struct event ev = { .kind = EVENT_RAFT, .header = h, .raft = &m };
		enum wire_verdict verdict = raft_message_decode(info->payload, info->payload_bytes,
								&offset, &m);

		if (verdict != WIRE_OK) {
			w->count.drop_wire[verdict]++;
			return;
		}
		w->count.rx_messages++;
		w->count.drop_no_room += !step(w, h->shard, &ev);
	}
}

/* decode: the frame's messages, up to the first bad one, which condemns the rest. */
static uint32_t decode(struct worker *w, const struct frame_info *info, enum wire_kind kind,
		       struct rx_message *rx)
{
	uint32_t offset = WIRE_HEADER_BYTES;
	uint32_t count = 0;

	while (offset < info->payload_bytes) {
		struct wire_message *m = &rx[count].m;
		enum wire_verdict verdict = wire_message_decode(info->payload, info->payload_bytes,
								kind, &offset, m);

		if (verdict != WIRE_OK) {
			w->count.drop_wire[verdict]++;
			break;
		}
		if (m->key_bytes) {
			rx[count].hash = store_hash(w->store, m->key, m->key_bytes);
			store_prefetch(w->store, rx[count].hash);
		}
		count++;
	}
	return count;
}

static void on_udp(struct worker *w, const struct frame_info *info)
{
	struct rx_message rx[FRAME_MESSAGES_MAX];
	struct wire_header h;
	enum wire_verdict verdict = wire_header_decode(info->payload, info->payload_bytes, &h);
	uint32_t count;

	if (verdict != WIRE_OK) {
		w->count.drop_wire[verdict]++;
		return;
	}
	if (h.kind == WIRE_RAFT) {
		on_raft(w, info, &h);
		return;
	}
	if (!accept_header(w, info, &h))
		return;
	count = decode(w, info, h.kind, rx);
	w->count.rx_messages += count;
	for (uint32_t i = 0; i < count; i++) {
		if (h.kind == WIRE_PEER)
			on_peer_message(w, &h, &rx[i]);
		else
			on_request_message(w, info, &h, &rx[i]);
	}
}

static void learn_peer(struct worker *w, const struct frame_addr *source)
{
	for (uint8_t n = 0; n < w->sb.node_count; n++) {
		if (n == w->sb.node || w->config.ip[n] != source->ip || source->ip == 0)
			continue;
		memcpy(w->peer[n].mac, source->mac, sizeof(source->mac));
		w->peer_known[n] = true;
	}
}

void worker_set_peers(struct worker *w, const uint32_t *ip)
{
	for (uint8_t n = 0; n < w->sb.node_count; n++) {
		if (n == w->sb.node || w->config.ip[n] == ip[n])
			continue;
		w->config.ip[n] = w->peer[n].ip = ip[n];
		w->peer_known[n] = false;
		w->arp_ns = 0;
	}
}

/* on_frame: returns true when the buffer became an answer and is on its way out. */
static bool on_frame(struct worker *w, struct netdev_buf *buf)
{
	struct frame_info info;
	enum frame_verdict verdict = frame_parse(buf->data, buf->bytes, &w->self, &info);

	switch (verdict) {
	case FRAME_UDP:
		on_udp(w, &info);
		return false;
	case FRAME_ARP_REQUEST:
		learn_peer(w, &info.source);
		w->count.arp_answered++;
		buf->bytes = frame_arp_reply(buf->data, &w->self);
		return true;
	case FRAME_PING:
		w->count.pings_answered++;
		buf->bytes = frame_ping_reply(buf->data, buf->bytes, &w->self);
		return true;
	case FRAME_ARP_REPLY:
		learn_peer(w, &info.source);
		return false;
	case FRAME_SHORT:
	case FRAME_NOT_OURS:
	case FRAME_BAD_ETHERTYPE:
	case FRAME_BAD_IP:
	case FRAME_FRAGMENT:
	case FRAME_BAD_PROTOCOL:
	case FRAME_BAD_UDP:
	case FRAME_BAD_ARP:
	case FRAME_VERDICT_COUNT:
		break;
	}
	w->count.drop_frame[verdict]++;
	return false;
}

static uint32_t receive(struct worker *w)
{
	struct netdev_buf bufs[NETDEV_BURST];
	uint32_t kept = 0;
	uint32_t count;

	/* When the log is behind, frames wait in the queue, and beyond it on the wire. */
	if (w->stalled != 0)
		return 0;
	count = netdev_receive(w->net, bufs, NETDEV_BURST);
	w->burst_timed = false;
	for (uint32_t i = 0; i < count; i++) {
		if (on_frame(w, &bufs[i]))
			worker_tx_buf(w, &bufs[i]);
		else
			bufs[kept++] = bufs[i];
	}
	if (kept > 0)
		netdev_free(w->net, bufs, kept);
	return count;
}

/* ---- disk, timers, housekeeping -------------------------------------------------------------- */

static uint32_t complete(struct worker *w)
{
	uint64_t durable = wal_poll(w->wal);
	uint32_t did = 0;

	if (wal_failed(w->wal) != 0 && !w->failed)
		worker_fail(w);
	w->durable = durable;
	/* Engine raft has no step that surely needs no log: at its end it is as good as failed. */
	if (w->stalled != 0 && w->sb.engine == ENGINE_RAFT && log_near_end(w) &&
	    !wal_busy(w->wal) && !can_step(w) && !mutant(254))
		worker_fail(w);
	step_stalled(w);
	for (uint16_t i = 0; i < w->shard_count; i++) {
		struct event ev = { .kind = EVENT_DURABLE, .durable_seq = durable };

		if (w->durable_told[i] == durable || !step(w, w->shards[i], &ev))
			continue;
		w->durable_told[i] = durable;
		did++;
	}
	return did;
}

static uint32_t turn_timers(struct worker *w)
{
	uint32_t did = 0;

	for (uint16_t i = 0; i < w->shard_count; i++) {
		struct event ev = { .kind = EVENT_TICK };

		if (replica_deadline_ns(w->replica[w->shards[i]]) > w->now_ns)
			continue;
		step(w, w->shards[i], &ev);
		did += !(w->stalled & 1ull << w->shards[i]); /* waiting for the log is idling */
	}
	return did;
}

static void find_peers(struct worker *w)
{
	if (w->now_ns < w->arp_ns)
		return;
	w->arp_ns = w->now_ns + ARP_INTERVAL_NS;
	for (uint8_t n = 0; n < w->sb.node_count; n++) {
		struct netdev_buf buf;

		if (n == w->sb.node || w->peer_known[n] || w->config.ip[n] == 0)
			continue;
		if (!netdev_alloc(w->net, &buf)) {
			w->count.drop_no_buffer++;
			return;
		}
		buf.bytes = frame_arp_request(buf.data, &w->self, w->config.ip[n]);
		worker_tx_buf(w, &buf);
	}
}

static void sum_replica(struct replica_counters *sum, const struct replica_counters *c)
{
#define SUM(name) sum->name += c->name;
	REPLICA_COUNTERS(SUM)
#undef SUM
}

/* leased: a node without a lease answers no reads. Engine raft: only leaders have one. */
static bool leased(const struct worker *w, const struct replica *r)
{
	return w->sb.engine == ENGINE_RAFT || w->now_ns < replica_lease_ns(r);
}

static void copy_out(struct worker *w)
{
	struct worker_stats *c = &w->count;
	struct store_usage u = store_usage(w->store);
	bool linked = true;

	c->updated_ns = w->now_ns;
	c->disk_error = wal_failed(w->wal);
	c->shards = w->shard_count;
	c->linked_peers = 0;
	c->ops_open = 0;
	memset(&c->replica, 0, sizeof(c->replica));
	memset(c->leader, RAFT_NODE_NONE, sizeof(c->leader));
	for (uint16_t i = 0; i < w->shard_count; i++) {
		const struct replica *r = w->replica[w->shards[i]];

		linked &= replica_linked(r) && leased(w, r);
		if (replica_raft(r))
			c->leader[w->shards[i]] = raft_leader(replica_raft(r));
		c->linked_peers += replica_peers_heard(r);
		c->ops_open += replica_ops(r);
		sum_replica(&c->replica, replica_counters(r));
	}
	c->state = w->failed ? DATAPLANE_DISK_FAILED :
		   linked    ? DATAPLANE_SERVING :
			       DATAPLANE_WAITING;
	c->store_keys = u.keys;
	c->store_keys_max = u.keys_max;
	c->store_blob_used = u.blob_used;
	c->store_blob_bytes = u.blob_bytes;
	c->wal_remaining_bytes = wal_remaining_bytes(w->wal);
	c->wal_device_bytes = w->sb.device_bytes;
	c->wal = *wal_counters(w->wal);
	c->netdev = *netdev_counters(w->net);
	*w->stats = *c;
}

/* forget: a tombstone goes. The log is told, or it would bring back more keys than we have room. */
static void forget(struct worker *w, uint16_t shard, struct entry *e)
{
	struct record record = {
		.key = e->blob,
		.ts = entry_ts(e),
		.epoch = record_epoch(w, shard),
		.key_bytes = e->key_bytes,
		.shard = shard,
		.flags = e->flags,
		.kind = RECORD_FORGET,
	};

	wal_append(w->wal, &record);
	replica_collect(w->replica[shard], e);
	store_remove(w->store, e);
}

static bool never_written(const struct entry *e)
{
	return e->version == 0 && e->op == OP_NONE && e->wait == OP_NONE &&
	       e->state == HERMES_VALID;
}

/*
 * sweep: removes entries that say nothing: tombstones that nothing older can meet any more (CC-13,
 * H12), and what was made for an update that then was refused.
 */
static void sweep(struct worker *w)
{
	uint32_t end = store_usage(w->store).keys_end;

	if (w->stalled != 0 || w->failed || log_near_end(w) ||
	    !wal_can_append(w->wal, ACTIONS_MAX))
		return;
	for (uint32_t i = 0; i < SWEEP_ENTRIES && i < end; i++) {
		struct entry *e;
		uint16_t shard;

		if (w->sweep >= end)
			w->sweep = 0;
		e = store_entry(w->store, w->sweep++);
		if (!e || entry_exists(e))
			continue;
		if (never_written(e)) {
			store_remove(w->store, e);
			continue;
		}
		shard = slot_shard_of_key(e->blob, e->key_bytes, w->sb.shard_count);
		if (w->replica[shard] && replica_can_collect(w->replica[shard], e))
			forget(w, shard, e);
	}
}

static void housekeep(struct worker *w)
{
	w->housekeeping_ns = w->now_ns + w->config.housekeeping_ns;
	w->link_up = netdev_maintain(w->net, w->now_ns);
	find_peers(w);
	sweep(w);
	copy_out(w);
	if (w->config.service)
		worker_service_housekeep(w);
}

/* ---- the loop -------------------------------------------------------------------------------- */

/* send_and_write: frames first: peers write their logs while we write ours. */
static void send_and_write(struct worker *w)
{
	worker_tx_end(w);
	if (wal_submit(w->wal, w->now_ns) != 0 && !w->failed)
		worker_fail(w);
}

uint32_t worker_poll(struct worker *w, uint64_t now_ns)
{
	uint32_t did;

	w->now_ns = max_u64(w->now_ns, now_ns);
	worker_look_after_space(w);
	did = complete(w);
	did += receive(w);
	did += turn_timers(w);
	if (w->config.service)
		did += worker_service_turn(w);
	if (now_ns >= w->housekeeping_ns)
		housekeep(w);
	send_and_write(w);
	w->count.polls++;
	w->count.polls_idle += did == 0;
	return did;
}

uint64_t worker_deadline_ns(const struct worker *w)
{
	uint64_t deadline = min_u64(w->housekeeping_ns, wal_deadline_ns(w->wal));

	for (uint16_t i = 0; i < w->shard_count; i++)
		deadline = min_u64(deadline, replica_deadline_ns(w->replica[w->shards[i]]));
	if (w->config.service)
		deadline = min_u64(deadline, worker_service_deadline_ns(w));
	return deadline;
}

bool worker_io_pending(const struct worker *w)
{
	return wal_busy(w->wal);
}

/* ---- views and leases ------------------------------------------------------------------------ */

bool worker_take_view(struct worker *w, const struct view *view)
{
	bool done = true;

	must(w->config.views && view->epoch > 0);
	for (uint16_t i = 0; i < w->shard_count; i++) {
		struct event ev = { .kind = EVENT_VIEW, .view = view };

		if (w->view_told[i] >= view->epoch)
			continue;
		if (step(w, w->shards[i], &ev))
			w->view_told[i] = view->epoch;
		else
			done = false;
	}
	return done;
}

bool worker_install_view(struct worker *w, const struct view *view, uint64_t now_ns)
{
	bool done;

	w->now_ns = max_u64(w->now_ns, now_ns);
	done = worker_take_view(w, view);
	send_and_write(w);
	return done;
}

bool worker_take_lease(struct worker *w, uint32_t epoch, uint64_t lease_ns)
{
	bool done = true;

	must(w->config.views);
	for (uint16_t i = 0; i < w->shard_count; i++) {
		struct event ev = { .kind = EVENT_LEASE,
				    .lease_epoch = epoch,
				    .lease_ns = lease_ns };

		done &= step(w, w->shards[i], &ev);
	}
	return done;
}

bool worker_set_lease(struct worker *w, uint32_t epoch, uint64_t lease_ns, uint64_t now_ns)
{
	bool done;

	w->now_ns = max_u64(w->now_ns, now_ns);
	done = worker_take_lease(w, epoch, lease_ns);
	send_and_write(w);
	return done;
}

uint32_t worker_epoch(const struct worker *w)
{
	uint32_t epoch = UINT32_MAX;

	for (uint16_t i = 0; i < w->shard_count; i++)
		epoch = (uint32_t)min_u64(epoch, replica_view(w->replica[w->shards[i]])->epoch);
	return epoch;
}

bool worker_joined(const struct worker *w)
{
	for (uint16_t i = 0; i < w->shard_count; i++) {
		if (!replica_joined(w->replica[w->shards[i]]))
			return false;
	}
	return true;
}

/* ---- for tests ------------------------------------------------------------------------------- */

struct store *worker_store(struct worker *w)
{
	return w->store;
}

struct replica *worker_replica(struct worker *w, uint16_t shard)
{
	return shard < SHARDS_MAX ? w->replica[shard] : NULL;
}
