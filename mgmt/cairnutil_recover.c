/* SPDX-License-Identifier: Apache-2.0 */
/*
 * cairnutil_recover.c: recover --unsafe: when a majority of the voters is lost for good, makes one
 * node that is left the only one of its cluster. Appends to its log what no majority can agree on
 * any more: the view service's state with this node alone, one unsafe recovery more on record; and
 * in every Raft group a configuration of this node alone. The cluster gets a new id, in the
 * superblocks: an old node that is started by mistake speaks to nobody.
 */
#include <errno.h>
#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "mgmt/cairnutil.h"
#include "mgmt/config.h"
#include "mgmt/ctl_proto.h"
#include "mgmt/lock.h"
#include "replication/group.h"
#include "replication/raft_wire.h"
#include "storage/blockdev_file.h"
#include "storage/wal.h"

#define BATCH_BYTES   (256u << 10)
#define BUSY_TRIES    300
#define BUSY_PAUSE_US 10000
#define JUMP (1ull << 40) /* entries that lost nodes may have had and this one has not, at most */
#define UNHEARD_STARTS 256u /* of lost nodes since this one last heard of them, at most */

/* One Raft group as its log tells it. */
struct recover_group {
	bool seen;
	bool copying; /* engine raft: what it held is void, and a copy of another's is not whole */
	uint64_t last;
	uint32_t term;
};

struct recover_stream {
	struct blockdev *dev;
	struct superblock sb;
	struct wal *wal;
	void *mem;
	struct recover_group group[SHARDS_MAX + 1]; /* the last one: the view service's */
};

struct recovery {
	struct config config;
	struct membership_state state; /* newest one there is */
	bool agreed;		       /* the log has one; else it is the founding one */
	uint64_t cluster;	       /* the new id */
	uint64_t index, seq;	       /* of the new one; of the last record appended */
	struct recover_stream stream[WORKERS_MAX];
};

static int fail_stream(const struct recovery *r, uint16_t i, int rc)
{
	bool busy = rc == -EBUSY || rc == -EAGAIN;

	return cairnutil_fail(rc == -ENOENT ? CAIRNUTIL_NOT_FOUND
			      : busy	    ? CAIRNUTIL_CONFLICT
					    : CAIRNUTIL_FAILED,
			      rc == -ENOENT ? "CAIRN-0810"
			      : busy	    ? "CAIRN-0809"
					    : "CAIRN-0812",
			      busy ? "stop the node's dataplane and its cairnd first"
				   : "cairnutil verify shows what is wrong",
			      "%s/" CTL_FILE_STREAM ": %s", r->config.node_data, i, strerror(-rc));
}

static void take_raft(struct recovery *r, struct recover_stream *s, const struct record *record)
{
	bool view = record->shard == RECORD_SHARD_VIEW;
	struct recover_group *g = &s->group[view ? SHARDS_MAX : record->shard % SHARDS_MAX];
	struct membership_state state;
	struct raft_record raft;
	uint32_t skip = 0;

	record_to_raft(record, &raft);
	if (raft.kind == RAFT_RECORD_USER) {
		g->copying &= raft.entry.term != GROUP_RECORD_END;
		return;
	}
	g->seen = true;
	if (raft.kind == RAFT_RECORD_HARD) {
		g->term = raft.term;
		return;
	}
	g->copying &= raft.kind != RAFT_RECORD_SNAPSHOT;
	/* A snapshot behind the end replaces all; one inside the log only shortens it. */
	if (raft.kind == RAFT_RECORD_ENTRY || raft.entry.index > g->last)
		g->last = raft.entry.index;
	g->term = raft.entry.term > g->term ? raft.entry.term : g->term;
	if (raft.kind == RAFT_RECORD_SNAPSHOT)
		skip = RAFT_CONF_BYTES;
	else if (raft.entry.kind != RAFT_ENTRY_DATA)
		return;
	if (view && raft.entry.bytes >= skip &&
	    membership_state_decode(raft.entry.data + skip, raft.entry.bytes - skip, &state)) {
		r->state = state;
		if (state.epoch == UINT32_MAX) /* in an entry: its own index */
			r->state.epoch = (uint32_t)raft.entry.index;
		r->agreed = true;
	}
}

