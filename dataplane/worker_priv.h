/* SPDX-License-Identifier: Apache-2.0 */
/*
 * worker_priv.h: what worker.c (the loop), worker_tx.c (frames out) and worker_start.c (memory and
 * recovery) share: the worker itself.
 */
#ifndef CAIRN_DATAPLANE_WORKER_PRIV_H
#define CAIRN_DATAPLANE_WORKER_PRIV_H

#include "dataplane/worker.h"
#include "replication/raft_wire.h"

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

/*
 * worker_service: at worker 0 the view service; at every worker what it has ordered last, and how
 * far this worker has followed. Versions are those of the board.
 */
struct worker_service {
	struct membership *membership; /* NULL: not hosted here */
	struct membership_actions actions;
	struct membership_state first;
	struct membership_health health; /* as last reported */
	struct view_board_order order;
	uint32_t version;   /* of order */
	uint32_t done;	    /* version carried out, all of it */
	uint64_t health_ns; /* when to report, or to tell the board, how this worker is */

	/* Of the host. */
	bool waiting;	  /* some worker has not confirmed the newest order yet */
	bool more;	  /* it has more to say than the log had room for */
	bool failed;	  /* it knows that the disk failed */
	bool commanded;	  /* command has not been given to it yet */
	uint64_t durable; /* as it was told */
	uint64_t mourned; /* sequence of the last obituary it was told */
	uint32_t command_number;
	struct membership_command command;
	struct view_board_health heard_of[WORKERS_MAX]; /* by worker, as last read */
	uint8_t silent[WORKERS_MAX]; /* reports of ours since it last went round */
	_Atomic uint64_t restart; /* 1 << 32 | above; 0: no. The main thread looks at it */
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
	uint32_t makes; /* new keys that may be begun before the next look (count_room) */
	uint32_t spare; /* engine raft: of those, what no shard has under way, shared among them */
	uint64_t durable;		   /* the log is, up to */
	uint64_t durable_told[SHARDS_MAX]; /* by index in shards[] */
	uint32_t view_told[SHARDS_MAX];	   /* likewise: epoch */
	uint32_t sweep;			   /* store index the search for old tombstones is at */
	uint64_t stalled; /* bitmap of shards with more to say than the log had room for */
	uint32_t reserve; /* records the log keeps free for the view service */
	bool failed;
	bool link_up;
	bool burst_timed; /* the clock was read after this burst came in */

	struct frame_addr peer[NODES_MAX];
	bool peer_known[NODES_MAX];
	uint32_t peer_ident[NODES_MAX]; /* of its disk, as its last frame said; 0: not known */

	struct tx_frame to_peer[NODES_MAX];
	struct tx_frame to_raft[NODES_MAX];
	uint8_t raft_open; /* bitmap: frames in to_raft that are open */
	struct tx_frame to_client[CLIENT_FRAMES];
	uint32_t client_turn;
	struct netdev_buf tx[NETDEV_BURST];
	uint32_t tx_count;
	struct leased_frame leased[NETDEV_BURST];
	uint32_t leased_count;
	struct actions actions;
	struct entry *shrink; /* of this event: perhaps a tombstone now, in too large a blob */
	struct entry *walk[WALK_STUBS_MAX];

	struct worker_service service;

	/* Counted here and copied out at housekeeping. */
	struct worker_stats count;
};

/* ---- worker.c -------------------------------------------------------------------------------- */

/* worker_fail: no more promises; what was promised stands. */
void worker_fail(struct worker *w);

/* worker_take_view, .._lease: as worker_install_view, .._set_lease; nothing is sent yet. */
bool worker_take_view(struct worker *w, const struct view *view);
bool worker_take_lease(struct worker *w, uint32_t epoch, uint64_t lease_ns);

/*
 * worker_addressed: a Raft frame, its source checked, is for this very disk. One for a disk that
 * had this node's number before is not: the network may have kept it, and who is blank believes
 * what it is told first (R19). Its sender is told of this disk, by a frame without messages.
 */
bool worker_addressed(struct worker *w, const struct frame_info *info, const struct wire_header *h);

/* worker_set_peers: where the nodes are now; 0: not known. */
void worker_set_peers(struct worker *w, const uint32_t *ip);

/* worker_look_after_space: once a round: says what room is left, and gives shares of it. */
void worker_look_after_space(struct worker *w);

/* worker_apply: engine raft: gives the entry asked for by STEP_APPLY. */
void worker_apply(struct worker *w, uint16_t shard, struct event *ev);

/* ---- worker_service.c: with config.service --------------------------------------------------- */

uint64_t worker_service_size(const struct worker_config *config);
void worker_service_init(struct worker *w, void *mem);
/* worker_service_recover: false: a record of the view service in a log where none belongs. */
bool worker_service_recover(struct worker *w, const struct record *record);
void worker_service_start(struct worker *w);
/* worker_service_receive: a frame for WIRE_SHARD_VIEW, address checked. */
void worker_service_receive(struct worker *w, const struct frame_info *info,
			    const struct wire_header *h);
/* worker_service_turn: its part of a round; returns how much it did. */
uint32_t worker_service_turn(struct worker *w);
void worker_service_housekeep(struct worker *w);
uint64_t worker_service_deadline_ns(const struct worker *w);

/* ---- worker_tx.c ----------------------------------------------------------------------------- */

/* worker_tx_peer: into the frame for that node, which leaves when it is full, or at the end. */
void worker_tx_peer(struct worker *w, uint16_t shard, uint8_t node, const struct wire_message *m);

/* worker_tx_raft: likewise a message of a Raft group: of a shard, or WIRE_SHARD_VIEW. */
void worker_tx_raft(struct worker *w, uint16_t shard, uint8_t node, const struct raft_message *m);

/* worker_tx_introduce: a Raft frame leaves for that node, if need be without messages. */
void worker_tx_introduce(struct worker *w, uint16_t shard, uint8_t node);

/* worker_tx_client: likewise an answer. worker_tx_buf: a whole frame; the buffer is given away. */
void worker_tx_client(struct worker *w, uint16_t shard, const struct action *a);
void worker_tx_buf(struct worker *w, const struct netdev_buf *buf);

/* worker_tx_end: everything leaves now. */
void worker_tx_end(struct worker *w);

#endif
