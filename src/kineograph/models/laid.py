"""Patches of a reference, once laid over a film, stay on what they lie on as it moves.

So a frame need not be searched anew: each patch is taken along the motion and only what is near it
is tried, once (PatchMatch, Barnes et al., 2009); where the motion explains nothing, patches are
searched everywhere at the coarsest level and carried over to the finer ones.
"""

from dataclasses import dataclass

import cv2
import numpy as np
import torch
from einops import rearrange
from jaxtyping import Bool, Float, Int, Shaped
from torch import Tensor
from torch.nn import functional as F

from kineograph.models.aligned import places, pulled
from kineograph.models.patch_search import Bank
from kineograph.models.patches import Lattice, lengths
from kineograph.models.pull import Frame, Pull, apart, mixed
from kineograph.models.pyramid import Answer, Level

Origins = Float[np.ndarray, "3 gy gx"]
"""The frame, row and column of the reference where each patch begins.

To fractions of a pixel, so that slow motion adds up; shown and compared at whole pixels, for
patches that overlap shifted by less than one would blur each other."""
Cells = Bool[np.ndarray, "gy gx"]
NUM_TRIES, JITTER_PX = 1, 3
GAIN = 0.8
"""A patch that was brought is exchanged for one of less than this share of its squared error."""
LOSS = 1.5
"""A patch that is new, for one that goes on as one beside it does, if its error is less than that
many times as large (Ashikhmin, 2001)."""
SURE = 0.5
"""Where the motion fits less well, patches are not brought."""
HELD = 0.5
"""So much of an answer is the one before it, moved, where that fits: patches jump whole pixels."""
STEPS = (0.7548776662, 0.5698402910)
"""Multiples of these fill a square evenly (Roberts, 2018)."""
CHUNK = 1024


@dataclass(frozen=True, eq=False)
class Laid:
    """Where the patches over a frame come from, and the frame that they make."""

    origins: Origins
    frame: Frame

    @staticmethod
    def of(answer: Answer) -> "Laid":
        """Of a frame that was searched slowly."""
        origins = rearrange(answer.matches, "1 y x a -> a y x").float().numpy()
        return Laid(np.ascontiguousarray(origins), rows_of(answer.frames[0]))


@dataclass(frozen=True, eq=False)
class Plane:
    """What one level needs of a reference, and what stays the same from frame to frame.

    tall: all its frames, above each other. begins: where the patches lie. The same noise and tries
    serve every frame: what does not move does not flicker.
    """

    lattice: Lattice
    bank: Bank
    tall: Float[np.ndarray, "h2 w2 3"]
    looks: Float[np.ndarray, "n d"]
    noise: Frame
    tries: Float[np.ndarray, "n2 2 gy gx"]
    places: Float[np.ndarray, "h w 2"]
    begins: Float[np.ndarray, "2 gy gx"]

    @staticmethod
    def of(level: Level, bank: Bank, generator: torch.Generator) -> "Plane":
        """Of a bank at a level."""
        lattice = level.lattice(level.size(1), bank, ring=False)
        noise = torch.randn(level.height, level.width, 3, generator=generator)
        shape = NUM_TRIES, 2, *lattice.grid[1:]
        tries = torch.randint(-JITTER_PX, JITTER_PX + 1, shape, generator=generator).float()
        noise *= level.sigma / (1 - level.sigma)
        arrays = bank.frames.flatten(0, 1), bank.features.flatten(0, 2), noise, tries
        begins = np.indices(lattice.grid[1:], np.float32) * np.float32(lattice.stride_px)
        tall, looks, noise, tries = (one.contiguous().numpy() for one in arrays)
        here = places(level.height, level.width)
        return Plane(lattice, bank, tall, looks, noise, tries, here, begins)

    @property
    def size(self) -> tuple[int, int]:
        """Height and width of the frame."""
        return self.lattice.film.h, self.lattice.film.w

    def at_middles(self, field: Shaped[np.ndarray, "h w *c"]) -> Shaped[np.ndarray, "gy gx *c"]:
        """What a field says in the middle of each patch."""
        patch, (_, gy, gx) = self.lattice.patch, self.lattice.grid
        rows = np.arange(gy) * self.lattice.stride_px + patch.h // 2
        columns = np.arange(gx) * self.lattice.stride_px + patch.w // 2
        h, w = self.size
        return field[np.minimum(rows, h - 1)[:, None], np.minimum(columns, w - 1)]

    def noise_at(self, turn: int) -> Frame:
        """Elsewhere at each turn, or what comes in at an edge would be the same again and again."""
        h, w = self.size
        down, across = (round(n * (turn * step % 1)) for n, step in zip((h, w), STEPS, strict=True))
        return np.roll(self.noise, (down, across), (0, 1))

    def over_pixels(self, cells: Cells) -> Float[np.ndarray, "h w"]:
        """1 about where, 0 elsewhere."""
        h, w = self.size
        wide = cv2.resize(cells.astype(np.float32), (w, h), interpolation=cv2.INTER_NEAREST)
        return np.asarray(wide)

    def within(self, origins: Origins) -> Origins:
        """Where a patch has left the reference it is moved back to the edge; in place."""
        for axis in (1, 2):
            np.clip(origins[axis], 0, self.bank.counts[axis] - 1, out=origins[axis])
        return origins


