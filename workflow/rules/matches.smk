# Mutual nearest neighbours of two models, and the same where no shared neuron can exist.
#
# The exact engine matches tiles of the correlation matrix in jobs of their own, or the whole pair at once when it is
# one tile. The sketch engine sketches every model, finds candidates of every pair, and re-scores them exactly.
from rosetta_scaling.schemas.names import REPLICATES
from rosetta_scaling.stages.matches import match_inputs, pair_inputs, tile_inputs
from rosetta_scaling.stages.nulls import null_inputs
from rosetta_scaling.stages.sketches import (
    candidate_inputs,
    group_inputs,
    sketch_inputs,
)
from rosetta_scaling.stages.stability import stability_inputs
from rosetta_scaling.stages.transport import transport_pair_inputs


rule match_tile:
    input:
        declared(tile_inputs, "pair", "variant"),
    output:
        temp(f"{layout.results}/tiles/{{pair}}/{{variant}}/{{tile}}.safetensors"),
    log:
        f"{layout.results}/logs/match_tile/{{pair}}/{{variant}}/{{tile}}.log",
    conda:
        "../../envs/torch.yaml"
    resources:
        mem_mb=needs.memory(to_tile),
        runtime=needs.runtime(to_tile),
        gpu=needs.gpu(to_tile),
        gpu_mb=needs.gpu_memory(to_tile),
    params:
        # Where the tile of a job is: another plan numbers them otherwise.
        tiles=lambda wildcards: str(plan.matching.tiles[wildcards.pair]),
        k=study.matching.k,
        dtype=study.activations.dtype,
        network_dtype=study.networks.dtype,
        version=versions.MATCHES,
        seed=study.nulls.seed,
        snapshots=study.stability.snapshots,
    message:
        "Match {wildcards.pair} ({wildcards.variant}), tile {wildcards.tile}"
    script:
        "../scripts/match_tile.py"


rule sketch:
    input:
        declared(sketch_inputs, "scope", "model"),
    output:
        directory(f"{layout.results}/sketches/{{scope}}/{{model}}"),
    log:
        f"{layout.results}/logs/sketch/{{scope}}/{{model}}.log",
    conda:
        "../../envs/torch.yaml"
    resources:
        mem_mb=needs.memory(to_sketch),
        runtime=needs.runtime(to_sketch),
        gpu=needs.gpu(to_sketch),
        gpu_mb=needs.gpu_memory(to_sketch),
    params:
        slots=study.matching.sketch_slots,
        dtype=study.activations.dtype,
        network_dtype=study.networks.dtype,
        version=versions.MATCHES,
    message:
        "Sketch the neurons of {wildcards.model}"
    script:
        "../scripts/sketch.py"


rule candidates:
    input:
        declared(candidate_inputs, "pair"),
    output:
        f"{layout.results}/candidates/{{pair}}.safetensors",
    log:
        f"{layout.results}/logs/candidates/{{pair}}.log",
    conda:
        "../../envs/torch.yaml"
    resources:
        mem_mb=needs.memory(to_propose),
        runtime=needs.runtime(to_propose),
        gpu=needs.gpu(to_propose),
        gpu_mb=needs.gpu_memory(to_propose),
    params:
        k=study.matching.k,
        dtype=study.activations.dtype,
        network_dtype=study.networks.dtype,
        version=versions.MATCHES,
    message:
        "Find candidates for {wildcards.pair}"
    script:
        "../scripts/candidates.py"


rule rescore:
    input:
        declared(group_inputs, "group"),
    output:
        directory(f"{layout.results}/rescored/{{group}}"),
    log:
        f"{layout.results}/logs/rescore/{{group}}.log",
    conda:
        "../../envs/torch.yaml"
    resources:
        mem_mb=needs.memory(to_rescore),
        runtime=needs.runtime(to_rescore),
        gpu=needs.gpu(to_rescore),
        gpu_mb=needs.gpu_memory(to_rescore),
    params:
        k=study.matching.k,
        dtype=study.activations.dtype,
        network_dtype=study.networks.dtype,
        version=versions.MATCHES,
    message:
        "Re-score the candidates of {wildcards.group}"
    script:
        "../scripts/rescore.py"


rule nulls:
    input:
        declared(null_inputs, "pair"),
    output:
        [f"{layout.results}/nulls/{{pair}}/{null}.parquet" for null in (*NULLS, "own")],
    log:
        f"{layout.results}/logs/nulls/{{pair}}.log",
    priority: null_priority
    group:
        slurm_group("pair")
    conda:
        "../../envs/torch.yaml"
    resources:
        mem_mb=needs.memory(to_match),
        runtime=needs.runtime(to_match),
        gpu=needs.gpu(to_match),
        gpu_mb=needs.gpu_memory(to_match),
    params:
        k=study.matching.k,
        nulls=study.deciding()["nulls"],
        dtype=study.activations.dtype,
        network_dtype=study.networks.dtype,
        version=versions.MATCHES,
    message:
        "Nulls of {wildcards.pair}"
    script:
        "../scripts/nulls.py"


