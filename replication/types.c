/* SPDX-License-Identifier: Apache-2.0 */
#include "replication/types.h"

static const char *const status_names[STATUS_COUNT] = {
	[STATUS_OK] = "OK",
	[STATUS_NOT_FOUND] = "NOT_FOUND",
	[STATUS_CONFLICT] = "CONFLICT",
	[STATUS_BUSY] = "BUSY",
	[STATUS_NO_SPACE] = "NO_SPACE",
	[STATUS_NOT_SERVING] = "NOT_SERVING",
	[STATUS_TOO_LARGE] = "TOO_LARGE",
	[STATUS_DENIED] = "DENIED",
	[STATUS_UNKNOWN] = "UNKNOWN",
	[STATUS_NO_SESSION] = "NO_SESSION",
	[STATUS_NOT_A_NUMBER] = "NOT_A_NUMBER",
	[STATUS_OVERFLOW] = "OVERFLOW",
	[STATUS_BAD_REQUEST] = "BAD_REQUEST",
	[STATUS_EVICTED] = "EVICTED",
	[STATUS_WAIT] = "WAIT",
};

const char *status_name(enum status status)
{
	return (unsigned)status < STATUS_COUNT ? status_names[status] : "INVALID";
}
