// SPDX-License-Identifier: GPL-2.0-only
/*
 * uml_top: the live view, and its keys.
 *
 * Names are the host's files, and may have any bytes: they are made printable.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <libgen.h>
#include <ncurses.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "printable.h"
#include "tool.h"
#include "uml_top.h"

#define LIMIT		500	/* milliseconds for the answers of all guests */
#define PATIENCE	3000	/* milliseconds for a command */
#define FIRST_ROW	3

struct view {
	struct guests *guests;
	const struct guest **rows;	/* in the order that is shown */
	size_t room, top;		/* rows that are allocated; the first that is shown */
	char *chosen;			/* folder of the chosen guest; NULL: the first */
	char order;			/* the key of the column */
	int is_reversed;
	char message[256];
};

static void say(struct view *view, const char *format, ...)
{
	va_list arguments;

	va_start(arguments, format);
	vsnprintf(view->message, sizeof(view->message), format, arguments);
	va_end(arguments);
	view->message[strcspn(view->message, "\n")] = '\0';
	make_printable(view->message);
}

/* ---- order ---- */

static const struct view *sorted;	/* qsort() hands nothing on */

/* The number that the column of a key is sorted by: large ones come first. */
static double weight(const struct guest *guest, char order)
{
	switch (order) {
	case 'C':
		return guest->has_rates ? guest->cpu : -1;
	case 'M':
		return guest->has_usage ? (double)guest->usage.used : -1;
	case 'D':
		return guest->has_rates ? guest->read_rate + guest->write_rate : -1;
	case 'W':
		return guest->has_rates ? guest->receive_rate + guest->send_rate : -1;
	case 'L':
		return guest->has_counters ? guest->counters.load : -1;
	case 'T':
		return guest->has_usage ? guest->usage.uptime : -1;
	default:
		return 0;
	}
}

static int compare(const void *one, const void *other)
{
	const struct guest *a = *(const struct guest **)one, *b = *(const struct guest **)other;
	double first = weight(a, sorted->order), second = weight(b, sorted->order);
	int order = first > second ? -1 : first < second ? 1 : strcmp(a->name, b->name);

	return sorted->is_reversed ? -order : order;
}

static void sort_rows(struct view *view)
{
	size_t count = view->guests->count;

	if (count > view->room) {
		free(view->rows);
		view->rows = allocate(count * sizeof(*view->rows));
		view->room = count;
	}
	for (size_t i = 0; i < count; i++)
		view->rows[i] = &view->guests->list[i];
	sorted = view;
	if (count)
		qsort(view->rows, count, sizeof(*view->rows), compare);
}

static size_t chosen_row(const struct view *view)
{
	for (size_t i = 0; i < view->guests->count; i++)
		if (view->chosen && !strcmp(view->rows[i]->folder, view->chosen))
			return i;
	return 0;
}

static void choose(struct view *view, long row)
{
	long last = (long)view->guests->count - 1;

	if (last < 0)
		return;
	row = row < 0 ? 0 : row > last ? last : row;
	free(view->chosen);
	view->chosen = strdup(view->rows[row]->folder);
}

/* ---- drawing ---- */

static const char *short_bytes(char text[16], double bytes)
{
	static const char units[] = "BKMGT";
	int unit = 0;

	for (; bytes >= 1000 && unit < 4; unit++)
		bytes /= 1024;
	snprintf(text, 16, unit && bytes < 9.95 ? "%.1f%c" : "%.0f%c", bytes, units[unit]);
	return text;
}

