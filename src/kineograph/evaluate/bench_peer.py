"""`kineo bench peer`: ours and a video diffusion learn one film for equal minutes.

One after another, both learn the same part of it at 64x64 and foretell the next frame of the same
held-out clips.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import partial
from math import ceil
from pathlib import Path
from typing import Any

import torch
from rich.console import Console

from kineograph.data import folder
from kineograph.evaluate import diffusion_peer
from kineograph.evaluate.baselines import Baseline, classical
from kineograph.evaluate.bench import BenchOptions, bench_predict
from kineograph.evaluate.bench_learn import NAME, held_out, learned, own_films, parts
from kineograph.evaluate.clips import EvalClip
from kineograph.evaluate.diffusion_peer import DIM, DIM_MULTS, LEARNING_RATE
from kineograph.evaluate.predict import mean_of
from kineograph.evaluate.report import row, write_text
from kineograph.evaluate.scores import Scores
from kineograph.models import ahead, weights
from kineograph.models.motion import NUM_KNOWN
from kineograph.train import machine
from kineograph.train.lessons import LESSONS, NUM_ASKED

SIZE_PX, NUM_CLIPS = 64, 6
OURS, PEER = "learned", "peer"
OPTIONS = BenchOptions(1, measures=("psnr", "ssim"), spans=((1, 1),), sheet_at=(1,), num_sheets=6)


@dataclass(frozen=True)
class Pace:
    """How a training went.

    num_clips: each counts once in each step that it was in. seconds: of the steps and what came
    between them. minutes: of all. frames_scored: in each clip. draws: how often each clip was made
    use of, on average.
    """

    num_clips: int
    seconds: float
    minutes: float
    frames_scored: int
    draws: int = 1

    @property
    def clips_per_second(self) -> float:
        """While it trained."""
        return self.num_clips / self.seconds

    @property
    def clips_per_minute(self) -> float:
        """Of all the minutes, with what came before and after the steps."""
        return self.num_clips / self.minutes


def bench_peer(films: Sequence[Path], minutes: float, out: Path, console: Console) -> None:
    """Trains both on each film, and writes how fast and how well they learned it.

    films: any; by default those of `bench_learn`. ValueError if the peer is not installed.
    """
    diffusion_peer.require()
    machine.settle()
    shipped = weights.load()
    for path in films or own_films(out / "films"):
        place = out / path.stem
        run = place / "models" / "runs" / NAME
        ours = _ours(path, minutes, place / "models")
        diffusion, theirs = _theirs(path, run, max(minutes, ours.minutes))
        mine = weights.load(str(place / "models" / f"{NAME}.safetensors"))
        means = {"shipped mean": mean_of(shipped), f"{OURS} mean": mean_of(mine)}
        everyone = {**rows_of(diffusion), **classical()}
        about = {"film": path.name, **told(ours, theirs)}
        clips = some_of(held_out(path, run, SIZE_PX, NUM_CLIPS))
        scores = bench_predict(
            clips, place, everyone, means, options=OPTIONS, about=about, console=console
        )
        compared = comparison(ours, theirs, next_decibels(scores))
        _write(compared, {OURS: ours, PEER: theirs}, about, place)
        console.print(f"{place / PAGE}: {said(compared)}", highlight=False)


def some_of(clips: list[EvalClip]) -> list[EvalClip]:
    """At most NUM_CLIPS, spread over all: the peer is slow to ask."""
    return clips[:: max(1, ceil(len(clips) / NUM_CLIPS))]


def _ours(path: Path, minutes: float, models: Path) -> Pace:
    """The command learns the film; its card says how that went."""
    taken = learned(path, minutes, models, SIZE_PX)
    card = weights.card(str(models / f"{NAME}.safetensors"))
    num_clips = card["steps"] * card["plan"]["batch_size"]
    reuse = LESSONS[ahead.NAME].reuse
    draws = reuse.times if reuse else 1
    return Pace(num_clips, card["seconds"], taken, NUM_ASKED, draws)


def _theirs(path: Path, run: Path, minutes: float) -> tuple[Any, Pace]:
    """The peer learns what the run did: all frames of a clip are scored, all minutes are steps."""
    packed, split = parts(path, run, SIZE_PX)
    source = diffusion_peer.clips_of(folder.training_stretches(packed, split), SIZE_PX)
    diffusion = diffusion_peer.load(SIZE_PX)
    num_clips, seconds = diffusion_peer.train(diffusion, source, minutes)
    return diffusion, Pace(num_clips, seconds, seconds / 60, diffusion_peer.NUM_FRAMES)


def rows_of(diffusion: Any) -> dict[str, Baseline]:
    """The peer's answers to the bench, by each way to ask it."""

    def answer(how: diffusion_peer.Asked, context: torch.Tensor, num_frames: int) -> torch.Tensor:
        assert num_frames == 1
        known = context[-(diffusion_peer.NUM_FRAMES - 1) :]
        return diffusion_peer.next_frame(diffusion, known, how, torch.Generator().manual_seed(0))

    return {f"{PEER}, {way}": partial(answer, how) for way, how in diffusion_peer.WAYS.items()}


