/* SPDX-License-Identifier: Apache-2.0 */
/*
 * cairn-example: libcairn in one page: put, get, a compare-and-set loop, a counter, and many
 * operations at once.
 *
 *   cairn-example host:port,host:port,host:port
 *   cairn-example gw:127.0.0.1:PORT,gw:127.0.0.1:PORT,...      (a lab: cairnctl lab status)
 */
#include <stdio.h>
#include <stdlib.h>

#ifdef CAIRN_IN_TREE
#include "dataplane/client/cairn.h"
#else
#include <cairn.h>
#endif

/* fail: says what went wrong and ends the program. UNKNOWN is no failure to retry blindly. */
static void fail(const char *what, const struct cairn_result *r)
{
	fprintf(stderr, "%s: %s%s\n", what, cairn_status_name(r->status),
		r->status == CAIRN_UNKNOWN ? " (may or may not have been applied)" : "");
	exit(EXIT_FAILURE);
}

static void show(const char *what, const struct cairn_result *r)
{
	char version[CAIRN_VERSION_BYTES];

	printf("%-24s %-10s version %s", what, cairn_status_name(r->status),
	       cairn_version_print(r->version, version));
	if (r->kind == CAIRN_GET && r->status == CAIRN_OK)
		printf("  value \"%.*s\"", (int)r->value_bytes, (const char *)r->value);
	if (r->kind == CAIRN_INCR && r->status == CAIRN_OK)
		printf("  number %lld", (long long)r->number);
	printf("\n");
}

/*
 * append: adds text to the value of key, with no lock and without losing what others write at the
 * same time: read, change, write back only if the version is still the one read.
 */
static void append(struct cairn *c, const char *key, const char *text)
{
	struct cairn_result r;
	char value[CAIRN_VALUE_BYTES_MAX];

	for (;;) {
		struct cairn_version read_version;
		struct cairn_bytes next = { value, 0 };
		int bytes;

		if (cairn_get(c, cairn_text(key), &r) > CAIRN_NOT_FOUND)
			fail("get", &r);
		if (r.status == CAIRN_NOT_FOUND)
			r.value_bytes = 0;
		read_version = r.version;
		bytes = snprintf(value, sizeof(value), "%.*s%s", (int)r.value_bytes,
				 (const char *)r.value, text);
		next.bytes = (size_t)bytes < sizeof(value) ? (size_t)bytes : sizeof(value) - 1;
		cairn_cas(c, cairn_text(key), read_version, next, &r);
		if (r.status == CAIRN_OK)
			break;
		if (r.status != CAIRN_CONFLICT && r.status != CAIRN_BUSY)
			fail("cas", &r);
	}
	show("cas: appended", &r);
}

/* many: 100 writes under way at once; they share datagrams and disk writes. */
static void many(struct cairn *c)
{
	struct cairn_result r;
	uint64_t ok = 0, tag = 0;
	char key[32];

	while (tag < 100 || cairn_open(c) > 0) {
		if (tag < 100) {
			struct cairn_op op = { .kind = CAIRN_PUT, .server = CAIRN_ANY_SERVER };

			snprintf(key, sizeof(key), "example/many/%03u", (unsigned)tag);
			op.key = cairn_text(key);
			op.value = cairn_text("one of many");
			op.tag = tag;
			if (cairn_submit(c, &op) == CAIRN_OK) {
				tag++;
				continue;
			}
		}
		cairn_wait(c, UINT64_MAX);
		while (cairn_poll(c, &r, 1) == 1)
			ok += r.status == CAIRN_OK;
	}
	printf("%-24s %llu of 100 OK\n", "put: 100 at once", (unsigned long long)ok);
	if (ok != 100)
		exit(EXIT_FAILURE);
}

int main(int argc, char **argv)
{
	char error[CAIRN_ERROR_BYTES];
	struct cairn_options options = { .endpoints = argc == 2 ? argv[1] : NULL, .error = error };
	struct cairn_result r;
	struct cairn *c;

	if (argc != 2) {
		fprintf(stderr, "usage: cairn-example host:port,host:port,...\n");
		return 2;
	}
	if (cairn_connect(&options, &c) < 0) {
		fprintf(stderr, "cairn-example: %s\n", error);
		return 2;
	}
	if (cairn_put(c, cairn_text("example/greeting"), cairn_text("hello"), &r) != CAIRN_OK)
		fail("put", &r);
	show("put", &r);
	if (cairn_get(c, cairn_text("example/greeting"), &r) != CAIRN_OK)
		fail("get", &r);
	show("get", &r);
	append(c, "example/greeting", ", world");
	if (cairn_get(c, cairn_text("example/greeting"), &r) != CAIRN_OK)
		fail("get", &r);
	show("get", &r);
	if (cairn_incr(c, cairn_text("example/counter"), 1, &r) != CAIRN_OK)
		fail("incr", &r);
	show("incr", &r);
	many(c);
	cairn_close(c);
	return EXIT_SUCCESS;
}
