/* SPDX-License-Identifier: Apache-2.0 */
#include "mgmt/kv.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "mgmt/kv_record.h"
#include "mgmt/lab_state.h"

#define ENDPOINTS_BYTES 1024u

enum ctl_exit kv_exit(enum cairn_status status)
{
	switch (status) {
	case CAIRN_OK:
		return CTL_EXIT_OK;
	case CAIRN_NOT_FOUND:
		return CTL_EXIT_NOT_FOUND;
	case CAIRN_CONFLICT:
		return CTL_EXIT_CONFLICT;
	case CAIRN_NOT_SERVING:
		return CTL_EXIT_UNREACHABLE;
	case CAIRN_DENIED:
		return CTL_EXIT_DENIED;
	case CAIRN_UNKNOWN:
	case CAIRN_EVICTED:
		return CTL_EXIT_UNKNOWN;
	case CAIRN_TOO_LARGE:
	case CAIRN_BAD_REQUEST:
		return CTL_EXIT_USAGE;
	case CAIRN_BUSY:
	case CAIRN_NO_SPACE:
	case CAIRN_NOT_A_NUMBER:
	case CAIRN_OVERFLOW:
		break;
	}
	return CTL_EXIT_FAILED;
}

struct reason {
	const char *id, *text, *cure;
};

static struct reason reason_of(enum cairn_status status)
{
	switch (status) {
	case CAIRN_NOT_FOUND:
		return (struct reason) { "CAIRN-0401", "there is no such key", NULL };
	case CAIRN_CONFLICT:
		return (struct reason) { "CAIRN-0402", "the key has another version",
					 "read it again and decide anew with its present version" };
	case CAIRN_BUSY:
		return (struct reason) { "CAIRN-0403", "the node has no room for it at the moment",
					 "try again" };
	case CAIRN_NO_SPACE:
		return (struct reason) {
			"CAIRN-0404", "store or log of a node is nearly full",
			"cairnctl health says which: delete keys where it is the store; a"
			" log only grows, give it more wal_bytes"
		};
	case CAIRN_NOT_SERVING:
		return (struct reason) { "CAIRN-0405",
					 "no answer, or the node cannot serve; nothing was changed",
					 "cairnctl health" };
	case CAIRN_TOO_LARGE:
		return (struct reason) { "CAIRN-0406", "key or value over its limit", NULL };
	case CAIRN_DENIED:
		return (struct reason) { "CAIRN-0407", "not allowed", NULL };
	case CAIRN_UNKNOWN:
		return (struct reason) {
			"CAIRN-0408", "sent, but no answer: it may or may not take effect",
			"read the key: its version tells whether it has so far; it may still"
			" take effect later, even after a newer write"
		};
	case CAIRN_NOT_A_NUMBER:
		return (struct reason) { "CAIRN-0409", "the value is no decimal number of 64 bits",
					 "put a number first" };
	case CAIRN_OVERFLOW:
		return (struct reason) { "CAIRN-0410", "the sum would leave the range of 64 bits",
					 NULL };
	case CAIRN_EVICTED:
		return (struct reason) {
			"CAIRN-0427",
			"sent, and forgotten by the nodes: it may or may not take effect",
			"read the key; fewer clients at once leave the nodes room to remember"
		};
	case CAIRN_OK:
	case CAIRN_BAD_REQUEST:
		break;
	}
	return (struct reason) { "CAIRN-0411", "the request was refused", NULL };
}

/* What CONFLICT means depends on what was compared. */
static struct reason conflict_of(const char *verb, enum cairn_kind kind)
{
	struct reason r = reason_of(CAIRN_CONFLICT);

	if (kind == CAIRN_CAS_VALUE) {
		r.text = "the key has another value, or there is no such key";
		r.cure = "read it again and decide anew with its present value";
	} else if (strcmp(verb, "put") == 0) {
		r.text = "the key exists already";
		r.cure = "leave out --if-absent to overwrite it";
	}
	return r;
}

