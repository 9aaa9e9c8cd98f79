/* SPDX-License-Identifier: Apache-2.0 */
#include "dataplane/switch.h"

#define MAC_MASK      0xffffffffffffull
#define MAC_GROUP     1ull /* first byte, lowest bit; the address is loaded little-endian */
#define MAC_SLOTS     (2 * SWITCH_MACS_MAX)
#define MAC_SLOT_BITS 10
#define HISTORY	      16u /* old frames remembered per port for `replay` */
#define ETH_BYTES     14u
#define NO_PORT	      0xffu

_Static_assert(MAC_SLOTS == 1u << MAC_SLOT_BITS, "hash bits");

struct mac_slot {
	uint64_t mac; /* 0: empty */
	uint32_t port;
};

struct out {
	uint32_t count;
	struct netdev_buf buf[NETDEV_BURST];
};

struct held {
	uint64_t due_ns;
	uint64_t sequence; /* keeps order among equals */
	uint32_t port;
	struct netdev_buf buf;
};

struct old_frame {
	uint32_t bytes; /* 0: none */
	uint32_t out;
	uint8_t data[NETDEV_FRAME_MAX];
};

struct switch_plane {
	struct switch_config config;
	uint32_t ports; /* config.port_count, and one for the gateway */
	uint32_t mac_count;
	uint64_t now_ns;
	uint64_t maintain_ns;
	uint64_t up; /* bit per port */
	uint64_t last_source[SWITCH_PORTS_MAX + 1];
	struct mac_slot mac[MAC_SLOTS];
	struct out out[SWITCH_PORTS_MAX + 1];
	struct switch_counters counters;
	struct switch_fault fault;
	/* `delay`: a binary heap by due time */
	uint32_t held_count;
	uint64_t held_sequence;
	struct held held[SWITCH_HELD_MAX];
	/* `replay`: the last frames of every input port */
	uint32_t old_next[SWITCH_PORTS_MAX + 1];
	struct old_frame old[SWITCH_PORTS_MAX + 1][HISTORY];
};

uint64_t switch_size(void)
{
	return sizeof(struct switch_plane);
}

struct switch_plane *switch_init(void *mem, const struct switch_config *config)
{
	struct switch_plane *sw = mem;

	must(config->port_count >= 1 && config->port_count <= SWITCH_PORTS_MAX);
	memset(sw, 0, sizeof(*sw));
	sw->config = *config;
	sw->ports = config->port_count + (config->gateway ? 1 : 0);
	return sw;
}

struct switch_fault *switch_faults(struct switch_plane *sw)
{
	return &sw->fault;
}

const struct switch_counters *switch_counters(const struct switch_plane *sw)
{
	return &sw->counters;
}

uint32_t switch_port_count(const struct switch_plane *sw)
{
	return sw->ports;
}

bool switch_port_up(const struct switch_plane *sw, uint32_t port)
{
	return port == sw->config.port_count || (sw->up >> port & 1);
}

/* ---- addresses ---- */

static inline uint32_t mac_hash(uint64_t mac)
{
	return (uint32_t)((mac * 0x9e3779b97f4a7c15ull) >> (64 - MAC_SLOT_BITS));
}

static inline uint32_t mac_find(const struct switch_plane *sw, uint64_t mac)
{
	for (uint32_t i = mac_hash(mac);; i = (i + 1) % MAC_SLOTS) {
		if (sw->mac[i].mac == mac)
			return sw->mac[i].port;
		if (sw->mac[i].mac == 0)
			return NO_PORT;
	}
}

static void mac_learn(struct switch_plane *sw, uint64_t mac, uint32_t port)
{
	uint32_t i = mac_hash(mac);

	while (sw->mac[i].mac != mac && sw->mac[i].mac != 0)
		i = (i + 1) % MAC_SLOTS;
	if (sw->mac[i].mac == 0) {
		if (sw->mac_count == SWITCH_MACS_MAX)
			return; /* half of the slots stay empty: searches stay short and end */
		sw->mac_count++;
	} else if (sw->mac[i].port != port) {
		sw->counters.moved++;
		sw->last_source[sw->mac[i].port] = 0;
	}
	sw->mac[i] = (struct mac_slot) { mac, port };
	sw->last_source[port] = mac;
}

/* ---- output ---- */

static inline struct netdev *pool_of(struct switch_plane *sw)
{
	return sw->config.port[0];
}

