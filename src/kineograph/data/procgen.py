"""A Procgen game runs as a program of its own, whose frames are read as it writes them."""

import re
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np

from kineograph.data import procgen_player

PROCGEN = "procgen:"
MOST_SEED = 20_000
"""Procgen's levels are numbered in 32 bits, and each seed has its own from 100,000 on."""


def is_procgen(game: str) -> bool:
    return game.startswith(PROCGEN)


class Running:
    """`procgen_player` under an interpreter that Procgen can live in, until it is closed.

    told: its arguments after the game's name. ValueError if there is no such game or interpreter.
    """

    def __init__(self, game: str, size_px: int, *told: object) -> None:
        name = game.removeprefix(PROCGEN)
        if not re.fullmatch("[a-z]{3,20}", name):
            raise ValueError(f"A game of Procgen is named as in procgen:bigfish; got {game!r}.")
        python = Path(sys.prefix) / "games" / "bin" / "python"
        if not python.is_file():
            raise ValueError(f"{game} needs Procgen: run `make .venv/.games` first.")
        # -I: neither this folder's modules nor the caller's settings may take the place of its own.
        command = [str(python), "-I", str(Path(procgen_player.__file__)), name]
        command += [str(size_px), *map(str, told)]
        self.game, self.kind = game, procgen_player.moment_type(size_px)
        self.said = tempfile.TemporaryFile()  # noqa: SIM115 (`close` closes it)
        self.process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=self.said
        )

    def act(self, action: int) -> None:
        """Tells a game that is played live what is done next."""
        assert self.process.stdin is not None
        try:
            self.process.stdin.write(bytes([action]))
            self.process.stdin.flush()
        except OSError:
            pass  # it has ended, and `moment` says why

    def moment(self) -> np.void:
        """What it writes next. ValueError with the last that it said if it breaks off."""
        assert self.process.stdout is not None
        read = self.process.stdout.read(self.kind.itemsize)
        if len(read) < self.kind.itemsize:
            self.process.wait()
            self.said.seek(0)
            lines = self.said.read().decode(errors="replace").strip().splitlines()
            raise ValueError(f"{self.game} cannot be played: {(lines or ['no message'])[-1]}")
        return np.frombuffer(read, self.kind)[0]

    def close(self) -> None:
        """Ends the program."""
        self.process.kill()
        self.process.communicate()
        self.said.close()
