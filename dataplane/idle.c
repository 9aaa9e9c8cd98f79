/* SPDX-License-Identifier: Apache-2.0 */
#include "dataplane/idle.h"

#include <sched.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <time.h>

bool idle_policy_parse(const char *text, enum idle_policy *ret_policy)
{
	if (strcmp(text, "spin") == 0)
		*ret_policy = IDLE_SPIN;
	else if (strcmp(text, "adaptive") == 0)
		*ret_policy = IDLE_ADAPTIVE;
	else
		return false;
	return true;
}

const char *idle_policy_name(enum idle_policy policy)
{
	return policy == IDLE_SPIN ? "spin" : "adaptive";
}

uint64_t idle_clock_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

void idle_init(struct idle *idle, enum idle_policy policy)
{
	*idle = (struct idle) { .policy = policy };
	if (policy == IDLE_ADAPTIVE)
		(void)prctl(PR_SET_TIMERSLACK, 1ul); /* only costs time when refused */
}

/* Tells the core that we are waiting, so that its other hardware thread gets more of it. */
static inline void relax(void)
{
#if defined(__x86_64__)
	__builtin_ia32_pause();
#elif defined(__aarch64__)
	__asm__ volatile("yield");
#endif
}

/* may_return: the right to come back from SCHED_IDLE is the right to a better nice value. */
static bool may_return(void)
{
	int nice = getpriority(PRIO_PROCESS, 0);

	if (setpriority(PRIO_PROCESS, 0, nice - 1) < 0)
		return false;
	return setpriority(PRIO_PROCESS, 0, nice) == 0;
}

void idle_background(struct idle *idle, bool on)
{
	const struct sched_param none = { 0 };

	if (on && idle->policy == IDLE_ADAPTIVE && idle->background_ns == 0 &&
	    sched_getscheduler(0) == SCHED_OTHER && may_return() &&
	    sched_setscheduler(0, SCHED_IDLE, &none) == 0)
		idle->background_ns = idle_clock_ns();
	if (!on && idle->background_ns != 0) {
		(void)sched_setscheduler(0, SCHED_OTHER, &none);
		idle->background_ns = 0;
	}
}

/*
 * A sleep and no yield: who yields beside one who does not loses the rest of his slice each time,
 * and was left with 3 % of the core.
 */
void idle_busy(struct idle *idle)
{
	const struct timespec moment = { .tv_nsec = IDLE_PAUSE_NS };

	if (idle->policy != IDLE_ADAPTIVE || idle_clock_ns() - idle->given_ns < IDLE_BUSY_NS)
		return;
	idle->sleeps++;
	nanosleep(&moment, NULL);
	idle->given_ns = idle_clock_ns();
	if (idle->background_ns != 0 && idle->given_ns - idle->background_ns > IDLE_BACKGROUND_NS)
		idle_background(idle, false);
}

/*
 * Yielding first costs nothing when the core is ours and lets the peer run when it is not: pausing
 * on a shared core would keep away the very process that we are waiting for.
 */
void idle_wait(struct idle *idle, uint64_t now_ns, uint64_t deadline_ns)
{
	idle->rounds++;
	if (idle->policy == IDLE_SPIN) {
		relax();
		return;
	}
	uint64_t left = deadline_ns > now_ns ? deadline_ns - now_ns : 0;

	if (idle->empty_rounds == 0)
		idle->since_ns = now_ns;
	if (idle->empty_rounds < IDLE_YIELDS || now_ns - idle->since_ns < IDLE_HOT_NS ||
	    left < IDLE_SLEEP_MIN_NS) {
		idle->empty_rounds++;
		sched_yield();
		return;
	}
	uint64_t sleep_ns = (now_ns - idle->since_ns) / IDLE_SLEEP_SHARE;

	sleep_ns = min_u64(max_u64(sleep_ns, IDLE_SLEEP_NS), IDLE_SLEEP_MAX_NS);
	struct timespec step = { .tv_nsec = (long)min_u64(left, sleep_ns) };

	idle->sleeps++;
	nanosleep(&step, NULL);
}
