/* SPDX-License-Identifier: Apache-2.0 */
#include "mgmt/service.h"

#include <fcntl.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "mgmt/ctl_proto.h"

#define SERVICE_TRIES	  5u /* the writer is never long in the way */
#define SERVICE_EVENTS	  32u
#define ELECTIONS	  2u /* so many elections are no trouble yet */
#define SERVICE_ANSWER_NS 5000000000ull

void service_init(struct service *s, const struct config *config)
{
	memset(s, 0, sizeof(*s));
	s->config = config;
}

static uint64_t unix_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_REALTIME, &now);
	return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

static void take_events(struct service *s, uint64_t now_ns)
{
	uint64_t wall_ns = unix_ns();
	struct control_event list[SERVICE_EVENTS];
	uint32_t n;

	while ((n = control_events(s->region, s->seen, list, SERVICE_EVENTS)) > 0) {
		for (uint32_t i = 0; i < n; i++) {
			uint64_t age = now_ns > list[i].at_ns ? now_ns - list[i].at_ns : 0;

			events_add_note(&s->events, wall_ns - age, &s->status.state, &list[i]);
			events_log(&s->events);
		}
		s->seen = list[n - 1].sequence;
	}
}

static void take_status(struct service *s)
{
	struct control_status status;

	for (uint32_t i = 0; i < SERVICE_TRIES; i++) {
		if (!control_status(s->region, &status))
			continue;
		s->status = status;
		s->known = true;
		return;
	}
}

/* listen: who does not hear whom. One late HELLO is no cut link. */
static void listen(struct service *s, uint64_t now_ns)
{
	for (uint8_t n = 0; n < NODES_MAX; n++) {
		uint8_t heard = n == s->status.node ? s->status.health.heard :
						      s->status.peer[n].heard;

		s->deaf[n] = 0;
		for (uint8_t m = 0; m < NODES_MAX; m++) {
			uint64_t *since_ns = &s->deaf_ns[n][m];

			*since_ns = heard >> m & 1 ? 0 : *since_ns != 0 ? *since_ns : now_ns;
			if (*since_ns != 0 &&
			    now_ns - *since_ns >= cluster_patience_ns(s->config))
				s->deaf[n] |= (uint8_t)(1u << m);
		}
	}
}

/* follow: engine raft: have all shards of this member a leader, but for the time of elections? */
static void follow(struct service *s, const struct stats_region *region, uint64_t now_ns)
{
	const struct membership_state *state = &s->status.state;
	bool waits = state->engine == ENGINE_RAFT && region->state == DATAPLANE_WAITING &&
		     state->members >> s->config->node_id & 1;

	s->leaderless_ns = !waits ? 0 : s->leaderless_ns != 0 ? s->leaderless_ns : now_ns;
	s->leaderless = waits && now_ns - s->leaderless_ns >=
					 ELECTIONS * 1000u * s->config->timers_election_us;
}

static void close_region(struct service *s)
{
	if (s->region)
		munmap(s->region, sizeof(*s->region));
	s->region = NULL;
	s->seen = 0;
	s->known = false;
	s->command = 0;
	memset(s->buried, 0, sizeof(s->buried));
	memset(s->deaf_ns, 0, sizeof(s->deaf_ns));
	memset(s->deaf, 0, sizeof(s->deaf));
	s->leaderless_ns = 0;
	s->leaderless = false;
}

static void open_region(struct service *s, const struct stats_region *stats)
{
	char path[CONFIG_PATH_BYTES + 32];
	struct stat st;

	config_runtime_path(s->config, CTL_FILE_CONTROL, path);
	int fd = open(path, O_RDWR | O_CLOEXEC);
	if (fd < 0)
		return;
	void *map = MAP_FAILED;
	if (fstat(fd, &st) == 0 && st.st_size == (off_t)sizeof(struct control_region))
		map = mmap(NULL, sizeof(struct control_region), PROT_READ | PROT_WRITE, MAP_SHARED,
			   fd, 0);
	close(fd);
	if (map == MAP_FAILED)
		return;
	s->region = map;
	if (!control_valid(s->region) || s->region->started_ns != stats->started_ns)
		close_region(s);
}

/* An unsafe recovery shows once, at each daemon that comes to know of it. */
static void audit(struct service *s)
{
	char text[EVENTS_TEXT_BYTES];

	if (s->status.state.revision == 0 || s->status.state.unsafe == s->unsafe)
		return;
	s->unsafe = s->status.state.unsafe;
	snprintf(text, sizeof(text), "unsafe recoveries of this cluster since its format: %u",
		 s->unsafe);
	events_add(&s->events, unix_ns(), "unsafe_recovery", -1, text);
	events_log(&s->events);
}

const struct control_status *service_look(struct service *s, const struct stats_region *region,
					  uint64_t now_ns)
{
	if (s->region)
		take_events(s, now_ns); /* the last words of a process that is gone, too */
	if (s->region && (!region || s->region->started_ns != region->started_ns))
		close_region(s);
	if (!s->region && region)
		open_region(s, region);
	if (!s->region)
		return NULL;
	take_status(s);
	listen(s, now_ns);
	follow(s, region, now_ns);
	take_events(s, now_ns);
	audit(s);
	return s->known ? &s->status : NULL;
}

uint32_t service_command(struct service *s, const struct membership_command *command,
			 uint64_t now_ns, struct problem *p)
{
	struct control_answer answer;

	if (!s->region || !s->known) {
		problem_set(p, PROBLEM_API_NO_SERVICE,
			    "the view service of this node does not run");
		return 0;
	}
	/* The service answers within an election or so; what it never answers is given up. */
	if (s->command != 0 && now_ns - s->command_ns < SERVICE_ANSWER_NS &&
	    !control_answer(s->region, s->command, &answer)) {
		problem_set(p, PROBLEM_COMMAND_BUSY, "another command has no answer yet");
		return 0;
	}
	s->command = control_command(s->region, command);
	s->command_ns = now_ns;
	return s->command;
}

bool service_answer(const struct service *s, uint32_t number, struct control_answer *ret_answer,
		    bool *ret_known)
{
	*ret_known = s->region && number != 0 && number == s->command;
	return *ret_known && control_answer(s->region, number, ret_answer);
}

void service_bury(struct service *s, uint8_t node, uint32_t incarnation)
{
	const char *name = s->status.state.node[node].name;
	char text[EVENTS_TEXT_BYTES];

	if (s->buried[node] >= incarnation)
		return;
	s->buried[node] = incarnation;
	control_bury(s->region, node, incarnation);
	snprintf(text, sizeof(text), "node %u (%.15s): incarnation %u was reaped, says its cairnd",
		 node, name, incarnation);
	events_add(&s->events, unix_ns(), "obituary", node, text);
	events_log(&s->events);
}