static void draw_row(const struct guest *guest, int y, int is_chosen)
{
	char name[17], pid[16] = "-", cpu[16] = "-", used[16] = "-", given[16] = "-",
	     read[16] = "-",
	     written[16] = "-", received[16] = "-", sent[16] = "-", load[16] = "-",
	     uptime[24] = "-";

	snprintf(name, sizeof(name), "%s", guest->name);
	make_printable(name);
	if (guest->pid)
		snprintf(pid, sizeof(pid), "%d", guest->pid);
	if (guest->has_rates)
		snprintf(cpu, sizeof(cpu), "%.1f", guest->cpu);
	if (guest->has_usage) {
		unsigned long long minutes = guest->usage.uptime / 60;

		short_bytes(used, guest->usage.used);
		snprintf(uptime, sizeof(uptime), "%llu:%02llu", minutes / 60, minutes % 60);
	}
	if (guest->has_usage && guest->usage.given)
		short_bytes(given, guest->usage.given);
	if (guest->has_counters)
		snprintf(load, sizeof(load), "%.2f", guest->counters.load);
	if (guest->has_counters && guest->has_rates) {
		short_bytes(read, guest->read_rate);
		short_bytes(written, guest->write_rate);
		short_bytes(received, guest->receive_rate);
		short_bytes(sent, guest->send_rate);
	}
	if (is_chosen)
		attron(A_REVERSE);
	mvprintw(y, 0, "%-16s %7s %-7s %6s %6s %6s %6s %6s %6s %6s %5s %7s", name, pid,
		 name_of_state(guest->state), cpu, used, given, read, written, received, sent, load,
		 uptime);
	if (is_chosen)
		attroff(A_REVERSE);
}

static void draw_head(const struct view *view)
{
	double cpu = 0, used = 0, given = 0;
	char text[2][16];

	for (size_t i = 0; i < view->guests->count; i++) {
		const struct guest *guest = view->rows[i];

		cpu += guest->has_rates ? guest->cpu : 0;
		used += guest->has_usage ? guest->usage.used : 0;
		given += guest->has_usage ? guest->usage.given : 0;
	}
	mvprintw(0, 0, "%zu instances  CPU %.1f%%  memory %s of %s", view->guests->count, cpu,
		 short_bytes(text[0], used), short_bytes(text[1], given));
	mvprintw(1, 0, "%s", view->message);
	attron(A_BOLD);
	mvprintw(2, 0, "%-16s %7s %-7s %6s %6s %6s %6s %6s %6s %6s %5s %7s", "NAME", "PID",
		 "STATE", "CPU%", "USED", "GIVEN", "READ/s", "WRIT/s", "RECV/s", "SENT/s", "LOAD",
		 "TIME");
	attroff(A_BOLD);
}

static void draw(struct view *view)
{
	size_t lines = LINES > FIRST_ROW + 1 ? LINES - FIRST_ROW - 1 : 1, row = chosen_row(view);

	if (row < view->top)
		view->top = row;
	if (row >= view->top + lines)
		view->top = row + 1 - lines;
	erase();
	draw_head(view);
	for (size_t i = view->top; i < view->guests->count && i < view->top + lines; i++)
		draw_row(view->rows[i], FIRST_ROW + i - view->top, i == row);
	mvprintw(LINES - 1, 0, "s stop  g go  c cad  h halt  Enter console  "
		 "sort: NCMDWLT, r reverses  q quit");
	refresh();
}

/* ---- commands ---- */

static int is_sure(struct view *view, const struct guest *guest, const char *command)
{
	int key;

	say(view, "%s %s: are you sure? (y)", command, guest->name);
	draw(view);
	timeout(-1);
	key = getch();
	say(view, "");
	return key == 'y' || key == 'Y';
}

static void send_command(struct view *view, const struct guest *guest, const char *command)
{
	struct mconsole *console;
	unsigned int error = 0;
	char *answer = NULL;
	int code = mconsole_open(guest->folder, NULL, &console);

	if (!code)
		code = mconsole_ask(console, command, PATIENCE, &answer, NULL, &error);
	if (code)
		say(view, "%s: %s", guest->name, mconsole_strerror(code));
	else
		say(view, "%s: %s %s %s", guest->name, command, error ? "ERR" : "OK", answer);
	free(answer);
	mconsole_close(console);
}

