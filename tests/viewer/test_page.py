"""The page itself, opened from file:// in Chromium without a window and driven as a reader drives it."""

import base64
import csv
import io
import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from chromium import Page, chromium
from made_viewer import SIDE, made_images, write_small

from rosetta_scaling.corpora.pixels import decode
from rosetta_scaling.report.cells import rosetta_address
from rosetta_scaling.viewer.examples import SETS
from rosetta_scaling.viewer.images import LARGEST
from rosetta_scaling.viewer.page import Network

pytestmark = pytest.mark.slow(1)


@pytest.fixture(scope="module")
def made(tmp_path_factory) -> tuple[str, list[Network]]:
    """Address of the page of the small networks, and these."""
    folder: Path = tmp_path_factory.mktemp("made") / "viewer"
    networks = write_small(folder)
    return f"file://{folder}/index.html", networks


@pytest.fixture(scope="module")
def browser():
    with chromium() as page:
        page.size(1200, 900)
        yield page


@pytest.fixture
def page(browser: Page, made):
    """The page, just opened. After the test nothing may have been complained of, or asked of a network."""
    browser.open("about:blank")
    browser.complaints.clear()
    browser.open(made[0])
    settled(browser)
    yield browser
    assert browser.complaints == []
    assert browser.fetched == []


def settled(page: Page) -> None:
    page.wait("document.body && document.body.dataset.ready && Number(document.body.dataset.ready) === turn")


def change(page: Page, field: str, value: str) -> None:
    """Fill in a field and leave it, as a reader does."""
    page.run(f"""(() => {{ const field = document.querySelector({json.dumps(field)}); field.value = {json.dumps(value)};
        field.dispatchEvent(new Event("change", {{bubbles: true}})); }})()""")
    settled(page)


def click(page: Page, what: str) -> None:
    page.run(f"document.querySelector({json.dumps(what)}).click()")
    settled(page)


def find(page: Page, words: str) -> None:
    page.run(f"$('search').value = {json.dumps(words)}; $('top').requestSubmit()")
    settled(page)


def listed(page: Page) -> list[int]:
    return page.run("Array.from(listed)")


def test_all_columns_are_what_the_tables_hold(page, made):
    for network in made[1]:
        for name in network.table:
            script = f"column(networks.get({json.dumps(network.key)}), {json.dumps(name)})"
            values = page.run(f"{script}.then(c => Array.from(c.values, (v, i) => c.texts ? c.text(i) : String(v)))")
            column = network.table[name]
            if column.dtype.kind == "f" and name != "label":
                np.testing.assert_allclose([float(value) for value in values], column, rtol=2.0**-13, err_msg=name)
            elif name == "label":
                assert values == ["" if pd.isna(label) else label for label in column]
            elif column.dtype in (int, bool):
                assert [int(value) for value in values] == column.astype(int).tolist(), name
            else:
                assert values == column.tolist(), name


def test_the_list_sorts_and_filters(page, made):
    table = made[1][0].table
    r = table["r.blue-r1"].fillna(-np.inf)
    assert listed(page) == np.argsort(-r, kind="stable").tolist()  # constant neurons, which have no partner, are last
    change(page, "[name=m]", "matched 1")
    assert sorted(listed(page)) == table.index[table.matched == 1].tolist()
    change(page, "[name=f]", 'r.blue-r1 >= 0.9 and layer != 0 or unigram_text = "<b>"')
    wanted = (table.matched == 1) & ((r >= 0.9) & (table.layer != 0) | (table.unigram_text == "<b>"))
    assert 0 < wanted.sum() < 15
    assert sorted(listed(page)) == table.index[wanted].tolist()
    click(page, "#clear")
    change(page, "[name=lo]", "1")
    change(page, "[name=k]", "dead")
    assert sorted(listed(page)) == table.index[(table.layer >= 1) & table.kind.str.contains("dead")].tolist()
    click(page, "#clear")
    for falling in (True, False):
        page.run(
            "[...document.querySelectorAll('#heads button')].find(b => b.textContent.startsWith('activation')).click()"
        )
        settled(page)
        order = np.argsort(table.activation_kurtosis * (-1 if falling else 1), kind="stable")
        assert listed(page) == order.tolist()
    assert page.run("document.querySelectorAll('[aria-sort=ascending]').length") == 1


