"""Training runs for real, on a few clips and a few steps."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from nvcodec.errors import InputError, UsageError
from nvcodec.models import lfq
from nvcodec.models.config import CONFIGS
from nvcodec.models.prior import Prior
from nvcodec.models.prior_file import prior_bytes
from nvcodec.models.tokenizer import Tokenizer
from nvcodec.train import losses
from nvcodec.train.checkpoint import load_checkpoint
from nvcodec.train.crops import ClipShape
from nvcodec.train.data import ClipPool
from nvcodec.train.discriminator import BlurPool, Discriminator
from nvcodec.train.inflate import inflate, load_initial
from nvcodec.train.loop import Trainer, train
from nvcodec.train.losses import bit_costs
from nvcodec.train.mean import mean_run
from nvcodec.train.objective import Objective
from nvcodec.train.optim import Muon, orthogonalize
from nvcodec.train.recipes import RECIPES
from nvcodec.train.spec import RunSpec
from nvcodec.train.watch import evaluate, write_sheet
from nvcodec.video.reader import open_video


@pytest.fixture(autouse=True)
def _no_backbone(blurred_distance: None) -> None:
    torch.set_num_threads(1)


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory, carphone: Path) -> Path:
    folder = tmp_path_factory.mktemp("data")
    for i in range(9):  # the ninth is held out
        (folder / f"{i}.mp4").symlink_to(carphone)
    return folder


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("cache")


@pytest.fixture
def spec(data: Path, cache: Path, tmp_path: Path) -> RunSpec:
    return RunSpec(out=tmp_path / "run", data=(data,), cache=cache, model="tiny", steps=6, batch=2,
                   frames=(5, 9), size=32, device="cpu")


def test_it_learns(spec: RunSpec) -> None:
    trainer = Trainer(replace(spec, steps=1000, batch=4))
    rows = [trainer.train_step() for _ in range(80)]
    assert np.mean([r["l1"] for r in rows[-20:]]) < 0.8 * np.mean([r["l1"] for r in rows[:20]])
    assert all(r["dead_bits"] < 18 for r in rows)


def test_resume_is_exact(spec: RunSpec) -> None:
    """Six steps at once and three, a stop, and three more end in the same weights."""
    def weights(trainer: Trainer) -> torch.Tensor:
        return torch.cat([p.detach().flatten() for p in trainer.objective.tokenizer.parameters()])

    whole = Trainer(spec)
    for _ in range(6):
        whole.train_step()
    first = Trainer(spec)
    for _ in range(3):
        first.train_step()
    second = Trainer(replace(spec, seed=0))
    second.restore(first.state())
    for _ in range(3):
        second.train_step()
    assert torch.equal(weights(whole), weights(second))
    assert all(torch.equal(whole.ema.shadow[k], second.ema.shadow[k]) for k in whole.ema.shadow)


def test_a_run_leaves_checkpoint_log_and_sheet(spec: RunSpec) -> None:
    train(replace(spec, steps=10), quiet=True)
    out = spec.out
    assert load_checkpoint(out / "checkpoint.pt")["step"] == 10
    rows = [json.loads(line) for line in (out / "log.jsonl").read_text().splitlines()]
    assert {"l1", "lpips", "bits", "dead_bits", "lr"} <= set(rows[0])
    assert [r["qp"] for r in rows[-1]["validation"]] == [0, 24, 48, 60]
    assert list(out.glob("sheet-*.png"))
    assert not list(out.glob("*.part"))
    train(replace(spec, steps=12), resume=True, quiet=True)
    assert load_checkpoint(out / "checkpoint.pt")["step"] == 12


def test_validation_takes_pictures_of_any_size(spec: RunSpec, tmp_path: Path) -> None:
    trainer = Trainer(spec)
    before = {k: v.clone() for k, v in trainer.objective.tokenizer.state_dict().items()}
    for average in trainer.ema.shadow.values():  # averages differ from the weights
        average.mul_(0.9)
    clips = [torch.full((5, h, w, 3), 90, dtype=torch.uint8) for h, w in ((33, 50), (64, 40))]
    rows, pairs = evaluate(trainer.objective, trainer.ema.shadow, clips)
    assert [tuple(p.shape) for p in pairs] == [(2, 33, 50, 3), (2, 64, 40, 3)]
    assert all((p[0] == 90).all() for p in pairs)
    assert all(np.isfinite(list(r.values())).all() and r["bpp"] > 0 for r in rows)
    after = trainer.objective.tokenizer.state_dict()
    assert all(torch.equal(before[k], after[k]) for k in before)
    write_sheet(pairs, tmp_path / "sheet.png")
    with open_video(tmp_path / "sheet.png") as sheet:
        assert next(iter(sheet.frames())).rgb.shape == (66, 80, 3)


def test_a_loop_is_not_compiled(spec: RunSpec) -> None:
    with pytest.raises(UsageError, match="leave --compile out"):
        Trainer(replace(spec, compile=True))


def test_the_paper_recipe_steps(spec: RunSpec) -> None:
    trainer = Trainer(replace(spec, recipe="paper"))
    rows = [trainer.train_step() for _ in range(2)]
    assert all(np.isfinite(float(r[k])) for r in rows for k in ("critic", "adversarial"))


@pytest.mark.parametrize("change", [{"freeze_encoder": True}, {"recipe": "finish"}])
def test_decoder_alone(spec: RunSpec, change: dict[str, Any]) -> None:
    trainer = Trainer(replace(spec, **change))
    before = {k: v.clone() for k, v in trainer.objective.tokenizer.state_dict().items()}
    trainer.train_step()
    after = trainer.objective.tokenizer.state_dict()
    changed = {k for k in before if not torch.equal(before[k], after[k])}
    assert changed and all(k.startswith("decoder.") for k in changed)  # tokens stay


def test_mesh_sees_texture_that_repeats_from_cell_to_cell() -> None:
    draw = torch.Generator().manual_seed(3)
    source = torch.randn(2, 3, 130, 130, 3, generator=draw) / 4
    other = torch.randn(2, 3, 130, 130, 3, generator=draw) / 4
    tile = torch.randn(8, 8, 3, generator=draw).repeat(17, 17, 1)[:130, :130] / 4
    assert float(losses.mesh(source, source)) == 0
    assert float(losses.mesh(other, source)) < 0.1
    assert float(losses.mesh(source + tile, source)) > 0.3
    assert float(losses.mesh(0.5 * source, source)) == pytest.approx(0.25, abs=0.02)


def test_mesh_is_not_drowned_by_a_chequerboard() -> None:
    """Measured by the picture's own texture it was, and a network learned to draw one."""
    source = torch.randn(1, 2, 130, 130, 3, generator=torch.Generator().manual_seed(4)) / 8
    checks = torch.ones(130, 130, 1)
    checks[::2, ::2] = checks[1::2, 1::2] = -1
    turning = torch.stack((checks, -checks))
    assert float(losses.mesh(source + 0.3 * turning, source)) > 1


