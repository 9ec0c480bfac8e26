"""Versions of the steps whose results are cached. Raise one when the same input would give another result:
artifacts of the older version are then left alone and made anew.
"""

CORPUS = 1
TOKENIZER = 1
TRAINING = 1
