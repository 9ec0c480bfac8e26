from rosetta_scaling.jobs.job import job

with job(snakemake) as this:
    from rosetta_scaling.stages.activations import extract_untrained

    scope, model, summaries = snakemake.wildcards.scope, snakemake.wildcards.model, snakemake.output.summaries
    work_dirs = [this.work_folder(scope, f"{model}.untrained{draw}") for draw in range(len(summaries))]
    extract_untrained(this.plan, scope, model, this.device, summaries=summaries, work_dirs=work_dirs)
