"""One eye drawn as its weights have it: first the ball turns, then the lids are pulled, then the upper one comes down.
Pure arithmetic on arrays; touches nothing.
All that does not depend on the weights is worked out once for an eye; a picture is then a few short passes.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from models.eyes_builder import EyeParts
from models.lid_skin import RIM, grid

Array = NDArray[np.float32]
Patch = NDArray[np.uint8]

GAZE_REACH = 0.045
"""How far an iris goes at weight 1, in eye distances: about 20 degrees. Idle motion uses up to half of it."""

LID_FOLLOWS_GAZE = 0.30
"""Share of a blink that the lid does when the eye looks down at weight 1."""

WIDE_REACH, SQUINT_REACH = 0.022, 0.025
"""Travel of the upper lid at eyeWide 1 and of the lower lid at eyeSquint 1, in eye distances."""

LID_SHADOW, SHADOW_REACH = 0.35, 0.035
"""Of the lid on the eye below it: share of the light taken, and how far down, in eye distances."""


class EyeDrawing:
    """outwards: -1 for the subject's right eye, which is on the left of the picture, 1 for the left one.

    For each column: iris_falloff, how much of a turn it follows; ball_from, ball_to, rows between which a turned ball
    is looked up; way, of the lid. For each pixel (h, w): ball, 1 where the eye is open; raising, squeezing, how much
    it follows the rims; shaded, where a lid throws its shadow; below_skin, where it may lie. most_left, most_right:
    px of a turn.
    """

    def __init__(self, eye: EyeParts, outwards: float) -> None:
        self._eye, self._outwards = eye, outwards
        self._unit = unit = float(eye.unit_px)
        self._rows, self._columns = rows, columns = grid(eye.photo.shape)
        self.iris_falloff = np.interp(columns[0], *eye.iris_falloff).astype(np.float32)
        room = np.maximum(eye.room_px - 1, 0)  # left and right of the iris
        self.most_left, self.most_right = (-0.75 * room[0], 0.75 * room[1])
        # Pixels of a turned ball are looked up between the rims only, so that no lash is dragged into the white.
        self.ball_from, self.ball_to = eye.upper + 0.012 * unit, eye.lower - 0.006 * unit
        self._ball_rims = np.stack([self.ball_from, self.ball_to]).astype(np.float32)
        self.ball = (np.clip(rows - eye.upper, 0, 1.5) * np.clip(eye.lower - rows, 0, 1.5) / 2.25).astype(np.float32)
        self._not_ball = 1 - self.ball
        fading = eye.taper * eye.border
        self.raising, self.squeezing = (
            (np.exp(-0.5 * ((rows - rim) / (0.07 * unit)) ** 2) * fading).astype(np.float32)
            for rim in (eye.upper, eye.lower)
        )
        self.way = eye.closing - eye.upper
        self.shaded = ((rows > eye.upper) * np.clip(eye.lower - rows, 0, 1) * eye.taper).astype(np.float32)
        self.below_skin = (np.clip((rows - eye.skin_from) / (0.02 * unit), 0, 1) * eye.lid_taper).astype(np.float32)
        self._lid = eye.lid.astype(np.float32)
        self._lash_colour = np.broadcast_to(eye.lash_colour, eye.lid.shape).astype(np.float32)

    def draw(self, action: dict[str, float]) -> Patch:
        """(h, w, 3) the eye's box. action: weights of the shapes `eyeBlink` and so on, without the side."""
        picture = self._eye.photo
        turn_x, turn_y, raised, squeezed = reaches(action, self._outwards, self._unit)
        if turn_x or turn_y:
            picture = self._turned(turn_x, turn_y)
        if raised or squeezed:
            from_rows = self._rows + raised * self.raising + squeezed * self.squeezing
            picture = _looked_up(picture, self._columns, from_rows)
        shut = min(1.0, action["eyeBlink"] + LID_FOLLOWS_GAZE * action["eyeLookDown"])
        return self._shut(picture, shut) if shut > 0 else picture

    def _turned(self, shift_x: float, shift_y: float) -> Patch:
        """The iris moved by a shift in px, the white stretched and squeezed beside it, nothing outside the open eye
        touched."""
        eye, columns = self._eye, self._columns[0]
        shift_x = min(max(shift_x, self.most_left), self.most_right)
        from_x = columns - shift_x * self.iris_falloff
        from_x = cv2.repeat(from_x[None], len(self._rows), 1)
        top, bottom = cv2.remap(
            self._ball_rims, from_x[:2], self._rows[:2], cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE
        )
        from_y = self._rows - shift_y * self.iris_falloff
        np.maximum(from_y, top, out=from_y)
        np.minimum(from_y, np.maximum(bottom, top + 1), out=from_y)
        ball = _looked_up(eye.photo, from_x, from_y)
        return np.asarray(cv2.blendLinear(ball, eye.photo, self.ball, self._not_ball), np.uint8)

    def _shut(self, picture: Patch, shut: float) -> Patch:
        """The upper lid brought down by the share `shut` of its way."""
        eye, rows, unit = self._eye, self._rows, self._unit
        rim = RIM * unit
        travel = shut * self.way
        under_edge = rows - (eye.upper + travel)
        # The lid throws a shadow on the eye under it.
        dark = _within(1 - under_edge / (SHADOW_REACH * unit))
        dark *= self.shaded
        dark *= LID_SHADOW * min(1.0, 3 * shut)
        # Skin where the rim has gone from.
        skin = _within(0.5 - under_edge)
        skin *= self.below_skin
        skin *= min(1.0, 5 * shut)
        layers: list[tuple[NDArray, Array]] = [(self._lid, skin)]
        # The photo's own rim and lashes ride down on the edge, and give way to lowered lashes.
        own = 1 - _smooth((shut - 0.3) / 0.5)
        if own > 0:
            from_rows = rows - travel
            share = _within((from_rows - (eye.upper - rim)) / (0.6 * rim))
            share *= _within((eye.upper + 0.35 * rim - from_rows) / (0.3 * rim))
            share *= own * eye.taper
            layers.append((_looked_up(eye.photo, self._columns, from_rows), share))
        if own < 1:
            to_closed = rows + (1 - shut) * self.way
            lashes = cv2.remap(eye.lashes, self._columns, to_closed, cv2.INTER_LINEAR)
            layers.append((self._lash_colour, lashes * np.float32((1 - own) / 255)))
        # All layers are added up at once, each by what those above it leave of it.
        left, out = np.ones_like(rows), np.zeros(picture.shape, np.float32)
        for layer, share in reversed(layers):
            out += _weighted(layer, share * left)
            left *= 1 - share
        out += _weighted(picture, left * (1 - dark))
        return np.asarray(cv2.convertScaleAbs(out), np.uint8)


