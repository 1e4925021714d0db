// SPDX-License-Identifier: MIT

#include <libkmod.h>

#include "cli.h"

static enum module_state state_of(struct kmod_module *module)
{
	switch (kmod_module_get_initstate(module)) {
	case KMOD_MODULE_BUILTIN:
	case KMOD_MODULE_LIVE:
	case KMOD_MODULE_COMING:
		return MODULE_LOADED;
	default:
		return kmod_module_get_path(module) ? MODULE_INSTALLED : MODULE_MISSING;
	}
}

/* Where the kernel module is. */
enum module_state module_state(void)
{
	enum module_state state = MODULE_UNKNOWN;
	struct kmod_module *module;
	struct kmod_ctx *ctx;

	ctx = kmod_new(NULL, NULL);
	if (!ctx)
		return state;
	kmod_set_log_priority(ctx, 0);
	if (!kmod_module_new_from_name(ctx, "ivshmem", &module)) {
		state = state_of(module);
		kmod_module_unref(module);
	}
	kmod_unref(ctx);
	return state;
}
