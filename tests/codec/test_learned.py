"""Coder 2: tokens come back equal, in other processes too; damage is always noticed."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import bitstream
from nvcodec.codec.coders import coder_of
from nvcodec.codec.learned import SignCoder
from nvcodec.models import registry

OTHER_PROCESS = """
import json, sys
import numpy as np, torch
torch.set_num_threads(int(sys.argv[2]))
from nvcodec.codec.coders import coder_of
from nvcodec.models import registry
coder = coder_of(registry.find("tiny"), "learned")
saved = np.load(sys.argv[1])
same = []
for i in range(len(saved["qp"])):
    grid = saved[f"t{i}"]
    back = coder.decode(saved[f"p{i}"].tobytes(), grid.shape, int(saved["qp"][i]))
    same.append(bool(np.array_equal(back, grid)))
print(json.dumps(same))
"""


def release_of(folder: Path) -> registry.Release:
    return next(r for r in registry.read_index(folder) if r.id == "tiny")


def grid_of(shape: tuple[int, int, int], seed: int, still: float = 0.5) -> np.ndarray:
    """Random tokens, a share of which repeats the frame before."""
    draw = np.random.default_rng(seed)
    grid = draw.integers(0, 2**18, shape, dtype=np.uint32)
    for t in range(1, shape[0]):
        grid[t] = np.where(draw.random(shape[1:]) < still, grid[t - 1], grid[t])
    return grid


@settings(max_examples=25, deadline=None)
@given(shape=st.tuples(st.integers(1, 4), st.integers(1, 7), st.integers(1, 7)),
       qp=st.integers(0, 63), seed=st.integers(0, 2**31), still=st.sampled_from([0.0, 0.5, 1.0]))
def test_tokens_come_back(tiny_release: Path, shape: tuple[int, int, int], qp: int, seed: int,
                          still: float) -> None:
    coder = coder_of(release_of(tiny_release), "learned")
    grid = grid_of(shape, seed, still)
    assert np.array_equal(coder.decode(coder.encode(grid, qp), shape, qp), grid)


@pytest.mark.parametrize("threads", [1, 2])
def test_another_process_reads_the_same(tiny_release: Path, tmp_path: Path, threads: int) -> None:
    coder = coder_of(release_of(tiny_release), "learned")
    arrays: dict[str, np.ndarray] = {"qp": np.array([0, 21, 42, 63])}
    for i, qp in enumerate(arrays["qp"]):
        arrays[f"t{i}"] = grid_of((3, 9, 11), i)
        arrays[f"p{i}"] = np.frombuffer(coder.encode(arrays[f"t{i}"], int(qp)), np.uint8)
    np.savez(tmp_path / "a.npz", **arrays)
    env = os.environ | {"NVCODEC_MODELS": str(tiny_release)}
    out = subprocess.run([sys.executable, "-c", OTHER_PROCESS, str(tmp_path / "a.npz"),
                          str(threads)], capture_output=True, text=True, check=True, env=env)
    assert json.loads(out.stdout) == [True] * 4


def test_damage_is_noticed(tiny_release: Path) -> None:
    """Flipped bits and cut payloads raise BadTokens; none gives other tokens."""
    coder = coder_of(release_of(tiny_release), "learned")
    grid = grid_of((2, 6, 8), 5)
    payload, draw = coder.encode(grid, 20), np.random.default_rng(0)
    for _ in range(60):
        broken = bytearray(payload)
        broken[draw.integers(len(broken))] ^= 1 << draw.integers(8)
        with pytest.raises(bitstream.BadTokens):
            coder.decode(bytes(broken), grid.shape, 20)
    for cut in (0, 3, 4, 8, len(payload) - 4, len(payload) - 1):
        with pytest.raises(bitstream.BadTokens):
            coder.decode(payload[:cut], grid.shape, 20)
    with pytest.raises(bitstream.BadTokens):
        coder.decode(payload, (2, 6, 9), 20)


def test_a_huge_grid_is_refused_before_memory_is_taken(tiny_release: Path) -> None:
    coder = coder_of(release_of(tiny_release), "learned")
    with pytest.raises(bitstream.BadTokens, match="too short"):
        coder.decode(b"\0" * 12, (16, 1000, 1000), 0)
    with pytest.raises(bitstream.CapExceeded):
        coder.decode(b"\0" * 12, (1 << 20, 1 << 10, 1 << 10), 0)


def test_a_still_grid_costs_next_to_nothing(tiny_release: Path) -> None:
    """Tokens that repeat for ever: the segment's own statistics make them almost free."""
    coder = coder_of(release_of(tiny_release), "learned")
    first = grid_of((1, 10, 12), 1)
    short, long = (len(coder.encode(np.repeat(first, n, 0), 30)) for n in (20, 40))
    assert 8 * (long - short) / (20 * first.size) < 0.25


