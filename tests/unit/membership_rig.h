/* SPDX-License-Identifier: Apache-2.0 */
/*
 * membership_rig.h: the view service at several nodes, a network with delays and cuts, disks with a
 * latency, virtual time. The data path is made up: a node says that it is joined some time after it
 * became a shadow. After every step the rig checks that no lease outlives an exclusion
 * (M-LEASE-GAP) and that one epoch means one view.
 */
#ifndef CAIRN_TESTS_UNIT_MEMBERSHIP_RIG_H
#define CAIRN_TESTS_UNIT_MEMBERSHIP_RIG_H

#include "replication/membership.h"

#define RIG_NODES NODES_MAX
#define RIG_RECORDS 4096u
#define RIG_PACKETS 4096u
#define RIG_VIEWS 1024u
#define RIG_OLD 1024u
#define RIG_LIVES 256u
#define RIG_MS 1000000ull

struct rig_record {
	struct raft_record record;
	uint64_t seq;
	uint8_t data[RAFT_ENTRY_BYTES_MAX];
};

struct rig_packet {
	uint64_t due_ns;
	uint32_t from_incarnation, ident, bytes;
	uint8_t from, to;
	uint8_t data[1472];
};

struct rig_node {
	struct membership *service;
	void *mem;
	bool up, exists, joining;
	bool odd; /* formatted for the other engine */
	uint32_t incarnation, ident;
	uint64_t seq_next, durable, durable_due_ns;
	uint64_t restart_ns; /* 0: does not */
	uint64_t paused_ns;  /* stopped until then */
	uint64_t disk_ns;    /* its latency */
	uint64_t joined_ns;  /* when it will have copied everything */
	uint64_t own_lease_ns; /* its timer; 0: as configured for all */
	uint64_t health_ns;
	struct view view;
	uint64_t lease_ns;
	bool unleased;
	uint8_t stuck, groups;
	uint32_t records;
	struct rig_record *record;
	uint64_t result_id;
	uint8_t result_code;
	uint32_t notes[NOTE_COUNT];
	uint32_t heard[RIG_NODES]; /* incarnations, as it knows them: they never fall (M-INCARN) */
};

struct rig {
	uint64_t now_ns;
	uint64_t delay_ns; /* of the network */
	uint64_t slow_ns[RIG_NODES];	     /* more to and from that node */
	bool cut[RIG_NODES][RIG_NODES];	     /* from, to */
	struct membership_config config;
	struct membership_state first;
	struct rig_node node[RIG_NODES];
	struct rig_packet *packet;
	uint32_t packets;
	struct view view[RIG_VIEWS]; /* by epoch */
	uint64_t random;
	uint32_t loss_permille, double_permille;
	bool hasty; /* disks take no time, and that it is durable is told before the next TICK */
	bool replay; /* what was sent before comes again and again, also of lives that are over */
	uint64_t replay_ns;
	struct rig_packet *old; /* a ring of RIG_OLD */
	uint64_t olds;
	uint64_t steps;
	uint32_t lived[RIG_NODES][RIG_LIVES]; /* ident of the disk, by incarnation */
	uint64_t command_id;
};

/*
 * rig_prepare: nodes 0..data-1 hold data, the next `witnesses` do not; config may be changed until
 * rig_found starts them all. rig_create does both.
 */
struct rig *rig_prepare(uint32_t data, uint32_t witnesses, enum membership_engine engine);
void rig_found(struct rig *r);
struct rig *rig_create(uint32_t data, uint32_t witnesses, enum membership_engine engine);
void rig_destroy(struct rig *r);

/* rig_run: time passes. rig_until: until the condition holds, at most so long; false: never. */
void rig_run(struct rig *r, uint64_t ns);
bool rig_until(struct rig *r, bool (*condition)(struct rig *r, uint32_t argument),
	       uint32_t argument, uint64_t ns);

void rig_kill(struct rig *r, uint8_t node);
/* rig_bury: that node's supervisor tells this one that its last life is over. */
void rig_bury(struct rig *r, uint8_t node, uint8_t told);
void rig_start(struct rig *r, uint8_t node);
/* rig_new_disk: what the node had is gone; it is formatted to join. */
void rig_new_disk(struct rig *r, uint8_t node);
void rig_pause(struct rig *r, uint8_t node, uint64_t ns);
void rig_cut(struct rig *r, uint8_t a, uint8_t b, bool is_cut);
void rig_isolate(struct rig *r, uint8_t node, bool is_cut);

/* rig_command: to that node; runs until it is answered, returns the code. */
uint8_t rig_command(struct rig *r, uint8_t node, struct membership_command c);

uint8_t rig_leader(const struct rig *r); /* RAFT_NODE_NONE: none */
const struct membership_state *rig_newest(const struct rig *r);

/* Conditions. members: exactly these, installed by all of them. led: some leader. */
bool rig_members(struct rig *r, uint32_t members);
bool rig_led(struct rig *r, uint32_t ignored);
bool rig_leased(struct rig *r, uint32_t nodes); /* all of them may read */

#endif
