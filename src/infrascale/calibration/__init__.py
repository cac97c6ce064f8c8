"""Calibration: measurements become efficiency, intervals and evidence."""
