"""Streams of frames, each made anew by a restorer through the kernel; memory does not grow.

Each stage takes frames as they come and gives them back as soon as it may. What was known comes
back bit for bit, since the kernel cannot move it.
"""

from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import accumulate, groupby, tee
from operator import itemgetter
from typing import cast

import cv2
import numpy as np
import torch
from einops import rearrange
from jaxtyping import Bool, Float, Shaped, UInt8
from torch import Tensor

from kineograph import sample, schedule
from kineograph.answer.tiles import Restore, tiled
from kineograph.flow import velocity_from_clean
from kineograph.known import Known
from kineograph.models import aligned, carried, cuts, sharpen, uncover
from kineograph.models.aligned import Picture
from kineograph.models.between import Flows, between, flows_of
from kineograph.models.cuts import around
from kineograph.models.imagined import Guessed, imagined, thick
from kineograph.models.net import Kineo
from kineograph.models.restorer import Restorer, Shown
from kineograph.models.steady import held_on
from kineograph.models.window import Predictor
from kineograph.video.levels import from_levels, in_bytes

Frame = Float[Tensor, "3 h w"]
Hole = Bool[Tensor, "1 h w"]
Holed = tuple[Frame, Hole]
Answered = tuple[Frame, uncover.Hole, uncover.Hole]
LOOK, CHUNK = 24, 16
"""A hole is filled from frames so far before and behind it, so many frames at a time."""
BLUR_LOOK = 4
"""Blur is measured over so many frames on both sides."""
LEAST_REMOVED = 0.8
"""Levels: a film of which less was taken away is sharpened as it is."""


def restorer(model: Predictor, name: str) -> Restorer:
    """The model's restorer for a question; ValueError if it was trained for none such."""
    found = model.restorers if isinstance(model, Kineo) else {}
    if name not in found:
        raise ValueError(f"This model holds no restorer {name!r}: use kineo-small, or train one.")
    return cast(Restorer, found[name])


@torch.inference_mode()
def restored(net: Restore, shown: Shown, known: Known) -> Frame:
    """One frame: what is known of it as it is, the rest by the restorer, in one step of the kernel.

    The restorer gives the mean, so the noise that the kernel begins with plays no part: it is 0.
    """

    def velocity(latents: Tensor, sigma: Tensor) -> Tensor:
        clean = tiled(net, shown).clamp(-1, 1)[:, None]
        return velocity_from_clean(latents, clean, sigma)

    levels_of_noise = schedule.joint(1, known.num_frames)
    return sample.euler(velocity, known, torch.zeros_like(known.frames), levels_of_noise)[0, 0]


def cleaned(model: Predictor, frames: Iterable[Frame], strength: float = 1.0) -> Iterator[Frame]:
    """Noise and compression taken away.

    Looks up to 12 frames ahead. `strength` 0 gives the frames back, 1 all that the restorer finds.
    """
    for frame, answer in _cleaned(model, frames):
        yield answer if strength == 1 else torch.lerp(frame, answer, strength)


def deblurred(model: Predictor, frames: Iterable[Frame], denoise: float = 0.0) -> Iterator[Frame]:
    """Blur undone that is alike all over the picture: out of focus, or shaken.

    Noise and compression are taken away first: the share `denoise`, or if it is 0 all that would
    be in the way. Looks 16 frames ahead.
    """
    softs = (_Soft.of(given, clean, denoise) for given, clean in _cleaned(model, frames))
    for window, now in around(softs, BLUR_LOOK, BLUR_LOOK):
        blur = sharpen.blur_of([soft.edges for soft in window])
        noise = float(np.median([soft.noise for soft in window]))
        frame = window[now].frame
        yield sharpen.sharpened(frame, blur, noise) if sharpen.is_blurred(blur) else frame


@dataclass(frozen=True, eq=False)
class _Soft:
    """A frame to be sharpened, what its edges say, and the noise in it, in levels."""

    frame: Frame
    edges: sharpen.Edges
    noise: float

    @staticmethod
    def of(given: Frame, clean: Frame, denoise: float) -> "_Soft":
        picture = picture_of(given)
        removed = 127.5 * float((clean - given).square().mean().sqrt())
        if not denoise and removed < LEAST_REMOVED:
            return _Soft(given, sharpen.edges_of(picture), 1.0)
        share = denoise or 1.0
        # What was taken away and is no white noise was compression, which leaves more behind.
        unlike = max(0.0, removed - aligned.noise_level(picture))
        noise = 1 + 0.3 * removed + 1.5 * unlike + (1 - share) * removed
        frame = torch.lerp(given, clean, share)
        return _Soft(frame, sharpen.edges_of(picture_of(frame)), noise)


def enlarged(model: Predictor, frames: Iterable[Frame], scale: int) -> Iterator[Frame]:
    """Frames of 2 or 4 times as many pixels a side. Looks up to 12 frames ahead."""
    if scale not in (2, 4):
        raise ValueError(f"The scale is {scale}: give 2 or 4.")
    net = restorer(model, "enlarge")
    large = (many(frame, scale) for frame in frames)
    yield from (answer for _, answer, _ in _from_carried(net, large, scale / 4))


