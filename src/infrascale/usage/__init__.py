"""Demand learnt from usage: logs in, a workload file out. Personal data is dropped where it is read.

layouts recognises a file, table reads it, arrivals and sessions measure, distributions fits, prometheus reads metrics
in place of a table, learning puts them together; workload_file, screen and plots show.
"""

from infrascale.usage.evidence import Usage
from infrascale.usage.learning import Reading, learn
from infrascale.usage.workload_file import demand, workload_toml

__all__ = ["Reading", "Usage", "demand", "learn", "workload_toml"]
