"""Fuzz the `.mvt` readers and token coders: `python -m tests.fuzz --minutes 60`.

Inputs that lead to new outcomes are changed further; `--grow` also keeps small ones in the corpus.
The first fault ends the run with exit code 1, and leaves the input beside you as fuzz-fault.mvt.
"""

from __future__ import annotations

import argparse
import hashlib
import random
import sys
import time
from pathlib import Path

import bitstream
from tests.fuzz.engine import CORPUS, Decode, Fault, measured, mutate, seeds, table_decoders
from tests.golden.make_golden import HERE as GOLDEN
from tests.golden.make_golden import learned_coder

#: The corpus stays below 300 kB, its files below 4.
CORPUS_BYTES, FILE_BYTES = 290_000, 4_000


def decoders() -> dict[bytes, Decode]:
    """Those without torch, and the learned prior of the golden files."""
    coder = learned_coder()
    prior = (GOLDEN / "v1_learned8.prior.safetensors").read_bytes()
    return table_decoders() | {hashlib.sha256(prior).digest(): coder.decode}


def keep(data: bytes) -> None:
    """Add an input to the corpus while there is room."""
    size = sum(file.stat().st_size for file in CORPUS.glob("*.mvt"))
    if len(data) <= FILE_BYTES and size + len(data) <= CORPUS_BYTES:
        (CORPUS / f"{hashlib.sha256(data).hexdigest()[:12]}.mvt").write_bytes(data)


def main() -> int:
    """Returns the exit code."""
    parser = argparse.ArgumentParser(description=__doc__, prog="python -m tests.fuzz")
    parser.add_argument("--minutes", type=float, default=1.0)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--grow", action="store_true")
    wished = parser.parse_args()
    rng = random.Random(wished.seed)
    known = decoders()
    pool = [*seeds(), (GOLDEN / "v1_learned8.mvt").read_bytes()]
    outcomes = {measured(data, known).outcome for data in pool}
    tried, begin = 0, time.monotonic()
    while time.monotonic() - begin < 60 * wished.minutes:
        data = mutate(rng.choice(pool), rng.choice(pool), rng)
        tried += 1
        try:
            outcome = measured(data, known).outcome
        except Fault as fault:
            Path("fuzz-fault.mvt").write_bytes(data)
            print(f"fault after {tried} inputs: {fault}; the input is fuzz-fault.mvt")
            return 1
        if outcome not in outcomes:
            outcomes.add(outcome)
            pool.append(data)
            if wished.grow:
                keep(data)
    print(f"{tried} inputs in {time.monotonic() - begin:.0f} s, {len(outcomes)} outcomes, "
          f"no fault (bitstream version {bitstream.VERSION}, seed {wished.seed})")
    return 0


if __name__ == "__main__":
    sys.exit(main())
