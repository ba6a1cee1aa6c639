#!/usr/bin/env bash
# HyperOpt 0.3.0: hp.quniform(low, high, q) draws values below low and above high.
#
# Behaviour: of hp.quniform("filters", 20, 90, 32), a range of filter counts, one draw in seven is 96,
# which no network of the range has, and hp.quniform("organisation", 0.25, 4, 1) draws 0. What is drawn
# is a number of the interval, rounded to a multiple of q afterwards, so either end may be passed by
# half a step.
# Source: hyperopt/pyll/stochastic.py of the package, quniform; its documentation gives the formula
# round(uniform(low, high) / q) * q: https://hyperopt.github.io/hyperopt/getting-started/search_spaces/
# Expected output: "20 to 90 by 32: 32, 64, 96; 0.25 to 4 by 1: 0, 1, 2, 3, 4"
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check hyperopt==0.3.0 numpy==2.4.6 setuptools==84.2.1 2> /dev/null
cat > "$folder/show.py" <<'PYTHON'
import numpy as np
from hyperopt import hp
from hyperopt.pyll.stochastic import sample


def drawn(low: float, high: float, q: float) -> str:
    """The different values of two thousand draws."""
    rng = np.random.default_rng(0)
    space = hp.quniform("x", low, high, q)
    values = sorted({float(sample(space, rng)) for _ in range(2000)})
    return f"{low:g} to {high:g} by {q:g}: " + ", ".join(f"{value:g}" for value in values)


print("; ".join([drawn(20, 90, 32), drawn(0.25, 4, 1)]))
PYTHON
told=$("$folder/venv/bin/python" -W ignore "$folder/show.py" 2> /dev/null)
echo "$told"
[ "$told" = "20 to 90 by 32: 32, 64, 96; 0.25 to 4 by 1: 0, 1, 2, 3, 4" ] || { echo "this has changed"; exit 1; }
