"""The peer is asked by its own rules, and what both came to is counted as the report says."""

import json
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

import pytest
import torch

from kineograph.cli import main
from kineograph.evaluate import bench_peer, diffusion_peer
from kineograph.evaluate.bench_peer import Pace, comparison
from kineograph.evaluate.diffusion_peer import WAYS, Asked, next_frame
from kineograph.evaluate.peers import standing_in
from tests_support import footage, panning

installed = pytest.mark.skipif(
    any(find_spec(package) is None for package in diffusion_peer.PACKAGES),
    reason="the peer is not installed",
)


@dataclass
class Prophet:
    """A diffusion in the package's terms that knows the noise in all it is shown."""

    film: torch.Tensor

    def __post_init__(self) -> None:
        angle = torch.linspace(0.0, 1.0, 1000) * torch.pi / 2 * 0.99 + 0.01
        self.sqrt_alphas_cumprod, self.sqrt_one_minus_alphas_cumprod = angle.cos(), angle.sin()
        self.shown: list[tuple[int, torch.Tensor]] = []

    def denoise_fn(self, noised: torch.Tensor, at: torch.Tensor) -> torch.Tensor:
        frames = noised[0].movedim(0, 1)
        signal, spread = diffusion_peer.scales(self, int(at))
        noise = (frames - signal * self.film) / spread
        self.shown.append((int(at), noise))
        return noise.movedim(1, 0)[None]

    def predict_start_from_noise(
        self, noised: torch.Tensor, at: torch.Tensor, noise: torch.Tensor
    ) -> torch.Tensor:
        signal, spread = diffusion_peer.scales(self, int(at))
        return (noised - spread * noise) / signal


@pytest.mark.parametrize("way", list(WAYS))
def test_who_knows_the_noise_foretells_the_film(way: str, generator: torch.Generator) -> None:
    film = panning(8, 1.0)
    prophet = Prophet(film)
    found = next_frame(prophet, film[:7], WAYS[way], generator)
    torch.testing.assert_close(found, film[7:], atol=1e-4, rtol=0)
    for at, noise in prophet.shown:  # known frames are at every level as noisy as it says
        assert noise[:7].std() == pytest.approx(1, abs=0.02), at
    assert len(prophet.shown) == WAYS[way].rounds * (len(WAYS[way].times) - 1) + 1


def test_the_last_frame_is_where_it_begins_only_where_asked(generator: torch.Generator) -> None:
    film = panning(8, 3.0)
    bias = []
    for from_last in (False, True):
        prophet = Prophet(torch.cat([film[:7], film[6:7]]))
        next_frame(prophet, film[:7], Asked((500,), from_last=from_last), generator)
        bias.append(float((prophet.shown[0][1][-1] * film[6]).mean().abs()))
    assert bias[1] < 0.02 < bias[0]


def test_noise_is_added_to_just_the_higher_level(generator: torch.Generator) -> None:
    prophet, ones = Prophet(torch.zeros(1)), torch.ones(1, 3, 200, 200)
    noise = [torch.randn(ones.shape, generator=generator) for _ in range(2)]
    less = diffusion_peer.mixed(prophet, ones, noise[0], 200)
    more = diffusion_peer.raised(prophet, less, noise[1], 200, 700)
    signal, spread = diffusion_peer.scales(prophet, 700)
    assert more.mean() == pytest.approx(float(signal), abs=0.01)
    assert more.std() == pytest.approx(float(spread), rel=0.01)


def test_the_peers_clips_are_the_middle_of_stretches_of_the_film() -> None:
    source = diffusion_peer.clips_of([(footage(), ((0, 9), (20, 24)))], 72)
    found = {bytes(source(0, n)) for n in range(20)}
    assert found == {footage()[t : t + 8, :, 28:100].tobytes() for t in (0, 1)}


def test_what_both_came_to_by_hand() -> None:
    ours, theirs = Pace(600, 60.0, 2.0, 4, draws=5), Pace(12, 120.0, 2.0, 8)
    decibels = {"learned mean": 30.0, "copy": 31.0, "peer, a": 20.0, "peer, b": 22.0}
    found = comparison(ours, theirs, decibels)
    assert found.times_clips_per_second == pytest.approx(100)
    assert found.times_clips_per_minute == pytest.approx(50)
    assert found.times_frames_per_second == pytest.approx(50)
    assert found.times_new_clips_per_second == pytest.approx(20)
    assert (found.peer_way, found.gain) == ("peer, b", 8.0)
    text = bench_peer.page(found, {"learned": ours, "peer": theirs}, {"film": "f.mkv"})
    assert "| learned | 600 | 60.0 | 10 | 300 | 30.00 |" in text
    assert "| peer | 12 | 120.0 | 0.1 | 6 | 22.00 |" in text
    assert "100.0 times as many clips a second" in text


def test_what_stands_in_is_gone_again() -> None:
    with standing_in(no_such_package={"thing": 3}, json={}):
        import no_such_package  # pyright: ignore[reportMissingImports]

        assert no_such_package.thing == 3
        assert json.loads("1") == 1, "what is there stays itself"
    assert find_spec("no_such_package") is None


def test_without_its_packages_the_peer_says_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys
) -> None:
    monkeypatch.setattr(diffusion_peer, "PACKAGES", ("no_such_package",))
    with pytest.raises(SystemExit):
        main(["bench", "peer", "--out", str(tmp_path)])
    assert "The peer needs no_such_package" in capsys.readouterr().err


@installed
def test_a_small_peer_learns_a_film_and_answers(generator: torch.Generator) -> None:
    diffusion, again = (diffusion_peer.load(16, dim=8) for _ in range(2))
    source = diffusion_peer.clips_of([(footage(), ((0, 40),))], 16)
    before = torch.cat([p.flatten() for p in again.parameters()])
    assert torch.equal(before, torch.cat([p.flatten() for p in diffusion.parameters()]))
    num_clips, seconds = diffusion_peer.train(diffusion, source, 0.01)
    assert num_clips >= 1
    assert seconds >= 0.6
    assert not torch.equal(before, torch.cat([p.flatten() for p in diffusion.parameters()]))
    known = torch.rand(8, 3, 16, 16, generator=generator) * 2 - 1
    rows = bench_peer.rows_of(diffusion)
    assert len(rows) == len(WAYS)
    for answer in (rows["peer, from noise, twice"], rows["peer, from the last frame at 0.1"]):
        made = answer(known, 1)
        assert made.shape == (1, 3, 16, 16)
        assert torch.isfinite(made).all()
    assert torch.equal(made, answer(known, 1)), "the last one, again"
