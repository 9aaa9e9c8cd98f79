/* SPDX-License-Identifier: Apache-2.0 */
/*
 * cairn-raft-script: stories of the Raft core, by hand: what arrives, when disks are done, what
 * time it is. Lines are commands or # comments; "# kills N..." names the mutants of tests/mutants.h
 * on which the script must fail. A script fails where an expectation is not met, or where an
 * invariant of the rig (rig_watch.c) breaks; those are looked at after every step.
 *
 * First: nodes N [voters=abc] [learners=d] [witnesses=c] [strip] [entries=N] [drift=PPM]
 *   heartbeat 10 ms, election 100 ms, disk 400 ms; the group begins with index 1, term 1
 * Nodes (NODES: letters): start|crash|wipe NODES, crash NODES keep=N: N records more than durable
 *   fail NODES: the disk; restored NODES: the snapshot is in place; checkpoint NODES
 *   durable NODES: everything is, and the core knows; written NODES: it does not know yet;
 *   durable NODES records=N: of what waits, the first N
 * Messages, in order on each link, TYPE in lower case (vote_ack): deliver|drop X->Y [TYPE] [all],
 *   again X->Y TYPE: the newest that was delivered or dropped comes once more; oldest X->Y TYPE
 * Time: tick NODES MS: passes for all, only these look at the clock; nothing arrives by itself
 *   run NODES MS [alone=NODES]: and whatever they send to one another arrives, disks are done at
 *   once; alone: these look at the clock, too
 *   flow NODES: the same, but no time passes
 *   elect X NODES: X alone looks at the clock until it leads, with the help of NODES; what it
 *   then sends waits
 *   stall NODES, unstall NODES: flow leaves these disks, and their snapshots, alone
 *   clock X PPM: its clock goes faster (or, -PPM, slower) by that much from now on
 * Users: propose X TEXT [refused], conf X voters=.. [learners=..] [witnesses=..] [refused],
 *   transfer X Y|best, read X, hold X INDEX, compact X INDEX
 * Looking: expect X [role=..] [term=..] [leader=x|-] [commit=..] [last=..] [base=..] [ready=y|n]
 *   [lease=y|n] [voters=..] [old=..] [configuring=y|n] [read=INDEX|refused|open] [text=INDEX:TEXT]
 *   sent X->Y TYPE [index=..] [term=..] [reject=y|n]: such a message waits; none X->Y [TYPE]
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "tests/raft/rig.h"

#define LINE_BYTES 512u
#define WORDS_MAX  12u
#define QUEUE_MAX  256u
#define MS	   1000000ull
#define FLOW_MAX   20000u

#ifdef CAIRN_MUTANTS
int mutant_active;
#endif

struct packet {
	uint16_t bytes;
	uint8_t data[RIG_PACKET_BYTES];
};

struct queue {
	struct packet *packets[QUEUE_MAX];
	uint32_t count;
};

struct story {
	struct rig *rig;
	const char *path;
	uint32_t line;
	bool started, verbose;
	struct queue link[NODES_MAX][NODES_MAX];
	struct queue past[NODES_MAX][NODES_MAX];
	uint64_t last_read[NODES_MAX], read_answer[NODES_MAX]; /* UINT64_MAX: open */
	char *word[WORDS_MAX];
	uint32_t words;
	uint8_t stalled, until; /* bitmaps: disks; flow ends when one of these leads */
};

static const char *const type_names[] = { "-",		"pre_vote",	"pre_vote_ack",
					  "vote",	"vote_ack",	"append",
					  "append_ack", "heartbeat",	"heartbeat_ack",
					  "snapshot",	"snapshot_ack", "timeout_now",
					  "read",	"read_ack" };

static const char *now_path = "-";
static uint32_t now_line;

_Noreturn void must_failed(const char *expression, const char *file, int line)
{
	fflush(stdout);
	fprintf(stderr, "%s:%u: must: %s:%d: %s\n", now_path, now_line, file, line, expression);
	exit(1);
}

