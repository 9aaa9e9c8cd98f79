/* SPDX-License-Identifier: Apache-2.0 */
#include "mgmt/lab_links.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <ifaddrs.h>
#include <linux/ethtool.h>
#include <linux/sockios.h>
#include <net/if.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "mgmt/lab_process.h"

#define LAB_NETWORK 0x0a4d0000u /* 10.77.0.0/24 */

void lab_links_netns(const struct lab *lab, uint32_t node, char out[LAB_LINKS_NAME_BYTES])
{
	snprintf(out, LAB_LINKS_NAME_BYTES, "cairn-%.4s-n%u", lab->tag, node % 10);
}

static const char *ip_program(void)
{
	static const char *const places[] = { "/usr/sbin/ip", "/sbin/ip", "/usr/bin/ip",
					      "/bin/ip" };

	for (size_t i = 0; i < ARRAY_LEN(places); i++)
		if (access(places[i], X_OK) == 0)
			return places[i];
	return NULL;
}

/* The name of the interface that has an address of the lab's network; false: none. */
static bool network_taken(char name[IF_NAMESIZE])
{
	struct ifaddrs *list;
	bool taken = false;
	uint32_t ip;

	if (getifaddrs(&list) < 0)
		return false;
	for (const struct ifaddrs *a = list; a && !taken; a = a->ifa_next) {
		if (!a->ifa_addr || a->ifa_addr->sa_family != AF_INET)
			continue;
		ip = ntohl(
			((const struct sockaddr_in *)(const void *)a->ifa_addr)->sin_addr.s_addr);
		taken = (ip & 0xffffff00u) == LAB_NETWORK;
		if (taken)
			snprintf(name, IF_NAMESIZE, "%s", a->ifa_name);
	}
	freeifaddrs(list);
	return taken;
}

int lab_links_check(void)
{
	char name[IF_NAMESIZE];

	if (geteuid() != 0)
		return ctl_output_fail(
			CTL_EXIT_DENIED, "CAIRN-0511", "run it as root, or use --links memif",
			"user %u cannot make network namespaces: --links veth needs root",
			(unsigned)geteuid());
	if (!ip_program())
		return ctl_output_fail(CTL_EXIT_FAILED, "CAIRN-0512", "apt-get install iproute2",
				       "the program 'ip' is missing");
	if (network_taken(name))
		return ctl_output_fail(
			CTL_EXIT_CONFLICT, "CAIRN-0510",
			"take the other lab down (cairnctl lab down --dir ...); only one "
			"veth lab can exist at a time",
			"interface '%s' already has an address in 10.77.0.0/24", name);
	return CTL_EXIT_OK;
}

/* Runs `ip` over the lines of a file in the lab; in a namespace when netns. 0 or not. */
static int ip_batch(const struct lab *lab, const char *netns, const char *lines)
{
	char batch[LAB_PATH_BYTES], log[LAB_PATH_BYTES];
	const char *argv[] = { ip_program(), "-batch", batch, NULL };
	struct lab_spawn spawn = { .argv = argv, .log = log, .netns = netns };
	FILE *f;
	int rc;

	lab_state_path(lab, "links.batch", batch);
	lab_state_path(lab, "links.log", log);
	f = fopen(batch, "we");
	if (!f || !argv[0])
		return -1;
	fputs(lines, f);
	rc = fclose(f);
	return rc ? rc : lab_process_run(&spawn);
}

static void write_file(const char *path, const char *text)
{
	int fd = open(path, O_WRONLY | O_CLOEXEC);

	if (fd < 0)
		return;
	/* A kernel without IPv6 has nothing to switch off. */
	if (write(fd, text, strlen(text)) < 0)
		errno = 0;
	close(fd);
}

/* Without this the kernel's own neighbour discovery shows up among the nodes' frames. */
static void netns_ipv6_off(const char *netns)
{
	char path[64];
	pid_t pid;
	int fd;

	pid = fork();
	if (pid < 0)
		return;
	if (pid > 0) {
		while (waitpid(pid, NULL, 0) < 0 && errno == EINTR)
			;
		return;
	}
	snprintf(path, sizeof(path), "/run/netns/%s", netns);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd >= 0 && setns(fd, CLONE_NEWNET) == 0) {
		write_file("/proc/sys/net/ipv6/conf/all/disable_ipv6", "1");
		write_file("/proc/sys/net/ipv6/conf/default/disable_ipv6", "1");
	}
	_exit(0);
}

