/* SPDX-License-Identifier: Apache-2.0 */
#include "dataplane/poller.h"

#include <errno.h>
#include <sched.h>

#include "dataplane/worker.h"

static int pin_to(int core)
{
	cpu_set_t set;

	if (core >= CPU_SETSIZE)
		return -EINVAL;
	CPU_ZERO(&set);
	CPU_SET(core, &set);
	return sched_setaffinity(0, sizeof(set), &set) == 0 ? 0 : -EINVAL;
}

int poller_run(struct poller *p)
{
	if (p->core >= 0) {
		int r = pin_to(p->core);

		if (r < 0)
			return r;
	}
	idle_init(&p->idle, p->policy);
	while (!atomic_load_explicit(p->stop, memory_order_relaxed)) {
		uint64_t now_ns = idle_clock_ns();

		if (worker_poll(p->worker, now_ns) > 0)
			idle_reset(&p->idle);
		else
			idle_wait(&p->idle, now_ns, worker_deadline_ns(p->worker));
	}
	return 0;
}
