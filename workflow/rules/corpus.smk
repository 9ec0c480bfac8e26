# Documents with domain labels, split into text to train on and text to probe with. They may have to be downloaded, so
# that a cluster's login node does it.


localrules:
    corpus,


rule corpus:
    output:
        documents=cached(f"{layout.cache}/corpora/{{key}}/documents.parquet"),
        manifest=cached(f"{layout.cache}/corpora/{{key}}/manifest.json"),
    log:
        f"{layout.results}/logs/corpus/{{key}}.log",
    priority: 10**9
    conda:
        "../../envs/corpus.yaml"
    message:
        "Assemble the corpus"
    script:
        "../scripts/corpus.py"
