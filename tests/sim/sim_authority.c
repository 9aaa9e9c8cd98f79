/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/sim/sim_authority.h"

#include "tests/sim/script.h"
#include "tests/sim/sim.h"

#define LOOK_NS 20000ull /* between two looks at shadows */
#define RETRY_NS 15000ull
#define STEP_NS 500ull
#define CALM_NS 20000ull

static struct view *view_at(struct sim *s, uint32_t epoch)
{
	return &s->authority.view[epoch % SIM_VIEWS_KEPT];
}

static const struct view *newest(const struct sim *s)
{
	return &s->authority.view[s->authority.epoch % SIM_VIEWS_KEPT];
}

static bool has(uint8_t set, uint8_t node)
{
	return (set >> node & 1) != 0;
}

static uint8_t bit(uint8_t node)
{
	return (uint8_t)(1u << node);
}

/* mood: a stream for one decision about one node. */
static struct rng mood(const struct sim *s, uint8_t node, uint32_t what)
{
	return rng_make(s->seed ^ rng_mix((uint64_t)s->authority.epoch << 32 | what), 64u + node);
}

static uint64_t soon(struct sim *s, uint8_t node, uint32_t what, uint64_t mean_ns)
{
	struct rng r = mood(s, node, what);

	if (s->authority.calm)
		mean_ns = min_u64(mean_ns, CALM_NS);
	return s->now_ns + 1 + rng_exponential(&r, mean_ns);
}

/* lives: the incarnation the view names is the one that runs. */
static bool lives(const struct sim *s, const struct view *v, uint8_t node)
{
	return s->node[node].up && s->node[node].incarnation == v->incarnation[node];
}

bool sim_authority_member(const struct sim *s, uint8_t node)
{
	const struct view *v = newest(s);

	if (s->authority.epoch == 0)
		return s->node[node].up;
	return has(v->members, node) && lives(s, v, node);
}

const struct view *sim_authority_of(const struct sim *s, uint32_t epoch)
{
	const struct view *v = &s->authority.view[epoch % SIM_VIEWS_KEPT];

	return epoch != 0 && v->epoch == epoch ? v : NULL;
}

static void schedule(struct sim *s)
{
	uint64_t due_ns = SIM_NEVER;

	for (uint8_t n = 0; n < s->plan.nodes; n++) {
		const struct sim_subject *a = &s->authority.node[n];
		bool out = !has(view_write_set(newest(s)), n);

		due_ns = min_u64(due_ns, out ? a->back_ns : min_u64(a->notice_ns, a->ready_ns));
		if (a->leaving || a->demoting)
			due_ns = min_u64(due_ns, max_u64(a->lease_end_ns, s->now_ns + RETRY_NS));
		if (s->node[n].up)
			due_ns = min_u64(due_ns, min_u64(a->install_ns, a->renew_ns));
		if (has(newest(s)->shadows, n))
			due_ns = min_u64(due_ns, s->now_ns + LOOK_NS);
	}
	/* Something that waits for a restart looks again. */
	s->view_due_ns = min_u64(max_u64(due_ns, s->now_ns + STEP_NS), s->now_ns + 10 * LOOK_NS);
	s->fault_due_ns = min_u64(s->fault_due_ns, s->view_due_ns);
}

/* announce: every node hears of the newest view at a time of its own. */
static void announce(struct sim *s)
{
	for (uint8_t n = 0; n < s->plan.nodes; n++) {
		struct rng r = mood(s, n, 1);
		bool late = rng_chance(&r, s->plan.views.late_ppm);

		s->authority.node[n].install_ns =
			soon(s, n, 2, late ? s->plan.views.late_ns : s->plan.views.install_ns);
	}
}

static void publish(struct sim *s, const struct view *v)
{
	struct sim_authority *a = &s->authority;

	must(v->members != 0 && (v->members & v->shadows) == 0);
	a->epoch = v->epoch;
	*view_at(s, v->epoch) = *v;
	sim_event(s, (uint64_t)v->epoch << 16 | (uint64_t)v->members << 8 | v->shadows);
	sim_trace(s, "view %u: members %02x shadows %02x recovered %02x", v->epoch, v->members,
		  v->shadows, v->recovered);
	for (uint8_t n = 0; s->trace && n < s->plan.nodes; n++)
		sim_trace(s, "view %u: node %u incarnation %u since %u", v->epoch, n,
			  v->incarnation[n], v->since[n]);
	announce(s);
}

