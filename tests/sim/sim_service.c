/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/sim/sim_service.h"

#include "tests/sim/sim.h"

static bool has(uint8_t set, uint8_t node)
{
	return (set >> node & 1) != 0;
}

static struct worker *host(const struct sim *s, uint8_t node)
{
	return s->node[node].worker[0].worker;
}

const struct view *sim_service_of(const struct sim *s, uint32_t epoch)
{
	const struct sim_service *v = &s->service;
	uint32_t oldest = v->views > SIM_SERVICE_VIEWS ? v->views - SIM_SERVICE_VIEWS : 0;

	for (uint32_t i = v->views; epoch != 0 && i > oldest; i--) {
		const struct view *view = &v->view[(i - 1) % SIM_SERVICE_VIEWS];

		if (view->epoch <= epoch)
			return view->epoch == epoch ? view : NULL;
	}
	return NULL;
}

const struct view *sim_service_latest(const struct sim *s)
{
	uint32_t views = s->service.views;

	return views != 0 ? &s->service.view[(views - 1) % SIM_SERVICE_VIEWS] : NULL;
}

/* own_disk: it has the disk that was agreed on. */
static bool own_disk(const struct sim *s, uint8_t node)
{
	uint32_t ident = s->service.newest.node[node].ident;

	return ident == 0 || ident == s->service.node[node].ident;
}

bool sim_service_member(const struct sim *s, uint8_t node)
{
	const struct view *v = sim_service_latest(s);

	/* A new disk begins to count at one again: the number alone says nothing. */
	return v && has(v->members, node) && s->node[node].up && !s->node[node].blank &&
	       s->node[node].incarnation == v->incarnation[node] && own_disk(s, node);
}

static bool is_witness(const struct sim *s, uint8_t node)
{
	return s->plan.service.witness == node + 1;
}

bool sim_service_whole(const struct sim *s)
{
	const struct view *v = sim_service_latest(s);

	for (uint8_t n = 0; n < s->plan.nodes; n++) {
		const struct membership_node *m = &s->service.newest.node[n];

		if (!v || !s->node[n].up || s->node[n].blank || s->node[n].damaged)
			return false;
		if (is_witness(s, n) ? m->want != WANT_WITNESS :
				       m->want != WANT_DATA || m->flags != 0 ||
					       !sim_service_member(s, n) ||
					       sim_node_epoch(s, n) != v->epoch)
			return false;
	}
	return true;
}

/* first_state: what every founder begins with. */
static void first_state(struct sim *s)
{
	struct membership_state *f = &s->service.first;

	f->revision = 1;
	f->engine = s->plan.service.engine;
	f->copies_min = s->plan.service.copies_min;
	for (uint8_t n = 0; n < s->plan.service.founders; n++) {
		f->node[n].want = is_witness(s, n) ? WANT_WITNESS : WANT_DATA;
		f->node[n].ip = sim_node_ip(n);
		snprintf(f->node[n].name, sizeof(f->node[n].name), "n%u", n);
	}
}

void sim_service_reset(struct sim *s)
{
	memset(&s->service, 0, sizeof(s->service));
	s->service.operator_ns = SIM_NEVER;
	if (s->plan.service.on)
		first_state(s);
}

void sim_service_started(struct sim *s, uint8_t node)
{
	struct sim_service_node *n = &s->service.node[node];

	n->revision = 0;
	n->epoch = 0;
	memset(n->shard_epoch, 0, sizeof(n->shard_epoch));
	n->lease_ns = 0;
	n->command = 0;
	n->life[n->lives++ % SIM_LIVES_KEPT] =
		(struct sim_life){ s->node[node].incarnation, n->ident };
	sim_raft_started(s, node, SIM_GROUP_VIEW,
			 membership_raft(worker_membership(host(s, node))));
	for (uint16_t shard = 0; sim_is_raft(s) && shard < s->plan.shards; shard++)
		if (sim_node_replica(s, node, shard))
			sim_raft_started(s, node, shard + 1u,
					 replica_raft(sim_node_replica(s, node, shard)));
}

/* ---- views ----------------------------------------------------------------------------------- */

/* lived: M-IDENT: this incarnation ran, and on the disk that was agreed on, if one was (not 0). */
static bool lived(const struct sim *s, uint8_t node, uint32_t incarnation, uint32_t ident)
{
	const struct sim_service_node *n = &s->service.node[node];

	for (uint32_t i = 0; i < SIM_LIVES_KEPT && i < n->lives; i++)
		if (n->life[i].incarnation == incarnation &&
		    (ident == 0 || n->life[i].ident == ident))
			return true;
	return n->lives > SIM_LIVES_KEPT;
}

