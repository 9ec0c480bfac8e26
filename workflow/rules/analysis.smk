# From matches to Rosetta neurons, tables, fits and claims; and the theory that fits are confronted with.
from rosetta_scaling.schemas.names import FIT_TABLES, POINT_TABLES, STUDY_TABLES
from rosetta_scaling.stages.claims import claim_inputs, power_inputs
from rosetta_scaling.stages.continued import continued_inputs
from rosetta_scaling.stages.fits import fit_inputs
from rosetta_scaling.stages.points import point_inputs
from rosetta_scaling.stages.settled import fewer_draws_inputs, settled_inputs
from rosetta_scaling.stages.tables import table_inputs
from rosetta_scaling.stages.transport import transport_inputs


rule rosetta_neurons:
    input:
        declared(point_inputs, "curve", "rung"),
    output:
        rosetta=f"{layout.results}/rosetta/{{curve}}/{{rung}}.parquet",
        tables=[
            f"{layout.results}/rosetta/{{curve}}/{{rung}}.{name}.csv"
            for name in POINT_TABLES
        ],
    log:
        f"{layout.results}/logs/rosetta_neurons/{{curve}}/{{rung}}.log",
    group:
        "curve"
    conda:
        "../../envs/cpu.yaml"
    resources:
        mem_mb=needs.memory(to_compare),
        runtime=needs.runtime(to_compare),
    params:
        criteria=study.deciding()["matching"]["criteria"],
        confidence=study.polarization.confidence,
        version=versions.TABLES,
    message:
        "Rosetta neurons of {wildcards.curve}, {wildcards.rung}"
    script:
        "../scripts/rosetta_neurons.py"


rule tables:
    input:
        declared(table_inputs),
    output:
        *[study_table(name) for name in STUDY_TABLES],
    log:
        f"{layout.results}/logs/tables.log",
    group:
        "tables"
    conda:
        "../../envs/cpu.yaml"
    resources:
        mem_mb=needs.memory(needs.SMALL),
        runtime=needs.runtime(needs.SMALL),
    params:
        study=study.deciding(),
        version=versions.TABLES,
    message:
        "Tables"
    script:
        "../scripts/tables.py"


if layout.continued:

    rule continued:
        input:
            declared(continued_inputs),
        output:
            layout.tables("continued.csv"),
        log:
            f"{layout.results}/logs/continued.log",
        group:
            "tables"
        conda:
            "../../envs/cpu.yaml"
        resources:
            mem_mb=needs.memory(to_follow),
            runtime=needs.runtime(to_follow),
        params:
            criterion=study.deciding()["matching"]["criteria"][0],
            polarization=study.polarization.model_dump(),
            seed=study.nulls.seed,
            version=versions.TABLES,
        message:
            "What becomes of neurons when networks are trained further"
        script:
            "../scripts/continued.py"


if layout.transport_tables:

    rule transport:
        input:
            declared(transport_inputs),
        output:
            layout.transport_tables,
        log:
            f"{layout.results}/logs/transport.log",
        group:
            "tables"
        conda:
            "../../envs/cpu.yaml"
        resources:
            mem_mb=needs.memory(needs.SMALL),
            runtime=needs.runtime(needs.SMALL),
        params:
            confidence=study.polarization.confidence,
            version=versions.TABLES,
        message:
            "How many neurons are matched one to one"
        script:
            "../scripts/transport.py"


rule simulate_theory:
    output:
        cached(f"{layout.cache}/theory/{layout.theory_key}/beta_{{beta}}.csv"),
    log:
        f"{layout.results}/logs/simulate_theory/{{beta}}.log",
    group:
        "theory"
    conda:
        "../../envs/cpu.yaml"
    resources:
        mem_mb=needs.memory(needs.SMALL),
        runtime=needs.runtime(needs.SMALL),
    message:
        "Simulate networks that obey the theory, beta = {wildcards.beta}"
    script:
        "../scripts/simulate_theory.py"


rule fits:
    input:
        declared(fit_inputs),
    output:
        *[study_table(name) for name in FIT_TABLES],
        layout.tables("fits.json"),
    log:
        f"{layout.results}/logs/fits.log",
    group:
        "tables"
    conda:
        "../../envs/cpu.yaml"
    resources:
        mem_mb=needs.memory(needs.SMALL),
        runtime=needs.runtime(needs.SMALL),
    params:
        study=study.deciding(),
        version=versions.FITS,
    message:
        "Fits, their rivals and the theory"
    script:
        "../scripts/fits.py"


rule claim_power:
    input:
        declared(power_inputs),
    output:
        layout.tables("power.csv"),
    log:
        f"{layout.results}/logs/claim_power.log",
    group:
        "tables"
    conda:
        "../../envs/cpu.yaml"
    resources:
        mem_mb=needs.memory(needs.SMALL),
        runtime=needs.runtime(needs.SMALL),
    params:
        study=study.deciding(),
        version=versions.CLAIMS,
    message:
        "How often each main claim would get each verdict"
    script:
        "../scripts/claim_power.py"


rule claims:
    input:
        declared(claim_inputs),
    output:
        layout.tables("claims.json"),
    log:
        f"{layout.results}/logs/claims.log",
    priority: 1  # the figures wait for it
    group:
        "tables"
    conda:
        "../../envs/cpu.yaml"
    resources:
        mem_mb=needs.memory(needs.SMALL),
        runtime=needs.runtime(needs.SMALL),
    params:
        study=study.deciding(),
        version=versions.CLAIMS,
    message:
        "Claims and verdicts"
    script:
        "../scripts/claims.py"


rule fewer_draws:
    input:
        declared(fewer_draws_inputs),
    output:
        layout.settled_with("{draws}"),
    log:
        f"{layout.results}/logs/fewer_draws/{{draws}}.log",
    group:
        "tables"
    conda:
        "../../envs/cpu.yaml"
    resources:
        mem_mb=needs.memory(to_judge_again),
        runtime=needs.runtime(to_judge_again),
    params:
        study=study.deciding(),
        version=versions.CLAIMS,
    message:
        "Judge all claims with {wildcards.draws} draws of the nulls"
    script:
        "../scripts/fewer_draws.py"


rule settled:
    input:
        declared(settled_inputs),
    output:
        layout.tables("settled.csv"),
    log:
        f"{layout.results}/logs/settled.log",
    group:
        "tables"
    conda:
        "../../envs/cpu.yaml"
    resources:
        mem_mb=needs.memory(needs.SMALL),
        runtime=needs.runtime(needs.SMALL),
    message:
        "Verdicts with fewer draws of the nulls"
    script:
        "../scripts/settled.py"
