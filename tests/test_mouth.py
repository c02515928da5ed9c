"""The mouth's inside: the skull's teeth stay, the jaw's follow it, light and colours are the photo's."""

from dataclasses import replace

import cv2
import numpy as np
import pytest

from models.blendshapes import ARKIT_INDEX, ARKIT_NAMES
from models.face_model import FaceModel, Pose
from models.fit import FaceFit
from models.mouth import DEEP_LIGHT, LIP_SHADOW, TEETH_LIGHT, TEETH_SHADOW, MouthInterior
from models.mouth_builder import JAW_KEYS, LOWER_LOWERED_CM, RESOLUTION, TONGUE_RAISED_CM, turned_less
from models.mouth_tones import finest, landmark_px, luma_of, measure_tones
from tests.synthetic_face import turned

SIZE = 512


@pytest.fixture(scope="module")
def model() -> FaceModel:
    return FaceModel.load()


@pytest.fixture(scope="module")
def fit(model: FaceModel) -> FaceFit:
    """The mean face, frontal, 16 px a centimetre."""
    pose = Pose(np.eye(3, dtype=np.float32), 16.0, np.array([256, 256], np.float32))
    return FaceFit(
        np.zeros(40, np.float32), np.zeros(52, np.float32), pose, np.zeros((len(model.neutral), 2), np.float32)
    )


def photo(skin: tuple[int, int, int]) -> np.ndarray:
    return np.full((SIZE, SIZE, 3), skin, np.uint8)


@pytest.fixture(scope="module")
def mouth(model: FaceModel, fit: FaceFit) -> MouthInterior:
    return MouthInterior.build(model, fit, photo((120, 150, 200)))


def weights(**values: float) -> np.ndarray:
    out = np.zeros(len(ARKIT_NAMES), np.float32)
    for name, value in values.items():
        out[ARKIT_INDEX[name]] = value
    return out


def opening(model: FaceModel, fit: FaceFit, gap_px: float) -> tuple[np.ndarray, np.ndarray]:
    """Edges of an open mouth: the upper lip at rest, the lower one `gap_px` below it in the middle."""
    corner_right, corner_left = landmark_px(model, fit, (61, 291))
    lip = landmark_px(model, fit, (13,))[0]
    along = np.linspace(0, 1, 38, dtype=np.float32)
    x = corner_right[0] + along * (corner_left[0] - corner_right[0])
    bow = np.sin(np.pi * along)
    return np.stack([x, lip[1] + 0 * x], 1), np.stack([x, lip[1] + gap_px * bow], 1)


def shown(
    mouth: MouthInterior,
    model: FaceModel,
    fit: FaceFit,
    motion: np.ndarray,
    gap_px: float,
    moved: np.ndarray | None = None,
) -> np.ndarray:
    upper, lower = opening(model, fit, gap_px)
    if moved is not None:
        upper, lower = (edge @ moved[:, :2].T + moved[:, 2] for edge in (upper, lower))
    return mouth.render(motion, upper, lower, (200, 280, 320, 360), moved)


def teeth(picture: np.ndarray) -> np.ndarray:
    return picture.min(2) > 90


def test_teeth_show_under_the_upper_lip(mouth: MouthInterior, model: FaceModel, fit: FaceFit) -> None:
    picture = shown(mouth, model, fit, weights(jawOpen=0.3), 24)
    rows, columns = np.nonzero(teeth(picture))
    assert len(rows) > 80
    assert abs(columns.mean() + 200 - 256) < 3


def test_the_upper_row_stays_when_the_jaw_opens(mouth: MouthInterior, model: FaceModel, fit: FaceFit) -> None:
    def upper_row(jaw: float) -> np.ndarray:
        picture = shown(mouth, model, fit, weights(jawOpen=jaw), 30)
        lip = int(landmark_px(model, fit, (13,))[0][1]) - 280
        return picture[lip : lip + 3, 46:66].astype(int)

    assert np.abs(upper_row(0.25) - upper_row(0.45)).max() <= 6


def test_the_lower_row_follows_the_jaw(mouth: MouthInterior) -> None:
    travel = mouth.jaw_travel[ARKIT_INDEX["jawOpen"]]
    assert travel[1] > 10 and abs(travel[0]) < 1
    assert mouth.jaw_travel[ARKIT_INDEX["jawLeft"], 0] > 1 > -1 > mouth.jaw_travel[ARKIT_INDEX["jawRight"], 0]
    assert np.abs(mouth.jaw_travel[ARKIT_INDEX["mouthSmileLeft"]]).max() < 0.5


