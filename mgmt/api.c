/* SPDX-License-Identifier: Apache-2.0 */
#include "mgmt/api.h"

#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "mgmt/cluster.h"
#include "mgmt/ctl_proto.h"

#define EXACT_MAX  (1ull << 53) /* above it a JSON number loses bits in most readers */
/* Warn in time: a node refuses updates at half of these. */
#define SPACE_LOW_PERMILLE 100u
#define LOG_LOW_BYTES	   (4ull << 20)

static const char *const state_names[] = { CTL_STATE_STARTING,	  CTL_STATE_RECOVERING,
					   CTL_STATE_WAITING,	  CTL_STATE_SERVING,
					   CTL_STATE_DISK_FAILED, CTL_STATE_STOPPED };

static json_t *number(uint64_t n)
{
	char text[24];

	if (n <= EXACT_MAX)
		return json_integer((json_int_t)n);
	snprintf(text, sizeof(text), "%llu", (unsigned long long)n);
	return json_string(text);
}

static json_t *id_text(uint64_t id, const char *format)
{
	char text[24];

	snprintf(text, sizeof(text), format, (unsigned long long)id);
	return json_string(text);
}

/* Texts and settings may quote bytes of a file that are not UTF-8; JSON cannot. */
static json_t *text(const char *bytes)
{
	json_t *string = json_string(bytes);

	return string ? string : json_string("(not UTF-8)");
}

static void set(json_t *object, const char *name, json_t *value)
{
	must(json_object_set_new(object, name, value) == 0);
}

static json_t *answer(const char *schema)
{
	json_t *object = json_object();

	must(object != NULL);
	set(object, CTL_FIELD_SCHEMA, json_string(schema));
	return object;
}

/* ---- what the region says, summed over workers ------------------------------------------------
 */

struct totals {
	uint64_t keys, keys_max, blob_used, blob_bytes, log_remaining, log_bytes, ops_open;
	uint64_t updated_ns;	 /* of the worker that is furthest behind */
	uint32_t space;		 /* worst */
	bool store_low, log_low; /* of any worker */
	bool store_tight, log_tight; /* so that updates are refused */
	struct replica_counters replica;
};

static void add_replica(struct replica_counters *sum, const struct replica_counters *r)
{
#define ADD(name) sum->name += r->name;
	REPLICA_COUNTERS(ADD)
#undef ADD
}

static uint16_t workers_of(const struct stats_region *r)
{
	return r->worker_count < WORKERS_MAX ? r->worker_count : WORKERS_MAX;
}

static bool is_below(uint64_t free_amount, uint64_t whole, uint32_t permille)
{
	return whole != 0 && free_amount < whole * permille / 1000;
}

static bool store_below(const struct worker_stats *w, uint32_t permille)
{
	return is_below(w->store_keys_max - w->store_keys, w->store_keys_max, permille) ||
	       is_below(w->store_blob_bytes - w->store_blob_used, w->store_blob_bytes, permille);
}

static bool log_below(const struct worker_stats *w, uint32_t permille, uint64_t bytes)
{
	return is_below(w->wal_remaining_bytes, w->wal_device_bytes, permille) ||
	       (w->wal_device_bytes != 0 && w->wal_remaining_bytes < bytes);
}

static void sum_up(const struct stats_region *r, struct totals *t)
{
	*t = (struct totals) { .updated_ns = UINT64_MAX };
	for (uint16_t i = 0; i < workers_of(r); i++) {
		const struct worker_stats *w = &r->worker[i];

		t->keys += w->store_keys;
		t->keys_max += w->store_keys_max;
		t->blob_used += w->store_blob_used;
		t->blob_bytes += w->store_blob_bytes;
		t->log_remaining += w->wal_remaining_bytes;
		t->log_bytes += w->wal_device_bytes;
		t->ops_open += w->ops_open;
		t->updated_ns = min_u64(t->updated_ns, w->updated_ns);
		t->space = w->space > t->space ? w->space : t->space;
		t->store_low |= store_below(w, SPACE_LOW_PERMILLE);
		t->log_low |= log_below(w, SPACE_LOW_PERMILLE, LOG_LOW_BYTES);
		t->store_tight |= store_below(w, SPACE_LOW_PERMILLE / 2);
		t->log_tight |= log_below(w, SPACE_LOW_PERMILLE / 2, LOG_LOW_BYTES / 2);
		add_replica(&t->replica, &w->replica);
	}
}

