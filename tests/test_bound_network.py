"""A network over buffers made once answers as it does without them, whatever the number of rows."""

from __future__ import annotations

import numpy as np
import pytest

from models.bound_network import BoundNetwork
from models.phonemes import WEIGHTS
from models.runtime import Network, networks_know_gpu

ANSWERS = ("viseme", "articulation", "new_memory")


CUDA = pytest.param(
    "cuda", marks=(pytest.mark.gpu, pytest.mark.skipif(not networks_know_gpu(), reason="no CUDA in ONNX Runtime"))
)


@pytest.fixture(scope="module", params=["cpu", CUDA])
def networks(request: pytest.FixtureRequest) -> tuple[Network, BoundNetwork]:
    return Network(WEIGHTS), BoundNetwork(WEIGHTS, ANSWERS, request.param)


def feeds(network: Network, rows: int) -> dict[str, np.ndarray]:
    random = np.random.default_rng(rows)
    features = random.normal(size=(rows, 4, network.widths["features"])).astype(np.float32)
    return {"features": features, "memory": random.normal(size=(rows, network.widths["memory"])).astype(np.float32)}


@pytest.mark.parametrize("rows", [1, 3, 8, 130])
def test_any_number_of_rows_is_answered_as_without_buffers(networks: tuple[Network, BoundNetwork], rows: int) -> None:
    plain, bound = networks
    given = feeds(plain, rows)
    for answer, wanted in zip(bound.run(given, ANSWERS), plain.run(given, ANSWERS), strict=True):
        assert answer.shape == wanted.shape
        np.testing.assert_allclose(answer, wanted, atol=1e-3)


def test_an_answer_is_not_touched_by_the_next(networks: tuple[Network, BoundNetwork]) -> None:
    _, bound = networks
    first = bound.run(feeds(bound, 2))
    kept = [answer.copy() for answer in first]
    bound.run({name: -values for name, values in feeds(bound, 2).items()})
    for answer, before in zip(first, kept, strict=True):
        np.testing.assert_array_equal(answer, before)


def test_other_outputs_than_those_bound_are_refused(networks: tuple[Network, BoundNetwork]) -> None:
    _, bound = networks
    with pytest.raises(ValueError, match="bound to"):
        bound.run(feeds(bound, 1), ("viseme",))
