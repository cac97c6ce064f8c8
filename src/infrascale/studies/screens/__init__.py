"""Decisions as screens of text within 80 columns, in the reader's language. Nothing computes here."""

from infrascale.studies.screens.ahead import growth_lines, sensitivity_lines, study_lines
from infrascale.studies.screens.cost import cost_lines
from infrascale.studies.screens.fleet import fleet_lines

__all__ = ["cost_lines", "fleet_lines", "growth_lines", "sensitivity_lines", "study_lines"]