static _Noreturn void fail(const struct story *s, const char *what, const char *more)
{
	fflush(stdout);
	fprintf(stderr, "%s:%u: %s%s%s\n", s->path, s->line, what, more ? ": " : "",
		more ? more : "");
	exit(1);
}

static void check(const struct story *s)
{
	if (s->rig->failed)
		fail(s, s->rig->failure, NULL);
}

static void push(struct story *s, struct queue *q, struct packet *p)
{
	if (q->count == QUEUE_MAX)
		fail(s, "too many messages on one link", NULL);
	q->packets[q->count++] = p;
}

static void on_send(struct rig *rig, uint8_t from, uint8_t to, const struct raft_message *message)
{
	struct story *s = rig->of;
	struct packet *p = calloc(1, sizeof(*p));

	must(p);
	p->bytes = (uint16_t)raft_message_bytes(message);
	raft_message_encode(p->data, message);
	push(s, &s->link[from][to], p);
	if (s->verbose)
		printf("    %c->%c %s%s term %u index %llu/%u commit %llu id %llx entry %llu\n",
		       'a' + from, 'a' + to, type_names[message->type],
		       (message->flags & RAFT_REJECT) != 0 ? " reject" : "", message->term,
		       (unsigned long long)message->index, message->log_term,
		       (unsigned long long)message->commit, (unsigned long long)message->id,
		       (unsigned long long)message->entry.index);
}

static void on_restore(struct rig *rig, uint8_t node)
{
	(void)rig, (void)node;
}

static void on_read(struct rig *rig, uint8_t node, uint64_t id, uint64_t index)
{
	struct story *s = rig->of;

	if (s->last_read[node] == id)
		s->read_answer[node] = index;
}

static const struct rig_driver driver = { on_send, on_restore, on_read };

/* after: what follows a step: the user applies what is committed, and compacts when asked to. */
static void after(struct story *s, uint8_t node)
{
	const struct rig_node *n = &s->rig->node[node];

	check(s);
	if (n->up)
		rig_apply(s->rig, node, UINT64_MAX);
	check(s);
	if (n->up && raft_wants_compact(n->raft) != 0)
		rig_compact(s->rig, node, n->applied);
	check(s);
	if (s->verbose && n->up)
		printf("    %llu us: %c %s term %u commit %llu last %llu durable %u/%u\n",
		       (unsigned long long)(s->rig->now_ns / 1000), 'a' + node,
		       raft_role_name(n->role), n->term, (unsigned long long)n->commit,
		       (unsigned long long)n->mirror.last, n->told_count, n->record_count);
}

/* Reading of words. */
static uint8_t a_node(const struct story *s, const char *text)
{
	if (text[0] < 'a' || text[0] >= (char)('a' + s->rig->nodes))
		fail(s, "no such node", text);
	return (uint8_t)(text[0] - 'a');
}

static uint8_t some_nodes(const struct story *s, const char *text)
{
	uint8_t nodes = 0;

	for (; *text != '\0' && *text != '-'; text++)
		nodes |= (uint8_t)(1u << a_node(s, text));
	return nodes;
}

static uint64_t number(const struct story *s, const char *text)
{
	char *end;
	unsigned long long n = strtoull(text, &end, 10);

	if (end == text || *end != '\0')
		fail(s, "not a number", text);
	return n;
}

static const char *word(const struct story *s, uint32_t which)
{
	if (which >= s->words)
		fail(s, "a word is missing", NULL);
	return s->word[which];
}

/* option: the value of NAME=VALUE among the words, or NULL. */
static const char *option(const struct story *s, const char *name)
{
	size_t length = strlen(name);

	for (uint32_t i = 1; i < s->words; i++) {
		if (strncmp(s->word[i], name, length) == 0 && s->word[i][length] == '=')
			return s->word[i] + length + 1;
	}
	return NULL;
}

