/* SPDX-License-Identifier: Apache-2.0 */
#include "dataplane/netdev_dpdk.h"

#include <errno.h>
#include <linux/membarrier.h>
#include <sched.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include <rte_bus_vdev.h>
#include <rte_eal.h>
#include <rte_errno.h>
#include <rte_ethdev.h>
#include <rte_lcore.h>
#include <rte_log.h>
#include <rte_mbuf.h>
#include <rte_ring.h>

#include <bpf/libbpf.h>
#include <xdp/libxdp.h>

#include "dataplane/netdev_device.h"

#define DESCRIPTORS	  1024u
#define HANDOFF_RING	  1024u
#define CACHE_BUFFERS	  256u
#define BUFFER_COST_BYTES 2560u /* one mbuf with its headers and pool overhead */
#define EAL_MEGABYTES	  40u	/* everything else DPDK allocates */
#define LINK_CHECK_NS	  10000000u
#define LINK_RETRY_NS	  50000000u /* nobody listened: try again */
#define LINK_CONNECT_NS \
	500000000u /* somebody did: the handshake may take so long on a busy machine */
#define LOG_BYTES    400u
#define EAL_ARGS_MAX (20u + 2u * NETDEV_PORTS_MAX)

_Static_assert(RTE_MBUF_DEFAULT_DATAROOM >= NETDEV_FRAME_MAX, "a frame fits one mbuf");

struct port;

/*
 * One worker's side of a port. Only its owner's thread writes it, but for `inbox` and `outbox`
 * (any worker of the port puts in, the owner takes out) and `section` (read by the DPDK interrupt
 * thread, see __wrap_memif_free_regions).
 */
struct netdev {
	_Alignas(64) struct port *port;
	_Atomic uint64_t section; /* odd: inside a driver's burst function */
	bool started;		  /* the device runs (memif: has reached its server once) */
	bool has_queue;		  /* owns device queue number `index` */
	atomic_bool link_up;	  /* of queue 0 also read by workers without a queue */
	uint16_t index;
	struct rte_ring *inbox;	 /* frames others received for us; NULL: not shared */
	struct rte_ring *outbox; /* frames to send for workers without a queue; NULL: none */
	uint64_t link_check_ns, link_restart_ns;
	uint64_t missed; /* device's count of lost frames already in counters */
	struct netdev_counters counters;
};

struct port {
	struct netdev_device device;
	char vdev[32]; /* DPDK's name for it */
	uint16_t id;
	uint16_t queue_count, device_queues, port_base;
	uint8_t mac[6];
	struct netdev queue[WORKERS_MAX];
};

static struct {
	bool started;
	bool barrier_missing; /* no membarrier(): the bursts pay for a fence each */
	const char *memory;
	struct rte_mempool *pool;
	FILE *log;
	char log_text[LOG_BYTES]; /* DPDK's last words; under the lock of `log` */
	struct port *port[NETDEV_PORTS_MAX];
	uint32_t port_count;
} dpdk = { .memory = "none" };

/* DPDK prints where it likes; this stream keeps its last line for our error text instead. */
static ssize_t log_write(void *cookie, const char *text, size_t bytes)
{
	size_t n = bytes < LOG_BYTES - 1 ? bytes : LOG_BYTES - 1;

	(void)cookie;
	if (bytes <= 1)
		return (ssize_t)bytes;
	/* DPDK aborts the process after these words: they are all that will be left of it. */
	if (bytes > 5 && memcmp(text, "PANIC", 5) == 0 && write(STDERR_FILENO, text, bytes) < 0)
		return (ssize_t)bytes;
	memcpy(dpdk.log_text, text, n);
	while (n > 0 && dpdk.log_text[n - 1] == '\n')
		n--;
	dpdk.log_text[n] = 0;
	return (ssize_t)bytes;
}

static void log_clear(void)
{
	flockfile(dpdk.log);
	dpdk.log_text[0] = 0;
	funlockfile(dpdk.log);
}

/* The last line into text (LOG_BYTES), or a word of ours when DPDK said nothing. */
static const char *log_last(char *text)
{
	flockfile(dpdk.log);
	memcpy(text, dpdk.log_text, LOG_BYTES);
	funlockfile(dpdk.log);
	return text[0] ? text : "no reason given";
}

