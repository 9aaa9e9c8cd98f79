/* SPDX-License-Identifier: Apache-2.0 */
/*
 * fuzz_obituary.c: any datagram as an obituary, as received and again with its checksum repaired.
 * One that is accepted is of a node and an incarnation there can be, and encodes to the very same
 * bytes; whatever it says, only what is known by itself is believed.
 */
#include "mgmt/obituary.h"
#include "replication/crc.h"
#include "tests/fuzz/fuzz.h"

static void judge(const struct obituary *o)
{
	static const struct config_endpoint source = { 0x7f000001, 7390 };
	struct control_status status = { .node = 0 };
	struct config config = { .cluster_id = o->cluster, .node_id = 0, .peer_count = 1 };

	config.peer[0] = (struct config_peer) { .id = 1, .control = source };
	status.state.revision = 1;
	for (uint8_t n = 0; n < NODES_MAX; n++)
		status.state.node[n] = (struct membership_node) {
			.want = WANT_DATA, .ident = o->ident, .incarnation = 4
		};
	bool taken = obituary_judge(&config, &status, &source, o) == OBITUARY_TAKEN;
	must(taken == (o->node == 1 && o->incarnation == 4));
}

static void decode(const uint8_t *data, size_t bytes)
{
	uint8_t again[OBITUARY_BYTES];
	struct obituary o;

	fuzz_pattern(&o, sizeof(o));
	if (!obituary_decode(data, bytes, &o)) {
		must(fuzz_untouched(&o, sizeof(o)));
		return;
	}
	fuzz_accepted++;
	must(bytes == OBITUARY_BYTES && o.node < NODES_MAX && o.ident != 0);
	must(o.incarnation != 0 && o.incarnation <= INCARNATION_MAX);
	obituary_encode(again, &o);
	must(memcmp(again, data, sizeof(again)) == 0);
	judge(&o);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes)
{
	uint8_t sealed[OBITUARY_BYTES];

	decode(data, bytes);
	if (bytes != sizeof(sealed))
		return 0;
	memcpy(sealed, data, sizeof(sealed));
	store_u32(sealed + OBITUARY_BYTES - 4, crc32c(sealed, OBITUARY_BYTES - 4));
	decode(sealed, sizeof(sealed));
	return 0;
}
