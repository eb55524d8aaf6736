"""The model sees a window of 8 known and 8 unknown frames and says how the unknown ones are made.

It does not paint them: for each pixel it chooses among the classical blend (guess.py), the last
known frame, that frame moved along motions of its own, and a picture of its own. So what it makes
is as sharp as what it was given, and it can be made at any size (`render`). Motions and choice
start at the classical answer; training can only move on.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial

import torch
from einops import rearrange, repeat
from jaxtyping import Float, Int64, UInt8
from torch import Tensor, nn
from torch.nn import functional as F

from kineograph.models.candidates import (
    CANDIDATES,
    NUM_SOURCES,
    SHARP,
    blended,
    candidate,
    candidates,
    products,
    shares,
)
from kineograph.models.guess import NUM_TRIED, Guess
from kineograph.models.layers import (
    Attention,
    ChannelNorm,
    Residual,
    channels_last,
    conv,
    enlarged,
    nearby,
    smoothed,
    warped,
    zeroed,
)
from kineograph.models.motion import NUM_KNOWN, paths_of, reach
from kineograph.models.weigh import Weigher

STRIDE_PX = 16
SMOOTH_PX, BROAD_PX = 13, 33
VARIETY = 1.0
"""How far noise moves the logarithm of a sample's gates."""
CONTRAST = 4.0
"""Differences between frames are small beside the frames; bf16 would lose them unenlarged."""


@dataclass(frozen=True)
class Shape:
    """The widths of the model."""

    num_frames: int = 16
    encoder: int = 96
    frame_code: int = 32
    predictor: int = 256
    bottleneck: int = 256
    frame_plan: int = 96
    decoder: int = 128
    painter: int = 96
    num_moved: int = 3


@dataclass(frozen=True, eq=False)
class Plan:
    """How to make n frames: gates over the classical candidates and k motions; the rest is added.

    paths: where the classical motions lead at each frame's horizon, `steps` of them ahead.
    motions: the last one points to the frame before the last; the others to the last known frame.
    beyond: what comes in from outside of the picture, as for `warped`.
    """

    gates: Float[Tensor, "n g h w"]
    paths: Float[Tensor, "n 3 2 h w"]
    steps: Float[Tensor, " n"]
    motions: Float[Tensor, "n k 2 h w"]
    added: Float[Tensor, "n 3 h w"]
    beyond: str = "border"


def render(plan: Plan, index: int, newest: Float[Tensor, "3 3 h w"]) -> Float[Tensor, "3 h w"]:
    """One frame of a plan, made from the three last known frames at their own size."""
    size = newest.shape[-2:]
    h, w = plan.gates.shape[-2:]
    ratio = plan.paths.new_tensor([size[1] / w, size[0] / h]).view(2, 1, 1)

    def sized(x: Tensor) -> Tensor:
        if x.shape[-2:] == size:
            return x
        return F.interpolate(x, size, mode="bilinear", align_corners=False)

    paths = (sized(plan.paths[index]) * ratio)[None]
    steps, sources = float(plan.steps[index]), newest[None]
    makers = [partial(candidate, c, sources, paths, steps, plan.beyond) for c in CANDIDATES]
    for k, motion in enumerate(sized(plan.motions[index]) * ratio):
        is_before = k == plan.motions.shape[1] - 1
        makers.append(partial(warped, sources[:, -2 if is_before else -1], motion[None]))
    answer = sized(plan.added[index : index + 1])
    for make, gate in zip(makers, plan.gates[index], strict=True):
        if gate.any():
            answer = answer + sized(gate[None, None]) * make()
    return answer[0]