static bool polling(const struct stats_region *r)
{
	return r->state == DATAPLANE_WAITING || r->state == DATAPLANE_SERVING ||
	       r->state == DATAPLANE_DISK_FAILED;
}

static bool stalled(const struct api_view *view, const struct totals *t)
{
	return polling(view->region) && view->now_ns > t->updated_ns &&
	       view->now_ns - t->updated_ns > cluster_patience_ns(view->config);
}

/* leader_of: who leads a shard of engine raft, as the worker that has it knows. */
static uint8_t leader_of(const struct stats_region *r, uint16_t shard)
{
	for (uint16_t i = 0; i < workers_of(r); i++)
		if (r->worker[i].leader[shard] < NODES_MAX)
			return r->worker[i].leader[shard];
	return RAFT_NODE_NONE;
}

static struct cluster_look look_at(const struct api_view *view)
{
	return (struct cluster_look) {
		.config = view->config,
		.service = view->supervisor->state == SUPERVISOR_RUNNING ? view->service : NULL,
		.deaf = view->deaf,
		.now_ns = view->now_ns,
		.log_failed = view->region && view->region->state == DATAPLANE_DISK_FAILED,
		.leaderless = view->leaderless,
	};
}

const char *api_state(const struct api_view *view)
{
	struct cluster_look look = look_at(view);
	struct totals totals;

	if (view->supervisor->state != SUPERVISOR_RUNNING || !view->region ||
	    view->region->state >= ARRAY_LEN(state_names))
		return supervise_state_name(view->supervisor->state);
	sum_up(view->region, &totals);
	if (stalled(view, &totals))
		return CTL_STATE_STALLED;
	/* Once it polls, it is the view service that knows what it does. */
	if (look.service &&
	    (view->region->state == DATAPLANE_WAITING || view->region->state == DATAPLANE_SERVING))
		return look.service->state.revision == 0
			       ? CTL_STATE_WAITING
			       : cluster_node_state(&look, look.service->node);
	return state_names[view->region->state];
}

bool api_other_engine(const struct api_view *view, struct problem *p)
{
	char text[PROBLEM_TEXT_BYTES];
	struct cluster_look look = look_at(view);

	if (strcmp(api_state(view), CTL_NODE_ENGINE) != 0)
		return false;
	cluster_odd_text(&look, text);
	problem_set(p, PROBLEM_OTHER_ENGINE, "%s", text);
	return true;
}

/* ---- warnings ---------------------------------------------------------------------------------
 */

json_t *api_problem(const struct problem *p)
{
	json_t *object = json_object();
	char code[16];

	must(object != NULL);
	set(object, CTL_FIELD_ID, json_string(problem_code(p->id, code)));
	set(object, CTL_FIELD_TEXT, text(p->text));
	set(object, CTL_FIELD_CURE, text(p->cure));
	return object;
}

__attribute__((format(printf, 3, 4))) static void warn(json_t *list, enum problem_id id,
						       const char *format, ...)
{
	char text[PROBLEM_TEXT_BYTES];
	struct problem p;
	va_list args;

	va_start(args, format);
	vsnprintf(text, sizeof(text), format, args);
	va_end(args);
	problem_set(&p, id, "%s", text);
	must(json_array_append_new(list, api_problem(&p)) == 0);
}

static void warn_text(void *context, enum problem_id id, const char *text)
{
	warn(context, id, "%s", text);
}

static void warn_process(const struct api_view *view, json_t *list)
{
	const struct supervisor *s = view->supervisor;

	if (s->state == SUPERVISOR_STOPPED || s->state == SUPERVISOR_STOPPING)
		warn(list, PROBLEM_DATAPLANE_STOPPED, "the dataplane is stopped, by request");
	if (s->state == SUPERVISOR_FAILED) {
		warn(list, PROBLEM_DATAPLANE_FAILED, "the dataplane is not started again: %.400s",
		     s->failure.text);
		must(json_array_append_new(list, api_problem(&s->failure)) == 0);
	} else if (s->failure.id != PROBLEM_NONE) {
		warn(list, PROBLEM_DATAPLANE_RESTARTED,
		     "the dataplane was restarted %u times; last: %.400s", s->restarts,
		     s->failure.text);
	}
}

