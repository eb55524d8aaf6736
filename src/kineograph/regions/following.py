"""A thing in a box of the first frame is followed: motion carries its outline, colours move it.

It does not look ahead.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import cv2
import numpy as np
import torch
from jaxtyping import Float, Float32, UInt8

from kineograph.models.aligned import moved
from kineograph.models.cuts import FAST, grey_of, shrunk
from kineograph.models.motion import dense_inverse_search
from kineograph.regions.boxes import Box, Frames, Region, grown, size_of

Picture = UInt8[np.ndarray, "h w 3"]
Mask = UInt8[np.ndarray, "h w"]

WORK_PX, MOTION_PX, CUT_PX = 640, 320, 160
"""Widths: outlines are kept at the first, motion is measured at the second. What is cut out along
colours is at most the last wide and high."""
ROOM = 0.3
"""Beyond a box, so much of it is looked at."""
BAND, LEAST_BAND_PX = 0.06, 3
"""An outline may be so far, of the thing's size, from where motion carries it."""
MIDDLE = 0.4
"""So much of a box, about its middle, is the thing."""
ASTRAY_PX = 1.5
"""What moves so much otherwise may be something else."""
AGREES = 0.7
"""An outline along colours is believed when so much of it is what motion carries."""
LEAST_INLIERS, LEAST_ALIKE, LEAST_ALIKE_ASTRAY, LEAST_AREA = 0.25, 0.45, 0.65, 0.15
"""Below these, the thing is lost: how alike its colours are to those that it had (1: the same),
more so where less than the first of it moves as one; and its area as a share of its first."""
LEAVING_AREA = 0.5
"""Less than this of its first area, at the edge: it is leaving the picture, not lost."""
NUM_PAST = 24
"""The colours that it had fade over so many frames."""


@dataclass(frozen=True, eq=False)
class _Followed:
    """A thing in one frame, at work size. colours: what it has had of late."""

    picture: Picture
    mask: Mask
    colours: Float32[np.ndarray, " n"]


def tracked(
    frames: Frames,
    where: Box,
    grown_px: int | None = None,
    when_lost: Callable[[int, str], None] | None = None,
) -> Iterator[Region]:
    """The outline of what is in a box of the first frame, as it moves, grown by some pixels.

    Motion carries the outline (dense inverse search, one similarity by RANSAC), GrabCut (Rother
    2004) moves it to where colours part. grown_px: 1 % of the picture's height and 2 if None.
    Where the thing is lost (a cut, something before it), ValueError says so; or `when_lost` is
    called with the frame and the reason, and the regions are empty from there on. Once it has left
    the picture they are empty too: it is not known again when it comes back.
    """
    thing, area, why = None, 0, ""
    for number, frame in enumerate(frames):
        picture = shrunk(frame, WORK_PX)
        if thing is None:
            thing = _first(picture, _scaled(where.corners(size_of(frame)), size_of(frame), picture))
            area = int(thing.mask.sum())
        elif not why and thing.mask.any():
            thing, why = _next(thing, picture, area)
            if why and when_lost is None:
                raise ValueError(
                    f"what is followed was lost at frame {number}: {why}; "
                    f"end the film before it, or give a film of masks"
                )
            if why and when_lost is not None:
                when_lost(number, why)
        mask = np.zeros_like(thing.mask) if why else thing.mask
        yield _shown(mask, size_of(frame), grown_px)


def _scaled(
    corners: tuple[int, int, int, int], size: tuple[int, int], picture: Picture
) -> tuple[int, int, int, int]:
    """The box in a picture of another size, at least one pixel wide and high."""
    x, y = picture.shape[1] / size[1], picture.shape[0] / size[0]
    left, top = int(corners[0] * x), int(corners[1] * y)
    return left, top, max(left + 1, round(corners[2] * x)), max(top + 1, round(corners[3] * y))


def _shown(mask: UInt8[np.ndarray, "h2 w2"], size: tuple[int, int], grown_px: int | None) -> Region:
    """At the size of the film, grown."""
    whole = cv2.resize(mask * 255, size[::-1], interpolation=cv2.INTER_LINEAR)
    px = 2 + round(size[0] * 0.01) if grown_px is None else grown_px
    return grown(torch.from_numpy(np.asarray(whole) > 127)[None], px)


