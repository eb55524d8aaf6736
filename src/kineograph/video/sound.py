"""Sound goes beside the pictures as it is, packet by packet, or re-encoded where it must be."""

from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path
from typing import Any

from av.audio.resampler import AudioResampler
from av.container import OutputContainer

from kineograph.video.formats import SOUND_OF
from kineograph.video.info import VideoError, opened


class Sound:
    """The sound of a film on its way into another; advances with the pictures, then is closed."""

    def __init__(self, source: Path, suffix: str, output: OutputContainer | None) -> None:
        if suffix not in SOUND_OF or output is None:
            raise VideoError(f"a {suffix} film holds no sound; write .mp4, .mkv or .webm")
        self._manager = opened(source)
        self._input: Any = self._manager.__enter__()
        self._origin, self._until = Fraction(0), None
        self._output = output
        self._tracks = {s.index: _track(s, suffix, output) for s in self._input.streams.audio}
        self._packets = self._demuxed()
        self._next = None

    def start(self, origin_seconds: Fraction, until_seconds: Fraction | None) -> None:
        """`origin_seconds` of the source become 0; nothing is heard from `until_seconds` on."""
        self._origin, self._until = origin_seconds, until_seconds
        self._next = next(self._packets, None)

    def advance(self, seconds: Fraction | None) -> None:
        """Write all that is heard up to this moment; None: all the rest."""
        while self._next is not None:
            packet, at = self._next
            if seconds is not None and at > seconds:
                return
            if at >= 0 or self._origin == 0:  # a codec's warm-up stands before 0
                self._write(packet, at)
            self._next = next(self._packets, None)
        if seconds is None:
            for _, encoder, resampler in self._tracks.values():
                if resampler is not None:
                    _encode(self._output, encoder, resampler, None)

    def close(self) -> None:
        """Let go of the source."""
        self._manager.__exit__(None, None, None)

    def _demuxed(self) -> Iterator[tuple[Any, Fraction]]:
        if not self._tracks:
            return
        for packet in self._input.demux(audio=tuple(range(len(self._tracks)))):
            if packet.size and packet.pts is not None and packet.dts is not None:
                yield packet, packet.pts * packet.time_base - self._origin

    def _write(self, packet: Any, at: Fraction) -> None:
        if self._until is not None and at >= self._until:
            return
        _, encoder, resampler = self._tracks[packet.stream.index]
        if resampler is None:
            shift = round(self._origin / packet.time_base)
            packet.pts, packet.dts = packet.pts - shift, packet.dts - shift
            packet.stream = encoder
            self._output.mux(packet)
            return
        for frame in packet.decode():
            _encode(self._output, encoder, resampler, frame, self._origin)


def _track(stream: Any, suffix: str, output: OutputContainer) -> tuple[Any, Any, Any]:
    if stream.codec_context.name in SOUND_OF[suffix]:
        return stream, output.add_stream_from_template(stream), None
    opus = suffix == ".webm"
    rate = 48000 if opus else stream.codec_context.sample_rate
    encoder: Any = output.add_stream("libopus" if opus else "aac", rate=rate)
    encoder.layout = stream.codec_context.layout
    encoder.codec_context.open(strict=False)
    resampler = AudioResampler(
        format=encoder.format, layout=encoder.layout, rate=rate, frame_size=encoder.frame_size or 0
    )
    return stream, encoder, resampler


def _encode(
    output: OutputContainer,
    encoder: Any,
    resampler: AudioResampler,
    frame: Any,
    origin: Fraction = Fraction(0),
) -> None:
    if frame is not None and frame.pts is not None:
        frame.pts -= round(origin / frame.time_base)
    for part in resampler.resample(frame):
        output.mux(encoder.encode(part))
    if frame is None:
        output.mux(encoder.encode(None))
