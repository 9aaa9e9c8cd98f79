/* SPDX-License-Identifier: Apache-2.0 */
#include "mgmt/lab_process.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "replication/base.h"

#define TAIL_LINES   8u
#define PAUSE_MS     10u
#define PAUSE_MAX_MS 250u
#define PAUSE_SHARE  32u

static const char *const program_names[LAB_PROGRAM_COUNT] = { "cairn-switch", "cairnd",
							      "cairn-dataplane" };

const char *lab_process_name(enum lab_program program)
{
	return program_names[program];
}

/* Which of our programs pid runs, or -1. A rebuilt program shows as "... (deleted)". */
static int program_of(const char *pid)
{
	char path[64], target[512];
	const char *base;
	ssize_t bytes;
	size_t n;

	snprintf(path, sizeof(path), "/proc/%s/exe", pid);
	bytes = readlink(path, target, sizeof(target) - 1);
	if (bytes <= 0)
		return -1;
	target[bytes] = '\0';
	base = strrchr(target, '/');
	base = base ? base + 1 : target;
	for (int i = 0; i < LAB_PROGRAM_COUNT; i++) {
		n = strlen(program_names[i]);
		if (strncmp(base, program_names[i], n) == 0 &&
		    (base[n] == '\0' || strcmp(base + n, " (deleted)") == 0))
			return i;
	}
	return -1;
}

/*
 * An argument inside dir: true, and the node it names ("DIR/node<i>/...") in *node. The path is the
 * whole argument, or what follows "=": dir in the middle of a path belongs to another lab.
 */
static bool argument_inside(const char *argument, const char *dir, int *node)
{
	const char *at = *argument == '/' ? argument : strchr(argument, '=');
	size_t n = strlen(dir);

	if (at && *at == '=')
		at++;
	if (!at || strncmp(at, dir, n) != 0 || at[n] != '/')
		return false;
	if (strncmp(at + n, "/node", 5) == 0 && at[n + 5] >= '0' && at[n + 5] <= '9')
		*node = (int)strtol(at + n + 5, NULL, 10);
	return true;
}

static bool arguments_inside(const char *pid, const char *dir, int *node)
{
	char path[64], text[4096];
	bool inside = false;
	ssize_t bytes;
	int fd;

	snprintf(path, sizeof(path), "/proc/%s/cmdline", pid);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return false;
	bytes = read(fd, text, sizeof(text) - 1);
	close(fd);
	if (bytes <= 0)
		return false;
	text[bytes] = '\0';
	*node = LAB_NODE_NONE;
	for (char *a = text; a < text + bytes; a += strlen(a) + 1)
		inside = argument_inside(a, dir, node) || inside;
	return inside;
}

static void consider(const char *pid, const char *dir, struct lab_processes *found)
{
	struct lab_process *p = &found->process[found->count];
	int program = program_of(pid);

	if (program < 0 || !arguments_inside(pid, dir, &p->node))
		return;
	p->pid = (pid_t)strtol(pid, NULL, 10);
	p->pidfd = (int)syscall(SYS_pidfd_open, p->pid, 0);
	if (p->pidfd < 0)
		return;
	/* Look again: between the first look and the open the number may have changed hands. */
	if (program_of(pid) != program || !arguments_inside(pid, dir, &p->node)) {
		close(p->pidfd);
		return;
	}
	p->program = (enum lab_program)program;
	found->count++;
}

void lab_process_find(const char *dir, struct lab_processes *ret_processes)
{
	DIR *proc = opendir("/proc");
	const struct dirent *entry;

	ret_processes->count = 0;
	if (!proc)
		return;
	while ((entry = readdir(proc)) && ret_processes->count < LAB_PROCESSES_MAX)
		if (entry->d_name[0] >= '1' && entry->d_name[0] <= '9')
			consider(entry->d_name, dir, ret_processes);
	closedir(proc);
}

void lab_process_release(struct lab_processes *processes)
{
	for (unsigned i = 0; i < processes->count; i++)
		close(processes->process[i].pidfd);
}

pid_t lab_process_of(const struct lab_processes *processes, enum lab_program program, int node)
{
	for (unsigned i = 0; i < processes->count; i++) {
		const struct lab_process *p = &processes->process[i];

		if (p->program == program && p->node == node)
			return p->pid;
	}
	return 0;
}

int lab_process_signal(const struct lab_process *process, int signal)
{
	if (syscall(SYS_pidfd_send_signal, process->pidfd, signal, NULL, 0) < 0)
		return -errno;
	return 0;
}

bool lab_process_wait(const struct lab_process *process, uint64_t timeout_ms)
{
	struct pollfd p = { .fd = process->pidfd, .events = POLLIN };

	return poll(&p, 1, (int)timeout_ms) > 0;
}

