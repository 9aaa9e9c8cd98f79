/* SPDX-License-Identifier: Apache-2.0 */
/*
 * supervise.h: keeps one dataplane process running. It is started in a session of its own, so that
 * it outlives the supervisor; a supervisor that starts later finds it by its lock file and
 * attaches. Time is a parameter; the caller polls supervisor.pidfd for input, which means the
 * process ended.
 *
 *                start            died (back-off)
 *      STOPPED ----------> RUNNING <-----------> WAITING
 *         ^                 |    |                  |
 *         |  ended     stop |    | quick deaths     | too many, or a start error
 *         +---- STOPPING <--+    +----> FAILED <----+     that waiting cannot cure
 *
 * A process that ends because its cluster left it out (CTL_FILE_RESTART) has not died: it is
 * started again at once, unless it does that all the time.
 */
#ifndef CAIRN_MGMT_SUPERVISE_H
#define CAIRN_MGMT_SUPERVISE_H

#include <stdbool.h>

#include "mgmt/config.h"

#define SUPERVISE_QUICK_NS	 10000000000ull /* a process that ends sooner died quickly */
#define SUPERVISE_QUICK_MAX	 5u		/* quick deaths in a row until FAILED */
#define SUPERVISE_BACKOFF_NS	 200000000ull	/* first pause; doubles */
#define SUPERVISE_BACKOFF_MAX_NS 5000000000ull
#define SUPERVISE_RETURN_NS	 1000000000ull /* left out again sooner: pause like after a death */
#define SUPERVISE_STOP_NS	 10000000000ull /* patience before SIGKILL */

enum supervisor_state {
	SUPERVISOR_STOPPED,
	SUPERVISOR_RUNNING,
	SUPERVISOR_WAITING, /* died; will be started again at deadline_ns */
	SUPERVISOR_STOPPING,
	SUPERVISOR_FAILED,
};

struct supervisor {
	const struct config *config;
	char program[CONFIG_PATH_BYTES]; /* cairn-dataplane */
	enum supervisor_state state;
	bool attached;	   /* not our child: it was running when we came */
	bool start_again;  /* STOPPING is the first half of a restart */
	int pid, pidfd;	   /* 0, -1: none */
	uint32_t restarts; /* unexpected deaths followed by a start */
	uint32_t returns;  /* starts because the cluster had left it out */
	bool returning;	   /* WAITING for that reason */
	uint32_t quick_deaths;
	uint64_t return_ns; /* when it last ended for that */
	uint64_t started_ns;
	uint64_t deadline_ns;	/* UINT64_MAX: none */
	struct problem failure; /* why it died last; id NONE: it did not */
};

/* supervise_init: program "": cairn-dataplane beside our own binary. */
void supervise_init(struct supervisor *s, const struct config *config, const char *program);

/* supervise_attach: true when a dataplane of this node runs; it is ours from now on. */
bool supervise_attach(struct supervisor *s, uint64_t now_ns);

/* supervise_start: 0, also when it runs already; -EINVAL and failure filled. Clears FAILED. */
int supervise_start(struct supervisor *s, uint64_t now_ns);

/* supervise_stop, supervise_restart: ask; the end shows on pidfd. */
void supervise_stop(struct supervisor *s, uint64_t now_ns);
int supervise_restart(struct supervisor *s, uint64_t now_ns);

/*
 * supervise_ended: pidfd became readable. true: the process that was watched has surely ended, all
 * its threads too, and was reaped if it was a child; another may have been started.
 */
bool supervise_ended(struct supervisor *s, uint64_t now_ns);

/* supervise_tick: call at deadline_ns or later; earlier does nothing. */
void supervise_tick(struct supervisor *s, uint64_t now_ns);

/* supervise_state_name: one of the words of ctl_proto.h for states without a live dataplane. */
const char *supervise_state_name(enum supervisor_state state);

#endif
