"""The statistics of a comparison, from additive sums to frozen results. Pure.

No number is faked: a number that cannot be computed is nan, with a reason.
"""
