"""One file per tongue. A caller's tongue is chosen by the path it used, an agent's by its kind."""
