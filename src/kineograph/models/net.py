"""The model sees a window of 8 known and 8 unknown frames and says how the unknown ones are made.

It does not paint them: for each pixel it chooses among the last known frame, that frame moved
along a few motions, and a picture of its own. So what it makes is as sharp as what it was given,
and it can be made at any size (`render`). Motions start at the classical guess, and the choice
starts where the guess's rehearsal on the past says (`rehearsal`); training can only move on.
"""

from dataclasses import asdict, dataclass

import torch
from einops import rearrange, repeat
from jaxtyping import Float, Int64
from torch import Tensor, nn
from torch.nn import functional as F

from kineograph.models.guess import NUM_KNOWN, REHEARSED_FROM, Guess, reach
from kineograph.models.layers import (
    Attention,
    ChannelNorm,
    Residual,
    conv,
    enlarged,
    smoothed,
    warped,
    zeroed,
)

STRIDE_PX = 16
CONTRAST = 4.0
"""Differences between frames are small beside the frames; bf16 would lose them unenlarged."""


@dataclass(frozen=True)
class Shape:
    """The widths of the model."""

    num_frames: int = 16
    encoder: int = 96
    frame_code: int = 32
    predictor: int = 256
    bottleneck: int = 384
    frame_plan: int = 64
    decoder: int = 96
    painter: int = 64
    num_moved: int = 3

    def numbers(self) -> dict[str, int]:
        return asdict(self)


@dataclass(frozen=True, eq=False)
class Plan:
    """How to make n frames: k + 2 gates that sum to 1, for copy, k motions, and the own picture.

    The last motion points to the frame before the last; the others to the last known frame.
    """

    gates: Float[Tensor, "n g h w"]
    motions: Float[Tensor, "n k 2 h w"]
    added: Float[Tensor, "n 3 h w"]


def render(
    plan: Plan, last: Float[Tensor, "n 3 h w"], before: Float[Tensor, "n 3 h w"]
) -> Float[Tensor, "n 3 h w"]:
    """The frames of a plan, made from the two last known frames at the plan's own size."""
    return _blended(plan, last, _moved(last, before, plan.motions))


def _blended(plan: Plan, last: Tensor, moved: list[Tensor]) -> Float[Tensor, "n 3 h w"]:
    answer = plan.added
    for k, picture in enumerate([last, *moved]):
        answer = answer + plan.gates[:, k : k + 1] * picture
    return answer


def _moved(last: Tensor, before: Tensor, motions: Float[Tensor, "n k 2 h w"]) -> list[Tensor]:
    """The last frame along each motion; along the last one, the frame before it."""
    sources = [last] * (motions.shape[1] - 1) + [before]
    return [warped(source, motions[:, k]) for k, source in enumerate(sources)]


def resized(plan: Plan, height: int, width: int) -> Plan:
    """The plan for another size of picture; motions grow with it."""
    h, w = plan.gates.shape[-2:]

    def to_size(x: Tensor) -> Tensor:
        return F.interpolate(x, (height, width), mode="bilinear", align_corners=False)

    motions = to_size(plan.motions.flatten(0, 1)).unflatten(0, plan.motions.shape[:2])
    ratio = plan.motions.new_tensor([width / w, height / h]).view(2, 1, 1)
    return Plan(to_size(plan.gates), motions * ratio, to_size(plan.added))


