/* SPDX-License-Identifier: Apache-2.0 */
#include "dataplane/frame.h"

#include "dataplane/netdev.h"

/* Offsets in the frame. Everything on this wire is big-endian and unaligned. */
enum {
	ETH_TARGET = 0,
	ETH_SOURCE = 6,
	ETH_TYPE = 12,
	ETH_BYTES = 14,

	IP_BYTES = 20,
	IP_LENGTH = ETH_BYTES + 2,
	IP_ID = ETH_BYTES + 4,
	IP_FRAGMENT = ETH_BYTES + 6,
	IP_TTL = ETH_BYTES + 8,
	IP_PROTOCOL = ETH_BYTES + 9,
	IP_CHECKSUM = ETH_BYTES + 10,
	IP_SOURCE = ETH_BYTES + 12,
	IP_TARGET = ETH_BYTES + 16,

	L4 = ETH_BYTES + IP_BYTES,
	UDP_SOURCE = L4,
	UDP_TARGET = L4 + 2,
	UDP_LENGTH = L4 + 4,
	UDP_CHECKSUM = L4 + 6,
	UDP_BYTES = 8,
	ICMP_TYPE = L4,
	ICMP_CODE = L4 + 1,
	ICMP_CHECKSUM = L4 + 2,
	ICMP_BYTES = 8,

	ARP = ETH_BYTES,
	ARP_OPERATION = ARP + 6,
	ARP_SOURCE_MAC = ARP + 8,
	ARP_SOURCE_IP = ARP + 14,
	ARP_TARGET_MAC = ARP + 18,
	ARP_TARGET_IP = ARP + 24,
	ARP_BYTES = 28,
};

#define TYPE_IPV4		0x0800u
#define TYPE_ARP		0x0806u
#define PROTOCOL_ICMP		1u
#define PROTOCOL_UDP		17u
#define FRAGMENT_DONT		0x4000u
#define FRAGMENT_MORE_OR_OFFSET 0x3fffu
#define ARP_REQUEST		1u
#define ARP_REPLY		2u
#define ICMP_ECHO_REPLY		0u
#define ICMP_ECHO_REQUEST	8u
#define TTL			64u

_Static_assert(L4 + UDP_BYTES == FRAME_HEADERS_BYTES, "headers add up");
_Static_assert(FRAME_BYTES_MAX <= NETDEV_FRAME_MAX, "a frame fits a buffer");

static const uint8_t mac_broadcast[6] = { 0xff, 0xff, 0xff, 0xff, 0xff, 0xff };

/* Ethernet with IPv4: hardware type 1, protocol 0x0800, lengths 6 and 4. */
static const uint8_t arp_kind[6] = { 0x00, 0x01, 0x08, 0x00, 6, 4 };

static uint16_t get_u16(const uint8_t *p)
{
	return (uint16_t)(p[0] << 8 | p[1]);
}

static uint32_t get_u32(const uint8_t *p)
{
	return (uint32_t)get_u16(p) << 16 | get_u16(p + 2);
}

static void put_u16(uint8_t *p, uint32_t v)
{
	p[0] = (uint8_t)(v >> 8);
	p[1] = (uint8_t)v;
}

static void put_u32(uint8_t *p, uint32_t v)
{
	put_u16(p, v >> 16);
	put_u16(p + 2, v & 0xffff);
}

/* The Internet checksum, in machine order; 0 over a block that contains a right one. */
static uint16_t checksum(const uint8_t *p, uint32_t bytes)
{
	uint32_t sum = 0;

	for (; bytes >= 2; bytes -= 2, p += 2)
		sum += load_u16(p);
	if (bytes == 1)
		sum += *p;
	sum = (sum & 0xffff) + (sum >> 16);
	sum = (sum & 0xffff) + (sum >> 16);
	return (uint16_t)~sum;
}

const char *frame_verdict_name(enum frame_verdict verdict)
{
	static const char *const names[FRAME_VERDICT_COUNT] = {
		[FRAME_UDP] = "udp",
		[FRAME_ARP_REQUEST] = "arp_request",
		[FRAME_ARP_REPLY] = "arp_reply",
		[FRAME_PING] = "ping",
		[FRAME_SHORT] = "short",
		[FRAME_NOT_OURS] = "not_ours",
		[FRAME_BAD_ETHERTYPE] = "bad_ethertype",
		[FRAME_BAD_IP] = "bad_ip",
		[FRAME_FRAGMENT] = "fragment",
		[FRAME_BAD_PROTOCOL] = "bad_protocol",
		[FRAME_BAD_UDP] = "bad_udp",
		[FRAME_BAD_ARP] = "bad_arp",
	};

	return (unsigned)verdict < FRAME_VERDICT_COUNT ? names[verdict] : "invalid";
}

static bool mac_is_ours(const uint8_t *mac, const struct frame_addr *self)
{
	return memcmp(mac, self->mac, 6) == 0;
}

/* A host may answer to it: neither nowhere, nor a group, nor everybody. */
static bool ip_is_host(uint32_t ip)
{
	return ip >> 24 != 0 && ip < 0xe0000000u;
}

