/* SPDX-License-Identifier: Apache-2.0 */
/*
 * kv_import.c: `cairnctl kv import`. A record that cannot be stored is named, counted and skipped;
 * nothing is dropped in silence, and the exit code says whether everything was acknowledged.
 */
#include <ctype.h>
#include <errno.h>
#include <inttypes.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>

#include "mgmt/kv_pipe.h"
#include "mgmt/kv_record.h"
#include "mgmt/lab_process.h"

#define NAMED_MAX 10u /* problems of one kind named one by one; all are counted */

struct import {
	FILE *in, *acked;
	bool md5sums;
	char *text; /* getline's */
	size_t text_bytes;
	uint64_t lines, records, acknowledged, unknown, failed, large, malformed;
	enum cairn_status worst; /* last status of a failed record */
	bool no_space, acked_broken;
	int read_error; /* errno that ended reading; 0: none */
};

static volatile sig_atomic_t interrupted;

/* Takes no new records; those in flight end, so that the list of acknowledged ones is complete. */
static void on_signal(int signal)
{
	(void)signal;
	interrupted = 1;
}

static void name_record(uint64_t count, const struct kv_record *r, const char *what)
{
	if (count <= NAMED_MAX)
		ctl_output_note("line %" PRIu64 ": '%.*s': %s", r->line, (int)r->key_bytes, r->key,
				what);
	if (count == NAMED_MAX)
		ctl_output_note("(more of these are only counted)");
}

/* "KEY<TAB>VALUE", or "md5  path" as KEY "/path". Pointers into text. false: malformed. */
static bool split(const struct import *im, char *text, size_t bytes, struct cairn_bytes *key,
		  struct cairn_bytes *value)
{
	char *tab;

	if (!im->md5sums) {
		tab = memchr(text, '\t', bytes);
		if (!tab || tab == text)
			return false;
		*key = (struct cairn_bytes) { text, (size_t)(tab - text) };
		*value = (struct cairn_bytes) { tab + 1, (size_t)(text + bytes - tab - 1) };
		return true;
	}
	if (bytes < 35 || text[32] != ' ' || (text[33] != ' ' && text[33] != '*'))
		return false;
	for (int i = 0; i < 32; i++)
		if (!isxdigit((unsigned char)text[i]))
			return false;
	*value = (struct cairn_bytes) { text, 32 };
	/* Debian's lists leave out the leading slash; the second separator gives it room. */
	tab = text + 34;
	if (*tab != '/')
		*--tab = '/';
	*key = (struct cairn_bytes) { tab, (size_t)(text + bytes - tab) };
	return true;
}

/* One line into record; false: skipped, and counted. */
static bool take_line(struct import *im, size_t bytes, struct kv_record *record)
{
	struct cairn_bytes key, value;

	if (!split(im, im->text, bytes, &key, &value)) {
		if (++im->malformed <= NAMED_MAX)
			ctl_output_note("line %" PRIu64 ": '%.60s': wanted %s", im->lines, im->text,
					im->md5sums ? "32 hex digits, two spaces, a path"
						    : "KEY<TAB>VALUE");
		return false;
	}
	if (key.bytes > CAIRN_KEY_BYTES_MAX || value.bytes > CAIRN_VALUE_BYTES_MAX) {
		if (++im->large <= NAMED_MAX)
			ctl_output_note("line %" PRIu64
					": '%.60s...': key %zu bytes (at most %u), "
					"value %zu bytes (at most %u)",
					im->lines, (const char *)key.data, key.bytes,
					CAIRN_KEY_BYTES_MAX, value.bytes, CAIRN_VALUE_BYTES_MAX);
		return false;
	}
	record->line = im->lines;
	record->key_bytes = (uint32_t)key.bytes;
	record->value_bytes = (uint32_t)value.bytes;
	memcpy(record->key, key.data, key.bytes);
	memcpy(record->value, value.data, value.bytes);
	return true;
}

