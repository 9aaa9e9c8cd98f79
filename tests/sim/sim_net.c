/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/sim/sim_net.h"

#include <stdlib.h>

#include "tests/sim/sim_wire.h"

#define RING_FRAMES 512u
#define HEAP_MAX SIM_NET_FRAMES
#define FREE_NONE UINT32_MAX
#define UDP_PORT_OFFSET 36u
#define IP_SOURCE_OFFSET 26u
#define OLD_FRAMES 128u

enum frame_state {
	FRAME_FREE = 0,
	FRAME_OWNED, /* by the port that allocated or received it */
	FRAME_WIRE,
	FRAME_RING,
};

/* The bytes lie apart (sim_net.data), so that looking over all frames stays in the cache. */
struct frame {
	uint32_t bytes;
	uint32_t next_free;
	uint16_t port; /* owner; on the wire: sender */
	uint8_t state;
};

#define FRAME_STRIDE 1536u

_Static_assert(NETDEV_FRAME_MAX <= FRAME_STRIDE, "a frame fits its place");

struct netdev {
	struct sim_net *net;
	uint16_t port, queue;
	uint8_t mac[6];
	uint32_t ring[RING_FRAMES];
	uint32_t head, tail; /* free running */
	struct netdev_counters counters;
};

struct port {
	uint16_t queues, steer_base;
	uint8_t ip[4];	/* as seen in what it sends */
	uint32_t armed; /* frames until fire, 0: never */
	void (*fire)(void *context);
	void *context;
	struct netdev queue[SIM_QUEUES_MAX];
};

struct flight {
	uint64_t due_ns;
	uint64_t order; /* ties go out as they came in */
	uint32_t frame;
	uint16_t to, queue;
};

/* A frame of the past. */
struct old_frame {
	uint8_t data[FRAME_STRIDE];
	uint32_t bytes;
	uint16_t from, to;
};

struct sim_net {
	struct sim_wire wire;
	uint64_t order;
	uint64_t offered; /* frames that might be remembered */
	uint32_t heap_count, first_free;
	uint64_t mac[SIM_PORTS_MAX];  /* as mac_number says */
	uint32_t owned[SIM_PORTS_MAX]; /* frames in FRAME_OWNED */
	struct sim_link link[SIM_PORTS_MAX][SIM_PORTS_MAX];
	struct port port[SIM_PORTS_MAX];
	/* What a reset keeps. */
	sim_net_watcher *watcher;
	void *watcher_context;
	struct flight heap[HEAP_MAX];
	struct frame frame[SIM_NET_FRAMES];
	uint8_t data[SIM_NET_FRAMES][FRAME_STRIDE];
	struct old_frame old[OLD_FRAMES];
};

static uint64_t mac_number(const uint8_t mac[6])
{
	return (uint64_t)load_u16(mac + 4) << 32 | load_u32(mac);
}

struct sim_net *sim_net_create(void)
{
	return calloc(1, sizeof(struct sim_net));
}

void sim_net_destroy(struct sim_net *net)
{
	free(net);
}

void sim_net_reset(struct sim_net *net, uint64_t seed)
{
	struct script *record = net->wire.record, *follow = net->wire.follow;

	memset(net, 0, offsetof(struct sim_net, watcher));
	net->wire.record = record;
	net->wire.follow = follow;
	for (uint32_t i = 0; i < SIM_PORTS_MAX * SIM_PORTS_MAX; i++) {
		uint8_t from = (uint8_t)(i / SIM_PORTS_MAX), to = (uint8_t)(i % SIM_PORTS_MAX);

		net->link[from][to] = (struct sim_link){ .rng = rng_make(seed, 1000 + i),
							 .from = from, .to = to };
	}
	for (uint32_t i = 0; i < SIM_NET_FRAMES; i++) {
		net->frame[i].state = FRAME_FREE;
		net->frame[i].next_free = i + 1 < SIM_NET_FRAMES ? i + 1 : FREE_NONE;
	}
}

