/* SPDX-License-Identifier: Apache-2.0 */
/*
 * cairnd: the control daemon of one node. Checks the configuration, runs the dataplane as a process
 * of its own and answers the API. It keeps no data: what it knows is the configuration and what the
 * dataplane's counters' file says, so it can die and come back at any time.
 *
 *   SIGTERM, SIGINT  stop the dataplane, then exit
 *   SIGQUIT          exit, the dataplane goes on serving
 *   SIGHUP           read the [[peer]] blocks anew
 */
#include <errno.h>
#include <getopt.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/signalfd.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "mgmt/api.h"
#include "mgmt/command.h"
#include "mgmt/ctl_proto.h"
#include "mgmt/herald.h"
#include "mgmt/http.h"
#include "mgmt/lock.h"
#include "mgmt/log.h"
#include "mgmt/service.h"

#define DAEMON_LOCK	       "cairnd.lock"
#define DAEMON_REFERENCE_BYTES 16384u

struct daemon_state {
	struct config config;
	struct config fresh; /* read_peers: as the file is now */
	struct supervisor supervisor;
	struct stats_region region;
	struct service service;
	struct herald herald;
	struct problem small; /* api_too_small, until it serves */
	bool odd;	      /* of another engine: it was logged */
	struct http *http;
	int seen_pid; /* of the dataplane, for events */
	uint64_t started_ns;
	bool leaving; /* exit when the dataplane has stopped */
	bool quit;    /* exit now */
};

void must_failed(const char *expression, const char *file, int line)
{
	log_event(LOG_LEVEL_ERROR, "abort", "expression=\"%s\" file=%s line=%d", expression, file,
		  line);
	abort();
}

static uint64_t now_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

static void look(struct daemon_state *d, struct api_view *ret_view)
{
	bool alive = d->supervisor.pid != 0 &&
		     api_region_read(&d->config, d->supervisor.pid, &d->region);
	const struct stats_region *region = alive ? &d->region : NULL;
	uint64_t now = now_ns();

	*ret_view = (struct api_view) {
		.config = &d->config,
		.supervisor = &d->supervisor,
		.region = region,
		.service = service_look(&d->service, region, now),
		.now_ns = now_ns(),
		.deaf = d->service.deaf,
		.herald = &d->herald.problem,
		.small = &d->small,
		.daemon_started_ns = d->started_ns,
		.daemon_pid = (int)getpid(),
		.leaderless = d->service.leaderless,
	};
}

static unsigned do_action(struct daemon_state *d, const char *action, json_t **ret_json)
{
	struct supervisor *s = &d->supervisor;
	struct api_view view;
	int rc = 0;

	log_event(LOG_LEVEL_INFO, "request", "action=%s", action);
	if (d->leaving) {
		struct problem p;
		problem_set(&p, PROBLEM_API_REFUSED, "cairnd is stopping");
		*ret_json = api_error(&p);
		return 409;
	}
	if (strcmp(action, "stop") == 0)
		supervise_stop(s, now_ns());
	else
		rc = strcmp(action, "start") == 0 ? supervise_start(s, now_ns())
						  : supervise_restart(s, now_ns());
	if (rc < 0) {
		*ret_json = api_error(&s->failure);
		return 500;
	}
	look(d, &view);
	*ret_json = api_action(&view, action);
	return 202;
}

static unsigned refuse(const struct problem *p, unsigned status, json_t **ret_json)
{
	*ret_json = api_error(p);
	return status;
}

/* What a command's answer means, with the numbers it is about. */
static unsigned get_command(struct daemon_state *d, const struct http_request *request,
			    json_t **ret_json)
{
	const char *text = http_argument(request, "command");
	uint32_t number = text ? (uint32_t)strtoul(text, NULL, 10) : 0;
	struct control_answer answer = { 0 };
	struct problem p;
	bool known;
	bool done = service_answer(&d->service, number, &answer, &known);

	if (!known) {
		problem_set(&p, PROBLEM_COMMAND_UNKNOWN, "nothing is known of command %u", number);
		return refuse(&p, 404, ret_json);
	}
	enum problem_id id = done ? cluster_result_problem(answer.code) : PROBLEM_NONE;
	if (id != PROBLEM_NONE) {
		problem_set(&p, id, "%s", cluster_result_text(answer.code));
		return refuse(&p, 409, ret_json);
	}
	*ret_json = api_command(number, done, answer.index);
	return 200;
}

