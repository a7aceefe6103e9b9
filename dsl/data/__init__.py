"""From any table to checked rows and columns, and to design matrices."""
