"""Versions of the steps. Raise one when the same input would give another result: what the older version made in the
cache is then left alone, what it made in a study is made anew, and so is all that depends on it.
"""

CORPUS = 1
TOKENIZER = 1
TRAINING = 1
UNITS = 1
ACTIVATIONS = 2
MATCHES = 3
STABILITY = 1
TABLES = 2
