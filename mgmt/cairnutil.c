/* SPDX-License-Identifier: Apache-2.0 */
/* cairnutil: the offline tool. Works on the files alone; refuses while a dataplane holds them. */
#include "mgmt/cairnutil.h"

#include <errno.h>
#include <getopt.h>
#include <inttypes.h>
#include <limits.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>

#include "mgmt/config.h"
#include "mgmt/problem.h"
#include "storage/blockdev_file.h"
#include "storage/superblock.h"

#define WAL_BYTES_DEFAULT (256ull << 20)
#define WAL_BYTES_MIN	  (8ull << 20)
#define SHARDS_DEFAULT	  4u

struct command {
	const char *name;
	const char *usage;
	const char *help;
	int (*run)(const struct cairnutil_options *o);
};

static const struct command commands[] = {
	{ "format",
	  "cairnutil format --config FILE [--engine E] [--join] [--witness]\n"
	  "       cairnutil format --data DIR --cluster HEX64 --node I [--shards S]\n"
	  "                        [--streams W] [--wal-bytes SIZE] [--engine E] [--join]",
	  "make a node's log files; existing ones are never touched", cairnutil_format },
	{ "inspect", "cairnutil inspect --data DIR [-o table|json]",
	  "show superblocks, the extent of each log, its records and state", cairnutil_inspect },
	{ "verify", "cairnutil verify --data DIR [-o table|json]",
	  "check every checksum: exit 0 clean, 1 damaged (file and offset are named)",
	  cairnutil_verify },
	{ "recover", "cairnutil recover --unsafe --config FILE [--confirm NAME | --yes]"
	  " [--outdated]",
	  "make this node the only one of its cluster, for good: when the others are lost",
	  cairnutil_recover },
};

_Noreturn void must_failed(const char *expression, const char *file, int line)
{
	fprintf(stderr, "cairnutil: %s:%d: must(%s) failed: report this\n", file, line, expression);
	abort();
}

int cairnutil_fail(enum cairnutil_exit code, const char *id, const char *cure, const char *format,
		   ...)
{
	va_list args;

	fprintf(stderr, "cairnutil: error %s: ", id);
	va_start(args, format);
	vfprintf(stderr, format, args);
	va_end(args);
	fprintf(stderr, "\n  cure: %s\n", cure);
	return (int)code;
}

static void usage(FILE *out)
{
	fputs("usage:\n", out);
	for (size_t i = 0; i < ARRAY_LEN(commands); i++)
		fprintf(out, "  %s\n      %s\n", commands[i].usage, commands[i].help);
	fputs("options:\n"
	      "  -c, --config FILE   node configuration; every option below overrides it\n"
	      "  -d, --data DIR      folder of the log files stream-<i>.wal\n"
	      "      --cluster HEX64 cluster id, 1 to 16 hexadecimal digits\n"
	      "      --node I        this node, 0 to 6\n"
	      "      --shards S      shards of the cluster, 1..64 (4)\n"
	      "      --streams W     log files, one per worker, 1..16 (1)\n"
	      "      --wal-bytes N   size of each, with K, M or G (256M); a multiple of 4096, from "
	      "8M\n"
	      "      --engine E      hermes or raft (as the configuration says, else hermes)\n"
	      "      --join          for a node that comes into a cluster by cairnctl member add\n"
	      "      --witness       votes, holds no data (as the configuration says)\n"
	      "      --unsafe        recover: know what it means (docs/operating.md)\n"
	      "      --confirm NAME  recover: the name of the cluster; --yes: do not ask for it\n"
	      "      --outdated      recover: though it was no member of the last view it knows\n"
	      "  -o, --output FORM   table or json\n"
	      "  -h, --help          this text\n"
	      "Exit: 0 done or clean, 1 failed or damaged, 2 usage, 3 not found, 4 not permitted,\n"
	      "      5 conflict (already formatted, or in use).\n",
	      out);
}

/* parse_number: all of text, with an optional binary unit; false: not such a number. */
static bool parse_number(const char *text, int base, uint64_t *ret)
{
	static const char units[] = "KMGT";
	const char *unit;
	char *end;
	uint64_t n;

	errno = 0;
	n = strtoull(text, &end, base);
	if (end == text || errno != 0 || text[0] == '-' || text[0] == '+' || text[0] == ' ')
		return false;
	if (*end != 0 && base == 10) {
		unit = strchr(units, *end & ~0x20);
		if (unit == NULL || (end[1] != 0 && strcmp(end + 1, "iB") != 0))
			return false;
		for (int64_t i = 0; i <= unit - units; i++) {
			if (n > UINT64_MAX / 1024)
				return false;
			n *= 1024;
		}
	} else if (*end != 0) {
		return false;
	}
	*ret = n;
	return true;
}

