/* SPDX-License-Identifier: Apache-2.0 */
/* fuzz_net.c: what happens when, and what becomes of packets. */
#include "tests/raft/fuzz.h"

static bool before(const struct fuzz_item *a, const struct fuzz_item *b)
{
	return a->at_ns != b->at_ns ? a->at_ns < b->at_ns : a->order < b->order;
}

static void insert(struct fuzz *f, struct fuzz_item item)
{
	uint32_t at = f->item_count++;

	must(f->item_count < FUZZ_ITEMS);
	while (at > 0 && before(&item, &f->items[(at - 1) / 2])) {
		f->items[at] = f->items[(at - 1) / 2];
		at = (at - 1) / 2;
	}
	f->items[at] = item;
}

void fuzz_net_push(struct fuzz *f, uint64_t at_ns, enum fuzz_kind kind, uint8_t node, uint32_t arg)
{
	uint32_t life = node < NODES_MAX ? f->rig->node[node].life : 0;

	insert(f, (struct fuzz_item) { .at_ns = max_u64(at_ns, f->rig->now_ns),
				       .order = f->order++,
				       .arg = arg,
				       .life = life,
				       .kind = (uint8_t)kind,
				       .node = node });
}

void fuzz_net_again(struct fuzz *f, struct fuzz_item item, uint64_t at_ns)
{
	item.at_ns = max_u64(at_ns, f->rig->now_ns);
	insert(f, item);
}

bool fuzz_net_pop(struct fuzz *f, struct fuzz_item *ret_item)
{
	struct fuzz_item last;
	uint32_t at = 0;

	if (f->item_count == 0)
		return false;
	*ret_item = f->items[0];
	last = f->items[--f->item_count];
	for (uint32_t child = 1; child < f->item_count; child = 2 * at + 1) {
		if (child + 1 < f->item_count && before(&f->items[child + 1], &f->items[child]))
			child++;
		if (!before(&f->items[child], &last))
			break;
		f->items[at] = f->items[child];
		at = child;
	}
	f->items[at] = last;
	return true;
}

void fuzz_net_begin(struct fuzz *f)
{
	f->item_count = 0;
	f->order = 0;
	f->free_count = FUZZ_PACKETS;
	for (uint32_t i = 0; i < FUZZ_PACKETS; i++)
		f->free_packets[i] = FUZZ_PACKETS - 1 - i;
	memset(f->museum, 0, sizeof(f->museum));
	memset(f->link_ns, 0, sizeof(f->link_ns));
	f->deaf_types = 0;
}

static void release(struct fuzz *f, uint32_t packet)
{
	if (--f->packets[packet].refs == 0)
		f->free_packets[f->free_count++] = packet;
}

/* schedule: one copy of a packet on its way; in order where the plan says so. */
static void schedule(struct fuzz *f, uint32_t packet, uint8_t to, uint64_t delay_ns)
{
	uint8_t from = f->packets[packet].from;
	uint64_t at_ns =
		f->rig->now_ns + 1 + delay_ns + f->node[from].slow_ns + f->node[to].slow_ns;

	if (f->plan.fifo && at_ns <= f->link_ns[from][to])
		at_ns = f->link_ns[from][to] + 1;
	f->link_ns[from][to] = at_ns;
	f->packets[packet].refs++;
	fuzz_net_push(f, at_ns, FUZZ_DELIVER, to, packet);
}

/* remember: some packets may come again, much later; now and then one of those does. */
static void remember(struct fuzz *f, uint32_t packet, uint8_t to)
{
	struct fuzz_kept *place = &f->museum[rng_below(&f->net_rng, FUZZ_MUSEUM)];

	if (rng_chance(&f->net_rng, 100000)) {
		if (place->packet != 0)
			release(f, place->packet - 1);
		*place = (struct fuzz_kept) { packet + 1, to };
		f->packets[packet].refs++;
	}
	if (!f->calm && rng_chance(&f->net_rng, f->plan.old_ppm)) {
		place = &f->museum[rng_below(&f->net_rng, FUZZ_MUSEUM)];
		if (place->packet == 0)
			return;
		f->old++;
		schedule(f, place->packet - 1, place->to, rng_below(&f->net_rng, FUZZ_MS));
	}
}

void fuzz_net_send(struct rig *rig, uint8_t from, uint8_t to, const struct raft_message *message)
{
	struct fuzz *f = fuzz_of(rig);
	const struct fuzz_plan *p = &f->plan;
	uint64_t calm_ns = rig->node[0].config.election_ns / 40;
	uint64_t mean_ns = f->calm ? min_u64(p->delay_ns, calm_ns) : p->delay_ns;
	uint64_t delay_ns = mean_ns / 4 + rng_exponential(&f->net_rng, mean_ns);
	struct fuzz_packet *packet;
	uint32_t which;

	f->sent++;
	if ((f->node[from].cut >> to & 1) != 0 || (f->deaf_types >> message->type & 1) != 0) {
		f->cut++;
		return;
	}
	if ((!f->calm && rng_chance(&f->net_rng, p->loss_ppm)) || f->free_count == 0) {
		f->lost++;
		return;
	}
	which = f->free_packets[--f->free_count];
	packet = &f->packets[which];
	packet->refs = 1;
	packet->wipes = rig->node[from].wipes;
	packet->to_wipes = rig->node[to].wipes;
	packet->from = from;
	packet->bytes = (uint16_t)raft_message_bytes(message);
	raft_message_encode(packet->data, message);
	if (!f->calm && rng_chance(&f->net_rng, p->late_ppm)) {
		delay_ns *= rng_range(&f->net_rng, 4, 100);
		f->late++;
	}
	schedule(f, which, to, delay_ns);
	if (!f->calm && rng_chance(&f->net_rng, p->double_ppm)) {
		f->doubled++;
		schedule(f, which, to, delay_ns + rng_exponential(&f->net_rng, p->delay_ns * 2));
	}
	remember(f, which, to);
	release(f, which);
}

void fuzz_net_deliver(struct fuzz *f, const struct fuzz_item *item, bool drop)
{
	struct fuzz_packet *packet = &f->packets[item->arg];
	struct rig *rig = f->rig;
	struct raft_message message;
	uint32_t offset = 0;
	bool stale = packet->wipes != rig->node[packet->from].wipes ||
		     packet->to_wipes != rig->node[item->node].wipes;

	/* What a disk that is gone said, or was told: frames of that age are gone, too. */
	if (!drop && rig->node[item->node].up && !stale) {
		if (raft_message_decode(packet->data, packet->bytes, &offset, &message) !=
			    WIRE_OK ||
		    offset != packet->bytes) {
			rig_fail(rig, "X-BOUND: %c cannot read what was sent", 'a' + item->node);
		} else {
			f->delivered++;
			fuzz_note(f,
				  "%c<-%c type %u flags %u term %u index %llu/%u commit %llu "
				  "id %llx entry %llu/%u kind %u",
				  'a' + item->node, 'a' + packet->from, message.type, message.flags,
				  message.term, (unsigned long long)message.index, message.log_term,
				  (unsigned long long)message.commit,
				  (unsigned long long)message.id,
				  (unsigned long long)message.entry.index, message.entry.term,
				  message.entry.kind);
			rig_message(rig, item->node, packet->from, &message);
			fuzz_after(f, item->node);
		}
	}
	release(f, item->arg);
}