/* The path of another tool: it lies in this one's folder, or in PATH. */
static char *path_of(const char *tool)
{
	char own[4096], *path;
	ssize_t length = readlink("/proc/self/exe", own, sizeof(own) - 1);

	if (length <= 0)
		return strdup(tool);
	own[length] = '\0';
	if (asprintf(&path, "%s/%s", dirname(own), tool) < 0)
		return NULL;
	if (!access(path, X_OK))
		return path;
	free(path);
	return strdup(tool);
}

static void run_console(struct view *view, const struct guest *guest)
{
	char *path = path_of("uml_console");
	int status = 0;
	pid_t child;

	if (!path)
		return;
	endwin();
	child = fork();
	if (!child) {
		execlp(path, "uml_console", guest->folder, "con0", NULL);
		_exit(127);
	}
	while (child > 0 && waitpid(child, &status, 0) < 0 && errno == EINTR)
		;
	if (child < 0 || (WIFEXITED(status) && WEXITSTATUS(status) == 127))
		say(view, "%s: uml_console cannot be started: is it installed?", guest->name);
	else
		say(view, "");
	free(path);
	clearok(stdscr, TRUE);
}

/* Whether the key was one that concerns the chosen guest. */
static int run_command(struct view *view, int key)
{
	const struct guest *guest;

	if (!view->guests->count || !strchr("sgch\r\n", key) || !key)
		return 0;
	guest = view->rows[chosen_row(view)];
	if (key == 's')
		send_command(view, guest, "stop");
	else if (key == 'g')
		send_command(view, guest, "go");
	else if (key == 'c' && is_sure(view, guest, "cad"))
		send_command(view, guest, "cad");
	else if (key == 'h' && is_sure(view, guest, "halt"))
		send_command(view, guest, "halt");
	else if (key == '\r' || key == '\n')
		run_console(view, guest);
	return 1;
}

/* ---- the loop ---- */

static void move_choice(struct view *view, int key)
{
	long row = chosen_row(view);

	if (key == KEY_UP || key == 'k')
		choose(view, row - 1);
	else if (key == KEY_DOWN || key == 'j')
		choose(view, row + 1);
	else if (key == KEY_HOME)
		choose(view, 0);
	else if (key == KEY_END)
		choose(view, (long)view->guests->count - 1);
}

/* Whether the program ends. The chosen guest stays chosen when rows change places. */
static int handle_key(struct view *view, int key)
{
	choose(view, chosen_row(view));
	if (key == 'q')
		return 1;
	if (key > 255)
		move_choice(view, key);
	else if (key == 'r')
		view->is_reversed = !view->is_reversed;
	else if (strchr("NCMDWLT", key))
		view->order = key;
	else if (!run_command(view, key))
		move_choice(view, key);
	return 0;
}

static volatile sig_atomic_t is_interrupted;

static void interrupt(int unused)
{
	(void)unused;
	is_interrupted = 1;
}

void run_screen(struct guests *guests, double interval)
{
	/* Without SA_RESTART getch() ends, too. */
	struct sigaction action = { .sa_handler = interrupt };
	struct view view = { .guests = guests, .order = 'C' };
	double next = 0;
	int ended = 0;

	sigaction(SIGINT, &action, NULL);
	if (!newterm(NULL, stdout, stdin))
		die("the terminal %s is not known; set TERM", getenv("TERM") ? getenv("TERM") : "");
	cbreak();
	noecho();
	keypad(stdscr, TRUE);
	curs_set(0);
	while (!ended && !is_interrupted) {
		double left;
		int key;

		if (seconds_now() >= next) {
			take_sample(guests, LIMIT);
			next = seconds_now() + interval;
		}
		sort_rows(&view);
		draw(&view);
		left = next - seconds_now();
		timeout(left > 0 ? (int)(left * 1000) + 1 : 0);
		key = getch();
		if (key != ERR && key != KEY_RESIZE)
			ended = handle_key(&view, key);
	}
	endwin();
	free(view.rows);
	free(view.chosen);
}
