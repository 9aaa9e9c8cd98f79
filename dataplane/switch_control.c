/* SPDX-License-Identifier: Apache-2.0 */
#include "dataplane/switch_control.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

struct switch_peer {
	int fd;
	uint32_t used;
	char line[SWITCH_CONTROL_LINE];
};

struct switch_control {
	int fd;
	uint64_t check_ns;
	struct sockaddr_un address;
	struct switch_peer peer[SWITCH_CONTROL_PEERS];
};

__attribute__((format(printf, 2, 3))) static int refuse(char *reply, const char *format, ...)
{
	va_list args;
	int n = snprintf(reply, SWITCH_CONTROL_REPLY, "error ");

	va_start(args, format);
	vsnprintf(reply + n, SWITCH_CONTROL_REPLY - (size_t)n, format, args);
	va_end(args);
	return -EINVAL;
}

/* "0,3" up to `end` -> a bit set. false: not numbers, or no such port. */
static bool parse_ports(const char *s, const char *end, uint32_t ports, uint64_t *ret_set)
{
	uint64_t set = 0;

	for (;;) {
		char *after;

		if (s >= end || *s < '0' || *s > '9')
			return false;
		unsigned long port = strtoul(s, &after, 10);

		if (port >= ports)
			return false;
		set |= 1ull << port;
		if (after == end)
			break;
		if (*after != ',')
			return false;
		s = after + 1;
	}
	*ret_set = set;
	return true;
}

static int run_partition(struct switch_plane *sw, const char *text, char *reply)
{
	struct switch_fault *fault = switch_faults(sw);
	uint64_t group[SWITCH_FAULT_PORTS], seen = 0;
	uint32_t count = 0;
	const char *s = text;

	for (;;) {
		const char *end = strchrnul(s, '|');

		if (count == SWITCH_FAULT_PORTS ||
		    !parse_ports(s, end, switch_port_count(sw), &group[count]))
			return refuse(reply, "partition '%.*s': port numbers 0 to %u, as in 0|1,2",
				      (int)(end - s), s, switch_port_count(sw) - 1);
		if (seen & group[count])
			return refuse(reply, "partition '%s': a port is in two groups", text);
		seen |= group[count++];
		if (!*end)
			break;
		s = end + 1;
	}
	if (count < 2)
		return refuse(reply, "partition '%s': two groups at least, as in 0|1,2", text);
	switch_fault_heal(fault);
	for (uint32_t i = 0; i < count; i++)
		switch_fault_block(fault, group[i], seen & ~group[i]);
	snprintf(reply, SWITCH_CONTROL_REPLY, "ok partition %s", text);
	return 0;
}

static int run_block(struct switch_plane *sw, const char *text, char *reply)
{
	const char *arrow = strchr(text, '>');
	uint64_t from, to;

	if (!arrow || !parse_ports(text, arrow, switch_port_count(sw), &from) ||
	    !parse_ports(arrow + 1, text + strlen(text), switch_port_count(sw), &to))
		return refuse(reply, "block '%s': port numbers 0 to %u, as in 0>1,2", text,
			      switch_port_count(sw) - 1);
	switch_fault_block(switch_faults(sw), from, to);
	snprintf(reply, SWITCH_CONTROL_REPLY, "ok block %s", text);
	return 0;
}

static int run_fault(struct switch_plane *sw, const char *text, char *reply)
{
	struct switch_fault_spec spec;
	const char *bad;
	uint32_t bad_bytes;

	if (strcmp(text, "off") == 0) {
		switch_fault_off(switch_faults(sw));
		snprintf(reply, SWITCH_CONTROL_REPLY, "ok fault off");
		return 0;
	}
	if (!text[0] || switch_fault_parse(text, &spec, &bad, &bad_bytes) < 0)
		return refuse(reply,
			      "fault '%.*s': use off, or seed=N drop=P%% dup=P%% delay=P%% "
			      "hold=MIN-MAX corrupt=P%% truncate=P%% replay=P%%",
			      text[0] ? (int)bad_bytes : 0, text[0] ? bad : text);
	switch_fault_set(switch_faults(sw), &spec);
	snprintf(reply, SWITCH_CONTROL_REPLY, "ok fault %s", text);
	return 0;
}

static int run_stats(struct switch_plane *sw, char *reply)
{
	const struct switch_counters *c = switch_counters(sw);
	const struct switch_fault_counters *f = &switch_faults(sw)->counters;
	const struct {
		const char *name;
		uint64_t value;
	} list[] = {
		{ "ports", switch_port_count(sw) },
		{ "rx_frames", c->rx_frames },
		{ "tx_frames", c->tx_frames },
		{ "dropped", c->dropped },
		{ "flooded", c->flooded },
		{ "no_buffer", c->no_buffer },
		{ "moved", c->moved },
		{ "held_full", c->held_full },
		{ "fault_drop", f->dropped },
		{ "fault_dup", f->duplicated },
		{ "fault_delay", f->delayed },
		{ "fault_corrupt", f->corrupted },
		{ "fault_truncate", f->truncated },
		{ "fault_replay", f->replayed },
		{ "fault_partition", f->partitioned },
	};
	int n = snprintf(reply, SWITCH_CONTROL_REPLY, "ok");

	for (size_t i = 0; i < ARRAY_LEN(list); i++)
		n += snprintf(reply + n, SWITCH_CONTROL_REPLY - (size_t)n, " %s=%llu", list[i].name,
			      (unsigned long long)list[i].value);
	n += snprintf(reply + n, SWITCH_CONTROL_REPLY - (size_t)n, " up=");
	for (uint32_t port = 0; port < switch_port_count(sw); port++)
		n += snprintf(reply + n, SWITCH_CONTROL_REPLY - (size_t)n, "%d",
			      switch_port_up(sw, port));
	return 0;
}

