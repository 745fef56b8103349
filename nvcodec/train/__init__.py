"""Training: losses, data, loop and recipes. Imports `nvcodec.models` and, to read clips, `nvcodec.video`."""