@dataclass(frozen=True)
class Mixing:
    """How much of a frame is what.

    keen: of the coarser level's patches, not of the film, in what a level begins with. steer: of
    the frame before, moved, in the same. A patch of the reference whose squared error is less than
    `allowed` is believed, others are not, as suddenly as `sure` says.
    """

    keen: float
    steer: float
    allowed: float
    sure: float


def relaid(
    planes: list[Plane], film: Frame, before: list[Laid], pull: Pull, mixing: Mixing, turn: int
) -> list[Laid]:
    """The next frame at each level, coarse to fine; `turn` is its number."""
    made: list[Laid] = []
    for i, (plane, last) in enumerate(zip(planes, before, strict=True)):
        own, here = resized(film, plane), pull.at(*plane.size)
        base, proposed = own, None
        if made:
            proposed = over_to(plane, planes[i - 1], made[-1].origins)
            base = mixed(own, shown(plane, proposed), mixing.keen)
        carried, there = brought(plane, last.origins, here.motion, turn)
        sure = there & (plane.at_middles(here.fit) > SURE)
        fit = here.fit * plane.over_pixels(sure)
        last_frame = pulled(last.frame, plane.places + here.motion)
        base = mixed(base, last_frame, mixing.steer * fit)
        # Noise makes patches differ where nothing is laid; what lies is not shaken by it.
        base += plane.noise_at(turn) * (1 - fit)[..., None]
        origins = _searched(plane, base, proposed, carried, sure)
        said = shown(plane, origins)
        frame = mixed(mixed(own, said, _belief(said, own, mixing)), last_frame, HELD * fit)
        made.append(Laid(origins, frame))
    return made


def _belief(said: Frame, own: Frame, mixing: Mixing) -> Float[np.ndarray, "h w"]:
    error = apart(said, own) / np.float32(max(1e-9, mixing.allowed))
    return 0.5 + 0.5 * np.tanh(0.5 * mixing.sure * (1 - error))


def _searched(
    plane: Plane, base: Frame, proposed: Origins | None, carried: Origins, sure: Cells
) -> Origins:
    asked = asked_of(plane, base)
    new = anywhere(plane, asked, ~sure) if proposed is None else proposed
    return refined(plane, asked, np.where(sure, carried, new), sure, proposed)


def rows_of(frame: Float[Tensor, "3 h w"]) -> Frame:
    """A frame as OpenCV takes it."""
    return np.ascontiguousarray(rearrange(frame.float(), "c h w -> h w c").numpy())


