/* wake_loop.c - src/io without Lua: another OS thread ends a turn that waits.
 */
#include <pthread.h>
#include <stdio.h>
#include <unistd.h>

#include "core/err.h"
#include "io/loop.h"

static void *
wake(void *arg)
{
    usleep(50000);
    mw_loop_wake(arg);
    return NULL;
}

int
main(void)
{
    struct mw_loop *loop = mw_loop_new(NULL, NULL, NULL, NULL);
    pthread_t thread;

    if (loop == NULL || mw_loop_turn(loop) != MW_EDEADLOCK)
        return 1;
    if (mw_loop_share(loop) != MW_OK || mw_loop_share(loop) != MW_OK)
        return 1;
    if (pthread_create(&thread, NULL, wake, loop) != 0)
        return 1;
    if (mw_loop_turn(loop) != MW_OK)
        return 1;
    printf("woken from outside\n");
    pthread_join(thread, NULL);
    mw_loop_close(loop);
    if (mw_loop_turn(loop) != MW_ECLOSED || mw_loop_share(loop) != MW_ECLOSED)
        return 1;
    mw_loop_unref(loop);
    return 0;
}
