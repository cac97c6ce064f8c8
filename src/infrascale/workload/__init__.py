"""Workloads: what a request looks like and how many there are. Knows no model and no hardware."""

from infrascale.workload.demand import Demand, Population, grown, in_flight
from infrascale.workload.workload import Workload

__all__ = ["Demand", "Population", "Workload", "grown", "in_flight"]
