"""The correlation matrix of latent variables, from scores that have gaps and often few rows."""

from __future__ import annotations

import numpy as np

from synth_mlflow.generators._numeric import Floats

MIN_EIGENVALUE = 1e-4  # keeps the matrix invertible
MAX_CORRELATION = 0.995  # between two latent variables
MIN_ROWS_PER_LATENT = 10  # with fewer, common factors are tried as well
BEYOND_NOISE = 1.05  # how much larger than the largest eigenvalue of noise that of a factor must be


def latent_correlation(scores: Floats, shrinkage: float | None) -> Floats:
    """Latent correlations from scores with gaps.

    Parameters
    ----------
    scores : array of shape (n_rows, n_latents)
        NaN where a row says nothing. The score of an interval is the mean of its latent variable, so that covariances
        of scores are the latent correlation times both variances of the scores (a first-order polychoric correlation).
    shrinkage : float, optional
        How far correlations are pulled to zero; by default as far as is best.

    Returns
    -------
    array of shape (n_latents, n_latents)
        Positive definite, with ones on the diagonal.

    Notes
    -----
    Pulled to zero alone, the correlations of a wide table keep the directions in which single rows lie, and an attack
    finds these rows. A few factors, their eigenvalues corrected for the noise of so many columns (D. Donoho, M. Gavish
    and I. Johnstone, doi:10.1214/17-AOS1601), keep what the columns have in common. Of both, that one is taken under
    which the other half of the rows is likelier.
    """
    n_rows, n_latents = scores.shape
    if shrinkage is not None or n_rows >= MIN_ROWS_PER_LATENT * n_latents or n_rows < 4:
        return _pulled_to_zero(scores, shrinkage)
    halves = ((scores[::2], scores[1::2]), (scores[1::2], scores[::2]))
    pulled, factors = (
        sum(_log_likelihood(estimate(learned), left_out) for learned, left_out in halves)
        for estimate in (_pulled_to_zero, _common_factors)
    )
    return _common_factors(scores) if factors > pulled else _pulled_to_zero(scores)


def _pulled_to_zero(scores: Floats, shrinkage: float | None = None) -> Floats:
    """As :func:`latent_correlation`, whatever the number of rows."""
    present = ~np.isnan(scores)
    deviations = np.where(present, scores - np.nanmean(scores, axis=0), 0.0)
    together = np.maximum(present.T.astype(np.float64) @ present, 1.0)
    variances = np.maximum((deviations**2).sum(axis=0) / np.maximum(present.sum(axis=0), 1), 1e-12)
    correlation = (deviations.T @ deviations) / together / np.outer(variances, variances)
    correlation = np.clip(correlation, -MAX_CORRELATION, MAX_CORRELATION)
    np.fill_diagonal(correlation, 0.0)
    correlation *= 1.0 - (_best_shrinkage(correlation, together) if shrinkage is None else shrinkage)
    np.fill_diagonal(correlation, 1.0)
    return _positive_definite(correlation)


def _common_factors(scores: Floats) -> Floats:
    """Correlations by the factors whose eigenvalues noise would not give."""
    n_rows, n_latents = scores.shape
    noise = n_latents / n_rows
    eigenvalues, vectors = np.linalg.eigh(_pulled_to_zero(scores, 0.0))
    is_factor = eigenvalues > BEYOND_NOISE * (1.0 + np.sqrt(noise)) ** 2
    raised = eigenvalues[is_factor] + 1.0 - noise
    true = (raised + np.sqrt(np.maximum(raised**2 - 4.0 * eigenvalues[is_factor], 0.0))) / 2.0
    aligned = np.clip((1.0 - noise / (true - 1.0) ** 2) / (1.0 + noise / (true - 1.0)), 0.0, 1.0)
    loadings = vectors[:, is_factor] * np.sqrt((true - 1.0) * aligned)
    common = loadings @ loadings.T
    np.fill_diagonal(common, 1.0)
    return _positive_definite(common)


def _log_likelihood(correlation: Floats, scores: Floats) -> float:
    """Of rows of normal variables, but for a constant; a gap counts as the mean."""
    rows = np.nan_to_num(scores / np.maximum(np.nanstd(scores, axis=0), 1e-12))
    _, log_determinant = np.linalg.slogdet(correlation)
    return float(-0.5 * (len(rows) * log_determinant + (rows * np.linalg.solve(correlation, rows.T).T).sum()))


def _best_shrinkage(correlation: Floats, together: Floats) -> float:
    squares = float((correlation**2).sum())
    variance = float(((1.0 - correlation**2) ** 2 / together)[~np.eye(len(correlation), dtype=bool)].sum())
    return min(1.0, variance / squares) if squares > 0.0 else 1.0


def _positive_definite(correlation: Floats) -> Floats:
    eigenvalues, vectors = np.linalg.eigh(correlation)
    if eigenvalues.size == 0 or eigenvalues.min() >= MIN_EIGENVALUE:
        return correlation
    repaired = (vectors * np.maximum(eigenvalues, MIN_EIGENVALUE)) @ vectors.T
    scale = np.sqrt(np.diag(repaired))
    return np.asarray(repaired / np.outer(scale, scale))