static bool flag(const struct story *s, const char *name)
{
	for (uint32_t i = 1; i < s->words; i++) {
		if (strcmp(s->word[i], name) == 0)
			return true;
	}
	return false;
}

static struct raft_conf conf_of(const struct story *s)
{
	const char *voters = option(s, "voters"), *learners = option(s, "learners");
	const char *witnesses = option(s, "witnesses");

	return (struct raft_conf) { .voters = voters ? some_nodes(s, voters) : 0,
				    .learners = learners ? some_nodes(s, learners) : 0,
				    .witnesses = witnesses ? some_nodes(s, witnesses) : 0 };
}

static void do_nodes(struct story *s)
{
	struct raft_config config = {
		.seed = 1,
		.heartbeat_ns = 10 * MS,
		.election_ns = 100 * MS,
		.disk_ns = 400 * MS,
		.entries_max = 64,
		.bytes_max = 65536,
		.open_max = 16,
		.inflight_max = 8,
		.reads_max = 8,
		.strip = flag(s, "strip"),
	};
	uint32_t nodes = (uint32_t)number(s, word(s, 1));
	struct raft_conf conf;

	if (nodes < 1 || nodes > NODES_MAX)
		fail(s, "1 to 7 nodes", NULL);
	if (option(s, "entries")) {
		config.entries_max = (uint32_t)number(s, option(s, "entries"));
		config.open_max = config.entries_max / 4;
	}
	if (option(s, "drift"))
		config.drift_ppm = (uint16_t)number(s, option(s, "drift"));
	s->rig->nodes = nodes;
	conf = conf_of(s);
	if (conf.voters == 0)
		conf.voters = (uint8_t)((1u << nodes) - 1);
	rig_begin(s->rig, nodes, &conf, &config);
	s->rig->now_ns = 1000 * MS;
	for (uint32_t i = 0; i < nodes; i++)
		s->read_answer[i] = UINT64_MAX;
	s->started = true;
}

/* find: the first, or the last, message of that type on a link; type NULL: any. */
static uint32_t find(const struct queue *q, const char *type, bool newest)
{
	for (uint32_t i = 0; i < q->count; i++) {
		uint32_t at = newest ? q->count - 1 - i : i;
		uint8_t is = q->packets[at]->data[0];

		if (!type || (is < ARRAY_LEN(type_names) && strcmp(type_names[is], type) == 0))
			return at;
	}
	return UINT32_MAX;
}

static struct packet *take(struct queue *q, uint32_t which)
{
	struct packet *p = q->packets[which];

	q->count--;
	memmove(&q->packets[which], &q->packets[which + 1],
		(q->count - which) * sizeof(q->packets[0]));
	return p;
}

static void keep_past(struct story *s, uint8_t from, uint8_t to, struct packet *p)
{
	struct queue *q = &s->past[from][to];

	if (q->count == QUEUE_MAX)
		free(take(q, 0));
	push(s, q, p);
}

static void arrive(struct story *s, uint8_t from, uint8_t to, const struct packet *p)
{
	struct raft_message message;
	uint32_t offset = 0;

	if (!s->rig->node[to].up)
		return;
	if (raft_message_decode(p->data, p->bytes, &offset, &message) != WIRE_OK)
		fail(s, "X-BOUND: a message cannot be read", NULL);
	if (s->verbose)
		printf("  %c<-%c %s\n", 'a' + to, 'a' + from, type_names[message.type]);
	rig_message(s->rig, to, from, &message);
	after(s, to);
}

/* link_of: X->Y. */
static void link_of(const struct story *s, const char *text, uint8_t *ret_from, uint8_t *ret_to)
{
	if (strlen(text) != 4 || text[1] != '-' || text[2] != '>')
		fail(s, "a link is X->Y", text);
	*ret_from = a_node(s, text);
	*ret_to = a_node(s, text + 3);
}

