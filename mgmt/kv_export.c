/* SPDX-License-Identifier: Apache-2.0 */
/*
 * kv_export.c: `cairnctl kv export`: reads many keys, in the order they are given. Which keys there
 * are must be known: this stage has no scan.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "mgmt/kv_pipe.h"
#include "mgmt/kv_record.h"

#define NAMED_MAX 10u

struct export
{
	FILE *in;
	char *text;
	size_t text_bytes;
	uint64_t lines, found, missing, failed, large;
	enum cairn_status worst;
	bool with_version, json;
	int read_error; /* errno that ended reading; 0: none */
};

/* The key of a line: up to the first tab, so that an imported file also serves as key list. */
static bool export_next(void *user, struct kv_record *record)
{
	struct export *ex = user;
	ssize_t bytes;
	const char *tab;

	while (kv_read_line(ex->in, &ex->text, &ex->text_bytes, &bytes, &ex->read_error)) {
		ex->lines++;
		if (bytes > 0 && ex->text[bytes - 1] == '\n')
			bytes--;
		tab = memchr(ex->text, '\t', (size_t)bytes);
		if (tab)
			bytes = tab - ex->text;
		if (bytes == 0)
			continue;
		if ((size_t)bytes > CAIRN_KEY_BYTES_MAX) {
			if (++ex->large <= NAMED_MAX)
				ctl_output_note("line %" PRIu64
						": '%.60s...': key %zd bytes, at "
						"most %u",
						ex->lines, ex->text, bytes, CAIRN_KEY_BYTES_MAX);
			continue;
		}
		record->line = ex->lines;
		record->key_bytes = (uint32_t)bytes;
		record->value_bytes = 0;
		memcpy(record->key, ex->text, (size_t)bytes);
		return true;
	}
	return false;
}

static void print_record(const struct export *ex, const struct kv_record *r,
			 const struct cairn_result *result)
{
	char version[CAIRN_VERSION_BYTES];
	json_t *o;

	if (ex->json) {
		o = json_pack("{s:o, s:o, s:s}", "key", kv_text(r->key, r->key_bytes), "value",
			      kv_text(result->value, result->value_bytes), "version",
			      cairn_version_print(result->version, version));
		json_dumpf(o, stdout, JSON_COMPACT);
		json_decref(o);
	} else {
		fwrite(r->key, 1, r->key_bytes, stdout);
		putchar('\t');
		fwrite(result->value, 1, result->value_bytes, stdout);
		if (ex->with_version)
			printf("\t%s", cairn_version_print(result->version, version));
	}
	putchar('\n');
}

static bool export_done(void *user, const struct kv_record *r, const struct cairn_result *result)
{
	struct export *ex = user;
	uint64_t count;

	if (result->status == CAIRN_OK) {
		ex->found++;
		print_record(ex, r, result);
		return !ctl_output_broken();
	}
	if (result->status != CAIRN_NOT_FOUND)
		ex->worst = result->status;
	count = result->status == CAIRN_NOT_FOUND ? ++ex->missing : ++ex->failed;
	if (count <= NAMED_MAX)
		ctl_output_note("line %" PRIu64 ": '%.*s': %s", r->line, (int)r->key_bytes, r->key,
				cairn_status_name(result->status));
	return true;
}

static int verdict(const struct ctl_call *call, const struct export *ex)
{
	int rc = ctl_output_flush();

	if (rc)
		return rc;
	ctl_output_note("%" PRIu64 " found, %" PRIu64 " not found, %" PRIu64
			" not answered, %" PRIu64 " too large",
			ex->found, ex->missing, ex->failed, ex->large);
	if (ex->read_error)
		return kv_fail_read(ctl_args_option(call, "keys"), ex->lines, ex->read_error);
	if (ex->failed)
		return ctl_output_fail(ex->found ? CTL_EXIT_FAILED : kv_exit(ex->worst),
				       "CAIRN-0423", "cairnctl health; then export again",
				       "%" PRIu64 " keys were not read: %s", ex->failed,
				       cairn_status_name(ex->worst));
	if (ex->large)
		return ctl_output_fail(CTL_EXIT_USAGE, "CAIRN-0406", NULL,
				       "%" PRIu64 " keys are longer than %u bytes", ex->large,
				       CAIRN_KEY_BYTES_MAX);
	if (ex->missing && !ctl_args_option(call, "allow-missing"))
		return ctl_output_fail(CTL_EXIT_NOT_FOUND, "CAIRN-0401",
				       "--allow-missing accepts that",
				       "%" PRIu64 " keys do not exist", ex->missing);
	return CTL_EXIT_OK;
}

static int open_keys(const struct ctl_call *call, struct export *ex)
{
	const char *keys = ctl_args_option(call, "keys");

	if (!keys)
		return ctl_output_fail(CTL_EXIT_USAGE, "CAIRN-0424",
				       "--keys FILE, one key per line (- for standard input)",
				       "kv export needs the keys: this stage cannot list them");
	ex->in = strcmp(keys, "-") == 0 ? stdin : fopen(keys, "re");
	if (!ex->in)
		return ctl_output_fail(errno == EACCES ? CTL_EXIT_DENIED : CTL_EXIT_NOT_FOUND,
				       "CAIRN-0421",
				       "name a readable file, or - for standard input", "'%s': %s",
				       keys, strerror(errno));
	return CTL_EXIT_OK;
}

int kv_export(const struct ctl_call *call)
{
	static struct export ex;
	struct kv_target target = { 0 };
	struct kv_pipe pipe = { .target = &target,
				.kind = CAIRN_GET,
				.user = &ex,
				.ordered = true,
				.next = export_next,
				.done = export_done };
	uint64_t window = 512, patience = 30000000000ull;
	int rc;

	ex.with_version = ctl_args_option(call, "with-version") != NULL;
	ex.json = call->format == CTL_JSON;
	rc = ctl_args_number(call, "window", (struct ctl_range) { 1, KV_PIPE_WINDOW_MAX }, &window);
	if (!rc)
		rc = ctl_args_duration(call, "patience",
				       (struct ctl_range) { 1000000, 3600000000000ull }, &patience);
	if (!rc)
		rc = open_keys(call, &ex);
	if (!rc)
		rc = kv_connect(call, (uint32_t)window + 8, &target);
	if (!rc)
		rc = kv_record_open(call, &pipe.history);
	if (rc)
		return rc;
	pipe.window = (uint32_t)window;
	pipe.attempt_ns = target.timeout_ns;
	pipe.record_ns = patience;
	rc = kv_pipe_run(&pipe);
	if (rc)
		return ctl_output_fail(CTL_EXIT_FAILED, "CAIRN-0422", "use a smaller --window",
				       "window %" PRIu64 ": %s", window, strerror(-rc));
	cairn_close(target.client);
	free(ex.text);
	return kv_record_close(call, pipe.history, verdict(call, &ex));
}
