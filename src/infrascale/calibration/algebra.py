"""Seven by seven: the little linear algebra that a calibration needs, in plain Python so that it needs no library."""

from __future__ import annotations

from collections.abc import Sequence

Matrix = list[list[float]]


def solved(matrix: Sequence[Sequence[float]], right: Sequence[float]) -> list[float]:
    """x of matrix·x = right, by elimination with the largest pivot."""
    size = len(right)
    rows = [[*row, value] for row, value in zip(matrix, right, strict=True)]
    for column in range(size):
        pivot = max(range(column, size), key=lambda r: abs(rows[r][column]))
        rows[column], rows[pivot] = rows[pivot], rows[column]
        for below in range(column + 1, size):
            factor = rows[below][column] / rows[column][column]
            rows[below] = [b - factor * a for a, b in zip(rows[column], rows[below], strict=True)]
    found = [0.0] * size
    for row in reversed(range(size)):
        known = sum(rows[row][k] * found[k] for k in range(row + 1, size))
        found[row] = (rows[row][size] - known) / rows[row][row]
    return found


def inverse(matrix: Sequence[Sequence[float]]) -> Matrix:
    """Of a symmetric matrix, so its columns are its rows."""
    size = range(len(matrix))
    return [solved(matrix, [float(i == j) for j in size]) for i in size]


def quadratic(vector: Sequence[float], matrix: Sequence[Sequence[float]]) -> float:
    """vᵀ·M·v."""
    return sum(a * m * b for a, row in zip(vector, matrix, strict=True) for m, b in zip(row, vector, strict=True))
