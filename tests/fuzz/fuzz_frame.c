/* SPDX-License-Identifier: Apache-2.0 */
/*
 * fuzz_frame.c: any Ethernet frame, for a fixed node and again for the node it is addressed to.
 * Payloads lie inside the frame, answers are never larger than the question (padding aside).
 */
#include "dataplane/frame.h"
#include "dataplane/netdev.h"
#include "tests/fuzz/fuzz.h"

static void check_udp(const uint8_t *frame, uint32_t bytes, const struct frame_info *info)
{
	must(info->payload >= frame + FRAME_HEADERS_BYTES || info->payload_bytes == 0);
	must(info->payload + info->payload_bytes <= frame + bytes);
}

static void parse(const uint8_t *data, uint32_t bytes, const struct frame_addr *self)
{
	uint8_t frame[NETDEV_FRAME_MAX];
	struct frame_info info;
	bool known = true;
	uint32_t answer = 0;

	memcpy(frame, data, bytes);
	fuzz_pattern(&info, sizeof(info));
	switch (frame_parse(frame, bytes, self, &info)) {
	case FRAME_UDP:
		fuzz_accepted++;
		check_udp(frame, bytes, &info);
		break;
	case FRAME_ARP_REQUEST:
		fuzz_accepted++;
		answer = frame_arp_reply(frame, self);
		must(answer == FRAME_BYTES_MIN);
		break;
	case FRAME_PING:
		fuzz_accepted++;
		answer = frame_ping_reply(frame, bytes, self);
		must(answer <= max_u64(bytes, FRAME_BYTES_MIN));
		break;
	case FRAME_ARP_REPLY:
		break;
	case FRAME_SHORT:
	case FRAME_NOT_OURS:
	case FRAME_BAD_ETHERTYPE:
	case FRAME_BAD_IP:
	case FRAME_FRAGMENT:
	case FRAME_BAD_PROTOCOL:
	case FRAME_BAD_UDP:
	case FRAME_BAD_ARP:
		must(fuzz_untouched(&info, sizeof(info)));
		must(memcmp(frame, data, bytes) == 0);
		break;
	case FRAME_VERDICT_COUNT:
	default:
		known = false;
	}
	must(known);
}

/* fix_checksum: makes the IPv4 header checksum right, so that what is behind it is reached. */
static void fix_checksum(uint8_t *frame)
{
	uint32_t sum = 0;

	frame[24] = 0;
	frame[25] = 0;
	for (uint32_t i = 14; i < 34; i += 2)
		sum += (uint32_t)frame[i] << 8 | frame[i + 1];
	sum = (sum & 0xffff) + (sum >> 16);
	sum = ~((sum & 0xffff) + (sum >> 16));
	frame[24] = (uint8_t)(sum >> 8);
	frame[25] = (uint8_t)sum;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct frame_addr self = { .mac = { 2, 0xca, 0x1a, 0, 0, 1 },
				   .ip = 0x0a4d0001,
				   .port = 4420 };
	uint8_t frame[NETDEV_FRAME_MAX];
	uint32_t bytes = (uint32_t)min_u64(size, NETDEV_FRAME_MAX);

	parse(data, bytes, &self);
	if (bytes < FRAME_HEADERS_BYTES)
		return 0;
	memcpy(frame, data, bytes);
	fix_checksum(frame);
	memcpy(self.mac, frame, 6);
	self.ip = (uint32_t)frame[30] << 24 | (uint32_t)frame[31] << 16 | (uint32_t)frame[32] << 8 |
		  frame[33];
	parse(frame, bytes, &self);
	memcpy(frame, data, bytes); /* as ARP the target address lies elsewhere */
	self.ip = (uint32_t)frame[38] << 24 | (uint32_t)frame[39] << 16 | (uint32_t)frame[40] << 8 |
		  frame[41];
	parse(frame, bytes, &self);
	return 0;
}
