"""How the shipped avatars look and what a frame costs: contact sheets, and figures of every pose against its photo.
Reads models/avatars and the landmark network; writes OUT/sheet_NAME.jpg and bench/results/face.json.
Times are of this thread (`time.thread_time`), on one core, so that other work on the machine does not count; with
`--device cuda` pictures are drawn by the GPU, one at a time, and times are the clock's.

    python -m bench.face [--out DIR] [--avatar NAME ...] [--size 512] [--device cuda] [--data DIR [--clips 12]]

sharpness: Laplacian variance of mouth and cheeks against the photo's. seam: gradient where the upper lip's layer ends
against that beside it, over the photo's. drift: mean difference from the photo outside head and shoulders (0..255).
identity: zero-mean normalised cross-correlation of the upper face, head not turned.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

import models
from bench import reenact, results
from models.blendshapes import ARKIT_INDEX, HEAD_NAMES, FaceMotion
from models.enroll import enroll
from models.generator import FrameGenerator
from models.identity import Identity
from models.landmarks import LandmarkModel
from models.rig import Gestures, weights_of
from models.runtime import drawing_device

AVATARS = Path(models.__file__).with_name("avatars")
CELL_PX, CLOSE_PX = 176, 264
COLUMNS, CLOSE_COLUMNS = 9, 6

Draw = Callable[[FaceMotion], NDArray[np.uint8]]


def shapes(**named: float) -> NDArray[np.float32]:
    """(52,) weights from names; `mouthSmile` stands for both sides."""
    out = np.zeros(len(ARKIT_INDEX), np.float32)
    for name, value in named.items():
        for full in (name, f"{name}Left", f"{name}Right"):
            if full in ARKIT_INDEX:
                out[ARKIT_INDEX[full]] = value
    return out


def motion(weights: NDArray[np.float32], **head: float) -> FaceMotion:
    turn = np.zeros(len(HEAD_NAMES), np.float32)
    for name, value in head.items():
        turn[HEAD_NAMES.index(name)] = value
    return FaceMotion(weights, turn)


SPEECH = {
    "PP": Gestures(jaw=0.1, closure=1.0),
    "aa .5": Gestures(jaw=0.5, lip_open=0.5),
    "aa 1": Gestures(jaw=1.0, lip_open=1.0),
    "E": Gestures(jaw=0.5, lip_open=0.7, spread=0.3),
    "I": Gestures(jaw=0.2, lip_open=0.4, spread=0.9),
    "O": Gestures(jaw=0.5, lip_open=0.6, rounding=0.7),
    "U": Gestures(jaw=0.2, lip_open=0.2, rounding=1.0),
    "FF": Gestures(jaw=0.1, lip_open=0.2, labiodental=1.0),
    "SS": Gestures(jaw=0.1, lip_open=0.3, spread=0.4),
}
EIGHT_DEGREES = 0.14
POSES: dict[str, FaceMotion] = {
    "rest": FaceMotion.rest(),
    **{name: motion(weights_of(gestures)) for name, gestures in SPEECH.items()},
    "smile": motion(shapes(mouthSmile=0.5, cheekSquint=0.2)),
    "blink": motion(shapes(eyeBlink=1.0)),
    "brows": motion(shapes(browInnerUp=0.5, browOuterUp=0.5)),
    "yaw -8": motion(shapes(), yaw=-EIGHT_DEGREES),
    "yaw +8": motion(shapes(), yaw=EIGHT_DEGREES),
    "pitch +8, aa": motion(weights_of(SPEECH["aa .5"]), pitch=EIGHT_DEGREES),
    "pitch -8": motion(shapes(), pitch=-EIGHT_DEGREES),
    "roll +8, E": motion(weights_of(SPEECH["E"]), roll=EIGHT_DEGREES),
}
CLOSE = ("rest", *SPEECH, "smile", "blink")


def labelled(picture: NDArray[np.uint8], side: int, name: str, size: float = 0.45) -> NDArray[np.uint8]:
    method = cv2.INTER_AREA if picture.shape[0] > side else cv2.INTER_CUBIC
    cell = np.asarray(cv2.resize(picture, (side, side), interpolation=method), np.uint8)
    for colour, width in ((0, 0, 0), 3), ((255, 255, 255), 1):
        at = (4, round(36 * size))
        cv2.putText(cell, name, at, cv2.FONT_HERSHEY_SIMPLEX, size, colour, width, cv2.LINE_AA)
    return cell


def grid(cells: list[NDArray[np.uint8]], columns: int) -> NDArray[np.uint8]:
    blank = np.zeros_like(cells[0])
    cells = cells + [blank] * (-len(cells) % columns)
    return np.vstack([np.hstack(cells[i : i + columns]) for i in range(0, len(cells), columns)])


def close_up(identity: Identity, frame: NDArray[np.uint8], name: str) -> NDArray[np.uint8]:
    """The mouth, or the eyes for a blink."""
    half, above = 0.5 * identity.unit_px, 0.9 if name == "blink" else -0.08
    x, y = identity.upper_line.mean(0) - identity.lip_down * above * identity.unit_px
    corner = np.clip([x - half, y - half], 0, len(frame) - 2 * half).astype(int)
    return frame[corner[1] : corner[1] + int(2 * half), corner[0] : corner[0] + int(2 * half)]


def sheet(identity: Identity, frames: dict[str, NDArray[np.uint8]]) -> NDArray[np.uint8]:
    """All poses, and below them the mouth (and the shut eyes) from near."""
    top = grid([labelled(frame, CELL_PX, name) for name, frame in frames.items()], COLUMNS)
    cells = [labelled(close_up(identity, frames[name], name), CLOSE_PX, name) for name in CLOSE]
    return np.vstack([top, grid(cells, CLOSE_COLUMNS)])


def sharpness(identity: Identity, frame: NDArray[np.uint8]) -> float:
    """Laplacian variance around the mouth against the photo's."""
    x, y = identity.upper_line.mean(0)
    reach = 0.45 * identity.unit_px
    area = np.s_[int(y - reach) : int(y + 0.8 * reach), int(max(x - reach, 0)) : int(x + reach)]

    def detail(picture: NDArray[np.uint8]) -> float:
        return float(cv2.Laplacian(cv2.cvtColor(picture[area], cv2.COLOR_BGR2GRAY), cv2.CV_32F).var())

    return detail(frame) / detail(identity.picture)


