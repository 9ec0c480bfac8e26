"""How neurons shared by independently trained networks (Rosetta neurons) change with model size."""
