/* SPDX-License-Identifier: Apache-2.0 */
#include "mgmt/supervise.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "mgmt/ctl_proto.h"
#include "mgmt/lock.h"
#include "mgmt/log.h"

extern char **environ;

static int pidfd_of(int pid)
{
	return (int)syscall(SYS_pidfd_open, pid, 0u);
}

static void pidfd_signal(int pidfd, int signal_number)
{
	(void)syscall(SYS_pidfd_send_signal, pidfd, signal_number, NULL, 0u);
}

void supervise_init(struct supervisor *s, const struct config *config, const char *program)
{
	char self[CONFIG_PATH_BYTES - 32];

	*s = (struct supervisor) { .config = config,
				   .state = SUPERVISOR_STOPPED,
				   .pidfd = -1,
				   .deadline_ns = UINT64_MAX };
	snprintf(s->program, sizeof(s->program), "%s", program);
	if (s->program[0])
		return;
	ssize_t n = readlink("/proc/self/exe", self, sizeof(self) - 1);
	self[n > 0 ? n : 0] = 0;
	char *slash = strrchr(self, '/');
	if (slash)
		slash[1] = 0;
	snprintf(s->program, sizeof(s->program), "%scairn-dataplane", self);
}

const char *supervise_state_name(enum supervisor_state state)
{
	switch (state) {
	case SUPERVISOR_STOPPED:
		return CTL_STATE_STOPPED;
	case SUPERVISOR_RUNNING:
	case SUPERVISOR_WAITING:
		return CTL_STATE_STARTING;
	case SUPERVISOR_STOPPING:
		return CTL_STATE_STOPPING;
	case SUPERVISOR_FAILED:
		return CTL_STATE_FAILED;
	}
	return CTL_STATE_FAILED;
}

static void running(struct supervisor *s, int pid, bool attached, uint64_t now_ns)
{
	s->state = SUPERVISOR_RUNNING;
	s->pid = pid;
	s->attached = attached;
	s->started_ns = now_ns;
	s->deadline_ns = UINT64_MAX;
}

static int data_holder(const struct supervisor *s)
{
	char path[CONFIG_PATH_BYTES + 32];

	snprintf(path, sizeof(path), "%s/" CTL_FILE_LOCK, s->config->node_data);
	return lock_holder(path);
}

static int runtime_holder(const struct supervisor *s)
{
	char path[CONFIG_PATH_BYTES + 32];

	config_runtime_path(s->config, CTL_FILE_LOCK, path);
	return lock_holder(path);
}

bool supervise_attach(struct supervisor *s, uint64_t now_ns)
{
	int pid = data_holder(s);

	/* With another runtime folder it is of another configuration, and another cairnd's. */
	if (pid <= 0 || runtime_holder(s) != pid)
		return false;
	int fd = pidfd_of(pid);
	if (fd < 0)
		return false;
	/* The pid was the holder's before and after the descriptor was made, so it is its. */
	if (data_holder(s) != pid) {
		close(fd);
		return false;
	}
	s->pidfd = fd;
	running(s, pid, true, now_ns);
	log_event(LOG_LEVEL_INFO, "attached", "dataplane_pid=%d", pid);
	return true;
}

/* In a session of its own, with no signal blocked, reading nothing. */
static int spawn(const struct supervisor *s, int *ret_pid)
{
	char *argv[] = { (char *)s->program, "--config", (char *)s->config->file, NULL };
	posix_spawn_file_actions_t files;
	posix_spawnattr_t attributes;
	sigset_t none, all;

	sigemptyset(&none);
	sigfillset(&all);
	posix_spawn_file_actions_init(&files);
	posix_spawn_file_actions_addopen(&files, STDIN_FILENO, "/dev/null", O_RDONLY, 0);
	posix_spawnattr_init(&attributes);
	posix_spawnattr_setsigmask(&attributes, &none);
	posix_spawnattr_setsigdefault(&attributes, &all);
	posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETSID | POSIX_SPAWN_SETSIGMASK |
						      POSIX_SPAWN_SETSIGDEF);
	int rc = posix_spawn(ret_pid, s->program, &files, &attributes, argv, environ);
	posix_spawnattr_destroy(&attributes);
	posix_spawn_file_actions_destroy(&files);
	return -rc;
}

static void give_up(struct supervisor *s)
{
	s->state = SUPERVISOR_FAILED;
	s->deadline_ns = UINT64_MAX;
	log_problem(LOG_LEVEL_ERROR, "gave_up", &s->failure);
}

