"""Weights are safetensors with a card inside, and are found by name; nothing in them is run."""

import json
from collections.abc import Mapping
from dataclasses import asdict
from hashlib import sha256
from importlib.resources import files
from pathlib import Path
from typing import Any

import torch
from jaxtyping import Float, Int8
from safetensors import SafetensorError, safe_open
from safetensors.torch import load as tensors_in
from safetensors.torch import save_file
from torch import Tensor, nn

from kineograph.models import ahead, store
from kineograph.models.ahead import Ahead
from kineograph.models.codec import Vae, VaeShape
from kineograph.models.latent import LatentKineo, LatentShape
from kineograph.models.net import Kineo, Shape
from kineograph.models.restorer import Restorer, RestorerShape
from kineograph.models.window import Predictor
from kineograph.models.world import World, WorldShape

Model = Predictor | Vae | Restorer | World
SHIPPED, SHIPPED_WORLD, SHIPPED_FIGURE = "kineo-small", "kineo-fish", "kineo-figure"
ALL_SHIPPED = SHIPPED, SHIPPED_WORLD, SHIPPED_FIGURE
STEP, LARGE, LEAST_STEP = "#step", 4096, 1e-9
"""What follows a tensor's name to name its steps; from how many numbers on a matrix is large; the
step of a row of nothing."""
ASSETS = Path(str(files("kineograph") / "assets"))


def save(model: Model, path: Path, card: dict[str, Any], small: bool = False) -> None:
    """Writes the weights with kind, shape and card, as `write` does."""
    kind, numbers = _about(model)
    about = {"kind": kind, "shape": json.dumps(numbers), "card": json.dumps(card)}
    write(model, path, about, small)


def write(model: nn.Module, path: Path, about: Mapping[str, str], small: bool = False) -> None:
    """Any module's tensors, with what is said about them: aside, then there.

    Floats are in float16; where they are to be small, large matrices are in 8 bits, each row (what
    makes one output) with a step of its own.
    """
    tensors: dict[str, Tensor] = {}
    for name, tensor in model.state_dict().items():
        held = tensor.detach().contiguous().cpu()
        if small and held.is_floating_point() and held.ndim > 1 and held.numel() >= LARGE:
            tensors[name], tensors[name + STEP] = in_8_bits(held.float())
        else:
            tensors[name] = held.half() if held.is_floating_point() else held
    aside = path.with_name(f".{path.name}.part")
    save_file(tensors, aside, metadata=dict(about))
    aside.chmod(0o644)
    aside.replace(path)


def in_8_bits(matrix: Float[Tensor, "o *i"]) -> tuple[Int8[Tensor, "o *i"], Float[Tensor, " o"]]:
    """The nearest multiples, -127 to 127, of a step for each row; and the steps."""
    step = (matrix.flatten(1).abs().amax(1) / 127).clamp(min=LEAST_STEP)
    whole = matrix / step.view(-1, *[1] * (matrix.ndim - 1))
    return whole.round().clamp(-127, 127).to(torch.int8), step


def in_floats(held: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The tensors of a file as a model takes them: the inverse of how `write` holds them."""
    found = {}
    for name, tensor in held.items():
        if name.endswith(STEP):
            continue
        floats = tensor.float() if tensor.is_floating_point() else tensor
        if name + STEP in held:
            step = held[name + STEP]
            floats = tensor.float() * step.view(-1, *[1] * (tensor.ndim - 1))
        found[name] = floats
    return found


def load(name: str = SHIPPED) -> Predictor:
    """The model in a .safetensors file, or a shipped one by its name; float32, ready to answer.

    ValueError if there is no such file, or it holds something else.
    """
    model = _loaded(name)
    if isinstance(model, Vae | Restorer | World):
        what = {Vae: "codec", Restorer: "map between domains", World: "world"}[type(model)]
        raise ValueError(f"{path_of(name)} holds a {what} alone, which predicts nothing.")
    return model


def load_map(name: str) -> Restorer:
    """The map from one domain to another in a file; errors as in `load`."""
    model = _loaded(name)
    if not isinstance(model, Restorer):
        raise ValueError(f"{path_of(name)} holds no map between domains: learn one first.")
    return model


def load_world(name: str = SHIPPED_WORLD) -> World:
    """The world in a file, or a shipped or learned one by its name; errors as in `load`."""
    model = _loaded(name)
    if not isinstance(model, World):
        raise ValueError(f"{path_of(name)} holds no world to play: `kineo world learn` makes one.")
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
        # All at once: safetensors 0.8 never lets go of the shapes of tensors asked for one by one.
        tensors = in_floats(tensors_in(path.read_bytes()))
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
    if isinstance(model, World):
        return "world", asdict(model.shape)
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
    if kind == "world":
        return World(WorldShape(**{**numbers, "channels": tuple(numbers["channels"])}))
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
