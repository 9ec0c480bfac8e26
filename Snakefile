# The whole study. `snakemake` runs config.yaml; `snakemake --configfile workflow/studies/NAME.yaml` runs another one.
import os
import sys

from snakemake.utils import min_version

min_version("9.27")

# A study given by --configfile stands alone: it is not merged into the default one. The default one is that of the
# working folder, or of the project where --directory names a folder that has none.
default_study = "config.yaml"
if not os.path.exists(default_study):
    default_study = os.path.join(workflow.basedir, "config.yaml")
if not workflow.configfiles:

    configfile: default_study


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
