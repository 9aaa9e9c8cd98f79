/* SPDX-License-Identifier: Apache-2.0 */
#include "mgmt/obituary.h"

#include "replication/crc.h"

#define OBITUARY_MAGIC	   0x5442454e52494143ull
#define OBITUARY_FORMAT	   1u

/* Little-endian, as on the wire of the dataplane. */
enum {
	AT_MAGIC = 0,	     /* u64 */
	AT_FORMAT = 8,	     /* u16 */
	AT_BYTES = 10,	     /* u16, of the whole */
	AT_NODE = 12,	     /* u32 */
	AT_CLUSTER = 16,     /* u64 */
	AT_IDENT = 24,	     /* u32 */
	AT_INCARNATION = 28, /* u32 */
	AT_CHECKSUM = 32,    /* u32, CRC-32C of all before it */
};

_Static_assert(AT_CHECKSUM + 4 == OBITUARY_BYTES, "the checksum ends the message");

void obituary_encode(uint8_t out[OBITUARY_BYTES], const struct obituary *o)
{
	store_u64(out + AT_MAGIC, OBITUARY_MAGIC);
	store_u16(out + AT_FORMAT, OBITUARY_FORMAT);
	store_u16(out + AT_BYTES, OBITUARY_BYTES);
	store_u32(out + AT_NODE, o->node);
	store_u64(out + AT_CLUSTER, o->cluster);
	store_u32(out + AT_IDENT, o->ident);
	store_u32(out + AT_INCARNATION, o->incarnation);
	store_u32(out + AT_CHECKSUM, crc32c(out, AT_CHECKSUM));
}

bool obituary_decode(const uint8_t *data, size_t bytes, struct obituary *ret_obituary)
{
	if (bytes != OBITUARY_BYTES || load_u64(data + AT_MAGIC) != OBITUARY_MAGIC ||
	    load_u16(data + AT_FORMAT) != OBITUARY_FORMAT ||
	    load_u16(data + AT_BYTES) != OBITUARY_BYTES ||
	    load_u32(data + AT_CHECKSUM) != crc32c(data, AT_CHECKSUM))
		return false;
	struct obituary o = {
		.cluster = load_u64(data + AT_CLUSTER),
		.ident = load_u32(data + AT_IDENT),
		.incarnation = load_u32(data + AT_INCARNATION),
	};
	uint32_t node = load_u32(data + AT_NODE);
	if (node >= NODES_MAX || o.ident == 0 || o.incarnation == 0 ||
	    o.incarnation > INCARNATION_MAX)
		return false;
	o.node = (uint8_t)node;
	*ret_obituary = o;
	return true;
}

bool obituary_write(const struct config *c, const struct control_status *status,
		    struct obituary *ret_obituary)
{
	if (status->node != c->node_id || status->state.revision == 0 || status->ident == 0 ||
	    status->incarnation == 0 || status->state.node[status->node].ident != status->ident)
		return false;
	*ret_obituary = (struct obituary) {
		.cluster = c->cluster_id,
		.ident = status->ident,
		.incarnation = status->incarnation,
		.node = status->node,
	};
	return true;
}

/* speaks_for: only a node's own cairnd can have seen its dataplane end. */
static bool speaks_for(const struct config *c, const struct config_endpoint *source, uint8_t node)
{
	for (uint32_t i = 0; i < c->peer_count; i++) {
		const struct config_peer *peer = &c->peer[i];

		if (peer->id == node && peer->control.port != 0)
			return peer->control.ip == source->ip && peer->control.port == source->port;
	}
	return false;
}

enum obituary_verdict obituary_judge(const struct config *c, const struct control_status *status,
				     const struct config_endpoint *source,
				     const struct obituary *o)
{
	if (o->node >= NODES_MAX || o->cluster != c->cluster_id || o->node == c->node_id ||
	    !speaks_for(c, source, o->node))
		return OBITUARY_FOREIGN;
	const struct membership_node *node = &status->state.node[o->node];
	if (status->state.revision == 0 || node->want == WANT_NONE || node->ident != o->ident)
		return OBITUARY_STRANGER;
	/* A life nobody has heard of is not known to have begun: believed, it could not begin. */
	if (o->incarnation != node->incarnation &&
	    o->incarnation != status->peer[o->node].incarnation)
		return OBITUARY_STALE;
	return OBITUARY_TAKEN;
}