def translated(net: Restorer, frames: Iterable[Frame]) -> Iterator[Frame]:
    """Frames of one domain shown in another, each led by the answer before."""
    before: tuple[Picture, Picture] | None = None
    for frame in frames:
        picture = picture_of(frame)
        made, doubt = aligned.last_frame(picture, *(before or (picture, picture)))
        shown = shown_to(picture, made[None], doubt[None], [float(before is not None)])
        answer = restored(net, shown, nothing_known(frame))
        before = (picture, picture_of(answer))
        yield answer


def coloured(model: Predictor, frames: Iterable[Frame], strength: float = 1.0) -> Iterator[Frame]:
    """Colours for the light of the frames, which is kept; colours that they have are not."""
    lights, greys = tee(grey_of(frame) for frame in frames)
    answers = translated(restorer(model, "colour"), greys)
    for grey, answer in zip(lights, answers, strict=True):
        yield torch.lerp(grey, with_light_of(answer, grey), strength)


@dataclass
class Measured:
    """The motions of one interval, for the next needs half of them."""

    around: Sequence[Frame | None] = (None,) * 4
    flows: Flows | None = None

    def of(self, around: Sequence[Frame | None], pictures: Sequence[Picture | None]) -> Flows:
        """The motions among four frames, those that are known not measured again."""
        goes_on = all(x is y for x, y in zip(self.around[1:], around[:3], strict=True))
        self.flows = flows_of(pictures, self.flows if goes_on else None)
        self.around = around
        return self.flows


def in_between(
    model: Predictor,
    around: Sequence[Frame | None],
    moments: Sequence[float],
    measured: Measured | None = None,
) -> Iterator[Frame]:
    """The frames at moments between the middle two of four: 0 is the one, 1 the other.

    The outer two may be None, at a cut or at the film's ends. `measured` goes from interval to
    interval.
    """
    if not moments:
        return
    net = restorer(model, "between")
    pictures = [None if frame is None else picture_of(frame) for frame in around]
    start, end = pictures[1:3]
    assert start is not None
    assert end is not None
    flows, unknown = (measured or Measured()).of(around, pictures), nothing_known(frame_of(start))
    for t in moments:
        found = between(start, end, flows, t)
        shown = shown_to(found.blend, found.made, found.doubt, [t])
        yield restored(net, shown, unknown)


def filled(
    model: Predictor, frames: Iterable[Frame], holes: Iterable[Hole], seed: int = 0
) -> Iterator[Frame]:
    """Frames whose holes (True) are filled from what is seen before, after and around.

    What is in sight at no time is imagined once, and stays where it belongs in the picture.
    Everything else comes back bit for bit, and nothing crosses a cut. Looks `LOOK` frames ahead,
    and 3 more for cuts.
    """
    net = restorer(model, "fill")
    pairs, to_see = tee(zip(frames, holes, strict=True))
    begins = cuts.cuts_of(cuts.changes(seen_around(to_see)))
    for shot in _shots(pairs, begins):
        to_imagine, answers = tee(_filled(net, shot))
        guesses = (Guessed(picture_of(answer), hole, never) for answer, hole, never in to_imagine)
        for (answer, _, never), made in zip(answers, imagined(guesses, seed), strict=True):
            yield torch.where(torch.from_numpy(never), frame_of(made), answer)


def _shots(pairs: Iterable[Holed], begins: Iterable[bool]) -> Iterator[Iterator[Holed]]:
    """The frames of each shot, to be read to their end before the next is asked for."""
    numbered = zip(pairs, accumulate(map(int, begins)), strict=True)
    return ((pair for pair, _ in shot) for _, shot in groupby(numbered, itemgetter(1)))


def seen_around(pairs: Iterable[Holed]) -> Iterator[Picture]:
    """Small pictures to find cuts in: holes are smooth, and a frame that is all hole stands."""
    last: Picture | None = None
    for frame, hole in pairs:
        if last is None or not hole.all():
            last = cuts.shrunk(torch.where(hole, 0, frame), cuts.WIDTH_PX)
            size = last.shape[1::-1]
            share = cv2.resize(hole[0].byte().numpy() * 255, size, interpolation=cv2.INTER_AREA)
            last = np.rint(uncover.spread(last, np.asarray(share) > 0)).astype(np.uint8)
        yield last


def _filled(net: Restorer, pairs: Iterable[Holed]) -> Iterator[Answered]:
    """The frames of one shot, their holes, and what no frame within `LOOK` saw of them."""
    recent: deque[Holed] = deque()
    done = first = 0
    for pair in pairs:
        recent.append(pair)
        if first + len(recent) >= done + CHUNK + LOOK:
            yield from _chunk(net, list(recent), range(done - first, done - first + CHUNK))
            done += CHUNK
            while first < done - LOOK:
                recent.popleft()
                first += 1
    yield from _chunk(net, list(recent), range(done - first, len(recent)))