/* refusal: of the log or the store, whichever it is that is to blame. */
static const char *refusal(const struct totals *t, bool tight)
{
	if (!tight || t->space == SPACE_OK)
		return "updates will soon be refused";
	return t->space == SPACE_LOW ? "updates except deletes are refused now"
				     : "updates are refused now, deletes too";
}

static void warn_space(const struct totals *t, json_t *list)
{
	if (t->store_low)
		warn(list, PROBLEM_STORE_LOW,
		     "the store holds %llu of %llu keys, %llu of %llu bytes: %s",
		     (unsigned long long)t->keys, (unsigned long long)t->keys_max,
		     (unsigned long long)t->blob_used, (unsigned long long)t->blob_bytes,
		     refusal(t, t->store_tight || !t->log_tight));
	if (t->log_low)
		warn(list, PROBLEM_LOG_LOW, "the log has %llu of %llu bytes left: %s",
		     (unsigned long long)t->log_remaining, (unsigned long long)t->log_bytes,
		     refusal(t, t->log_tight || !t->store_tight));
}

static void too_small(const struct totals *t, struct problem *p)
{
	problem_set(p, PROBLEM_STORE_TOO_SMALL,
		    "what the members hold does not fit %llu keys and %llu bytes: this node has"
		    " given up copying it, and is left out",
		    (unsigned long long)t->keys_max, (unsigned long long)t->blob_bytes);
}

bool api_too_small(const struct api_view *view, struct problem *p)
{
	const struct stats_region *r = view->region;
	struct totals totals;
	bool failed = false, disk = false;

	for (uint16_t i = 0; r && i < workers_of(r); i++) {
		failed |= r->worker[i].state == DATAPLANE_DISK_FAILED;
		disk |= r->worker[i].disk_error != 0;
	}
	if (!failed || disk)
		return false;
	sum_up(r, &totals);
	if (totals.store_low)
		too_small(&totals, p);
	return totals.store_low;
}

/* A worker fails without an error of its disk when what it must hold does not fit. */
static void warn_failed(const struct stats_region *r, const struct totals *t, json_t *list)
{
	bool disk = false;
	struct problem p;

	for (uint16_t i = 0; i < workers_of(r); i++) {
		if (r->worker[i].disk_error == 0)
			continue;
		disk = true;
		warn(list, PROBLEM_DISK_FAILED, "the log of worker %u failed: %s", i,
		     strerror(-r->worker[i].disk_error));
	}
	if (!disk && t->store_low) {
		too_small(t, &p);
		must(json_array_append_new(list, api_problem(&p)) == 0);
	}
}

/* Which shards know no leader here: those of engine raft, at a member. */
static void warn_leaderless(const struct api_view *view, json_t *list)
{
	const struct stats_region *r = view->region;
	char shards[4 * SHARDS_MAX + 1] = "";
	size_t n = 0;

	for (uint16_t s = 0; s < r->shard_count && s < SHARDS_MAX; s++)
		if (leader_of(r, s) >= NODES_MAX)
			n += (size_t)snprintf(shards + n, sizeof(shards) - n, " %u", s);
	if (n != 0)
		warn(list, PROBLEM_LEADERLESS, "no leader is known for shards%s", shards);
	else
		warn(list, PROBLEM_LEADERLESS,
		     "some shards copy what they lack, or have no leader");
}

static void warn_node(const struct api_view *view, const struct totals *t, json_t *list)
{
	const struct stats_region *r = view->region;
	struct cluster_look look = look_at(view);

	if (r->state == DATAPLANE_DISK_FAILED)
		warn_failed(r, t, list);
	if (stalled(view, t))
		warn(list, PROBLEM_DATAPLANE_STALLED, "a worker has made no round for %llu ms",
		     (unsigned long long)((view->now_ns - t->updated_ns) / 1000000u));
	if (polling(r))
		cluster_reasons(&look, warn_text, list);
	if (polling(r) && view->leaderless)
		warn_leaderless(view, list);
	warn_space(t, list);
	if (polling(r) && !r->memory_huge &&
	    view->config->memory_hugepages == CONFIG_HUGEPAGES_AUTO)
		warn(list, PROBLEM_NO_HUGEPAGES,
		     "too few huge pages were free: normal pages are used");
	if (polling(r) && !(r->disk_uring && r->disk_direct))
		warn(list, PROBLEM_DISK_BACKEND, "the log is written by %s%s: slower",
		     r->disk_uring ? "io_uring" : "pwritev2",
		     r->disk_direct ? "" : " through the page cache");
}

