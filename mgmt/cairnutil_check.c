/* SPDX-License-Identifier: Apache-2.0 */
/* cairnutil_check.c: inspect and verify: read every log as recovery does, change nothing. */
#include <errno.h>
#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <jansson.h>

#include "mgmt/cairnutil.h"
#include "replication/membership.h"
#include "replication/raft_wire.h"
#include "storage/blockdev_file.h"
#include "storage/wal.h"

#define BUSY_TRIES    50
#define BUSY_PAUSE_US 10000

struct stream_report {
	char path[PATH_MAX];
	struct superblock sb;
	uint64_t records, bytes; /* of the log that could be read */
	uint64_t kinds[RECORD_RAFT_USER + 1];
	struct membership_state agreed; /* the newest the log has; revision 0: none */
	uint64_t view_index;	       /* last one of the view service's group */
	uint32_t view_term;
	uint64_t torn_bytes;
	uint64_t damage_offset;
	const char *state; /* one word, stable */
	const char *what;  /* the same for people */
	bool damaged;
	int error; /* negative errno of the device */
};

static void judge(struct stream_report *r, const char *state, const char *what, bool damaged)
{
	r->state = state;
	r->what = what;
	r->damaged = damaged;
}

/* look_at: counts it; what the view service agreed on, or was about to, is worth showing. */
static void look_at(struct stream_report *r, const struct record *record)
{
	struct membership_state state;
	struct raft_record raft;
	uint32_t skip;

	r->records++;
	r->kinds[record->kind]++;
	if (!record_is_raft(record) || record->shard != RECORD_SHARD_VIEW)
		return;
	record_to_raft(record, &raft);
	if (raft.kind == RAFT_RECORD_HARD)
		r->view_term = raft.term;
	if (raft.kind != RAFT_RECORD_ENTRY && raft.kind != RAFT_RECORD_SNAPSHOT)
		return;
	r->view_index = raft.entry.index;
	skip = raft.kind == RAFT_RECORD_SNAPSHOT ? RAFT_CONF_BYTES : 0;
	if ((skip == 0 && raft.entry.kind != RAFT_ENTRY_DATA) || raft.entry.bytes < skip ||
	    !membership_state_decode(raft.entry.data + skip, raft.entry.bytes - skip, &state))
		return;
	r->agreed = state;
	r->agreed.revision = raft.entry.index;
	if (state.epoch == UINT32_MAX) /* in an entry: its own index */
		r->agreed.epoch = (uint32_t)raft.entry.index;
}

/* read_log: all records; each has been checked when recovery hands it out. */
static void read_log(struct stream_report *r, struct blockdev *dev)
{
	const struct wal_config config = { .batch_bytes_max = BLOCK_BYTES,
					   .batches_in_flight_max = 1 };
	void *mem = aligned_alloc(BLOCK_BYTES, round_up(wal_size(&config), BLOCK_BYTES));
	struct record record;
	struct wal *w;
	int rc;

	if (mem == NULL) {
		r->error = -ENOMEM;
		judge(r, "error", strerror(ENOMEM), true);
		return;
	}
	w = wal_init(mem, &config, dev, &r->sb);
	while ((rc = wal_recover_next(w, &record, &r->damage_offset)) == 1)
		look_at(r, &record);
	r->bytes = r->sb.device_bytes - wal_remaining_bytes(w) - LOG_OFFSET;
	r->torn_bytes = wal_recovered_torn(w);
	free(mem);
	if (rc == 0 && r->torn_bytes == 0)
		judge(r, "clean", "clean", false);
	else if (rc == 0)
		judge(r, "torn", "clean; an unacknowledged tail was cut by a crash", false);
	else if (rc == -EBADMSG)
		judge(r, "rot", "durable data is damaged", true);
	else
		judge(r, "error", strerror(-rc), true);
	r->error = rc == -EBADMSG ? 0 : rc;
}

static void read_stream(struct stream_report *r, struct blockdev *dev, uint16_t index)
{
	static _Alignas(BLOCK_BYTES) uint8_t scratch[BLOCK_BYTES];
	const struct superblock *sb = &r->sb;
	int rc = superblock_read(dev, scratch, &r->sb);

	if (rc == -ENODATA)
		judge(r, "blank", "never formatted", true);
	else if (rc == -EBADMSG)
		judge(r, "superblock", "no intact superblock", true);
	else if (rc == -EPROTONOSUPPORT && sb->format > SUPERBLOCK_FORMAT)
		judge(r, "newer", "written by a newer release", true);
	else if (rc == -EPROTONOSUPPORT)
		judge(r, "older", "written by an older release: export with that, format, import",
		      true);
	else if (rc == -ENXIO)
		judge(r, "short", "the file is shorter than at format: it was cut", true);
	else if (rc < 0)
		judge(r, "error", strerror(-rc), true);
	else if (sb->stream != index || sb->fingerprint != superblock_shape(sb))
		judge(r, "foreign", "belongs to another stream or cluster shape", true);
	else
		read_log(r, dev);
	if (rc < 0 || r->damaged)
		return;
	rc = superblock_damaged_copy(dev, scratch);
	if (rc >= 0)
		judge(r, "copy",
		      rc == 0 ? "superblock copy 0 (offset 0) is damaged; the data are intact, the"
				" next start writes it anew"
			      : "superblock copy 1 (offset 4096) is damaged; the data are intact,"
				" the next start writes it anew",
		      true);
}

