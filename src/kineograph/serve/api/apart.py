"""What was uploaded is decoded by a process that may do little else.

It has so much memory and time, no network where the kernel can take it away, and may write no file;
where it dies, the upload is refused and nobody else notices.
"""

import ctypes
import multiprocessing
import os
import resource
from collections.abc import Callable
from contextlib import suppress
from functools import cache
from multiprocessing.connection import Connection
from multiprocessing.process import BaseProcess
from pathlib import Path
from queue import Empty, SimpleQueue
from threading import BoundedSemaphore, Thread, Timer
from typing import NamedTuple

from kineograph.serve.api.limits import Limits

CLONE_NEWNET, CLONE_NEWUSER = 0x40000000, 0x10000000
MEMORY = Path("/proc/self/statm")
MOST_BYTES = 64 * 2**20
AT_ONCE = BoundedSemaphore(4)
"""So many uploads are looked at together; others wait."""
FOUND = b"\0"
"""What a finding begins with; else it is a sentence."""
NO_FILM = b"The upload is not a video that can be read, or it is damaged."
TOO_LATE = b"The upload takes more than %g s to be read."
PRELOADED = ("__main__", "kineograph.serve.api.looking", "kineograph.serve.api.pictures")


class Child(NamedTuple):
    """A process that waits for one thing to do."""

    process: BaseProcess
    ours: Connection


@cache
def spares() -> SimpleQueue[Child]:
    """Those that wait; one is started ahead, so that an upload need not wait for it."""
    return SimpleQueue()


def warmed() -> None:
    """Starts what later processes are forked from, with all that they need, and one spare."""
    apart(_nothing, Path(os.devnull), Limits(look_seconds=120.0))


def _nothing(path: Path, limits: Limits) -> bytes:
    return b""


def apart(function: Callable[[Path, Limits], bytes], path: Path, limits: Limits) -> bytes:
    """What the function makes of the file. ValueError, a sentence, where it finds it wanting.

    Bytes come back and nothing that is unpickled, since the process may be under another's will.
    """
    with AT_ONCE:
        return _answered(*_child(), function, path, limits)


def _answered(
    process: BaseProcess,
    ours: Connection,
    function: Callable[[Path, Limits], bytes],
    path: Path,
    limits: Limits,
) -> bytes:
    late = Timer(limits.look_seconds, process.kill)
    late.start()
    try:
        ours.send((function, path, limits))
        answer = ours.recv_bytes(MOST_BYTES)
    except (EOFError, OSError):  # it died, or was killed, or said too much
        answer = NO_FILM if late.is_alive() else TOO_LATE % limits.look_seconds
    finally:
        late.cancel()
        process.kill()
        ours.close()
        Thread(target=_replaced, args=(process,), daemon=True).start()
    if not answer.startswith(FOUND):
        raise ValueError(answer.decode(errors="replace"))
    return answer[len(FOUND) :]


def _child() -> Child:
    """The spare, or a new one."""
    try:
        child = spares().get_nowait()
    except Empty:
        return _started()
    if child.process.is_alive():
        return child
    child.ours.close()
    return _started()


def _started() -> Child:
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(list(PRELOADED))
    ours, theirs = context.Pipe()
    process = context.Process(target=_done, args=(theirs,), daemon=True)
    process.start()
    theirs.close()
    return Child(process, ours)


def _replaced(process: BaseProcess) -> None:
    """Sees the process off; a new one waits, unless one does."""
    process.join()
    if spares().empty():
        spares().put(_started())


def _done(told: Connection) -> None:
    try:
        function, path, limits = told.recv()
    except EOFError:  # the server is gone
        return
    _confine(limits)
    try:
        answer = FOUND + function(path, limits)
    except MemoryError:
        answer = b"The upload needs more memory than there is for it."
    except (ValueError, OSError, ArithmeticError, RuntimeError) as error:
        answer = in_our_words(error, path).encode()
    told.send_bytes(answer)


def _confine(limits: Limits) -> None:
    """From here on: bounded memory and time, no writing, no core, and no network if it can be."""
    with suppress(OSError, AttributeError):
        ctypes.CDLL(None).unshare(CLONE_NEWUSER | CLONE_NEWNET)
    if MEMORY.exists():
        pages = int(MEMORY.read_text().split()[0])
        most = pages * os.sysconf("SC_PAGE_SIZE") + limits.look_bytes
        resource.setrlimit(resource.RLIMIT_AS, (most, most))
    used = resource.getrusage(resource.RUSAGE_SELF)
    cpu = int(used.ru_utime + used.ru_stime + limits.look_seconds) + 1
    resource.setrlimit(resource.RLIMIT_CPU, (cpu, cpu + 1))
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))


def in_our_words(error: BaseException, *paths: Path) -> str:
    """What is told of an error: without where this machine keeps its files."""
    text = " ".join(str(error).split()) or type(error).__name__
    for path in paths:
        for name in (str(path), path.name):
            text = text.replace(name, "the upload")
    return (text[:1].upper() + text[1:500]).rstrip(".") + "."
