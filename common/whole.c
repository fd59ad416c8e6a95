/* Loops around read() and write(). */
#include "common/whole.h"

#include <errno.h>
#include <unistd.h>

ptrdiff_t whole_read(int fd, uint8_t *out, size_t size)
{
    size_t len = 0;

    while (len < size) {
        ssize_t got = read(fd, out + len, size - len);

        if (got == 0) {
            break;
        }
        if (got < 0 && errno != EINTR) {
            return -1;
        }
        len += got > 0 ? (size_t)got : 0;
    }
    return (ptrdiff_t)len;
}

bool whole_write(int fd, struct span bytes)
{
    while (bytes.len > 0) {
        ssize_t put = write(fd, bytes.data, bytes.len);

        if (put == 0) {
            errno = EIO;
        }
        if (put == 0 || (put < 0 && errno != EINTR)) {
            return false;
        }
        bytes = span_after(bytes, put > 0 ? (size_t)put : 0);
    }
    return true;
}
