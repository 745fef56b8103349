"""Causal space-time layers. Every tensor here is laid out [batch, time, height, width, channels].

Channels last in memory makes 1x1 convolutions matrix products and 2D convolutions channels-last
views, the fast path on CPUs and GPUs alike. `state` carries the past of a stream: None means the
whole clip is given at once; a dict, empty at the start of a segment, makes consecutive calls equal
to one call on the concatenated clip.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from nvcodec.models.config import Triple

StreamState = dict[nn.Module, Tensor]


class CausalConv3d(nn.Module):
    """Convolution that sees kernel[0] - 1 past frames and no future one (paper, section 3.2).

    A strided one maps 1 + s*t frames to 1 + t at the start of a stream and s*t to t later.
    """

    def __init__(self, c_in: int, c_out: int, kernel: Triple, stride: Triple = (1, 1, 1)) -> None:
        super().__init__()
        self.kernel, self.stride = kernel, stride
        self.weight = nn.Parameter(torch.empty(c_out, c_in, *kernel))
        self.bias = nn.Parameter(torch.zeros(c_out))
        if not self.weight.is_meta:  # random numbers without storage are slow and worth nothing
            nn.init.kaiming_normal_(self.weight, nonlinearity="linear")

    def forward(self, x: Tensor, state: StreamState | None = None) -> Tensor:
        """[B, T, H, W, c_in] -> [B, T / s, H / s, W / s, c_out]."""
        if self.kernel[0] > 1:
            x = self._with_past(x, state)
        if self.kernel[1:] == (1, 1) and self.stride[1:] == (1, 1):
            return self._over_time(x)
        if self.kernel[0] == 1 and self.stride[0] == 1:
            return self._over_space(x)
        pad = (0, self.kernel[1] // 2, self.kernel[2] // 2)
        y = F.conv3d(x.permute(0, 4, 1, 2, 3), self.weight, self.bias, self.stride, pad)
        return y.permute(0, 2, 3, 4, 1)

    def _with_past(self, x: Tensor, state: StreamState | None) -> Tensor:
        past = None if state is None else state.get(self)
        if past is None:
            past = x.new_zeros(x.shape[0], self.kernel[0] - 1, *x.shape[2:])
        x = torch.cat((past, x), dim=1)
        if state is not None:
            keep = self.kernel[0] - self.stride[0]
            state[self] = x[:, x.shape[1] - keep:].clone()
        return x

    def _over_time(self, x: Tensor) -> Tensor:
        """A (k, 1, 1) kernel as one matrix product over k frames side by side."""
        k, step = self.kernel[0], self.stride[0]
        if k > 1:
            stop = x.shape[1] - k + 1
            x = torch.cat([x[:, i:stop + i:step] for i in range(k)], dim=-1)
        weight = self.weight[..., 0, 0].permute(0, 2, 1).flatten(1)
        return F.linear(x, weight, self.bias)

    def _over_space(self, x: Tensor) -> Tensor:
        """A (1, k, k) kernel as a 2D convolution over all frames at once."""
        batch, time = x.shape[:2]
        frames = x.flatten(0, 1).permute(0, 3, 1, 2)
        pad = (self.kernel[1] // 2, self.kernel[2] // 2)
        y = F.conv2d(frames, self.weight[:, :, 0], self.bias, self.stride[1:], pad)
        return y.permute(0, 2, 3, 1).unflatten(0, (batch, time))


class ChannelNorm(nn.Module):
    """Layer norm over the channels of one space-time position, modulated by the qp embedding.

    It looks at one position only, so that streaming, tiling and stills see the same values.
    """

    def __init__(self, channels: int, qp_width: int = 0) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(channels))
        self.bias = nn.Parameter(torch.zeros(channels))
        self.modulation = nn.Linear(qp_width, 2 * channels) if qp_width else None
        if self.modulation is not None:
            nn.init.zeros_(self.modulation.weight)
            nn.init.zeros_(self.modulation.bias)

    def forward(self, x: Tensor, qp: Tensor | None) -> Tensor:
        """x [B, T, H, W, C], qp embedding [B, qp_width] -> [B, T, H, W, C]."""
        shape = (x.shape[-1],)
        if self.modulation is None or qp is None:
            return F.layer_norm(x, shape, self.weight, self.bias)
        scale, shift = self.modulation(qp).chunk(2, dim=-1)
        scale, shift = self.weight * (1 + scale), self.bias + shift
        if x.shape[0] == 1:  # one rate for the whole batch: the norm's own affine step does it
            return F.layer_norm(x, shape, scale[0], shift[0])
        scale, shift = (v.to(x.dtype)[:, None, None, None] for v in (scale, shift))
        return torch.addcmul(shift, normalized(x), scale)


class AdaptiveNorm(nn.Module):
    """Norm whose scale and shift at each position come from the quantized latent that covers it.

    The paper's adaptive group norm (section 3.2), with a position-local norm in its place.
    """

    def __init__(self, channels: int, latent_channels: int, time: int, space: int) -> None:
        super().__init__()
        self.time, self.space = time, space
        self.control = nn.Linear(latent_channels, 2 * channels)
        nn.init.zeros_(self.control.weight)
        nn.init.zeros_(self.control.bias)

    def forward(self, x: Tensor, latent: Tensor) -> Tensor:
        """x [B, T, H, W, C], latent [B, T', H', W', D] -> [B, T, H, W, C]."""
        scale, shift = self.control(latent).chunk(2, dim=-1)
        scale, shift = (_spread(v, x.shape[1], self.time) for v in (scale + 1, shift))
        batch, frames, height, width, channels = x.shape
        s = self.space
        y = normalized(x).view(batch, frames, height // s, s, width // s, s, channels)
        y = torch.addcmul(shift[:, :, :, None, :, None], y, scale[:, :, :, None, :, None])
        return y.view(x.shape)


def normalized(x: Tensor) -> Tensor:
    """Layer norm over the last axis, in the precision of x: autocast would make float32 of it, and
    of all that follows until the next convolution, which is an eighth of all that a GPU moves."""
    if x.dtype == torch.float32:
        return F.layer_norm(x, x.shape[-1:])
    with torch.autocast(x.device.type, enabled=False):
        return F.layer_norm(x, x.shape[-1:])


def _spread(v: Tensor, frames: int, factor: int) -> Tensor:
    """Repeat latent frames over the frames they stand for; the first of a stream stands for one."""
    if factor == 1:
        return v
    return v.repeat_interleave(factor, dim=1)[:, v.shape[1] * factor - frames:]


def space_to_depth(x: Tensor, s: int) -> Tensor:
    """[B, T, H, W, C] -> [B, T, H/s, W/s, s*s*C]."""
    if s == 1:
        return x
    b, t, h, w, c = x.shape
    x = x.view(b, t, h // s, s, w // s, s, c).transpose(3, 4)
    return x.reshape(b, t, h // s, w // s, s * s * c)


def depth_to_space(x: Tensor, s: int) -> Tensor:
    """[B, T, H, W, s*s*C] -> [B, T, s*H, s*W, C]."""
    if s == 1:
        return x
    b, t, h, w, c = x.shape
    x = x.view(b, t, h, w, s, s, c // (s * s)).transpose(3, 4)
    return x.reshape(b, t, h * s, w * s, c // (s * s))


class Upsample(nn.Module):
    """Convolution, then depth-to-space and depth-to-time (paper, section 3.2).

    The first s - 1 frames of a stream's time upsampling are dropped: 1 + t -> 1 + s*t frames.
    """

    def __init__(self, c_in: int, c_out: int, stride: Triple, kernel: Triple) -> None:
        super().__init__()
        self.time, self.space = stride[0], stride[1]
        factor = self.time * self.space * self.space
        self.conv = CausalConv3d(c_in, factor * c_out, kernel)
        with torch.no_grad():  # every sub-position starts alike, or a mesh shows in the picture
            first = self.conv.weight[:c_out].clone()
            self.conv.weight.copy_(first.repeat(factor, 1, 1, 1, 1))

    def forward(self, x: Tensor, state: StreamState | None = None) -> Tensor:
        """[B, T, H, W, c_in] -> [B, s*T (- (s-1) at the start), s*H, s*W, c_out]."""
        x = depth_to_space(self.conv(x, state), self.space)
        if self.time == 1:
            return x
        b, t, h, w, c = x.shape
        x = x.view(b, t, h, w, self.time, c // self.time).permute(0, 1, 4, 2, 3, 5)
        x = x.reshape(b, t * self.time, h, w, c // self.time)
        started = state is not None and self in state
        if state is not None:
            state[self] = x.new_empty(0)
        return x if started else x[:, self.time - 1:]