int kv_fail(const char *verb, const char *key, const struct cairn_result *result)
{
	struct reason r = result->status == CAIRN_CONFLICT ? conflict_of(verb, result->kind) :
							     reason_of(result->status);
	char version[CAIRN_VERSION_BYTES];
	bool known = result->version.number != 0;

	return ctl_output_fail(kv_exit(result->status), r.id, r.cure, "%s '%s': %s: %s%s%s", verb,
			       key, cairn_status_name(result->status), r.text,
			       known ? "; its version is " : "",
			       known ? cairn_version_print(result->version, version) : "");
}

json_t *kv_text(const void *bytes, size_t count)
{
	static const char digits[] =
		"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
		"0123456789+/";
	char out[(CAIRN_VALUE_BYTES_MAX + 2) / 3 * 4 + 1];
	const uint8_t *in = bytes;
	json_t *text = json_stringn(bytes, count);
	uint32_t three;
	size_t n = 0;

	if (text || count > CAIRN_VALUE_BYTES_MAX)
		return text;
	for (size_t i = 0; i < count; i += 3) {
		three = (uint32_t)in[i] << 16 | (i + 1 < count ? (uint32_t)in[i + 1] << 8 : 0) |
			(i + 2 < count ? in[i + 2] : 0u);
		out[n++] = digits[three >> 18];
		out[n++] = digits[three >> 12 & 63];
		out[n++] = i + 1 < count ? digits[three >> 6 & 63] : '=';
		out[n++] = i + 2 < count ? digits[three & 63] : '=';
	}
	return json_pack("{s:s#}", "base64", out, (int)n);
}

/* Endpoints of the lab, with every node behind its gateway (memif) or itself (veth). */
static int lab_endpoints(const struct ctl_call *call, char out[ENDPOINTS_BYTES])
{
	char dir[LAB_DIR_BYTES], endpoint[32];
	struct lab lab;
	size_t n = 0;
	int rc = lab_state_dir(call, dir);

	if (!rc && !lab_state_exists(dir))
		return ctl_output_fail(CTL_EXIT_UNREACHABLE, "CAIRN-0412",
				       "cairnctl lab up; or name the nodes with --endpoints or "
				       "CAIRN_ENDPOINTS",
				       "no endpoints given, and there is no lab in '%s'", dir);
	if (!rc)
		rc = lab_state_load(dir, false, &lab);
	for (uint32_t i = 0; !rc && i < lab.nodes; i++) {
		lab_state_endpoint(&lab, i, endpoint);
		n += (size_t)snprintf(out + n, ENDPOINTS_BYTES - n, "%s%s%s", i ? "," : "",
				      lab.veth ? "" : "gw:", endpoint);
	}
	return rc;
}

static void count_servers(const char *endpoints, struct kv_target *t)
{
	uint32_t index = 0;

	for (const char *e = endpoints; index < CAIRN_SERVERS_MAX; e++, index++) {
		if (*e && *e != ',')
			t->servers[t->server_count++] = index;
		e += strcspn(e, ",");
		if (*e == '\0')
			break;
	}
}

int kv_connect(const struct ctl_call *call, uint32_t operations_max, struct kv_target *ret_target)
{
	const char *endpoints = ctl_args_option(call, "endpoints");
	char error[CAIRN_ERROR_BYTES] = "", buffer[ENDPOINTS_BYTES];
	struct kv_target t = { .server = CAIRN_ANY_SERVER, .timeout_ns = 5000000000ull };
	struct cairn_options options = { .operations_max = operations_max, .error = error };
	uint64_t node = UINT64_MAX;
	int rc;

	rc = ctl_args_number(call, "node", (struct ctl_range) { 0, CAIRN_SERVERS_MAX - 1 }, &node);
	if (!rc)
		rc = ctl_args_duration(call, "timeout",
				       (struct ctl_range) { 1000000, 3600000000000ull },
				       &t.timeout_ns);
	if (!endpoints)
		endpoints = getenv("CAIRN_ENDPOINTS");
	if (!rc && (!endpoints || !*endpoints)) {
		rc = lab_endpoints(call, buffer);
		endpoints = buffer;
	}
	if (rc)
		return rc;
	count_servers(endpoints, &t);
	options.endpoints = endpoints;
	options.timeout_ns = t.timeout_ns;
	options.preferred_server = t.server_count ? t.servers[0] : 0;
	if (node != UINT64_MAX)
		options.preferred_server = t.server = (uint32_t)node;
	rc = cairn_connect(&options, &t.client);
	if (rc)
		return ctl_output_fail(rc == -EINVAL ? CTL_EXIT_USAGE : CTL_EXIT_UNREACHABLE,
				       "CAIRN-0413", "cairnctl help kv get", "endpoints '%s': %s",
				       endpoints, *error ? error : strerror(-rc));
	*ret_target = t;
	return CTL_EXIT_OK;
}

