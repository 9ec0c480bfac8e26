"""Versions of the steps. Raise one when the same input would give another result: what the older version made in the
cache is then left alone, what it made in a study is made anew, and so is all that depends on it.
"""

CORPUS = 1
IMAGE_CORPUS = 1
TOKENIZER = 2
TRAINING = 1
IMAGE_TRAINING = 3
CHECKPOINTS = 1
AUDIT = 3
UNITS = 3
ACTIVATIONS = 4
MATCHES = 6
STABILITY = 2
TRANSPORT = 1
SELECTIVITY = 1
POLARIZATION = 1
JUDGE = 1
TABLES = 8
THEORY = 1
FITS = 4
CLAIMS = 7
COMPANIONS = 3
COMPANION_TABLES = 4
FILTERING = 1
VIEWER = 3