static bool import_next(void *user, struct kv_record *record)
{
	struct import *im = user;
	ssize_t bytes;

	while (!interrupted &&
	       kv_read_line(im->in, &im->text, &im->text_bytes, &bytes, &im->read_error)) {
		im->lines++;
		if (bytes > 0 && im->text[bytes - 1] == '\n')
			im->text[--bytes] = '\0';
		if (bytes == 0)
			continue;
		im->records++;
		if (take_line(im, (size_t)bytes, record))
			return true;
	}
	return false;
}

static bool import_done(void *user, const struct kv_record *r, const struct cairn_result *result)
{
	struct import *im = user;
	char version[CAIRN_VERSION_BYTES];

	if (result->status == CAIRN_UNKNOWN || result->status == CAIRN_EVICTED) {
		name_record(++im->unknown, r,
			    result->status == CAIRN_UNKNOWN ?
				    "UNKNOWN: may or may not have been stored" :
				    "EVICTED: may or may not have been stored");
		return true;
	}
	if (result->status != CAIRN_OK) {
		im->worst = result->status;
		name_record(++im->failed, r, cairn_status_name(result->status));
		im->no_space = im->no_space || result->status == CAIRN_NO_SPACE;
		return !im->no_space;
	}
	im->acknowledged++;
	if (!im->acked)
		return true;
	fwrite(r->key, 1, r->key_bytes, im->acked);
	putc('\t', im->acked);
	fwrite(r->value, 1, r->value_bytes, im->acked);
	fprintf(im->acked, "\t%s\n", cairn_version_print(result->version, version));
	im->acked_broken = im->acked_broken || ferror(im->acked);
	return !im->acked_broken;
}

static int report(const struct ctl_call *call, const struct import *im, uint64_t retries,
		  uint64_t ms)
{
	static const char *const columns[] = { "records", "acknowledged", "unknown",
					       "failed",  "too_large",	  "malformed",
					       "retries", "seconds",	  "per_second",
					       NULL };
	double seconds = (double)(ms ? ms : 1) / 1000;
	json_t *o = json_pack(
		"{s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:f, s:I}", "records", (json_int_t)im->records,
		"acknowledged", (json_int_t)im->acknowledged, "unknown", (json_int_t)im->unknown,
		"failed", (json_int_t)im->failed, "too_large", (json_int_t)im->large, "malformed",
		(json_int_t)im->malformed, "retries", (json_int_t)retries, "seconds", seconds,
		"per_second", (json_int_t)((double)im->acknowledged / seconds));
	json_t *rows;

	if (call->format == CTL_JSON)
		return ctl_output_json("cairn.import/1", o);
	rows = json_pack("[o]", o);
	ctl_output_rows(call->format, call->no_header, columns, rows);
	json_decref(rows);
	return ctl_output_flush();
}

static int verdict(const struct ctl_call *call, const struct import *im)
{
	if (im->acked_broken)
		return ctl_output_fail(CTL_EXIT_FAILED, "CAIRN-0417", "give the disk more room",
				       "cannot write '%s'", ctl_args_option(call, "acked"));
	if (im->no_space)
		return ctl_output_fail(
			CTL_EXIT_FAILED, "CAIRN-0404",
			"cairnctl health says which; give the nodes more, or import less",
			"store or log of a node is nearly full; stopped at line %" PRIu64,
			im->lines);
	if (im->unknown)
		return ctl_output_fail(CTL_EXIT_UNKNOWN, "CAIRN-0408",
				       "import the same file again; --retry does so by itself",
				       "%" PRIu64 " records may or may not have been stored",
				       im->unknown);
	if (im->read_error && !interrupted)
		return kv_fail_read(call->argument[0], im->lines, im->read_error);
	if (interrupted)
		return ctl_output_fail(CTL_EXIT_FAILED, "CAIRN-0425", "import the same file again",
				       "interrupted by a signal after line %" PRIu64, im->lines);
	if (im->failed)
		return ctl_output_fail(im->acknowledged ? CTL_EXIT_FAILED : kv_exit(im->worst),
				       "CAIRN-0418", "cairnctl health; then import again",
				       "%" PRIu64 " records were not stored", im->failed);
	if (im->malformed)
		return ctl_output_fail(CTL_EXIT_FAILED, "CAIRN-0419",
				       "correct those lines; see cairnctl help kv import",
				       "%" PRIu64 " lines are malformed and were skipped",
				       im->malformed);
	if (im->large && !ctl_args_option(call, "skip-large"))
		return ctl_output_fail(CTL_EXIT_FAILED, "CAIRN-0406",
				       "--skip-large accepts that they are left out",
				       "%" PRIu64 " records are too large and were skipped",
				       im->large);
	return CTL_EXIT_OK;
}

