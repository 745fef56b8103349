"""nvcodec itself, through its public Python functions in a process of its own."""

from __future__ import annotations

import hashlib
import json
import sys
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any, ClassVar

import nvcodec
from benchmarks.codecs.base import Codec
from nvcodec.errors import UsageError

#: Shorter than the default, so that no anchor has to begin anew more often.
KEYINT = 97


@lru_cache(maxsize=1)
def code_hash() -> str:
    """First 12 hex digits of the SHA-256 of the sources that decide bits and pixels."""
    package = Path(nvcodec.__file__).parent
    files = [*(package.parent / "bitstream").glob("*.py"), *package.glob("*.py")]
    for part in ("codec", "models", "video"):
        files += (package / part).rglob("*.py")
    digest = hashlib.sha256()
    for file in sorted(files):
        digest.update(file.read_bytes())
    return digest.hexdigest()[:12]


@dataclass(frozen=True)
class Nvcodec(Codec):
    """The codec under test.

    Attributes:
        model: release name.
        device: "auto", "cpu", "cuda", ...
        keyint: most frames in a segment.
        rdo: whether signs are chosen by their cost.
        fast: whether every picture is looked at once.
        effort: gradient steps of the encoder's search.
        precision: of the network: "auto", "float32" or "int8".
        spacing: frames from one coded frame to the next; None lets the encoder choose.
        background: whether what stands still is told once more.
    """

    model: str = "s"
    device: str = "auto"
    keyint: int = KEYINT
    rdo: bool = True
    fast: bool = False
    effort: int = 0
    precision: str = "auto"
    spacing: int | None = None
    background: bool = True

    name = "nvcodec"
    label = "nvcodec"
    scale = "qp"
    suffix = ".mvt"
    points: ClassVar[tuple[int, ...]] = (-16, -8, 0, 21, 32, 42, 53, 63)
    quick_points = (8, 32, 56)

    @property
    def settings(self) -> dict[str, Any]:
        """Model, device and segment length; a segment needs no other and has no look-ahead."""
        from nvcodec.models import precision, registry
        from nvcodec.models.device import pick_device

        device = pick_device(self.device)
        options = nvcodec.EncodeOptions(effort=self.effort, precision=self.precision)
        resolved = precision.resolve(
            options.network_precision, registry.find(self.model), device)
        return {"model": self.model, "device": str(device), "precision": resolved,
                "keyint": self.keyint,
                "rdo": self.rdo, "fast": self.fast, "effort": self.effort,
                "spacing": self.spacing or "auto", "background": self.background,
                "gop": "causal, closed segments", "threads": self.threads}

    def version(self) -> str:
        """Package, code and weights; UsageError where the model is not here."""
        from nvcodec.models import registry

        try:
            release = registry.find(self.model)
        except registry.ModelError as error:
            problem, _, remedy = str(error).partition("; ")
            raise UsageError(problem, f"{remedy}, or set NVCODEC_MODELS") from error
        return (f"nvcodec {nvcodec.__version__} code {code_hash()} "
                f"model {self.model} weights {release.sha256[:16]} "
                f"prior {release.prior_sha256[:16] or 'none'}")

    def encode_argv(self, master: Path, stream: Path, point: int) -> list[str]:
        """One encode with a fixed qp."""
        return [*self._worker("encode", master, stream), "--qp", str(point),
                "--model", self.model, "--keyint", str(self.keyint),
                "--rdo" if self.rdo else "--no-rdo", "--effort", str(self.effort),
                *(["--fast"] if self.fast else []),
                *([] if self.background else ["--no-background"]),
                *(["--spacing", str(self.spacing)] if self.spacing else [])]

    def decode_argv(self, stream: Path, decoded: Path) -> list[str]:
        """One decode: lossless RGB for .mkv, 4:2:0 for .y4m."""
        return self._worker("decode", stream, decoded)

    def _worker(self, verb: str, source: Path, target: Path) -> list[str]:
        return [sys.executable, "-m", "benchmarks.codecs.worker", verb, str(source), str(target),
                "--device", self.device, "--precision", self.precision]

    def environment(self) -> dict[str, str]:
        """Threads of torch, and the package where it is not installed but run from its folder."""
        root = str(Path(nvcodec.__file__).parent.parent)
        here = str(Path(__file__).parent.parent.parent)
        return {"OMP_NUM_THREADS": str(self.threads), "MKL_NUM_THREADS": str(self.threads),
                "PYTHONPATH": ":".join(dict.fromkeys([here, root]))}

    def inner_seconds(self, stdout: str) -> float | None:
        """Seconds without start-up, as the codec reports them."""
        return float(json.loads(stdout)["seconds"][0])


@dataclass(frozen=True)
class NvcodecPlain(Nvcodec):
    """The same without rate-distortion optimized signs: what those are worth."""

    rdo: bool = False

    name = "nvcodec-plain"
    label = "nvcodec without RDO"


@dataclass(frozen=True)
class NvcodecFast(Nvcodec):
    """The same without a second look: what that is worth, and what it costs."""

    fast: bool = True

    name = "nvcodec-fast"
    label = "nvcodec --fast"


@dataclass(frozen=True)
class NvcodecDense(Nvcodec):
    """The same with every frame coded: what it is worth to code some and make the others."""

    spacing: int | None = 1

    name = "nvcodec-dense"
    label = "nvcodec --spacing 1"
    points = (0, 10, 21, 32, 42, 53, 63)


@dataclass(frozen=True)
class NvcodecTokens(Nvcodec):
    """The same by tokens alone: what backgrounds are worth."""

    background: bool = False

    name = "nvcodec-tokens"
    label = "nvcodec --no-background"


@dataclass(frozen=True)
class NvcodecFloat32(Nvcodec):
    """The same without 8-bit arithmetic: what that costs in quality and saves in time."""

    precision: str = "float32"

    name = "nvcodec-float32"
    label = "nvcodec in float32"


@dataclass(frozen=True)
class NvcodecSearch(Nvcodec):
    """The same with the encoder's search for better tokens, which decoders do not notice."""

    effort: int = 4

    name = "nvcodec-search"
    label = "nvcodec --effort 4"
