"""LPIPS from the `lpips` package, with backbone weights from a file where there is one."""

from __future__ import annotations

import os
import warnings
from pathlib import Path

import torch
from torch import Tensor, nn

from nvcodec.models.registry import ModelError

#: Files with the convolutional features of each LPIPS backbone, as torchvision names them.
FEATURES = {"alex": "alexnet_features.pth", "squeeze": "squeezenet1_1_features.pth"}
#: Environment variable with a folder of the files of FEATURES, or one such file.
VARIABLE = "NVCODEC_LPIPS_WEIGHTS"
_HUB_NAMES = {"alex": "alexnet-*.pth", "squeeze": "squeezenet1_1-*.pth", "vgg": "vgg16-*.pth"}


def find_weights(net: str = "alex", given: Path | None = None) -> Path | None:
    """The backbone file: `given` (file or folder), else $NVCODEC_LPIPS_WEIGHTS, else torch's cache.

    None where there is none, in which case the package would download it.
    """
    for place in (given, os.environ.get(VARIABLE)):
        if place:
            path = Path(place)
            file = path / FEATURES.get(net, f"{net}.pth") if path.is_dir() else path
            if file.exists() or place is given:
                return file
    cached = sorted((Path(torch.hub.get_dir()) / "checkpoints").glob(_HUB_NAMES[net]))
    return cached[0] if cached else None


def load_lpips(net: str = "alex", given: Path | None = None, download: bool = True) -> nn.Module:
    """LPIPS v0.1 in evaluation mode: images [N, 3, H, W] in [-1, 1] -> [N, 1, 1, 1].

    Raises ModelError where the backbone's weights are neither here nor to be downloaded.
    """
    import lpips

    file = find_weights(net, given)
    remedy = f"set {VARIABLE} to a folder with {FEATURES.get(net, 'its weights')}"
    if file is None and not download:
        raise ModelError(f"no weights for the LPIPS backbone {net!r} here; {remedy}")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            metric: nn.Module = lpips.LPIPS(net=net, pnet_rand=file is not None, verbose=False)
        if file is not None:
            saved = torch.load(file, map_location="cpu", weights_only=True)
            _copy_features(metric.net, saved)  # type: ignore[arg-type]
    except (OSError, KeyError, RuntimeError) as error:
        raise ModelError(f"the LPIPS backbone {net!r} cannot be loaded ({error}); {remedy}"
                         ) from error
    return metric.eval().requires_grad_(False)


def _copy_features(net: nn.Module, saved: dict[str, Tensor]) -> None:
    """Copy `features.N.*` into the slices of the package's backbone, which keep the index N."""
    for name, target in net.state_dict().items():
        index = name.split(".", 1)[1]
        target.copy_(saved[f"features.{index}"])