/* check_node: what view.h promises of who comes and goes. */
static void check_node(struct sim *s, uint8_t node, const struct view *v, const struct view *before)
{
	struct sim_service_node *n = &s->service.node[node];
	bool in = has(view_write_set(v), node);
	bool was = before && has(view_write_set(before), node);

	if (before && v->incarnation[node] < before->incarnation[node])
		sim_violation(s, "M-INCARN: view %u names incarnation %u of node %u, after %u",
			      v->epoch, v->incarnation[node], node, before->incarnation[node]);
	if (in && v->incarnation[node] <= n->left)
		sim_violation(s, "M-INCARN: view %u has node %u in incarnation %u, in which it was "
				 "left out before", v->epoch, node, v->incarnation[node]);
	if (in && !lived(s, node, v->incarnation[node], s->service.newest.node[node].ident))
		sim_violation(s, "M-IDENT: view %u has node %u in incarnation %u, which never ran "
				 "on the disk agreed on", v->epoch, node, v->incarnation[node]);
	if (was && (!in || v->incarnation[node] != before->incarnation[node]))
		n->left = before->incarnation[node];
	s->service.exclusions += was && !in;
	s->service.promotions += before && has(before->shadows, node) && has(v->members, node);
	if (has(v->members, node) && v->incarnation[node] == s->node[node].incarnation &&
	    own_disk(s, node))
		s->node[node].blank = false;
}

static void publish(struct sim *s, const struct view *v)
{
	struct sim_service *service = &s->service;
	const struct view *before = sim_service_latest(s);

	if (v->recovered != 0 && (!before || (v->recovered & ~before->recovered) != 0))
		service->recoveries++;
	sim_event(s, (uint64_t)v->epoch << 16 | (uint64_t)v->members << 8 | v->shadows);
	sim_trace(s, "view %u: members %02x shadows %02x recovered %02x witnesses %02x%s", v->epoch,
		  v->members, v->shadows, v->recovered, v->witnesses,
		  v->read_only ? " read-only" : "");
	for (uint8_t n = 0; n < s->plan.nodes; n++) {
		if (s->trace)
			sim_trace(s, "view %u: node %u incarnation %u since %u", v->epoch, n,
				  v->incarnation[n], v->since[n]);
		check_node(s, n, v, before);
	}
	service->view[service->views++ % SIM_SERVICE_VIEWS] = *v;
	sim_service_copies(s);
}

void sim_service_copies(struct sim *s)
{
	const struct view *v = sim_service_latest(s);

	for (uint8_t n = 0; v && n < s->plan.nodes; n++)
		if (has(v->members, n) && !s->node[n].blank)
			return;
	if (!v || s->phase == PHASE_DONE)
		return;
	sim_trace(s, "the last member's disk is gone: nothing more to see here");
	s->abandoned = true;
	s->phase = PHASE_DONE;
}

/* same_view: in which life, since when: of those who take part. */
static bool same_view(const struct view *a, const struct view *b)
{
	for (uint8_t n = 0; n < NODES_MAX; n++)
		if (has(view_write_set(a), n) && (a->since[n] != b->since[n] ||
						  a->incarnation[n] != b->incarnation[n]))
			return false;
	return a->epoch == b->epoch && a->members == b->members && a->shadows == b->shadows &&
	       a->recovered == b->recovered && a->read_only == b->read_only &&
	       a->witnesses == b->witnesses;
}

/* check_same: M-EPOCH-LOG: whoever sees an epoch sees the same view. */
static void check_same(struct sim *s, uint8_t node, const struct view *v)
{
	const struct view *agreed = sim_service_of(s, v->epoch);

	if (agreed && !same_view(agreed, v))
		sim_trace(s, "node %u: view %u: members %02x shadows %02x recovered %02x witnesses "
			     "%02x%s", node, v->epoch, v->members, v->shadows, v->recovered,
			  v->witnesses, v->read_only ? " read-only" : "");
	for (uint8_t n = 0; s->trace && agreed && !same_view(agreed, v) && n < s->plan.nodes; n++)
		sim_trace(s, "node %u incarnation %u since %u, agreed %u since %u", n,
			  v->incarnation[n], v->since[n], agreed->incarnation[n], agreed->since[n]);
	if (agreed ? !same_view(agreed, v) : s->service.views <= SIM_SERVICE_VIEWS)
		sim_violation(s, "M-EPOCH-LOG: node %u has view %u, %s", node, v->epoch,
			      agreed ? "other nodes have another one" : "which nobody agreed on");
}

