// SPDX-License-Identifier: GPL-2.0-only
/*
 * libmconsole: which instances there are, and whether they live.
 *
 * An instance of this kernel holds a lock on its file `pid` (of the kind that belongs to an open
 * file, see fcntl(2)). Other kernels hold none, but a socket without a program refuses connections.
 */
#define _GNU_SOURCE
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "mconsole_private.h"

/* ---- the folders in which instances have theirs ---- */

enum { IN_HOME, IN_RUNTIME, IN_TMP_OF_USER, IN_TMP, PLACES };

/* The path of a place, to be freed; NULL: there is none, or no memory. */
static char *place(int which)
{
	const char *home = getenv("HOME"), *runtime = getenv("XDG_RUNTIME_DIR");
	char *path = NULL;
	int length = -1;

	if (which == IN_HOME && home && *home == '/')
		length = asprintf(&path, "%s/.uml", home);
	else if (which == IN_RUNTIME && runtime && *runtime == '/')
		length = asprintf(&path, "%s/uml", runtime);
	else if (which == IN_TMP_OF_USER)
		length = asprintf(&path, "/tmp/uml-%u", geteuid());
	else if (which == IN_TMP)
		length = asprintf(&path, "/tmp/uml");
	return length < 0 ? NULL : path;
}

/*
 * Only this user or root may change it. @is_shared: others may make files in it, but not replace
 * those of this user.
 */
static int is_safe(const char *path, int is_shared)
{
	struct stat status;

	return !lstat(path, &status) && S_ISDIR(status.st_mode) &&
	       (status.st_uid == geteuid() || !status.st_uid) &&
	       (!(status.st_mode & 022) || (is_shared && status.st_mode & S_ISVTX));
}

/*
 * In /tmp any user may make a folder of any name, and wait there for the commands of another one.
 * This user's own folder must not be writable by others. /tmp/uml is shared: there each instance's
 * folder counts, which the owner of /tmp/uml could replace.
 */
static int is_trusted(int which, const char *parent, const char *folder)
{
	if (which == IN_TMP_OF_USER)
		return is_safe(parent, 0);
	return which != IN_TMP || (is_safe(parent, 1) && is_safe(folder, 0));
}

/* ---- finding one ---- */

/* MCONSOLE_OK: a program serves the socket at @path. */
static int look_at_socket(const char *path)
{
	struct stat status;
	int fd;

	if (stat(path, &status))
		return errno == EACCES ? MCONSOLE_DENIED :
		       errno == ENOENT || errno == ENOTDIR || errno == ENAMETOOLONG ?
			       MCONSOLE_NOBODY : MCONSOLE_SYSTEM;
	if (!S_ISSOCK(status.st_mode))
		return MCONSOLE_NOBODY;
	fd = mconsole_connected(path);
	if (fd >= 0) {
		close(fd);
		return MCONSOLE_OK;
	}
	return errno == ECONNREFUSED ? MCONSOLE_DEAD :
	       errno == EACCES ? MCONSOLE_DENIED :
	       errno == ENOENT || errno == EPROTOTYPE ? MCONSOLE_NOBODY : MCONSOLE_SYSTEM;
}

/* The best candidate so far. */
struct search {
	char *path;
	int code;
};

/* An instance that lives, then one that is dead, then one that may not be looked at. */
static int rank(int code)
{
	return code == MCONSOLE_OK ? 3 :
	       code == MCONSOLE_DEAD ? 2 :
	       code == MCONSOLE_NOBODY ? 0 : 1;
}

/* Takes @path over. */
static void try_path(struct search *search, char *path)
{
	int code = path ? look_at_socket(path) : MCONSOLE_SYSTEM;

	if (rank(code) <= rank(search->code)) {
		free(path);
		return;
	}
	free(search->path);
	search->path = path;
	search->code = code;
}

static void try_place(struct search *search, int which, const char *parent, const char *name)
{
	char *folder, *path;

	if (asprintf(&folder, "%s/%s", parent, name) < 0)
		return;
	if (is_trusted(which, parent, folder))
		try_path(search, asprintf(&path, "%s/mconsole", folder) < 0 ? NULL : path);
	free(folder);
}

int mconsole_find(const char *name, const char *uml_dir, char **result)
{
	struct search search = { .code = MCONSOLE_NOBODY };
	int is_name = *name && *name != '.' && !strchr(name, '/');
	char *path;

	if (is_name && uml_dir)
		try_place(&search, PLACES, uml_dir, name);
	for (int which = 0; is_name && !uml_dir && which < PLACES; which++) {
		char *parent = place(which);

		if (parent)
			try_place(&search, which, parent, name);
		free(parent);
	}
	if (*name && search.code != MCONSOLE_OK) {
		try_path(&search, strdup(name));
		try_path(&search, asprintf(&path, "%s/mconsole", name) < 0 ? NULL : path);
	}
	if (search.code != MCONSOLE_OK && search.code != MCONSOLE_DEAD) {
		free(search.path);
		search.path = NULL;
	}
	*result = search.path;
	return search.code;
}

/* ---- looking at one ---- */

