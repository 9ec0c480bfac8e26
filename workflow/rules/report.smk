# What people read.
from rosetta_scaling.stages.gallery import gallery_inputs
from rosetta_scaling.stages.report import (
    figure_inputs,
    figure_labels,
    report_inputs,
)
from rosetta_scaling.stages.so_far import so_far_inputs
from rosetta_scaling.stages.viewer import viewer_inputs


rule figures:
    input:
        declared(figure_inputs),
    output:
        report(
            directory(f"{layout.results}/figures"),
            patterns=["{figure}.svg"],
            category="Figures",
            labels=lambda wildcards: figure_labels(wildcards.figure),
            caption="../report/figure.rst",
        ),
    log:
        f"{layout.results}/logs/figures.log",
    priority: 1  # the last long job of a study: it does not wait for others
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
        page=report(layout.report, category="Report", labels={"page": "the study"}),
        fits=report(layout.fits_page, category="Report", labels={"page": "its fits"}),
        provenance=layout.tables("provenance.json"),
        crate=f"{layout.results}/ro-crate-metadata.json",
        workflow=f"{layout.results}/Snakefile",
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


# Of the first size; the profiles ask for it before all else.
rule first_page:
    input:
        declared(so_far_inputs, "rung"),
    output:
        f"{layout.results}/report/so-far/{{rung}}.html",
    log:
        f"{layout.results}/logs/page_so_far/{{rung}}.log",
    wildcard_constraints:
        rung=any_of([*layout.pages_so_far][:1]),
    conda:
        "../../envs/cpu.yaml"
    resources:
        mem_mb=needs.memory(needs.SMALL),
        runtime=needs.runtime(needs.SMALL),
    params:
        version=versions.TABLES,
    message:
        "Write what is known up to size {wildcards.rung}: open {output}"
    script:
        "../scripts/page_so_far.py"


use rule first_page as next_page with:
    wildcard_constraints:
        rung=any_of([*layout.pages_so_far][1:]),


rule viewer:
    input:
        declared(viewer_inputs),
    output:
        directory(layout.viewer),
    log:
        f"{layout.results}/logs/viewer.log",
    conda:
        "../../envs/torch.yaml"
    resources:
        mem_mb=needs.memory(to_view),
        runtime=needs.runtime(to_view),
        gpu=needs.gpu(to_view),
        gpu_mb=needs.gpu_memory(to_view),
    params:
        top_contexts=study.activations.top_contexts,
        seed=study.nulls.seed,
        version=versions.VIEWER,
    message:
        "Show every neuron"
    script:
        "../scripts/viewer.py"


if layout.gallery:

    rule gallery:
        input:
            declared(gallery_inputs),
        output:
            layout.gallery,
        log:
            f"{layout.results}/logs/gallery.log",
        group:
            "tables"
        conda:
            "../../envs/torch.yaml"
        resources:
            mem_mb=needs.memory(needs.SMALL),
            runtime=needs.runtime(needs.SMALL),
        message:
            "Show matched neurons on images"
        script:
            "../scripts/gallery.py"
