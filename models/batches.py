"""Sizes of the batches that a GPU is made ready for: fixed ones, so that nothing is planned or allocated in a step."""

from __future__ import annotations

BUCKETS = (1, 2, 4, 8, 16, 32, 64, 128)
"""A batch is filled up to the next of these; a larger one is run in parts."""


def bucket_of(rows: int) -> int:
    """The least size that holds `rows`, which are at most the largest."""
    return next(bucket for bucket in BUCKETS if bucket >= rows)
