"""Certificates: how often the statistics err where the truth is known, counted or simulated.

Pure: the seeds are fixed, so the same code gives the same numbers.
`manage.py certify_statistics` prints them.
"""
