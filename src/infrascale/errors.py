"""Every error a person may see, and how it reads.

    InfraScaleError            anything below; the command line exits with 2
     ├─ ScenarioError          a question that contradicts itself or leaves the possible
     ├─ CatalogError           an unknown or broken catalog entry
     ├─ ModelError             a config.json that cannot be understood
     ├─ FileError              a file that cannot be read as what it should be
     └─ ExportError            a plan that a target cannot express

"Nothing meets the promise" is an answer, not an error: see `planning`.
"""

from __future__ import annotations


class InfraScaleError(Exception):
    """What happened, why, and how to fix it; `str()` prints the three on a screen."""

    def __init__(self, what: str, *, why: str = "", fix: str = "") -> None:
        super().__init__(what)
        self.what, self.why, self.fix = what, why, fix

    def __str__(self) -> str:
        lines = [self.what]
        if self.why:
            lines.append(f"  why: {self.why}")
        if self.fix:
            lines.append(f"  fix: {self.fix}")
        return "\n".join(lines)


class ScenarioError(InfraScaleError):
    """A question that contradicts itself or leaves the possible."""


class CatalogError(InfraScaleError):
    """An unknown or broken catalog entry."""


class ModelError(InfraScaleError):
    """A model configuration that cannot be understood."""


class FileError(InfraScaleError):
    """A file that cannot be read as what it should be."""


class ExportError(InfraScaleError):
    """A plan that a target cannot express."""
