"""One loop trains any model on any objective, and a killed run goes on as if never stopped."""

import math
import signal
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from hashlib import blake2b
from pathlib import Path

import torch
from torch import Tensor, nn

from kineograph import scale
from kineograph.data.loader import Batch
from kineograph.train import checkpoint, ema, optimise, precision
from kineograph.train.log import RunLog
from kineograph.train.run import (
    BEST,
    FitOptions,
    Run,
    answering,
    hand_back,
    keep,
    put_back,
    resume,
    shared_out,
    whole,
)
from kineograph.train.watch import (
    HeldOut,
    Meter,
    Objective,
    Pictures,
    held_out_numbers,
    write_picture,
)

BatchesFrom = Callable[[int], Iterator[Batch]]
MAX_ROLLBACKS = 3


@dataclass(frozen=True)
class FitResult:
    """How a run went: shares are of wall time, and of the GEMM rate measured in this run."""

    step: int
    loss: float
    finished: bool
    seconds: float
    clips_per_second: float
    wait_share: float
    gemm_share: float | None
    precision: precision.Precision


def fit(
    model: nn.Module,
    objective: Objective,
    batches: BatchesFrom,
    options: FitOptions,
    out: Path,
    *,
    held_out: HeldOut | None = None,
    pictures: Pictures | None = None,
    optimizer: optimise.MakeOptimizer | None = None,
    ranks: scale.Ranks | None = None,
) -> FitResult:
    """Trains the model in place, and leaves checkpoints, log and pictures in `out`.

    batches(position) yields batches from that position on, the same ones every time (see
    kineograph.data.loader.Batches). Where `out` holds checkpoints the run goes on from the
    newest whole one, and comes out the same to the last digit as if never stopped. A signal
    (Ctrl-C, SIGTERM) ends it after the step at hand, with a checkpoint.
    ranks: which process this is; all are given the same, and share each batch.
    ValueError where the checkpoint is of another model or seed, or the loss stays not finite.
    """
    run = begin(model, objective, options, out, optimizer, ranks or scale.Ranks())
    stream, meter, window = batches(run.position), Meter(), Meter()
    with (
        RunLog(
            out if run.ranks.leads else out / f"rank-{run.ranks.rank}",
            run.step,
            options.steps,
            options.tensorboard and run.ranks.leads,
            options.quiet or not run.ranks.leads,
        ) as log,
        stopped_by_signal() as stop,
    ):
        if held_out and options.patience and run.step == 0:
            watch(run, log, held_out)  # what it begins with may be the best
        while run.step < options.steps and not ended(run, meter, stop):
            numbers = one_step(run, stream, (meter, window))
            log.write(run.step, numbers, run.step % options.log_every == 0)
            if run.step % options.log_every == 0:
                window = report(run, log, window, numbers)
            look(run, log, held_out, pictures)
            if run.step % options.checkpoint_every == 0:
                keep(run, meter)
        stopped = scale.any_of(stop.is_set(), run.ranks, run.device)
        late = options.patience and not stopped and run.looked_step != run.step
        if held_out and late:  # the last weights may be the best
            watch(run, log, held_out)
        keep(run, meter)
    hand_back(run)
    if close := getattr(stream, "close", None):
        close()
    return result(run, meter)


def begin(
    model: nn.Module,
    objective: Objective,
    options: FitOptions,
    out: Path,
    make: optimise.MakeOptimizer | None,
    ranks: scale.Ranks,
) -> Run:
    """A run at step 0, or where its newest whole checkpoint left it."""
    folder = out / "checkpoints"
    saved = checkpoint.load_latest(folder)
    device = torch.device(options.device)
    model.to(device).train()
    make = make or (
        lambda m: optimise.adamw(m, options.learning_rate, options.weight_decay, options.betas)
    )
    wanted = saved.scalars["precision"]["name"] if saved else options.precision
    trained, step_module = shared_out(model, objective, options, ranks)
    run = Run(
        model=trained,
        asked=model,
        step_module=step_module,
        optimizer=make(trained),
        ema=ema.started(trained),
        options=options,
        precision=precision.choose(device, wanted),
        ranks=ranks,
        folder=folder,
    )
    if saved:
        resume(run, saved)
    if options.compile:
        scale.compiled(trained)
    if not saved:
        keep(run, Meter())
    return run


def one_step(run: Run, stream: Iterator[Batch], meters: Sequence[Meter]) -> dict[str, float]:
    """One optimizer step; skipped where its loss or its gradient is not finite."""
    rate = optimise.set_rate(run.optimizer, rate_share(run, meters[0]))
    loss, parts = gathered(run, stream, meters)
    norm = float(optimise.clipped_norm(run.model, run.options.clip_norm))
    run.loss = float(scale.mean(loss, run.ranks))
    run.step += 1
    if math.isfinite(run.loss) and math.isfinite(norm):
        run.optimizer.step()
        ema.update(run.ema, run.model, ema.decay_at(run.step, run.options.ema_decay))
        run.bad = run.rollbacks = 0
    else:
        skip(run)
    run.optimizer.zero_grad(set_to_none=True)
    told = {name: float(value) for name, value in parts.items()}
    return {"loss": run.loss, "rate": rate, "gradient_norm": norm, **told}


def gathered(
    run: Run, stream: Iterator[Batch], meters: Sequence[Meter]
) -> tuple[Tensor, dict[str, Tensor]]:
    """The gradient over `accumulate` batches; gives their mean loss and the last one's parts."""
    losses, parts = [], {}
    for _ in range(run.options.accumulate):
        batch = waited_for(stream, meters).to(run.device)
        loss, parts = scored(run.step_module, batch, run)
        (loss / run.options.accumulate).backward()
        losses.append(loss.detach())
        run.position += 1
    return torch.stack(losses).mean(), parts


