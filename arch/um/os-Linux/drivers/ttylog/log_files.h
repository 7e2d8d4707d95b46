/* SPDX-License-Identifier: GPL-2.0-only */
/* Where records of terminals go: a file for each session in a folder, or one descriptor. */
#ifndef LOG_FILES_H
#define LOG_FILES_H

#include <stddef.h>

struct host_ttylog;

/* Opens what the option names, or ends with host_fatal(). */
void log_files_use_folder(const char *path);
void log_files_use_descriptor(const char *number);
/* Writes all of it to the session's place, or none of it where that can be cut. 0 or -errno. */
int log_files_write(const struct host_ttylog *session, const char *bytes, size_t length);
/* Its name in messages: the option. */
const char *log_files_name(void);
/* ./linux restarts: the next one inherits the descriptor. Any context. */
void log_files_leave(void);

#endif
