"""Connectors of the sandbox company Acme, to try and to copy: loaded through the same door as anyone's, where named."""