def test_coarse_l1_sees_areas_and_no_texture() -> None:
    y = torch.rand(2, 3, 64, 70, 3)
    checks = torch.ones(64, 70, 1)
    checks[::2, ::2] = checks[1::2, 1::2] = -1
    assert losses.coarse_l1(y + 0.5 * checks, y) < 1e-6
    assert losses.coarse_l1(y + 0.5, y) == pytest.approx(0.5, abs=1e-6)
    half = y.clone()
    half[:, :, :32, :32] += 1  # one of the four blocks of side 32 that there are
    assert losses.coarse_l1(half, y) == pytest.approx((1 / 4 + 16 / 64) / 2, abs=1e-6)


def test_batches_depend_on_seed_and_step_alone(data: Path, cache: Path) -> None:
    shape = ClipShape(3, 5, 32)
    a, b = ClipPool([data], cache, seed=1), ClipPool([data], cache, seed=1)
    assert torch.equal(a.batch(7, shape), b.batch(7, shape))
    assert not torch.equal(a.batch(7, shape), a.batch(8, shape))
    assert not torch.equal(a.batch(7, shape), a.batch(7, shape, rank=1))
    assert a.batch(7, shape).shape == (3, 5, 32, 32, 3)
    assert len(a.held) == 1 and len(a.videos) == 8


