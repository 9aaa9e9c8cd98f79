/* SPDX-License-Identifier: Apache-2.0 */
#include "perf/floor.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "perf/cairn_bench.h"
#include "perf/floor_priv.h"
#include "perf/target.h"

#define RESEND_NS  100000000u
#define GIVE_UP_NS 10000000000ull

void floor_send(struct netdev *net, uint32_t from, uint32_t to, uint32_t payload_bytes,
		const struct floor_message *m)
{
	struct frame_addr source = target_node_addr(from, FLOOR_PORT);
	struct frame_addr dest = target_node_addr(to, FLOOR_PORT);
	struct netdev_buf buf;
	uint8_t *p;

	if (!netdev_alloc(net, &buf))
		return;
	p = buf.data + FRAME_HEADERS_BYTES;
	memset(p, 0, payload_bytes);
	store_u32(p, FLOOR_MAGIC);
	store_u32(p + 4, (uint32_t)m->type);
	store_u64(p + 8, m->seq);
	buf.bytes = frame_udp_finish(buf.data, payload_bytes, &source, &dest);
	netdev_send(net, &buf, 1);
}

bool floor_receive(const struct netdev_buf *buf, uint32_t self, struct floor_message *ret_message)
{
	struct frame_addr us = target_node_addr(self, FLOOR_PORT);
	struct frame_info info;

	if (frame_parse(buf->data, buf->bytes, &us, &info) != FRAME_UDP ||
	    info.payload_bytes < FLOOR_HEAD_BYTES || load_u32(info.payload) != FLOOR_MAGIC)
		return false;
	ret_message->type = (enum floor_type)load_u32(info.payload + 4);
	ret_message->seq = load_u64(info.payload + 8);
	ret_message->from = info.source.ip - TARGET_NETWORK - 1;
	return true;
}

/* Runs this very program again with a hidden command; it must not outlive us. */
static pid_t spawn(char *const argv[])
{
	pid_t parent = getpid(), pid = fork();

	if (pid != 0)
		return pid;
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (getppid() == parent)
		execv("/proc/self/exe", argv);
	_exit(127);
}

int floor_start(struct floor *f, const char *dir, uint32_t value_bytes, enum idle_policy idle)
{
	char bytes[16], id[FLOOR_NODES][4], *name = (char *)(uintptr_t)idle_policy_name(idle);

	*f = (struct floor) { .idle = idle, .payload_bytes = FLOOR_OVERHEAD_BYTES + value_bytes };
	snprintf(f->socket, sizeof(f->socket), "cairn-floor-%d", (int)getpid());
	snprintf(f->device, sizeof(f->device), "memif:%s:%u", f->socket, FLOOR_CLIENT);
	snprintf(bytes, sizeof(bytes), "%u", f->payload_bytes);
	f->pid[FLOOR_NODES] =
		spawn((char *const[]) { "cairn-bench", "floor-switch", f->socket, name, NULL });
	for (uint32_t i = 0; i < FLOOR_NODES; i++) {
		snprintf(id[i], sizeof(id[i]), "%u", i);
		if (snprintf(f->path[i], sizeof(f->path[i]), "%s/cairn-floor-%d-%u", dir,
			     (int)getpid(), i) >= (int)sizeof(f->path[i]))
			return bench_fail(-ENAMETOOLONG, "--dir '%s': too long", dir);
		f->pid[i] = spawn((char *const[]) { "cairn-bench", "floor-node", f->socket, name,
						    id[i], f->path[i], bytes, NULL });
	}
	for (uint32_t i = 0; i < FLOOR_PROCESSES; i++)
		if (f->pid[i] < 0)
			return bench_fail(-EAGAIN, "cannot start the processes of the floor");
	return 0;
}