void sim_authority_start(struct sim *s)
{
	struct view v = { .epoch = 1 };

	memset(&s->authority, 0, sizeof(s->authority));
	if (!s->plan.worker.views || s->plan.service.on)
		return;
	for (uint8_t n = 0; n < s->plan.nodes; n++) {
		struct sim_subject *a = &s->authority.node[n];

		v.members |= bit(n);
		v.incarnation[n] = s->node[n].incarnation;
		v.since[n] = 1;
		a->install_ns = a->renew_ns = a->back_ns = a->ready_ns = SIM_NEVER;
		a->notice_ns = SIM_NEVER;
	}
	v.recovered = v.members;
	publish(s, &v);
	schedule(s);
}

void sim_authority_stop(struct sim *s)
{
	if (s->authority.epoch == 0)
		return;
	s->authority.calm = true;
	for (uint8_t n = 0; n < s->plan.nodes; n++) {
		struct sim_subject *a = &s->authority.node[n];

		a->leaving = a->demoting = false;
		a->away_ns = 0;
		a->back_ns = min_u64(a->back_ns, s->now_ns + 1);
		if (a->install_ns != SIM_NEVER)
			a->install_ns = min_u64(a->install_ns, s->now_ns + CALM_NS);
		if (a->notice_ns != SIM_NEVER)
			a->notice_ns = min_u64(a->notice_ns, s->now_ns + CALM_NS);
		a->renew_ns = s->now_ns + 1;
	}
	schedule(s);
}

bool sim_authority_whole(const struct sim *s)
{
	const struct view *v = newest(s);

	for (uint8_t n = 0; n < s->plan.nodes && s->authority.epoch != 0; n++) {
		if (!has(v->members, n) || !lives(s, v, n) ||
		    s->authority.node[n].installed != v->epoch)
			return false;
	}
	return true;
}

void sim_authority_crashed(struct sim *s, uint8_t node)
{
	struct sim_subject *a = &s->authority.node[node];

	if (s->authority.epoch == 0)
		return;
	a->installed = 0;
	a->install_ns = a->renew_ns = a->ready_ns = SIM_NEVER;
	a->leaving = a->demoting = false;
	a->notice_ns = soon(s, node, 3, s->plan.views.notice_ns);
	schedule(s);
}

void sim_authority_started(struct sim *s, uint8_t node)
{
	struct sim_subject *a = &s->authority.node[node];

	if (s->authority.epoch == 0)
		return;
	a->install_ns = soon(s, node, 4, s->plan.views.install_ns);
	a->back_ns = max_u64(a->back_ns == SIM_NEVER ? 0 : a->back_ns,
			     soon(s, node, 5, s->plan.views.return_ns));
	schedule(s);
}

void sim_authority_frozen(struct sim *s, uint8_t node, uint64_t length_ns)
{
	/* Beyond any bound on drift: the product has to notice that itself one day (docs). */
	s->authority.node[node].lease_end_ns += length_ns;
}

/* others: up members without this node. */
static uint32_t others(const struct sim *s, uint8_t node)
{
	const struct view *v = newest(s);
	uint32_t count = 0;

	for (uint8_t n = 0; n < s->plan.nodes; n++) {
		const struct sim_subject *a = &s->authority.node[n];

		count += n != node && has(v->members, n) && lives(s, v, n) && !a->leaving &&
			 !a->demoting;
	}
	return count;
}

void sim_authority_order(struct sim *s, const struct script_event *e)
{
	struct sim_subject *a = &s->authority.node[e->node];

	if (s->authority.epoch == 0 || !sim_authority_member(s, e->node) ||
	    others(s, e->node) == 0 || sim_fault_precious(s, e->node))
		return;
	a->leaving = e->kind == SCRIPT_exclude;
	a->demoting = e->kind == SCRIPT_demote;
	a->away_ns = e->length_ns;
	schedule(s);
}

/* next_view: one by one, or straight to the newest. */
static const struct view *next_view(struct sim *s, uint8_t node)
{
	struct sim_authority *a = &s->authority;
	struct rng r = mood(s, node, 6);
	uint32_t oldest = a->epoch > 8 ? a->epoch - 8 : 1;
	uint32_t next = a->node[node].installed + 1;

	if (a->node[node].installed == 0)
		next = a->epoch > 1 && rng_chance(&r, 300000) ? a->epoch - 1 : a->epoch;
	if (a->calm || rng_chance(&r, s->plan.views.skip_ppm))
		next = a->epoch;
	return view_at(s, next < oldest ? oldest : next);
}

