/* terminal.h - what is known of a terminal. */
#ifndef MW_IO_TERMINAL_H
#define MW_IO_TERMINAL_H

#include <stdbool.h>

/* Whether a file is one, and then its size in characters; 0 where it doesn't
 * say. */
bool mw_terminal_size(int fd, int *columns, int *rows);

#endif
