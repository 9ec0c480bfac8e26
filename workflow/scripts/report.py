from rosetta_scaling.jobs.job import job

with job(snakemake) as this:
    from rosetta_scaling.stages.report import write_study_report

    made = snakemake.output
    write_study_report(this.plan, page=made.page, provenance=made.provenance, crate=made.crate)