static json_t *warnings(const struct api_view *view)
{
	json_t *list = json_array();
	struct totals totals;
	struct problem now;

	must(list != NULL);
	warn_process(view, list);
	if (view->herald && view->herald->id != PROBLEM_NONE)
		must(json_array_append_new(list, api_problem(view->herald)) == 0);
	if (view->small && view->small->id != PROBLEM_NONE && !api_too_small(view, &now))
		must(json_array_append_new(list, api_problem(view->small)) == 0);
	if (view->region) {
		sum_up(view->region, &totals);
		warn_node(view, &totals, list);
	}
	return list;
}

/* It does its part: serves reads and updates, or votes. What others lack is their matter. */
static bool healthy(const struct api_view *view)
{
	struct cluster_look look = look_at(view);
	const char *state = api_state(view), *cluster = cluster_state(&look);
	struct totals totals;

	if (strcmp(state, CTL_STATE_SERVING) != 0 && strcmp(state, CTL_NODE_VOTING) != 0)
		return false;
	sum_up(view->region, &totals);
	return !stalled(view, &totals) && (strcmp(cluster, CTL_CLUSTER_HEALTHY) == 0 ||
					   strcmp(cluster, CTL_CLUSTER_DEGRADED) == 0);
}

/* ---- status -----------------------------------------------------------------------------------
 */

static json_t *status_node(const struct api_view *view)
{
	const struct config *c = view->config;
	char ip[16];

	return json_pack("{s:I, s:s, s:s, s:I, s:o}", "id", (json_int_t)c->node_id, "name",
			 c->node_name, "address", config_ip_text(c->net_address.ip, ip), "port",
			 (json_int_t)c->net_port, "incarnation",
			 id_text(view->region ? view->region->incarnation : 0, "%llu"));
}

static json_t *status_dataplane(const struct api_view *view)
{
	const struct stats_region *r = view->region;
	uint64_t uptime_ns = r && view->now_ns > r->started_ns ? view->now_ns - r->started_ns : 0;

	return json_pack("{s:i, s:o, s:i, s:i, s:i, s:s, s:b, s:s, s:s, s:b}", "pid",
			 view->supervisor->pid, "uptime_ms", number(uptime_ns / 1000000u),
			 "restarts", (int)view->supervisor->restarts, "returns",
			 (int)view->supervisor->returns, "workers", (int)view->config->cpu_workers,
			 "idle", r && r->idle_spin ? "spin" : "adaptive", "hugepages",
			 r && r->memory_huge, "device", view->config->net_device, "disk",
			 !r		 ? ""
			 : r->disk_uring ? "io_uring"
					 : "pwritev2",
			 "direct", r && r->disk_direct);
}

static void status_totals(const struct api_view *view, const struct totals *t, json_t *object)
{
	static const char *const spaces[] = { "OK", "LOW", "FULL" };
	const struct replica_counters *c = &t->replica;

	set(object, CTL_FIELD_STORE,
	    json_pack("{s:o, s:o, s:o, s:o, s:s}", "keys", number(t->keys), "keys_max",
		      number(t->keys_max), "bytes", number(t->blob_used), "bytes_max",
		      number(t->blob_bytes), "space", spaces[t->space < 3 ? t->space : 2]));
	set(object, CTL_FIELD_LOG,
	    json_pack("{s:o, s:o}", "bytes", number(t->log_bytes - t->log_remaining), "bytes_max",
		      number(t->log_bytes)));
	set(object, CTL_FIELD_RECOVERY,
	    json_pack("{s:o, s:o, s:o}", "records", number(view->region->recovered_records),
		      "torn_bytes", number(view->region->recovered_torn_bytes), "duration_us",
		      number(view->region->recovery_ns / 1000u)));
	set(object, CTL_FIELD_OPS,
	    json_pack("{s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o}", "reads", number(c->reads),
		      "writes", number(c->writes), "deletes", number(c->deletes), "cas",
		      number(c->cas), "incrs", number(c->incrs), "commits", number(c->commits),
		      "retransmits", number(c->retransmits), "replays", number(c->replays), "open",
		      number(t->ops_open)));
}

