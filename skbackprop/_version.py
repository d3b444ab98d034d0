#!/usr/bin/env python3
"""The version, written here and nowhere else: the build runs this file to ask."""

__version__ = "0.2.0.dev0"

if __name__ == "__main__":
    print(__version__)
