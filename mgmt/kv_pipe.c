/* SPDX-License-Identifier: Apache-2.0 */
#include "mgmt/kv_pipe.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "mgmt/kv_record.h"

#define RESULTS_MAX    64u
#define RING_FACTOR    4u  /* records kept behind a slow one, in windows */
#define RUN_LENGTH     16u /* records in a row to the same server: they share datagrams */
#define RETRY_BUSY_NS  1000000ull
#define RETRY_LATER_NS 20000000ull

enum slot_state { SLOT_FREE, SLOT_FLYING, SLOT_WAITING, SLOT_DONE };

struct slot {
	enum slot_state state;
	uint32_t server;
	uint64_t deadline_ns, retry_ns, start_ns;
	struct kv_record record;
	struct cairn_result result; /* kept for ordered delivery */
};

struct run {
	struct kv_pipe *pipe;
	struct slot *slots;
	uint64_t head, tail; /* records begun, records delivered from the ring's end */
	uint32_t size, flying, waiting;
	bool ended;
};

static void finish(struct run *r, struct slot *s, const struct cairn_result *result)
{
	struct kv_pipe *p = r->pipe;

	if (p->ordered)
		s->result = *result;
	else if (!p->done(p->user, &s->record, result))
		r->ended = true;
	s->state = SLOT_DONE;
	while (r->tail < r->head && r->slots[r->tail % r->size].state == SLOT_DONE) {
		s = &r->slots[r->tail++ % r->size];
		if (p->ordered && !p->done(p->user, &s->record, &s->result))
			r->ended = true;
		s->state = SLOT_FREE;
	}
}

static void submit(struct run *r, uint32_t index, uint64_t now)
{
	struct kv_pipe *p = r->pipe;
	struct slot *s = &r->slots[index];
	uint64_t left = s->deadline_ns - now;
	struct cairn_op op = {
		.kind = p->kind,
		.server = s->server,
		.key = { s->record.key, s->record.key_bytes },
		.value = { s->record.value, s->record.value_bytes },
		.timeout_ns = p->attempt_ns < left ? p->attempt_ns : left,
		.tag = index,
	};
	struct cairn_result refused = { .tag = index, .kind = p->kind, .server = s->server };

	s->start_ns = kv_record_now();
	refused.status = cairn_submit(p->target->client, &op);
	if (refused.status == CAIRN_OK) {
		s->state = SLOT_FLYING;
		r->flying++;
	} else {
		finish(r, s, &refused);
	}
}

/* When to try this outcome again, in ns from now; 0: it is final. */
static uint64_t retry_after(const struct kv_pipe *p, enum cairn_status status)
{
	if (status == CAIRN_BUSY)
		return RETRY_BUSY_NS;
	if (status == CAIRN_NOT_SERVING ||
	    ((status == CAIRN_UNKNOWN || status == CAIRN_EVICTED) && p->retry_unknown))
		return RETRY_LATER_NS;
	return 0;
}

static void record(const struct run *r, const struct slot *s, const struct cairn_result *result)
{
	struct cairn_op op = { .kind = r->pipe->kind,
			       .key = { s->record.key, s->record.key_bytes },
			       .value = { s->record.value, s->record.value_bytes } };

	kv_record_line(r->pipe->history, &op, result, s->start_ns);
}

/* turn: the next attempt goes to the next server; this one may be dead, or not serve. */
static void turn(struct run *r, struct slot *s)
{
	const struct kv_target *t = r->pipe->target;

	for (uint32_t i = 0; i < t->server_count && t->server == CAIRN_ANY_SERVER; i++) {
		if (t->servers[i] != s->server)
			continue;
		s->server = t->servers[(i + 1) % t->server_count];
		return;
	}
}

static void complete(struct run *r, const struct cairn_result *result, uint64_t now)
{
	struct slot *s = &r->slots[result->tag];
	uint64_t after = retry_after(r->pipe, result->status);

	r->flying--;
	record(r, s, result);
	if (after == 0 || now + after >= s->deadline_ns) {
		finish(r, s, result);
		return;
	}
	turn(r, s);
	s->state = SLOT_WAITING;
	s->retry_ns = now + after;
	r->waiting++;
	r->pipe->retries++;
}

/* Sends again what is due; returns ns until the next one is. */
static uint64_t retry_due(struct run *r, uint64_t now)
{
	uint64_t sleep = 100000000;

	for (uint64_t i = r->tail; r->waiting && i < r->head; i++) {
		struct slot *s = &r->slots[i % r->size];

		if (s->state != SLOT_WAITING)
			continue;
		if (s->retry_ns <= now) {
			r->waiting--;
			submit(r, (uint32_t)(i % r->size), now);
		} else if (s->retry_ns - now < sleep) {
			sleep = s->retry_ns - now;
		}
	}
	return sleep;
}

static void fill(struct run *r, uint64_t now)
{
	struct kv_pipe *p = r->pipe;
	const struct kv_target *t = p->target;

	while (!r->ended && r->flying + r->waiting < p->window && r->head - r->tail < r->size) {
		struct slot *s = &r->slots[r->head % r->size];

		if (!p->next(p->user, &s->record)) {
			r->ended = true;
			return;
		}
		s->server = t->server != CAIRN_ANY_SERVER
				    ? t->server
				    : t->servers[r->head / RUN_LENGTH % t->server_count];
		s->deadline_ns = now + p->record_ns;
		r->head++;
		submit(r, (uint32_t)((r->head - 1) % r->size), now);
	}
}

int kv_pipe_run(struct kv_pipe *pipe)
{
	static struct cairn_result results[RESULTS_MAX];
	struct run r = { .pipe = pipe, .size = pipe->window * RING_FACTOR };
	uint64_t now = kv_record_now(), sleep;
	uint32_t count;

	r.slots = calloc(r.size, sizeof(*r.slots));
	if (!r.slots)
		return -ENOMEM;
	fill(&r, now);
	while (r.flying + r.waiting > 0 || !r.ended) {
		sleep = retry_due(&r, now);
		if (r.flying > 0)
			cairn_wait(pipe->target->client, sleep);
		else
			nanosleep(&(struct timespec) { .tv_nsec = (long)sleep }, NULL);
		count = cairn_poll(pipe->target->client, results, RESULTS_MAX);
		now = kv_record_now();
		for (uint32_t i = 0; i < count; i++)
			complete(&r, &results[i], now);
		fill(&r, now);
	}
	free(r.slots);
	return 0;
}

bool kv_read_line(FILE *in, char **text, size_t *text_bytes, ssize_t *ret_bytes, int *ret_error)
{
	errno = 0;
	*ret_bytes = getline(text, text_bytes, in);
	if (*ret_bytes >= 0 && !ferror(in))
		return true;
	if (!feof(in) || ferror(in))
		*ret_error = errno ? errno : EIO;
	return false;
}

int kv_fail_read(const char *name, uint64_t lines, int error)
{
	return ctl_output_fail(CTL_EXIT_FAILED, "CAIRN-0414",
			       "name a readable file; what was read before has been done",
			       "'%s': reading failed after line %" PRIu64 ": %s", name, lines,
			       strerror(error));
}
