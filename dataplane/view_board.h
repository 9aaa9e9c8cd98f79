/* SPDX-License-Identifier: Apache-2.0 */
/*
 * view_board.h: how worker 0, which hosts the view service, and the other workers of a node keep
 * each other informed: it posts the view, the node's lease and the peers' addresses, they post how
 * they are and what they have taken over. No locks; one writer per part: worker 0 of the order,
 * worker i of slot i. In the simulator one thread plays all workers.
 *
 * What worker 0 tells others about the node (its epoch; that it gave a lease up) is the least that
 * any worker has taken over, never what worker 0 has ordered.
 */
#ifndef CAIRN_DATAPLANE_VIEW_BOARD_H
#define CAIRN_DATAPLANE_VIEW_BOARD_H

#include "dataplane/seqlock.h"
#include "replication/types.h"
#include "replication/view.h"

/* What all workers of the node are to do. A lease counts in the view of its epoch only. */
struct view_board_order {
	struct view view; /* epoch 0: none yet */
	uint64_t lease_ns; /* 0: none */
	uint32_t lease_epoch;
	uint32_t ip[NODES_MAX]; /* of peers; 0: unknown */
};

/* How one worker is. */
struct view_board_health {
	uint32_t epoch;	  /* worker_epoch */
	uint32_t version; /* of the newest order it has carried out, all of it */
	bool joined, spent, failed;
	uint8_t heard, stuck, groups; /* as in membership_health */
	uint64_t disk_ns;
	uint64_t rounds; /* grows while it goes round */
};

struct view_board_slot {
	_Alignas(64) _Atomic uint32_t seq;
	_Atomic uint64_t word[SEQLOCK_WORDS(struct view_board_health)];
};

struct view_board {
	_Alignas(64) _Atomic uint32_t seq;
	_Atomic uint64_t order[SEQLOCK_WORDS(struct view_board_order)];
	struct view_board_slot slot[WORKERS_MAX];
};

void view_board_init(struct view_board *b);

/* Worker 0. view_board_post returns the version of the order. */
uint32_t view_board_post(struct view_board *b, const struct view_board_order *order);
/* false: being written just now; the last one read is still true enough. */
bool view_board_health(const struct view_board *b, uint16_t worker,
		       struct view_board_health *ret_health);

/* The others. view_board_version: of the newest order; 0: none. One load. */
static inline uint32_t view_board_version(const struct view_board *b)
{
	return seqlock_version(&b->seq);
}
bool view_board_read(const struct view_board *b, struct view_board_order *ret_order,
		     uint32_t *ret_version);
void view_board_tell(struct view_board *b, uint16_t worker, const struct view_board_health *health);

#endif
