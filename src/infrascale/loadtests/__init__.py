"""Load tests: what any tool wrote becomes one LoadTest, recognised by its content.

In: files.    Out: LoadTest, with Notes about what is doubtful; or a FileError that says what is wrong.
One file a format in `formats`; a new one is picked up, and held to the conformance tests, by being there. Texts and
personal data of requests are never kept. Knows no model and no GPU.
"""

from infrascale.loadtests.loadtest import LoadTest, Note, Point, Stat
from infrascale.loadtests.reading import read, read_all

__all__ = ["LoadTest", "Note", "Point", "Stat", "read", "read_all"]
