/* SPDX-License-Identifier: Apache-2.0 */
/* membership_state.c: a state as bytes, and the view that it means. */
#include "replication/membership_priv.h"

#define NODE_OFFSET 32u
#define NODE_BYTES 40u

_Static_assert(NODE_OFFSET + NODES_MAX * NODE_BYTES <= MEMBERSHIP_STATE_BYTES, "nodes fit");
_Static_assert(MEMBERSHIP_STATE_BYTES <= RAFT_ENTRY_BYTES_MAX, "a state is one entry");

void membership_state_encode(uint8_t *out, const struct membership_state *s)
{
	memset(out, 0, MEMBERSHIP_STATE_BYTES);
	store_u64(out, s->revision);
	store_u32(out + 8, s->epoch);
	out[12] = s->members;
	out[13] = s->shadows;
	out[14] = s->recovered;
	out[15] = s->engine;
	out[16] = s->copies_min;
	out[17] = s->unsafe;
	for (uint8_t n = 0; n < NODES_MAX; n++) {
		const struct membership_node *node = &s->node[n];
		uint8_t *p = out + NODE_OFFSET + n * NODE_BYTES;

		p[0] = node->want;
		p[1] = node->flags;
		p[2] = node->replaces;
		p[3] = node->evictions;
		store_u32(p + 4, node->ident);
		store_u32(p + 8, node->ip);
		store_u32(p + 12, node->incarnation);
		store_u32(p + 16, node->since);
		memcpy(p + 20, node->name, MEMBERSHIP_NAME_BYTES);
		store_u32(p + 36, node->floor);
	}
}

static bool node_decode(const uint8_t *p, struct membership_node *ret)
{
	struct membership_node n = { .want = p[0], .flags = p[1], .replaces = p[2],
				     .evictions = p[3] };

	n.ident = load_u32(p + 4);
	n.ip = load_u32(p + 8);
	n.incarnation = load_u32(p + 12);
	n.since = load_u32(p + 16);
	memcpy(n.name, p + 20, MEMBERSHIP_NAME_BYTES);
	n.floor = load_u32(p + 36);
	if (n.want > WANT_WITNESS || n.replaces > NODES_MAX || n.incarnation > INCARNATION_MAX ||
	    n.floor > INCARNATION_MAX ||
	    n.name[MEMBERSHIP_NAME_BYTES - 1] != 0)
		return false;
	*ret = n;
	return true;
}

bool membership_state_decode(const uint8_t *in, uint32_t bytes, struct membership_state *ret_state)
{
	struct membership_state s = { 0 };
	uint8_t again[MEMBERSHIP_STATE_BYTES];
	uint8_t all = (uint8_t)((1u << NODES_MAX) - 1);

	if (bytes != MEMBERSHIP_STATE_BYTES)
		return false;
	s.revision = load_u64(in);
	s.epoch = load_u32(in + 8);
	s.members = in[12];
	s.shadows = in[13];
	s.recovered = in[14];
	s.engine = in[15];
	s.copies_min = in[16];
	s.unsafe = in[17];
	for (uint8_t n = 0; n < NODES_MAX; n++)
		if (!node_decode(in + NODE_OFFSET + n * NODE_BYTES, &s.node[n]))
			return false;
	if (((s.members | s.shadows) & ~all) || (s.members & s.shadows) ||
	    (s.recovered & ~s.members) || s.engine > ENGINE_RAFT)
		return false;
	/* Whoever takes part has an incarnation, or Hermes could not tell its frames apart. */
	for (uint8_t n = 0; n < NODES_MAX; n++)
		if (membership_has(s.members | s.shadows, n) && s.node[n].incarnation == 0)
			return false;
	/* One state, one encoding: what lies between the fields is zero. */
	membership_state_encode(again, &s);
	if (memcmp(again, in, sizeof(again)) != 0)
		return false;
	*ret_state = s;
	return true;
}

void membership_view(const struct membership_state *s, struct view *ret_view)
{
	struct view v = { 0 };

	if (s->members != 0) {
		v.epoch = s->epoch;
		v.members = s->members;
		v.shadows = s->shadows;
		v.recovered = s->recovered;
		v.read_only = raft_bits(s->members) < s->copies_min;
		v.copies_min = s->engine == ENGINE_RAFT ? s->copies_min : 0;
	}
	for (uint8_t n = 0; n < NODES_MAX; n++) {
		v.incarnation[n] = s->node[n].incarnation;
		v.since[n] = s->node[n].since;
		if (s->node[n].want == WANT_WITNESS && !(s->node[n].flags & MEMBER_LEAVING))
			v.witnesses |= membership_bit(n);
		if (s->engine == ENGINE_RAFT && (s->node[n].flags & MEMBER_EVICTED))
			v.slow |= membership_bit(n) & s->members;
	}
	*ret_view = v;
}

const char *membership_result_name(enum membership_result_code code)
{
	static const char *const names[COMMAND_CODE_COUNT] = {
		[COMMAND_DONE] = "DONE",
		[COMMAND_NO_LEADER] = "NO_LEADER",
		[COMMAND_BUSY] = "BUSY",
		[COMMAND_UNKNOWN] = "UNKNOWN",
		[COMMAND_NO_SUCH_NODE] = "NO_SUCH_NODE",
		[COMMAND_EXISTS] = "EXISTS",
		[COMMAND_LAST_MEMBER] = "LAST_MEMBER",
		[COMMAND_TOO_FEW] = "TOO_FEW",
		[COMMAND_QUORUM] = "QUORUM",
		[COMMAND_NOT_READY] = "NOT_READY",
		[COMMAND_BAD] = "BAD",
	};

	return (uint32_t)code < COMMAND_CODE_COUNT ? names[code] : "INVALID";
}
