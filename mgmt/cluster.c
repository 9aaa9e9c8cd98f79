/* SPDX-License-Identifier: Apache-2.0 */
#include "mgmt/cluster.h"

#include <stdarg.h>
#include <stdio.h>

#include "mgmt/ctl_proto.h"

#define HEARD_NS_MIN	100000000ull /* shared machines breathe */
#define NODE_TEXT_BYTES 40u
#define FIND_OUT	4u /* silences that are noticed and told of one after the other */
#define FIND_OUT_HELLOS 8u

uint64_t cluster_patience_ns(const struct config *config)
{
	return max_u64(2000u * config->timers_detect_us, HEARD_NS_MIN);
}

static const struct membership_state *agreed(const struct cluster_look *look)
{
	return &look->service->state;
}

/* What a service that publishes nothing any more knew is nothing: the others go on without it. */
static bool known(const struct cluster_look *look)
{
	return look->service && agreed(look)->revision != 0 &&
	       (look->now_ns < look->service->updated_ns ||
		look->now_ns - look->service->updated_ns < cluster_patience_ns(look->config));
}

static bool in(uint8_t set, uint8_t node)
{
	return set >> node & 1;
}

static uint64_t heard_age_ns(const struct cluster_look *look, uint8_t node)
{
	const struct control_peer *peer = &look->service->peer[node];

	return node == look->service->node ? 0 : min_u64(peer->age_ns, peer->raft_age_ns);
}

bool cluster_heard(const struct cluster_look *look, uint8_t node)
{
	return look->service && heard_age_ns(look, node) < cluster_patience_ns(look->config);
}

static uint8_t heard_set(const struct cluster_look *look)
{
	uint8_t set = 0;

	for (uint8_t n = 0; n < NODES_MAX; n++)
		set |= (uint8_t)(cluster_heard(look, n) << n);
	return set;
}

static uint8_t wanted(const struct membership_state *s, enum membership_want want)
{
	uint8_t set = 0;

	for (uint8_t n = 0; n < NODES_MAX; n++)
		set |= (uint8_t)((s->node[n].want == want) << n);
	return set;
}

/* Nodes that are to serve data in the long run: those that are drained, too, but no learners. */
static uint8_t expected(const struct membership_state *s)
{
	uint8_t set = wanted(s, WANT_DATA);

	for (uint8_t n = 0; n < NODES_MAX; n++)
		if (s->node[n].flags & (MEMBER_LEARNER | MEMBER_LEAVING))
			set &= (uint8_t) ~(1u << n);
	return set;
}

/* The incarnation that this node knows to live at that number. */
static uint32_t incarnation_of(const struct cluster_look *look, uint8_t node)
{
	const struct control_status *s = look->service;

	return node == s->node ? s->incarnation : s->peer[node].incarnation;
}

/* A member that was heard, in the incarnation that is one. */
static bool lives(const struct cluster_look *look, uint8_t node)
{
	const struct membership_state *s = agreed(look);

	return in(s->members, node) && cluster_heard(look, node) &&
	       incarnation_of(look, node) == s->node[node].incarnation &&
	       !look->service->peer[node].failed;
}

static uint8_t living(const struct cluster_look *look)
{
	uint8_t set = 0;

	for (uint8_t n = 0; n < NODES_MAX; n++)
		set |= (uint8_t)(lives(look, n) << n);
	return set;
}

/* deaf_to: living members that this living member has not heard for a while: a link is cut. */
static uint8_t deaf_to(const struct cluster_look *look, uint8_t node)
{
	uint8_t alive = living(look);

	return look->deaf && in(alive, node) ? look->deaf[node] & alive & (uint8_t) ~(1u << node) :
					       0;
}

/*
 * heard_elsewhere: this node has not heard that member for so long that all must have found out if
 * it were dead, and yet a living member hears it.
 */
