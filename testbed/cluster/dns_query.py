"""Asks a resolver for a name's address; ends with 0 if it has one:  python dns_query.py <resolver> <name>

A program of its own, because it has to run in the cluster's network namespace.
"""

import socket
import struct
import sys


def _query(name: str) -> bytes:
    """A question for an A record, recursion desired, by RFC 1035."""
    header = struct.pack(">6H", 1, 0x0100, 1, 0, 0, 0)
    labels = b"".join(bytes([len(label)]) + label.encode() for label in name.split("."))
    return header + labels + b"\0" + struct.pack(">2H", 1, 1)


def main(resolver: str, name: str) -> int:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as udp:
        udp.settimeout(1)
        try:
            udp.connect((resolver, 53))
            udp.send(_query(name))
            _, flags, _, answers = struct.unpack(">4H", udp.recv(512)[:8])
        except OSError as error:
            print(error, file=sys.stderr)
            return 1
    return 0 if flags & 0x000F == 0 and answers > 0 else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1], sys.argv[2]))
