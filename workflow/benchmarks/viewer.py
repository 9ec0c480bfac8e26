"""How fast the page of all neurons is where a study has many: made-up data of real size, in Chromium without a window.

python workflow/benchmarks/viewer.py [NEURONS ...]     by default as many as Pythia-160M and Pythia-6.9B have
"""

import resource
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

from rosetta_scaling.stages.viewer import write_page

sys.path.append(str(Path(__file__).parents[2] / "tests/support"))  # the browser and the made-up networks of the tests
from chromium import Page, chromium
from made_viewer import large_networks, units_table

SIZES = (36_864, 524_288)
UNITS = 262_144
READY = "document.body && document.body.dataset.ready && Number(document.body.dataset.ready) === turn"
OPENED = 20  # neurons in different scripts


def seconds(page: Page, action: str, done: str = READY) -> float:
    """Time that an action takes in the page until the page is done."""
    return page.run(
        f"""(async () => {{ const began = performance.now(); {action};
        while (!({done})) await new Promise(requestAnimationFrame);
        return (performance.now() - began) / 1000; }})()"""
    )


def measure(page: Page, folder: Path, neurons: int) -> dict[str, float]:
    """Seconds of what a reader does."""
    page.open("about:blank")
    began = time.perf_counter()
    page.open(f"file://{folder}/index.html")
    page.wait(READY)
    found = {"open": time.perf_counter() - began}
    time.sleep(1)  # a reader looks at the list before the first click; meanwhile the page loads what that one needs
    chosen = np.random.default_rng(0).permutation(neurons)[:OPENED]
    opened = [seconds(page, f"go({{i: {i}}})") for i in chosen.tolist()]
    found |= {
        "first neuron": opened[0],
        "neuron, median": float(np.median(opened[1:])),
        "neuron, slowest": max(opened[1:]),
    }
    found["back to the list"] = seconds(page, "go({i: ''})")
    found["filter"] = seconds(page, "go({m: 'matched 1'})")
    found["formula, its columns not loaded yet"] = seconds(
        page, "go({m: '', f: 'gini > 0.5 and hoyer + skewness < 2'})"
    )
    found["formula"] = seconds(page, "go({f: 'gini > 0.4 and hoyer + skewness < 2 or gini * 2 > 3'})")
    found["all, sorted by a column not loaded yet"] = seconds(page, "go({f: '', s: 'monoscore', d: 1})")
    found["sort"] = seconds(page, "go({s: 'monoscore', d: 0})")
    found["word"] = seconds(page, "go({q: 'word7'})")
    found["scatter plot"] = seconds(page, "go({q: '', x: 'gini', y: 'log(hoyer)'}); $('plot').open = true")
    return found


def main() -> None:
    for neurons in map(int, sys.argv[1:]) if len(sys.argv) > 1 else SIZES:
        with tempfile.TemporaryDirectory() as home, chromium() as page:
            folder, rng = Path(home) / "viewer", np.random.default_rng(0)
            units = units_table(UNITS, rng)
            networks = large_networks(neurons, units, rng)
            began = time.process_time()
            write_page(folder, "made-up", {"study": units}, networks)
            wrote = time.process_time() - began
            files = [path for path in folder.rglob("*") if path.is_file()]
            size = {
                kind: sum(p.stat().st_size for p in files if kind in p.parts)
                for kind in ("neurons", "columns", "words")
            }
            page.size(1200, 900)
            print(f"\n{neurons:,} neurons a network, {len(files):,} files, made in {wrote:.0f} s of a processor")
            for kind, total in size.items():
                print(f"  {total / 2 / neurons:8.0f} bytes per neuron in {kind}/")
            for what, took in measure(page, folder, neurons).items():
                print(f"  {took:8.3f} s  {what}")
            print(f"  complaints: {page.complaints}; asked of a network: {page.fetched}", flush=True)
    print(f"peak memory of writing: {resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e3:,.0f} MB")


if __name__ == "__main__":
    main()
