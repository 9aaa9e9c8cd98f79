/* SPDX-License-Identifier: Apache-2.0 */
/*
 * libcairn: the client core (core.h) behind one non-blocking UDP socket. The socket is not
 * connected: a node's shards are at different ports, and one descriptor for everything is what an
 * event loop wants; whose datagram it is follows from the sender's address.
 */
#include <errno.h>
#include <netinet/in.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/random.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "dataplane/client/cairn.h"
#include "dataplane/client/core.h"
#include "dataplane/client/endpoint.h"

#define BATCH 32u		 /* datagrams of one system call */
#define RECEIVE_ROUNDS_MAX 8u	 /* batches of one cairn_poll */
#define DATAGRAM_BYTES 1536u	 /* one more than the largest shows that it was larger */
#define SOCKET_BUFFER_BYTES (1 << 20)
#define NS_PER_S 1000000000ull
#define TIMEOUT_DEFAULT_NS (5 * NS_PER_S)
#define RETRANSMIT_DEFAULT_NS (NS_PER_S / 50)
#define FAILOVER_RETRANSMITS 7u /* three requests: after 0, 1 and 3 times the first wait */
#define OPERATIONS_DEFAULT 256u
#define NONE UINT32_MAX

_Static_assert((int)CAIRN_OK == STATUS_OK, "same numbers");
_Static_assert((int)CAIRN_NOT_FOUND == STATUS_NOT_FOUND, "same numbers");
_Static_assert((int)CAIRN_CONFLICT == STATUS_CONFLICT, "same numbers");
_Static_assert((int)CAIRN_BUSY == STATUS_BUSY, "same numbers");
_Static_assert((int)CAIRN_NO_SPACE == STATUS_NO_SPACE, "same numbers");
_Static_assert((int)CAIRN_NOT_SERVING == STATUS_NOT_SERVING, "same numbers");
_Static_assert((int)CAIRN_TOO_LARGE == STATUS_TOO_LARGE, "same numbers");
_Static_assert((int)CAIRN_DENIED == STATUS_DENIED, "same numbers");
_Static_assert((int)CAIRN_UNKNOWN == STATUS_UNKNOWN, "same numbers");
_Static_assert((int)CAIRN_NOT_A_NUMBER == STATUS_NOT_A_NUMBER, "same numbers");
_Static_assert((int)CAIRN_OVERFLOW == STATUS_OVERFLOW, "same numbers");
_Static_assert((int)CAIRN_BAD_REQUEST == STATUS_BAD_REQUEST, "same numbers");
_Static_assert((int)CAIRN_EVICTED == STATUS_EVICTED, "same numbers");
_Static_assert((int)CAIRN_DURABILITY_MEMORY == DURABILITY_MEMORY, "same numbers");
_Static_assert((int)CAIRN_DURABILITY_QUORUM == DURABILITY_QUORUM, "same numbers");
_Static_assert((int)CAIRN_DURABILITY_ALL == DURABILITY_ALL, "same numbers");
_Static_assert(CAIRN_KEY_BYTES_MAX == KEY_BYTES_MAX, "same limit");
_Static_assert(CAIRN_VALUE_BYTES_MAX == VALUE_BYTES_MAX, "same limit");
_Static_assert(CAIRN_SERVERS_MAX == CLIENT_SERVERS_MAX, "same limit");
_Static_assert(CAIRN_OPERATIONS_MAX == CLIENT_OPS_MAX, "same limit");
_Static_assert(DATAGRAM_BYTES > FRAME_PAYLOAD_MAX, "larger ones are noticed");

/* What the core does not need to know about an operation. Index = its tag in the core. */
struct slot {
	uint64_t tag;
	uint32_t next; /* free slots */
	uint8_t kind;
	bool any;
};

/* A result taken from the core while waiting for another one. */
struct kept {
	struct kept *next;
	struct cairn_result result;
};

struct batch {
	struct mmsghdr header[BATCH];
	struct iovec part[BATCH];
	struct sockaddr_in address[BATCH];
	uint8_t data[BATCH][DATAGRAM_BYTES];
	uint32_t count; /* filled */
	uint32_t done;	/* of those, sent */
};