def next_decibels(scores: Scores) -> dict[str, float]:
    """PSNR of the next frame, mean over clips, by row."""
    return {name: float(tables["psnr"][:, 0].mean()) for name, tables in scores.values.items()}


@dataclass(frozen=True)
class Comparison:
    """Ours beside the peer: how many times as many clips, scored frames and new clips a second, and
    PSNR of the next frame, the peer's in the way that came out best on these very clips."""

    times_clips_per_second: float
    times_clips_per_minute: float
    times_frames_per_second: float
    times_new_clips_per_second: float
    decibels: float
    peer_decibels: float
    peer_way: str

    @property
    def gain(self) -> float:
        """In dB."""
        return self.decibels - self.peer_decibels


def comparison(ours: Pace, theirs: Pace, decibels: Mapping[str, float]) -> Comparison:
    """What the two paces and the rows of the bench come to."""
    asked = {name: value for name, value in decibels.items() if name.startswith(f"{PEER}, ")}
    way = max(asked, key=lambda name: asked[name])
    times = ours.clips_per_second / theirs.clips_per_second
    return Comparison(
        times,
        ours.clips_per_minute / theirs.clips_per_minute,
        times * ours.frames_scored / theirs.frames_scored,
        times * theirs.draws / ours.draws,
        decibels[f"{OURS} mean"],
        asked[way],
        way,
    )


def told(ours: Pace, theirs: Pace) -> dict[str, Any]:
    """What a clip is for each, for the head of the report."""
    lesson, net = LESSONS[ahead.NAME], f"Unet3D, dim {DIM}, {DIM_MULTS}"
    return {
        "a clip of ours": f"{lesson.num_frames} frames, of which {NUM_KNOWN} are known and "
        f"{ours.frames_scored} of the others scored; it is drawn about {ours.draws} times, with "
        "others of its frames scored each time, and counts each time",
        "a clip of the peer's": f"{theirs.frames_scored} frames, all noised and scored; {net}; "
        f"one clip a step, Adam at {LEARNING_RATE:g}; all its minutes are steps",
        "begins with": "ours with the shipped weights, as `kineo learn` does; the peer with none",
        "minutes": f"ours {ours.minutes:.2f}, the peer {theirs.minutes:.2f}",
        "is told": f"ours {NUM_KNOWN} frames, the peer {theirs.frames_scored - 1}",
    }


PAGE = "peer.md"


def said(found: Comparison) -> str:
    """The comparison as a sentence."""
    return (
        f"{found.times_clips_per_second:.1f} times as many clips a second in training, and "
        f"{found.decibels:.2f} dB in the next frame where the peer has {found.peer_decibels:.2f} "
        f"({found.peer_way.removeprefix(f'{PEER}, ')})."
    )


def page(found: Comparison, paces: Mapping[str, Pace], about: Mapping[str, Any]) -> str:
    """The comparison for people."""
    head = ["", "clips", "seconds of steps", "clips a second", "clips a minute of all", "dB"]
    decibels = {OURS: found.decibels, PEER: found.peer_decibels}
    lines = ["# kineo bench peer\n", *(f"- {key}: {value}" for key, value in about.items()), ""]
    lines += [row(head), row(["---"] * len(head))]
    for name, pace in paces.items():
        speeds = (f"{pace.clips_per_second:.4g}", f"{pace.clips_per_minute:.4g}")
        cells = [name, str(pace.num_clips), f"{pace.seconds:.1f}", *speeds]
        lines.append(row([*cells, f"{decibels[name]:.2f}"]))
    lines += ["", f"Ours trains {said(found)}", ""]
    lines.append(
        f"Of all the minutes, {found.times_clips_per_minute:.1f} times as many clips; in training "
        f"{found.times_frames_per_second:.1f} times as many scored frames a second, and "
        f"{found.times_new_clips_per_second:.1f} times as many clips that are not drawn again. The "
        "peer's way is the one that is best on these very clips; bench.md has all ways and the "
        "classics."
    )
    return "\n".join(lines) + "\n"


def _write(
    found: Comparison, paces: Mapping[str, Pace], about: Mapping[str, Any], place: Path
) -> None:
    write_text(place / PAGE, page(found, paces, about))
    whole = {
        "about": dict(about),
        "paces": {name: asdict(pace) for name, pace in paces.items()},
        "comparison": asdict(found),
    }
    write_text(place / "peer.json", json.dumps(whole, indent=1) + "\n")
