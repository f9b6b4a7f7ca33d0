"""Side-by-side timings. Every figure is a ratio of medians from one process."""
