/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The polling loop: frames in, protocol steps, log and frames out. The loop itself is worker_poll
 * at the end of the file; everything above it is one of its eight calls.
 */
#include "dataplane/worker.h"

#include <errno.h>

#include "replication/hermes.h"
#include "replication/slot.h"

#define CLIENT_FRAMES 8u	       /* replies to as many clients are gathered at once */
#define ARP_INTERVAL_NS 5000000ull     /* between requests for an unknown peer address */
#define FRAME_MESSAGES_MAX (FRAME_PAYLOAD_MAX / WIRE_MESSAGE_BYTES)
#define NO_SHARD UINT16_MAX

/* tx_frame: a frame being filled; bytes counts its payload. */
struct tx_frame {
	struct netdev_buf buf;
	uint32_t bytes; /* 0: not open */
	uint16_t shard;
	uint32_t epoch;	      /* peer frames: what its header says */
	uint64_t session;     /* client frames */
	struct client_addr client;
};

struct worker {
	struct worker_config config;
	struct superblock sb;
	struct netdev *net;
	struct worker_stats *stats;
	struct store *store;
	struct wal *wal;
	struct replica *replica[SHARDS_MAX]; /* by shard; NULL: another worker's */
	uint16_t shards[SHARDS_MAX];	     /* the owned ones */
	uint16_t shard_count;
	struct frame_addr self;

	uint64_t now_ns;
	uint64_t housekeeping_ns; /* next one due */
	uint64_t arp_ns;
	uint64_t low_wal, low_blob, low_keys; /* less left than this: SPACE_LOW */
	uint64_t durable_told[SHARDS_MAX]; /* by index in shards[] */
	uint64_t stalled; /* bitmap of shards with more to say than the log had room for */
	bool failed;
	bool link_up;

	struct frame_addr peer[NODES_MAX];
	bool peer_known[NODES_MAX];

	struct tx_frame to_peer[NODES_MAX];
	struct tx_frame to_client[CLIENT_FRAMES];
	uint32_t client_turn;
	struct netdev_buf tx[NETDEV_BURST];
	uint32_t tx_count;
	struct actions actions;

	/* Counted here and copied out at housekeeping. */
	struct worker_stats count;
};

_Static_assert(SHARDS_MAX <= 64, "stalled is one word");

/* ---- transmit -------------------------------------------------------------------------------- */

static void transmit(struct worker *w)
{
	if (w->tx_count > 0)
		netdev_send(w->net, w->tx, w->tx_count);
	w->tx_count = 0;
}

static void transmit_one(struct worker *w, const struct netdev_buf *buf)
{
	w->tx[w->tx_count++] = *buf;
	if (w->tx_count == NETDEV_BURST)
		transmit(w);
}

static uint8_t *frame_payload(const struct tx_frame *f)
{
	return f->buf.data + FRAME_HEADERS_BYTES;
}

static void frame_close(struct worker *w, struct tx_frame *f, const struct frame_addr *target)
{
	struct frame_addr source = w->self;

	if (f->bytes == 0)
		return;
	source.port = (uint16_t)(w->config.port_base + f->shard);
	wire_seal(frame_payload(f), f->bytes);
	f->buf.bytes = frame_udp_finish(f->buf.data, f->bytes, &source, target);
	f->bytes = 0;
	transmit_one(w, &f->buf);
}

static bool frame_open(struct worker *w, struct tx_frame *f, const struct wire_header *header)
{
	if (!netdev_alloc(w->net, &f->buf)) {
		w->count.drop_no_buffer++;
		return false;
	}
	wire_header_encode(frame_payload(f), header);
	f->shard = header->shard;
	f->bytes = WIRE_HEADER_BYTES;
	return true;
}

static void frame_append(struct worker *w, struct tx_frame *f, const struct wire_message *m)
{
	wire_message_encode(frame_payload(f) + f->bytes, m);
	f->bytes += wire_message_bytes(m);
	w->count.tx_messages++;
}

static void close_peer(struct worker *w, uint8_t node)
{
	struct frame_addr target = w->peer[node];

	target.port = (uint16_t)(w->config.port_base + w->to_peer[node].shard);
	frame_close(w, &w->to_peer[node], &target);
}

/*
 * send_peer: the header names the epoch and incarnation the message is meant for, so a frame never
 * mixes messages from before and after some member's restart.
 */