/* Who leads each shard, engine raft; another node leads where this one says so, too. */
static json_t *status_leaders(const struct stats_region *r)
{
	json_t *list = json_array();

	must(list != NULL);
	for (uint16_t s = 0; s < r->shard_count && s < SHARDS_MAX; s++) {
		uint8_t leader = leader_of(r, s);

		json_array_append_new(list, leader < NODES_MAX ? json_integer(leader)
							       : json_null());
	}
	return list;
}

json_t *api_status(const struct api_view *view)
{
	static const struct stats_region nothing;
	const struct stats_region *r = view->region ? view->region : &nothing;
	struct api_view seen = *view;
	struct cluster_look look = look_at(view);
	json_t *object = answer(CTL_SCHEMA_STATUS);
	struct totals totals;
	uint32_t heard = 0, peers = cluster_peers(&look, &heard);

	sum_up(r, &totals);
	set(object, CTL_FIELD_STATE, json_string(api_state(view)));
	set(object, CTL_FIELD_HEALTHY, json_boolean(healthy(view)));
	set(object, CTL_FIELD_NODE, status_node(view));
	set(object, CTL_FIELD_CLUSTER, cluster_json(&look));
	set(object, CTL_FIELD_MEMBERS, cluster_members_json(&look));
	if (look.service && look.service->state.engine == ENGINE_RAFT)
		set(object, "leaders", status_leaders(r));
	set(object, CTL_FIELD_DATAPLANE, status_dataplane(view));
	set(object, CTL_FIELD_DAEMON,
	    json_pack("{s:i, s:s, s:o}", "pid", view->daemon_pid, "version", CAIRN_VERSION,
		      "uptime_ms", number((view->now_ns - view->daemon_started_ns) / 1000000u)));
	set(object, CTL_FIELD_PEERS,
	    json_pack("{s:i, s:i}", "count", (int)peers, "linked", (int)heard));
	set(object, CTL_FIELD_SHARDS, json_pack("{s:i}", "count", (int)r->shard_count));
	seen.region = r;
	status_totals(&seen, &totals, object);
	set(object, CTL_FIELD_WARNINGS, warnings(view));
	return object;
}

json_t *api_health(const struct api_view *view)
{
	json_t *object = answer(CTL_SCHEMA_HEALTH);

	set(object, CTL_FIELD_HEALTHY, json_boolean(healthy(view)));
	set(object, CTL_FIELD_STATE, json_string(api_state(view)));
	set(object, CTL_FIELD_REASONS, warnings(view));
	return object;
}

/* ---- counters ---------------------------------------------------------------------------------
 */

struct counter_list {
	json_t *object;
	const struct stats_region *region;
};

/* Sums the 64-bit field at `offset` of each worker's slot. */
static void count(const struct counter_list *list, const char *group, const char *name,
		  size_t offset)
{
	char full[64];
	uint64_t sum = 0;

	for (uint16_t i = 0; i < workers_of(list->region); i++)
		sum += load_u64((const uint8_t *)&list->region->worker[i] + offset);
	snprintf(full, sizeof(full), "%s.%s", group, name);
	set(list->object, full, number(sum));
}

static void count_verdicts(const struct counter_list *list)
{
	size_t frame = offsetof(struct worker_stats, drop_frame);
	size_t wire = offsetof(struct worker_stats, drop_wire);

	for (uint32_t v = 0; v < FRAME_VERDICT_COUNT; v++)
		count(list, "frame", frame_verdict_name((enum frame_verdict)v), frame + v * 8);
	for (uint32_t v = 0; v < WIRE_VERDICT_COUNT; v++)
		count(list, "wire", wire_verdict_name((enum wire_verdict)v), wire + v * 8);
}