static void do_messages(struct story *s, bool deliver)
{
	const char *type = s->words > 2 && strcmp(s->word[2], "all") != 0 ? s->word[2] : NULL;
	bool all = flag(s, "all"), done = false;
	uint8_t from, to;
	uint32_t which;

	link_of(s, word(s, 1), &from, &to);
	while ((which = find(&s->link[from][to], type, false)) != UINT32_MAX) {
		struct packet *p = take(&s->link[from][to], which);

		if (deliver)
			arrive(s, from, to, p);
		keep_past(s, from, to, p);
		done = true;
		if (!all)
			break;
	}
	if (!done && !all)
		fail(s, "no such message waits", s->word[1]);
}

static void do_again(struct story *s, bool newest)
{
	uint8_t from, to;
	uint32_t which;

	link_of(s, word(s, 1), &from, &to);
	which = find(&s->past[from][to], word(s, 2), newest);
	if (which == UINT32_MAX)
		fail(s, "no such message was there before", s->word[1]);
	arrive(s, from, to, s->past[from][to].packets[which]);
}

/* flow_once: one message to each, and all disks; false: nothing was left. */
/* reached: whoever shall lead does. */
static bool reached(const struct story *s)
{
	for (uint8_t i = 0; i < s->rig->nodes; i++) {
		if ((s->until >> i & 1) != 0 && raft_role(s->rig->node[i].raft) == RAFT_LEADER)
			return true;
	}
	return false;
}

/* next_of: what goes next on a link; while somebody is elected the others only answer. */
static uint32_t next_of(const struct story *s, uint8_t from, const struct queue *q)
{
	uint32_t which = 0;

	while (s->until != 0 && (s->until >> from & 1) == 0 && which < q->count &&
	       q->packets[which]->data[0] != RAFT_PRE_VOTE_ACK &&
	       q->packets[which]->data[0] != RAFT_VOTE_ACK)
		which++;
	return which;
}

static bool flow_once(struct story *s, uint8_t nodes)
{
	bool moved = false;

	for (uint8_t i = 0; i < s->rig->nodes; i++) {
		struct rig_node *n = &s->rig->node[i];

		if ((nodes >> i & 1) == 0 || !n->up)
			continue;
		if (reached(s))
			return false;
		if (n->restoring && (s->stalled >> i & 1) == 0) {
			rig_restored(s->rig, i);
			after(s, i);
			moved = true;
		}
		if (n->told_count < n->record_count && !n->failed && (s->stalled >> i & 1) == 0) {
			rig_durable(s->rig, i, n->record_count, true);
			after(s, i);
			moved = true;
		}
		for (uint8_t from = 0; from < s->rig->nodes; from++) {
			struct queue *q = &s->link[from][i];
			struct packet *p;
			uint32_t which = next_of(s, from, q);

			if ((nodes >> from & 1) == 0 || which >= q->count || reached(s))
				continue;
			p = take(q, which);
			arrive(s, from, i, p);
			keep_past(s, from, i, p);
			moved = true;
		}
	}
	return moved;
}

static void flow(struct story *s, uint8_t nodes)
{
	for (uint32_t i = 0; flow_once(s, nodes); i++) {
		if (i > FLOW_MAX)
			fail(s, "X-BOUND: it never ends", NULL);
	}
}

/* pass: one ms; the nodes that look at their clock do what is due. */
static void pass(struct story *s, uint8_t nodes)
{
	s->rig->now_ns += MS;
	for (uint8_t i = 0; i < s->rig->nodes; i++) {
		const struct rig_node *n = &s->rig->node[i];

		for (uint32_t k = 0; (nodes >> i & 1) != 0 && n->up && k < 1000; k++) {
			if (rig_clock(s->rig, i) < raft_deadline_ns(n->raft))
				break;
			rig_tick(s->rig, i);
			after(s, i);
		}
	}
}

