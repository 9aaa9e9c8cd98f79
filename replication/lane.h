/* SPDX-License-Identifier: Apache-2.0 */
/*
 * lane.h: a walk of a donor's store with several questions under way. Its places are dealt out in
 * ranges, from 0 on; each lane walks one range at a time, chunk by chunk, and takes the next range
 * when it has come to the end. All ranges together are one walk from 0 to the end: it is over when
 * no lane has anything left. The first answers open the other lanes, one each, so that a small
 * store costs no more than one. What a donor is asked, and what answers mean, is the business of
 * join.c and group_copy.c.
 */
#ifndef CAIRN_REPLICATION_LANE_H
#define CAIRN_REPLICATION_LANE_H

#include "replication/step.h"

#define LANES_MAX 16u
#define LANE_PLACES 4096u /* of a range, unless configured */

struct lane {
	bool open;
	bool paced;	 /* its next question waits for the rate, not for an answer */
	uint32_t chunk;	 /* number of the question under way; 0: none */
	uint32_t cursor, end; /* where it is; its range ends there */
	uint32_t got;	 /* bitmap of messages of this chunk that are in */
	uint32_t expected, next; /* from COPIED; expected UINT32_MAX: not in yet */
	uint32_t silent; /* times asked in vain */
	uint64_t asked_ns, ask_ns; /* ask_ns: when to ask again */
	uint64_t patience_ns;	   /* how long the answer may take */
	/* Engine Hermes: of the chunk at the cursor (join.c) */
	uint32_t want, want_sum; /* the values to ask for; its keys */
	uint32_t wanted; /* of them, those that are asked for now */
	bool stubbed;	 /* the answer that is coming in is of stubs */
	uint32_t miss, miss_sum; /* want and want_sum, as that answer shows them */
};

struct lanes {
	uint32_t count;	   /* at most so many open */
	uint32_t places;   /* of a range */
	uint32_t frontier; /* ranges from there on are nobody's yet; WALK_END: all are dealt out */
	uint32_t chunk;	   /* number of the newest question; answers to old ones are late */
	uint32_t answered; /* newest question of those that were */
	uint64_t answer_ns; /* how long answers take, rather too much */
	uint64_t heard_ns;  /* when something has come of any answer */
	uint64_t paid_ns;  /* when what has come is paid for, at the rate */
	struct lane list[LANES_MAX];
};

/* lanes_begin: a walk from 0 on; numbers of questions go on. count 0: 1; places 0: LANE_PLACES. */
void lanes_begin(struct lanes *l, uint32_t count, uint32_t places);

/* lanes_hurry: no answer to what was asked can come any more: all are asked again. */
void lanes_hurry(struct lanes *l);

/* lanes_deadline_ns: when a lane has something to ask; UINT64_MAX: the walk is over. */
uint64_t lanes_deadline_ns(const struct lanes *l);

/*
 * lane_due: the next lane from *at on that has something to ask now, *at behind it; NULL: none.
 * Answers come in the order of the questions, so as long as any come, what none has overtaken is
 * still to come: if this node was away for a while it finds them one after the other, and to ask
 * again would make them late ones, and all the work be done twice.
 */
struct lane *lane_due(struct lanes *l, uint32_t *at, uint64_t now_ns);

/* lane_may_ask: false: the rate is used up; ask_ns says until when. */
bool lane_may_ask(struct lanes *l, struct lane *at, uint64_t now_ns);

/*
 * lane_ask: a question is on its way; returns the id of its FETCH. Every time under a new number:
 * what a donor finds there may have changed, so parts of two answers do not make one.
 */
uint64_t lane_ask(struct lanes *l, struct lane *at, uint64_t now_ns, uint64_t retransmit_ns);

/* lane_asked: whose question this chunk number is; NULL: a late answer. */
struct lane *lane_asked(struct lanes *l, uint64_t chunk);

/* lane_take: message `index` of an answer of at most max; false: in already, or it cannot be. */
bool lane_take(struct lane *at, uint32_t index, uint32_t max);

/* lane_complete: the answer is all there. */
static inline bool lane_complete(const struct lane *at)
{
	return at->expected != UINT32_MAX && at->got == (1u << at->expected) - 1;
}

/* lane_answered: the answer is all there, and the next question may be about the same chunk. */
void lane_answered(struct lanes *l, struct lane *at, uint64_t now_ns);

/* lane_advance: the chunk is done. False: so is the walk. */
bool lane_advance(struct lanes *l, struct lane *at);

/* lanes_pay: so many bytes have come now; bytes_per_s 0: no limit. */
void lanes_pay(struct lanes *l, uint64_t now_ns, uint64_t bytes, uint64_t bytes_per_s);

#endif
