"""Binds the datagram socket named by the first argument, as a service manager does, says "bound", and
then each datagram as one line of JSON."""
import json
import socket
import sys

receiver = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
receiver.bind(sys.argv[1])
print("bound", flush=True)
while True:
    print(json.dumps(receiver.recv(65536).decode()), flush=True)
