"""Connects, speaks the HTTP/2 preface, and forks; the child keeps the connection.

First argument: the socket. Second: `parent-lives`, and it waits to be killed, or `parent-ends`. The
child says "cut" when the other side has closed, connects anew, says its own pid, and waits.
"""
import os
import socket
import sys
import time

PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + b"\0\0\0\4\0\0\0\0\0"


def connect(path: str) -> socket.socket:
    connection = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    connection.connect(path)
    connection.sendall(PREFACE)
    return connection


def say(text: str) -> None:
    os.write(1, (text + "\n").encode())


path, how = sys.argv[1:3]
held = connect(path)
if os.fork() == 0:
    say(f"child {os.getpid()}")
    try:
        while held.recv(4096):
            pass
    except ConnectionResetError:
        pass
    say("cut")
    again = connect(path)
    say("connected again")
    time.sleep(1000)
elif how == "parent-lives":
    time.sleep(1000)
