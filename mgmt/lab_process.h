/* SPDX-License-Identifier: Apache-2.0 */
/*
 * lab_process.h: the processes of a lab. They are found in /proc by what they are: one of Cairn's
 * programs with an argument inside the lab's folder. So a lab can be taken down after any crash,
 * also of the command that was starting it, and a process that merely got a recorded number is
 * never touched: every signal goes through a pidfd whose process was looked at after it was opened.
 */
#ifndef CAIRN_MGMT_LAB_PROCESS_H
#define CAIRN_MGMT_LAB_PROCESS_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#define LAB_PROCESSES_MAX 32u
#define LAB_NODE_NONE	  (-1)

enum lab_program { LAB_SWITCH = 0, LAB_DAEMON = 1, LAB_DATAPLANE = 2, LAB_PROGRAM_COUNT };

struct lab_process {
	enum lab_program program;
	int node; /* LAB_NODE_NONE: the switch */
	pid_t pid;
	int pidfd;
};

struct lab_processes {
	unsigned count;
	struct lab_process process[LAB_PROCESSES_MAX];
};

/* lab_process_name: "cairnd", ... */
const char *lab_process_name(enum lab_program program);

/* lab_process_find: all running processes of the lab in dir (an absolute path without symlinks). */
void lab_process_find(const char *dir, struct lab_processes *ret_processes);

/* lab_process_release: closes the pidfds; the list stays readable. */
void lab_process_release(struct lab_processes *processes);

/* lab_process_of: the pid of a node's program, 0 when it does not run. */
pid_t lab_process_of(const struct lab_processes *processes, enum lab_program program, int node);

/* lab_process_signal: 0 or a negative errno; -ESRCH when it is gone already. */
int lab_process_signal(const struct lab_process *process, int signal);

/* lab_process_wait: waits until it is gone, at most timeout_ms. true: gone. */
bool lab_process_wait(const struct lab_process *process, uint64_t timeout_ms);

struct lab_spawn {
	const char *const *argv; /* argv[0] is the program's path; NULL-terminated */
	const char *log;	 /* standard output and error are appended here; NULL: /dev/null */
	const char *netns;	 /* name of a network namespace, or NULL */
	bool inherit;		 /* keep our standard output and error instead of log */
};

/*
 * lab_process_spawn: starts a program in its own session, with no open file of ours but the log.
 * 0 and its pid, or a negative errno (of fork, setns or exec).
 */
int lab_process_spawn(const struct lab_spawn *spawn, pid_t *ret_pid);

/* lab_process_run: spawn, then wait for the end. The exit status, 128 + signal, or a negative
 * errno. */
int lab_process_run(const struct lab_spawn *spawn);

/* lab_process_sibling: path of a program beside our own; out has 512 bytes. 0, or -ENOENT. */
int lab_process_sibling(const char *name, char out[512]);

/* lab_process_tail: the last lines of a log, to standard error. */
void lab_process_tail(const char *path);

/* lab_process_now_ms: the monotonic clock. lab_process_sleep_ms: waits between two polls. */
uint64_t lab_process_now_ms(void);
void lab_process_sleep_ms(uint64_t ms);

/*
 * lab_process_pause: between two looks at what has been waited for since since_ms: 10 ms, and of a
 * long wait a 32nd part, 250 ms at most. Those who are waited for may need the cores.
 */
void lab_process_pause(uint64_t since_ms);

#endif
