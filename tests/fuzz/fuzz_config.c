/* SPDX-License-Identifier: Apache-2.0 */
/*
 * fuzz_config.c: any bytes as a configuration file. Refused: a message with a position, and nothing
 * written. Accepted: validation, and every key can be shown.
 */
#include <errno.h>

#include "mgmt/config.h"
#include "tests/fuzz/fuzz.h"

static void check_problem(const struct problem *p)
{
	must(memchr(p->text, 0, sizeof(p->text)) != NULL);
	must(strncmp(p->text, "fuzz.toml:", 10) == 0);
}

static void show(const struct config *c)
{
	char name[64], value[1024];

	for (uint32_t i = 0; i < config_key_count(); i++) {
		must(config_key_name(i, name)[0] != '\0');
		must(config_key_value(c, i, value, sizeof(value)) == value);
		(void)config_key_is_default(c, i);
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes)
{
	static struct config config;
	struct problem problem = { 0 };
	int error;

	fuzz_pattern(&config, sizeof(config));
	error = config_parse_text((const char *)data, bytes, "fuzz.toml", &config, &problem);
	if (error != 0) {
		must(error == -EINVAL);
		check_problem(&problem);
		must(fuzz_untouched(&config, sizeof(config)));
		return 0;
	}
	fuzz_accepted++;
	show(&config);
	if (config_validate(&config, "fuzz.toml", &problem) != 0) {
		must(problem.text[0] != '\0');
		return 0;
	}
	config_finish(&config);
	must(config.node_count >= 1 && config.node_count <= NODES_MAX);
	return 0;
}