static int enter_netns(const char *netns)
{
	char path[128];
	int fd, rc;

	snprintf(path, sizeof(path), "/run/netns/%s", netns);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	rc = setns(fd, CLONE_NEWNET) < 0 ? -errno : 0;
	close(fd);
	return rc;
}

/* The child: never returns. A failure before exec goes through error_fd. */
static _Noreturn void child(const struct lab_spawn *spawn, int error_fd)
{
	const char *log = spawn->log ? spawn->log : "/dev/null";
	int rc = 0, null_fd, log_fd;
	ssize_t written;
	sigset_t none;

	setsid();
	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
	signal(SIGPIPE, SIG_DFL);
	null_fd = open("/dev/null", O_RDONLY);
	log_fd = open(log, O_WRONLY | O_CREAT | O_APPEND, 0644);
	if (null_fd < 0 || log_fd < 0 || dup2(null_fd, 0) < 0)
		rc = -errno;
	if (!rc && !spawn->inherit && (dup2(log_fd, 1) < 0 || dup2(log_fd, 2) < 0))
		rc = -errno;
	if (!rc && dup2(error_fd, 3) < 0)
		rc = -errno;
	/* Files the caller left open (pipes of a test, say) must not live as long as the lab. */
	if (!rc && (close_range(4, ~0u, 0) < 0 || fcntl(3, F_SETFD, FD_CLOEXEC) < 0))
		rc = -errno;
	if (!rc)
		error_fd = 3;
	if (!rc && spawn->netns)
		rc = enter_netns(spawn->netns);
	if (!rc) {
		execv(spawn->argv[0], (char *const *)spawn->argv);
		rc = -errno;
	}
	written = write(error_fd, &rc, sizeof(rc));
	_exit(written == sizeof(rc) ? 127 : 126);
}

int lab_process_spawn(const struct lab_spawn *spawn, pid_t *ret_pid)
{
	int fds[2], rc = 0;
	ssize_t bytes;
	pid_t pid;

	if (pipe2(fds, O_CLOEXEC) < 0)
		return -errno;
	pid = fork();
	if (pid < 0) {
		rc = -errno;
		close(fds[0]);
		close(fds[1]);
		return rc;
	}
	if (pid == 0) {
		close(fds[0]);
		child(spawn, fds[1]);
	}
	close(fds[1]);
	do
		bytes = read(fds[0], &rc, sizeof(rc));
	while (bytes < 0 && errno == EINTR);
	close(fds[0]);
	if (bytes == sizeof(rc)) {
		waitpid(pid, NULL, 0);
		return rc;
	}
	*ret_pid = pid;
	return 0;
}

int lab_process_run(const struct lab_spawn *spawn)
{
	pid_t pid;
	int status, rc = lab_process_spawn(spawn, &pid);

	if (rc)
		return rc;
	while (waitpid(pid, &status, 0) < 0)
		if (errno != EINTR)
			return -errno;
	return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

int lab_process_sibling(const char *name, char out[512])
{
	ssize_t bytes = readlink("/proc/self/exe", out, 400);
	char *slash;

	if (bytes <= 0 || bytes >= 400)
		return -ENOENT;
	out[bytes] = '\0';
	slash = strrchr(out, '/');
	if (!slash)
		return -ENOENT;
	snprintf(slash + 1, 512 - (size_t)(slash + 1 - out), "%s", name);
	return access(out, X_OK) == 0 ? 0 : -ENOENT;
}

void lab_process_tail(const char *path)
{
	FILE *f = fopen(path, "re");
	char text[2048];
	size_t bytes, lines = 0;
	const char *from;

	if (!f)
		return;
	if (fseek(f, -(long)sizeof(text) + 1, SEEK_END) < 0)
		rewind(f);
	bytes = fread(text, 1, sizeof(text) - 1, f);
	fclose(f);
	text[bytes] = '\0';
	for (from = text + bytes; from > text; from--)
		if (from[-1] == '\n' && ++lines > TAIL_LINES)
			break;
	fprintf(stderr, "last lines of '%s':\n%s", path, from);
}

uint64_t lab_process_now_ms(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

void lab_process_sleep_ms(uint64_t ms)
{
	struct timespec t = { .tv_sec = (time_t)(ms / 1000),
			      .tv_nsec = (long)(ms % 1000) * 1000000 };

	nanosleep(&t, NULL);
}

void lab_process_pause(uint64_t since_ms)
{
	uint64_t ms = (lab_process_now_ms() - since_ms) / PAUSE_SHARE;

	lab_process_sleep_ms(min_u64(max_u64(ms, PAUSE_MS), PAUSE_MAX_MS));
}