rule match_pair:
    input:
        declared(match_inputs, "pair"),
    output:
        matches=f"{layout.results}/matches/{{pair}}/matches.parquet",
        neighbours=f"{layout.results}/matches/{{pair}}/neighbours.safetensors",
        snapshots=f"{layout.results}/matches/{{pair}}/snapshots.parquet",
        summary=f"{layout.results}/matches/{{pair}}/summary.json",
    log:
        f"{layout.results}/logs/match_pair/{{pair}}.log",
    group:
        slurm_group("pair")
    conda:
        "../../envs/torch.yaml"
    resources:
        mem_mb=needs.memory(to_match),
        runtime=needs.runtime(to_match),
        gpu=needs.gpu(to_match),
        gpu_mb=needs.gpu_memory(to_match),
    params:
        k=study.matching.k,
        snapshots=study.stability.snapshots,
        dtype=study.activations.dtype,
        network_dtype=study.networks.dtype,
        version=versions.MATCHES,
    message:
        "Match {wildcards.pair}"
    script:
        "../scripts/match_pair.py"


rule match_without_nulls:
    input:
        declared(pair_inputs, "pair"),
    output:
        matches=layout.matches_without_nulls("{pair}"),
        summary=f"{layout.results}/matches_without_nulls/{{pair}}/summary.json",
    log:
        f"{layout.results}/logs/match_without_nulls/{{pair}}.log",
    group:
        slurm_group("pair")
    conda:
        "../../envs/torch.yaml"
    resources:
        mem_mb=needs.memory(to_match),
        runtime=needs.runtime(to_match),
        gpu=needs.gpu(to_match),
        gpu_mb=needs.gpu_memory(to_match),
    params:
        k=study.matching.k,
        dtype=study.activations.dtype,
        network_dtype=study.networks.dtype,
        version=versions.MATCHES,
    message:
        "Match {wildcards.pair}, without nulls"
    script:
        "../scripts/match_without_nulls.py"


# `make matches` ends here: the pairs alone, for who needs nothing else of the study.
rule matches:
    input:
        [layout.matches_without_nulls(pair) for pair in layout.pairs],
    log:
        f"{layout.results}/logs/matches.log",
    localrule: True
    conda:
        "../../envs/torch.yaml"
    message:
        "Matches of all pairs, without nulls"
    script:
        "../scripts/matches.py"


rule stability:
    input:
        declared(stability_inputs, "pair"),
    output:
        [
            f"{layout.results}/stability/{{pair}}/{kind}.parquet"
            for kind in (*REPLICATES, "planted")
        ],
    log:
        f"{layout.results}/logs/stability/{{pair}}.log",
    group:
        slurm_group("pair")
    conda:
        "../../envs/torch.yaml"
    resources:
        mem_mb=needs.memory(to_match),
        runtime=needs.runtime(to_match),
        gpu=needs.gpu(to_match),
        gpu_mb=needs.gpu_memory(to_match),
    params:
        k=study.matching.k,
        bootstrap=study.stability.bootstrap,
        subset_draws=study.stability.subset_draws,
        planted=study.stability.planted,
        rows=study.nulls.rows,
        subset_size=lambda wildcards: plan.sizes.smallest,
        seed=study.nulls.seed,
        dtype=study.activations.dtype,
        network_dtype=study.networks.dtype,
        version=versions.STABILITY,
    message:
        "Stability of {wildcards.pair}"
    script:
        "../scripts/stability.py"


if layout.transport_tables:

    rule transport_pair:
        input:
            declared(transport_pair_inputs, "pair"),
        output:
            layout.transported("{pair}"),
        log:
            f"{layout.results}/logs/transport_pair/{{pair}}.log",
        conda:
            "../../envs/torch.yaml"
        resources:
            mem_mb=needs.memory(to_transport),
            runtime=needs.runtime(to_transport),
            gpu=needs.gpu(to_transport),
            gpu_mb=needs.gpu_memory(to_transport),
        params:
            min_r=study.matching.transport_min_r,
            draws=study.nulls.draws(CENTRAL),
            seed=study.nulls.seed,
            dtype=study.activations.dtype,
            network_dtype=study.networks.dtype,
            version=versions.TRANSPORT,
        message:
            "Match the neurons of {wildcards.pair} one to one"
        script:
            "../scripts/transport_pair.py"


# `make plan` prints what the matching will take, before it runs.
rule plan:
    log:
        f"{layout.results}/logs/plan.log",
    localrule: True
    conda:
        "../../envs/torch.yaml"
    message:
        "Plan the matching"
    script:
        "../scripts/plan.py"
