/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Who takes part: views as they are installed, or, in a static cluster, what HELLOs tell about
 * incarnations; leases; and whose frames count.
 */
#include "replication/crc.h"
#include "replication/group.h"
#include "replication/replica_priv.h"

/* ---- a new epoch ----------------------------------------------------------------------------- */

/* begin_epoch: nothing acknowledged before counts from here on (CC-5, H01). */
static void begin_epoch(struct replica *r)
{
	r->view_count++;
	for (uint32_t i = 0; i < r->config.ops_max && !mutant(19); i++)
		if (r->ops[i].seq != 0)
			hermes_on_epoch(r, &r->ops[i]);
	for (uint8_t n = 0; n < r->config.node_count; n++)
		r->peers[n].hello_ns = r->now_ns;
}

/*
 * name_epoch: in a static cluster the epoch is a checksum of all members' incarnations: no frame of
 * before a restart is mistaken for one of after it.
 */
static void name_epoch(struct replica *r)
{
	uint32_t crc = ~0u;

	r->linked = true;
	for (uint8_t n = 0; n < r->config.node_count; n++) {
		r->linked &= r->peers[n].incarnation != 0;
		r->view.incarnation[n] = r->peers[n].incarnation;
		crc = crc32c_u64(crc, r->peers[n].incarnation);
	}
	r->view.epoch = ~crc;
	begin_epoch(r);
}

void view_start(struct replica *r)
{
	uint8_t all = (uint8_t)((1u << r->config.node_count) - 1);

	r->dismiss_next = r->config.ops_max;
	r->closed = r->config.views;
	if (r->config.views)
		return; /* no view, no lease: this node is out */
	r->peers[r->config.node].incarnation = r->config.incarnation;
	r->view.members = r->write_set = all;
	r->member = true;
	r->lease_ns = UINT64_MAX;
	name_epoch(r);
}

/* ---- views given to this node ---------------------------------------------------------------- */

static void check_view(const struct replica *r, const struct view *v)
{
	uint8_t all = (uint8_t)((1u << r->config.node_count) - 1);

	must(v->epoch != 0 && v->members != 0 && (v->members & v->shadows) == 0);
	must((view_write_set(v) & ~all) == 0 && (v->recovered & ~v->members) == 0);
	for (uint8_t n = 0; n < r->config.node_count; n++)
		if (view_write_set(v) & replica_bit(n))
			must(v->incarnation[n] >= 1 && v->incarnation[n] <= INCARNATION_MAX &&
			     v->since[n] >= 1 && v->since[n] <= v->epoch);
}

void view_install(struct replica *r, const struct view *v)
{
	uint8_t self = replica_bit(r->config.node);
	uint32_t last = r->view.epoch;
	bool in, member, missed;

	must(r->config.views);
	check_view(r, v);
	if (v->epoch <= last && !mutant(68))
		return;
	in = (view_write_set(v) & self) != 0 &&
	     v->incarnation[r->config.node] == r->config.incarnation;
	missed = in && v->since[r->config.node] > last && !(v->recovered & self);
	/*
	 * Out, after having been in: what it has given timestamps to is void, and it would give
	 * them again (CC-12). It needs a new incarnation to come back.
	 */
	r->spent |= r->was_in && (!in || missed);
	in &= !r->spent || mutant(64);
	r->was_in |= in;
	member = in && (v->members & self) != 0;
	missed &= in;
	/* Whoever missed views must not serve what it holds; it comes in as a shadow first. */
	must(!(member && missed));
	r->counters.views_installed++;
	r->view = *v;
	r->write_set = (in || mutant(38) ? view_write_set(v) : 0) | (mutant(82) ? r->write_set : 0);
	if (in && v->read_only && !mutant(190))
		r->write_set |= replica_bit(PEER_NOBODY);
	if (r->member && !member && !mutant(38))
		r->dismiss_next = 0;
	r->member = member || (r->member && mutant(38));
	r->linked = r->member;
	r->lease_ns = 0;
	for (uint8_t n = 0; n < r->config.node_count; n++) {
		bool takes_part = (view_write_set(v) & replica_bit(n)) != 0;
		uint32_t incarnation = takes_part ? v->incarnation[n] : 0;

		/* Who comes in counts as heard: its HELLO may have been here before the view. */
		if (incarnation != r->peers[n].incarnation)
			r->peers[n].heard_ns = r->now_ns;
		r->peers[n].incarnation = incarnation;
	}
	begin_epoch(r);
	join_view(r, missed && !mutant(25));
	r->upheaval = true;
}

void view_lease(struct replica *r, const struct event *ev)
{
	must(r->config.views);
	if (r->member && ev->lease_epoch == r->view.epoch)
		r->lease_ns = ev->lease_ns;
}