enum option_id {
	OPTION_CLUSTER = 256,
	OPTION_NODE,
	OPTION_SHARDS,
	OPTION_STREAMS,
	OPTION_WAL_BYTES,
	OPTION_ENGINE,
	OPTION_JOIN,
	OPTION_WITNESS,
	OPTION_UNSAFE,
	OPTION_CONFIRM,
	OPTION_YES,
	OPTION_OUTDATED,
};

static const struct option long_options[] = {
	{ "config", required_argument, NULL, 'c' },
	{ "data", required_argument, NULL, 'd' },
	{ "output", required_argument, NULL, 'o' },
	{ "help", no_argument, NULL, 'h' },
	{ "cluster", required_argument, NULL, OPTION_CLUSTER },
	{ "node", required_argument, NULL, OPTION_NODE },
	{ "shards", required_argument, NULL, OPTION_SHARDS },
	{ "streams", required_argument, NULL, OPTION_STREAMS },
	{ "wal-bytes", required_argument, NULL, OPTION_WAL_BYTES },
	{ "engine", required_argument, NULL, OPTION_ENGINE },
	{ "join", no_argument, NULL, OPTION_JOIN },
	{ "witness", no_argument, NULL, OPTION_WITNESS },
	{ "unsafe", no_argument, NULL, OPTION_UNSAFE },
	{ "confirm", required_argument, NULL, OPTION_CONFIRM },
	{ "yes", no_argument, NULL, OPTION_YES },
	{ "outdated", no_argument, NULL, OPTION_OUTDATED },
	{ 0 },
};

static int set_number(struct cairnutil_options *o, int id, const char *text)
{
	struct {
		int id;
		const char *name;
		uint64_t *value;
		bool *has;
		uint64_t min, max;
	} table[] = {
		{ OPTION_CLUSTER, "cluster", &o->cluster, &o->has_cluster, 0, UINT64_MAX },
		{ OPTION_NODE, "node", &o->node, &o->has_node, 0, NODES_MAX - 1 },
		{ OPTION_SHARDS, "shards", &o->shards, &o->has_shards, 1, SHARDS_MAX },
		{ OPTION_STREAMS, "streams", &o->streams, &o->has_streams, 1, WORKERS_MAX },
		{ OPTION_WAL_BYTES, "wal-bytes", &o->wal_bytes, &o->has_wal_bytes, WAL_BYTES_MIN,
		  1ull << 50 },
	};

	for (size_t i = 0; i < ARRAY_LEN(table); i++) {
		if (table[i].id != id)
			continue;
		if (!parse_number(text, id == OPTION_CLUSTER ? 16 : 10, table[i].value) ||
		    *table[i].value < table[i].min || *table[i].value > table[i].max)
			return cairnutil_fail(
				CAIRNUTIL_USAGE, "CAIRN-0801", "cairnutil --help lists the ranges",
				"--%s \"%s\": not a number from %" PRIu64 " to %" PRIu64,
				table[i].name, text, table[i].min, table[i].max);
		*table[i].has = true;
	}
	return 0;
}

/* set_option: one that is not a number; false: not known here. */
static bool set_option(struct cairnutil_options *o, int c, const char *text)
{
	switch (c) {
	case 'c':
		o->config = text;
		return true;
	case 'd':
		o->data = text;
		return true;
	case OPTION_ENGINE:
		o->engine = text;
		return true;
	case OPTION_CONFIRM:
		o->confirm = text;
		return true;
	case OPTION_JOIN:
		return o->join = true;
	case OPTION_WITNESS:
		return o->witness = true;
	case OPTION_UNSAFE:
		return o->unsafe = true;
	case OPTION_YES:
		return o->yes = true;
	case OPTION_OUTDATED:
		return o->outdated = true;
	default:
		return false;
	}
}

static int parse(int argc, char **argv, struct cairnutil_options *o)
{
	int c, rc = 0;

	while (rc == 0 && (c = getopt_long(argc, argv, "c:d:o:h", long_options, NULL)) != -1) {
		if (c == 'h') {
			usage(stdout);
			exit(CAIRNUTIL_DONE);
		} else if (c == 'o') {
			o->json = strcmp(optarg, "json") == 0;
			if (!o->json && strcmp(optarg, "table") != 0)
				rc = cairnutil_fail(CAIRNUTIL_USAGE, "CAIRN-0801",
						    "use table or json", "-o \"%s\": unknown form",
						    optarg);
		} else if (c == '?') {
			rc = cairnutil_fail(CAIRNUTIL_USAGE, "CAIRN-0802", "cairnutil --help",
					    "see above");
		} else if (!set_option(o, c, optarg)) {
			rc = set_number(o, c, optarg);
		}
	}
	if (rc == 0 && o->engine && strcmp(o->engine, "hermes") && strcmp(o->engine, "raft"))
		rc = cairnutil_fail(CAIRNUTIL_USAGE, "CAIRN-0801", "use hermes or raft",
				    "--engine \"%s\": no such engine", o->engine);
	if (rc == 0 && optind < argc)
		rc = cairnutil_fail(CAIRNUTIL_USAGE, "CAIRN-0802", "cairnutil --help",
				    "\"%s\": unexpected argument", argv[optind]);
	return rc;
}