static void pause_for(struct supervisor *s, uint64_t now_ns)
{
	uint64_t pause = SUPERVISE_BACKOFF_NS;

	for (uint32_t i = 1; i < s->quick_deaths; i++)
		pause *= 2;
	s->state = SUPERVISOR_WAITING;
	s->deadline_ns = now_ns + min_u64(pause, SUPERVISE_BACKOFF_MAX_NS);
}

/*
 * in_use: a process that is none of ours has the data. One that only just starts or ends has one
 * lock without the other for a moment: look again a few times.
 */
static bool in_use(struct supervisor *s, uint64_t now_ns)
{
	int pid = data_holder(s);

	/* Of one that has ended the kernel frees the rings, and so the lock, a little later. */
	if (pid <= 0 || (kill(pid, 0) < 0 && errno == ESRCH))
		return false;
	problem_set(&s->failure, PROBLEM_ALREADY_RUNNING,
		    "%.300s is in use by process %d, no dataplane of this configuration",
		    s->config->node_data, pid);
	problem_cure(&s->failure,
		     "stop process %d first; if it is this node's dataplane, use the [node] runtime"
		     " it has; or give this node a data folder of its own",
		     pid);
	if (++s->quick_deaths >= SUPERVISE_QUICK_MAX)
		give_up(s);
	else
		pause_for(s, now_ns);
	return true;
}

static int launch(struct supervisor *s, uint64_t now_ns)
{
	char path[CONFIG_PATH_BYTES + 32];
	int pid = 0;

	if (s->failure.id == PROBLEM_ALREADY_RUNNING)
		s->failure = (struct problem) { .id = PROBLEM_NONE };
	if (supervise_attach(s, now_ns) || in_use(s, now_ns))
		return 0;
	config_runtime_path(s->config, CTL_FILE_ERROR, path);
	unlink(path);
	int rc = spawn(s, &pid);
	if (rc == 0) {
		s->pidfd = pidfd_of(pid);
		rc = s->pidfd < 0 ? -errno : 0;
	}
	if (rc < 0) {
		problem_set(&s->failure, PROBLEM_PROGRAM_MISSING, "cannot start %s: %s", s->program,
			    strerror(-rc));
		give_up(s);
		return -EINVAL;
	}
	running(s, pid, false, now_ns);
	log_event(LOG_LEVEL_INFO, "dataplane_started", "dataplane_pid=%d", pid);
	return 0;
}

int supervise_start(struct supervisor *s, uint64_t now_ns)
{
	if (s->state == SUPERVISOR_RUNNING)
		return 0;
	if (s->state == SUPERVISOR_STOPPING) {
		s->start_again = true;
		return 0;
	}
	s->quick_deaths = 0;
	s->failure = (struct problem) { .id = PROBLEM_NONE };
	return launch(s, now_ns);
}

void supervise_stop(struct supervisor *s, uint64_t now_ns)
{
	s->start_again = false;
	if (s->state == SUPERVISOR_RUNNING) {
		s->state = SUPERVISOR_STOPPING;
		s->deadline_ns = now_ns + SUPERVISE_STOP_NS;
		pidfd_signal(s->pidfd, SIGTERM);
	} else if (s->state != SUPERVISOR_STOPPING) {
		s->state = SUPERVISOR_STOPPED;
		s->deadline_ns = UINT64_MAX;
	}
}

int supervise_restart(struct supervisor *s, uint64_t now_ns)
{
	supervise_stop(s, now_ns);
	return supervise_start(s, now_ns);
}

/* The dataplane's own words, if it left any. */
static bool read_failure(struct supervisor *s)
{
	char path[CONFIG_PATH_BYTES + 32], line[PROBLEM_TEXT_BYTES + PROBLEM_CURE_BYTES + 32];
	unsigned id = 0;

	config_runtime_path(s->config, CTL_FILE_ERROR, path);
	FILE *f = fopen(path, "re");
	if (!f)
		return false;
	char *got = fgets(line, sizeof(line), f);
	fclose(f);
	char *text = got ? strchr(line, '\t') : NULL;
	char *cure = text ? strchr(text + 1, '\t') : NULL;
	if (!cure || sscanf(line, "CAIRN-%4u\t", &id) != 1)
		return false;
	*text++ = *cure++ = 0;
	cure[strcspn(cure, "\n")] = 0;
	problem_set(&s->failure, (enum problem_id)id, "%s", text);
	problem_cure(&s->failure, "%s", cure);
	return true;
}

