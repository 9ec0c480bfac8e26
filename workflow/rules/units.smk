# Spans of text that all tokenizers of a scope can be compared on.


rule align_units:
    input:
        documents=f"{layout.corpus_dir}/documents.parquet",
        tokenizers=tokenizers_of_scope,
    output:
        f"{layout.results}/units/{{scope}}/units.parquet",
    log:
        f"{layout.results}/logs/align_units/{{scope}}.log",
    benchmark:
        f"{layout.results}/benchmarks/align_units/{{scope}}.tsv"
    priority: 10**8
    group:
        together("text")
    conda:
        "../../envs/torch.yaml"
    threads: 1
    resources:
        mem_mb=needs.memory(needs.texts(layout)),
        runtime=needs.runtime(needs.texts(layout)),
    params:
        settings=study.units.model_dump(),
        version=versions.UNITS,
        names=tokenizer_names_of_scope,
    message:
        "Align units of {wildcards.scope}"
    script:
        "../scripts/align_units.py"


rule index_tokens:
    input:
        documents=f"{layout.corpus_dir}/documents.parquet",
        units=f"{layout.results}/units/{{scope}}/units.parquet",
        tokenizer=tokenizer_file,
    output:
        f"{layout.results}/units/{{scope}}/tokens-{{tokenizer}}.parquet",
    log:
        f"{layout.results}/logs/index_tokens/{{scope}}/{{tokenizer}}.log",
    benchmark:
        f"{layout.results}/benchmarks/index_tokens/{{scope}}/{{tokenizer}}.tsv"
    priority: 10**8
    group:
        together("text")
    conda:
        "../../envs/torch.yaml"
    threads: 1
    resources:
        mem_mb=needs.memory(needs.texts(layout)),
        runtime=needs.runtime(needs.texts(layout)),
    params:
        settings=study.units.model_dump(),
        version=versions.UNITS,
    message:
        "Find the unit of every token of {wildcards.tokenizer}"
    script:
        "../scripts/index_tokens.py"
