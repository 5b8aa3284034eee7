/*
   Counts the instructions that a program runs in user space, by single steps: for code that callgrind does not know,
   as AVX-512's. Slow. Says what callgrind says at the end. Linux.

       cc -O2 tests/bench/steps.c -o steps && ./steps COMMAND...
*/
#define _GNU_SOURCE 1
#include <errno.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/ptrace.h>
#include <sys/wait.h>
#include <unistd.h>

static volatile pid_t child;

static void end(int number) { (void)kill(child, number); } /* what ends this one ends the other */

int main(int argc, char **argv) {
    unsigned long long count = 0;
    struct sigaction action;
    int status = 0;
    bool stopped = false;
    if (argc < 2) {
        fprintf(stderr, "usage: steps COMMAND...\n");
        return 2;
    }
    child = fork();
    if (child == 0) {
        if (ptrace(PTRACE_TRACEME, 0, NULL, NULL) != 0) {
            perror("ptrace");
            _exit(1);
        }
        (void)execvp(argv[1], argv + 1);
        perror(argv[1]);
        _exit(1);
    }
    if (child < 0) {
        perror("fork");
        return 1;
    }
    memset(&action, 0, sizeof action);
    action.sa_handler = end;
    (void)sigaction(SIGTERM, &action, NULL);
    (void)sigaction(SIGINT, &action, NULL);
    for (;;) {
        int sent;
        pid_t ended = waitpid(child, &status, 0);
        if (ended < 0 && errno == EINTR)
            continue;
        if (ended < 0 || !WIFSTOPPED(status))
            break;
        if (!stopped) /* it must not outlive this one */
            (void)ptrace(PTRACE_SETOPTIONS, child, NULL, (void *)PTRACE_O_EXITKILL);
        stopped = true;
        sent = WSTOPSIG(status) == SIGTRAP ? 0 : WSTOPSIG(status);
        count++;
        if (ptrace(PTRACE_SINGLESTEP, child, NULL, (void *)(long)sent) != 0 && errno != ESRCH)
            break;
    }
    fprintf(stderr, "Collected : %llu\n", count);
    return WIFEXITED(status) ? WEXITSTATUS(status) : 1;
}
