"""Decisions over many plans: costs, fleets, growth, sensitivity, sweeps. Each asks the planner through `api`."""
