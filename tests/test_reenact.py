"""The bench's own arithmetic: F and V are told from open lips, and a mouth is like itself."""

from pathlib import Path

import av
import numpy as np

from bench import films, measures
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


def test_a_film_is_read_at_25_frames_with_its_sound_in_step(tmp_path: Path) -> None:
    """A film of 30 frames a second whose grey and loudness rise together in its second half."""
    path = tmp_path / "film.mp4"
    with av.open(str(path), "w") as film:
        video, sound = film.add_stream("libx264", 30), film.add_stream("aac", 48000, layout="mono")
        video.width, video.height, video.pix_fmt = 64, 64, "yuv420p"
        for k in range(60):
            grey = np.full((64, 64, 3), 200 if k >= 30 else 20, np.uint8)
            film.mux(video.encode(av.VideoFrame.from_ndarray(grey, "rgb24")))
        tone = 0.5 * np.sin(np.arange(96000) * 0.06).astype(np.float32) * (np.arange(96000) >= 48000)
        for start in range(0, 96000, 1024):
            frame = av.AudioFrame.from_ndarray(tone[None, start : start + 1024], "fltp", "mono")
            frame.sample_rate, frame.pts = 48000, start
            film.mux(sound.encode(frame))
        film.mux(video.encode(None))
        film.mux(sound.encode(None))
    seen = films.read(path, most_s=10)
    assert len(seen.frames) == 50
    light = np.array([frame.mean() for frame in seen.frames])
    loud = np.array([np.abs(seen.sound[k * 640 : (k + 1) * 640]).mean() for k in range(len(seen.sound) // 640)])
    assert abs(int((light > 100).argmax()) - 25) <= 1
    assert abs(int((loud > 0.1).argmax()) - 25) <= 1
    assert len(films.read(path, most_s=1).frames) == 25


def test_a_film_whose_sound_is_late_is_put_in_step() -> None:
    mouth = np.random.default_rng(0).normal(size=80)
    best, lag_ms = films.in_step(mouth[:-2], mouth[2:])
    assert lag_ms == -80
    assert best > 0.99
    assert films.correlation(mouth[:-2], mouth[2:]) < 0.5
