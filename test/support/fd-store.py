"""A service manager's store of descriptors, as systemd has it (src/core/service.c:
service_add_fd_store, service_remove_fd_store): the same open file is kept once, and what hangs up
is forgotten unless FDPOLL=0.

The first argument is the path of the notification socket. Commands come on stdin, one a line:
  names              answers with the names in the store, in JSON
  forget PREFIX      closes what is kept under names that begin so
  pause, resume      whether the notification socket is read
  start ["prog",...] starts the service with what is kept, and answers with its pid
  wait               answers "ended CODE" when it has ended
"""
import ctypes
import json
import os
import platform
import select
import socket
import sys

KCMP = {"x86_64": 312, "aarch64": 272, "riscv64": 272}.get(platform.machine())
KCMP_FILE = 0
FIRST_FD = 3
libc = ctypes.CDLL(None, use_errno=True)


def same_file(a, b):
    pid = os.getpid()
    return KCMP is not None and libc.syscall(KCMP, pid, pid, KCMP_FILE, a, b) == 0


def hangs_up(fd):
    poller = select.poll()
    try:
        poller.register(fd, 0)
    except PermissionError:
        return False
    return any(events & (select.POLLHUP | select.POLLERR) for _, events in poller.poll(0))


class Manager:
    def __init__(self, path):
        self.notify = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.notify.bind(path)
        self.path = path
        self.store = []  # (name, fd)
        self.paused = False
        self.service = None

    def hear(self):
        data, fds, _, _ = socket.recv_fds(self.notify, 65536, 253)
        said = dict(line.split("=", 1) for line in data.decode().splitlines())
        name = said.get("FDNAME", "stored")
        if "FDSTOREREMOVE" in said:
            self.forget(lambda one: one == name)
        for fd in fds:
            known = any(same_file(fd, kept) for _, kept in self.store)
            polled = said.get("FDPOLL") != "0"
            if "FDSTORE" not in said or known or (polled and hangs_up(fd)):
                os.close(fd)
            else:
                self.store.append((name, fd))

    def forget(self, is_meant):
        for gone in [one for one in self.store if is_meant(one[0])]:
            self.store.remove(gone)
            os.close(gone[1])

    def start(self, argv):
        pid = os.fork()
        if pid != 0:
            self.service = pid
            return pid
        # Above all that may be in the way of what is passed.
        high = [os.dup2(fd, 500 + at) for at, (_, fd) in enumerate(self.store)]
        for at, fd in enumerate(high):
            os.dup2(fd, FIRST_FD + at, inheritable=True)
            os.close(fd)
        os.closerange(FIRST_FD + len(high), 500)
        env = {**os.environ, "NOTIFY_SOCKET": self.path}
        if high:
            env["LISTEN_PID"] = str(os.getpid())
            env["LISTEN_FDS"] = str(len(high))
            env["LISTEN_FDNAMES"] = ":".join(name for name, _ in self.store)
        os.execvpe(argv[0], argv, env)

    def obey(self, line):
        word, _, rest = line.strip().partition(" ")
        if word == "names":
            return json.dumps([name for name, _ in self.store])
        if word == "forget":
            self.forget(lambda one: one.startswith(rest))
            return word
        if word in ("pause", "resume"):
            self.paused = word == "pause"
            return word
        if word == "start":
            return str(self.start(json.loads(rest)))
        if word == "wait":
            _, status = os.waitpid(self.service, 0)
            return f"ended {os.waitstatus_to_exitcode(status)}"
        raise ValueError(line)

    def run(self):
        print("bound", flush=True)
        stdin = os.fdopen(os.dup(0), "rb", buffering=0)
        while True:
            wanted = [stdin] if self.paused else [self.notify, stdin]
            ready, _, _ = select.select(wanted, [], [])
            # What was said before is heard before a command is obeyed.
            if self.notify in ready:
                self.hear()
                continue
            line = stdin.readline().decode()
            if line == "":
                return
            print(self.obey(line), flush=True)


Manager(sys.argv[1]).run()
