/* SPDX-License-Identifier: Apache-2.0 */
#include "mgmt/lab_state.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdlib.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

int lab_state_dir(const struct ctl_call *call, char out[LAB_DIR_BYTES])
{
	const char *option = ctl_args_option(call, "dir");
	const char *dir = option ? option : getenv("CAIRN_LAB_DIR");
	char text[4096], *real, *slash;

	if (dir && *dir)
		snprintf(text, sizeof(text), "%s", dir);
	else
		/* On a disk, not in XDG_RUNTIME_DIR: that is memory, and logs there prove little.
		 */
		snprintf(text, sizeof(text), "/var/tmp/cairn-lab-%u", (unsigned)getuid());
	while (strlen(text) > 1 && text[strlen(text) - 1] == '/')
		text[strlen(text) - 1] = '\0';
	real = realpath(text, NULL);
	if (!real) {
		/* Not there yet: its parent must be. */
		slash = strrchr(text, '/');
		if (slash)
			*slash = '\0';
		real = realpath(!slash ? "." : *text ? text : "/", NULL);
		if (!real)
			return ctl_output_fail(
				CTL_EXIT_USAGE, "CAIRN-0501", "create it, or use another --dir",
				"folder '%s' for the lab: %s", text, strerror(errno));
		dir = slash ? slash + 1 : text;
		snprintf(text, sizeof(text), "%s/%s", strcmp(real, "/") ? real : "", dir);
	} else {
		snprintf(text, sizeof(text), "%s", real);
	}
	free(real);
	if (strlen(text) > 80)
		return ctl_output_fail(
			CTL_EXIT_USAGE, "CAIRN-0502", "use a shorter --dir",
			"lab folder '%s' has %zu bytes, at most 80 fit a socket path", text,
			strlen(text));
	memcpy(out, text, strlen(text) + 1);
	return CTL_EXIT_OK;
}

void lab_state_path(const struct lab *lab, const char *file, char out[LAB_PATH_BYTES])
{
	snprintf(out, LAB_PATH_BYTES, "%s/%s", lab->dir, file);
}

void lab_state_node_path(const struct lab *lab, uint32_t node, const char *file,
			 char out[LAB_PATH_BYTES])
{
	snprintf(out, LAB_PATH_BYTES, "%s/node%u%s%s", lab->dir, node, *file ? "/" : "", file);
}

void lab_state_endpoint(const struct lab *lab, uint32_t node, char out[32])
{
	if (lab->veth)
		snprintf(out, 32, "10.77.0.%u:%u", node + 1, lab->port_base);
	else
		snprintf(out, 32, "127.0.0.1:%u", lab->gateway[node]);
}

const char *lab_state_listen(const struct lab *lab, uint32_t node, char out[32])
{
	uint32_t own = (uint32_t)(lab->cluster >> 8);

	snprintf(out, 32, "127.%u.%u.%u:%u", own >> 8 & 255, own & 255, node + 1, LAB_LISTEN_PORT);
	return out;
}

void lab_state_control(const struct lab *lab, uint32_t node, char out[LAB_PATH_BYTES])
{
	snprintf(out, LAB_PATH_BYTES, "%s/node%u/" CTL_SOCKET_NAME, lab->run, node);
}

int lab_state_make_run(struct lab *lab)
{
	char path[LAB_PATH_BYTES];

	snprintf(lab->run, sizeof(lab->run), "/dev/shm/%s", lab->memif_socket);
	if (mkdir(lab->run, 0700) < 0) {
		snprintf(lab->run, sizeof(lab->run), "%.80s/run", lab->dir);
		if (mkdir(lab->run, 0700) < 0)
			goto failed;
	}
	for (uint32_t i = 0; i < NODES_MAX; i++) {
		snprintf(path, sizeof(path), "%s/node%u", lab->run, i);
		if (mkdir(path, 0700) < 0)
			goto failed;
	}
	return CTL_EXIT_OK;

failed:
	return ctl_output_fail(CTL_EXIT_FAILED, "CAIRN-0503", "make the folder writable",
			       "cannot make '%s': %s", lab->run, strerror(errno));
}

bool lab_state_exists(const char *dir)
{
	char path[LAB_PATH_BYTES];

	snprintf(path, sizeof(path), "%s/lab.json", dir);
	return access(path, F_OK) == 0;
}