void sim_net_watch(struct sim_net *net, sim_net_watcher *watcher, void *context)
{
	net->watcher = watcher;
	net->watcher_context = context;
}

uint16_t sim_net_add_port(struct sim_net *net, const uint8_t mac[6], uint16_t queues,
			  uint16_t steer_base)
{
	struct port *p = &net->port[net->wire.port_count];

	must(net->wire.port_count < SIM_PORTS_MAX);
	must(queues >= 1 && queues <= SIM_QUEUES_MAX);
	p->queues = queues;
	p->steer_base = steer_base;
	net->mac[net->wire.port_count] = mac_number(mac);
	for (uint16_t q = 0; q < queues; q++) {
		p->queue[q].net = net;
		p->queue[q].port = (uint16_t)net->wire.port_count;
		p->queue[q].queue = q;
		memcpy(p->queue[q].mac, mac, 6);
	}
	return (uint16_t)net->wire.port_count++;
}

struct netdev *sim_net_queue(struct sim_net *net, uint16_t port, uint16_t queue)
{
	must(port < net->wire.port_count && queue < net->port[port].queues);
	return &net->port[port].queue[queue];
}

void sim_net_set_faults(struct sim_net *net, const struct sim_net_faults *faults)
{
	net->wire.faults = *faults;
	for (uint32_t i = 0; i < SIM_PORTS_MAX * SIM_PORTS_MAX; i++)
		net->link[i / SIM_PORTS_MAX][i % SIM_PORTS_MAX].burst = false;
}

void sim_net_script(struct sim_net *net, struct script *record, struct script *follow)
{
	net->wire.record = record;
	net->wire.follow = follow;
}

void sim_net_cut(struct sim_net *net, uint16_t from, uint16_t to, uint32_t classes,
		 uint64_t until_ns)
{
	net->link[from][to].cut_classes = classes;
	net->link[from][to].cut_until_ns = until_ns;
}

void sim_net_slow(struct sim_net *net, uint16_t from, uint16_t to, uint64_t extra_ns,
		  uint64_t until_ns)
{
	net->link[from][to].slow_ns = extra_ns;
	net->link[from][to].slow_until_ns = until_ns;
}

void sim_net_clog(struct sim_net *net, uint16_t from, uint16_t to, uint64_t until_ns)
{
	net->link[from][to].clog_until_ns = until_ns;
}

void sim_net_heal(struct sim_net *net)
{
	for (uint32_t i = 0; i < SIM_PORTS_MAX * SIM_PORTS_MAX; i++) {
		struct sim_link *l = &net->link[i / SIM_PORTS_MAX][i % SIM_PORTS_MAX];

		l->cut_until_ns = l->slow_until_ns = l->clog_until_ns = 0;
	}
}

void sim_net_arm(struct sim_net *net, uint16_t port, uint32_t left, void (*fire)(void *context),
		 void *context)
{
	net->port[port].armed = left;
	net->port[port].fire = fire;
	net->port[port].context = context;
}

/* frame_set: the only writer of state and port. */
static void frame_set(struct sim_net *net, uint32_t index, uint16_t port, enum frame_state state)
{
	struct frame *f = &net->frame[index];

	net->owned[f->port] -= f->state == FRAME_OWNED;
	f->state = (uint8_t)state;
	f->port = port;
	net->owned[port] += state == FRAME_OWNED;
}

static uint32_t frame_take(struct sim_net *net, uint16_t port, enum frame_state state)
{
	uint32_t index = net->first_free;

	if (index == FREE_NONE)
		return FREE_NONE;
	net->first_free = net->frame[index].next_free;
	frame_set(net, index, port, state);
	return index;
}

static void frame_give(struct sim_net *net, uint32_t index)
{
	must(net->frame[index].state != FRAME_FREE);
	frame_set(net, index, 0, FRAME_FREE);
	net->frame[index].next_free = net->first_free;
	net->first_free = index;
}

