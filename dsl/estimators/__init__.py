"""The named estimators: from a call to the frozen results of its splits."""