static void count_all(const struct counter_list *l)
{
#define FIELD(name) offsetof(struct worker_stats, name)
#define COUNT(name) \
	count(l, "protocol", #name, FIELD(replica) + offsetof(struct replica_counters, name));
	REPLICA_COUNTERS(COUNT)
#undef COUNT
#define COUNT(name) count(l, "worker", #name, FIELD(name));
	WORKER_COUNTERS(COUNT)
#undef COUNT
#define COUNT(name) count(l, "log", #name, FIELD(wal) + offsetof(struct wal_counters, name));
	COUNT(records)
	COUNT(batches)
	COUNT(bytes) COUNT(seals) COUNT(full)
#undef COUNT
#define COUNT(name) count(l, "port", #name, FIELD(netdev) + offsetof(struct netdev_counters, name));
		COUNT(rx_frames) COUNT(rx_bytes) COUNT(tx_frames) COUNT(tx_bytes) COUNT(tx_dropped)
			COUNT(rx_no_buffer) COUNT(alloc_failed) COUNT(handed_off)
				COUNT(link_restarts)
#undef COUNT
#undef FIELD
					count_verdicts(l);
}

static void count_service(const struct control_status *s, json_t *object)
{
#define COUNT(name) set(object, "view." #name, number(s->counters.name));
	MEMBERSHIP_COUNTERS(COUNT)
#undef COUNT
#define COUNT(name) set(object, "raft." #name, number(s->raft.name));
	RAFT_COUNTERS(COUNT)
#undef COUNT
}

json_t *api_counters(const struct api_view *view)
{
	json_t *object = answer(CTL_SCHEMA_COUNTERS), *counters = json_object();
	struct counter_list list = { counters, view->region };

	must(counters != NULL);
	if (view->region)
		count_all(&list);
	if (view->region && view->service)
		count_service(view->service, counters);
	set(object, "workers", json_integer(view->region ? workers_of(view->region) : 0));
	set(object, CTL_FIELD_COUNTERS, counters);
	return object;
}

/* ---- the rest ---------------------------------------------------------------------------------
 */

json_t *api_config(const struct api_view *view)
{
	json_t *object = answer(CTL_SCHEMA_CONFIG), *settings = json_object(),
	       *peers = json_array();
	char name[64], value[CONFIG_PATH_BYTES * 2 + 64], ip[16], control[24];

	for (uint32_t i = 0; i < config_key_count(); i++) {
		/* What TOML writes for these kinds of value, JSON reads. */
		json_t *v = json_loads(config_key_value(view->config, i, value, sizeof(value)),
				       JSON_DECODE_ANY, NULL);
		set(settings, config_key_name(i, name), v ? v : json_string("(not UTF-8)"));
	}
	for (uint32_t i = 0; i < view->config->peer_count; i++)
		json_array_append_new(
			peers, json_pack("{s:I, s:s, s:s}", "id",
					 (json_int_t)view->config->peer[i].id, "addr",
					 config_ip_text(view->config->peer[i].ip, ip), "control",
					 config_endpoint_text(&view->config->peer[i].control,
							      control)));
	set(object, "file", text(view->config->file));
	set(object, "settings", settings);
	set(object, "peers", peers);
	return object;
}

json_t *api_action(const struct api_view *view, const char *action)
{
	json_t *object = answer(CTL_SCHEMA_ACTION);

	set(object, CTL_FIELD_ACTION, json_string(action));
	set(object, CTL_FIELD_STATE, json_string(api_state(view)));
	return object;
}

json_t *api_command(uint32_t number, bool done, uint64_t index)
{
	json_t *object = answer(CTL_SCHEMA_COMMAND);

	set(object, "command", id_text(number, "%llu"));
	set(object, "done", json_boolean(done));
	set(object, "index", id_text(index, "%llu"));
	return object;
}

json_t *api_error(const struct problem *p)
{
	json_t *object = answer(CTL_SCHEMA_ERROR);

	set(object, CTL_FIELD_ERROR, api_problem(p));
	return object;
}

bool api_region_read(const struct config *config, int pid, struct stats_region *ret_region)
{
	char path[CONFIG_PATH_BYTES + 32];

	config_runtime_path(config, CTL_FILE_STATS, path);
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return false;
	ssize_t n = pread(fd, ret_region, sizeof(*ret_region), 0);
	close(fd);
	return n == (ssize_t)sizeof(*ret_region) && ret_region->magic == STATS_MAGIC &&
	       ret_region->format == STATS_FORMAT && ret_region->bytes == sizeof(*ret_region) &&
	       ret_region->pid == pid;
}
