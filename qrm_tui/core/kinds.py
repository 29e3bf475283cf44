"""The kinds of objects, and what people call them."""
from __future__ import annotations

#: What people call the kinds.
WORDS = {"resource": "resource", "ve": "virtual environment", "partition": "partition",
         "host": "virtualization host", "domain": "foreign domain",
         "image": "filesystem-image", "boot-image": "boot-image", "storage": "storage server",
         "component": "component", "user": "user", "job": "job", "journal": "journal entry"}
