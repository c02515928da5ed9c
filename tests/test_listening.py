"""A listener nods now and then, looks at the speaker, and does neither when nobody speaks."""

from __future__ import annotations

import numpy as np

from models.blendshapes import ARKIT_INDEX
from models.gaze import FULL_SIDE_DEG, LOOK_DEG
from models.idle import IdleModel
from models.listening import ListeningState, acknowledgement_deg, listening_step
from models.rates import FPS
from models.style import Style
from models.voice import VoiceFeatures

LOOKS = [i for name, i in ARKIT_INDEX.items() if name.startswith("eyeLook")]


def nods(heard: np.ndarray, seed: int = 1, speaking: bool = False) -> np.ndarray:
    """Degrees down at each chunk."""
    state, out = ListeningState(seed), []
    for index, level in enumerate(heard):
        state = listening_step(index, float(level), speaking, state)
        out.append(acknowledgement_deg(index, state))
    return np.array(out)


def test_listeners_nod_now_and_then_and_never_like_a_clock() -> None:
    talk = np.where(np.arange(300 * FPS) % 120 < 90, 0.8, 0.0)
    starts = [np.flatnonzero((a[:-1] == 0) & (a[1:] > 0)) for a in (nods(talk, seed) for seed in range(4))]
    for at in starts:
        assert 4 <= len(at) / 5 <= 18
        assert np.diff(at).std() > 0.2 * np.diff(at).mean()
    at_pause = np.mean([(at % 120 >= 88) & (at % 120 < 100) for at in starts for at in at])
    assert at_pause > 2 * 12 / 120


def test_nobody_nods_at_silence_or_while_speaking() -> None:
    assert not nods(np.zeros(60 * FPS)).any()
    assert not nods(np.full(60 * FPS, 0.9), speaking=True).any()


def live(style: Style, seconds: float = 120, seed: int = 5) -> tuple[np.ndarray, np.ndarray]:
    model, state, weights, heads = IdleModel(), IdleModel().initial_state(seed), [], []
    for index in range(round(seconds * FPS)):
        motion, state = model.step(index, VoiceFeatures(), style, state)
        weights.append(motion.weights)
        heads.append(motion.head)
    return np.array(weights), np.array(heads)


def test_a_listener_looks_away_less_but_does_not_stare() -> None:
    away = [
        np.mean(live(Style(head=0, blink=False, listening=level), 200)[0][:, LOOKS].max(1) > 0.15)
        for level in (0.0, 1.0)
    ]
    assert 0.1 < away[1] < 0.85 * away[0] < 0.25


def test_a_wanted_look_is_taken_at_once_and_the_head_comes_along() -> None:
    model, state, eyes, yaws = IdleModel(), IdleModel().initial_state(5), [], []
    for index in range(100):
        style = Style(look="left", blink=False) if index >= 50 else Style(look="viewer", blink=False)
        motion, state = model.step(index, VoiceFeatures(), style, state)
        side = motion.weights[ARKIT_INDEX["eyeLookOutLeft"]] - motion.weights[ARKIT_INDEX["eyeLookOutRight"]]
        eyes.append(side * FULL_SIDE_DEG + np.degrees(motion.head[0]))
        yaws.append(np.degrees(motion.head[0]))
    assert abs(eyes[49]) < 2 and abs(eyes[53] - LOOK_DEG["left"][0]) < 3, "within two frames"
    assert np.mean(yaws[80:]) < np.mean(yaws[30:50]) - 2
    assert np.abs(np.diff(yaws)).max() < 1.5, "but not in a jump"


def test_looking_at_the_viewer_knows_no_glances() -> None:
    assert live(Style(head=0, blink=False, look="viewer"), 150)[0][:, LOOKS].max() < 0.1
