"""What may be asked of each verb that makes a film; the command's flags are these fields."""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import tyro

Out = Annotated[Path | None, tyro.conf.arg(aliases=["-o"])]


@dataclass(frozen=True)
class Predict:
    """Continue a video: the given frames exactly, then what comes next."""

    video: tyro.conf.Positional[Path]
    """Any film that FFmpeg reads."""
    out: Out = None
    """Where to write; by default beside the film, as NAME-continued.mp4."""
    seconds: float = 1.0
    """How much to add."""
    before: float = 0.0
    """How much to add before the film, in seconds, foretold backwards."""
    known: str | None = None
    """Only these frames are known, as 0-47; the first is 0. By default all are."""
    steps: int = 2
    """2 or more draw a sample, sharp as film; 1 gives the mean: closest on average, and soft."""
    seed: int = 0
    quality: str = "exact"
    """exact (lossless), high or small."""
    model: str = "kineo-small"
    """A shipped model's name, or a .safetensors file."""
    compare: Path | None = None
    """Also foretell the film's own last frames, and draw them beside the truth into this PNG."""
    debug: Annotated[bool, tyro.conf.arg(help="Show the whole trace of an error.")] = False


@dataclass(frozen=True, kw_only=True)
class Filmed:
    """What every verb that turns a film into a film is told."""

    video: tyro.conf.Positional[Path]
    """Any film that FFmpeg reads; - for yuv4mpeg from a pipe."""
    out: Out = None
    """Where to write (- for a pipe); by default beside the film."""
    quality: str = "high"
    """exact (lossless), high or small."""
    model: str = "kineo-small"
    """A shipped model's name, or a .safetensors file."""
    compare: Path | None = None
    """Draw given and answered frames beside each other into this PNG."""
    preview: bool = False
    """Only one second, from the middle of the film."""
    seed: int = 0
    """Kept in the recipe; what is asked here has one answer, so no chance is in it."""
    debug: Annotated[bool, tyro.conf.arg(help="Show the whole trace of an error.")] = False


@dataclass(frozen=True, kw_only=True)
class Interpolate(Filmed):
    """Frames between frames: another rate (24 to 60), or slow motion."""

    fps: str | None = None
    """The new rate, as 60, 59.94 or 60000/1001: the film lasts as long as before."""
    slower: int = 1
    """Slow motion: so many times as long, at the film's own rate (without sound)."""


@dataclass(frozen=True, kw_only=True)
class Enhance(Filmed):
    """Take away noise, compression, blur and flicker; more pixels; colours."""

    denoise: float | None = None
    """Share of noise and compression to take away, 0 to 1; all of it if nothing else is asked."""
    deblur: bool = False
    """Sharpen what is out of focus or shaken."""
    scale: int = 1
    """2 or 4 times as many pixels a side."""
    deflicker: float = 0.0
    """Share of the flicker to take away, 0 to 1."""
    colourise: float = 0.0
    """Colours for a grey film, 0 to 1."""


@dataclass(frozen=True, kw_only=True)
class Inpaint(Filmed):
    """Take something away: a box, a painted mask, or an object that moves."""

    region: str
    """What to take away: a box x,y,width,height in pixels or per cent; track:x,y,width,height for
    what is in that box of the first frame, wherever it goes; or a picture or film, white there."""


@dataclass(frozen=True, kw_only=True)
class Outpaint(Filmed):
    """A wider or higher picture: what lies outside is made."""

    aspect: str = "16:9"
    """The new shape, as 16:9 or 2.39:1; the film keeps its own pixels in the middle."""


@dataclass(frozen=True, kw_only=True)
class Repair(Filmed):
    """Put back dropped and frozen frames, and fill scratches, dust and glitches."""

    only: tuple[str, ...] = ()
    """dropped, frozen, glitch, scratch, dust: by default all are looked for."""
    frames: str | None = None
    """Also make these frames anew, as 12,40-44; the first is 0."""
    lines: str | None = None
    """Scratches that are not found by themselves: the columns, in pixels from the left at half the
    height, as 412,415-418."""


@dataclass(frozen=True, kw_only=True)
class Transfer(Filmed):
    """Show a film in another domain (sketch to film, day to night), by a map learned from pairs."""

    map: Path
    """Where the map is; with --pair it is learned and written there first."""
    pair: tuple[Path, Path] | None = None
    """Two films that show the same, frame by frame: first as it will be given, then as wanted."""
    minutes: float = 10.0
    """How long to learn. Learning goes on where it was stopped."""


@dataclass(frozen=True)
class Animate:
    """A still picture becomes a film: water, smoke or clouds flow, or the camera goes in."""

    picture: tyro.conf.Positional[Path]
    out: Out = None
    """Where to write; by default beside the picture, as NAME-animated.mp4."""
    seconds: float = 3.0
    fps: float = 24.0
    flow: tuple[float, float] | None = None
    """Motion in pixels a frame, to the right and down."""
    region: str | None = None
    """Where it flows: x,y,width,height in pixels or per cent, or a picture, white there."""
    like: Path | None = None
    """A film whose motion is taken."""
    zoom: float = 0.002
    """Without --flow and --like: how far the camera goes in, as a share of the picture a frame."""
    loop: bool = True
    """Whether the end of what flows meets the beginning."""
    quality: str = "high"
    debug: bool = False


@dataclass(frozen=True)
class Generate:
    """Imagine a new film that looks and moves like a given clip; another one for each seed."""

    like: tyro.conf.Positional[Path | None] = None
    """The clip; by default the example inside the model, or the bundled one."""
    model: str | None = None
    """A model that has learned footage: new films of that."""
    out: Out = None
    """Where to write; by default generated.mp4."""
    seconds: float = 2.0
    width: int | None = None
    height: int | None = None
    """The size; by default the clip's, at most 256 x 144."""
    loop: bool = False
    """The end meets the beginning."""
    seed: int = 0
    variety: float = 0.08
    """How far things leave their place, in picture heights."""
    quality: str = "high"
    compare: Path | None = None
    """Draw clip and film beside each other into this PNG."""
    debug: bool = False


@dataclass(frozen=True)
class Edit:
    """Remake a film in the look of a picture or clip; its motion stays."""

    video: tyro.conf.Positional[Path]
    out: Out = None
    """Where to write; by default beside the film, as NAME-edited."""
    strength: float = 0.35
    """0 is the film as it is, 1 all the reference on the film's layout."""
    reference: Path | None = None
    """A picture or clip whose look is taken; the film itself if not given."""
    region: str | None = None
    """Where: a box x,y,width,height, track:x,y,width,height, or a picture or film, white there."""
    seed: int = 0
    quality: str = "high"
    compare: Path | None = None
    """Draw given and edited frames beside each other into this PNG."""
    debug: bool = False


Asked = Predict | Filmed | Animate | Generate | Edit
"""Any question whose answer is a film."""