static json_t *links_json(const struct lab *lab, json_t *o)
{
	json_t *names = json_array();
	char name[32];

	if (!lab->veth) {
		json_object_set_new(o, "memif_socket", json_string(lab->memif_socket));
		json_object_set_new(o, "memif_client_first", json_integer(lab->ports));
		json_object_set_new(o, "memif_clients", json_integer(LAB_CLIENTS));
		json_decref(names);
		return o;
	}
	for (uint32_t i = 0; i < lab->nodes; i++) {
		snprintf(name, sizeof(name), "cairn-%s-n%u", lab->tag, i);
		json_array_append_new(names, json_string(name));
	}
	snprintf(name, sizeof(name), "cairn-%s", lab->tag);
	json_object_set_new(o, "bridge", json_string(name));
	json_object_set_new(o, "netns", names);
	return o;
}

/* Who takes part, and how fast. */
static void service_json(const struct lab *lab, json_t *o)
{
	json_t *timers = json_object(), *witnesses = json_array(), *ports = json_array();

#define LAB_TIMER(name, value) \
	json_object_set_new(timers, #name, json_integer((json_int_t)lab->timers.name));
	LAB_TIMERS(LAB_TIMER)
#undef LAB_TIMER
	for (uint32_t i = 0; i < NODES_MAX; i++) {
		if (lab->witnesses >> i & 1)
			json_array_append_new(witnesses, json_integer(i));
		if (i < lab->ports)
			json_array_append_new(ports, json_integer(lab->gateway[i]));
	}
	json_object_set_new(o, "engine", json_string(lab->engine));
	json_object_set_new(o, "founders", json_integer(lab->founders));
	json_object_set_new(o, "witnesses", witnesses);
	json_object_set_new(o, "timers", timers);
	json_object_set_new(o, "ports", json_integer(lab->ports));
	json_object_set_new(o, "gateway_ports", ports);
}

json_t *lab_state_json(const struct lab *lab)
{
	json_t *gateway = json_array(), *control = json_array();
	char text[LAB_PATH_BYTES], hex[24];
	json_t *o;

	for (uint32_t i = 0; i < lab->nodes; i++) {
		lab_state_endpoint(lab, i, text);
		json_array_append_new(gateway, json_string(text));
		lab_state_control(lab, i, text);
		json_array_append_new(control, json_string(text));
	}
	snprintf(hex, sizeof(hex), "%016" PRIx64, lab->cluster);
	o = json_pack("{s:s, s:s, s:s, s:s, s:s, s:I, s:I, s:I, s:I}", "schema", "cairn.lab/1",
		      "state", lab->up ? "up" : "starting", "dir", lab->dir, "links",
		      lab->veth ? "veth" : "memif", "tag", lab->tag, "nodes",
		      (json_int_t)lab->nodes, "shards", (json_int_t)lab->shards, "workers",
		      (json_int_t)lab->workers, "port_base", (json_int_t)lab->port_base);
	json_object_set_new(o, "cluster", json_string(hex));
	json_object_set_new(o, "idle", json_string(lab->idle));
	json_object_set_new(o, "hugepages", json_boolean(lab->hugepages));
	json_object_set_new(o, "keys", json_integer((json_int_t)lab->keys));
	json_object_set_new(o, "wal_bytes", json_integer((json_int_t)lab->wal_bytes));
	json_object_set_new(o, "fault", json_string(lab->fault));
	json_object_set_new(o, "run", json_string(lab->run));
	json_object_set_new(o, "control", control);
	json_object_set_new(o, "gateway", gateway);
	service_json(lab, o);
	return links_json(lab, o);
}

int lab_state_save(const struct lab *lab)
{
	char path[LAB_PATH_BYTES], next[LAB_PATH_BYTES];
	json_t *o = lab_state_json(lab);
	int rc;

	lab_state_path(lab, "lab.json", path);
	lab_state_path(lab, "lab.json.next", next);
	rc = json_dump_file(o, next, JSON_INDENT(2));
	json_decref(o);
	if (rc == 0 && rename(next, path) == 0)
		return CTL_EXIT_OK;
	return ctl_output_fail(CTL_EXIT_FAILED, "CAIRN-0503",
			       "make the folder writable, with some room", "cannot write '%s': %s",
			       path, strerror(errno));
}

static void copy_text(const json_t *o, const char *name, char *out, size_t bytes)
{
	const char *text = json_string_value(json_object_get(o, name));

	snprintf(out, bytes, "%s", text ? text : "");
}

static uint64_t number(const json_t *o, const char *name)
{
	json_int_t value = json_integer_value(json_object_get(o, name));

	return value > 0 ? (uint64_t)value : 0;
}

static void service_from_json(const json_t *o, struct lab *lab)
{
	const json_t *timers = json_object_get(o, "timers"), *value;
	size_t i;

	copy_text(o, "engine", lab->engine, sizeof(lab->engine));
#define LAB_TIMER(name, value) lab->timers.name = number(timers, #name);
	LAB_TIMERS(LAB_TIMER)
#undef LAB_TIMER
	lab->founders = (uint32_t)number(o, "founders");
	lab->ports = (uint32_t)number(o, "ports");
	json_array_foreach(json_object_get(o, "witnesses"), i, value)
	{
		lab->witnesses |= 1u << (json_integer_value(value) % NODES_MAX);
	}
	json_array_foreach(json_object_get(o, "gateway_ports"), i, value)
	{
		if (i < NODES_MAX)
			lab->gateway[i] = (uint16_t)json_integer_value(value);
	}
}

/* From lab.json; false when it is not one that this program could have written. */
static bool lab_from_json(const json_t *o, struct lab *lab)
{
	char text[64];

	copy_text(o, "schema", text, sizeof(text));
	if (strcmp(text, "cairn.lab/1") != 0)
		return false;
	copy_text(o, "state", text, sizeof(text));
	lab->up = strcmp(text, "up") == 0;
	copy_text(o, "links", text, sizeof(text));
	lab->veth = strcmp(text, "veth") == 0;
	copy_text(o, "run", lab->run, sizeof(lab->run));
	copy_text(o, "tag", lab->tag, sizeof(lab->tag));
	copy_text(o, "memif_socket", lab->memif_socket, sizeof(lab->memif_socket));
	copy_text(o, "idle", lab->idle, sizeof(lab->idle));
	copy_text(o, "fault", lab->fault, sizeof(lab->fault));
	copy_text(o, "cluster", text, sizeof(text));
	lab->cluster = strtoull(text, NULL, 16);
	lab->nodes = (uint32_t)number(o, "nodes");
	lab->shards = (uint32_t)number(o, "shards");
	lab->workers = (uint32_t)number(o, "workers");
	lab->port_base = (uint16_t)number(o, "port_base");
	lab->hugepages = json_is_true(json_object_get(o, "hugepages"));
	lab->keys = number(o, "keys");
	lab->wal_bytes = number(o, "wal_bytes");
	service_from_json(o, lab);
	return lab->nodes >= 1 && lab->nodes <= NODES_MAX && lab->ports >= lab->nodes &&
	       lab->ports <= NODES_MAX && lab->founders >= 1;
}

int lab_state_load(const char *dir, bool quiet, struct lab *ret_lab)
{
	char path[LAB_PATH_BYTES];
	struct stat st = { 0 };
	json_error_t parse;
	json_t *o;
	bool good;

	snprintf(path, sizeof(path), "%s/lab.json", dir);
	if (access(path, F_OK) < 0) {
		if (quiet)
			return CTL_EXIT_NOT_FOUND;
		return ctl_output_fail(CTL_EXIT_NOT_FOUND, "CAIRN-0504",
				       "cairnctl lab up, or name the lab's folder with --dir",
				       "there is no lab in '%s'", dir);
	}
	if (stat(dir, &st) < 0 || (geteuid() != 0 && st.st_uid != geteuid()))
		return ctl_output_fail(CTL_EXIT_DENIED, "CAIRN-0526", "use a --dir of your own",
				       "the lab in '%s' belongs to user %u", dir,
				       (unsigned)st.st_uid);
	memset(ret_lab, 0, sizeof(*ret_lab));
	o = json_load_file(path, 0, &parse);
	good = o && lab_from_json(o, ret_lab);
	json_decref(o);
	if (!good)
		return ctl_output_fail(CTL_EXIT_FAILED, "CAIRN-0505",
				       "remove the folder if nothing in it is needed",
				       "'%s' is not the file of a lab: %s", path,
				       o ? "fields are missing" : parse.text);
	snprintf(ret_lab->dir, sizeof(ret_lab->dir), "%s", dir);
	return CTL_EXIT_OK;
}

int lab_state_lock(const char *dir)
{
	struct stat held, named;
	int fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	if (fd < 0)
		return ctl_output_fail(errno == EACCES ? CTL_EXIT_DENIED : CTL_EXIT_FAILED,
				       "CAIRN-0503", "use a folder that is this user's own",
				       "cannot open '%s': %s", dir, strerror(errno));
	/* It may have been removed, and made anew, while we were on the way to its lock. */
	if (flock(fd, LOCK_EX | LOCK_NB) == 0 && fstat(fd, &held) == 0 && stat(dir, &named) == 0 &&
	    held.st_dev == named.st_dev && held.st_ino == named.st_ino)
		return CTL_EXIT_OK; /* held, on purpose, until this process ends */
	close(fd);
	return ctl_output_fail(CTL_EXIT_CONFLICT, "CAIRN-0506", "wait for it to end",
			       "another cairnctl is changing the lab in '%s'", dir);
}
