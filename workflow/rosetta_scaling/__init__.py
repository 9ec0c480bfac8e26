"""How neurons shared by independently trained networks (Rosetta neurons) change with model size."""

from pathlib import Path

WORKFLOW = Path(__file__).resolve().parents[1]  # rules, scripts, studies, profiles and templates lie here
