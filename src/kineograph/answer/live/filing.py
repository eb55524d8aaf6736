"""A live stream goes into a film: each frame at its time, or at the steady rate that a pipe has."""

from dataclasses import dataclass, field
from fractions import Fraction

import torch
from av.video.frame import VideoFrame

from kineograph.answer.live.running import Made
from kineograph.video import VideoInfo, Writer


@dataclass(eq=False)
class Filed:
    """Writes what is made. With `steady` the last frame stands where others were dropped.

    num_skipped: frames for which a steady rate had no place, since the source was faster.
    """

    writer: Writer
    info: VideoInfo
    steady: bool
    num_skipped: int = 0
    num_held: int = 0
    _last: Made | None = field(default=None, repr=False)
    _start: Fraction = Fraction(0)

    def __call__(self, made: Made) -> None:
        """Write one frame, and before it what stood until then."""
        at = made.given.at
        if self._last is None:
            self._start = at
        if self.steady:
            place = round((at - self._start) * self.writer.fps)
            if place < self.writer.num_frames - 1:
                self.num_skipped += 1
                return
            while self._last is not None and self.writer.num_frames < place:
                self._write(self._last, self._next)
                self.num_held += 1
            at = self._next
        self._write(made, at)
        self._last = made

    @property
    def _next(self) -> Fraction:
        return self.writer.num_frames / self.writer.fps

    def _write(self, made: Made, at: Fraction) -> None:
        if made.frame is None:
            self.writer.write_given(timed(made.given.frame, at, self.info))
        else:
            self.writer.write(made.frame[None], torch.tensor([float(at)], dtype=torch.float64))


def timed(frame: VideoFrame, at: Fraction, info: VideoInfo) -> VideoFrame:
    """The frame, to be shown at that time after the film's first."""
    frame.time_base = info.time_base
    frame.pts = info.start_pts + round(at / info.time_base)
    return frame
