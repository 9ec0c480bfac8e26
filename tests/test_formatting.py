"""Numbers for people."""

from rosetta_scaling.formatting import fixed


def test_what_rounds_to_zero_has_no_sign():
    assert fixed(-0.04, 1) == "0.0"
    assert fixed(-0.06, 1) == "\N{MINUS SIGN}0.1"
