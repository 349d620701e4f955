"""The smoke study: everything that a long study does, once, in minutes."""
