/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The instance's folder, for the start and for the host halves that put a socket or a file into it.
 */
#ifndef INSTANCE_H
#define INSTANCE_H

/*
 * The path of an entry of the folder, in a buffer that the caller frees; NULL: there is no folder,
 * or no memory. vCPU 0, before guest programs run.
 */
char *host_instance_path(const char *entry);
/*
 * Has the entry removed at the end of ./linux. The name must stay. It is kept when ./linux
 * restarts, where the next one takes it over.
 */
void host_instance_keep(const char *entry);
/*
 * The descriptor that the ./linux before a restart left for this one under that key; -1: none. To
 * leave one, see host_instance_leave.
 */
int host_instance_inherit(const char *key);
void host_instance_leave(const char *key, int fd);
/*
 * A socket bound to an entry of the folder with mode 0600, of the given type, non-blocking; or
 * -errno. The one of before a restart where there is one.
 */
int host_instance_socket(const char *entry, int type);
/* Not 0: there is a folder. */
int host_instance_is_there(void);
/* The user asked for a folder by an option: one that cannot be used ends ./linux. */
int host_instance_is_wanted(void);

/*
 * instance.c: makes the instance's folder, after umid= and uml_dir=, or ends with host_fatal();
 * removes it, in any context; leaves it to the program that is started next.
 */
extern const char *host_umid_option, *host_uml_dir_option;
void host_instance_init(void);
void host_instance_remove(void);
void host_instance_hand_over(void);
/* mconsole_socket.c: opens the socket in it; the value of mconsole=, or NULL. */
extern const char *host_mconsole_option;
void host_mconsole_init(void);
const char *host_notify_socket(void);	/* NULL: there is no notify:<socket> */
/* exec_socket.c: opens the socket exec in the folder. */
void host_exec_init(void);

#endif