/* open_patiently: the kernel may hold the lock of a killed process for some milliseconds. */
static int open_patiently(const char *path, struct blockdev **ret_dev)
{
	const struct blockdev_file_options read_only = { .read_only = true };
	int rc = blockdev_file_open(path, &read_only, ret_dev);

	for (int i = 0; rc == -EBUSY && i < BUSY_TRIES; i++) {
		usleep(BUSY_PAUSE_US);
		rc = blockdev_file_open(path, &read_only, ret_dev);
	}
	return rc;
}

/* survey: fills reports, *ret_count of them. 0, or an exit code after saying why. */
static int survey(const struct cairnutil_options *o, struct stream_report *reports,
		  uint32_t *ret_count)
{
	uint32_t count = 0, wanted = 1;

	for (; count < wanted && count < WORKERS_MAX; count++) {
		struct stream_report *r = &reports[count];
		struct blockdev *dev;
		int rc;

		snprintf(r->path, sizeof(r->path), "%s/stream-%u.wal", o->data, count);
		rc = open_patiently(r->path, &dev);
		if (rc == -EBUSY)
			return cairnutil_fail(CAIRNUTIL_CONFLICT, "CAIRN-0809",
					      "stop the node's dataplane first",
					      "%s: in use by a running dataplane", r->path);
		if (rc == -ENOENT && count == 0)
			return cairnutil_fail(
				CAIRNUTIL_NOT_FOUND, "CAIRN-0810",
				"name the node's data folder; cairnutil format makes it",
				"%s: no such file: not formatted", r->path);
		if (rc == -EACCES || rc == -EPERM)
			return cairnutil_fail(CAIRNUTIL_DENIED, "CAIRN-0806",
					      "run as the user of the node", "%s: %s", r->path,
					      strerror(-rc));
		if (rc == -ENXIO || rc == -EISDIR || rc == -ENOTBLK) {
			judge(r, rc == -ENXIO ? "short" : "error",
			      rc == -ENXIO ? "its size is not that of a log: it was cut"
					   : "not a regular file or block device",
			      true);
			continue;
		}
		if (rc < 0) {
			judge(r, rc == -ENOENT ? "missing" : "error", strerror(-rc), true);
			continue;
		}
		read_stream(r, dev, (uint16_t)count);
		blockdev_file_close(dev);
		if (r->sb.stream_count > wanted)
			wanted = r->sb.stream_count;
	}
	*ret_count = count;
	return 0;
}

static json_t *text_u64(const char *format, uint64_t value)
{
	char text[24];

	snprintf(text, sizeof(text), strcmp(format, "x") == 0 ? "%016" PRIx64 : "%" PRIu64, value);
	return json_string(text);
}

static const char *const kind_names[] = { "update",	"note",	     "reset",	      "forget",
					  "raft_entry", "raft_hard", "raft_snapshot", "raft_user" };

_Static_assert(ARRAY_LEN(kind_names) == RECORD_RAFT_USER + 1, "a name for every kind");

static json_t *bits_json(uint8_t set)
{
	json_t *list = json_array();

	for (int n = 0; n < (int)NODES_MAX; n++)
		if (set >> n & 1)
			json_array_append_new(list, json_integer(n));
	return list;
}

static void add_service(const struct stream_report *r, json_t *j)
{
	const struct membership_state *s = &r->agreed;
	json_t *kinds = json_object();

	for (size_t i = 0; i < ARRAY_LEN(kind_names); i++)
		json_object_set_new(kinds, kind_names[i], json_integer((json_int_t)r->kinds[i]));
	json_object_set_new(j, "kinds", kinds);
	if (s->revision == 0)
		return;
	json_object_set_new(
		j, "view",
		json_pack("{so so sI sI so so sI sI}", "revision", text_u64("u", s->revision),
			  "last", text_u64("u", r->view_index), "term", (json_int_t)r->view_term,
			  "epoch", (json_int_t)s->epoch, "members", bits_json(s->members),
			  "shadows", bits_json(s->shadows), "copies_min", (json_int_t)s->copies_min,
			  "unsafe_recoveries", (json_int_t)s->unsafe));
}

