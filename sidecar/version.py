"""Which release this is; the one other place that says it is pyproject.toml, and a test compares them."""

VERSION = "0.1.0"
COMPILED = not __file__.endswith(".py")  # where anything is, this module is too (decision 23)