static enum frame_verdict parse_arp(const uint8_t *data, uint32_t bytes,
				    const struct frame_addr *self, struct frame_info *info)
{
	if (bytes < ARP + ARP_BYTES)
		return FRAME_SHORT;
	uint32_t operation = get_u16(data + ARP_OPERATION);
	uint32_t sender = get_u32(data + ARP_SOURCE_IP);

	if (memcmp(data + ARP, arp_kind, sizeof(arp_kind)) != 0)
		return FRAME_BAD_ARP;
	if (operation != ARP_REQUEST && operation != ARP_REPLY)
		return FRAME_BAD_ARP;
	if (data[ARP_SOURCE_MAC] & 1)
		return FRAME_BAD_ARP; /* would teach us to send to a group */
	if (get_u32(data + ARP_TARGET_IP) != self->ip)
		return FRAME_NOT_OURS;
	/* A request from 0.0.0.0 only asks whether the address is taken; it still gets its answer.
	 */
	if (operation == ARP_REPLY &&
	    (!ip_is_host(sender) || !mac_is_ours(data + ETH_TARGET, self)))
		return FRAME_BAD_ARP;
	memcpy(info->source.mac, data + ARP_SOURCE_MAC, 6);
	info->source.ip = sender;
	info->target.ip = self->ip;
	return operation == ARP_REQUEST ? FRAME_ARP_REQUEST : FRAME_ARP_REPLY;
}

static enum frame_verdict parse_icmp(const uint8_t *data, uint32_t l4_bytes)
{
	if (l4_bytes < ICMP_BYTES)
		return FRAME_SHORT;
	if (data[ICMP_TYPE] != ICMP_ECHO_REQUEST || data[ICMP_CODE] != 0)
		return FRAME_BAD_PROTOCOL;
	if (checksum(data + L4, l4_bytes) != 0)
		return FRAME_BAD_PROTOCOL;
	return FRAME_PING;
}

static enum frame_verdict parse_udp(uint8_t *data, uint32_t l4_bytes, struct frame_info *info)
{
	if (l4_bytes < UDP_BYTES)
		return FRAME_SHORT;
	uint32_t udp_bytes = get_u16(data + UDP_LENGTH);

	if (udp_bytes < UDP_BYTES || udp_bytes > l4_bytes)
		return FRAME_BAD_UDP;
	info->source.port = get_u16(data + UDP_SOURCE);
	info->target.port = get_u16(data + UDP_TARGET);
	info->payload = data + FRAME_HEADERS_BYTES;
	info->payload_bytes = udp_bytes - UDP_BYTES;
	return FRAME_UDP;
}

/* Options are refused: nobody on these links sends them, and every offset stays a constant. */
static enum frame_verdict check_ip(const uint8_t *data, uint32_t bytes,
				   const struct frame_addr *self)
{
	if (bytes < L4)
		return FRAME_SHORT;
	if (data[ETH_BYTES] != 0x45)
		return FRAME_BAD_IP;
	uint32_t total = get_u16(data + IP_LENGTH);

	if (total < IP_BYTES)
		return FRAME_BAD_IP;
	if (total > bytes - ETH_BYTES)
		return FRAME_SHORT;
	if (checksum(data + ETH_BYTES, IP_BYTES) != 0)
		return FRAME_BAD_IP;
	if (get_u32(data + IP_TARGET) != self->ip)
		return FRAME_NOT_OURS;
	if (!ip_is_host(get_u32(data + IP_SOURCE)))
		return FRAME_BAD_IP;
	if (get_u16(data + IP_FRAGMENT) & FRAGMENT_MORE_OR_OFFSET)
		return FRAME_FRAGMENT;
	return FRAME_UDP;
}

static enum frame_verdict parse_ip(uint8_t *data, uint32_t bytes, const struct frame_addr *self,
				   struct frame_info *info)
{
	enum frame_verdict verdict = check_ip(data, bytes, self);

	if (verdict != FRAME_UDP)
		return verdict;
	uint32_t l4_bytes = get_u16(data + IP_LENGTH) - (uint32_t)IP_BYTES;

	memcpy(info->source.mac, data + ETH_SOURCE, 6);
	memcpy(info->target.mac, data + ETH_TARGET, 6);
	info->source.ip = get_u32(data + IP_SOURCE);
	info->target.ip = self->ip;
	if (data[IP_PROTOCOL] == PROTOCOL_UDP)
		return parse_udp(data, l4_bytes, info);
	if (data[IP_PROTOCOL] == PROTOCOL_ICMP)
		return parse_icmp(data, l4_bytes);
	return FRAME_BAD_PROTOCOL;
}

enum frame_verdict frame_parse(uint8_t *data, uint32_t bytes, const struct frame_addr *self,
			       struct frame_info *ret_info)
{
	struct frame_info info = { 0 };
	enum frame_verdict verdict;

	if (bytes < ETH_BYTES)
		return FRAME_SHORT;
	uint32_t type = get_u16(data + ETH_TYPE);
	bool ours = mac_is_ours(data + ETH_TARGET, self);