void sim_net_port_down(struct sim_net *net, uint16_t port)
{
	net->port[port].armed = 0;
	/* Workers hold no frame between rounds, so almost always only the rings have some. */
	for (uint16_t q = 0; q < net->port[port].queues; q++) {
		struct netdev *dev = &net->port[port].queue[q];

		while (dev->head != dev->tail)
			frame_give(net, dev->ring[dev->head++ % RING_FRAMES]);
	}
	for (uint32_t i = 0; i < SIM_NET_FRAMES && net->owned[port] != 0; i++) {
		if (net->frame[i].port == port && net->frame[i].state == FRAME_OWNED)
			frame_give(net, i);
	}
}

void sim_net_set_now(struct sim_net *net, uint64_t now_ns)
{
	net->wire.now_ns = now_ns;
}

static bool flight_before(const struct flight *a, const struct flight *b)
{
	return a->due_ns != b->due_ns ? a->due_ns < b->due_ns : a->order < b->order;
}

static void heap_insert(struct sim_net *net, struct flight flight)
{
	uint32_t i = net->heap_count++;

	must(net->heap_count <= HEAP_MAX);
	while (i > 0 && flight_before(&flight, &net->heap[(i - 1) / 4])) {
		net->heap[i] = net->heap[(i - 1) / 4];
		i = (i - 1) / 4;
	}
	net->heap[i] = flight;
}

static struct flight heap_remove(struct sim_net *net)
{
	struct flight top = net->heap[0], last = net->heap[--net->heap_count];
	uint32_t i = 0;

	for (;;) {
		uint32_t first = 4 * i + 1, best = i;
		const struct flight *least = &last;

		for (uint32_t c = first; c < first + 4 && c < net->heap_count; c++) {
			if (flight_before(&net->heap[c], least)) {
				least = &net->heap[c];
				best = c;
			}
		}
		if (best == i)
			break;
		net->heap[i] = *least;
		i = best;
	}
	net->heap[i] = last;
	return top;
}

/* wire_queue: UDP is steered by port, the rest to queue 0 (and to all: wire_deliver). */
static uint16_t wire_queue(const struct port *p, const uint8_t *data, uint32_t bytes)
{
	uint32_t target;

	if (!sim_wire_is_ip(data, bytes) || data[23] != 17)
		return 0;
	target = (uint32_t)data[UDP_PORT_OFFSET] << 8 | data[UDP_PORT_OFFSET + 1];
	return (uint16_t)((target - p->steer_base) % p->queues);
}

/* wire_launch: a copy of this is on its way. */
static void wire_launch(struct sim_net *net, const uint8_t *data, uint32_t bytes, uint16_t from,
			struct flight flight, const struct sim_fate *fate)
{
	uint32_t copy = frame_take(net, from, FRAME_WIRE);

	if (copy == FREE_NONE) {
		net->wire.counters.overflow++;
		return;
	}
	memcpy(net->data[copy], data, bytes);
	if (fate->other != 0) {
		flight.to = (uint16_t)(((fate->other - 1) & 255) % net->wire.port_count);
		flight.queue = wire_queue(&net->port[flight.to], data, bytes);
		net->wire.counters.misdelivered++;
		if (((fate->other - 1) & 256) != 0)
			sim_wire_readdress(net->data[copy], net->port[flight.to].queue[0].mac,
					   net->port[flight.to].ip);
	}
	net->frame[copy].bytes = sim_wire_damage(&net->wire, net->data[copy], bytes, fate);
	flight.frame = copy;
	flight.order = net->order++;
	heap_insert(net, flight);
}

/* remember: every frame of the run so far is among the old ones with the same chance. */
static void remember(struct sim_net *net, uint32_t frame, uint16_t to, uint64_t word)
{
	uint64_t at = net->offered++;
	struct old_frame *old;

	if (at >= OLD_FRAMES)
		at = rng_mix(word) % net->offered;
	if (at >= OLD_FRAMES)
		return;
	old = &net->old[at];
	old->bytes = net->frame[frame].bytes;
	old->from = net->frame[frame].port;
	old->to = to;
	memcpy(old->data, net->data[frame], old->bytes);
}

