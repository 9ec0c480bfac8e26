# `snakemake` runs config.yaml; `snakemake --configfile workflow/studies/NAME.yaml` runs another study.
include: "workflow/Snakefile"


workflow.default_target = "all"  # what is included does not set it
