"""What may be asked of live video."""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

import tyro


@dataclass(frozen=True)
class Stream:
    """Live video in, enhanced, edited, foretold or as it is, live out, without sound; Ctrl-C ends
    it."""

    source: tyro.conf.Positional[str]
    """A film, played at its own pace; - for yuv4mpeg from a pipe; camera:0 or /dev/video0; or an
    rtsp, http, https, udp or srt address."""
    out: Annotated[Path | None, tyro.conf.arg(aliases=["-o"])] = None
    """Where to write; - for yuv4mpeg into a pipe."""
    show: bool = False
    """Show it on a page on this machine's loopback, though there is an --out."""
    denoise: float = 0.0
    """Share of noise and compression to take away, 0 to 1."""
    scale: int = 1
    """2 or 4 times as many pixels a side."""
    deflicker: float = 0.0
    """Share of the flicker to take away, 0 to 1. Looks 15 frames ahead."""
    colourise: float = 0.0
    """Colours for grey video, 0 to 1."""
    inpaint: str | None = None
    """Take away what is in a region: a box x,y,width,height in pixels or per cent;
    track:x,y,width,height for what is in that box of the first frame, wherever it goes; a picture
    or film, white there; or point, for what you point at on the page while it runs."""
    edit: Path | None = None
    """Restyle it with the look of this picture or film."""
    strength: float = 0.6
    """How far --edit goes, 0 to 1."""
    region: str | None = None
    """Where --edit restyles, named as for --inpaint; by default everywhere."""
    transfer: Path | None = None
    """Show it in another domain, by a map that `kineo transfer` learned from pairs."""
    seed: int = 0
    """Of what --edit draws by chance."""
    look_ahead: bool = False
    """Better answers for noise and pixels, up to 12 frames later; else each frame is answered when
    it comes."""
    predict: float | None = None
    """Show beside each frame what is foretold for so many seconds later."""
    lines: int | None = None
    """Bring higher frames to so many lines first: smaller frames are faster."""
    late: Literal["drop", "wait"] | None = None
    """When frames come faster than they can be worked on: drop the oldest, or let the source wait.
    By default drop, and wait with --fast."""
    most_late: float = 1.0
    """With drop: how many seconds late a frame may be. What an answer looks ahead counts."""
    again: float = 20.0
    """A live rtsp or srt source that breaks off is opened again for so many seconds."""
    seconds: float | None = None
    """End after so long; by default at the source's end."""
    fast: bool = False
    """Read a film as fast as it goes, not at its own pace."""
    loop: int = 1
    """Play a film so many times."""
    quality: str = "high"
    """exact (lossless), high or small, for a file."""
    model: str = "kineo-small"
    """A shipped model's name, or a .safetensors file."""
    port: int = 8772
    """Of the page; 0 is any that is free."""
    open: bool = True
    """Open the browser; a film that is only shown begins when the page is there."""
    debug: bool = False