def coherent(plan: Plan, noise: Float[Tensor, "n 3 h w"]) -> Plan:
    """The same plan with one motion for each place, along which the last known frame is pulled.

    Motions are averaged instead of pictures, so nothing is softened; by the gates, which the noise
    moves, so that one sample goes on where another slows down. What the noise says is broad and is
    the same for all frames, and the motion is smooth, so nothing is torn.
    """
    used = [k for k, c in enumerate(CANDIDATES) if c.age == 0]
    along = [plan.paths[:, CANDIDATES[k].path] * CANDIDATES[k].along for k in used]
    motions = torch.cat([torch.stack(along, 1), plan.motions[:, :-1]], 1)
    gates = torch.cat([plan.gates[:, used], plan.gates[:, len(CANDIDATES) : -1]], 1).clamp(min=0)
    gates = gates * (VARIETY * broad(noise, gates.shape[1])).exp()
    mean = (gates[:, :, None] * motions).sum(1) / (gates.sum(1, keepdim=True) + 1e-3)
    return pulled(nearby(mean, SMOOTH_PX), plan.steps)


def pulled(motion: Float[Tensor, "n 2 h w"], steps: Float[Tensor, " n"]) -> Plan:
    """The plan that moves the last known frame, and paints nothing.

    What comes in is mirrored: a border that is drawn out makes streaks. (A mean keeps the border,
    which is nearer in squared error.)
    """
    sharp = motion.new_zeros((len(motion), len(CANDIDATES), *motion.shape[-2:]))
    sharp[:, SHARP] = 1
    paths = motion[:, None].expand(-1, NUM_SOURCES, -1, -1, -1)
    unpainted = torch.zeros_like(sharp[:, :3])
    return Plan(sharp, paths, steps, motion[:, None][:, :0], unpainted, "reflection")


def broad(noise: Float[Tensor, "n 3 h w"], count: int) -> Float[Tensor, "1 count h w"]:
    """Smooth fields of about unit variance, made of the noise of all frames."""
    fields = noise.flatten(0, 1)[:count][None]
    # The mean over a square of w px has a standard deviation of 1/w; twice over, 2/3 of that.
    return 1.5 * BROAD_PX * nearby(fields, BROAD_PX)


def _moved(last: Tensor, before: Tensor, motions: Float[Tensor, "n k 2 h w"]) -> list[Tensor]:
    """The last frame along each motion; along the last one, the frame before it."""
    sources = [last] * (motions.shape[1] - 1) + [before]
    return [warped(source, motions[:, k]) for k, source in enumerate(sources)]


