"""`kineo bench all` is one function: every answer to every question, measured, timed and shown."""

import json
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from html import escape
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import torch
from jaxtyping import Float, Float64
from rich.console import Console
from rich.progress import track
from torch import Tensor

from kineograph import video
from kineograph.data import footage, shots
from kineograph.data.clips import Shot
from kineograph.evaluate import metrics
from kineograph.evaluate.classical import classical
from kineograph.evaluate.peers import peers
from kineograph.evaluate.questions import (
    FPS,
    ROWS,
    SIZES,
    Answer,
    Film,
    Question,
    Size,
    as_given,
    blind,
    pasted,
    questions,
    size_name,
    whole_film,
)
from kineograph.evaluate.scores import MEASURES, Scores, psnr_of_mean_error, verdicts
from kineograph.evaluate.sheet import contact_sheet, save_png, side_by_side
from kineograph.video.levels import from_levels, in_bytes, levels

Frames = Float[Tensor, "n 3 H W"]
Table = tuple[list[str], list[list[str]]]

NUM_CLIPS, NUM_QUICK = 24, 8
NUM_SHOWN = 2
"""Clips of each part that are drawn."""
NUM_PERCEPTUAL = 4
"""Frames of each clip on which ST-LPIPS is measured, and that a sheet shows."""


@dataclass(frozen=True)
class Part:
    """One row of the bench at one size, as it is kept between runs.

    key: what must be the same for it to be used again.
    values: for each method and measure, the mean over its frames of each clip.
    seconds: wall time of each method for each frame that it was asked for.
    shown: the clips that were drawn.
    """

    row: str
    size: str
    key: dict[str, Any]
    clips: list[str]
    shots: list[str]
    ours: list[str]
    classical: list[str]
    peers: list[str]
    notes: list[str]
    values: dict[str, dict[str, list[float]]]
    seconds: dict[str, float]
    shown: list[str]

    @property
    def stem(self) -> str:
        return f"{self.row}-{self.size}"

    def path(self, out_dir: Path) -> Path:
        """Where it is kept; a quick run leaves a full one alone."""
        return out_dir / "parts" / f"{self.stem}{'-quick' if self.key['quick'] else ''}.json"

    def scores(self) -> Scores:
        """As the bench of predictions has them; peers are no baselines."""
        tables = {
            name: {measure: np.array(each)[:, None] for measure, each in measured.items()}
            for name, measured in self.values.items()
        }
        about = tuple(self.clips), tuple(self.shots), tuple(self.ours), tuple(self.classical)
        return Scores(*about, tables)


def bench_all(
    ours: Mapping[str, Mapping[str, Answer]],
    out_dir: Path,
    sizes: Sequence[Size] = SIZES,
    quick: bool = False,
    console: Console | None = None,
    fresh: bool = False,
    about: Mapping[str, Any] | None = None,
    rows: Sequence[str] = tuple(ROWS),
    film: Film | None = None,
    clip_shots: Sequence[Shot] | None = None,
    made_by: Mapping[str, str] | None = None,
) -> list[Part]:
    """Measures ours, the classical methods and the peers; writes report.md, report.json,
    index.html, sheets and films into `out_dir` after each row and size.

    ours: our answers by row and name. quick: 8 clips instead of 24, PSNR and flicker only.
    about: what made our answers, such as the hash of the model; it heads the report.
    made_by: the same for each row by itself, where that is less than the whole model.
    A row and size that was measured before with the same methods, clips and makers is not
    measured again, unless `fresh`. The film and its shots are Big Buck Bunny's held-out ones.
    Raises ValueError for unknown rows, names used twice, wrong shapes and NaN.
    """
    console, about = console or Console(stderr=True), dict(about or {})
    if unknown := sorted({*ours, *rows} - set(ROWS)):
        raise ValueError(f"There are no rows {unknown} in the bench: choose from {list(ROWS)}.")
    film = footage.fetch("bbb") if film is None else film
    clip_shots = shots.held_out_shots() if clip_shots is None else clip_shots
    perceptual, parts = None if quick else metrics.StLpips(), []
    with _threads_alike():
        for row, size in [(row, size) for row in rows for size in sizes]:
            asked = list(questions(row, film, clip_shots, size, NUM_QUICK if quick else NUM_CLIPS))
            maker = about if made_by is None else {"made_by": made_by[row]}
            part = new_part(row, size, asked, ours.get(row, {}), {"quick": quick, **maker})
            done = None if fresh else read_part(out_dir, part)
            parts.append(
                done or measure(part, asked, ours.get(row, {}), perceptual, out_dir, console)
            )
            write_report(parts, out_dir, about)
    console.print(f"{out_dir / 'index.html'}: the report.")
    return parts


