"""Least numbers of points that a statement needs."""

MINIMUM_RUNGS = 3  # two points always lie on a line: a fit needs a third to be able to fail
