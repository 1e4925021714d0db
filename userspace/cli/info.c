// SPDX-License-Identifier: MIT

#include <errno.h>
#include <getopt.h>
#include <stdlib.h>
#include <string.h>

#include <json-c/json.h>
#include <libsmartcols/libsmartcols.h>

#include "cli.h"

/* What the library says about a region; all strings are its own. */
struct facts {
	const char *side;
	const char *path;
	const char *location;
	uint64_t size;
	const char *kind;
	const char *mapping;
	const char *cache;
	uint64_t page_size;
	int sealed;		/* negative: can't be known */
	int peer_id;		/* negative: a plain region */
	int vectors;
	const char *format;
	struct ivshmem_status *status;	/* NULL: not formatted, or not readable */
};

static void collect(struct facts *facts, const struct ivshmem *shm)
{
	facts->side = ivshmem_side(shm) == IVSHMEM_GUEST ? "guest" : "host";
	facts->path = ivshmem_path(shm);
	facts->location = ivshmem_location(shm);
	facts->size = ivshmem_size(shm);
	facts->kind = ivshmem_kind(shm) == IVSHMEM_DOORBELL ? "doorbell" : "plain";
	facts->mapping = ivshmem_mapping(shm);
	facts->cache = ivshmem_cache(shm);
	facts->page_size = ivshmem_page_size(shm);
	facts->sealed = ivshmem_sealed(shm);
	facts->peer_id = ivshmem_peer_id(shm);
	facts->vectors = ivshmem_vectors(shm);
}

/* A raw region is as good as any: only what is broken gives a message. */
static void collect_layout(struct facts *facts, const char *where, struct ivshmem *shm)
{
	int ret = ivshmem_status_read(&facts->status, shm, IVSHMEM_STATUS_USERS);

	switch (ret) {
	case 0:
		facts->format = "objects";
		return;
	case -ENOMEDIUM:
	case -EMEDIUMTYPE:
		facts->format = "none";
		return;
	case -EPROTONOSUPPORT:
		facts->format = "newer";
		break;
	case -EUCLEAN:
		facts->format = "damaged";
		break;
	default:
		facts->format = "unknown";
	}
	complain(where, "%s", ivshmem_explain(IVSHMEM_TASK_READ_LAYOUT, ret));
}

static int add_row(struct libscols_table *table, const char *name,
		   const char *value)
{
	struct libscols_line *line = scols_table_new_line(table, NULL);

	if (!line || scols_line_set_data(line, 0, name) ||
	    scols_line_set_data(line, 1, value))
		return -ENOMEM;
	return 0;
}

static int add_doorbell_rows(struct libscols_table *table, const struct facts *facts)
{
	char peer_id[16], vectors[16];

	if (facts->peer_id < 0)
		return 0;
	snprintf(peer_id, sizeof(peer_id), "%d", facts->peer_id);
	snprintf(vectors, sizeof(vectors), "%d", facts->vectors);
	return add_row(table, "peer_id", peer_id) || add_row(table, "vectors", vectors);
}

static int add_layout_rows(struct libscols_table *table, const struct facts *facts)
{
	const struct ivshmem_layout *layout = ivshmem_status_layout(facts->status);
	char objects[32], ring_size[SIZE_TEXT_MAX], left[SIZE_TEXT_MAX];

	if (!layout)
		return 0;
	snprintf(objects, sizeof(objects), "%u of %u", status_objects_used(facts->status),
		 ivshmem_layout_objects(layout));
	size_text(ring_size, ivshmem_layout_default_ring(layout));
	size_text(left, ivshmem_layout_free_bytes(layout));
	return add_row(table, "label", ivshmem_layout_label(layout)) ||
	       add_row(table, "uuid", ivshmem_layout_uuid(layout)) ||
	       add_row(table, "ring_size", ring_size) ||
	       add_row(table, "objects", objects) ||
	       add_row(table, "free", left);
}

/* After an empty line. */
static int print_objects(const struct ivshmem_status *status)
{
	const struct status_view view = { .status = status };
	struct libscols_table *table = status_table(&view);
	int ret;

	if (!table)
		return -ENOMEM;
	putchar('\n');
	ret = scols_print_table(table);
	scols_unref_table(table);
	return ret;
}

static int print_table(const struct facts *facts)
{
	struct libscols_table *table;
	char size[SIZE_TEXT_MAX], page_size[SIZE_TEXT_MAX];
	int ret = -ENOMEM;

	table = scols_new_table();
	if (!table)
		return -ENOMEM;
	scols_table_enable_noheadings(table, 1);
	if (scols_table_new_column(table, "NAME", 0, 0) &&
	    scols_table_new_column(table, "VALUE", 0, 0) &&
	    !add_row(table, "side", facts->side) &&
	    !add_row(table, "path", facts->path) &&
	    !add_row(table, "location", facts->location) &&
	    !add_row(table, "size", size_text(size, facts->size)) &&
	    !add_row(table, "kind", facts->kind) &&
	    !add_row(table, "mapping", facts->mapping) &&
	    !add_row(table, "cache", facts->cache) &&
	    !add_row(table, "page_size", size_text(page_size, facts->page_size)) &&
	    (facts->sealed < 0 || !add_row(table, "sealed", facts->sealed ? "yes" : "no")) &&
	    !add_doorbell_rows(table, facts) &&
	    !add_row(table, "format", facts->format) &&
	    !add_layout_rows(table, facts))
		ret = scols_print_table(table);
	scols_unref_table(table);
	if (!ret && facts->status && status_objects_used(facts->status))
		ret = print_objects(facts->status);
	return ret;
}

