"""`make bench`: what the engine reaches on the processor of this machine, or with DEVICE=cuda on its GPU."""

import argparse
from pathlib import Path


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--device", default="", help="cuda (or cpu, to try it): measure a GPU; default: the processor")
    parser.add_argument("--out", type=Path, default=Path("results/bench"), help="folder of the results")
    parser.add_argument("--small", action="store_true", help="small sizes, to see that it runs")
    parser.add_argument("--seconds", type=float, default=220.0, help="no further figure of a GPU is begun after these")
    given = parser.parse_args()
    if given.device:
        import card

        card.measure(given.device, given.out, small=given.small, seconds=given.seconds)
    else:
        import processor

        processor.main()


if __name__ == "__main__":
    main()
