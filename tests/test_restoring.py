"""Every lesson of the restorers asks what can be learned, and is scored where it asks."""

from functools import partial
from pathlib import Path

import numpy as np
import pytest
import torch

from kineograph.data.clips import ClipOptions, ClipSource, rng_for
from kineograph.data.loader import Batch, Batches, as_batch, stacked
from kineograph.evaluate.sheet import to_image_frames
from kineograph.models import weights
from kineograph.models.restorer import Restorer
from kineograph.train import lessons, restoring, scoring, transfer
from kineograph.train.loop import fit
from tests_support import panning


def batch_of(name: str, seed: int = 0) -> Batch:
    lesson = lessons.LESSONS[name]
    tint = torch.tensor([1.0, 0.4, -0.7])[:, None, None]
    clip = to_image_frames(panning(lesson.num_frames, 1.3, 64) * tint)
    asked = lesson.prepare(clip, rng_for(seed, 0))
    return as_batch(stacked([{"frames": clip, "indices": np.array(0), **asked}]))


@pytest.mark.parametrize("name", lessons.LESSONS)
def test_a_lesson_can_be_learned(name: str) -> None:
    net, batch = lessons.begun(lessons.LESSONS[name]), batch_of(name)
    shown, truth = scoring.asked(batch)
    assert len(shown.made) == len(truth)
    if isinstance(net, Restorer):
        assert shown.made.shape[1] == net.shape.num_made
        assert shown.told.shape == (len(truth), net.shape.num_told)
    optimiser = torch.optim.Adam(net.parameters(), 5e-5)
    losses = []
    for _ in range(6):
        optimiser.zero_grad()
        loss, _ = lessons.LESSONS[name].objective(net, batch, torch.Generator())
        loss.backward()
        optimiser.step()
        losses.append(float(loss.detach()))
    assert np.isfinite(losses).all()
    assert min(losses) < losses[0]


def test_a_hole_is_scored_inside_alone() -> None:
    batch = batch_of("fill", 3)
    _, truth = scoring.asked(batch)
    hole = batch.extra["hole"].flatten(0, -3)[:, None]

    def told(wrong: torch.Tensor) -> float:
        model = torch.nn.Module()
        model.forward = lambda _: torch.where(wrong, -truth, truth)
        return float(scoring.restored(model, batch, torch.Generator())[0])

    assert told(~hole) == pytest.approx(np.log(scoring.FLOOR))
    assert told(hole) > told(~hole) + 3


def test_the_map_of_edges_is_a_file_that_transfer_takes(tmp_path: Path) -> None:
    lesson = lessons.LESSONS["edges"]
    pictures = to_image_frames(panning(6, 1.3, 64))
    source = ClipSource(pictures, [(0, 6)], ClipOptions(lesson.num_frames, 64))
    batches = Batches(source, 1, prepare=lesson.prepare)
    how = partial(restoring.options_of, 2, None, 1e-3)
    result = fit(lessons.begun(lesson), scoring.restored, batches, how(), tmp_path)
    path = transfer.ship_edges(tmp_path, result)
    assert weights.load_map(str(path)).shape == lesson.shape
    assert weights.card(str(path))["from"] == "edges"