def resized(frame: Float[np.ndarray, "h2 w2 3"], plane: Plane) -> Frame:
    """By averages."""
    h, w = plane.size
    if frame.shape[:2] == (h, w):
        return frame
    return np.asarray(cv2.resize(frame, (w, h), interpolation=cv2.INTER_AREA))


def shown(plane: Plane, origins: Origins) -> Frame:
    """What the patches show: at each pixel, those whose middles are nearest."""
    (h, w), stride, patch = plane.size, plane.lattice.stride_px, plane.lattice.patch
    whole = np.rint(origins)
    away = whole[1:] - plane.begins
    away[0] += whole[0] * plane.bank.frames.shape[1]
    over = np.repeat(np.repeat(away[::-1].transpose(1, 2, 0), stride, 0), stride, 1)
    rows, columns = _offsets(patch.h, stride), _offsets(patch.w, stride)
    room = (rows[-1], max(0, h - len(over)), columns[-1], max(0, w - over.shape[1]))
    over = cv2.copyMakeBorder(np.ascontiguousarray(over), *room, cv2.BORDER_REPLICATE)
    total = np.zeros((h, w, 3), np.float32)
    for down in rows:
        for right in columns:
            at = over[rows[-1] - down :, columns[-1] - right :][:h, :w] + plane.places
            cv2.accumulate(pulled_whole(plane.tall, at), total)
    return total / np.float32(len(rows) * len(columns))


def pulled_whole(picture: Float[np.ndarray, "h2 w2 3"], at: Float[np.ndarray, "h w 2"]) -> Frame:
    """The picture read at whole places (x, y)."""
    edge = cv2.BORDER_REPLICATE
    return cv2.remap(picture, at, None, cv2.INTER_NEAREST, borderMode=edge)  # pyright: ignore[reportCallIssue, reportArgumentType]


def _offsets(length_px: int, stride: int) -> list[int]:
    """A pixel hears the patches that begin so far before it: one at stride 1, two at 2."""
    middle = (length_px - 1) // 2
    return [middle - i for i in range(stride)][::-1]


def asked_of(plane: Plane, base: Frame) -> Float[np.ndarray, "n d"]:
    """The components of the patches of a frame."""
    (h, w), size, stride = plane.size, plane.bank.size, plane.lattice.stride_px
    room = (0, -(h - size.h) % stride, 0, -(w - size.w) % stride)
    wide = torch.from_numpy(cv2.copyMakeBorder(base, *room, cv2.BORDER_REPLICATE))
    basis = plane.bank.basis[:, :, 0].contiguous(memory_format=torch.channels_last)
    found = F.conv2d(rearrange(wide, "h w c -> 1 c h w"), basis, stride=stride)
    return rearrange(found, "1 d y x -> (y x) d").contiguous().numpy()


def over_to(fine: Plane, coarse: Plane, origins: Float[np.ndarray, "3 gy2 gx2"]) -> Origins:
    """What the patches of a coarser level say of a finer one (`patches.carried_over`)."""
    cells, shifts, growths = [], [], []
    axes = zip(coarse.lattice.axes(), fine.lattice.axes(), strict=True)
    for axis, (had, asked) in enumerate(axes):
        middles = np.arange(asked[3], dtype=np.float32) * asked[2] + asked[1] / 2
        nearest = np.rint((middles * had[0] / asked[0] - had[1] / 2) / had[2])
        cells.append(np.clip(nearest, 0, had[3] - 1).astype(np.int64))
        away = middles - (cells[-1] * had[2] + had[1] / 2) * asked[0] / had[0]
        growths.append(lengths(fine.bank.footage)[axis] / lengths(coarse.bank.footage)[axis])
        shifts.append((away + had[1] / 2 * growths[-1] - asked[1] / 2).astype(np.float32))
    found = origins[:, cells[1][:, None], cells[2]]
    found *= np.array(growths, np.float32)[:, None, None]
    found[1] += shifts[1][:, None]
    found[2] += shifts[2]
    return fine.within(np.rint(found, out=found))


