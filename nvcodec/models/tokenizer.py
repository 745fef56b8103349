"""The tokenizer: encoder, lookup-free quantizer and decoder, whole-clip or streaming."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeAlias

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from nvcodec.models import as_bytes, lfq
from nvcodec.models.blocks import QpEmbedding
from nvcodec.models.config import KEEP, ModelConfig
from nvcodec.models.conv import StreamState
from nvcodec.models.decoder import Decoder
from nvcodec.models.encoder import Encoder
from nvcodec.models.memory import Outlook, each, outlook, remembered
from nvcodec.models.second_look import looked_again, share

#: Latent values [B, t, H/8, W/8, bits] -> the signs in {-1, +1} that are sent for them.
Sent: TypeAlias = Callable[[Tensor], Tensor]
#: Told of decoded pictures.
Made: TypeAlias = Callable[[Tensor], None]


@dataclass(frozen=True)
class Passage:
    """What comes of a clip of T = 1 + s*t frames.

    Attributes:
        pictures: the reconstruction [B, T, H, W, 3], not clamped.
        z: latent values [B, 1 + t, H/8, W/8, bits].
        signs: what is sent of them, of the same shape.
    """

    pictures: Tensor
    z: Tensor
    signs: Tensor


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

    def encode(self, x: Tensor, qp: Tensor | float = 0, state: StreamState | None = None,
               sent: Sent = lfq.quantize, again: float = 0.0,
               made: Made | None = None) -> Tensor:
        """[B, 1 + s*t, H, W, 3] -> latent values z [B, 1 + t, H/8, W/8, bits] before the sign.

        H and W must be whole multiples of the spatial stride (`pad_frames` makes them so). `sent`
        makes signs of values, latent frame by latent frame: where there is a memory, later values
        depend on what was sent. There values may be looked at `again` (`second_look`), by a part
        0..1 of what is missed. `made` is given the last picture of each turn as decoders make it,
        before the next is looked at, [B, 1, H, W, 3], not clamped; where there is no memory, nobody
        makes it.
        """
        if self.config.memory:  # of each turn the loop needs the last picture alone
            return self._around(x, qp, state, sent, self.config.time_stride, again, made).z
        z: Tensor = self.encoder(x, self.embed(qp), state)
        sent(z)
        return z

    def decode(self, q: Tensor, qp: Tensor | int = 0, state: StreamState | None = None,
               every: int = 1) -> Tensor:
        """Signs [B, 1 + t, H/8, W/8, bits] -> pixels [B, 1 + s*t, H, W, 3], not clamped.

        Where `every` is above 1, each so many-th frame of a segment alone, [B, 1 + s*t/every, ...];
        it divides s.
        """
        embedded = self.embed(qp)
        if not self.config.memory:
            x: Tensor = self.decoder(q, embedded, state)
            return each(x, every)
        state = StreamState() if state is None else state
        turns = [self._turn(part, embedded, state,
                            self._outlook(state, self.config.time_stride), every)
                 for part in q.split(1, dim=1)]
        return torch.cat(turns, 1) if len(turns) > 1 else turns[0]

    def forward(self, x: Tensor, qp: Tensor | int = 0, sent: Sent = lfq.quantize,
                before: Tensor | None = None, every: int = 1) -> Passage:
        """Pixels there and back, with gradients through the signs; `every` as for `decode`.

        `before` is a picture [B, H, W, 3] that a memory holds from the start, in training only.
        """
        if self.config.memory:
            state = StreamState() if before is None else StreamState(
                {self.decoder: before[:, None]})
            return self._around(x, qp, state, sent, every)
        z = self.encode(x, qp)
        q = sent(z)
        return Passage(self.decode(q, qp, every=every), z, q)

    def _around(self, x: Tensor, qp: Tensor | float, state: StreamState | None,
                sent: Sent, every: int = 1, again: float = 0.0, made: Made | None = None
                ) -> Passage:
        """Once round the loop for each latent frame; `every` as for `decode`, `again` and `made`
        as for `encode`."""
        state = StreamState() if state is None else state
        embedded, stride = self.embed(qp), self.config.time_stride
        frames = x.shape[1]
        pictures, values, signs = [], [], []
        for part in x.split([1] * (frames % stride) + [stride] * (frames // stride), dim=1):
            seen = self._outlook(state, part.shape[1])
            values.append(self._values(part, embedded, state, seen, again))
            signs.append(sent(values[-1]))
            pictures.append(self._turn(signs[-1], embedded, state, seen, every))
            if made:
                made(pictures[-1])
        return Passage(torch.cat(pictures, 1), torch.cat(values, 1), torch.cat(signs, 1))

    def _values(self, x: Tensor, qp: Tensor | None, state: StreamState, seen: Outlook | None,
                again: float) -> Tensor:
        """A turn's latent values, looked at `again` as for `encode`."""
        before = StreamState(state)
        z: Tensor = self.encoder(x, qp, state, seen)
        if not again:
            return z
        q = lfq.quantize(z)
        made = self.decoder(q, qp, StreamState(before), seen).clamp(-1, 1)
        better = looked_again(z, q, self.encoder(made, qp, before, seen), again)
        if self.config.keeps:
            better[..., KEEP] = z[..., KEEP]  # a rule's and not a network's
        return better

    def _outlook(self, state: StreamState, frames: int) -> Outlook | None:
        """What to expect of the next `frames`; None at the start of a segment."""
        known = state.get(self.decoder)
        return None if known is None else outlook(known, frames, self.config)

    def _turn(self, q: Tensor, qp: Tensor | None, state: StreamState,
              seen: Outlook | None, every: int) -> Tensor:
        """Decode one latent frame; the last pictures of two turns are kept in the state."""
        x: Tensor = self.decoder(q, qp, state, seen, every)
        last, known = remembered(x)[:, None], state.get(self.decoder)
        if known is not None and self.config.moves:
            last = torch.cat((known[:, -1:], last), 1)
        state[self.decoder] = last
        return x


