# An optional judge of monosemanticity; no target needs these rules unless judge.neurons is set.
from rosetta_scaling.stages.judge import (
    answer_inputs,
    detection_inputs,
    judgement_inputs,
    request_inputs,
)

JUDGE = f"{layout.results}/judge/{{curve}}/{{rung}}"


rule judge_requests:
    input:
        declared(request_inputs, "curve", "rung"),
    output:
        f"{JUDGE}/examples.parquet",
        requests=f"{JUDGE}/describe.jsonl",
    log:
        f"{layout.results}/logs/judge_requests/{{curve}}/{{rung}}.log",
    conda:
        "../../envs/torch.yaml"
    resources:
        mem_mb=needs.memory(to_compare),
        runtime=needs.runtime(to_compare),
    params:
        neurons=study.judge.neurons,
        model=study.judge.model,
        seed=study.nulls.seed,
        version=versions.JUDGE,
    message:
        "What a judge is asked about {wildcards.curve}, {wildcards.rung}"
    script:
        "../scripts/judge_requests.py"


# The only rule after the checkpoints that may use the network, and only when there is an endpoint.
rule judge_answers:
    input:
        declared(answer_inputs, "curve", "rung", "stage"),
    output:
        f"{JUDGE}/{{stage}}.answers.jsonl",
    log:
        f"{layout.results}/logs/judge_answers/{{curve}}/{{rung}}.{{stage}}.log",
    localrule: True
    conda:
        "../../envs/cpu.yaml"
    message:
        "Answers of the judge ({wildcards.stage}) on {wildcards.curve}, {wildcards.rung}"
    script:
        "../scripts/judge_answers.py"


rule judge_detections:
    input:
        declared(detection_inputs, "curve", "rung"),
    output:
        f"{JUDGE}/detect.jsonl",
    log:
        f"{layout.results}/logs/judge_detections/{{curve}}/{{rung}}.log",
    localrule: True
    conda:
        "../../envs/cpu.yaml"
    params:
        model=study.judge.model,
        seed=study.nulls.seed,
        version=versions.JUDGE,
    message:
        "Test the judge's descriptions of {wildcards.curve}, {wildcards.rung}"
    script:
        "../scripts/judge_detections.py"


rule judgement:
    input:
        declared(judgement_inputs, "curve", "rung"),
    output:
        f"{JUDGE}/judgement.parquet",
        f"{JUDGE}/judgement.csv",
    log:
        f"{layout.results}/logs/judgement/{{curve}}/{{rung}}.log",
    localrule: True
    conda:
        "../../envs/cpu.yaml"
    params:
        seed=study.nulls.seed,
        confidence=study.polarization.confidence,
        version=versions.JUDGE,
    message:
        "Judgement of {wildcards.curve}, {wildcards.rung}"
    script:
        "../scripts/judgement.py"