def brought(
    plane: Plane, before: Origins, motion: Float[np.ndarray, "h w 2"], turn: int
) -> tuple[Origins, Cells]:
    """The patches of the frame before, where they are now, and which of them were in the picture.

    Each cell takes the patch of the cell nearest to where it came from. What is nearest is rounded
    otherwise at each `turn`, so that patches also move where a cell is never left in one frame.
    """
    stride = plane.lattice.stride_px
    came = plane.begins + plane.at_middles(motion).transpose(2, 0, 1)[::-1]
    cells, there = [], np.ones(came.shape[1:], bool)
    for axis, step in enumerate(STEPS):
        dither = np.float32(0.98 * (turn * step % 1 - 0.5))
        nearest = np.rint(came[axis] / stride + dither).astype(np.int64)
        cells.append(np.clip(nearest, 0, plane.lattice.grid[axis + 1] - 1))
        there &= nearest == cells[-1]
    origins = before[:, cells[0], cells[1]]
    origins[1:] += came - np.stack(cells).astype(np.float32) * stride
    return plane.within(origins), there


def anywhere(plane: Plane, asked: Float[np.ndarray, "n d"], cells: Cells) -> Origins:
    """For these cells the nearest patch of all, for the rest the first one."""
    looks = torch.from_numpy(plane.looks)
    lengths = -0.5 * looks.square().sum(1)
    wanted = torch.from_numpy(asked[cells.ravel()])
    best = [torch.addmm(lengths, part, looks.T).argmax(1) for part in wanted.split(CHUNK)]
    index = torch.cat(best).numpy() if best else np.zeros(0, np.int64)
    origins = np.zeros((3, *cells.shape), np.float32)
    origins[:, cells] = np.stack(np.unravel_index(index, plane.bank.counts))
    return origins


def refined(
    plane: Plane,
    asked: Float[np.ndarray, "n d"],
    origins: Origins,
    sure: Cells,
    proposed: Origins | None,
) -> Origins:
    """The best of what is laid, what lies beside it, what is near that, and what is proposed."""
    best, index = origins.copy(), _index(plane, origins)
    error = _errors(plane, asked, index)
    error *= np.where(sure, np.float32(GAIN), np.float32(LOSS)).ravel()
    for tried in _tried(plane, origins, proposed):
        other = _index(plane, plane.within(tried))
        # Most of what lies beside a patch goes on as it does, and need not be looked at.
        cells = np.flatnonzero(other != index)
        found = _errors(plane, asked.take(cells, 0), other[cells])
        better = found < error[cells]
        error[cells[better]] = found[better]
        best.reshape(3, -1)[:, cells[better]] = tried.reshape(3, -1)[:, cells[better]]
    return best


def _tried(plane: Plane, origins: Origins, proposed: Origins | None) -> list[Origins]:
    made = []
    for axis in (1, 2):
        for step in (1, -1):
            beside = origins.copy()
            to, begin = (slice(None, -1), slice(1, None))[::step]
            ahead = (slice(None),) * axis
            beside[(*ahead, to)] = origins[(*ahead, begin)]
            beside[axis] -= step * plane.lattice.stride_px
            made.append(beside)
    for jitter in plane.tries:
        made.append(np.rint(origins))
        made[-1][1:] += jitter
    return made if proposed is None else [*made, proposed.copy()]


def _index(plane: Plane, origins: Origins) -> Int[np.ndarray, " n"]:
    """Which of the looks each patch has."""
    whole = np.rint(origins).astype(np.int64)
    _, down, across = plane.bank.counts
    return ((whole[0] * down + whole[1]) * across + whole[2]).ravel()


def _errors(
    plane: Plane, asked: Float[np.ndarray, "n d"], index: Int[np.ndarray, " n"]
) -> Float[np.ndarray, " n"]:
    away = plane.looks.take(index, 0)
    away -= asked
    return np.einsum("nd,nd->n", away, away)