static void number_from(uint64_t value, uint64_t *to, bool *has)
{
	if (!*has && value != 0)
		*to = value;
	*has = true;
}

static int fill_engine(struct cairnutil_options *o, const struct config *c)
{
	static const char *const engines[] = { NULL, "hermes", "raft" };
	const char *wanted = engines[c->cluster_engine];

	if (o->engine && wanted && strcmp(o->engine, wanted) != 0)
		return cairnutil_fail(CAIRNUTIL_USAGE, "CAIRN-0804", "make the two agree",
				      "--engine %s, but [cluster] engine is \"%s\" in %s",
				      o->engine, wanted, c->file);
	o->engine = o->engine ? o->engine : wanted;
	o->witness |= c->node_witness != 0;
	return 0;
}

/* fill: what the command line left open comes from the configuration file, then from defaults. */
static int fill(struct cairnutil_options *o)
{
	static struct config c;
	struct problem p;
	char code[16];
	int rc = 0;

	if (o->config != NULL) {
		if (config_load(o->config, &c, &p) < 0)
			return cairnutil_fail(CAIRNUTIL_USAGE, problem_code(p.id, code), p.cure,
					      "%s", p.text);
		o->data = o->data != NULL ? o->data : c.node_data;
		number_from(c.cluster_id, &o->cluster, &o->has_cluster);
		number_from(c.node_id, &o->node, &o->has_node);
		number_from(c.cluster_shards, &o->shards, &o->has_shards);
		number_from(c.cpu_workers, &o->streams, &o->has_streams);
		number_from(c.storage_wal_bytes, &o->wal_bytes, &o->has_wal_bytes);
		rc = fill_engine(o, &c);
	}
	if (rc == 0 && o->data == NULL)
		rc = cairnutil_fail(CAIRNUTIL_USAGE, "CAIRN-0803",
				    "give --data DIR or --config FILE", "which data folder?");
	o->engine = o->engine ? o->engine : "hermes";
	return rc;
}

static int check_format(const struct cairnutil_options *o)
{
	if (!o->has_cluster || !o->has_node)
		return cairnutil_fail(CAIRNUTIL_USAGE, "CAIRN-0803", "give --config FILE, or both",
				      "--cluster and --node are needed");
	if (o->streams > o->shards)
		return cairnutil_fail(
			CAIRNUTIL_USAGE, "CAIRN-0804", "lower --streams or raise --shards",
			"%" PRIu64 " streams for %" PRIu64 " shards", o->streams, o->shards);
	if (o->wal_bytes % BLOCK_BYTES != 0 || o->wal_bytes < WAL_BYTES_MIN)
		return cairnutil_fail(CAIRNUTIL_USAGE, "CAIRN-0804",
				      "use a multiple of 4096, at least 8M", "--wal-bytes %" PRIu64,
				      o->wal_bytes);
	return 0;
}

static int make_folders(const char *path)
{
	char part[PATH_MAX];

	if (snprintf(part, sizeof(part), "%s", path) >= (int)sizeof(part))
		return -ENAMETOOLONG;
	for (char *p = part + 1; *p != 0; p++) {
		if (*p != '/')
			continue;
		*p = 0;
		if (mkdir(part, 0755) < 0 && errno != EEXIST && errno != EROFS && errno != EACCES)
			return -errno;
		*p = '/';
	}
	return mkdir(part, 0750) < 0 && errno != EEXIST ? -errno : 0;
}

/*
 * format_stream: under another name until it is whole and durable, so that a crash leaves nothing
 * that looks like a log; what it does leave, the next format removes.
 */
