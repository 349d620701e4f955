"""The config as typed objects: study, recipes, checks, rules of decision."""