static int check_size(const char *what, size_t bytes, size_t min, size_t max)
{
	if (bytes >= min && bytes <= max)
		return CTL_EXIT_OK;
	return ctl_output_fail(CTL_EXIT_USAGE, "CAIRN-0406",
			       bytes ? "make it shorter" : "name a key",
			       "the %s has %zu bytes, wanted %zu to %zu", what, bytes, min, max);
}

/* The value argument, or standard input for "-". buffer has one byte more than a value may have. */
static int read_value(const char *text, uint8_t *buffer, struct cairn_op *op)
{
	size_t n;

	op->value.data = text;
	op->value.bytes = strlen(text);
	if (strcmp(text, "-") == 0) {
		n = fread(buffer, 1, CAIRN_VALUE_BYTES_MAX + 1, stdin);
		if (ferror(stdin))
			return ctl_output_fail(CTL_EXIT_FAILED, "CAIRN-0414", NULL,
					       "standard input: %s", strerror(errno));
		op->value.data = buffer;
		op->value.bytes = n;
		if (n > CAIRN_VALUE_BYTES_MAX)
			return ctl_output_fail(CTL_EXIT_USAGE, "CAIRN-0406", "make it shorter",
					       "the value on standard input has over %u bytes, "
					       "wanted 0 to %u",
					       CAIRN_VALUE_BYTES_MAX, CAIRN_VALUE_BYTES_MAX);
	}
	return check_size("value", op->value.bytes, 0, CAIRN_VALUE_BYTES_MAX);
}

static int print_json(const struct cairn_op *op, const char *verb, const struct cairn_result *r)
{
	static const char *const durabilities[] = { "memory", "quorum", "all" };
	char version[CAIRN_VERSION_BYTES];
	json_t *o = json_pack("{s:s, s:o, s:s, s:s}", "operation", verb, "key",
			      kv_text(op->key.data, op->key.bytes), "status",
			      cairn_status_name(r->status), "version",
			      cairn_version_print(r->version, version));

	if (op->kind == CAIRN_GET && r->status == CAIRN_OK)
		json_object_set_new(o, "value", kv_text(r->value, r->value_bytes));
	if (op->kind == CAIRN_INCR && r->status == CAIRN_OK) {
		snprintf(version, sizeof(version), "%" PRId64, r->number);
		json_object_set_new(o, "number", json_string(version));
	}
	if (op->kind != CAIRN_GET && r->status == CAIRN_OK && r->durability <= CAIRN_DURABILITY_ALL)
		json_object_set_new(o, "durability", json_string(durabilities[r->durability]));
	json_object_set_new(o, "node", json_integer(r->server));
	return ctl_output_json("cairn.kv/1", o);
}

static int print_text(const struct ctl_call *call, const struct cairn_op *op,
		      const struct cairn_result *r)
{
	char version[CAIRN_VERSION_BYTES];

	cairn_version_print(r->version, version);
	if (op->kind == CAIRN_GET) {
		fwrite(r->value, 1, r->value_bytes, stdout);
		if (ctl_args_option(call, "with-version"))
			printf("\t%s", version);
		if (!ctl_args_option(call, "raw"))
			putchar('\n');
	} else if (op->kind == CAIRN_INCR) {
		printf("%" PRId64 "\n", r->number);
	} else {
		printf("%s\n", version);
	}
	return ctl_output_flush();
}

