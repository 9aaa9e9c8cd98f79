/* SPDX-License-Identifier: Apache-2.0 */
/*
 * script.h: a run as a list of decisions: what the clients asked for, what went wrong with which
 * frame, which node crashed when. A run from a seed can be recorded as one; a script can be run in
 * place of the draws, with any of its events left out; and it can be kept in a file (a trace).
 * What a script does not hold comes from streams that its events do not touch: delays of frames
 * (by link and number on the link), latencies of disks, moods of the view authority.
 */
#ifndef CAIRN_TESTS_SIM_SCRIPT_H
#define CAIRN_TESTS_SIM_SCRIPT_H

#include <stdio.h>

#include "tests/sim/plan.h"

#define SCRIPT_KINDS(X)                                                                            \
	X(op)	      /* node: client, other: slot, more: check_kind, n: key, length: see op */    \
	X(lose)	      /* node, other: ports; n: which frame of this link */                        \
	X(duplicate)                                                                               \
	X(delay)      /* length */                                                                 \
	X(corrupt)    /* arg: which bits */                                                        \
	X(truncate)   /* arg: bytes left */                                                        \
	X(misdeliver) /* arg: port that gets it, | 256: with its address put in */                 \
	X(crash)      /* node; length: of the outage; arg: what becomes of writes in flight */     \
	X(crash_step) /* likewise, at the n-th frame (more 0, 1) or write (2, 3) from here on */   \
	X(cut)	      /* links in arg, or node to other; length; n: classes */                     \
	X(slow)	      /* likewise; n: by how much */                                               \
	X(clog)	      /* likewise: nothing arrives before the end */                               \
	X(replay)     /* n: which of the frames remembered; other: port or 255; arg: bytes or 0 */ \
	X(pause)      /* node; length; more: 1: with a clock reading from before */                \
	X(disk_error) /* node; other: worker; n: which write; length: until replaced */            \
	X(lost_write) /* node; other: worker; n: which write */                                    \
	X(misdirect)  /* likewise; arg: where to */                                                \
	X(rot)	      /* node; other: worker; arg: where */                                        \
	X(clock)      /* node; n: rate, in ppm of true time; length */                             \
	X(exclude)    /* node; length: until it may come back */                                   \
	X(demote)     /* node */								   \
	X(command)    /* node: asked; other: verb, more: of which node; n: value, flags */	   \
	X(slow_disk)  /* node; n: factor; length */

enum script_kind {
#define SCRIPT_KIND(name) SCRIPT_##name,
	SCRIPT_KINDS(SCRIPT_KIND)
#undef SCRIPT_KIND
		SCRIPT_KIND_COUNT
};

/* What a field means depends on the kind, see above; times are the simulator's. */
struct script_event {
	uint64_t ns, length_ns, arg;
	uint32_t n;
	uint8_t kind, node, other, more;
};

/* Events that wait for each other: faults by time, operations by slot, damage by link. */
#define SCRIPT_FAULTS 0u
#define SCRIPT_STREAMS                                                                             \
	(1u + SIM_CLIENTS_MAX * SIM_SLOTS_MAX + SIM_PORTS_MAX * SIM_PORTS_MAX)

struct script {
	uint64_t seed;
	uint64_t end_ns; /* of the phase with faults */
	struct plan plan;
	uint32_t count, room;
	struct script_event *event; /* in the order of their streams */
	uint32_t *next;		    /* by event: the next of its stream */
	uint32_t head[SCRIPT_STREAMS];
	uint32_t ops_left;
};

static inline uint32_t script_op_stream(uint32_t client, uint32_t slot)
{
	return 1 + client * SIM_SLOTS_MAX + slot;
}

static inline uint32_t script_link_stream(uint32_t from, uint32_t to)
{
	return 1 + SIM_CLIENTS_MAX * SIM_SLOTS_MAX + from * SIM_PORTS_MAX + to;
}

void script_init(struct script *script);
void script_free(struct script *script);

/* script_clear: no events; seed and plan as given. */
void script_clear(struct script *script, uint64_t seed, const struct plan *plan);

/* script_add: at the end. Aborts when memory is short. */
void script_add(struct script *script, const struct script_event *event);

/* script_copy: those events of from whose keep byte is not zero (NULL: all). */
void script_copy(struct script *to, const struct script *from, const uint8_t *keep);

/* script_rewind: before a run. script_peek: the next event of a stream, or NULL. */
void script_rewind(struct script *script);
const struct script_event *script_peek(const struct script *script, uint32_t stream);
void script_take(struct script *script, uint32_t stream);

const char *script_kind_name(uint8_t kind);

/*
 * script_write: a text file; note becomes a comment. script_read: 0, or a negative errno: -EINVAL
 * with the line in *ret_line.
 */
int script_write(const struct script *script, const char *path, const char *note);
int script_read(struct script *script, const char *path, uint32_t *ret_line);

#endif
