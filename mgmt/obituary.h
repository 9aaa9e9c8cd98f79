/* SPDX-License-Identifier: Apache-2.0 */
/*
 * obituary.h: the word of one node's cairnd to the others that its dataplane has ended (CC-25): a
 * datagram. Whoever believes it need not wait for that dataplane's lease, so it is a promise: that
 * process, in that incarnation, on that disk, will never send another frame. cairnd may give it
 * only when it has seen the end, of all threads: descriptors are closed by then, and with them
 * the queues of the port.
 *
 * Nothing depends on its arrival: a lost one costs the lease. One that arrives twice, or late, says
 * what is known already. What is believed is bounded by what the receiver knows by itself: the
 * cluster, the sender's address, the disk, and an incarnation that lived.
 */
#ifndef CAIRN_MGMT_OBITUARY_H
#define CAIRN_MGMT_OBITUARY_H

#include "dataplane/control.h"
#include "mgmt/config.h"

#define OBITUARY_BYTES 36u

struct obituary {
	uint64_t cluster;
	uint32_t ident; /* of the disk, never 0 */
	uint32_t incarnation;
	uint8_t node;
};

enum obituary_verdict {
	OBITUARY_TAKEN,
	OBITUARY_FOREIGN,  /* another cluster; nobody who may say so; about this node itself */
	OBITUARY_STRANGER, /* another disk than was agreed on, or a node that is none */
	OBITUARY_STALE,	   /* an incarnation that is over anyway, or was never heard of */
};

void obituary_encode(uint8_t out[OBITUARY_BYTES], const struct obituary *o);

/* obituary_decode: of any bytes. false: none, *ret_obituary untouched. */
bool obituary_decode(const uint8_t *data, size_t bytes, struct obituary *ret_obituary);

/*
 * obituary_write: of the process whose service last said *status. false: that is not this node's,
 * or no cluster has taken it in: there is nothing to say.
 */
bool obituary_write(const struct config *c, const struct control_status *status,
		    struct obituary *ret_obituary);

/* obituary_judge: one that came from *source, at a node whose service says *status. */
enum obituary_verdict obituary_judge(const struct config *c, const struct control_status *status,
				     const struct config_endpoint *source,
				     const struct obituary *o);

#endif
