"""Live, a frame is answered from itself and those before it; what is kept changes no answer."""

import subprocess
import sys
from collections.abc import Iterator
from functools import partial
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

import kineograph
from films import film as film_of
from films import stored, textured
from kineograph import tasks, video
from kineograph.answer import (
    Sampling,
    cleaned_at_once,
    continued,
    enlarged_at_once,
    foretold,
    num_recent_of,
)
from kineograph.answer.live import Recent, foretelling
from kineograph.answer.restoring import picture_of
from kineograph.evaluate.bench_stream import streamed, told
from kineograph.models import carried, weights
from kineograph.models.kept import Kept
from kineograph.models.window import Predictor
from kineograph.video.levels import to_8_bits
from tests_support import TINY_SHAPE, Counted, panning

NOISE = 25 / 127.5
BOTH = """
import torch
from kineograph.answer import cleaned_at_once, enlarged_at_once
from kineograph.models import weights

model = weights.load()
for size in (40, 40), (50, 36):
    film = 2 * torch.rand(3, 3, *size, generator=torch.Generator().manual_seed(0)) - 1
    for make in cleaned_at_once, lambda m, f, **by: enlarged_at_once(m, f, 2, **by):
        plain, fast = (list(make(model, film, backend=by)) for by in ("eager", "openvino"))
        print(float((torch.stack(fast) - torch.stack(plain)).abs().max()))
"""
CLIP = Path(kineograph.__file__).parent / "assets" / "clip.mp4"


@pytest.fixture(scope="module")
def model() -> Predictor:
    return weights.load()


def noisy(film: Tensor) -> Tensor:
    generator = torch.Generator().manual_seed(0)
    return to_8_bits(film + NOISE * torch.randn(film.shape, generator=generator))


def error(made: Tensor, film: Tensor) -> float:
    return float((made - film).square().mean())


def test_a_frame_is_answered_before_the_next_is_asked_for(model: Predictor) -> None:
    source = Counted(noisy(panning(5, 1.0)))
    for make in (
        cleaned_at_once(model, source, backend="eager"),
        enlarged_at_once(model, source, 2, backend="eager"),
    ):
        source.pulled = 0
        for n, _ in enumerate(make, 1):
            assert source.pulled == n


def test_live_denoising_gains_with_the_frames_before(model: Predictor) -> None:
    film = panning(16, 1.0)
    made = torch.stack(list(cleaned_at_once(model, noisy(film), backend="eager")))
    first, later = error(made[0], film[0]), error(made[8:], film[8:])
    assert first < 0.2 * NOISE**2
    assert later < 0.75 * first
    half = torch.stack(list(cleaned_at_once(model, noisy(film), 0.5, "eager")))
    assert torch.allclose(half, torch.lerp(noisy(film), made, 0.5), atol=1e-6)


def test_leaning_on_answers_for_long_wears_nothing(model: Predictor) -> None:
    still = panning(1, 0.0).expand(120, -1, -1, -1)
    made = torch.stack(list(cleaned_at_once(model, noisy(still), backend="eager")))
    assert error(made[80:], still[80:]) < 1.05 * error(made[20:60], still[20:60])


def test_nothing_is_left_of_the_shot_before(model: Predictor) -> None:
    shot, other = 0.4 * panning(8, 1.0) + 0.5, 0.4 * panning(8, -2.0) - 0.5
    after = list(cleaned_at_once(model, noisy(torch.cat([shot, other])), backend="eager"))[8:]
    alone = list(cleaned_at_once(model, noisy(torch.cat([shot, other]))[8:], backend="eager"))
    assert abs(error(after[0], other[0]) / error(alone[0], other[0]) - 1) < 0.1


def test_live_enlarging_is_as_near_as_with_what_comes(model: Predictor) -> None:
    film = video.read(CLIP).frames[:10, :, 100:196, 200:360]
    small = to_8_bits(torch.nn.functional.avg_pool2d(film, 2))
    live = torch.stack(list(enlarged_at_once(model, small, 2, "eager")))
    ahead = torch.stack(list(tasks.enhance(small, tasks.Enhancement(scale=2), model)))
    assert live.shape == film.shape
    assert error(live, film) < 1.1 * error(ahead, film)


