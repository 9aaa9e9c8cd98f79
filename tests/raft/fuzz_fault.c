/* SPDX-License-Identifier: Apache-2.0 */
/* fuzz_fault.c: what goes wrong between load and calm. */
#include "tests/raft/fuzz.h"

static uint8_t any_node(struct fuzz *f)
{
	return (uint8_t)rng_below(&f->fault_rng, f->rig->nodes);
}

/* prefer_leader: half of the time whoever leads, by its own belief. */
static uint8_t prefer_leader(struct fuzz *f)
{
	uint8_t from = any_node(f);

	for (uint32_t i = 0; rng_below(&f->fault_rng, 2) != 0 && i < f->rig->nodes; i++) {
		const struct rig_node *n = &f->rig->node[(from + i) % f->rig->nodes];

		if (n->up && n->role == RAFT_LEADER)
			return n->node;
	}
	return from;
}

static uint64_t some_time(struct fuzz *f)
{
	uint64_t election_ns = f->rig->node[0].config.election_ns;

	return rng_exponential(&f->fault_rng, election_ns << rng_below(&f->fault_rng, 4) >> 1);
}

/* crash: of the write under way any part may have reached the disk. */
static void crash(struct fuzz *f, uint8_t node, uint64_t down_ns)
{
	struct rig_node *n = &f->rig->node[node];
	uint32_t keep = n->durable_count;

	if (!n->up)
		return;
	if (f->node[node].disk_busy && !n->failed)
		keep += (uint32_t)rng_below(&f->disk_rng, f->node[node].in_flight - keep + 1);
	fuzz_note(f, "%c crashes, keeps %u of %u records", 'a' + node, keep, n->record_count);
	rig_crash(f->rig, node, keep);
	f->node[node].disk_busy = false;
	f->node[node].pause_ns = f->node[node].timer_ns = 0;
	fuzz_net_push(f, f->rig->now_ns + down_ns, FUZZ_RESTART, node, 0);
}

void fuzz_fault_restart(struct fuzz *f, uint8_t node)
{
	struct rig *rig = f->rig;
	struct rig_node *n = &rig->node[node];

	if (n->up)
		return;
	/* A machine that boots has a new clock; a process that starts has the old one. */
	n->clock_local = rig_clock(rig, node);
	if (rng_below(&f->fault_rng, 4) == 0)
		n->clock_local = rng_range(&f->fault_rng, 1, 1000000 * FUZZ_MS);
	n->clock_real = rig->now_ns;
	if (rng_below(&f->fault_rng, 2) == 0 && !f->plan.keep_disks && rig_may_wipe(rig, node) &&
	    n->life > 0) {
		fuzz_note(f, "%c is wiped", 'a' + node);
		rig_wipe(rig, node);
	}
	rig_start(rig, node);
	fuzz_note(f, "%c starts: term %u, log %llu..%llu", 'a' + node, n->term,
		  (unsigned long long)n->mirror.base, (unsigned long long)n->mirror.last);
	f->node[node].stall_ns = 0;
	f->node[node].timer_ns = UINT64_MAX;
	if (!rig->failed)
		fuzz_after(f, node);
}

/* cut_links: by a shape; whoever is on one side does not hear the other. */
static void cut_links(struct fuzz *f, enum fuzz_fault shape)
{
	uint8_t all = (uint8_t)((1u << f->rig->nodes) - 1), chosen = prefer_leader(f);
	uint8_t one = (uint8_t)(1u << chosen);
	uint8_t side = (uint8_t)(rng_next(&f->fault_rng) & all);
	bool both = rng_below(&f->fault_rng, 2) == 0;

	for (uint8_t i = 0; i < f->rig->nodes; i++) {
		uint8_t self = (uint8_t)(1u << i), hears = all;

		if (shape == FAULT_split)
			hears = (side & self) != 0 ? side : all & (uint8_t)~side;
		else if (shape == FAULT_isolate)
			hears = self == one ? self : all & (uint8_t)~one;
		else if (shape == FAULT_one_way && both)
			hears = self == one ? self : all;
		else if (shape == FAULT_one_way)
			hears = self == one ? all : all & (uint8_t)~one;
		else if (shape == FAULT_chain)
			hears = (uint8_t)(self | self << 1 | self >> 1) & all;
		else if (shape == FAULT_bridge)
			hears = self == one ? all
					    : (uint8_t)(one | ((side & self) != 0
								       ? side
								       : all & (uint8_t)~side));
		f->node[i].cut = all & (uint8_t)~hears;
	}
}

void fuzz_fault_flap(struct fuzz *f)
{
	if (f->flap_ns == 0)
		return;
	for (uint32_t i = 0; i < f->rig->nodes; i++) {
		uint8_t cut = f->node[i].cut;

		f->node[i].cut = f->flap_cut[i];
		f->flap_cut[i] = cut;
	}
	fuzz_net_push(f, f->rig->now_ns + 1 + rng_exponential(&f->fault_rng, f->flap_ns), FUZZ_FLAP,
		      NODES_MAX, 0);
}

void fuzz_fault_mend(struct fuzz *f, enum fuzz_mend what)
{
	f->heals++;
	if (what == MEND_STOP) {
		for (uint8_t i = 0; i < f->rig->nodes; i++) {
			if ((f->stopping >> i & 1) != 0)
				crash(f, i, some_time(f));
		}
		f->stopping = 0;
		return;
	}
	if (what == MEND_TYPES) {
		f->deaf_types = 0;
		return;
	}
	for (uint32_t i = 0; i < f->rig->nodes; i++)
		f->node[i].cut = f->flap_cut[i] = 0;
	f->flap_ns = 0;
}

