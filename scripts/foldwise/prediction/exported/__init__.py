"""A trained model as a folder that opens by itself: weights, intervals, what it was trained on."""
