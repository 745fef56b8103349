"""Training: losses, data, loop, recipes. Imports `nvcodec.models`, and `nvcodec.video` to read."""
