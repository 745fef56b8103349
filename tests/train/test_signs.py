"""Training on tokens as files have them."""

from __future__ import annotations

import json
import zlib
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from click.testing import CliRunner

import bitstream
from nvcodec.cli.train import command
from nvcodec.codec.coders import coder_of
from nvcodec.codec.prior_stage import train_prior
from nvcodec.codec.segment import SegmentEncoder
from nvcodec.codec.sent import PRIOR, TABLE, keep_coder, sent_tokens
from nvcodec.errors import InputError
from nvcodec.models import int8, registry
from nvcodec.models.lfq import bits_to_tokens, quantize
from nvcodec.models.prior import Prior
from nvcodec.segments import pieces
from nvcodec.train.data import ClipPool
from nvcodec.train.grids import tokens_of
from nvcodec.train.loop import Trainer
from nvcodec.train.prior import PriorSpec
from nvcodec.train.recipes import RECIPES
from nvcodec.train.signs import Choose, estimator, sender
from nvcodec.train.spec import RunSpec
from nvcodec.video.info import Frame
from tests.codec.test_round_trip import make_clip

STRENGTH = 0.5  # much, so that an untrained prior changes signs too


@pytest.fixture
def run(tiny_release: Path, tmp_path: Path) -> Path:
    """A run's folder with table and prior, as one that starts from the release gets them."""
    keep_coder(tiny_release / "tiny.safetensors", tmp_path / "run")
    return tmp_path / "run"


def test_gradients_go_straight_through() -> None:
    z = torch.randn(2, 1, 4, 4, 18, requires_grad=True)
    seen = []

    def all_ones(size: tuple[int, int], qp: int) -> Choose:
        def choose(values: np.ndarray) -> np.ndarray:
            seen.append((size, qp, values.shape))
            return np.full(values.shape[:3], 2**18 - 1, np.uint32)
        return choose

    sent = sender(all_ones, torch.tensor([3, 60]))
    q = torch.cat((sent(z), sent(z)), dim=1)
    assert seen == [((4, 4), 3, (1, 4, 4, 18)), ((4, 4), 60, (1, 4, 4, 18))] * 2
    torch.testing.assert_close(q, torch.ones_like(q))
    q.sum().backward()
    assert z.grad is not None and torch.equal(z.grad, torch.full_like(z, 2))


def test_an_estimate_takes_the_cheaper_sign_of_small_values(run: Path) -> None:
    """What a GPU trains on: by the prior that learns, all bits of a latent frame at once."""
    torch.manual_seed(0)
    signs, qp, prior = sent_tokens(run, STRENGTH), torch.tensor([5, 40]), Prior(18, 16, 24, 16)
    with torch.no_grad():
        prior.direct.bias.copy_(torch.linspace(-3, 3, 18))
    z = torch.randn(2, 3, 4, 4, 18, requires_grad=True)
    sent = estimator(signs.strengths(), signs.reach, qp, prior)
    q = torch.cat([sent(part) for part in z.split(1, dim=1)], 1)
    own = quantize(z)
    worth = signs.strengths()[qp][:, None, None, None, None] * prior(own, qp)[:, :1]
    cheaper = torch.where(z[:, :1] + worth > 0, 1.0, -1.0)
    small = z.abs()[:, :1] < signs.reach
    torch.testing.assert_close(q[:, :1], torch.where(small, cheaper, own[:, :1]))
    assert 0 < (q != own).float().mean() < 0.2
    q.sum().backward()
    assert z.grad is not None and torch.equal(z.grad, torch.ones_like(z))


def test_training_sees_the_tokens_that_a_file_has(
        run: Path, tiny_release: Path, carphone: Path, tmp_path: Path) -> None:
    release = next(registry.read_index(tiny_release))
    model = registry.load(release, torch.device("cpu"))
    (data := tmp_path / "data").mkdir()
    (data / "0.mp4").symlink_to(carphone)
    clip = ClipPool((data,), tmp_path / "cache", 0).videos[0][:9]
    signs, qp = sent_tokens(run, STRENGTH), 24
    trained = tokens_of(model, clip, qp, signs)
    plain = tokens_of(model, clip, qp)
    assert 0 < (trained != plain).mean() < 1

    coder = coder_of(release, "learned")
    header = bitstream.Header(
        width=176, height=144, padded_width=176, padded_height=144, fps_num=30, fps_den=1,
        time_base_num=1, time_base_den=30, model="tiny", model_sha256=bytes(32))
    frames = [Frame(np.array(rgb), pts, 1) for pts, rgb in enumerate(clip)]

    def in_a_file(fast: bool) -> int:
        encoder = SegmentEncoder(model, coder, qp, header, rdo=STRENGTH, fast=fast)
        for piece in pieces(frames, 9, 4):
            encoder.add(piece)
        for frame in frames:
            encoder.note(frame, 0)
        return encoder.finish()[1]

    assert in_a_file(fast=False) == zlib.crc32(trained.tobytes())
    x = torch.from_numpy(np.array(clip))[None] / 127.5 - 1
    with torch.no_grad():  # the network learns from what it sees at first
        q = model(x, qp, sender(signs, torch.tensor([qp]))).signs
    tokens = bits_to_tokens(q)[0].numpy().astype(np.uint32)
    assert in_a_file(fast=True) == zlib.crc32(tokens.tobytes())