static bool heard_elsewhere(const struct cluster_look *look, uint8_t node)
{
	uint64_t late_ns = FIND_OUT * cluster_patience_ns(look->config) +
			   FIND_OUT_HELLOS * 1000u * look->config->timers_hello_us;
	uint64_t age_ns = heard_age_ns(look, node);
	uint8_t others = living(look) & (uint8_t) ~(1u << look->service->node | 1u << node);

	if (!look->deaf || !in(agreed(look)->members, node) || age_ns == CONTROL_NEVER ||
	    age_ns < late_ns)
		return false;
	for (uint8_t n = 0; n < NODES_MAX; n++)
		if (in(others, n) && !in(look->deaf[n], node))
			return true;
	return false;
}

static bool any_deaf(const struct cluster_look *look)
{
	uint8_t set = 0;

	for (uint8_t n = 0; n < NODES_MAX; n++)
		set |= deaf_to(look, n);
	return set != 0;
}

bool cluster_quorum(const struct cluster_look *look)
{
	const struct control_status *s = look->service;

	return known(look) && raft_conf_quorum(&s->conf, heard_set(look)) &&
	       (s->leader < NODES_MAX || s->lease_ns != 0);
}

uint32_t cluster_peers(const struct cluster_look *look, uint32_t *ret_heard)
{
	const struct membership_state *s = look->service ? agreed(look) : NULL;
	uint8_t all = look->config->nodes;

	if (s && s->revision != 0)
		all = wanted(s, WANT_DATA) | wanted(s, WANT_WITNESS);
	all &= (uint8_t) ~(1u << look->config->node_id);
	*ret_heard = look->service ? raft_bits(all & heard_set(look)) : 0;
	return raft_bits(all);
}

/* copies: members that hold what is acknowledged; engine raft: dead members do not. */
static uint32_t copies(const struct cluster_look *look)
{
	const struct membership_state *s = agreed(look);

	return raft_bits(s->engine == ENGINE_RAFT ? living(look) : s->members);
}

const char *cluster_state(const struct cluster_look *look)
{
	if (!known(look))
		return CTL_CLUSTER_UNKNOWN;
	const struct membership_state *s = agreed(look);
	uint8_t alive = living(look);
	if (!cluster_quorum(look))
		return CTL_CLUSTER_NO_QUORUM;
	if (alive == 0)
		return CTL_CLUSTER_RECOVERING;
	if (copies(look) < s->copies_min)
		return CTL_CLUSTER_READ_ONLY;
	if ((expected(s) & ~alive) != 0 || (wanted(s, WANT_WITNESS) & ~heard_set(look)) != 0 ||
	    any_deaf(look) || look->leaderless)
		return CTL_CLUSTER_DEGRADED;
	return CTL_CLUSTER_HEALTHY;
}

/* ---- one node ---------------------------------------------------------------------------------
 */

static const char *member_state(const struct cluster_look *look, uint8_t node)
{
	const struct control_status *s = look->service;

	if (!lives(look, node))
		return CTL_STATE_WAITING;
	if (node != s->node)
		return CTL_STATE_SERVING;
	if (agreed(look)->engine == ENGINE_RAFT) /* leases are its shards' leaders' */
		return look->leaderless ? CTL_STATE_WAITING : CTL_STATE_SERVING;
	return s->lease_ns != 0 && s->installed.epoch != 0 ? CTL_STATE_SERVING : CTL_STATE_WAITING;
}

static const char *outsider_state(const struct membership_node *n)
{
	if (n->flags & MEMBER_LEAVING)
		return CTL_NODE_LEAVING;
	if (n->flags & MEMBER_DRAINED)
		return CTL_NODE_DRAINED;
	return CTL_NODE_OUT;
}

/* is_of_another: this node's number was given to another disk since this one had it. */
static bool is_of_another(const struct cluster_look *look)
{
	uint32_t ident = agreed(look)->node[look->service->node].ident;

	return ident != 0 && ident != look->service->ident;
}

/* is_new_disk: the cluster still counts on this machine, and on the disk that it had. */
static bool is_new_disk(const struct cluster_look *look)
{
	return is_of_another(look) &&
	       agreed(look)->node[look->service->node].ip == look->config->net_address.ip;
}

static const char *engine_name(uint8_t engine)
{
	return engine == ENGINE_RAFT ? "raft" : "hermes";
}

