"""What is learned stays in the one network that learned it, under a name, with what it took."""

import json
import time
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from kineograph import Writer, read
from kineograph.cli import main
from kineograph.data.augment import Frames
from kineograph.data.clips import ClipSource
from kineograph.evaluate.baselines import copy_last
from kineograph.models import ahead, store, weights
from kineograph.models.net import Kineo
from kineograph.train import checkpoint, learning, log, planning
from kineograph.train.learning import Learning
from kineograph.train.loop import BEST
from kineograph.train.planning import Plan
from kineograph.video.levels import frames_of
from tests_support import TINY_SHAPE, footage


@pytest.fixture
def mine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("KINEOGRAPH_MODELS", str(tmp_path / "models"))
    monkeypatch.setenv("KINEOGRAPH_CACHE", str(tmp_path / "cache"))
    return tmp_path


@pytest.fixture
def model() -> Kineo:
    torch.manual_seed(0)
    return Kineo(TINY_SHAPE).eval().requires_grad_(False)


def source(how: Learning, model: Kineo) -> ClipSource:
    options = learning.clip_options(learning.lesson_for(how, model), 32)
    return ClipSource(footage(), [(0, 40)], options)


def held_out() -> list[Frames]:
    return [footage()[20:36, :32, :32].copy()]


def planned(run: Path, steps: int) -> Path:
    """A run that was stopped after its plan was made."""
    run.mkdir(parents=True)
    (run / learning.PLAN).write_text(json.dumps(vars(Plan(1, steps, 1.0, 100.0))))
    return run


def test_a_copy_learns_and_says_how_it_went(mine: Path, model: Kineo) -> None:
    how, heard = Learning(minutes=5.0), []
    others = {"copy": copy_last}
    run = planned(mine / "run", 3)
    learned = learning.learn(model, source(how, model), held_out(), how, run, others, heard.append)
    assert heard == [learned.plan]
    assert learned.result.finished
    assert learned.result.step == 3
    assert set(learned.decibels) == {"before", "learned", "copy"}
    assert ahead.NAME not in model.restorers
    rest = {k: v for k, v in learned.model.state_dict().items() if "restorers" not in k}
    assert all(torch.equal(v, model.state_dict()[k]) for k, v in rest.items())
    path = learning.save(learned, "noise", {"data": "1 film"})
    assert store.names() == ["noise"]
    again = weights.load("noise")
    assert isinstance(again, Kineo)
    assert isinstance(again.restorers[ahead.NAME], ahead.Ahead)
    card = weights.card("noise")
    assert card["steps"] == 3
    assert card["held_out_decibels"] == learned.decibels
    assert str(mine) not in json.dumps(card)
    assert path.stat().st_size > 0


def test_what_was_learned_goes_on_being_learned(mine: Path, model: Kineo) -> None:
    how = Learning(minutes=5.0)
    run = planned(mine / "run", 2)
    first = learning.learn(model, source(how, model), [], how, run)
    further = learning._start(first.model, learning.lesson_for(how, first.model), how)
    kept = first.model.restorers[ahead.NAME].state_dict()
    assert all(torch.equal(v, kept[k]) for k, v in further.state_dict().items())
    anew = learning._start(first.model, learning.lesson_for(how, model), Learning(scratch=True))
    assert any(not torch.equal(v, kept[k]) for k, v in anew.state_dict().items())


def test_too_little_time_is_said_before_the_first_step(mine: Path, model: Kineo) -> None:
    how = Learning(minutes=0.01)
    with pytest.raises(ValueError, match=r"give --minutes \d"):
        learning.learn(model, source(how, model), [], how, mine / "run")
    assert not (mine / "run").exists()


def test_the_plan_is_within_time_and_memory(mine: Path, model: Kineo) -> None:
    how = Learning(minutes=60.0)
    lesson = learning.lesson_for(how, model)
    net, began = learning._start(model, lesson, how), time.monotonic() - 60
    plan = planning.chosen(net, lesson, source(how, model), how.minutes, how.seed, began)
    assert 1 <= plan.batch_size <= lesson.batch_size
    assert plan.steps * plan.seconds_a_step <= 59 * 60
    assert plan.peak_mb > 0


def test_a_name_that_is_taken_is_not_learned_over(mine: Path, capsys) -> None:
    film = mine / "film.mkv"
    with Writer(film, width=128, height=72, fps=24, quality="exact") as writer:
        writer.write(frames_of(np.ascontiguousarray(footage())))
    planned(store.run_folder("noise"), 2)
    (store.run_folder("noise") / "checkpoints").mkdir()
    with pytest.raises(SystemExit):
        main(["learn", str(film), "--name", "noise", "--minutes", "1"])
    assert "--resume" in capsys.readouterr().err