def _first(picture: Picture, corners: tuple[int, int, int, int]) -> _Followed:
    """What stands out of its surroundings in the box; the ellipse in it where nothing does.

    A box is drawn around its thing: its middle is the thing's, its corners are not.
    """
    left, top, right, bottom = corners
    middle = ((left + right - 1) // 2, (top + bottom - 1) // 2)
    hint = np.full(picture.shape[:2], cv2.GC_BGD, np.uint8)
    hint[top:bottom, left:right] = cv2.GC_PR_BGD
    for share, known in ((1.0, cv2.GC_PR_FGD), (MIDDLE, cv2.GC_FGD)):
        half = (int((right - left) * share / 2), int((bottom - top) * share / 2))
        cv2.ellipse(hint, middle, half, 0, 0, 360, known, -1)
    mask = _cut_out(picture, hint, 4)
    if not mask.any():
        mask = np.isin(hint, (cv2.GC_FGD, cv2.GC_PR_FGD)).astype(np.uint8)
    return _Followed(picture, mask, _colours(picture, mask))


def _next(thing: _Followed, picture: Picture, area: int) -> tuple[_Followed, str]:
    """The thing in the next frame, or why it is lost."""
    carried, loose, share = _carried(thing, picture)
    gone = _Followed(picture, np.zeros_like(carried), thing.colours)
    leaves = _touches_edge(thing.mask) and carried.sum() < LEAVING_AREA * area
    if not carried.any() or (leaves and carried.sum() < LEAST_AREA * area):
        return gone, ""
    mask = _refined(picture, carried, loose)
    colours = _colours(picture, mask)
    alike = float(np.minimum(colours, thing.colours).sum())
    if leaves and alike < LEAST_ALIKE:
        return gone, ""
    if alike < (LEAST_ALIKE if share > LEAST_INLIERS else LEAST_ALIKE_ASTRAY):
        return thing, f"{share:.0%} of it moves as one, and {alike:.0%} of its colours are there"
    if mask.sum() < LEAST_AREA * area:
        return thing, f"only {mask.sum() / area:.0%} of it is left to be seen"
    kept = thing.colours + (colours - thing.colours) / NUM_PAST
    return _Followed(picture, mask, kept.astype(np.float32)), ""


def _carried(thing: _Followed, picture: Picture) -> tuple[Mask, Mask, float]:
    """The mask where motion takes it, what of it goes another way, and how much of it does not.

    Motion is one similarity, or, where too little of it is, that of each pixel.
    """
    size = picture.shape[1::-1]
    scale = max(1.0, size[0] / MOTION_PX)
    small = (round(size[0] / scale), round(size[1] / scale))
    inside = np.asarray(cv2.resize(thing.mask, small, interpolation=cv2.INTER_NEAREST))
    if min(small) < FAST.smallest_px or inside.sum() < 4:
        return thing.mask, np.zeros_like(thing.mask), 1.0
    grey, grey_before = (
        np.asarray(cv2.resize(grey_of(p), small, interpolation=cv2.INTER_AREA))
        for p in (picture, thing.picture)
    )
    matrix, apart = _similarity(dense_inverse_search(grey_before, grey, FAST), inside)
    share = float(((apart < ASTRAY_PX) & (inside > 0)).sum() / inside.sum())
    if share < LEAST_INLIERS:
        there = moved(inside * 255, dense_inverse_search(grey, grey_before, FAST))
        whole = np.asarray(cv2.resize(there, size)) > 127
        return whole.astype(np.uint8), np.zeros_like(thing.mask), share
    astray = cv2.resize(((apart > ASTRAY_PX) * inside).astype(np.uint8), size)
    matrix[:, 2] *= scale
    masks = [cv2.warpAffine(mask * 255, matrix, size) for mask in (thing.mask, np.asarray(astray))]
    carried, loose = ((np.asarray(mask) > 127).astype(np.uint8) for mask in masks)
    return carried, loose, share


def _similarity(
    motion: Float32[np.ndarray, "h w 2"], inside: Mask
) -> tuple[Float[np.ndarray, "2 3"], Float32[np.ndarray, "h w"]]:
    """The shift, turn and zoom that most motion inside follows; how far each pixel does not."""
    rows, columns = np.nonzero(inside)
    step = max(1, len(rows) // 1500)
    start = np.stack([columns, rows], 1)[::step].astype(np.float32)
    end = start + motion[rows, columns][::step]
    found = cv2.estimateAffinePartial2D(
        start, end, method=cv2.RANSAC, ransacReprojThreshold=ASTRAY_PX
    )[0]
    matrix = np.eye(2, 3) if found is None else found
    y, x = np.mgrid[: motion.shape[0], : motion.shape[1]].astype(np.float32)
    told = np.stack([x, y, np.ones_like(x)], -1) @ matrix.T
    apart = np.linalg.norm(told - np.stack([x, y], -1) - motion, axis=-1)
    return matrix, apart.astype(np.float32)


def _refined(picture: Picture, carried: Mask, loose: Mask) -> Mask:
    """The mask along colours near where motion carries it; as carried where that disagrees."""
    reach = max(LEAST_BAND_PX, round(BAND * float(carried.sum()) ** 0.5))
    disc = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * reach + 1,) * 2)
    near, core = cv2.dilate(carried, disc), cv2.erode(carried, disc)
    hint = np.where(near > 0, cv2.GC_PR_BGD, cv2.GC_BGD)
    hint = np.where(carried > 0, np.where(core > 0, cv2.GC_FGD, cv2.GC_PR_FGD), hint)
    hint = np.where((carried & loose) > 0, cv2.GC_PR_BGD, hint)
    mask = _cut_out(picture, hint, 1)
    both = float((mask & carried).sum())
    return mask if both > AGREES * float((mask | carried).sum()) else carried


