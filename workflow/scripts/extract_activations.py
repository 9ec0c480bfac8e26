from rosetta_scaling.jobs.job import job

with job(snakemake) as this:
    from rosetta_scaling.stages.activations import extract_activations

    scope, model, summary = snakemake.wildcards.scope, snakemake.wildcards.model, snakemake.output.summary
    work_dir = this.work_folder(scope, model)
    extract_activations(this.plan, scope, model, this.device, summary=summary, work_dir=work_dir)
