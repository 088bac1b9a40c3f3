/*
 * A process that connects, forks, and leaves its child with the connection. Arguments: the daemon's
 * socket, and the path of a socket that the child listens on for a client. The first client is
 * joined to the connection that the parent made, each further one to a connection that the child
 * makes itself. Says "PARENT CHILD", their pids. The parent waits to be killed; both end when the
 * pipe that is descriptor 3 does.
 */
#define _GNU_SOURCE
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

enum { LIFE = 3, PAIRS_MAX = 64, BYTES = 65536 };

static struct sockaddr_un address_of(const char *path) {
  struct sockaddr_un address = {.sun_family = AF_UNIX};
  strncpy(address.sun_path, path, sizeof address.sun_path - 1);
  return address;
}

static int connect_to(const char *path) {
  struct sockaddr_un address = address_of(path);
  int fd = socket(AF_UNIX, SOCK_STREAM, 0);
  if (fd < 0 || connect(fd, (struct sockaddr *)&address, sizeof address) < 0) _exit(2);
  return fd;
}

static int listen_at(const char *path) {
  struct sockaddr_un address = address_of(path);
  int fd = socket(AF_UNIX, SOCK_STREAM, 0);
  if (fd < 0 || bind(fd, (struct sockaddr *)&address, sizeof address) < 0) _exit(3);
  if (listen(fd, 8) < 0) _exit(3);
  return fd;
}

/* False when there is nothing more to come. */
static int pump(int from, int to) {
  static char bytes[BYTES];
  ssize_t got = read(from, bytes, sizeof bytes);
  if (got <= 0) return 0;
  for (ssize_t sent = 0; sent < got;) {
    ssize_t now = send(to, bytes + sent, (size_t)(got - sent), MSG_NOSIGNAL);
    if (now <= 0) return 0;
    sent += now;
  }
  return 1;
}

static void serve(const char *daemon, int held, int listening) {
  /* That pipe, the listening socket, then pairs: a client's end and the daemon's. */
  struct pollfd fds[2 + 2 * PAIRS_MAX] = {
      {.fd = LIFE, .events = POLLIN},
      {.fd = listening, .events = POLLIN},
  };
  nfds_t count = 2;
  while (poll(fds, count, -1) > 0) {
    if (fds[0].revents) return;
    for (nfds_t i = 2; i < count; i += 1) {
      nfds_t other = i ^ 1;
      if (fds[i].fd < 0 || !fds[i].revents || pump(fds[i].fd, fds[other].fd)) continue;
      close(fds[i].fd);
      close(fds[other].fd);
      fds[i].fd = fds[other].fd = -1;
      fds[other].revents = 0;
    }
    if (!fds[1].revents || count + 2 > 2 + 2 * PAIRS_MAX) continue;
    int client = accept(listening, NULL, NULL);
    if (client < 0) continue;
    int up = held >= 0 ? held : connect_to(daemon);
    held = -1;
    fds[count] = (struct pollfd){.fd = client, .events = POLLIN};
    fds[count + 1] = (struct pollfd){.fd = up, .events = POLLIN};
    count += 2;
  }
}

int main(int count, char **arguments) {
  if (count != 3) return 64;
  int held = connect_to(arguments[1]);
  int listening = listen_at(arguments[2]);
  pid_t parent = getpid();
  pid_t child = fork();
  if (child == 0) {
    serve(arguments[1], held, listening);
    return 0;
  }
  printf("%d %d\n", parent, child);
  fflush(stdout);
  struct pollfd life = {.fd = LIFE, .events = POLLIN};
  poll(&life, 1, -1);
  return 0;
}
