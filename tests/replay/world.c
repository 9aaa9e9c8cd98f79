/* SPDX-License-Identifier: Apache-2.0 */
/* What happens: nodes, links, logs, clients. What is said about it is in world_text.c. */
#include "tests/replay/world.h"

#include <stdlib.h>

#include "replication/crc.h"
#include "replication/hermes.h"

#define MS 1000000ull
#define CLUSTER 0x5eedull
#define CLIENT_NUMBER 0xc11e0000ull /* and which of them it is */

static void world_step(struct world *w, uint32_t node, struct event *ev);

/* ---- nodes ----------------------------------------------------------------------------------- */

static void start_node(struct world *w, uint32_t node)
{
	struct world_node *n = &w->node[node];
	struct replica_config config = {
		.cluster = CLUSTER,
		.fingerprint = 1,
		.seed = 1000 + node * 100 + n->incarnation,
		.incarnation = n->incarnation,
		.shard_count = 1,
		.node = (uint8_t)node,
		.node_count = (uint8_t)w->nodes,
		.ops_max = 16,
		.held_max = 32,
		.sessions_max = w->sessions,
		.session_window = 8,
		.views = w->views,
		.broadcast_acks = w->broadcast_acks,
		.join_delta = w->join_delta,
		.retransmit_ns = 10 * MS,
		.replay_ns = 20 * MS,
		.hello_ns = 100000 * MS,
	};

	if (!n->mem) {
		n->mem = aligned_alloc(64, round_up(replica_size(&config), 64));
		must(n->mem != NULL);
	}
	n->replica = replica_init(n->mem, &config);
	n->seq_next = 1;
	n->durable = 0;
	n->dead = false;
	for (uint32_t c = 0; c < WORLD_CLIENTS; c++)
		w->client[c].session[node] = 0;
}

struct world *world_create(FILE *out)
{
	struct world *w = calloc(1, sizeof(*w));

	must(w != NULL);
	w->out = out;
	w->nodes = 3;
	w->sessions = 8;
	w->walk = WALK_MAX;
	return w;
}

void world_start(struct world *w)
{
	must(!w->started && w->nodes <= WORLD_NODES);
	w->started = true;
	for (uint32_t i = 0; i < w->nodes; i++) {
		w->node[i].incarnation = 1;
		start_node(w, i);
	}
}

void world_destroy(struct world *w)
{
	for (uint32_t i = 0; i < w->nodes; i++)
		free(w->node[i].mem);
	free(w);
}

struct entry *world_entry(struct world_node *n, const uint8_t *key, uint32_t key_bytes)
{
	for (uint32_t i = 0; i < WORLD_KEYS; i++) {
		if (key_bytes != 0 && n->entry[i].key_bytes == key_bytes &&
		    memcmp(n->blob[i], key, key_bytes) == 0)
			return &n->entry[i];
	}
	return NULL;
}

static struct entry *make_entry(struct world_node *n, const uint8_t *key, uint16_t key_bytes)
{
	struct entry *e = world_entry(n, key, key_bytes);
	uint32_t i = 0;

	if (e)
		return e;
	while (i < WORLD_KEYS && n->entry[i].key_bytes != 0)
		i++;
	must(i < WORLD_KEYS);
	e = &n->entry[i];
	*e = (struct entry){ .blob = n->blob[i],
			     .hash = crc32c(key, key_bytes),
			     .key_bytes = key_bytes,
			     .blob_capacity = WORLD_BLOB,
			     .op = OP_NONE,
			     .wait = OP_NONE };
	memcpy(e->blob, key, key_bytes);
	return e;
}

static void drop_entries(struct world_node *n)
{
	for (uint32_t i = 0; i < WORLD_KEYS; i++)
		n->entry[i].key_bytes = 0;
}

/* ---- actions --------------------------------------------------------------------------------- */