def _chunk(net: Restorer, pairs: list[Holed], wanted: range) -> Iterator[Answered]:
    holes = [hole[0].numpy() for _, hole in pairs]
    if not any(holes[n].any() for n in wanted):
        yield from ((pairs[n][0], holes[n], holes[n]) for n in wanted)
        return
    pictures = [
        np.where(hole[..., None], 128, picture_of(torch.nan_to_num(frame)))
        for (frame, _), hole in zip(pairs, holes, strict=True)
    ]
    shown = uncover.uncovered(pictures, holes, [n for n in wanted if holes[n].any()])
    for n in wanted:
        frame, hole = pairs[n]
        if n not in shown:
            yield frame, holes[n], holes[n]
            continue
        made, doubt = shown[n]
        asked = shown_to(made[-1], made, doubt, [float(holes[n].mean())], holes[n])
        answer = restored(net, asked, Known(frame[None, None], hole[None, None].to(frame.dtype)))
        yield answer, holes[n], thick(holes[n] & (doubt[:-2].min(0) == aligned.UNLIKE))


def _cleaned(model: Predictor, frames: Iterable[Frame]) -> Iterator[tuple[Frame, Frame]]:
    """Each frame, and its answer without noise and compression, held steady."""
    held = None
    for frame, answer, noise in _from_carried(restorer(model, "clean"), frames, 0.0):
        held = held_on(held, levels_of(answer), noise)
        yield frame, frame_of(held.frame)


def levels_of(frame: Frame) -> Float[np.ndarray, "h w 3"]:
    """Levels of 0 to 255, channels last."""
    return rearrange((frame + 1) * 127.5, "c h w -> h w c").contiguous().numpy()


def _from_carried(
    net: Restorer, frames: Iterable[Frame], told: float
) -> Iterator[tuple[Frame, Frame, float]]:
    """Each frame, its answer, and how noisy it is, from what is carried to it from both sides."""
    waiting: deque[Frame] = deque()  # `tee` would keep 57 frames
    unknown = None

    def seen() -> Iterator[carried.Seen]:
        for frame in frames:
            waiting.append(frame)
            yield carried.Seen.of(picture_of(frame))

    for now, behind, ahead in carried.both_ways(seen()):
        frame = waiting.popleft()
        made, doubt = carried.shown(behind, ahead)
        unknown = unknown or nothing_known(frame)
        asked = shown_to(now.picture, made, doubt, [now.noise / 25, told])
        yield frame, restored(net, asked, unknown), now.noise


def shown_to(
    own: Picture,
    made: UInt8[np.ndarray, "k h w 3"],
    doubt: UInt8[np.ndarray, "k h w"],
    told: list[float],
    hole: np.ndarray | None = None,
) -> Shown:
    """One frame's pictures as a restorer takes them; told: what `RestorerShape.num_told` counts."""
    seen = torch.ones(own.shape[:2], dtype=torch.bool) if hole is None else torch.from_numpy(~hole)
    return Shown(
        rearrange(torch.from_numpy(own), "h w c -> 1 c h w"),
        (255 * seen.to(torch.uint8))[None, None],
        rearrange(torch.from_numpy(made), "k h w c -> 1 k c h w"),
        torch.from_numpy(doubt)[None],
        torch.tensor([told]),
    )


def nothing_known(like: Frame) -> Known:
    """The question about a frame of that shape that has no known pixel."""
    c, h, w = like.shape
    return Known.nothing(1, 1, c, h, w)


def many(frame: Frame, scale: int) -> Float[Tensor, "3 h2 w2"]:
    """The frame in so many times as many pixels a side, by bicubic interpolation."""
    h, w = frame.shape[-2:]
    picture = cv2.resize(picture_of(frame), (w * scale, h * scale), interpolation=cv2.INTER_CUBIC)
    return frame_of(np.asarray(picture))


def picture_of(frame: Frame) -> Picture:
    """The frame as OpenCV holds it: 8 bits, channels last."""
    return np.ascontiguousarray(rearrange(in_bytes(frame), "c h w -> h w c").numpy())


def frame_of(picture: Shaped[np.ndarray, "h w 3"]) -> Frame:
    """The inverse of `picture_of`, of levels of any type."""
    return from_levels(rearrange(torch.from_numpy(picture), "h w c -> c h w"))


def grey_of(frame: Frame) -> Frame:
    """BT.601 luma in all three channels."""
    light = frame.new_tensor([0.299, 0.587, 0.114])
    return torch.einsum("chw,c->hw", frame, light).expand_as(frame).contiguous()


def with_light_of(frame: Frame, grey: Frame) -> Frame:
    """The frame's colours at the luma of another, as far as they can be shown."""
    return (frame + grey - grey_of(frame)).clamp(-1, 1)
