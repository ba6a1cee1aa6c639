"""Figures: tables in, plotly's JSON out as plain dictionaries, and pictures of photographs.

Each figure is made once: the page draws its dictionary with plotly.js, and `still` draws the same
one with matplotlib for print, for Markdown and where no script runs. `still` alone knows
matplotlib.
"""