/* 1: a program holds the lock; 0: none does. The pid goes to *@pid. */
static int is_locked(int folder, int *pid)
{
	struct flock lock = { .l_type = F_WRLCK, .l_whence = SEEK_SET };
	int fd = openat(folder, "pid", O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
	char text[16] = "";
	int is_held;

	*pid = 0;
	if (fd < 0)
		return 0;
	is_held = !fcntl(fd, F_OFD_GETLK, &lock) && lock.l_type != F_UNLCK;
	if (read(fd, text, sizeof(text) - 1) > 0)
		*pid = atoi(text);
	close(fd);
	return is_held;
}

static int state_of(int folder, const char *socket, int *pid, enum mconsole_state *state)
{
	int is_held = is_locked(folder, pid), code = look_at_socket(socket);

	if (is_held || code == MCONSOLE_OK)
		*state = MCONSOLE_LIVES;
	else if (code == MCONSOLE_DENIED)
		*state = MCONSOLE_UNKNOWN;
	else if (code == MCONSOLE_DEAD || *pid)
		*state = MCONSOLE_IS_DEAD;
	else
		return MCONSOLE_NOBODY;
	return MCONSOLE_OK;
}

int mconsole_look(const char *path, struct mconsole_instance *instance)
{
	int folder = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC), code = MCONSOLE_SYSTEM;
	char *socket = NULL;

	memset(instance, 0, sizeof(*instance));
	if (folder < 0 && errno != EACCES)
		return MCONSOLE_NOBODY;
	instance->folder = realpath(path, NULL);
	if (!instance->folder && errno == ENOENT)
		code = MCONSOLE_NOBODY;		/* it has just ended */
	if (instance->folder)
		instance->name = strdup(strrchr(instance->folder, '/') + 1);
	if (instance->name && asprintf(&socket, "%s/mconsole", instance->folder) >= 0) {
		code = state_of(folder, socket, &instance->pid, &instance->state);
		free(socket);
	}
	if (folder >= 0)
		close(folder);
	if (code)
		mconsole_look_free(instance);
	return code;
}

void mconsole_look_free(struct mconsole_instance *instance)
{
	free(instance->name);
	free(instance->folder);
	memset(instance, 0, sizeof(*instance));
}

/* ---- all of them ---- */

struct list {
	struct mconsole_instance *items;
	size_t count, room;
};

static int has(const struct list *list, const struct mconsole_instance *instance)
{
	for (size_t i = 0; i < list->count; i++)
		if (!strcmp(list->items[i].folder, instance->folder))
			return 1;
	return 0;
}

static int add(struct list *list, const struct mconsole_instance *instance)
{
	if (list->count == list->room) {
		size_t room = 2 * list->room + 16;
		struct mconsole_instance *items = realloc(list->items, room * sizeof(*items));

		if (!items)
			return MCONSOLE_SYSTEM;
		list->items = items;
		list->room = room;
	}
	list->items[list->count++] = *instance;
	return MCONSOLE_OK;
}

static int add_folder(struct list *list, int which, const char *parent, const char *name)
{
	struct mconsole_instance instance;
	char *folder;
	int code = MCONSOLE_OK;

	if (asprintf(&folder, "%s/%s", parent, name) < 0)
		return MCONSOLE_SYSTEM;
	if (is_trusted(which, parent, folder))
		code = mconsole_look(folder, &instance);
	else
		code = MCONSOLE_NOBODY;
	free(folder);
	if (code)
		return code == MCONSOLE_NOBODY ? MCONSOLE_OK : code;
	code = has(list, &instance) ? MCONSOLE_IN_USE : add(list, &instance);
	if (code)
		mconsole_look_free(&instance);
	return code == MCONSOLE_IN_USE ? MCONSOLE_OK : code;
}

static int add_place(struct list *list, int which, const char *parent)
{
	DIR *folder = opendir(parent);
	struct dirent *entry;
	int code = MCONSOLE_OK;

	while (folder && !code && (entry = readdir(folder)))
		if (entry->d_name[0] != '.')
			code = add_folder(list, which, parent, entry->d_name);
	if (folder)
		closedir(folder);
	return code;
}

static int by_name(const void *one, const void *other)
{
	const struct mconsole_instance *a = one, *b = other;
	int order = strcmp(a->name, b->name);

	return order ? order : strcmp(a->folder, b->folder);
}

int mconsole_list(const char *uml_dir, struct mconsole_instance **result, size_t *count)
{
	struct list list = { 0 };
	int code = uml_dir ? add_place(&list, PLACES, uml_dir) : MCONSOLE_OK;

	for (int which = 0; !uml_dir && !code && which < PLACES; which++) {
		char *parent = place(which);

		if (parent)
			code = add_place(&list, which, parent);
		free(parent);
	}
	if (code) {
		mconsole_list_free(list.items, list.count);
		list = (struct list){ 0 };
	} else if (list.count) {
		qsort(list.items, list.count, sizeof(*list.items), by_name);
	}
	*result = list.items;
	*count = list.count;
	return code;
}

void mconsole_list_free(struct mconsole_instance *list, size_t count)
{
	for (size_t i = 0; i < count; i++)
		mconsole_look_free(&list[i]);
	free(list);
}
