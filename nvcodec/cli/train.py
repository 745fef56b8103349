"""`nvcodec train`."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

import click

from nvcodec.cli import options

if TYPE_CHECKING:
    from nvcodec.train.prior import PriorSpec

FOLDER = click.Path(exists=True, file_okay=False, path_type=Path)
FILE = click.Path(exists=True, dir_okay=False, path_type=Path)


def _lengths(_: click.Context, __: click.Parameter, value: str) -> tuple[int, ...]:
    try:
        lengths = tuple(int(v) for v in value.split(","))
    except ValueError:
        raise click.BadParameter("give frame counts such as 5,9,17") from None
    if any(n < 1 or n % 4 != 1 for n in lengths):
        raise click.BadParameter("frame counts are 1 + a multiple of 4, such as 5,9,17")
    return lengths


@click.command("train")
@click.argument("data", nargs=-1, required=True, type=FOLDER)
@click.option("-o", "--output", "out", required=True, type=click.Path(path_type=Path),
              help="Folder of the run: checkpoint, log, picture sheets.")
@click.option("--stage", type=click.Choice(["tokenizer", "mean", "prior", "release"]),
              default="tokenizer", show_default=True,
              help="The tokenizer; perhaps the mean of it and --init, as a run of its own in "
              "OUTPUT/mean; the prior for its tokens; a release folder.")
@click.option("--model", default="s", show_default=True, help="Configuration to train.")
@click.option("--recipe", type=click.Choice(["codec", "tune", "finish", "paper"]),
              default="codec", show_default=True,
              help="tune, finish: go on from weights of codec (--init).")
@click.option("--minutes", type=float, default=60.0, show_default=True,
              help="Budget over all sittings of the run.")
@click.option("--steps", type=int, help="Budget in steps in place of minutes.")
@click.option("--batch", type=int, default=8, show_default=True, help="Clips a step.")
@click.option("--frames", default="5,9,17", show_default=True, callback=_lengths,
              help="Clip lengths, mixed.")
@click.option("--size", type=int, default=96, show_default=True, help="Crop side in pixels.")
@click.option("--lr", type=float, help="Peak learning rate; default: the recipe's.")
@click.option("--seed", type=int, default=0, show_default=True)
@click.option("--init", type=FILE, help="Starting weights: .safetensors or a checkpoint.")
@click.option("--freeze-encoder", is_flag=True, help="Train the decoder alone.")
@click.option("--resume", is_flag=True, help="Go on from the run's checkpoint.")
@click.option("--compile", "compiled", is_flag=True,
              help="torch.compile the tokenizer; not one with a memory.")
@click.option("--cache", type=click.Path(path_type=Path), help="Folder for decoded clips.")
@click.option("--lpips-weights", type=FOLDER, help="Folder with the backbones' features.")
@click.option("--save-minutes", type=float, default=5.0, show_default=True)
@click.option("--eval-minutes", type=float, default=15.0, show_default=True)
@click.option("--name", help="Prior, release: its name; default: the model's.")
@click.option("--default-qp", type=click.IntRange(0, 63), default=32, show_default=True,
              help="Release: qp used when nothing is asked for.")
@click.option("--rdo", type=click.FloatRange(0), default=0.0, show_default=True,
              help="Strength of rate-distortion optimized signs that a release has, and that the "
              "other stages train with, under the table and prior in OUTPUT or beside --init.")
@click.option("--parts", type=click.IntRange(1, 64), default=1, show_default=True,
              help="Prior: parts of each clip to learn from, at a qp each.")
@click.option("--card", type=FILE, help="Release: JSON object of facts for the index (data, ...).")
@options.device
@options.talk
def command(data: tuple[Path, ...], out: Path, stage: str, model: str, recipe: str, minutes: float,
            steps: int | None, batch: int, frames: tuple[int, ...], size: int, lr: float | None,
            seed: int, init: Path | None, freeze_encoder: bool, resume: bool, compiled: bool,
            cache: Path | None, lpips_weights: Path | None, save_minutes: float,
            eval_minutes: float, name: str | None, default_qp: int, rdo: float, parts: int,
            card: Path | None, device: str, as_json: bool, quiet: bool, verbose: int) -> None:
    """Train a tokenizer on folders of videos and pictures, or release a trained one.

    Several GPUs: torchrun --nproc-per-node N -m nvcodec train ...
    """
    del verbose
    options.show_warnings(quiet)
    if stage == "release":
        from nvcodec.codec.plain import plain_errors
        from nvcodec.codec.release import release

        facts = json.loads(card.read_text()) if card else None
        with plain_errors("train"):
            index = release(out / "checkpoint.pt", out / "release", name or model, data,
                            default_qp, rdo, facts, cache)
        options.tell([f"wrote {index}; use it with NVCODEC_MODELS={index.parent}"], quiet)
        return
    if stage == "prior":
        from nvcodec.train.prior import PriorSpec

        _train_prior(data, out, name or model, cache,
                     PriorSpec(minutes=minutes, steps=steps, lr=lr or PriorSpec.lr, seed=seed,
                               parts=parts), rdo, device, as_json, quiet)
        return
    if stage == "mean":
        _take_mean(out, init, quiet)
        return
    from nvcodec.codec.plain import plain_errors
    from nvcodec.codec.sent import keep_coder, sent_tokens
    from nvcodec.errors import UsageError
    from nvcodec.models.config import CONFIGS
    from nvcodec.train.loop import train
    from nvcodec.train.recipes import RECIPES
    from nvcodec.train.spec import RunSpec

    if model not in CONFIGS:
        raise UsageError(f"unknown configuration {model!r}", f"use one of {', '.join(CONFIGS)}")
    spec = RunSpec(
        out=out, data=data, model=model, recipe=recipe, minutes=minutes, steps=steps, batch=batch,
        frames=frames, size=size, lr=lr, seed=seed, device=device, cache=cache,
        lpips_weights=lpips_weights, init=init, freeze_encoder=freeze_encoder,
        save_minutes=save_minutes, eval_minutes=eval_minutes, compile=compiled)
    with plain_errors("train"):
        if init and (rdo or RECIPES[recipe].decoder_only):
            keep_coder(init, out)
        checkpoint = train(spec, resume, quiet, sent_tokens(out, rdo) if rdo else None)
    if as_json:
        options.print_json({"checkpoint": str(checkpoint)})


def _take_mean(run: Path, init: Path | None, quiet: bool) -> None:
    from nvcodec.errors import UsageError
    from nvcodec.train.mean import mean_run

    if init is None:
        raise UsageError("the mean needs other weights", "name them with --init")
    options.tell([f"wrote {mean_run(run, init)}; its folder is the run of the next stages"], quiet)


def _train_prior(data: tuple[Path, ...], run: Path, name: str, cache: Path | None,
                 spec: PriorSpec, rdo: float, device: str, as_json: bool, quiet: bool) -> None:
    from nvcodec.codec.plain import plain_errors
    from nvcodec.codec.prior_stage import train_prior
    from nvcodec.models.device import pick_device

    with plain_errors("train"), options.Bar(quiet) as bar:
        figures = train_prior(run, name, data, cache or run / "cache", spec, pick_device(device),
                              rdo, bar)
    if as_json:
        options.print_json(figures)
    else:
        options.tell([f"bits per token of held-out clips: table {figures['table_bits']:.3f}, "
                      f"prior {figures['prior_bits']:.3f} after {figures['steps']:.0f} steps"],
                     quiet)