struct cairn {
	struct client_core *core;
	struct endpoint server[CAIRN_SERVERS_MAX];
	uint32_t server_count;
	uint32_t current; /* where CAIRN_ANY_SERVER begins */
	int fd;
	uint32_t open;
	bool restless; /* cairn_poll has work already: something submitted, or results left over */
	uint32_t slot_count;
	uint32_t slot_free;
	struct slot *slots;
	struct kept *kept_free, *kept_head, **kept_tail;
	struct kept *kept;
	uint64_t oversized, foreign_source, send_errors;
	struct client_completion completion;
	struct batch out, in;
};

static uint64_t clock_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * NS_PER_S + (uint64_t)t.tv_nsec;
}

static uint64_t add_saturated(uint64_t a, uint64_t b)
{
	return a > UINT64_MAX - b ? UINT64_MAX : a + b;
}

/* ---- connect, close ---- */

static int socket_open(int *ret_fd)
{
	int size = SOCKET_BUFFER_BYTES;
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	struct sockaddr_in any = { .sin_family = AF_INET };

	if (fd < 0)
		return -errno;
	/* Larger buffers only help; the system may grant less. */
	(void)setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &size, sizeof(size));
	(void)setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &size, sizeof(size));
	if (bind(fd, (const struct sockaddr *)&any, sizeof(any)) < 0) {
		int error = -errno;

		close(fd);
		return error;
	}
	*ret_fd = fd;
	return 0;
}

static void batch_init(struct batch *b)
{
	for (uint32_t i = 0; i < BATCH; i++) {
		b->part[i].iov_base = b->data[i];
		b->part[i].iov_len = DATAGRAM_BYTES;
		b->header[i].msg_hdr = (struct msghdr){
			.msg_name = &b->address[i],
			.msg_namelen = sizeof(b->address[i]),
			.msg_iov = &b->part[i],
			.msg_iovlen = 1,
		};
	}
}

static int options_check(const struct cairn_options *o, struct cairn *c, char *error)
{
	int count;

	if (!o->endpoints) {
		snprintf(error, CAIRN_ERROR_BYTES, "endpoints: missing; write host:port,...");
		return -EINVAL;
	}
	count = endpoint_parse(o->endpoints, c->server, error);
	if (count < 0)
		return count;
	c->server_count = (uint32_t)count;
	if (o->preferred_server >= c->server_count || c->server[o->preferred_server].ip == 0) {
		snprintf(error, CAIRN_ERROR_BYTES,
			 "preferred_server %u: no endpoint for it; %u entries given",
			 o->preferred_server, c->server_count);
		return -EINVAL;
	}
	if (o->operations_max > CAIRN_OPERATIONS_MAX) {
		snprintf(error, CAIRN_ERROR_BYTES, "operations_max %u: must be at most %u",
			 o->operations_max, CAIRN_OPERATIONS_MAX);
		return -EINVAL;
	}
	return 0;
}

static int memory_make(struct cairn *c, const struct client_core_config *config)
{
	void *memory = malloc(client_core_size(config));

	c->slots = calloc(config->ops_max, sizeof(*c->slots));
	c->kept = calloc(config->ops_max, sizeof(*c->kept));
	if (!memory || !c->slots || !c->kept) {
		free(memory);
		return -ENOMEM;
	}
	c->core = client_core_init(memory, config);
	c->slot_count = config->ops_max;
	c->kept_tail = &c->kept_head;
	for (uint32_t i = 0; i < config->ops_max; i++) {
		c->slots[i].next = i + 1 < config->ops_max ? i + 1 : NONE;
		c->kept[i].next = c->kept_free;
		c->kept_free = &c->kept[i];
	}
	batch_init(&c->out);
	batch_init(&c->in);
	return 0;
}

void cairn_close(struct cairn *c)
{
	if (!c)
		return;
	if (c->fd >= 0)
		close(c->fd);
	free(c->core);
	free(c->slots);
	free(c->kept);
	free(c);
}

static uint64_t failover_ns(const struct cairn_options *o, uint64_t retransmit_ns)
{
	if (o->failover_ns == CAIRN_NEVER)
		return 0;
	if (o->failover_ns == 0)
		return FAILOVER_RETRANSMITS * retransmit_ns;
	return min_u64(o->failover_ns, 3600 * NS_PER_S);
}

