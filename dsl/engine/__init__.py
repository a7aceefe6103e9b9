"""From arrays to estimates and covariances, with numpy and scipy only."""
