"""A server shows films in another domain by the maps that it has, and says so where it has none."""

from pathlib import Path

import pytest
import torch

from films import simple, textured
from kineograph import tasks, video
from kineograph.answer.restoring import grey_of
from kineograph.cli import main
from kineograph.models import weights
from kineograph.serve.api.errors import Refused
from kineograph.serve.api.modelling import model_for
from kineograph.train import transfer
from serve_support import started


@pytest.fixture
def night(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A map in the folder of models, as `kineo models import` puts it there."""
    monkeypatch.setenv("KINEOGRAPH_MODELS", str(tmp_path / "models"))
    target = textured(3, 48, 32)
    net, result = transfer.learn(255 - target, target, tmp_path / "run", 1.0, steps=2)
    path = tmp_path / "map.safetensors"
    transfer.save(net, path, result, ("day", "night"))
    main(["models", "import", "night", str(path)])
    return path


def test_a_film_is_shown_in_another_domain(night: Path, tmp_path: Path) -> None:
    film = simple(tmp_path / "film.mp4", num_frames=4)
    server = started(tmp_path / "store")
    try:
        asked = server.create(film, task="transfer", model="night", quality="exact")
        found = server.made(asked["id"])
        assert (found["status"], found["model"]) == ("completed", "night")
        out = tmp_path / "out.mp4"
        out.write_bytes(server.ask("GET", f"/v1/videos/{asked['id']}/content").content)
    finally:
        server.stop()
    net = weights.load_map(str(night))
    truth = torch.stack(list(tasks.transfer(video.read(film).frames, net)))
    apart = [grey_of(one - other) for one, other in zip(video.read(out).frames, truth, strict=True)]
    assert torch.stack(apart).abs().mean() < 0.01  # colours are kept at half the size


@pytest.mark.parametrize(
    ("task", "model", "said"),
    [
        ("transfer", None, "give model, one of night"),
        ("transfer", "kineo-small", "no map 'kineo-small': there are night"),
        ("enhance", "night", "no model 'night': there are kineo-small"),
        ("transfer", "../night", "no map"),
    ],
)
def test_a_map_is_for_transfer_alone(night: Path, task: str, model: str, said: str) -> None:
    with pytest.raises(Refused, match=said):
        model_for(task, model)
    assert model_for("transfer", "night") == "night"


def test_where_there_is_no_map_it_says_how_to_get_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("KINEOGRAPH_MODELS", str(tmp_path / "none"))
    with pytest.raises(Refused, match="kineo models import"):
        model_for("transfer", None)
    assert model_for("predict", None) == weights.SHIPPED
