"""What may be asked about worlds: record a game, learn it, play what was learned."""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

import tyro


@dataclass(frozen=True)
class Play:
    """Play a world in the browser: every frame is dreamed from the last ones and what you do."""

    world: tyro.conf.Positional[str] = "kineo-fish"
    """A shipped or learned world's name, or a .safetensors file."""
    port: int = 8771
    """On this machine's loopback; 0 is any that is free."""
    backend: Literal["auto", "eager", "compiled", "graphs", "openvino", "int8", "onnx"] = "auto"
    """What runs the network; auto takes CUDA graphs where there is a CUDA device, else OpenVINO
    where it is installed. int8 is the fastest on a processor, and its frames are near those of the
    others, which are all the same."""
    pace: float = 15.0
    """Frames a second to begin with, 1 to 240."""
    luck: float | None = None
    """How far what comes may be from the likeliest; 0 is no surprise. By default as the world's
    card says, or 1."""
    beside: str | None = None
    """A real game to run beside the dream, each with the same actions: what `kineo world record`
    takes, as a Gymnasium environment's id."""
    open: bool = True
    """Open the browser."""
    debug: bool = False


@dataclass(frozen=True, kw_only=True)
class Export:
    """Write a world to a file that ONNX Runtime or OpenVINO run without this program."""

    world: tyro.conf.Positional[str] = "kineo-fish"
    """A shipped or learned world's name, or a .safetensors file."""
    out: Annotated[Path, tyro.conf.arg(aliases=["-o"])]
    """An .onnx; or an .xml for OpenVINO, which gets its .bin beside it."""
    int8: bool = False
    """Convolutions in 8 bits, for OpenVINO: faster and smaller, and frames differ a little."""
    debug: bool = False


@dataclass(frozen=True, kw_only=True)
class WorldRecord:
    """Record a game as it is played by chance: frames, actions, rewards, ends."""

    game: tyro.conf.Positional[str]
    """A Gymnasium environment's id, vizdoom:NAME (as vizdoom:Basic), or procgen:NAME (after
    `make .venv/.games`)."""
    out: Annotated[Path, tyro.conf.arg(aliases=["-o"])]
    """The folder to write."""
    frames: int = 10_000
    size_px: int = 128
    """Frames are brought to this many pixels a side, a multiple of 16."""
    seed: int = 0
    debug: bool = False


@dataclass(frozen=True, kw_only=True)
class WorldLearn:
    """Learn a world from recordings; its last fifth of episodes is held out."""

    recordings: tyro.conf.Positional[tuple[Path, ...]]
    """Folders that `kineo world record` wrote, all of one game."""
    name: str
    """What the world shall be called, for `kineo play NAME`."""
    minutes: float = 30.0
    seed: int = 0
    device: Literal["auto", "cpu", "cuda"] = "auto"
    debug: bool = False


@dataclass(frozen=True)
class WorldVerbs:
    """Worlds: record a game, learn it, play it."""

    verb: (
        Annotated[WorldRecord, tyro.conf.subcommand("record")]
        | Annotated[WorldLearn, tyro.conf.subcommand("learn")]
        | Annotated[Play, tyro.conf.subcommand("play")]
    )

    @property
    def debug(self) -> bool:
        """Whether the whole trace of an error is shown."""
        return self.verb.debug
