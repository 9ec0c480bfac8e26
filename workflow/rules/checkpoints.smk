# Networks: trained here as a ladder, or registered from a local folder.


rule prepare_text:
    input:
        f"{layout.corpus_dir}/documents.parquet",
    output:
        tokenizer=f"{layout.cache}/tokenizers/{{key}}/tokenizer.json",
        tokens=f"{layout.cache}/tokenizers/{{key}}/tokens.npy",
        held_out=f"{layout.cache}/tokenizers/{{key}}/held_out.npy",
    log:
        f"{layout.results}/logs/prepare_text/{{key}}.log",
    benchmark:
        f"{layout.results}/benchmarks/prepare_text/{{key}}.tsv"
    priority: 10**9
    conda:
        "../../envs/torch.yaml"
    threads: 1
    resources:
        mem_mb=2000,
        runtime=30,
    message:
        "Train a tokenizer and tokenize the corpus ({wildcards.key})"
    script:
        "../scripts/prepare_text.py"


rule train_model:
    input:
        text_of_model,
    output:
        manifest=f"{layout.cache}/checkpoints/{{key}}/manifest.json",
        weights=f"{layout.cache}/checkpoints/{{key}}/model.safetensors",
        config=f"{layout.cache}/checkpoints/{{key}}/config.json",
    log:
        f"{layout.results}/logs/train_model/{{key}}.log",
    benchmark:
        f"{layout.results}/benchmarks/train_model/{{key}}.tsv"
    priority: training_priority
    conda:
        "../../envs/torch.yaml"
    # One thread each: two small networks side by side train faster than one on two threads.
    threads: 1
    resources:
        mem_mb=2000,
        runtime=60,
    script:
        "../scripts/train_model.py"


rule register_local_model:
    input:
        files_of_model,
    output:
        f"{layout.results}/checkpoints/{{model}}.json",
    log:
        f"{layout.results}/logs/register_local_model/{{model}}.log",
    benchmark:
        f"{layout.results}/benchmarks/register_local_model/{{model}}.tsv"
    conda:
        "../../envs/torch.yaml"
    threads: 1
    resources:
        mem_mb=1000,
        runtime=30,
    params:
        folder=folder_of_model,
        modality=modality_of_model,
    message:
        "Check the folder of {wildcards.model}"
    script:
        "../scripts/register_local_model.py"