static void do_time(struct story *s, bool flows)
{
	uint8_t nodes = some_nodes(s, word(s, 1));
	uint8_t alone = option(s, "alone") ? some_nodes(s, option(s, "alone")) : 0;

	for (uint64_t ms = number(s, word(s, 2)); ms > 0; ms--) {
		pass(s, nodes | alone);
		if (flows)
			flow(s, nodes);
	}
}

static void do_elect(struct story *s)
{
	uint8_t node = a_node(s, word(s, 1));
	uint8_t nodes = some_nodes(s, word(s, 2)) | (uint8_t)(1u << node);

	s->until = (uint8_t)(1u << node);
	for (uint32_t ms = 0; ms < 3000 && !reached(s); ms++) {
		pass(s, s->until);
		flow(s, nodes);
	}
	if (!reached(s))
		fail(s, "it never leads", s->word[1]);
	s->until = 0;
}

/* for_nodes: commands that do one thing to each node named. */
static bool for_nodes(struct story *s, const char *command, uint8_t node)
{
	struct rig_node *n = &s->rig->node[node];
	uint32_t all = n->record_count;

	if (strcmp(command, "start") == 0) {
		rig_start(s->rig, node);
	} else if (strcmp(command, "crash") == 0) {
		const char *keep = option(s, "keep");

		rig_crash(s->rig, node, n->durable_count + (keep ? (uint32_t)number(s, keep) : 0));
	} else if (strcmp(command, "wipe") == 0) {
		rig_wipe(s->rig, node);
	} else if (strcmp(command, "fail") == 0) {
		rig_disk_fails(s->rig, node);
	} else if (strcmp(command, "restored") == 0) {
		if (!n->restoring)
			fail(s, "it restores nothing", NULL);
		rig_restored(s->rig, node);
	} else if (strcmp(command, "checkpoint") == 0) {
		rig_checkpoint(s->rig, node);
	} else if (strcmp(command, "durable") == 0) {
		if (option(s, "records"))
			all = n->durable_count + (uint32_t)number(s, option(s, "records"));
		rig_durable(s->rig, node, all, true);
	} else if (strcmp(command, "stall") == 0 || strcmp(command, "unstall") == 0) {
		s->stalled &= (uint8_t) ~(1u << node);
		s->stalled |= (uint8_t)((command[0] == 's') << node);
	} else if (strcmp(command, "written") == 0) {
		rig_durable(s->rig, node, all, false);
	} else {
		return false;
	}
	after(s, node);
	return true;
}

static void do_clock(struct story *s)
{
	uint8_t node = a_node(s, word(s, 1));
	struct rig_node *n = &s->rig->node[node];
	bool slower = word(s, 2)[0] == '-';
	int64_t ppm = (int64_t)number(s, s->word[2] + slower);

	n->clock_local = rig_clock(s->rig, node);
	n->clock_real = s->rig->now_ns;
	n->rate_ppb = 1000 * (slower ? -ppm : ppm);
}

static void refused(const struct story *s, uint64_t index)
{
	if ((index == 0) != flag(s, "refused"))
		fail(s, index == 0 ? "it was refused" : "it was not refused", NULL);
}

static bool do_user(struct story *s, const char *command)
{
	uint8_t node;

	if (s->words < 2 || strchr(s->word[1], '>'))
		return false;
	node = a_node(s, s->word[1]);
	if (strcmp(command, "propose") == 0) {
		const char *text = word(s, 2);

		refused(s,
			rig_propose(s->rig, node, (const uint8_t *)text, (uint32_t)strlen(text)));
	} else if (strcmp(command, "conf") == 0) {
		struct raft_conf conf = conf_of(s);

		refused(s, rig_configure(s->rig, node, &conf));
	} else if (strcmp(command, "transfer") == 0) {
		rig_transfer(s->rig, node,
			     strcmp(word(s, 2), "best") == 0 ? RAFT_NODE_ANY
							     : a_node(s, s->word[2]));
	} else if (strcmp(command, "read") == 0) {
		s->read_answer[node] = UINT64_MAX;
		s->last_read[node] = s->rig->node[node].read_next;
		rig_read(s->rig, node);
	} else if (strcmp(command, "hold") == 0) {
		rig_hold(s->rig, node, number(s, word(s, 2)));
	} else if (strcmp(command, "compact") == 0) {
		rig_compact(s->rig, node, number(s, word(s, 2)));
	} else {
		return false;
	}
	after(s, node);
	return true;
}