def test_the_tongue_rises_to_the_teeth(mouth: MouthInterior, model: FaceModel, fit: FaceFit) -> None:
    def redness(tongue: float) -> float:
        picture = shown(mouth, model, fit, weights(jawOpen=0.3, tongueOut=tongue), 18).astype(int)
        return float((picture[34:44, 46:66, 2] - picture[34:44, 46:66, 1]).mean())

    assert redness(0.15) > redness(0.0) + 1.5


def test_between_the_teeth_the_tip_covers_the_upper_edge(mouth: MouthInterior, model: FaceModel, fit: FaceFit) -> None:
    def at_the_edge(tongue: float) -> np.ndarray:
        picture = shown(mouth, model, fit, weights(jawOpen=0.2, tongueOut=tongue), 18).astype(int)
        return picture[round(float(mouth.upper_at[1])) - 281, 50:62, 1]

    # Behind the teeth it leaves the gap between the two in the middle to be seen, before them it does not.
    assert np.ptp(at_the_edge(0.3)) < 0.5 * np.ptp(at_the_edge(0.15))


def test_teeth_are_no_brighter_than_the_whites_of_the_eyes(model: FaceModel, fit: FaceFit) -> None:
    picture = photo((150, 180, 220))
    for eye in ((33, 159, 133, 145), (362, 386, 263, 374)):
        outline = landmark_px(model, fit, eye).round().astype(np.int32)
        cv2.fillPoly(picture, [outline], (190, 195, 198))
    inside = shown(MouthInterior.build(model, fit, picture), model, fit, weights(jawOpen=0.3), 24)
    assert (inside @ np.array([0.114, 0.587, 0.299])).max() <= 196


def test_a_turned_head_shows_teeth_on_its_far_side_too(model: FaceModel, fit: FaceFit) -> None:
    pose = replace(fit.pose, rotation=turned(yaw=np.radians(30), pitch=0.1, roll=0.0))
    upper, anchor = (getattr(MouthInterior.build(model, replace(fit, pose=pose), photo((120, 150, 200))), name)
                     for name in ("upper", "upper_anchor"))  # fmt: skip
    row = upper[round(float(anchor[1])) - 8, :, 3] > 128
    across = np.flatnonzero(row) - anchor[0]
    far, near = sorted((-across.min(), across.max()))
    assert 1.2 * 16 * 2 < far < near  # 1.2 cm, at twice the 16 px a centimetre


def test_turning_less_leaves_the_nod(fit: FaceFit) -> None:
    pose = replace(fit.pose, rotation=turned(yaw=0.5, pitch=0.2, roll=0.0))
    ahead, before = turned_less(pose, 0.5).rotation[:, 2], pose.rotation[:, 2]
    assert ahead[1] == pytest.approx(before[1], abs=1e-6)
    assert np.arctan2(ahead[0], ahead[2]) == pytest.approx(0.5 * np.arctan2(before[0], before[2]), abs=1e-5)


def test_light_from_one_side_falls_on_the_teeth_of_that_side(model: FaceModel, fit: FaceFit) -> None:
    picture = photo((150, 180, 220))
    dark = picture.copy()
    dark[:, :256] = (40, 50, 60)
    plain, aside = (
        shown(MouthInterior.build(model, fit, p), model, fit, weights(jawOpen=0.3), 24).astype(int)[32:50]
        for p in (picture, dark)
    )
    for inside, uneven in ((plain, False), (aside, True)):
        left, right = inside[:, 30:50].max((0, 1)).sum(), inside[:, 62:82].max((0, 1)).sum()
        assert (left < 0.9 * right) == uneven


def edges(soft_px: float, black: int = 0) -> np.ndarray:
    """A face of stripes, blurred, in haze."""
    picture = photo((110, 140, 190))
    picture[np.arange(SIZE) % 40 < 16] = 0
    picture = cv2.GaussianBlur(picture, (0, 0), soft_px) if soft_px else picture
    return (black + picture * (1 - black / 255)).astype(np.uint8)


