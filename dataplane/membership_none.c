/* SPDX-License-Identifier: Apache-2.0 */
/* membership_none.c: stands in for the view service until it is built; nobody may use it. */
#include "dataplane/worker_priv.h"

#define NONE(type, name, ...)                                                                      \
	type name(__VA_ARGS__)                                                                     \
	{                                                                                          \
		must(false);                                                                       \
		__builtin_unreachable();                                                           \
	}

NONE(uint64_t, membership_size, const struct membership_config *c __attribute__((unused)))
NONE(struct membership *, membership_init, void *mem __attribute__((unused)),
     const struct membership_config *c __attribute__((unused)))
NONE(void, membership_recover, struct membership *m __attribute__((unused)),
     const struct raft_record *r __attribute__((unused)))
NONE(void, membership_start, struct membership *m __attribute__((unused)),
     const struct membership_state *s __attribute__((unused)),
     uint64_t now_ns __attribute__((unused)))
NONE(bool, membership_step, struct membership *m __attribute__((unused)),
     const struct membership_event *e __attribute__((unused)),
     struct membership_actions *a __attribute__((unused)))
#define ABOUT(type, name) NONE(type, name, const struct membership *m __attribute__((unused)))
ABOUT(uint64_t, membership_deadline_ns)
ABOUT(const struct membership_state *, membership_state)
ABOUT(const struct view *, membership_installed)
ABOUT(const struct raft *, membership_raft)
ABOUT(uint64_t, membership_lease_ns)
ABOUT(const struct membership_counters *, membership_counters)
NONE(bool, membership_accepts, const struct membership *m __attribute__((unused)),
     uint8_t from __attribute__((unused)), uint32_t ident __attribute__((unused)),
     uint32_t incarnation __attribute__((unused)))
NONE(const struct membership_peer *, membership_peer,
     const struct membership *m __attribute__((unused)), uint8_t node __attribute__((unused)))
