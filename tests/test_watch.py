"""Strips show the truth and what the model answers, and leave the model alone."""

import numpy as np
import torch

from kineograph import tasks
from kineograph.answer import Sampling
from kineograph.models.motion import NUM_KNOWN
from kineograph.models.net import Kineo
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
