/* SPDX-License-Identifier: Apache-2.0 */
/*
 * wheel.h: timers of the client core: a hashed wheel over numbered timers (0..count-1), each armed
 * for one moment or not at all. Arming, moving and disarming cost a few instructions; finding what
 * expired costs nothing while nothing can have expired. Exact: a timer is due at its moment, not
 * at the next slot. Memory of the timers is the caller's. One thread.
 */
#ifndef CAIRN_DATAPLANE_CLIENT_WHEEL_H
#define CAIRN_DATAPLANE_CLIENT_WHEEL_H

#include "replication/base.h"

#define WHEEL_SLOTS 256u
#define WHEEL_NONE UINT32_MAX

struct wheel_timer {
	uint64_t at_ns;
	uint32_t next, prev;
	uint32_t slot; /* WHEEL_NONE: not armed; WHEEL_SLOTS: due, not yet taken */
};

struct wheel {
	uint64_t slot_ns;	 /* width of a slot */
	uint64_t cursor;	 /* slot number (not modulo); earlier ones were looked at */
	uint64_t soonest_ns;	 /* nothing is due before this */
	uint64_t occupied[WHEEL_SLOTS / 64];
	uint32_t head[WHEEL_SLOTS + 1]; /* the last one: due */
	struct wheel_timer *timers;
	uint32_t count;
};

/* wheel_init: all timers disarmed. slot_ns >= 1: about a quarter of the usual waiting time. */
void wheel_init(struct wheel *w, struct wheel_timer *timers, uint32_t count, uint64_t slot_ns);

/* wheel_arm: (re)arms a timer. wheel_disarm: no effect on a timer that is not armed. */
void wheel_arm(struct wheel *w, uint32_t timer, uint64_t at_ns);
void wheel_disarm(struct wheel *w, uint32_t timer);

/* wheel_collect: makes everything armed for now_ns or earlier due. now_ns never goes back. */
void wheel_collect(struct wheel *w, uint64_t now_ns);

/* wheel_take: takes a due timer (it is disarmed then); WHEEL_NONE when there is none. */
uint32_t wheel_take(struct wheel *w);

/* wheel_soonest_ns: no timer is due earlier; may be early itself. UINT64_MAX: nothing is armed. */
uint64_t wheel_soonest_ns(const struct wheel *w);

#endif
