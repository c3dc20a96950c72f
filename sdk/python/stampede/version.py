"""The version of this package. Nothing else may be here: pyproject.toml reads it."""

VERSION = "0.1.0"