static json_t *report_json(const struct stream_report *r)
{
	json_t *j = json_pack("{ss ss sb sI sI sI}", "file", r->path, "state", r->state, "damaged",
			      r->damaged, "records", (json_int_t)r->records, "log_bytes",
			      (json_int_t)r->bytes, "torn_bytes", (json_int_t)r->torn_bytes);

	if (r->damaged && strcmp(r->state, "rot") == 0)
		json_object_set_new(j, "damage_offset_bytes",
				    json_integer((json_int_t)r->damage_offset));
	if (r->sb.format != 0)
		json_object_set_new(j, "format", json_integer(r->sb.format));
	if (r->sb.generation == 0)
		return j;
	json_object_set_new(j, "cluster", text_u64("x", r->sb.cluster));
	json_object_set_new(j, "device_id", text_u64("x", r->sb.device_id));
	json_object_set_new(j, "generation", text_u64("u", r->sb.generation));
	json_object_set_new(j, "incarnation", json_integer(r->sb.incarnation));
	json_object_set_new(j, "node", json_integer(r->sb.node));
	json_object_set_new(j, "engine", json_string(r->sb.engine ? "raft" : "hermes"));
	json_object_set_new(j, "joining", json_boolean(r->sb.flags & SUPERBLOCK_JOINING));
	json_object_set_new(j, "witness", json_boolean(r->sb.flags & SUPERBLOCK_WITNESS));
	json_object_set_new(j, "shard_count", json_integer(r->sb.shard_count));
	json_object_set_new(j, "stream_count", json_integer(r->sb.stream_count));
	json_object_set_new(j, "device_bytes", json_integer((json_int_t)r->sb.device_bytes));
	add_service(r, j);
	return j;
}

static void print_json(const struct stream_report *reports, uint32_t count)
{
	json_t *streams = json_array();
	json_t *top;

	for (uint32_t i = 0; i < count; i++)
		json_array_append_new(streams, report_json(&reports[i]));
	top = json_pack("{si so}", "schema", 1, "streams", streams);
	json_dumpf(top, stdout, JSON_INDENT(2));
	putchar('\n');
	json_decref(top);
}

static void print_service(const struct stream_report *r)
{
	const struct membership_state *s = &r->agreed;

	printf("  kinds       ");
	for (size_t i = 0; i < ARRAY_LEN(kind_names); i++)
		if (r->kinds[i] != 0)
			printf(" %s %" PRIu64, kind_names[i], r->kinds[i]);
	putchar('\n');
	if (s->revision == 0)
		return;
	printf("  view service last index %" PRIu64 ", term %u, newest state %" PRIu64
	       ": epoch %u,"
	       " members",
	       r->view_index, r->view_term, s->revision, s->epoch);
	for (int n = 0; n < (int)NODES_MAX; n++)
		if (s->members >> n & 1)
			printf(" %d", n);
	printf("%s, copies_min %u", s->members ? "" : " none", s->copies_min);
	if (s->unsafe != 0)
		printf(", %u UNSAFE RECOVERIES", s->unsafe);
	putchar('\n');
}

static void print_report(const struct stream_report *r)
{
	printf("%s: %s", r->path, r->what);
	if (strcmp(r->state, "rot") == 0)
		printf(" at offset %" PRIu64, r->damage_offset);
	if (strcmp(r->state, "newer") == 0 || strcmp(r->state, "older") == 0)
		printf(" (format %u, this release has %u)", r->sb.format, SUPERBLOCK_FORMAT);
	putchar('\n');
	if (r->sb.generation == 0)
		return;
	printf("  cluster      %016" PRIx64 ", %s, node %u%s%s, %u shards, stream %u of %u\n",
	       r->sb.cluster, r->sb.engine ? "raft" : "hermes", r->sb.node,
	       r->sb.flags & SUPERBLOCK_WITNESS ? ", a witness" : "",
	       r->sb.flags & SUPERBLOCK_JOINING ? ", to join" : "", r->sb.shard_count, r->sb.stream,
	       r->sb.stream_count);
	printf("  device       %016" PRIx64 ", generation %" PRIu64 ", incarnation %u\n",
	       r->sb.device_id, r->sb.generation, r->sb.incarnation);
	printf("  log          %" PRIu64 " records in %" PRIu64 " of %" PRIu64 " bytes\n",
	       r->records, r->bytes, r->sb.device_bytes - LOG_OFFSET);
	print_service(r);
	if (r->torn_bytes != 0)
		printf("  torn tail    %" PRIu64 " bytes, never acknowledged\n", r->torn_bytes);
}

static int check(const struct cairnutil_options *o, bool all)
{
	static struct stream_report reports[WORKERS_MAX];
	uint32_t count = 0, damaged = 0;
	int rc = survey(o, reports, &count);

	if (rc != 0)
		return rc;
	for (uint32_t i = 0; i < count; i++)
		damaged += reports[i].damaged;
	if (o->json)
		print_json(reports, count);
	for (uint32_t i = 0; !o->json && i < count; i++) {
		if (all || reports[i].damaged)
			print_report(&reports[i]);
	}
	if (!o->json && !all)
		printf("%s: %u of %u logs damaged\n", o->data, damaged, count);
	return damaged == 0 ? CAIRNUTIL_DONE : CAIRNUTIL_FAILED;
}

int cairnutil_inspect(const struct cairnutil_options *o)
{
	return check(o, true);
}

int cairnutil_verify(const struct cairnutil_options *o)
{
	return check(o, false);
}