/* see_evictions: M-FLAP: a node is left out alive at most once per hold-down. */
static void see_evictions(struct sim *s, const struct membership_state *state)
{
	const struct plan_service *p = &s->plan.service;
	uint64_t least_ns = p->holddown_ns - p->holddown_ns * 2 * s->plan.drift_ppm / 1000000;

	for (uint8_t i = 0; i < s->plan.nodes; i++) {
		struct sim_service_node *n = &s->service.node[i];
		bool evicted = (state->node[i].flags & MEMBER_EVICTED) != 0;

		if (evicted && !n->evicted) {
			s->service.evictions++;
			sim_trace(s, "node %u is evicted", i);
			if (n->evicted_ns != 0 && s->now_ns - n->evicted_ns < least_ns)
				sim_violation(s, "M-FLAP: node %u is evicted again after %llu ns",
					      i, (unsigned long long)(s->now_ns - n->evicted_ns));
			n->evicted_ns = s->now_ns;
		}
		n->evicted = evicted;
	}
}

/* see_names: when a disk got its name. */
static void see_names(struct sim *s, const struct membership_state *next)
{
	for (uint8_t n = 0; n < s->plan.nodes; n++)
		if (next->node[n].ident != 0 &&
		    next->node[n].ident != s->service.newest.node[n].ident)
			s->service.node[n].named = next->revision;
}

bool sim_service_knows(const struct sim *s, uint8_t node)
{
	const struct sim_service *v = &s->service;

	for (uint8_t n = 0; n < s->plan.service.founders; n++)
		if (n != node && (s->node[n].careless ||
				  sim_raft_held(s->rafts, SIM_GROUP_VIEW, n) < v->node[node].named))
			return false;
	return v->newest.node[node].want != WANT_NONE && v->newest.node[node].ident != 0;
}

/* see_witness: one whose disk was replaced is whole again once the new one is agreed on. */
static void see_witness(struct sim *s)
{
	uint8_t node = (uint8_t)(s->plan.service.witness - 1u);

	if (s->plan.service.witness != 0 && s->service.newest.node[node].want == WANT_WITNESS &&
	    s->service.newest.node[node].ident == s->service.node[node].ident)
		s->node[node].blank = false;
}

static void see_state(struct sim *s, uint8_t node, const struct membership *m)
{
	struct sim_service_node *n = &s->service.node[node];
	const struct membership_state *state = membership_state(m);
	struct view v;

	if (state->revision == n->revision)
		return;
	if (state->revision < n->revision || state->epoch > state->revision ||
	    state->revision > sim_raft_committed(s->rafts, SIM_GROUP_VIEW))
		sim_violation(s, "M-EPOCH-LOG: node %u shows revision %llu (epoch %u) after %llu, "
				 "committed are %llu", node, (unsigned long long)state->revision,
			      state->epoch, (unsigned long long)n->revision,
			      (unsigned long long)sim_raft_committed(s->rafts,
								     SIM_GROUP_VIEW));
	n->revision = state->revision;
	if (state->revision > s->service.newest.revision) {
		uint32_t before = s->service.newest.epoch;

		see_evictions(s, state);
		see_names(s, state);
		s->service.newest = *state;
		see_witness(s);
		membership_view(state, &v);
		if (state->epoch < before)
			sim_violation(s, "M-EPOCH-LOG: epoch %u after %u", state->epoch, before);
		if (state->epoch > before)
			publish(s, &v);
	}
	if (state->epoch != 0) {
		membership_view(state, &v);
		check_same(s, node, &v);
	}
}

/* ---- what the node does with them ------------------------------------------------------------ */

static void see_installed(struct sim *s, uint8_t node)
{
	struct sim_service_node *n = &s->service.node[node];
	uint32_t epoch = sim_node_epoch(s, node);
	uint64_t lease_ns = 0;

	for (uint16_t shard = 0; shard < s->plan.shards; shard++) {
		const struct replica *r = sim_node_replica(s, node, shard);

		lease_ns = max_u64(lease_ns, replica_lease_ns(r));
		n->shard_epoch[shard] = replica_view(r)->epoch;
	}
	if (epoch == n->epoch && lease_ns == n->lease_ns)
		return;
	if (epoch != n->epoch) {
		sim_event(s, (uint64_t)epoch << 8 | node);
		sim_trace(s, "node %u has installed view %u", node, epoch);
	}
	for (uint16_t shard = 0; epoch != n->epoch && shard < s->plan.shards; shard++) {
		const struct view *v = replica_view(sim_node_replica(s, node, shard));

		if (v->epoch != 0)
			check_same(s, node, v);
	}
	s->service.leases += lease_ns > n->lease_ns;
	n->epoch = epoch;
	n->lease_ns = lease_ns;
	sim_verify_view(s, node);
}