class Kineo(nn.Module):
    """Encoder (each frame), predictor (all frames at once), decoder (each unknown frame)."""

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
        self.see_moved = nn.Conv2d(4 * k + 16, 64, 8, 4, 2)
        self.refine = nn.Sequential(
            conv(s.frame_plan + 64, s.decoder), Residual(s.decoder), ChannelNorm(s.decoder)
        )
        self.move_fine = zeroed(conv(s.decoder, 2 * k))
        self.see_candidates = nn.Conv2d(4 * (k + 1) + 4, 64, 8, 4, 2)
        self.paint = nn.Sequential(
            conv(s.decoder + 64, s.painter),
            Residual(s.painter),
            ChannelNorm(s.painter),
            conv(s.painter, 16 * (k + 3 + 6)),
        )
        self.rehearsal_weight = nn.Parameter(torch.ones(()))
        self._begin_at_the_guess()

    def _begin_at_the_guess(self) -> None:
        head = self.paint[-1]
        assert isinstance(head, nn.Conv2d)
        assert head.bias is not None
        nn.init.zeros_(head.weight)
        bias = torch.zeros(self.shape.num_moved + 9, 16)
        bias[0], bias[1], bias[2], bias[3], bias[4] = -0.5, -2.0, 0.0, -1.5, -2.0
        bias[self.shape.num_moved + 2] = -5.0
        head.bias.data.copy_(bias.flatten())

    def forward(
        self,
        frames: Float[Tensor, "b t 3 h w"],
        sigma: Float[Tensor, "b t 1 h w"],
        guess: Guess,
        which: Int64[Tensor, " n"] | None = None,
    ) -> tuple[Float[Tensor, "b n 3 h w"], Plan]:
        """The clean frames among the unknown ones (`which`, from 0; all if None), and their plan.

        frames are noised by sigma: the first 8 known, then as many as the window holds. h and w
        are multiples of 16. With sigma 1 on the unknown frames the answer is their mean.
        """
        b, t = frames.shape[:2]
        if which is None:
            which = torch.arange(t - NUM_KNOWN, device=frames.device)
        ahead = reach(which.float() + 1)
        last, before = frames[:, NUM_KNOWN - 1], frames[:, NUM_KNOWN - 2]
        base = guess.motion[:, None] * ahead.view(1, -1, 1, 1, 1)
        seen = _seen(frames, sigma, guess)
        codes = self._codes(seen, guess.motion, b)
        todo = which + NUM_KNOWN
        per_frame = self.plan_frame(_flat(codes[:, todo]))
        tried = rehearsal(frames, guess, which)
        sources = _Sources(
            repeat(last, "b c h w -> (b n) c h w", n=len(which)),
            repeat(before, "b c h w -> (b n) c h w", n=len(which)),
            base.flatten(0, 1),
            repeat((ahead + 1) / ahead, "n -> (b n) 1 1 1", b=b),
        )
        plan, moved = self._plan(per_frame, sources, seen[:, todo].flatten(0, 1), tried)
        answer = _blended(plan, sources.last, moved)
        return answer.unflatten(0, (b, len(which))), plan

    def _codes(self, seen: Tensor, motion: Tensor, b: int) -> Float[Tensor, "b t c h8 w8"]:
        code = rearrange(self.encode(_flat(seen)), "(b t) c h w -> b (t c) h w", b=b)
        moving = F.avg_pool2d(motion, 8).to(code.dtype) / 4
        x = self.gather(_last(torch.cat([code, moving], 1)))
        x = self.spread(x + enlarged(self.look_around(x), 2))
        return rearrange(x, "b (t c) h w -> b t c h w", t=self.shape.num_frames)

    def _plan(
        self, per_frame: Tensor, sources: "_Sources", here: Tensor, tried: Tensor
    ) -> tuple[Plan, list[Tensor]]:
        k = self.shape.num_moved
        reaches = _how_far_motion_may_be_wrong(sources.base)
        starts = torch.stack([sources.base] * (k - 1) + [sources.base * sources.stretch], 1)
        coarse = enlarged(self.move_coarse(per_frame).float(), 8)
        motions = starts + coarse.unflatten(1, (k, 2)) * reaches[:, None]
        moved = _moved(sources.last, sources.before, motions)
        inputs = [*sources.differences(moved), here, (tried + 6) / 3, tried[:, :1] - tried[:, 1:]]
        x = self.see_moved(_last(torch.cat(inputs, 1)))
        x = self.refine(_last(torch.cat([enlarged(per_frame, 2), x], 1)))
        fine = enlarged(self.move_fine(x).float(), 4).unflatten(1, (k, 2))
        motions = motions + 0.5 * fine * reaches[:, None]
        return self._painted(x, sources, motions, here, tried)

    def _painted(
        self, x: Tensor, sources: "_Sources", motions: Tensor, here: Tensor, tried: Tensor
    ) -> tuple[Plan, list[Tensor]]:
        """The plan, and the last frames moved along it."""
        k = self.shape.num_moved
        noisy, sigma = here[:, :3], here[:, 9:10]
        guided = torch.cat([sources.base[:, None], motions], 1)
        guessed, *moved = _moved(sources.last, sources.before, guided)
        told = tried[:, :1] - tried[:, 1:]
        inputs = [sources.last, *sources.differences([noisy, *moved]), told]
        x = torch.cat([x, self.see_candidates(_last(torch.cat(inputs, 1)))], 1)
        out = F.pixel_shuffle(self.paint(_last(x)).float(), 4)
        still, motion_ = -tried[:, :1], -tried[:, 1:]
        trust = torch.cat([still, *[motion_] * (k + 1), torch.minimum(still, motion_)], 1)
        gates = (out[:, : k + 3] + self.rehearsal_weight * trust).softmax(1)
        own = out[:, k + 6 :] + (1 - sigma) * noisy
        spread = _disagreement(sources, moved)
        added = gates[:, k + 2 :] * own + 0.5 * spread * out[:, k + 3 : k + 6]
        return Plan(gates[:, : k + 2], guided, added), [guessed, *moved]


