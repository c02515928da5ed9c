"""The trial of a refiner: pairs fit, untrained it changes nothing, the crop's border stays, figures mean something."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import torch

from models.blendshapes import ARKIT_INDEX
from models.generator import FrameGenerator
from models.identity_builder import build_identity
from models.lips import lip_lines
from models.training.refiner import Refiner, figures, loss_of
from models.training.refiner_data import CROP_PX, held_out, parted
from tests.synthetic_face import landmarks, model, picture, pose, weights

SIZE = 256
torch.set_num_threads(1)


def pictures(seed: int) -> torch.Tensor:
    return torch.nn.functional.avg_pool2d(
        torch.rand((2, 3, CROP_PX + 4, CROP_PX + 4), generator=torch.Generator().manual_seed(seed)), 5, 1
    )


def opening() -> torch.Tensor:
    mask = torch.zeros(2, 1, CROP_PX, CROP_PX)
    mask[..., 56:76, 40:88] = 1
    return mask


def test_it_begins_as_the_drawn_picture_and_never_touches_the_border() -> None:
    torch.manual_seed(1)
    network, drawn, rest = Refiner(), pictures(1), pictures(2)
    with torch.no_grad():
        assert torch.equal(network(drawn, rest, opening()), drawn)
        for parameter in network.answer.parameters():
            parameter.normal_()
        refined = network(drawn, rest, opening())
    changed = (refined - drawn).abs().amax((0, 1))
    assert changed[40:90, 40:90].mean() > 0.01
    assert changed[0].max() == changed[:, 0].max() == changed[-1].max() == 0


def test_it_learns_what_a_photo_shows_instead() -> None:
    torch.manual_seed(1)
    network, drawn, rest = Refiner(), pictures(1), pictures(2)
    truth = torch.where(opening() > 0, 0.7 * drawn + 0.25, drawn)
    optimiser = torch.optim.Adam(network.parameters(), 1e-2)
    losses = []
    for _ in range(6):
        loss = loss_of(network(drawn, rest, opening()), truth, opening())
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        losses.append(loss.item())
    assert min(losses) < 0.95 * losses[0]


def test_figures_tell_sharp_from_blurred_and_right_from_wrong() -> None:
    truth = pictures(3)
    same = figures(truth, truth, opening())
    assert same["l1"] == 0 and abs(same["sharpness"] - 1) < 1e-5 and abs(same["gradients"] - 1) < 1e-5
    blurred = figures(torch.nn.functional.avg_pool2d(truth, 5, 1, 2), truth, opening())
    assert blurred["sharpness"] < 0.6 and blurred["gradients"] < 0.98 and blurred["l1"] > 1


def test_weights_are_found_that_part_the_lips_as_they_were() -> None:
    points = landmarks(pose(SIZE))
    generator = FrameGenerator(build_identity(model(), picture(SIZE, points), points))
    said = weights(jawOpen=0.3, mouthSmileLeft=0.2, mouthSmileRight=0.2)
    upper, lower = generator.lips(said)
    lines = lip_lines(points)
    found = parted(generator, (replace(lines[0], points=upper), replace(lines[1], points=lower)))
    reached = np.concatenate(generator.lips(found)) - np.concatenate([upper, lower])
    assert np.hypot(*reached.T).mean() < 0.02 * generator.identity.unit_px
    assert found[ARKIT_INDEX["jawOpen"]] > 0.15 and found.min() >= 0


def test_near_variants_of_a_person_are_on_the_same_side() -> None:
    kept = [held_out(f"sfhq-{group}") for group in range(400)]
    assert 0.1 < np.mean(kept) < 0.3 and held_out("sfhq-7") == held_out("sfhq-7")
