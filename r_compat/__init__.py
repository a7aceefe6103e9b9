"""What R users and maintainers need; no part of the installed package."""
