"""Columns that many tables have."""

from rosetta_scaling.schemas.tables.schema import number, text, whole

CURVE = text("curve", "combination of families whose sizes are compared")
POINT = text("point", "size step of the curve")
CRITERION = text("criterion", "what counts as a match (see Criterion on the page)")
QUANTITY = text("quantity", "what is counted or measured: a column of counts.csv, or as the page names it")
MODEL = text("model", "network")
MODEL_A = text("model_a", "network A of the pair")
MODEL_B = text("model_b", "network B of the pair")
NEURONS = whole("neurons", "neurons of the network", "neurons")
POINTS = whole("points", "points used", "points")
NOTE = text("note", "why something is missing or was left out; empty when nothing is", missing=True)
NEURON = whole("neuron", "number of the neuron, from 0 over all layers")
LAYER = whole("layer", "layer, from 0")
CHANNEL = whole("channel", "channel in the layer, from 0")
DRAW = whole("draw", "number of the draw, from 0")
UNIT = whole("unit", "number of the unit, from 0")
SEED = whole("seed", "number of the network among those that differ in their seed only")
ALPHA = number("alpha", "fitted exponent")
EXPONENT_RANGE = (number("low", "lower end of the interval of alpha"), number("high", "upper end of the same"))
