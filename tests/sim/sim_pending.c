/* SPDX-License-Identifier: Apache-2.0 */
/* What is on its way into the library: never called before it is there (goes with that). */
#include "replication/membership.h"
#include "replication/raft_wire.h"
#include "dataplane/control.h"

#define PENDING __attribute__((weak))

PENDING uint64_t raft_base(const struct raft *r) { (void)r; return 0; }
PENDING uint64_t raft_last(const struct raft *r) { (void)r; return 0; }
PENDING uint64_t raft_commit(const struct raft *r) { (void)r; return 0; }
PENDING uint32_t raft_term(const struct raft *r) { (void)r; return 0; }
PENDING enum raft_role raft_role(const struct raft *r) { (void)r; return RAFT_FOLLOWER; }
PENDING void raft_entry(const struct raft *r, uint64_t index, struct raft_entry *e)
{
	(void)r;
	(void)index;
	*e = (struct raft_entry){ 0 };
}
PENDING const struct membership_state *membership_state(const struct membership *m)
{
	(void)m;
	return NULL;
}
PENDING const struct raft *membership_raft(const struct membership *m) { (void)m; return NULL; }
PENDING const char *membership_result_name(enum membership_result_code code)
{
	(void)code;
	return "?";
}
PENDING void membership_view(const struct membership_state *s, struct view *v)
{
	(void)s;
	*v = (struct view){ 0 };
}
PENDING enum wire_verdict raft_message_decode(const uint8_t *payload, uint32_t bytes,
					      uint32_t *offset, struct raft_message *m)
{
	(void)payload;
	(void)bytes;
	(void)offset;
	(void)m;
	return WIRE_SHORT;
}