static int format_stream(const struct cairnutil_options *o, const char *path, uint16_t stream)
{
	static _Alignas(BLOCK_BYTES) uint8_t scratch[BLOCK_BYTES];
	struct superblock sb = {
		.cluster = o->cluster,
		.device_bytes = o->wal_bytes,
		.shard_count = (uint16_t)o->shards,
		.stream = stream,
		.stream_count = (uint16_t)o->streams,
		.node = (uint8_t)o->node,
		.node_count = NODES_MAX, /* which of them exist is the view service's matter */
		.engine = strcmp(o->engine, "raft") == 0 ? ENGINE_RAFT : ENGINE_HERMES,
		.flags = (uint8_t)((o->join ? SUPERBLOCK_JOINING : 0) |
				   (o->witness ? SUPERBLOCK_WITNESS : 0)),
	};
	char next[PATH_MAX];
	struct blockdev *dev;
	int rc;

	if (snprintf(next, sizeof(next), "%s.tmp", path) >= (int)sizeof(next))
		return -ENAMETOOLONG;
	if (unlink(next) < 0 && errno != ENOENT)
		return -errno;

	sb.fingerprint = superblock_shape(&sb);
	if (getrandom(&sb.device_id, sizeof(sb.device_id), 0) != sizeof(sb.device_id))
		return -EIO;
	rc = blockdev_file_create(next, o->wal_bytes);
	if (rc < 0)
		return rc;
	rc = blockdev_file_open(next, NULL, &dev);
	if (rc == 0) {
		rc = superblock_format(dev, scratch, &sb);
		blockdev_file_close(dev);
	}
	if (rc == 0)
		rc = blockdev_file_rename(next, path);
	if (rc < 0)
		unlink(next);
	return rc;
}

static int fail_format(const char *path, int rc)
{
	if (rc == -ENOSPC)
		return cairnutil_fail(CAIRNUTIL_FAILED, "CAIRN-0805",
				      "free space, or give a smaller --wal-bytes",
				      "%s: no space left for it; nothing was kept", path);
	if (rc == -EACCES || rc == -EPERM)
		return cairnutil_fail(CAIRNUTIL_DENIED, "CAIRN-0806",
				      "give this user write permission", "%s: %s", path,
				      strerror(-rc));
	return cairnutil_fail(rc == -EEXIST ? CAIRNUTIL_CONFLICT : CAIRNUTIL_FAILED,
			      rc == -EEXIST ? "CAIRN-0808" : "CAIRN-0807",
			      "nothing was kept; look at the folder and its file system", "%s: %s",
			      path, strerror(-rc));
}

int cairnutil_format(const struct cairnutil_options *o)
{
	char path[PATH_MAX];
	int rc = check_format(o);

	if (rc != 0)
		return rc;
	rc = make_folders(o->data);
	if (rc < 0)
		return fail_format(o->data, rc);
	for (uint32_t i = 0; i < WORKERS_MAX; i++) {
		snprintf(path, sizeof(path), "%s/stream-%u.wal", o->data, i);
		if (access(path, F_OK) == 0)
			return cairnutil_fail(
				CAIRNUTIL_CONFLICT, "CAIRN-0808",
				"use it as it is, or move it away first; format never "
				"overwrites",
				"%s: exists already", path);
	}
	for (uint16_t i = 0; i < o->streams; i++) {
		snprintf(path, sizeof(path), "%s/stream-%u.wal", o->data, i);
		rc = format_stream(o, path, i);
		if (rc == 0)
			continue;
		rc = fail_format(path, rc);
		while (i-- > 0) {
			snprintf(path, sizeof(path), "%s/stream-%u.wal", o->data, i);
			unlink(path);
		}
		return rc;
	}
	printf("formatted %s: cluster %016" PRIx64 ", %s, node %" PRIu64 "%s%s, %" PRIu64
	       " shards, %" PRIu64 " streams of %" PRIu64 " MiB\n",
	       o->data, o->cluster, o->engine, o->node, o->witness ? ", a witness" : "",
	       o->join ? ", to join" : "", o->shards, o->streams, o->wal_bytes >> 20);
	return CAIRNUTIL_DONE;
}

int main(int argc, char **argv)
{
	struct cairnutil_options o = { .shards = SHARDS_DEFAULT,
				       .streams = 1,
				       .wal_bytes = WAL_BYTES_DEFAULT };
	int rc;

	if (argc >= 2 && (strcmp(argv[1], "--help") == 0 || strcmp(argv[1], "-h") == 0)) {
		usage(stdout);
		return CAIRNUTIL_DONE;
	}
	for (size_t i = 0; argc >= 2 && i < ARRAY_LEN(commands); i++) {
		if (strcmp(argv[1], commands[i].name) != 0)
			continue;
		rc = parse(argc - 1, argv + 1, &o);
		if (rc == 0)
			rc = fill(&o);
		return rc != 0 ? rc : commands[i].run(&o);
	}
	if (argc >= 2)
		return cairnutil_fail(CAIRNUTIL_USAGE, "CAIRN-0802", "cairnutil --help",
				      "\"%s\": no such command", argv[1]);
	usage(stderr);
	return CAIRNUTIL_USAGE;
}
