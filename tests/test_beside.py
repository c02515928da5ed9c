"""Programs run beside live sessions: they answer, fail, are taken along, and are not kept on the server's cores."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from realtime import beside, cores
from tests.fake_media import until


async def test_a_program_answers_what_it_is_given() -> None:
    echo = (sys.executable, "-c", "import sys; sys.stdout.write(sys.stdin.read()); sys.stderr.write('so'); sys.exit(3)")
    assert await beside.run(echo, b"hello") == (3, b"hello", b"so")


async def test_long_work_answers_and_fails_as_it_would_here() -> None:
    assert await beside.work(divmod, 7, 2) == (3, 1)
    with pytest.raises(ZeroDivisionError):
        await beside.work(divmod, 7, 0)


async def test_threads_that_wait_are_there_from_the_start() -> None:
    beside.keep_waiting_threads()
    there = threading.active_count()
    meet = threading.Barrier(beside.WAITING_THREADS)
    await asyncio.gather(*(asyncio.to_thread(meet.wait, 10.0) for _ in range(beside.WAITING_THREADS)))
    assert threading.active_count() == there


@pytest.mark.skipif(sys.platform != "linux", reason="threads have no niceness of their own here")
async def test_long_work_may_yield_to_others_and_nobody_else_does() -> None:
    def look() -> tuple[int, int]:
        with ThreadPoolExecutor(1) as started:
            return os.getpriority(os.PRIO_PROCESS, 0), started.submit(os.getpriority, os.PRIO_PROCESS, 0).result()

    usual = os.getpriority(os.PRIO_PROCESS, 0)
    assert await beside.work(look, niceness=min(usual + 3, 19)) == (min(usual + 3, 19),) * 2
    assert await beside.work(look) == (usual, usual)


async def test_a_caller_that_is_cancelled_takes_its_program_along(tmp_path: Path) -> None:
    told = tmp_path / "pid"
    code = f"import os, pathlib, time; pathlib.Path({str(told)!r}).write_text(f'{{os.getpid()}} '); time.sleep(60)"
    call = asyncio.create_task(beside.run((sys.executable, "-c", code), b""))
    await until(lambda: told.exists() and told.read_text().endswith(" "))
    call.cancel()
    with pytest.raises(asyncio.CancelledError):
        await call
    with pytest.raises(ProcessLookupError):
        os.kill(int(told.read_text()), 0)


@pytest.mark.skipif(cores.count() < 2, reason="there is one core only")
def test_what_is_beside_a_process_that_is_kept_on_a_core_uses_them_all() -> None:
    look = "import os; print(len(os.sched_getaffinity(0)))"
    code = f"""
import asyncio, os, sys
from realtime import beside, cores
from tests.fake_media import until
all = cores.count()
cores.pin([cores.available()[0]])
_, said, _ = asyncio.run(beside.run((sys.executable, "-c", "import time; time.sleep(0.2); {look}"), b""))
assert cores.count() == 1 and int(said) == all, (cores.count(), said, all)
assert asyncio.run(beside.work(cores.count)) == all
"""
    subprocess.run([sys.executable, "-c", code], check=True)
