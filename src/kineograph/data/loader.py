"""Batches come in order and are the same for any number of workers."""

from collections import deque
from collections.abc import Callable, Generator, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import NamedTuple, Protocol, runtime_checkable

import numpy as np
import torch
from jaxtyping import Int64, UInt8
from torch import Tensor

from kineograph.data.augment import Frames
from kineograph.data.clips import Source, rng_for

Arrays = dict[str, np.ndarray]
Prepare = Callable[[Frames, np.random.Generator], Arrays]
PREPARE_STREAM, REUSE_STREAM = 1, 4


class Batch(NamedTuple):
    """Clips, the index of each, and what `prepare` made of each, stacked."""

    frames: UInt8[Tensor, "b t c h w"]
    indices: Int64[Tensor, " b"]
    extra: dict[str, Tensor]

    def to(self, device: torch.device | str) -> "Batch":
        extra = {name: value.to(device, non_blocking=True) for name, value in self.extra.items()}
        return Batch(self.frames.to(device, non_blocking=True), self.indices, extra)


@dataclass(frozen=True)
class Reuse:
    """Clips that are costly to prepare are drawn several times, from a pool that moves on.

    Each clip is drawn `times` times on average, among `pool` others; `choose(arrays, rng)` takes
    something else of it each time.
    """

    times: int
    pool: int
    choose: Callable[[Arrays, np.random.Generator], Arrays]


@dataclass(frozen=True)
class Batches:
    """Batches from a source; `batches(position)` goes on from that batch, without end.

    Clip `i` of batch `n` is clip `(n * world + rank) * batch_size + i` of the source.
    `prepare(clip, rng)` runs beside the source and may compute more arrays per clip (motion,
    say). With num_workers = 0 all is done in the caller's thread, which is best where training
    already fills every core; else in that many threads (OpenCV lets others run meanwhile).
    """

    source: Source
    batch_size: int
    seed: int = 0
    prepare: Prepare | None = None
    num_workers: int = 1
    num_ahead: int = 3
    rank: int = 0
    world: int = 1
    reuse: Reuse | None = None
    kept: dict[int, Arrays] = field(default_factory=dict, repr=False)

    def __call__(self, position: int = 0) -> Generator[Batch, None, None]:
        return handed_out(self, position)

    def arrays(self, position: int) -> Arrays:
        """One batch as arrays."""
        first = (position * self.world + self.rank) * self.batch_size
        return stacked([self.one(index) for index in range(first, first + self.batch_size)])

    def one(self, index: int) -> Arrays:
        if self.reuse is None:
            return self.made(index)
        rng = rng_for(self.seed, index, REUSE_STREAM)
        clip = index // self.reuse.times + int(rng.integers(self.reuse.pool))
        made = self.kept.get(clip) or self.made(clip)
        self.kept[clip] = made
        while len(self.kept) > self.reuse.pool:
            self.kept.pop(min(list(self.kept)), None)
        return {**self.reuse.choose(made, rng), "indices": np.array(index)}

    def fill(self, num_workers: int) -> None:
        """Prepares what is missing of the pool that the first batch draws from, while the cores are
        free."""
        if self.reuse is None:
            return
        first = self.rank * self.batch_size // self.reuse.times
        pool_of = range(first, first + self.reuse.pool)
        clips = [clip for clip in pool_of if clip not in self.kept]
        with ThreadPoolExecutor(num_workers) as pool:
            self.kept.update(zip(clips, pool.map(self.made, clips), strict=True))

    def made(self, index: int) -> Arrays:
        """A clip, and what was prepared of it."""
        clip = self.source(self.seed, index)
        rng = rng_for(self.seed, index, PREPARE_STREAM)
        made = self.prepare(clip, rng) if self.prepare else {}
        return {"frames": clip, "indices": np.array(index), **made}


def counted(first: int) -> Iterator[int]:
    while True:
        yield first
        first += 1


def stacked(clips: list[Arrays]) -> Arrays:
    """Clips as one array per name; frames turn from `t h w c` to `t c h w`."""
    batch = {name: np.stack([clip[name] for clip in clips]) for name in clips[0]}
    batch["frames"] = np.ascontiguousarray(np.moveaxis(batch["frames"], -1, 2))
    return batch


def as_batch(arrays: Arrays) -> Batch:
    tensors = {name: torch.from_numpy(array) for name, array in arrays.items()}
    return Batch(tensors.pop("frames"), tensors.pop("indices"), tensors)


@runtime_checkable
class Numbered(Protocol):
    """What makes the batch of any number."""

    @property
    def num_workers(self) -> int: ...

    @property
    def num_ahead(self) -> int: ...

    def arrays(self, position: int) -> Arrays:
        """One batch as arrays."""
        ...


def handed_out(batches: Numbered, position: int) -> Generator[Batch, None, None]:
    """Batches from that position on, without end."""
    if batches.num_workers == 0:
        return (as_batch(batches.arrays(n)) for n in counted(position))
    return prefetched(batches, position)


def prefetched(batches: Numbered, position: int) -> Generator[Batch, None, None]:
    """Batches made ahead of time by threads, handed out in order."""
    waiting: deque[Future[Arrays]] = deque()
    pool = ThreadPoolExecutor(batches.num_workers, thread_name_prefix="clips")
    try:
        for number in counted(position):
            waiting.append(pool.submit(batches.arrays, number))
            if len(waiting) >= batches.num_workers + batches.num_ahead:
                yield as_batch(waiting.popleft().result())
    finally:
        pool.shutdown(wait=True, cancel_futures=True)
