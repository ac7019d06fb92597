"""Measurements: `macro` sets lbproxy beside nginx and HAProxy under the same load; `micro` times single pieces.

`python -m bench` (or `scripts/bench`, which installs what is missing) runs the macro side; README.md tells the method.
"""
