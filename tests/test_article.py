"""The article's model has its stated shapes, learns, comes back from its file and rolls out."""

from pathlib import Path

import numpy as np
import pytest
import torch

from kineograph.data import footage, shots
from kineograph.evaluate import train_article as recipe
from kineograph.evaluate.article import (
    article_baseline,
    article_card,
    load_article,
    new_article,
    save_article,
    train_article,
)


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def test_weights_come_from_the_generator_alone_and_fit_in_8_mb(tmp_path: Path) -> None:
    first, again, other = (new_article(generator(s)).state_dict() for s in (0, 0, 1))
    assert all(torch.equal(first[name], again[name]) for name in first)
    assert any(not torch.equal(first[name], other[name]) for name in first)
    save_article(new_article(generator()), tmp_path / "article.safetensors")
    assert (tmp_path / "article.safetensors").stat().st_size < 8e6


def test_three_frames_in_one_out() -> None:
    logits = new_article(generator())(torch.rand(2, 3, 3, 128, 128, generator=generator()))
    assert logits.shape == (2, 3, 128, 128)


def test_order_of_the_three_matters() -> None:
    model = new_article(generator())
    known = torch.rand(1, 3, 3, 128, 128, generator=generator())
    assert not torch.allclose(model(known), model(known.flip(1)))


def test_training_lowers_the_loss_and_repeats_to_the_bit() -> None:
    dark = torch.full((4, 3, 128, 128), -0.9)
    windows = [dark, dark + 0.1]

    def trained() -> tuple[list[float], dict[str, torch.Tensor]]:
        losses: list[float] = []
        model = train_article(windows, generator(), 3, 2, lambda _, loss: losses.append(loss))
        return losses, model.state_dict()

    (losses, weights), (losses_again, weights_again) = trained(), trained()
    assert losses == losses_again
    assert losses[-1] < losses[0]
    assert all(torch.equal(weights[name], weights_again[name]) for name in weights)
    with pytest.raises(ValueError, match="0 windows"):
        train_article([], generator())


def test_saved_weights_answer_as_before(tmp_path: Path) -> None:
    path = tmp_path / "article.safetensors"
    model = new_article(generator())
    save_article(model, path)
    context = torch.rand(3, 3, 128, 128, generator=generator()) * 2 - 1
    ours, theirs = (article_baseline(m)(context, 2) for m in (model, load_article(path)))
    torch.testing.assert_close(ours, theirs, atol=2e-3, rtol=0)
    with pytest.raises(ValueError, match="train it first"):
        load_article(tmp_path / "none.safetensors")


def dark_where_trained() -> np.ndarray:
    """A film of the real one's length, white wherever the recipe must not look."""
    value = np.full(14315, 255, np.uint8)
    for start, end in shots.learnt_shots():
        value[start:end] = 0
    return np.broadcast_to(value[:, None, None, None], (len(value), 180, 320, 3))


def test_windows_are_a_fixed_list_from_the_training_shots() -> None:
    windows = recipe.film_windows(dark_where_trained(), 64)
    assert windows.levels.shape == (64, 4, 128, 128, 3)
    assert not windows.levels.any()
    assert windows[3].shape == (4, 3, 128, 128)
    assert (windows[3] == -1).all()
    noise = np.random.default_rng(0).integers(0, 256, (1, 180, 320, 3), np.uint8)
    film = np.broadcast_to(noise, (14315, 180, 320, 3))
    first, again = (recipe.film_windows(film, 2).levels for _ in range(2))
    assert np.array_equal(first, again)
    assert not np.array_equal(first[0], first[1])


def test_the_recipe_writes_weights_that_say_what_they_are(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(footage, "fetch", lambda name: dark_where_trained())
    path = tmp_path / "article.safetensors"
    recipe.main(path, windows=3, epochs=2, number_format="fp32")
    card = article_card(path)
    assert card["steps"] == card["epochs"] == len(card["losses"]) == 2
    assert card["losses"][1] < card["losses"][0]
    assert load_article(path)(torch.rand(1, 3, 3, 128, 128)).shape == (1, 3, 128, 128)
    assert [p.name for p in tmp_path.iterdir()] == [path.name]


def test_rollout_feeds_its_own_frames_back() -> None:
    predict = article_baseline(new_article(generator()))
    context = torch.rand(3, 3, 128, 128, generator=generator()) * 2 - 1
    two = predict(context, 2)
    torch.testing.assert_close(predict(context, 1)[0], two[0])
    fed = torch.cat([context, two[:1]])
    torch.testing.assert_close(predict(fed, 1)[0], two[1], atol=1e-5, rtol=0)


@pytest.mark.parametrize(("num_known", "height", "width"), [(1, 40, 30), (5, 128, 200)])
def test_any_number_and_size_of_known_frames(num_known: int, height: int, width: int) -> None:
    predict = article_baseline(new_article(generator()))
    answer = predict(torch.zeros(num_known, 3, height, width), 2)
    assert answer.shape == (2, 3, height, width)
    assert answer.abs().max() <= 1
    with pytest.raises(ValueError, match="RGB"):
        predict(torch.zeros(2, 1, 8, 8), 1)


def test_the_documented_example_runs() -> None:
    text = (Path(__file__).parents[1] / "docs" / "article.md").read_text()
    example = text.split("```python\n")[1].split("```")[0]
    seen: dict[str, object] = {}
    exec(example, seen)
    v4 = seen["v4"]
    assert isinstance(v4, torch.Tensor)
    assert v4.shape == (1, 3, 128, 128)