static int add_layout(struct json_object *object, const struct facts *facts)
{
	const struct ivshmem_layout *layout = ivshmem_status_layout(facts->status);

	if (!layout)
		return 0;
	if (json_add_string(object, "label", ivshmem_layout_label(layout)) ||
	    json_add_string(object, "uuid", ivshmem_layout_uuid(layout)) ||
	    json_add_number(object, "ring_size", ivshmem_layout_default_ring(layout)) ||
	    json_add_number(object, "block_size", ivshmem_layout_block(layout)) ||
	    json_add_number(object, "free", ivshmem_layout_free_bytes(layout)) ||
	    json_add_number(object, "max_objects", ivshmem_layout_objects(layout)))
		return -ENOMEM;
	return json_add(object, "objects", status_json(facts->status));
}

static int print_json(const struct facts *facts)
{
	struct json_object *object = json_object_new_object();
	int ret = -ENOMEM;

	if (object &&
	    !json_add_string(object, "side", facts->side) &&
	    !json_add_string(object, "path", facts->path) &&
	    !json_add_string(object, "location", facts->location) &&
	    !json_add_number(object, "size", facts->size) &&
	    !json_add_string(object, "kind", facts->kind) &&
	    !json_add_string(object, "mapping", facts->mapping) &&
	    !json_add_string(object, "cache", facts->cache) &&
	    !json_add_number(object, "page_size", facts->page_size) &&
	    (facts->sealed < 0 ||
	     !json_add(object, "sealed", json_object_new_boolean(facts->sealed))) &&
	    (facts->peer_id < 0 ||
	     (!json_add_number(object, "peer_id", facts->peer_id) &&
	      !json_add_number(object, "vectors", facts->vectors))) &&
	    !json_add_string(object, "format", facts->format) &&
	    !add_layout(object, facts)) {
		json_print(object);
		ret = 0;
	}
	json_object_put(object);
	return ret;
}

static void warn_of_cache(const char *where, const struct facts *facts)
{
	if (!strcmp(facts->cache, "write-back") || !strcmp(facts->cache, "unknown"))
		return;
	if (!strcmp(facts->mapping, "resource2"))
		complain(where, "warning: resource2 is mapped %s, which is slow: as root, 'modprobe ivshmem', and use its node (see 'ivshmem list')",
			 facts->cache);
	else
		complain(where, "warning: the mapping is %s, which may be slow: allow pinning, give the guest more memory, or see CACHING in ivshmem(4)",
			 facts->cache);
}

static int show_info(const char *where, unsigned int flags, bool json)
{
	struct facts facts = { .status = NULL };
	struct ivshmem *shm;
	int ret;

	if (open_region(&shm, where, flags) < 0)
		return EXIT_FAILURE;
	collect(&facts, shm);
	collect_layout(&facts, where, shm);
	ret = json ? print_json(&facts) : print_table(&facts);
	if (ret)
		complain(where, "the facts could not be printed: not enough memory");
	flush_stdout();
	warn_of_cache(where, &facts);
	ivshmem_status_free(facts.status);
	ivshmem_close(shm);
	return ret ? EXIT_FAILURE : EXIT_SUCCESS;
}

static int run(int argc, char **argv)
{
	static const struct option options[] = {
		{ "json", no_argument, NULL, 'j' },
		REGION_OPTIONS,
		{ "help", no_argument, NULL, 'h' },
		{ }
	};
	unsigned int flags = IVSHMEM_RDONLY;
	const char *where;
	bool json = false;
	int c;

	while ((c = getopt_long(argc, argv, "h", options, NULL)) != -1) {
		switch (c) {
		case 'j':
			json = true;
			break;
		case RESOURCE2:
			flags |= IVSHMEM_RESOURCE2;
			break;
		case 'h':
			return show_help(&cmd_info);
		default:
			return misuse(&cmd_info);
		}
	}
	where = only_argument(&cmd_info, argc, argv, "WHERE");
	return where ? show_info(where, flags, json) : misuse(&cmd_info);
}

const struct command cmd_info = {
	.name = "info",
	.summary = "tell what a region is",
	.help =
		"[--json] [--resource2] WHERE\n"
		"\n"
		"Tell the side, path, location, size, kind, mapping, cache type and largest page of a\n"
		"region; on the host, whether it is sealed, so that nobody can make it smaller; and\n"
		"its peer ID and vectors where it has a doorbell. Of a formatted region also its label,\n"
		"UUID and objects, with who is there, whether it lives, and how many messages it has\n"
		"sent and received, and how much is free.\n"
		"Where the mapping is not cached write-back, stderr says what to do.\n"
		"\n"
		"      --json       print JSON; sizes are in bytes\n"
		"      --resource2  of a PCI address that no module serves; as root\n"
		"  -h, --help       show this text\n",
	.run = run,
};