int cairn_connect(const struct cairn_options *options, struct cairn **ret)
{
	char ignored[CAIRN_ERROR_BYTES];
	char *error = options->error ? options->error : ignored;
	struct cairn *c = calloc(1, sizeof(*c));
	struct client_core_config config = {
		.cluster = options->cluster,
		.retransmit_ns = options->retransmit_ns ? options->retransmit_ns :
							  RETRANSMIT_DEFAULT_NS,
		.timeout_ns = options->timeout_ns ? options->timeout_ns : TIMEOUT_DEFAULT_NS,
		.ops_max = options->operations_max ? options->operations_max : OPERATIONS_DEFAULT,
	};
	int status;

	error[0] = '\0';
	if (!c)
		return -ENOMEM;
	c->fd = -1;
	status = options_check(options, c, error);
	if (status)
		goto fail;
	config.retransmit_ns = min_u64(config.retransmit_ns, 3600 * NS_PER_S);
	config.failover_ns = failover_ns(options, config.retransmit_ns);
	config.server_count = c->server_count;
	for (uint32_t i = 0; i < c->server_count; i++)
		config.servers_unused |= (uint8_t)((c->server[i].ip == 0) << i);
	c->current = options->preferred_server;
	status = getrandom(&config.seed, sizeof(config.seed), 0) < 0 ? -errno : 0;
	if (!status)
		status = socket_open(&c->fd);
	if (!status)
		status = memory_make(c, &config);
	if (status) {
		snprintf(error, CAIRN_ERROR_BYTES, "cannot make a handle: errno %d", -status);
		goto fail;
	}
	*ret = c;
	return 0;
fail:
	cairn_close(c);
	return status;
}

/* ---- send, receive ---- */

/* flush: sends what lies in the batch; what the socket has no room for stays. */
static void flush(struct cairn *c)
{
	struct batch *b = &c->out;

	while (b->done < b->count) {
		int sent = sendmmsg(c->fd, b->header + b->done, b->count - b->done, MSG_NOSIGNAL);

		if (sent > 0) {
			b->done += (uint32_t)sent;
			continue;
		}
		if (errno == EAGAIN || errno == EINTR)
			return;
		b->done++; /* no way to there now: as good as lost */
		c->send_errors++;
	}
	b->count = b->done = 0;
}

static void send_all(struct cairn *c, uint64_t now_ns)
{
	struct batch *b = &c->out;

	flush(c);
	while (b->done == b->count) {
		while (b->count < BATCH) {
			uint8_t server;
			uint16_t shard;
			uint32_t i = b->count;
			uint32_t bytes = client_core_output(c->core, b->data[i], &server, &shard,
							    now_ns);
			const struct endpoint *e;

			if (bytes == 0)
				break;
			e = &c->server[server];
			b->part[i].iov_len = bytes;
			b->address[i] = (struct sockaddr_in){
				.sin_family = AF_INET,
				.sin_addr.s_addr = htonl(e->ip),
				.sin_port = htons((uint16_t)(e->port + (e->gateway ? 0 : shard))),
			};
			b->count++;
		}
		if (b->count == 0)
			return;
		flush(c);
	}
}

/*
 * server_of: whose datagram it is; NONE when no server of ours sends from there. Nodes of one host
 * may have overlapping port ranges: the nearest one below wins.
 */
static uint32_t server_of(const struct cairn *c, const struct sockaddr_in *from)
{
	uint32_t ip = ntohl(from->sin_addr.s_addr);
	uint32_t port = ntohs(from->sin_port);
	uint32_t best = NONE;

	for (uint32_t i = 0; i < c->server_count; i++) {
		const struct endpoint *e = &c->server[i];
		uint32_t ports = e->gateway ? 1 : SHARDS_MAX;

		if (e->ip != ip || port < e->port || port >= e->port + ports)
			continue;
		if (best == NONE || e->port > c->server[best].port)
			best = i;
	}
	return best;
}

static void receive_all(struct cairn *c, uint64_t now_ns)
{
	struct batch *b = &c->in;

	for (uint32_t round = 0; round < RECEIVE_ROUNDS_MAX; round++) {
		int count = recvmmsg(c->fd, b->header, BATCH, MSG_DONTWAIT, NULL);

		for (int i = 0; i < count; i++) {
			uint32_t server = server_of(c, &b->address[i]);

			b->header[i].msg_hdr.msg_namelen = sizeof(b->address[i]);
			if (server == NONE)
				c->foreign_source++;
			else if (b->header[i].msg_len > FRAME_PAYLOAD_MAX)
				c->oversized++;
			else
				client_core_input(c->core, (uint8_t)server, b->data[i],
						  b->header[i].msg_len, now_ns);
		}
		if (count < (int)BATCH)
			return;
	}
}

