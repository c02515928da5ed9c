"""An eye drawn step by step in plain formulas, each on the whole picture before it: what `EyeDrawing` must equal."""

from __future__ import annotations

import cv2
import numpy as np

from models.eye_drawing import GAZE_REACH, LID_FOLLOWS_GAZE, SQUINT_REACH, WIDE_REACH
from models.eyes_builder import EyeParts
from models.lid_skin import RIM, grid


def draw(eye: EyeParts, outwards: float, action: dict[str, float]) -> np.ndarray:
    unit = float(eye.unit_px)
    rows, columns = grid(eye.photo.shape)
    picture = eye.photo
    turn_x = outwards * (action["eyeLookOut"] - action["eyeLookIn"]) * GAZE_REACH * unit
    turn_y = 0.7 * (action["eyeLookDown"] - action["eyeLookUp"]) * GAZE_REACH * unit
    if turn_x or turn_y:
        picture = turned(eye, rows, columns, turn_x, turn_y)
    raised = (action["eyeWide"] + 0.6 * action["eyeLookUp"]) * WIDE_REACH * unit
    squeezed = action["eyeSquint"] * SQUINT_REACH * unit
    if raised or squeezed:
        reach = 0.07 * unit
        near_upper = np.exp(-0.5 * ((rows - eye.upper) / reach) ** 2) * eye.taper
        near_lower = np.exp(-0.5 * ((rows - eye.lower) / reach) ** 2) * eye.taper
        picture = looked_up(picture, columns, rows + (raised * near_upper + squeezed * near_lower) * eye.border)
    shut = min(1.0, action["eyeBlink"] + LID_FOLLOWS_GAZE * action["eyeLookDown"])
    return shut_eye(eye, rows, columns, picture, shut) if shut > 0 else picture


def turned(eye: EyeParts, rows: np.ndarray, columns: np.ndarray, x: float, y: float) -> np.ndarray:
    room = np.maximum(eye.room_px - 1, 0)
    falloff = np.interp(columns[0], *eye.iris_falloff)
    from_x = columns - float(np.clip(x, -0.75 * room[0], 0.75 * room[1])) * falloff
    top = np.interp(from_x[0], columns[0], eye.upper) + 0.012 * float(eye.unit_px)
    bottom = np.interp(from_x[0], columns[0], eye.lower) - 0.006 * float(eye.unit_px)
    from_y = np.clip(rows - y * falloff, top, np.maximum(bottom, top + 1))
    inside = np.clip(rows - eye.upper, 0, 1.5) * np.clip(eye.lower - rows, 0, 1.5) / 2.25
    return np.round(mixed(eye.photo, looked_up(eye.photo, from_x, from_y), inside)).astype(np.uint8)


def shut_eye(eye: EyeParts, rows: np.ndarray, columns: np.ndarray, picture: np.ndarray, shut: float) -> np.ndarray:
    unit, rim = float(eye.unit_px), RIM * float(eye.unit_px)
    travel = shut * (eye.closing - eye.upper)
    edge = eye.upper + travel
    under = (rows > eye.upper) * np.clip(eye.lower - rows, 0, 1) * np.clip(1 - (rows - edge) / (0.035 * unit), 0, 1)
    out = picture * (1 - 0.35 * min(1.0, 3 * shut) * under * eye.taper)[..., None]
    skin = np.clip((rows - eye.skin_from) / (0.02 * unit), 0, 1) * np.clip(edge - rows + 0.5, 0, 1) * eye.lid_taper
    out = mixed(out, eye.lid, skin * min(1.0, 5 * shut))
    x = min(max((shut - 0.3) / 0.5, 0.0), 1.0)
    own = 1 - x * x * (3 - 2 * x)
    from_y = rows - travel
    above = np.clip((from_y - (eye.upper - rim)) / (0.6 * rim), 0, 1)
    below = np.clip((eye.upper + 0.35 * rim - from_y) / (0.3 * rim), 0, 1)
    out = mixed(out, looked_up(eye.photo, columns, from_y), own * above * below * eye.taper)
    to_closed = (rows + (1 - shut) * (eye.closing - eye.upper)).astype(np.float32)
    lashes = cv2.remap(eye.lashes, columns, to_closed, cv2.INTER_LINEAR)
    return np.round(mixed(out, eye.lash_colour, (1 - own) / 255 * lashes)).astype(np.uint8)


def looked_up(picture: np.ndarray, x: np.ndarray, y: np.ndarray) -> np.ndarray:
    x, y = x.astype(np.float32), y.astype(np.float32)
    return cv2.remap(picture, x, y, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)


def mixed(below: np.ndarray, above: np.ndarray, share: np.ndarray) -> np.ndarray:
    return below + (above - np.asarray(below, np.float64)) * share[..., None]