void floor_stop(struct floor *f)
{
	for (uint32_t i = 0; i < FLOOR_PROCESSES; i++)
		if (f->pid[i] > 0)
			kill(f->pid[i], SIGKILL);
	for (uint32_t i = 0; i < FLOOR_PROCESSES; i++)
		if (f->pid[i] > 0)
			waitpid(f->pid[i], NULL, 0);
	for (uint32_t i = 0; i < FLOOR_NODES; i++)
		if (f->path[i][0])
			unlink(f->path[i]);
	*f = (struct floor) { 0 };
}

/* The process that has ended, or 0: all are alive. */
void floor_pause(struct floor *f, bool pause)
{
	for (uint32_t i = 0; i < FLOOR_PROCESSES; i++)
		if (f->pid[i] > 0)
			kill(f->pid[i], pause ? SIGSTOP : SIGCONT);
}

static pid_t dead_process(struct floor *f)
{
	for (uint32_t i = 0; i < FLOOR_PROCESSES; i++) {
		pid_t pid = f->pid[i];

		if (pid > 0 && waitpid(pid, NULL, WNOHANG) == pid) {
			f->pid[i] = 0;
			return pid;
		}
	}
	return 0;
}

/* Takes what has arrived; true: the answer to the current request was there. */
static bool take_answer(struct floor *f, uint64_t now_ns)
{
	struct netdev_buf bufs[NETDEV_BURST];
	uint32_t n = netdev_receive(f->net, bufs, NETDEV_BURST);
	bool answered = false;

	for (uint32_t i = 0; i < n; i++) {
		struct floor_message m;

		if (floor_receive(&bufs[i], FLOOR_CLIENT, &m))
			answered |= m.type == FLOOR_DONE && m.seq == f->seq;
	}
	if (n > 0)
		netdev_free(f->net, bufs, n);
	if (now_ns >= f->maintain_ns) {
		netdev_maintain(f->net, now_ns);
		f->maintain_ns = now_ns + FLOOR_MAINTAIN_NS;
	}
	return answered;
}

/* One request; its latency in *ret_ns. */
static int request(struct floor *f, struct idle *idle, uint64_t *ret_ns)
{
	struct floor_message m = { .type = FLOOR_REQUEST, .seq = ++f->seq };
	uint64_t start_ns = idle_clock_ns(), now_ns = start_ns, resend_ns = start_ns + RESEND_NS;

	floor_send(f->net, FLOOR_CLIENT, 0, f->payload_bytes, &m);
	idle_reset(idle);
	while (!take_answer(f, now_ns)) {
		if (now_ns > resend_ns) {
			if (now_ns > start_ns + GIVE_UP_NS || dead_process(f))
				return bench_fail(-ETIMEDOUT,
						  "the floor's processes do not answer");
			floor_send(f->net, FLOOR_CLIENT, 0, f->payload_bytes, &m);
			resend_ns = now_ns + RESEND_NS;
			f->resent++;
		}
		idle_wait(idle, now_ns, f->maintain_ns);
		now_ns = idle_clock_ns();
	}
	*ret_ns = idle_clock_ns() - start_ns;
	return 0;
}

int floor_connect(struct floor *f)
{
	struct frame_addr self = target_node_addr(FLOOR_CLIENT, FLOOR_PORT);
	struct netdev_dpdk_port config = { .device = f->device, .queue_count = 1 };
	struct netdev_error error;
	struct histogram ignored;
	int rc;

	memcpy(config.mac, self.mac, sizeof(config.mac));
	rc = netdev_dpdk_open(&config, &f->net, &error);
	if (rc < 0)
		return bench_fail(rc, "%s", error.text);
	histogram_init(&ignored);
	rc = floor_run(f, 0, &ignored);
	f->resent = 0; /* links were still coming up */
	return rc;
}

int floor_run(struct floor *f, double secs, struct histogram *h)
{
	uint64_t end_ns = idle_clock_ns() + (uint64_t)(secs * 1e9), latency_ns = 0;
	struct idle idle;
	int rc;

	idle_init(&idle, f->idle);
	do {
		rc = request(f, &idle, &latency_ns);
		if (rc < 0)
			return rc;
		histogram_record(h, latency_ns);
	} while (idle_clock_ns() < end_ns);
	return 0;
}
