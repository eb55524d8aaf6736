"""A question in the fields of a request becomes the question of a verb, checked before it waits."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any

from kineograph import tasks
from kineograph.answer import Sampling
from kineograph.damage import listed
from kineograph.models import weights
from kineograph.serve.api.errors import Refused
from kineograph.serve.api.fields import size_in
from kineograph.serve.api.limits import Limits
from kineograph.serve.api.looking import Seen
from kineograph.verbs import asked as verbs
from kineograph.verbs import bounds, filmed, made

COMMON = {"task", "size", "quality", "seed"}
TAKES: dict[str, set[str]] = {
    "predict": {"seconds", "known", "before", "steps"},
    "enhance": {"denoise", "deblur", "scale", "deflicker", "colourise"},
    "interpolate": {"fps", "slower"},
    "inpaint": {"region", "mask"},
    "outpaint": {"aspect"},
    "repair": {"only", "frames", "lines", "known"},
    "transfer": set(),
    "generate": {"seconds", "loop", "variety"},
    "animate": {"seconds", "fps", "flow", "region", "mask", "like", "zoom", "loop"},
    "edit": {"strength", "reference", "region", "mask"},
}
"""Which fields each task takes, beside those that all take."""
DEFAULT_SECONDS = {"predict": 1.0, "animate": 3.0, "generate": 2.0}
DEFAULT_FPS = Fraction(24)


@dataclass(frozen=True)
class Expected:
    """What a film will be. num_frames counts all of its frames; made those that are thought out."""

    num_frames: int
    made: int
    width: int
    height: int
    fps: Fraction

    @property
    def seconds(self) -> float:
        """How long it will last."""
        return float(self.num_frames / self.fps)

    @property
    def work_px(self) -> float:
        """How many pixels must be thought out."""
        return float(self.made) * self.width * self.height


def task_of(question: Mapping[str, Any], seen: Seen | None) -> str:
    """The task that is asked, or the one that what was given stands for."""
    if (said := question.get("task")) is not None:
        return said
    if seen is None:
        return "generate"
    return "animate" if seen.kind == "picture" else "predict"


def check_fields(task: str, names: set[str]) -> None:
    """Refused where a field is not of the task."""
    takes = TAKES[task] | COMMON | {"input_reference"}
    for name in sorted(names - takes):
        of = ", ".join(one for one, fields in TAKES.items() if name in fields)
        told = f"{name} goes with {of}, and the task is {task}."
        raise Refused(400, told, name, "not_of_this_task")
    if {"mask", "region"} <= names:
        raise Refused(400, "Give either region or mask, not both.", "mask", "bad_value")
    if task == "inpaint" and not {"mask", "region"} & names:
        raise Refused(400, "Say what to take away: region or mask.", "region", "missing_field")
    if task != "generate" and "input_reference" not in names:
        told = f"{task} needs a film: give input_reference."
        raise Refused(400, told, "input_reference", "missing_field")


def asked_of(
    task: str,
    model: str,
    question: Mapping[str, Any],
    files: Mapping[str, Path],
    out: Path,
    num_frames: int | None = None,
) -> verbs.Asked:
    """The verb's own question. num_frames is of the film that is given."""
    said = {key: value for key, value in question.items() if key not in ("task", "size", "known")}
    film = files.get("input_reference")
    if "mask" in files:
        said["region"] = str(files["mask"])
    if task == "generate":
        size = size_in(question["size"]) if "size" in question else (None, None)
        name = None if model == weights.SHIPPED else model
        return verbs.Generate(film, name, out, width=size[0], height=size[1], **said)
    assert film is not None
    if task == "animate":
        flow = tuple(said.pop("flow")) if "flow" in said else None
        fps = float(Fraction(filmed.rate(said.pop("fps")))) if "fps" in said else 24.0
        said.pop("seed", None)
        return verbs.Animate(film, out, flow=flow, fps=fps, like=files.get("like"), **said)
    if task == "edit":
        return verbs.Edit(film, out, reference=files.get("reference"), **said)
    if task == "predict":
        return verbs.Predict(film, out, model=model, known=question.get("known"), **said)
    if task == "transfer":
        return verbs.Transfer(video=film, out=out, map=weights.path_of(model), **said)
    if task == "repair":
        said["only"] = tuple(said.get("only", ()))
        if "known" in question:
            said["frames"] = unknown(question["known"], num_frames or 0)
    return FILMED[task](video=film, out=out, model=model, **said)


FILMED: dict[str, Callable[..., verbs.Asked]] = {
    "enhance": verbs.Enhance,
    "interpolate": verbs.Interpolate,
    "inpaint": verbs.Inpaint,
    "outpaint": verbs.Outpaint,
    "repair": verbs.Repair,
}


def unknown(known: str, num_frames: int) -> str:
    """The frames that are not known, as a list. ValueError where all are, or none."""
    frames = listed(known)
    if frames and max(frames) >= num_frames:
        raise ValueError(f"The known frames are {known}, and the film has {num_frames}.")
    rest = sorted(set(range(num_frames)) - frames)
    if not rest or not frames:
        raise ValueError(f"The known frames are {known}: nothing, or all, would be made anew.")
    return ",".join(map(str, rest))