class Kineo(nn.Module):
    """Encoder (each frame), predictor (all frames at once), decoder (each unknown frame).

    example: some of what it learned from, as bytes, to imagine new films of; None where nothing
    of that may be kept.
    """

    example: UInt8[Tensor, "t 3 h w"] | None

    def __init__(self, shape: Shape | None = None) -> None:
        super().__init__()
        self.shape = s = shape or Shape()
        k = s.num_moved
        self.encode = nn.Sequential(
            nn.Conv2d(13, s.encoder, 12, 8, 2),
            Residual(s.encoder),
            ChannelNorm(s.encoder),
            nn.Conv2d(s.encoder, s.frame_code, 1),
        )
        self.gather = nn.Sequential(
            conv(s.frame_code * s.num_frames + 2, s.predictor),
            Residual(s.predictor),
            Residual(s.predictor),
        )
        self.look_around = nn.Sequential(
            conv(s.predictor, s.bottleneck, stride=2),
            *(f(s.bottleneck) for _ in range(2) for f in (Residual, _attention)),
            nn.Conv2d(s.bottleneck, s.predictor, 1),
        )
        self.spread = nn.Sequential(
            Residual(s.predictor),
            Residual(s.predictor),
            ChannelNorm(s.predictor),
            nn.Conv2d(s.predictor, s.frame_plan * s.num_frames, 1),
        )
        self.plan_frame = nn.Sequential(Residual(s.frame_plan), ChannelNorm(s.frame_plan))
        self.move_coarse = zeroed(conv(s.frame_plan, 2 * k))
        self.see_moved = nn.Conv2d(4 * k + 22, 64, 8, 4, 2)
        self.refine = nn.Sequential(
            conv(s.frame_plan + 64, s.decoder),
            Residual(s.decoder),
            Residual(s.decoder),
            ChannelNorm(s.decoder),
        )
        self.move_fine = zeroed(conv(s.decoder, 2 * k))
        self.see_candidates = nn.Conv2d(4 * (k + 2) + 5, 64, 8, 4, 2)
        self.paint = nn.Sequential(
            conv(s.decoder + 64, s.painter),
            Residual(s.painter),
            Residual(s.painter),
            ChannelNorm(s.painter),
            conv(s.painter, 16 * (k + 3 + 6)),
        )
        self.rehearsal_weight = nn.Parameter(torch.ones(()))
        self.weigh = Weigher().requires_grad_(False)
        self.restorers = nn.ModuleDict()
        self.register_buffer("example", None)
        self._begin_at_the_guess()

    def _begin_at_the_guess(self) -> None:
        head = self.paint[-1]
        assert isinstance(head, nn.Conv2d)
        assert head.bias is not None
        nn.init.zeros_(head.weight)
        bias = torch.zeros(self.shape.num_moved + 9, 16)
        bias[0], bias[1], bias[2], bias[3], bias[4] = 1.5, -1.0, 0.0, -3.0, -4.0
        bias[self.shape.num_moved + 2] = -5.0
        head.bias.data.copy_(bias.flatten())

    def forward(
        self,
        frames: Float[Tensor, "b t 3 h w"],
        sigma: Float[Tensor, "b t 1 h w"],
        guess: Guess,
        which: Int64[Tensor, " n"] | None = None,
        said: "Said | None" = None,
    ) -> tuple[Float[Tensor, "b n 3 h w"], Plan]:
        """The clean frames among the unknown ones (`which`, from 0; all if None), and their plan.

        frames are noised by sigma: the first 8 known, then as many as the window holds. h and w
        are multiples of 16. With sigma 1 on the unknown frames the answer is their mean. `said` is
        what the guess alone answers: it stays the same while noise is taken away (`Kineo.say`).
        """
        b, t = frames.shape[:2]
        if which is None:
            which = torch.arange(t - NUM_KNOWN, device=frames.device)
        last, before = frames[:, NUM_KNOWN - 1], frames[:, NUM_KNOWN - 2]
        if said is None:
            said = self.say(frames[:, :NUM_KNOWN], guess)
        seen = _seen(frames, sigma, guess, said.blend)
        codes = self._codes(seen, guess.motions[:, 0], b)
        todo = which + NUM_KNOWN
        per_frame = self.plan_frame(_flat(codes[:, todo]))
        sources = _Sources(
            repeat(last, "b c h w -> (b n) c h w", n=len(which)),
            repeat(before, "b c h w -> (b n) c h w", n=len(which)),
            said.blend[:, which].flatten(0, 1),
            said.paths[:, which, 0].flatten(0, 1),
            repeat((said.steps[which] + 1) / said.steps[which], "n -> (b n) 1 1 1", b=b),
        )
        tried = guess.tried[:, which.clamp(max=NUM_TRIED - 1)].flatten(0, 1)
        missed = repeat(guess.missed, "b c h w -> (b n) c h w", n=len(which))
        here = torch.cat([seen[:, todo].flatten(0, 1), CONTRAST * missed], 1)
        gates, motions, added, answer = self._plan(per_frame, sources, here, tried)
        weights = said.weights[:, which].flatten(0, 1)
        plan = Plan(
            _unfolded(gates, weights),
            said.paths[:, which].flatten(0, 1),
            repeat(said.steps[which], "n -> (b n)", b=b),
            motions,
            added,
        )
        return answer.unflatten(0, (b, len(which))), plan

    def say(self, known: Float[Tensor, "b 8 3 h w"], guess: Guess) -> "Said":
        """What the guess alone answers for the whole window."""
        return answered(self.weigh, known[:, -NUM_SOURCES:], guess, self.horizons)

    @property
    def horizons(self) -> range:
        """How far ahead the unknown frames of a window are; 1 is the next frame."""
        return range(1, self.shape.num_frames - NUM_KNOWN + 1)

    def _codes(self, seen: Tensor, motion: Tensor, b: int) -> Float[Tensor, "b t c h8 w8"]:
        code = rearrange(self.encode(_flat(seen)), "(b t) c h w -> b (t c) h w", b=b)
        moving = F.avg_pool2d(motion, 8).to(code.dtype) / 4
        x = self.gather(channels_last(torch.cat([code, moving], 1)))
        x = self.spread(x + enlarged(self.look_around(x), 2))
        return rearrange(x, "b (t c) h w -> b t c h w", t=self.shape.num_frames)

    def _plan(
        self, per_frame: Tensor, sources: "_Sources", here: Tensor, tried: Tensor
    ) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        k = self.shape.num_moved
        reaches = _how_far_motion_may_be_wrong(sources.path)
        starts = torch.stack([sources.path] * (k - 1) + [sources.path * sources.stretch], 1)
        coarse = enlarged(self.move_coarse(per_frame).float(), 8)
        motions = starts + coarse.unflatten(1, (k, 2)) * reaches[:, None]
        moved = _moved(sources.last, sources.before, motions)
        inputs = [*sources.differences(moved), here, (tried[:, 2:] + 6) / 3, _told(tried)]
        x = self.see_moved(channels_last(torch.cat(inputs, 1)))
        x = self.refine(channels_last(torch.cat([enlarged(per_frame, 2), x], 1)))
        fine = enlarged(self.move_fine(x).float(), 4).unflatten(1, (k, 2))
        motions = motions + 0.5 * fine * reaches[:, None]
        return self._painted(x, sources, motions, here, tried)

    def _painted(
        self, x: Tensor, sources: "_Sources", motions: Tensor, here: Tensor, tried: Tensor
    ) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """Gates, motions, what is added, and the frames made of them."""
        k = self.shape.num_moved
        noisy, sigma = here[:, :3], here[:, 9:10]
        moved = _moved(sources.last, sources.before, motions)
        pictures = [sources.blend, sources.last, *moved]
        inputs = [
            sources.last,
            *sources.differences([noisy, sources.blend, *moved]),
            _told(tried),
        ]
        x = torch.cat([x, self.see_candidates(channels_last(torch.cat(inputs, 1)))], 1)
        out = F.pixel_shuffle(self.paint(channels_last(x)).float(), 4)
        still, motion, blend = (-tried).split(1, 1)
        trust = torch.cat([blend, still, *[motion] * k, torch.minimum(still, motion)], 1)
        gates = (out[:, : k + 3] + self.rehearsal_weight * trust).softmax(1)
        own = out[:, k + 6 :] + (1 - sigma) * noisy
        spread = _disagreement(sources, moved)
        added = gates[:, k + 2 :] * own + 0.5 * spread * out[:, k + 3 : k + 6]
        answer = added
        for index, picture in enumerate(pictures):
            answer = answer + gates[:, index : index + 1] * picture
        return gates, motions, added, answer