static void do_send(struct world *w, uint32_t node, const struct action *a)
{
	struct world_node *n = &w->node[node];

	for (uint32_t to = 0; to < w->nodes; to++) {
		struct world_link *link = &w->link[node][to];
		struct world_packet *p;

		if (!(a->to & 1u << to))
			continue;
		must(link->count < WORLD_QUEUE);
		p = &link->list[link->count++];
		p->header = (struct wire_header){
			.kind = WIRE_PEER,
			.cluster = CLUSTER,
			.epoch = replica_epoch(n->replica),
			.from_incarnation = n->incarnation,
			.to_incarnation = replica_peer_incarnation(n->replica, (uint8_t)to),
			.from = (uint8_t)node,
			.to = (uint8_t)to,
		};
		p->bytes = wire_message_bytes(&a->message);
		must(p->bytes <= WORLD_MESSAGE);
		wire_message_encode(p->data, &a->message);
		world_fold(w, p->data, p->bytes);
		if (a->message.type == WIRE_HELLO)
			continue;
		fprintf(w->out, "  %c->%c", world_letter(node), world_letter(to));
		world_print_message(w, &a->message);
		fputc('\n', w->out);
	}
}

static struct world_record *append(struct world *w, uint32_t node, enum world_record_kind kind)
{
	struct world_node *n = &w->node[node];
	struct world_record *r = &n->record[n->records++];

	must(n->records <= WORLD_RECORDS);
	*r = (struct world_record){ .kind = kind };
	return r;
}

static void do_persist(struct world *w, uint32_t node, const struct action *a)
{
	struct world_record *r = append(w, node, WORLD_UPDATE);
	const struct entry *e = a->entry;

	r->seq = w->node[node].seq_next++;
	must(a->persist_seq == r->seq);
	r->ts = entry_ts(e);
	r->origin = a->origin;
	r->base = e->base;
	r->flags = e->flags;
	r->key_bytes = e->key_bytes;
	r->value_bytes = e->value_bytes;
	memcpy(r->blob, e->blob, (size_t)e->key_bytes + e->value_bytes);
	world_fold(w, &r->ts.version, sizeof(r->ts.version));
	fprintf(w->out, "  %c log %.*s", world_letter(node), e->key_bytes, (const char *)e->blob);
	world_print_ts(w, r->ts);
	world_print_flags(w, r->flags);
	fputc('\n', w->out);
}

static void do_note(struct world *w, uint32_t node, const struct action *a)
{
	struct world_record *r = append(w, node, WORLD_NOTE);
	const struct wire_message *m = &a->message;

	r->seq = w->node[node].seq_next++;
	must(a->persist_seq == r->seq);
	r->ts = m->ts;
	r->origin = a->origin;
	r->flags = m->flags;
	r->key_bytes = m->key_bytes;
	if (m->key_bytes != 0)
		memcpy(r->blob, m->key, m->key_bytes);
	world_fold(w, &r->ts.version, sizeof(r->ts.version));
	fprintf(w->out, "  %c note", world_letter(node));
	if (m->key_bytes != 0)
		fprintf(w->out, " %.*s", m->key_bytes, (const char *)m->key);
	world_print_ts(w, r->ts);
	world_print_flags(w, r->flags);
	fputc('\n', w->out);
}

static void do_reset(struct world *w, uint32_t node, const struct action *a)
{
	struct world_node *n = &w->node[node];
	struct world_record *r = append(w, node, WORLD_RESET);

	r->seq = n->seq_next++;
	must(a->persist_seq == r->seq);
	for (uint32_t i = 0; i < WORLD_KEYS; i++) {
		const struct entry *e = &n->entry[i];

		must(e->key_bytes == 0 || (e->op == OP_NONE && e->wait == OP_NONE));
	}
	drop_entries(n);
	fprintf(w->out, "  %c log reset\n", world_letter(node));
}

static void do_rejoin(struct world *w, uint32_t node, const struct action *a)
{
	struct world_record *r = append(w, node, WORLD_REJOIN);

	r->seq = w->node[node].seq_next++;
	must(a->persist_seq == r->seq);
	fprintf(w->out, "  %c log rejoin\n", world_letter(node));
}

static void do_forget(struct world *w, uint32_t node, const struct action *a)
{
	struct world_record *r = append(w, node, WORLD_FORGET);
	const struct wire_message *m = &a->message;

	r->seq = w->node[node].seq_next++;
	must(a->persist_seq == r->seq);
	r->ts = m->ts;
	r->key_bytes = m->key_bytes;
	memcpy(r->blob, m->key, m->key_bytes);
	world_fold(w, &r->ts.version, sizeof(r->ts.version));
	fprintf(w->out, "  %c log void %.*s", world_letter(node), m->key_bytes,
		(const char *)m->key);
	world_print_ts(w, r->ts);
	fputc('\n', w->out);
	if (a->entry)
		a->entry->key_bytes = 0;
}