static void install(struct sim *s, uint8_t node)
{
	struct sim_subject *a = &s->authority.node[node];
	const struct view *v = next_view(s, node);
	uint32_t before = a->installed;

	a->install_ns = SIM_NEVER;
	if (before >= v->epoch)
		return;
	if (!sim_node_install(s, node, v)) {
		a->install_ns = s->now_ns + RETRY_NS;
		return;
	}
	a->installed = v->epoch;
	if (v->epoch < s->authority.epoch)
		a->install_ns = soon(s, node, 7, s->plan.views.install_ns);
	if (has(v->members, node))
		a->renew_ns = soon(s, node, 8, s->plan.views.install_ns);
}

/* stays: in its view, and ever since, it was a member; what it installed may be long ago. */
static bool stays(struct sim *s, uint8_t node)
{
	uint32_t installed = s->authority.node[node].installed;

	if (installed == 0 || installed + SIM_VIEWS_KEPT <= s->authority.epoch)
		return false;
	for (uint32_t epoch = installed; epoch <= s->authority.epoch; epoch++) {
		if (!has(view_at(s, epoch)->members, node))
			return false;
	}
	return true;
}

/* renew: a lease of the node's own clock; true time may pass a little faster (drift_ppm). */
static void renew(struct sim *s, uint8_t node)
{
	struct sim_subject *a = &s->authority.node[node];
	const struct plan_views *p = &s->plan.views;
	uint64_t lease_ns = p->lease_ns, local_ns = sim_node_clock(s, node);
	struct rng r = mood(s, node, 1000 + a->grants++);
	const struct view *v = newest(s);

	a->renew_ns = s->now_ns + p->renew_ns;
	if (a->leaving || a->demoting || !lives(s, v, node) || !stays(s, node))
		return;
	if (!s->authority.calm && rng_chance(&r, 50000)) {
		a->renew_ns = s->now_ns + 3 * lease_ns; /* it hears nothing for so long */
		return;
	}
	if (!sim_node_lease(s, node, a->installed, local_ns + lease_ns)) {
		a->renew_ns = s->now_ns + RETRY_NS;
		return;
	}
	s->authority.leases++;
	a->lease_end_ns = s->now_ns + lease_ns + lease_ns * 2 * s->plan.drift_ppm / 1000000 + 1 +
			  p->margin_ns;
	a->lease_end_ns = max_u64(a->lease_end_ns, s->node[node].clock_frozen_ns + lease_ns * 2);
}

/* watch_shadow: true when it is to be a member now. */
static bool watch_shadow(struct sim *s, uint8_t node)
{
	struct sim_subject *a = &s->authority.node[node];
	const struct view *v = newest(s);

	if (!lives(s, v, node) || a->installed < v->since[node] || !sim_node_joined(s, node)) {
		a->ready_ns = SIM_NEVER;
		return false;
	}
	if (a->ready_ns == SIM_NEVER)
		a->ready_ns = soon(s, node, 9, s->plan.views.return_ns);
	return a->ready_ns <= s->now_ns;
}

/* send_away: it can come back in a new incarnation only: its process is replaced. */
static void send_away(struct sim *s, uint8_t node)
{
	struct sim_node *n = &s->node[node];

	n->disk_error_ns = min_u64(n->disk_error_ns,
				   s->now_ns + 1 + s->authority.node[node].away_ns);
	s->fault_due_ns = min_u64(s->fault_due_ns, n->disk_error_ns);
}

/* all_gone: every member is known to be dead. */
static bool all_gone(const struct sim *s)
{
	const struct view *v = newest(s);

	for (uint8_t n = 0; n < s->plan.nodes; n++) {
		if (has(v->members, n) &&
		    (lives(s, v, n) || s->authority.node[n].notice_ns > s->now_ns))
			return false;
	}
	return true;
}

/* drop_gone: those known to be dead, and those whose time is over. */
static void drop_gone(struct sim *s, struct view *next)
{
	const struct view *v = newest(s);

	for (uint8_t n = 0; n < s->plan.nodes; n++) {
		struct sim_subject *a = &s->authority.node[n];

		if (!has(view_write_set(v), n))
			continue;
		if (!lives(s, v, n)) {
			if (a->notice_ns > s->now_ns)
				continue;
			a->notice_ns = SIM_NEVER;
			next->members &= (uint8_t)~bit(n);
			next->shadows &= (uint8_t)~bit(n);
			continue;
		}
		if (!(a->leaving || a->demoting) || a->lease_end_ns > s->now_ns)
			continue;
		if (others(s, n) != 0 && !sim_fault_precious(s, n)) {
			next->members &= (uint8_t)~bit(n);
			if (a->demoting)
				next->shadows |= bit(n);
			else
				send_away(s, n);
			*(a->demoting ? &s->authority.demotions : &s->authority.exclusions) += 1;
		}
		a->leaving = a->demoting = false;
		a->renew_ns = soon(s, n, 10, s->plan.views.renew_ns);
	}
}