def test_a_soft_photo_gets_soft_teeth(model: FaceModel, fit: FaceFit) -> None:
    def detail(soft_px: float) -> tuple[float, float]:
        mouth = MouthInterior.build(model, fit, edges(soft_px))
        picture = shown(mouth, model, fit, weights(jawOpen=0.3), 24)
        return float(mouth.soft_px), float(cv2.Laplacian(picture, cv2.CV_32F).var())

    sharp, soft, softer = detail(0.6), detail(1.2), detail(1.8)
    assert sharp[0] < soft[0] < softer[0] < 2.5
    assert sharp[1] > 1.15 * soft[1] and soft[1] > 1.05 * softer[1]


def test_nothing_in_a_grainy_photo_is_smooth(model: FaceModel, fit: FaceFit) -> None:
    random = np.random.default_rng(1)

    def grain_inside(grain: float) -> float:
        noisy = photo((120, 150, 200)) + random.normal(0, grain, (SIZE, SIZE, 1))
        mouth = MouthInterior.build(model, fit, noisy.clip(0, 255).astype(np.uint8))
        x, y = mouth.hollow_anchor.astype(int)
        inside = cv2.resize(mouth.hollow[y - 16 : y + 16, x - 24 : x + 24, 1], None, fx=0.5, fy=0.5)
        return float(finest(inside.astype(np.float32), 1.0).std())

    smooth, grainy = grain_inside(0), grain_inside(4)
    assert smooth < 1 and 1.8 < grainy < 4


def test_teeth_behind_rounded_lips_are_darker(mouth: MouthInterior, model: FaceModel, fit: FaceFit) -> None:
    plain, rounded = (
        shown(mouth, model, fit, weights(jawOpen=0.3, mouthPucker=pucker), 24).max() for pucker in (0, 0.7)
    )
    assert rounded < 0.85 * plain


def test_a_photo_without_black_gets_a_mouth_without_black(model: FaceModel, fit: FaceFit) -> None:
    clear, haze = (
        shown(MouthInterior.build(model, fit, edges(0.6, black)), model, fit, weights(jawOpen=0.3), 24).min()
        for black in (0, 40)
    )
    assert clear < 20 and 30 < haze < 50


def test_the_throat_is_darker_than_the_cheeks(mouth: MouthInterior, model: FaceModel, fit: FaceFit) -> None:
    hollow = mouth.hollow[..., :3].astype(int).sum(2)
    x, y = mouth.hollow_anchor.astype(int)
    assert 2 * hollow[y, x] < hollow[y, x + 60] and 2 * hollow[y, x] < hollow[y, x - 60]


def test_the_mouth_moves_with_the_head(mouth: MouthInterior, model: FaceModel, fit: FaceFit) -> None:
    moved = np.array([[1, 0, 7], [0, 1, 4]], np.float32)
    still = shown(mouth, model, fit, weights(jawOpen=0.3), 24).astype(int)
    shifted = shown(mouth, model, fit, weights(jawOpen=0.3), 24, moved).astype(int)
    assert np.abs(shifted[14:54, 37:97] - still[10:50, 30:90]).max() <= 3


def test_teeth_are_brighter_in_a_brighter_photo_and_never_neon(model: FaceModel, fit: FaceFit) -> None:
    def brightness(skin: tuple[int, int, int]) -> float:
        picture = shown(MouthInterior.build(model, fit, photo(skin)), model, fit, weights(jawOpen=0.3), 24)
        return float(np.quantile(picture.mean(2), 0.98))

    dark, fair = brightness((40, 55, 80)), brightness((150, 180, 220))
    assert 80 < dark < fair < 240


def test_an_old_photograph_gets_a_grey_mouth(model: FaceModel, fit: FaceFit) -> None:
    picture = shown(MouthInterior.build(model, fit, photo((140, 140, 140))), model, fit, weights(jawOpen=0.3), 24)
    assert np.ptp(picture.astype(int), axis=2).max() <= 3


def test_flesh_is_darker_on_an_old_plate(model: FaceModel, fit: FaceFit) -> None:
    grey, coloured = photo((140, 140, 140)), photo((140, 140, 140))
    coloured[:, 400:] = (120, 120, 220)  # as far from skin as lips or clothes are
    tongue, tooth = (
        [luma_of(getattr(measure_tones(model, fit, picture, None), name)) for picture in (grey, coloured)]
        for name in ("tongue", "tooth")
    )
    assert tongue[0] / tooth[0] < 0.75 * tongue[1] / tooth[1]


