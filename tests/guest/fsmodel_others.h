/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What others do to fsmodel's files. Threads or processes, several at once in one file: each has a
 * range of its own, but ranges share pages. And somebody on the host (tests/lib/fsmodel.py), while
 * the file is closed here, and also while it is open and mapped, where the mount asks the host each
 * time (actimeo=0).
 */
#ifndef TESTS_FSMODEL_OTHERS_H
#define TESTS_FSMODEL_OTHERS_H

#include <linux/falloc.h>
#include <pthread.h>
#include <sched.h>
#include <sys/sendfile.h>
#include <sys/uio.h>
#include <sys/wait.h>

#include "fsmodel.h"

#define WORKERS 4
#define PIECE 8192			/* bytes that a worker changes at once, at most */

/* The last three change nothing beyond the end of the file. */
enum way {
	BY_WRITE, BY_SPLICE, BY_COPY, BY_SENDFILE, BY_DIRECT, BY_MAPPING, BY_PUNCH, BY_READING, WAYS
};

static const char *const way_names[] = {
	"write", "splice", "copy", "sendfile", "direct", "mapping", "punch", "reading"
};

struct worker {
	enum way way;
	struct file *file, *source;
	long from, length;		/* the model has the new content already */
	long copy_from;			/* where the source has it */
	long unit;			/* pieces are of so many bytes, or multiples */
	int opens;			/* the file itself, by name */
	unsigned int seed;
	int pipe[2];
	unsigned char *piece;		/* PIECE bytes on a page's border */
	pthread_t thread;
	pid_t process;
};

/* ---- one of several: each returns whether all went well ---- */

static int splice_piece(const struct worker *w, int fd, long at, long length)
{
	struct iovec data = { w->piece, length };
	loff_t to = at;

	memcpy(w->piece, w->file->model + at, length);
	return vmsplice(w->pipe[1], &data, 1, 0) == length &&
	       splice(w->pipe[0], NULL, fd, &to, length, 0) == length;
}

static int sendfile_piece(const struct worker *w, int fd, long at, long length)
{
	off_t from = w->copy_from + (at - w->from);

	/* Its place in the file is the descriptor's, which must be nobody else's. */
	return lseek(fd, at, SEEK_SET) == at &&
	       sendfile(fd, w->source->fd, &from, length) == length;
}

static int map_piece(const struct worker *w, int fd, long at, long length)
{
	long start = at & -PAGE;
	unsigned char *mapping;

	if (w->file->held && w->seed % 2) {
		memcpy(w->file->held + at, w->file->model + at, length);
		return 1;
	}
	mapping = mmap(NULL, at - start + length, PROT_READ | PROT_WRITE, MAP_SHARED, fd, start);
	if (mapping == MAP_FAILED)
		return 0;
	memcpy(mapping + (at - start), w->file->model + at, length);
	return !munmap(mapping, at - start + length);
}

static int write_piece(const struct worker *w, int fd, long at, long length)
{
	memcpy(w->piece, w->file->model + at, length);
	return pwrite(fd, w->piece, length, at) == length;
}

/* What a file system cannot do is written instead. */
static int copy_piece(const struct worker *w, int fd, long at, long length)
{
	off_t from = w->copy_from + (at - w->from), to = at;
	long done = copy_file_range(w->source->fd, &from, fd, &to, length, 0);

	if (done < 0)
		return is_refused(errno) && write_piece(w, fd, at, length);
	return done == length || (done > 0 && write_piece(w, fd, at + done, length - done));
}

static int punch_piece(const struct worker *w, int fd, long at, long length)
{
	if (!fallocate(fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, at, length))
		return 1;
	return is_refused(errno) && write_piece(w, fd, at, length);
}

static int read_piece(const struct worker *w, int fd, long at, long length)
{
	return pread(fd, w->piece, length, at) == length &&
	       !memcmp(w->piece, w->file->model + at, length);
}

static int (*const do_piece[])(const struct worker *w, int fd, long at, long length) = {
	write_piece, splice_piece, copy_piece, sendfile_piece,
	write_piece, map_piece, punch_piece, read_piece
};