static void send_peer(struct worker *w, uint16_t shard, uint8_t node, const struct wire_message *m)
{
	struct tx_frame *f = &w->to_peer[node];
	uint32_t epoch = replica_epoch(w->replica[shard]);

	if (!w->peer_known[node]) {
		w->count.drop_no_mac++;
		return;
	}
	if (f->bytes != 0 && (f->shard != shard || f->epoch != epoch ||
			      f->bytes + wire_message_bytes(m) > FRAME_PAYLOAD_MAX))
		close_peer(w, node);
	if (f->bytes == 0) {
		struct wire_header header = {
			.kind = WIRE_PEER,
			.cluster = w->sb.cluster,
			.epoch = epoch,
			.from_incarnation = w->sb.incarnation,
			.to_incarnation = replica_peer_incarnation(w->replica[shard], node),
			.from = w->sb.node,
			.to = node,
			.shard = shard,
		};

		if (!frame_open(w, f, &header))
			return;
		f->epoch = epoch;
	}
	frame_append(w, f, m);
}

static void close_client(struct worker *w, struct tx_frame *f)
{
	struct frame_addr target = { .port = f->client.port, .ip = f->client.ip };

	memcpy(target.mac, f->client.mac, sizeof(target.mac));
	frame_close(w, f, &target);
}

static struct tx_frame *client_frame(struct worker *w, uint16_t shard, const struct action *a)
{
	struct tx_frame *free_one = NULL;

	for (uint32_t i = 0; i < CLIENT_FRAMES; i++) {
		struct tx_frame *f = &w->to_client[i];

		if (f->bytes == 0)
			free_one = f;
		else if (f->session == a->session && f->shard == shard &&
			 memcmp(&f->client, &a->client, sizeof(f->client)) == 0)
			return f;
	}
	if (!free_one) {
		free_one = &w->to_client[w->client_turn++ % CLIENT_FRAMES];
		close_client(w, free_one);
	}
	return free_one;
}

static void send_client(struct worker *w, uint16_t shard, const struct action *a)
{
	struct tx_frame *f = client_frame(w, shard, a);

	if (f->bytes + wire_message_bytes(&a->message) > FRAME_PAYLOAD_MAX)
		close_client(w, f);
	if (f->bytes == 0) {
		struct wire_header header = {
			.kind = WIRE_REPLY,
			.cluster = w->sb.cluster,
			.session = a->session,
			.to_incarnation = w->sb.incarnation,
			.from = w->sb.node,
			.to = WIRE_NODE_CLIENT,
			.shard = shard,
		};

		if (!frame_open(w, f, &header))
			return;
		f->session = a->session;
		f->client = a->client;
	}
	frame_append(w, f, &a->message);
}

static void close_frames(struct worker *w)
{
	for (uint8_t n = 0; n < w->sb.node_count; n++)
		close_peer(w, n);
	for (uint32_t i = 0; i < CLIENT_FRAMES; i++)
		close_client(w, &w->to_client[i]);
	transmit(w);
}

/* ---- steps and their actions ----------------------------------------------------------------- */

static void append(struct worker *w, uint16_t shard, const struct action *a)
{
	const struct entry *e = a->entry;
	struct record record = {
		.key = e->blob,
		.value = entry_value(e),
		.ts = entry_ts(e),
		.epoch = EPOCH_STATIC,
		.key_bytes = e->key_bytes,
		.value_bytes = e->value_bytes,
		.shard = shard,
		.flags = e->flags,
	};

	must(wal_append(w->wal, &record) == a->persist_seq);
}

static void execute(struct worker *w, uint16_t shard)
{
	struct entry *shrink = NULL;

	for (uint32_t i = 0; i < w->actions.count; i++) {
		const struct action *a = &w->actions.list[i];

		switch (a->kind) {
		case ACTION_SEND:
			for (uint8_t n = 0; n < w->sb.node_count; n++)
				if (a->to & 1u << n)
					send_peer(w, shard, n, &a->message);
			break;
		case ACTION_PERSIST:
			append(w, shard, a);
			shrink = a->entry;
			break;
		case ACTION_REPLY:
			send_client(w, shard, a);
			break;
		}
	}
	/* Only now: actions point into the blob. */
	if (shrink && replica_entry_can_shrink(shrink))
		store_fit(w->store, shrink);
}

/* log_near_end: the device is used up but for what one more round may need; it stays that way. */
static bool log_near_end(const struct worker *w)
{
	return wal_remaining_bytes(w->wal) < 2ull * w->config.wal.batch_bytes_max;
}