static void partition(struct fuzz *f, enum fuzz_fault kind)
{
	static const enum fuzz_fault shapes[] = { FAULT_split, FAULT_isolate, FAULT_one_way,
						  FAULT_chain, FAULT_bridge };
	enum fuzz_fault shape = kind == FAULT_flap ? shapes[rng_below(&f->fault_rng, 5)] : kind;

	cut_links(f, shape);
	if (kind == FAULT_flap && f->flap_ns == 0) {
		f->flap_ns = FUZZ_MS + some_time(f) / 4;
		fuzz_net_push(f, f->rig->now_ns + f->flap_ns, FUZZ_FLAP, NODES_MAX, 0);
	}
	fuzz_net_push(f, f->rig->now_ns + 4 * some_time(f), FUZZ_MEND, NODES_MAX, MEND_LINKS);
}

static void change_clock(struct fuzz *f, uint8_t node)
{
	struct rig_node *n = &f->rig->node[node];
	uint32_t ppm = n->config.drift_ppm;

	n->clock_local = rig_clock(f->rig, node);
	n->clock_real = f->rig->now_ns;
	n->rate_ppb = (int64_t)rng_below(&f->fault_rng, 1000ull * ppm + 1) - 500 * (int64_t)ppm;
}

/* disk_fails: nothing more reaches it; later the process ends, and the next has a disk again. */
static void disk_fails(struct fuzz *f, uint8_t node)
{
	if (!f->rig->node[node].up || f->rig->node[node].failed || f->node[node].pause_ns != 0)
		return;
	fuzz_note(f, "%c's disk fails", 'a' + node);
	rig_disk_fails(f->rig, node);
	fuzz_after(f, node);
}

/* stop: hands over if it leads, and ends a moment later. */
static void stop(struct fuzz *f, uint8_t node)
{
	if (!f->rig->node[node].up || f->node[node].pause_ns != 0)
		return;
	rig_transfer(f->rig, node, RAFT_NODE_ANY);
	fuzz_after(f, node);
	f->stopping |= (uint8_t)(1u << node);
	fuzz_net_push(f, f->rig->now_ns + rng_below(&f->fault_rng, 10 * FUZZ_MS), FUZZ_MEND, node,
		      MEND_STOP);
}

static void other_fault(struct fuzz *f, enum fuzz_fault kind, uint8_t node)
{
	uint64_t now_ns = f->rig->now_ns;

	if (kind == FAULT_pause) {
		f->node[node].pause_ns = now_ns + some_time(f);
	} else if (kind == FAULT_deaf_type) {
		f->deaf_types |= 1u << rng_range(&f->fault_rng, RAFT_PRE_VOTE, RAFT_READ_ACK);
		fuzz_net_push(f, now_ns + 2 * some_time(f), FUZZ_MEND, NODES_MAX, MEND_TYPES);
	} else if (kind == FAULT_clock) {
		change_clock(f, node);
	} else if (kind == FAULT_stall) {
		f->node[node].stall_ns = now_ns + 2 * some_time(f);
	} else if (kind == FAULT_disk_fail) {
		disk_fails(f, node);
	} else if (kind == FAULT_slow_node) {
		f->node[node].slow_ns = rng_below(&f->fault_rng, 2) * some_time(f) / 8;
	} else if (kind == FAULT_stop) {
		stop(f, node);
	}
}

void fuzz_fault_draw(struct fuzz *f)
{
	const struct fuzz_plan *p = &f->plan;
	uint8_t node = prefer_leader(f);
	uint64_t lot, at = 0;
	uint32_t kind = 0;

	if (f->calm || p->fault_sum == 0)
		return;
	fuzz_net_push(f, f->rig->now_ns + 1 + rng_exponential(&f->fault_rng, p->fault_ns),
		      FUZZ_FAULT, NODES_MAX, 0);
	lot = rng_below(&f->fault_rng, p->fault_sum);
	for (at = p->fault[0]; at <= lot; at += p->fault[kind])
		kind++;
	fuzz_note(f, "fault %u at %c", kind, 'a' + node);
	if (kind == FAULT_crash) {
		crash(f, node, some_time(f));
	} else if (kind == FAULT_crash_many) {
		uint8_t which = (uint8_t)rng_next(&f->fault_rng);
		uint64_t down_ns = some_time(f);

		for (uint8_t i = 0; i < f->rig->nodes; i++) {
			if ((which >> i & 1) != 0 || rng_below(&f->fault_rng, 4) == 0)
				crash(f, i, down_ns);
		}
	} else if (kind >= FAULT_split && kind <= FAULT_flap) {
		partition(f, (enum fuzz_fault)kind);
	} else {
		other_fault(f, (enum fuzz_fault)kind, node);
	}
}

void fuzz_fault_heal(struct fuzz *f)
{
	fuzz_fault_mend(f, MEND_LINKS);
	fuzz_fault_mend(f, MEND_TYPES);
	f->stopping = 0;
	memset(f->link_ns, 0, sizeof(f->link_ns));
	for (uint8_t i = 0; i < f->rig->nodes && !f->rig->failed; i++) {
		struct fuzz_node *n = &f->node[i];

		n->pause_ns = n->stall_ns = n->slow_ns = 0;
		if (f->rig->node[i].failed)
			crash(f, i, 0);
		if (!f->rig->node[i].up)
			fuzz_fault_restart(f, i);
		else if (f->rig->node[i].hold != 0)
			rig_hold(f->rig, i, 0);
		/* A write that stalls ends now; a clock that was not looked at is. */
		n->timer_ns = UINT64_MAX;
		fuzz_after(f, i);
		if (n->disk_busy)
			fuzz_net_push(f, f->rig->now_ns, FUZZ_DISK, i, n->disk_gen);
	}
}
