"""Gold labels predicted out of fold."""
