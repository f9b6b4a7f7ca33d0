"""Files mutated at random, given to every reader: each ends in success or in one sentence.

`python -m tests.fuzz KIND N SEED` runs N inputs of a kind in child processes with limits, and keeps what failed.
"""