bool cluster_is_odd(const struct cluster_look *look)
{
	return known(look) && agreed(look)->engine != look->service->engine;
}

void cluster_odd_text(const struct cluster_look *look, char out[PROBLEM_TEXT_BYTES])
{
	const char *cluster = engine_name(agreed(look)->engine);

	snprintf(out, PROBLEM_TEXT_BYTES,
		 "this node's data folder is formatted for engine %s, the cluster's is %s: it takes"
		 " no part, and must be formatted with --engine %s",
		 engine_name(look->service->engine), cluster, cluster);
}

/* witness_state: of one that is heard; who was just added is that before its vote counts. */
static const char *witness_state(const struct cluster_look *look, uint8_t node)
{
	if (in(look->service->conf.voters, node))
		return CTL_NODE_VOTING;
	return agreed(look)->node[node].flags & MEMBER_LEAVING ? CTL_NODE_LEAVING
							       : CTL_NODE_JOINING;
}

const char *cluster_node_state(const struct cluster_look *look, uint8_t node)
{
	const struct membership_state *s = agreed(look);
	const struct membership_node *n = &s->node[node];
	bool heard = cluster_heard(look, node);

	if (node == look->service->node && n->want != WANT_NONE && cluster_is_odd(look))
		return CTL_NODE_ENGINE;
	if (n->want == WANT_NONE || (node == look->service->node && is_of_another(look)))
		return n->want != WANT_NONE && is_new_disk(look) ? CTL_NODE_OTHER
								 : CTL_NODE_REMOVED;
	if (!heard)
		return in(s->members | s->shadows, node) ? CTL_NODE_SILENT : CTL_NODE_DEAD;
	if (look->service->peer[node].failed || (node == look->service->node && look->log_failed))
		return CTL_STATE_DISK_FAILED;
	/* Once it has left nobody speaks to it, and nobody tells it that this was the end. */
	if (!cluster_quorum(look) && (n->flags & MEMBER_LEAVING))
		return CTL_NODE_REMOVED;
	if (n->want == WANT_WITNESS && cluster_quorum(look))
		return witness_state(look, node);
	if (in(s->members, node))
		return member_state(look, node);
	if (!cluster_quorum(look))
		return CTL_STATE_WAITING; /* it may know only what was long ago */
	if (!in(s->shadows, node))
		return outsider_state(n);
	return n->flags & MEMBER_LEARNER ? CTL_NODE_LEARNER : CTL_NODE_JOINING;
}

static const char *role_of(const struct membership_state *s, uint8_t node)
{
	return s->node[node].want == WANT_WITNESS ? "witness"
	       : in(s->members, node)		  ? "member"
	       : in(s->shadows, node)		  ? "shadow"
						  : "out";
}

static json_t *text_u64(uint64_t value)
{
	char text[24];

	snprintf(text, sizeof(text), "%llu", (unsigned long long)value);
	return json_string(text);
}

/* Only printable ASCII is in a name that was agreed on; be sure. */
static json_t *name_json(const struct membership_state *s, uint8_t node)
{
	json_t *name = json_string(s->node[node].name);

	return name ? name : json_string("?");
}

static json_t *time_json(uint64_t ns, uint64_t unit_ns)
{
	return ns == CONTROL_NEVER ? json_null() : json_integer((json_int_t)(ns / unit_ns));
}

static void set(json_t *object, const char *name, json_t *value)
{
	must(json_object_set_new(object, name, value) == 0);
}

static void member_measures(const struct cluster_look *look, uint8_t node, json_t *o)
{
	const struct control_status *s = look->service;
	const struct control_peer *peer = &s->peer[node];
	bool self = node == s->node;

	set(o, "heard_ms", self ? json_integer(0) : time_json(heard_age_ns(look, node), 1000000));
	set(o, "rtt_us", self || peer->rtt_ns == 0 ? json_null() : time_json(peer->rtt_ns, 1000));
	uint64_t disk_ns = self ? s->health.disk_ns : peer->disk_ns;
	set(o, "disk_us", disk_ns == 0 ? json_null() : time_json(disk_ns, 1000));
	set(o, "holddown_ms", time_json(peer->holddown_ns, 1000000));
	set(o, "slow", json_boolean(peer->slow));
	set(o, "joined", json_boolean(self ? s->health.joined : peer->joined));
	set(o, "epoch", json_integer(self ? s->health.epoch : peer->epoch));
	/* What the view leader knows of its log there; nobody else knows. */
	set(o, "lag",
	    s->role != RAFT_LEADER	     ? json_null()
	    : self || peer->match >= s->last ? json_integer(0)
					     : json_integer((json_int_t)(s->last - peer->match)));
}