static void do_reply(struct world *w, uint32_t node, const struct action *a)
{
	const struct wire_message *m = &a->message;
	struct world_client *c = &w->client[a->client.ip];
	bool late = a->lease && w->now_ns >= replica_lease_ns(w->node[node].replica);

	must(a->client.ip < WORLD_CLIENTS);
	if (m->type == WIRE_OPENED) {
		c->session[node] = m->status == STATUS_OK ? load_u64(m->value) : 0;
		c->incarnation[node] = load_u32(m->value + 8);
		return;
	}
	world_print_reply(w, node, a, late);
	/* These say that this node will not execute it: what may have is where it was before. */
	if (m->status == STATUS_WAIT || m->status == STATUS_NOT_SERVING ||
	    m->status == STATUS_NO_SESSION)
		c->sent_to[m->id - 1] = c->sent_before[m->id - 1];
}

static void execute(struct world *w, uint32_t node, const struct action *a)
{
	switch (a->kind) {
	case ACTION_SEND:
		do_send(w, node, a);
		return;
	case ACTION_PERSIST:
		do_persist(w, node, a);
		return;
	case ACTION_REPLY:
		do_reply(w, node, a);
		return;
	case ACTION_RESET:
		do_reset(w, node, a);
		return;
	case ACTION_NOTE:
		do_note(w, node, a);
		return;
	case ACTION_REJOIN:
		do_rejoin(w, node, a);
		return;
	case ACTION_FORGET:
		do_forget(w, node, a);
		return;
	case ACTION_RAFT_SEND:
	case ACTION_RAFT_PERSIST:
		must(false); /* the raft engine's */
	}
}

/* walk: the next entries of a node, for another one or for itself. */
static void walk(struct world *w, uint32_t node, uint32_t from, struct event *ev,
		 struct entry **list)
{
	struct world_node *n = &w->node[node];
	uint32_t i = from;

	ev->walk = list;
	ev->walk_count = 0;
	ev->walk_next = WALK_END;
	if (i == WALK_END)
		return;
	for (; i < WORLD_KEYS && ev->walk_count < w->walk; i++) {
		if (n->entry[i].key_bytes != 0)
			list[ev->walk_count++] = &n->entry[i];
	}
	ev->walk_next = i;
	while (i < WORLD_KEYS && n->entry[i].key_bytes == 0)
		i++;
	if (i == WORLD_KEYS)
		ev->walk_next = WALK_END;
}

static void world_step(struct world *w, uint32_t node, struct event *ev)
{
	static struct actions actions;
	struct world_node *n = &w->node[node];
	struct entry *list[WALK_STUBS_MAX];
	enum step_next next;

	do {
		ev->now_ns = w->now_ns;
		ev->persist_seq_next = n->seq_next;
		next = replica_step(n->replica, ev, &actions);
		w->now_ns += n->stall_ns;
		n->stall_ns = 0;
		for (uint32_t i = 0; i < actions.count; i++)
			execute(w, node, &actions.list[i]);
		if (next == STEP_TICK)
			ev->kind = EVENT_TICK;
		if (next == STEP_WALK) {
			ev->kind = EVENT_WALK;
			walk(w, node, replica_walk_from(n->replica), ev, list);
		}
	} while (next != STEP_DONE);
	replica_check(n->replica);
}

/* ---- messages -------------------------------------------------------------------------------- */

static void arrive(struct world *w, uint32_t node, uint32_t client, const struct world_packet *p)
{
	struct world_node *n = &w->node[node];
	struct entry *list[WALK_STUBS_MAX];
	struct wire_message m;
	uint32_t offset = 0;
	struct event ev = { .header = &p->header, .message = &m };

	must(wire_message_decode(p->data, p->bytes, p->header.kind, &offset, &m) == WIRE_OK);
	ev.kind = p->header.kind == WIRE_PEER ? EVENT_PEER : EVENT_REQUEST;
	ev.from = (struct client_addr){ .port = 9, .ip = client };
	if (m.type == WIRE_INV || m.type == WIRE_COPY || m.type == WIRE_PUT ||
	    m.type == WIRE_CAS || m.type == WIRE_CASV || m.type == WIRE_INCR)
		ev.entry = make_entry(n, m.key, m.key_bytes);
	else
		ev.entry = world_entry(n, m.key, m.key_bytes);
	if (m.type == WIRE_FETCH)
		walk(w, node, (uint32_t)m.id, &ev, list);
	world_step(w, node, &ev);
}

