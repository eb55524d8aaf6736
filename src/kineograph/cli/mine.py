"""The verbs about what is a person's own: footage learned, models kept."""

import json
import time
from functools import partial
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from kineograph import scale
from kineograph.cli import commands
from kineograph.data import folder
from kineograph.evaluate import baselines, page
from kineograph.models import ahead, store, weights
from kineograph.models.net import Kineo
from kineograph.train import learning, log, machine, nearest
from kineograph.train.learning import Learning


def learn(asked: commands.Learn, console: Console) -> None:
    """Learns footage under a name; stopped, it keeps what it has and can go on."""
    began = time.monotonic()
    machine.settle()
    how = Learning(
        asked.minutes,
        LESSON_OF[asked.task],
        scratch=asked.scratch,
        lora=asked.lora,
        patience=asked.patience,
        seed=asked.seed,
        sharded=asked.sharded,
    )
    ranks = scale.join()
    run = _run_folder(asked) if ranks.leads else store.run_folder(asked.name)
    model = weights.load(asked.model)
    if not isinstance(model, Kineo):
        raise ValueError(f"{asked.model} is no model that can learn so: give {weights.SHIPPED!r}.")
    lesson = learning.lesson_for(how, model)
    looking = folder.Looking(lesson.num_frames, asked.size_px)
    if not ranks.leads:  # the first process prepares, and the others find it done
        scale.wait(ranks)
    packed = folder.prepared(asked.footage, looking)
    split = folder.split(packed.survey, run / "split.json")
    if ranks.leads:
        scale.wait(ranks)
    source = folder.training_source(packed, split, learning.clip_options(lesson, asked.size_px))
    held_out = folder.held_out_clips(packed, split, lesson.num_frames, asked.size_px, NUM_PER_SHOT)
    found = packed.survey
    data = f"{len(packed.arrays)} films, {found.num_shots} shots, {found.hours * 60:.1f} minutes"
    console = console if ranks.leads else Console(quiet=True)
    console.print(f"{data}; {len(held_out)} clips held out.", highlight=False)
    classical, heard = baselines.classical(), partial(_told, console)
    learned = learning.learn(model, source, held_out, how, run, classical, heard, began, ranks)
    scale.leave()
    if not ranks.leads:
        return
    films = folder.training_stretches(packed, split)
    learned.model.example = learning.example_of(films) if asked.example else None
    fps = next(iter(found.films.values())).fps
    about = {"data": data, "task": asked.task, "began_with": asked.model, "fps": str(fps)}
    path = _kept(asked, learned, films, held_out, about, run)
    _measured(learned, console)
    console.print(f"{path}: use it as --model {asked.name}. {store.page(asked.name)}: its page.")
    if not learned.result.finished:
        console.print("It stopped before its last step: --resume goes on.")


def _kept(
    asked: commands.Learn,
    learned: learning.Learned,
    films: nearest.Stretches,
    held_out: list[nearest.Clip],
    about: dict[str, Any],
    run: Path,
) -> Path:
    """Puts the model and its page into the store; only what makes new films may repeat old ones."""
    report = None
    if asked.task == "predict":
        report = nearest.report(learning.made_by(learned.model, held_out), held_out, films)
        about = {**about, "nearest_learned": report.told}
    path = learning.save(learned, asked.name, about)
    page.written(store.page(asked.name), weights.card(asked.name), report, log.read(run))
    return path


LESSON_OF = {
    "predict": ahead.NAME,
    "denoise": "clean",
    "upscale": "enlarge",
    "interpolate": "between",
    "inpaint": "fill",
    "colourise": "colour",
}
NUM_PER_SHOT = 6
"""Clips of each held-out stretch that are measured by."""


def _run_folder(asked: commands.Learn) -> Path:
    """Where the run is kept. ValueError if the name is taken and nothing is said of going on."""
    path, run = store.place(asked.name), store.run_folder(asked.name)
    if (path.exists() or (run / "checkpoints").exists()) and not asked.resume:
        raise ValueError(
            f"There is a model or a run called {asked.name} already: give another --name, say "
            f"--resume to go on with it, or `kineo models remove {asked.name}` first."
        )
    return run


def _told(console: Console, plan: learning.Plan) -> None:
    console.print(
        f"{plan.steps} steps of {plan.batch_size} clips, {plan.seconds_a_step:.2f} s each: about "
        f"{plan.steps * plan.seconds_a_step / 60:.1f} minutes, at most {plan.peak_mb:.0f} MB.",
        highlight=False,
    )


def _measured(learned: learning.Learned, console: Console) -> None:
    for name, decibels in sorted(learned.decibels.items(), key=lambda one: -one[1]):
        console.print(f"  {name}: {decibels:.2f} dB on what was held out", highlight=False)


def models(asked: commands.Models, console: Console) -> None:
    """Lists models, or does to one what is asked."""
    if asked.action == "list":
        _listed(console)
        return
    if asked.name is None:
        raise ValueError(f"kineo models {asked.action} wants the name of a model.")
    if asked.action == "show":
        card = weights.card(asked.name)
        Console().print_json(json.dumps({"file": weights.path_of(asked.name).name, **card}))
    elif asked.action == "remove":
        if not asked.yes:
            store.existing(asked.name)
            raise ValueError(f"{asked.name} will be gone for good: say --yes to remove it.")
        console.print(f"{store.remove(asked.name)}: removed.")
    else:
        made = _moved(asked.action, asked.name, asked.path)
        console.print(f"{made}: the model {asked.name}.")


def _moved(action: str, name: str, path: Path | None) -> Path:
    if path is None:
        raise ValueError(f"kineo models {action} wants a .safetensors file after the name.")
    return (
        store.export(name, path)
        if action == "export"
        else store.take_in(weights.checked(path), name)
    )


def _listed(console: Console) -> None:
    table = Table("model", "MB", "recipe", "learned from", box=None)
    for name in (*weights.ALL_SHIPPED, *store.names()):
        size = weights.path_of(name).stat().st_size / 1e6
        try:
            card = weights.card(name)
        except ValueError as error:  # one broken file must not hide the others
            card = {"data": str(error)}
        table.add_row(name, f"{size:.1f}", str(card.get("recipe", "")), str(card.get("data", "")))
    Console().print(table)
    console.print(f"Yours are in {store.folder()}.")