static int silent(enum libbpf_print_level level, const char *format, va_list args)
{
	(void)level, (void)format, (void)args;
	return 0;
}

static int silent_xdp(enum libxdp_print_level level, const char *format, va_list args)
{
	(void)level, (void)format, (void)args;
	return 0;
}

static int log_open(void)
{
	cookie_io_functions_t io = { .write = log_write };

	dpdk.log = fopencookie(NULL, "w", io);
	if (!dpdk.log)
		return -ENOMEM;
	setvbuf(dpdk.log, NULL, _IOLBF, LOG_BYTES);
	rte_openlog_stream(dpdk.log);
	libbpf_set_print(silent);
	libxdp_set_print(silent_xdp);
	return 0;
}

/* ---- start ---- */

/* "0@(0,1,5)": the one DPDK thread may run wherever this process may. */
static void lcores_argument(char *text, size_t size)
{
	cpu_set_t set;
	size_t used = (size_t)snprintf(text, size, "0@(");
	const char *comma = "";

	CPU_ZERO(&set);
	sched_getaffinity(0, sizeof(set), &set);
	for (int cpu = 0; cpu < CPU_SETSIZE && used + 8 < size; cpu++) {
		if (!CPU_ISSET(cpu, &set) || cpu >= RTE_MAX_LCORE)
			continue;
		used += (size_t)snprintf(text + used, size - used, "%s%d", comma, cpu);
		comma = ",";
	}
	snprintf(text + used, size - used, ")");
}

struct eal_args {
	char *argv[EAL_ARGS_MAX];
	char text[NETDEV_PORTS_MAX][NETDEV_DEVICE_BYTES];
	char lcores[4 * RTE_MAX_LCORE];
	char megabytes[16];
	int argc;
	uint32_t nic_count;
};

static void add(struct eal_args *args, const char *text)
{
	must(args->argc < (int)EAL_ARGS_MAX - 1);
	args->argv[args->argc++] = (char *)(uintptr_t)text;
	args->argv[args->argc] = NULL;
}

static int add_nics(struct eal_args *args, const struct netdev_dpdk_options *options,
		    struct netdev_error *error)
{
	for (uint32_t i = 0; i < options->device_count; i++) {
		struct netdev_device device;
		int r = netdev_device_parse(options->devices[i], &device, error);

		if (r < 0)
			return r;
		if (device.kind != NETDEV_PCI_NIC)
			continue;
		r = netdev_nic_check(&device, error);
		if (r < 0)
			return r;
		memcpy(args->text[args->nic_count], device.name, NETDEV_DEVICE_BYTES);
		add(args, "-a");
		add(args, args->text[args->nic_count++]);
	}
	if (args->nic_count == 0) {
		add(args, "--no-pci");
		add(args, "--iova-mode=va"); /* with a NIC its driver decides */
	}
	return 0;
}

static int add_memory(struct eal_args *args, const struct netdev_dpdk_options *options,
		      uint32_t buffers, struct netdev_error *error)
{
	uint64_t need = EAL_MEGABYTES + ((uint64_t)buffers * BUFFER_COST_BYTES >> 20);
	uint64_t have = netdev_huge_bytes_free() >> 20; /* EAL starts once only: look before */
	/* Twice the need: others may be starting at the same moment. */
	bool huge = options->memory == NETDEV_MEMORY_HUGE ||
		    (options->memory == NETDEV_MEMORY_AUTO && have >= 2 * need);

	if (options->memory == NETDEV_MEMORY_HUGE && have < need)
		return netdev_fail(error, -ENOMEM,
				   "%llu MiB of huge pages are free, %llu MiB are needed: "
				   "echo %llu > /proc/sys/vm/nr_hugepages, or allow normal pages",
				   (unsigned long long)have, (unsigned long long)need,
				   (unsigned long long)need / 2 + 1);
	if (huge) {
		add(args, "--in-memory");
	} else {
		snprintf(args->megabytes, sizeof(args->megabytes), "%llu",
			 (unsigned long long)need);
		add(args, "--no-huge");
		add(args, "--no-shconf");
		add(args, "-m");
		add(args, args->megabytes);
	}
	dpdk.memory = huge ? "huge" : "normal";
	return 0;
}

