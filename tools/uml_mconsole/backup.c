// SPDX-License-Identifier: GPL-2.0-only
/*
 * uml_mconsole: backup <disk> <file>, a copy of a disk's file while its guest runs.
 *
 * The guest writes back what it holds, is stopped, and continues once the file is copied: by
 * sharing its blocks where the file system can, else all that is not a hole. The copy is what the
 * disk would be after a loss of power at that moment. Signals that would end or stop this program
 * wait until the guest continues. It is stopped for some seconds, again and again, so that it also
 * continues when this program is killed. Kernels whose stop has no limit ignore the number.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <linux/fs.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "printable.h"
#include "tool.h"
#include "uml_mconsole.h"

#define SYNC_LIMIT	120000	/* milliseconds for the guest to write back */
#define STOP_SECONDS	"20"
#define STOP_LIMIT	20000	/* the same in milliseconds */
#define STOP_AGAIN	2000	/* milliseconds until it is said again */

struct backup {
	char *disk, *path;		/* arguments: ubd0, and where the copy goes */
	char *source;			/* the disk's file */
	int from, to;
	struct session *session;
	long stopped_at;		/* when the guest was last told to stop, or before */
};

/* One line, whatever the guest and the names of files have in it. */
static int complain(const char *format, const char *what, const char *why)
{
	char *line;

	if (asprintf(&line, format, what, why) < 0)
		return REFUSED;
	make_printable(line);
	fprintf(stderr, "%s: backup: %s\n", tool_name, line);
	free(line);
	return REFUSED;
}

/*
 * The answer to a request, to be freed; NULL: *@status says how it failed, and the user knows
 * why.
 */
static char *ask(struct session *session, const char *request, int limit, int *status)
{
	unsigned int error = 0;
	char *answer = NULL;
	int code = open_console(session);

	if (!code)
		code = mconsole_ask(session->console, request, limit, &answer, NULL, &error);
	*status = code ? explain(session, code) : error ? REFUSED : DONE;
	if (!code && error)
		complain("%s: %s", request, answer);
	if (*status) {
		free(answer);
		return NULL;
	}
	return answer;
}

/* ---- which file ---- */

/* @name may be relative to where ./linux was started. */
static char *absolute(struct session *session, const char *name)
{
	struct mconsole_instance instance;
	char *folder = strdup(mconsole_path(session->console)), *slash, *path = NULL;

	slash = folder ? strrchr(folder, '/') : NULL;
	if (name[0] == '/') {
		path = strdup(name);
	} else if (slash) {
		*slash = '\0';
		if (!mconsole_look(folder, &instance)) {
			if (asprintf(&path, "/proc/%d/cwd/%s", instance.pid, name) < 0)
				path = NULL;
			mconsole_look_free(&instance);
		}
	}
	free(folder);
	return path;
}

/* Finds the disk's file: a COW disk's COW file. */
static int find_source(struct session *session, struct backup *backup)
{
	char *request, *answer;
	int status;

	if (asprintf(&request, "config %s", backup->disk) < 0)
		return REFUSED;
	answer = ask(session, request, session->limit, &status);
	free(request);
	if (!answer)
		return status;
	answer[strcspn(answer, ",\n")] = '\0';
	if (!*answer)
		status = complain("%s: %s", backup->disk, "there is no such disk");
	else if (!(backup->source = absolute(session, answer)))
		status = complain("%s: %s", answer, "its folder is not known");
	free(answer);
	return status;
}

static int open_files(struct backup *backup)
{
	struct stat status;

	backup->from = open(backup->source, O_RDONLY | O_CLOEXEC);
	if (backup->from < 0 || fstat(backup->from, &status))
		return complain("%s: %s", backup->source, strerror(errno));
	backup->to =
		open(backup->path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, status.st_mode & 0666);
	if (backup->to < 0)
		return complain("%s: %s", backup->path, errno == EEXIST ?
				"it is there already; remove it, or give another name" :
				strerror(errno));
	return DONE;
}

/* ---- the guest stays stopped ---- */

