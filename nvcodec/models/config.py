"""Model configurations: one frozen dataclass sizes every tokenizer in the family.

Free of torch, so that `nvcodec info` and `nvcodec models` answer at once.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import prod
from typing import Any

Triple = tuple[int, int, int]

#: What the tokenizer may compute in; "auto" is int8 where that is faster, else float32.
PRECISIONS = ("auto", "float32", "int8")

#: Convolution kernels (time, height, width) of one residual block, by kind.
BLOCK_KERNELS: dict[str, tuple[Triple, ...]] = {
    "2d": ((1, 3, 3), (1, 3, 3)),
    "2d+1d": ((1, 3, 3), (3, 1, 1), (1, 3, 3)),
    "3d": ((3, 3, 3), (3, 3, 3)),
}


#: The bit of a token that says whether to keep the last picture. Any would do: this one said least
#: in the weights that training went on from.
KEEP = 13


@dataclass(frozen=True)
class ModelConfig:
    """Sizes of one tokenizer. Tuples run from the highest resolution to the latent one.

    `strides[i]` is the (time, height, width) step between stage i and stage i + 1, so there is
    one more stage than there are strides. Paper: arXiv 2310.05737, section 3.2 and appendix A.
    """

    name: str
    encoder_channels: tuple[int, ...]
    encoder_blocks: tuple[int, ...]
    decoder_channels: tuple[int, ...]
    decoder_blocks: tuple[int, ...]
    block_kinds: tuple[str, ...]
    strides: tuple[Triple, ...] = ((1, 2, 2), (2, 2, 2), (2, 2, 2))
    #: Space-to-depth factor in front of the encoder; 1 means none.
    patch: int = 1
    #: Channels of the decoder's half-steps from the first stage to the pixels (patch > 1).
    head_channels: tuple[int, ...] = ()
    #: Kernel of the first and last convolution of encoder and decoder.
    edge_kernel: Triple = (3, 3, 3)
    #: Kernel of the convolution in front of each depth-to-space or depth-to-time.
    up_kernel: Triple = (3, 3, 3)
    #: Spatial kernel side of strided convolutions that shorten time alone.
    time_down_side: int = 3
    #: A norm in front of every convolution (the paper), or of the first in each block (speed).
    norm_every_conv: bool = False
    #: Closed loop: encoder and decoder see the last decoded picture, so that tokens say what is
    #: new instead of all of it again (beyond the paper).
    memory: bool = False
    #: One bit of a token keeps that picture as it is, and what is kept is corrected. Not in `s` and
    #: `b`, as it has measured no better yet.
    keeps: bool = False
    #: Encoder and decoder also see the last picture moved on as it has moved since the one before.
    moves: bool = False
    token_bits: int = 18
    #: Width of the qp embedding; 0 means the model has one rate only.
    qp_width: int = 0
    #: Integer prior: channels of its first layer, of the others, and of its per-bit hidden state.
    prior_widths: Triple = (64, 128, 64)
    #: Its layer over what is known of the same latent frame; 0 means it has none.
    prior_around: int = 0
    #: Latent frames before that it sees, and bits of its weights' fractions at most.
    prior_frames: int = 2
    prior_finest: int = 9

    def __post_init__(self) -> None:
        stages = len(self.strides) + 1
        for field in ("encoder_channels", "encoder_blocks", "decoder_channels", "decoder_blocks",
                      "block_kinds"):
            if len(getattr(self, field)) != stages:
                raise ValueError(f"{field} needs {stages} entries, one for each stage")
        if self.memory and (self.patch == 1 or self.strides[0][0] != 1):
            raise ValueError("a memory needs a patch, and a first stride over space alone")
        if self.keeps and not (self.memory and self.token_bits > KEEP):
            raise ValueError("what keeps needs a memory, and a bit for it")
        if self.moves and not self.memory:
            raise ValueError("what moves on needs a memory")
        if self.patch not in (1, 2 ** (len(self.head_channels) + 1)):
            raise ValueError("head_channels needs log2(patch) - 1 entries")

    @property
    def time_stride(self) -> int:
        """Frames for each latent frame after the first."""
        return prod(s[0] for s in self.strides)

    @property
    def spatial_stride(self) -> int:
        """Pixels for each latent position, along one side."""
        return self.patch * prod(s[1] for s in self.strides)

    def latent_frames(self, frames: int) -> int:
        """1 + ceil((frames - 1) / time_stride): latent frames that hold `frames` frames."""
        return 1 + -(-(frames - 1) // self.time_stride)

    def latent_size(self, height: int, width: int) -> tuple[int, int]:
        """Latent rows and columns of a picture, after padding it to whole strides."""
        s = self.spatial_stride
        return -(-height // s), -(-width // s)


CONFIGS: dict[str, ModelConfig] = {
    c.name: c
    for c in (
        ModelConfig(
            name="tiny",
            encoder_channels=(16, 32, 32, 32), encoder_blocks=(0, 1, 0, 1),
            decoder_channels=(16, 32, 32, 48), decoder_blocks=(1, 0, 0, 1),
            block_kinds=("2d", "2d", "2d", "2d+1d"),
            strides=((1, 2, 2), (2, 1, 1), (2, 1, 1)),
            patch=4, head_channels=(8,), edge_kernel=(1, 3, 3), up_kernel=(1, 1, 1),
            time_down_side=1, memory=True, keeps=True, qp_width=16, prior_widths=(16, 24, 16),
        ),
        ModelConfig(
            name="s",
            encoder_channels=(48, 96, 160, 224), encoder_blocks=(2, 2, 0, 3),
            decoder_channels=(48, 96, 160, 224), decoder_blocks=(3, 3, 0, 3),
            block_kinds=("2d", "2d", "2d", "2d+1d"),
            strides=((1, 2, 2), (2, 1, 1), (2, 1, 1)),
            patch=4, head_channels=(16,), edge_kernel=(1, 3, 3), up_kernel=(1, 1, 1),
            time_down_side=1, memory=True, moves=True, qp_width=64, prior_widths=(96, 192, 96),
            prior_around=96, prior_frames=4, prior_finest=8,
        ),
        ModelConfig(
            name="b",
            encoder_channels=(96, 192, 320, 448), encoder_blocks=(2, 2, 1, 3),
            decoder_channels=(112, 224, 352, 512), decoder_blocks=(2, 2, 1, 3),
            block_kinds=("2d", "2d+1d", "2d+1d", "2d+1d"),
            strides=((1, 2, 2), (2, 1, 1), (2, 1, 1)),
            patch=4, head_channels=(48,), edge_kernel=(1, 3, 3), up_kernel=(1, 1, 1),
            time_down_side=1, memory=True, moves=True, qp_width=128, prior_widths=(96, 192, 96),
            prior_around=96, prior_frames=4, prior_finest=8,
        ),
        ModelConfig(
            name="magvit2",
            encoder_channels=(128, 256, 256, 512), encoder_blocks=(4, 4, 4, 4),
            decoder_channels=(128, 256, 256, 512), decoder_blocks=(4, 4, 4, 4),
            block_kinds=("3d", "3d", "3d", "3d"), norm_every_conv=True,
        ),
    )
}


def from_json(sizes: dict[str, Any]) -> ModelConfig:
    """The configuration that `dataclasses.asdict` made JSON of; TypeError or ValueError where the
    sizes are of another kind of network."""
    return ModelConfig(**{name: _tuples(value) for name, value in sizes.items()})


def _tuples(value: Any) -> Any:
    return tuple(_tuples(v) for v in value) if isinstance(value, list) else value