static int eal_start(struct eal_args *args, uint32_t buffers, struct netdev_error *error)
{
	char said[LOG_BYTES];

	log_clear();
	int r = rte_eal_init(args->argc, args->argv);

	if (r < 0)
		return netdev_fail(error, rte_errno == ENOMEM ? -ENOMEM : -EIO,
				   "DPDK does not start (%s memory): %s", dpdk.memory,
				   log_last(said));
	/* 2^n - 1 is what the pool's ring holds best. */
	dpdk.pool = rte_pktmbuf_pool_create("frames", buffers - 1, CACHE_BUFFERS, 0,
					    RTE_MBUF_DEFAULT_BUF_SIZE, SOCKET_ID_ANY);
	if (!dpdk.pool)
		return netdev_fail(error, -ENOMEM, "no memory for %u frame buffers (%s memory): %s",
				   buffers, dpdk.memory, rte_strerror(rte_errno));
	return 0;
}

int netdev_dpdk_start(const struct netdev_dpdk_options *options, struct netdev_error *ret_error)
{
	static struct eal_args args;
	uint32_t buffers = options->buffers ? options->buffers : NETDEV_BUFFERS_DEFAULT;

	if (dpdk.started)
		return netdev_fail(ret_error, -EALREADY, "DPDK was started before in this process");
	if (buffers < NETDEV_BUFFERS_MIN || buffers > NETDEV_BUFFERS_MAX)
		return netdev_fail(ret_error, -EINVAL, "%u frame buffers: give %u to %u", buffers,
				   NETDEV_BUFFERS_MIN, NETDEV_BUFFERS_MAX);
	if (options->device_count > NETDEV_PORTS_MAX)
		return netdev_fail(ret_error, -EINVAL, "%u ports: at most %u",
				   options->device_count, NETDEV_PORTS_MAX);
	if (!dpdk.log && log_open() < 0)
		return netdev_fail(ret_error, -ENOMEM, "no memory for a log stream");
	args = (struct eal_args) { 0 };
	add(&args, "cairn");
	int r = add_nics(&args, options, ret_error);

	if (r == 0)
		r = add_memory(&args, options, buffers, ret_error);
	if (r < 0)
		return r;
	lcores_argument(args.lcores, sizeof(args.lcores));
	add(&args, "--lcores");
	add(&args, args.lcores);
	add(&args, "--no-telemetry");
	add(&args, "--log-level=error");
	dpdk.barrier_missing =
		syscall(SYS_membarrier, MEMBARRIER_CMD_REGISTER_PRIVATE_EXPEDITED, 0, 0) != 0;
	dpdk.started = true;
	return eal_start(&args, buffers, ret_error);
}

int netdev_dpdk_thread_start(void)
{
	if (rte_lcore_id() != LCORE_ID_ANY)
		return 0;
	return rte_thread_register() == 0 ? 0 : -ENOMEM;
}

const char *netdev_dpdk_memory(void)
{
	return dpdk.memory;
}

uint16_t netdev_dpdk_queue_count(const struct netdev *dev)
{
	return dev->port->device_queues;
}

/* ---- open ---- */

static void device_arguments(const struct port *port, const struct netdev_dpdk_port *wanted,
			     char *args, size_t size)
{
	static const uint8_t none[6];
	const struct netdev_device *device = &port->device;
	const uint8_t *m = wanted->mac;
	size_t used = 0;
	uint32_t log2 = 10;

	switch (device->kind) {
	case NETDEV_MEMIF:
	case NETDEV_MEMIF_SERVER:
		if (wanted->descriptors)
			log2 = 31u - (uint32_t)__builtin_clz(wanted->descriptors);
		used = (size_t)snprintf(args, size,
					"role=%s,id=%u,socket=%s,socket-abstract=yes,rsize=%u",
					device->kind == NETDEV_MEMIF ? "client" : "server",
					device->id, device->name, log2);
		if (memcmp(m, none, sizeof(none)) != 0)
			snprintf(args + used, size - used, ",mac=%02x:%02x:%02x:%02x:%02x:%02x",
				 m[0], m[1], m[2], m[3], m[4], m[5]);
		break;
	case NETDEV_AF_PACKET_IF:
		snprintf(args, size, "iface=%s,qpairs=%u", device->name, wanted->queue_count);
		break;
	case NETDEV_AF_XDP_IF:
		snprintf(args, size, "iface=%s,start_queue=0,queue_count=1", device->name);
		break;
	case NETDEV_PCI_NIC:
		args[0] = 0;
		break;
	}
}