static void drop(struct switch_plane *sw, struct netdev_buf *buf)
{
	sw->counters.dropped++;
	netdev_free(pool_of(sw), buf, 1);
}

static void out_flush(struct switch_plane *sw, uint32_t port)
{
	struct out *o = &sw->out[port];

	if (port == sw->config.port_count) {
		gateway_udp_send(sw->config.gateway, pool_of(sw), o->buf, o->count);
		sw->counters.tx_frames += o->count;
	} else {
		uint32_t sent = netdev_send(sw->config.port[port], o->buf, o->count);

		sw->counters.tx_frames += sent;
		sw->counters.dropped += o->count - sent;
	}
	o->count = 0;
}

static inline void out_push(struct switch_plane *sw, uint32_t port, const struct netdev_buf *buf)
{
	struct out *o = &sw->out[port];

	o->buf[o->count++] = *buf;
	if (o->count == NETDEV_BURST)
		out_flush(sw, port);
}

/* A copy of data in a buffer of its own; false: out of buffers. */
static bool copy(struct switch_plane *sw, const uint8_t *data, uint32_t bytes,
		 struct netdev_buf *ret_buf)
{
	if (!netdev_alloc(pool_of(sw), ret_buf)) {
		sw->counters.no_buffer++;
		return false;
	}
	memcpy(ret_buf->data, data, bytes);
	ret_buf->bytes = bytes;
	return true;
}

/* ---- faults ---- */

static bool held_before(const struct held *a, const struct held *b)
{
	return a->due_ns != b->due_ns ? a->due_ns < b->due_ns : a->sequence < b->sequence;
}

static bool held_push(struct switch_plane *sw, struct held item)
{
	uint32_t i = sw->held_count;

	if (i == SWITCH_HELD_MAX) {
		sw->counters.held_full++;
		return false;
	}
	sw->held_count++;
	item.sequence = sw->held_sequence++;
	for (; i > 0 && held_before(&item, &sw->held[(i - 1) / 2]); i = (i - 1) / 2)
		sw->held[i] = sw->held[(i - 1) / 2];
	sw->held[i] = item;
	return true;
}

static struct held held_pop(struct switch_plane *sw)
{
	struct held top = sw->held[0];
	struct held last = sw->held[--sw->held_count];
	uint32_t i = 0;

	for (;;) {
		uint32_t child = 2 * i + 1;

		if (child >= sw->held_count)
			break;
		if (child + 1 < sw->held_count &&
		    held_before(&sw->held[child + 1], &sw->held[child]))
			child++;
		if (!held_before(&sw->held[child], &last))
			break;
		sw->held[i] = sw->held[child];
		i = child;
	}
	sw->held[i] = last;
	return top;
}

static uint32_t held_release(struct switch_plane *sw)
{
	uint32_t count = 0;

	while (sw->held_count > 0 && sw->held[0].due_ns <= sw->now_ns) {
		struct held item = held_pop(sw);

		out_push(sw, item.port, &item.buf);
		count++;
	}
	return count;
}

static void remember(struct switch_plane *sw, uint32_t in, uint32_t out,
		     const struct netdev_buf *buf)
{
	struct old_frame *old = &sw->old[in][sw->old_next[in]++ % HISTORY];

	if (buf->bytes > sizeof(old->data))
		return;
	old->bytes = buf->bytes;
	old->out = out;
	memcpy(old->data, buf->data, buf->bytes);
}

static void replay(struct switch_plane *sw, uint32_t in, uint64_t draw)
{
	const struct old_frame *old = &sw->old[in][draw % HISTORY];
	struct netdev_buf buf;

	if (sw->fault.blocked[in] >> old->out & 1)
		return;
	if (old->bytes == 0 || !copy(sw, old->data, old->bytes, &buf))
		return;
	sw->fault.counters.replayed++;
	out_push(sw, old->out, &buf);
}

static void pass_or_hold(struct switch_plane *sw, uint32_t out, const struct netdev_buf *buf,
			 uint64_t hold_ns)
{
	struct held item = { .due_ns = sw->now_ns + hold_ns, .port = out, .buf = *buf };

	if (hold_ns == 0 || !held_push(sw, item))
		out_push(sw, out, buf);
}

static void forward_faulty(struct switch_plane *sw, uint32_t in, uint32_t out,
			   struct netdev_buf *buf)
{
	struct switch_fault_plan plan;
	struct netdev_buf twin;

