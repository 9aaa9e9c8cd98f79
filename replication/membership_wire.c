/* SPDX-License-Identifier: Apache-2.0 */
/*
 * membership_wire.c: payloads of the view service's own messages, little-endian (docs/wire.md).
 *
 * REPORT (72 bytes)
 *   0  u64 seq     8  u64 revision   16  u64 sent_ns   24  u64 disk_ns   32  u32 epoch
 *  36  u32 rtt_us, by node           64  u8 flags (REPORT_*)  65 seen  66 stuck  67 heard
 *  68  groups   69  3 zero bytes
 * GRANT (40 bytes, or 360 with a state)
 *   0  u64 seq     8  u64 sent_ns    16  u64 conf_index      24  u32 floor   28  conf, 4 bytes
 *  32  u8 flags (GRANT_*)            33  7 zero bytes        40  state (GRANT_STATE)
 * COMMAND (40 bytes)
 *   0  u64 id      8  u8 verb, node, flags, want, member flags, replaces, value, zero
 *  16  u32 ip     20  name, 16 bytes 36  4 zero bytes
 * RESULT (24 bytes)
 *   0  u64 id      8  u64 index      16  u8 code  17  7 zero bytes
 */
#include "replication/membership_priv.h"

void membership_report_encode(uint8_t *out, const struct membership_report *r)
{
	memset(out, 0, MEMBERSHIP_REPORT_BYTES);
	store_u64(out, r->seq);
	store_u64(out + 8, r->revision);
	store_u64(out + 16, r->sent_ns);
	store_u64(out + 24, r->disk_ns);
	store_u32(out + 32, r->epoch);
	for (uint8_t n = 0; n < NODES_MAX; n++)
		store_u32(out + 36 + 4 * n, r->rtt_us[n]);
	out[64] = r->flags;
	out[65] = r->seen;
	out[66] = r->stuck;
	out[67] = r->heard;
	out[68] = r->groups;
}

bool membership_report_decode(const uint8_t *in, uint32_t bytes, struct membership_report *ret)
{
	if (bytes != MEMBERSHIP_REPORT_BYTES)
		return false;
	ret->seq = load_u64(in);
	ret->revision = load_u64(in + 8);
	ret->sent_ns = load_u64(in + 16);
	ret->disk_ns = load_u64(in + 24);
	ret->epoch = load_u32(in + 32);
	for (uint8_t n = 0; n < NODES_MAX; n++)
		ret->rtt_us[n] = load_u32(in + 36 + 4 * n);
	ret->flags = in[64];
	ret->seen = in[65];
	ret->stuck = in[66];
	ret->heard = in[67];
	ret->groups = in[68];
	return true;
}

uint32_t membership_grant_encode(uint8_t *out, const struct membership_grant *g)
{
	memset(out, 0, MEMBERSHIP_GRANT_BYTES);
	store_u64(out, g->seq);
	store_u64(out + 8, g->sent_ns);
	store_u64(out + 16, g->conf_index);
	store_u32(out + 24, g->floor);
	raft_conf_encode(out + 28, &g->conf);
	out[32] = g->flags;
	store_u32(out + 36, g->lease_us);
	if (!(g->flags & GRANT_STATE))
		return MEMBERSHIP_GRANT_BYTES;
	membership_state_encode(out + MEMBERSHIP_GRANT_BYTES, &g->state);
	return MEMBERSHIP_GRANT_MAX;
}

bool membership_grant_decode(const uint8_t *in, uint32_t bytes, struct membership_grant *ret)
{
	if (bytes < MEMBERSHIP_GRANT_BYTES)
		return false;
	ret->seq = load_u64(in);
	ret->sent_ns = load_u64(in + 8);
	ret->conf_index = load_u64(in + 16);
	ret->floor = load_u32(in + 24);
	ret->flags = in[32];
	ret->lease_us = load_u32(in + 36);
	if (!raft_conf_decode(in + 28, &ret->conf))
		return false;
	if (!(ret->flags & GRANT_STATE))
		return bytes == MEMBERSHIP_GRANT_BYTES;
	return membership_state_decode(in + MEMBERSHIP_GRANT_BYTES, bytes - MEMBERSHIP_GRANT_BYTES,
				       &ret->state);
}

void membership_command_encode(uint8_t *out, const struct membership_command *c)
{
	memset(out, 0, MEMBERSHIP_COMMAND_BYTES);
	store_u64(out, c->id);
	out[8] = c->verb;
	out[9] = c->node;
	out[10] = c->flags;
	out[11] = c->want;
	out[12] = c->member_flags;
	out[13] = c->replaces;
	out[14] = c->value;
	store_u32(out + 16, c->ip);
	memcpy(out + 20, c->name, MEMBERSHIP_NAME_BYTES);
}

bool membership_command_decode(const uint8_t *in, uint32_t bytes, struct membership_command *ret)
{
	if (bytes != MEMBERSHIP_COMMAND_BYTES)
		return false;
	ret->id = load_u64(in);
	ret->verb = in[8];
	ret->node = in[9];
	ret->flags = in[10];
	ret->want = in[11];
	ret->member_flags = in[12];
	ret->replaces = in[13];
	ret->value = in[14];
	ret->ip = load_u32(in + 16);
	memcpy(ret->name, in + 20, MEMBERSHIP_NAME_BYTES);
	return ret->name[MEMBERSHIP_NAME_BYTES - 1] == 0;
}
