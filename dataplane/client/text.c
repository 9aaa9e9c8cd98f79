/* SPDX-License-Identifier: Apache-2.0 */
/* Text of libcairn: statuses and versions. Needs no handle. */
#include <errno.h>
#include <stdio.h>

#include "dataplane/client/cairn.h"
#include "replication/types.h"

const char *cairn_status_name(enum cairn_status status)
{
	return status_name((enum status)status);
}

int cairn_version_compare(struct cairn_version a, struct cairn_version b)
{
	struct op_ts a_ts = { a.number, writer_make((uint8_t)a.node, a.incarnation) };
	struct op_ts b_ts = { b.number, writer_make((uint8_t)b.node, b.incarnation) };

	return op_ts_compare(a_ts, b_ts);
}

char *cairn_version_print(struct cairn_version version, char *text)
{
	snprintf(text, CAIRN_VERSION_BYTES, "%llu.%u.%u", (unsigned long long)version.number,
		 version.node, version.incarnation);
	return text;
}

/* number_parse: decimal digits up to max, moves *text past them. false: none, or too large. */
static bool number_parse(const char **text, uint64_t max, uint64_t *ret)
{
	const char *p = *text;
	uint64_t n = 0;

	for (; *p >= '0' && *p <= '9'; p++) {
		uint64_t digit = (uint64_t)(*p - '0');

		if (n > (max - digit) / 10)
			return false;
		n = n * 10 + digit;
	}
	if (p == *text)
		return false;
	*text = p;
	*ret = n;
	return true;
}

int cairn_version_parse(const char *text, struct cairn_version *ret)
{
	uint64_t number, node, incarnation;

	if (!number_parse(&text, UINT64_MAX, &number) || *text++ != '.')
		return -EINVAL;
	if (!number_parse(&text, UINT8_MAX, &node) || *text++ != '.')
		return -EINVAL;
	if (!number_parse(&text, INCARNATION_MAX, &incarnation) || *text != '\0')
		return -EINVAL;
	*ret = (struct cairn_version){ number, (uint32_t)node, (uint32_t)incarnation };
	return 0;
}
