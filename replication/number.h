/* SPDX-License-Identifier: Apache-2.0 */
/* number.h: values that INCR counts with: decimal 64-bit numbers, as text. */
#ifndef CAIRN_REPLICATION_NUMBER_H
#define CAIRN_REPLICATION_NUMBER_H

#include "replication/base.h"

#define NUMBER_BYTES_MAX 20u /* "-9223372036854775808" */

/* number_parse: digits, perhaps a minus, nothing else; false: not a number, or too large. */
bool number_parse(const uint8_t *text, uint32_t bytes, int64_t *ret_number);

/* number_print: at most NUMBER_BYTES_MAX bytes; returns how many. */
uint16_t number_print(uint8_t *out, int64_t number);

#endif
