/* SPDX-License-Identifier: Apache-2.0 */
/*
 * herald.h: cairnd's end of obituaries (mgmt/obituary.h): tells the other nodes' cairnd that the
 * dataplane of this one has ended, and hands what they say of theirs to the view service of this
 * node. A datagram may be lost, so each is sent a few times within a tenth of a second. Time is a
 * parameter; the caller polls herald.fd for input.
 */
#ifndef CAIRN_MGMT_HERALD_H
#define CAIRN_MGMT_HERALD_H

#include "mgmt/obituary.h"
#include "mgmt/service.h"

struct herald {
	const struct config *config;
	int fd; /* -1: [control] listen is empty, or cannot be used */
	struct problem problem; /* why not; id NONE */
	struct obituary last;
	uint32_t left; /* times to say it yet */
	uint64_t next_ns;
};

/* herald_open: a socket that cannot be had is a problem for the status, not an end of cairnd. */
void herald_open(struct herald *h, const struct config *config);

/* herald_ended: the dataplane that *service knows has surely ended. Tells the others. */
void herald_ended(struct herald *h, const struct service *service, uint64_t now_ns);

/* herald_tick: says it again when that is due. herald_deadline_ns: when that is; UINT64_MAX. */
void herald_tick(struct herald *h, uint64_t now_ns);
uint64_t herald_deadline_ns(const struct herald *h);

/* herald_hear: fd is readable: obituaries of others go to the view service, once each. */
void herald_hear(struct herald *h, struct service *service);

#endif
