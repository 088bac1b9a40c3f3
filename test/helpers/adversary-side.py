"""Says everything on the side socket that a client must not, and some of what it may, each on a
connection of its own. Arguments: the socket, how often, what about: `pidfd` as a delegate, or `vfio`
to a daemon for which /dev/null is an iommufd and /dev/zero a device; a user to become. The last line
is JSON: for each case the answers it got ("" for a connection that was cut), and one token that was
given and not used."""
import array
import ctypes
import errno
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

path, rounds, word = sys.argv[1], int(sys.argv[2]), sys.argv[3].encode()
if len(sys.argv) > 4:
    os.setgroups([])
    os.setgid(int(sys.argv[4]))
    os.setuid(int(sys.argv[4]))
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
        except OSError as error:
            return errno.errorcode[error.errno or 0]


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
    # The peer of what was kept of the pair is closed.
    for end in pair:
        end.close()
    return kinds


def texts(own: list[int]) -> None:
    """What is no request, with descriptors that would do for one."""
    say("nothing", b"", own)
    say("garbage", bytes(range(1, 60)), own)
    say("no UTF-8", b"\xff\xfe\xfd", own)
    say("another word", word + b" ", own)
    say("too much", word + b" " * 70, own)
    say("far too much", b"x" * 60_000, own)
    # Connected, and gone without a word; with a word, and gone before the answer.
    for text in (None, word, b"garbage"):
        with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as side:
            side.connect(path)
            if text is not None:
                socket.send_fds(side, [text], own)


def round_of_pidfds() -> None:
    own = os.pidfd_open(os.getpid())
    for case, fd in wrong_kinds().items():
        say(case, b"pidfd", [fd])
        os.close(fd)
    say("no descriptor", b"pidfd", [])
    say("two", b"pidfd", [own, own])
    say("four", b"pidfd", [own] * 4)
    say("five", b"pidfd", [own] * 5)
    say("the most there may be", b"pidfd", [own] * 253)
    texts([own])
    memory = [os.open("/dev/null", os.O_RDWR), *os.pipe2(os.O_CLOEXEC)]
    say("memory that is a device", b"memory", memory[:1])
    say("memory that is a pipe", b"memory", memory[1:2])
    say("memory that is a pidfd", b"memory", [own])
    say("a device for the emulator", b"vfio", [memory[0], own])
    say("a device without a device", b"vfio", memory[:1])
    for fd in memory:
        os.close(fd)
    os.close(own)
    child, fd = sleeper()
    say("a process", b"pidfd", [fd])
    os.close(fd)
    child.kill()
    child.wait()


def device_kinds() -> dict[str, int]:
    """What is neither an iommufd nor a device that is opened as it must be."""
    kinds = wrong_kinds()
    kinds["group"] = os.open("/dev/full", os.O_RDWR)
    kinds["container"] = os.open("/dev/random", os.O_RDONLY)
    kinds["only a path"] = os.open("/dev/zero", os.O_PATH)
    kinds["only read"] = os.open("/dev/zero", os.O_RDONLY)
    kinds["only written"] = os.open("/dev/null", os.O_WRONLY)
    # The daemon's own socket, to the daemon.
    listening = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    listening.connect(path)
    kinds["the side socket itself"] = listening.detach()
    return kinds


def round_of_devices() -> None:
    iommufd, cdev = os.open("/dev/null", os.O_RDWR), os.open("/dev/zero", os.O_RDWR)
    kinds = device_kinds()
    # By that number /dev/null is no wrong kind here, but an iommufd.
    os.close(kinds.pop("character device"))
    for case, fd in kinds.items():
        say(f"{case}, first", word, [fd, cdev])
        say(f"{case}, second", word, [iommufd, fd])
        say(f"{case}, twice", word, [fd, fd])
        os.close(fd)
    say("closed", word, [iommufd, 1_000_000])
    say("the wrong order", word, [cdev, iommufd])
    say("two iommufds", word, [iommufd, iommufd])
    say("two devices", word, [cdev, cdev])
    for count, case in ((0, "none"), (1, "one"), (3, "three"), (4, "four")):
        say(case, word, [iommufd, cdev, cdev, cdev][:count])
    say("five", word, [iommufd, *[cdev] * 4])
    say("the most there may be", word, [cdev] * 253)
    texts([iommufd, cdev])
    say("a device", word, [iommufd, cdev])
    os.close(iommufd)
    os.close(cdev)


for _ in range(rounds):
    round_of_devices() if word == b"vfio" else round_of_pidfds()
# Ourselves, or two that we keep: the token stands for them till we end.
mine = [os.open("/dev/null", os.O_RDWR), os.open("/dev/zero", os.O_RDWR)]
sent = mine if word == b"vfio" else [os.pidfd_open(os.getpid())]
token = say("itself", word, sent).split(" ")[1]
print(json.dumps({"answers": answers, "token": token}), flush=True)
sys.stdin.read()
