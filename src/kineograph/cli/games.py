"""The verbs about worlds: games recorded, learned and played."""

import webbrowser
from collections.abc import Iterator
from contextlib import closing, contextmanager
from functools import partial
from typing import Any

from rich.console import Console

from kineograph import runtime
from kineograph.answer.beside import check_fits
from kineograph.answer.dream import MOST_LUCK, Dream, luck_of
from kineograph.cli import pages
from kineograph.cli.game_commands import Play, WorldLearn, WorldRecord
from kineograph.data import live
from kineograph.models import weights
from kineograph.runtime import Backend
from kineograph.serve.play import PACES, Table, app


def run(asked: Play | WorldLearn | WorldRecord, console: Console) -> None:
    """The verb that was asked for."""
    if isinstance(asked, Play):
        play(asked, console)
    elif isinstance(asked, WorldLearn):
        learn(asked, console)
    else:
        record(asked, console)


def play(asked: Play, console: Console) -> None:
    """Serves the page on loopback until it is stopped."""
    least, most = PACES
    if not least <= asked.pace <= most:
        raise ValueError(f"A pace is {least:g} to {most:g} frames a second; got {asked.pace:g}.")
    backend = runtime.chosen(asked.backend)
    table = table_of(asked.world, backend, asked.luck, asked.pace)
    if asked.beside is not None:
        seat(table, asked.beside)
    with pages.loopback(asked.port) as listening:
        address = pages.address_of(listening, table.token)
        console.print(f"{asked.world} by {backend}: {address}", highlight=False, soft_wrap=True)
        console.print("Ctrl-C ends it.")
        if asked.open:
            webbrowser.open(address)
        pages.server_of(app(table)).run(sockets=[listening])


@contextmanager
def serving(name: str, backend: Backend) -> Iterator[tuple[str, list[dict[str, Any]]]]:
    """A world's page, served by a thread while this is entered: where, and what its pages say of
    their own clocks."""
    table = table_of(name, backend)
    with (
        pages.loopback(0) as listening,
        pages.running(pages.server_of(app(table)), listening),
    ):
        yield pages.address_of(listening, table.token), table.heard


def table_of(name: str, backend: Backend, luck: float | None = None, pace: float = 15.0) -> Table:
    """A table where that world is played."""
    world, card = weights.load_world(name), weights.card(name)
    actions = actions_of(card, world.shape.num_actions)
    luck = luck_of(card) if luck is None else luck
    if not 0 <= luck <= MOST_LUCK:
        raise ValueError(f"Luck is 0 to {MOST_LUCK:g}; got {luck:g}.")
    return Table(world, name, actions, partial(Dream, world, backend, luck), pace=pace)


def seat(table: Table, game: str) -> None:
    """A real game beside the world. ValueError if it cannot be played, or is of another kind."""
    shape = table.world.shape
    table.beside, table.real = game, partial(live.opened, game, shape.width_px, shape.height_px)
    with closing(table.real()) as real:
        check_fits(real, shape, game, table.actions)


def actions_of(card: dict[str, Any], count: int) -> list[str]:
    """The names of a world's actions; their numbers where the card has none."""
    names = card.get("actions")
    if isinstance(names, list) and len(names) == count:
        return [str(name) for name in names]
    return [str(n) for n in range(count)]


def record(asked: WorldRecord, console: Console) -> None:
    """Plays a game by chance, and keeps what was seen and done."""
    from kineograph.cli.films import bar
    from kineograph.data import recording

    with bar(console) as shown:
        task = shown.add_task("recording", total=asked.frames)
        kept = recording.record(
            asked.game,
            asked.out,
            asked.frames,
            asked.size_px,
            asked.seed,
            lambda: shown.advance(task),
        )
    console.print(f"{asked.out}: {len(kept)} frames, {len(kept.spans())} episodes.")


def learn(asked: WorldLearn, console: Console) -> None:
    """Learns a world under a name; stopped, it keeps what it has and goes on when asked again."""
    from kineograph.data import recording
    from kineograph.data.episodes import told
    from kineograph.models import store
    from kineograph.train import machine, worlds

    machine.settle()
    path, run = store.place(asked.name), store.run_folder(asked.name)
    if path.exists() and not worlds.stage_folder(run, 0).exists():
        raise ValueError(f"There is a model {asked.name!r} already: give another --name.")
    loaded = [recording.load(folder) for folder in asked.recordings]
    game = told(loaded[0][1])
    how = worlds.Course(asked.minutes, seed=asked.seed, device=asked.device)
    learned = worlds.learn([played for played, _ in loaded], how, run)
    about = {
        "name": asked.name,
        "recipe": "kineo world learn",
        "game": game.get("game", ""),
        "actions": game.get("actions", []),
        **learned.numbers,
    }
    path.parent.mkdir(parents=True, exist_ok=True)
    weights.save(learned.world, path, about)
    for name, number in learned.numbers.items():
        console.print(f"  {name}: {number}", highlight=False)
    console.print(f"{path}: kineo play {asked.name}")