/* Runs one operation and prints its outcome. */
static int run_operation(const struct ctl_call *call, struct cairn_op *op, const char *verb)
{
	static struct cairn_result result;
	struct kv_target target;
	uint64_t start_ns;
	FILE *history;
	int rc;

	op->key.data = call->argument[0];
	op->key.bytes = strlen(call->argument[0]);
	rc = check_size("key", op->key.bytes, 1, CAIRN_KEY_BYTES_MAX);
	if (!rc)
		rc = kv_connect(call, 16, &target);
	if (rc)
		return rc;
	rc = kv_record_open(call, &history);
	if (rc) {
		cairn_close(target.client);
		return rc;
	}
	op->server = target.server;
	start_ns = kv_record_now();
	cairn_call(target.client, op, &result);
	kv_record_line(history, op, &result, start_ns);
	cairn_close(target.client);
	if (call->format == CTL_JSON)
		rc = print_json(op, verb, &result);
	else if (result.status == CAIRN_OK)
		rc = print_text(call, op, &result);
	if (result.status != CAIRN_OK)
		rc = kv_fail(verb, call->argument[0], &result);
	return kv_record_close(call, history, rc);
}

int kv_get(const struct ctl_call *call)
{
	struct cairn_op op = { .kind = CAIRN_GET };

	return run_operation(call, &op, "get");
}

int kv_put(const struct ctl_call *call)
{
	static uint8_t buffer[CAIRN_VALUE_BYTES_MAX + 1];
	struct cairn_op op = { .kind = CAIRN_PUT };
	int rc = read_value(call->argument[1], buffer, &op);

	if (ctl_args_option(call, "if-absent"))
		op.kind = CAIRN_CAS; /* expecting version 0 */
	return rc ? rc : run_operation(call, &op, "put");
}

int kv_del(const struct ctl_call *call)
{
	struct cairn_op op = { .kind = CAIRN_DEL };

	return run_operation(call, &op, "del");
}

static int cas_value(const struct ctl_call *call, const char *compare)
{
	static uint8_t buffer[CAIRN_VALUE_BYTES_MAX + 1];
	struct cairn_op op = { .kind = CAIRN_CAS_VALUE, .compare = cairn_text(compare) };
	int rc = read_value(call->argument[1], buffer, &op);

	if (!rc && op.compare.bytes + op.value.bytes > CAIRN_VALUE_BYTES_MAX)
		rc = ctl_output_fail(CTL_EXIT_USAGE, "CAIRN-0406",
				     "compare with --version instead: it is short",
				     "old and new value have %zu and %zu bytes, wanted %u "
				     "together",
				     op.compare.bytes, op.value.bytes, CAIRN_VALUE_BYTES_MAX);
	return rc ? rc : run_operation(call, &op, "cas");
}

int kv_cas(const struct ctl_call *call)
{
	static uint8_t buffer[CAIRN_VALUE_BYTES_MAX + 1];
	struct cairn_op op = { .kind = CAIRN_CAS };
	const char *version = ctl_args_option(call, "version");
	const char *compare = ctl_args_option(call, "value-is");
	int rc;

	if (!version == !compare)
		return ctl_output_fail(
			CTL_EXIT_USAGE, "CAIRN-0415",
			"--version as kv get --with-version shows it (0: must not exist), or "
			"--value-is OLD",
			"kv cas needs what the key must have now: %s",
			version ? "--version or --value-is, not both" : "a version or a value");
	if (compare)
		return cas_value(call, compare);
	if (strcmp(version, "0") != 0 && cairn_version_parse(version, &op.expected) < 0)
		return ctl_output_fail(CTL_EXIT_USAGE, "CAIRN-0415",
				       "number.node.incarnation, such as 18.2.3; 0: must not exist",
				       "'%s' is not a version", version);
	rc = read_value(call->argument[1], buffer, &op);
	return rc ? rc : run_operation(call, &op, "cas");
}

int kv_incr(const struct ctl_call *call)
{
	struct cairn_op op = { .kind = CAIRN_INCR, .delta = 1 };
	const char *text = call->argument_count > 1 ? call->argument[1] : "1";
	char *end;

	errno = 0;
	op.delta = strtoll(text, &end, 10);
	if (errno || end == text || *end || text[0] == ' ' || text[0] == '+')
		return ctl_output_fail(CTL_EXIT_USAGE, "CAIRN-0416", NULL,
				       "'%s' is not a whole number from %" PRId64 " to %" PRId64,
				       text, INT64_MIN, INT64_MAX);
	return run_operation(call, &op, "incr");
}
