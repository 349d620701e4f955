"""How tables travel to the browser: compressed columns in classic scripts."""
