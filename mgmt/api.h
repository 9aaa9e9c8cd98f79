/* SPDX-License-Identifier: Apache-2.0 */
/*
 * api.h: the answers of the daemon as JSON (fields: ctl_proto.h). Pure: everything they are made of
 * is in struct api_view, so tests make them from invented nodes.
 */
#ifndef CAIRN_MGMT_API_H
#define CAIRN_MGMT_API_H

#include <jansson.h>

#include "dataplane/control.h"
#include "dataplane/stats.h"
#include "mgmt/config.h"
#include "mgmt/supervise.h"

struct api_view {
	const struct config *config;
	const struct supervisor *supervisor;
	const struct stats_region *region;    /* a copy of the running dataplane's; NULL: none */
	const struct control_status *service; /* likewise, of its view service */
	const uint8_t *deaf;		      /* as in struct cluster_look */
	const struct problem *herald;	      /* why other nodes are told nothing; NULL, id NONE */
	const struct problem *small;	      /* api_too_small of a life before; NULL, id NONE */
	uint64_t now_ns;		      /* CLOCK_MONOTONIC, as in the region */
	uint64_t daemon_started_ns;
	int daemon_pid;
	bool leaderless; /* as in struct cluster_look */
};

/* api_state: the state word of the node. */
const char *api_state(const struct api_view *view);

/*
 * api_too_small: true and *p: a worker has failed without an error of its disk: what the members
 * hold does not fit. The process ends soon after, so the daemon keeps it for the next life.
 */
bool api_too_small(const struct api_view *view, struct problem *p);

/* api_other_engine: true and *p: this node is formatted for another engine than the cluster's. */
bool api_other_engine(const struct api_view *view, struct problem *p);

/* Each returns a new object, never NULL (out of memory aborts). */
json_t *api_status(const struct api_view *view);
json_t *api_health(const struct api_view *view);
json_t *api_counters(const struct api_view *view);
json_t *api_config(const struct api_view *view);
json_t *api_action(const struct api_view *view, const char *action);
json_t *api_error(const struct problem *p);
json_t *api_command(uint32_t number, bool done, uint64_t index);

/* api_problem: {"id", "text", "cure"}. */
json_t *api_problem(const struct problem *p);

/*
 * api_region_read: copies the counters' file of the node if it is whole, of our format, and of
 * process pid. false otherwise.
 */
bool api_region_read(const struct config *config, int pid, struct stats_region *ret_region);

#endif
