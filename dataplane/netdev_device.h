/* SPDX-License-Identifier: Apache-2.0 */
/*
 * netdev_device.h: device strings (netdev_dpdk.h lists them) and what can be found out about a
 * device or the machine's memory before DPDK is asked. Internal to netdev_dpdk.c and its test.
 */
#ifndef CAIRN_DATAPLANE_NETDEV_DEVICE_H
#define CAIRN_DATAPLANE_NETDEV_DEVICE_H

#include "dataplane/netdev_dpdk.h"

enum netdev_kind {
	NETDEV_MEMIF,
	NETDEV_MEMIF_SERVER,
	NETDEV_AF_PACKET_IF,
	NETDEV_AF_XDP_IF,
	NETDEV_PCI_NIC
};

struct netdev_device {
	enum netdev_kind kind;
	char name[NETDEV_DEVICE_BYTES]; /* socket, interface or PCI address */
	uint32_t id;
};

/* netdev_fail: fills *error with code and the text of the format; returns code. */
int netdev_fail(struct netdev_error *error, int code, const char *format, ...)
	__attribute__((format(printf, 3, 4)));

/* netdev_device_parse: 0, or -EINVAL with *error filled. */
int netdev_device_parse(const char *text, struct netdev_device *ret_device,
			struct netdev_error *error);

/* netdev_nic_check: -ENODEV with *error filled: no such NIC, or not bound to a driver for us. */
int netdev_nic_check(const struct netdev_device *nic, struct netdev_error *error);

/* netdev_interface_check: -ENODEV or -EPERM with *error filled. */
int netdev_interface_check(const struct netdev_device *device, struct netdev_error *error);

/* netdev_huge_bytes_free: bytes of huge pages of any size that nobody has or has reserved. */
uint64_t netdev_huge_bytes_free(void);

#endif