@contextmanager
def _threads_alike() -> Iterator[None]:
    """OpenCV uses as many threads as torch; ffmpeg and ncnn ask torch when they are called."""
    before = cv2.getNumThreads()
    cv2.setNumThreads(torch.get_num_threads())
    try:
        yield
    finally:
        cv2.setNumThreads(before)


def new_part(
    row: str, size: Size, asked: Sequence[Question], ours: Mapping[str, Answer], key: dict[str, Any]
) -> Part:
    """A part before anything is measured."""
    theirs, (learned, notes) = list(classical(row)), peers(row)
    names = [*ours, *theirs, *learned]
    if twice := sorted({name for name in names if names.count(name) > 1}):
        raise ValueError(f"Two methods of {row} are called {', '.join(twice)}; rename ours.")
    at = np.linspace(0, len(asked) - 1, min(NUM_SHOWN, len(asked)) + 2).round().astype(int)[1:-1]
    return Part(
        row, size_name(size), {"names": names, "threads": torch.get_num_threads(), **key},
        [q.name for q in asked], [q.shot for q in asked], list(ours), theirs, list(learned),
        notes, {}, {}, [asked[i].name for i in sorted(set(at.tolist()))],
    )  # fmt: skip


def read_part(out_dir: Path, part: Part) -> Part | None:
    """The same part as an earlier run measured it, if there is one."""
    path = part.path(out_dir)
    if not path.exists():
        return None
    kept = Part(**json.loads(path.read_text()))
    same = json.loads(json.dumps(part.key)) == kept.key and part.clips == kept.clips
    return kept if same else None


def measure(
    part: Part,
    asked: Sequence[Question],
    ours: Mapping[str, Answer],
    perceptual: metrics.StLpips | None,
    out_dir: Path,
    console: Console,
) -> Part:
    """Every method on every question, each called once beforehand, untimed; keeps the part."""
    methods = {**ours, **classical(part.row), **peers(part.row)[0]}
    seconds = dict.fromkeys(methods, 0.0)
    shown: dict[str, dict[str, Tensor]] = {}
    for name, answer in methods.items():
        part.values[name] = {}
        answered(name, answer, asked[0])
    for question in track(asked, f"{part.row} {part.size}", console=console):
        judge = judged(question, perceptual)
        for name, answer in methods.items():
            began = time.perf_counter()
            frames = answered(name, answer, question)
            seconds[name] += time.perf_counter() - began
            for kind, value in judge(frames).items():
                part.values[name].setdefault(kind, []).append(value)
            if question.name in part.shown:
                shown.setdefault(question.name, {})[name] = in_bytes(frames)
    num_frames = sum(len(q.truth) for q in asked)
    part.seconds.update({name: spent / num_frames for name, spent in seconds.items()})
    for question in asked:
        if question.name in shown:
            _draw(part, question, shown[question.name], out_dir)
    _write(part.path(out_dir), json.dumps(asdict(part), indent=1) + "\n")
    return part


def answered(name: str, answer: Answer, question: Question) -> Frames:
    """The answer to the question without its truth, checked; what is known is pasted back."""
    frames = answer(blind(question)).detach().cpu().float()
    if frames.shape != question.truth.shape:
        raise ValueError(
            f"{name} answered {tuple(frames.shape)} on {question.row} of clip {question.name}; "
            f"{tuple(question.truth.shape)} was asked."
        )
    if not torch.isfinite(frames).all():
        raise ValueError(f"{name} answered NaN or infinity on {question.row} of {question.name}.")
    return pasted(question, frames)


