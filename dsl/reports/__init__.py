"""What to make of a fit: summary, comparison, diagnostics, tables, plots, page."""
