# What people read.


rule figures:
    input:
        rules.tables.output,
        rules.fits.output,
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
    threads: 1
    resources:
        mem_mb=needs.memory(needs.Need()),
        runtime=needs.runtime(needs.Need()),
    message:
        "Draw the figures"
    script:
        "../scripts/figures.py"


rule report:
    input:
        figures=rules.figures.output,
        tables=[*rules.tables.output, *rules.fits.output, *rules.claims.output],
        audit=layout.audit,
        corpus=f"{layout.corpus_dir}/manifest.json",
        units=units_tables(),
        companions=[
            folder
            for name in layout.companion_keys
            for folder in layout.companion_tables(name)
        ],
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
    threads: 1
    resources:
        mem_mb=needs.memory(needs.Need()),
        runtime=needs.runtime(needs.Need()),
    params:
        study=study.deciding(),
    message:
        "Write the report"
    script:
        "../scripts/report.py"
