"""The commands; `python jobs/tune.py` in a checkout, `cnnlib-tune` where it was installed."""
