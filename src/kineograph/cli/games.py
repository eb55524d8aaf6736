"""The verbs about worlds: games recorded, learned and played."""

import json
import socket
import webbrowser
from functools import partial
from typing import Any

from rich.console import Console

from kineograph.cli.game_commands import Play, WorldLearn, WorldRecord


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
    import uvicorn

    from kineograph import runtime
    from kineograph.answer.dream import Dream
    from kineograph.models import weights
    from kineograph.serve import play as served

    if not served.PACES[0] <= asked.pace <= served.PACES[1]:
        raise ValueError(f"A pace is {served.PACES} frames a second; got {asked.pace}.")
    backend = runtime.chosen(asked.backend)
    world = weights.load_world(asked.world)
    card = weights.card(asked.world)
    table = served.Table(
        world,
        asked.world,
        actions_of(card, world.shape.num_actions),
        partial(Dream, world, backend, asked.luck),
        pace=asked.pace,
    )
    with socket.create_server(("127.0.0.1", asked.port)) as listening:
        address = f"http://127.0.0.1:{listening.getsockname()[1]}/?token={table.token}"
        console.print(f"{asked.world} by {backend}: {address}", highlight=False, soft_wrap=True)
        console.print("Ctrl-C ends it.")
        if asked.open:
            webbrowser.open(address)
        config = uvicorn.Config(served.app(table), log_level="warning", ws_max_size=4096)
        uvicorn.Server(config).run(sockets=[listening])


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
    from kineograph.models import store, weights
    from kineograph.train import machine, worlds

    machine.settle()
    loaded = [recording.load(folder) for folder in asked.recordings]
    abouts = [json.loads(about.get("about", "{}")) for _, about in loaded]
    run = store.run_folder(asked.name)
    how = worlds.Course(asked.minutes, seed=asked.seed, device=asked.device)
    learned = worlds.learn([played for played, _ in loaded], how, run)
    about = {
        "name": asked.name,
        "recipe": "kineo world learn",
        "game": abouts[0].get("game", ""),
        "actions": abouts[0].get("actions", []),
        **learned.numbers,
    }
    path = store.place(asked.name)
    path.parent.mkdir(parents=True, exist_ok=True)
    weights.save(learned.world, path, about)
    for name, number in learned.numbers.items():
        console.print(f"  {name}: {number}", highlight=False)
    console.print(f"{path}: kineo play {asked.name}")
