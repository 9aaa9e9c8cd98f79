/* SPDX-License-Identifier: Apache-2.0 */
/*
 * worker_priv.h: what worker.c (the loop), worker_tx.c (frames out) and worker_start.c (memory and
 * recovery) share: the worker itself.
 */
#ifndef CAIRN_DATAPLANE_WORKER_PRIV_H
#define CAIRN_DATAPLANE_WORKER_PRIV_H

#include "dataplane/worker.h"

#define CLIENT_FRAMES	   8u /* replies to as many clients are gathered at once */
#define FRAME_MESSAGES_MAX (FRAME_PAYLOAD_MAX / WIRE_MESSAGE_BYTES)

_Static_assert(FRAME_MESSAGES_MAX <= 64, "reads of a frame are one word");
_Static_assert(SHARDS_MAX <= 64, "stalled is one word");

/* tx_frame: a frame being filled; bytes counts its payload. */
struct tx_frame {
	struct netdev_buf buf;
	uint32_t bytes; /* 0: not open */
	uint16_t shard;
	uint16_t messages;    /* client frames: how many are in it */
	uint32_t epoch;	      /* peer frames: what its header says */
	uint64_t session;     /* client frames */
	uint64_t reads;	      /* client frames: bitmap of messages that rest on the lease */
	struct client_addr client;
};

/* leased_frame: a closed frame, tx[index], with answers that rest on its shard's lease. */
struct leased_frame {
	struct frame_addr target;
	uint64_t reads;
	uint32_t index;
	uint32_t bytes;
	uint16_t shard;
};

struct worker {
	struct worker_config config;
	struct superblock sb;
	struct netdev *net;
	struct worker_stats *stats;
	struct store *store;
	struct wal *wal;
	struct replica *replica[SHARDS_MAX]; /* by shard; NULL: another worker's */
	uint16_t shards[SHARDS_MAX];	     /* the owned ones */
	uint16_t shard_count;
	struct frame_addr self;

	uint64_t now_ns;
	uint64_t housekeeping_ns; /* next one due */
	uint64_t arp_ns;
	uint64_t low_wal, low_blob, low_keys; /* less left than this: SPACE_LOW */
	uint64_t durable_told[SHARDS_MAX]; /* by index in shards[] */
	uint32_t view_told[SHARDS_MAX];	   /* likewise: epoch */
	uint32_t sweep;			   /* store index the search for old tombstones is at */
	uint64_t stalled; /* bitmap of shards with more to say than the log had room for */
	bool failed;
	bool link_up;

	struct frame_addr peer[NODES_MAX];
	bool peer_known[NODES_MAX];

	struct tx_frame to_peer[NODES_MAX];
	struct tx_frame to_client[CLIENT_FRAMES];
	uint32_t client_turn;
	struct netdev_buf tx[NETDEV_BURST];
	uint32_t tx_count;
	struct leased_frame leased[NETDEV_BURST];
	uint32_t leased_count;
	struct actions actions;
	struct entry *shrink; /* of this event: perhaps a tombstone now, in too large a blob */
	struct entry *walk[WALK_MAX];

	/* Counted here and copied out at housekeeping. */
	struct worker_stats count;
};

/* worker_tx_peer: into the frame for that node, which leaves when it is full, or at the end. */
void worker_tx_peer(struct worker *w, uint16_t shard, uint8_t node, const struct wire_message *m);

/* worker_tx_client: likewise an answer. worker_tx_buf: a whole frame; the buffer is given away. */
void worker_tx_client(struct worker *w, uint16_t shard, const struct action *a);
void worker_tx_buf(struct worker *w, const struct netdev_buf *buf);

/* worker_tx_end: everything leaves now. */
void worker_tx_end(struct worker *w);

#endif
