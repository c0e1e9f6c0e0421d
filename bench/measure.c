/* measure.c - runs a command on one CPU and says what it took of it:
 *
 *   measure RESULT CPU COMMAND [ARGUMENT]...
 *
 * CPU is a number, or "-" for any.  The command may open as many files as the
 * system allows.  Its numbers are written into the file RESULT:
 *
 *   code=0 wall=1.234567 user=0.500000 sys=0.600000 rss=12345
 *
 * code: its exit status, 128 + n after signal n; wall, user and sys: seconds
 * (wait4); rss: the most memory it has had, in KiB. */
#include <sched.h>
#include <sys/prctl.h>
#include <sys/wait.h>

#include <signal.h>

#include "util.h"

static void
pin(const char *cpu)
{
    cpu_set_t set;

    if (strcmp(cpu, "-") == 0)
        return;
    CPU_ZERO(&set);
    CPU_SET((size_t)number(cpu), &set);
    if (sched_setaffinity(0, sizeof(set), &set) == -1)
        die("sched_setaffinity");
}

static double
seconds(struct timeval t)
{
    return (double)t.tv_sec + (double)t.tv_usec * 1e-6;
}

static void
write_result(const char *path, int status, double wall, struct rusage *usage)
{
    FILE *file = fopen(path, "w");
    int code = WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);

    if (file == NULL)
        die(path);
    fprintf(file, "code=%d wall=%.6f user=%.6f sys=%.6f rss=%ld\n", code, wall,
        seconds(usage->ru_utime), seconds(usage->ru_stime), usage->ru_maxrss);
    if (fclose(file) != 0)
        die(path);
}

int
main(int argc, char **argv)
{
    struct rusage usage;
    double started;
    int status;
    pid_t pid;

    if (argc < 4) {
        fprintf(stderr, "usage: measure RESULT CPU COMMAND [ARGUMENT]...\n");
        return 2;
    }
    prctl(PR_SET_PDEATHSIG, SIGTERM); /* with the harness */
    started = now_s();
    pid = fork();
    if (pid == -1)
        die("fork");
    if (pid == 0) {
        prctl(PR_SET_PDEATHSIG, SIGKILL); /* it ends when measure is stopped */
        pin(argv[2]);
        raise_fd_limit();
        execvp(argv[3], argv + 3);
        perror(argv[3]);
        _exit(127);
    }
    while (wait4(pid, &status, 0, &usage) == -1)
        if (errno != EINTR)
            die("wait4");
    write_result(argv[1], status, now_s() - started, &usage);
    return 0;
}