json_t *cluster_members_json(const struct cluster_look *look)
{
	json_t *list = json_array();
	char ip[16];

	must(list != NULL);
	for (uint8_t n = 0; known(look) && n < NODES_MAX; n++) {
		const struct membership_state *s = agreed(look);
		const struct membership_node *node = &s->node[n];
		json_t *o;

		if (node->want == WANT_NONE)
			continue;
		o = json_pack("{s:i, s:o, s:s, s:s, s:s, s:b, s:b, s:b}", "node", (int)n, "name",
			      name_json(s, n), "address", config_ip_text(node->ip, ip), "role",
			      role_of(s, n), "state", cluster_node_state(look, n), "heard",
			      cluster_heard(look, n), "drained",
			      (node->flags & MEMBER_DRAINED) != 0, "leader",
			      look->service->leader == n);
		set(o, "incarnation", text_u64(incarnation_of(look, n)));
		set(o, "evictions", json_integer(node->evictions));
		set(o, "replaces", node->replaces ? json_integer(node->replaces - 1) : json_null());
		member_measures(look, n, o);
		json_array_append_new(list, o);
	}
	return list;
}

/* ---- the whole --------------------------------------------------------------------------------
 */

json_t *cluster_json(const struct cluster_look *look)
{
	static const struct control_status nothing = { .leader = RAFT_NODE_NONE };
	const struct control_status *s = known(look) ? look->service : &nothing;
	const struct membership_state *m = &s->state;
	uint8_t voters = s->conf.voters | s->conf.voters_old;
	bool quorum = cluster_quorum(look);
	char id[24];

	snprintf(id, sizeof(id), "%016llx", (unsigned long long)look->config->cluster_id);
	json_t *o = json_pack("{s:s, s:s, s:s, s:s, s:s, s:i, s:b}", "id", id, "name",
			      look->config->cluster_name, "state", cluster_state(look), "engine",
			      engine_name(m->engine), "durability",
			      m->engine == ENGINE_RAFT ? "quorum" : "all", "nodes",
			      (int)raft_bits(wanted(m, WANT_DATA) | wanted(m, WANT_WITNESS)),
			      "quorum", quorum);
	set(o, "epoch", json_integer(m->epoch));
	set(o, "revision", text_u64(m->revision));
	set(o, "term", json_integer(s->term));
	set(o, "leader", s->leader < NODES_MAX ? json_integer(s->leader) : json_null());
	set(o, "leader_name", s->leader < NODES_MAX ? name_json(m, s->leader) : json_null());
	set(o, "voters", json_integer(raft_bits(voters)));
	set(o, "voters_heard", json_integer(known(look) ? raft_bits(voters & heard_set(look)) : 0));
	set(o, "members", json_integer(raft_bits(m->members)));
	set(o, "members_wanted", json_integer(raft_bits(expected(m))));
	set(o, "copies_min", json_integer(m->copies_min));
	set(o, "unsafe_recoveries", json_integer(m->unsafe));
	set(o, "changing", json_boolean(s->configuring));
	set(o, "lease_ms", json_integer((json_int_t)(s->lease_ns / 1000000)));
	set(o, "commit", text_u64(s->commit));
	return o;
}

/* ---- reasons ----------------------------------------------------------------------------------
 */

struct reasons {
	cluster_warn *warn;
	void *context;
};

__attribute__((format(printf, 3, 4))) static void tell(const struct reasons *r, enum problem_id id,
						       const char *format, ...)
{
	char text[PROBLEM_TEXT_BYTES];
	va_list args;

	va_start(args, format);
	vsnprintf(text, sizeof(text), format, args);
	va_end(args);
	r->warn(r->context, id, text);
}