def test_the_address_of_a_count_leads_to_the_neurons_that_were_counted(page, made):
    page.run(f"location.hash = '{rosetta_address('red-r1', 'red-blue', 'mutual_top1')}'")
    page.wait("listed.length < 28")
    settled(page)
    assert sorted(listed(page)) == list(range(0, 28, 3))
    assert page.run("document.querySelector('[name=r]').selectedOptions[0].textContent") == "red-blue: mutual_top1"
    change(page, "[name=r]", "")
    assert len(listed(page)) == 28


def test_a_wrong_formula_is_told_in_a_sentence(page):
    for wrong in ("ginni > 1", "gini >", "(gini > 1", "gini gini", "max gini"):
        change(page, "[name=f]", wrong)
        assert page.run("$('message').hidden") is False
        assert "cannot be read" in page.run("$('message').textContent")
    change(page, "[name=f]", "gini > 0")
    assert page.run("$('message').hidden") is True


FORMULAS = {
    "2 + 3 * 4 ^ 2 / 8 - 1": 7,
    "-2 - -1": -1,
    "max(1, abs(-3), sqrt(4))": 3,
    "8 - 2 - 1": 5,
    "log(1e3) + .5": 3.5,
    "1 < 2 and (2 < 2 or 2 != 3)": True,
}


@pytest.mark.parametrize(("formula", "wanted"), FORMULAS.items())
def test_formulas_are_worked_out(page, formula, wanted):
    assert page.run(f"formula({json.dumps(formula)}, here()).then(f => f(0))") == wanted


def test_search_finds_places_words_domains_and_labels(page, made):
    network = made[1][0]
    find(page, "L1/3")
    assert page.run("$('neuron').querySelector('h2').textContent") == "red-r1 L1/3"
    find(page, "the")
    index, word = network.fires, network.fires.words.index("the")
    ends = np.cumsum(index.counts)
    fire = set(index.neurons[ends[word] - index.counts[word] : ends[word]].tolist())
    assert {15} <= fire <= set(listed(page))  # the neuron that was made to fire on it
    assert f"{len(fire)} fire on it" in page.run("$('count').textContent")
    find(page, "s*")
    many = set(listed(page))
    find(page, "snow")
    assert set(listed(page)) <= many
    find(page, "prose")
    assert set(network.table.index[network.table.domain == "prose"]) <= set(listed(page))
    find(page, "i think")
    assert listed(page) == [1]
    find(page, "no such word")
    assert listed(page) == []
    assert "nothing is known" in page.run("$('count').textContent")
    find(page, "L7/1")
    assert "has no neuron" in page.run("$('message').textContent")
    click(page, "#clear")


def test_a_neuron_shows_its_examples_in_both_networks_and_leads_to_its_partner(page, made):
    red = made[1][0]
    i = 16
    find(page, f"L1/{i - 14}")
    shown = page.run(f"single(here(), {i}).then(one => one.examples.map(e => ({{...e, spans: e.spans}})))")
    units = red.details.examples[i]
    assert [example["unit"] for example in shown] == units[units >= 0].tolist()
    for e, example in enumerate(shown):
        for network in range(2):
            codes = red.details.codes[network][i, e]
            kept = codes[red.details.codes[0][i, e] != -128].astype(float)
            z = [span["z"][network] for span in example["spans"]]
            np.testing.assert_allclose(z, np.sign(kept) * (kept / 127) ** 2 * 100)
    top = [span["text"] for span in shown[0]["spans"] if span["isCentre"]]
    assert top == ["Łódź"]  # the word that was planted
    assert "A match: mutual best partners" in page.run("document.querySelector('.card').textContent")
    partner = int(red.table["partner.blue-r1"][i])
    click(page, ".card a")
    assert page.run("$('neuron').querySelector('h2').textContent") == f"blue-r1 L{partner // 8}/{partner % 8}"
    click(page, ".card a")
    assert page.run("$('neuron').querySelector('h2').textContent") == f"red-r1 L1/{i - 14}"
    before = page.run("document.querySelector('.contexts').textContent")
    change(page, "#neuron select", "blue-r1")  # the partner's strongest units
    assert page.run("document.querySelector('.contexts .head').textContent").startswith("blue-r1")
    assert page.run("document.querySelector('.contexts').textContent") != before
    address = page.run("location.href")
    page.open("about:blank")
    page.open(address)
    settled(page)
    assert page.run("document.querySelector('.contexts .head').textContent").startswith("blue-r1")


def test_a_constant_neuron_is_shown_too(page, made):
    find(page, f"L1/{len(made[1][0].table) - 15}")
    assert "constant" in page.run("document.querySelector('.card').textContent")


