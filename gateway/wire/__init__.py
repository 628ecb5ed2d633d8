"""The way in: HTTP and stdio, limits and credentials, the Model Context Protocol. It translates, no more."""