/* find: index of what is picked, count when it is not there. */
static uint32_t find(const struct world_packet *list, uint32_t count,
		     const struct world_pick *pick)
{
	uint32_t i = 0;

	while (i < count && ((pick->type != 0 && list[i].data[0] != pick->type) ||
			     (pick->epoch != 0 && list[i].header.epoch != pick->epoch)))
		i++;
	return i;
}

static void keep_gone(struct world_link *link, const struct world_packet *p)
{
	if (link->gone_count == WORLD_QUEUE) {
		link->gone_count--;
		memmove(link->gone, link->gone + 1, link->gone_count * sizeof(link->gone[0]));
	}
	link->gone[link->gone_count++] = *p;
}

static bool take(struct world *w, const struct world_pick *pick, bool keep,
		 struct world_packet *ret_packet)
{
	struct world_link *link = &w->link[pick->from][pick->to];
	uint32_t i = find(link->list, link->count, pick);

	if (i == link->count)
		return false;
	*ret_packet = link->list[i];
	if (keep)
		return true;
	if (ret_packet->data[0] != WIRE_HELLO)
		keep_gone(link, ret_packet);
	link->count--;
	memmove(&link->list[i], &link->list[i + 1], (link->count - i) * sizeof(link->list[0]));
	return true;
}

static void reach(struct world *w, uint32_t node, const struct world_packet *p)
{
	if (w->node[node].dead)
		fprintf(w->out, "  %c is dead\n", world_letter(node));
	else
		arrive(w, node, 0, p);
}

bool world_deliver(struct world *w, const struct world_pick *pick, bool keep)
{
	struct world_packet p;

	if (!take(w, pick, keep, &p))
		return false;
	reach(w, pick->to, &p);
	return true;
}

bool world_drop(struct world *w, const struct world_pick *pick)
{
	struct world_packet p;

	return take(w, pick, false, &p);
}

bool world_old(struct world *w, const struct world_pick *pick)
{
	const struct world_link *link = &w->link[pick->from][pick->to];
	uint32_t i = find(link->gone, link->gone_count, pick);
	struct world_packet p;

	if (i == link->gone_count)
		return false;
	p = link->gone[i];
	reach(w, pick->to, &p);
	return true;
}

void world_inject(struct world *w, const struct world_pick *pick, const struct wire_message *m)
{
	struct action a = { .to = (uint8_t)(1u << pick->to), .message = *m };

	do_send(w, pick->from, &a);
}

void world_flow(struct world *w, uint32_t among)
{
	bool moved = true;

	for (uint32_t i = 0; i < w->nodes; i++)
		among &= w->node[i].dead ? ~(1u << i) : ~0u;
	while (moved) {
		moved = false;
		for (uint32_t link = 0; link < w->nodes * w->nodes; link++) {
			struct world_pick pick = { .from = link / w->nodes,
						   .to = link % w->nodes };

			if (among & 1u << pick.from && among & 1u << pick.to)
				moved |= world_deliver(w, &pick, false);
		}
		for (uint32_t i = 0; i < w->nodes; i++) {
			if (!(among & 1u << i) || w->node[i].durable + 1 == w->node[i].seq_next)
				continue;
			world_durable(w, i);
			moved = true;
		}
	}
}

void world_link(struct world *w)
{
	/* HELLOs answer HELLOs of unknown incarnations and pass on what was heard. */
	for (uint32_t round = 0; round < 4; round++) {
		world_tick(w, 0);
		for (uint32_t link = 0; link < w->nodes * w->nodes; link++) {
			struct world_pick pick = { .from = link / w->nodes,
						   .to = link % w->nodes,
						   .type = WIRE_HELLO };
			struct world_packet p;

			while (take(w, &pick, false, &p)) {
				if (!w->node[pick.from].dead && !w->node[pick.to].dead)
					arrive(w, pick.to, 0, &p);
			}
		}
	}
	for (uint32_t i = 0; i < w->nodes; i++) {
		if (!w->node[i].dead && !replica_linked(w->node[i].replica))
			fprintf(w->out, "  %c is not linked\n", world_letter(i));
	}
}

/* ---- clients --------------------------------------------------------------------------------- */

