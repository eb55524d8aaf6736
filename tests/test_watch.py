"""Strips show the truth and what the model answers, and leave the model alone."""

from io import StringIO
from pathlib import Path

import numpy as np
import torch
from rich.console import Console

from kineograph import tasks
from kineograph.answer import Sampling
from kineograph.models.motion import NUM_KNOWN
from kineograph.models.net import Kineo
from kineograph.train.log import RunLog, in_blocks
from kineograph.train.watch import strips
from tests_support import TINY_SHAPE


def test_strips_are_truth_mean_and_sample_at_the_horizons() -> None:
    torch.manual_seed(0)
    model = Kineo(TINY_SHAPE)
    clip = np.random.default_rng(0).integers(0, 256, (NUM_KNOWN + 4, 32, 48, 3), np.uint8)
    frames = torch.from_numpy(clip).permute(0, 3, 1, 2).float() / 127.5 - 1
    before, state = torch.get_rng_state(), {k: v.clone() for k, v in model.state_dict().items()}
    drawn = strips([clip, clip[:, ::-1].copy()], steps=2, horizons=(1, 4))(model)
    assert list(drawn) == ["strip-0", "strip-1"]
    rows = drawn["strip-0"].unflatten(2, (2, 48)).unflatten(1, (3, 32)) * 2 - 1
    model.eval()
    films = [frames[NUM_KNOWN:]]
    films += [tasks.predict(frames[:NUM_KNOWN], 4, model, Sampling(steps)) for steps in (1, 2)]
    for row, film in enumerate(films):
        for column, horizon in enumerate((1, 4)):
            torch.testing.assert_close(rows[:, row, :, column], film[horizon - 1])
    assert torch.equal(before, torch.get_rng_state())
    assert all(torch.equal(v, state[k]) for k, v in model.state_dict().items())


def test_strips_keep_a_model_in_training() -> None:
    model = Kineo(TINY_SHAPE).train()
    strips([np.zeros((NUM_KNOWN + 1, 32, 32, 3), np.uint8)], steps=1, horizons=(1,))(model)
    assert model.training
    frozen = [name for name, w in model.named_parameters() if not w.requires_grad]
    assert all(name.startswith("weigh.") for name in frozen)


def test_a_terminal_shows_pictures_as_blocks_of_two_colours(tmp_path: Path) -> None:
    picture = torch.zeros(3, 40, 80)
    picture[0, :20], picture[2, 20:] = 1.0, 1.0
    text = in_blocks(picture, 8, 100)
    assert text.plain == ("▀" * 8 + "\n") * 2
    assert len(in_blocks(picture, 80, 4).plain.splitlines()) == 4
    told = StringIO()
    console = Console(file=told, force_terminal=True, color_system="truecolor", width=80, height=30)
    with RunLog(tmp_path, 0, 10, tensorboard=False, console=console) as log:
        log.picture(5, "strip-0", picture)
        log.tell(5, "held out: 20.00 dB (dis 19.00)", lasting=True)
    assert "▀" in told.getvalue()
    assert "255;0;0" in told.getvalue()
    assert "step 5  held out: 20.00 dB (dis 19.00)" in told.getvalue()