def _cut_out(picture: Picture, hint: np.ndarray, num_rounds: int) -> Mask:
    """GrabCut about what may be inside; nothing if all or nothing is."""
    maybe = hint != cv2.GC_BGD
    rows, columns = np.flatnonzero(maybe.any(1)), np.flatnonzero(maybe.any(0))
    whole = np.zeros(hint.shape, np.uint8)
    if not len(rows):
        return whole
    room_y, room_x = (int(ROOM * len(k)) + 6 for k in (rows, columns))
    box = (
        slice(max(0, rows[0] - room_y), rows[-1] + room_y + 1),
        slice(max(0, columns[0] - room_x), columns[-1] + room_x + 1),
    )
    part, near = picture[box], hint[box].astype(np.uint8)
    full = part.shape[1::-1]
    scale = max(1.0, max(full) / CUT_PX)
    size = (max(1, round(full[0] / scale)), max(1, round(full[1] / scale)))
    near = np.ascontiguousarray(cv2.resize(near, size, interpolation=cv2.INTER_NEAREST))
    part = np.asarray(cv2.resize(part, size, interpolation=cv2.INTER_AREA))
    known = np.isin(near, (cv2.GC_BGD, cv2.GC_PR_BGD))
    if known.all() or not known.any():
        return whole
    models = np.zeros((2, 1, 65))
    cv2.setRNGSeed(0)  # it draws the first guess of its colours, from this alone
    cv2.grabCut(part, near, None, models[0], models[1], num_rounds, cv2.GC_INIT_WITH_MASK)  # pyright: ignore[reportCallIssue, reportArgumentType]
    found = np.isin(near, (cv2.GC_FGD, cv2.GC_PR_FGD)).astype(np.uint8)
    found = cv2.medianBlur(_main_part(found) * 255, 3)
    whole[box] = np.asarray(cv2.resize(found, full, interpolation=cv2.INTER_LINEAR)) > 127
    return whole


def _main_part(mask: Mask) -> Mask:
    """Without crumbs, and without holes of their size."""
    for inside in (1, 0):
        _, labels, stats, _ = cv2.connectedComponentsWithStats((mask == inside).astype(np.uint8))
        areas = stats[:, cv2.CC_STAT_AREA].copy()
        areas[0] = 0
        small = areas < 0.05 * areas.max()
        small[0] = False
        mask = np.where(small[labels], 1 - inside, mask).astype(np.uint8)
    return mask


def _colours(picture: Picture, mask: Mask) -> Float32[np.ndarray, " n"]:
    """The share of the thing that has each of 6 x 6 x 6 colours, neighbours counting a little."""
    if not mask.any():
        return np.zeros(216, np.float32)
    counts = cv2.calcHist([picture], [0, 1, 2], mask, [6, 6, 6], [0, 256] * 3)
    spread = 0.6 * np.eye(6) + 0.2 * (np.eye(6, k=1) + np.eye(6, k=-1))
    counts = np.einsum("ai,bj,ck,ijk->abc", spread, spread, spread, counts)
    return (counts / counts.sum()).ravel().astype(np.float32)


def _touches_edge(mask: Mask) -> bool:
    return bool(mask[[0, -1]].any() or mask[:, [0, -1]].any())