@dataclass(frozen=True, eq=False)
class _Sources:
    last: Float[Tensor, "n 3 h w"]
    before: Float[Tensor, "n 3 h w"]
    base: Float[Tensor, "n 2 h w"]
    stretch: Float[Tensor, "n 1 1 1"]

    def differences(self, pictures: list[Tensor]) -> list[Tensor]:
        """What each picture changes in the last frame, plain and as the logarithm of its size."""
        changes = [picture - self.last for picture in pictures]
        return [CONTRAST * c for c in changes] + [_log_power(c, 1) for c in changes]


def rehearsal(
    frames: Float[Tensor, "b t 3 h w"], guess: Guess, which: Int64[Tensor, " n"]
) -> Float[Tensor, "m 2 h w"]:
    """Log squared error that copying and moving made when they foretold the last known frames.

    Local, with a share of the whole picture's; horizons beyond the four tried count as the fourth.
    """
    truth = frames[:, REHEARSED_FROM + 1 : NUM_KNOWN]
    errors = []
    for foretold in (frames[:, REHEARSED_FROM, None], foretold_past(frames, guess)):
        error = (foretold - truth).square().mean(2)
        local = smoothed(error, 17) + 0.3 * error.mean((-1, -2), keepdim=True)
        errors.append(torch.log(local + 1e-5)[:, which.clamp(max=truth.shape[1] - 1)])
    return torch.stack(errors, 2).flatten(0, 1)


def foretold_past(frames: Float[Tensor, "b t 3 h w"], guess: Guess) -> Float[Tensor, "b k 3 h w"]:
    """The known frames after the rehearsed one, as the guess would have foretold them."""
    return _carried_on(frames[:, REHEARSED_FROM], guess.rehearsed, NUM_KNOWN - 1 - REHEARSED_FROM)


def _carried_on(
    source: Float[Tensor, "b 3 h w"], motion: Float[Tensor, "b 2 h w"], num: int
) -> Float[Tensor, "b k 3 h w"]:
    """The source moved along its motion, to each of the next `num` horizons."""
    ahead = reach(torch.arange(1.0, num + 1, device=source.device)).view(1, -1, 1, 1, 1)
    sources = repeat(source, "b c h w -> (b k) c h w", k=num)
    return warped(sources, (motion[:, None] * ahead).flatten(0, 1)).unflatten(0, (-1, num))


def _seen(frames: Tensor, sigma: Tensor, guess: Guess) -> Float[Tensor, "b t 13 h w"]:
    """Per frame: itself, its change since the last known frame, what the guess says, and sigma."""
    b, t = frames.shape[:2]
    last = frames[:, NUM_KNOWN - 1 : NUM_KNOWN]
    guided = frames.clone()
    guided[:, REHEARSED_FROM + 1 : NUM_KNOWN] = foretold_past(frames, guess)
    guided[:, NUM_KNOWN:] = _carried_on(last[:, 0], guess.motion, t - NUM_KNOWN)
    trust = torch.ones_like(sigma)
    trust[:, : REHEARSED_FROM + 1] = 0
    change, said = frames - last, (guided - last) * trust
    missed = _log_power((guided - frames).flatten(0, 1), 5).unflatten(0, (b, t)) * (sigma < 1)
    size = _log_power(change.flatten(0, 1), 5).unflatten(0, (b, t))
    parts = [frames, CONTRAST * change, CONTRAST * said, sigma, trust, missed * trust, size]
    return torch.cat(parts, 2)


def _how_far_motion_may_be_wrong(base: Tensor) -> Float[Tensor, "n 1 h w"]:
    """Corrections scale with the motion around: free ones spoil what is nearly still."""
    nearby = F.max_pool2d(base.detach().abs().amax(1, keepdim=True), 9, 4, 4)
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
    return _last(x.flatten(0, 1))


def _last(x: Tensor) -> Tensor:
    """Convolutions on CPUs are fastest with channels last in memory."""
    return x.contiguous(memory_format=torch.channels_last)
