"""For every task: known pixels come back bit for bit, times are exact, cuts stay cuts."""

from fractions import Fraction
from itertools import pairwise
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from torch import Tensor

from kineograph import tasks
from kineograph.answer import Measured, in_between, tiles
from kineograph.answer.restoring import frame_of, picture_of, restored, restorer
from kineograph.damage import Damage
from kineograph.data.degrade import with_white_noise
from kineograph.known import Known
from kineograph.models import carried, eulerian, weights
from kineograph.models.net import Kineo
from kineograph.models.restorer import Restorer, RestorerShape, Shown, as_values, softening
from kineograph.models.window import Predictor
from kineograph.train import transfer
from kineograph.video.levels import from_levels, levels, to_8_bits
from tests_support import panning

FEW = settings(
    max_examples=8,
    deadline=None,
    suppress_health_check=(HealthCheck.too_slow, HealthCheck.function_scoped_fixture),
)


@pytest.fixture(scope="module")
def model() -> Predictor:
    return weights.load()


def film(num_frames: int = 9, speed_px: float = 1.0, size: int = 48) -> Tensor:
    return to_8_bits(panning(num_frames, speed_px, size))


def timed(frames: Tensor, fps: Fraction) -> list[tasks.Timed]:
    return [(n / fps, frame) for n, frame in enumerate(frames)]


@FEW
@given(seed=st.integers(0, 2**31), share=st.floats(0.0, 1.0))
def test_inpaint_moves_no_known_pixel(model: Predictor, seed: int, share: float) -> None:
    generator = torch.Generator().manual_seed(seed)
    frames = 2 * torch.rand(4, 3, 24, 40, generator=generator) - 1
    holes = torch.rand(4, 1, 24, 40, generator=generator) < share
    hidden = torch.where(holes, torch.nan, frames)
    made = torch.stack(list(tasks.inpaint(hidden, holes, model)))
    known = ~holes.expand_as(frames)
    assert torch.equal(made[known], frames[known])
    assert made.isfinite().all()
    assert (made.abs() <= 1).all()


@FEW
@given(seed=st.integers(0, 2**31), width=st.integers(8, 40), height=st.integers(8, 40))
def test_the_kernel_moves_no_known_cell_of_a_restorer(seed: int, width: int, height: int) -> None:
    generator = torch.Generator().manual_seed(seed)
    net = Restorer(RestorerShape(2, 1, (8, 8, 8)))
    torch.nn.init.normal_(net.say.weight, generator=generator)
    own = 2 * torch.rand(1, 3, height, width, generator=generator) - 1
    made = torch.randint(0, 256, (1, 2, 3, height, width), dtype=torch.uint8, generator=generator)
    shown = Shown(levels(own).byte(), made[:, 0, :1], made, made[:, :, 0], torch.ones(1, 1))
    hole = torch.rand(1, 1, 1, height, width, generator=generator) < 0.5
    answer = restored(net, shown, Known.exactly(own[:, None]).region(~hole))
    known = ~hole[0, 0].expand_as(answer)
    assert torch.equal(answer[known], own[0][known])


def test_a_restorer_begins_as_the_mean_that_counts_give() -> None:
    net = Restorer(RestorerShape(1, 1, (8, 8, 8)))
    own, other = (torch.full((1, 3, 16, 16), level, dtype=torch.uint8) for level in (60, 180))
    full = torch.full_like(own[:, :1], 255)
    once, twice = (
        net(Shown(own, full, other[:, None], torch.full_like(full, doubt), torch.zeros(1, 1)))
        for doubt in (0, 16)  # e times less
    )
    assert torch.allclose(once, from_levels((own + other.float()) / 2), atol=1e-3)
    share = 1 / (1 + np.e)
    assert torch.allclose(twice, from_levels((1 - share) * 60 + share * other), atol=1e-3)


@pytest.mark.parametrize("width_px", [1, 3, 5])
def test_softening_cells_is_the_mean_over_squares(width_px: int) -> None:
    picture = torch.randint(0, 256, (1, 3, 24, 32), dtype=torch.uint8)
    cells = torch.nn.functional.pad(as_values(picture), (1, 1, 1, 1), mode="replicate")
    made = torch.nn.functional.conv2d(cells, softening((width_px,)))
    soft = torch.nn.functional.pixel_shuffle(made, 2)[..., 2:-2, 2:-2]
    mean = torch.nn.functional.avg_pool2d(from_levels(picture), width_px, 1)
    edge = 2 - width_px // 2
    assert torch.allclose(soft, mean[..., edge : -edge or None, edge : -edge or None], atol=1e-5)