/* wire_copy: sends frame towards one queue. */
static void wire_copy(struct sim_net *net, uint32_t frame, uint16_t to, uint16_t queue)
{
	const struct frame *f = &net->frame[frame];
	const uint8_t *data = net->data[frame];
	struct sim_link *l = &net->link[f->port][to];
	uint64_t word = rng_next(&l->rng);
	struct sim_fate fate = sim_wire_fate(&net->wire, l, data, f->bytes, word);
	struct flight flight = { .to = to, .queue = queue };

	if (net->wire.faults.keep_old)
		remember(net, frame, to, word);
	if (l->cut_until_ns > net->wire.now_ns &&
	    (sim_wire_class(data, f->bytes) & l->cut_classes) != 0) {
		net->wire.counters.cut++;
		return;
	}
	if (fate.lost)
		return;
	for (uint64_t i = 0; i < 1u + fate.duplicated; i++) {
		flight.due_ns = sim_wire_arrival(&net->wire, l, &fate, rng_mix(word + i));
		wire_launch(net, data, f->bytes, f->port, flight, &fate);
	}
}

/* wire_deliver: what the port's hardware would do: UDP to one queue by port, the rest to all. */
static void wire_deliver(struct sim_net *net, uint32_t frame, uint16_t to)
{
	const uint8_t *data = net->data[frame];
	const struct port *p = &net->port[to];

	if (sim_wire_is_ip(data, net->frame[frame].bytes) && data[23] == 17) {
		wire_copy(net, frame, to, wire_queue(p, data, net->frame[frame].bytes));
		return;
	}
	for (uint16_t q = 0; q < p->queues; q++)
		wire_copy(net, frame, to, q);
}

static void wire_send(struct sim_net *net, uint32_t frame)
{
	const struct frame *f = &net->frame[frame];
	bool broadcast = net->data[frame][0] & 1;
	uint64_t mac = mac_number(net->data[frame]);

	net->wire.counters.sent++;
	if (sim_wire_is_ip(net->data[frame], f->bytes))
		memcpy(net->port[f->port].ip, net->data[frame] + IP_SOURCE_OFFSET, 4);
	for (uint16_t to = 0; to < net->wire.port_count; to++) {
		if ((broadcast || net->mac[to] == mac) && to != f->port)
			wire_deliver(net, frame, to);
	}
}

void sim_net_replay(struct sim_net *net, uint32_t which, uint16_t port, uint32_t bytes)
{
	uint64_t kept = min_u64(net->offered, OLD_FRAMES);
	struct flight flight = { .due_ns = net->wire.now_ns + net->wire.faults.delay_min_ns };
	struct sim_fate fate = { 0 };
	const struct old_frame *old;

	if (kept == 0)
		return;
	old = &net->old[which % kept];
	flight.to = port < net->wire.port_count ? port : old->to;
	flight.queue = wire_queue(&net->port[flight.to], old->data, old->bytes);
	net->wire.counters.replayed++;
	if (bytes == 0 || bytes > old->bytes)
		bytes = old->bytes;
	wire_launch(net, old->data, bytes, old->from, flight, &fate);
}

uint64_t sim_net_next_ns(const struct sim_net *net)
{
	return net->heap_count == 0 ? UINT64_MAX : net->heap[0].due_ns;
}

struct sim_delivery sim_net_pop(struct sim_net *net)
{
	struct flight flight = heap_remove(net);
	struct frame *f = &net->frame[flight.frame];

	return (struct sim_delivery){ .now_ns = flight.due_ns,
				      .data = net->data[flight.frame],
				      .bytes = f->bytes,
				      .frame = flight.frame,
				      .from = f->port,
				      .to = flight.to,
				      .queue = flight.queue };
}

void sim_net_push(struct sim_net *net, const struct sim_delivery *delivery)
{
	struct netdev *dev = sim_net_queue(net, delivery->to, delivery->queue);

	if (dev->tail - dev->head == RING_FRAMES) {
		net->wire.counters.overflow++;
		dev->counters.rx_no_buffer++;
		frame_give(net, delivery->frame);
		return;
	}
	net->wire.counters.delivered++;
	frame_set(net, delivery->frame, delivery->to, FRAME_RING);
	dev->ring[dev->tail++ % RING_FRAMES] = delivery->frame;
}