static void client_send(struct world *w, uint32_t node, uint32_t client,
			const struct wire_message *m)
{
	struct world_node *n = &w->node[node];
	struct world_packet p = { .bytes = wire_message_bytes(m) };

	p.header = (struct wire_header){
		.kind = WIRE_REQUEST,
		.cluster = CLUSTER,
		.session = m->type == WIRE_OPEN ? 0 : w->client[client].session[node],
		.to_incarnation = m->type == WIRE_OPEN ? 0 : n->incarnation,
		.from = WIRE_NODE_CLIENT,
		.to = (uint8_t)node,
	};
	wire_message_encode(p.data, m);
	if (m->type != WIRE_OPEN)
		n->last = p;
	n->last_client = client;
	arrive(w, node, client, &p);
}

/* send_request: request `id` of a client, to that node, with the session it needs. */
static void send_request(struct world *w, uint32_t node, uint32_t client, uint32_t id)
{
	struct world_client *c = &w->client[client];
	uint8_t first[WIRE_OPEN_BYTES] = { 0 };
	struct wire_message open = { .type = WIRE_OPEN, .id = CLIENT_NUMBER + client,
				     .value = first, .value_bytes = sizeof(first) };
	struct wire_message m;
	uint32_t offset = 0;
	uint32_t prior = c->sent_to[id - 1];

	if (w->node[node].dead) {
		fprintf(w->out, "  %c is dead\n", world_letter(node));
		return;
	}
	/* A request that went nowhere yet is not used. */
	store_u64(first, prior == 0 ? id : id + 1);
	if (c->session[node] == 0)
		client_send(w, node, client, &open);
	if (c->session[node] == 0) {
		fprintf(w->out, "  %c opens no session\n", world_letter(node));
		return;
	}
	must(wire_message_decode(c->data[id - 1], c->bytes[id - 1], WIRE_REQUEST, &offset, &m) ==
	     WIRE_OK);
	c->sent_before[id - 1] = prior;
	c->sent_to[id - 1] = writer_make((uint8_t)node, c->incarnation[node]);
	m.prior = m.type == WIRE_GET || prior == c->sent_to[id - 1] ? 0 : prior;
	client_send(w, node, client, &m);
}

void world_request(struct world *w, uint32_t node, uint32_t client, const struct wire_message *m)
{
	struct world_client *c = &w->client[client];
	struct wire_message request = *m;

	must(c->count < WORLD_REQUESTS);
	request.id = ++c->count;
	c->bytes[c->count - 1] = wire_message_bytes(&request);
	wire_message_encode(c->data[c->count - 1], &request);
	send_request(w, node, client, c->count);
}

bool world_retry(struct world *w, uint32_t node, uint32_t client)
{
	if (w->client[client].count == 0)
		return false;
	send_request(w, node, client, w->client[client].count);
	return true;
}

void world_again(struct world *w, uint32_t node)
{
	arrive(w, node, w->node[node].last_client, &w->node[node].last);
}

/* ---- disk, time, death ----------------------------------------------------------------------- */

void world_durable(struct world *w, uint32_t node)
{
	struct world_node *n = &w->node[node];
	struct event ev = { .kind = EVENT_DURABLE, .durable_seq = n->seq_next - 1 };

	n->durable = n->seq_next - 1;
	world_step(w, node, &ev);
}

void world_tick(struct world *w, uint64_t ns)
{
	w->now_ns += ns;
	for (uint32_t i = 0; i < w->nodes; i++) {
		struct event ev = { .kind = EVENT_TICK };

		if (!w->node[i].dead)
			world_step(w, i, &ev);
	}
}

void world_plant(struct world *w, uint32_t node, const char *key, struct op_ts ts,
		 const char *value)
{
	struct world_record *r = append(w, node, WORLD_UPDATE);

	r->ts = ts;
	r->key_bytes = (uint16_t)strlen(key);
	r->value_bytes = (uint16_t)strlen(value);
	memcpy(r->blob, key, r->key_bytes);
	memcpy(r->blob + r->key_bytes, value, r->value_bytes);
}

static void recover_update(struct world_node *n, const struct world_record *r)
{
	struct wire_message m = { .type = WIRE_INV, .flags = r->flags, .key_bytes = r->key_bytes,
				  .value_bytes = r->value_bytes, .ts = r->ts, .prior = r->base,
				  .origin = r->origin, .key = r->blob,
				  .value = r->blob + r->key_bytes };
	struct entry *e = world_entry(n, m.key, m.key_bytes);
	uint32_t origin = replica_recover(n->replica, e, &m, crc32c(m.key, m.key_bytes));

	if (!e)
		e = make_entry(n, m.key, m.key_bytes);
	if (op_ts_compare(m.ts, entry_ts(e)) <= 0)
		return;
	e->state = HERMES_INVALID;
	e->version = m.ts.version;
	e->writer = m.ts.writer;
	e->flags = m.flags;
	e->base = m.prior;
	e->origin = origin;
	e->value_bytes = m.value_bytes;
	memcpy(e->blob + e->key_bytes, m.value, m.value_bytes);
}