def test_a_carried_mean_is_the_mean_of_a_still_shot_and_forgets_another() -> None:
    rng = np.random.default_rng(0)
    still = np.asarray(cv2.resize(rng.integers(0, 256, (8, 8, 3), np.uint8), (64, 64)))
    noisy = [with_white_noise(still[None], 10.0, rng)[0] for _ in range(9)]
    shots = [*noisy, *[255 - frame for frame in noisy]]
    found = list(carried.both_ways(carried.Seen.of(frame) for frame in shots))
    assert len(found) == len(shots)
    for n in (3, 8):
        _, (behind, count), (ahead, later) = found[n]
        assert 0.7 * n < np.median(count) <= n
        left = np.std(behind[4:-4, 4:-4].astype(float) - still[4:-4, 4:-4])
        assert left < 10 / np.sqrt(0.7 * n) * 1.2
        assert ahead.shape == still.shape
        assert np.median(later) <= 9 - n
    assert np.median(found[9][1][1]) < 0.1
    assert np.median(found[8][2][1]) < 0.1


def test_carried_means_do_not_depend_on_how_a_film_is_cut_in_chunks() -> None:
    seen = [carried.Seen.of(frame) for frame in map(picture_of, film(30))]
    streamed = [behind for _, behind, _ in carried.both_ways(seen)]
    for one, other in zip(streamed, carried.carried(seen), strict=True):
        assert np.array_equal(one[0], other[0])
        assert np.array_equal(one[1], other[1])


def test_motions_kept_from_interval_to_interval_change_nothing(model: Predictor) -> None:
    frames = list(film(6, 1.7))
    measured = Measured()
    for n in (1, 2, 3):
        around = [frames[n - 1], frames[n], frames[n + 1], frames[n + 2] if n < 3 else None]
        kept = list(in_between(model, around, [0.3, 0.5], measured))
        fresh = list(in_between(model, around, [0.3, 0.5]))
        assert all(torch.equal(one, other) for one, other in zip(kept, fresh, strict=True))


def test_outpaint_keeps_the_film_in_the_middle(model: Predictor) -> None:
    frames = film(3)
    wide = torch.stack(list(tasks.outpaint(frames, 48, 80, model)))
    assert wide.shape == (3, 3, 48, 80)
    assert torch.equal(wide[..., 16:64], frames)
    assert wide[..., :16].std() > 0
    with pytest.raises(ValueError, match="48x48 px and 40x48"):
        list(tasks.outpaint(frames, 48, 40, model))


@pytest.mark.parametrize(
    ("old", "new"),
    [(24, 60), (24, 48), (30, 24), (Fraction(24000, 1001), Fraction(60000, 1001))],
)
def test_interpolate_has_exact_times_and_keeps_known_frames(
    model: Predictor, old: Fraction | int, new: Fraction | int
) -> None:
    old, new = Fraction(old), Fraction(new)
    frames = film(7)
    made = list(tasks.interpolate(timed(frames, old), new, model))
    last = 6 / old
    assert [at for at, _ in made] == [k / new for k in range(int(last * new) + 1)]
    for at, frame in made:
        if (at * old).denominator == 1:
            assert torch.equal(frame, frames[int(at * old)])


def test_interpolated_frames_are_nearer_than_a_blend(model: Predictor) -> None:
    frames = film(9, 1.5, 64)
    made = dict(tasks.interpolate(timed(frames[::2], Fraction(12)), Fraction(24), model))
    between = torch.stack([made[Fraction(n, 24)] for n in (3, 5)])
    truth, blend = frames[[3, 5]], (frames[[2, 4]] + frames[[4, 6]]) / 2
    assert (between - truth).square().mean() < 0.25 * (blend - truth).square().mean()