@dataclass(frozen=True, eq=False)
class Said:
    """The classical answer to n horizons: the blend, its weights, and where motions lead."""

    blend: Float[Tensor, "b n 3 h w"]
    weights: Float[Tensor, "b n free h8 w8"]
    paths: Float[Tensor, "b n 3 2 h w"]
    steps: Float[Tensor, " n"]


@torch.no_grad()
def answered(
    weigh: Weigher,
    newest: Float[Tensor, "b 3 3 h w"],
    guess: Guess,
    horizons: Sequence[int | float],
) -> Said:
    """The frames so far ahead as the guess alone would make them; 1 is the next one."""
    steps = [reach(h) for h in horizons]
    with torch.autocast(newest.device.type, enabled=False):
        paths = [paths_of(guess.motions, s) for s in steps]
        blends, weights = [], []
        for horizon, path, s in zip(horizons, paths, steps, strict=True):
            made = candidates(newest, path, s)
            weights.append(weigh(guess.fit_at(horizon), products(made), horizon))
            blends.append(blended(made, weights[-1]))
        return Said(
            torch.stack(blends, 1),
            torch.stack(weights, 1),
            torch.stack(paths, 1),
            newest.new_tensor(steps),
        )


def _unfolded(
    gates: Float[Tensor, "n g h w"], weights: Float[Tensor, "n free h8 w8"]
) -> Float[Tensor, "n g2 h w"]:
    """The gate of the blend, shared out among what it is made of; the own picture's left out."""
    every = gates[:, :1] * shares(weights, gates.shape[-2:])
    every = torch.cat([every[:, :1], every[:, 1:2] + gates[:, 1:2], every[:, 2:]], 1)
    return torch.cat([every, gates[:, 2:-1]], 1)