/* Kernel clients fill in UDP checksums themselves, so that tcpdump shows true ones. */
static void checksum_offload_off(const char *interface)
{
	struct ethtool_value value = { .cmd = ETHTOOL_STXCSUM, .data = 0 };
	struct ifreq request = { 0 };
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);

	if (fd < 0)
		return;
	snprintf(request.ifr_name, sizeof(request.ifr_name), "%.15s", interface);
	request.ifr_data = (void *)&value;
	if (ioctl(fd, SIOCETHTOOL, &request) < 0)
		errno = 0;
	close(fd);
}

static int make_bridge(const struct lab *lab)
{
	char lines[512], path[96];
	int rc;

	snprintf(lines, sizeof(lines), "link add cairn-%.4s type bridge mcast_snooping 0\n",
		 lab->tag);
	rc = ip_batch(lab, NULL, lines);
	if (rc)
		return rc;
	snprintf(path, sizeof(path), "/proc/sys/net/ipv6/conf/cairn-%.4s/disable_ipv6", lab->tag);
	write_file(path, "1");
	snprintf(path, sizeof(path), "cairn-%.4s", lab->tag);
	checksum_offload_off(path);
	snprintf(lines, sizeof(lines),
		 "address add 10.77.0.254/24 dev cairn-%.4s\nlink set cairn-%.4s up\n", lab->tag,
		 lab->tag);
	return ip_batch(lab, NULL, lines);
}

static int make_node(const struct lab *lab, uint32_t node)
{
	char ns[LAB_LINKS_NAME_BYTES], lines[512], path[96];
	int rc;

	lab_links_netns(lab, node, ns);
	snprintf(lines, sizeof(lines), "netns add %s\n", ns);
	rc = ip_batch(lab, NULL, lines);
	if (rc)
		return rc;
	netns_ipv6_off(ns);
	snprintf(lines, sizeof(lines),
		 "link add cairn-%.4s-v%u type veth peer name eth0 netns %s\n", lab->tag, node, ns);
	rc = ip_batch(lab, NULL, lines);
	if (rc)
		return rc;
	snprintf(path, sizeof(path), "/proc/sys/net/ipv6/conf/cairn-%.4s-v%u/disable_ipv6",
		 lab->tag, node);
	write_file(path, "1");
	snprintf(lines, sizeof(lines),
		 "link set cairn-%.4s-v%u master cairn-%.4s\nlink set cairn-%.4s-v%u up\n",
		 lab->tag, node, lab->tag, lab->tag, node);
	rc = ip_batch(lab, NULL, lines);
	if (rc)
		return rc;
	snprintf(lines, sizeof(lines),
		 "link set lo up\nlink set eth0 address 02:ca:1a:00:00:%02x\nlink set eth0 up\n",
		 node + 1);
	return ip_batch(lab, ns, lines);
}

static int fail_links(const struct lab *lab)
{
	char log[LAB_PATH_BYTES];

	lab_state_path(lab, "links.log", log);
	lab_process_tail(log);
	return ctl_output_fail(CTL_EXIT_FAILED, "CAIRN-0513",
			       "needs CAP_NET_ADMIN and CAP_SYS_ADMIN; else use --links memif",
			       "cannot make the namespaces and links; see '%s'", log);
}

int lab_links_up(const struct lab *lab)
{
	int rc = make_bridge(lab);

	for (uint32_t i = 0; !rc && i < lab->nodes; i++)
		rc = make_node(lab, i);
	return rc ? fail_links(lab) : CTL_EXIT_OK;
}

int lab_links_add(const struct lab *lab, uint32_t node)
{
	return make_node(lab, node) ? fail_links(lab) : CTL_EXIT_OK;
}

void lab_links_down(const struct lab *lab)
{
	const char *argv[] = { ip_program(), "link", "delete", NULL, NULL };
	const char *netns[] = { argv[0], "netns", "delete", NULL, NULL };
	struct lab_spawn spawn = { .argv = netns };
	char name[LAB_LINKS_NAME_BYTES], path[64];

	if (!argv[0])
		return;
	for (uint32_t i = 0; i < lab->nodes; i++) {
		lab_links_netns(lab, i, name);
		snprintf(path, sizeof(path), "/run/netns/%s", name);
		netns[3] = name;
		if (access(path, F_OK) == 0)
			lab_process_run(&spawn);
	}
	/* A namespace's end takes its veth pair with it; the bridge is left. */
	spawn.argv = argv;
	snprintf(name, sizeof(name), "cairn-%.4s", lab->tag);
	argv[3] = name;
	if (if_nametoindex(name))
		lab_process_run(&spawn);
}
