"""A film continued, at either end: all of it as it is stored, and what is foretold."""

import re
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch

from kineograph import tasks, video
from kineograph.answer import Sampling
from kineograph.models import weights
from kineograph.models.motion import NUM_KNOWN
from kineograph.models.window import Predictor
from kineograph.verbs.asked import Predict
from kineograph.verbs.told import Told

_SPAN = re.compile(r"(\d{1,9})(?:-(\d{1,9}))?")


@dataclass(frozen=True)
class Span:
    """The frames that are known, from `start` up to but without `stop`."""

    start: int
    stop: int


def span_of(known: str | None, num_frames: int) -> Span:
    """All frames of a film, or the known ones of "0-47". ValueError where it has no such frames."""
    if known is None:
        return Span(0, num_frames)
    match = _SPAN.fullmatch(known.strip())
    if match is None:
        raise ValueError(f"The known frames {known!r} are no run of frames: write 0-47.")
    first, last = int(match[1]), int(match[2] or match[1])
    if not first <= last < num_frames:
        raise ValueError(
            f"The known frames are {known}, and the film has frames 0 to {num_frames - 1}."
        )
    return Span(first, last + 1)


def predict(asked: Predict, told: Told) -> None:
    """Reads the end of what is known, writes all of it and what follows."""
    sampling = Sampling(asked.steps, asked.seed)
    info = video.probe(asked.video)
    out = asked.out or asked.video.with_name(f"{asked.video.stem}-continued.mp4")
    if out.resolve() == asked.video.resolve():
        raise ValueError(f"{out} is the film itself: give another --out.")
    num_frames = tasks.frames_in(asked.seconds, info.fps)
    span = span_of(asked.known, video.count_frames(asked.video))
    if asked.before and span.start:
        raise ValueError(f"{asked.known} begins after frame 0: that goes without --before.")
    known = ending(asked.video, span, NUM_KNOWN)
    model = weights.load(asked.model)
    sound = asked.video if info.audio_codecs and out.suffix in video.SOUND_OF else None
    if info.audio_codecs and sound is None:
        told.say(f"{out.suffix} holds no sound: the film's sound is left out.")
    with video.Writer(
        out, like=info, quality=asked.quality, audio_from=sound, recipe=_recipe(asked, num_frames)
    ) as writer:
        if asked.before:
            _write_before(asked, writer, tasks.frames_in(asked.before, info.fps), model, sampling)
        writer.write_given(asked.video, span.start, span.stop - span.start if asked.known else None)
        told.begun("predicting", num_frames)
        for frame in tasks.predicting(known, num_frames, model, sampling):
            writer.write(frame[None])
            told.made(frame)
    told.say(f"{out}: {writer.num_frames} frames, the last {num_frames} predicted.")
    if asked.compare:
        _compare(asked.video, span, asked.compare, model, sampling, told)


def ending(path: Path, span: Span, most: int) -> torch.Tensor:
    """The last frames of what is known; all of them where it is shorter."""
    count = min(most, span.stop - span.start)
    if span.stop == video.count_frames(path):
        return video.read(path, last=count).frames
    return video.read(path, span.stop - count, count).frames


def _recipe(asked: Predict, num_frames: int) -> dict[str, Any]:
    about = {"known_frames": asked.known} if asked.known else {}
    return {
        "task": "predict",
        "known": asked.video.name,
        **about,
        "num_frames": num_frames,
        "seconds_before": asked.before,
        "sampling": asdict(Sampling(asked.steps, asked.seed)),
        "model": {"name": asked.model, "sha256": weights.digest(asked.model)},
    }


def _write_before(
    asked: Predict, writer: video.Writer, num_frames: int, model: Predictor, sampling: Sampling
) -> None:
    """What came before the film, at times below 0, so that the film keeps its own."""
    count = min(NUM_KNOWN, video.count_frames(asked.video))
    first = video.read(asked.video, num_frames=count).frames
    made = tasks.precede(first, num_frames, model, sampling)
    times = torch.arange(-num_frames, 0, dtype=torch.float64) / float(writer.fps)
    writer.write(made, times)


def _compare(
    path: Path, span: Span, compare: Path, model: Predictor, sampling: Sampling, told: Told
) -> None:
    """The film's own last frames, foretold from those before: ours beside truth and baselines."""
    from kineograph.evaluate import baselines, metrics, sheet

    film = ending(path, span, 16)
    if len(film) < 3:
        raise ValueError(f"{path} has {len(film)} frames: --compare needs 3 or more.")
    known, truth = film[: (len(film) + 1) // 2], film[(len(film) + 1) // 2 :]
    num = len(truth)
    rows = {
        "film": truth,
        "kineo": tasks.predict(known, num, model, sampling),
        "dis flow": baselines.dis(known, num),
        "copy": baselines.copy_last(known, num),
    }
    columns = sorted({0, num // 4, num // 2, num - 1})
    sheet.save_png(sheet.contact_sheet(rows, [(f"+{i + 1}", i) for i in columns]), compare)
    for name in list(rows)[1:]:
        decibels = float(metrics.psnr(rows[name], truth).mean())
        told.say(f"  {name}: {decibels:.2f} dB on the film's own last {num} frames")
    told.say(f"{compare}: the comparison.")