int switch_control_run(struct switch_plane *sw, const char *line, char *reply)
{
	if (strncmp(line, "fault ", 6) == 0)
		return run_fault(sw, line + 6, reply);
	if (strncmp(line, "partition ", 10) == 0)
		return run_partition(sw, line + 10, reply);
	if (strncmp(line, "block ", 6) == 0)
		return run_block(sw, line + 6, reply);
	if (strcmp(line, "stats") == 0)
		return run_stats(sw, reply);
	if (strcmp(line, "heal") != 0)
		return refuse(reply, "'%.60s': commands are fault, partition, block, heal, stats",
			      line);
	switch_fault_heal(switch_faults(sw));
	snprintf(reply, SWITCH_CONTROL_REPLY, "ok heal");
	return 0;
}

/* ---- the socket ---- */

/* Somebody listens at the address: then it must stay. A file without a listener may go. */
static bool answered(const struct sockaddr_un *address)
{
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

	if (fd < 0)
		return true;
	int r = connect(fd, (const struct sockaddr *)address, sizeof(*address));
	bool alive = r == 0 || errno != ECONNREFUSED;

	close(fd);
	return alive;
}

static int listen_at(struct switch_control *c)
{
	const struct sockaddr *address = (const struct sockaddr *)&c->address;
	struct stat st;

	c->fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (c->fd < 0)
		return -errno;
	if (stat(c->address.sun_path, &st) == 0 && S_ISSOCK(st.st_mode) && !answered(&c->address))
		(void)unlink(c->address.sun_path);
	if (bind(c->fd, address, sizeof(c->address)) != 0)
		return -errno;
	if (chmod(c->address.sun_path, 0600) != 0 || listen(c->fd, 8) != 0) {
		int r = -errno;

		(void)unlink(c->address.sun_path);
		return r;
	}
	return 0;
}

uint64_t switch_control_size(void)
{
	return sizeof(struct switch_control);
}

int switch_control_open(void *mem, const char *path, struct switch_control **ret_control,
			struct netdev_error *ret_error)
{
	struct switch_control *c = mem;
	size_t n = strlen(path) + 1;
	int r = -ENAMETOOLONG;

	memset(c, 0, sizeof(*c));
	c->fd = -1;
	for (uint32_t i = 0; i < SWITCH_CONTROL_PEERS; i++)
		c->peer[i].fd = -1;
	c->address.sun_family = AF_UNIX;
	if (n <= sizeof(c->address.sun_path)) {
		memcpy(c->address.sun_path, path, n);
		r = listen_at(c);
	}
	if (r == 0) {
		*ret_control = c;
		return 0;
	}
	ret_error->code = r;
	snprintf(ret_error->text, sizeof(ret_error->text), "cannot listen at %.120s: %s", path,
		 r == -EADDRINUSE ? "a running switch answers there, or it is no socket file"
				  : strerror(-r));
	if (c->fd >= 0)
		close(c->fd);
	return r;
}

static void peer_close(struct switch_peer *peer)
{
	close(peer->fd);
	peer->fd = -1;
}

/* Replies are short and a peer asks one thing at a time: one that does not take them is dropped. */
static bool peer_answer(struct switch_peer *peer, struct switch_plane *sw, const char *line)
{
	char reply[SWITCH_CONTROL_REPLY + 1];

	(void)switch_control_run(sw, line, reply);
	size_t n = strlen(reply);

	reply[n++] = '\n';
	return send(peer->fd, reply, n, MSG_DONTWAIT | MSG_NOSIGNAL) == (ssize_t)n;
}

/* Serves whole lines; false: the connection is over. */
static bool peer_serve(struct switch_peer *peer, struct switch_plane *sw)
{
	ssize_t n = recv(peer->fd, peer->line + peer->used, sizeof(peer->line) - peer->used,
			 MSG_DONTWAIT);

	if (n < 0)
		return errno == EAGAIN || errno == EINTR;
	if (n == 0)
		return false;
	peer->used += (uint32_t)n;
	char *newline;

	while ((newline = memchr(peer->line, '\n', peer->used))) {
		uint32_t taken = (uint32_t)(newline - peer->line) + 1;

		*newline = 0;
		if (!peer_answer(peer, sw, peer->line))
			return false;
		peer->used -= taken;
		memmove(peer->line, peer->line + taken, peer->used);
	}
	return peer->used < sizeof(peer->line); /* a line that long is no command */
}

void switch_control_poll(struct switch_control *c, struct switch_plane *sw, uint64_t now_ns)
{
	if (now_ns < c->check_ns)
		return;
	c->check_ns = now_ns + SWITCH_CONTROL_NS;
	for (uint32_t i = 0; i < SWITCH_CONTROL_PEERS; i++) {
		struct switch_peer *peer = &c->peer[i];

		if (peer->fd < 0) {
			peer->fd = accept4(c->fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
			peer->used = 0;
			if (peer->fd < 0)
				break; /* nobody waits; peers further on are looked at below */
		}
	}
	for (uint32_t i = 0; i < SWITCH_CONTROL_PEERS; i++)
		if (c->peer[i].fd >= 0 && !peer_serve(&c->peer[i], sw))
			peer_close(&c->peer[i]);
}

void switch_control_close(struct switch_control *c)
{
	for (uint32_t i = 0; i < SWITCH_CONTROL_PEERS; i++)
		if (c->peer[i].fd >= 0)
			peer_close(&c->peer[i]);
	close(c->fd);
	(void)unlink(c->address.sun_path);
}