def expected(
    task: str,
    question: Mapping[str, Any],
    seen: Seen | None,
    limits: Limits,
    mask: Seen | None = None,
) -> Expected:
    """What the film will be. ValueError or Refused where what is asked cannot be."""
    found = EXPECTED[task](question, seen)
    if mask is not None and seen is not None and (told := bounds.misfit(mask, seen)):
        raise Refused(400, f"The mask is {told}.", "mask", "bad_value")
    if "region" in question and seen is not None:
        bounds.check_box(question["region"], seen)
    _check_limits(found, limits)
    wanted = question.get("size")
    if wanted is not None and size_in(wanted) != (found.width, found.height):
        told = f"The film will be {found.width}x{found.height}, and size is {wanted}: leave it out."
        raise Refused(400, told, "size", "bad_value")
    return found


def _check_limits(found: Expected, limits: Limits) -> None:
    if found.width * found.height > limits.frame_px:
        told = f"{found.width}x{found.height} pixels, and {limits.frame_px:,} in all are allowed."
        raise ValueError(f"The film would be {told}")
    if found.num_frames > limits.frames or found.seconds > limits.seconds:
        told = f"{found.num_frames} frames and {found.seconds:g} s; {limits.frames} frames and"
        raise ValueError(f"The film would have {told} {limits.seconds:g} s are allowed.")
    if found.num_frames * found.width * found.height > limits.answer_px:
        raise ValueError(f"The film would have more than {limits.answer_px:,} pixels in all.")


def _alike(question: Mapping[str, Any], seen: Seen | None) -> Expected:
    """A film of the given one's size, rate and length."""
    assert seen is not None
    return Expected(seen.num_frames, seen.num_frames, seen.width, seen.height, Fraction(seen.fps))


def _predict(question: Mapping[str, Any], seen: Seen | None) -> Expected:
    like = _alike(question, seen)
    Sampling(question.get("steps", 2), question.get("seed", 0))
    seconds = question.get("seconds", DEFAULT_SECONDS["predict"])
    known, before = question.get("known"), question.get("before", 0)
    found = bounds.continued(known, like.num_frames, like.fps, seconds, before)
    if found.is_parted:
        raise ValueError(f"The known frames are {known}: that goes without before.")
    added = found.after + found.before
    total = found.known.stop - found.known.start + added
    return Expected(total, added, like.width, like.height, like.fps)


def _enhance(question: Mapping[str, Any], seen: Seen | None) -> Expected:
    like, scale = _alike(question, seen), question.get("scale", 1)
    tasks.Enhancement(scale=scale)
    return Expected(like.num_frames, like.made, like.width * scale, like.height * scale, like.fps)


def _interpolate(question: Mapping[str, Any], seen: Seen | None) -> Expected:
    like, slower = _alike(question, seen), question.get("slower", 1)
    if not bounds.is_paced(question.get("fps"), slower):
        raise Refused(400, "Say either fps, such as 60, or slower, such as 4.", "fps", "bad_value")
    fps = filmed.rate(question["fps"]) if "fps" in question else like.fps
    num = max(1, round(like.num_frames * slower * fps / like.fps))
    return Expected(num, num, like.width, like.height, fps)


def _outpaint(question: Mapping[str, Any], seen: Seen | None) -> Expected:
    like = _alike(question, seen)
    width, height = filmed.reshaped(like.width, like.height, question.get("aspect", "16:9"))
    return Expected(like.num_frames, like.made, width, height, like.fps)


def _repair(question: Mapping[str, Any], seen: Seen | None) -> Expected:
    like = _alike(question, seen)
    if "known" in question:
        if "frames" in question:
            raise Refused(400, "Give either known or frames, not both.", "known", "bad_value")
        unknown(question["known"], like.num_frames)
    bounds.check_lists(question.get("frames"), question.get("lines"))
    return like


def _animate(question: Mapping[str, Any], seen: Seen | None) -> Expected:
    assert seen is not None
    fps = filmed.rate(question["fps"]) if "fps" in question else DEFAULT_FPS
    num = tasks.frames_in(question.get("seconds", DEFAULT_SECONDS["animate"]), fps)
    if num > tasks.MAX_LOOP:
        raise ValueError(f"The film would have {num} frames, and at most {tasks.MAX_LOOP} are.")
    return Expected(num, num, seen.width, seen.height, fps)


def _generate(question: Mapping[str, Any], seen: Seen | None) -> Expected:
    fps = Fraction(seen.fps) if seen is not None else DEFAULT_FPS
    num = tasks.frames_in(question.get("seconds", DEFAULT_SECONDS["generate"]), fps)
    width, height = (seen.width, seen.height) if seen is not None else made.LARGEST
    if "size" in question:
        width, height = size_in(question["size"])
        if not (bounds.is_even(width) and bounds.is_even(height)):
            raise ValueError(f"The size is {width}x{height}: give even sides of 2 or more.")
    else:
        height, width = made.smaller(height, width)
    return Expected(num, num, width, height, fps)


EXPECTED: dict[str, Callable[[Mapping[str, Any], Seen | None], Expected]] = {
    "predict": _predict,
    "enhance": _enhance,
    "interpolate": _interpolate,
    "inpaint": _alike,
    "outpaint": _outpaint,
    "repair": _repair,
    "transfer": _alike,
    "generate": _generate,
    "animate": _animate,
    "edit": _alike,
}


def sentence(error: ValueError) -> str:
    """What is wrong, as a sentence of its own."""
    text = " ".join(str(error).split())
    return (text[:1].upper() + text[1:]).rstrip(".") + "."