static void turn(struct cairn *c)
{
	uint64_t now_ns = clock_ns();

	receive_all(c, now_ns);
	client_core_tick(c->core, now_ns);
	send_all(c, now_ns);
}

/* ---- operations ---- */

static uint32_t next_server(const struct cairn *c, uint32_t server)
{
	do {
		server = (server + 1) % c->server_count;
	} while (c->server[server].ip == 0);
	return server;
}

static const enum wire_type wire_types[] = {
	[CAIRN_GET] = WIRE_GET, [CAIRN_PUT] = WIRE_PUT,	  [CAIRN_DEL] = WIRE_DEL,
	[CAIRN_CAS] = WIRE_CAS, [CAIRN_INCR] = WIRE_INCR, [CAIRN_CAS_VALUE] = WIRE_CASV,
};

/* value_bytes: what the request must carry; more than a value may have: too large. */
static size_t value_bytes(const struct cairn_op *op)
{
	switch (op->kind) {
	case CAIRN_PUT:
	case CAIRN_CAS:
		return op->value.bytes;
	case CAIRN_CAS_VALUE:
		if (op->compare.bytes > VALUE_BYTES_MAX)
			return op->compare.bytes;
		return op->compare.bytes + min_u64(op->value.bytes, VALUE_BYTES_MAX + 1);
	case CAIRN_GET:
	case CAIRN_DEL:
	case CAIRN_INCR:
		break;
	}
	return 0;
}

static enum cairn_status submit_check(const struct cairn *c, const struct cairn_op *op)
{
	if (op->kind < CAIRN_GET || op->kind > CAIRN_CAS_VALUE || op->key.bytes == 0)
		return CAIRN_BAD_REQUEST;
	if (op->server != CAIRN_ANY_SERVER &&
	    (op->server >= c->server_count || c->server[op->server].ip == 0))
		return CAIRN_BAD_REQUEST;
	if (op->kind == CAIRN_CAS && (op->expected.node > UINT8_MAX ||
				      op->expected.incarnation > INCARNATION_MAX))
		return CAIRN_BAD_REQUEST;
	if (op->key.bytes > KEY_BYTES_MAX || value_bytes(op) > VALUE_BYTES_MAX)
		return CAIRN_TOO_LARGE;
	return c->open == c->slot_count ? CAIRN_BUSY : CAIRN_OK;
}

enum cairn_status cairn_submit(struct cairn *c, const struct cairn_op *op)
{
	enum cairn_status status = submit_check(c, op);
	uint64_t now_ns = clock_ns();
	bool any = op->server == CAIRN_ANY_SERVER;
	struct client_op out;
	struct slot *s;

	if (status != CAIRN_OK)
		return status;
	s = &c->slots[c->slot_free];
	s->tag = op->tag;
	s->kind = (uint8_t)op->kind;
	s->any = any;
	out = (struct client_op){
		.type = wire_types[op->kind],
		.server = (uint8_t)(any ? c->current : op->server),
		.any = any,
		.key = op->key.data,
		.key_bytes = (uint32_t)op->key.bytes,
		.value = op->value.data,
		.value_bytes = (uint32_t)op->value.bytes,
		.compare = op->compare.data,
		.compare_bytes = (uint32_t)op->compare.bytes,
		.expected = { op->expected.number, writer_make((uint8_t)op->expected.node,
							       op->expected.incarnation) },
		.delta = op->delta,
		.timeout_ns = op->timeout_ns,
		.tag = c->slot_free,
	};
	must(client_core_submit(c->core, &out, now_ns) == STATUS_OK);
	c->slot_free = s->next;
	c->open++;
	c->restless = true;
	return CAIRN_OK;
}

static void result_fill(struct cairn_result *r, const struct slot *s,
			const struct client_completion *done)
{
	r->tag = s->tag;
	r->kind = (enum cairn_kind)s->kind;
	r->status = (enum cairn_status)done->status;
	r->durability = (enum cairn_durability)done->durability;
	r->server = done->server;
	r->version = (struct cairn_version){ done->ts.version, writer_node(done->ts.writer),
					     writer_incarnation(done->ts.writer) };
	r->number = done->number;
	r->value_bytes = done->value_bytes;
	memcpy(r->value, done->value, done->value_bytes);
}