static void compare(const struct story *s, const char *name, const char *is)
{
	const char *wanted = option(s, name);
	char text[128];

	if (!wanted || strcmp(wanted, is) == 0)
		return;
	snprintf(text, sizeof(text), "%s is %s, not %s", name, is, wanted);
	fail(s, s->word[1], text);
}

static void compare_number(const struct story *s, const char *name, uint64_t is)
{
	char text[24];

	snprintf(text, sizeof(text), "%llu", (unsigned long long)is);
	compare(s, name, text);
}

static void compare_nodes(const struct story *s, const char *name, uint8_t is)
{
	char text[NODES_MAX + 1] = "-";
	uint32_t count = 0;

	for (uint8_t i = 0; i < NODES_MAX; i++) {
		if ((is >> i & 1) != 0) {
			text[count++] = (char)('a' + i);
			text[count] = '\0';
		}
	}
	compare(s, name, text);
}

/* compare_text: text=INDEX:TEXT: what the entry in memory says. */
static void compare_text(const struct story *s, const struct rig_node *n)
{
	const char *wanted = option(s, "text"), *colon = wanted ? strchr(wanted, ':') : NULL;
	struct raft_entry e;
	uint64_t index;

	if (!wanted)
		return;
	index = strtoull(wanted, NULL, 10);
	if (!colon || index <= raft_base(n->raft) || index > raft_last(n->raft))
		fail(s, "no such entry in memory", wanted);
	raft_entry(n->raft, index, &e);
	if (e.bytes != strlen(colon + 1) || memcmp(e.data, colon + 1, e.bytes) != 0)
		fail(s, "another entry is there", wanted);
}

static void do_expect(struct story *s)
{
	uint8_t node = a_node(s, word(s, 1));
	const struct rig_node *n = &s->rig->node[node];
	const struct raft *r = n->raft;
	uint8_t leader;
	char text[24] = "-";

	if (!n->up)
		fail(s, "it is down", s->word[1]);
	leader = raft_leader(r);
	if (leader < NODES_MAX)
		text[0] = (char)('a' + leader);
	compare(s, "leader", text);
	compare(s, "role", raft_role_name(raft_role(r)));
	compare_number(s, "term", raft_term(r));
	compare_number(s, "commit", raft_commit(r));
	compare_number(s, "last", raft_last(r));
	compare_number(s, "base", raft_base(r));
	compare(s, "ready", raft_ready(r) ? "y" : "n");
	compare(s, "lease", raft_lease_ns(r) > rig_clock(s->rig, node) ? "y" : "n");
	compare(s, "configuring", raft_configuring(r) ? "y" : "n");
	compare_nodes(s, "voters", raft_conf(r)->voters);
	compare_nodes(s, "old", raft_conf(r)->voters_old);
	compare_nodes(s, "learners", raft_conf(r)->learners);
	compare_text(s, n);
	snprintf(text, sizeof(text), "%llu", (unsigned long long)s->read_answer[node]);
	compare(s, "read",
		s->read_answer[node] == UINT64_MAX ? "open"
		: s->read_answer[node] == 0	   ? "refused"
						   : text);
}

