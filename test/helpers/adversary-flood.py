"""Fills the side socket with devices that nobody attaches. Arguments: the socket, how many one process
may hand over, how many processes of each user; then the users. Of each user's processes every one
hands over as many as it may, then one more process of the first user, and one of the last user,
which has none before; then each that has some hands over one more. All of them wait to be killed.
The last line is JSON: [what was said to those within the bounds, to one more of a user, to one more
of all, to one more of a process], each without repeats. /dev/null is an iommufd here, and /dev/zero a device."""
import json
import os
import socket
import sys

PATIENCE_S = 60

path, each, processes = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
users = [int(user) for user in sys.argv[4:]]


class Vmm:
    """A process of the user; hands over as many as it is told, and tells what was said."""

    def __init__(self, user: int) -> None:
        self.told, told = socket.socketpair()
        self.told.settimeout(PATIENCE_S)
        if os.fork() == 0:
            self.told.close()
            os.setgroups([])
            os.setgid(user)
            os.setuid(user)
            self.serve(told)
        told.close()

    def serve(self, told: socket.socket) -> None:
        iommufd, cdev = os.open("/dev/null", os.O_RDWR), os.open("/dev/zero", os.O_RDWR)
        with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as side:
            side.connect(path)
            while order := told.recv(1):
                said = []
                for _ in range(order[0]):
                    socket.send_fds(side, [b"vfio"], [iommufd, cdev])
                    said.append(side.recv(4096).decode())
                told.sendall(json.dumps(said).encode() + b"\n")
        os._exit(0)

    def hand_over(self, count: int) -> list[str]:
        self.told.sendall(bytes([count]))
        answers = json.loads(self.told.makefile().readline())
        return ["token" if said.startswith("token ") else said for said in answers]


within: list[str] = []
vmms: list[Vmm] = []
*filling, last = users
for user in filling:
    for _ in range(processes):
        vmms.append(Vmm(user))
        within += vmms[-1].hand_over(each)
    if user == filling[0]:
        # It lives on: who has ended keeps no place.
        one_more = Vmm(user)
        of_user = one_more.hand_over(1)
of_all = Vmm(last).hand_over(1)
of_process = [said for vmm in vmms for said in vmm.hand_over(1)]
groups = (within, of_user, of_all, of_process)
print(json.dumps([sorted(set(said)) for said in groups]), flush=True)
sys.stdin.read()
