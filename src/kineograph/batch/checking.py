"""What a verb would refuse as it runs is refused before anything runs."""

from collections.abc import Callable
from fractions import Fraction
from pathlib import Path
from typing import Any

from kineograph import tasks, video
from kineograph.answer import Sampling
from kineograph.batch import weighed
from kineograph.imagine import Imagining
from kineograph.models import weights
from kineograph.verbs import asked as verbs
from kineograph.verbs import bounds, filmed, made
from kineograph.video.info import check_size

KINDS = ("dropped", "frozen", "glitch", "scratch", "dust")


def check(asked: verbs.Asked) -> None:
    """ValueError, a sentence, for what cannot be made: of its numbers, files and model."""
    if asked.quality not in video.QUALITIES:
        raise ValueError(f"quality is {asked.quality!r}: give {', '.join(video.QUALITIES)}")
    if (model := getattr(asked, "model", None)) is not None:
        weighed.check(model)
    film = getattr(asked, "video", None)
    info = video.probe(film) if film is not None else None
    OF_VERB[type(asked)](asked, info)
    region = getattr(asked, "region", None)
    if region is not None:
        _check_region(region, film or asked.picture)  # pyright: ignore[reportAttributeAccessIssue]


def size_of(asked: verbs.Asked) -> tuple[int, int]:
    """Width and height of the film that a sound question will be answered by."""
    if isinstance(asked, verbs.Generate):
        like = weights.ASSETS / "clip.mp4" if asked.like is None else asked.like
        info = video.probe(like)
        tall, wide = made.smaller(info.height, info.width)
        return asked.width or wide, asked.height or tall
    info = video.probe(asked.picture if isinstance(asked, verbs.Animate) else asked.video)
    if isinstance(asked, verbs.Outpaint):
        return filmed.reshaped(info.width, info.height, asked.aspect)
    scale = asked.scale if isinstance(asked, verbs.Enhance) else 1
    return scale * info.width, scale * info.height


def _check_region(text: str, film: Path) -> None:
    info = video.probe(film)
    if not Path(text).is_absolute():
        bounds.check_box(text, info)
    elif told := bounds.misfit(video.probe(text), info):
        raise ValueError(f"region is {told}")


def _predict(asked: verbs.Predict, info: video.VideoInfo) -> None:
    Sampling(asked.steps, asked.seed)
    num = video.count_frames(asked.video)
    if bounds.continued(asked.known, num, info.fps, asked.seconds, asked.before).is_parted:
        raise ValueError(f"known is {asked.known}, after frame 0: that goes without before")


def _interpolate(asked: verbs.Interpolate, info: video.VideoInfo) -> None:
    if not bounds.is_paced(asked.fps, asked.slower):
        raise ValueError("say either fps, such as 60, or slower, such as 4")
    if not 1 <= asked.slower <= 64:
        raise ValueError(f"slower is {asked.slower}: give 2 to 64")
    if asked.fps is not None:
        filmed.rate(asked.fps)


def _enhance(asked: verbs.Enhance, info: video.VideoInfo) -> None:
    denoise = 0.0 if asked.denoise is None else asked.denoise
    tasks.Enhancement(denoise, asked.deblur, asked.scale, asked.deflicker, asked.colourise)
    wide, high = info.width * asked.scale, info.height * asked.scale
    check_size(wide, high, "the enlarged film")


def _outpaint(asked: verbs.Outpaint, info: video.VideoInfo) -> None:
    width, height = filmed.reshaped(info.width, info.height, asked.aspect)
    check_size(width, height, "the film of that aspect")


def _repair(asked: verbs.Repair, info: video.VideoInfo) -> None:
    for kind in asked.only:
        if kind not in KINDS:
            raise ValueError(f"only is {kind!r}: give {', '.join(KINDS)}")
    bounds.check_lists(asked.frames, asked.lines)


def _transfer(asked: verbs.Transfer, info: video.VideoInfo) -> None:
    weights.load_map(str(asked.map))


def _animate(asked: verbs.Animate, info: None) -> None:
    video.probe(asked.picture)
    num = tasks.frames_in(asked.seconds, video.checked_fps(asked.fps, "fps"))
    if num > tasks.MAX_LOOP:
        raise ValueError(f"the film would have {num} frames: at most {tasks.MAX_LOOP} are made")
    if not -0.05 <= asked.zoom <= 0.05:
        raise ValueError(f"zoom is {asked.zoom}: give -0.05 to 0.05")
    if asked.like is not None:
        video.probe(asked.like)


def _generate(asked: verbs.Generate, info: None) -> None:
    Imagining(asked.seed, asked.variety)
    tasks.frames_in(asked.seconds, video.probe(asked.like).fps if asked.like else Fraction(24))
    for name in ("width", "height"):
        side = getattr(asked, name)
        if side is not None and not bounds.is_even(side):
            raise ValueError(f"{name} is {side}: give an even number of pixels, 2 or more")
    if asked.width and asked.height:
        check_size(asked.width, asked.height, "the film")


def _edit(asked: verbs.Edit, info: video.VideoInfo) -> None:
    if not 0 <= asked.strength <= 1:
        raise ValueError(f"strength is {asked.strength}: give 0 to 1")
    if asked.reference is not None:
        video.probe(asked.reference)


def _nothing(asked: verbs.Asked, info: Any) -> None:
    """The region is all there is to check."""


OF_VERB: dict[type, Callable[[Any, Any], None]] = {
    verbs.Predict: _predict,
    verbs.Interpolate: _interpolate,
    verbs.Enhance: _enhance,
    verbs.Inpaint: _nothing,
    verbs.Outpaint: _outpaint,
    verbs.Repair: _repair,
    verbs.Transfer: _transfer,
    verbs.Animate: _animate,
    verbs.Generate: _generate,
    verbs.Edit: _edit,
}
