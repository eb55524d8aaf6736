"""A world is learned by foretelling recorded games from its own frames, and by dreaming on.

What cannot be foretold is told to it in training by a guesser that sees the next frame, at the
price of saying it (arXiv 1802.07687, arXiv 1804.01523): so frames stay sharp, and the luck that is
drawn when a person plays means something. Then a critic judges both what was foretold and dreams
that went on by themselves for hundreds of frames, so that these do not wear out.
"""

from dataclasses import dataclass
from typing import NamedTuple

import torch
from jaxtyping import Float, Int64, UInt8
from torch import Tensor, nn
from torch.nn import functional as F
from torch.optim import AdamW, Optimizer

from kineograph.data.loader import Batch
from kineograph.models.critic import Critic, fooled, told_apart
from kineograph.models.layers import zeroed
from kineograph.models.luck import Odds, Spread, divergence
from kineograph.models.unet import Block
from kineograph.models.world import (
    CELL_PX,
    STRIDE_PX,
    Foreseen,
    World,
    WorldShape,
)
from kineograph.train.scoring import FLOOR
from kineograph.video.levels import from_levels, in_bytes, to_8_bits

SPREAD_PRICE = 3e-3
"""The price of one nat of luck, in logarithms of a frame's squared error. That is many times what
it is worth to the error alone, so that only what happens is told, and not how each edge falls."""
JUDGED_PRICE = 0.2
WORN_SHARE, MOST_WORN = 0.4, 0.3
"""How much of what is seen is worn, and how far at most (of a range of 2)."""
KAPPA = 0.4
"""How hard the critic pulls at each frame beside the truth."""
MOST_AGE, RENEWED = 800, 0.01
"""Dreams that are older, in frames, and a few others, begin anew."""
HELD = 0.8
"""How often a dream's action is held on to."""
CRITIC_BETAS = (0.5, 0.99)