def test_a_film_is_learned_from_the_command_line(mine: Path, capsys) -> None:
    film = mine / "film.mkv"
    with Writer(film, width=128, height=72, fps=24, quality="exact") as writer:
        writer.write(frames_of(np.ascontiguousarray(np.concatenate([footage()] * 3))))
    planned(store.run_folder("noise"), 2)
    main(["learn", str(film), "--name", "noise", "--minutes", "5", "--size-px", "32", "--resume"])
    said = capsys.readouterr().err
    assert "2 steps of 1 clips" in said
    assert "learned:" in said
    assert "dis:" in said
    assert store.names() == ["noise"]
    assert film.exists()


def test_another_task_is_learned_by_its_own_network_alone(mine: Path, capsys) -> None:
    film = mine / "film.mkv"
    with Writer(film, width=128, height=72, fps=24, quality="exact") as writer:
        writer.write(frames_of(np.ascontiguousarray(np.concatenate([footage()] * 4))))
    planned(store.run_folder("clear"), 2)
    asked = ["--name", "clear", "--task", "denoise", "--size-px", "32", "--resume"]
    main(["learn", str(film), *asked])
    said = capsys.readouterr().err
    assert "classical start:" in said
    assert "before:" in said
    before, after = weights.load(), weights.load("clear")
    changed = {
        name.split(".")[1] if name.startswith("restorers") else name
        for name, value in after.state_dict().items()
        if not torch.equal(value.half(), before.state_dict()[name].half())
    }
    assert changed == {"clean"}
    assert "Does it repeat" not in (store.page("clear") / "card.md").read_text()


@pytest.mark.parametrize(("what", "wrong"), [("minutes", 0.0), ("lesson", "flying")])
def test_what_cannot_be_is_refused(what: str, wrong: object) -> None:
    with pytest.raises(ValueError, match=str(wrong)):
        Learning(**{what: wrong})  # pyright: ignore[reportArgumentType]


def test_changes_of_low_rank_are_learned_beside_fixed_weights(mine: Path, model: Kineo) -> None:
    torch.manual_seed(2)
    model.restorers[ahead.NAME] = ahead.Ahead().requires_grad_(False)
    how = Learning(minutes=5.0, lora=2, patience=0)
    learned = learning.learn(model, source(how, model), [], how, planned(mine / "run", 3))
    before, after = model.restorers[ahead.NAME], learned.model.restorers[ahead.NAME]
    mine_, yours = before.state_dict(), after.state_dict()
    assert mine_.keys() == yours.keys()
    changed = {k for k in mine_ if not torch.equal(mine_[k], yours[k])}
    assert changed
    assert all(k.endswith("weight") for k in changed)
    saved = checkpoint.load_latest(mine / "run" / "checkpoints")
    assert saved is not None
    assert sum(v.numel() for k, v in saved.optimizer.items() if k.endswith("exp_avg")) < 40_000
    with pytest.raises(ValueError, match="leave out lora"):
        Learning(lora=2, scratch=True)


def test_it_ends_when_it_gets_no_better_and_takes_the_best(mine: Path, model: Kineo) -> None:
    """A learning rate so large spoils everything: the first look is the best."""
    how = Learning(minutes=5.0, patience=2, learning_rate=0.3, scratch=True)
    run = planned(mine / "run", 160)
    learned = learning.learn(model, source(how, model), held_out(), how, run)
    looks = [line for line in log.read(run) if "held_out/log-error" in line]
    assert learned.result.step < 160
    assert learned.result.finished
    values = [line["held_out/log-error"] for line in looks]
    assert len(values) - 1 - values.index(min(values)) == 2
    best = load_file(run / BEST)
    kept = learned.model.restorers[ahead.NAME].state_dict()
    assert all(torch.equal(best[name], kept[name]) for name in best)


def test_a_model_with_an_example_imagines_new_films_of_it(mine: Path, model: Kineo, capsys) -> None:
    model.example = learning.example_of([(footage(), ((0, 10), (10, 40)))])
    path = store.place("noise")
    path.parent.mkdir(parents=True)
    weights.save(model, path, {"name": "noise", "fps": "24"})
    again = weights.load("noise")
    assert isinstance(again, Kineo)
    assert again.example is not None
    assert torch.equal(again.example, model.example)
    out = mine / "new.mkv"
    size = ["--width", "48", "--height", "32", "--seconds", "0.2"]
    main(["generate", "--model", "noise", "-o", str(out), *size])
    made = read(out)
    assert made.frames.shape == (5, 3, 32, 48)
    assert made.fps == 24
    with pytest.raises(SystemExit):
        main(["generate", "--model", "kineo-small", "-o", str(out)])
    assert "holds no example" in capsys.readouterr().err