static int open_files(const struct ctl_call *call, struct import *im)
{
	const char *format = ctl_args_option(call, "format");
	const char *acked = ctl_args_option(call, "acked");

	if (format && strcmp(format, "md5sums") != 0 && strcmp(format, "tsv") != 0)
		return ctl_output_fail(CTL_EXIT_USAGE, "CAIRN-0420", "use tsv or md5sums",
				       "import format '%s' does not exist", format);
	im->md5sums = format && strcmp(format, "md5sums") == 0;
	im->in = strcmp(call->argument[0], "-") == 0 ? stdin : fopen(call->argument[0], "re");
	if (!im->in)
		return ctl_output_fail(errno == EACCES ? CTL_EXIT_DENIED : CTL_EXIT_NOT_FOUND,
				       "CAIRN-0421",
				       "name a readable file, or - for standard input", "'%s': %s",
				       call->argument[0], strerror(errno));
	im->acked = acked ? fopen(acked, "ae") : NULL;
	if (acked && !im->acked)
		return ctl_output_fail(errno == EACCES ? CTL_EXIT_DENIED : CTL_EXIT_FAILED,
				       "CAIRN-0417", "name a file in a writable folder", "'%s': %s",
				       acked, strerror(errno));
	return CTL_EXIT_OK;
}

int kv_import(const struct ctl_call *call)
{
	static struct import im;
	struct sigaction action = { .sa_handler = on_signal };
	struct kv_target target = { 0 };
	struct kv_pipe pipe = { .target = &target,
				.kind = CAIRN_PUT,
				.user = &im,
				.next = import_next,
				.done = import_done };
	uint64_t window = 512, started, patience = 30000000000ull;
	int rc, code;

	pipe.retry_unknown = ctl_args_option(call, "retry") != NULL;
	rc = ctl_args_number(call, "window", (struct ctl_range) { 1, KV_PIPE_WINDOW_MAX }, &window);
	if (!rc)
		rc = ctl_args_duration(call, "patience",
				       (struct ctl_range) { 1000000, 3600000000000ull }, &patience);
	if (!rc)
		rc = open_files(call, &im);
	if (!rc)
		rc = kv_connect(call, (uint32_t)window + 8, &target);
	if (!rc)
		rc = kv_record_open(call, &pipe.history);
	if (rc)
		return rc;
	pipe.window = (uint32_t)window;
	pipe.attempt_ns = target.timeout_ns;
	pipe.record_ns = patience;
	sigaction(SIGINT, &action, NULL);
	sigaction(SIGTERM, &action, NULL);
	started = lab_process_now_ms();
	rc = kv_pipe_run(&pipe);
	if (rc)
		return ctl_output_fail(CTL_EXIT_FAILED, "CAIRN-0422", "use a smaller --window",
				       "window %" PRIu64 ": %s", window, strerror(-rc));
	if (im.acked && fclose(im.acked) != 0)
		im.acked_broken = true;
	cairn_close(target.client);
	free(im.text);
	rc = report(call, &im, pipe.retries, lab_process_now_ms() - started);
	code = kv_record_close(call, pipe.history, verdict(call, &im));
	return code ? code : rc;
}
