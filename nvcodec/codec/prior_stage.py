"""`nvcodec train --stage prior`: table and integer prior for a run's finished tokenizer."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch

import bitstream
from nvcodec.codec.events import Listener, Progress, ignore
from nvcodec.codec.learned import table_hints
from nvcodec.codec.sent import PRIOR, TABLE, WEIGHTS, SentTokens, sent_tokens
from nvcodec.errors import InputError, UsageError
from nvcodec.models import int8
from nvcodec.models.config import CONFIGS
from nvcodec.models.prior import Pass, Prior
from nvcodec.models.prior_file import hint_table, prior_bytes
from nvcodec.models.tokenizer import Tokenizer
from nvcodec.train.checkpoint import load_checkpoint, save_checkpoint, saved_prior
from nvcodec.train.data import ClipPool, Frames
from nvcodec.train.finer import go_on_from
from nvcodec.train.grids import Grid, cached_grids
from nvcodec.train.prior import Example, PriorSpec, PriorTrainer, bits_per_token
from nvcodec.train.ranges import tokenizer_ranges


def train_prior(run: Path, name: str, data: Sequence[Path], cache: Path, spec: PriorSpec,
                device: torch.device, rdo: float = 0.0,
                listen: Listener = ignore) -> dict[str, float]:
    """Fit the table `name`, train the prior on its hints, write both to the run's folder.

    With `rdo` the tokens are those that files have when signs are chosen by cost at this strength,
    under the table and the prior that the folder holds already. Float weights that it holds are
    where the prior starts, else those it learned beside the tokenizer. Returns bits per token of
    held-out clips under the table and the prior.
    """
    checkpoint = run / "checkpoint.pt"
    if not checkpoint.exists():
        raise InputError(f"{run}: no checkpoint to train a prior for", "train the tokenizer first")
    state = load_checkpoint(checkpoint)
    pool = ClipPool(data, cache, int(state["spec"].get("seed", 0)))
    model = release_tokenizer(state).to(device)
    if int8.is_fast(device):  # the tokens that the codec will make here
        int8.convert(model, crop_ranges(state, model, pool))
    signs = sent_tokens(run, rdo) if rdo else None
    grids = _grids(run / "grids.npz", model, pool.videos, spec.parts, signs, listen)
    table = fit_table(name, grids, model.config.token_bits)
    prior = _start(state, run / WEIGHTS)
    examples = _examples(grids, table, prior.passes, listen)
    held = _examples(_grids(run / "held.npz", model, pool.held, 1, signs, listen), table,
                     prior.passes, ignore)
    trainer = PriorTrainer(prior, examples, spec, device)
    trainer.train(run / "prior.jsonl", lambda done: listen(Progress(int(100 * done), 100, None,
                                                                    "prior %")))
    save_checkpoint(run / WEIGHTS, prior.state_dict())
    try:
        (run / PRIOR).write_bytes(prior_bytes(prior, table.sha256.hex()))
    except ValueError as error:
        raise UsageError(f"{run}: {error}", "train with a lower --lr") from error
    table.save(run / TABLE)
    return {"table_bits": table_bits(held, table), "prior_bits": bits_per_token(prior, held),
            "steps": float(trainer.step)}


def release_tokenizer(state: Mapping[str, Any]) -> Tokenizer:
    """The averaged weights of a training checkpoint, through the 16 bits of a release."""
    model = Tokenizer(CONFIGS[state["spec"]["model"]])
    model.load_state_dict({k: v.half().float() for k, v in state["ema"]["shadow"].items()})
    return model.eval().requires_grad_(False)


def crop_ranges(state: Mapping[str, Any], model: Tokenizer, pool: ClipPool) -> int8.Ranges:
    """Ranges for the 8-bit form of `release_tokenizer(state)`, on crops as large as it saw."""
    return tokenizer_ranges(model, pool, int(state["spec"].get("size", 96)))


def fit_table(name: str, grids: Sequence[Grid], token_bits: int) -> bitstream.StaticTable:
    """Static probabilities per bit and context from token grids."""
    if not grids:
        raise InputError("no training video to fit the table on", "name a folder with videos")
    counts = bitstream.Counts(token_bits)
    for grid in grids:
        bitstream.count_contexts(grid.tokens, grid.qp, counts)
    return bitstream.StaticTable.from_counts(name, counts)


def table_bits(examples: Sequence[Example], table: bitstream.StaticTable) -> float:
    """Bits per token of the table coder."""
    size = sum(len(bitstream.encode_tokens(e.tokens, bitstream.CODER_TABLE, table, e.qp,
                                           table.token_bits)) for e in examples)
    return 8 * size / max(1, sum(e.tokens.size for e in examples))


def _grids(path: Path, model: Tokenizer, clips: Sequence[Frames], parts: int,
           signs: SentTokens | None, listen: Listener) -> list[Grid]:
    # Few clips are coded at several qp each, so that the statistics of every qp see some.
    return cached_grids(path, model, clips, max(parts, 8 // max(1, len(clips))), signs,
                        signs.key if signs else b"",
                        tell=lambda i, n: listen(Progress(i, n, None, "encode clips")))


def _examples(grids: Sequence[Grid], table: bitstream.StaticTable, passes: Sequence[Pass],
              listen: Listener) -> list[Example]:
    hints, out = hint_table().numpy(), []
    for i, g in enumerate(grids):
        out.append(Example(g.tokens, g.qp, table_hints(g.tokens, table, hints, g.qp, passes)))
        listen(Progress(i + 1, len(grids), None, "hints"))
    return out


def _start(state: Mapping[str, Any], weights: Path) -> Prior:
    prior = Prior.of(CONFIGS[state["spec"]["model"]])
    if weights.exists():
        go_on_from(prior, load_checkpoint(weights))
    elif saved := saved_prior(state):
        go_on_from(prior, saved)
    return prior
