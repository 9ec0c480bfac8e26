"""A pair of models as it goes through the engine: as it is, as a null, or on a half of the text.

`real`; NULLn, the nth draw of a null; `half0` and `half1`, halves of the documents. In even draws a null changes the
model that comes later in the alphabet, in odd ones the other, so that it does not matter which one is called A.
"""
