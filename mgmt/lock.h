/* SPDX-License-Identifier: Apache-2.0 */
/*
 * lock.h: a file that says "this folder is in use, by process N". The lock is the kernel's and ends
 * with its holder, however it ends; the file stays and means nothing by itself.
 */
#ifndef CAIRN_MGMT_LOCK_H
#define CAIRN_MGMT_LOCK_H

/*
 * lock_take: makes the file if missing, locks it, writes our pid. 0 and *ret_fd, which holds the
 * lock until closed; -EBUSY: held by another process, *ret_pid (0: not known yet); or another
 * negative errno of the file system.
 */
int lock_take(const char *path, int *ret_fd, int *ret_pid);

/* lock_holder: pid of the holder; 0 when nobody holds it or there is no file; negative errno.
 * Takes no lock itself. */
int lock_holder(const char *path);

#endif