static void take(struct recovery *r, struct recover_stream *s, const struct record *record)
{
	if (record_is_raft(record))
		take_raft(r, s, record);
	else if (record->kind == RECORD_RESET && record->ts.version != RECORD_RESET_CLIENTS)
		s->group[record->shard % SHARDS_MAX].copying = true;
}

/* belongs: to this node, under the old id, or, if an attempt was cut short, under the new one. */
static bool belongs(const struct recovery *r, const struct superblock *sb, uint16_t stream)
{
	bool ours = sb->cluster == r->config.cluster_id ||
		    (stream != 0 && sb->cluster == r->cluster);

	return ours && sb->node == r->config.node_id && sb->stream == stream;
}

/* new_id: the same, should it be done again because it was cut short. */
static uint64_t new_id(uint64_t cluster, uint64_t device)
{
	uint64_t z = cluster ^ (device + 0x9e3779b97f4a7c15ull); /* splitmix64 */

	z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9ull;
	z = (z ^ z >> 27) * 0x94d049bb133111ebull;
	z ^= z >> 31;
	return z != 0 && z != cluster ? z : cluster + 1;
}

static int read_stream(struct recovery *r, uint16_t i)
{
	const struct wal_config config = { .batch_bytes_max = BATCH_BYTES,
					   .batches_in_flight_max = 1 };
	static _Alignas(BLOCK_BYTES) uint8_t scratch[BLOCK_BYTES];
	struct recover_stream *s = &r->stream[i];
	char path[CONFIG_PATH_BYTES + 32];
	struct record record;
	uint64_t offset;

	config_stream_path(&r->config, i, path);
	int rc = blockdev_file_open(path, NULL, &s->dev);
	/* A killed process's disk queue keeps the lock for some ms. */
	for (int tries = 0; rc == -EBUSY && tries < BUSY_TRIES; tries++) {
		usleep(BUSY_PAUSE_US);
		rc = blockdev_file_open(path, NULL, &s->dev);
	}
	if (rc == 0)
		rc = superblock_read(s->dev, scratch, &s->sb);
	if (rc == 0 && i == 0)
		r->cluster = new_id(s->sb.cluster, s->sb.device_id);
	if (rc == 0 && !belongs(r, &s->sb, i))
		return cairnutil_fail(CAIRNUTIL_CONFLICT, "CAIRN-0203",
				      "name the configuration this folder was formatted with",
				      "%s: belongs to another node or cluster", path);
	/* Counts as a start: what is written has an incarnation of its own. */
	if (rc == 0)
		rc = superblock_advance(s->dev, scratch, &s->sb, r->stream[0].sb.incarnation);
	s->mem = rc == 0 ? aligned_alloc(BLOCK_BYTES, round_up(wal_size(&config), BLOCK_BYTES))
			 : NULL;
	if (rc == 0 && s->mem == NULL)
		rc = -ENOMEM;
	if (rc < 0)
		return fail_stream(r, i, rc);
	s->wal = wal_init(s->mem, &config, s->dev, &s->sb);
	while ((rc = wal_recover_next(s->wal, &record, &offset)) == 1)
		take(r, s, &record);
	return rc < 0 ? fail_stream(r, i, rc) : 0;
}

/* ---- what is appended -------------------------------------------------------------------------
 */

static uint64_t add(struct recover_stream *s, uint16_t shard, const struct raft_record *raft)
{
	struct record record;

	record_of_raft(&record, shard, raft);
	return wal_append(s->wal, &record);
}