/* see_wish: the process is to end, and to begin again above an incarnation. */
static void see_wish(struct sim *s, uint8_t node)
{
	struct sim_node *n = &s->node[node];
	uint32_t above;

	if (n->spent || !worker_wants_restart(host(s, node), &above))
		return;
	n->spent = true;
	n->floor = (uint32_t)max_u64(n->floor, above);
	n->disk_error_ns = min_u64(n->disk_error_ns, s->now_ns + 1 + s->plan.service.spawn_ns);
	s->fault_due_ns = min_u64(s->fault_due_ns, n->disk_error_ns);
	sim_trace(s, "node %u wants to start anew, above incarnation %u", node, n->floor);
}

/* see_answer: of an operator's command. */
static void see_answer(struct sim *s, uint8_t node)
{
	struct sim_service_node *n = &s->service.node[node];
	struct control_answer answer;

	if (n->command == 0 || !control_answer(s->node[node].control, n->command, &answer))
		return;
	n->command = 0;
	s->service.answers[answer.code < COMMAND_CODE_COUNT ? answer.code : COMMAND_BAD]++;
	sim_trace(s, "node %u answers the operator: %s", node,
		  membership_result_name((enum membership_result_code)answer.code));
}

void sim_service_look(struct sim *s, uint8_t node)
{
	const struct membership *m = worker_membership(host(s, node));

	must(m != NULL);
	sim_raft_look(s, node, SIM_GROUP_VIEW, membership_raft(m));
	sim_verify_resets(s, node);
	see_state(s, node, m);
	if (!s->violated && sim_node_holds(s, node))
		see_installed(s, node);
	if (sim_is_raft(s))
		sim_verify_groups(s, node);
	see_answer(s, node);
	see_wish(s, node);
}

/* sim_service_cut_short: what it has sent by then may rest on what it has learnt in this round. */
void sim_service_cut_short(struct sim *s, uint8_t node)
{
	sim_raft_look(s, node, SIM_GROUP_VIEW, membership_raft(worker_membership(host(s, node))));
	for (uint16_t shard = 0; sim_is_raft(s) && shard < s->plan.shards; shard++)
		if (sim_node_replica(s, node, shard))
			sim_raft_look(s, node, shard + 1u,
				      replica_raft(sim_node_replica(s, node, shard)));
}

/* ---- who is what ----------------------------------------------------------------------------- */

static bool plays(const struct sim *s, uint8_t node, enum sim_role role)
{
	const struct view *v = sim_service_latest(s);
	const struct membership *m = s->node[node].up ? worker_membership(host(s, node)) : NULL;
	bool leads = m && raft_role(membership_raft(m)) == RAFT_LEADER;

	if (role == SIM_ROLE_LEADER)
		return leads;
	if (role == SIM_ROLE_WITNESS)
		return is_witness(s, node);
	return v && (role == SIM_ROLE_SHADOW ? has(v->shadows, node) :
					       has(v->members, node) && !leads);
}

uint32_t sim_service_role(const struct sim *s, enum sim_role role, uint64_t word)
{
	for (uint32_t i = 0; i < s->plan.nodes; i++) {
		uint8_t node = (uint8_t)((word + i) % s->plan.nodes);

		if (plays(s, node, role))
			return node;
	}
	return SIM_NONE;
}

void sim_service_explain(const struct sim *s, char *out, size_t bytes)
{
	const struct view *v = sim_service_latest(s);
	uint32_t leader = sim_service_role(s, SIM_ROLE_LEADER, 0);
	int at = snprintf(out, bytes, "; view %u: members %02x shadows %02x, leader %d",
			  v ? v->epoch : 0, v ? v->members : 0, v ? v->shadows : 0,
			  leader == SIM_NONE ? -1 : (int)leader);

	for (uint8_t n = 0; n < s->plan.nodes && at > 0 && (size_t)at < bytes; n++) {
		const struct membership_node *m = &s->service.newest.node[n];

		at += snprintf(out + at, bytes - (size_t)at, "; %u: want %u flags %x%s%s%s view %u",
			       n, m->want, m->flags, s->node[n].up ? "" : " down",
			       s->node[n].blank ? " blank" : "",
			       own_disk(s, n) ? "" : " other disk", s->service.node[n].epoch);
	}
}
