from rosetta_scaling.jobs.job import job

with job(snakemake) as this:
    from rosetta_scaling.stages.report import write_study_report

    write_study_report(this.plan, page=snakemake.output.page, provenance=snakemake.output.provenance)
