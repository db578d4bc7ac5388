"""The console: the page that a developer keeps open, and the data that it shows.

No part of the sidecar depends on it; what it changes, it changes by `management`.
"""
