"""What a stream is made into: one task after another, each answered frame by frame."""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from fractions import Fraction
from itertools import tee

from kineograph import regions, tasks
from kineograph.answer import Frame, Sampling, num_recent_of
from kineograph.answer.live import Make, beside, foretelling
from kineograph.cli.stream_commands import Stream
from kineograph.models import weights
from kineograph.models.window import Predictor
from kineograph.regions import POINTED, Pointed, Region
from kineograph.verbs.made import look_of

THOUGHT_OUT = Sampling(working_px=72)
"""At half the size that a file is foretold at: twice as fast, and about as near."""
Stage = Callable[[Iterator[Frame]], Iterator[Frame]]
Lost = Callable[[int, str], None]
AS_IT_IS = "as it is"


def enhancement_of(asked: Stream) -> tasks.Enhancement:
    """What is to be made better."""
    return tasks.Enhancement(asked.denoise, False, asked.scale, asked.deflicker, asked.colourise)


def check(asked: Stream) -> None:
    """What does not go together."""
    edits = {"--inpaint": asked.inpaint, "--edit": asked.edit, "--transfer": asked.transfer}
    others = [name for name, value in edits.items() if value is not None]
    if enhancement_of(asked) != tasks.Enhancement():
        others.append("to enhance")
    if asked.predict is not None and others:
        raise ValueError(
            f"--predict {asked.predict:g} shows frames as they are: ask {others[0]} by itself."
        )
    if asked.region is not None and asked.edit is None:
        raise ValueError(f"--region {asked.region} says where to restyle: give --edit a look, too.")
    if not 0 <= asked.strength <= 1:
        raise ValueError(f"--strength is {asked.strength:g}: give 0 (as it is) to 1.")
    if asked.inpaint == asked.region == POINTED:
        raise ValueError("What is pointed at can be taken away or restyled, not both.")
    if is_pointed(asked) and asked.out is not None and not asked.show:
        raise ValueError("To point there must be a page: add --show.")
    for region in (asked.inpaint, asked.region):
        if region not in (None, POINTED) and is_dropping(asked) and regions.is_film(region):
            raise ValueError(
                f"{region} has a mask for each frame, and frames that are late are dropped: add "
                "--late wait."
            )


def is_dropping(asked: Stream) -> bool:
    """Whether frames that are late are let go."""
    return (asked.late or ("wait" if asked.fast else "drop")) == "drop"


def is_pointed(asked: Stream) -> bool:
    """Whether people point at things on the page."""
    return POINTED in (asked.inpaint, asked.region)


def make_of(asked: Stream, fps: Fraction, pointed: Pointed | None, when_lost: Lost) -> Make | None:
    """What makes frames of frames; None where they go on as they are."""
    if doing(asked) == AS_IT_IS:
        return None
    model = weights.load(asked.model)
    if asked.predict is not None:
        num_ahead = tasks.frames_in(asked.predict, fps)
        foretell = foretelling(model, num_ahead, THOUGHT_OUT)
        return lambda clips: beside(clips, foretell)
    stages = list(_stages(asked, model, pointed, when_lost))

    def make(frames: Iterator[Frame]) -> Iterator[Frame]:
        for stage in stages:
            frames = stage(frames)
        return frames

    return make


def _stages(
    asked: Stream, model: Predictor, pointed: Pointed | None, when_lost: Lost
) -> Iterator[Stage]:
    """Regions are of the stream's own size, so it is enlarged last."""

    def within(text: str, frames: Iterable[Frame]) -> Iterator[Region]:
        if text == POINTED and pointed is not None:
            return pointed.regions(frames)
        return regions.named(text, frames, when_lost)

    what, is_live = enhancement_of(asked), not asked.look_ahead
    better, larger = replace(what, scale=1), tasks.Enhancement(scale=what.scale)
    hole, look, where, map_ = asked.inpaint, asked.edit, asked.region, asked.transfer
    if hole is not None:

        def fill(frames: Iterator[Frame]) -> Iterator[Frame]:
            first, second = tee(frames)
            holes = within(hole, second)
            return tasks.inpaint_live(first, holes, model, hole == POINTED)

        yield fill
    if better != tasks.Enhancement():
        yield lambda frames: tasks.enhance(frames, better, model, is_live)
    if look is not None:
        reference = look_of(look)

        def restyle(frames: Iterator[Frame]) -> Iterator[Frame]:
            first, second = tee(frames)
            inside = None if where is None else within(where, second)
            return tasks.edit_live(first, reference, asked.strength, inside, asked.seed)

        yield restyle
    if map_ is not None:
        net = weights.load_map(str(map_))
        yield lambda frames: tasks.transfer(frames, net)
    if what.scale > 1:
        yield lambda frames: tasks.enhance(frames, larger, model, is_live)


def num_recent(asked: Stream, fps: Fraction) -> int:
    """How many frames are looked at for each that is shown."""
    return 1 if asked.predict is None else num_recent_of(tasks.frames_in(asked.predict, fps))


def doing(asked: Stream) -> str:
    """What is done to it, in words."""
    what = enhancement_of(asked)
    if asked.predict is not None:
        return f"foretold for {asked.predict:g} s later"
    look, map_ = (path.name if path else "" for path in (asked.edit, asked.transfer))
    said = {
        f"without {_thing(asked.inpaint)}": asked.inpaint is not None,
        "deflickered": what.deflicker,
        "denoised": what.denoise,
        "coloured": what.colourise,
        f"restyled as {look}": look,
        f"shown by {map_}": map_,
        f"{what.scale}x enlarged": what.scale > 1,
    }
    return ", ".join(word for word, is_asked in said.items() if is_asked) or AS_IT_IS


def _thing(region: str | None) -> str:
    return "what is pointed at" if region == POINTED else "a region"
