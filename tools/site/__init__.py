"""The site: pages from docs/, notebooks/ and the docstrings, made by Sphinx (``make docs``)."""
