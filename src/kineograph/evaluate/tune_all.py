"""The classical answers of `kineo bench all` are tuned on training shots, one option at a time."""

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import cv2
import numpy as np
import torch

from kineograph.data import footage, shots
from kineograph.evaluate import classical
from kineograph.evaluate.bench_all import squared_error
from kineograph.evaluate.extrapolate import Farneback
from kineograph.evaluate.metrics import decibels
from kineograph.evaluate.questions import SIZES, Answer, Question, questions
from kineograph.models.motion import Dis

Settings = dict[str, Any]
Make = Callable[[Settings], Answer]

NUM_FRAMES = {"interpolate": 13, "denoise": 8, "upscale": 8, "inpaint": 24}
"""Fewer of a clip than the bench takes where that does not change the question: it is quicker."""


@dataclass(frozen=True)
class Method:
    """A method to tune: how settings make it, where it starts, and what each setting may be."""

    row: str
    make: Make
    start: Settings
    grid: Mapping[str, tuple[Any, ...]]


def _middle(base: classical.Middle) -> Make:
    return lambda settings: partial(classical.middle, how=replace(base, **settings))


def _call(function: Callable[..., Any], **fixed: Any) -> Make:
    return lambda settings: partial(function, **fixed, **settings)


PATHS = {
    "sampling": ("cubic", "lanczos"),
    "bend": (1.0, 1.3, 1.6),
    "doubt": (0.5, 0.7, 1.0),
    "near_px": (3.0, 5.0),
    "transport": ("sought",),
    "upsample": (1, 2),
}
LANCZOS = cv2.INTER_LANCZOS4


def methods() -> dict[str, Method]:
    """Every method that has something to tune, in the order of the rows."""
    return {**_between(), **_grain(), **_enlarging(), **_filling()}


def _between() -> dict[str, Method]:
    start = {"bend": 0.0, "sampling": "linear", "doubt": 2.0, "near_px": 1.5}
    dis = {"estimator": tuple(Dis(smoothness=s) for s in (10.0, 40.0))}
    farneback = {"estimator": tuple(Farneback(window_px=w) for w in (11, 21))}
    blocks = {"search": "bilat", "mixing": "obmc", "block_px": 16}
    tried = {"search": ("bidir",), "mixing": ("aobmc",), "block_px": (4, 8)}
    return {
        "dis middle": Method("interpolate", _middle(classical.DIS), start, PATHS | dis),
        "farneback middle": Method(
            "interpolate", _middle(classical.FARNEBACK), start, PATHS | farneback
        ),
        "minterpolate": Method("interpolate", _call(classical.minterpolate), blocks, tried),
    }


def _grain() -> dict[str, Method]:
    five = _call(classical.nlm, num_frames=5)
    hqdn3d = {"space": (20.0, 25.0, 30.0, 35.0, 40.0), "time": (20.0, 40.0, 60.0)}
    nlmeans = {
        "patch_px": (3, 5),
        "search_px": (5, 7, 11),
        "strength": (8.0, 10.0, 12.0, 14.0, 16.0),
    }
    nlm = {"side": (3, 5), "strength": (14.0, 17.0, 20.0, 25.0), "colour": (14.0, 20.0, 25.0)}
    start = {"strength": 10.0, "colour": 10.0, "side": 7}
    moved = {"radius": 2, "sigma": 12.0, "likeness": 12.0, "rough": 25.0, "near_px": 2.0}
    tried = {
        "sigma": (6.0, 8.0, 10.0),
        "radius": (3, 4, 6),
        "likeness": (8.0, 10.0, 15.0),
        "rough": (22.0, 28.0),
        "near_px": (0.7, 1.0, 1.5, 3.0),
    }
    return {
        "hqdn3d": _denoiser(_call(classical.hqdn3d), {"space": 10.0, "time": 10.0}, hqdn3d),
        "nlmeans": _denoiser(
            _call(classical.nlmeans), {"strength": 10.0, "patch_px": 7, "search_px": 15}, nlmeans
        ),
        "nlm": _denoiser(_call(classical.nlm), start, nlm),
        "nlm of 5 frames": _denoiser(five, start, nlm),
        "dctdnoiz": _denoiser(
            _call(classical.dct),
            {"sigma": 25.0, "log_block": 3},
            {"sigma": (18.0, 20.0, 22.0, 28.0), "log_block": (4,)},
        ),
        "along motion": _denoiser(_call(classical.along_motion), moved, tried),
    }


