/* SPDX-License-Identifier: Apache-2.0 */
/*
 * idle.h: what a polling thread does when there is nothing to do. Shared by the worker's thread,
 * the switch and the load generator.
 *
 *   spin      never gives the core away: for a core of its own. More spinners than cores cost a
 *             scheduler tick (4 ms) a step.
 *   adaptive  after work stay hot with sched_yield for as long as a durable write may take, then
 *             sleep: a sixteenth of the time it has been idle, so that waking late costs a
 *             sixteenth at most and a node nobody uses costs little; never past the next deadline.
 */
#ifndef CAIRN_DATAPLANE_IDLE_H
#define CAIRN_DATAPLANE_IDLE_H

#include "replication/base.h"

enum idle_policy {
	IDLE_SPIN = 0,
	IDLE_ADAPTIVE = 1,
};

/* One constant set: measured on two shared cores, see docs/architecture.md. */
#define IDLE_YIELDS	  64u	 /* empty rounds that only yield */
#define IDLE_HOT_NS	  300000u /* yield for this long at least: a slow durable write */
#define IDLE_SLEEP_NS	  15000u /* the shortest sleep */
#define IDLE_SLEEP_MAX_NS 250000u /* the longest */
#define IDLE_SLEEP_SHARE  16u	 /* sleep this part of the idle time so far */
#define IDLE_SLEEP_MIN_NS 2000u	 /* a deadline nearer than this: yield instead */
#define IDLE_BUSY_NS	  100000u /* long work without a pause */
#define IDLE_PAUSE_NS	  100000u /* and the pause, which leaves a shared core to others */
#define IDLE_BACKGROUND_NS 10000000000u /* who has not got on by then takes its share again */

struct idle {
	enum idle_policy policy;
	uint32_t empty_rounds; /* since the last round that did something */
	uint64_t since_ns;     /* of the first of them */
	uint64_t given_ns;     /* when idle_busy last offered the core to others */
	uint64_t rounds;       /* idle_wait calls */
	uint64_t sleeps;
	uint64_t background_ns; /* in the background since; 0: it is not */
};

/* idle_policy_parse: "spin" or "adaptive". false: neither. */
bool idle_policy_parse(const char *text, enum idle_policy *ret_policy);
const char *idle_policy_name(enum idle_policy policy);

/*
 * idle_init: also sets the calling thread's timer slack to 1 ns, without which a short sleep takes
 * 65 us: call it in the thread that will wait.
 */
void idle_init(struct idle *idle, enum idle_policy policy);

/* idle_reset: after a round that did something. */
static inline void idle_reset(struct idle *idle)
{
	idle->empty_rounds = 0;
}

/*
 * idle_busy: now and then in the course of long work, such as recovery: after each IDLE_BUSY_NS a
 * shared core is left to others for IDLE_PAUSE_NS. Those who poll there would else wait for the
 * scheduler's tick. Not for the polling itself. In the background, too: the kernel
 * does not take the core from long system calls.
 */
void idle_busy(struct idle *idle);

/*
 * idle_background: from now on the calling thread runs only where nobody else wants the core
 * (SCHED_IDLE); false: as before again. For the long work of a start on shared cores: one that is
 * woken takes the core from it at once. Does nothing for a thread that the kernel would not let
 * come back (CAP_SYS_NICE, RLIMIT_NICE), or that has another scheduling class.
 */
void idle_background(struct idle *idle, bool on);

/*
 * idle_wait: after an empty round. deadline_ns: when the caller has something to do by itself, on
 * the clock of now_ns (CLOCK_MONOTONIC).
 */
void idle_wait(struct idle *idle, uint64_t now_ns, uint64_t deadline_ns);

/* idle_clock_ns: the polling thread's clock; one call a round. */
uint64_t idle_clock_ns(void);

#endif
