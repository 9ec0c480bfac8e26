"""Sizes of what is read at a time, and of what is kept."""

CHUNK_UNITS = 2048  # fixed, so that sums come out the same whatever the memory; large enough for an efficient product
SLOTS = 3  # chunks that are read ahead for a GPU: one is worked on, one waits, one arrives
WINDOW_BATCHES = 4  # passages of so many batches are sorted by length, so that little is padded
KEPT_BYTES = 2**28  # of what enters the MLPs of a network that is rotated several times: all in the default study
WINDOW_BYTES = 8 * 2**30  # activations of a window, if it has more than one batch
