"""What decoded pictures say of the next ones, and what is made of it. Layout [B, T, H, W, C].

This closes the loop: the encoder knows those pictures too, so that tokens say what is new. What
stands still, or moves on as it did, is refined from one latent frame to the next.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from nvcodec.models.config import FINE, KEEP, ModelConfig
from nvcodec.models.conv import CausalConv3d, Upsample, depth_to_space, space_to_depth
from nvcodec.models.motion import carried_on, motion

#: Steepness of the gate, so that it learns as fast as what it lets through.
SLOPE = 4.0
#: Channels of the correction at half the resolution.
CORRECTION_WIDTH = 16
#: A mean distance, in pixels from -1 to 1, that is near enough anywhere; one that is next to none.
NEAR, NEXT_TO_NONE = 0.01, 0.03
#: Added to distances: four levels of 8 bits.
FLOOR = 0.03
#: By how much more what is kept may be off at qp 63 than at qp 0: it saves bits.
SPARED = 0.5
#: What a picture made anew still counts, of what it would, in what is kept, and where that is next
#: to right. The mean of two is nearer than either; and what counts for nothing is never learned.
KEPT_ANEW, FINE_ANEW = 0.5, 0.1
#: What a correction counts where the picture is next to right.
FINE_STEP = 0.3
#: Distances much smaller than this one look as large to the encoder as they are small.
FAINT = 0.05


@dataclass(frozen=True)
class Outlook:
    """What the encoder expects of a turn.

    Attributes:
        pictures: float32 [B, T, H, W, 3].
        keep: values [B, 1, H/8, W/8], above zero where that is to be kept.
        fine: of the same shape, above zero where it is next to right.
        steered: where tokens say how motion departs, bool [B, H/8, W/8]; None after a given
            picture.
    """

    pictures: Tensor
    keep: Tensor
    fine: Tensor
    steered: Tensor | None


@torch.no_grad()
def worth_keeping(x: Tensor, changed: Tensor, qp: Tensor,
                  config: ModelConfig) -> tuple[Tensor, Tensor]:
    """Source and its difference to what is expected, [B, T, H, W, 3] with T = 1 or s*t, and qp [B]
    or one -> `keep` and `fine` of an outlook.

    To be kept is what is off by less than the source is from its own mean in the cell of a
    token, which is about how far off a picture made anew is at low qp; at high qp it is further. A
    rule and not learned: straight through a sign, gradients see the price of a bit but not the
    picture that is lost without it, as a picture that was kept has next to no error left to learn
    from.
    """
    source = _cells(x, config)
    texture = source - source.mean((4, 6), keepdim=True)
    off, seen = (d.abs().mean((2, 4, 6, 7)) for d in (_cells(changed, config), texture))
    spared = (1 + SPARED * (qp.float() / 63) ** 2).view(-1, 1, 1, 1)
    keep = (spared * (seen + NEAR + FLOOR) / (off + FLOOR)).log()
    return 2 * keep, 2 * ((NEXT_TO_NONE + FLOOR) / (off + FLOOR)).log()


def magnified(changed: Tensor) -> Tensor:
    """Differences from -2 to 2, the small ones enlarged, so that what is left to correct is seen
    however little it is."""
    return torch.asinh(changed.float() / FAINT).mul(0.3).to(changed.dtype)


def foretold(known: Tensor) -> Tensor:
    """The last pictures of one turn or two [B, n, H, W, 3], older first -> how far everything will
    move in the next turn, [B, 2, H/4, W/4] in pixels: as far as in the last one."""
    b, n, h, w, _ = known.shape
    return known.new_zeros(b, 2, h // 4, w // 4) if n == 1 else motion(known[:, 0], known[:, 1])


def expected(known: Tensor, flow: Tensor, frames: int) -> Tensor:
    """Pictures as in `foretold` and the motion of a turn -> the turn's `frames` pictures before
    anything else is said of them, float32 [B, frames, H, W, 3]."""
    shares = torch.arange(1, frames + 1, device=flow.device) / frames
    return carried_on(known[:, -1], flow, shares)


def _cells(x: Tensor, config: ModelConfig) -> Tensor:
    """[B, T, H, W, C] -> float32 [B, t, T/t, H/8, 8, W/8, 8, C]."""
    b, frames, h, w, c = x.shape
    time, space = min(config.time_stride, frames), config.spatial_stride
    return x.float().view(b, frames // time, time, h // space, space, w // space, space, c)


class Correction(nn.Module):
    """What to add to the expected pictures where they are kept; nothing before it is trained."""

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


class Memory(nn.Module):
    """Three ways into the decoder: features for its core, pixels for its last stage, and a gate
    that lets the expected pictures through, more where what is made anew is like them. All of it
    comes through where the token says so, and what has come through is corrected, in small steps
    where the token says that it is next to right: so a picture that is kept gets better.

    All but the gate say nothing before they are trained, so that weights without a memory go on.
    """

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        self.patch = config.patch
        planes = 3 * config.patch**2
        last, core = config.decoder_channels[0], config.decoder_channels[-1]
        side = config.spatial_stride // config.patch
        self.look = CausalConv3d(planes, last, (1, 3, 3))
        self.recall = CausalConv3d(last, core, (1, side + 1, side + 1), (1, side, side))
        self.skip = CausalConv3d(planes, last, (1, 1, 1))
        self.gate = CausalConv3d(last, config.patch**2, (1, 1, 1))
        #: How much a difference of 1, in pixels from -1 to 1, closes the gate.
        self.doubt = nn.Parameter(torch.tensor(15.0 / SLOPE))
        self.correction = Correction(config)
        for conv in (self.recall, self.skip, self.gate):
            nn.init.zeros_(conv.weight)
        nn.init.constant_(self.gate.bias, 1.0 / SLOPE)

    def features(self, before: Tensor) -> Tensor:
        """The expected pictures [B, T, H, W, 3] -> what the core adds to its own, from the one in
        their middle: [B, 1, H/8, W/8, C]."""
        middle = before.shape[1] // 2
        h: Tensor = self.look(space_to_depth(before[:, middle:middle + 1], self.patch))
        x: Tensor = self.recall(F.silu(h))
        return x

    def hints(self, before: Tensor) -> Tensor:
        """The expected pictures [B, T, H, W, 3] -> what the last stage adds to its features,
        [B, T, H/4, W/4, C]."""
        x: Tensor = self.skip(space_to_depth(before, self.patch))
        return x

    def blend(self, made: Tensor, before: Tensor, h: Tensor, q: Tensor) -> Tensor:
        """Pictures [B, T, H, W, 3] and the expected ones, mixed as the last features
        [B, T, H/4, W/4, C], the signs [B, 1, H/8, W/8, bits] and the difference say."""
        made, before = made.float(), before.float()
        open_ = depth_to_space(self.gate(h), self.patch).float()
        share = torch.sigmoid(SLOPE * (open_ - self.doubt * self._difference(made, before)))
        kept, fine = _told(q, made.shape[2:4]).split(1, -1)
        step = 1 - (1 - FINE_STEP) * fine
        anew = 1 - kept * (1 - (KEPT_ANEW + (FINE_ANEW - KEPT_ANEW) * fine))
        share = 1 - (1 - share) * anew
        return torch.lerp(made, before + step * self.correction(h), share)

    def _difference(self, made: Tensor, before: Tensor) -> Tensor:
        """Mean distance around each pixel, over three blocks by three: [B, T, H, W, 1]."""
        size = made.shape[2:4]
        d = (made - before).abs().mean(-1).flatten(0, 1)[:, None]
        d = F.avg_pool2d(F.avg_pool2d(d, self.patch), 3, 1, 1, count_include_pad=False)
        d = F.interpolate(d, size, mode="bilinear", align_corners=False)
        return d[:, 0].unflatten(0, made.shape[:2])[..., None]


def _told(q: Tensor, size: torch.Size) -> Tensor:
    """Signs [B, 1, H/8, W/8, bits] -> shares of each pixel to keep, and to keep as next to right:
    [B, 1, H, W, 2] in 0..1."""
    keep, fine = ((q[:, 0, :, :, bit].float() + 1) / 2 for bit in (KEEP, FINE))
    told = torch.stack((keep, keep * fine), 1)
    return F.interpolate(told, size, mode="bilinear", align_corners=False).movedim(1, -1)[:, None]


def remembered(pictures: Tensor) -> Tensor:
    """The last of decoded pictures [B, T, H, W, 3] as everyone sees it: in 8 bits, [B, H, W, 3].

    What differs between machines in the last digits of a float is rounded away, or it would go
    round the loop for a whole segment. Gradients go straight through.
    """
    last = pictures[:, -1].float()
    seen = last.detach().add(1).mul_(127.5).round_().clamp_(0, 255).div_(127.5).sub_(1)
    return last + (seen - last).detach() if last.requires_grad else seen
