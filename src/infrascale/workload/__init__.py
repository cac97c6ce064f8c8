"""Workloads: what a request looks like and how many there are. Knows no model and no hardware."""

from infrascale.workload.demand import Demand, Population, in_flight
from infrascale.workload.workload import Workload

__all__ = ["Demand", "Population", "Workload", "in_flight"]
