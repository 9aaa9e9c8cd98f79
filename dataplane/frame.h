/* SPDX-License-Identifier: Apache-2.0 */
/*
 * frame.h: Ethernet, ARP, IPv4, ICMP and UDP, just enough: parse with bounds first, build in place.
 * Addresses are in host byte order, 10.0.0.1 = 0x0a000001. No VLAN, no IP options on output, no
 * fragments. The IPv4 header checksum is checked and made; the UDP checksum is sent as zero and not
 * looked at: the frame's own CRC32C covers the payload (and a veth peer leaves it unfilled).
 */
#ifndef CAIRN_DATAPLANE_FRAME_H
#define CAIRN_DATAPLANE_FRAME_H

#include "replication/types.h"

#define FRAME_HEADERS_BYTES 42u /* Ethernet 14, IPv4 20, UDP 8 */
#define FRAME_BYTES_MIN 60u	/* shorter frames are padded with zeros */
#define FRAME_BYTES_MAX (FRAME_HEADERS_BYTES + FRAME_PAYLOAD_MAX)

struct frame_addr {
	uint8_t mac[6];
	uint16_t port;
	uint32_t ip;
};

/* What a received frame is, or why it is dropped (each reason has a counter of this name). */
enum frame_verdict {
	FRAME_UDP = 0,	/* payload and addresses filled */
	FRAME_ARP_REQUEST, /* for our address: answer with frame_arp_reply */
	FRAME_ARP_REPLY,   /* source filled: ip and mac of the sender */
	FRAME_PING,	   /* ICMP echo request for us: answer with frame_ping_reply */
	FRAME_SHORT,	   /* shorter than its headers say */
	FRAME_NOT_OURS,	   /* another MAC or IP address */
	FRAME_BAD_ETHERTYPE,
	FRAME_BAD_IP,	   /* version, header length, total length, or checksum */
	FRAME_FRAGMENT,
	FRAME_BAD_PROTOCOL,
	FRAME_BAD_UDP,	   /* length field against the IP length */
	FRAME_BAD_ARP,
	FRAME_VERDICT_COUNT
};

const char *frame_verdict_name(enum frame_verdict verdict);

struct frame_info {
	struct frame_addr source;
	struct frame_addr target;
	uint8_t *payload;	/* into the frame */
	uint32_t payload_bytes; /* by the UDP length; Ethernet padding excluded */
};

/* frame_parse: classifies data[0..bytes) for the node at `self`. *ret_info: see the verdicts. */
enum frame_verdict frame_parse(uint8_t *data, uint32_t bytes, const struct frame_addr *self,
			       struct frame_info *ret_info);

/*
 * frame_udp_finish: writes the 42 header bytes in front of payload_bytes already at
 * data + FRAME_HEADERS_BYTES, pads to FRAME_BYTES_MIN, and returns the frame's length.
 */
uint32_t frame_udp_finish(uint8_t *data, uint32_t payload_bytes, const struct frame_addr *source,
			  const struct frame_addr *target);

/* frame_arp_request: a broadcast "who has ip" from self; returns the frame's length. */
uint32_t frame_arp_request(uint8_t *data, const struct frame_addr *self, uint32_t ip);

/* frame_arp_reply, frame_ping_reply: turn the received request into its answer, in place. */
uint32_t frame_arp_reply(uint8_t *data, const struct frame_addr *self);
uint32_t frame_ping_reply(uint8_t *data, uint32_t bytes, const struct frame_addr *self);

#endif
