"""Every backend says what eager torch says, and so does every file that is written."""

import json
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from kineograph import runtime
from kineograph.answer.dream import questions
from kineograph.answer.exported import OUTPUTS, export, inputs_of
from kineograph.models import weights
from kineograph.models.playable import Playable
from kineograph.models.world import World, WorldShape
from kineograph.runtime import Arrays, Backend, Runs, by_cuda, by_onnx, by_openvino, by_torch, files
from tiny_world import tiny_world

CARD = {"actions": ["a", "b", "c", "d"], "by": "Élodie & <Jörg>"}
LEAST_DB, LEAST_MEAN_DB = 42.0, 50.0
"""Of frames in 8 bits against eager's, of 255; some 46 and 54 are measured."""
MOST_OFF = 0.08
"""Of rewards and ends in 8 bits; some 0.04 are measured."""

with_onnx = pytest.mark.skipif(
    not (find_spec("onnx") and find_spec("onnxruntime")), reason="ONNX Runtime is not installed"
)
with_openvino = pytest.mark.skipif(not find_spec("openvino"), reason="OpenVINO is not installed")
with_nncf = pytest.mark.skipif(
    not (find_spec("openvino") and find_spec("nncf")), reason="NNCF is not installed"
)
with_cuda = pytest.mark.skipif(not by_cuda.here(), reason="there is no CUDA device")
with_compiler = pytest.mark.skipif(not by_torch.compiles(), reason="no C++ compiler works")


class Halved(nn.Module):
    """As little as can be compiled, since that takes the compiler seconds for each operation."""

    def forward(self, x: Tensor) -> tuple[Tensor]:
        return (x / 2,)


def prepared(
    world: World, backend: Backend, calibration: list[Arrays] | None = None
) -> runtime.Runs:
    playable = Playable(world)
    return runtime.prepared(playable, playable.example(), backend, calibration)


def asked(world: World, num: int = 6) -> list[Arrays]:
    """Questions of dreams that nothing is calibrated on."""
    return questions(world, num=num, seed=1000)


def assert_same(run: Runs, world: World) -> None:
    eager = prepared(world, "eager")
    for question in asked(world):
        (frame, *said), (truth, *meant) = run(*question), eager(*question)
        assert frame.dtype == np.uint8
        assert abs(frame.astype(int) - truth.astype(int)).max() <= 1
        for ours, theirs in zip(said, meant, strict=True):
            np.testing.assert_allclose(ours, theirs, atol=1e-3)


@pytest.mark.parametrize(
    "backend",
    [
        pytest.param("openvino", marks=with_openvino),
        pytest.param("onnx", marks=with_onnx),
        pytest.param("graphs", marks=with_cuda),
    ],
)
def test_every_backend_answers_as_eager_does(backend: Backend) -> None:
    assert_same(prepared(tiny_world(), backend), tiny_world())


@pytest.mark.skipif(by_cuda.here(), reason="there is a CUDA device")
def test_graphs_need_a_device() -> None:
    with pytest.raises(ValueError, match="need a CUDA device, and torch finds none here"):
        prepared(tiny_world(), "graphs")
    assert runtime.chosen("auto") in ("openvino", "eager")


@with_cuda
def test_graphs_are_chosen_where_there_is_a_device() -> None:
    assert runtime.chosen("auto") == "graphs"


@with_compiler
def test_compiled_is_what_it_was() -> None:
    model, example = Halved(), (torch.full((2, 3), 7.0),)
    run = runtime.prepared(model, example, "compiled")
    (found,) = run(np.full((2, 3), 5.0, np.float32))
    assert (found == 2.5).all()


@with_nncf
def test_in_8_bits_the_shipped_world_answers_nearly_as_eager_does() -> None:
    world = weights.load_world()
    run, eager = prepared(world, "int8", questions(world, num=24)), prepared(world, "eager")
    decibels = []
    for question in asked(world, 16):
        (frame, *said), (truth, *meant) = run(*question), eager(*question)
        error = np.square(frame.astype(float) - truth.astype(float)).mean()
        decibels.append(10 * np.log10(255**2 / max(error, 1e-6)))
        np.testing.assert_allclose(said, meant, atol=MOST_OFF)
    assert min(decibels) > LEAST_DB
    assert np.mean(decibels) > LEAST_MEAN_DB


