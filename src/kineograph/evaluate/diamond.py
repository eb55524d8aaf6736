"""DIAMOND, a world model that makes frames by diffusion, timed beside ours where it is checked out.

None of its code is here: whoever wants the row gives a checkout of github.com/eloialonso/diamond.
"""

import json
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import torch

from kineograph.evaluate import diamond_player
from kineograph.evaluate.timing import Timed, timed_of

MARK = Path("src/models/diffusion/denoiser.py")
PATIENCE_SECONDS = 120.0


@dataclass(frozen=True)
class Peer:
    """A denoiser as large as theirs, with random weights, by eager torch: its frames are squares.

    Nothing of it foretells rewards or ends here, which it does by another network.
    """

    num_parameters: int
    num_steps: int
    side_px: int
    timed: Timed

    def times_per_pixel(self, fps: float, height_px: int, width_px: int) -> float:
        """How many times as many pixels a second frames of that rate and size come to."""
        return fps * height_px * width_px / (self.timed.fps * self.side_px**2)


def checked(checkout: Path) -> Path:
    """The folder. ValueError if it holds no DIAMOND."""
    if not (checkout / MARK).is_file():
        raise ValueError(
            f"{checkout} is no checkout of DIAMOND: it has no {MARK}. "
            "Get it by `git clone https://github.com/eloialonso/diamond`."
        )
    return checkout.resolve()


def timed(checkout: Path, seconds: float) -> Peer:
    """Runs it on as many threads as torch takes here. ValueError with the last that it said."""
    command = [sys.executable, "-I", str(Path(diamond_player.__file__)), str(checked(checkout))]
    command += [str(seconds), str(torch.get_num_threads())]
    try:
        ran = subprocess.run(
            command, capture_output=True, text=True, timeout=seconds + PATIENCE_SECONDS
        )
    except subprocess.TimeoutExpired as error:
        raise ValueError(f"DIAMOND in {checkout} was not timed in {error.timeout:g} s.") from error
    if ran.returncode:
        lines = ran.stderr.strip().splitlines() or ["no message"]
        raise ValueError(f"DIAMOND in {checkout} cannot be timed: {lines[-1]}")
    told = json.loads(ran.stdout.splitlines()[-1])
    taken = timed_of(told.pop("seconds"))
    return Peer(**told, timed=taken)
