"""Tokens as files have them, to train with: signs chosen by cost under a run's own prior."""

from __future__ import annotations

import hashlib
import shutil
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

import bitstream
from nvcodec.codec.coders import RDO_REACH, read_learned
from nvcodec.codec.learned import LearnedPrior, SignCoder
from nvcodec.codec.segment import strength_at
from nvcodec.errors import InputError
from nvcodec.models.registry import ModelError
from nvcodec.train.signs import Choose

#: What a run's folder holds of its coder: the table, the prior, and the prior's float weights.
TABLE, PRIOR, WEIGHTS = "prior.table", "prior.safetensors", "prior.pt"


@dataclass(frozen=True)
class SentTokens:
    """The encoder's last step under one prior and strength.

    Attributes:
        prior: what the cost of a sign comes from.
        rdo: strength of signs chosen by cost, as in `registry.Release`.
        key: tells apart what other priors or strengths would give.
        reach: |z| from which on a value keeps its sign.
    """

    prior: LearnedPrior
    rdo: float
    key: bytes
    reach: float = RDO_REACH

    def __call__(self, size: tuple[int, int], qp: int) -> Choose:
        """What gives a clip's grids of H', W' = size the tokens that a file at `qp` has."""
        return SignCoder(self.prior, size, qp, self.rdo * strength_at(qp), self.reach).push

    def strengths(self) -> Tensor:
        """|z| that a nat is worth at each qp, float32 [64]."""
        return torch.tensor([self.rdo * strength_at(qp) for qp in range(64)])


def sent_tokens(run: Path, rdo: float) -> SentTokens:
    """What the table and the prior in a run's folder make of latent values."""
    for path in (run / TABLE, run / PRIOR):
        if not path.exists():
            raise InputError(f"{path}: no such file, and --rdo needs it",
                             "run --stage prior first, or leave --rdo out")
    try:
        prior = read_learned(run / PRIOR, bitstream.StaticTable.load(run / TABLE))
    except ModelError as error:
        raise InputError(f"{run}: {error}", "run --stage prior again") from error
    key = hashlib.sha256((run / PRIOR).read_bytes() + repr(rdo).encode()).digest()
    return SentTokens(prior, rdo, key)


def keep_coder(init: Path, run: Path) -> None:
    """Give a run the table and the prior of the release or the run that it starts from.

    A decoder that is trained alone leaves tokens as they are, so that these go on fitting. What
    the folder holds already stays.
    """
    if init.suffix == ".safetensors":
        names = {TABLE: f"{init.stem}.table", PRIOR: f"{init.stem}.prior.safetensors"}
    else:
        names = {TABLE: TABLE, PRIOR: PRIOR}
    run.mkdir(parents=True, exist_ok=True)
    if not any((run / name).exists() for name in names):
        for name, old in names.items():
            source = init.with_name(old)
            if source.exists():
                shutil.copyfile(source, run / name)
