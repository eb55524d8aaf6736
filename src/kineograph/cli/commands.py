"""What may be asked on the command line; tyro makes the flags and the help of it."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any, Literal

import tyro

from kineograph.cli.batch_commands import Batch
from kineograph.cli.game_commands import Export, Play, WorldVerbs
from kineograph.cli.serve_commands import Serve
from kineograph.cli.stream_commands import Stream
from kineograph.cli.studio_commands import Studio
from kineograph.verbs.asked import (
    Animate,
    Edit,
    Enhance,
    Generate,
    Inpaint,
    Interpolate,
    Out,
    Outpaint,
    Predict,
    Repair,
    Transfer,
)


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
    """predict; all: interpolate, denoise, upscale, inpaint and still; 720p: speed and memory;
    learn; peer: learning beside another package's video diffusion; or realtime: how fast and how
    well a world is played."""
    out: Path = field(default_factory=lambda: Path("out/bench"))
    model: str = "kineo-small"
    steps: int = 2
    """Steps of a sample; the mean always takes 1."""
    quick: bool = False
    """PSNR and SSIM only."""
    rows: tuple[Literal["interpolate", "denoise", "upscale", "inpaint", "still"], ...] = ()
    """Which rows of all; by default every one."""
    footage: tuple[Path, ...] = ()
    """Films to learn, one by one; by default a held-out shot and simulated smoke."""
    minutes: float = 10.0
    """How long each may be learned, by each that learns."""
    world: str = "kineo-fish"
    """The world of realtime: a shipped or learned one's name, or a .safetensors file."""
    seconds: float = 20.0
    """How long each backend of realtime is timed."""
    diamond: Path | None = None
    """A checkout of github.com/eloialonso/diamond, to be timed in the same run of realtime: its
    code in src/models/diffusion is run."""
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
    | Annotated[Serve, tyro.conf.subcommand("serve")]
    | Annotated[Batch, tyro.conf.subcommand("batch")]
    | Annotated[Studio, tyro.conf.subcommand("studio")]
    | Annotated[Play, tyro.conf.subcommand("play")]
    | Annotated[Export, tyro.conf.subcommand("export")]
    | Annotated[WorldVerbs, tyro.conf.subcommand("world")]
]
