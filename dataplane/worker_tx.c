/* SPDX-License-Identifier: Apache-2.0 */
/* worker_tx.c: messages are gathered into frames, frames into bursts; leases are checked last. */
#include "dataplane/worker_priv.h"

static uint8_t *buf_payload(const struct netdev_buf *buf)
{
	return buf->data + FRAME_HEADERS_BYTES;
}

/* port_of: the view service is where shard 0 is. */
static uint16_t port_of(const struct worker *w, uint16_t shard)
{
	return (uint16_t)(w->config.port_base + (shard == WIRE_SHARD_VIEW ? 0 : shard));
}

static struct frame_addr source_of(const struct worker *w, uint16_t shard)
{
	struct frame_addr source = w->self;

	source.port = port_of(w, shard);
	return source;
}

/* void_reads: the frame's answers to reads become NOT_SERVING, without values. */
static void void_reads(struct worker *w, const struct leased_frame *l)
{
	struct frame_addr source = source_of(w, l->shard);
	struct netdev_buf *buf = &w->tx[l->index];
	uint8_t *payload = buf_payload(buf);
	uint32_t from = WIRE_HEADER_BYTES, to = WIRE_HEADER_BYTES;

	for (uint32_t i = 0; from < l->bytes; i++) {
		uint32_t start = from;
		struct wire_message m;

		must(wire_message_decode(payload, l->bytes, WIRE_REPLY, &from, &m) == WIRE_OK);
		if (l->reads & 1ull << i) {
			m.status = STATUS_NOT_SERVING;
			m.ts = (struct op_ts){ 0, 0 };
			m.value_bytes = 0;
			wire_message_encode(payload + to, &m);
			to += wire_message_bytes(&m);
			w->count.reads_voided++;
		} else {
			memmove(payload + to, payload + start, from - start);
			to += from - start;
		}
	}
	wire_seal(payload, to);
	buf->bytes = frame_udp_finish(buf->data, to, &source, &l->target);
}

/*
 * check_leases: H-READ-VALID, CC-9, CC-26. now_ns is from before the burst: this thread may have
 * been stopped since, its lease may have run out, and the others may have gone on without it. So
 * the clock is read once more, now that every value has been copied: what it finds still covered
 * was read under the lease.
 */
static void check_leases(struct worker *w)
{
	uint64_t now_ns = mutant(60) ? w->now_ns : w->config.clock_ns(w->config.clock_context);

	for (uint32_t i = 0; i < w->leased_count; i++) {
		const struct leased_frame *l = &w->leased[i];

		if (now_ns >= replica_lease_ns(w->replica[l->shard]))
			void_reads(w, l);
	}
	w->leased_count = 0;
}

/* transmit: the one way out, for frames that were full early, too. */
static void transmit(struct worker *w)
{
	if (w->leased_count > 0)
		check_leases(w);
	if (w->tx_count > 0)
		netdev_send(w->net, w->tx, w->tx_count);
	w->tx_count = 0;
}

void worker_tx_buf(struct worker *w, const struct netdev_buf *buf)
{
	w->tx[w->tx_count++] = *buf;
	if (w->tx_count == NETDEV_BURST)
		transmit(w);
}

static uint8_t *frame_payload(const struct tx_frame *f)
{
	return buf_payload(&f->buf);
}

static void frame_close(struct worker *w, struct tx_frame *f, const struct frame_addr *target)
{
	struct frame_addr source = source_of(w, f->shard);

	if (f->bytes == 0)
		return;
	if (f->reads != 0)
		w->leased[w->leased_count++] = (struct leased_frame){
			.target = *target,
			.reads = f->reads,
			.index = w->tx_count,
			.bytes = f->bytes,
			.shard = f->shard,
		};
	wire_seal(frame_payload(f), f->bytes);
	f->buf.bytes = frame_udp_finish(f->buf.data, f->bytes, &source, target);
	f->bytes = 0;
	worker_tx_buf(w, &f->buf);
}

static bool frame_open(struct worker *w, struct tx_frame *f, const struct wire_header *header)
{
	if (!netdev_alloc(w->net, &f->buf)) {
		w->count.drop_no_buffer++;
		return false;
	}
	wire_header_encode(frame_payload(f), header);
	f->messages = 0;
	f->reads = 0;
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

	target.port = port_of(w, w->to_peer[node].shard);
	frame_close(w, &w->to_peer[node], &target);
}

/*
 * worker_tx_peer: the header names the epoch and incarnation the message is meant for, so a frame
 * never mixes messages from before and after some member's restart.
 */
void worker_tx_peer(struct worker *w, uint16_t shard, uint8_t node, const struct wire_message *m)
{
	struct tx_frame *f = &w->to_peer[node];
	uint32_t epoch = replica_epoch(w->replica[shard]);

	if (!w->peer_known[node]) {
		w->count.drop_no_mac += w->peer[node].ip != 0;
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

static void close_raft(struct worker *w, uint8_t node)
{
	struct frame_addr target = w->peer[node];

	target.port = port_of(w, w->to_raft[node].shard);
	frame_close(w, &w->to_raft[node], &target);
	w->raft_open &= (uint8_t)~(1u << node);
}

/* open_raft: a frame to that node with room for so many bytes is open; false: none can be. */
static bool open_raft(struct worker *w, uint16_t shard, uint8_t node, uint32_t bytes)
{
	struct tx_frame *f = &w->to_raft[node];

	must_dbg(node < NODES_MAX && node != w->sb.node);
	if (!w->peer_known[node]) {
		w->count.drop_no_mac += w->peer[node].ip != 0;
		return false;
	}
	if (f->bytes != 0 && (f->shard != shard || f->bytes + bytes > FRAME_PAYLOAD_MAX))
		close_raft(w, node);
	if (f->bytes == 0) {
		struct wire_header header = {
			.kind = WIRE_RAFT,
			.cluster = w->sb.cluster,
			.ident = w->config.membership.ident,
			.to_ident = w->peer_ident[node],
			.from_incarnation = w->sb.incarnation,
			.from = w->sb.node,
			.to = node,
			.shard = shard,
		};

		if (!frame_open(w, f, &header))
			return false;
		w->raft_open |= (uint8_t)(1u << node);
	}
	return true;
}

void worker_tx_introduce(struct worker *w, uint16_t shard, uint8_t node)
{
	(void)open_raft(w, shard, node, 0);
}

void worker_tx_raft(struct worker *w, uint16_t shard, uint8_t node, const struct raft_message *m)
{
	struct tx_frame *f = &w->to_raft[node];
	uint32_t bytes = raft_message_bytes(m);

	if (!open_raft(w, shard, node, bytes))
		return;
	raft_message_encode(frame_payload(f) + f->bytes, m);
	f->bytes += bytes;
	w->count.tx_messages++;
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

void worker_tx_client(struct worker *w, uint16_t shard, const struct action *a)
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
	if (a->lease && w->config.views)
		f->reads |= 1ull << f->messages;
	f->messages++;
	frame_append(w, f, &a->message);
}

void worker_tx_end(struct worker *w)
{
	for (uint8_t n = 0; n < w->sb.node_count; n++)
		close_peer(w, n);
	while (w->raft_open != 0)
		close_raft(w, (uint8_t)__builtin_ctz(w->raft_open));
	for (uint32_t i = 0; i < CLIENT_FRAMES; i++)
		close_client(w, &w->to_client[i]);
	transmit(w);
}
