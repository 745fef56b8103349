"""The last decoded picture, as the decoder uses it for the next ones. Layout [B, T, H, W, C].

This closes the loop: the encoder knows that picture too, so that tokens say what is new. What
stands still is refined from one latent frame to the next.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from nvcodec.models.config import KEEP, ModelConfig
from nvcodec.models.conv import CausalConv3d, Upsample, depth_to_space, space_to_depth
from nvcodec.models.motion import carried_on, motion

#: Steepness of the gate, so that it learns as fast as what it lets through.
SLOPE = 4.0
#: Channels of the correction at half the resolution.
CORRECTION_WIDTH = 16
#: Added to distances: four levels of 8 bits.
FLOOR = 0.03
#: By how much a picture has to be better than its texture to be kept.
MARGIN = 0.2
#: What the last picture moved on begins by counting, inside the sigmoid.
RESERVE = -3.0


@dataclass(frozen=True)
class Outlook:
    """What decoded pictures say of a turn.

    Attributes:
        last: the last picture, [B, H, W, 3].
        moved: that one moved on, float32 [B, T, H, W, 3]; None where the config has no motion.
    """

    last: Tensor
    moved: Tensor | None = None

    def each(self, every: int) -> Outlook:
        """For each `every`-th of the turn's frames, the last among them."""
        return self if self.moved is None else replace(self, moved=each(self.moved, every))


def each(frames: Tensor, every: int) -> Tensor:
    """Each `every`-th of a turn's frames [B, T, ...], the last among them; T = 1 or s*t."""
    return frames if every == 1 else frames[:, (frames.shape[1] - 1) % every::every].contiguous()


def outlook(known: Tensor, frames: int, config: ModelConfig) -> Outlook:
    """The last pictures of one turn or two, [B, n, H, W, 3], older first -> what to expect of the
    turn's `frames`: everything goes on as far as it went in the last turn, without gradients."""
    last = known[:, -1]
    if not config.moves:
        return Outlook(last)
    if known.shape[1] == 1:
        return Outlook(last, last.detach().float()[:, None].expand(-1, frames, -1, -1, -1))
    with torch.no_grad():
        shares = torch.arange(1, frames + 1, device=last.device) / frames
        return Outlook(last, carried_on(last, motion(known[:, 0], last), shares))


@torch.no_grad()
def worth_keeping(x: Tensor, changed: Tensor, config: ModelConfig) -> Tensor:
    """Source and its difference to the last picture, [B, T, H, W, 3] with T = 1 or s*t -> values
    [B, t, H/8, W/8], above zero where the last picture is to be kept.

    It is where that picture is off by less than the source is from its own mean in the cell of a
    token, which is about how far off a decoded picture is. A rule and not learned: straight through
    a sign, gradients see the price of a bit but not the picture that is lost without it, as a
    picture that was kept has next to no error left to learn from.
    """
    source = _cells(x, config)
    texture = source - source.mean((4, 6), keepdim=True)
    off, seen = (d.abs().mean((2, 4, 6, 7)) + FLOOR for d in (_cells(changed, config), texture))
    return 2 * (seen / off).log() - MARGIN


