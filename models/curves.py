"""The soft step that fades and blends are made with.

Pure arithmetic.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray


def smoothstep(x: NDArray[Any]) -> NDArray[np.floating]:
    """0 below 0, 1 above 1, 3x² - 2x³ between (Ebert et al. 2003)."""
    x = np.clip(x, 0, 1)
    return x * x * (3 - 2 * x)
