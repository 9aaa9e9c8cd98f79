/* SPDX-License-Identifier: Apache-2.0 */
#include "mgmt/kv_record.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "replication/base.h"

#define LINE_BYTES 4096u /* a key of 512 bytes may take three times as many */
#define NUMBER_BYTES_MAX 20u

uint64_t kv_record_now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

static int fail(const struct ctl_call *call, int error)
{
	return ctl_output_fail(CTL_EXIT_FAILED, "CAIRN-0426",
			       "name a file that can be written",
			       "--record '%s': %s", ctl_args_option(call, "record"),
			       strerror(error));
}

int kv_record_open(const struct ctl_call *call, FILE **ret_file)
{
	const char *path = ctl_args_option(call, "record");
	FILE *file;

	*ret_file = NULL;
	if (!path)
		return CTL_EXIT_OK;
	file = fopen(path, "ae");
	if (!file)
		return fail(call, errno);
	setvbuf(file, NULL, _IOLBF, LINE_BYTES);
	*ret_file = file;
	return CTL_EXIT_OK;
}

int kv_record_close(const struct ctl_call *call, FILE *file, int rc)
{
	bool failed;

	if (!file)
		return rc;
	failed = ferror(file) != 0;
	failed |= fclose(file) != 0;
	return rc == CTL_EXIT_OK && failed ? fail(call, errno ? errno : EIO) : rc;
}

/* ---- fields ---- */

static void print_key(FILE *file, struct cairn_bytes key)
{
	const uint8_t *p = key.data;

	for (size_t i = 0; i < key.bytes; i++) {
		bool plain = (p[i] >= '0' && p[i] <= '9') || (p[i] >= 'a' && p[i] <= 'z') ||
			     (p[i] >= 'A' && p[i] <= 'Z') || (p[i] && strchr("-._~/:", p[i]));

		fprintf(file, plain ? "%c" : "%%%02X", p[i]);
	}
}

/* is_number: a 64-bit decimal number in its shortest form, as INCR makes them. */
static bool is_number(struct cairn_bytes value)
{
	char text[NUMBER_BYTES_MAX + 2], again[NUMBER_BYTES_MAX + 2];

	if (value.bytes == 0 || value.bytes > NUMBER_BYTES_MAX)
		return false;
	memcpy(text, value.data, value.bytes);
	text[value.bytes] = '\0';
	snprintf(again, sizeof(again), "%" PRId64, (int64_t)strtoll(text, NULL, 10));
	return strlen(text) == value.bytes && strcmp(text, again) == 0;
}

/* The hash of histories: multiply and rotate, 8 bytes at a time, the length mixed in. */
static uint64_t hash(struct cairn_bytes value)
{
	uint64_t h = 0x9e3779b97f4a7c15ull ^ value.bytes;

	for (size_t at = 0; at < value.bytes; at += 8) {
		uint8_t block[8] = { 0 };

		memcpy(block, (const uint8_t *)value.data + at,
		       value.bytes - at < 8 ? value.bytes - at : 8);
		h = (h ^ load_u64(block)) * 0xd6e8feb86659fd93ull;
		h ^= h >> 32;
	}
	h *= 0xd6e8feb86659fd93ull;
	return h ^ h >> 29;
}

static void print_value(FILE *file, struct cairn_bytes value)
{
	if (is_number(value))
		fwrite(value.data, 1, value.bytes, file);
	else
		fprintf(file, "#%016" PRIx64, hash(value));
}

static void print_version(FILE *file, struct cairn_version version)
{
	char text[CAIRN_VERSION_BYTES];

	fputs(cairn_version_print(version, text), file);
}

static void print_argument(FILE *file, const struct cairn_op *op)
{
	switch (op->kind) {
	case CAIRN_PUT:
		print_value(file, op->value);
		return;
	case CAIRN_CAS:
		print_version(file, op->expected);
		putc(',', file);
		print_value(file, op->value);
		return;
	case CAIRN_CAS_VALUE:
		print_value(file, op->compare);
		putc(',', file);
		print_value(file, op->value);
		return;
	case CAIRN_INCR:
		fprintf(file, "%" PRId64, op->delta);
		return;
	case CAIRN_GET:
	case CAIRN_DEL:
		break;
	}
	putc('-', file);
}

static void print_result(FILE *file, const struct cairn_op *op, const struct cairn_result *r)
{
	if (r->status == CAIRN_OK && op->kind == CAIRN_GET)
		print_value(file, (struct cairn_bytes) { r->value, r->value_bytes });
	else if (r->status == CAIRN_OK && op->kind == CAIRN_INCR)
		fprintf(file, "%" PRId64, r->number);
	else
		putc('-', file);
}

void kv_record_line(FILE *file, const struct cairn_op *op, const struct cairn_result *r,
		    uint64_t start_ns)
{
	static const char *const kinds[] = {
		[CAIRN_GET] = "get", [CAIRN_PUT] = "put",	[CAIRN_DEL] = "del",
		[CAIRN_CAS] = "cas", [CAIRN_INCR] = "incr", [CAIRN_CAS_VALUE] = "casv",
	};
	uint64_t end_ns = kv_record_now();

	if (!file)
		return;
	fprintf(file, "%u %s ", (unsigned)getpid(), kinds[op->kind]);
	print_key(file, op->key);
	putc(' ', file);
	print_argument(file, op);
	putc(' ', file);
	print_result(file, op, r);
	putc(' ', file);
	if (r->status == CAIRN_OK || r->status == CAIRN_NOT_FOUND || r->status == CAIRN_CONFLICT ||
	    r->status == CAIRN_NOT_A_NUMBER || r->status == CAIRN_OVERFLOW)
		print_version(file, r->version);
	else
		putc('-', file);
	fprintf(file, " %" PRIu64 " %" PRIu64 " %s\n", start_ns, end_ns,
		cairn_status_name(r->status));
}
