"""An experiment beside baselines, other experiments, rules and published results."""
