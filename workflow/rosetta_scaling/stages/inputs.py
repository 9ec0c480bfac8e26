"""What a rule declares: names of its inputs, and the files under each.

Every stage has two functions for a rule: X_inputs, which the rule calls, and X, which does the work and opens only
these files (the tests watch that, see jobs/opened.py). The workflow imports all stages to learn the inputs, so a stage
imports what computes where the work begins.

Files under "audit" only have to be there: a new audit of the same networks changes nothing, so nothing is done again
when it is younger.
"""

Inputs = dict[str, list[str]]