def seam(generator: FrameGenerator, weights: NDArray[np.float32], frame: NDArray[np.uint8]) -> float:
    """Mean gradient on the arch where the upper lip's layer ends, followed to where it is now, against the strips
    beside it; over the same ratio of the photo."""
    own = generator.identity
    outline, _ = cv2.findContours(
        (own.upper_texture[..., 3] > 127).astype(np.uint8), cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE
    )
    arch = max(outline, key=len)[:, 0].astype(np.float32)
    arch = arch[(arch - own.upper_line.mean(0)) @ own.lip_down < -0.04 * own.unit_px]

    def ratio(picture: NDArray[np.uint8], at: NDArray[np.float32]) -> float:
        line = np.zeros(picture.shape[:2], np.uint8)
        for x, y in np.round(at).astype(int).tolist():
            cv2.circle(line, (x, y), 2, 1, -1)
        beside = cv2.dilate(line, np.ones((17, 17), np.uint8)) - cv2.dilate(line, np.ones((5, 5), np.uint8))
        grey = cv2.cvtColor(picture, cv2.COLOR_BGR2GRAY).astype(np.float32)
        slope = np.hypot(cv2.Sobel(grey, cv2.CV_32F, 1, 0), cv2.Sobel(grey, cv2.CV_32F, 0, 1))
        return float(slope[line > 0].mean() / slope[beside > 0].mean())

    return ratio(frame, generator.follow(weights, arch, upper=True)) / ratio(own.picture, arch)


def drift(identity: Identity, frame: NDArray[np.uint8]) -> float:
    """Mean difference from the photo where the head is not held and no expression reaches."""
    size = frame.shape[0]
    hold = cv2.resize(identity.hold.astype(np.float32), (size, size), interpolation=cv2.INTER_LINEAR)
    outside = hold < 0.02
    step = identity.step_px
    left, top, right, bottom = (identity.base_box * step).tolist()
    outside[top:bottom, left:right] &= hold[top:bottom, left:right] < 0.002
    difference = np.abs(frame.astype(np.float32) - identity.picture).mean(2)
    return float(difference[outside].mean()) if outside.any() else 0.0


def likeness(identity: Identity, frame: NDArray[np.uint8]) -> float:
    """Correlation of the face above the mouth with the photo."""
    x, y = identity.upper_line.mean(0) - identity.lip_down * 0.95 * identity.unit_px
    reach = identity.unit_px * np.array([0.65, 0.5])
    rows = slice(max(int(y - reach[1]), 0), int(y + reach[1]))
    columns = slice(max(int(x - reach[0]), 0), int(x + reach[0]))
    a, b = (picture[rows, columns].astype(np.float64) for picture in (frame, identity.picture))
    a, b = a - a.mean(), b - b.mean()
    return float((a * b).sum() / np.sqrt((a * a).sum() * (b * b).sum()))


