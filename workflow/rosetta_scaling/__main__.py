"""The front door: python -m rosetta_scaling run | status | power | verify | reference, each with its own --help."""

import importlib
import sys

COMMANDS = {
    "run": "rosetta_scaling.jobs.run",  # run or resume a study
    "status": "rosetta_scaling.jobs.status",  # how far it is
    "power": "rosetta_scaling.stages.claims",  # how often each main claim would get each verdict
    "verify": "rosetta_scaling.stages.verify",  # do its verdicts follow from its tables?
    "reference": "rosetta_scaling.config.reference",  # write what every key of the configuration means
}


def main() -> int | None:
    command = sys.argv[1] if len(sys.argv) > 1 else ""
    if command not in COMMANDS:
        print(f"python -m rosetta_scaling: found {command!r}, expected {', '.join(COMMANDS)}", file=sys.stderr)
        return 2
    sys.argv = [f"rosetta_scaling {command}", *sys.argv[2:]]
    return importlib.import_module(COMMANDS[command]).main()


if __name__ == "__main__":
    sys.exit(main())
