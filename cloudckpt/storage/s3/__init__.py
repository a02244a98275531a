"""S3, and whatever speaks its language."""
