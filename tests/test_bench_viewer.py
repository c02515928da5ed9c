"""bench.viewer: which pictures count as received."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from bench.viewer import Pictures


def _count(packets: list[tuple[int, bool]]) -> int:
    pictures = Pictures()
    for sequence, is_last in packets:
        pictures.packet(sequence, is_last, 1000)
    return pictures.whole


@given(
    first=st.integers(0, 65_535),
    sizes=st.lists(st.integers(1, 4), min_size=2, max_size=12),
    lost=st.none() | st.integers(0, 40),
)
def test_pictures_count_where_no_packet_is_missing(first: int, sizes: list[int], lost: int | None) -> None:
    frames = [index for index, size in enumerate(sizes) for _ in range(size)]
    ends = {sum(sizes[: index + 1]) - 1 for index in range(len(sizes))}
    packets = [((first + i) & 0xFFFF, i in ends) for i in range(len(frames)) if i != lost]
    # What came before is unknown, so the first picture is not counted.
    whole = set(frames) - {0}
    if lost is not None and lost < len(frames):
        whole -= {frames[lost]}
        if lost in ends:  # without the mark the next picture runs on from this one
            whole -= {frames[lost] + 1}
    assert _count(packets) == len(whole)
