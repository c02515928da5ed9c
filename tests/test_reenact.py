"""The bench's own arithmetic: F and V are told from open lips, and a mouth is like itself."""

import numpy as np

from bench import measures
from bench.reenact import figures


def clip(gap: np.ndarray) -> np.ndarray:
    """(T, 478, 2) landmarks with eyes 100 px apart and lips `gap` (T,) eye distances open; the jaw does the opening."""
    points = np.zeros((len(gap), 478, 2))
    points[:, 33], points[:, 263] = (0, 0), (100, 0)
    points[:, measures.NOSE_TIP] = (50, 40)
    for index in measures.INNER_UPPER:
        points[:, index] = (50, 80)
    points[:, measures.INNER_LOWER, 0] = 50
    points[:, measures.INNER_LOWER, 1] = 80 + 100 * gap[:, None]
    points[:, 61], points[:, 291] = (30, 82), (70, 82)
    return points


def test_lips_near_the_teeth_are_told_from_open_ones() -> None:
    gap = np.full(50, 0.1)
    gap[20:25] = 0.02
    track = measures.Track(np.arange(50) / 25, clip(gap))
    assert measures.labiodentals(track, [("F", 0.8, 0.96)]) == 1
    assert measures.labiodentals(track, [("V", 1.4, 1.5)]) == 0


def test_a_film_is_like_itself_and_unlike_another() -> None:
    random = np.random.default_rng(0)
    film, other = (clip(np.abs(np.convolve(random.normal(0, 0.1, 79), np.ones(5) / 5, "valid"))) for _ in range(2))
    sound = random.normal(0, 0.1, 48000).astype(np.float32)
    phones = [("SIL", 0.0, 1.0), ("AA", 1.0, 2.0), ("P", 2.0, 2.2), ("SIL", 2.2, 3.0)]
    assert figures([film], [film], [sound], [phones])["reenactment"] == 1
    assert figures([film], [other], [sound], [phones])["reenactment"] < 0.7