static int flush(struct recover_stream *s, uint64_t seq)
{
	int rc = 0;

	while (rc == 0 && wal_poll(s->wal) < seq) {
		rc = wal_submit(s->wal, 0);
		if (rc == 0)
			rc = wal_failed(s->wal);
		usleep(100);
	}
	return rc;
}

/*
 * add_jump: of a shard: its state, with all that its log holds, is that of a much higher index, and
 * whatever clients asked before is forgotten: versions are indexes, and none that the lost nodes
 * may have given is given again (R35).
 */
static void add_jump(struct recover_stream *s, uint16_t shard, uint64_t last, uint64_t to)
{
	uint8_t floor_dropped[16] = { 0 };
	struct raft_record begin = { .kind = RAFT_RECORD_USER,
				     .entry = { .index = last, .term = GROUP_RECORD_BEGIN } };
	struct raft_record end = { .kind = RAFT_RECORD_USER,
				   .entry = { .index = to,
					      .term = GROUP_RECORD_END,
					      .data = floor_dropped,
					      .bytes = sizeof(floor_dropped) } };

	store_u64(floor_dropped + 8, to);
	(void)add(s, shard, &begin);
	(void)add(s, shard, &end);
}

/*
 * append_group: a new term, in which nobody has voted, and in it a snapshot behind all others, with
 * a configuration of this node alone; all in one batch, so all or nothing.
 */
static int append_group(const struct recovery *r, struct recover_stream *s, uint16_t shard)
{
	bool view = shard == RECORD_SHARD_VIEW;
	const struct recover_group *g = &s->group[view ? SHARDS_MAX : shard];
	uint8_t data[RAFT_CONF_BYTES + MEMBERSHIP_STATE_BYTES];
	struct raft_conf conf = { .voters = (uint8_t)(1u << r->config.node_id) };
	struct raft_record hard = { .kind = RAFT_RECORD_HARD,
				    .term = g->term + 1,
				    .vote = RAFT_NODE_NONE };
	struct raft_record record = {
		.kind = RAFT_RECORD_SNAPSHOT,
		.entry = { .index = g->last + (view ? 1 : JUMP),
			   .term = g->term + 1,
			   .kind = RAFT_ENTRY_NOOP,
			   .data = data,
			   .bytes = view ? sizeof(data) : RAFT_CONF_BYTES },
	};

	if (!wal_can_append(s->wal, 4))
		return -ENOSPC;
	raft_conf_encode(data, &conf);
	if (view)
		membership_state_encode(data + RAFT_CONF_BYTES, &r->state);
	(void)add(s, shard, &hard);
	if (!view)
		add_jump(s, shard, g->last, record.entry.index);
	return flush(s, add(s, shard, &record));
}

static void make_state(struct recovery *r)
{
	struct membership_state *s = &r->state;
	uint8_t self = (uint8_t)r->config.node_id;
	struct membership_node node = s->node[self];

	r->index = r->stream[0].group[SHARDS_MAX].last + 1;
	/* Whoever comes under a number that was in use begins above all its incarnations. */
	for (uint8_t n = 0; n < NODES_MAX; n++) {
		const struct membership_node old = s->node[n];
		uint32_t newest = max_u32(old.floor, old.incarnation);

		s->node[n] = (struct membership_node) { .incarnation = old.incarnation,
							.since = old.since };
		if (newest != 0 || old.want != WANT_NONE)
			s->node[n].floor =
				(uint32_t)min_u64(newest + UNHEARD_STARTS, INCARNATION_MAX);
	}
	node.want = WANT_DATA;
	node.flags = node.replaces = node.evictions = 0;
	node.incarnation = r->stream[0].sb.incarnation;
	node.since = (uint32_t)r->index;
	s->node[self] = node;
	s->revision = r->index;
	s->epoch = (uint32_t)r->index;
	s->members = s->recovered = (uint8_t)(1u << self);
	s->shadows = 0;
	s->copies_min = 1;
	s->unsafe++;
}

