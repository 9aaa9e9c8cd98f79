/* SPDX-License-Identifier: Apache-2.0 */
#include "dataplane/control.h"

#define READ_TRIES 100u /* a write takes less than a microsecond */

void control_init(struct control_region *c, uint64_t cluster, uint64_t started_ns)
{
	memset(c, 0, sizeof(*c));
	c->format = CONTROL_FORMAT;
	c->bytes = sizeof(*c);
	c->cluster = cluster;
	c->started_ns = started_ns;
	c->magic = CONTROL_MAGIC;
}

bool control_valid(const struct control_region *c)
{
	return c->magic == CONTROL_MAGIC && c->format == CONTROL_FORMAT && c->bytes == sizeof(*c);
}

static bool read_whole(const _Atomic uint32_t *seq, const _Atomic uint64_t *words, void *ret_value,
		       size_t bytes, uint32_t *ret_version)
{
	for (uint32_t i = 0; i < READ_TRIES; i++)
		if (seqlock_read(seq, words, ret_value, bytes, ret_version))
			return *ret_version != 0;
	return false;
}

bool control_status(const struct control_region *c, struct control_status *ret_status)
{
	uint32_t version;

	return read_whole(&c->status_seq, c->status, ret_status, sizeof(*ret_status), &version);
}

uint32_t control_events(const struct control_region *c, uint64_t after, struct control_event *out,
			uint32_t max)
{
	uint64_t last = atomic_load_explicit(&c->event_count, memory_order_acquire);
	uint64_t from = max_u64(after, last < CONTROL_EVENTS ? 0 : last - CONTROL_EVENTS) + 1;
	uint32_t count = 0, version;

	for (uint64_t n = from; n <= last && count < max; n++) {
		const struct control_slot *slot = &c->event[n % CONTROL_EVENTS];
		struct control_event e;

		/* Another number: the ring has gone round meanwhile. */
		if (read_whole(&slot->seq, slot->word, &e, sizeof(e), &version) && e.sequence == n)
			out[count++] = e;
	}
	return count;
}

uint32_t control_command(struct control_region *c, const struct membership_command *command)
{
	seqlock_write(&c->command_seq, c->command, command, sizeof(*command));
	return seqlock_version(&c->command_seq);
}

bool control_answer(const struct control_region *c, uint32_t number,
		    struct control_answer *ret_answer)
{
	struct control_answer answer;
	uint32_t version;

	if (!read_whole(&c->answer_seq, c->answer, &answer, sizeof(answer), &version))
		return false;
	if (answer.number != number)
		return false;
	*ret_answer = answer;
	return true;
}

void control_bury(struct control_region *c, uint8_t node, uint32_t incarnation)
{
	struct control_obituary o = {
		.sequence = atomic_load_explicit(&c->obituary_count, memory_order_relaxed) + 1,
		.incarnation = incarnation,
		.node = node,
	};
	struct control_grave *grave = &c->grave[o.sequence % CONTROL_OBITUARIES];

	seqlock_write(&grave->seq, grave->word, &o, sizeof(o));
	atomic_store_explicit(&c->obituary_count, o.sequence, memory_order_release);
}

bool control_mourn(const struct control_region *c, uint64_t *sequence,
		   struct control_obituary *ret_obituary)
{
	uint64_t last = atomic_load_explicit(&c->obituary_count, memory_order_acquire);
	struct control_obituary o;
	uint32_t version;

	while (*sequence < last) {
		const struct control_grave *grave = &c->grave[++*sequence % CONTROL_OBITUARIES];

		/* Another number: more came than the ring holds; timers find those dead, too. */
		if (!read_whole(&grave->seq, grave->word, &o, sizeof(o), &version) ||
		    o.sequence != *sequence || o.node >= NODES_MAX)
			continue;
		*ret_obituary = o;
		return true;
	}
	return false;
}

void control_publish(struct control_region *c, const struct control_status *status)
{
	seqlock_write(&c->status_seq, c->status, status, sizeof(*status));
}

void control_note(struct control_region *c, uint64_t now_ns, uint8_t note, uint8_t node,
		  uint64_t value)
{
	struct control_event e = {
		.sequence = atomic_load_explicit(&c->event_count, memory_order_relaxed) + 1,
		.at_ns = now_ns,
		.value = value,
		.note = note,
		.node = node,
	};
	struct control_slot *slot = &c->event[e.sequence % CONTROL_EVENTS];

	seqlock_write(&slot->seq, slot->word, &e, sizeof(e));
	atomic_store_explicit(&c->event_count, e.sequence, memory_order_release);
}

bool control_take(const struct control_region *c, uint32_t *number,
		  struct membership_command *ret_command)
{
	struct membership_command command;
	uint32_t version;

	if (seqlock_version(&c->command_seq) == *number)
		return false;
	/* Being written just now: at the next housekeeping. */
	if (!seqlock_read(&c->command_seq, c->command, &command, sizeof(command), &version) ||
	    version == 0)
		return false;
	*number = version;
	*ret_command = command;
	return true;
}

void control_reply(struct control_region *c, const struct control_answer *answer)
{
	seqlock_write(&c->answer_seq, c->answer, answer, sizeof(*answer));
}
