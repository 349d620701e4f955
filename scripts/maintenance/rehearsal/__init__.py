"""An official task at its full size on stand-in crystals: what each stage takes, never how well."""
