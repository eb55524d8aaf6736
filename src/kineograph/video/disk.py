"""A film appears under its name when it is whole, or not at all."""

import errno
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from av.error import FFmpegError

from kineograph.video.info import VideoError

_SENTENCES = {
    errno.ENOSPC: "there is no space left on the disk; free some, or write to another place",
    errno.EDQUOT: "the disk quota is used up; free some space, or write to another place",
    errno.EFBIG: "the file would be larger than this disk or user may write; write a shorter film",
    errno.EACCES: "there is no permission to write there; choose another folder",
    errno.EPERM: "there is no permission to write there; choose another folder",
    errno.EROFS: "that disk can only be read; choose another folder",
    errno.ENOENT: "its folder does not exist; make it first",
    errno.ENOTDIR: "what should be its folder is a file; choose another path",
    errno.EISDIR: "there is a folder of that name; choose another name",
    errno.ENAMETOOLONG: "the name is too long; choose a shorter one",
}


@contextmanager
def writing(path: Path) -> Iterator[None]:
    """Turn what the disk or the encoder refuses into one sentence about `path`."""
    try:
        yield
    except VideoError:
        raise
    except OSError as error:
        why = _SENTENCES.get(error.errno or 0, f"the disk refuses it ({error.strerror or error})")
        raise VideoError(f"{path} cannot be written: {why}") from error
    except FFmpegError as error:
        raise VideoError(
            f"{path} cannot be encoded ({error.strerror or error}); choose another kind of file"
        ) from error


def aside(path: Path) -> Path:
    """Where the unfinished film is kept: hidden, beside its place, one for each process."""
    return path.with_name(f".{path.name}.partial-{os.getpid()}")


def remove(partial: Path) -> None:
    """Leave no trace of an unfinished film."""
    if partial.is_dir():
        shutil.rmtree(partial, ignore_errors=True)
    with suppress(OSError):
        partial.unlink(missing_ok=True)
