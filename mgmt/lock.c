/* SPDX-License-Identifier: Apache-2.0 */
#include "mgmt/lock.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

static int read_pid(int fd)
{
	char text[16];
	ssize_t n = pread(fd, text, sizeof(text) - 1, 0);

	if (n <= 0)
		return 0;
	text[n] = 0;
	return (int)strtol(text, NULL, 10);
}

int lock_take(const char *path, int *ret_fd, int *ret_pid)
{
	struct flock lock = { .l_type = F_WRLCK, .l_whence = SEEK_SET };
	int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0640);

	if (fd < 0)
		return -errno;
	if (fcntl(fd, F_OFD_SETLK, &lock) < 0) {
		int error = errno;
		if (error == EAGAIN || error == EACCES)
			*ret_pid = read_pid(fd);
		close(fd);
		return error == EAGAIN || error == EACCES ? -EBUSY : -error;
	}
	char text[16];
	int n = snprintf(text, sizeof(text), "%d\n", (int)getpid());
	if (ftruncate(fd, 0) < 0 || pwrite(fd, text, (size_t)n, 0) != n) {
		int error = errno ? errno : EIO;
		close(fd);
		return -error;
	}
	*ret_fd = fd;
	return 0;
}

int lock_holder(const char *path)
{
	struct flock lock = { .l_type = F_WRLCK, .l_whence = SEEK_SET };
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	int pid = 0;

	if (fd < 0)
		return errno == ENOENT ? 0 : -errno;
	/* Asking takes no lock, so it cannot be in the way of a starting process. */
	if (fcntl(fd, F_OFD_GETLK, &lock) < 0)
		pid = -errno;
	else if (lock.l_type != F_UNLCK)
		pid = read_pid(fd);
	close(fd);
	return pid;
}
