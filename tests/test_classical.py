"""The classical answers do what they claim: still stays still, paths bend, what is seen returns."""

import pytest
import torch
import torch.nn.functional as F

from kineograph.evaluate import classical
from kineograph.evaluate.classical import Middle
from kineograph.evaluate.extrapolate import Farneback
from kineograph.evaluate.metrics import psnr
from kineograph.evaluate.questions import ROWS, Question, blind
from kineograph.evaluate.tune_all import descend, methods
from kineograph.models.motion import Dis
from kineograph.video.levels import to_8_bits

EVERY = [(row, name) for row in ROWS for name in classical.classical(row)]


def picture(height: int, width: int) -> torch.Tensor:
    """Smooth blobs of colour, on 8 bits."""
    coarse = torch.rand(1, 3, height // 6, width // 6, generator=torch.Generator().manual_seed(3))
    return F.interpolate(coarse * 1.6 - 0.8, (height, width), mode="bicubic")[0].clamp(-1, 1)


def still(num_frames: int = 9) -> torch.Tensor:
    return to_8_bits(picture(48, 64)).expand(num_frames, -1, -1, -1)


def moving(at_px: list[float]) -> torch.Tensor:
    """A window over one large picture, so many pixels from its left edge in each frame."""
    big = picture(64, 240)
    x, y = torch.arange(80.0), torch.arange(64.0)
    frames = []
    for left in at_px:
        to_x = ((x + 20 + left) * 2 / 239 - 1).expand(64, 80)
        grid = torch.stack([to_x, (y * 2 / 63 - 1)[:, None].expand(64, 80)], dim=-1)
        frames.append(F.grid_sample(big[None], grid[None], mode="bicubic", align_corners=True)[0])
    return to_8_bits(torch.stack(frames))


def asked(row: str, frames: torch.Tensor, seed: int = 1) -> Question:
    return ROWS[row].cut(frames, "clip", "shot", seed)


@pytest.mark.parametrize(("row", "name"), EVERY)
def test_answers_have_the_asked_shape_and_repeat_and_need_no_truth(row: str, name: str) -> None:
    question = asked(row, moving([2.0 * t for t in range(9)]))
    given = question.given.clone()
    answer = classical.classical(row)[name]
    first, again = answer(blind(question)), answer(blind(question))
    assert first.shape == question.truth.shape
    assert first.abs().max() <= 1
    assert torch.equal(first, again)
    assert torch.equal(question.given, given)


@pytest.mark.parametrize("name", list(classical.classical("interpolate")))
def test_between_equal_frames_is_the_same_frame(name: str) -> None:
    question = asked("interpolate", still())
    answer = classical.classical("interpolate")[name](question)
    worst = (answer - question.truth).abs().max()
    assert worst < (0.05 if name == "minterpolate" else 3e-3), "ffmpeg goes through 8-bit YUV"


@pytest.mark.parametrize("estimator", [Dis(), Farneback()])
@pytest.mark.parametrize("transport", ["still", "sought", "splat"])
def test_the_middle_of_a_slide_is_found(estimator: Dis | Farneback, transport: str) -> None:
    question = asked("interpolate", moving([2.0 * t for t in range(9)]))
    answer = classical.middle(question, Middle(estimator, 1, transport))  # pyright: ignore
    inside = (..., slice(16, -16))
    assert psnr(answer[inside], question.truth[inside]).min() > 36
    assert psnr(classical.average(question)[inside], question.truth[inside]).max() < 30


def test_minterpolate_answers_for_the_frames_between() -> None:
    question = asked("interpolate", moving([2.0 * t for t in range(9)]))
    answer = classical.minterpolate(question)[..., 16:-16]
    right = psnr(answer, question.truth[..., 16:-16])
    assert (right > psnr(answer, question.given[:-1, ..., 16:-16]) + 3).all()
    assert (right > psnr(answer, question.given[1:, ..., 16:-16]) + 3).all()


def test_a_bent_path_follows_constant_acceleration() -> None:
    question = asked("interpolate", moving([0.25 * t * t for t in range(9)]))
    inside = (slice(1, -1), ..., slice(24, -24))
    straight, bent = (
        psnr(classical.middle(question, Middle(bend=bend))[inside], question.truth[inside]).mean()
        for bend in (0.0, 1.0)
    )
    assert bent > straight + 1


@pytest.mark.parametrize("name", list(classical.classical("denoise")))
def test_noise_is_lessened(name: str) -> None:
    question = asked("denoise", still(8))
    before = psnr(question.given, question.truth).mean()
    after = psnr(classical.classical("denoise")[name](question), question.truth).mean()
    assert after == before if name == "noisy" else after > before + 2


def test_frames_along_the_motion_help() -> None:
    question = asked("denoise", moving([1.5 * t for t in range(8)]))
    alone = psnr(classical.dct(question), question.truth).mean()
    assert psnr(classical.along_motion(question), question.truth).mean() > alone + 1


@pytest.mark.parametrize("name", list(classical.classical("upscale")))
def test_an_even_colour_stays_even(name: str) -> None:
    question = asked("upscale", to_8_bits(torch.full((8, 3, 32, 48), 0.3)))
    torch.testing.assert_close(classical.classical("upscale")[name](question), question.truth)


def test_back_projection_shrinks_to_what_was_given() -> None:
    question = asked("upscale", moving([0.0] * 8))

    def misfit(num_corrections: int) -> float:
        made = classical.enlarged(question, num_corrections=num_corrections)
        return float((F.avg_pool2d(made, 4) - question.given).abs().mean())

    assert misfit(4) < 0.1 * misfit(0)


def test_what_is_seen_at_another_time_comes_back() -> None:
    question = asked("inpaint", still(24), seed=0)
    assert question.hole is not None
    once_seen = question.hole & ~question.hole.all(dim=0)
    assert once_seen.sum() > 0.3 * question.hole.sum(), "the box uncovers enough to judge"
    for name in ("nearest in time", "along flow"):
        answer = classical.classical("inpaint")[name](question)
        error = torch.where(once_seen, answer - question.truth, 0).abs()
        assert error.max() < (1e-6 if name == "nearest in time" else 0.02), name


def test_flow_carries_what_the_same_place_does_not_show() -> None:
    question = asked("inpaint", moving([2.0 * t for t in range(16)]), seed=2)
    near, followed = classical.nearest_in_time(question), classical.along_flow(question)
    assert psnr(followed, question.truth).mean() > psnr(near, question.truth).mean() + 2


def test_no_hole_and_a_broken_filter_are_refused_in_a_sentence() -> None:
    with pytest.raises(ValueError, match="clip has no hole to fill"):
        classical.nearest_in_time(asked("denoise", still(8)))
    with pytest.raises(ValueError, match="ffmpeg failed at nonsense"):
        classical.ffmpeg(classical.to_image_frames(still(2)), "nonsense")


def test_tuning_climbs_one_option_at_a_time_and_never_down() -> None:
    def rate(settings: dict[str, float]) -> float:
        return -((settings["a"] - 2) ** 2) - (settings["b"] - 5) ** 2

    seen = list(descend({"a": 0, "b": 0}, {"a": (1, 2, 3), "b": (4, 7)}, rate))
    assert seen[-1] == ({"a": 2, "b": 4}, -1)
    assert [value for _, value in seen] == sorted(value for _, value in seen)


@pytest.mark.parametrize("name", list(methods()))
def test_every_tuned_method_is_a_method_of_its_row(name: str) -> None:
    method = methods()[name]
    assert name in classical.classical(method.row)
    question = asked(method.row, moving([0.0, 1.0, 2.0, 3.0, 4.0]))
    assert method.make(method.start)(question).shape == question.truth.shape