@with_nncf
def test_8_bits_need_questions() -> None:
    with pytest.raises(ValueError, match="need questions to be calibrated on; got 0"):
        prepared(tiny_world(), "int8", [])
    with pytest.raises(ValueError, match="no moments to begin at"):
        questions(World(WorldShape(4, height_px=32, width_px=48, channels=(8, 8, 8))))


@with_onnx
def test_an_onnx_file_answers_the_same_and_says_what_it_is(tmp_path: Path) -> None:
    world, path = tiny_world(), tmp_path / "tiny.onnx"
    assert export(world, CARD, path) == (path,)
    assert list(tmp_path.iterdir()) == [path]
    session = by_onnx.quiet_onnxruntime().InferenceSession(path, providers=["CPUExecutionProvider"])
    names = list(inputs_of(world.shape))
    assert [given.name for given in session.get_inputs()] == names
    assert [given.name for given in session.get_outputs()] == list(OUTPUTS)
    assert_same(lambda *asked: session.run(None, dict(zip(names, asked, strict=True))), world)
    about = session.get_modelmeta().custom_metadata_map
    assert json.loads(about["card"]) == CARD
    assert json.loads(about["inputs"]) == inputs_of(world.shape)
    assert json.loads(about["outputs"]) == OUTPUTS


@with_openvino
def test_an_openvino_file_answers_the_same_and_says_what_it_is(tmp_path: Path) -> None:
    world, path = tiny_world(), tmp_path / "tiny.xml"
    assert export(world, CARD, path) == (path, tmp_path / "tiny.bin")
    assert sorted(tmp_path.iterdir()) == [tmp_path / "tiny.bin", path]
    found = by_openvino.quiet_openvino().Core().read_model(path)
    assert [value.any_name for value in found.inputs] == list(inputs_of(world.shape))
    assert [value.any_name for value in found.outputs] == list(OUTPUTS)
    assert_same(by_openvino.openvino(found), world)
    about = {key: found.get_rt_info(["kineograph", key]).astype(str) for key in ("card", "inputs")}
    assert json.loads(about["card"]) == CARD
    assert json.loads(about["inputs"]) == inputs_of(world.shape)


@with_nncf
def test_a_file_in_8_bits_is_smaller_and_is_read(tmp_path: Path) -> None:
    world = tiny_world()
    playable, said = Playable(world), files.Described(CARD, inputs_of(world.shape), OUTPUTS)
    calibration = questions(world, num=2)
    path, held = files.write(playable, playable.example(), tmp_path / "8.xml", said, calibration)
    assert held.stat().st_size < sum(4 * weight.numel() for weight in world.parameters()) / 2
    run = by_openvino.openvino(by_openvino.quiet_openvino().Core().read_model(path))
    assert run(*asked(world)[0])[0].shape == (1, 3, 32, 48)


@with_onnx
@with_openvino
@pytest.mark.parametrize("name", ["tiny.onnx", "tiny.xml"])
def test_nothing_half_written_is_left(name: str, tmp_path: Path) -> None:
    path = tmp_path / name
    path.mkdir()
    with pytest.raises(OSError, match=name):
        export(tiny_world(), CARD, path)
    assert not [left for left in tmp_path.iterdir() if "part" in left.name]


@pytest.mark.parametrize(
    ("name", "int8", "said"),
    [
        ("tiny.pt", False, "exported to .onnx or .xml; got 'tiny.pt'"),
        ("tiny.onnx", True, "to an .xml; got 'tiny.onnx'"),
        ("nowhere/tiny.onnx", False, "nowhere is no folder"),
    ],
)
def test_files_that_cannot_be_written_are_refused(
    name: str, int8: bool, said: str, tmp_path: Path
) -> None:
    with pytest.raises(ValueError, match=said):
        export(tiny_world(), CARD, tmp_path / name, int8)


def test_what_is_not_installed_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(runtime, "find_spec", lambda name: None)
    with pytest.raises(ValueError, match="ONNX is not installed"):
        export(tiny_world(), CARD, tmp_path / "tiny.onnx")


def test_without_a_compiler_nothing_is_compiled(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CXX", "no-such-compiler")
    with pytest.raises(ValueError, match="none works here"):
        runtime.chosen("compiled")
