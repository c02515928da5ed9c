"""A bad network on one machine: a relay between two TUN devices, of which one lies in a network namespace of its own.

    python -m bench.network --name NAME [--delay-ms 20] [--jitter-ms 0] [--loss 0.02]     (a relay; ended by SIGTERM)

Makes and removes devices and a namespace (needs root, /dev/net/tun and iproute2, but not the kernel's netem). Every
UDP packet is lost with the probability asked for, else delayed; the same holds in both directions, and jitter reorders.
TCP passes untouched, so that calls over HTTP do not blur what is measured.
"""

from __future__ import annotations

import argparse
import asyncio
import fcntl
import heapq
import os
import random
import select
import signal
import struct
import subprocess
import sys
import tempfile
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

TUNSETIFF = 0x400454CA  # linux/if_tun.h
IFF_TUN_NO_PI = 0x1001
UDP = 17
PACKET_MAX = 2048
HERE, THERE = "10.213.0.1", "10.213.0.2"
START_S = 10.0


@dataclass(frozen=True, slots=True)
class Faults:
    """delay_ms: one way, in each direction. jitter_ms: uniform, on top. loss: share of packets, in each direction."""

    delay_ms: float = 0.0
    jitter_ms: float = 0.0
    loss: float = 0.0

    def __str__(self) -> str:
        told = {f"{self.loss:.0%} loss": self.loss, f"{self.delay_ms:g} ms delay": self.delay_ms}
        told[f"{self.jitter_ms:g} ms jitter"] = self.jitter_ms
        return ", ".join(words for words, value in told.items() if value) or "clean"


@asynccontextmanager
async def bad_network(faults: Faults) -> AsyncIterator[tuple[str, Path]]:
    """While it lasts: our address as the namespace sees it, and a Chromium that runs inside the namespace."""
    name = f"mouthpiece{os.getpid()}"
    options = [f"--{k.replace('_', '-')}={getattr(faults, k)}" for k in Faults.__slots__]
    relay = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "bench.network", "--name", name, *options, stdout=asyncio.subprocess.PIPE
    )
    assert relay.stdout is not None
    with tempfile.TemporaryDirectory() as folder:
        try:
            if b"ready" not in await asyncio.wait_for(relay.stdout.readline(), START_S):
                raise SystemExit("no relay: network faults need root, /dev/net/tun and iproute2")
            browser = Path(folder) / "chromium"
            browser.write_text(f'#!/bin/sh\nexec ip netns exec {name} /usr/bin/chromium "$@"\n')
            browser.chmod(0o700)
            yield HERE, browser
        finally:
            if relay.returncode is None:
                relay.terminate()
            await relay.wait()


def relay(ends: tuple[int, int], faults: Faults) -> None:
    """Carries IP packets between two TUN descriptors until SIGTERM."""
    queue: list[tuple[float, int, int, bytes]] = []
    count, rng = 0, random.Random(1)
    while True:
        wait_s = max(queue[0][0] - time.monotonic(), 0.0) if queue else None
        for source in select.select(ends, (), (), wait_s)[0]:
            packet = os.read(source, PACKET_MAX)
            due = time.monotonic()
            if len(packet) > 20 and packet[0] >> 4 == 4 and packet[9] == UDP:
                if rng.random() < faults.loss:
                    continue
                due += (faults.delay_ms + rng.uniform(0, faults.jitter_ms)) / 1000
            target = ends[1] if source == ends[0] else ends[0]
            count += 1
            heapq.heappush(queue, (due, count, target, packet))
        while queue and queue[0][0] <= time.monotonic():
            _, _, target, packet = heapq.heappop(queue)
            os.write(target, packet)


def _tun(name: str) -> int:
    descriptor = os.open("/dev/net/tun", os.O_RDWR)
    fcntl.ioctl(descriptor, TUNSETIFF, struct.pack("16sH", name.encode(), IFF_TUN_NO_PI))
    return descriptor


def _ip(*words: str, check: bool = True) -> None:
    subprocess.run(["ip", *words], check=check, stderr=None if check else subprocess.DEVNULL)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--name", required=True)
    parser.add_argument("--delay-ms", type=float, default=0.0)
    parser.add_argument("--jitter-ms", type=float, default=0.0)
    parser.add_argument("--loss", type=float, default=0.0)
    args = parser.parse_args()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    here, there = f"mph{os.getpid()}", f"mpt{os.getpid()}"
    try:
        ends = _tun(here), _tun(there)
        _ip("netns", "add", args.name)
        _ip("link", "set", there, "netns", args.name)
        _ip("addr", "add", f"{HERE}/24", "dev", here)
        _ip("link", "set", here, "up")
        for words in (f"addr add {THERE}/24 dev {there}", f"link set {there} up", "link set lo up"):
            _ip("-n", args.name, *words.split())
        print("ready", flush=True)
        relay(ends, Faults(args.delay_ms, args.jitter_ms, args.loss))
    finally:
        _ip("netns", "del", args.name, check=False)


if __name__ == "__main__":
    main()
