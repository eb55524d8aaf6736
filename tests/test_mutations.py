"""No formula of the kernel can be changed without a check that notices.

Every mutant is the kernel with one change: a named mistake, or one operator swapped for its
opposite. It must fail one of the `check_*` functions below, and the kernel must pass them all.
"""

import ast
import copy
import math
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType, SimpleNamespace

import pytest
import torch
from torch import Tensor

from gaussian import SHAPE, affine, smooth_video

SOURCE = Path(__file__).parent.parent / "src" / "kineograph"
MODULES = ("shapes", "flow", "known", "schedule", "guidance", "sample")  # in order of import
VIDEO = smooth_video()


def near(one: Tensor, other: Tensor | list, tolerance: float = 1e-6) -> bool:
    return torch.allclose(one.double(), torch.as_tensor(other).double(), rtol=0, atol=tolerance)


def refuses(call, *arguments, words: str = "", **named) -> bool:
    try:
        call(*arguments, **named)
    except ValueError as error:
        return words in str(error)
    return False


def rand(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def check_grid(kernel: SimpleNamespace) -> None:
    grid, picture = kernel.shapes.Grid(3, 5, 4), rand(2, 3, 5)
    padded = grid.pad(picture)
    assert padded.shape == (2, 4, 8)
    assert torch.equal(padded[:, 3, 5:], picture[:, 2, 4:].expand(2, 3))
    assert torch.equal(grid.crop(padded), picture)
    assert refuses(grid.pad, padded)
    assert refuses(grid.crop, picture)
    assert refuses(kernel.shapes.Grid, 3, 5, 0)
    assert kernel.shapes.Grid(1, 1, 1).padded_width == 1


def check_flow(kernel: SimpleNamespace) -> None:
    clean, noise, sigma = rand(3), rand(3, seed=1), torch.tensor([0.0, 0.25, 1.0]).double()
    noisy = kernel.flow.noised(clean, noise, sigma)
    assert near(noisy, (1 - sigma) * clean + sigma * noise)
    velocity = kernel.flow.velocity(clean, noise)
    assert near(velocity, noise - clean)
    assert near(kernel.flow.clean_from_velocity(noisy, velocity, sigma), clean)
    told = kernel.flow.velocity_from_clean(noisy + 1, clean + 1, sigma)
    assert near(told[1:], velocity[1:])
    assert kernel.flow.velocity_from_clean(noisy, clean + 1, sigma)[0] == 0
    higher = torch.tensor([0.5, 0.5, 1.0]).double()
    again = kernel.flow.renoised(noisy, noise, sigma, higher)
    assert near(again, (1 - higher) * clean + higher * noise)


def check_known(kernel: SimpleNamespace) -> None:
    Known, frames = kernel.known.Known, rand(1, 4, 1, 1, 2)
    assert Known.nothing(1, 4, 1, 1, 2).sigma.min() == 1
    past = Known.exactly(frames)[:2].followed_by(1).preceded_by(1)
    assert past.sigma[0, :, 0, 0, 0].tolist() == [1, 0, 0, 1]
    assert torch.equal(past.frames[:, 1:3], frames[:, :2])
    assert past.frames[:, [0, 3]].abs().max() == 0
    ends = Known.exactly(frames).at_frames([0, -1])
    assert ends.sigma[0, :, 0, 0, 0].tolist() == [0, 1, 1, 0]
    worse = Known.exactly(frames + 1).forget(0.5)
    assert (worse.sigma == 0.5).all()
    for both in (ends | worse, worse | ends):
        assert both.sigma[0, :, 0, 0, 0].tolist() == [0, 0.5, 0.5, 0]
        assert torch.equal(both.frames[:, 0], frames[:, 0])
        assert torch.equal(both.frames[:, 1], frames[:, 1] + 1)
    assert torch.equal((worse | Known.exactly(frames + 2).forget(0.5)).frames, frames + 1)
    assert refuses(Known, frames, ends.sigma + 0.5, words="from 0.5 to 1.5")
    assert refuses(Known, frames, worse.sigma - 0.6)
    assert refuses(Known, frames, worse.sigma[:, :, :, :, :1])
    assert refuses(Known, frames.long(), worse.sigma)
    assert refuses(Known, frames[0], worse.sigma[0])
    assert refuses(Known, frames * math.nan, worse.sigma)
    assert refuses(ends.at_frames, [4])
    assert refuses(ends.at_frames, [-5])
    assert refuses(ends.followed_by, -1)
    assert ends.followed_by(0).num_frames == 4
    assert refuses(lambda: ends | past[1:])
    guide = kernel.known.Guide(frames, 1 - ends.sigma)
    assert guide.frames[:, 1:3].abs().max() == 0
    assert torch.equal(guide.frames[:, 0], frames[:, 0])
    assert kernel.known.Guide.none_like(ends).trust.max() == 0


def check_schedule(kernel: SimpleNamespace) -> None:
    make = kernel.schedule
    assert near(make.joint(4, 2)[:, 1], [1, 0.75, 0.5, 0.25, 0])
    assert near(make.joint(4, 2, shift=3.0)[:, 0], [1, 0.9, 0.75, 0.5, 0])
    blocks = [[1, 1, 1], [0.5, 0.5, 1], [0, 0, 1], [0, 0, 0.5], [0, 0, 0]]
    assert near(make.autoregressive(2, 3, block=2), blocks)
    assert near(make.pyramid(2, 2), [[1, 1], [0.5, 1], [0, 0.5], [0, 0]])
    assert near(make.autoregressive(1, 2, block=1), [[1, 1], [0, 1], [0, 0]])
    assert len(make.joint(1, 1)) == 2
    assert refuses(make.joint, 0, 2)
    assert refuses(make.joint, 2, 0)
    assert refuses(make.autoregressive, 2, 2, block=0)
    assert refuses(make.pyramid, 2, 2, lag=-1)
    assert refuses(make.joint, 2, 2, shift=0.0)
    assert refuses(make.joint, 2, 2, shift=math.inf)


def _error(kernel: SimpleNamespace, sampler, schedule: Tensor) -> float:
    """How far the law of the answers is from the true one, when the first frame is known."""
    frames = rand(*SHAPE)

    def answer(noise: Tensor) -> Tensor:
        known = kernel.known.Known.exactly(frames.expand(len(noise), *SHAPE)).at_frames([0])
        return sampler(VIDEO.velocity, known, noise, schedule)

    mean, gain = affine(answer)
    seen = torch.zeros(SHAPE, dtype=torch.bool)
    seen[0] = True
    truth = VIDEO.given(seen.flatten(), frames.flatten())
    wrong_mean = (mean - truth.mean).abs().max()
    return max(wrong_mean, (gain @ gain.T - truth.covariance).abs().max()).item()


def check_law(kernel: SimpleNamespace) -> None:
    for sampler, order in ((kernel.sample.euler, 1), (kernel.sample.heun, 2)):
        coarse, fine = (_error(kernel, sampler, kernel.schedule.joint(n, 4)) for n in (16, 32))
        assert fine < 0.1
        assert abs(math.log2(coarse / fine) - order) < 0.3
    assert _error(kernel, kernel.sample.heun, kernel.schedule.pyramid(16, 4, lag=4)) < 0.02


def check_rude(kernel: SimpleNamespace) -> None:
    def rude(latents: Tensor, sigma: Tensor) -> Tensor:
        return torch.where(sigma == 0, -3e38, latents.tanh())

    known = kernel.known.Known.exactly(rand(1, *SHAPE)).at_frames([0, 2])
    noise, schedule = rand(1, *SHAPE, seed=1), kernel.schedule.autoregressive(3, 4, block=3)
    for sampler in (kernel.sample.euler, kernel.sample.heun):
        answer = sampler(rude, known, noise, schedule)
        assert torch.equal(answer[:, [0, 2]], known.frames[:, [0, 2]])
        assert refuses(sampler, lambda x, sigma: x / 0, known, noise, schedule)
        assert refuses(sampler, rude, known, noise[0], schedule)
        for bad in (schedule[:-1], schedule[1:], schedule[[0, 2, 1, -1]], schedule[:, :3]):
            assert refuses(sampler, rude, known, noise, bad)


def check_calls(kernel: SimpleNamespace) -> None:
    known = kernel.known.Known.exactly(rand(1, *SHAPE)).at_frames([0, 1])
    schedule = kernel.schedule.autoregressive(3, 4)
    for sampler, expected in ((kernel.sample.euler, 6), (kernel.sample.heun, 10)):
        calls, heard = [], []
        sampler(
            lambda x, sigma, calls=calls: calls.append(sigma) or torch.ones_like(x),
            known,
            rand(1, *SHAPE),
            schedule,
            lambda *done, heard=heard: heard.append(done),
        )
        assert len(calls) == expected
        assert heard == [(step, 12) for step in range(1, 13)]


def check_guidance(kernel: SimpleNamespace) -> None:
    known = kernel.known.Known.exactly(rand(1, *SHAPE)).at_frames([0, 1])
    x, noise, sigma = rand(1, *SHAPE), rand(1, *SHAPE, seed=1), 0.7 * known.sigma

    def one(latents: Tensor, sigma: Tensor) -> Tensor:
        return latents + sigma

    def two(latents: Tensor, sigma: Tensor) -> Tensor:
        return 2 * latents

    def never(latents: Tensor, sigma: Tensor) -> Tensor:
        raise AssertionError("asked for nothing")

    make = kernel.guidance
    guided = make.classifier_free(one, two, 3.0)(x, sigma)
    assert near(guided, two(x, sigma) + 3 * (one(x, sigma) - two(x, sigma)))
    make.classifier_free(one, never, 1.0)(x, sigma)
    assert near(make.history(one, [two, two], [0.5, 1.0])(x, sigma), 3 * x - 0.5 * one(x, sigma))
    assert refuses(make.history, one, [two], [0.5, 1.0])
    told = torch.cat([torch.full_like(sigma[:, :2], 0.8), sigma[:, 2:]], dim=1)
    noisier = torch.cat([0.2 * x[:, :2] + 0.8 * noise[:, :2], x[:, 2:]], dim=1)
    assert near(make.forgetting(one, known, noise, 0.8)(x, sigma), noisier + told)


CHECKS = [value for name, value in dict(globals()).items() if name.startswith("check_")]

NAMED = [
    ("flow", "torch.lerp(clean, noise,", "torch.lerp(noise, clean,"),
    ("flow", "return noise - clean", "return clean - noise"),
    ("flow", "sigma.masked_fill(sigma == 0, torch.inf)", "sigma"),
    ("schedule", "return shifted(1 - steps_done / num_steps, shift)", "return steps_done"),
    ("schedule", "shifted(1 - steps_done / num_steps, shift)", "(1 - steps_done / num_steps)"),
    ("schedule", ".clamp(0, num_steps)", ""),
    ("schedule", "rows[:, None] - starts", "rows[:, None] - starts.flip(0)"),
    ("schedule", "num_steps * (_frames(num_frames) // block)", "_frames(num_frames) // block"),
    ("sample", "torch.minimum(level, known.sigma)", "level + 0 * known.sigma"),
    ("sample", "torch.minimum(next_level, known.sigma)", "next_level + 0 * known.sigma"),
    ("sample", "pairwise(levels)", "pairwise(levels.flip(0))"),
    ("sample", "(1 - half) * slope + half * ahead", "slope"),
    ("sample", "(1 - half) * slope + half * ahead", "ahead"),
    ("sample", "0.5 * (", "1.0 * ("),
    ("sample", "(next_sigma > 0) & ", ""),
    ("sample", "if not torch.equal(sigma, next_sigma):", "if True:"),
    ("sample", "return noised(known.frames, noise, known.sigma)", "return noise"),
    ("sample", "    _check(schedule, known.num_frames)\n", ""),
    ("sample", "    if num_bad:", "    if False:"),
    ("known", "_kept(self.frames, self.sigma < 1)", "self.frames"),
    ("known", "torch.where(inside, self.sigma, 1.0)", "torch.where(inside, 1.0, self.sigma)"),
    ("known", "_joined(self, self._unknown(num_frames))", "_joined(self, self)"),
    ("guidance", "torch.where(known.sigma < 1, torch.maximum(sigma, least), sigma)", "least"),
    ("guidance", "flow.renoised(latents, noise, sigma, noisier)", "latents"),
    ("guidance", "(1 - sum(weights), without)", "(1, without)"),
    ("shapes", "clamp(max=self.height - 1)", "remainder(self.height)"),
]  # fmt: skip

OPPOSITES = {
    ast.Add: ast.Sub, ast.Sub: ast.Add, ast.Mult: ast.Div, ast.Div: ast.Mult,
    ast.Lt: ast.GtE, ast.GtE: ast.Lt, ast.Gt: ast.LtE, ast.LtE: ast.Gt,
    ast.Eq: ast.NotEq, ast.NotEq: ast.Eq,
}  # fmt: skip
SWAPPED_NAMES = {"minimum": "maximum", "maximum": "minimum", "min": "max", "max": "min"}


def sites(tree: ast.AST) -> Iterator[ast.AST]:
    """Every operator, comparison and minimum of a module, but for those in its messages."""
    for node in ast.iter_child_nodes(tree):
        if isinstance(node, ast.JoinedStr | ast.Raise):
            continue
        operator = node.op if isinstance(node, ast.BinOp) else None
        operator = node.ops[0] if isinstance(node, ast.Compare) else operator
        named = isinstance(node, ast.Attribute) and node.attr in SWAPPED_NAMES
        if type(operator) in OPPOSITES or named:
            yield node
        yield from sites(node)


def swap(node: ast.AST) -> None:
    if isinstance(node, ast.Attribute):
        node.attr = SWAPPED_NAMES[node.attr]
    elif isinstance(node, ast.BinOp):
        node.op = OPPOSITES[type(node.op)]()
    elif isinstance(node, ast.Compare):
        node.ops[0] = OPPOSITES[type(node.ops[0])]()


def read(name: str) -> str:
    return (SOURCE / f"{name}.py").read_text(encoding="utf-8")


def swapped() -> Iterator[tuple[str, str, str]]:
    """(label, module, mutated source) for each operator of the kernel."""
    for name in MODULES:
        tree = ast.parse(read(name))
        for index, site in enumerate(sites(tree)):
            mutant = copy.deepcopy(tree)
            swap(list(sites(mutant))[index])
            yield f"{name}: {ast.unparse(site)}", name, ast.unparse(mutant)


def load(changes: dict[str, str], monkeypatch: pytest.MonkeyPatch) -> SimpleNamespace:
    """The kernel's modules, some with another source, as a package of their own."""
    package = ModuleType("mutant")
    monkeypatch.setitem(sys.modules, "mutant", package)
    for name in MODULES:
        module = ModuleType(f"mutant.{name}")
        monkeypatch.setitem(sys.modules, module.__name__, module)
        source = changes.get(name, read(name)).replace("from kineograph", "from mutant")
        exec(compile(source, f"mutant/{name}.py", "exec"), module.__dict__)
        setattr(package, name, module)
    return SimpleNamespace(**{name: getattr(package, name) for name in MODULES})


def survives(changes: dict[str, str], monkeypatch: pytest.MonkeyPatch) -> bool:
    try:
        kernel = load(changes, monkeypatch)
        for check in CHECKS:
            check(kernel)
    except Exception:  # a mutant may die of anything
        return False
    return True


@pytest.mark.parametrize("check", CHECKS)
def test_the_kernel_passes_every_check(check, monkeypatch: pytest.MonkeyPatch) -> None:
    check(load({}, monkeypatch))


@pytest.mark.parametrize(("module", "right", "wrong"), NAMED)
def test_a_mistake_is_noticed(module, right, wrong, monkeypatch: pytest.MonkeyPatch) -> None:
    source = read(module)
    assert right in source, f"{module}.py has changed: bring this mutation up to date"
    assert not survives({module: source.replace(right, wrong)}, monkeypatch)


def test_no_operator_can_be_swapped_unnoticed(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in MODULES:
        assert survives({name: ast.unparse(ast.parse(read(name)))}, monkeypatch)
    mutants = list(swapped())
    assert len(mutants) > 50
    alive = [label for label, name, source in mutants if survives({name: source}, monkeypatch)]
    assert alive == []
