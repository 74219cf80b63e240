"""Writers of tables in the README and the documentation."""