def _cells(x: Tensor, config: ModelConfig) -> Tensor:
    """[B, T, H, W, C] -> float32 [B, t, T/t, H/8, 8, W/8, 8, C]."""
    b, frames, h, w, c = x.shape
    time, space = min(config.time_stride, frames), config.spatial_stride
    return x.float().view(b, frames // time, time, h // space, space, w // space, space, c)


class Correction(nn.Module):
    """What to add to the last picture where it comes through; nothing before it is trained."""

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        half = config.patch // 2
        self.fine = Upsample(config.decoder_channels[0], CORRECTION_WIDTH, (1, half, half),
                             (1, 1, 1))
        self.out = Upsample(CORRECTION_WIDTH, 3, (1, 2, 2), (1, 3, 3))
        nn.init.zeros_(self.out.conv.weight)

    def forward(self, h: Tensor) -> Tensor:
        """The decoder's last features [B, T, H/4, W/4, C] -> float32 [B, T, H, W, 3]."""
        x: Tensor = self.out(F.silu(self.fine(h)))
        return x.float()


def _ways(config: ModelConfig) -> tuple[CausalConv3d, CausalConv3d, CausalConv3d]:
    """Ways of a picture into the decoder: its features to the core, its pixels to the last stage,
    and a value for each pixel out of the last features. All begin at zero."""
    pixels, last = config.patch**2, config.decoder_channels[0]
    side = config.spatial_stride // config.patch
    ways = (CausalConv3d(last, config.decoder_channels[-1], (1, side + 1, side + 1),
                         (1, side, side)),
            CausalConv3d(3 * pixels, last, (1, 1, 1)), CausalConv3d(last, pixels, (1, 1, 1)))
    for conv in ways:
        nn.init.zeros_(conv.weight)
    return ways


class Motion(nn.Module):
    """The ways into the decoder of the last picture moved on, beside those of `Memory`.

    They say nothing before they are trained, but that it counts a little where it is more alike.
    """

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        self.patch = config.patch
        self.recall, self.skip, self.prefer = _ways(config)
        #: How much a difference of 1, in pixels from -1 to 1, speaks for the nearer picture.
        self.trust = nn.Parameter(torch.tensor(10.0 / SLOPE))
        nn.init.constant_(self.prefer.bias, RESERVE / SLOPE)

    def choice(self, h: Tensor, nearer: Tensor) -> Tensor:
        """The decoder's last features [B, T, H/4, W/4, C] and by how much the moved picture is
        more like what is made, [B, T, H, W, 1] -> its share in 0..1, of that shape."""
        prefer = depth_to_space(self.prefer(h), self.patch).float()
        return torch.sigmoid(SLOPE * (prefer + self.trust * nearer))


class Memory(nn.Module):
    """Three ways into the decoder: features for its core, pixels for its last stage, and a gate
    that lets the last picture through to the next ones, more where what is made for them is like
    it. Where the config `keeps`, all of it comes through where the token says so, and what has come
    through is corrected, or a picture that is kept could not get better.

    All but the gate say nothing before they are trained, so that weights without a memory go on.
    """

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        self.patch = config.patch
        self.look = CausalConv3d(3 * config.patch**2, config.decoder_channels[0], (1, 3, 3))
        self.recall, self.skip, self.gate = _ways(config)
        #: How much a difference of 1, in pixels from -1 to 1, closes the gate.
        self.doubt = nn.Parameter(torch.tensor(15.0 / SLOPE))
        self.correction = Correction(config) if config.keeps else None
        self.motion = Motion(config) if config.moves else None
        nn.init.constant_(self.gate.bias, 1.0 / SLOPE)

    def features(self, seen: Outlook) -> Tensor:
        """-> what the core adds to its own features, [B, 1, H/8, W/8, C]."""
        x: Tensor = self.recall(F.silu(self.look(space_to_depth(seen.last[:, None], self.patch))))
        if self.motion is not None and seen.moved is not None:
            middle = seen.moved.shape[1] // 2
            h = self.look(space_to_depth(seen.moved[:, middle:middle + 1], self.patch))
            x = x + self.motion.recall(F.silu(h))
        return x

    def hints(self, seen: Outlook) -> Tensor:
        """-> what the last stage adds to its features, [B, 1 or T, H/4, W/4, C]."""
        x: Tensor = self.skip(space_to_depth(seen.last[:, None], self.patch))
        if self.motion is not None and seen.moved is not None:
            x = x + self.motion.skip(space_to_depth(seen.moved, self.patch))
        return x

    def blend(self, made: Tensor, seen: Outlook, h: Tensor, q: Tensor) -> Tensor:
        """Pictures [B, T, H, W, 3] and what is expected, mixed as the last features
        [B, T, H/4, W/4, C], the signs [B, 1, H/8, W/8, bits] and the difference say."""
        made, before = made.float(), seen.last[:, None].float()
        off = self._difference(made, before)
        if self.motion is not None and seen.moved is not None:
            other = self._difference(made, seen.moved)
            chosen = self.motion.choice(h, off - other)
            before, off = _mixed(before, seen.moved, chosen), _mixed(off, other, chosen)
        open_ = depth_to_space(self.gate(h), self.patch).float()
        share = torch.sigmoid(SLOPE * (open_ - self.doubt * off))
        if self.correction is None:
            return _mixed(made, before, share)
        share = _mixed(share, torch.ones_like(share), _kept(q, made.shape[2:4]))
        return _mixed(made, before + self.correction(h), share)

    def _difference(self, made: Tensor, before: Tensor) -> Tensor:
        """Mean distance around each pixel, over three blocks by three: [B, T, H, W, 1]."""
        _, _, height, width, channels = made.shape
        side = self.patch
        rows = (made - before).abs_().reshape(
            -1, height // side, side, width // side, side * channels)
        d = rows.sum(-1).sum(2)[:, None] / (side * side * channels)  # twice as fast as pooling
        d = F.avg_pool2d(d, 3, 1, 1, count_include_pad=False)
        d = F.interpolate(d, (height, width), mode="bilinear", align_corners=False)
        return d[:, 0].unflatten(0, made.shape[:2])[..., None]


def _mixed(a: Tensor, b: Tensor, share: Tensor) -> Tensor:
    """a where the share is 0, b where it is 1; `torch.lerp` is slow where shapes are spread out."""
    return torch.addcmul(a, b - a, share)


def _kept(q: Tensor, size: torch.Size) -> Tensor:
    """Signs [B, 1, H/8, W/8, bits] -> share to keep of each pixel, [B, 1, H, W, 1] in 0..1."""
    told = (q[:, 0, None, :, :, KEEP].float() + 1) / 2
    return F.interpolate(told, size, mode="bilinear", align_corners=False)[..., None]


def remembered(pictures: Tensor) -> Tensor:
    """The last of decoded pictures [B, T, H, W, 3] as everyone sees it: in 8 bits, [B, H, W, 3].

    What differs between machines in the last digits of a float is rounded away, or it would go
    round the loop for a whole segment. Gradients go straight through.
    """
    last = pictures[:, -1].float()
    seen = last.detach().add(1).mul_(127.5).round_().clamp_(0, 255).div_(127.5).sub_(1)
    return last + (seen - last).detach() if last.requires_grad else seen
