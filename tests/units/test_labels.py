"""Labels of units by plain loops, and what documents are dealt to blocks of domains."""

import math

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from unit_tables import unit_table

from rosetta_scaling.units import groups
from rosetta_scaling.units.groups import BLOCKS, document_blocks
from rosetta_scaling.units.labels import POSITIONS, label_units

# -- text, text before, place ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("most_texts", [1, 4, 100])
def test_codes_are_those_of_a_plain_loop(most_texts):
    units = unit_table()
    labels = label_units(units, most_texts)
    assert labels.texts == sorted(set(units.text), key=lambda text: (-list(units.text).count(text), text))[:most_texts]
    code = {text: i for i, text in enumerate(labels.texts)}
    other, last, number = len(labels.texts), None, 0
    seen = {"follows": 0, "passage": 0, "gap": 0}
    for i, unit in enumerate(units.itertuples()):
        same_passage = last is not None and last.passage == unit.passage
        number = number + 1 if same_passage else 0
        follows = same_passage and last.end == unit.start
        seen["follows" if follows else "gap" if same_passage else "passage"] += 1
        assert labels.text[i] == code.get(unit.text, other)
        assert labels.previous[i] == (code.get(last.text, other) if follows else other)
        assert labels.position[i] == min(int(2 * math.log2(number + 1)), POSITIONS - 1)
        assert labels.domains[labels.block_domain[labels.block[i]]] == unit.domain
        last = unit
    assert min(seen.values()) > 20, "all cases occur"
    assert len(np.unique(labels.position)) > 5


def test_among_texts_of_equal_frequency_the_first_in_order_has_a_code():
    units = unit_table().iloc[:6].assign(text=["b", "a", "c", "a", "b", "c"])
    for order in ([0, 1, 2, 3, 4, 5], [5, 4, 3, 2, 1, 0]):
        assert label_units(units.assign(text=units.text.to_numpy()[order]), 2).texts == ["a", "b"]


def test_a_unit_at_the_start_of_a_passage_follows_nothing_wherever_the_last_one_ended():
    units = unit_table().iloc[:4].assign(passage=[0, 0, 1, 1], start=[0, 1, 2, 3], end=[1, 2, 3, 4], text=list("xxxx"))
    assert label_units(units, 3).previous.tolist() == [1, 0, 1, 0]


def test_places_grow_with_the_logarithm_to_the_last_class():
    units = unit_table().iloc[np.zeros(500, int)].assign(passage=0)
    position = label_units(units, 1).position
    assert position[[0, 1, 3, 7, 15, 31, 63, 127]].tolist() == [0, 2, 4, 6, 8, 10, 12, 14]
    assert (np.diff(position) >= 0).all()
    assert position[-1] == POSITIONS - 1 == position[181]


def test_displaced_texts_are_the_same_texts_half_way_on_at_a_document():
    units = unit_table()
    labels = label_units(units, 4)
    assert np.bincount(labels.displaced).tolist() == np.bincount(labels.text).tolist()
    share = np.bincount(labels.text) / len(units)
    assert (labels.displaced == labels.text).mean() == pytest.approx((share**2).sum(), abs=0.06)
    place = next(i for i in range(len(units)) if (np.roll(labels.text, i) == labels.displaced).all())
    assert units.doc[place] != units.doc[place - 1]
    starts = np.flatnonzero(units.doc.diff() != 0)
    assert abs(place - len(units) / 2) == np.abs(starts - len(units) / 2).min()


# -- blocks of documents ---------------------------------------------------------------------------------------------


@st.composite
def corpora(draw):
    """Document and domain of every unit; domains of 1 to 60 documents of 1 to 9 units, in any order."""
    sizes = draw(st.lists(st.lists(st.integers(1, 9), min_size=1, max_size=60), min_size=1, max_size=5))
    flat = [(size, domain) for domain, documents in enumerate(sizes) for size in documents]
    order = draw(st.permutations(range(len(flat))))
    doc = np.repeat([3 * place for place in range(len(flat))], [flat[i][0] for i in order])
    return doc, np.repeat([flat[i][1] for i in order], [flat[i][0] for i in order])


@settings(max_examples=60)
@given(corpus=corpora())
def test_blocks_are_whole_documents_of_one_domain_and_even(corpus):
    doc, domain = corpus
    block, block_domain = document_blocks(doc, domain)
    np.testing.assert_array_equal(block_domain[block], domain)
    np.testing.assert_array_equal(block_domain, np.sort(block_domain))
    size = np.bincount(block, minlength=len(block_domain))
    assert size.min() > 0
    assert len(block_domain) <= BLOCKS
    of_doc = {document: set(block[doc == document]) for document in np.unique(doc)}
    assert all(len(blocks) == 1 for blocks in of_doc.values())
    for code in np.unique(domain):
        blocks = np.flatnonzero(block_domain == code)
        assert len(blocks) == min(BLOCKS // (domain.max() + 1), len(np.unique(doc[domain == code])))
        for one in blocks:
            smallest = min((doc == document).sum() for document in np.unique(doc[block == one]))
            assert size[one] - smallest <= size[blocks].min(), "else its last document belonged elsewhere"


@settings(max_examples=60)
@given(corpus=corpora())
def test_both_halves_exist_in_every_domain_of_two_documents(corpus):
    doc, domain = corpus
    units = pd.DataFrame({"passage": doc, "doc": doc, "start": 0, "end": 1, "text": "x", "domain": domain.astype(str)})
    labels = label_units(units, 1)
    for code in np.unique(domain):
        here = domain == code
        documents = len(np.unique(doc[here]))
        assert set(labels.fold[here]) == ({0, 1} if documents > 1 else {0})
        blocks = np.bincount(labels.block_fold[labels.block_domain == code], minlength=2)
        assert blocks[0] - blocks[1] in (0, 1), "every other block"
    for document in np.unique(doc):
        assert len(set(labels.fold[doc == document])) == 1


def test_halves_and_blocks_of_many_documents_are_even():
    labels = label_units(unit_table(documents=600), 4)
    assert np.bincount(labels.block_domain).tolist() == [BLOCKS // 3] * 3
    for domain in range(3):
        blocks = np.bincount(labels.block)[labels.block_domain == domain]
        assert blocks.max() - blocks.min() <= 3
        halves = np.bincount(labels.fold[labels.block_domain[labels.block] == domain])
        assert halves[0] / halves.sum() == pytest.approx(11 / 21, abs=0.005), "11 blocks and 10"


def test_many_domains_still_have_two_blocks_each():
    domain = np.repeat(np.arange(BLOCKS), 6)
    _, block_domain = document_blocks(np.arange(6 * BLOCKS) // 2, domain)
    assert np.bincount(block_domain).tolist() == [2] * BLOCKS


def test_domains_are_in_alphabetical_order_wherever_they_come_first():
    units = unit_table(domains=3)
    labels = label_units(units.assign(domain=units.domain.map({"d0": "z", "d1": "m", "d2": "a"})), 2)
    assert labels.domains == ["a", "m", "z"]
    assert set(labels.block_domain[labels.block[(units.domain == "d0").to_numpy()]]) == {2}


def test_the_number_of_blocks_is_a_constant_of_the_module(monkeypatch):
    monkeypatch.setattr(groups, "BLOCKS", 12)
    assert len(label_units(unit_table(documents=60), 2).block_domain) == 12
