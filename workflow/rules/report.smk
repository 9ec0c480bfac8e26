# What people read.
from rosetta_scaling.stages.report import figure_inputs, report_inputs


rule figures:
    input:
        declared(figure_inputs),
    output:
        directory(f"{layout.results}/figures"),
    log:
        f"{layout.results}/logs/figures.log",
    benchmark:
        f"{layout.results}/benchmarks/figures/figures.tsv"
    group:
        "tables"
    conda:
        "../../envs/cpu.yaml"
    resources:
        mem_mb=needs.memory(needs.SMALL),
        runtime=needs.runtime(needs.SMALL),
    message:
        "Draw the figures"
    script:
        "../scripts/figures.py"


rule report:
    input:
        declared(report_inputs),
    output:
        page=layout.report,
        fits=layout.fits_page,
        provenance=layout.tables("provenance.json"),
    log:
        f"{layout.results}/logs/report.log",
    group:
        "tables"
    conda:
        "../../envs/cpu.yaml"
    resources:
        mem_mb=needs.memory(needs.SMALL),
        runtime=needs.runtime(needs.SMALL),
    params:
        study=study.deciding(),
    message:
        "Write the report"
    script:
        "../scripts/report.py"
