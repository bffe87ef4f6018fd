"""A piece of cable that is slow or loses frames: `relay.py PORT PORT DELAY_MS LOSS_PERCENT`. A program of its own.

Copies Ethernet frames between two network ports of the lab (packet(7)), each after a fixed time or never. The kernel's
netem does this better where it exists; it is a module that many kernels lack.
"""

from __future__ import annotations

import random
import select
import socket
import sys
import time
from collections import deque
from contextlib import suppress

ETH_P_ALL = 3
SOL_PACKET, PACKET_IGNORE_OUTGOING = 263, 23
# A frame with everything: 64 KiB and a header; the kernel may still hand over merged ones.
FRAME_BYTES = 65_600
BURST_COUNT = 64


def open_port(name: str) -> socket.socket:
    """A raw socket that sees what comes in on a port."""
    port = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(ETH_P_ALL))
    port.bind((name, 0))
    port.setblocking(False)
    port.setsockopt(SOL_PACKET, PACKET_IGNORE_OUTGOING, 1)
    return port


def relay(left: socket.socket, right: socket.socket, delay_s: float, loss: float) -> None:
    """Carry frames until killed."""
    other = {left: right, right: left}
    waiting: deque[tuple[float, socket.socket, bytes]] = deque()
    while True:
        patience_s = max(0.0, waiting[0][0] - time.monotonic()) if waiting else None
        for port in select.select([left, right], [], [], patience_s)[0]:
            for _ in range(BURST_COUNT):
                try:
                    frame = port.recv(FRAME_BYTES)
                except BlockingIOError:
                    break
                if random.random() >= loss:  # noqa: S311 chance, not secrecy
                    waiting.append((time.monotonic() + delay_s, other[port], frame))
        now = time.monotonic()
        while waiting and waiting[0][0] <= now:
            _, port, frame = waiting.popleft()
            with suppress(OSError):
                port.send(frame)


if __name__ == "__main__":
    relay(
        open_port(sys.argv[1]), open_port(sys.argv[2]), float(sys.argv[3]) / 1_000, float(sys.argv[4]) / 100
    )