def drawer(generator: FrameGenerator, device: str) -> Draw:
    """What draws the face on `device`."""
    if drawing_device(device) == "cpu":
        return generator.render
    from models.gpu.drawing import Drawing

    drawing = Drawing("cuda", 0, 1)
    return lambda value: drawing.render([(generator, value)])[0]


def frame_ms(draw: Draw, clock: Callable[[], float] = time.thread_time, rounds: int = 3) -> list[float]:
    """Milliseconds of each pose, the head slightly turned and an eye half shut as in a live session."""
    out = []
    for _ in range(rounds):
        for pose in POSES.values():
            weights = np.maximum(pose.weights, shapes(eyeBlink=0.3, eyeLookOut=0.1))
            live = FaceMotion(weights, pose.head + np.float32(0.02))
            began = clock()
            draw(live)
            out.append(1000 * (clock() - began))
    return out


def measured(name: str, finder: LandmarkModel, size_px: int, device: str, out: Path) -> dict[str, object]:
    photo = cv2.imread(str(AVATARS / name / "photo.jpg"))
    began = time.thread_time()
    identity = enroll(np.asarray(photo, np.uint8), finder, size_px).identity
    enrolment_ms = 1000 * (time.thread_time() - began)
    generator = FrameGenerator(identity)
    draw = drawer(generator, device)
    frames = {pose: draw(value) for pose, value in POSES.items()}
    cv2.imwrite(str(out / f"sheet_{name}.jpg"), sheet(identity, frames), [cv2.IMWRITE_JPEG_QUALITY, 88])
    on_cpu = drawing_device(device) == "cpu"
    times = np.array(frame_ms(draw, time.thread_time if on_cpu else time.perf_counter))
    seams = [seam(generator, POSES[pose].weights, frames[pose]) for pose in (*SPEECH, "smile")]
    speech = [frames[pose] for pose in SPEECH]
    likenesses = [likeness(identity, frames[pose]) for pose in (*SPEECH, "smile")]
    return {
        "avatar": name,
        "enrolment_ms": round(enrolment_ms),
        "frame_ms_p50": round(float(np.median(times)), 1),
        "frame_ms_p95": round(float(np.percentile(times, 95)), 1),
        "sharpness_least": round(min(sharpness(identity, frame) for frame in speech), 2),
        "sharpness_most": round(max(sharpness(identity, frame) for frame in speech), 2),
        "seam_most": round(max(seams), 2),
        "drift_most": round(max(drift(identity, frame) for frame in frames.values()), 2),
        "identity_least": round(min(likenesses), 3),
    }


def main() -> int:
    parser = argparse.ArgumentParser(description="contact sheets and figures of the shipped avatars; reenactment")
    parser.add_argument("--data", type=Path, help="folder that holds grid_s1/: measures reenactment too")
    parser.add_argument("--landmarker", type=Path, help="MediaPipe's face_landmarker.task (default: in DATA)")
    parser.add_argument("--clips", type=int, default=12, help="held-out clips for reenactment")
    parser.add_argument("--out", type=Path, default=Path("out/face"))
    parser.add_argument("--avatar", nargs="*", help="only these")
    parser.add_argument("--size", type=int, default=512)
    parser.add_argument("--device", default="cpu", choices=("auto", "cpu", "cuda"))
    options = parser.parse_args()
    cv2.setNumThreads(1)
    options.out.mkdir(parents=True, exist_ok=True)
    finder = LandmarkModel("cpu")
    names = options.avatar or sorted(path.parent.name for path in AVATARS.glob("*/photo.jpg"))
    rows = [measured(name, finder, options.size, options.device, options.out) for name in names]
    results.table([list(row.values()) for row in rows], list(rows[0]))
    reenacted: dict[str, dict[str, float]] = {}
    if options.data is not None:
        task = options.landmarker or options.data / "face_landmarker.task"
        reenacted = reenact.measure(options.data, task, options.clips)
        print()
        results.table([[name, *row.values()] for name, row in reenacted.items()], ["row", *reenacted["real video"]])
    results.save("face", {"size_px": options.size, "device": options.device, "avatars": rows, "reenactment": reenacted})
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
