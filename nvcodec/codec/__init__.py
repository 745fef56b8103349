"""The one place where video, models and bitstream meet. Submodules load torch; this does not."""