	if (data[ETH_SOURCE] & 1)
		return FRAME_NOT_OURS; /* no host has a group address; never answer one */
	if (type == TYPE_ARP) {
		if (!ours && memcmp(data + ETH_TARGET, mac_broadcast, 6) != 0)
			return FRAME_NOT_OURS;
		verdict = parse_arp(data, bytes, self, &info);
	} else if (!ours) {
		return FRAME_NOT_OURS;
	} else if (type == TYPE_IPV4) {
		verdict = parse_ip(data, bytes, self, &info);
	} else {
		return FRAME_BAD_ETHERTYPE;
	}
	if (verdict <= FRAME_PING)
		*ret_info = info;
	return verdict;
}

static uint32_t pad(uint8_t *data, uint32_t bytes)
{
	if (bytes >= FRAME_BYTES_MIN)
		return bytes;
	memset(data + bytes, 0, FRAME_BYTES_MIN - bytes);
	return FRAME_BYTES_MIN;
}

static void ip_checksum(uint8_t *data)
{
	store_u16(data + IP_CHECKSUM, 0);
	store_u16(data + IP_CHECKSUM, checksum(data + ETH_BYTES, IP_BYTES));
}

uint32_t frame_udp_finish(uint8_t *data, uint32_t payload_bytes, const struct frame_addr *source,
			  const struct frame_addr *target)
{
	must_dbg(payload_bytes <= FRAME_PAYLOAD_MAX);
	memcpy(data + ETH_TARGET, target->mac, 6);
	memcpy(data + ETH_SOURCE, source->mac, 6);
	put_u16(data + ETH_TYPE, TYPE_IPV4);
	put_u16(data + ETH_BYTES, 0x4500);
	put_u16(data + IP_LENGTH, IP_BYTES + UDP_BYTES + payload_bytes);
	put_u16(data + IP_ID, 0); /* never fragmented, so never reassembled */
	put_u16(data + IP_FRAGMENT, FRAGMENT_DONT);
	data[IP_TTL] = TTL;
	data[IP_PROTOCOL] = PROTOCOL_UDP;
	put_u32(data + IP_SOURCE, source->ip);
	put_u32(data + IP_TARGET, target->ip);
	ip_checksum(data);
	put_u16(data + UDP_SOURCE, source->port);
	put_u16(data + UDP_TARGET, target->port);
	put_u16(data + UDP_LENGTH, UDP_BYTES + payload_bytes);
	put_u16(data + UDP_CHECKSUM, 0);
	return pad(data, FRAME_HEADERS_BYTES + payload_bytes);
}

uint32_t frame_arp_request(uint8_t *data, const struct frame_addr *self, uint32_t ip)
{
	memcpy(data + ETH_TARGET, mac_broadcast, 6);
	memcpy(data + ETH_SOURCE, self->mac, 6);
	put_u16(data + ETH_TYPE, TYPE_ARP);
	memcpy(data + ARP, arp_kind, sizeof(arp_kind));
	put_u16(data + ARP_OPERATION, ARP_REQUEST);
	memcpy(data + ARP_SOURCE_MAC, self->mac, 6);
	put_u32(data + ARP_SOURCE_IP, self->ip);
	memset(data + ARP_TARGET_MAC, 0, 6);
	put_u32(data + ARP_TARGET_IP, ip);
	return pad(data, ARP + ARP_BYTES);
}

uint32_t frame_arp_reply(uint8_t *data, const struct frame_addr *self)
{
	memcpy(data + ARP_TARGET_MAC, data + ARP_SOURCE_MAC, 6);
	put_u32(data + ARP_TARGET_IP, get_u32(data + ARP_SOURCE_IP));
	put_u16(data + ARP_OPERATION, ARP_REPLY);
	memcpy(data + ARP_SOURCE_MAC, self->mac, 6);
	put_u32(data + ARP_SOURCE_IP, self->ip);
	memcpy(data + ETH_TARGET, data + ARP_TARGET_MAC, 6);
	memcpy(data + ETH_SOURCE, self->mac, 6);
	return pad(data, ARP + ARP_BYTES);
}

uint32_t frame_ping_reply(uint8_t *data, uint32_t bytes, const struct frame_addr *self)
{
	uint32_t total = get_u16(data + IP_LENGTH);

	must_dbg(total >= IP_BYTES + ICMP_BYTES && ETH_BYTES + total <= bytes);
	(void)bytes;
	memcpy(data + ETH_TARGET, data + ETH_SOURCE, 6);
	memcpy(data + ETH_SOURCE, self->mac, 6);
	put_u32(data + IP_TARGET, get_u32(data + IP_SOURCE));
	put_u32(data + IP_SOURCE, self->ip);
	data[IP_TTL] = TTL;
	ip_checksum(data);
	data[ICMP_TYPE] = ICMP_ECHO_REPLY;
	store_u16(data + ICMP_CHECKSUM, 0);
	store_u16(data + ICMP_CHECKSUM, checksum(data + L4, total - IP_BYTES));
	return pad(data, ETH_BYTES + total);
}
