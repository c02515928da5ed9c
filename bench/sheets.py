"""Contact sheets: all 52 weights on ten faces, and what speech looks like on faces that are hard to animate.

    python -m bench.sheets [--out docs/pictures] [--only NAME …]

Reads models/avatars, bench/faces and the landmark network; writes OUT/weights_NAME.jpg and OUT/hard_NAME.jpg. Nobody in
them is real (see models/training/avatars.py and hard_faces.py). A weight is shown at the strength that motion uses at
most, which is below 1 for most; jaw and mouth shapes that need an open mouth (tongue, closing) are shown with one.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from bench.face import AVATARS, SPEECH, grid, labelled, motion, shapes
from models.blendshapes import ARKIT_NAMES, FaceMotion
from models.enroll import Enrolment, enroll
from models.generator import FrameGenerator
from models.identity import Identity
from models.landmarks import LandmarkModel
from models.rig import Gestures, weights_of

HARD = Path(__file__).with_name("faces")
WEIGHT_FACES = ("elias", "freya", "iris", "kofi", "mei", "beard", "child", "glasses", "smile", "three_quarter")
AVATAR_CASES = {"freya": "closed_mouth", "kofi": "dark_skin", "iris": "drawing"}
"""Which hard case a shipped avatar stands for."""

CELL_PX, COLUMNS = 88, 9
SPEECH_PX = 136
QUALITY = 72

STRENGTH = {"mouthPucker": 0.6, "mouthFunnel": 0.45, "mouthSmile": 0.55, "mouthRoll": 0.4, "jawOpen": 0.5, "jaw": 0.6,
            "mouthUpperUp": 0.5, "mouthLowerDown": 0.5, "mouthShrug": 0.5, "brow": 0.6, "tongueOut": 0.3, "mouth": 0.6,
            "cheekPuff": 0.5, "noseSneer": 0.5}  # fmt: skip
"""By name or beginning of a name; the first that fits. All others are shown at 1."""

WITH_OPEN_JAW = {"mouthClose": 0.3, "tongueOut": 0.2}


def alone(name: str) -> FaceMotion:
    """One weight as it looks at most."""
    strength = next((value for start, value in STRENGTH.items() if name.startswith(start)), 1.0)
    weights = shapes(**{name: 1.0 if name == "mouthClose" else strength})
    weights += shapes(jawOpen=WITH_OPEN_JAW.get(name, 0.0))
    return motion(weights)


SPOKEN: dict[str, FaceMotion] = {
    "rest": FaceMotion.rest(),
    "PP": motion(weights_of(SPEECH["PP"])),
    "FF": motion(weights_of(SPEECH["FF"])),
    "TH": motion(weights_of(Gestures(jaw=0.25, lip_open=0.4, tongue=1.0))),
    "SS": motion(weights_of(SPEECH["SS"])),
    "E": motion(weights_of(SPEECH["E"])),
    "aa": motion(weights_of(SPEECH["aa 1"])),
    "O": motion(weights_of(SPEECH["O"])),
    "U": motion(weights_of(SPEECH["U"])),
    "blink": motion(shapes(eyeBlink=1.0)),
    "yaw 8, aa": motion(weights_of(SPEECH["aa .5"]), yaw=0.14),
}


def face_crop(identity: Identity, frame: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """The face alone, square."""
    x, y = identity.upper_line.mean(0) - identity.lip_down * 0.42 * identity.unit_px
    half = 0.98 * identity.unit_px
    corner = np.clip([x - half, y - half], 0, len(frame) - 2 * half).astype(int)
    side = int(2 * half)
    return frame[corner[1] : corner[1] + side, corner[0] : corner[0] + side]


def weights_sheet(identity: Identity) -> NDArray[np.uint8]:
    """The face at rest, then each weight in the order of `ARKIT_NAMES`."""
    generator = FrameGenerator(identity)
    poses = {"rest": FaceMotion.rest(), **{name: alone(name) for name in ARKIT_NAMES}}
    cells = [
        labelled(face_crop(identity, generator.render(pose)), CELL_PX, short(name), 0.3) for name, pose in poses.items()
    ]
    return grid(cells, COLUMNS)


def short(name: str) -> str:
    """mouthLowerDownLeft: LowerDown L."""
    for side in ("Left", "Right"):
        if name.endswith(side) and name not in (f"mouth{side}", f"jaw{side}"):
            name = f"{name.removesuffix(side)} {side[0]}"
    return name if len(name) < 14 else name.removeprefix("mouth").removeprefix("eye")


def speech_sheet(photo: NDArray[np.uint8], enrolment: Enrolment) -> NDArray[np.uint8]:
    """The photo as it came, then the avatar speaking; the mouth (the eyes in a blink) below each."""
    identity = enrolment.identity
    generator = FrameGenerator(identity)
    top, bottom = [labelled(cv2.resize(photo, (512, 512)).astype(np.uint8), SPEECH_PX, "photo")], []
    for name, pose in SPOKEN.items():
        frame = generator.render(pose)
        top.append(labelled(frame, SPEECH_PX, name))
        bottom.append(labelled(near(identity, frame, eyes=name == "blink"), SPEECH_PX, name))
    blank = np.zeros_like(top[0])
    return np.vstack([np.hstack(row) for row in (top[:6], [blank, *bottom[:5]], top[6:], bottom[5:])])


def near(identity: Identity, frame: NDArray[np.uint8], eyes: bool) -> NDArray[np.uint8]:
    """The mouth, or the eyes."""
    half, above = (0.6, 0.98) if eyes else (0.42, -0.05)
    x, y = identity.upper_line.mean(0) - identity.lip_down * above * identity.unit_px
    half *= identity.unit_px
    corner = np.clip([x - half, y - half], 0, len(frame) - 2 * half).astype(int)
    return frame[corner[1] : corner[1] + int(2 * half), corner[0] : corner[0] + int(2 * half)]


def photo_of(name: str) -> NDArray[np.uint8]:
    file = HARD / f"{name}.jpg"
    picture = cv2.imread(str(file if file.exists() else AVATARS / name / "photo.jpg"))
    if picture is None:
        raise SystemExit(f"there is no face called {name}")
    return np.asarray(picture, np.uint8)


def main() -> None:
    parser = argparse.ArgumentParser(description="contact sheets of weights and of hard faces")
    parser.add_argument("--out", type=Path, default=Path("docs/pictures"))
    parser.add_argument("--only", nargs="*", help="only these faces")
    options = parser.parse_args()
    cv2.setNumThreads(1)
    options.out.mkdir(parents=True, exist_ok=True)
    finder = LandmarkModel("cpu")
    hard = sorted(file.stem for file in HARD.glob("*.jpg"))
    for name in options.only or sorted({*WEIGHT_FACES, *hard}):
        photo = photo_of(name)
        made = enroll(photo, finder)
        sheets: dict[str, NDArray[np.uint8]] = {}
        if name in AVATAR_CASES or name in hard:
            sheets[f"hard_{AVATAR_CASES.get(name, name)}"] = speech_sheet(photo, made)
        if name in WEIGHT_FACES:
            sheets[f"weights_{name}"] = weights_sheet(made.identity)
        for stem, sheet in sheets.items():
            cv2.imwrite(str(options.out / f"{stem}.jpg"), sheet, [cv2.IMWRITE_JPEG_QUALITY, QUALITY])
        print(f"{name}: {' '.join(note.message for note in made.quality)}")


if __name__ == "__main__":
    main()