static void add_back(struct sim *s, struct view *next)
{
	const struct view *v = newest(s);

	for (uint8_t n = 0; n < s->plan.nodes; n++) {
		if (has(v->shadows, n) && has(next->shadows, n) && watch_shadow(s, n)) {
			next->shadows &= (uint8_t)~bit(n);
			next->members |= bit(n);
			s->authority.node[n].ready_ns = SIM_NEVER;
			s->node[n].blank = false;
			s->authority.promotions++;
		} else if (!has(view_write_set(next), n) && s->node[n].up &&
			   s->node[n].incarnation != v->incarnation[n] &&
			   s->authority.node[n].back_ns <= s->now_ns) {
			next->shadows |= bit(n);
			next->incarnation[n] = s->node[n].incarnation;
			next->since[n] = next->epoch;
			s->authority.node[n].back_ns = SIM_NEVER;
			s->authority.node[n].notice_ns = SIM_NEVER;
			s->authority.node[n].ready_ns = SIM_NEVER;
		}
	}
}

/*
 * recover: every member of the last view is dead: what their disks hold is all there is. Waits
 * until all whose disks are good run again.
 */
static bool recover(struct sim *s, struct view *next)
{
	const struct view *v = newest(s);
	uint8_t good = 0;

	for (uint8_t n = 0; n < s->plan.nodes; n++) {
		if (!has(v->members, n) || s->node[n].damaged || s->node[n].blank)
			continue;
		if (!s->node[n].up || s->node[n].incarnation == v->incarnation[n])
			return false;
		good |= bit(n);
	}
	if (good == 0)
		return false;
	next->members = next->recovered = good;
	for (uint8_t n = 0; n < s->plan.nodes; n++) {
		if (!has(good, n))
			continue;
		next->incarnation[n] = s->node[n].incarnation;
		next->since[n] = next->epoch;
		s->authority.node[n].notice_ns = SIM_NEVER;
	}
	s->authority.recoveries++;
	return true;
}

/* still_recovered: who may not have heard yet that it goes on with what its disk holds. */
static uint8_t still_recovered(const struct sim *s)
{
	const struct view *v = newest(s);
	uint8_t set = v->recovered;

	for (uint8_t n = 0; n < s->plan.nodes; n++) {
		if (s->authority.node[n].installed >= v->since[n])
			set &= (uint8_t)~bit(n);
	}
	return set;
}

/* has_copy: some member's disk is as it should be: the faults leave one good copy. */
static bool has_copy(const struct sim *s, const struct view *v)
{
	for (uint8_t n = 0; n < s->plan.nodes; n++)
		if (has(v->members, n) && !s->node[n].damaged && !s->node[n].blank)
			return true;
	return false;
}

/* decide_later: nothing is decided now: whoever is dead stays known as dead. */
static void decide_later(struct sim *s)
{
	const struct view *v = newest(s);

	for (uint8_t n = 0; n < s->plan.nodes; n++)
		if (has(view_write_set(v), n) && !lives(s, v, n))
			s->authority.node[n].notice_ns = s->now_ns + RETRY_NS;
}

static void decide(struct sim *s)
{
	const struct view *v = newest(s);
	struct view next = *v;

	next.epoch = v->epoch + 1;
	next.recovered = still_recovered(s);
	if (all_gone(s)) {
		next.members = 0;
		if (!recover(s, &next)) {
			decide_later(s);
			return;
		}
	} else {
		drop_gone(s, &next);
		if (!has_copy(s, &next)) {
			decide_later(s);
			return;
		}
	}
	for (uint8_t n = 0; n < s->plan.nodes; n++) {
		struct sim_subject *a = &s->authority.node[n];

		/* Restarted already, or it will be. */
		if (has(view_write_set(v), n) && !has(view_write_set(&next), n) &&
		    a->back_ns == SIM_NEVER)
			a->back_ns = s->now_ns;
	}
	add_back(s, &next);
	next.recovered &= next.members;
	if (next.members != v->members || next.shadows != v->shadows ||
	    memcmp(next.since, v->since, sizeof(next.since)) != 0)
		publish(s, &next);
}

void sim_authority_turn(struct sim *s)
{
	for (uint8_t n = 0; n < s->plan.nodes && !s->violated; n++) {
		struct sim_subject *a = &s->authority.node[n];

		if (s->node[n].up && s->node[n].ready_ns <= s->now_ns) {
			if (a->install_ns <= s->now_ns)
				install(s, n);
			if (a->renew_ns <= s->now_ns)
				renew(s, n);
		}
	}
	if (!s->violated)
		decide(s);
	schedule(s);
}