/* can_step: whatever a step appends will fit the open batch, or it will append nothing. */
static bool can_step(const struct worker *w)
{
	return wal_can_append(w->wal, ACTIONS_MAX) || log_near_end(w) || w->failed;
}

/*
 * step: one event, then whatever else the replica has to say; what the log has no room for now
 * stays with the replica (stalled). Returns false when the event itself could not be given.
 */
static bool step(struct worker *w, uint16_t shard, struct event *ev)
{
	struct replica *r = w->replica[shard];
	enum event_kind kind = ev->kind;
	bool more;

	if (kind != EVENT_TICK && (w->stalled & 1ull << shard || !can_step(w)))
		return false;
	do {
		if (!can_step(w)) {
			w->stalled |= 1ull << shard;
			return true;
		}
		ev->now_ns = w->now_ns;
		ev->persist_seq_next = wal_seq_next(w->wal);
		more = replica_step(r, ev, &w->actions);
		execute(w, shard);
		ev->kind = EVENT_TICK;
	} while (more);
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

static void set_space_limits(struct worker *w)
{
	const struct store_config *store = &w->config.store;
	uint64_t low = w->config.space_low_permille;

	w->low_wal = max_u64(w->sb.device_bytes / 1000 * low, 8ull * w->config.wal.batch_bytes_max);
	w->low_blob = max_u64(store->blob_bytes / 1000 * low, 1);
	w->low_keys = max_u64(store->keys_max * low / 1000, 1);
}

static enum space space_of(const struct worker *w)
{
	struct store_usage u = store_usage(w->store);
	uint64_t wal = wal_remaining_bytes(w->wal);
	uint64_t blob = u.blob_bytes - u.blob_used;
	uint64_t keys = u.keys_max - u.keys;

	if (wal >= w->low_wal && blob >= w->low_blob && keys >= w->low_keys)
		return SPACE_OK;
	if (wal < w->low_wal / 2 || blob < w->low_blob / 2 || keys < w->low_keys / 2)
		return SPACE_FULL;
	return SPACE_LOW;
}

static void on_peer_message(struct worker *w, const struct wire_header *h,
			    const struct rx_message *rx)
{
	const struct wire_message *m = &rx->m;
	struct event ev = { .kind = EVENT_PEER, .header = h, .message = m };

	if (m->type == WIRE_INV) {
		/* What we could not acknowledge we must not adopt; it will be sent again. */
		if (!wal_can_append(w->wal, ACTIONS_MAX) ||
		    !replica_can_hold(w->replica[h->shard])) {
			w->count.drop_no_room++;
			return;
		}
		ev.entry = entry_with_room(w, rx, m->value_bytes, true);
		if (!ev.entry) {
			w->count.drop_no_room++;
			return;
		}
	} else if (m->type == WIRE_VAL) {
		ev.entry = entry_of(w, rx);
	}
	/* A message that finds no room is lost, as on the wire; its sender sends it again. */
	w->count.drop_no_room += !step(w, h->shard, &ev);
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
	} else if (m->type != WIRE_OPEN && replica_session_known(r, h)) {
		uint32_t room = m->type == WIRE_INCR ? INCR_BYTES_MAX : m->value_bytes;

		ev.entry = entry_with_room(w, rx, room, w->count.space == SPACE_OK);
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
		if (n == w->sb.node || w->config.ip[n] != source->ip)
			continue;
		memcpy(w->peer[n].mac, source->mac, sizeof(source->mac));
		w->peer_known[n] = true;
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
	for (uint32_t i = 0; i < count; i++) {
		if (on_frame(w, &bufs[i]))
			transmit_one(w, &bufs[i]);
		else
			bufs[kept++] = bufs[i];
	}
	if (kept > 0)
		netdev_free(w->net, bufs, kept);
	return count;
}

/* ---- disk, timers, housekeeping -------------------------------------------------------------- */

static void fail(struct worker *w)
{
	w->failed = true;
	for (uint16_t i = 0; i < w->shard_count; i++)
		replica_fail(w->replica[w->shards[i]]);
}

static uint32_t complete(struct worker *w)
{
	uint64_t durable = wal_poll(w->wal);
	uint32_t did = 0;

	if (wal_failed(w->wal) != 0 && !w->failed)
		fail(w);
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

static void look_after_space(struct worker *w)
{
	enum space space = space_of(w);

	w->count.space = space;
	for (uint16_t i = 0; i < w->shard_count; i++)
		replica_set_space(w->replica[w->shards[i]], space);
}

static void find_peers(struct worker *w)
{
	if (w->now_ns < w->arp_ns)
		return;
	w->arp_ns = w->now_ns + ARP_INTERVAL_NS;
	for (uint8_t n = 0; n < w->sb.node_count; n++) {
		struct netdev_buf buf;

		if (n == w->sb.node || w->peer_known[n])
			continue;
		if (!netdev_alloc(w->net, &buf)) {
			w->count.drop_no_buffer++;
			return;
		}
		buf.bytes = frame_arp_request(buf.data, &w->self, w->config.ip[n]);
		transmit_one(w, &buf);
	}
}

static void sum_replica(struct replica_counters *sum, const struct replica_counters *c)
{
#define SUM(name) sum->name += c->name;
	REPLICA_COUNTERS(SUM)
#undef SUM
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
	for (uint16_t i = 0; i < w->shard_count; i++) {
		const struct replica *r = w->replica[w->shards[i]];

		linked &= replica_linked(r);
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

static void housekeep(struct worker *w)
{
	w->housekeeping_ns = w->now_ns + w->config.housekeeping_ns;
	w->link_up = netdev_maintain(w->net, w->now_ns);
	find_peers(w);
	copy_out(w);
}

/* ---- the loop -------------------------------------------------------------------------------- */

uint32_t worker_poll(struct worker *w, uint64_t now_ns)
{
	uint32_t did;

	w->now_ns = now_ns;
	look_after_space(w);
	did = complete(w);
	did += receive(w);
	did += turn_timers(w);
	if (now_ns >= w->housekeeping_ns)
		housekeep(w);
	/* Frames first: peers write their logs while we write ours. */
	close_frames(w);
	if (wal_submit(w->wal, now_ns) != 0 && !w->failed)
		fail(w);
	w->count.polls++;
	w->count.polls_idle += did == 0;
	return did;
}

uint64_t worker_deadline_ns(const struct worker *w)
{
	uint64_t deadline = min_u64(w->housekeeping_ns, wal_deadline_ns(w->wal));

	for (uint16_t i = 0; i < w->shard_count; i++)
		deadline = min_u64(deadline, replica_deadline_ns(w->replica[w->shards[i]]));
	return deadline;
}

bool worker_io_pending(const struct worker *w)
{
	return wal_busy(w->wal);
}

/* ---- start ----------------------------------------------------------------------------------- */

static struct replica_config replica_config_of(const struct worker_config *c,
					       const struct superblock *sb, uint16_t shard)
{
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
		.retransmit_ns = c->retransmit_ns,
		.replay_ns = c->replay_ns,
		.hello_ns = c->hello_ns,
	};
}

static uint64_t owned_shards(const struct worker_config *c, const struct superblock *sb)
{
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
	return bytes + owned_shards(config, sb) * round_up(replica_size(&rc), 64);
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
	memset(w, 0, sizeof(*w));
	p += round_up(sizeof(*w), 64);
	w->config = *config;
	w->sb = *sb;
	w->net = net;
	w->stats = stats;
	w->wal = wal_init(wal_mem, &config->wal, disk, sb);
	w->store = store_init(p, &config->store);
	p += round_up(store_size(&config->store), 64);
	for (uint16_t s = config->worker_index; s < sb->shard_count; s += config->worker_count) {
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

int worker_recover(struct worker *w, uint64_t *ret_offset)
{
	uint8_t state = mutant(14) ? HERMES_VALID : HERMES_INVALID;
	struct record record;
	int rc;

	for (;;) {
		rc = wal_recover_next(w->wal, &record, ret_offset);
		w->count.recovered_torn_bytes = wal_recovered_torn(w->wal);
		if (rc == 0)
			*w->stats = w->count; /* what was recovered; the rest is still zero */
		if (rc <= 0)
			return rc;
		w->count.recovered_records++;
		if (record.shard >= w->sb.shard_count || !w->replica[record.shard])
			return -EBADMSG;
		rc = store_merge(w->store, &record, state);
		if (rc != 0)
			return rc;
	}
}

struct store *worker_store(struct worker *w)
{
	return w->store;
}

struct replica *worker_replica(struct worker *w, uint16_t shard)
{
	return shard < SHARDS_MAX ? w->replica[shard] : NULL;
}
