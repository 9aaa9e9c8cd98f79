/* SPDX-License-Identifier: Apache-2.0 */
/* poller.h: the thread around a worker: reads the clock, polls, idles. */
#ifndef CAIRN_DATAPLANE_POLLER_H
#define CAIRN_DATAPLANE_POLLER_H

#include <stdatomic.h>

#include "dataplane/idle.h"

struct worker;

struct poller {
	struct worker *worker;
	const atomic_bool *stop; /* any thread (or a signal handler) sets it */
	enum idle_policy policy;
	int core;	  /* CPU to pin to; negative: wherever the scheduler likes */
	struct idle idle; /* the poller's own; read it after the run */
};

/*
 * poller_run: polls the worker in the calling thread until *stop. 0, or -EINVAL when the core does
 * not exist or is not allowed to this process (nothing was polled).
 */
int poller_run(struct poller *poller);

#endif