class Guesser(nn.Module):
    """What luck there was, seen from the last frame and the one that came."""

    def __init__(self, shape: WorldShape, channels: tuple[int, int] = (96, 160)) -> None:
        super().__init__()
        fine, coarse = channels
        self.look = nn.Sequential(
            nn.Conv2d(6 * CELL_PX**2, fine, 1),
            Block(fine),
            nn.Conv2d(fine, coarse, STRIDE_PX // CELL_PX, STRIDE_PX // CELL_PX),
            Block(coarse),
        )
        self.shape, self.say = shape, nn.Conv2d(coarse, shape.num_said, 1)
        if not shape.ways:  # ways that are all alike would never part
            zeroed(self.say)

    def forward(
        self, last: Float[Tensor, "n 3 h w"], came: Float[Tensor, "n 3 h w"]
    ) -> Spread | Odds:
        seen = F.pixel_unshuffle(torch.cat([came - last, came], 1), CELL_PX)
        return self.shape.luck_of(self.say(self.look(seen)))


class Studied(nn.Module):
    """A world with all that it is learned by. Its dreams are kept as bytes, with their ages."""

    dreamed: UInt8[Tensor, "d p 3 h w"]
    plates: UInt8[Tensor, "d 3 h w"]
    ages: Int64[Tensor, " d"]

    def __init__(self, world: World, num_dreams: int) -> None:
        super().__init__()
        shape = world.shape
        self.world, self.guesser, self.critic = world, Guesser(shape), Critic(shape)
        size = (3, shape.height_px, shape.width_px)
        dreamed = torch.zeros(num_dreams, shape.num_past, *size, dtype=torch.uint8)
        self.register_buffer("dreamed", dreamed)
        self.register_buffer("plates", torch.zeros(num_dreams, *size, dtype=torch.uint8))
        self.register_buffer("ages", torch.full((num_dreams,), MOST_AGE))


class Lived(NamedTuple):
    """What a world made of several steps: frames with the two before each, and the actions."""

    frames: Float[Tensor, "m 3 h w"]
    before: Float[Tensor, "m 2 3 h w"]
    actions: Float[Tensor, "m a"]


@dataclass(frozen=True)
class Study:
    """The objective. judged: whether the critic has a say; num_dreamed: dreams in a batch."""

    judged: bool = True
    num_dreamed: int = 16

    def __call__(
        self, model: nn.Module, batch: Batch, generator: torch.Generator
    ) -> tuple[Tensor, dict[str, Tensor]]:
        assert isinstance(model, Studied)
        lived, error, rest, parts = foretold(model, batch, generator)
        if not self.judged:
            return error + rest, parts
        return self._judged(model, batch, (lived, error, rest, parts), generator)

    def _judged(
        self,
        model: Studied,
        batch: Batch,
        found: tuple[Lived, Tensor, Tensor, dict[str, Tensor]],
        generator: torch.Generator,
    ) -> tuple[Tensor, dict[str, Tensor]]:
        lived, error, rest, parts = found
        dreams = dreamed_on(model, batch, self.num_dreamed, generator)
        made = Lived(*(torch.cat(pair) for pair in zip(lived, dreams, strict=True)))
        model.critic.requires_grad_(False)
        verdict = model.critic(in_order(made), made.actions)
        model.critic.requires_grad_(True)
        to_fool = torch.autograd.grad(fooled(verdict), made.frames)[0]
        to_match = torch.autograd.grad(error, lived.frames, retain_graph=True)[0]
        among = to_fool[: len(lived.frames)].norm() + 1e-12
        pull = (KAPPA * to_match.norm() / among * to_fool).detach()
        apart = told_apart(
            model.critic(real_of(model, batch), actions_of(model, batch)),
            model.critic(in_order(made).detach(), made.actions),
            batch.extra["there"].flatten(),
        )
        parts |= {"critic": apart.detach(), "fooled": fooled(verdict).detach()}
        return error + rest + (pull * made.frames).sum() + apart, parts


def foretold(
    model: Studied, batch: Batch, generator: torch.Generator
) -> tuple[Lived, Tensor, Tensor, dict[str, Tensor]]:
    """Steps from recorded frames, each seeing the frames that it made before; their error; what
    luck, rewards and ends cost besides."""
    world, num_past = model.world, model.world.shape.num_past
    frames, plate = from_levels(batch.frames), from_levels(batch.extra["plate"])
    past = worn(frames[:, :num_past], generator)
    made, before, acted, rest = [], [], [], torch.zeros((), device=frames.device)
    parts: dict[str, Tensor] = {}
    for step in range(frames.shape[1] - num_past):
        truth, there = frames[:, num_past + step], batch.extra["there"][:, step]
        action = one_hot(batch.extra["actions"][:, step], world)
        looked = world.look(past, plate, action)
        spread, likely = model.guesser(past[:, -1], truth), world.expected(looked)
        size = (len(past), *world.shape.luck_size)
        noise = torch.randn(size, generator=generator, device=past.device)
        said = world.foresee(past[:, -1], plate, looked, spread.at(noise))
        cost = (there * divergence(spread, likely)).mean()
        rest = rest + SPREAD_PRICE * cost + judged(said, batch, step)
        parts[f"decibels_{step + 1}"] = decibels(said.frame, truth, there)
        parts[f"gain_{step + 1}"] = parts[f"decibels_{step + 1}"] - decibels(
            past[:, -1], truth, there
        )
        parts["nats"] = cost.detach()
        made.append(said.frame)
        before.append(past[:, -2:])
        acted.append(action)
        past = gone_on(past, said.frame)
    lived = Lived(torch.cat(made), torch.cat(before), torch.cat(acted))
    truths = frames[:, num_past:].transpose(0, 1).flatten(0, 1)
    there = batch.extra["there"].T.flatten()
    error = log_error(lived.frames, truths, there)
    return lived, error, rest / len(made), parts


def worn(past: Float[Tensor, "n p 3 h w"], generator: torch.Generator) -> Tensor:
    """Some with haze and grain, as dreams have that wear out: it learns to mend them.

    (Noise on what is seen: arXiv 2408.14837, section 3.2.1.)
    """
    n, p, _, h, w = past.shape
    lot = torch.rand(n, 2, 1, 1, 1, 1, generator=generator, device=past.device)
    strength = MOST_WORN * lot[:, 0] * (lot[:, 1] < WORN_SHARE)
    size = (n, p * 3, h // STRIDE_PX, w // STRIDE_PX)
    coarse = torch.randn(size, generator=generator, device=past.device)
    haze = F.interpolate(coarse, (h, w), mode="bilinear").unflatten(1, (p, 3))
    grain = torch.randn(past.shape, generator=generator, device=past.device)
    return to_8_bits(past + strength * (haze + grain) / 2)


def dreamed_on(model: Studied, batch: Batch, count: int, generator: torch.Generator) -> Lived:
    """Some of the kept dreams go on by as many steps as a batch has, with luck of their own."""
    world, device = model.world, batch.frames.device
    num_steps = batch.extra["actions"].shape[1]
    chosen = torch.randperm(len(model.ages), generator=generator, device=device)[:count]
    begin_anew(model, batch, chosen, generator)
    past, plate = from_levels(model.dreamed[chosen]), from_levels(model.plates[chosen])
    number = torch.randint(world.shape.num_actions, (count,), generator=generator, device=device)
    made, before, acted = [], [], []
    for _ in range(num_steps):
        other = torch.randint(world.shape.num_actions, (count,), generator=generator, device=device)
        number = torch.where(
            torch.rand(count, generator=generator, device=device) < HELD, number, other
        )
        action = one_hot(number, world)
        noise = torch.randn(count, *world.shape.luck_size, generator=generator, device=device)
        said: Foreseen = world(past, plate, action, noise)
        made.append(said.frame)
        before.append(past[:, -2:])
        acted.append(action)
        past = gone_on(past, said.frame)
    model.dreamed[chosen] = in_bytes(past)
    model.ages[chosen] += num_steps
    return Lived(torch.cat(made), torch.cat(before), torch.cat(acted))


def gone_on(past: Float[Tensor, "n p 3 h w"], made: Float[Tensor, "n 3 h w"]) -> Tensor:
    """What is seen next: as a file would hold it, and no gradient goes back through it."""
    return torch.cat([past[:, 1:], to_8_bits(made.detach())[:, None]], 1)


def begin_anew(
    model: Studied, batch: Batch, chosen: Int64[Tensor, " n"], generator: torch.Generator
) -> None:
    """Dreams that are old enough start again, from recorded frames."""
    lot = torch.rand(len(chosen), generator=generator, device=chosen.device)
    old = (model.ages[chosen] >= MOST_AGE) | (lot < RENEWED)
    source = torch.arange(len(chosen), device=chosen.device) % len(batch.frames)
    to, of = chosen[old], source[old]
    model.dreamed[to] = batch.frames[of, : model.world.shape.num_past]
    model.plates[to] = batch.extra["plate"][of]
    model.ages[to] = 0


def log_error(
    made: Float[Tensor, "n 3 h w"], truth: Float[Tensor, "n 3 h w"], there: Float[Tensor, " n"]
) -> Float[Tensor, ""]:
    """The mean logarithm of each frame's squared error, so that frames where little moves count."""
    return (there * ((made - truth).square().mean((1, 2, 3)) + FLOOR).log()).mean()


def judged(said: Foreseen, batch: Batch, step: int) -> Float[Tensor, ""]:
    """What wrong rewards and ends cost; rewards count as at most 1."""
    reward = batch.extra["rewards"][:, step].clamp(-1, 1)
    end = F.binary_cross_entropy_with_logits(said.end, batch.extra["ends"][:, step])
    return JUDGED_PRICE * (F.smooth_l1_loss(said.reward, reward) + end)


def decibels(made: Tensor, truth: Tensor, there: Float[Tensor, " n"]) -> Float[Tensor, ""]:
    """The mean PSNR of the frames that are there."""
    with torch.no_grad():
        error = (made.clamp(-1, 1) - truth).square().mean((1, 2, 3)).clamp(min=1e-5)
        return (there * 10 * torch.log10(4 / error)).sum() / there.sum().clamp(min=1)


def next_frame(
    model: nn.Module, batch: Batch, generator: torch.Generator
) -> tuple[Tensor, dict[str, Tensor]]:
    """To watch by: the next frame after recorded ones, with the likeliest luck, in -dB."""
    assert isinstance(model, Studied)
    world, num_past = model.world, model.world.shape.num_past
    frames, plate = from_levels(batch.frames), from_levels(batch.extra["plate"])
    action = one_hot(batch.extra["actions"][:, 0], world)
    noise = torch.zeros(len(frames), *world.shape.luck_size, device=frames.device)
    said = world(frames[:, :num_past], plate, action, noise)
    return -decibels(said.frame, frames[:, num_past], batch.extra["there"][:, 0]), {}


def one_hot(action: Int64[Tensor, " n"], world: World) -> Float[Tensor, "n a"]:
    return F.one_hot(action, world.shape.num_actions).float()


def in_order(lived: Lived) -> Float[Tensor, "m 3 3 h w"]:
    """The two frames before, then the frame."""
    return torch.cat([lived.before, lived.frames[:, None]], 1)


def real_of(model: Studied, batch: Batch) -> Float[Tensor, "m 3 3 h w"]:
    """Each recorded frame of a batch after the two before it, in the order of `actions_of`."""
    frames, num_past = from_levels(batch.frames), model.world.shape.num_past
    seen = frames.unfold(1, 3, 1).movedim(-1, 2)[:, num_past - 2 :]
    return seen.flatten(0, 1)


def actions_of(model: Studied, batch: Batch) -> Float[Tensor, "m a"]:
    return one_hot(batch.extra["actions"].flatten(), model.world)


def optimizer(model: nn.Module, learning_rate: float) -> Optimizer:
    """AdamW; the critic has less momentum, since what it judges moves on."""
    assert isinstance(model, Studied)
    critic = {id(p) for p in model.critic.parameters()}
    rest = [p for p in model.parameters() if id(p) not in critic]
    groups = [
        {"params": rest, "betas": (0.9, 0.99)},
        {"params": list(model.critic.parameters()), "betas": CRITIC_BETAS},
    ]
    return AdamW(groups, lr=learning_rate, weight_decay=0.0, fused=True)
