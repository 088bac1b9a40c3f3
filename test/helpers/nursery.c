/*
 * Owner processes for tests, as small as processes get: children that do nothing but wait. Commands
 * are lines on stdin, each answered with one line on stdout:
 *
 *   fork N          N children more               forked PID PID ...
 *   kill PID ...    ended, and reaped             ended N
 *   slay PID ...    ended, and left as zombies    ended N
 *
 * All end with this process, however that ends.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

static void be_owner(pid_t parent) {
  prctl(PR_SET_PDEATHSIG, SIGKILL);
  if (getppid() != parent) _exit(0);
  close(0);
  close(1);
  close(2);
  for (;;) pause();
}

static void fork_owners(long count) {
  pid_t self = getpid();
  printf("forked");
  for (long i = 0; i < count; i += 1) {
    /* What is still in the buffer would be the child's too. */
    fflush(stdout);
    pid_t pid = fork();
    if (pid == 0) be_owner(self);
    if (pid < 0) {
      printf(" failed: %s", strerror(errno));
      break;
    }
    printf(" %d", pid);
  }
  printf("\n");
}

static void end_owners(char *list, int reaped) {
  char *copy = strdup(list);
  char *rest = NULL;
  /* All of them first: they are to end at once. */
  for (char *word = strtok_r(copy, " \n", &rest); word; word = strtok_r(NULL, " \n", &rest)) {
    kill(atoi(word), SIGKILL);
  }
  free(copy);
  int ended = 0;
  for (char *word = strtok_r(list, " \n", &rest); word; word = strtok_r(NULL, " \n", &rest)) {
    siginfo_t info;
    int how = WEXITED | (reaped ? 0 : WNOWAIT);
    if (waitid(P_PID, (id_t)atoi(word), &info, how) == 0) ended += 1;
  }
  printf("ended %d\n", ended);
}

int main(void) {
  char *line = NULL;
  size_t room = 0;
  while (getline(&line, &room, stdin) > 0) {
    if (strncmp(line, "fork ", 5) == 0) fork_owners(atol(line + 5));
    else if (strncmp(line, "kill ", 5) == 0) end_owners(line + 5, 1);
    else if (strncmp(line, "slay ", 5) == 0) end_owners(line + 5, 0);
    else printf("what?\n");
    fflush(stdout);
  }
  return 0;
}
