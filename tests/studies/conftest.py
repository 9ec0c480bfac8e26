"""The small study, finished, as tests of several files start from it."""

import shutil
from pathlib import Path

import pytest
from filelock import FileLock
from study_runs import checkout, run, small_study


@pytest.fixture(scope="session")
def undisturbed(tmp_path_factory, worker_id) -> Path:
    """A checkout in which the small study ran to its end; for reading only.

    All workers share it: the first one that needs it makes it, and the others wait.
    """
    base = tmp_path_factory.getbasetemp()
    shared = base if worker_id == "master" else base.parent
    folder = shared / "undisturbed"
    with FileLock(shared / "undisturbed.lock"):
        if not (folder / "results/small/report/index.html").exists():
            shutil.rmtree(folder, ignore_errors=True)  # another worker did not come to the end
            code, printed = run(checkout(folder), small_study(folder))
            assert code == 0, printed
    return folder


@pytest.fixture
def copied(undisturbed, tmp_path) -> Path:
    """A copy of it, to be damaged or to go on from; times of files are kept, and so nothing of it runs again."""
    return shutil.copytree(undisturbed, tmp_path / "copy")
