/* SPDX-License-Identifier: Apache-2.0 */
/*
 * cairn-dataplane: one node. The main thread brings it up, publishes its state and waits for a
 * signal; the workers' threads poll. Normally started by cairnd; runs just as well alone.
 */
#include <errno.h>
#include <getopt.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <time.h>
#include <unistd.h>

#include "dataplane/stats.h"
#include "mgmt/ctl_proto.h"
#include "mgmt/log.h"
#include "mgmt/node.h"

#define WATCH_NS 10000000

static sigset_t stop_signals;
static int stop_signal;

void must_failed(const char *expression, const char *file, int line)
{
	log_event(LOG_LEVEL_ERROR, "abort", "expression=\"%s\" file=%s line=%d", expression, file,
		  line);
	abort();
}

/* Takes a pending SIGTERM or SIGINT; they are blocked in every thread, so only this sees them. */
static bool should_stop(void)
{
	struct timespec none = { 0 };

	if (stop_signal == 0) {
		int rc = sigtimedwait(&stop_signals, NULL, &none);
		stop_signal = rc > 0 ? rc : 0;
	}
	return stop_signal != 0;
}

static void usage(FILE *out)
{
	fputs("usage: cairn-dataplane --config FILE\n"
	      "  -c, --config FILE   configuration of the node\n"
	      "      --version       print the version\n"
	      "  -h, --help          this text\n"
	      "Exit: 0 stopped by a signal, 1 failed, 2 usage or configuration error, 9 start me\n"
	      "again: the cluster went on without this incarnation.\n",
	      out);
}

/* Leaves word for cairnd, which has no other way to learn why its child ended. */
static void leave_error(const struct config *c, const struct problem *p)
{
	char path[CONFIG_PATH_BYTES + 32], code[16];

	config_runtime_path(c, CTL_FILE_ERROR, path);
	if (!p) {
		unlink(path);
		return;
	}
	FILE *f = fopen(path, "we");
	if (!f)
		return;
	fprintf(f, "%s\t%s\t%s\n", problem_code(p->id, code), p->text, p->cure);
	fclose(f);
}

/* Until a signal, or until the cluster goes on without this incarnation: then true. */
static bool watch(struct node *node)
{
	static const char *const names[] = { CTL_STATE_STARTING,    CTL_STATE_RECOVERING,
					     CTL_STATE_WAITING,	    CTL_STATE_SERVING,
					     CTL_STATE_DISK_FAILED, CTL_STATE_STOPPED };
	struct timespec period = { .tv_nsec = WATCH_NS };
	uint32_t state;

	while (stop_signal == 0) {
		if (node_watch(node, &state) && state < ARRAY_LEN(names))
			log_event(state == DATAPLANE_DISK_FAILED ? LOG_LEVEL_ERROR : LOG_LEVEL_INFO,
				  "state", "state=%s", names[state]);
		if (node_must_restart(node))
			return true;
		int rc = sigtimedwait(&stop_signals, NULL, &period);
		stop_signal = rc > 0 ? rc : 0;
	}
	return false;
}

static int run(const struct config *config)
{
	struct problem problem = { 0 };
	char summary[512];
	struct node *node;

	int rc = node_start(config, should_stop, &node, &problem);
	if (rc == -EINTR)
		return CTL_EXIT_OK;
	if (rc < 0) {
		log_problem(LOG_LEVEL_ERROR, "start_failed", &problem);
		/* A second start must not overwrite what the running one has to say. */
		if (problem.id != PROBLEM_ALREADY_RUNNING)
			leave_error(config, &problem);
		return problem.id < 100 ? CTL_EXIT_USAGE : CTL_EXIT_FAILED;
	}
	leave_error(config, NULL);
	node_summary(node, summary, sizeof(summary));
	log_event(LOG_LEVEL_INFO, "started", "%s", summary);
	bool restart = watch(node);
	if (restart)
		log_event(LOG_LEVEL_WARNING, "left_out",
			  "action=\"ends, to come back as a new incarnation\"");
	else
		log_event(LOG_LEVEL_INFO, "stopping", "signal=%s", sigabbrev_np(stop_signal));
	node_stop(node);
	log_event(LOG_LEVEL_INFO, "stopped", "%s", "");
	return restart ? CTL_EXIT_RESTART : CTL_EXIT_OK;
}

/* Returns the file, or NULL with *ret_exit set. */
static const char *parse_options(int argc, char **argv, int *ret_exit)
{
	static const struct option options[] = {
		{ "config", required_argument, NULL, 'c' },
		{ "version", no_argument, NULL, 'v' },
		{ "help", no_argument, NULL, 'h' },
		{ 0 },
	};
	const char *file = NULL;
	int c;

	*ret_exit = CTL_EXIT_USAGE;
	while ((c = getopt_long(argc, argv, "c:h", options, NULL)) != -1) {
		if (c == 'c') {
			file = optarg;
			continue;
		}
		if (c == 'v')
			puts("cairn-dataplane " CAIRN_VERSION);
		else
			usage(c == 'h' ? stdout : stderr);
		*ret_exit = c == '?' ? CTL_EXIT_USAGE : CTL_EXIT_OK;
		return NULL;
	}
	if (file && optind == argc)
		return file;
	usage(stderr);
	return NULL;
}

int main(int argc, char **argv)
{
	static struct config config;
	struct problem problem;
	int exit_code;

	const char *file = parse_options(argc, argv, &exit_code);
	if (!file)
		return exit_code;
	log_start("cairn-dataplane");
	if (config_load(file, &config, &problem) < 0) {
		log_problem(LOG_LEVEL_ERROR, "bad_config", &problem);
		return CTL_EXIT_USAGE;
	}
	/* cairnd may die and take the reader of our standard error with it: keep serving. */
	signal(SIGPIPE, SIG_IGN);
	signal(SIGHUP, SIG_IGN);
	sigemptyset(&stop_signals);
	sigaddset(&stop_signals, SIGTERM);
	sigaddset(&stop_signals, SIGINT);
	sigprocmask(SIG_BLOCK, &stop_signals, NULL);
	return run(&config);
}
