"""One film is looked at, whole or in windows, within a time that is set beforehand."""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from fractions import Fraction
from itertools import pairwise
from math import inf
from pathlib import Path
from time import monotonic

from av.video.frame import VideoFrame

from kineograph import video
from kineograph.data.folder import looking as look
from kineograph.data.folder.alike import moments
from kineograph.data.folder.found import Crop, FilmSurvey, Looking, clips_in
from kineograph.data.folder.opening import Refused, check_content, check_light, check_side
from kineograph.video.info import MAX_FPS
from kineograph.video.small import windows

FRAMES_PER_WINDOW = 24
PACKET_SECONDS = 5.0
UNEVEN = 1.5
"""The longest time between frames, over the shortest, from which on a film says so."""
MOSTLY = 0.97
"""A film of which more is black or frozen, of what was seen, is taken to be so all through."""
_USUAL_RATES = [
    Fraction(rate) for rate in ("24000/1001", "24", "25", "30000/1001", "30", "50", "60000/1001")
] + [Fraction(rate) for rate in ("60", "100", "120000/1001", "120", "240")]
_PIXELS_PER_SECOND = 1e8
_BT2020 = 9
_COUNT_BYTES = 64 * 2**20
"""In larger files without a length in their header, frames are not counted beforehand."""


def surveyed(path: Path, key: str, num_bytes: int, how: Looking, is_late: bool) -> FilmSurvey:
    """What is in the film; Refused if nothing in it can be used. `is_late`: only its header."""
    deadline = monotonic() + how.seconds_per_film
    check_content(path, how.size_px, PACKET_SECONDS)
    with video.open_stream(path, PACKET_SECONDS) as film:
        check_light(film.info)
        check_side(film.info.width, film.info.height, how.size_px)
        length = length_of(film.info, num_bytes)
        if is_late:
            return _by_header(film.info, key, length, how)
        if _is_whole(film.info, length, num_bytes, how):
            return whole(film, key, length, how, deadline)
    return _sampled(path, film.info, key, length, how, deadline)


@dataclass(frozen=True)
class Length:
    """What the file says of how long it is; 0 where it says nothing."""

    num_frames: int
    seconds: Fraction


def length_of(info: video.VideoInfo, num_bytes: int) -> Length:
    num_frames = info.num_frames or 0
    seconds = Fraction(info.duration_seconds or 0).limit_denominator(1000)
    if not num_frames and not seconds and num_bytes < _COUNT_BYTES:
        num_frames = video.count_frames(info.path)
    return Length(num_frames or round(seconds * info.fps), seconds or num_frames / info.fps)


def _is_whole(info: video.VideoInfo, length: Length, num_bytes: int, how: Looking) -> bool:
    pixels = length.num_frames * info.width * info.height
    is_seekable = length.seconds > 0 and not info.container.startswith("yuv4mpeg")
    return num_bytes <= how.small_bytes or pixels <= how.whole_px or not is_seekable


def whole(
    film: video.Film,
    key: str,
    length: Length,
    how: Looking,
    deadline: float = inf,
    frames: Iterable[VideoFrame] | None = None,
) -> FilmSurvey:
    """The film, each frame looked at; from a deadline (of `monotonic`) on, what is left is guessed.

    frames are the film's own unless they are given (to do more with each on the way). Refused if
    nothing in it can be used.
    """
    started = monotonic()
    sight = look.Sight(film.info)
    reel = look.Reel(film.frames() if frames is None else frames, deadline)
    look.looked_at(reel, sight, moments(length.seconds))
    seconds = monotonic() - started
    if not sight.seconds and reel.ended == "late":
        raise Refused("too slow", "too slow: not one frame came in time")
    if reel.ended == "late":
        number = max(length.num_frames, len(sight.seconds))
        return _guessed(_seen(sight, key, seconds), number, sum(sight.is_cut) - 1, how)
    if not sight.seconds:
        raise Refused("broken", "damaged or cut short: not one frame can be read")
    survey = _seen(sight, key, seconds)
    clips, fps = clips_in(survey.stretches, how.num_frames), _measured_fps(sight)
    notes = (*_notes(sight, survey.crop, fps), *_notes_on_times(sight, reel))
    survey = replace(survey, num_clips=clips, fps=fps, notes=notes)
    return _checked(survey, how, reel)


def _seen(sight: look.Sight, key: str, seconds: float) -> FilmSurvey:
    """What was seen, as if it were all; its clips are not counted yet."""
    width, height = look.displayed(sight.info)
    crop = sight.crop()
    return FilmSurvey(
        key=key,
        num_frames=len(sight.seconds),
        fps=sight.info.fps,
        width=width,
        height=height,
        crop=crop,
        shots=look.shots_of(sight),
        black=look.black_of(sight),
        frozen=look.frozen_of(sight),
        num_shots=sum(sight.is_cut),
        num_clips=0,
        looked="whole",
        seconds_to_decode=seconds,
        notes=_notes(sight, crop, sight.info.fps),
        signature=sight.signature(crop),
    )


def _measured_fps(sight: look.Sight) -> Fraction:
    """The rate by the frames' own times: a usual one, or the header's, where they allow it."""
    said, times = sight.info.fps, sight.seconds
    lasts = times[-1] - times[0]
    if lasts <= 0 or (len(times) - 1) / lasts > MAX_FPS:
        return said
    measured = (len(times) - 1) / lasts
    slack = measured * (1e-4 + 2 * float(sight.info.time_base) / lasts)
    usual = sorted(_USUAL_RATES, key=lambda rate: abs(float(rate) - measured))
    ranked = [said, *usual] if said in usual else [*usual, said]
    near = [rate for rate in ranked if abs(float(rate) - measured) <= slack]
    return near[0] if near else Fraction(measured).limit_denominator(1001)