/* prefer: later operations begin at the server that answered, or behind one that did not. */
static void prefer(struct cairn *c)
{
	enum status status = c->completion.status;

	if (status != STATUS_NOT_SERVING && status != STATUS_UNKNOWN)
		c->current = c->completion.server;
	else if (c->completion.server == c->current)
		c->current = next_server(c, c->current);
}

/* take: the next result of the core; *ret_slot says whose. false: none is there. */
static bool take(struct cairn *c, struct cairn_result *result, uint32_t *ret_slot)
{
	struct slot *s;

	if (!client_core_complete(c->core, &c->completion))
		return false;
	s = &c->slots[c->completion.tag];
	if (s->any)
		prefer(c);
	result_fill(result, s, &c->completion);
	*ret_slot = (uint32_t)(s - c->slots);
	s->next = c->slot_free;
	c->slot_free = *ret_slot;
	return true;
}

static bool take_kept(struct cairn *c, struct cairn_result *result)
{
	struct kept *k = c->kept_head;

	if (!k)
		return false;
	c->kept_head = k->next;
	if (!c->kept_head)
		c->kept_tail = &c->kept_head;
	memcpy(result, &k->result, offsetof(struct cairn_result, value) + k->result.value_bytes);
	k->next = c->kept_free;
	c->kept_free = k;
	return true;
}

static void keep(struct cairn *c, const struct cairn_result *result)
{
	struct kept *k = c->kept_free;

	must(k != NULL);
	c->kept_free = k->next;
	memcpy(&k->result, result, offsetof(struct cairn_result, value) + result->value_bytes);
	k->next = NULL;
	*c->kept_tail = k;
	c->kept_tail = &k->next;
}

uint32_t cairn_poll(struct cairn *c, struct cairn_result *results, uint32_t max)
{
	uint32_t count = 0, slot;

	turn(c);
	while (count < max && take_kept(c, &results[count]))
		count++;
	while (count < max && take(c, &results[count], &slot))
		count++;
	must(c->open >= count);
	c->open -= count;
	c->restless = count == max;
	return count;
}

/* ---- waiting ---- */

/* timer_ns: until the next timer of the core. */
static uint64_t timer_ns(const struct cairn *c)
{
	uint64_t deadline_ns = client_core_deadline_ns(c->core);
	uint64_t now_ns;

	if (deadline_ns == UINT64_MAX)
		return UINT64_MAX;
	now_ns = clock_ns();
	return deadline_ns > now_ns ? deadline_ns - now_ns : 0;
}

uint64_t cairn_sleep_ns(const struct cairn *c)
{
	if (c->restless || c->kept_head)
		return 0;
	return c->out.count ? min_u64(timer_ns(c), NS_PER_S / 1000) : timer_ns(c);
}

/* doze: sleeps until the socket, a timer or timeout_ns. 0, or -EINTR. */
static int doze(struct cairn *c, uint64_t timeout_ns)
{
	struct pollfd p = { .fd = c->fd, .events = POLLIN };
	uint64_t sleep_ns = min_u64(timeout_ns, timer_ns(c));
	struct timespec t = {
		.tv_sec = (time_t)min_u64(sleep_ns / NS_PER_S, INT32_MAX),
		.tv_nsec = (long)(sleep_ns % NS_PER_S),
	};

	if (c->out.count)
		p.events |= POLLOUT;
	return ppoll(&p, 1, &t, NULL) < 0 && errno == EINTR ? -EINTR : 0;
}

int cairn_wait(struct cairn *c, uint64_t timeout_ns)
{
	uint64_t end_ns = add_saturated(clock_ns(), timeout_ns);
	struct cairn_result result;
	uint32_t slot;

	while (c->open > 0) {
		uint64_t now_ns;
		int status;

		if (c->kept_head)
			return 1;
		turn(c);
		c->restless = false;
		if (take(c, &result, &slot)) {
			keep(c, &result);
			return 1;
		}
		send_all(c, clock_ns());
		now_ns = clock_ns();
		if (now_ns >= end_ns)
			return 0;
		status = doze(c, end_ns - now_ns);
		if (status)
			return status;
	}
	return 0;
}

enum cairn_status cairn_call(struct cairn *c, const struct cairn_op *op,
			     struct cairn_result *result)
{
	uint32_t mine = c->slot_free, slot;
	enum cairn_status status = cairn_submit(c, op);