def test_data_errors_name_the_remedy(data: Path, cache: Path, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no videos or images"):
        ClipPool([tmp_path], cache, 0)
    with pytest.raises(InputError, match="lower --size"):
        ClipPool([data], cache, 0).batch(0, ClipShape(1, 5, 512))


def test_price_of_bits() -> None:
    recipe = RECIPES["codec"]
    prices = [recipe.price(q) for q in range(64)]
    assert prices == sorted(prices) and prices[0] == pytest.approx(recipe.lambda_low)
    assert [recipe.rate_ramp(p) for p in (0, recipe.rate_from, 1)] == [0, 0, 1]
    paper = RECIPES["paper"]
    assert paper.entropy_weight(0) == pytest.approx(3 * paper.entropy_weight(2000))
    assert not paper.rate_aware


def test_rate_gradients_reach_the_right_side() -> None:
    """The context model learns from bits, the encoder from prices, neither through the other."""
    model = Prior(4, 8, 8, 8)
    z = torch.randn(2, 3, 4, 4, 4, requires_grad=True)
    q = lfq.quantize(z)
    for_model, for_encoder = bit_costs(model(q, torch.tensor([0, 63])), q)
    assert torch.allclose(for_model, for_encoder)
    for_model.sum().backward(retain_graph=True)
    assert z.grad is None or not z.grad.any()
    model.zero_grad()
    for_encoder.sum().backward()
    assert z.grad is not None and z.grad.abs().sum() > 0
    assert all(p.grad is None or not p.grad.any() for p in model.parameters())


def test_inflated_kernels_act_as_before_on_stills() -> None:
    old = torch.randn(3, 2, 1, 3, 3)
    new = inflate(old, torch.Size((3, 2, 3, 3, 3)))
    assert torch.equal(new[:, :, 2], old[:, :, 0]) and not new[:, :, :2].any()
    with pytest.raises(InputError, match="cannot inflate"):
        inflate(old, torch.Size((3, 2, 3, 5, 5)))


def test_a_deeper_network_goes_on_from_a_shallower_one(tmp_path: Path) -> None:
    """Blocks that the saved network lacks change nothing at first, and learn."""
    shallow = CONFIGS["tiny"]
    deep = replace(shallow, encoder_blocks=(1, 2, 0, 3))
    old = Tokenizer(shallow)
    file = tmp_path / "old.safetensors"
    save_file(old.state_dict(), file)
    objective = Objective(deep, RECIPES["codec"], None)
    load_initial(objective, file)
    x = torch.rand(1, 5, 32, 32, 3) * 2 - 1
    qp = torch.tensor([20])
    assert torch.equal(old.encode(x, qp), objective.tokenizer.encode(x, qp))
    objective.tokenizer.encode(x, qp).sum().backward()
    added = objective.tokenizer.encoder.stages[0][0].convs[-1].weight
    assert added.grad is not None and added.grad.any()
    with pytest.raises(InputError, match="another architecture"):
        load_initial(Objective(replace(deep, qp_width=0), RECIPES["codec"], None), file)


def test_a_checkpoint_without_a_prior_starts_a_fresh_one(
        tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """Its tokenizer is taken over; a prior of another size is an error, not a traceback."""
    config, file = CONFIGS["tiny"], tmp_path / "old.pt"
    old, other = Tokenizer(config), Objective(config, RECIPES["codec"], None)
    state = {"ema": {"steps": 1, "shadow": old.state_dict()}, "objective": {}}
    torch.save(state, file)
    fresh = {k: v.clone() for k, v in other.prior.state_dict().items()}
    load_initial(other, file)
    assert all(torch.equal(v, fresh[k]) for k, v in other.prior.state_dict().items())
    assert all(torch.equal(v, old.state_dict()[k]) for k, v in other.tokenizer.state_dict().items())
    assert "old.pt holds no prior" in caplog.text
    caplog.clear()
    saved = {f"prior.{k}": v + 1 for k, v in fresh.items()}
    torch.save({**state, "objective": saved}, file)
    load_initial(other, file)
    assert all(torch.equal(v, fresh[k] + 1) for k, v in other.prior.state_dict().items())
    assert not caplog.records
    torch.save({**state, "objective": {"prior.x": torch.zeros(1)}}, file)
    with pytest.raises(InputError, match="its prior differs"):
        load_initial(other, file)


def test_the_prior_of_a_release_is_where_training_goes_on(tmp_path: Path) -> None:
    """Its integers come back: weights exactly, biases by qp as near as smooth functions make."""
    config, file = CONFIGS["tiny"], tmp_path / "a.safetensors"
    old, other = (Objective(config, RECIPES["codec"], None) for _ in range(2))
    with torch.no_grad():
        old.prior.direct.by_qp.normal_(0, 0.3)
    save_file(old.tokenizer.state_dict(), file)
    beside = tmp_path / "a.prior.safetensors"
    beside.write_bytes(prior_bytes(old.prior, "0" * 64))
    load_initial(other, file)
    for mine, wanted in ((m.integers(), w.integers()) for m, w in (
            (other.prior.direct, old.prior.direct), (other.prior.mix, old.prior.mix))):
        assert torch.equal(mine["weight"], wanted["weight"])
        assert int((mine["bias"] - wanted["bias"]).abs().max()) <= 1
    beside.write_bytes(b"no prior")
    with pytest.raises(InputError, match="not a usable prior"):
        load_initial(other, file)
    beside.write_bytes(prior_bytes(Prior(18, 32, 24, 16), "0" * 64))
    with pytest.raises(InputError, match="its prior differs"):
        load_initial(other, file)


def test_the_mean_of_two_networks(tmp_path: Path) -> None:
    a, b = (Tokenizer(CONFIGS["tiny"]).state_dict() for _ in range(2))
    torch.save({"ema": {"steps": 1, "shadow": a}, "step": 7}, tmp_path / "checkpoint.pt")
    save_file({k: v.half() for k, v in b.items()}, tmp_path / "b.safetensors")
    made = load_checkpoint(mean_run(tmp_path, tmp_path / "b.safetensors"))
    assert made["step"] == 7
    assert all(torch.allclose(v, (a[k] + b[k]) / 2, atol=1e-3)
               for k, v in made["ema"]["shadow"].items())
    save_file({"x": torch.zeros(1)}, tmp_path / "c.safetensors")
    with pytest.raises(InputError, match="another architecture"):
        mean_run(tmp_path, tmp_path / "c.safetensors")
    with pytest.raises(InputError, match="no checkpoint"):
        mean_run(tmp_path / "none", tmp_path / "b.safetensors")


def test_orthogonalized_updates() -> None:
    torch.manual_seed(0)
    for shape in ((16, 40), (40, 16)):
        values = torch.linalg.svdvals(orthogonalize(torch.randn(shape), 5))
        assert float(values.min()) > 0.3 and float(values.max()) < 1.5


def test_kernels_of_one_shape_are_updated_as_each_by_itself() -> None:
    torch.manual_seed(0)
    shapes = ((16, 16, 1, 3, 3), (16, 144), (16, 16, 1, 3, 3), (32, 16, 3, 1, 1))
    together = [torch.nn.Parameter(torch.randn(s)) for s in shapes]
    alone = [torch.nn.Parameter(p.detach().clone()) for p in together]
    optimizers = [Muon(together, 0.01), *(Muon([p], 0.01) for p in alone)]
    for _ in range(3):
        for a, b in zip(together, alone, strict=True):
            a.grad = torch.randn_like(a)
            b.grad = a.grad.clone()
        for optimizer in optimizers:
            optimizer.step()
    for a, b in zip(together, alone, strict=True):
        torch.testing.assert_close(a, b)


def test_discriminator_shapes() -> None:
    assert Discriminator(8)(torch.zeros(2, 5, 32, 32, 3)).shape == (2,)
    flat = BlurPool(3, True)(torch.ones(1, 3, 5, 8, 8))
    assert flat.shape == (1, 3, 3, 4, 4) and torch.allclose(flat, torch.ones_like(flat))


def test_initial_weights(spec: RunSpec, tmp_path: Path) -> None:
    from safetensors.torch import save_file

    model = Tokenizer(CONFIGS["tiny"])
    save_file({k: v.half() for k, v in model.state_dict().items()}, tmp_path / "a.safetensors")
    trainer = Trainer(replace(spec, init=tmp_path / "a.safetensors"))
    loaded = trainer.objective.tokenizer.state_dict()
    assert all(torch.allclose(loaded[k], v, atol=1e-3) for k, v in model.state_dict().items())
    save_file({"x": torch.zeros(1)}, tmp_path / "b.safetensors")
    with pytest.raises(InputError, match="another architecture"):
        Trainer(replace(spec, init=tmp_path / "b.safetensors"))
