"""CHGNet on flat batches: layers, weights, checkpoint, target transform, device and memory."""
