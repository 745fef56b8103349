"""The training loop: budget, schedule, checkpoints, log, evaluation. One process per device."""

from __future__ import annotations

import math
import os
import signal
import threading
import time
from collections.abc import Mapping
from contextlib import nullcontext
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel
from tqdm import tqdm

from nvcodec.errors import InputError, NvcodecError, UsageError
from nvcodec.models.config import CONFIGS
from nvcodec.models.device import fast_bfloat16, pick_device
from nvcodec.train import schedule
from nvcodec.train.batch import Batch
from nvcodec.train.checkpoint import Average, append_log, load_checkpoint, save_checkpoint
from nvcodec.train.data import ClipPool
from nvcodec.train.discriminator import Discriminator, LeCam
from nvcodec.train.feed import Feed
from nvcodec.train.objective import Objective, critic_step
from nvcodec.train.optim import build_optimizers
from nvcodec.train.recipes import RECIPES, Recipe
from nvcodec.train.replay import Replay
from nvcodec.train.signs import Signs
from nvcodec.train.spec import RunSpec
from nvcodec.train.watch import evaluate, write_sheet

#: What validation sees at most: so many clips, frames of each, and pixels along a side. Crops of
#: the training size would hide what goes wrong far from a border.
WATCHED_CLIPS, WATCHED_FRAMES, WATCHED_SIDE = 8, 33, 352
#: Steps between lines of the log, and between questions to a GPU, which has to stop for an answer.
LOGGED = 10


