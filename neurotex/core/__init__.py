"""What everything else stands on: hot functions (`Op`), how their kernels are compiled and share the cores, checks at
public doors, files written whole, signals, memory, progress. It knows nothing of pictures, scenes or networks.
"""
