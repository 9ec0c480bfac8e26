# The whole study. `snakemake` runs config.yaml; `snakemake --configfile workflow/studies/NAME.yaml` runs another one.
import os
import sys

from snakemake.utils import min_version

min_version("9.27")

# A study given by --configfile stands alone: it is not merged into the default one.
if not workflow.configfiles:

    configfile: "config.yaml"


include: "workflow/rules/common.smk"
include: "workflow/rules/resources.smk"
include: "workflow/rules/corpus.smk"
include: "workflow/rules/checkpoints.smk"
include: "workflow/rules/units.smk"
include: "workflow/rules/activations.smk"
include: "workflow/rules/matches.smk"
include: "workflow/rules/analysis.smk"
include: "workflow/rules/selectivity.smk"
include: "workflow/rules/judge.smk"
include: "workflow/rules/companions.smk"
include: "workflow/rules/report.smk"


localrules:
    all,
    companions,


rule all:
    default_target: True
    input:
        layout.report,
        layout.companion_pages,


def pages_of_companions(wildcards):
    if not layout.companion_pages:
        raise WorkflowError(
            "this study has no companions: companions.studies is empty; name lottery, depth or mixture"
        )
    return layout.companion_pages


rule companions:
    input:
        pages_of_companions,


onsuccess:
    made = [
        page
        for page in [layout.report, *layout.companion_pages]
        if os.path.exists(page)
    ]
    if layout.report in made:  # the whole study, not only some files of it
        remove_unfinished(layout)
    if made:
        print(f"Done: open {' or '.join(made)}", file=sys.stderr)
