"""Versions of the steps. Raise one when the same input would give another result: what the older version made in the
cache is then left alone, what it made in a study is made anew, and so is all that depends on it.
"""

CORPUS = 1
TOKENIZER = 1
TRAINING = 1
CHECKPOINTS = 1
AUDIT = 1
UNITS = 2
ACTIVATIONS = 3
MATCHES = 3
STABILITY = 1
SELECTIVITY = 1
POLARIZATION = 1
JUDGE = 1
TABLES = 4
THEORY = 1
FITS = 1
CLAIMS = 2
COMPANIONS = 1
COMPANION_TABLES = 2