/* The view service last: until its record is durable nothing has changed for the cluster. */
static int append_all(const struct recovery *r, uint16_t streams)
{
	struct recover_stream *first = (struct recover_stream *)&r->stream[0];
	int rc = 0;

	for (uint16_t i = 0; rc == 0 && i < streams; i++) {
		struct recover_stream *s = (struct recover_stream *)&r->stream[i];

		for (uint16_t shard = 0; rc == 0 && shard < SHARDS_MAX; shard++)
			if (s->group[shard].seen)
				rc = append_group(r, s, shard);
	}
	return rc == 0 ? append_group(r, first, RECORD_SHARD_VIEW) : rc;
}

/* From here on this disk, and no other, is one of the new cluster's. */
static int rename_cluster(struct recovery *r, uint16_t streams)
{
	static _Alignas(BLOCK_BYTES) uint8_t scratch[BLOCK_BYTES];
	int rc = 0;

	/* Stream 0 last: as long as it has the old id, all this can be done again. */
	for (uint16_t i = streams; rc == 0 && i-- > 0;) {
		struct superblock *sb = &r->stream[i].sb;

		sb->cluster = r->cluster;
		sb->fingerprint = superblock_shape(sb);
		rc = superblock_advance(r->stream[i].dev, scratch, sb,
					r->stream[0].sb.incarnation);
	}
	return rc;
}

/* ---- asking -----------------------------------------------------------------------------------
 */

static int confirm(const struct cairnutil_options *o, const struct recovery *r)
{
	const char *name = r->config.cluster_name;
	bool member = !r->agreed || (r->state.members >> r->config.node_id & 1);
	char line[CONFIG_NAME_BYTES + 2] = "";

	if (!member && !o->outdated)
		return cairnutil_fail(
			CAIRNUTIL_CONFLICT, "CAIRN-0813",
			"choose a node that was a member; if there is none left: --outdated",
			"node %u was no member of epoch %u, the last one it knows: its data may be"
			" old or incomplete",
			(unsigned)r->config.node_id, r->state.epoch);
	if (o->yes || (o->confirm && strcmp(o->confirm, name) == 0))
		return 0;
	if (!o->confirm && isatty(STDIN_FILENO)) {
		fprintf(stderr,
			"node %u becomes the only node of cluster %s. Acknowledged updates that it"
			" does not\nhold are lost. The other nodes must never start again with"
			" their data.\nType the cluster's name: ",
			(unsigned)r->config.node_id, name);
		if (fgets(line, sizeof(line), stdin) != NULL) {
			line[strcspn(line, "\n")] = 0;
			if (strcmp(line, name) == 0)
				return 0;
		}
	}
	return cairnutil_fail(CAIRNUTIL_USAGE, "CAIRN-0811",
			      "read docs/operating.md, Unsafe recovery; then give --confirm NAME",
			      "not confirmed: the cluster is named \"%s\"", name);
}

static int check(const struct cairnutil_options *o, struct recovery *r)
{
	struct problem p;
	char code[16];

	if (!o->unsafe)
		return cairnutil_fail(
			CAIRNUTIL_USAGE, "CAIRN-0811",
			"start the missing nodes instead; else read docs/operating.md,"
			" Unsafe recovery",
			"recover can lose acknowledged updates: --unsafe is missing");
	if (!o->config)
		return cairnutil_fail(CAIRNUTIL_USAGE, "CAIRN-0803", "give --config FILE",
				      "which node?");
	if (config_load(o->config, &r->config, &p) < 0)
		return cairnutil_fail(CAIRNUTIL_USAGE, problem_code(p.id, code), p.cure, "%s",
				      p.text);
	return 0;
}

