"""Sends a descriptor of a file on FUSE over the side socket, and is that file's server: whoever else
closes it waits for FUSE_FLUSH (include/uapi/linux/fuse.h) until a line comes in, or too long.
Arguments: the socket, an empty folder. Says "FLUSH" for each such close, "answer" with what the
socket said, and "late" when nobody told it to go on. Needs root, who may mount."""
import array
import ctypes
import os
import signal
import socket
import struct
import sys
import threading

MS_NOSUID_NODEV = 2 | 4
MNT_DETACH = 2
PR_SET_PDEATHSIG = 1
LOOKUP, FORGET, GETATTR, OPEN, RELEASE, FLUSH, INIT = 1, 2, 3, 14, 18, 25, 26
ENOSYS = 38
FOLDER, FILE = 0o40755, 0o100666
LATE_S = 20

path, folder = sys.argv[1], sys.argv[2]
libc = ctypes.CDLL(None, use_errno=True)
device = os.open("/dev/fuse", os.O_RDWR)
options = f"fd={device},rootmode=40000,user_id=0,group_id=0".encode()
if libc.mount(b"test", folder.encode(), b"fuse", MS_NOSUID_NODEV, options) != 0:
    sys.exit(f"mount: errno {ctypes.get_errno()}")
# The server is a process of its own, without a file of its own making: whoever dies while it waits
# for itself is there for ever.
ours, theirs = socket.socketpair()
sender = os.getpid()
told = threading.Event()


def say(*words: str) -> None:
    """In one write: two processes share the pipe."""
    os.write(1, (" ".join(words) + "\n").encode())


def reply(unique: int, data: bytes = b"", error: int = 0) -> None:
    os.write(device, struct.pack("<IiQ", 16 + len(data), error, unique) + data)


def attributes(inode: int, mode: int) -> bytes:
    return struct.pack("<6Q3IIIIIIII", inode, *[0] * 8, mode, 1, 0, 0, 0, 4096, 0)


def flush(unique: int) -> None:
    say("FLUSH")
    if not told.wait(LATE_S):
        say("late")
    reply(unique)


def serve() -> None:
    while True:
        request = os.read(device, 1 << 17)
        _, what, unique, node, _, _, who, _ = struct.unpack_from("<IIQQIIII", request)
        if what == INIT:
            reply(unique, struct.pack("<4I2H2I2H8I", 7, 31, 4096, 0, 1, 1, 4096, 1, 0, 0, *[0] * 8))
        elif what == LOOKUP:
            reply(unique, struct.pack("<4Q2I", 2, 0, 60, 60, 0, 0) + attributes(2, FILE))
        elif what == GETATTR:
            mode = FOLDER if node == 1 else FILE
            reply(unique, struct.pack("<QII", 60, 0, 0) + attributes(node, mode))
        elif what == OPEN:
            reply(unique, struct.pack("<QII", 1, 0, 0))
        elif what == FLUSH and who != sender:
            threading.Thread(target=flush, args=(unique,), daemon=True).start()
        elif what in (FLUSH, RELEASE):
            reply(unique)
        elif what != FORGET:
            reply(unique, error=-ENOSYS)


server = os.fork()
if server == 0:
    libc.prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
    threading.Thread(target=serve, daemon=True).start()
    ours.close()
    theirs.recv(1)
    told.set()
    signal.pause()
os.close(device)
theirs.close()
try:
    fd = os.open(f"{folder}/file", os.O_RDWR)
    with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as side:
        side.settimeout(2 * LATE_S)
        side.connect(path)
        rights = (socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", [fd]))
        side.sendmsg([b"pidfd"], [rights])
        say("answer", side.recv(4096).decode())
        sys.stdin.readline()
    ours.send(b"x")
    os.close(fd)
finally:
    libc.umount2(folder.encode(), MNT_DETACH)
    os.kill(server, signal.SIGKILL)
say("done")
