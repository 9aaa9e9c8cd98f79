/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/sim/sim_wire.h"

#include "dataplane/frame.h"
#include "replication/wire.h"

#define ETHERTYPE_OFFSET 12u
#define IP_OFFSET 14u
#define IP_CHECK_OFFSET 24u
#define IP_TARGET_OFFSET 30u

bool sim_wire_is_ip(const uint8_t *data, uint32_t bytes)
{
	return bytes >= FRAME_HEADERS_BYTES && data[ETHERTYPE_OFFSET] == 8 &&
	       data[ETHERTYPE_OFFSET + 1] == 0;
}

uint32_t sim_wire_class(const uint8_t *data, uint32_t bytes)
{
	static const uint8_t classes[] = {
		[WIRE_INV] = SIM_CLASS_INV,
		[WIRE_ACK] = SIM_CLASS_ACK,
		[WIRE_VAL] = SIM_CLASS_VAL,
		[WIRE_HELLO] = SIM_CLASS_HELLO,
	};
	uint8_t type;

	if (!sim_wire_is_ip(data, bytes) ||
	    bytes < FRAME_HEADERS_BYTES + WIRE_HEADER_BYTES + WIRE_MESSAGE_BYTES)
		return SIM_CLASS_OTHER;
	if (data[FRAME_HEADERS_BYTES + 3] == WIRE_RAFT)
		return SIM_CLASS_RAFT;
	if (data[FRAME_HEADERS_BYTES + 3] != WIRE_PEER)
		return SIM_CLASS_CLIENT;
	type = data[FRAME_HEADERS_BYTES + WIRE_HEADER_BYTES];
	return type < ARRAY_LEN(classes) && classes[type] != 0 ? classes[type] : SIM_CLASS_COPY;
}

static bool burst_loses(struct sim_wire *w, struct sim_link *l, struct rng *r)
{
	if (rng_chance(r, l->burst ? w->faults.burst_leave_ppm : w->faults.burst_enter_ppm))
		l->burst = !l->burst;
	return l->burst && rng_below(r, 8) != 0;
}

static struct sim_fate draw(struct sim_wire *w, struct sim_link *l, bool is_ip, uint32_t bytes,
			    uint64_t word)
{
	const struct sim_net_faults *f = &w->faults;
	struct sim_fate fate = { 0 };
	struct rng r = { word };

	if (burst_loses(w, l, &r) || rng_chance(&r, f->loss_ppm)) {
		fate.lost = true;
		return fate;
	}
	fate.duplicated = rng_chance(&r, f->duplicate_ppm);
	/* ARP relies on the link's own check: damage to it is a loss. */
	if (is_ip && rng_chance(&r, f->corrupt_ppm))
		fate.flips = rng_next(&r) | 1;
	if (rng_chance(&r, f->truncate_ppm))
		fate.bytes = (uint32_t)rng_below(&r, bytes) + 1;
	if (rng_chance(&r, f->spike_ppm))
		fate.late_ns = 1 + rng_exponential(&r, f->spike_ns);
	if (is_ip && rng_chance(&r, f->misdeliver_ppm)) {
		fate.other = (uint32_t)rng_below(&r, w->port_count) + 1;
		fate.other += (uint32_t)(rng_next(&r) & 256);
	}
	return fate;
}

static void record(struct sim_wire *w, const struct sim_link *l, uint8_t kind, uint64_t length_ns,
		   uint64_t arg)
{
	struct script_event e = { .ns = w->now_ns,
				  .length_ns = length_ns,
				  .arg = arg,
				  .n = l->sent,
				  .kind = kind,
				  .node = l->from,
				  .other = l->to };

	script_add(w->record, &e);
}

static void record_all(struct sim_wire *w, const struct sim_link *l, const struct sim_fate *fate)
{
	if (fate->lost)
		record(w, l, SCRIPT_lose, 0, 0);
	if (fate->duplicated)
		record(w, l, SCRIPT_duplicate, 0, 0);
	if (fate->flips != 0)
		record(w, l, SCRIPT_corrupt, 0, fate->flips);
	if (fate->bytes != 0)
		record(w, l, SCRIPT_truncate, 0, fate->bytes - 1);
	if (fate->late_ns != 0)
		record(w, l, SCRIPT_delay, fate->late_ns, 0);
	if (fate->other != 0)
		record(w, l, SCRIPT_misdeliver, 0, fate->other - 1);
}