/* Makes DPDK find the device and fills port->id. */
static int device_probe(struct port *port, const struct netdev_dpdk_port *wanted,
			struct netdev_error *error)
{
	static const char *const drivers[] = { "net_memif", "net_memif", "net_af_packet",
					       "net_af_xdp" };
	const struct netdev_device *device = &port->device;
	char args[256], said[LOG_BYTES];

	if (device->kind == NETDEV_PCI_NIC) {
		snprintf(port->vdev, sizeof(port->vdev), "%.31s", device->name);
	} else {
		snprintf(port->vdev, sizeof(port->vdev), "%s%u", drivers[device->kind],
			 dpdk.port_count);
		device_arguments(port, wanted, args, sizeof(args));
		log_clear();
		int r = rte_vdev_init(port->vdev, args);

		if (r < 0 && device->kind == NETDEV_MEMIF_SERVER &&
		    strstr(log_last(said), "in use"))
			return netdev_fail(
				error, -EBUSY,
				"the memif socket '%s' is taken: stop the other switch or "
				"choose another name",
				device->name);
		if (r < 0)
			return netdev_fail(error, -EIO, "cannot open %s: %s", wanted->device,
					   log_last(said));
	}
	if (rte_eth_dev_get_port_by_name(port->vdev, &port->id) != 0)
		return netdev_fail(error, -ENODEV,
				   "DPDK has no driver for %s, or it was not named at the start",
				   wanted->device);
	return 0;
}

static int device_configure(struct port *port, const struct netdev_dpdk_port *wanted)
{
	struct rte_eth_conf conf = { 0 };
	struct rte_eth_dev_info info;
	uint16_t rx = wanted->descriptors ? wanted->descriptors : DESCRIPTORS;
	uint16_t tx = rx;
	int r = rte_eth_dev_info_get(port->id, &info);

	if (r < 0)
		return r;
	/* memif peers must agree on the number of queues, and the switch has one. */
	bool many = port->device.kind == NETDEV_AF_PACKET_IF || port->device.kind == NETDEV_PCI_NIC;
	uint32_t queues = many ? wanted->queue_count : 1;

	queues = RTE_MIN(queues, (uint32_t)RTE_MIN(info.max_rx_queues, info.max_tx_queues));
	if (port->device.kind == NETDEV_PCI_NIC && queues > 1) {
		conf.rxmode.mq_mode = RTE_ETH_MQ_RX_RSS;
		conf.rx_adv_conf.rss_conf.rss_hf =
			info.flow_type_rss_offloads & (RTE_ETH_RSS_UDP | RTE_ETH_RSS_IP);
		if (conf.rx_adv_conf.rss_conf.rss_hf == 0)
			queues = 1;
	}
	port->device_queues = (uint16_t)queues;
	r = rte_eth_dev_configure(port->id, port->device_queues, port->device_queues, &conf);
	if (r == 0)
		r = rte_eth_dev_adjust_nb_rx_tx_desc(port->id, &rx, &tx);
	for (uint16_t q = 0; r == 0 && q < port->device_queues; q++) {
		r = rte_eth_rx_queue_setup(port->id, q, rx, SOCKET_ID_ANY, NULL, dpdk.pool);
		if (r == 0)
			r = rte_eth_tx_queue_setup(port->id, q, tx, SOCKET_ID_ANY, NULL);
	}
	return r;
}

static struct rte_ring *ring_make(const struct port *port, const char *what, uint16_t q)
{
	char name[32];

	snprintf(name, sizeof(name), "%s%u.%u", what, port->id, q);
	return rte_ring_create(name, HANDOFF_RING, SOCKET_ID_ANY, RING_F_SC_DEQ);
}