def test_nothing_is_blended_across_a_cut(model: Predictor) -> None:
    first = 0.3 * film(6) + torch.tensor([0.5, -0.3, -0.5]).view(3, 1, 1)
    second = 0.3 * film(6).flip(-1) + torch.tensor([-0.5, 0.0, 0.6]).view(3, 1, 1)
    shots = timed(torch.cat([first, second]), Fraction(24))
    made = list(tasks.interpolate(shots, Fraction(48), model))
    assert len(made) == 23
    assert torch.equal(made[11][1], first[-1])
    assert torch.equal(made[12][1], second[0])


def test_repair_returns_a_whole_film_bit_for_bit(model: Predictor) -> None:
    frames = film(8)
    made = list(tasks.repair(frames, Damage(), model=model))
    assert len(made) == 8
    whole = [n for n, (_, finding) in enumerate(made) if not finding.hole.any()]
    assert whole
    for n in whole:
        assert torch.equal(made[n][0], frames[n])


def test_a_listed_frame_is_made_of_those_around_it(model: Predictor) -> None:
    frames = film(8)
    broken = frames.clone()
    broken[4] = 0.0
    nothing = Damage(False, False, False, False, False)
    made = [frame for frame, _ in tasks.repair(broken, nothing, frozenset({4}), model)]
    assert all(torch.equal(made[n], frames[n]) for n in range(8) if n != 4)
    still = (frames[3] - frames[4]).square().mean()
    assert (made[4] - frames[4]).square().mean() < 0.5 * still


def test_a_line_that_a_person_saw_is_filled_and_all_else_kept(model: Predictor) -> None:
    frames = film(8).clone()
    frames[..., 20] = -0.9
    made = list(tasks.repair(frames, Damage(), model=model, lines=frozenset({20})))
    for before, (frame, finding) in zip(frames, made, strict=True):
        hole = finding.hole.expand_as(frame)
        assert hole[..., 20].float().mean() > 0.8
        assert torch.equal(frame[~hole], before[~hole])
        assert (frame[..., 20] > -0.5).float().mean() > 0.5


def test_a_film_with_no_whole_frame_cannot_be_repaired(model: Predictor) -> None:
    with pytest.raises(ValueError, match="No frame of the film is whole"):
        list(tasks.repair(film(3), Damage(), frozenset({0, 1, 2}), model))


def test_denoising_helps_and_its_strength_is_a_share(model: Predictor) -> None:
    frames = film(6, 0.5, 64)
    noise = torch.randn(frames.shape, generator=torch.Generator().manual_seed(0))
    noisy = to_8_bits(frames + 0.15 * noise)
    made, half = (
        torch.stack(list(tasks.enhance(noisy, tasks.Enhancement(denoise=share), model)))
        for share in (1.0, 0.5)
    )
    assert (made - frames).square().mean() < 0.3 * (noisy - frames).square().mean()
    assert torch.allclose(half, (noisy + made) / 2, atol=1e-5)


def test_enlarging_beats_bicubic(model: Predictor) -> None:
    frames = film(5, 0.7, 96)
    few = to_8_bits(torch.nn.functional.avg_pool2d(frames, 4))
    made = torch.stack(list(tasks.enhance(few, tasks.Enhancement(scale=4), model)))
    bicubic = torch.nn.functional.interpolate(few, scale_factor=4, mode="bicubic")
    assert made.shape == frames.shape
    assert (made - frames).square().mean() < (bicubic.clamp(-1, 1) - frames).square().mean()


def test_colours_keep_the_light(model: Predictor) -> None:
    grey = film(3).mean(1, keepdim=True).expand(-1, 3, -1, -1).contiguous()
    made = torch.stack(list(tasks.enhance(grey, tasks.Enhancement(colourise=1.0), model)))
    light = torch.tensor([0.299, 0.587, 0.114]).view(3, 1, 1)
    inside = (made.abs() < 0.999).all(1)
    error = ((made - grey) * light).sum(1).abs()
    assert error[inside].max() < 0.01


def test_enhancements_out_of_range_say_so() -> None:
    with pytest.raises(ValueError, match="denoise is 2"):
        tasks.Enhancement(denoise=2.0)
    with pytest.raises(ValueError, match="scale is 3"):
        tasks.Enhancement(scale=3)


