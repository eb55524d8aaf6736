"""A model's name is all that a verb needs, and no model is lost by giving or taking it."""

import shutil
from pathlib import Path

import pytest

from kineograph.cli import main
from kineograph.models import store, weights
from kineograph.models.restorer import Restorer, RestorerShape


@pytest.fixture
def mine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "models"
    monkeypatch.setenv("KINEOGRAPH_MODELS", str(folder))
    return folder


def a_map(path: Path) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    weights.save(Restorer(RestorerShape(1, 1, (8, 8, 8))), path, {"recipe": "by hand"})
    return path


def test_a_model_comes_in_is_listed_goes_out_and_is_removed(
    mine: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    given = a_map(tmp_path / "given.safetensors")
    main(["models", "import", "fire", str(given)])
    assert store.names() == ["fire"]
    main(["models"])
    assert "fire" in capsys.readouterr().out
    main(["models", "show", "fire"])
    assert "by hand" in capsys.readouterr().out
    main(["models", "export", "fire", str(tmp_path / "out.safetensors")])
    assert (tmp_path / "out.safetensors").read_bytes() == given.read_bytes()
    with pytest.raises(SystemExit):  # gone for good only if that is said
        main(["models", "remove", "fire"])
    assert store.names() == ["fire"]
    main(["models", "remove", "fire", "--yes"])
    assert store.names() == []
    assert list(mine.iterdir()) == []


def test_nothing_is_written_over(mine: Path, tmp_path: Path):
    first = a_map(tmp_path / "first.safetensors")
    store.take_in(first, "fire")
    for again in (lambda: store.take_in(first, "fire"), lambda: store.export("fire", first)):
        with pytest.raises(ValueError, match="there already"):
            again()


def test_a_file_that_is_no_model_does_not_come_in(mine: Path, tmp_path: Path):
    bad = tmp_path / "bad.safetensors"
    bad.write_bytes(b"\x80\x04\x95 no model")
    with pytest.raises(SystemExit):
        main(["models", "import", "fire", str(bad)])
    assert store.names() == []


def test_a_broken_file_is_listed_with_what_is_wrong(mine: Path, capsys: pytest.CaptureFixture[str]):
    mine.mkdir()
    (mine / "torn.safetensors").write_bytes(b"torn")
    main(["models"])
    assert "no readable" in " ".join(capsys.readouterr().out.split())


@pytest.mark.parametrize("name", ["", "Fire", "../fire", "a/b", "kineo-small", "x" * 65, "-a", "é"])
def test_names_that_cannot_be_are_refused(mine: Path, name: str):
    with pytest.raises(ValueError, match="cannot be called"):
        store.place(name)


def test_a_shipped_name_is_never_taken_from_the_store(mine: Path):
    mine.mkdir()
    shutil.copyfile(weights.ASSETS / "article.safetensors", mine / "kineo-small.safetensors")
    assert weights.path_of("kineo-small").parent == weights.ASSETS


def test_an_unknown_model_says_which_there_are(mine: Path):
    a_map(mine / "fire.safetensors")
    with pytest.raises(ValueError, match="kineo-small, fire"):
        weights.path_of("smoke")
    with pytest.raises(ValueError, match="no model"):
        weights.path_of("../../etc/passwd")