def _notes(sight: look.Sight, crop: Crop, fps: Fraction) -> tuple[str, ...]:
    """What a person should know of a film that is used."""
    info, whole = sight.info, (0, 0, *look.displayed(sight.info))
    said = {
        f"{float(fps):.4g} frames a second": not 12 <= fps <= 61,
        "turned upright": info.display_matrix is not None,
        "pixels made square": info.pixel_aspect != 1,
        "interlaced: its fields are mixed": sight.is_interlaced,
        f"black bars: {crop[2]}x{crop[3]} is used": crop != whole,
        "wide colours, taken as they are coded": info.colour_tags[2] == _BT2020,
    }
    return tuple(note for note, holds in said.items() if holds)


def _notes_on_times(sight: look.Sight, reel: look.Reel) -> list[str]:
    steps = [after - before for before, after in pairwise(sight.seconds)]
    notes = []
    if steps and max(steps) > UNEVEN * min(steps) + 2e-3:  # Matroska rounds to 1 ms
        notes.append("uneven times")
    if reel.ended == "broken":
        notes.append(f"of it, the first {len(sight.seconds)} frames can be read")
    return notes


def _checked(survey: FilmSurvey, how: Looking, reel: look.Reel) -> FilmSurvey:
    """The film, if it has a clip; else Refused, with the first reason that holds."""
    number, wanted = survey.num_frames, how.num_frames
    check_side(*survey.crop[2:], how.size_px)
    if survey.num_clips:
        return survey
    if reel.ended == "broken":
        raise Refused("broken", f"damaged or cut short: only {number} frames can be read")
    if number == 1:
        raise Refused("one frame", "one frame: nothing can move")
    if number < wanted:
        raise Refused("too short", f"too short: {number} frames, and a clip has {wanted}")
    _check_alive(survey, 0.5)
    what = f"none of its {survey.num_shots} shots has {wanted} frames that move"
    raise Refused("too short", f"too short: {what}")


def _check_alive(survey: FilmSurvey, share: float) -> None:
    """Refused if more than this share of the frames seen is black, or does not move."""
    black, frozen = (sum(b - a for a, b in part) for part in (survey.black, survey.frozen))
    number = survey.num_frames
    if black + frozen > share * number and black >= frozen:
        raise Refused("black", f"black: {black} of the {number} frames seen")
    if black + frozen > share * number:
        raise Refused("still", f"still: {frozen} of the {number} frames seen do not move")


def _sampled(
    path: Path, info: video.VideoInfo, key: str, length: Length, how: Looking, deadline: float
) -> FilmSurvey:
    """The film, looked at in 16 windows."""
    at, sight, num_windows, times = moments(length.seconds), look.Sight(info), 0, list[float]()
    for number, window in enumerate(windows(path, at, FRAMES_PER_WINDOW, PACKET_SECONDS)):
        reel, before = look.Reel(window, deadline), len(sight.seconds)
        look.looked_at(reel, sight, [at[number]], number)
        num_windows += len(sight.seconds) > before
        times += [after - now for now, after in pairwise(reel.times)]
        if reel.ended != "end":
            break
    if not sight.seconds:
        raise Refused("broken", f"damaged: nothing of its {length.num_frames} frames can be read")
    survey = _seen(sight, key, sum(times) / max(1, len(times)) * len(sight.seconds))
    if num_windows < len(at):
        note = f"could be read, in time, at {num_windows} of {len(at)} places"
        survey = replace(survey, notes=(*survey.notes, note))
    check_side(*survey.crop[2:], how.size_px)
    return _guessed(survey, length.num_frames, survey.num_shots - num_windows, how)


def _guessed(seen: FilmSurvey, number: int, num_cuts: int, how: Looking) -> FilmSurvey:
    """A film of so many frames, of which a part was seen: the rest is taken to be alike.

    Refused if nothing moves in it.
    """
    _check_alive(seen, MOSTLY)
    dead = sum(end - start for start, end in (*seen.black, *seen.frozen)) / seen.num_frames
    num_shots = 1 + round(num_cuts / seen.num_frames * number)
    return replace(
        seen,
        num_frames=number,
        shots=((0, number),),
        black=(),
        frozen=(),
        num_shots=num_shots,
        # Half a clip is left over at the end of each shot.
        num_clips=max(1, round((1 - dead) * number / how.num_frames - num_shots / 2)),
        looked="sampled",
        seconds_to_decode=seen.seconds_to_decode / seen.num_frames * number,
    )


def _by_header(info: video.VideoInfo, key: str, length: Length, how: Looking) -> FilmSurvey:
    """What the header says, where there is no time for more."""
    width, height = look.displayed(info)
    number = length.num_frames
    if number < how.num_frames:
        raise Refused("too short", f"too short: {number} frames, and a clip has {how.num_frames}")
    return FilmSurvey(
        key=key,
        num_frames=number,
        fps=info.fps,
        width=width,
        height=height,
        crop=(0, 0, width, height),
        shots=((0, number),),
        black=(),
        frozen=(),
        num_shots=1,
        num_clips=number // how.num_frames,
        looked="header",
        seconds_to_decode=number * width * height / _PIXELS_PER_SECOND,
        notes=("not looked at: time was up",),
    )
