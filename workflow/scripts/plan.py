from pathlib import Path

from rosetta_scaling.jobs.job import job

with job(snakemake) as this:
    from rosetta_scaling.numerics.devices import is_card, product_rate
    from rosetta_scaling.planning.rates import Rates, rates_of_card
    from rosetta_scaling.planning.requests import requests_text
    from rosetta_scaling.planning.tables import plan_table

    rate = product_rate(this.device)
    here = Rates("measured now", rate, rate, passes=1 + is_card(this.device))
    card = rates_of_card(Path("results/bench"))
    print(plan_table(this.plan, here, card), requests_text(this.plan), sep="\n\n")