@pytest.mark.skipif(not find_spec("openvino"), reason="OpenVINO is not installed")
def test_openvino_answers_as_torch_does() -> None:
    """In a process of its own: with every type checked as it runs, nothing can be traced."""
    said = subprocess.run([sys.executable, "-c", BOTH], capture_output=True, text=True, check=True)
    farthest = [float(word) for word in said.stdout.split()]
    assert len(farthest) == 4
    assert max(farthest) < 1 / 255


def test_what_is_brought_from_an_answer_counts_for_less_than_frames_do() -> None:
    frames = [carried.Seen.of(picture_of(frame)) for frame in panning(2, 0.0)]
    past = carried.Past(carried.held_with(frames[0], carried.nothing(frames[0])), frames[0].picture)
    (mean, count), (answer, less), motion = past.brought(frames[1])
    assert np.abs(motion).max() < 0.1
    assert np.allclose(less, carried.ANSWERED * count, atol=1e-6)
    assert np.abs(mean.astype(float) - frames[1].picture).mean() < 1
    assert np.abs(answer.astype(float) - frames[1].picture).mean() < 1


def test_deblurring_is_not_live(model: Predictor) -> None:
    with pytest.raises(ValueError, match="it cannot be undone"):
        tasks.enhance(panning(2, 1.0), tasks.Enhancement(deblur=True), model, live=True)


def clips(film: Tensor, num_recent: int) -> Iterator[Recent]:
    for n in range(len(film)):
        yield Recent(list(film[max(0, n + 1 - num_recent) : n + 1]), n)


@pytest.mark.parametrize("num_ahead", [3, 12, 13])
def test_what_is_kept_from_clip_to_clip_changes_nothing(model: Predictor, num_ahead: int) -> None:
    film, sampling = to_8_bits(panning(20, 1.5)), Sampling(working_px=32)
    foretell = foretelling(model, num_ahead, sampling)
    for clip in clips(film, num_recent_of(num_ahead)):
        made = foretell(clip)
        if clip.number % 5 == 4:
            fresh = Kept((0,))
            args = model, clip.frames, clip.number, num_ahead, fresh, sampling
            assert torch.equal(made, foretold(*args))


def test_what_is_kept_is_bounded_and_is_measured_once(model: Predictor) -> None:
    film, kept, sizes = to_8_bits(panning(40, 1.5)), Kept((0,)), []
    for clip in clips(film, num_recent_of(3)):
        foretold(model, clip.frames, clip.number, 3, kept, Sampling(working_px=32))
        sizes.append(len(kept.made))
    assert len(set(sizes[16:])) == 1
    assert max(sizes) < 60
    flows = [at for what, at in kept.made if what == "flow"]
    assert flows == [(n, n + 1) for n in range(32, 39)]


def test_up_to_eight_ahead_it_is_the_frame_of_a_whole_continuation(model: Predictor) -> None:
    film = to_8_bits(panning(8, 1.5))
    for num_ahead in (1, 8):
        made = foretold(model, list(film), 7, num_ahead, Kept((0,)))
        *_, whole = continued(model, film, num_ahead)
        assert (made - whole).abs().mean() < 1 / 127.5


def test_a_model_that_does_not_foresee_by_itself_is_asked_for_all() -> None:
    from kineograph.models.net import Kineo

    film, tiny = to_8_bits(panning(8, 1.5)), Kineo(TINY_SHAPE).eval()
    *_, whole = continued(tiny, film, 4)
    assert torch.equal(foretold(tiny, list(film), 7, 4, Kept((0,))), whole)


def test_a_long_stream_is_shown_in_memory_that_settles(model: Predictor, tmp_path: Path) -> None:
    """What each frame or each pass left behind would add up to more than this."""
    given = film_of(tmp_path / "film.mkv", [stored(p, "yuv420p") for p in textured(24, 32, 32)])
    make = partial(cleaned_at_once, model, backend="eager")
    went = streamed(given, make, 480, paced=False, every=30)
    assert (went.num_frames, went.num_dropped, len(went.held_mb)) == (480, 0, 16)
    assert went.growth_mb < 1.0
    assert "480 frames" in told("denoise", went)