static int queues_init(struct port *port)
{
	for (uint16_t q = 0; q < port->queue_count; q++) {
		struct netdev *dev = &port->queue[q];

		dev->port = port;
		dev->index = q;
		dev->has_queue = q < port->device_queues;
		if (port->queue_count == 1)
			continue;
		dev->inbox = ring_make(port, "in", q);
		if (!dev->inbox)
			return -ENOMEM;
		if (!dev->has_queue || port->device_queues == port->queue_count)
			continue;
		dev->outbox = ring_make(port, "out", q);
		if (!dev->outbox)
			return -ENOMEM;
	}
	return 0;
}

static int device_start(struct port *port)
{
	int r = rte_eth_dev_start(port->id);

	for (uint16_t q = 0; q < port->device_queues; q++)
		port->queue[q].started = r == 0;
	return r;
}

static int port_open(struct port *port, const struct netdev_dpdk_port *wanted,
		     struct netdev_error *error)
{
	char said[LOG_BYTES];
	struct rte_ether_addr mac;
	int r = device_probe(port, wanted, error);

	if (r < 0)
		return r;
	log_clear();
	r = device_configure(port, wanted);
	if (r == 0)
		r = queues_init(port);
	if (r < 0)
		return netdev_fail(error, r == -ENOMEM ? r : -EIO, "cannot set up %s: %s (%s)",
				   wanted->device, rte_strerror(-r), log_last(said));
	r = rte_eth_macaddr_get(port->id, &mac);
	if (r == 0)
		memcpy(port->mac, mac.addr_bytes, sizeof(port->mac));
	log_clear();
	if (r == 0)
		r = device_start(port);
	/* A memif client without a server yet: netdev_maintain goes on trying. */
	if (r < 0 && port->device.kind != NETDEV_MEMIF)
		return netdev_fail(error, -EIO, "cannot start %s: %s (%s)", wanted->device,
				   rte_strerror(-r), log_last(said));
	return 0;
}

int netdev_dpdk_open(const struct netdev_dpdk_port *wanted, struct netdev **ret_queues,
		     struct netdev_error *ret_error)
{
	struct netdev_device device;
	int r = netdev_device_parse(wanted->device, &device, ret_error);

	if (r < 0)
		return r;
	must(dpdk.pool);
	if (wanted->queue_count == 0 || wanted->queue_count > WORKERS_MAX)
		return netdev_fail(ret_error, -EINVAL, "%u queues for %s: give 1 to %u",
				   wanted->queue_count, wanted->device, WORKERS_MAX);
	if (wanted->descriptors && (wanted->descriptors < 64 || wanted->descriptors > 16384))
		return netdev_fail(ret_error, -EINVAL, "%u descriptors for %s: give 64 to 16384",
				   wanted->descriptors, wanted->device);
	if (dpdk.port_count == NETDEV_PORTS_MAX)
		return netdev_fail(ret_error, -ENOSPC, "%s is one port too many: at most %u",
				   wanted->device, NETDEV_PORTS_MAX);
	if (device.kind == NETDEV_AF_PACKET_IF || device.kind == NETDEV_AF_XDP_IF) {
		r = netdev_interface_check(&device, ret_error);
		if (r < 0)
			return r;
	}
	struct port *port = aligned_alloc(64, round_up(sizeof(*port), 64));

	if (!port)
		return netdev_fail(ret_error, -ENOMEM, "no memory for %s", wanted->device);
	memset(port, 0, sizeof(*port));
	port->device = device;
	port->queue_count = wanted->queue_count;
	port->port_base = wanted->port_base;
	r = port_open(port, wanted, ret_error);
	if (r < 0) {
		free(port); /* the program ends; DPDK's half of it goes with the process */
		return r;
	}
	for (uint16_t q = 0; q < port->queue_count; q++)
		ret_queues[q] = &port->queue[q];
	dpdk.port[dpdk.port_count++] = port;
	return 0;
}