static void *work(void *argument)
{
	struct worker *w = argument;
	int fd = w->way == BY_DIRECT ? w->file->direct_fd : w->file->fd, right = 1;

	if (w->opens)
		fd = open(w->file->path, O_RDWR | (w->way == BY_DIRECT ? O_DIRECT : 0));
	for (long at = w->from, length; right && at < w->from + w->length; at += length) {
		length = (rand_r(&w->seed) % PIECE + w->unit) & -w->unit;
		if (length > w->from + w->length - at)
			length = w->from + w->length - at;
		if (length > PIECE)
			length = PIECE;
		right = do_piece[w->way](w, fd, at, length);
		sched_yield();
	}
	if (w->opens && close(fd))
		right = 0;
	return right ? NULL : (void *)way_names[w->way];
}

/* ---- all of them ---- */

/* Whether the source has so many bytes that the file may have as well. */
static int draw_source(struct worker *w)
{
	w->source = any_file();
	if (w->source == w->file || w->source->size < w->length)
		return 0;
	w->copy_from = draw(w->source->size - w->length + 1);
	memcpy(w->file->model + w->from, w->source->model + w->copy_from, w->length);
	return 1;
}

static void draw_content(struct worker *w)
{
	if (w->way >= BY_MAPPING && w->from + w->length > w->file->size)
		w->way = BY_WRITE;
	if (w->way == BY_DIRECT && (w->unit != (long)PAGE || w->file->direct_fd < 0))
		w->way = BY_WRITE;
	if ((w->way == BY_COPY || w->way == BY_SENDFILE) && !draw_source(w))
		w->way = BY_WRITE;
	if (w->way == BY_SENDFILE)
		w->opens = 1;
	if (w->way == BY_PUNCH)
		memset(w->file->model + w->from, 0, w->length);
	else if (w->way != BY_READING && w->way != BY_COPY && w->way != BY_SENDFILE)
		fill(w->file->model + w->from, w->length);
}

static int draw_workers(struct file *file, struct worker *worker)
{
	static unsigned char pieces[WORKERS][PIECE] __attribute__((aligned(4096)));
	long unit = draw(3) ? 1 : PAGE, at = draw(file->size + 1) & -unit;
	int count = 0, wanted = 1 + draw(WORKERS);

	while (count < wanted) {
		struct worker *w = &worker[count];

		*w = (struct worker){ .way = draw(WAYS), .file = file, .from = at, .unit = unit,
				      .seed = draw(1 << 30), .opens = draw(2),
				      .piece = pieces[count] };
		w->length = (1 + draw(20000) + unit - 1) & -unit;
		if (at + w->length > MOST)
			break;
		at += w->length;
		draw_content(w);
		need(pipe(w->pipe) == 0);
		count++;
	}
	return count;
}

static void start(struct worker *w, int as_process)
{
	if (!as_process) {
		need(!pthread_create(&w->thread, NULL, work, w));
		return;
	}
	w->process = fork();
	need(w->process >= 0);
	if (!w->process)
		_exit(work(w) ? 1 : 0);
}

static int finish(struct worker *w, int as_process)
{
	void *failed = NULL;
	int status = 0;

	if (as_process)
		need(waitpid(w->process, &status, 0) == w->process);
	else
		need(!pthread_join(w->thread, &failed));
	close(w->pipe[0]);
	close(w->pipe[1]);
	return !failed && !status;
}

static void do_together(struct file *file)
{
	struct worker worker[WORKERS];
	int count = draw_workers(file, worker), processes = draw(2);

	for (int i = 0; i < count; i++)
		note("%d: with %d %s: %s %ld+%ld", number_of(file), count - 1,
		     processes ? "processes" : "threads", way_names[worker[i].way], worker[i].from,
		     worker[i].length);
	for (int i = 0; i < count; i++)
		start(&worker[i], processes);
	for (int i = 0; i < count; i++) {
		if (!finish(&worker[i], processes))
			fail(file, way_names[worker[i].way], worker[i].from);
		grown_to(file, worker[i].from + worker[i].length);
	}
	compare_all(file);
}

/* ---- somebody on the host ---- */

