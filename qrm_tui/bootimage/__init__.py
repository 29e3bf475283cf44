"""Makes boot-images: a program of its own that needs nothing but Python, run on the server (see __main__)."""
