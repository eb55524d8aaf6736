"""Parses, calls, writes; decides nothing."""

import sys
from dataclasses import asdict
from pathlib import Path
from typing import Any

import tyro
from rich.console import Console

from kineograph.cli.commands import (
    COMMANDS,
    Animate,
    Bench,
    DatasetVerbs,
    Edit,
    Filmed,
    Forecast,
    Generate,
    Learn,
    Models,
    Predict,
    Transfer,
)
from kineograph.cli.game_commands import Export, Play, WorldVerbs
from kineograph.cli.stream_commands import Stream


def main(argv: list[str] | None = None) -> None:
    """The command `kineo`. Exit code 2 and one sentence where the user can mend something."""
    console = Console(stderr=True)
    asked = tyro.cli(COMMANDS, prog="kineo", args=argv)  # pyright: ignore[reportCallIssue, reportArgumentType]
    try:
        run(asked, console)
    except (ValueError, OSError) as error:
        if asked.debug:
            raise
        console.print(f"kineo: {error}", style="red", highlight=False, markup=False)
        sys.exit(2)
    except KeyboardInterrupt:
        console.print("kineo: stopped; nothing was written.")
        sys.exit(130)


def run(asked: Any, console: Console) -> None:
    """The verb that was asked for; nothing is imported for the others."""
    if isinstance(asked, Filmed):
        from kineograph.cli import others, verbs

        if isinstance(asked, Transfer) and asked.pair is not None:
            others.learn_map(asked, console)
        verbs.run(asked, console)
    elif isinstance(asked, Animate | Edit | Forecast | Generate):
        from kineograph.cli import others

        verb = {
            Animate: others.animate,
            Edit: others.edit,
            Forecast: others.forecast,
            Generate: others.generate,
        }[type(asked)]
        verb(asked, console)
    elif isinstance(asked, Learn | Models):
        from kineograph.cli import mine

        mine.learn(asked, console) if isinstance(asked, Learn) else mine.models(asked, console)
    elif isinstance(asked, DatasetVerbs):
        from kineograph.cli import dataset

        dataset.run(asked.verb, console)
    elif isinstance(asked, Play | WorldVerbs):
        from kineograph.cli import games

        games.run(asked if isinstance(asked, Play) else asked.verb, console)
    elif isinstance(asked, Stream):
        from kineograph.cli import streams

        streams.stream(asked, console)
    elif isinstance(asked, Export):
        from kineograph.cli import exporting

        exporting.export(asked, console)
    elif isinstance(asked, Predict):
        run_predict(asked, console)
    else:
        run_bench(asked, console)


def run_predict(asked: Predict, console: Console) -> None:
    """Reads the end of the film, writes all of it and what follows."""
    from kineograph import tasks, video
    from kineograph.answer import Sampling
    from kineograph.cli.films import bar
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
        "seconds_before": asked.before,
        "sampling": asdict(sampling),
        "model": {"name": asked.model, "sha256": weights.digest(asked.model)},
    }
    sound = asked.video if info.audio_codecs and out.suffix in video.SOUND_OF else None
    if info.audio_codecs and sound is None:
        console.print(f"{out.suffix} holds no sound: the film's sound is left out.")
    with (
        bar(console) as shown,
        video.Writer(
            out, like=info, quality=asked.quality, audio_from=sound, recipe=recipe
        ) as writer,
    ):
        if asked.before:
            _write_before(asked, writer, tasks.frames_in(asked.before, info.fps), model, sampling)
        writer.write_given(asked.video)
        task = shown.add_task("predicting", total=num_frames)
        for frame in tasks.predicting(known, num_frames, model, sampling):
            writer.write(frame[None])
            shown.advance(task)
    console.print(f"{out}: {writer.num_frames} frames, the last {num_frames} predicted.")
    if asked.compare:
        _compare(asked, model, sampling, console)


def _write_before(asked: Predict, writer: Any, num_frames: int, model: Any, sampling: Any) -> None:
    """What came before the film, at times below 0, so that the film keeps its own."""
    import torch

    from kineograph import tasks, video

    first = video.read(asked.video, num_frames=min(8, video.count_frames(asked.video))).frames
    made = tasks.precede(first, num_frames, model, sampling)
    times = torch.arange(-num_frames, 0, dtype=torch.float64) / float(writer.fps)
    writer.write(made, times)


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
    """Held-out shots, all baselines, our answers."""
    if asked.task == "predict":
        from kineograph.evaluate.predict import bench

        bench(asked.model, asked.out, asked.steps, asked.quick, console)
    elif asked.task == "all":
        from kineograph.evaluate.bench_all import bench_all
        from kineograph.evaluate.ours import made_by, ours
        from kineograph.evaluate.questions import ROWS
        from kineograph.models import weights

        about = {"model": asked.model, "sha256": weights.digest(asked.model)}
        model = weights.load(asked.model)
        by = made_by(model)
        bench_all(
            ours(model),
            asked.out,
            quick=asked.quick,
            console=console,
            about=about,
            rows=asked.rows or tuple(ROWS),
            made_by=by,
        )
    elif asked.task == "720p":
        from kineograph.evaluate.endure import endure
        from kineograph.models import weights

        endure(weights.load(asked.model), asked.out, console)
    elif asked.task == "learn":
        from kineograph.evaluate.bench_learn import bench_learn

        bench_learn(asked.footage, asked.minutes, asked.out, console)
    elif asked.task == "peer":
        from kineograph.evaluate.bench_peer import bench_peer

        bench_peer(asked.footage, asked.minutes, asked.out, console)
    elif asked.task == "realtime":
        from kineograph.cli.games import serving
        from kineograph.evaluate.bench_realtime import bench_realtime

        bench_realtime(asked.out, console, serving)
    else:
        names = "predict, all, 720p, learn, peer or realtime"
        raise ValueError(f"There is no bench {asked.task!r}: give {names}.")


if __name__ == "__main__":
    main()
