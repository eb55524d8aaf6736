"""Regions come from boxes, pictures, films and things that move, at the size of the film."""

from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from kineograph import regions
from kineograph.video.levels import frames_of
from test_damage import HEIGHT, WIDTH, pan


def blank(num_frames: int, height: int = 20, width: int = 40) -> Iterator[Tensor]:
    return iter(torch.zeros(num_frames, 3, height, width))


def inside(region: Tensor) -> tuple[int, int, int, int]:
    """x, y, w, h of what is inside, all of which must be."""
    _, rows, columns = region.nonzero(as_tuple=True)
    x, y = int(columns.min()), int(rows.min())
    w, h = int(columns.max()) - x + 1, int(rows.max()) - y + 1
    assert int(region.sum()) == w * h
    return x, y, w, h


@given(st.integers(0, 39), st.integers(0, 19), st.integers(1, 40), st.integers(1, 20))
def test_a_box_of_pixels_is_those_pixels(x: int, y: int, w: int, h: int) -> None:
    w, h = min(w, 40 - x), min(h, 20 - y)
    (region,) = regions.named(f"{x},{y},{w},{h}", blank(1))
    assert inside(region) == (x, y, w, h)


def test_a_box_of_shares_is_that_part_of_the_picture() -> None:
    (region,) = regions.named("10%, 20%,30%,40%", blank(1, 100, 200))
    assert inside(region) == (20, 20, 60, 40)
    (mixed,) = regions.named("10,50%,25%,12.5", blank(1, 100, 200))
    assert inside(mixed) == (10, 50, 50, 12)


@pytest.mark.parametrize(
    ("text", "match"),
    [
        ("1,2,x,4", "'x' where x,y,w,h should be four numbers"),
        ("1,2,-3,4", "'-3' where"),
        ("30,0,11,5", "reaches to 41,5, and the film is 40x20"),
        ("60%,0,50%,5", "reaches to 44,5"),
        ("3,3,0,5", "holds no pixel"),
    ],
)
def test_boxes_that_are_none_are_refused(text: str, match: str) -> None:
    with pytest.raises(ValueError, match=match):
        list(regions.named(text, blank(1)))


def test_a_box_needs_four_numbers() -> None:
    with pytest.raises(ValueError, match=r"the box '1,2,3'"):
        regions.box("1,2,3")


def written(path: Path, mask: np.ndarray) -> Path:
    cv2.imwrite(str(path), mask.astype(np.uint8) * 255)
    return path


def test_a_picture_is_the_region_of_every_frame(tmp_path: Path) -> None:
    mask = np.zeros((20, 40), bool)
    mask[3:9, 5:30] = True
    path = written(tmp_path / "mask.png", mask)
    for region in regions.named(str(path), blank(3)):
        np.testing.assert_array_equal(region[0].numpy(), mask)
    with pytest.raises(ValueError, match="is 40x20, and the film is 41x20"):
        list(regions.named(str(path), blank(1, 20, 41)))


def test_a_film_of_masks_is_taken_frame_by_frame(tmp_path: Path) -> None:
    masks = np.zeros((3, 20, 40), bool)
    for t in range(3):
        masks[t, :, 10 * t : 10 * t + 5] = True
        written(tmp_path / f"mask_{t:03}.png", masks[t])
    found = torch.cat(list(regions.named(str(tmp_path), blank(3))))
    np.testing.assert_array_equal(found.numpy(), masks)
    with pytest.raises(ValueError, match="has 3 frames, and the film has more"):
        list(regions.named(str(tmp_path), blank(4)))


@given(st.integers(0, 6), st.integers(0, 30))
def test_what_is_grown_holds_what_was_and_no_more_than_asked(px: int, seed: int) -> None:
    region = torch.rand(1, 24, 30, generator=torch.Generator().manual_seed(seed)) > 0.98
    wide = regions.grown(region, px)
    assert (wide | ~region).all()
    away = cv2.distanceTransform((~region[0]).numpy().astype(np.uint8), cv2.DIST_L2, 5)
    if region.any():
        assert away[wide[0].numpy()].max(initial=0) <= px + 0.5
    narrow = regions.grown(region, -px)
    assert (region | ~narrow).all()


def passing(num_frames: int, px_per_frame: float) -> tuple[np.ndarray, np.ndarray]:
    """A textured red thing before a slow pan, and where it is."""
    frames, masks = pan(num_frames, 0.5), np.zeros((num_frames, HEIGHT, WIDTH), bool)
    rng = np.random.default_rng(5)
    skin = cv2.resize(rng.integers(0, 60, (9, 9), dtype=np.uint8), (40, 40))
    for t in range(num_frames):
        cover = np.zeros((HEIGHT, WIDTH), np.uint8)
        x = round(35 + px_per_frame * t)
        cv2.ellipse(cover, (x, 45), (18, 13), 2.0 * t, 0, 360, 1, -1)
        masks[t] = cover > 0
        coat = np.zeros_like(frames[t])
        left, right = max(0, x - 20), min(WIDTH, x + 20)
        if right > left:
            part = skin[:, left - x + 20 : right - x + 20]
            coat[25:65, left:right] = np.stack([part + 170, part, part], -1)
        frames[t][masks[t]] = coat[masks[t]]
    return frames, masks


def followed(frames: np.ndarray, **how) -> np.ndarray:
    where = regions.box("15,30,41,31")
    return torch.cat(list(regions.tracked(iter(frames_of(frames)), where, **how))).numpy()


def test_a_thing_is_followed_by_its_outline() -> None:
    frames, masks = passing(30, 2.0)
    found = followed(frames, grown_px=0)
    overlap = (found & masks).sum((1, 2)) / (found | masks).sum((1, 2))
    assert overlap.min() > 0.85
    wide = followed(frames, grown_px=3)
    assert (wide & masks).sum() > 0.995 * masks.sum()
    assert wide.sum() < 2 * masks.sum()


def test_a_text_can_ask_to_follow() -> None:
    frames, masks = passing(3, 2.0)
    found = list(regions.named("track:15,30,41,31", iter(frames_of(frames))))
    assert all((f[0].numpy() & m).sum() > 0.95 * m.sum() for f, m in zip(found, masks, strict=True))


def test_a_cut_loses_the_thing_and_is_told() -> None:
    frames = np.concatenate([passing(6, 2.0)[0], pan(6, seed=3)])
    with pytest.raises(ValueError, match="what is followed was lost at frame 6: "):
        followed(frames)
    told: list[tuple[int, str]] = []
    found = followed(frames, when_lost=lambda number, why: told.append((number, why)))
    assert [number for number, _ in told] == [6]
    assert found[:6].any((1, 2)).all()
    assert not found[6:].any()


def test_a_thing_that_leaves_the_picture_leaves_the_region() -> None:
    frames, masks = passing(34, 5.0)
    found = followed(frames, grown_px=0)
    assert found[masks.any((1, 2))].any((1, 2)).mean() > 0.9
    assert found[-1].sum() < 0.02 * masks[0].sum()


def test_following_is_the_same_each_time() -> None:
    frames, _ = passing(5, 2.0)
    np.testing.assert_array_equal(followed(frames), followed(frames))
