"""What was never in sight is a sharp picture, the same in every frame, that moves with the film."""

from itertools import pairwise

import cv2
import numpy as np
import pytest
import torch
from torch import Tensor

from kineograph import tasks
from kineograph.models import weights
from kineograph.models.aligned import places, read_at
from kineograph.models.completed import completed
from kineograph.models.imagined import Guessed, imagined, similarity, thick
from kineograph.models.uncover import spread
from kineograph.models.window import Predictor
from kineograph.video.levels import frames_of
from tests_support import Counted

HEIGHT, WIDTH, SIDE = 64, 96, 20


@pytest.fixture(scope="module")
def model() -> Predictor:
    return weights.load()


def stones(height: int = HEIGHT, width: int = WIDTH, seed: int = 0) -> np.ndarray:
    """A texture of squares in two colours, the same everywhere."""
    rng = np.random.default_rng(seed)
    colours = np.array([[60, 140, 90], [170, 120, 60]], np.uint8)
    cells = colours[rng.integers(0, 2, (height // 4 + 1, width // 4 + 1))]
    return cells.repeat(4, 0).repeat(4, 1)[:height, :width]


def sides(height: int = HEIGHT, width: int = WIDTH, side: int = SIDE) -> np.ndarray:
    hole = np.ones((height, width), bool)
    hole[:, side:-side] = False
    return hole


def softly(picture: np.ndarray, hole: np.ndarray) -> np.ndarray:
    return np.rint(spread(picture, hole)).astype(np.uint8)


def roughness(picture: np.ndarray, where: np.ndarray) -> float:
    """Mean square of the slopes, where both ends of them are."""
    slope = np.diff(picture.astype(float), axis=1) ** 2
    return float(slope[where[:, 1:] & where[:, :-1]].mean())


def guessed(pictures: list[np.ndarray], hole: np.ndarray) -> list[Guessed]:
    return [Guessed(softly(picture, hole), hole, hole) for picture in pictures]


def test_a_texture_goes_on_as_rough_as_it_is() -> None:
    picture, hole = stones(), sides()
    soft = softly(picture, hole)
    made = completed(picture, hole, soft)
    assert roughness(soft, hole) < 0.1 * roughness(picture, ~hole)
    assert 0.6 < roughness(made, hole) / roughness(picture, ~hole) < 1.4
    assert np.array_equal(made[~hole], picture[~hole])


def test_a_large_picture_is_pasted_as_rough_as_it_is() -> None:
    picture, hole = stones(400, 500).repeat(1, 0), sides(400, 500, 60)
    made = completed(picture, hole, softly(picture, hole))
    assert roughness(made, hole) > 0.4 * roughness(picture, ~hole)
    assert np.array_equal(made[~hole], picture[~hole])


def test_what_is_hidden_does_not_count() -> None:
    picture, hole = stones(), sides()
    other = np.where(hole[..., None], 255 - picture, picture)
    soft = softly(picture, hole)
    assert np.array_equal(completed(picture, hole, soft), completed(other, hole, soft))


def test_the_seed_says_what_is_imagined() -> None:
    picture, hole = stones(), sides()
    made = [completed(picture, hole, softly(picture, hole), seed) for seed in (3, 3, 4)]
    assert np.array_equal(made[0], made[1])
    assert not np.array_equal(made[0], made[2])


def test_nothing_is_taken_from_where_it_is_shunned() -> None:
    picture, hole = stones(), sides()
    shunned = np.zeros_like(hole)
    shunned[:, 50:] = True
    picture[:, 50:, 0] = 255
    made = completed(picture, hole, softly(picture, hole), 0, shunned)
    assert (made[:, : SIDE - 4, 0] < 255).all()


def test_where_no_patch_is_whole_the_guess_comes_back() -> None:
    picture, hole = stones(), np.ones((HEIGHT, WIDTH), bool)
    hole[::5] = False
    soft = softly(picture, hole)
    assert np.array_equal(completed(picture, hole, soft)[hole], soft[hole])


def test_a_still_film_is_imagined_once() -> None:
    made = list(imagined(guessed([stones()] * 60, sides())))
    assert all(np.array_equal(made[0], picture) for picture in made)


def test_what_is_imagined_pans_with_the_picture() -> None:
    wide, hole = stones(HEIGHT, WIDTH + 24), sides()
    film = [wide[:, n : n + WIDTH] for n in range(12)]
    made = list(imagined(guessed(film, hole)))
    for before, now in pairwise(made):
        moved, stood = now[:, : SIDE - 2], now[:, 1 : SIDE - 1]
        moved, stood = (np.abs(x.astype(int) - before[:, 1 : SIDE - 1]) for x in (moved, stood))
        assert moved.mean() < 0.25 * stood.mean()


def test_a_slow_pan_brings_new_pictures_and_no_streaks() -> None:
    wide, hole = cv2.GaussianBlur(stones(HEIGHT, WIDTH + 24), (0, 0), 0.7), sides()
    shifts = [np.array([[1, 0, -0.3 * n], [0, 1, 0]], np.float32) for n in range(80)]
    film = [np.asarray(cv2.warpAffine(wide, shift, (WIDTH, HEIGHT))) for shift in shifts]
    last = list(imagined(guessed(film, hole)))[-1]
    for turned in (last, last.transpose(1, 0, 2)):
        right = hole & (np.arange(WIDTH) >= WIDTH - 10)
        right, known = (where if turned is last else where.T for where in (right, ~hole))
        assert roughness(turned, right) > 0.5 * roughness(turned, known)


def test_known_pixels_come_back_and_seeing_is_better_than_imagining(model: Predictor) -> None:
    film, hole = frames_of(np.stack([stones()] * 6)), torch.from_numpy(sides())
    holes = hole.expand(6, 1, -1, -1).clone()
    holes[3] = False
    made = together(tasks.inpaint(torch.where(holes, torch.nan, film), holes, model))
    known = ~holes.expand_as(film)
    assert torch.equal(made[known], film[known])
    assert (made - film).abs().mean() < 0.05


def test_nothing_is_carried_across_a_cut(model: Predictor) -> None:
    one, other = (torch.from_numpy(stones(HEIGHT, WIDTH, seed)) for seed in (0, 1))
    other = torch.stack([other[..., 0] // 4, other[..., 1] // 4, other[..., 2]], -1)
    pictures = torch.stack([one] * 8 + [other] * 8).numpy()
    film = frames_of(pictures)[..., SIDE:-SIDE]
    both = together(tasks.outpaint(film, HEIGHT, WIDTH, model))
    alone = [together(tasks.outpaint(part, HEIGHT, WIDTH, model)) for part in film.split(8)]
    assert torch.equal(both, torch.cat(alone))


def test_a_long_film_is_answered_as_it_comes(model: Predictor) -> None:
    source = Counted(frames_of(np.stack([stones()] * 80))[..., SIDE:-SIDE])
    answers = tasks.outpaint(source, HEIGHT, WIDTH, model)
    for n in range(30):
        next(answers)
        assert source.pulled <= n + 16 + 24 + 3 + 6 + 1


def test_thin_holes_are_none_of_it() -> None:
    hole = np.zeros((100, 100), bool)
    hole[:, 40:43], hole[20:60, 60:90] = True, True
    assert not thick(hole)[:, 40:43].any()
    assert thick(hole)[25:55, 65:85].all()


def test_more_places_are_read_than_fit_a_row() -> None:
    picture = stones()
    at = np.tile(places(HEIGHT, WIDTH).reshape(-1, 2), (12, 1))
    assert len(at) > 2**15
    assert np.array_equal(read_at(picture, at), np.tile(picture.reshape(-1, 3), (12, 1)))


def test_a_crack_in_a_large_picture_costs_little_memory() -> None:
    picture, hole = stones(160, 260), np.zeros((160, 260), bool)
    hole[80:83, 100:103] = True
    assert np.array_equal(completed(picture, hole, picture)[~hole], picture[~hole])


def test_a_similarity_is_found_among_figures() -> None:
    y, x = np.mgrid[:90, :160].astype(np.float32)
    motion = np.stack([0.01 * x - 0.02 * y + 3, 0.02 * x + 0.01 * y - 1], -1)
    motion[20:50, 60:100] = 9
    found = similarity(motion, x < 20)
    assert np.allclose(found, [0.01, 0.02, 3, -1], atol=0.02)


def test_amid_a_picture_the_guess_is_heard_too_where_much_of_the_hole_was_seen() -> None:
    picture, never = stones(), np.zeros((HEIGHT, WIDTH), bool)
    never[20:44, 30:60] = True
    hole, soft = never.copy(), softly(picture, never)
    hole[8:56, 20:70] = True
    amid, alone = (next(imagined([Guessed(soft, one, never)])) for one in (hole, never))
    assert roughness(soft, never) < roughness(amid, never) < 0.7 * roughness(picture, never)
    assert roughness(alone, never) > 0.6 * roughness(picture, never)
    for made in (amid, alone):
        assert np.array_equal(made[~never], picture[~never])


def test_a_picture_that_is_all_hole_is_no_error() -> None:
    everywhere = np.ones((HEIGHT, WIDTH), bool)
    made = next(imagined([Guessed(stones(), everywhere, everywhere)]))
    assert made.shape == (HEIGHT, WIDTH, 3)


def together(frames) -> Tensor:
    return torch.stack(list(frames))
