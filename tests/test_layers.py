"""The arrows between packages run one way."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]

#: Package -> what its files may import of the project, and of the heavy libraries.
ALLOWED = {
    "bitstream": {"bitstream", "numpy", "constriction"},
    "nvcodec/video": {"nvcodec.video", "nvcodec.errors", "av", "numpy"},
    "nvcodec/models": {"nvcodec.models", "torch", "numpy", "safetensors", "lpips"},
    "nvcodec/train": {"nvcodec.train", "nvcodec.errors", "nvcodec.cores", "nvcodec.models",
                      "nvcodec.video", "torch", "numpy", "tqdm", "safetensors"},
    "nvcodec/codec": {"nvcodec", "bitstream", "torch", "numpy", "safetensors"},
    "nvcodec/batch": {"nvcodec", "torch"},
    "nvcodec/cli": {"nvcodec", "click", "tqdm"},
    # What people copy uses the public interface alone.
    "docs/examples": {"numpy"},
    "benchmarks": {"benchmarks", "nvcodec", "torch", "numpy", "matplotlib", "imageio_ffmpeg",
                   "tqdm", "click", "PIL", "av"},
    # No torch: the codec's errors, its runner of command lines and the benchmark's finder of ffmpeg
    # load nothing heavy (test_light_imports). The demo takes clips and codecs from the benchmark,
    # see EXCEPTIONS.
    "rater_study": {"rater_study", "nvcodec.errors", "nvcodec.cli.run", "benchmarks.ffmpeg",
                    "numpy", "scipy", "click", "matplotlib"},
}
#: Files that may import more than their package.
EXCEPTIONS = {"rater_study/demo.py": {"benchmarks", "nvcodec.cores"},
              "nvcodec/batch/on_ray.py": {"ray"}}
#: Packages that may import nvcodec itself and nothing inside it.
OUTSIDE = {"docs/examples"}
#: All of the study but the demo.
STUDY = sorted({p.stem for p in (ROOT / "rater_study").glob("[a-z]*.py")} - {"demo"})
WATCHED = {"bitstream", "nvcodec", "benchmarks", "rater_study", "torch", "av", "click", "numpy",
           "constriction", "tqdm", "lpips", "safetensors", "matplotlib", "PIL", "imageio_ffmpeg",
           "scipy", "ray"}


def imports(file: Path) -> set[str]:
    """Absolute module names a file imports, relative ones resolved."""
    package = ".".join(file.relative_to(ROOT).parent.parts)
    found: set[str] = set()
    for node in ast.walk(ast.parse(file.read_text())):
        if isinstance(node, ast.Import):
            found |= {a.name for a in node.names}
        elif isinstance(node, ast.ImportFrom):
            base = node.module or ""
            if node.level:
                parts = package.split(".")[:len(package.split(".")) - node.level + 1]
                base = ".".join([*parts, *([base] if base else [])])
            found.add(base)
    return {n for n in found if n.split(".")[0] in WATCHED}


@pytest.mark.parametrize("package", ALLOWED)
def test_imports(package: str) -> None:
    for file in (ROOT / package).rglob("*.py"):
        allowed = ALLOWED[package] | EXCEPTIONS.get(str(file.relative_to(ROOT)), set())
        for name in imports(file):
            ok = any(name == a or name.startswith(a + ".") for a in allowed) or (
                package in OUTSIDE and name == "nvcodec")
            assert ok, f"{file.relative_to(ROOT)} imports {name}"


def test_only_the_codec_joins_video_models_and_bitstream() -> None:
    for file in (ROOT / "nvcodec").rglob("*.py"):
        if file.parent.name != "codec":
            assert not any(n.startswith("bitstream") for n in imports(file)), file


@pytest.mark.parametrize("code", ["import nvcodec", "import bitstream", "import nvcodec.cli",
                                  "import nvcodec.codec.inspect", "import nvcodec.codec.tokens",
                                  "import nvcodec; [nvcodec.open, nvcodec.factorize]",
                                  "import nvcodec.cli.run",
                                  f"import rater_study.{', rater_study.'.join(STUDY)}"])
def test_light_imports(code: str) -> None:
    heavy = "{'torch', 'av', 'constriction'}"
    check = f"{code}; import sys; print(sorted({heavy} & set(sys.modules)))"
    out = subprocess.run([sys.executable, "-c", check], capture_output=True, text=True, check=True)
    assert out.stdout.strip() == "[]"


def test_files_are_small() -> None:
    for package in ("bitstream", "nvcodec", "benchmarks", "rater_study", "tests"):
        for file in (ROOT / package).rglob("*.py"):
            assert len(file.read_text().splitlines()) <= 400, file