static const char *node_text(const struct membership_state *s, uint8_t node,
			     char out[NODE_TEXT_BYTES])
{
	if (node < NODES_MAX && s->node[node].name[0])
		snprintf(out, NODE_TEXT_BYTES, "node %u (%.15s)", node, s->node[node].name);
	else
		snprintf(out, NODE_TEXT_BYTES, "node %u", node);
	return out;
}

static uint8_t silent_voters(const struct cluster_look *look)
{
	return (look->service->conf.voters | look->service->conf.voters_old) &
	       (uint8_t)~heard_set(look);
}

static void tell_node(const struct cluster_look *look, const struct reasons *r, uint8_t node)
{
	const struct membership_state *s = agreed(look);
	const char *state = cluster_node_state(look, node);
	uint64_t age_ns = heard_age_ns(look, node);
	char name[NODE_TEXT_BYTES], age[48] = "was not heard yet";

	if (cluster_heard(look, node) && !cluster_quorum(look))
		return; /* nothing can be done about it before there is a majority */
	node_text(s, node, name);
	if (age_ns != CONTROL_NEVER)
		snprintf(age, sizeof(age), "is silent: not heard for %llu ms",
			 (unsigned long long)(age_ns / 1000000));
	if (!cluster_heard(look, node) && heard_elsewhere(look, node))
		tell(r, PROBLEM_LINK_CUT, "%s %s; others hear it: the link is cut", name, age);
	else if (!cluster_heard(look, node))
		tell(r, PROBLEM_PEERS_NOT_LINKED, "%s %s%s", name, age,
		     in(s->members, node) ? "; it is still a member" : "");
	else if (strcmp(state, CTL_STATE_DISK_FAILED) == 0)
		tell(r, PROBLEM_NODE_OUT,
		     "the disk of %s failed, or is too small, or its store: its status says", name);
	else if (strcmp(state, CTL_NODE_OUT) == 0)
		tell(r, PROBLEM_NODE_OUT, "%s is left out%s%s", name,
		     s->node[node].flags & MEMBER_EVICTED
			     ? ": it was slow or unreachable, or its log or store is too small"
			     : "",
		     look->service->peer[node].holddown_ns ? "; comes back after its hold-down"
							   : "");
	else if (strcmp(state, CTL_NODE_DRAINED) == 0)
		tell(r, PROBLEM_NODE_DRAINED, "%s is drained", name);
	else if (strcmp(state, CTL_NODE_JOINING) == 0 || strcmp(state, CTL_NODE_LEARNER) == 0)
		tell(r, PROBLEM_NODE_JOINING,
		     s->node[node].want == WANT_WITNESS ? "%s does not vote yet"
							: "%s copies data and is no member yet",
		     name);
	else if (strcmp(state, CTL_NODE_LEAVING) == 0)
		tell(r, PROBLEM_NODE_JOINING, "%s is on its way out for good%s", name,
		     silent_voters(look) ? ": voters are silent, which may be what it waits for:"
					   " start them, or remove them"
					 : "");
	else if (strcmp(state, CTL_STATE_WAITING) == 0)
		tell(r, PROBLEM_NODE_JOINING, "%s is a member and cannot serve at the moment",
		     name);
}

static void tell_deaf(const struct cluster_look *look, const struct reasons *r, uint8_t node)
{
	char name[NODE_TEXT_BYTES], other[NODE_TEXT_BYTES];
	uint8_t deaf = deaf_to(look, node);

	for (uint8_t n = 0; n < NODES_MAX; n++)
		if (in(deaf, n))
			tell(r, PROBLEM_LINK_CUT, "%s does not hear %s: their link is cut",
			     node_text(agreed(look), node, name),
			     node_text(agreed(look), n, other));
}

