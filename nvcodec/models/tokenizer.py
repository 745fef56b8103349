"""The tokenizer: encoder, lookup-free quantizer and decoder, whole-clip or streaming."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from nvcodec.models import lfq
from nvcodec.models.blocks import QpEmbedding
from nvcodec.models.config import ModelConfig
from nvcodec.models.conv import StreamState
from nvcodec.models.decoder import Decoder
from nvcodec.models.encoder import Encoder


class Tokenizer(nn.Module):
    """MAGVIT-v2 video tokenizer (arXiv 2310.05737). Pixels are [B, T, H, W, 3] in [-1, 1]."""

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        self.config = config
        #: Of the convolutions; `int8.convert` changes it.
        self.precision = "float32"
        self.encoder = Encoder(config)
        self.decoder = Decoder(config)
        self.qp_embedding = QpEmbedding(config.qp_width) if config.qp_width else None

    def embed(self, qp: Tensor | float) -> Tensor | None:
        """qp [B] or one number, 0..63 -> the embedding [B, qp_width]; None for one-rate models."""
        if self.qp_embedding is None:
            return None
        device = self.encoder.out.weight.device
        out: Tensor = self.qp_embedding(torch.as_tensor(qp, device=device).reshape(-1))
        return out

    def encode(self, x: Tensor, qp: Tensor | float = 0, state: StreamState | None = None) -> Tensor:
        """[B, 1 + s*t, H, W, 3] -> latent values z [B, 1 + t, H/8, W/8, bits] before the sign.

        H and W must be whole multiples of the spatial stride (`pad_frames` makes them so).
        """
        z: Tensor = self.encoder(x, self.embed(qp), state)
        return z

    def decode(self, q: Tensor, qp: Tensor | int = 0, state: StreamState | None = None) -> Tensor:
        """Signs [B, 1 + t, H/8, W/8, bits] -> pixels [B, 1 + s*t, H, W, 3], not clamped."""
        x: Tensor = self.decoder(q, self.embed(qp), state)
        return x

    def forward(self, x: Tensor, qp: Tensor | int = 0) -> tuple[Tensor, Tensor]:
        """Pixels -> (reconstruction, z), with gradients through the sign."""
        z = self.encode(x, qp)
        return self.decode(lfq.quantize(z), qp), z


def pad_frames(frames: Tensor, stride: int) -> Tensor:
    """[T, H, W, C] -> height and width padded up to whole strides by repeating the edges."""
    height, width = frames.shape[1:3]
    down, right = -height % stride, -width % stride
    if not (down or right):
        return frames
    planes = frames.permute(0, 3, 1, 2)
    return F.pad(planes, (0, right, 0, down), mode="replicate").permute(0, 2, 3, 1).contiguous()


class EncoderStream:
    """Encodes one segment piece by piece; equal to encoding it whole. qp is real, 0..63."""

    def __init__(self, model: Tokenizer, qp: float) -> None:
        self.model, self.qp, self.state = model, qp, StreamState()

    @torch.inference_mode()
    def push(self, frames: Tensor) -> Tensor:
        """uint8 RGB [T, H, W, 3] -> latent values float32 [t, H/8, W/8, bits] on the CPU.

        T is 1 + s*k in the first call of a segment and s*k in later ones.
        """
        weight = self.model.encoder.out.weight
        x = frames.to(weight.device, weight.dtype) / 127.5 - 1
        x = pad_frames(x, self.model.config.spatial_stride)
        z = self.model.encode(x[None], self.qp, self.state)
        return z[0].float().cpu()


class DecoderStream:
    """Decodes one segment piece by piece; equal to decoding it whole."""

    def __init__(self, model: Tokenizer, qp: int, height: int, width: int) -> None:
        self.model, self.qp, self.state = model, qp, StreamState()
        self.height, self.width = height, width

    @torch.inference_mode()
    def push(self, tokens: Tensor) -> Tensor:
        """Tokens int [t, H/8, W/8] -> uint8 RGB [T, H, W, 3] on the CPU; T as in `push` above."""
        weight = self.model.decoder.stem.weight
        q = lfq.tokens_to_bits(tokens.to(weight.device), self.model.config.token_bits, weight.dtype)
        x = self.model.decode(q[None], self.qp, self.state)[0, :, :self.height, :self.width]
        return x.float().add(1).mul(127.5).round_().clamp_(0, 255).to(torch.uint8).cpu()
