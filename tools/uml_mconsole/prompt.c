// SPDX-License-Identifier: GPL-2.0-only
/*
 * uml_mconsole: the prompt, with line editing, history and completion by readline.
 *
 * Completion offers the commands of the kernel, which help lists, and of this program; devices;
 * after `switch` the instances that run; and names of files where a file is wanted.
 */
#define _GNU_SOURCE
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <readline/history.h>
#include <readline/readline.h>

#include "printable.h"
#include "uml_mconsole.h"

#define HISTORY		1000	/* lines */
#define SHORT_WHILE	1000	/* milliseconds for help when a command is completed */

static struct session *session;		/* readline hands nothing on to its functions */

/* ---- the words of which completion offers some ---- */

static char **words;
static size_t word_count;

static void forget_words(void)
{
	for (size_t i = 0; i < word_count; i++)
		free(words[i]);
	free(words);
	words = NULL;
	word_count = 0;
}

static void add_word(const char *word, size_t length)
{
	char **more;

	for (size_t i = 0; i < word_count; i++)
		if (strlen(words[i]) == length && !strncmp(words[i], word, length))
			return;
	more = realloc(words, (word_count + 1) * sizeof(*words));
	if (!more)
		return;
	words = more;
	words[word_count] = strndup(word, length);
	if (words[word_count])
		word_count++;
}

/* The kernel's help has a command a line, which begins with blanks. */
static void add_commands_of_kernel(void)
{
	char *text = NULL;
	unsigned int error;

	if (!session->name || open_console(session) ||
	    mconsole_ask(session->console, "help", SHORT_WHILE, &text, NULL, &error))
		return;
	for (char *line = strtok(text, "\n"); line; line = strtok(NULL, "\n")) {
		size_t blanks = strspn(line, " \t");

		if (blanks && line[blanks])
			add_word(line + blanks, strcspn(line + blanks, " \t"));
	}
	free(text);
}

static void add_commands(void)
{
	add_commands_of_kernel();
	for (int i = 0; local_command(i); i++)
		add_word(local_command(i), strlen(local_command(i)));
}

static void add_devices(void)
{
	static const struct { const char *name; int count; } devices[] = {
		{ "con", 16 }, { "ssl", 64 }, { "ubd", 16 }, { "eth", 16 }, { "vec", 16 },
		{ "virtio_uml", 32 },
	};
	char name[16];

	for (size_t i = 0; i < sizeof(devices) / sizeof(*devices); i++)
		for (int unit = 0; unit < devices[i].count; unit++)
			add_word(name, sprintf(name, "%s%d", devices[i].name, unit));
	add_word("mem", 3);
}

static void add_instances(void)
{
	struct mconsole_instance *list;
	size_t count;

	if (mconsole_list(session->uml_dir, &list, &count))
		return;
	for (size_t i = 0; i < count; i++)
		if (list[i].state == MCONSOLE_LIVES)
			add_word(list[i].name, strlen(list[i].name));
	mconsole_list_free(list, count);
}

/* ---- completion ---- */

static char *next_word(const char *text, int state)
{
	static size_t next;

	if (!state)
		next = 0;
	while (next < word_count) {
		const char *word = words[next++];

		if (!strncmp(word, text, strlen(text)))
			return strdup(word);
	}
	return NULL;
}

/* NULL: readline completes the name of a file, unless rl_attempted_completion_over is set. */
static char **complete(const char *text, int start, int end)
{
	(void)end;
	forget_words();
	rl_attempted_completion_over = 1;
	if (start == (int)strspn(rl_line_buffer, " ")) {
		add_commands();
	} else if (rl_line_buffer[start - 1] == '=' || rl_line_buffer[start - 1] == ',' ||
		   begins_with(rl_line_buffer, "log", NULL)) {
		rl_attempted_completion_over = 0;
	} else if (begins_with(rl_line_buffer, "config", NULL) ||
		   begins_with(rl_line_buffer, "remove", NULL)) {
		/* A value follows: no blank after a name. */
		rl_completion_append_character = begins_with(rl_line_buffer, "config", NULL) ?
						 '\0' : ' ';
		add_devices();
	} else if (begins_with(rl_line_buffer, "switch", NULL)) {
		add_instances();
	}
	return word_count ? rl_completion_matches(text, next_word) : NULL;
}

/* ---- history ---- */

static char *history_path(void)
{
	const char *home = getenv("HOME");
	char *path;

	if (!isatty(STDIN_FILENO) || !home || *home != '/' ||
	    asprintf(&path, "%s/.uml_mconsole_history", home) < 0)
		return NULL;
	return path;
}

/* ---- the loop ---- */

static char *read_line(void)
{
	char *prompt, *line;

	if (asprintf(&prompt, "(%s) ", session->name ? session->name : "[None]") < 0)
		return NULL;
	make_printable(prompt);
	line = readline(prompt);
	free(prompt);
	/* Completion puts a blank after a word, which is no part of a name. */
	for (char *end = line ? line + strlen(line) : NULL; end && end > line && end[-1] == ' ';)
		*--end = '\0';
	return line;
}

int run_prompt(struct session *of)
{
	char *line, *path = history_path();

	session = of;
	rl_readline_name = "uml_mconsole";
	rl_attempted_completion_function = complete;
	rl_basic_word_break_characters = " \t\n=,";
	using_history();
	stifle_history(HISTORY);
	if (path)
		read_history(path);
	if (!session->name)
		fputs("uml_mconsole: no instance; switch <name> chooses one\n", stderr);
	while ((line = read_line())) {
		if (line[strspn(line, " \t")]) {
			add_history(line);
			if (begins_with(line, "quit", NULL))
				break;
			run_line(session, line);
			fflush(stdout);
		}
		free(line);
	}
	/* After the end of the input, the shell's prompt shall not follow this one's. */
	if (!line && isatty(STDIN_FILENO))
		putchar('\n');
	free(line);
	forget_words();
	if (path)
		write_history(path);	/* of mode 0600: commands are not for other users */
	free(path);
	return DONE;
}
