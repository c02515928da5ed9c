"""What makes a session speak: text through a synthesizer, and live PCM, both into the session's speech queue.

Touches the event loop. Texts are synthesized one after the other while they are played; a full queue makes the
synthesizer wait, and refuses PCM.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from contextlib import aclosing

import numpy as np
from numpy.typing import NDArray

from realtime.direction import Cue
from realtime.errors import BadMessage, MouthpieceError, SynthesisFailed, TooMuchWaiting
from realtime.marks import Script
from realtime.narration import narrate
from realtime.speech_queue import SpeechQueue, Utterance
from realtime.timebase import AUDIO_RATE
from realtime.tts import SpeechSynthesizer

log = logging.getLogger(__name__)

MAX_TEXTS = 16
"""Texts that may wait to be spoken."""

ANSWER_S = 2.0
"""How long `say` waits to hear whether the speech begins; errors after that are reported as events."""


class Speaker:
    """Texts of one session. `on_error` hears what fails after `say` has returned."""

    def __init__(
        self, queue: SpeechQueue, synthesizer: SpeechSynthesizer, on_error: Callable[[MouthpieceError], None]
    ) -> None:
        self._queue = queue
        self._synthesizer = synthesizer
        self._on_error = on_error
        self._tasks: set[asyncio.Task[None]] = set()
        self._turn = asyncio.Lock()
        self._room = asyncio.Event()

    async def say(self, script: Script, voice: str | None, on_end: Callable[[bool], None]) -> None:
        """Queues a text with its marks. Raises BadMessage (marks alone), TooMuchWaiting, and what the synthesizer says
        at once (unknown voice, no server).
        """
        if script.is_empty:
            raise BadMessage("there is nothing to say beside the marks; add words or a pause, or set the style itself")
        if len(self._tasks) >= MAX_TEXTS:
            raise TooMuchWaiting(f"{MAX_TEXTS} texts are waiting already; let some be spoken first, or interrupt")
        utterance = self._queue.begin(on_end)
        begun: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        task = asyncio.create_task(self._feed(utterance, script, voice, begun), name="speak")
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        await asyncio.wait({begun}, timeout=ANSWER_S)
        if begun.done():
            begun.result()
        else:
            begun.cancel()

    def made_room(self) -> None:
        """The queue was read from."""
        self._room.set()

    def cancel(self) -> None:
        """Stops all synthesis. Their utterances are the queue's to drop."""
        for task in self._tasks:
            task.cancel()

    async def _feed(self, utterance: Utterance, script: Script, voice: str | None, begun: asyncio.Future[None]) -> None:
        try:
            async with self._turn, aclosing(narrate(script, self._synthesizer, voice)) as parts:  # type: ignore[type-var]
                async for part in parts:
                    if isinstance(part, Cue):
                        self._queue.cue(utterance, part)
                        continue
                    await self._push(utterance, part)
                    if not begun.done():
                        begun.set_result(None)
        except MouthpieceError as error:
            self._report(error, utterance, begun)
        except Exception:
            log.exception("speech synthesis failed")
            self._report(SynthesisFailed("the text could not be spoken; try again"), utterance, begun)
        finally:
            self._queue.finish(utterance)
            if not begun.done():
                begun.set_result(None)

    async def _push(self, utterance: Utterance, block: NDArray[np.float32]) -> None:
        for second in np.split(block, range(AUDIO_RATE, len(block), AUDIO_RATE)):
            while self._queue.room_s * AUDIO_RATE < len(second) and not utterance.cancelled:
                self._room.clear()
                await self._room.wait()
            self._queue.push(utterance, second)

    def _report(self, error: MouthpieceError, utterance: Utterance, begun: asyncio.Future[None]) -> None:
        utterance.on_end = None
        if not begun.done():
            begun.set_exception(error)
        else:
            self._on_error(error)


class PcmFeed:
    """One client's live sound: an utterance that begins with the first sample and ends with `flush`."""

    def __init__(self, queue: SpeechQueue) -> None:
        self._queue = queue
        self._utterance: Utterance | None = None

    def push(self, samples: NDArray[np.float32]) -> None:
        """(n,) float32 at 48 kHz. Raises TooMuchWaiting."""
        if self._utterance is None or self._utterance.cancelled:
            self._utterance = self._queue.begin(open_ended=True)
        self._queue.push(self._utterance, samples)

    def flush(self, on_end: Callable[[bool], None]) -> None:
        """Ends the utterance; `on_end` is told when it has been played, at once if there is none."""
        if self._utterance is None or self._utterance.cancelled:
            on_end(self._utterance is None)
        else:
            self._utterance.on_end = on_end
            self._queue.finish(self._utterance)
        self._utterance = None

    def close(self) -> None:
        """The client is gone; what it pushed is still played."""
        if self._utterance is not None:
            self._queue.finish(self._utterance)