void netdev_dpdk_stop(void)
{
	if (!dpdk.pool)
		return;
	/*
	 * DPDK's interrupt thread lives to the end of the process and looks at memif devices and at
	 * DPDK's own memory whenever a peer does something: closing the former or unmapping the
	 * latter (rte_eal_cleanup) now and then crashes it. The kernel closes both with the
	 * process, and peers see an end of file either way. There are no files to remove.
	 */
	for (uint32_t i = 0; i < dpdk.port_count; i++) {
		enum netdev_kind kind = dpdk.port[i]->device.kind;

		if (kind == NETDEV_MEMIF || kind == NETDEV_MEMIF_SERVER)
			continue;
		(void)rte_eth_dev_stop(dpdk.port[i]->id);
		(void)rte_eth_dev_close(dpdk.port[i]->id);
	}
	dpdk.pool = NULL;
}

/* ---- a peer's death against a burst in progress ---- */

/*
 * When a memif peer goes away, DPDK's interrupt thread clears the driver's "connected" flag and
 * then unmaps the shared memory, without looking whether a polling thread is in the middle of a
 * burst over it. The linker gives us the unmapping call (--wrap, see meson.build): wait until every
 * burst that may have started before the flag was cleared is over. The bursts only count; the
 * barrier is made here, on their behalf.
 */
void __real_memif_free_regions(void *eth_dev);
void __wrap_memif_free_regions(void *eth_dev);

static inline void burst_enter(struct netdev *dev)
{
	uint64_t s = atomic_load_explicit(&dev->section, memory_order_relaxed);

	atomic_store_explicit(&dev->section, s + 1, memory_order_relaxed);
	if (dpdk.barrier_missing)
		atomic_thread_fence(memory_order_seq_cst);
	else
		atomic_signal_fence(memory_order_seq_cst);
}

static inline void burst_leave(struct netdev *dev)
{
	uint64_t s = atomic_load_explicit(&dev->section, memory_order_relaxed);

	atomic_store_explicit(&dev->section, s + 1, memory_order_release);
}

static void burst_wait(struct netdev *dev)
{
	const struct timespec pause = { .tv_nsec = 20000 };
	uint64_t s = atomic_load_explicit(&dev->section, memory_order_acquire);

	while ((s & 1) && atomic_load_explicit(&dev->section, memory_order_acquire) == s)
		nanosleep(&pause, NULL);
}

void __wrap_memif_free_regions(void *eth_dev)
{
	atomic_thread_fence(memory_order_seq_cst);
	if (!dpdk.barrier_missing)
		(void)syscall(SYS_membarrier, MEMBARRIER_CMD_PRIVATE_EXPEDITED, 0, 0);
	for (uint32_t i = 0; i < dpdk.port_count; i++)
		for (uint16_t q = 0; q < dpdk.port[i]->device_queues; q++)
			burst_wait(&dpdk.port[i]->queue[q]);
	__real_memif_free_regions(eth_dev);
}

/*
 * A memif client that dies between its connect and the server's first message makes that sendmsg
 * fail; the driver then closes the socket but leaves it registered with DPDK's interrupt thread,
 * which aborts the process over it. (It would also be killed by SIGPIPE.) Pretend that the message
 * went out: the end of file that follows takes the ordinary way of a lost connection.
 */
ssize_t __real_sendmsg(int fd, const struct msghdr *message, int flags);
ssize_t __wrap_sendmsg(int fd, const struct msghdr *message, int flags);

ssize_t __wrap_sendmsg(int fd, const struct msghdr *message, int flags)
{
	ssize_t n = __real_sendmsg(fd, message, flags | MSG_NOSIGNAL);
	int type = 0;
	socklen_t size = sizeof(type);

	if (n >= 0 || (errno != EPIPE && errno != ECONNRESET && errno != ENOTCONN))
		return n;
	if (getsockopt(fd, SOL_SOCKET, SO_TYPE, &type, &size) != 0 || type != SOCK_SEQPACKET)
		return n; /* not memif's */
	return (ssize_t)message->msg_iov[0].iov_len;
}

/* ---- polling ---- */

const uint8_t *netdev_mac(const struct netdev *dev)
{
	return dev->port->mac;
}

const struct netdev_counters *netdev_counters(const struct netdev *dev)
{
	return &dev->counters;
}

static inline uint16_t queue_send(struct netdev *dev, struct rte_mbuf **frames, uint16_t count)
{
	burst_enter(dev);
	uint16_t sent = rte_eth_tx_burst(dev->port->id, dev->index, frames, count);

	burst_leave(dev);
	if (sent < count)
		rte_pktmbuf_free_bulk(frames + sent, count - sent);
	return sent;
}

