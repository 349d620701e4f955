"""One checkpoint asked about one sample set."""