bool view_gone(const struct replica *r, uint32_t writer)
{
	uint8_t node = writer_node(writer);
	uint32_t incarnation = writer_incarnation(writer);
	uint32_t newest;

	if (node >= r->config.node_count)
		return true;
	/* An incarnation newer than any this node has heard of may just have begun its work. */
	newest = r->config.views ? r->view.incarnation[node] : r->peers[node].incarnation;
	if (incarnation != newest)
		return incarnation < newest || mutant(61);
	return (r->write_set & replica_bit(node)) == 0; /* once left out, never in again */
}

/* dismiss: this node stopped being a member: the op is answered and forgotten. */
static void dismiss(struct replica *r, struct op *op, struct actions *a)
{
	struct entry *e = op->entry;
	/* It may take, or have taken, effect, if it was ever sent, here or elsewhere. */
	bool open = (op->tried.version != 0 || op->retry) && !mutant(97);
	struct wire_message m = {
		.type = WIRE_RESULT,
		.status = open ? STATUS_UNKNOWN : STATUS_NOT_SERVING,
		.id = op->request,
	};

	/* All ops of the key go, in this step or the next: its queue is empty from here on. */
	if (e->op == op_index(r, op)) {
		if (e->state != HERMES_VALID && e->state != HERMES_INVALID)
			hermes_move(e, HERMES_INVALID);
		e->op = OP_NONE;
	}
	e->wait = OP_NONE;
	replica_disarm(r, op);
	request_finish(r, a, op, &m, false);
	replica_op_free(r, op);
}

void view_dismiss(struct replica *r, struct actions *a)
{
	for (; view_dismissing(r) && actions_room(a); r->dismiss_next++)
		if (r->ops[r->dismiss_next].seq != 0)
			dismiss(r, &r->ops[r->dismiss_next], a);
}

/* ---- frames ---------------------------------------------------------------------------------- */

bool view_accepts(struct replica *r, const struct event *ev)
{
	const struct wire_header *h = ev->header;
	bool taken = mutant(10) || (mutant(20) && ev->message->type == WIRE_ACK) ||
		     (mutant(21) && ev->message->type == WIRE_INV);
	uint32_t incarnation = r->peers[h->from].incarnation;

	/* H-ACK-EPOCH, M-INCARN: both ends speak in the epoch and incarnations they mean. */
	if (h->epoch != r->view.epoch && !taken) {
		r->counters.stale_epoch++;
		return false;
	}
	if ((incarnation == 0 || h->from_incarnation != incarnation ||
	     h->to_incarnation != r->config.incarnation) && !mutant(10)) {
		r->counters.stale_incarnation++;
		return false;
	}
	if (!(r->write_set & replica_bit(h->from))) {
		r->counters.stale_epoch++;
		return false;
	}
	return true;
}

static void send_hello(struct replica *r, uint8_t node, struct actions *a)
{
	struct wire_message m = {
		.type = WIRE_HELLO, .value = r->hello, .value_bytes = WIRE_HELLO_BYTES,
	};

	memset(r->hello, 0, sizeof(r->hello));
	store_u64(r->hello, r->config.fingerprint);
	r->hello[8] = r->space;
	if (r->group)
		group_fill_hello(r, r->hello);
	for (uint8_t n = 0; n < NODES_MAX; n++)
		store_u32(r->hello + 16 + 4 * n, r->peers[n].incarnation);
	*replica_send(r, a, replica_bit(node), m.type) = m;
}

void view_send_hellos(struct replica *r, struct actions *a)
{
	for (uint8_t n = 0; n < r->config.node_count; n++) {
		struct peer *p = &r->peers[n];

		if (n == r->config.node || r->now_ns < p->hello_ns || !actions_room(a))
			continue;
		p->hello_ns = r->now_ns + r->config.hello_ns;
		if (!r->failed) /* a node that promises nothing any more had better look dead */
			send_hello(r, n, a);
	}
}

/* learn_incarnations: the sender's own, and what it has heard of the others. */
static void learn_incarnations(struct replica *r, const struct event *ev)
{
	const struct wire_header *h = ev->header;
	bool changed = h->from_incarnation > r->peers[h->from].incarnation;

	r->peers[h->from].incarnation = h->from_incarnation;
	for (uint8_t n = 0; n < r->config.node_count; n++) {
		uint32_t heard = load_u32(ev->message->value + 16 + 4 * n);

		if (n == r->config.node || heard <= r->peers[n].incarnation ||
		    heard > INCARNATION_MAX)
			continue;
		r->peers[n].incarnation = heard;
		changed = true;
	}
	if (changed)
		name_epoch(r);
}