void sim_net_release(struct sim_net *net, const struct sim_delivery *delivery)
{
	net->wire.counters.delivered++;
	frame_give(net, delivery->frame);
}

uint32_t sim_net_waiting(const struct sim_net *net, uint16_t port, uint16_t queue)
{
	const struct netdev *dev = &net->port[port].queue[queue];

	return dev->tail - dev->head;
}

uint32_t sim_net_held(const struct sim_net *net, uint16_t port)
{
	return net->owned[port];
}

const struct sim_net_counters *sim_net_counters(const struct sim_net *net)
{
	return &net->wire.counters;
}

/* The seam itself. */

const uint8_t *netdev_mac(const struct netdev *dev)
{
	return dev->mac;
}

static struct netdev_buf buf_of(struct sim_net *net, uint32_t index)
{
	return (struct netdev_buf){ .data = net->data[index],
				    .bytes = net->frame[index].bytes,
				    .handle = &net->frame[index] };
}

static uint32_t frame_of(struct netdev *dev, const struct netdev_buf *buf)
{
	const struct frame *f = buf->handle;
	uint32_t index = (uint32_t)(f - dev->net->frame);

	must(index < SIM_NET_FRAMES);
	must(f->state == FRAME_OWNED);
	must(f->port == dev->port);
	return index;
}

uint32_t netdev_receive(struct netdev *dev, struct netdev_buf *bufs, uint32_t max)
{
	uint32_t count = 0;

	must(max <= NETDEV_BURST);
	while (count < max && dev->head != dev->tail) {
		uint32_t index = dev->ring[dev->head++ % RING_FRAMES];

		frame_set(dev->net, index, dev->port, FRAME_OWNED);
		bufs[count] = buf_of(dev->net, index);
		dev->counters.rx_frames++;
		dev->counters.rx_bytes += bufs[count].bytes;
		count++;
	}
	return count;
}

bool netdev_alloc(struct netdev *dev, struct netdev_buf *ret_buf)
{
	uint32_t index = frame_take(dev->net, dev->port, FRAME_OWNED);

	if (index == FREE_NONE) {
		dev->counters.alloc_failed++;
		return false;
	}
	/* Whatever the last owner left behind must not decide anything. */
	memset(dev->net->data[index], 0xa5, 64);
	dev->net->frame[index].bytes = 0;
	*ret_buf = buf_of(dev->net, index);
	return true;
}

uint32_t netdev_send(struct netdev *dev, struct netdev_buf *bufs, uint32_t count)
{
	must(count <= NETDEV_BURST);
	for (uint32_t i = 0; i < count; i++) {
		uint32_t index = frame_of(dev, &bufs[i]);
		struct port *p = &dev->net->port[dev->port];

		if (p->armed != 0 && --p->armed == 0)
			p->fire(p->context);
		must(bufs[i].data == dev->net->data[index]);
		must(bufs[i].bytes > 0 && bufs[i].bytes <= NETDEV_FRAME_MAX);
		dev->net->frame[index].bytes = bufs[i].bytes;
		if (dev->net->watcher)
			dev->net->watcher(dev->net->watcher_context, dev->port,
					  dev->net->data[index], bufs[i].bytes);
		wire_send(dev->net, index);
		frame_give(dev->net, index);
		dev->counters.tx_frames++;
		dev->counters.tx_bytes += bufs[i].bytes;
	}
	return count;
}

void netdev_free(struct netdev *dev, struct netdev_buf *bufs, uint32_t count)
{
	for (uint32_t i = 0; i < count; i++)
		frame_give(dev->net, frame_of(dev, &bufs[i]));
}

bool netdev_maintain(struct netdev *dev, uint64_t now_ns)
{
	(void)dev;
	(void)now_ns;
	return true;
}

const struct netdev_counters *netdev_counters(const struct netdev *dev)
{
	return &dev->counters;
}
