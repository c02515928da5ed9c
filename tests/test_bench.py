"""The benches' own arithmetic, and the network that they make worse."""

from __future__ import annotations

import os
import socket
import threading
import time

import pytest

pytest.importorskip("psutil")  # the `bench` extra

from bench import interrupt, network, soak
from bench.network import Faults


def packet(number: int, protocol: int = network.UDP) -> bytes:
    """An IPv4 header with a number behind it."""
    return bytes([0x45]) + bytes(8) + bytes([protocol]) + bytes(10) + number.to_bytes(4, "big")


def through(faults: Faults, packets: list[bytes]) -> list[tuple[int, float]]:
    """What comes out of a relay, in order: the packets' numbers, and seconds after they went in."""
    near, ours = socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM)
    far, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM)
    ends = os.dup(ours.fileno()), os.dup(theirs.fileno())
    threading.Thread(target=network.relay, args=(ends, faults), daemon=True).start()
    began = time.monotonic()
    for one in packets:
        near.send(one)
    far.settimeout(0.3)
    arrived = []
    try:
        while True:
            data = far.recv(4096)
            arrived.append((int.from_bytes(data[20:24], "big"), time.monotonic() - began))
    except TimeoutError:
        return arrived


def test_a_clean_relay_changes_nothing() -> None:
    assert [number for number, _ in through(Faults(), [packet(i) for i in range(50)])] == list(range(50))


def test_a_relay_delays_and_loses_udp_and_leaves_the_rest() -> None:
    arrived = through(Faults(delay_ms=30, loss=0.5), [packet(i) for i in range(100)])
    assert 25 < len(arrived) < 75 and min(at for _, at in arrived) >= 0.03
    calls = through(Faults(delay_ms=30, loss=1.0), [packet(i, protocol=6) for i in range(20)])
    assert [number for number, _ in calls] == list(range(20)) and calls[0][1] < 0.03


def test_jitter_puts_packets_out_of_order() -> None:
    numbers = [number for number, _ in through(Faults(jitter_ms=40), [packet(i) for i in range(50)])]
    assert sorted(numbers) == list(range(50)) != numbers


def test_growth_is_the_trend_and_not_two_readings() -> None:
    noisy = [(cycles, 1000 + (5 if cycles % 20 else -5)) for cycles in range(0, 100, 10)]
    assert abs(soak._trend(noisy)) <= 5
    assert soak._trend([(cycles, 1000 + cycles) for cycles in range(0, 100, 10)]) == pytest.approx(90)


def test_a_mouth_is_shut_when_no_open_one_follows() -> None:
    jaws = [(40.0 * i, jaw) for i, jaw in enumerate([0.2, 0.3, 0.1, 0.0, 0.2, 0.01, 0.0, 0.0, 0.3])]
    assert interrupt.shut_after(jaws, 30.0, 310.0) == 200.0
    assert interrupt.shut_after(jaws, 110.0, 310.0) is None  # shut already when it was asked for
    assert interrupt.shut_after(jaws, 30.0, 90.0) is None  # not shut in this time