static void add(struct sim_fate *fate, const struct script_event *e, bool is_ip, uint32_t bytes)
{
	if (e->kind == SCRIPT_lose)
		fate->lost = true;
	else if (e->kind == SCRIPT_duplicate)
		fate->duplicated = true;
	else if (e->kind == SCRIPT_corrupt && is_ip)
		fate->flips = e->arg;
	else if (e->kind == SCRIPT_truncate)
		fate->bytes = (uint32_t)(e->arg % bytes) + 1;
	else if (e->kind == SCRIPT_delay)
		fate->late_ns = e->length_ns;
	else if (e->kind == SCRIPT_misdeliver && is_ip)
		fate->other = (uint32_t)(e->arg & 511) + 1;
}

struct sim_fate sim_wire_fate(struct sim_wire *w, struct sim_link *l, const uint8_t *data,
			      uint32_t bytes, uint64_t word)
{
	uint32_t stream = script_link_stream(l->from, l->to);
	bool is_ip = sim_wire_is_ip(data, bytes);
	const struct script_event *e;
	struct sim_fate fate = { 0 };

	if (!w->follow) {
		fate = draw(w, l, is_ip, bytes, word);
		if (w->record)
			record_all(w, l, &fate);
	}
	while (w->follow && (e = script_peek(w->follow, stream)) != NULL && e->n <= l->sent) {
		if (e->n == l->sent)
			add(&fate, e, is_ip, bytes);
		script_take(w->follow, stream);
	}
	l->sent++;
	w->counters.lost += fate.lost;
	w->counters.duplicated += fate.duplicated;
	return fate;
}

uint64_t sim_wire_arrival(struct sim_wire *w, struct sim_link *l, const struct sim_fate *fate,
			  uint64_t word)
{
	struct rng r = { word };
	uint64_t due_ns = w->now_ns + w->faults.delay_min_ns + fate->late_ns;

	if (w->faults.delay_jitter_ns != 0)
		due_ns += rng_exponential(&r, w->faults.delay_jitter_ns);
	if (l->slow_until_ns > w->now_ns)
		due_ns += l->slow_ns;
	due_ns = max_u64(due_ns, l->clog_until_ns);
	w->counters.spiked += fate->late_ns != 0;
	w->counters.clogged += l->clog_until_ns > w->now_ns || l->slow_until_ns > w->now_ns;
	if (w->faults.fifo)
		due_ns = max_u64(due_ns, l->last_ns);
	l->last_ns = max_u64(l->last_ns, due_ns);
	return due_ns;
}

uint32_t sim_wire_damage(struct sim_wire *w, uint8_t *data, uint32_t bytes,
			 const struct sim_fate *fate)
{
	struct rng r = { fate->flips };

	if (fate->flips != 0) {
		uint64_t flips = rng_range(&r, 1, 8);

		for (uint64_t i = 0; i < flips; i++) {
			uint64_t bit = rng_below(&r, (uint64_t)bytes * 8);

			data[bit / 8] ^= (uint8_t)(1u << (bit % 8));
		}
		w->counters.corrupted++;
	}
	if (fate->bytes == 0)
		return bytes;
	w->counters.truncated++;
	return fate->bytes - 1;
}

void sim_wire_readdress(uint8_t *data, const uint8_t mac[6], const uint8_t ip[4])
{
	uint32_t sum = 0;

	memcpy(data, mac, 6);
	memcpy(data + IP_TARGET_OFFSET, ip, 4);
	data[IP_CHECK_OFFSET] = data[IP_CHECK_OFFSET + 1] = 0;
	for (uint32_t i = IP_OFFSET; i < IP_OFFSET + 20; i += 2)
		sum += (uint32_t)data[i] << 8 | data[i + 1];
	sum = (sum & 0xffff) + (sum >> 16);
	sum = ~((sum & 0xffff) + (sum >> 16)) & 0xffff;
	data[IP_CHECK_OFFSET] = (uint8_t)(sum >> 8);
	data[IP_CHECK_OFFSET + 1] = (uint8_t)sum;
}
