"""What a console's bytes mean: an emulator behind a protocol of ours, scroll-back, keys. Knows nothing of textual."""