static void do_sent(struct story *s, bool wanted)
{
	const char *type = s->words > 2 ? s->word[2] : NULL;
	uint8_t from, to;
	uint32_t which;
	struct raft_message m;
	uint32_t offset = 0;

	link_of(s, word(s, 1), &from, &to);
	which = find(&s->link[from][to], type, true);
	if (!wanted && which != UINT32_MAX)
		fail(s, "such a message was sent", s->word[1]);
	if (!wanted)
		return;
	if (which == UINT32_MAX)
		fail(s, "no such message was sent", s->word[1]);
	if (raft_message_decode(s->link[from][to].packets[which]->data,
				s->link[from][to].packets[which]->bytes, &offset, &m) != WIRE_OK)
		fail(s, "X-BOUND: a message cannot be read", NULL);
	compare_number(s, "index", m.index);
	compare_number(s, "term", m.term);
	compare(s, "reject", (m.flags & RAFT_REJECT) != 0 ? "y" : "n");
}

static void command(struct story *s)
{
	const char *c = s->word[0];

	if (!s->started && strcmp(c, "nodes") != 0)
		fail(s, "nodes comes first", NULL);
	if (strcmp(c, "nodes") == 0) {
		do_nodes(s);
	} else if (strcmp(c, "deliver") == 0 || strcmp(c, "drop") == 0) {
		do_messages(s, c[1] == 'e');
	} else if (strcmp(c, "again") == 0 || strcmp(c, "oldest") == 0) {
		do_again(s, c[0] == 'a');
	} else if (strcmp(c, "tick") == 0 || strcmp(c, "run") == 0) {
		do_time(s, c[0] == 'r');
	} else if (strcmp(c, "flow") == 0) {
		flow(s, some_nodes(s, word(s, 1)));
	} else if (strcmp(c, "elect") == 0) {
		do_elect(s);
	} else if (strcmp(c, "expect") == 0) {
		do_expect(s);
	} else if (strcmp(c, "clock") == 0) {
		do_clock(s);
	} else if (strcmp(c, "sent") == 0 || strcmp(c, "none") == 0) {
		do_sent(s, c[0] == 's');
	} else if (!do_user(s, c)) {
		uint8_t nodes = some_nodes(s, word(s, 1));

		for (uint8_t i = 0; i < s->rig->nodes; i++) {
			if ((nodes >> i & 1) != 0 && !for_nodes(s, c, i))
				fail(s, "no such command", c);
		}
	}
	check(s);
}

static void run_file(const char *path, bool verbose)
{
	struct story s = { .path = path, .verbose = verbose };
	char line[LINE_BYTES], *save;
	FILE *in = fopen(path, "r");

	if (!in) {
		fprintf(stderr, "cairn-raft-script: %s: %s\n", path, strerror(errno));
		exit(2);
	}
	s.rig = rig_create(&driver, &s);
	now_path = path;
	while (fgets(line, sizeof(line), in)) {
		now_line = ++s.line;
		if (line[0] == '#')
			continue;
		if (verbose)
			printf("%s", line);
		s.words = 0;
		for (char *p = strtok_r(line, " \n", &save); p && s.words < WORDS_MAX;
		     p = strtok_r(NULL, " \n", &save))
			s.word[s.words++] = p;
		if (s.words > 0)
			command(&s);
	}
	fclose(in);
	for (uint32_t i = 0; i < NODES_MAX * NODES_MAX; i++) {
		struct queue *both[] = { &s.link[0][0] + i, &s.past[0][0] + i };

		for (uint32_t k = 0; k < 2; k++) {
			while (both[k]->count > 0)
				free(both[k]->packets[--both[k]->count]);
		}
	}
	rig_destroy(s.rig);
}

int main(int argc, char **argv)
{
	bool verbose = argc > 1 && strcmp(argv[1], "-v") == 0;
	int first = verbose ? 2 : 1;

#ifdef CAIRN_MUTANTS
	const char *mutant = getenv("CAIRN_MUTANT");

	mutant_active = mutant ? (int)strtol(mutant, NULL, 10) : 0;
#endif
	if (argc <= first || argv[first][0] == '-') {
		fputs("usage: cairn-raft-script [-v] FILE...\n", stderr);
		return 2;
	}
	for (int i = first; i < argc; i++)
		run_file(argv[i], verbose);
	printf("raft: %d scripts\n", argc - first);
	return 0;
}
