"""What a training process asks of its machine; nothing here changes a number that it computes."""

import ctypes
import gc
import os
import resource
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import cv2

MMAP_THRESHOLD, TRIM_THRESHOLD, MMAP_MAX, ARENA_MAX = -3, -1, -4, -8
"""The names of malloc.h for what `mallopt` sets."""


def settle() -> None:
    """Freed memory is kept for the next step, and OpenCV leaves the cores to torch.

    By default glibc gives every large array back to the system, and each step pays for its pages
    again: 1.9 s instead of 1.4 s for a step of 8 clips. All threads share one heap, or holes in
    each add up to a quarter more. Elsewhere than on Linux nothing is done.
    """
    cv2.setNumThreads(1)
    one_heap()
    _told_malloc((MMAP_THRESHOLD, 2**30), (TRIM_THRESHOLD, 2**31 - 1), (MMAP_MAX, 0))


def one_heap() -> None:
    """Threads that begin from now on share it, so that each does not leave holes in its own."""
    _told_malloc((ARENA_MAX, 1))


def _told_malloc(*wishes: tuple[int, int]) -> None:
    libc = ctypes.CDLL(None) if sys.platform.startswith("linux") else None
    if libc is not None and hasattr(libc, "mallopt"):
        for name, value in wishes:
            libc.mallopt(name, value)


@contextmanager
def looking_at_what_is_new() -> Iterator[None]:
    """Inside, what Python holds already is not looked through for what is no longer used.

    To look through all of it stops every thread for a tenth of a second.
    """
    gc.collect()
    gc.freeze()
    gc.collect()  # so that it counts anew how much there is
    try:
        yield
    finally:
        gc.unfreeze()


def num_cores() -> int:
    """How many cores this process may use."""
    affinity = getattr(os, "sched_getaffinity", None)  # Linux alone has it
    return len(affinity(0)) if affinity else os.cpu_count() or 1


def peak_mb() -> float:
    """The most memory that this process has held, since the peak was forgotten."""
    try:
        return int(_fields(STATUS)["VmHWM"].split()[0]) / 1e3
    except (OSError, KeyError, ValueError, IndexError):
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        return peak / (1e6 if sys.platform == "darwin" else 1e3)


def held_mb() -> float:
    """The memory that this process holds now; the most it has held where only that is told."""
    try:
        return int(_fields(STATUS)["VmRSS"].split()[0]) / 1e3
    except (OSError, KeyError, ValueError, IndexError):
        return peak_mb()


def forget_peak() -> None:
    """The peak is counted anew, from what is held now; only Linux can."""
    try:
        Path("/proc/self/clear_refs").write_text("5")
    except OSError:
        return


def free_mb() -> float:
    """Memory that may be taken without swapping, or beyond what a container was given; 2 GB where
    the system does not say."""
    try:
        free = int(_fields(Path("/proc/meminfo"))["MemAvailable"].split()[0]) / 1e3
    except (OSError, KeyError, ValueError, IndexError):
        return 2_000.0
    return min([free, *(given for group in groups() if (given := left_mb(group)) is not None)])


def groups() -> list[Path]:
    """The folders of the control groups that this process is in, and of those that hold them."""
    try:
        lines = Path("/proc/self/cgroup").read_text().splitlines()
    except OSError:
        return []
    found = []
    for line in lines:
        _, names, inside = line.split(":", 2)
        if names in ("", "memory"):
            root = GROUPS / names
            place = root / inside.lstrip("/")
            found += [place, *(p for p in place.parents if p.is_relative_to(root))]
    return found


def left_mb(group: Path) -> float | None:
    """What a control group has left to give; files that it can forget count as free."""
    for limit, used, forgettable in (
        ("memory.max", "memory.current", "inactive_file"),
        ("memory.limit_in_bytes", "memory.usage_in_bytes", "total_inactive_file"),
    ):
        try:
            most, taken = (int((group / name).read_text()) for name in (limit, used))
            stat = dict(line.split() for line in (group / "memory.stat").read_text().splitlines())
            return max(0.0, (most - taken + int(stat.get(forgettable, 0))) / 1e6)
        except (OSError, ValueError):  # not there, or "max"
            continue
    return None


STATUS, GROUPS = Path("/proc/self/status"), Path("/sys/fs/cgroup")


def _fields(path: Path) -> dict[str, str]:
    """What a file of the kernel's says, line by line."""
    return dict(line.split(":", 1) for line in path.read_text().splitlines() if ":" in line)
