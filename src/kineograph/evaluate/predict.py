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
from kineograph.evaluate.baselines import classical
from kineograph.evaluate.bench import BenchOptions, bench_predict
from kineograph.evaluate.clips import EvalClip
from kineograph.models import weights
from kineograph.video.levels import frames_of

NUM_CONTEXT, NUM_FUTURE = 8, 16


def bench(model: str, out: Path, steps: int, quick: bool, console: Console) -> None:
    """Measures the named model; writes the report into `out`."""
    kineo = weights.load(model)

    def mean(context: Float[Tensor, "t c h w"], n: int) -> Float[Tensor, "n c h w"]:
        return tasks.predict(context, n, kineo, Sampling(1))

    def draw(
        context: Float[Tensor, "t c h w"], n: int, generator: torch.Generator
    ) -> Float[Tensor, "n c h w"]:
        seed = int(torch.randint(2**31, (), generator=generator))
        return tasks.predict(context, n, kineo, Sampling(steps, seed))

    options = BenchOptions(measures=("psnr", "ssim")) if quick else BenchOptions()
    about = {"model": model, "sha256": weights.digest(model), "steps of a sample": steps}
    baselines = {**classical(), "article": article_baseline(load_article())}
    bench_predict(
        list(held_out_clips()), out, baselines, {"kineo mean": mean}, {f"kineo {steps}": draw},
        options, about, console,
    )  # fmt: skip
    console.print(f"{out}: the report.")


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
