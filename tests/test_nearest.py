"""A copy of what was learned is found as one; a page shows what was found."""

import json
from pathlib import Path

import cv2
import numpy as np
import pytest

from kineograph.data.augment import Frames
from kineograph.evaluate import page
from kineograph.train import nearest


def noise(seed: int, count: int = 20) -> Frames:
    coarse = np.random.default_rng(seed).integers(0, 256, (count, 6, 8, 3), dtype=np.uint8)
    return np.stack([cv2.resize(one, (64, 48), interpolation=cv2.INTER_CUBIC) for one in coarse])


def test_a_copy_is_found_also_in_a_mirror_and_another_clip_is_far() -> None:
    film, other = noise(0), noise(1)
    learned = [(noise(2), ((0, 20),)), (film, ((0, 6), (8, 20)))]
    copies = [film[9:13], film[9:13, :, ::-1].copy()]
    told = nearest.report([*copies, other[:8]], [other[8:16]], learned)
    assert [one.distance for one in told.found[:2]] == [0, 0]
    assert np.array_equal(told.found[0].learned, film[9:13])
    assert told.found[2].distance > 20
    assert told.by_chance > 20
    assert json.loads(json.dumps(told.told))["distances"][:2] == [0, 0]


def test_what_was_not_learned_is_not_found() -> None:
    film = noise(0)
    told = nearest.report([film[5:9]], [], [(film, ((10, 20),))])
    assert told.found[0].distance > 20
    with pytest.raises(ValueError, match="as long as 4 frames"):
        nearest.report([film[:4]], [], [(film, ((0, 3),))])


def test_the_page_shows_clips_curve_and_numbers(tmp_path: Path) -> None:
    film = noise(0)
    told = nearest.report([film[5:9]], [film[15:]], [(film, ((0, 14),))])
    card = {"name": "fire", "data": "1 film", "held_out_decibels": {"learned": 21.0, "copy": 17.5}}
    log = [{"step": n, "loss": 5.0 - n / 10} for n in range(1, 40)] + [{"step": 9, "rate": 1.0}]
    path = page.written(tmp_path / "fire", card, told, log)
    text = path.read_text()
    assert text.index("learned | 21.00") < text.index("copy | 17.50")
    sheet = cv2.imread(str(path.with_name(page.PICTURE)))
    assert sheet is not None
    assert sheet.shape[0] > 2 * page.HEIGHT_PX
    curve = cv2.imread(str(path.with_name(page.CURVE)))
    assert curve is not None
    dark = np.argwhere(curve[20:-30, 60:].min(-1) < 100)
    first, last = dark[dark[:, 1].argmin()], dark[dark[:, 1].argmax()]
    assert first[0] < last[0]  # the loss falls
    assert sorted(p.name for p in path.parent.iterdir()) == sorted(
        [page.PAGE, page.PICTURE, page.CURVE]
    )
