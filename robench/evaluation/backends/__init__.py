"""Where the work of a run is done; one module is one backend."""
