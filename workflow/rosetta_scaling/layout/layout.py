"""Where everything of a study lies: names, keys and paths, as strings.

No file is opened here, no network is asked, nothing is planned, sampled or deleted.
"""

from rosetta_scaling.layout.results import ResultPaths


class Layout(ResultPaths):
    """Names (names.py), cache keys (keys.py), paths in the cache (cache.py) and in results/STUDY (results.py), and the
    paths of what people read.
    """

    @property
    def benchmarks(self) -> str:
        """Folder with the time and memory of every job; see jobs/usage.py."""
        return f"{self.results}/benchmarks"

    @property
    def figures(self) -> str:
        return f"{self.results}/figures"

    @property
    def report(self) -> str:
        return f"{self.results}/report/index.html"

    @property
    def gallery(self) -> list[str]:
        """The page of images; none in a study of text."""
        return [f"{self.results}/report/images.html"] if self.study.modality == "image" else []

    @property
    def fits_page(self) -> str:
        return f"{self.results}/report/fits.html"

    @property
    def pages_so_far(self) -> dict[str, str]:
        """The page of all points up to a rung, by rung; not of the last one, whose page is the report."""
        rungs = list(dict.fromkeys(rung for _, rung in self.points))
        return {rung: f"{self.results}/report/so-far/{rung}.html" for rung in rungs[:-1]}

    @property
    def viewer(self) -> str:
        """Folder of the page that shows every neuron."""
        return f"{self.results}/viewer"

    @property
    def provenance(self) -> str:
        return self.tables("provenance.json")

    # -- companion studies -------------------------------------------------------------------------------------------

    def companion(self, name: str) -> str:
        """Folder of the tables and figures of a companion study."""
        return f"{self.results}/companions/{name}"

    def companion_page(self, name: str) -> str:
        return f"{self.results}/report/{name}.html"

    @property
    def companion_pages(self) -> list[str]:
        return [self.companion_page(name) for name in self.study.companions.studies]

    def filtering_job(self, task: str, *names: str) -> str:
        """Where the jobs of the filtering study write what they found about a target."""
        return "/".join([self.companion("filtering"), "jobs", task, *names])

    def angles(self, model: str) -> str:
        """Angles along the layers of a model of the depth ladder."""
        return f"{self.companion('depth')}/angles/{model}.parquet"
