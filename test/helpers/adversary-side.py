"""Says everything on the side socket that a delegate must not, and some of what it may, each on a
connection of its own. Arguments: the socket, how often. The last line is JSON: for each case the
answers it got ("" for a connection that was cut), and one token that was given and not used."""
import array
import ctypes
import json
import os
import socket
import subprocess
import sys
import threading
import time

PIDFD_THREAD = os.O_EXCL
SYS_PIDFD_OPEN = 434
PATIENCE_S = 20
CUT = ("refused the message was cut off", "refused descriptors that you sent before")
TOO_MUCH = ("five", "the most there may be", "too much", "far too much")

path, rounds = sys.argv[1], int(sys.argv[2])
libc = ctypes.CDLL(None, use_errno=True)
answers: dict[str, list[str]] = {}


def ask(text: bytes, fds: list[int]) -> str:
    with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as side:
        side.settimeout(PATIENCE_S)
        side.connect(path)
        try:
            rights = [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", fds))] if fds else []
            side.sendmsg([text], rights)
            return side.recv(4096).decode()
        except (BrokenPipeError, ConnectionResetError):
            return ""


def say(case: str, text: bytes, fds: list[int]) -> str:
    answer = ask(text, fds)
    # While it still has to close many that we sent, the daemon takes none of ours: then it is asked
    # again, unless what is sent is too much at any time.
    deadline = time.monotonic() + PATIENCE_S
    while answer.startswith(CUT) and case not in TOO_MUCH and time.monotonic() < deadline:
        time.sleep(0.01)
        answer = ask(text, fds)
    known = answers.setdefault(case, [])
    short = "token" if answer.startswith("token ") else answer
    if short not in known:
        known.append(short)
    return answer


def thread_pidfd() -> int:
    """Of a thread that is not the first of its process; -1 where the kernel has none."""
    ids: list[int] = []
    ready, done = threading.Event(), threading.Event()

    def run() -> None:
        ids.append(threading.get_native_id())
        ready.set()
        done.wait()

    thread = threading.Thread(target=run)
    thread.start()
    ready.wait()
    fd = libc.syscall(SYS_PIDFD_OPEN, ids[0], PIDFD_THREAD)
    done.set()
    return fd


def sleeper() -> tuple[subprocess.Popen[bytes], int]:
    child = subprocess.Popen(["sleep", "1000"])
    return child, os.pidfd_open(child.pid)


def dead(reaped: bool) -> int:
    child, fd = sleeper()
    child.kill()
    if reaped:
        child.wait()
    else:
        os.waitid(os.P_PID, child.pid, os.WEXITED | os.WNOWAIT)
    return fd


def wrong_kinds() -> dict[str, int]:
    pair = socket.socketpair()
    kinds = {
        "regular file": os.open("/etc/passwd", os.O_RDONLY),
        "directory": os.open("/", os.O_RDONLY),
        "socket": os.dup(pair[0].fileno()),
        "memfd": os.memfd_create("x"),
        "character device": os.open("/dev/null", os.O_RDWR),
        "pipe": os.pipe2(os.O_CLOEXEC)[0],
        "eventfd": libc.eventfd(0, 0),
        "ended process": dead(True),
        "zombie": dead(False),
    }
    thread = thread_pidfd()
    if thread >= 0:
        kinds["thread"] = thread
    for end in pair:
        end.close()
    return kinds


def round_of_all() -> None:
    own = os.pidfd_open(os.getpid())
    for case, fd in wrong_kinds().items():
        say(case, b"pidfd", [fd])
        os.close(fd)
    say("no descriptor", b"pidfd", [])
    say("two", b"pidfd", [own, own])
    say("four", b"pidfd", [own] * 4)
    say("five", b"pidfd", [own] * 5)
    say("the most there may be", b"pidfd", [own] * 253)
    say("nothing", b"", [own])
    say("garbage", bytes(range(1, 60)), [own])
    say("no UTF-8", b"\xff\xfe\xfd", [own])
    say("another word", b"pidfd ", [own])
    say("too much", b"pidfd" + b" " * 70, [own])
    say("far too much", b"x" * 60_000, [own])
    # Connected, and gone without a word; with a word, and gone before the answer.
    for text in (None, b"pidfd", b"garbage"):
        with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as side:
            side.connect(path)
            if text is not None:
                socket.send_fds(side, [text], [own])
    os.close(own)
    child, fd = sleeper()
    say("a process", b"pidfd", [fd])
    os.close(fd)
    child.kill()
    child.wait()


for _ in range(rounds):
    round_of_all()
# Ourselves: the token stands for us till we end.
mine = os.pidfd_open(os.getpid())
token = say("itself", b"pidfd", [mine]).split(" ")[1]
print(json.dumps({"answers": answers, "token": token}), flush=True)
sys.stdin.read()
