from rosetta_scaling.jobs import job as jobs

with jobs.job(snakemake):
    from pathlib import Path

    from rosetta_scaling.report.pages import write_report
    from rosetta_scaling.stages.report import write_provenance

    layout = jobs.layout(snakemake)
    tables = Path(snakemake.input.tables[0]).parent
    write_provenance(layout, tables, Path(layout.results) / "benchmarks", Path(snakemake.output.provenance))
    companions = {name: layout.companion_tables(name) for name in layout.companion_keys}
    write_report(Path(layout.results), Path(snakemake.output.page).parent, companions)