static void tell_whole(const struct cluster_look *look, const struct reasons *r)
{
	const struct membership_state *s = agreed(look);
	uint8_t voters = look->service->conf.voters | look->service->conf.voters_old;
	const char *state = cluster_state(look);
	bool led = look->service->leader < NODES_MAX;

	if (strcmp(state, CTL_CLUSTER_NO_QUORUM) == 0)
		tell(r, PROBLEM_NO_QUORUM, "no majority: this node hears %u of %u voters%s%s",
		     raft_bits(voters & heard_set(look)), raft_bits(voters),
		     led ? "" : ", and no leader",
		     led || !raft_conf_quorum(&look->service->conf, heard_set(look))
			     ? ""
			     : ": they elect one, or do not hear each other, or do not count this"
			       " node: was its disk formatted anew?");
	else if (strcmp(state, CTL_CLUSTER_READ_ONLY) == 0)
		tell(r, PROBLEM_READ_ONLY, "%u members%s, copies_min is %u: updates are refused",
		     copies(look), s->engine == ENGINE_RAFT ? " live" : "", s->copies_min);
	else if (strcmp(state, CTL_CLUSTER_RECOVERING) == 0)
		tell(r, PROBLEM_RECOVERING,
		     "the cluster starts from its disks: %u of %u voters heard",
		     raft_bits(voters & heard_set(look)), raft_bits(voters));
}

void cluster_reasons(const struct cluster_look *look, cluster_warn *warn, void *context)
{
	struct reasons r = { warn, context };

	if (!look->service)
		return;
	if (agreed(look)->revision == 0) {
		tell(&r, PROBLEM_NOT_ADDED,
		     "this node was formatted to join, and no cluster knows it");
		return;
	}
	if (!known(look))
		return;
	if (strcmp(cluster_node_state(look, look->service->node), CTL_NODE_ENGINE) == 0) {
		char text[PROBLEM_TEXT_BYTES];

		cluster_odd_text(look, text);
		tell(&r, PROBLEM_OTHER_ENGINE, "%s", text);
		return;
	}
	if (strcmp(cluster_node_state(look, look->service->node), CTL_NODE_OTHER) == 0) {
		tell(&r, PROBLEM_OTHER_DISK,
		     "the cluster knows node %u with another disk: this one was formatted anew, or"
		     " is an old one",
		     look->service->node);
		return;
	}
	if (strcmp(cluster_node_state(look, look->service->node), CTL_NODE_REMOVED) == 0) {
		tell(&r, PROBLEM_REMOVED, "this node was removed%s: it is none of the cluster's",
		     is_of_another(look) ? ", and its number is another disk's" : "");
		return; /* what it knows of the others is of before */
	}
	tell_whole(look, &r);
	for (uint8_t n = 0; n < NODES_MAX; n++) {
		if (agreed(look)->node[n].want != WANT_NONE)
			tell_node(look, &r, n);
		tell_deaf(look, &r, n);
	}
}

/* ---- events and answers -----------------------------------------------------------------------
 */

static const struct {
	const char *name, *text; /* %s: the node; %llu: the value */
	bool has_node, has_value;
} notes[NOTE_COUNT] = {
	[NOTE_VIEW] = { "view", "a view was agreed on: epoch %llu", false, true },
	[NOTE_LEADER] = { "leader", "%s leads the view service, term %llu", true, true },
	[NOTE_DEAD] = { "dead", "%s is taken for dead: silent", true, false },
	[NOTE_RESTARTED] = { "restarted", "%s came back as incarnation %llu", true, true },
	[NOTE_UNREACHABLE] = { "unreachable", "%s cannot be reached by other members", true,
			       false },
	[NOTE_SLOW] = { "slow", "%s is slow: %llu us", true, true },
	[NOTE_DISK_FAILED] = { "disk_failed",
			       "the log of %s failed: its disk, or log or store are too"
			       " small for the data: its status says",
			       true, false },
	[NOTE_SHADOW] = { "shadow", "%s comes in and copies what it lacks", true, false },
	[NOTE_MEMBER] = { "member", "%s is a member now", true, false },
	[NOTE_RECOVERED] = { "recovered", "the cluster starts anew from %llu disks", false, true },
	[NOTE_COMMAND] = { "command", "an operator's command for %s was carried out: %llu", true,
			   true },
	[NOTE_READ_ONLY] = { "read_only", "%llu members, fewer than copies_min: no updates", false,
			     true },
	[NOTE_SPENT] = { "left_out", "%s was left out: it starts anew", true, false },
};

