"""The section `viewer`: the page that shows every neuron."""

from rosetta_scaling.config.section import Section


class Viewer(Section):
    make: bool = True
    """Write results/NAME/viewer/, a page that shows every neuron of every network, offline."""