	switch_fault_draw(&sw->fault, in, out, buf->bytes, &plan);
	if (plan.replay)
		replay(sw, in, plan.replay_draw);
	if (sw->fault.spec.replay && plan.copies > 0)
		remember(sw, in, out, buf);
	if (plan.copies == 0) {
		netdev_free(pool_of(sw), buf, 1);
		return;
	}
	buf->bytes = plan.bytes;
	if (plan.flip_bit >= 0)
		buf->data[plan.flip_bit / 8] ^= (uint8_t)(1u << (plan.flip_bit % 8));
	if (plan.copies == 2 && copy(sw, buf->data, buf->bytes, &twin))
		pass_or_hold(sw, out, &twin, plan.hold_ns[1]);
	pass_or_hold(sw, out, buf, plan.hold_ns[0]);
}

/* ---- forwarding ---- */

static inline void forward(struct switch_plane *sw, uint32_t in, uint32_t out,
			   struct netdev_buf *buf)
{
	if (__builtin_expect(sw->fault.active, 0))
		forward_faulty(sw, in, out, buf);
	else
		out_push(sw, out, buf);
}

static void flood(struct switch_plane *sw, uint32_t in, struct netdev_buf *buf)
{
	struct netdev_buf twin;

	for (uint32_t out = 0; out < sw->ports; out++) {
		if (out == in || !switch_port_up(sw, out))
			continue;
		if (!copy(sw, buf->data, buf->bytes, &twin))
			break;
		sw->counters.flooded++;
		forward(sw, in, out, &twin);
	}
	netdev_free(pool_of(sw), buf, 1);
}

static inline void frame_in(struct switch_plane *sw, uint32_t in, struct netdev_buf *buf)
{
	if (buf->bytes < ETH_BYTES || buf->bytes > NETDEV_FRAME_MAX) {
		drop(sw, buf);
		return;
	}
	/* Both loads stay inside the Ethernet header. */
	uint64_t target = load_u64(buf->data) & MAC_MASK;
	uint64_t source = load_u64(buf->data + 6) & MAC_MASK;

	if (source != sw->last_source[in]) {
		if ((source & MAC_GROUP) || source == 0) {
			drop(sw, buf);
			return;
		}
		mac_learn(sw, source, in);
	}
	uint32_t out = (target & MAC_GROUP) || target == 0 ? NO_PORT : mac_find(sw, target);

	if (out == NO_PORT)
		flood(sw, in, buf);
	else if (out == in)
		drop(sw, buf);
	else
		forward(sw, in, out, buf);
}

static void maintain(struct switch_plane *sw)
{
	if (sw->now_ns < sw->maintain_ns)
		return;
	sw->maintain_ns = sw->now_ns + SWITCH_MAINTAIN_NS;
	for (uint32_t i = 0; i < sw->config.port_count; i++) {
		uint64_t bit = 1ull << i;

		if (netdev_maintain(sw->config.port[i], sw->now_ns))
			sw->up |= bit;
		else
			sw->up &= ~bit;
	}
}

uint32_t switch_poll(struct switch_plane *sw, uint64_t now_ns)
{
	struct netdev_buf bufs[NETDEV_BURST];
	uint32_t total = 0;

	sw->now_ns = now_ns;
	maintain(sw);
	for (uint32_t in = 0; in < sw->ports; in++) {
		uint32_t n;

		if (in < sw->config.port_count)
			n = netdev_receive(sw->config.port[in], bufs, NETDEV_BURST);
		else
			n = gateway_udp_receive(sw->config.gateway, pool_of(sw), now_ns, bufs,
						NETDEV_BURST);
		for (uint32_t i = 0; i < n; i++)
			frame_in(sw, in, &bufs[i]);
		total += n;
	}
	sw->counters.rx_frames += total;
	total += held_release(sw);
	for (uint32_t out = 0; out < sw->ports; out++)
		if (sw->out[out].count > 0)
			out_flush(sw, out);
	return total;
}

uint64_t switch_deadline_ns(const struct switch_plane *sw)
{
	return sw->held_count > 0 ? min_u64(sw->held[0].due_ns, sw->maintain_ns) : sw->maintain_ns;
}

void switch_flush(struct switch_plane *sw)
{
	while (sw->held_count > 0) {
		struct held item = held_pop(sw);

		netdev_free(pool_of(sw), &item.buf, 1);
	}
}