static void describe_end(struct supervisor *s, const siginfo_t *info)
{
	if (read_failure(s))
		return;
	if (s->attached)
		problem_set(&s->failure, PROBLEM_DATAPLANE_RESTARTED,
			    "the dataplane (pid %d) ended", s->pid);
	else if (info->si_code == CLD_EXITED)
		problem_set(&s->failure, PROBLEM_DATAPLANE_RESTARTED,
			    "the dataplane (pid %d) ended with exit code %d", s->pid,
			    info->si_status);
	else
		problem_set(&s->failure, PROBLEM_DATAPLANE_RESTARTED,
			    "the dataplane (pid %d) was killed by signal %d (%s)", s->pid,
			    info->si_status, strsignal(info->si_status));
}

/* Trying again helps against a missing link or a busy file, not against a wrong configuration. */
static bool worth_retrying(const struct supervisor *s, const siginfo_t *info)
{
	static const enum problem_id final[] = {
		PROBLEM_NOT_FORMATTED,	 PROBLEM_WRONG_DATA,   PROBLEM_LOG_ROT,
		PROBLEM_STORE_TOO_SMALL, PROBLEM_FORMAT_NEWER, PROBLEM_INCARNATIONS_USED,
	};

	for (size_t i = 0; i < ARRAY_LEN(final); i++)
		if (s->failure.id == final[i])
			return false;
	return s->attached || info->si_code != CLD_EXITED || info->si_status != CTL_EXIT_USAGE;
}

static void died(struct supervisor *s, const siginfo_t *info, uint64_t now_ns)
{
	bool quick = now_ns - s->started_ns < SUPERVISE_QUICK_NS;

	describe_end(s, info);
	log_problem(LOG_LEVEL_ERROR, "dataplane_died", &s->failure);
	s->returning = false;
	s->quick_deaths = quick ? s->quick_deaths + 1 : 0;
	if (s->quick_deaths >= SUPERVISE_QUICK_MAX || !worth_retrying(s, info)) {
		give_up(s);
		return;
	}
	pause_for(s, now_ns);
}

/* It left word, after this very start: see node_floor_write. */
static bool left_out(const struct supervisor *s)
{
	char path[CONFIG_PATH_BYTES + 32];

	config_runtime_path(s->config, CTL_FILE_RESTART, path);
	return access(path, F_OK) == 0;
}

static void comes_back(struct supervisor *s, uint64_t now_ns)
{
	bool soon = s->return_ns != 0 && now_ns - s->return_ns < SUPERVISE_RETURN_NS;

	log_event(LOG_LEVEL_WARNING, "dataplane_left_out", "dataplane_pid=%d", s->pid);
	s->returns++;
	s->returning = true;
	s->return_ns = now_ns;
	s->state = SUPERVISOR_WAITING;
	s->deadline_ns = now_ns + (soon ? SUPERVISE_BACKOFF_NS : 0);
}

bool supervise_ended(struct supervisor *s, uint64_t now_ns)
{
	struct pollfd gone = { .fd = s->pidfd, .events = POLLIN };
	siginfo_t info = { 0 };
	bool ended = poll(&gone, 1, 0) == 1 && (gone.revents & POLLIN);

	/* A process that is not our child shows as readable when no thread of it is left. */
	if (!s->attached)
		ended = waitid(P_PIDFD, (id_t)s->pidfd, &info, WEXITED | WNOHANG) == 0 &&
			info.si_pid == s->pid && s->pid != 0;
	close(s->pidfd);
	s->pidfd = -1;
	bool wanted =
		s->attached || (info.si_code == CLD_EXITED && info.si_status == CTL_EXIT_RESTART);
	if (s->state != SUPERVISOR_STOPPING && wanted && left_out(s)) {
		comes_back(s, now_ns);
	} else if (s->state != SUPERVISOR_STOPPING) {
		died(s, &info, now_ns);
	} else {
		log_event(LOG_LEVEL_INFO, "dataplane_stopped", "dataplane_pid=%d", s->pid);
		s->state = SUPERVISOR_STOPPED;
		s->deadline_ns = UINT64_MAX;
	}
	s->pid = 0;
	if (s->state == SUPERVISOR_STOPPED && s->start_again) {
		s->start_again = false;
		supervise_start(s, now_ns);
	}
	return ended;
}

void supervise_tick(struct supervisor *s, uint64_t now_ns)
{
	if (now_ns < s->deadline_ns)
		return;
	s->deadline_ns = UINT64_MAX;
	if (s->state == SUPERVISOR_WAITING) {
		s->restarts += !s->returning;
		launch(s, now_ns);
	} else if (s->state == SUPERVISOR_STOPPING) {
		log_event(LOG_LEVEL_WARNING, "killing",
			  "dataplane_pid=%d reason=\"SIGTERM had no effect\"", s->pid);
		pidfd_signal(s->pidfd, SIGKILL);
	}
}
