"""What a folder of results holds, wherever it comes from: its tables, settings and predictions."""