def test_a_shut_mouth_and_a_far_box_are_no_error(mouth: MouthInterior, model: FaceModel, fit: FaceFit) -> None:
    assert shown(mouth, model, fit, weights(), 0).shape == (80, 120, 3)
    upper, lower = opening(model, fit, 20)
    assert mouth.render(weights(), upper, lower, (0, 0, 10, 8)).shape == (8, 10, 3)


def test_arrays_round_trip(mouth: MouthInterior, model: FaceModel, fit: FaceFit) -> None:
    again = MouthInterior.from_arrays(mouth.to_arrays())
    motion = weights(jawOpen=0.33, tongueOut=0.1)
    assert np.array_equal(shown(mouth, model, fit, motion, 25), shown(again, model, fit, motion, 25))


def test_the_quick_mouth_is_the_plain_one(mouth: MouthInterior, model: FaceModel, fit: FaceFit) -> None:
    """Against one picture after another laid over the whole canvas, in floating point."""
    motion, (upper, lower) = weights(jawOpen=0.3), opening(model, fit, 24)
    turn = np.array([[0.99, 0.05, 3], [-0.05, 0.99, 20]], np.float32)
    upper, lower = (edge @ turn[:, :2].T + turn[:, 2] for edge in (upper, lower))
    x0, y0, x1, y1 = 200, 280, 320, 360
    quick = mouth.render(motion, upper, lower, (x0, y0, x1, y1), turn)

    jaw_at = mouth.lower_at + motion @ mouth.jaw_travel
    raised = (TONGUE_RAISED_CM + LOWER_LOWERED_CM) * mouth.down_per_cm
    rows, columns = np.mgrid[y0:y1, x0:x1].astype(float)
    x = columns[0]
    above, below = (
        np.interp(x, edge[np.argsort(edge[:, 0]), 0], edge[np.argsort(edge[:, 0]), 1]) for edge in (upper, lower)
    )
    unit, gap = float(mouth.unit_px), np.maximum(below - above, 0)
    wide, widest = np.clip(gap / (0.05 * unit), 0, 1), min(gap.max() / (0.07 * unit), 1)
    under, under_teeth = (np.clip((rows - above) / (reach * unit), 0, 1) for reach in (LIP_SHADOW, TEETH_SHADOW))
    (a, b, c), (d, e, f) = TEETH_LIGHT, DEEP_LIGHT
    teeth = (a + (1 - a) * under * (2 - under)) * (b + (1 - b) * wide) * (c + (1 - c) * widest)
    deep = (d + (1 - d) * under_teeth) * (e + (1 - e) * wide) * (f + (1 - f) * widest)
    plain = np.broadcast_to(mouth.cavity, (*rows.shape, 3)).astype(float)
    for picture, anchor, at, light in (
        (mouth.hollow, mouth.hollow_anchor, (mouth.upper_at + jaw_at) / 2, deep),
        (between(mouth.tongue, 0.3), mouth.tongue_anchor, jaw_at - raised, deep),
        (between(mouth.lower, 0.3), mouth.lower_anchor, jaw_at, deep),
        (mouth.upper, mouth.upper_anchor, mouth.upper_at, teeth),
    ):
        back = np.linalg.inv(turn[:, :2])
        seen = (np.stack([columns, rows], -1) - turn[:, 2]) @ back.T - at
        where = (RESOLUTION * seen + anchor).astype(np.float32)
        laid = cv2.remap(picture, where, None, cv2.INTER_LINEAR, borderMode=cv2.BORDER_CONSTANT).astype(float)
        plain = plain * (1 - laid[..., 3:] / 255) + laid[..., :3] * light[..., None]
    plain = plain * (1 - mouth.black / 255) + mouth.black
    inside = (rows > above + 1) & (rows < below - 1) & (x > upper[0, 0] + 2) & (x < upper[-1, 0] - 2)
    assert inside.sum() > 500
    difference = np.abs(quick - plain)[inside]
    assert difference.mean() < 1.5 and np.quantile(difference, 0.99) < 6


def between(pictures: np.ndarray, jaw_open: float) -> np.ndarray:
    place = float(np.interp(jaw_open, JAW_KEYS, np.arange(len(JAW_KEYS))))
    first = min(int(place), len(JAW_KEYS) - 2)
    mixed = pictures[first] + (place - first) * (pictures[first + 1].astype(float) - pictures[first])
    return np.round(mixed).astype(np.uint8)
