"""`kineo bench predict`: our model against every baseline, on shots that no training has seen."""

from collections.abc import Iterator
from pathlib import Path

import torch
from jaxtyping import Float
from rich.console import Console
from torch import Tensor

from kineograph import tasks
from kineograph.answer import Sampling
from kineograph.data import footage, shots
from kineograph.data.clips import fixed_clips
from kineograph.evaluate.article import article_baseline, load_article
from kineograph.evaluate.baselines import Baseline, classical
from kineograph.evaluate.bench import BenchOptions, Draw, bench_predict
from kineograph.evaluate.clips import EvalClip
from kineograph.models import weights
from kineograph.models.window import Predictor
from kineograph.video.levels import frames_of

NUM_CONTEXT, NUM_FUTURE = 8, 16


def bench(model: str, out: Path, steps: int, quick: bool, console: Console) -> None:
    """Measures the named model; writes the report into `out`."""
    kineo = weights.load(model)
    options = BenchOptions(measures=("psnr", "ssim")) if quick else BenchOptions()
    about = {"model": model, "sha256": weights.digest(model), "steps of a sample": steps}
    baselines = {**classical(), "article": article_baseline(load_article())}
    bench_predict(
        list(held_out_clips()), out, baselines, {"kineo mean": mean_of(kineo)},
        {f"kineo {steps}": draw_of(kineo, steps)},
        options, about, console,
    )  # fmt: skip
    console.print(f"{out}: the report.")


def mean_of(model: Predictor) -> Baseline:
    """The model's mean, as the bench asks for it."""
    return lambda context, num_frames: tasks.predict(context, num_frames, model, Sampling(1))


def draw_of(model: Predictor, steps: int) -> Draw:
    """The model's samples in so many steps."""

    def draw(
        context: Float[Tensor, "t c h w"], num_frames: int, generator: torch.Generator
    ) -> Float[Tensor, "n c h w"]:
        seed = int(torch.randint(2**31, (), generator=generator))
        return tasks.predict(context, num_frames, model, Sampling(steps, seed))

    return draw


def held_out_clips() -> Iterator[EvalClip]:
    """Up to two clips of each held-out shot, 128 x 128."""
    film = footage.fetch("bbb")
    num = NUM_CONTEXT + NUM_FUTURE
    for start, end in shots.held_out_shots():
        if end - start < num:
            continue
        per_shot = 2 if end - start >= 2 * num else 1
        for index, clip in enumerate(fixed_clips(film, [(start, end)], num, 128, per_shot)):
            frames = frames_of(clip)
            known, future = frames[:NUM_CONTEXT], frames[NUM_CONTEXT:]
            yield EvalClip(f"bbb-{start}-{index}", f"bbb-{start}", known, future)
