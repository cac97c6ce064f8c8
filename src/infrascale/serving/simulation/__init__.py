"""Simulation: replicas served step by step as vLLM V1 would. Needs NumPy and Numba: the extra `simulate`."""