def squared_error(frames: Frames, question: Question) -> Float64[Tensor, " n"]:
    """Mean squared error per frame, on 8 bits with peak 2, where the question is scored."""
    if question.scored is None:
        return metrics.squared_error(frames, question.truth)
    error = (levels(frames) - levels(question.truth)).square().double().mean(1, keepdim=True)
    weight = question.scored.double()
    return (error * weight).sum((1, 2, 3)) / weight.sum((1, 2, 3)) / 127.5**2


def judged(
    question: Question, perceptual: metrics.StLpips | None
) -> Callable[[Frames], dict[str, float]]:
    """The measures of an answer to the question, each a mean over frames; PSNR and flicker alone
    without `perceptual`. VMAF leaves out the first frame, which has none before it to move from."""
    truth, some = question.truth, _spread(len(question.truth), NUM_PERCEPTUAL)
    distance = perceptual.against(truth[some]) if perceptual else None
    flicker = metrics.flicker_against(whole_film(question, truth))

    def judge(frames: Frames) -> dict[str, float]:
        error = squared_error(frames, question)
        made = {"squared_error": error, "psnr": metrics.decibels(error)}
        if distance is not None:
            made["ssim"] = metrics.ssim(frames, truth)
            made["st_lpips"] = distance(frames[some])
            made["vmaf"] = metrics.vmaf(frames, truth, FPS)[1:]
        means = {name: float(values.mean()) for name, values in made.items()}
        return {**means, "flicker": flicker(whole_film(question, frames))}

    return judge


def _spread(count: int, most: int) -> list[int]:
    """Up to `most` numbers below `count`, evenly spread, ends left out."""
    return sorted({int((i + 0.5) * count / most) for i in range(most)})


def _draw(part: Part, question: Question, answers: Mapping[str, Tensor], out_dir: Path) -> None:
    """A sheet of every method, and a film of ours, the best classical one and the peers."""
    frames = {name: from_levels(held.float()) for name, held in answers.items()}
    at, given = _spread(len(question.truth), NUM_PERCEPTUAL), as_given(question)
    still = given[1::2] if question.row == "interpolate" else given
    sheet = contact_sheet(
        {"film": question.truth, "given": still, **frames}, [(str(i), i) for i in at]
    )
    save_png(sheet, out_dir / "sheets" / f"{part.stem}-{question.name}.png")
    best = max(part.classical, key=lambda name: np.mean(part.values[name]["psnr"]))
    names = [*part.ours, best, *part.peers]
    whole = {name: whole_film(question, frames[name]) for name in names}
    both = side_by_side({"given": given, "film": whole_film(question, question.truth), **whole})
    path = out_dir / "films" / f"{part.stem}-{question.name}.mp4"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.unlink(missing_ok=True)
    height, width = both.shape[-2:]
    with video.Writer(path, width=width, height=height, fps=FPS) as writer:
        writer.write(both)


def method_table(part: Part) -> Table:
    """One line a method: each measure's mean over clips, and seconds a frame."""
    kinds = part.scores().measures
    head = ["method", *(m.title for m in kinds), "PSNR of the mean error", "s a frame"]
    lines = []
    for names, mark in ((part.ours, "ours: "), (part.classical, ""), (part.peers, "peer: ")):
        for name in names:
            tables = part.scores().values[name]
            cells = [f"{tables[m.name].mean():.{m.digits}f}" for m in kinds]
            cells.append(f"{psnr_of_mean_error(tables['squared_error'], range(1, 2)):.2f}")
            lines.append([mark + name, *cells, f"{part.seconds[name]:.3g}"])
    return head, lines


def margin_table(part: Part) -> Table:
    """Ours against the one classical method with the best average of each measure."""
    head = ["ours", "measure", "value", "best classical", "its value", "margin", "worst shot"]
    lines = []
    for v in verdicts(part.scores(), [range(1, 2)]):
        title, digits = MEASURES[v.measure].title, MEASURES[v.measure].digits
        line = [v.row, title, f"{v.value:.{digits}f}", v.best_baseline]
        line += [f"{v.best_value:.{digits}f}", f"{v.margin:+.{digits}f}"]
        line += [
            f"{v.worst_margin:+.{digits}f} ({v.worst_shot})",
            f"{v.per_clip_margin:+.{digits}f}",
        ]
        lines.append(line)
    return [*head, "margin to the best of each clip"], lines