static void recover_forget(struct world_node *n, const struct world_record *r)
{
	struct entry *e = world_entry(n, r->blob, r->key_bytes);

	if (e && op_ts_compare(entry_ts(e), r->ts) == 0)
		e->key_bytes = 0;
}

/* recover: what storage and worker do: the log, in order; a key's newest record wins. */
static void recover(struct world_node *n)
{
	for (uint32_t i = 0; i < n->records; i++) {
		const struct world_record *r = &n->record[i];

		if (r->kind == WORLD_UPDATE) {
			recover_update(n, r);
		} else if (r->kind == WORLD_NOTE) {
			replica_recover_note(n->replica, &r->origin, r->ts);
		} else if (r->kind == WORLD_REJOIN) {
			replica_recover_rejoin(n->replica);
		} else if (r->kind == WORLD_FORGET) {
			recover_forget(n, r);
		} else {
			drop_entries(n);
			replica_recover_reset(n->replica);
		}
	}
}

void world_crash(struct world *w, uint32_t node)
{
	struct world_node *n = &w->node[node];
	uint32_t kept = 0;

	if (n->dead)
		return;
	n->dead = true;
	drop_entries(n);
	for (uint32_t i = 0; i < n->records; i++) {
		if (n->record[i].seq > n->durable)
			continue;
		n->record[kept] = n->record[i];
		n->record[kept++].seq = 0; /* durable whatever the next life counts */
	}
	n->records = kept;
}

void world_restart(struct world *w, uint32_t node, bool amnesia)
{
	struct world_node *n = &w->node[node];

	world_crash(w, node);
	if (amnesia)
		n->records = 0;
	n->incarnation++;
	start_node(w, node);
	recover(n);
}

/* ---- views ----------------------------------------------------------------------------------- */

void world_view(struct world *w, const struct view *v)
{
	const struct view *last = &w->view[0];
	struct view *view;

	must(v->epoch != 0 && v->epoch < WORLD_VIEWS && w->view[v->epoch].epoch == 0);
	for (uint32_t e = 1; e < v->epoch; e++) {
		if (w->view[e].epoch != 0)
			last = &w->view[e];
	}
	view = &w->view[v->epoch];
	*view = *v;
	for (uint8_t i = 0; i < w->nodes; i++) {
		uint32_t incarnation = w->node[i].incarnation;
		bool stays = view_write_set(last) & 1u << i && !(v->recovered & 1u << i) &&
			     last->incarnation[i] == incarnation;

		/* Of who is out: the newest that was in. */
		view->incarnation[i] = last->incarnation[i];
		if (!(view_write_set(v) & 1u << i))
			continue;
		view->incarnation[i] = incarnation;
		view->since[i] = stays ? last->since[i] : v->epoch;
	}
}

bool world_install(struct world *w, uint32_t node, uint32_t epoch)
{
	struct event ev = { .kind = EVENT_VIEW };

	if (epoch >= WORLD_VIEWS || w->view[epoch].epoch == 0)
		return false;
	ev.view = &w->view[epoch];
	world_step(w, node, &ev);
	return true;
}

void world_lease(struct world *w, uint32_t node, uint32_t epoch, uint64_t lease_ns)
{
	struct event ev = { .kind = EVENT_LEASE, .lease_epoch = epoch, .lease_ns = lease_ns };

	world_step(w, node, &ev);
}

void world_collect(struct world *w, uint32_t node, const char *key)
{
	struct world_node *n = &w->node[node];
	struct entry *e = world_entry(n, (const uint8_t *)key, (uint32_t)strlen(key));
	bool can = e && replica_can_collect(n->replica, e);

	world_fold(w, &can, sizeof(can));
	if (can) {
		replica_collect(n->replica, e);
		e->key_bytes = 0;
	}
	fprintf(w->out, "  %c %s", world_letter(node), can ? "forgets" : "cannot forget");
	fprintf(w->out, " %s, floor %llu\n", key,
		(unsigned long long)replica_floor(n->replica));
}
