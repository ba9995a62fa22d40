"""Chapters of the notebook: code that computes a report again without the rest of this project.

It runs outside, with only numpy, scipy and statsmodels. Here it is imported only by tests.
"""
