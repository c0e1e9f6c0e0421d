/* terminal.c - see terminal.h. */
#include "io/terminal.h"

#include <sys/ioctl.h>
#include <unistd.h>

bool
mw_terminal_size(int fd, int *columns, int *rows)
{
    struct winsize size;

    if (!isatty(fd))
        return false;
    *columns = 0;
    *rows = 0;
    if (ioctl(fd, TIOCGWINSZ, &size) == 0) {
        *columns = size.ws_col;
        *rows = size.ws_row;
    }
    return true;
}
