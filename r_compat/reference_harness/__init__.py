"""The reference R package on the stored cases."""
