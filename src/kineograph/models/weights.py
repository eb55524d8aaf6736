"""Weights are safetensors with a card inside, and are found by name; nothing in them is run."""

import json
from collections.abc import Mapping
from dataclasses import asdict
from hashlib import sha256
from importlib.resources import files
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import nn

from kineograph.models import ahead, store
from kineograph.models.ahead import Ahead
from kineograph.models.codec import Vae, VaeShape
from kineograph.models.latent import LatentKineo, LatentShape
from kineograph.models.net import Kineo, Shape
from kineograph.models.restorer import Restorer, RestorerShape
from kineograph.models.window import Predictor

Model = Predictor | Vae | Restorer
SHIPPED = "kineo-small"
ASSETS = Path(str(files("kineograph") / "assets"))


def save(model: Model, path: Path, card: dict[str, Any]) -> None:
    """Writes the weights in float16, with kind, shape and card, aside and then in place."""
    kind, numbers = _about(model)
    write(model, path, {"kind": kind, "shape": json.dumps(numbers), "card": json.dumps(card)})


def write(model: nn.Module, path: Path, about: Mapping[str, str]) -> None:
    """Any module's tensors, floats in float16, with what is said about them: aside, then there."""
    state = {k: v.detach().contiguous().cpu() for k, v in model.state_dict().items()}
    tensors = {k: v.half() if v.is_floating_point() else v for k, v in state.items()}
    aside = path.with_name(f".{path.name}.part")
    save_file(tensors, aside, metadata=dict(about))
    aside.chmod(0o644)
    aside.replace(path)


def load(name: str = SHIPPED) -> Predictor:
    """The model in a .safetensors file, or a shipped one by its name; float32, ready to answer.

    ValueError if there is no such file, or it holds something else.
    """
    model = _loaded(name)
    if isinstance(model, Vae | Restorer):
        what = "codec" if isinstance(model, Vae) else "map between domains"
        raise ValueError(f"{path_of(name)} holds a {what} alone, which predicts nothing.")
    return model


def load_map(name: str) -> Restorer:
    """The map from one domain to another in a file; errors as in `load`."""
    model = _loaded(name)
    if not isinstance(model, Restorer):
        raise ValueError(f"{path_of(name)} holds no map between domains: learn one first.")
    return model


def load_codec(name: str) -> Vae:
    """The codec in a file, alone or with its predictor; errors as in `load`."""
    model = _loaded(name)
    codec = model.codec if isinstance(model, LatentKineo) else model
    if not isinstance(codec, Vae):
        raise ValueError(f"{path_of(name)} holds no codec: its model works on pixels.")
    return codec


def checked(path: Path) -> Path:
    """The path of a file, if it holds a whole model of any kind. ValueError else."""
    _loaded(str(path))
    return path


def _loaded(name: str) -> Model:
    path = path_of(name)
    try:
        with safe_open(path, "pt") as file:
            about = file.metadata() or {}
            numbers = json.loads(about["shape"])
            held = {key: file.get_tensor(key) for key in file.keys()}  # noqa: SIM118
        tensors = {k: v.float() if v.is_floating_point() else v for k, v in held.items()}
        with torch.random.fork_rng(devices=[]):
            model = _made(about.get("kind", "plan"), numbers)
        model.load_state_dict(tensors)
    except (SafetensorError, KeyError, TypeError, json.JSONDecodeError, RuntimeError) as error:
        raise ValueError(f"{path} does not hold a kineograph model: {_first(error)}.") from error
    return model.eval().requires_grad_(False)


def _about(model: Model) -> tuple[str, dict[str, Any]]:
    """What kind of model it is, and the numbers that it is made from."""
    if isinstance(model, Kineo):
        restorers = {name: asdict(net.shape) for name, net in restorers_of(model).items()}
        if ahead.NAME in model.restorers:
            restorers[ahead.NAME] = {}
        example = [] if model.example is None else list(model.example.shape)
        return "plan", {**asdict(model.shape), "restorers": restorers, "example": example}
    if isinstance(model, Restorer):
        return "restorer", asdict(model.shape)
    if isinstance(model, Vae):
        return "vae", asdict(model.shape)
    assert isinstance(model.codec, Vae)
    return "latent", {"codec": asdict(model.codec.shape), **asdict(model.shape)}


def _made(kind: str, numbers: dict[str, Any]) -> Model:
    """The inverse of `_about`, untrained."""
    if kind == "plan":
        restorers, example = numbers.pop("restorers", {}), numbers.pop("example", [])
        model = Kineo(Shape(**numbers))
        model.example = torch.empty(example, dtype=torch.uint8) if example else None
        for name, shape in restorers.items():
            model.restorers[name] = Ahead() if name == ahead.NAME else _restorer(shape)
        return model
    if kind == "restorer":
        return _restorer(numbers)
    if kind == "vae":
        return Vae(VaeShape(**numbers))
    if kind == "latent":
        codec = Vae(VaeShape(**numbers.pop("codec")))
        return LatentKineo(codec, LatentShape(**numbers))
    raise KeyError(f"its kind is {kind!r}")


def _restorer(numbers: dict[str, Any]) -> Restorer:
    channels, soft = tuple(numbers["channels"]), tuple(numbers.get("soft_px", ()))
    return Restorer(RestorerShape(numbers["num_made"], numbers["num_told"], channels, soft))


def restorers_of(model: Kineo) -> dict[str, Restorer]:
    """What answers the other questions, by name."""
    return {name: net for name, net in model.restorers.items() if isinstance(net, Restorer)}


def card(name: str = SHIPPED) -> dict[str, Any]:
    """What the model was made from, as it says itself. ValueError where it says nothing sound."""
    path = path_of(name)
    try:
        with safe_open(path, "pt") as file:
            return dict(json.loads((file.metadata() or {}).get("card", "{}")))
    except (SafetensorError, TypeError, ValueError) as error:
        raise ValueError(f"{path} has no readable card: {_first(error)}.") from error


def digest(name: str = SHIPPED) -> str:
    """The SHA-256 of the file, which names the model in recipes."""
    return sha256(path_of(name).read_bytes()).hexdigest()


def digest_of(net: nn.Module) -> str:
    """The SHA-256 of a network's weights as a file would hold them."""
    found = sha256()
    for name, tensor in sorted(net.state_dict().items()):
        found.update(name.encode() + tensor.half().contiguous().cpu().numpy().tobytes())
    return found.hexdigest()


def path_of(name: str) -> Path:
    """Where the weights in that file, or shipped or learned under that name, are."""
    places = [Path(name)] if name.endswith(".safetensors") else []
    if store.NAME.fullmatch(name):
        places = [folder / f"{name}.safetensors" for folder in (ASSETS, store.folder())]
    path = next((place for place in places if place.is_file()), None)
    if path is None:
        there = ", ".join([SHIPPED, *store.names()])
        raise ValueError(
            f"There is no model {name!r}: give a .safetensors file, or one of {there}."
        )
    return path


def _first(error: Exception) -> str:
    return str(error).splitlines()[0][:200]