void view_on_hello(struct replica *r, const struct event *ev)
{
	const struct wire_header *h = ev->header;
	struct peer *p = &r->peers[h->from];
	bool stale = h->from_incarnation == 0 || h->from_incarnation < p->incarnation;

	if (load_u64(ev->message->value) != r->config.fingerprint) {
		r->counters.shape_mismatch++;
		return;
	}
	if (stale || (r->config.views && h->from_incarnation != p->incarnation)) {
		r->counters.stale_incarnation++;
		return;
	}
	if (!r->config.views) {
		/* Answer at once whoever does not know us yet, or has just come back. */
		if (h->to_incarnation != r->config.incarnation || h->epoch != r->view.epoch)
			p->hello_ns = r->now_ns;
		learn_incarnations(r, ev);
	}
	p->heard_ns = r->now_ns;
	p->space = ev->message->value[8];
}

/* ---- what others may ask --------------------------------------------------------------------- */

bool replica_linked(const struct replica *r)
{
	return r->linked;
}

uint32_t replica_peers_heard(const struct replica *r)
{
	uint32_t count = 0;

	for (uint8_t n = 0; n < r->config.node_count; n++)
		count += n != r->config.node && view_heard(r, &r->peers[n]);
	return count;
}

uint8_t replica_heard(const struct replica *r, uint64_t now_ns, uint64_t within_ns)
{
	uint8_t heard = replica_bit(r->config.node);

	for (uint8_t n = 0; n < r->config.node_count; n++) {
		const struct peer *p = &r->peers[n];

		if (p->incarnation != 0 && now_ns - p->heard_ns < within_ns)
			heard |= replica_bit(n);
	}
	return heard;
}

/* attempts_in: how often an update was sent when it is older than that; see arm_backoff. */
static uint32_t attempts_in(const struct replica *r, uint64_t older_ns)
{
	uint32_t attempts = 2;
	uint64_t age_ns = r->config.retransmit_ns;

	for (; age_ns < older_ns && attempts < UINT8_MAX; attempts++)
		age_ns += r->config.retransmit_ns << min_u64(attempts - 1, BACKOFF_SHIFT_MAX);
	return attempts;
}

uint8_t replica_stuck(struct replica *r, uint64_t older_ns)
{
	uint8_t nobody = replica_bit(r->config.node) | replica_bit(PEER_NOBODY);
	uint32_t attempts, left = r->ops_open;

	/* Nothing was sent again since: nothing has grown old. */
	if (r->stuck == 0 && r->counters.retransmits == r->stuck_seen)
		return 0;
	attempts = attempts_in(r, older_ns);
	r->stuck_seen = r->counters.retransmits;
	r->stuck = 0;
	for (uint32_t i = 0; i < r->config.ops_max && left > 0; i++) {
		const struct op *op = &r->ops[i];

		if (op->seq == 0)
			continue;
		left--;
		if (op->target.version != 0 && op->attempts >= attempts)
			r->stuck |= r->write_set & (uint8_t)~(op->acks | nobody);
	}
	return r->stuck;
}

bool replica_spent(const struct replica *r)
{
	return r->spent;
}

uint32_t replica_epoch(const struct replica *r)
{
	return r->view.epoch;
}

const struct view *replica_view(const struct replica *r)
{
	return &r->view;
}

uint64_t replica_lease_ns(const struct replica *r)
{
	return r->lease_ns;
}

uint32_t replica_peer_incarnation(const struct replica *r, uint8_t node)
{
	must(node < r->config.node_count);
	return r->peers[node].incarnation;
}

/* ---- tombstones ------------------------------------------------------------------------------ */

bool replica_can_collect(const struct replica *r, const struct entry *e)
{
	if (r->group)
		return group_can_collect(r, e);
	if (!(e->flags & ENTRY_TOMBSTONE) || e->state != HERMES_VALID || e->op != OP_NONE ||
	    e->wait != OP_NONE || e->persist_seq > r->durable_seq || !r->member)
		return false;
	if (r->held_head != r->held_tail) /* held ACKs may name the entry */
		return false;
	/* Frames from before it was Valid here are of an older epoch: nobody takes them (H12). */
	return e->view != (r->view_count & ENTRY_VIEW_MASK) || mutant(28);
}

void replica_collect(struct replica *r, const struct entry *e)
{
	must(replica_can_collect(r, e));
	r->counters.collected++;
	if (!r->group)
		origin_settle(r, e, true, entry_ts(e)); /* as if something had been made from it */
	if (!mutant(29))
		r->floor = max_u64(r->floor, e->version);
}

uint64_t replica_floor(const struct replica *r)
{
	return r->floor;
}
