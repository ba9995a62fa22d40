"""The statistics of a comparison: sums that add go in, frozen results come out. Pure.

No number is faked: what cannot be known is nan, with a reason.
"""