def write_report(parts: Sequence[Part], out_dir: Path, about: Mapping[str, Any]) -> None:
    """report.md, report.json and index.html, each written aside and renamed."""
    lines = ["# kineo bench all", "", *(f"- {line}" for line in facts(about)), ""]
    body = "".join(f"<li>{escape(line)}</li>" for line in facts(about))
    for part in parts:
        tables = [table for table in (method_table(part), margin_table(part)) if table[1]]
        lines += [f"## {heading(part)}", "", *(f"{note}\n" for note in part.notes)]
        lines += [line for table in tables for line in _markdown(table)]
        body += f"</ul><h2>{escape(heading(part))}</h2>{''.join(map(_html, tables))}<ul>"
        body += "".join(f"<li>{escape(note)}</li>" for note in part.notes)
        body += "</ul>" + "".join(_figure(f"{part.stem}-{clip}") for clip in part.shown) + "<ul>"
    _write(out_dir / "report.md", "\n".join(lines) + "\n")
    _write(out_dir / "index.html", PAGE.format(body=f"<ul>{body}</ul>".replace("<ul></ul>", "")))
    whole = {"about": dict(about), "parts": [asdict(part) for part in parts]}
    _write(out_dir / "report.json", json.dumps(whole, indent=1) + "\n")


def heading(part: Part) -> str:
    return f"{ROWS[part.row].title}, {part.size}, {len(part.clips)} clips"


def facts(about: Mapping[str, Any]) -> list[str]:
    """What a reader must know to read the tables."""
    return [
        *(f"{key}: {value}" for key, value in about.items()),
        "One clip from the middle of each shot. PSNR on 8 bits, at most "
        f"{metrics.PSNR_CAP_DB:g} dB a frame; of holes inside them, the other measures on "
        "whole frames with what is known put back.",
        "Flicker is what changes between frames along the film's own motion, by mean absolute "
        "levels, over what changes so in the film itself.",
        f"SSIM on luma; ST-LPIPS (AlexNet) on {NUM_PERCEPTUAL} frames of a clip, less is better; "
        f"{metrics.VMAF_MODEL} at the clips' own size.",
        "A margin is ours against the single classical method with the best average of that "
        "measure, positive where ours is better; the worst shot has the least margin to it.",
        f"Seconds are of wall time on {torch.get_num_threads()} threads for each frame asked, "
        "after one call to warm up; ffmpeg's include its start.",
    ]


def _markdown(table: Table) -> list[str]:
    head, lines = table
    rows = [head, ["---"] * len(head), *lines]
    return [*(f"| {' | '.join(cells)} |" for cells in rows), ""]


def _html(table: Table) -> str:
    head, lines = table
    rows = [f"<tr>{''.join(f'<td>{escape(c)}</td>' for c in cells)}</tr>" for cells in lines]
    return (
        f"<table><tr>{''.join(f'<th>{escape(c)}</th>' for c in head)}</tr>{''.join(rows)}</table>"
    )


def _figure(stem: str) -> str:
    return (
        f'<figure><video src="films/{stem}.mp4" controls loop muted preload="metadata"></video>'
        f'<figcaption>{escape(stem)} (<a href="sheets/{stem}.png">every method</a>)'
        "</figcaption></figure>"
    )


PAGE = """<!doctype html>
<html lang="en"><head><meta charset="utf-8"><title>kineo bench all</title><style>
body {{ font: 15px/1.4 system-ui, sans-serif; margin: 2em auto; max-width: 80em; padding: 0 1em }}
table {{ border-collapse: collapse; margin: 1em 0 }}
th, td {{ border-bottom: 1px solid #ccc; padding: .25em .7em; text-align: left }}
video {{ max-width: 100% }} figure {{ margin: 1em 0 }}
</style></head><body><h1>kineo bench all</h1>
{body}
<footer>Clips from Big Buck Bunny, (c) Blender Foundation, CC-BY 3.0.</footer></body></html>
"""


def _write(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    aside = path.with_name(path.name + ".part")
    aside.write_text(text, encoding="utf-8")
    aside.replace(path)