def test_keys_move_through_list_and_neurons(page):
    page.run("$('scroll').focus()")

    def press(key: str) -> None:
        page.ask("Input.dispatchKeyEvent", type="keyDown", key=key, windowsVirtualKeyCode={"Enter": 13}.get(key, 0))
        page.ask("Input.dispatchKeyEvent", type="keyUp", key=key)

    press("ArrowDown")
    press("ArrowDown")
    assert page.run("document.activeElement.dataset.line") == "1"
    press("End")
    assert page.run("Number(document.activeElement.dataset.line) === listed.length - 1")
    press("Home")
    page.run("document.activeElement.click()")
    settled(page)
    order = listed(page)
    for key, place in (("j", 1), ("j", 2), ("k", 1)):
        press(key)
        page.wait(f"location.hash.includes('i={order[place]}') && Number(document.body.dataset.ready) === turn")
    press("Escape")
    page.wait("$('neuron').hidden && !$('list').hidden")
    press("/")
    assert page.run("document.activeElement.id") == "search"


def test_a_rectangle_of_the_scatter_plot_selects(page, made):
    table = made[1][0].table
    page.run("$('plot').open = true")
    settled(page)
    change(page, "#plot [name=x]", "r.blue-r1")
    change(page, "#plot [name=y]", "gini * 2")
    page.run("document.querySelector('#canvas').scrollIntoView()")
    box = page.run("(b => [b.x, b.y])($('canvas').getBoundingClientRect())")
    x = page.run("[0.5, 0.97].map(frame.across.pixel)")
    y = page.run("[0.5, 3].map(frame.up.pixel)")
    for kind, at in (("mousePressed", 0), ("mouseMoved", 1), ("mouseReleased", 1)):
        place = {"x": box[0] + x[at], "y": box[1] + y[at]}
        page.ask("Input.dispatchMouseEvent", type=kind, button="left", clickCount=1, **place)
    page.wait("state().b")
    settled(page)
    low, high, bottom, top = map(float, page.run("state().b").split())
    wanted = table["r.blue-r1"].between(low, high) & (2 * table.gini).between(bottom, top)
    assert 0 < wanted.sum() < len(table)
    assert sorted(listed(page)) == table.index[wanted].tolist()
    click(page, "#unselect")
    assert len(listed(page)) == len(table)


def test_what_is_seen_is_taken_away(page, made):
    table = made[1][0].table
    change(page, "[name=m]", "matched 1")
    click(page, "#csv")
    rows = list(csv.DictReader(io.StringIO(page.downloaded("red-r1.csv"))))
    assert len(rows) == (table.matched == 1).sum()
    chosen = table.loc[listed(page)]
    np.testing.assert_allclose([float(row["r.blue-r1"]) for row in rows], chosen["r.blue-r1"], rtol=2e-4)
    assert [row["unigram_text"] for row in rows] == chosen.unigram_text.tolist()
    find(page, "L1/6")
    click(page, "#json")
    told = json.loads(page.downloaded("red-r1_L1_6.json"))
    assert (told["neuron"], told["networks"]) == (20, ["red-r1", "blue-r1"])
    assert told["numbers"]["partner.blue-r1"] == table["partner.blue-r1"][20]
    click(page, "#svg")
    drawn = page.downloaded("red-r1_L1_6.svg")
    page.run(
        f"new DOMParser().parseFromString({json.dumps(drawn)}, 'image/svg+xml').querySelector('parsererror') === null"
    )
    assert "Łódź" in drawn
    assert page.run("state().m") == "matched 1"  # the address still says what is filtered


@pytest.mark.parametrize(("width", "dark"), [(400, False), (1200, True)])
def test_nothing_reaches_beyond_the_page(page, width, dark):
    page.size(width, 800, dark)
    try:
        for words in ("L1/6", "the"):
            find(page, words)
            assert page.run("document.documentElement.scrollWidth <= innerWidth"), words
    finally:
        page.size(1200, 900)


@pytest.fixture(scope="module")
def of_images(tmp_path_factory) -> tuple[str, list[Network]]:
    """Address of the page of the small networks as networks that see, and these."""
    folder: Path = tmp_path_factory.mktemp("images") / "viewer"
    networks = write_small(folder, of_images=True)
    return f"file://{folder}/index.html", networks


@pytest.fixture
def pictures(browser: Page, of_images):
    """The page of images, with the neuron L1/6, the 20th, of the first network."""
    browser.open("about:blank")
    browser.complaints.clear()
    browser.open(f"{of_images[0]}#i=20")
    settled(browser)
    yield browser
    assert browser.complaints == []
    assert browser.fetched == []