static void inbox_put(struct netdev *from, struct netdev *to, struct rte_mbuf *frame)
{
	if (rte_ring_enqueue(to->inbox, frame) == 0) {
		from->counters.handed_off++;
		return;
	}
	from->counters.rx_no_buffer++;
	rte_pktmbuf_free(frame);
}

/* Every worker asks for its peers' addresses itself, and an answer does not say whose it is. */
static void arp_reply_share(struct netdev *dev, struct rte_mbuf *frame)
{
	struct port *port = dev->port;

	for (uint16_t q = 0; q < port->queue_count; q++) {
		if (q == dev->index)
			continue;
		struct rte_mbuf *copy = rte_pktmbuf_copy(frame, dpdk.pool, 0, UINT32_MAX);

		if (copy)
			inbox_put(dev, &port->queue[q], copy);
		else
			dev->counters.alloc_failed++;
	}
}

/* The worker a frame is for: by its UDP port, else whoever received it. */
static uint16_t owner_of(struct netdev *dev, struct rte_mbuf *frame)
{
	const uint8_t *d = rte_pktmbuf_mtod(frame, const uint8_t *);
	const struct port *port = dev->port;

	if (rte_pktmbuf_data_len(frame) < 42)
		return dev->index;
	if (d[12] == 0x08 && d[13] == 0x06 && d[20] == 0 && d[21] == 2)
		arp_reply_share(dev, frame);
	if (d[12] != 0x08 || d[13] != 0x00 || d[14] != 0x45 || d[23] != 17)
		return dev->index;
	uint32_t shard = (uint16_t)((d[36] << 8 | d[37]) - port->port_base);

	return shard < SHARDS_MAX ? (uint16_t)(shard % port->queue_count) : dev->index;
}

static inline void hand_over(struct netdev *dev, struct rte_mbuf *frame, struct netdev_buf *ret_buf)
{
	uint32_t bytes = rte_pktmbuf_data_len(frame);

	dev->counters.rx_frames++;
	dev->counters.rx_bytes += bytes;
	*ret_buf = (struct netdev_buf) { rte_pktmbuf_mtod(frame, uint8_t *), bytes, frame };
}

static void outbox_drain(struct netdev *dev)
{
	struct rte_mbuf *frames[NETDEV_BURST];
	unsigned n = rte_ring_sc_dequeue_burst(dev->outbox, (void **)frames, NETDEV_BURST, NULL);
	uint16_t sent;

	if (n == 0)
		return;
	if (dev->started) {
		sent = queue_send(dev, frames, (uint16_t)n);
	} else {
		rte_pktmbuf_free_bulk(frames, n);
		sent = 0;
	}
	dev->counters.tx_dropped += n - sent;
}

static uint32_t queue_receive(struct netdev *dev, struct netdev_buf *bufs, uint32_t max)
{
	struct rte_mbuf *frames[NETDEV_BURST];
	uint32_t count = 0;

	burst_enter(dev);
	uint16_t n = rte_eth_rx_burst(dev->port->id, dev->index, frames, (uint16_t)max);

	burst_leave(dev);
	for (uint16_t i = 0; i < n; i++) {
		if (frames[i]->nb_segs != 1) { /* larger than any frame of ours */
			rte_pktmbuf_free(frames[i]);
			dev->counters.rx_no_buffer++;
			continue;
		}
		if (dev->inbox) {
			uint16_t owner = owner_of(dev, frames[i]);

			if (owner != dev->index) {
				inbox_put(dev, &dev->port->queue[owner], frames[i]);
				continue;
			}
		}
		hand_over(dev, frames[i], &bufs[count++]);
	}
	return count;
}

uint32_t netdev_receive(struct netdev *dev, struct netdev_buf *bufs, uint32_t max)
{
	uint32_t count = 0;

	must_dbg(max <= NETDEV_BURST);
	if (dev->outbox)
		outbox_drain(dev);
	if (dev->inbox) {
		struct rte_mbuf *frames[NETDEV_BURST];
		unsigned n = rte_ring_sc_dequeue_burst(dev->inbox, (void **)frames, max, NULL);

		for (unsigned i = 0; i < n; i++)
			hand_over(dev, frames[i], &bufs[count++]);
	}
	if (count < max && dev->has_queue && dev->started)
		count += queue_receive(dev, bufs + count, max - count);
	return count;
}

