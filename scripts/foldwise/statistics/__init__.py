"""Pure functions on arrays: error metrics, bootstrap intervals, and how numbers become words."""
