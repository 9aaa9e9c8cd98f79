/* SPDX-License-Identifier: Apache-2.0 */
/*
 * service.h: cairnd's end of the file that the view service of its dataplane is seen and told
 * through (dataplane/control.h). Follows the dataplane from process to process.
 */
#ifndef CAIRN_MGMT_SERVICE_H
#define CAIRN_MGMT_SERVICE_H

#include "dataplane/stats.h"
#include "mgmt/events.h"

struct service {
	const struct config *config;
	struct control_region *region; /* NULL: none */
	uint64_t seen;		       /* newest event taken from it */
	struct control_status status;
	bool known; /* status is of the process that runs */
	uint8_t unsafe;
	uint32_t command; /* number of the last command, 0: none */
	uint64_t command_ns;
	uint64_t deaf_ns[NODES_MAX][NODES_MAX]; /* since when the first has not heard the second */
	uint8_t deaf[NODES_MAX];		/* bitmaps: for longer than is normal */
	uint64_t leaderless_ns; /* engine raft: since when some shard here has no leader; 0 */
	bool leaderless;	/* for longer than an election takes */
	uint32_t buried[NODES_MAX]; /* newest incarnation handed to this region */
	struct events events;
};

void service_init(struct service *s, const struct config *config);

/*
 * service_look: takes over status and events of the dataplane whose counters are *region (NULL:
 * none runs). Returns the status, NULL when there is none.
 */
const struct control_status *service_look(struct service *s, const struct stats_region *region,
					  uint64_t now_ns);

/*
 * service_command: hands it over. Its number, or 0 and *p: another one is open, or no service.
 * service_answer: of that command. false: not answered yet; *ret_known: it is the last one.
 */
uint32_t service_command(struct service *s, const struct membership_command *command,
			 uint64_t now_ns, struct problem *p);
bool service_answer(const struct service *s, uint32_t number, struct control_answer *ret_answer,
		    bool *ret_known);

/* service_bury: that process has ended, says its cairnd; once more changes nothing. */
void service_bury(struct service *s, uint8_t node, uint32_t incarnation);

#endif