	if (status != CAIRN_OK) {
		memset(result, 0, offsetof(struct cairn_result, value));
		result->tag = op->tag;
		result->kind = op->kind;
		result->status = status;
		return status;
	}
	for (;;) {
		turn(c);
		c->restless = false;
		while (take(c, result, &slot)) {
			if (slot == mine) {
				c->open--;
				return result->status;
			}
			keep(c, result);
		}
		send_all(c, clock_ns());
		(void)doze(c, UINT64_MAX);
	}
}

enum cairn_status cairn_get(struct cairn *c, struct cairn_bytes key, struct cairn_result *result)
{
	struct cairn_op op = { .kind = CAIRN_GET, .server = CAIRN_ANY_SERVER, .key = key };

	return cairn_call(c, &op, result);
}

enum cairn_status cairn_put(struct cairn *c, struct cairn_bytes key, struct cairn_bytes value,
			    struct cairn_result *result)
{
	struct cairn_op op = {
		.kind = CAIRN_PUT, .server = CAIRN_ANY_SERVER, .key = key, .value = value,
	};

	return cairn_call(c, &op, result);
}

enum cairn_status cairn_del(struct cairn *c, struct cairn_bytes key, struct cairn_result *result)
{
	struct cairn_op op = { .kind = CAIRN_DEL, .server = CAIRN_ANY_SERVER, .key = key };

	return cairn_call(c, &op, result);
}

enum cairn_status cairn_cas(struct cairn *c, struct cairn_bytes key, struct cairn_version expected,
			    struct cairn_bytes value, struct cairn_result *result)
{
	struct cairn_op op = {
		.kind = CAIRN_CAS, .server = CAIRN_ANY_SERVER, .key = key,
		.value = value, .expected = expected,
	};

	return cairn_call(c, &op, result);
}

enum cairn_status cairn_cas_value(struct cairn *c, struct cairn_bytes key,
				  struct cairn_bytes compare, struct cairn_bytes value,
				  struct cairn_result *result)
{
	struct cairn_op op = {
		.kind = CAIRN_CAS_VALUE, .server = CAIRN_ANY_SERVER, .key = key,
		.value = value, .compare = compare,
	};

	return cairn_call(c, &op, result);
}

enum cairn_status cairn_put_if_absent(struct cairn *c, struct cairn_bytes key,
				      struct cairn_bytes value, struct cairn_result *result)
{
	return cairn_cas(c, key, (struct cairn_version){ 0 }, value, result);
}

enum cairn_status cairn_incr(struct cairn *c, struct cairn_bytes key, int64_t delta,
			     struct cairn_result *result)
{
	struct cairn_op op = {
		.kind = CAIRN_INCR, .server = CAIRN_ANY_SERVER, .key = key, .delta = delta,
	};

	return cairn_call(c, &op, result);
}

int cairn_fd(const struct cairn *c)
{
	return c->fd;
}

uint32_t cairn_open(const struct cairn *c)
{
	return c->open;
}

uint64_t cairn_cluster(const struct cairn *c)
{
	return client_core_cluster(c->core);
}

/* ---- names ---- */

const char *cairn_counter(const struct cairn *c, uint32_t index, uint64_t *ret_value)
{
	static const char *const names[] = {
#define CLIENT_COUNTER_NAME(name) #name,
		CLIENT_COUNTERS(CLIENT_COUNTER_NAME)
#undef CLIENT_COUNTER_NAME
	};
	const struct client_counters *counters = client_core_counters(c->core);
	const struct {
		const char *name;
		uint64_t value;
	} own[] = {
		{ "drop_oversized", c->oversized },
		{ "drop_foreign_source", c->foreign_source },
		{ "send_errors", c->send_errors },
	};

	if (index < ARRAY_LEN(names)) {
		*ret_value = ((const uint64_t *)counters)[index];
		return names[index];
	}
	index -= (uint32_t)ARRAY_LEN(names);
	if (index < WIRE_VERDICT_COUNT - 1) { /* WIRE_OK is no drop */
		*ret_value = counters->drop_wire[index + 1];
		return wire_verdict_name((enum wire_verdict)(index + 1));
	}
	index -= WIRE_VERDICT_COUNT - 1;
	if (index >= ARRAY_LEN(own))
		return NULL;
	*ret_value = own[index].value;
	return own[index].name;
}