def test_cheaper_signs(tiny_release: Path) -> None:
    """More strength, fewer bytes; certain values keep their sign; no strength is plain signs."""
    prior = coder_of(release_of(tiny_release), "learned").prior
    assert prior is not None
    z = np.random.default_rng(3).normal(size=(3, 8, 8, 18)).astype(np.float32)
    plain = ((z > 0) * (1 << np.arange(18))).sum(-1).astype(np.uint32)
    sizes = []
    for strength in (0.0, 0.1, 0.4):
        packer = SignCoder(prior, (8, 8), 10, strength, reach=0.5)
        for part in (z[:1], z[1:]):
            packer.push(part)
        tokens, payload = packer.finish()
        assert np.array_equal(coder_of(release_of(tiny_release), "learned").decode(
            payload, tokens.shape, 10), tokens)
        flipped = ((tokens ^ plain)[..., None] >> np.arange(18)) & 1
        assert not (flipped.astype(bool) & (np.abs(z) >= 0.5)).any()
        sizes.append(len(payload))
        if not strength:
            assert np.array_equal(tokens, plain)
    assert sizes[0] > sizes[1] > sizes[2]


@pytest.mark.parametrize("strength", [0.0, 0.3])
def test_values_of_no_account_take_the_likelier_sign(tiny_release: Path, strength: float) -> None:
    prior = coder_of(release_of(tiny_release), "learned").prior
    assert prior is not None
    z = np.random.default_rng(3).normal(size=(3, 8, 8, 18)).astype(np.float32)
    free = z.copy()
    free[:, :, 4:] = 0
    sizes = []
    for values in (z, free):
        packer = SignCoder(prior, (8, 8), 10, strength, reach=0.5)
        packer.push(values)
        sizes.append(len(packer.finish()[1]))
    assert sizes[1] < 0.7 * sizes[0]


@pytest.mark.parametrize("name", ["none", "table", "learned"])
def test_latent_frames_come_one_by_one(tiny_release: Path, name: str) -> None:
    """Coded when they are there, decoded when they are asked for; the last one proves them all."""
    coder = coder_of(release_of(tiny_release), name)
    z = np.random.default_rng(5).normal(size=(4, 6, 9, 18)).astype(np.float32)
    packer = coder.packer((6, 9), 30)
    for part in (z[:1], z[1:3], z[3:]):
        packer.push(part)
    tokens, payload = packer.finish()
    assert np.array_equal(tokens, ((z > 0) * (1 << np.arange(18))).sum(-1))
    assert payload == coder.encode(tokens, 30)
    frames = coder.frames(payload, tokens.shape, 30)
    assert np.array_equal(next(frames), tokens[0])
    assert np.array_equal(np.stack(list(frames)), tokens[1:])
    wrong_sum = bytes([payload[0] ^ 1]) + payload[1:]
    frames = coder.frames(wrong_sum, tokens.shape, 30)
    assert np.array_equal(np.stack([next(frames) for _ in tokens]), tokens)
    with pytest.raises(bitstream.BadTokens, match="checksum"):
        next(frames)