def _told(tried: Float[Tensor, "n 3 h w"]) -> Float[Tensor, "n 2 h w"]:
    """How much worse than the blend copying and moving were."""
    return tried[:, :2] - tried[:, 2:]


@dataclass(frozen=True, eq=False)
class _Sources:
    last: Float[Tensor, "n 3 h w"]
    before: Float[Tensor, "n 3 h w"]
    blend: Float[Tensor, "n 3 h w"]
    path: Float[Tensor, "n 2 h w"]
    stretch: Float[Tensor, "n 1 1 1"]

    def differences(self, pictures: list[Tensor]) -> list[Tensor]:
        """What each picture changes in the last frame, plain and as the logarithm of its size."""
        changes = [picture - self.last for picture in pictures]
        return [CONTRAST * c for c in changes] + [_log_power(c, 1) for c in changes]


def _seen(
    frames: Tensor, sigma: Tensor, guess: Guess, blend: Float[Tensor, "b n 3 h w"]
) -> Float[Tensor, "b t 13 h w"]:
    """Per frame: itself, its change since the last known frame, what the guess says, and sigma."""
    b, t = frames.shape[:2]
    last = frames[:, NUM_KNOWN - 1 : NUM_KNOWN]
    guided = frames.clone()
    guided[:, NUM_KNOWN - 1] = last[:, 0] - guess.missed[:, 3:]
    guided[:, NUM_KNOWN:] = blend
    trust = torch.ones_like(sigma)
    trust[:, : NUM_KNOWN - 1] = 0
    change, said = frames - last, (guided - last) * trust
    missed = _log_power((guided - frames).flatten(0, 1), 5).unflatten(0, (b, t)) * (sigma < 1)
    size = _log_power(change.flatten(0, 1), 5).unflatten(0, (b, t))
    parts = [frames, CONTRAST * change, CONTRAST * said, sigma, trust, missed * trust, size]
    return torch.cat(parts, 2)


def _how_far_motion_may_be_wrong(path: Tensor) -> Float[Tensor, "n 1 h w"]:
    """Corrections scale with the motion around: free ones spoil what is nearly still."""
    nearby = F.max_pool2d(path.detach().abs().amax(1, keepdim=True), 9, 4, 4)
    return 0.1 + 0.5 * enlarged(F.avg_pool2d(nearby, 5, 1, 2), 4)


def _disagreement(sources: _Sources, moved: list[Tensor]) -> Float[Tensor, "n 1 h w"]:
    """How much the candidates differ around here, which bounds what may be added to them."""
    with torch.no_grad():
        powers = [(m - sources.last).square().mean(1, keepdim=True) for m in moved]
        return smoothed(torch.stack(powers).amax(0), 5).sqrt() + 0.002


def _log_power(x: Float[Tensor, "n c h w"], width_px: int) -> Float[Tensor, "n 1 h w"]:
    power = x.square().mean(1, keepdim=True)
    return (torch.log10((smoothed(power, width_px) if width_px > 1 else power) + 1e-6) + 3) / 3


def _attention(channels: int) -> Attention:
    return Attention(channels, channels // 64)


def _flat(x: Float[Tensor, "b t c h w"]) -> Float[Tensor, "n c h w"]:
    return channels_last(x.flatten(0, 1))
