"""A live stream: one thread reads, a bounded queue waits, the worker makes frames and shows them.

Memory does not grow. However it ends, every frame that was read has been shown or counted.
"""

import time
from collections import deque
from collections.abc import Callable, Generator, Iterator
from contextlib import closing
from dataclasses import dataclass
from fractions import Fraction
from math import ceil
from threading import Event, Thread, Timer
from typing import Any

from av.video.frame import VideoFrame

from kineograph.answer.live.foretelling import Recent
from kineograph.answer.live.tally import Tally
from kineograph.answer.live.waiting import Given, Waiting
from kineograph.answer.restoring import Frame
from kineograph.answer.tiles import sized
from kineograph.video import VideoInfo, rgb_frame

MOST_WAITING, MOST_WAITING_BYTES = 240, 2**28
FEW_WAITING = 8
"""So many wait where nothing may be dropped: more would only be later."""
JUMP_SECONDS, JOIN_SECONDS = 10, 2.0
WORKED_OVER = 24
"""How long a frame stays with the worker is the longest of the last so many."""
Make = Callable[[Iterator[Any]], Iterator[Frame]]
"""Frames of frames, one for one and in order; of the newest frames (`Recent`) where a policy asks
for more than one."""


@dataclass(frozen=True)
class Policy:
    """How a stream is read, and what gives way when the worker is slower than the source."""

    paced: bool = False
    """A film is read at its own pace; what is live has one."""
    most_late_seconds: float | None = 1.0
    """Older frames are dropped; None drops nothing."""
    seconds: float | None = None
    """How long is read; None is to the end."""
    lines: int | None = None
    """Higher frames are brought to so many lines before anything else."""
    num_recent: int = 1
    """More than 1: the worker is given `Recent`, up to so many frames each time, not the one."""

    def __post_init__(self) -> None:
        for name in ("most_late_seconds", "seconds"):
            value = getattr(self, name)
            if value is not None and not 0 < value <= 1e6:
                raise ValueError(f"{name} is {value}: give more than 0, and at most a million.")
        if self.lines is not None and not 16 <= self.lines <= 16384:
            raise ValueError(f"lines is {self.lines}: give 16 to 16384.")

    def size(self, info: VideoInfo) -> tuple[int, int]:
        """Width and height that the worker is given: even where they are not the source's."""
        if self.lines is None or self.lines >= info.height:
            return info.width, info.height
        return 2 * max(1, round(info.width * self.lines / info.height / 2)), 2 * (self.lines // 2)


@dataclass(frozen=True, eq=False)
class Made:
    """A given frame, and what was made of it: None where it goes on as it is."""

    given: Given
    frame: Frame | None


def run(
    info: VideoInfo,
    frames: Generator[VideoFrame, None, None],
    policy: Policy,
    make: Make | None,
    show: Callable[[Made], None],
    stop: Event,
    tally: Tally,
) -> Exception | None:
    """Shows every frame that can be made in time, until the source ends or `stop` is set.

    make: a stream of frames for a stream, one for one and in order; None: they go on as they are.
    Gives what went wrong with the source, once all that came before it has been shown.
    """
    tally.begin()
    waiting = Waiting(_most(info, policy), policy.most_late_seconds, tally, policy.num_recent)
    errors: list[Exception] = []
    # A daemon, since a source that sends nothing must not keep the program from ending.
    reader = Thread(
        target=_read, args=(info, frames, policy, waiting, stop, tally, errors), daemon=True
    )
    # A source that sends nothing is over in time too.
    over = Timer(policy.seconds or 0, waiting.end)
    over.daemon = True
    reader.start()
    if policy.seconds is not None:
        over.start()
    try:
        _work(info, policy, make, show, waiting, stop, tally)
    except BaseException:
        stop.set()
        raise
    finally:
        over.cancel()
        reader.join(JOIN_SECONDS)
        tally.dropped(tally.figures().unfinished)
    return errors[0] if errors else None


def _most(info: VideoInfo, policy: Policy) -> int:
    """How many frames may wait."""
    by_memory = max(2, MOST_WAITING_BYTES // (info.width * info.height * 3))
    if policy.most_late_seconds is None:
        return min(FEW_WAITING, by_memory)
    in_time = ceil(min(policy.most_late_seconds, 3600) * info.fps) + 1
    return min(MOST_WAITING, by_memory, max(2, in_time))


def _work(
    info: VideoInfo,
    policy: Policy,
    make: Make | None,
    show: Callable[[Made], None],
    waiting: Waiting,
    stop: Event,
    tally: Tally,
) -> None:
    inside: deque[tuple[Given, float]] = deque()
    worked: deque[float] = deque(maxlen=WORKED_OVER)
    for frame in _answers(info, policy, make, waiting, inside, stop):
        if stop.is_set():
            return
        given, taken = inside.popleft()
        show(Made(given, frame))
        now = time.perf_counter()
        tally.shown(now - given.came)
        worked.append(now - taken)
        waiting.worked_seconds = max(worked)


def _answers(
    info: VideoInfo,
    policy: Policy,
    make: Make | None,
    waiting: Waiting,
    inside: deque[tuple[Given, float]],
    stop: Event,
) -> Iterator[Frame | None]:
    size = policy.size(info)
    is_smaller = size != (info.width, info.height)

    def brought(frame: VideoFrame) -> Frame:
        return sized(rgb_frame(frame, info), size[1], size[0])

    def fed() -> Iterator[Any]:
        held: dict[int, Frame] = {}
        for given, recent in waiting.taken(stop):
            inside.append((given, time.perf_counter()))
            if policy.num_recent > 1:
                numbers = range(given.number + 1 - len(recent), given.number + 1)
                pairs = list(zip(numbers, recent, strict=True))
                held = {n: held[n] if n in held else brought(frame) for n, frame in pairs}
                yield Recent(list(held.values()), given.number)
            else:
                yield brought(given.frame)

    if make is not None or is_smaller:
        yield from fed() if make is None else make(fed())
        return
    for given, _ in waiting.taken(stop):
        inside.append((given, time.perf_counter()))
        yield None


def _read(
    info: VideoInfo,
    frames: Generator[VideoFrame, None, None],
    policy: Policy,
    waiting: Waiting,
    stop: Event,
    tally: Tally,
    errors: list[Exception],
) -> None:
    """Runs in a thread of its own; what goes wrong is left in `errors`."""
    pace, times = _Pace(policy), Times(info)
    try:
        with closing(frames):
            for number, frame in enumerate(frames):
                at = times.of(frame)
                came = pace.awaited(at, stop)
                if stop.is_set() or pace.is_over():
                    return
                tally.read()
                waiting.put(Given(number, at, came, frame), stop)
    except Exception as error:
        errors.append(error)
    finally:
        waiting.end()


class Times:
    """Times that rise from 0, though those of a source jump: begun again, or a clock set anew."""

    def __init__(self, info: VideoInfo) -> None:
        self._info, self._last = info, Fraction(0)
        self._offset: Fraction | None = None

    def of(self, frame: VideoFrame) -> Fraction:
        """When a frame is shown, after the first."""
        base = frame.time_base or self._info.time_base
        told = None if frame.pts is None else frame.pts * base
        if self._offset is None:
            self._offset = -(told or Fraction(0))
            return self._last
        # On the grid of the rate, or what containers round would add up.
        following = (round(self._last * self._info.fps) + 1) / self._info.fps
        at = following if told is None else told + self._offset
        if not 0 < at - self._last <= JUMP_SECONDS:
            self._offset += following - at
            at = following
        self._last = at
        return at


class _Pace:
    """The clock that a source is read by."""

    def __init__(self, policy: Policy) -> None:
        self._policy, self._began = policy, time.perf_counter()
        self._start = self._began

    def awaited(self, at: Fraction, stop: Event) -> float:
        """When the frame of that time came; waits until then if frames are paced.

        A source that need not wait for us is late by itself when it is read late.
        """
        now = time.perf_counter()
        if not self._policy.paced:
            return now
        due = self._start + float(at)
        if self._policy.most_late_seconds is None and due < now:
            self._start += now - due
            return now
        if due > now:
            stop.wait(due - now)
        return due

    def is_over(self) -> bool:
        """Whether all has been read that was to be."""
        seconds = self._policy.seconds
        return seconds is not None and time.perf_counter() - self._began >= seconds
