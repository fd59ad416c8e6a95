/*
 * The system calls that a process which only serves its sockets and files
 * still needs; all others fail with EPERM.
 */
#ifndef COMMON_SYSCALL_FILTER_H
#define COMMON_SYSCALL_FILTER_H

/*
 * Install the filter on every thread of the process, for good. Returns 0, or
 * an errno: then there is no filter. NoNewPrivileges must be set.
 */
int syscall_filter_install(void);

#endif