def reaches(action: Mapping[str, Any], outwards: Any, unit_px: Any) -> tuple[Any, Any, Any, Any]:
    """Pixels by which the ball turns right and down and the upper and lower rim go up. Numbers, or arrays of them."""
    turn_x = outwards * (action["eyeLookOut"] - action["eyeLookIn"])
    turn_y = 0.7 * (action["eyeLookDown"] - action["eyeLookUp"])
    raised = action["eyeWide"] + 0.6 * action["eyeLookUp"]
    turn_px = GAZE_REACH * unit_px
    return (
        turn_x * turn_px,
        turn_y * turn_px,
        raised * WIDE_REACH * unit_px,
        action["eyeSquint"] * SQUINT_REACH * unit_px,
    )


def _looked_up(picture: Patch, columns: Array, rows: Array) -> Patch:
    return np.asarray(cv2.remap(picture, columns, rows, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE), np.uint8)


def _weighted(picture: NDArray, share: Array) -> Array:
    """(h, w, 3) times (h, w); cv2, for numpy is slow where three numbers meet one."""
    return np.asarray(cv2.multiply(picture, cv2.cvtColor(share, cv2.COLOR_GRAY2BGR), dtype=cv2.CV_32F), np.float32)


def _within(values: Array) -> Array:
    """Clipped to 0..1, in place: half the time of `np.clip` on arrays as small as an eye."""
    np.maximum(values, 0, out=values)
    return np.minimum(values, 1, out=values)


def _smooth(x: float) -> float:
    x = min(max(x, 0.0), 1.0)
    return x * x * (3 - 2 * x)
