"""The mean of two networks' weights, one trained on from the other.

Wortsman et al. 2022, "Model soups" (arXiv 2203.05482): where a run has gone too far on one side,
the mean with the weights it began from can be better than either.
"""

from __future__ import annotations

from pathlib import Path

from nvcodec.errors import InputError
from nvcodec.train.checkpoint import load_checkpoint, save_checkpoint
from nvcodec.train.inflate import saved_weights


def mean_run(run: Path, other: Path) -> Path:
    """Write `run`/mean, a run's folder whose averages are the mean of `run`'s and `other`'s.

    Args:
        run: folder with a checkpoint.
        other: .safetensors release or training checkpoint of the same architecture.

    Returns the new checkpoint. InputError where one is missing or of another architecture.
    """
    if not (run / "checkpoint.pt").exists():
        raise InputError(f"{run}: no checkpoint there", "train first")
    state = load_checkpoint(run / "checkpoint.pt")
    mine, theirs = state["ema"]["shadow"], saved_weights(other)
    if {k: v.shape for k, v in mine.items()} != {k: v.shape for k, v in theirs.items()}:
        raise InputError(f"{other} is of another architecture than {run}",
                         "take weights that the run began from")
    state["ema"]["shadow"] = {k: (v + theirs[k].float()) / 2 for k, v in mine.items()}
    target = run / "mean" / "checkpoint.pt"
    target.parent.mkdir(exist_ok=True)
    save_checkpoint(target, state)
    return target
