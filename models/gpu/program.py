"""Runs the drawing for batches of a few fixed sizes, on CUDA as one captured graph each.
All buffers are made once: a step allocates nothing on the device and launches one graph instead of a thousand kernels.

A batch is filled up to the next size; what the rows beyond it draw is thrown away.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from models.batches import BUCKETS
from models.gpu.atlas import Atlas
from models.gpu.renderer import MOTION, draw

log = logging.getLogger(__name__)

WARM_UPS = 2
"""Runs before a capture, in which libraries choose their kernels and allocate what they keep."""


class Program:
    """buckets: sizes in ascending order. Not for several threads."""

    def __init__(self, atlas: Atlas, buckets: Sequence[int] = BUCKETS) -> None:
        device, most, size = atlas.texels.device, buckets[-1], atlas.room.size
        self._atlas, self._buckets, self._on_gpu = atlas, tuple(buckets), device.type == "cuda"
        self._motion = torch.zeros((most, MOTION), device=device)
        self._slot = torch.zeros(most, dtype=torch.int64, device=device)
        self._out = torch.zeros((most, size, size, 3), dtype=torch.uint8, device=device)
        self._motion_in = torch.zeros((most, MOTION), pin_memory=self._on_gpu)
        self._slot_in = torch.zeros(most, dtype=torch.int64, pin_memory=self._on_gpu)
        self._graphs: dict[int, torch.cuda.CUDAGraph] = {}
        if self._on_gpu:
            self._capture()

    @property
    def graphs(self) -> list[int]:
        """Batch sizes that a graph was captured for; none but on CUDA."""
        return sorted(self._graphs)

    @property
    def most_rows(self) -> int:
        return self._buckets[-1]

    def run(self, motions: NDArray[np.float32], slots: Sequence[int]) -> list[NDArray[np.uint8]]:
        """(S, S, 3) uint8 BGR pictures. motions: (B, MOTION), slots: B of the atlas; at most `most_rows`."""
        count = len(motions)
        rows = next(bucket for bucket in self._buckets if bucket >= count)
        self._motion_in.numpy()[:count] = motions
        self._slot_in.numpy()[:count] = slots
        self._motion[:count].copy_(self._motion_in[:count], non_blocking=True)
        self._slot[:count].copy_(self._slot_in[:count], non_blocking=True)
        if rows in self._graphs:
            self._graphs[rows].replay()
        else:
            self._draw(rows)
        # A buffer for each picture, for they live as long as whoever shows them; freed ones are used again by torch.
        size = self._atlas.room.size
        pictures = [torch.empty((size, size, 3), dtype=torch.uint8, pin_memory=self._on_gpu) for _ in range(count)]
        for picture, drawn in zip(pictures, self._out[:count], strict=True):
            picture.copy_(drawn, non_blocking=True)
        if self._on_gpu:
            done = torch.cuda.Event(blocking=True)
            done.record()
            done.synchronize()
        return [picture.numpy() for picture in pictures]

    def _draw(self, rows: int) -> None:
        with torch.inference_mode():
            draw(self._atlas, self._motion[:rows], self._slot[:rows], self._out[:rows])

    def _capture(self) -> None:
        """A graph for each size. What a device cannot capture is drawn without, more slowly."""
        pool = torch.cuda.graph_pool_handle()
        try:
            # The largest first: the others then find the memory that it takes on its way.
            for rows in reversed(self._buckets):
                self._graphs[rows] = self._captured(rows, pool)
        except RuntimeError:
            log.exception("CUDA graphs could not be captured; pictures are drawn without, more slowly")

    def _captured(self, rows: int, pool: Any) -> torch.cuda.CUDAGraph:
        aside = torch.cuda.Stream()
        aside.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(aside):
            for _ in range(WARM_UPS):
                self._draw(rows)
        torch.cuda.current_stream().wait_stream(aside)
        graph = torch.cuda.CUDAGraph()
        # Other threads may use the GPU meanwhile: an enrolment's landmarks, for one.
        with torch.cuda.graph(graph, pool=pool, capture_error_mode="thread_local"):
            self._draw(rows)
        return graph