bool netdev_alloc(struct netdev *dev, struct netdev_buf *ret_buf)
{
	struct rte_mbuf *frame = rte_pktmbuf_alloc(dpdk.pool);

	if (!frame) {
		dev->counters.alloc_failed++;
		return false;
	}
	*ret_buf = (struct netdev_buf) { rte_pktmbuf_mtod(frame, uint8_t *), 0, frame };
	return true;
}

uint32_t netdev_send(struct netdev *dev, struct netdev_buf *bufs, uint32_t count)
{
	struct rte_mbuf *frames[NETDEV_BURST];
	uint32_t bytes = 0, sent = 0;

	must_dbg(count <= NETDEV_BURST);
	for (uint32_t i = 0; i < count; i++) {
		frames[i] = bufs[i].handle;
		frames[i]->data_len = (uint16_t)bufs[i].bytes;
		frames[i]->pkt_len = bufs[i].bytes;
		bytes += bufs[i].bytes;
	}
	if (dev->has_queue && dev->started) {
		sent = queue_send(dev, frames, (uint16_t)count);
	} else if (!dev->has_queue) {
		struct port *port = dev->port;
		struct netdev *owner = &port->queue[dev->index % port->device_queues];

		sent = rte_ring_enqueue_burst(owner->outbox, (void **)frames, count, NULL);
		rte_pktmbuf_free_bulk(frames + sent, count - sent);
	} else {
		rte_pktmbuf_free_bulk(frames, count);
	}
	for (uint32_t i = sent; i < count; i++)
		bytes -= bufs[i].bytes;
	dev->counters.tx_frames += sent;
	dev->counters.tx_bytes += bytes;
	dev->counters.tx_dropped += count - sent;
	return sent;
}

void netdev_free(struct netdev *dev, struct netdev_buf *bufs, uint32_t count)
{
	(void)dev;
	for (uint32_t i = 0; i < count; i++)
		rte_pktmbuf_free(bufs[i].handle);
}

/* The memif client connects only in its start, and neither retries nor reconnects by itself. */
static void link_restart(struct netdev *dev, uint64_t now_ns)
{
	if (dev->link_restart_ns == 0) /* first time here: netdev_dpdk_open has just started it */
		dev->link_restart_ns = now_ns + (dev->started ? LINK_CONNECT_NS : LINK_RETRY_NS);
	if (now_ns < dev->link_restart_ns)
		return;
	if (dev->started) {
		(void)rte_eth_dev_stop(dev->port->id);
		dev->started = false;
	}
	if (device_start(dev->port) == 0) {
		dev->counters.link_restarts++;
		dev->link_restart_ns = now_ns + LINK_CONNECT_NS;
	} else {
		dev->link_restart_ns = now_ns + LINK_RETRY_NS;
	}
}

bool netdev_maintain(struct netdev *dev, uint64_t now_ns)
{
	struct netdev *first = &dev->port->queue[0];
	struct rte_eth_stats stats;
	struct rte_eth_link link = { 0 };

	if (!dev->has_queue)
		return first->link_up;
	if (now_ns < dev->link_check_ns)
		return dev->link_up;
	dev->link_check_ns = now_ns + LINK_CHECK_NS;
	dev->link_up = dev->started && rte_eth_link_get_nowait(dev->port->id, &link) == 0 &&
		       link.link_status == RTE_ETH_LINK_UP;
	if (!dev->link_up && dev->port->device.kind == NETDEV_MEMIF && dev == first)
		link_restart(dev, now_ns);
	if (dev == first && rte_eth_stats_get(dev->port->id, &stats) == 0 &&
	    stats.imissed + stats.rx_nombuf > dev->missed) {
		dev->counters.rx_no_buffer += stats.imissed + stats.rx_nombuf - dev->missed;
		dev->missed = stats.imissed + stats.rx_nombuf;
	}
	return dev->link_up;
}
