"""Arms that look at the text, or at nothing: what people use, and the two ends of the scale."""

import numpy as np

from rosetta_scaling.companions.filtering.byte_model import ByteModel
from rosetta_scaling.companions.filtering.case import Case
from rosetta_scaling.companions.filtering.pools import count_matches


def random(case: Case) -> np.ndarray:
    return np.random.default_rng([case.seed, 1]).random(len(case.pool))


def oracle(case: Case) -> np.ndarray:
    return case.truth.astype(float)


def keywords(case: Case) -> np.ndarray:
    """Matches of the task's keywords per byte."""
    return count_matches([case.features.texts[row] for row in case.pool], case.features.keywords)


def classifier(case: Case) -> np.ndarray:
    """Logistic regression on hashed n-grams: known documents of the target against others, and against the pool.

    As the fastText classifier of DataComp-LM (arXiv 2406.11794), which has n-grams of words and takes random text for
    the other class.
    """
    from sklearn.preprocessing import normalize

    return regression(case, normalize(case.features.ngrams.sqrt()), strength=10.0)


def regression(case: Case, features, strength: float) -> np.ndarray:
    """Score (pool,) of a logistic regression on features (documents, columns), learnt on the other half of the pool."""
    from sklearn.linear_model import LogisticRegression

    score = np.zeros(len(case.pool))
    for background, scored in case.folds():
        rows = np.concatenate([case.known, case.others, case.pool[background]])
        label = np.arange(len(rows)) < len(case.known)
        model = LogisticRegression(C=strength, class_weight="balanced", max_iter=300, solver="liblinear")
        score[scored] = model.fit(features[rows], label).decision_function(features[case.pool[scored]])
    return score


def importance(case: Case) -> np.ndarray:
    """Importance resampling: DSIR (Xie et al. 2023, arXiv 2302.03169).

    The log ratio of the probabilities of a document's hashed n-grams under the known documents and under the pool, each
    a bag of n-grams, with Gumbel noise: to take the best is to sample without replacement by these weights. The authors
    have millions of known n-grams. Of a few documents most n-grams were never seen, so that here the pool stands for
    half of the target's weight; a count of one for every column would drown what is known.
    """
    counts = case.features.ngrams
    target, raw = (np.asarray(counts[rows].sum(0)).ravel() for rows in (case.known, case.pool))
    probability = (raw + 1) / (raw + 1).sum()
    ratio = np.log((target / target.sum() + probability) / 2) - np.log(probability)
    noise = np.random.default_rng([case.seed, 2]).gumbel(size=len(case.pool))
    return counts[case.pool] @ ratio + noise


def perplexity(case: Case) -> np.ndarray:
    """Log probability per byte under a model of the known documents, as CCNet filters (arXiv 1911.00359)."""
    return ByteModel(_texts(case, case.known)).log_probabilities(_texts(case, case.pool))


def moore_lewis(case: Case) -> np.ndarray:
    """The same less that under a model of the pool (Moore and Lewis 2010), of as many documents, which are others.

    As the authors do: the larger model would know more of everything, and most of what is rare in neither.
    """
    score = perplexity(case)
    for background, scored in case.folds():
        model = ByteModel(_texts(case, case.pool[background[: len(case.known)]]))  # they are in random order
        score[scored] -= model.log_probabilities(_texts(case, case.pool[scored]))
    return score


def embedding(case: Case) -> np.ndarray:
    """Cosine with the mean embedding of the known documents, as BETR begins (arXiv 2507.12466)."""
    vectors = case.features.embeddings
    if vectors is None:
        raise ValueError("the documents of this case were not embedded")
    return vectors[case.pool] @ vectors[case.known].mean(0)


def _texts(case: Case, rows: np.ndarray) -> list[str]:
    return [case.features.texts[row] for row in rows]