class Trainer:
    """Holds what a checkpoint holds, and steps it. `signs` is as in `Objective`."""

    def __init__(self, spec: RunSpec, signs: Signs | None = None) -> None:
        if spec.compile and CONFIGS[spec.model].memory:
            raise UsageError(f"--compile does not fit {spec.model!r}: every turn of its loop would "
                             "be compiled anew", "leave --compile out")
        torch.manual_seed(spec.seed)
        self.spec = spec
        self.rank = int(os.environ.get("RANK", 0))
        self.world = int(os.environ.get("WORLD_SIZE", 1))
        recipe = RECIPES[spec.recipe]
        self.recipe: Recipe = replace(recipe, lr=spec.lr) if spec.lr else recipe
        self.device = self._join()
        spec.out.mkdir(parents=True, exist_ok=True)
        self.pool = ClipPool(spec.data, spec.cache or spec.out / "cache", spec.seed)
        self.pool.move(self.device)
        self.feed = Feed(self.pool, spec, self.recipe, CONFIGS[spec.model].keeps, self.device,
                         self.rank)
        self.objective = Objective(CONFIGS[spec.model], self.recipe, spec.lpips_weights, signs)
        if spec.init:
            self._initialize(spec.init)
        self.objective.to(self.device)
        if spec.freeze_encoder or self.recipe.decoder_only:
            self._freeze_encoder()
        self.critic = self._share(Discriminator().to(self.device)) if self.recipe.gan else None
        self.lecam = LeCam()
        r = self.recipe
        self.optimizers = build_optimizers(self.objective, r.optimizer, r.lr, r.betas)
        self.critic_optimizers = (
            build_optimizers(self.critic, "adamw", r.lr, r.betas) if self.critic else [])
        self.ema = Average(self.objective.tokenizer, self.recipe.ema)
        self.step, self.seconds = 0, 0.0
        #: Whether the weights are worth keeping.
        self.sound = True
        if spec.compile:
            # One graph for each clip length; a shape-generic one is slower by half on CPUs.
            for part in (self.objective.tokenizer.encoder, self.objective.tokenizer.decoder):
                part.compile(dynamic=False)
        self.forward = self._share(self.objective)
        plain = self.critic is None and self.world == 1 and not spec.compile
        self.replay = Replay(self._gradients, self.objective.parameters()) if (
            plain and self.device.type == "cuda") else None

    def _freeze_encoder(self) -> None:
        """Without a memory, tokens and so bits stay as they are; with one, they follow pictures."""
        tokenizer = self.objective.tokenizer
        for part in (tokenizer.encoder, tokenizer.qp_embedding):
            if part is not None:
                part.requires_grad_(False)

    def _join(self) -> torch.device:
        if self.world == 1:
            return pick_device(self.spec.device)
        cuda = torch.cuda.is_available()
        torch.distributed.init_process_group("nccl" if cuda else "gloo")
        return torch.device("cuda", int(os.environ["LOCAL_RANK"])) if cuda else torch.device("cpu")

    def _share(self, module: nn.Module) -> nn.Module:
        """Average gradients over the processes, where there are several."""
        if self.world == 1:
            return module
        unused = not self.recipe.rate_aware  # the context model rests in recipes without a price
        return DistributedDataParallel(module, find_unused_parameters=unused)

    def _agree(self) -> None:
        """Every process takes the first one's clock, so that all end at the same step."""
        if self.world > 1:
            clock = torch.tensor([self.seconds], dtype=torch.float64, device=self.device)
            torch.distributed.broadcast(clock, 0)
            self.seconds = float(clock)

    def _initialize(self, path: Path) -> None:
        """Start from released weights or another run's averages (`--init`)."""
        from nvcodec.train.inflate import load_initial

        load_initial(self.objective, path)

    @property
    def progress(self) -> float:
        """0 at the start, 1 at the end of the budget, by steps if given, else by time."""
        return schedule.progress(self.step, self.seconds, self.spec.steps, self.spec.minutes)

    def rate(self) -> float:
        """Learning rate of the next step."""
        r = self.recipe
        return schedule.learning_rate(r.lr, self.step, self.progress, r.warmup, r.lr_end)

    def autocast(self) -> Any:
        """bfloat16 where the device computes it fast; nothing elsewhere."""
        if fast_bfloat16(self.device):
            return torch.autocast(self.device.type, dtype=torch.bfloat16, cache_enabled=False)
        return nullcontext()

    def train_step(self) -> dict[str, Any]:
        """One optimizer step; returns the figures to log, those of a GPU as tensors that the next
        step may overwrite."""
        start = time.perf_counter()
        batch = self.feed.batch(self.step).at(self.recipe, self.step, self.progress)
        schedule.set_rate((*self.optimizers, *self.critic_optimizers), self.rate())
        made: Tensor | None = None
        if self.replay:
            figures: dict[str, Any] = {**self.replay(batch)}
        else:
            made, figures = self._backward(batch)
        self._check(figures["grad"])
        for optimizer in self.optimizers:
            optimizer.step()
        self.ema.update(self.objective.tokenizer)
        if made is not None and self._acting_critic():
            figures["critic"] = self._critic_step(batch, made)
        self.step += 1
        self.seconds += time.perf_counter() - start
        self._agree()
        figures.update(step=self.step, frames=batch.pixels.shape[1], lr=self.rate(),
                       ramp=self.recipe.rate_ramp(self.progress),
                       minutes=self.seconds / 60,
                       clips_per_second=len(batch.qp) / (time.perf_counter() - start))
        return figures

    def _acting_critic(self) -> nn.Module | None:
        """The discriminator from when on it is heard."""
        return self.critic if self.progress >= self.recipe.gan_from else None

    def _backward(self, batch: Batch) -> tuple[Tensor, dict[str, Any]]:
        """Gradients of a batch -> reconstruction, figures."""
        with self.autocast():
            loss, made, figures = self.forward(batch, self._acting_critic())
        for optimizer in self.optimizers:
            optimizer.zero_grad(set_to_none=True)
        loss.backward()
        norm = nn.utils.clip_grad_norm_(self.objective.parameters(), self.recipe.clip_norm)
        return made.detach(), {**figures, "grad": norm}

    def _gradients(self, batch: Batch) -> dict[str, Tensor]:
        return self._backward(batch)[1]

    def _check(self, norm: Tensor) -> None:
        """Raise where gradients are not finite; a GPU is not asked at every step."""
        if self.device.type == "cuda" and self.step % LOGGED:
            return
        if not math.isfinite(float(norm)):
            self.sound = self.device.type != "cuda"  # there, steps have been taken since
            raise NvcodecError(f"step {self.step}: gradients are not finite",
                               "resume with a lower --lr")

    def _critic_step(self, batch: Batch, made: torch.Tensor) -> float:
        assert self.critic is not None
        real = batch.pixels.float() / 127.5 - 1
        loss = critic_step(self.critic, self.lecam, self.recipe.lecam, real, made)
        for optimizer in self.critic_optimizers:
            optimizer.zero_grad(set_to_none=True)
        loss.backward()
        for optimizer in self.critic_optimizers:
            optimizer.step()
        return float(loss.detach())

    def state(self) -> dict[str, Any]:
        """Everything that a resumed run needs."""
        return {
            "spec": {k: str(v) for k, v in asdict(self.spec).items()},
            "step": self.step, "seconds": self.seconds,
            "objective": {k: v for k, v in self.objective.state_dict().items()
                          if not k.startswith("perceptual.")},
            "optimizers": [o.state_dict() for o in self.optimizers], "ema": self.ema.state(),
            "critic": _bare(self.critic).state_dict() if self.critic else None,
            "critic_optimizers": [o.state_dict() for o in self.critic_optimizers],
            "lecam": (self.lecam.real, self.lecam.fake),
        }

    def restore(self, state: dict[str, Any]) -> None:
        """Continue from `state`: weights, optimizer, averages, schedule and data order."""
        self.step, self.seconds = state["step"], state["seconds"]
        self.objective.load_state_dict(
            {**self.objective.state_dict(), **state["objective"]})  # LPIPS is not trained
        self.ema.restore(state["ema"])
        if self.critic:
            _bare(self.critic).load_state_dict(state["critic"])
        for name in ("optimizers", "critic_optimizers"):
            for optimizer, saved in zip(getattr(self, name), state[name], strict=True):
                optimizer.load_state_dict(saved)
        self.lecam.real, self.lecam.fake = state["lecam"]