static unsigned post_command(struct daemon_state *d, const struct http_request *request,
			     json_t **ret_json)
{
	struct membership_command command;
	struct api_view view;
	struct problem p;

	if (command_read(request, &d->config.net_address, &command, &p) < 0)
		return refuse(&p, 400, ret_json);
	look(d, &view);
	uint32_t number = service_command(&d->service, &command, now_ns(), &p);
	if (number == 0)
		return refuse(&p, 409, ret_json);
	log_event(LOG_LEVEL_INFO, "request", "command=%s node=%u", command_name(command.verb),
		  command.node);
	*ret_json = api_command(number, false, 0);
	return 202;
}

static unsigned get_events(struct daemon_state *d, const struct http_request *request,
			   json_t **ret_json)
{
	const char *after = http_argument(request, "after");
	struct api_view view;

	look(d, &view);
	*ret_json = events_json(&d->service.events, after ? strtoull(after, NULL, 10) : 0);
	return 200;
}

struct route {
	const char *path, *method;
	json_t *(*get)(const struct api_view *view); /* or */
	const char *action;			     /* or */
	unsigned (*run)(struct daemon_state *d, const struct http_request *request,
			json_t **ret_json);
};

static const struct route routes[] = {
	{ CTL_PATH_STATUS, "GET", api_status, NULL, NULL },
	{ CTL_PATH_HEALTH, "GET", api_health, NULL, NULL },
	{ CTL_PATH_COUNTERS, "GET", api_counters, NULL, NULL },
	{ CTL_PATH_CONFIG, "GET", api_config, NULL, NULL },
	{ CTL_PATH_EVENTS, "GET", NULL, NULL, get_events },
	{ CTL_PATH_COMMAND, "GET", NULL, NULL, get_command },
	{ CTL_PATH_COMMAND, "POST", NULL, NULL, post_command },
	{ CTL_PATH_STOP, "POST", NULL, "stop", NULL },
	{ CTL_PATH_START, "POST", NULL, "start", NULL },
	{ CTL_PATH_RESTART, "POST", NULL, "restart", NULL },
};

static unsigned handle(void *context, const struct http_request *request, json_t **ret_json)
{
	struct daemon_state *d = context;
	const struct route *route = NULL;
	struct api_view view;
	struct problem p;
	bool path_known = false;

	for (size_t i = 0; i < ARRAY_LEN(routes) && !route; i++) {
		if (strcmp(routes[i].path, request->path) != 0)
			continue;
		path_known = true;
		if (strcmp(routes[i].method, request->method) == 0)
			route = &routes[i];
	}
	if (!path_known) {
		problem_set(&p, PROBLEM_API_NO_SUCH_PATH, "there is no %.200s", request->path);
		return refuse(&p, 404, ret_json);
	}
	if (!route) {
		problem_set(&p, PROBLEM_API_METHOD, "%s does not take %.20s", request->path,
			    request->method);
		return refuse(&p, 405, ret_json);
	}
	if (route->run)
		return route->run(d, request, ret_json);
	if (route->action)
		return do_action(d, route->action, ret_json);
	look(d, &view);
	*ret_json = route->get(&view);
	return 200;
}

/* A joiner whose store is too small ends, and comes back, again and again: say so all the time. */
static void note_small(struct daemon_state *d, const struct api_view *view)
{
	struct problem p;

	if (api_too_small(view, &p)) {
		if (d->small.id == PROBLEM_NONE)
			log_problem(LOG_LEVEL_ERROR, "too_small", &p);
		d->small = p;
	} else if (strcmp(api_state(view), CTL_STATE_SERVING) == 0) {
		d->small = (struct problem) { .id = PROBLEM_NONE };
	}
}

/* A node of another engine waits for an operator: said once. */
static void note_odd(struct daemon_state *d, const struct api_view *view)
{
	struct problem p;

	if (d->odd || !api_other_engine(view, &p))
		return;
	d->odd = true;
	log_problem(LOG_LEVEL_ERROR, "other_engine", &p);
}

