"""One structure: parsing, plain arrays, neighbours, descriptors, copies."""