def _denoiser(make: Make, start: Settings, grid: Mapping[str, tuple[Any, ...]]) -> Method:
    return Method("denoise", make, start, grid)


def _enlarging() -> dict[str, Method]:
    sharp, lanczos = _call(classical.sharpened), _call(classical.sharpened, kernel=LANCZOS)
    start = {"amount": 0.4, "sigma_px": 1.0}
    tried = {"amount": (0.2, 0.6, 0.8, 1.0), "sigma_px": (1.5, 2.0, 2.5)}
    corrections = {"num_corrections": (2, 3, 4, 8), "kernel": (LANCZOS,)}
    return {
        "bicubic, sharpened": Method("upscale", sharp, start, tried),
        "lanczos, sharpened": Method("upscale", lanczos, start, tried),
        "back-projection": Method(
            "upscale", _call(classical.enlarged), {"num_corrections": 1}, corrections
        ),
    }


def _filling() -> dict[str, Method]:
    telea, stokes = _call(classical.spatial), _call(classical.spatial, method="navier-stokes")
    flow, tried = {"margin_px": 3, "fade": 1.0}, {"margin_px": (1, 2), "fade": (0.5, 2.0)}
    wide, narrow = {"radius_px": (5.0, 10.0, 15.0)}, {"radius_px": (1.0, 5.0, 10.0)}
    return {
        "telea": Method("inpaint", telea, {"radius_px": 3.0}, wide),
        "navier-stokes": Method("inpaint", stokes, {"radius_px": 3.0}, narrow),
        "median in time": Method(
            "inpaint", _call(classical.median_in_time), {"radius": 8}, {"radius": (1, 2, 4, 24)}
        ),
        "along flow": Method("inpaint", _call(classical.along_flow), flow, tried),
    }


def descend(
    start: Settings, grid: Mapping[str, tuple[Any, ...]], rate: Callable[[Settings], float]
) -> Iterator[tuple[Settings, float]]:
    """Coordinate descent, once through the grid; what leads is yielded at every gain."""
    best, value = start, rate(start)
    yield best, value
    for name, values in grid.items():
        for settings in [best | {name: v} for v in values if v != best.get(name)]:
            new = rate(settings)
            if new > value:
                best, value = settings, new
                yield best, value


def score(answer: Answer, asked: Sequence[Question]) -> float:
    """Mean of PSNR in dB, as the bench has it, over frames and clips."""
    values = [decibels(squared_error(answer(q), q)).mean() for q in asked]
    return float(torch.stack(values).mean())


def asked_of(row: str, num_clips: int, offset: int = 0) -> list[Question]:
    """The middles of training shots, at both sizes by turns; another offset takes other shots."""
    film, num_frames = footage.fetch("bbb"), NUM_FRAMES[row]
    middles = [
        ((start + end - num_frames) // 2, (start + end + num_frames) // 2)
        for start, end in shots.training_shots()[offset::3]
        if end - start >= num_frames
    ]
    small, large = (list(questions(row, film, middles, size, num_clips)) for size in SIZES)
    return [(small, large)[i % 2][i] for i in range(len(small))]


def report(num_clips: int = 4) -> Iterator[str]:
    """A line of markdown for every method: its start, its best, and both on other shots."""
    yield "| method | row | start | tuned | check, start | check, tuned | settings | s |"
    yield "|---|---|---|---|---|---|---|---|"
    tuning: dict[str, tuple[list[Question], list[Question]]] = {}
    for name, method in methods().items():
        if method.row not in tuning:
            tuning[method.row] = asked_of(method.row, num_clips), asked_of(method.row, num_clips, 1)
        clips, others = tuning[method.row]
        began = time.perf_counter()
        steps = list(
            descend(method.start, method.grid, lambda s, m=method, c=clips: score(m.make(s), c))
        )
        best, value = steps[-1]
        checks = [score(method.make(s), others) for s in (method.start, best)]
        figures = [steps[0][1], value, *checks]
        cells = [name, method.row, *(f"{v:.2f}" for v in figures), f"`{best}`"]
        yield f"| {' | '.join(cells)} | {time.perf_counter() - began:.0f} |"


def main(num_clips: int = 4) -> None:
    """Prints the table of decision 0007; held-out shots are never looked at."""
    cv2.setNumThreads(1)
    torch.set_num_threads(1)
    np.seterr(all="raise", under="ignore")
    for line in report(num_clips):
        print(line, flush=True)


if __name__ == "__main__":
    import tyro

    tyro.cli(main)