/* Once a round: what the service noted, and what became of the process. */
static void watch(struct daemon_state *d)
{
	const struct supervisor *s = &d->supervisor;
	struct api_view view;
	char text[EVENTS_TEXT_BYTES];
	struct timespec now;

	look(d, &view);
	note_small(d, &view);
	note_odd(d, &view);
	if (s->pid == d->seen_pid)
		return;
	clock_gettime(CLOCK_REALTIME, &now);
	if (s->pid != 0)
		snprintf(text, sizeof(text), "the dataplane of %s runs as process %d",
			 d->config.node_name, s->pid);
	else if (s->returning && s->state == SUPERVISOR_WAITING)
		snprintf(text, sizeof(text), "the dataplane of %s ended: the cluster left it out",
			 d->config.node_name);
	else
		snprintf(text, sizeof(text), "the dataplane of %s ended: %.100s",
			 d->config.node_name,
			 s->failure.id != PROBLEM_NONE ? s->failure.text : "by request");
	events_add(&d->service.events, (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec,
		   s->pid != 0 ? "dataplane_started" : "dataplane_ended", (int)d->config.node_id,
		   text);
	d->seen_pid = s->pid;
}

/*
 * read_peers: nodes that came later may have been added to the file: where their cairnd is, who
 * tells of their end, and is told of ours. Nothing else of it is looked at before the next start.
 */
static void read_peers(struct daemon_state *d)
{
	struct problem problem;

	if (config_load(d->config.file, &d->fresh, &problem) < 0) {
		log_problem(LOG_LEVEL_WARNING, "peers", &problem);
		return;
	}
	memcpy(d->config.peer, d->fresh.peer, sizeof(d->config.peer));
	d->config.peer_count = d->fresh.peer_count;
	log_event(LOG_LEVEL_INFO, "peers", "count=%u", d->config.peer_count);
}

static void take_signal(struct daemon_state *d, int signals)
{
	struct signalfd_siginfo info;

	if (read(signals, &info, sizeof(info)) != (ssize_t)sizeof(info))
		return;
	log_event(LOG_LEVEL_INFO, "signal", "signal=%s", sigabbrev_np((int)info.ssi_signo));
	if (info.ssi_signo == SIGHUP) {
		read_peers(d);
		return;
	}
	if (info.ssi_signo == SIGQUIT) {
		d->quit = true;
		return;
	}
	d->leaving = true;
	supervise_stop(&d->supervisor, now_ns());
}

static int wait_ms(const struct daemon_state *d)
{
	int http_ms = http_timeout_ms(d->http);
	uint64_t now = now_ns();
	uint64_t deadline = min_u64(d->supervisor.deadline_ns, herald_deadline_ns(&d->herald));
	uint64_t ms = deadline > now ? (deadline - now) / 1000000u + 1 : 0;

	return (uint64_t)http_ms < ms ? http_ms : (int)ms;
}

/* Its last words first: they say which incarnation it is that has ended. */
static void dataplane_ended(struct daemon_state *d)
{
	struct api_view view;

	look(d, &view);
	note_small(d, &view);
	if (supervise_ended(&d->supervisor, now_ns()))
		herald_ended(&d->herald, &d->service, now_ns());
}

/* Judged by what the view service says now, not when this daemon last looked. */
static void hear(struct daemon_state *d)
{
	struct api_view view;

	look(d, &view);
	herald_hear(&d->herald, &d->service);
}

static void loop(struct daemon_state *d, int signals)
{
	while (!d->quit && !(d->leaving && d->supervisor.pid == 0)) {
		struct pollfd fds[] = {
			{ .fd = signals, .events = POLLIN },
			{ .fd = http_fd(d->http), .events = POLLIN },
			{ .fd = d->supervisor.pidfd, .events = POLLIN },
			{ .fd = d->herald.fd, .events = POLLIN },
		};

		if (poll(fds, ARRAY_LEN(fds), wait_ms(d)) < 0 && errno != EINTR) {
			log_event(LOG_LEVEL_ERROR, "poll", "errno=%d", errno);
			return;
		}
		if (fds[2].revents)
			dataplane_ended(d);
		if (fds[0].revents)
			take_signal(d, signals);
		if (fds[3].revents)
			hear(d);
		supervise_tick(&d->supervisor, now_ns());
		herald_tick(&d->herald, now_ns());
		watch(d);
		http_run(d->http);
	}
}

static int make_runtime(const struct config *c, struct problem *p)
{
	char part[CONFIG_PATH_BYTES];

	snprintf(part, sizeof(part), "%s", c->node_runtime);
	for (char *at = part + 1; *at; at++) {
		if (*at != '/')
			continue;
		*at = 0;
		mkdir(part, 0755);
		*at = '/';
	}
	if (mkdir(part, 0750) == 0 || errno == EEXIST)
		return 0;
	return problem_set(p, PROBLEM_RUNTIME_UNUSABLE, "%s: cannot make folder: %s", part,
			   strerror(errno));
}

static int take_lock(const struct config *c, struct problem *p)
{
	char path[CONFIG_PATH_BYTES + 32];
	int fd, pid = 0;

	config_runtime_path(c, DAEMON_LOCK, path);
	int rc = lock_take(path, &fd, &pid);
	if (rc == 0)
		return 0; /* held until the process ends */
	if (rc != -EBUSY)
		return problem_set(p, rc == -ENOSPC ? PROBLEM_DISK_FULL : PROBLEM_RUNTIME_UNUSABLE,
				   "%s: cannot lock: %s", path, strerror(-rc));
	problem_set(p, PROBLEM_ALREADY_RUNNING, "cairnd of this node runs already, as process %d",
		    pid);
	return problem_cure(p, "stop process %d first, or use its socket %s", pid,
			    c->control_socket);
}

static int catch_signals(void)
{
	sigset_t set;

	signal(SIGPIPE, SIG_IGN);
	sigemptyset(&set);
	sigaddset(&set, SIGTERM);
	sigaddset(&set, SIGINT);
	sigaddset(&set, SIGQUIT);
	sigaddset(&set, SIGHUP);
	sigprocmask(SIG_BLOCK, &set, NULL);
	return signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
}

static int run(struct daemon_state *d, const char *program)
{
	const struct config *c = &d->config;
	struct problem problem;
	int signals = catch_signals();

	d->started_ns = now_ns();
	int rc = make_runtime(c, &problem);
	if (rc == 0)
		rc = take_lock(c, &problem);
	if (rc == 0)
		rc = http_start(c->control_socket, (unsigned)c->control_socket_mode, handle, d,
				&d->http, &problem);
	if (rc < 0) {
		log_problem(LOG_LEVEL_ERROR, "start_failed", &problem);
		return CTL_EXIT_FAILED;
	}
	log_event(LOG_LEVEL_INFO, "started", "node=%s version=%s socket=%s", c->node_name,
		  CAIRN_VERSION, c->control_socket);
	service_init(&d->service, c);
	herald_open(&d->herald, c);
	supervise_init(&d->supervisor, c, program);
	/* A failure to start it is in the status, with the cure: stay and tell. */
	(void)supervise_start(&d->supervisor, d->started_ns);
	loop(d, signals);
	log_event(LOG_LEVEL_INFO, "stopped", "dataplane_pid=%d", d->supervisor.pid);
	http_stop(d->http);
	return CTL_EXIT_OK;
}

static void usage(FILE *out)
{
	fputs("usage: cairnd -c FILE [-n] [--dataplane PROGRAM]\n"
	      "  -c, --config FILE             configuration of the node\n"
	      "  -n, --check                   check the configuration and exit\n"
	      "      --dataplane PROGRAM       cairn-dataplane; default: the one beside cairnd\n"
	      "      --print-config-reference  every key, its default and its meaning\n"
	      "      --foreground              accepted; cairnd always stays in the foreground\n"
	      "      --version                 print the version\n"
	      "  -h, --help                    this text\n"
	      "Signals: TERM, INT stop the dataplane and exit; QUIT exits, the dataplane goes on;\n"
	      "HUP reads the [[peer]] blocks anew.\n"
	      "Exit: 0 done, 1 failed, 2 usage or configuration error.\n",
	      out);
}

static int print_reference(void)
{
	static char text[DAEMON_REFERENCE_BYTES];

	must(config_reference(text, sizeof(text)) < sizeof(text));
	fputs(text, stdout);
	return CTL_EXIT_OK;
}

struct options {
	const char *file, *program;
	bool check;
};

/* Returns -1 to go on, or the exit code. */
static int parse_options(int argc, char **argv, struct options *o)
{
	static const struct option table[] = {
		{ "config", required_argument, NULL, 'c' },
		{ "check", no_argument, NULL, 'n' },
		{ "dataplane", required_argument, NULL, 'd' },
		{ "foreground", no_argument, NULL, 'f' },
		{ "print-config-reference", no_argument, NULL, 'r' },
		{ "version", no_argument, NULL, 'v' },
		{ "help", no_argument, NULL, 'h' },
		{ 0 },
	};
	int c;

	while ((c = getopt_long(argc, argv, "c:nh", table, NULL)) != -1) {
		switch (c) {
		case 'c':
			o->file = optarg;
			break;
		case 'd':
			o->program = optarg;
			break;
		case 'n':
			o->check = true;
			break;
		case 'f':
			break;
		case 'r':
			return print_reference();
		case 'v':
			puts("cairnd " CAIRN_VERSION);
			return CTL_EXIT_OK;
		case 'h':
			usage(stdout);
			return CTL_EXIT_OK;
		default:
			usage(stderr);
			return CTL_EXIT_USAGE;
		}
	}
	if (o->file && optind == argc)
		return -1;
	usage(stderr);
	return CTL_EXIT_USAGE;
}

int main(int argc, char **argv)
{
	static struct daemon_state d;
	struct options options = { .program = "" };
	struct problem problem;
	char code[16];

	int exit_code = parse_options(argc, argv, &options);
	if (exit_code >= 0)
		return exit_code;
	log_start("cairnd");
	if (config_load(options.file, &d.config, &problem) < 0) {
		fprintf(stderr, "%s [%s]\n  cure: %s\n", problem.text,
			problem_code(problem.id, code), problem.cure);
		return CTL_EXIT_USAGE;
	}
	if (options.check) {
		printf("%s: ok\n", options.file);
		return CTL_EXIT_OK;
	}
	return run(&d, options.program);
}