static long now_ms(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

/*
 * Whether the guest has been stopped all the time until now: its time began after it was told to
 * stop.
 */
static int was_stopped(const struct backup *backup)
{
	return now_ms() - backup->stopped_at < STOP_LIMIT;
}

/* Tells the guest again, when that is due: 0, or ESTALE, since it may have gone on. */
static int keep_stopped(struct backup *backup)
{
	long now = now_ms();
	unsigned int error = 0;
	char *answer = NULL;
	int code;

	if (now - backup->stopped_at < STOP_AGAIN)
		return 0;
	code = mconsole_ask(backup->session->console, "stop " STOP_SECONDS, STOP_LIMIT, &answer,
			    NULL, &error);
	free(answer);
	if (code || error || !was_stopped(backup))
		return ESTALE;
	backup->stopped_at = now;
	return 0;
}

/* ---- copying ---- */

/* Whether all was written. */
static int write_all(int fd, const char *data, ssize_t length, off_t at)
{
	while (length > 0) {
		ssize_t put = pwrite(fd, data, length, at);

		if (put < 0 && errno != EINTR)
			return 0;
		if (put > 0) {
			data += put;
			length -= put;
			at += put;
		}
	}
	return 1;
}

/* Copies [at, end): 0, or an errno. */
static int copy_range(struct backup *backup, off_t at, off_t end)
{
	static char buffer[1 << 20];
	int error = 0;

	while (at < end && !error) {
		size_t length = end - at < (off_t)sizeof(buffer) ? end - at : (off_t)sizeof(buffer);
		ssize_t got = pread(backup->from, buffer, length, at);

		if (got < 0 && errno == EINTR)
			continue;
		if (got < 0 || !write_all(backup->to, buffer, got, at))
			return errno;
		if (!got)
			return 0;	/* it became shorter */
		at += got;
		error = keep_stopped(backup);
	}
	return error;
}

/* Copies what is not a hole: 0, or an errno. */
static int copy_data(struct backup *backup)
{
	int from = backup->from;
	off_t size = lseek(from, 0, SEEK_END), data = 0, hole = 0;
	int error = ftruncate(backup->to, size) ? errno : 0;

	while (!error && hole < size) {
		data = lseek(from, hole, SEEK_DATA);
		if (data < 0 && errno == ENXIO)
			return 0;
		hole = data < 0 ? size : lseek(from, data, SEEK_HOLE);
		if (data < 0)
			data = 0;	/* a device has no holes */
		error = copy_range(backup, data, hole < 0 ? size : hole);
		if (hole < 0)
			return error;
	}
	return error;
}

/* Stops the guest, copies and lets it continue. */
static int copy_while_stopped(struct session *session, struct backup *backup)
{
	int error, shared, status, went_on;
	char *answer;
	long began;

	backup->stopped_at = now_ms();
	answer = ask(session, "stop " STOP_SECONDS, session->limit, &status);
	began = now_ms();
	if (!answer) {
		/* It may still stop, once it reads its requests: then it reads this one next. */
		if (status == NO_ANSWER)
			mconsole_send(session->console, "go", 0);
		return status;
	}
	free(answer);
	shared = !ioctl(backup->to, FICLONE, backup->from);
	error = shared ? 0 : copy_data(backup);
	if (!error && !was_stopped(backup))
		error = ESTALE;
	answer = ask(session, "go", session->limit, &went_on);
	free(answer);
	if (error)
		return complain("%s: %s", backup->path, error == ESTALE ?
				"the guest continued before all was copied; try again" :
				strerror(error));
	tell("%s: %s, the guest was stopped for %ld ms", backup->path,
	     shared ? "shares its blocks with the disk" : "copied", now_ms() - began);
	return went_on;
}

/* Older kernels have no sync: SysRq begins it. */
static int write_back(struct session *session)
{
	unsigned int error = 0;
	char *answer = NULL;
	int code = open_console(session), status;

	if (!code)
		code = mconsole_ask(session->console, "sync", SYNC_LIMIT, &answer, NULL, &error);
	free(answer);
	if (code)
		return explain(session, code);
	if (!error)
		return DONE;
	free(ask(session, "sysrq s", session->limit, &status));
	return status;
}

static int make_copy(struct session *session, struct backup *backup)
{
	sigset_t all, before;
	int status = write_back(session);

	if (status)
		return status;
	signal(SIGXFSZ, SIG_IGN);	/* writing says EFBIG instead */
	sigfillset(&all);		/* also Ctrl-Z and Ctrl-\ */
	sigprocmask(SIG_BLOCK, &all, &before);
	status = copy_while_stopped(session, backup);
	if (!status && fsync(backup->to))
		status = complain("%s: %s", backup->path, strerror(errno));
	if (status)
		unlink(backup->path);
	sigprocmask(SIG_SETMASK, &before, NULL);
	return status;
}

/* @arguments: "<disk> <file>". */
int back_up(struct session *session, const char *arguments)
{
	struct backup backup = { .from = -1, .to = -1, .session = session };
	int status = WRONG_USAGE;

	if (sscanf(arguments, "%ms %m[^\n]", &backup.disk, &backup.path) != 2 ||
	    strncmp(backup.disk, "ubd", 3)) {
		fprintf(stderr, "%s: backup: give a disk and a file, as in backup ubd0 copy.img\n",
			tool_name);
		goto end;
	}
	status = find_source(session, &backup);
	if (!status)
		status = open_files(&backup);
	if (!status)
		status = make_copy(session, &backup);
end:
	if (backup.from >= 0)
		close(backup.from);
	if (backup.to >= 0)
		close(backup.to);
	free(backup.source);
	free(backup.disk);
	free(backup.path);
	return status;
}