def pad_frames(frames: Tensor, stride: int) -> Tensor:
    """[T, H, W, C] -> height and width padded up to whole strides by repeating the edges."""
    height, width = frames.shape[1:3]
    down, right = -height % stride, -width % stride
    if not (down or right):
        return frames
    planes = frames.permute(0, 3, 1, 2)
    return F.pad(planes, (0, right, 0, down), mode="replicate").permute(0, 2, 3, 1).contiguous()


class EncoderStream:
    """Encodes one segment piece by piece; equal to encoding it whole. qp is real, 0..63.

    Where there is a memory, every turn is looked at twice (`second_look`), but for `fast`.
    """

    def __init__(self, model: Tokenizer, qp: float, fast: bool = False) -> None:
        self.model, self.qp, self.state = model, qp, StreamState()
        self.again = 0.0 if fast else share(qp)

    @torch.inference_mode()
    def push(self, frames: Tensor, sent: Sent = lfq.quantize, made: Made | None = None) -> Tensor:
        """uint8 RGB [T, H, W, 3] -> latent values float32 [t, H/8, W/8, bits] on the CPU.

        T is 1 + s*k in the first call of a segment and s*k in later ones; `sent` as in
        `Tokenizer.encode`. `made` is given the last picture of each turn as decoders show it,
        uint8 [H, W, 3] on the CPU, before the next is looked at; where there is no memory, none.
        """
        height, width = frames.shape[1:3]
        weight = self.model.encoder.out.weight
        x = frames.to(weight.device, weight.dtype) / 127.5 - 1
        x = pad_frames(x, self.model.config.spatial_stride)
        tell = None if made is None else _shown(made, height, width)
        z = self.model.encode(x[None], self.qp, self.state, sent, self.again, tell)
        return z[0].float().cpu()


def _shown(tell: Made, height: int, width: int) -> Made:
    """Tells of a picture [1, 1, ...] as uint8 [H, W, 3] on the CPU."""
    return lambda x: tell(as_bytes.pixels(x[0, 0, :height, :width]).cpu())


class DecoderStream:
    """Decodes one segment piece by piece; equal to decoding it whole. `every` is as in
    `Tokenizer.decode`."""

    def __init__(self, model: Tokenizer, qp: int, height: int, width: int, every: int = 1) -> None:
        self.model, self.qp, self.every, self.state = model, qp, every, StreamState()
        self.height, self.width = height, width

    @torch.inference_mode()
    def push(self, tokens: Tensor) -> Tensor:
        """Tokens int [t, H/8, W/8] -> uint8 RGB [T, H, W, 3] on the CPU; T as in `push` above, of
        which each `every`-th is given."""
        weight = self.model.decoder.stem.weight
        q = lfq.tokens_to_bits(tokens.to(weight.device), self.model.config.token_bits, weight.dtype)
        x = self.model.decode(q[None], self.qp, self.state, self.every)
        return as_bytes.pixels(x[0, :, :self.height, :self.width]).cpu()
