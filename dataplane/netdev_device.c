/* SPDX-License-Identifier: Apache-2.0 */
#include "dataplane/netdev_device.h"

#include <dirent.h>
#include <errno.h>
#include <net/if.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

int netdev_fail(struct netdev_error *error, int code, const char *format, ...)
{
	va_list args;

	error->code = code;
	va_start(args, format);
	vsnprintf(error->text, sizeof(error->text), format, args);
	va_end(args);
	return code;
}

static bool name_is_plain(const char *name)
{
	static const char allowed[] =
		"abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
		"0123456789._-@:/";

	return name[0] && strspn(name, allowed) == strlen(name);
}

static bool parse_memif(char *rest, struct netdev_device *device)
{
	char *colon = strrchr(rest, ':');
	char *end;

	if (!colon || colon == rest)
		return false;
	unsigned long id = strtoul(colon + 1, &end, 10);

	if (end == colon + 1 || *end || id > UINT16_MAX)
		return false;
	*colon = 0;
	device->id = (uint32_t)id;
	return true;
}

int netdev_device_parse(const char *text, struct netdev_device *ret_device,
			struct netdev_error *error)
{
	static const struct {
		const char *prefix;
		enum netdev_kind kind;
	} kinds[] = {
		{ "memif:", NETDEV_MEMIF },
		{ "memif-server:", NETDEV_MEMIF_SERVER },
		{ "af_packet:", NETDEV_AF_PACKET_IF },
		{ "af_xdp:", NETDEV_AF_XDP_IF },
		{ "pci:", NETDEV_PCI_NIC },
	};
	struct netdev_device device = { 0 };

	for (size_t i = 0; i < ARRAY_LEN(kinds); i++) {
		size_t n = strlen(kinds[i].prefix);

		if (strncmp(text, kinds[i].prefix, n) != 0 ||
		    strlen(text + n) >= NETDEV_DEVICE_BYTES)
			continue;
		device.kind = kinds[i].kind;
		snprintf(device.name, sizeof(device.name), "%s", text + n);
		if ((device.kind == NETDEV_MEMIF || device.kind == NETDEV_MEMIF_SERVER) &&
		    !parse_memif(device.name, &device))
			break;
		if (!name_is_plain(device.name))
			break;
		*ret_device = device;
		return 0;
	}
	return netdev_fail(error, -EINVAL,
			   "'%s' is no device: use memif:SOCKET:ID, memif-server:SOCKET:ID, "
			   "af_packet:IFNAME, af_xdp:IFNAME or pci:DDDD:BB:DD.F",
			   text);
}

static uint64_t read_number(const char *path)
{
	FILE *f = fopen(path, "re");
	unsigned long long v = 0;

	if (!f)
		return 0;
	if (fscanf(f, "%llu", &v) != 1)
		v = 0;
	fclose(f);
	return v;
}

uint64_t netdev_huge_bytes_free(void)
{
	static const char root[] = "/sys/kernel/mm/hugepages";
	DIR *dir = opendir(root);
	uint64_t bytes = 0;
	struct dirent *d;

	while (dir && (d = readdir(dir))) {
		char path[400];
		unsigned long kib;

		if (sscanf(d->d_name, "hugepages-%lukB", &kib) != 1)
			continue;
		snprintf(path, sizeof(path), "%s/%s/free_hugepages", root, d->d_name);
		uint64_t idle = read_number(path);

		snprintf(path, sizeof(path), "%s/%s/resv_hugepages", root, d->d_name);
		uint64_t reserved = read_number(path);

		if (idle > reserved)
			bytes += (idle - reserved) * kib * 1024;
	}
	if (dir)
		closedir(dir);
	return bytes;
}

int netdev_nic_check(const struct netdev_device *nic, struct netdev_error *error)
{
	char path[200], target[200];
	struct stat st;

	snprintf(path, sizeof(path), "/sys/bus/pci/devices/%s", nic->name);
	if (stat(path, &st) != 0)
		return netdev_fail(error, -ENODEV,
				   "no PCI device %s: see 'lspci -D' for the addresses", nic->name);
	snprintf(path, sizeof(path), "/sys/bus/pci/devices/%s/driver", nic->name);
	ssize_t n = readlink(path, target, sizeof(target) - 1);
	const char *driver = "none";

	if (n > 0) {
		target[n] = 0;
		driver = strrchr(target, '/') ? strrchr(target, '/') + 1 : target;
	}
	if (strcmp(driver, "vfio-pci") != 0 && strcmp(driver, "uio_pci_generic") != 0 &&
	    strncmp(driver, "mlx", 3) != 0)
		return netdev_fail(
			error, -ENODEV,
			"NIC %s has the driver %s: bind it to vfio-pci, for example with "
			"'dpdk-devbind.py -b vfio-pci %s'",
			nic->name, driver, nic->name);
	return 0;
}

int netdev_interface_check(const struct netdev_device *device, struct netdev_error *error)
{
	if (if_nametoindex(device->name) == 0)
		return netdev_fail(error, -ENODEV, "no network interface '%s': see 'ip link'",
				   device->name);
	int fd = socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC, 0);

	if (fd < 0 && errno == EPERM)
		return netdev_fail(error, -EPERM,
				   "no right to open '%s': run as root or with CAP_NET_RAW",
				   device->name);
	if (fd >= 0)
		close(fd);
	return 0;
}
