"""From arrays to estimates and covariances; numpy and scipy only."""