static int lock(const struct recovery *r)
{
	char path[CONFIG_PATH_BYTES + 32];
	int fd, pid = 0;

	snprintf(path, sizeof(path), "%s/" CTL_FILE_LOCK, r->config.node_data);
	int rc = lock_take(path, &fd, &pid); /* held until the process ends */
	if (rc == -EBUSY)
		return cairnutil_fail(CAIRNUTIL_CONFLICT, "CAIRN-0809",
				      "stop the node's dataplane and its cairnd first",
				      "%s is in use by process %d", r->config.node_data, pid);
	if (rc < 0)
		return cairnutil_fail(CAIRNUTIL_FAILED, "CAIRN-0806", "run as the user of the node",
				      "%s: %s", path, strerror(-rc));
	return 0;
}

static int read_all(struct recovery *r, uint16_t *ret_streams)
{
	uint16_t streams = 1;

	for (uint16_t i = 0; i < streams; i++) {
		int rc = read_stream(r, i);
		if (rc != 0)
			return rc;
		streams = r->stream[0].sb.stream_count;
	}
	*ret_streams = streams;
	return 0;
}

/* refuse: what no flag makes good. */
static int refuse(const struct recovery *r, uint16_t streams)
{
	if (r->stream[0].sb.flags & SUPERBLOCK_WITNESS)
		return cairnutil_fail(
			CAIRNUTIL_CONFLICT, "CAIRN-0813", "choose a node that holds data",
			"node %u is a witness: it holds no data", (unsigned)r->config.node_id);
	if (!r->agreed && (r->stream[0].sb.flags & SUPERBLOCK_JOINING))
		return cairnutil_fail(
			CAIRNUTIL_CONFLICT, "CAIRN-0813", "choose a node that was a member",
			"node %u never was a node of the cluster", (unsigned)r->config.node_id);
	for (uint16_t i = 0; i < streams && r->stream[0].sb.engine == ENGINE_RAFT; i++)
		for (uint16_t shard = 0; shard < SHARDS_MAX; shard++)
			if (r->stream[i].group[shard].copying)
				return cairnutil_fail(CAIRNUTIL_CONFLICT, "CAIRN-0813",
						      "choose another node",
						      "node %u had copied shard %u in part only",
						      (unsigned)r->config.node_id, shard);
	return 0;
}

static void report(const struct recovery *r)
{
	printf("recovered by force: node %u is the only node of cluster %s, epoch %" PRIu64
	       ", copies_min 1, unsafe recoveries %u\n"
	       "all other nodes must be off: a majority of them would serve as the old cluster\n"
	       "new cluster id: %016" PRIx64 "\n"
	       "next: set it as [cluster] id in %s, start the node; format every other node anew,"
	       " with\n  --join --engine %s and that id, before it starts; then cairnctl member"
	       " add\n",
	       (unsigned)r->config.node_id, r->config.cluster_name, r->index, r->state.unsafe,
	       r->cluster, r->config.file, r->state.engine == ENGINE_RAFT ? "raft" : "hermes");
}

int cairnutil_recover(const struct cairnutil_options *o)
{
	static struct recovery r;
	uint16_t streams = 0;
	int rc = check(o, &r);

	if (rc == 0)
		rc = lock(&r);
	if (rc == 0)
		rc = read_all(&r, &streams);
	if (rc == 0)
		rc = refuse(&r, streams);
	if (rc == 0)
		rc = confirm(o, &r);
	if (rc != 0)
		return rc;
	struct recover_group *view = &r.stream[0].group[SHARDS_MAX];
	if (!r.agreed) {
		/* Founded, and nothing happened since. */
		config_founding(&r.config, (enum membership_engine)r.stream[0].sb.engine, &r.state);
		view->last = view->term = 1;
	}
	make_state(&r);
	rc = append_all(&r, streams);
	if (rc == 0)
		rc = rename_cluster(&r, streams);
	for (uint16_t i = 0; i < streams; i++)
		blockdev_file_close(r.stream[i].dev);
	if (rc < 0)
		return fail_stream(&r, 0, rc);
	report(&r);
	return CAIRNUTIL_DONE;
}