def test_the_decoder_learns_from_them(
        run: Path, blurred_distance: None, carphone: Path, tmp_path: Path) -> None:
    (data := tmp_path / "data").mkdir()
    for i in range(2):
        (data / f"{i}.mp4").symlink_to(carphone)
    spec = RunSpec(out=run, data=(data,), model="tiny", recipe="finish", steps=1, batch=1,
                   frames=(5,), size=32, device="cpu")
    trainer = Trainer(spec, sent_tokens(run, STRENGTH))
    z = torch.randn(1, 2, 4, 4, 18) / 10
    qp = torch.tensor([24])
    assert not torch.equal(sender(trainer.objective.signs, qp)(z), quantize(z))
    assert np.isfinite(float(trainer.train_step()["loss"]))


def test_the_prior_learns_them_too(
        tiny_release: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Tokens are kept for the strength and the prior they were made with, and for no other."""
    monkeypatch.setattr(int8, "is_fast", lambda device: False)  # measuring ranges takes long
    source, run, data = tiny_release.parent, tmp_path / "run", tmp_path / "data"
    run.mkdir()
    data.mkdir()
    make_clip(data / "a.mp4", [40 * i for i in range(9)], size=(96, 112))
    for name in ("checkpoint.pt", TABLE, PRIOR):
        (run / name).write_bytes((source / name).read_bytes())
    spec, grids = PriorSpec(steps=1, lr=1e-5), []
    for rdo in (0.0, STRENGTH):
        train_prior(run, "tiny", [data], tmp_path / "cache", spec, torch.device("cpu"), rdo)
        with np.load(run / "grids.npz") as saved:
            grids.append({k: saved[k] for k in saved if k.startswith("g")})
    assert any(not np.array_equal(grids[0][k], grids[1][k]) for k in grids[0])


def test_a_run_keeps_the_coder_it_starts_from(
        run: Path, tiny_release: Path, tmp_path: Path) -> None:
    index = json.loads((tiny_release / "index.json").read_text())["tiny"]
    assert (run / TABLE).read_bytes() == (tiny_release / index["table"]).read_bytes()
    assert (run / PRIOR).read_bytes() == (tiny_release / index["prior"]).read_bytes()
    second = tmp_path / "second"
    keep_coder(run / "checkpoint.pt", second)
    assert (second / PRIOR).read_bytes() == (run / PRIOR).read_bytes()
    (second / PRIOR).write_bytes(b"its own")
    keep_coder(run / "checkpoint.pt", second)
    assert (second / PRIOR).read_bytes() == b"its own"


@pytest.mark.parametrize("recipe", ["tune", "finish"])
def test_training_on_sent_tokens_takes_the_coder_beside_the_weights(
        recipe: str, tiny_release: Path, blurred_distance: None, carphone: Path,
        tmp_path: Path) -> None:
    (data := tmp_path / "data").mkdir()
    for i in range(9):  # the ninth is held out
        (data / f"{i}.mp4").symlink_to(carphone)
    out = tmp_path / "run"
    done = CliRunner().invoke(command, [
        str(data), "-o", str(out), "--model", "tiny", "--recipe", recipe, "--steps", "1",
        "--batch", "1", "--frames", "5", "--size", "64", "--rdo", str(STRENGTH), "--device", "cpu",
        "--init", str(tiny_release / "tiny.safetensors")])
    assert done.exit_code == 0, done.output
    assert (out / PRIOR).read_bytes() == (tiny_release / "tiny.prior.safetensors").read_bytes()


def test_keys_know_the_strength_and_a_missing_prior_its_remedy(run: Path, tmp_path: Path) -> None:
    assert sent_tokens(run, STRENGTH).key == sent_tokens(run, STRENGTH).key
    assert sent_tokens(run, STRENGTH).key != sent_tokens(run, STRENGTH / 2).key
    with pytest.raises(InputError, match="--stage prior"):
        sent_tokens(tmp_path, STRENGTH)
    (run / PRIOR).write_bytes(b"none")
    with pytest.raises(InputError, match="--stage prior"):
        sent_tokens(run, STRENGTH)


def test_high_qp_come_more_often_where_the_recipe_says_so(
        blurred_distance: None, carphone: Path, tmp_path: Path) -> None:
    (data := tmp_path / "data").mkdir()
    for i in range(2):
        (data / f"{i}.mp4").symlink_to(carphone)
    spec = RunSpec(out=tmp_path / "run", data=(data,), model="tiny", batch=4, frames=(5,), size=32,
                   device="cpu")
    shares = {}
    for recipe in ("codec", "finish"):
        trainer = Trainer(replace(spec, recipe=recipe))
        qp = torch.cat([trainer.feed.cut(step).qp for step in range(100)])
        assert qp.min() >= 0 and qp.max() <= 63
        shares[recipe] = float((qp >= 32).float().mean())
    assert shares["codec"] == pytest.approx(0.5, abs=0.08)
    assert shares["finish"] == pytest.approx(1 - 0.5**(1 / RECIPES["finish"].qp_skew), abs=0.08)
