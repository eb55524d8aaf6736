"""Parses, calls, writes; decides nothing."""

import sys
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Annotated, Any

import tyro
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn


@dataclass(frozen=True)
class Predict:
    """Continue a video: the given frames exactly, then what comes next."""

    video: tyro.conf.Positional[Path]
    """Any film that FFmpeg reads."""
    out: Path | None = None
    """Where to write; by default beside the film, as NAME-continued.mp4."""
    seconds: float = 1.0
    """How much to add."""
    steps: int = 2
    """2 or more draw a sample, sharp as film; 1 gives the mean: closest on average, and soft."""
    seed: int = 0
    quality: str = "exact"
    """exact (lossless), high or small."""
    model: str = "kineo-small"
    """A shipped model's name, or a .safetensors file."""
    compare: Path | None = None
    """Also foretell the film's own last frames, and draw them beside the truth into this PNG."""
    debug: Annotated[bool, tyro.conf.arg(help="Show the whole trace of an error.")] = False


@dataclass(frozen=True)
class Bench:
    """Measure against every baseline on held-out shots of the allowed footage."""

    task: tyro.conf.Positional[str] = "predict"
    out: Path = field(default_factory=lambda: Path("out/bench"))
    model: str = "kineo-small"
    steps: int = 2
    """Steps of a sample; the mean always takes 1."""
    quick: bool = False
    """PSNR and SSIM only."""
    debug: bool = False


COMMANDS: Any = tyro.conf.OmitSubcommandPrefixes[
    Annotated[Predict, tyro.conf.subcommand("predict")]
    | Annotated[Bench, tyro.conf.subcommand("bench")]
]


def main(argv: list[str] | None = None) -> None:
    """The command `kineo`. Exit code 2 and one sentence where the user can mend something."""
    console = Console(stderr=True)
    asked = tyro.cli(COMMANDS, prog="kineo", args=argv)  # pyright: ignore[reportCallIssue, reportArgumentType]
    try:
        run_predict(asked, console) if isinstance(asked, Predict) else run_bench(asked, console)
    except (ValueError, OSError) as error:
        if asked.debug:
            raise
        console.print(f"kineo: {error}", style="red", highlight=False, markup=False)
        sys.exit(2)
    except KeyboardInterrupt:
        console.print("kineo: stopped; nothing was written.")
        sys.exit(130)


def run_predict(asked: Predict, console: Console) -> None:
    """Reads the end of the film, writes all of it and what follows."""
    from kineograph import tasks, video
    from kineograph.answer import Sampling
    from kineograph.models import weights

    sampling = Sampling(asked.steps, asked.seed)
    info = video.probe(asked.video)
    out = asked.out or asked.video.with_name(f"{asked.video.stem}-continued.mp4")
    if out.resolve() == asked.video.resolve():
        raise ValueError(f"{out} is the film itself: give another --out.")
    num_frames = tasks.frames_in(asked.seconds, info.fps)
    known = _ending(asked.video, 8)
    model = weights.load(asked.model)
    recipe = {
        "task": "predict",
        "known": asked.video.name,
        "num_frames": num_frames,
        "sampling": asdict(sampling),
        "model": {"name": asked.model, "sha256": weights.digest(asked.model)},
    }
    sound = asked.video if info.audio_codecs and out.suffix in video.SOUND_OF else None
    if info.audio_codecs and sound is None:
        console.print(f"{out.suffix} holds no sound: the film's sound is left out.")
    with (
        _bar(console) as bar,
        video.Writer(
            out, like=info, quality=asked.quality, audio_from=sound, recipe=recipe
        ) as writer,
    ):
        writer.write_given(asked.video)
        task = bar.add_task("predicting", total=num_frames)
        for frame in tasks.predicting(known, num_frames, model, sampling):
            writer.write(frame[None])
            bar.advance(task)
    console.print(f"{out}: {writer.num_frames} frames, the last {num_frames} predicted.")
    if asked.compare:
        _compare(asked, model, sampling, console)


def _compare(asked: Predict, model: Any, sampling: Any, console: Console) -> None:
    """The film's own last frames, foretold from those before: ours beside truth and baselines."""
    from kineograph import tasks
    from kineograph.evaluate import baselines, metrics, sheet

    film = _ending(asked.video, 16)
    if len(film) < 3 or asked.compare is None:
        raise ValueError(f"{asked.video} has {len(film)} frames: --compare needs 3 or more.")
    known, truth = film[: (len(film) + 1) // 2], film[(len(film) + 1) // 2 :]
    num = len(truth)
    rows = {
        "film": truth,
        "kineo": tasks.predict(known, num, model, sampling),
        "dis flow": baselines.dis(known, num),
        "copy": baselines.copy_last(known, num),
    }
    columns = sorted({0, num // 4, num // 2, num - 1})
    sheet.save_png(sheet.contact_sheet(rows, [(f"+{i + 1}", i) for i in columns]), asked.compare)
    for name in list(rows)[1:]:
        decibels = float(metrics.psnr(rows[name], truth).mean())
        console.print(f"  {name}: {decibels:.2f} dB on the film's own last {num} frames")
    console.print(f"{asked.compare}: the comparison.")


def _ending(path: Path, most: int) -> Any:
    """The last frames of a film; all of them where it is shorter."""
    from kineograph import video

    return video.read(path, last=min(most, video.count_frames(path))).frames


def run_bench(asked: Bench, console: Console) -> None:
    """Held-out shots, all baselines, our mean and our samples."""
    from kineograph.evaluate.predict import bench

    if asked.task != "predict":
        raise ValueError(f"There is no bench {asked.task!r}: only predict.")
    bench(asked.model, asked.out, asked.steps, asked.quick, console)


def _bar(console: Console) -> Progress:
    return Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeRemainingColumn(),
        console=console,
    )


if __name__ == "__main__":
    main()
