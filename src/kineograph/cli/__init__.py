"""Parses, calls, writes; decides nothing."""

import sys
from typing import Any

import tyro
from rich.console import Console

from kineograph.cli.batch_commands import Batch
from kineograph.cli.commands import COMMANDS, Bench, DatasetVerbs, Forecast, Learn, Models
from kineograph.cli.game_commands import Export, Play, WorldVerbs
from kineograph.cli.serve_commands import Serve
from kineograph.cli.stream_commands import Stream
from kineograph.cli.studio_commands import Studio
from kineograph.verbs.asked import Asked, Transfer


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
    if isinstance(asked, Asked):
        from kineograph.cli import films, others
        from kineograph.verbs import running

        if isinstance(asked, Transfer) and asked.pair is not None:
            others.learn_map(asked, console)
        with films.telling(console) as told:
            running.run(asked, told)
    elif isinstance(asked, Forecast):
        from kineograph.cli import others

        others.forecast(asked, console)
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
    elif isinstance(asked, Serve):
        from kineograph.cli import serving

        serving.serve(asked, console)
    elif isinstance(asked, Studio):
        from kineograph.cli import studio

        studio.studio(asked, console)
    elif isinstance(asked, Batch):
        from kineograph.cli import batch

        batch.batch(asked, console)
    elif isinstance(asked, Export):
        from kineograph.cli import exporting

        exporting.export(asked, console)
    else:
        run_bench(asked, console)


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
        from kineograph.cli.games import luck_of, serving
        from kineograph.evaluate.bench_realtime import Options, bench_realtime
        from kineograph.models import weights

        luck = luck_of(weights.card(asked.world))
        options = Options(asked.world, luck, asked.seconds, asked.diamond)
        bench_realtime(asked.out, console, serving, options)
    else:
        names = "predict, all, 720p, learn, peer or realtime"
        raise ValueError(f"There is no bench {asked.task!r}: give {names}.")


if __name__ == "__main__":
    main()