def test_tiles_agree_with_the_whole_picture(model: Predictor) -> None:
    assert isinstance(model, Kineo)
    net = restorer(model, "clean")
    rough = torch.rand(1, 3, 200, 264, generator=torch.Generator().manual_seed(0))
    own = 2 * torch.nn.functional.avg_pool2d(rough, 5, 1, 2) - 1 + 0.2 * (rough - 0.5)
    own = levels(own).byte()
    made, full = own[:, None].repeat(1, 2, 1, 1, 1), torch.full_like(own[:, :1], 255)
    shown = Shown(own, full, made, torch.zeros_like(made[:, :, 0]), torch.zeros(1, 2))
    with torch.inference_mode():
        whole, parts = tiles.tiled(net, shown), tiles.tiled(net, shown, 144, 64)
    assert not torch.equal(whole, parts)
    error = (whole - parts).square().mean()
    assert 10 * torch.log10(4 / error) > 45


@pytest.mark.parametrize(("height", "width"), [(8, 8), (16, 16), (18, 30), (31, 33)])
def test_small_frames_are_answered_too(model: Predictor, height: int, width: int) -> None:
    frames = film(4, size=48)[..., :height, :width]
    clean = torch.stack(list(tasks.enhance(frames, tasks.Enhancement(denoise=1.0), model)))
    large = torch.stack(list(tasks.enhance(frames, tasks.Enhancement(scale=2), model)))
    assert clean.shape == frames.shape
    assert large.shape[-2:] == (2 * height, 2 * width)
    hole = torch.zeros(4, 1, height, width, dtype=torch.bool)
    hole[:, :, 2:6, 2:6] = True
    filled = torch.stack(list(tasks.inpaint(frames, hole, model)))
    assert torch.equal(filled[~hole.expand_as(frames)], frames[~hole.expand_as(frames)])


def test_spans_cover_a_side_and_overlap_enough() -> None:
    for length in range(8, 2000, 56):
        found = tiles.spans(length, 512, 64)
        assert found[0][0] == 0
        assert found[-1][1] == length if length <= 512 else found[-1][1] >= length - 8
        assert all(a[1] - b[0] >= 56 for a, b in pairwise(found))


@FEW
@given(dx=st.floats(-2, 2), dy=st.floats(-2, 2))
def test_animate_begins_with_the_still_and_closes(dx: float, dy: float) -> None:
    still = film(1)[0]
    field = eulerian.flowing(48, 48, (dx, dy), None)
    made = list(tasks.animate(still, field, 12))
    assert len(made) == 12
    assert torch.equal(made[0], still)
    steps = [(a - b).abs().mean() for a, b in zip(made, [*made[1:], still], strict=True)]
    assert steps[-1] <= 1.5 * max(steps[:-1]) + 1e-6


def test_a_flow_carries_the_still() -> None:
    frames = film(4, 2.0, 64)
    field = eulerian.flowing(64, 64, (2.0, 0.0), None)
    made = torch.stack(list(tasks.animate(frames[0], field, 4, loop=False)))
    assert (made - frames)[..., 10:].abs().mean() < 0.02


def test_pictures_and_frames_are_inverses() -> None:
    frame = film(1)[0]
    assert torch.equal(frame_of(picture_of(frame)), frame)


def test_precede_is_predict_backwards(model: Predictor) -> None:
    frames = film(8)
    assert torch.equal(
        tasks.precede(frames, 2, model), tasks.predict(frames.flip(0), 2, model).flip(0)
    )


def test_a_map_between_domains_is_learned_from_a_pair(tmp_path: Path) -> None:
    target = np.stack([picture_of(frame) for frame in film(6, 1.0, 48)])
    net, result = transfer.learn(255 - target, target, tmp_path / "run", 1.0, steps=12)
    path = tmp_path / "map.safetensors"
    transfer.save(net, path, result, ("negative", "film"))
    given = torch.stack([frame_of(picture) for picture in 255 - target])
    made = torch.stack(list(tasks.transfer(given, weights.load_map(str(path)))))
    assert made.shape == given.shape
    truth = torch.stack([frame_of(picture) for picture in target])
    assert (made - truth).square().mean() < (given - truth).square().mean()
    with pytest.raises(ValueError, match="of the same number and size"):
        transfer.learn(target, target[:3], tmp_path / "other", 1.0)
