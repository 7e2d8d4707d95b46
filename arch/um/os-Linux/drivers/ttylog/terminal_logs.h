/* SPDX-License-Identifier: GPL-2.0-only */
/* Terminal logs, for the start of ./linux. */
#ifndef TERMINAL_LOGS_H
#define TERMINAL_LOGS_H

/* tty_log_dir= and tty_log_fd=, and hostfs= for a warning; NULL: not on the command line. */
extern const char *host_ttylog_dir_option, *host_ttylog_fd_option, *host_ttylog_hostfs_option;
/* Opens what they name and starts the thread that writes, or ends with host_fatal(). */
void host_ttylog_init(void);
/* Whether a word of the command line is one of these options, which the guest must not see. */
int host_ttylog_is_hidden(const char *word);

#endif