/* In fsmodel.c. */
static void do_append(struct file *file);
static void do_direct_read(struct file *file);
static void do_extents(struct file *file);
static void do_splice_read(struct file *file);

static const char *host_place;

static unsigned int requests;		/* to the host */

static __attribute__((format(printf, 2, 3))) void ask(struct file *file, const char *format, ...)
{
	char request[5000], answer[5000], text[200];
	va_list arguments;
	int fd, length;

	length = snprintf(text, sizeof(text), "%s ", name_of(file));
	va_start(arguments, format);
	length += vsnprintf(text + length, sizeof(text) - length, format, arguments);
	va_end(arguments);
	note("%d: on the host: %s", number_of(file), text);
	snprintf(answer, sizeof(answer), "%s/answer-%u", host_place, requests);
	snprintf(request, sizeof(request), "%s/request-%u", host_place, requests++);
	fd = open(request, O_WRONLY | O_CREAT | O_EXCL, 0600);
	if (fd < 0 || write(fd, text, length) != length || close(fd))
		fail(file, "request", 0);
	while ((fd = open(answer, O_RDONLY)) < 0)
		usleep(1000);
	close(fd);
}

/* The host copies what the guest has written to another file. */
static void copy_on_host(struct file *file)
{
	struct copy copy;

	if (!draw_copy(&copy, 1) || copy.in == file || !copy.in->of_host)
		return;
	if (fsync(copy.in->fd))
		fail(copy.in, "fsync", 0);
	ask(file, "copy %s %ld %ld %ld", name_of(copy.in), copy.from, copy.to, copy.length);
	copy.out = file;
	copied(&copy, "copy on the host", copy.length);
}

static void replace_on_host(struct file *file, int is_open)
{
	long size = draw(MOST);
	unsigned char mark = draw(255) + 1;

	ask(file, "replace %ld %d", size, mark);
	if (is_open) {
		/* What is open is the old one. */
		compare_all(file);
		close_all(file);
		drop_held(file);
	}
	resized(file, 0);
	fill_with(file->model, size, mark);
	file->size = size;
	if (is_open)
		open_all(file);
}

static void change_on_host(struct file *file, int is_open)
{
	static const char *const zeroing[] = { "zero", "punch" };
	unsigned char mark = draw(255) + 1;
	unsigned int which = draw(8);
	long from, length;

	range(file, &from, &length, which < 4);
	if (which == 6) {
		ask(file, "truncate %ld", from);
		resized(file, from);
	} else if (which == 7) {
		replace_on_host(file, is_open);
	} else if (which == 5) {
		copy_on_host(file);
	} else if (length && which >= 3) {
		ask(file, "%s %ld %ld", zeroing[which - 3], from, length);
		memset(file->model + from, 0, length);
		grown_to(file, from + length);
	} else if (length) {
		ask(file, "%s %ld %ld %d", from + length <= file->size && draw(2) ? "map" : "write",
		    from, length, mark);
		fill_with(file->model + from, length, mark);
		grown_to(file, from + length);
	}
}

static void look_after_change(struct file *file)
{
	struct stat status;

	switch (draw(6)) {
	case 0:
		do_splice_read(file);
		break;
	case 1:
		do_direct_read(file);
		break;
	case 2:
		do_append(file);
		break;
	case 3:
		do_extents(file);
		break;
	case 4:
		/* A mapping asks nobody, but whoever wants to know the status does. */
		if (fstat(file->fd, &status) || status.st_size != file->size)
			fail(file, "size after a change on the host", status.st_size);
		if (file->held && file->size)
			compare(file, file->held, 0, file->size,
				"held mapping after a change on the host");
		break;
	}
	compare_all(file);
}

static void do_on_host(struct file *file)
{
	int is_open = file->asks && draw(2);

	if (!host_place || !file->of_host || draw(8))
		return;
	/* What is written is the host's to read; what it changes is there at the next open. */
	if (is_open) {
		note("%d: stays open", number_of(file));
		if (fsync(file->fd))
			fail(file, "fsync", 0);
		change_on_host(file, 1);
		look_after_change(file);
		return;
	}
	close_all(file);
	drop_held(file);
	change_on_host(file, 0);
	open_all(file);
	compare_all(file);
}

#endif
