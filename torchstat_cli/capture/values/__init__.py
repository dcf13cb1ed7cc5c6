"""Values that are known beside meta tensors, and stand-ins for real tensors."""