def rate_share(run: Run, meter: Meter) -> float:
    options, at = run.options, run.step
    if options.timed and options.minutes and run.step >= options.warmup_steps:
        passed = (run.seconds_before + meter.seconds) / (60 * options.minutes)
        at = max(at, passed * options.steps)
    return optimise.rate_at(
        at, options.steps, options.rate_shape, options.warmup_steps, options.decay_share
    )


def waited_for(stream: Iterator[Batch], meters: Sequence[Meter]) -> Batch:
    """The next batch; the meters learn how long it took."""
    start = time.perf_counter()
    batch = next(stream)
    for meter in meters:
        meter.waited += time.perf_counter() - start
        meter.clips += len(batch.frames)
    return batch


def scored(module: nn.Module, batch: Batch, run: Run) -> tuple[Tensor, dict[str, Tensor]]:
    """The loss of a batch. Its randomness depends on (seed, position, rank) and nothing else."""
    generator = torch.Generator(run.device)
    generator.manual_seed(folded(run.options.seed, run.position, run.ranks.rank))
    with precision.autocast(run.device, run.precision.name):
        return module(batch, generator)


def folded(*numbers: int) -> int:
    """One seed from several numbers; neighbours are unrelated."""
    digest = blake2b(repr(numbers).encode(), digest_size=8).digest()
    return int.from_bytes(digest, "little") >> 1


def skip(run: Run) -> None:
    """Passes over a bad step; after several in a row, goes back to the last checkpoint's weights.

    The data go on, so that the same batches are not met again.
    """
    run.bad += 1
    if run.bad < run.options.bad_steps:
        return
    saved = checkpoint.load_latest(run.folder)
    if saved is None or run.rollbacks == MAX_ROLLBACKS:
        raise ValueError(
            f"The loss is {run.loss} at step {run.step} and has not been finite for "
            f"{run.bad * (run.rollbacks + 1)} steps: lower the learning rate, or look at the data."
        )
    put_back(run, saved)
    run.bad, run.rollbacks = 0, run.rollbacks + 1


def ended(run: Run, meter: Meter, stop: threading.Event) -> bool:
    """Whether time is up or a signal came, for any process."""
    limit = run.options.minutes
    late = limit is not None and run.seconds_before + meter.seconds > 60 * limit
    done = 0 < run.options.patience <= run.looks_since
    return scale.any_of(late or done or stop.is_set(), run.ranks, run.device)


def report(run: Run, log: RunLog, window: Meter, numbers: Mapping[str, float]) -> Meter:
    """Tells loss and speed since the last report; returns a new window."""
    shares = window.shares(run.options.flops_per_clip, run.precision.rate)
    log.write(run.step, shares)
    note = f"loss {numbers['loss']:.4g}  {shares['clips_per_second']:.1f} clips/s"
    note += f"  waits {shares['wait_share']:.0%}"
    if "gemm_share" in shares:
        note += f"  GEMM {shares['gemm_share']:.0%}"
    log.tell(run.step, note)
    return Meter()


def look(run: Run, log: RunLog, held_out: HeldOut | None, pictures: Pictures | None) -> None:
    """At their steps: the held-out numbers and the pictures, both with the mean weights.

    The first process looks; all give what they hold of the weights.
    """
    last = run.step == run.options.steps
    if held_out and (last or run.step % run.options.held_out_every == 0):
        watch(run, log, held_out)
    if pictures and (last or run.step % run.options.pictures_every == 0):
        mean = whole(run, run.ema)
        if not run.ranks.leads:
            return
        with answering(run, mean) as model, torch.no_grad():
            for name, picture in pictures(model).items():
                log.picture(run.step, name, picture)
                write_picture(run.folder.parent / f"{name}-{run.step:08d}.png", picture)


def watch(run: Run, log: RunLog, held_out: HeldOut) -> None:
    """Measures on what is held out, and keeps the mean weights if they are the best so far."""
    mean = whole(run, run.ema)
    run.looked_step = run.step
    if not run.ranks.leads:
        return
    with answering(run, mean) as model:
        numbers = held_out_numbers(model, held_out, run.device, run.precision.name)
    log.write(run.step, numbers)
    first = next(iter(numbers.values()))
    run.looks_since += 1
    if first < run.best:
        run.best, run.looks_since = first, 0
        checkpoint.save_tensors(mean, run.folder.parent / BEST)
    named = {name.removeprefix("held_out/"): n for name, n in numbers.items()}
    note = "  ".join(f"{name} {n:.4g}" for name, n in named.items())
    note = held_out.said(named) if held_out.said else note
    best = "  (best)" if run.looks_since == 0 else ""
    log.tell(run.step, f"held out: {note}{best}", lasting=True)


def result(run: Run, meter: Meter) -> FitResult:
    shares = meter.shares(run.options.flops_per_clip, run.precision.rate)
    return FitResult(
        step=run.step,
        loss=run.loss,
        finished=run.step >= run.options.steps or 0 < run.options.patience <= run.looks_since,
        seconds=run.seconds_before + meter.seconds,
        clips_per_second=shares["clips_per_second"],
        wait_share=shares["wait_share"],
        gemm_share=shares.get("gemm_share"),
        precision=run.precision,
    )


@contextmanager
def stopped_by_signal() -> Iterator[threading.Event]:
    """An event that Ctrl-C or SIGTERM sets, where this thread may listen to signals."""
    stop = threading.Event()
    if threading.current_thread() is not threading.main_thread():
        yield stop
        return
    names = (signal.SIGINT, signal.SIGTERM)
    before = [signal.signal(name, lambda *_: stop.set()) for name in names]
    try:
        yield stop
    finally:
        for name, handler in zip(names, before, strict=True):
            signal.signal(name, handler)
