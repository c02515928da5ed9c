"""Programs run beside live sessions: they answer, fail, are taken along, and are not kept on the server's cores."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
from pathlib import Path

import pytest

from realtime import beside, cores
from tests.fake_media import until


async def test_a_program_answers_what_it_is_given() -> None:
    echo = (sys.executable, "-c", "import sys; sys.stdout.write(sys.stdin.read()); sys.stderr.write('so'); sys.exit(3)")
    assert await beside.run(echo, b"hello") == (3, b"hello", b"so")


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
def test_programs_of_a_process_that_is_kept_on_a_core_use_them_all() -> None:
    look = "import os; print(len(os.sched_getaffinity(0)))"
    code = f"""
import asyncio, os, sys
from realtime import beside, cores
from tests.fake_media import until
all = cores.count()
cores.pin([cores.available()[0]])
_, said, _ = asyncio.run(beside.run((sys.executable, "-c", "import time; time.sleep(0.2); {look}"), b""))
assert cores.count() == 1 and int(said) == all, (cores.count(), said, all)
"""
    subprocess.run([sys.executable, "-c", code], check=True)
