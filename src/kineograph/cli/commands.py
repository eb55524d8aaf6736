"""What may be asked on the command line; tyro makes the flags and the help of it."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any, Literal

import tyro

from kineograph.cli.game_commands import Export, Play, WorldVerbs
from kineograph.cli.stream_commands import Stream

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


@dataclass(frozen=True)
class Forecast:
    """Continue a stack of data (NumPy, Zarr, NetCDF): its mean, and how far samples differ."""

    stack: tyro.conf.Positional[Path]
    out: Out = None
    """Where to write, in the same kind of file; by default beside it, as NAME-forecast."""
    num_frames: int = 8
    variable: str | None = None
    """Which one, where the file holds several."""
    layout: str | None = None
    """The order of its axes, as "t h w", "t c h w" or "h w t", where the file does not say."""
    samples: int = 4
    seed: int = 0
    film: Path | None = None
    """Also a film of the forecast with its spread beside it."""
    model: str = "kineo-small"
    debug: bool = False


@dataclass(frozen=True)
class Learn:
    """Learn your own footage: a model that knows it, for --model NAME in every verb."""

    footage: tyro.conf.Positional[Path]
    """A film, a folder of films, or a folder that `kineo dataset prepare` made."""
    name: str
    """What the model shall be called."""
    task: Literal["predict", "denoise", "upscale", "interpolate", "inpaint", "colourise"] = (
        "predict"
    )
    """What is learned to do with it. Of several, one after the other: --model is the one before."""
    minutes: float = 10.0
    """How long it may take, from the first step to the last."""
    model: str = "kineo-small"
    """What it begins with."""
    scratch: bool = False
    """Begin with nothing but the classical answer."""
    lora: int = 0
    """Learn only changes of this rank beside fixed weights; 0 is all of them."""
    patience: int = 4
    """End early after so many looks that were no better than the best; 0 is never."""
    example: bool = False
    """Keep two seconds of the footage inside the model, for `kineo generate --model NAME`. They go
    wherever the model goes."""
    size_px: int = 128
    """Sides of the clips that are learned from."""
    resume: bool = False
    """Go on with a run that stopped, or learn for longer."""
    sharded: bool = False
    """Under torchrun: each process keeps its part of the weights and moments instead of all."""
    seed: int = 0
    debug: bool = False


@dataclass(frozen=True)
class Models:
    """Your models: list them, show one's card, export, import or remove one."""

    action: tyro.conf.Positional[Literal["list", "show", "export", "import", "remove"]] = "list"
    name: tyro.conf.Positional[str | None] = None
    """Which one; for import, what it shall be called here."""
    path: tyro.conf.Positional[Path | None] = None
    """Where to export to, or to import from: a .safetensors file."""
    yes: bool = False
    """Remove it without being asked again."""
    debug: bool = False


@dataclass(frozen=True)
class Bench:
    """Measure against every baseline on held-out shots of the allowed footage."""

    task: tyro.conf.Positional[str] = "predict"
    """predict; all: interpolate, denoise, upscale and inpaint; 720p: speed and memory; learn; peer:
    learning beside another package's video diffusion; or realtime: how fast a world is played."""
    out: Path = field(default_factory=lambda: Path("out/bench"))
    model: str = "kineo-small"
    steps: int = 2
    """Steps of a sample; the mean always takes 1."""
    quick: bool = False
    """PSNR and SSIM only."""
    rows: tuple[Literal["interpolate", "denoise", "upscale", "inpaint"], ...] = ()
    """Which rows of all; by default every one."""
    footage: tuple[Path, ...] = ()
    """Films to learn, one by one; by default a held-out shot and simulated smoke."""
    minutes: float = 10.0
    """How long each may be learned, by each that learns."""
    debug: bool = False


@dataclass(frozen=True, kw_only=True)
class Dataset:
    """What both verbs for footage of your own are told."""

    folder: tyro.conf.Positional[Path]
    """Any folder, or one film. Nothing in it is changed."""
    num_frames: int = 16
    """Frames of a clip."""
    size_px: int = 128
    """Sides of a clip."""
    short_px: int = 180
    """Films are kept with their shorter side at most so long."""
    json: Path | None = None
    """Where to write all that was found."""
    debug: Annotated[bool, tyro.conf.arg(help="Show the whole trace of an error.")] = False


@dataclass(frozen=True, kw_only=True)
class DatasetCheck(Dataset):
    """Say of every file in a folder whether it can be learned from, or why not, and the cost."""

    seconds: float = 600.0
    """After this, films are no longer looked at, only opened."""


@dataclass(frozen=True, kw_only=True)
class DatasetPrepare(Dataset):
    """Decode a folder's films once, small, with their shots split into learned and held out."""

    out: Annotated[Path, tyro.conf.arg(aliases=["-o"])]
    """The folder to write into; it can be given in place of the films from then on."""
    split: Path | None = None
    """What is held out, kept from before and added to; by default split.json in --out."""
    most_gb: float = 50.0
    """The largest size that may be written."""


@dataclass(frozen=True)
class DatasetVerbs:
    """Footage of your own: check a folder of films, or prepare it for training."""

    verb: (
        Annotated[DatasetCheck, tyro.conf.subcommand("check")]
        | Annotated[DatasetPrepare, tyro.conf.subcommand("prepare")]
    )

    @property
    def debug(self) -> bool:
        """Whether the whole trace of an error is shown."""
        return self.verb.debug


COMMANDS: Any = tyro.conf.OmitSubcommandPrefixes[
    Annotated[Predict, tyro.conf.subcommand("predict")]
    | Annotated[Interpolate, tyro.conf.subcommand("interpolate")]
    | Annotated[Enhance, tyro.conf.subcommand("enhance")]
    | Annotated[Inpaint, tyro.conf.subcommand("inpaint")]
    | Annotated[Outpaint, tyro.conf.subcommand("outpaint")]
    | Annotated[Repair, tyro.conf.subcommand("repair")]
    | Annotated[Transfer, tyro.conf.subcommand("transfer")]
    | Annotated[Generate, tyro.conf.subcommand("generate")]
    | Annotated[Edit, tyro.conf.subcommand("edit")]
    | Annotated[Animate, tyro.conf.subcommand("animate")]
    | Annotated[Forecast, tyro.conf.subcommand("forecast")]
    | Annotated[Learn, tyro.conf.subcommand("learn")]
    | Annotated[Models, tyro.conf.subcommand("models")]
    | Annotated[Bench, tyro.conf.subcommand("bench")]
    | Annotated[DatasetVerbs, tyro.conf.subcommand("dataset")]
    | Annotated[Stream, tyro.conf.subcommand("stream")]
    | Annotated[Play, tyro.conf.subcommand("play")]
    | Annotated[Export, tyro.conf.subcommand("export")]
    | Annotated[WorldVerbs, tyro.conf.subcommand("world")]
]