def shown_images(network: Network, neuron: int) -> list[list[int]]:
    """The numbers of the examples that are in one picture, in the order of the pictures."""
    units, found, sets = network.details.examples[neuron], {}, np.repeat(np.arange(len(SETS)), list(SETS.values()))
    for number in np.flatnonzero(units >= 0):
        found.setdefault((sets[number], units[number] // SIDE**2), []).append(int(number))
    return list(found.values())


def test_every_image_is_shown_once_in_a_set_and_its_examples_are_framed(pictures, of_images):
    network = of_images[1][0]
    wanted = shown_images(network, 20)
    assert any(len(same) > 1 for same in wanted)
    files = made_images()
    hrefs = pictures.run(
        "[...document.querySelectorAll('.pictures')].map(one => one.querySelector('image').href.baseVal)"
    )
    assert len(hrefs) == len(wanted)
    sizes = pictures.run("""Promise.all([...document.querySelectorAll('.pictures image')].map(async one => {
        const image = new Image();
        image.src = one.href.baseVal;
        await image.decode();
        return image.naturalWidth; }))""")
    assert set(sizes) == {8, LARGEST}
    for href, same in zip(hrefs, wanted, strict=True):
        number = network.details.examples[20, same[0]] // SIDE**2
        kind, file = href.split(";base64,")
        pixels, original = decode(base64.b64decode(file), "shown"), decode(files[number], "made")
        if number % 3:
            np.testing.assert_array_equal(pixels, original)
        else:
            assert (kind, pixels.shape) == ("data:image/jpeg", (LARGEST, LARGEST, 3))
    frames = pictures.run("""[...document.querySelectorAll('.pictures')].map(one => [...one.querySelectorAll(
        'figure:first-child [stroke="#fff"]')].map(frame => frame.x.baseVal.value + 4 * frame.y.baseVal.value))""")
    assert frames == [[int(network.details.examples[20, number]) % SIDE**2 for number in same] for same in wanted]


TITLES = "[...document.querySelectorAll('#neuron h3')].filter(one => !one.hidden).map(one => one.textContent)"


def test_networks_that_see_have_no_tokens_on_their_page(pictures):
    assert not any(title.startswith("Tokens") for title in pictures.run(TITLES))


def test_heat_maps_are_the_z_of_all_patches_in_both_networks(pictures, of_images):
    network = of_images[1][0]
    told = pictures.run("""[...document.querySelectorAll('.pictures')].map(one => [...one.querySelectorAll('svg')].map(
        svg => [...svg.querySelectorAll('.patch')].map(patch => [patch.getAttribute('fill'),
        Number(patch.getAttribute('fill-opacity')), patch.x.baseVal.value + 4 * patch.y.baseVal.value])))""")
    for (plain, *maps), same in zip(told, shown_images(network, 20), strict=True):
        assert plain == []
        for patches, codes in zip(maps, network.details.codes, strict=True):
            code = codes[20, same[0]].astype(float)
            assert [place for *_, place in patches] == list(range(SIDE**2))
            assert [fill for fill, *_ in patches] == ["#de8f05" if one > 0 else "#0173b2" for one in code]
            z = (code / 127) ** 2 * 100
            strength = 0.85 * np.minimum(1, np.sqrt(z / 10))
            np.testing.assert_allclose([opacity for _, opacity, _ in patches], strength, atol=0.006)
    strongest = network.details.codes[0][20, :6]
    assert {(code > 0).any() for code in strongest} == {(code < 0).any() for code in strongest} == {True}


def test_of_images_words_are_searched_and_pictures_are_saved(pictures):
    click(pictures, "#svg")
    drawn = pictures.downloaded("red-r1_L1_6.svg")
    images = pictures.run(f"""(found => ['parsererror', 'image'].map(name => found.querySelectorAll(name).length))(
        new DOMParser().parseFromString({json.dumps(drawn)}, 'image/svg+xml'))""")
    assert images[0] == 0
    assert images[1] % 3 == 0 < images[1]  # alone, and under the heat of two networks
    click(pictures, "#json")
    told = json.loads(pictures.downloaded("red-r1_L1_6.json"))
    assert all(len(example["spans"]) == SIDE**2 and "image" not in example for example in told["examples"])
    find(pictures, "sea")
    assert "fire on it" in pictures.run("$('count').textContent")


@pytest.mark.parametrize(("width", "dark"), [(400, False), (1200, True)])
def test_pictures_stay_within_the_page(pictures, width, dark):
    pictures.size(width, 800, dark)
    try:
        assert pictures.run("document.documentElement.scrollWidth <= innerWidth")
    finally:
        pictures.size(1200, 900)