def _bare(module: nn.Module) -> nn.Module:
    """Without the wrapper for several processes, so that checkpoints do not depend on it."""
    return module.module if isinstance(module, DistributedDataParallel) else module


def train(spec: RunSpec, resume: bool = False, quiet: bool = False,
          signs: Signs | None = None) -> Path:
    """Run until the budget is spent; returns the checkpoint. Ctrl-C and SIGTERM save and stop."""
    if threading.current_thread() is threading.main_thread():
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, signal.default_int_handler)
    trainer = Trainer(spec, signs)
    checkpoint, log = spec.out / "checkpoint.pt", spec.out / "log.jsonl"
    if resume:
        if not checkpoint.exists():
            raise InputError(f"{checkpoint}: no such checkpoint", "leave --resume out to begin")
        trainer.restore(load_checkpoint(checkpoint))
    saved = shown = time.monotonic()
    bar = tqdm(total=100, disable=quiet or trainer.rank > 0, unit="%")
    try:
        while trainer.progress < 1.0:
            figures = trainer.train_step()
            _report(trainer, figures, bar, log)
            now = time.monotonic()
            checked = trainer.step % LOGGED == 1
            if trainer.rank == 0 and checked and now - saved > 60 * spec.save_minutes:
                save_checkpoint(checkpoint, trainer.state())
                saved = now
            if trainer.rank == 0 and now - shown > 60 * spec.eval_minutes:
                _watch(trainer, log)
                shown = time.monotonic()
    finally:
        if trainer.rank == 0 and trainer.step and trainer.sound:
            save_checkpoint(checkpoint, trainer.state())
    if trainer.rank == 0:
        _watch(trainer, log)
    return checkpoint


def _report(trainer: Trainer, made: Mapping[str, Any], bar: Any, log: Path) -> None:
    if trainer.rank or trainer.step % LOGGED:
        return
    figures = {k: float(v) for k, v in made.items()}
    append_log(log, {k: round(v, 5) for k, v in figures.items()})
    bar.n = round(100 * trainer.progress, 1)
    bar.set_postfix(step=trainer.step, lpips=f"{figures['lpips']:.3f}",
                    bits=f"{figures.get('bits', 0):.1f}")
    if figures["dead_bits"] > 9 and figures["ramp"] < 0.5:
        tqdm.write(f"step {trainer.step}: {figures['dead_bits']:.0f} of the bits are constant; "
                   "raise the entropy weight or ramp the rate term in later")


def _watch(trainer: Trainer, log: Path) -> None:
    spec = trainer.spec
    clips = trainer.pool.validation(WATCHED_CLIPS, min(WATCHED_FRAMES, max(spec.frames)),
                                    WATCHED_SIDE)
    rows, pairs = evaluate(trainer.objective, trainer.ema.shadow,
                           [c.to(trainer.device) for c in clips])
    append_log(log, {"step": trainer.step, "minutes": trainer.seconds / 60, "validation": rows})
    write_sheet(pairs, spec.out / f"sheet-{trainer.step:07d}.png")
