"""A checkpoint is a folder that is whole or not there: written aside, manifest last, renamed."""

import hashlib
import json
import os
import shutil
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from kineograph import scale

Tensors = dict[str, Tensor]
MANIFEST = "manifest.json"
PARTS = ("model", "ema", "optimizer", "random")


@dataclass(frozen=True)
class Checkpoint:
    """All that a run needs to go on: tensors by part, and plain numbers and words.

    `step` counts optimizer steps done, `scalars` holds JSON values (data position, precision,
    the optimizer's groups).
    """

    step: int
    model: Tensors
    ema: Tensors
    optimizer: Tensors
    random: Tensors
    scalars: dict[str, Any] = field(default_factory=dict)


def save(folder: Path, checkpoint: Checkpoint, keep: int = 3) -> Path:
    """Writes `folder/step-NNN`, whole or not at all, then drops all but the newest `keep`."""
    target = folder / f"step-{checkpoint.step:08d}"
    aside = target.with_suffix(".tmp")
    shutil.rmtree(aside, ignore_errors=True)
    aside.mkdir(parents=True)
    for part in PARTS:
        save_file(storable(getattr(checkpoint, part)), aside / f"{part}.safetensors")
    hashes = {f"{part}.safetensors": synced_sha256(aside / f"{part}.safetensors") for part in PARTS}
    manifest = {"step": checkpoint.step, "sha256": hashes, "scalars": checkpoint.scalars}
    (aside / MANIFEST).write_text(json.dumps(manifest, indent=1))
    synced_sha256(aside / MANIFEST)
    sync_folder(aside)
    shutil.rmtree(target, ignore_errors=True)
    aside.rename(target)
    sync_folder(folder)
    prune(folder, keep, target)
    return target


def storable(tensors: Mapping[str, Tensor]) -> Tensors:
    """Copies on the CPU, each with memory of its own, as safetensors wants them."""
    return {name: t.detach().to("cpu", copy=True).contiguous() for name, t in tensors.items()}


def save_tensors(tensors: Mapping[str, Tensor], path: Path) -> None:
    """One file, whole or as it was before."""
    aside = path.with_name(f".{path.name}.part")
    save_file(storable(tensors), aside)
    synced_sha256(aside)
    aside.replace(path)


def prune(folder: Path, keep: int, newest: Path) -> None:
    """Keeps `newest`, which was just written and so is good, and the `keep - 1` before it.

    Folders of later steps stay: they were passed over as broken, and will be written again.
    """
    for old in [path for path in steps_in(folder) if path <= newest][max(1, keep) :]:
        shutil.rmtree(old, ignore_errors=True)
    for left_over in folder.glob("step-*.tmp"):
        shutil.rmtree(left_over, ignore_errors=True)


def steps_in(folder: Path) -> list[Path]:
    """Checkpoint folders, newest first."""
    return sorted((p for p in folder.glob("step-*") if not p.suffix), reverse=True)


def load_latest(folder: Path) -> Checkpoint | None:
    """The newest checkpoint that is whole; broken ones are passed over. None if there is none."""
    for path in steps_in(folder):
        try:
            return load(path)
        except ValueError:
            continue
    return None


def load(path: Path) -> Checkpoint:
    """One checkpoint folder. ValueError where a file is missing or differs from its hash."""
    try:
        manifest = json.loads((path / MANIFEST).read_text())
        broken = [
            name for name, sha in manifest["sha256"].items() if synced_sha256(path / name) != sha
        ]
        if broken:
            raise ValueError(f"{path} is damaged: {broken} do not match their hashes.")
        parts = {part: load_file(path / f"{part}.safetensors") for part in PARTS}
    except (OSError, KeyError, json.JSONDecodeError, SafetensorError) as error:
        raise ValueError(f"{path} is not a whole checkpoint: {error}") from error
    return Checkpoint(step=manifest["step"], scalars=manifest["scalars"], **parts)


def synced_sha256(path: Path) -> str:
    """The hash of a file that is surely on the disk."""
    with path.open("rb") as file:
        os.fsync(file.fileno())
        return hashlib.file_digest(file, "sha256").hexdigest()


def sync_folder(folder: Path) -> None:
    """Makes names last too; Windows has no such call."""
    if os.name != "nt":
        handle = os.open(folder, os.O_RDONLY)
        os.fsync(handle)
        os.close(handle)


def tensors_of(model: nn.Module) -> Tensors:
    """Parameters and saved buffers by name; one shared by two layers is named once."""
    first_name: dict[int, str] = {}
    state = model.state_dict(keep_vars=True)
    for name, tensor in state.items():
        first_name.setdefault(id(tensor), name)
    return {name: state[name].detach() for name in first_name.values()}


def restore(into: Mapping[str, Tensor], saved: Mapping[str, Tensor]) -> None:
    """Copies saved tensors over living ones. ValueError where names or shapes differ."""
    for name in sorted(set(into) ^ set(saved)):
        where = "model" if name in into else "checkpoint"
        raise ValueError(f"Only the {where} has {name!r}: it is a checkpoint of another model.")
    for name, tensor in into.items():
        part = scale.part(saved[name], tensor)
        if tensor.shape != part.shape:
            raise ValueError(
                f"{name!r} is {tuple(tensor.shape)} in the model but "
                f"{tuple(part.shape)} in the checkpoint."
            )
        tensor.copy_(part)


def pack_optimizer(state: Mapping[str, Any]) -> tuple[Tensors, dict[str, Any]]:
    """An optimizer's state_dict as flat tensors and JSON values."""
    tensors: Tensors = {}
    numbers: dict[str, dict[str, Any]] = {}
    for index, values in state["state"].items():
        for name, value in values.items():
            if isinstance(value, Tensor):
                tensors[f"{index}.{name}"] = value
            else:
                numbers.setdefault(str(index), {})[name] = value
    groups = [{k: plain(v) for k, v in group.items()} for group in state["param_groups"]]
    return tensors, {"numbers": numbers, "groups": groups}


def plain(value: Any) -> Any:
    return value.item() if isinstance(value, Tensor) else value


def unpack_optimizer(tensors: Tensors, scalars: Mapping[str, Any]) -> dict[str, Any]:
    """The state_dict that `pack_optimizer` was given."""
    state: dict[int, dict[str, Any]] = {}
    for key, value in tensors.items():
        index, name = key.split(".", 1)
        state.setdefault(int(index), {})[name] = value
    for index, values in scalars["numbers"].items():
        state.setdefault(int(index), {}).update(values)
    groups = [
        {k: tuple(v) if k == "betas" else v for k, v in group.items()}
        for group in scalars["groups"]
    ]
    return {"state": state, "param_groups": groups}


def random_state(device: torch.device) -> Tensors:
    """The state of torch's global generators, which dropout and the like draw from."""
    states = {"cpu": torch.get_rng_state()}
    if device.type == "cuda":
        states["cuda"] = torch.cuda.get_rng_state(device)
    return states


def restore_random_state(states: Mapping[str, Tensor], device: torch.device) -> None:
    torch.set_rng_state(states["cpu"])
    if device.type == "cuda" and "cuda" in states:
        torch.cuda.set_rng_state(states["cuda"], device)