const char *cluster_note_name(uint8_t note)
{
	return note < NOTE_COUNT && notes[note].name ? notes[note].name : "unknown";
}

static const char *verb_name(uint64_t verb)
{
	static const char *const names[] = { "?",	"add",	  "promote",  "drain",
					     "undrain", "remove", "transfer", "copies" };

	return names[verb < ARRAY_LEN(names) ? verb : 0];
}

const char *cluster_note_text(const struct membership_state *state, const struct control_event *e,
			      char *out, size_t bytes)
{
	unsigned long long value = e->note == NOTE_SLOW ? e->value / 1000 : e->value;
	char node[NODE_TEXT_BYTES];

	node_text(state, e->node, node);
	if (e->note >= NOTE_COUNT || !notes[e->note].name)
		snprintf(out, bytes, "note %u about %s: %llu", e->note, node, value);
	else if (e->note == NOTE_COMMAND)
		snprintf(out, bytes, "an operator's command was carried out: %s %s",
			 verb_name(value), node);
	else if (e->note == NOTE_DEAD && value != 0)
		snprintf(out, bytes, "%s is dead: incarnation %llu was reaped", node, value);
	else if (notes[e->note].has_node && notes[e->note].has_value)
		snprintf(out, bytes, notes[e->note].text, node, value);
	else if (notes[e->note].has_node)
		snprintf(out, bytes, notes[e->note].text, node);
	else
		snprintf(out, bytes, notes[e->note].text, value);
	return out;
}

const char *cluster_result_text(uint8_t code)
{
	static const char *const texts[COMMAND_CODE_COUNT] = {
		[COMMAND_DONE] = "done",
		[COMMAND_NO_LEADER] = "no leader is known: no majority agrees on anything now",
		[COMMAND_BUSY] = "another change is under way",
		[COMMAND_UNKNOWN] = "the leader changed: it may or may not have been done",
		[COMMAND_NO_SUCH_NODE] = "refused: the cluster has no such node",
		[COMMAND_EXISTS] = "refused: the number, the name or the address is taken",
		[COMMAND_LAST_MEMBER] = "refused: it is the last member, no copy would be left",
		[COMMAND_TOO_FEW] =
			("refused: fewer members than copies_min would be left, and"
			 " updates would stop"),
		[COMMAND_QUORUM] = "refused: the voters left over would be no majority that lives",
		[COMMAND_NOT_READY] = "refused: the node has not caught up yet",
		[COMMAND_BAD] = "refused: a value is out of its range",
	};

	return code < COMMAND_CODE_COUNT ? texts[code] : "an answer of another release";
}

enum problem_id cluster_result_problem(uint8_t code)
{
	static const enum problem_id ids[COMMAND_CODE_COUNT] = {
		[COMMAND_DONE] = PROBLEM_NONE,
		[COMMAND_NO_LEADER] = PROBLEM_COMMAND_NO_LEADER,
		[COMMAND_BUSY] = PROBLEM_COMMAND_BUSY,
		[COMMAND_UNKNOWN] = PROBLEM_COMMAND_UNKNOWN,
		[COMMAND_NO_SUCH_NODE] = PROBLEM_COMMAND_NO_SUCH_NODE,
		[COMMAND_EXISTS] = PROBLEM_COMMAND_EXISTS,
		[COMMAND_LAST_MEMBER] = PROBLEM_COMMAND_LAST_MEMBER,
		[COMMAND_TOO_FEW] = PROBLEM_COMMAND_TOO_FEW,
		[COMMAND_QUORUM] = PROBLEM_COMMAND_QUORUM,
		[COMMAND_NOT_READY] = PROBLEM_COMMAND_NOT_READY,
		[COMMAND_BAD] = PROBLEM_COMMAND_BAD,
	};

	return code < COMMAND_CODE_COUNT ? ids[code] : PROBLEM_INTERNAL;
}
