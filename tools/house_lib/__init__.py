"""The rules behind `tools/house`: pure functions from a tree of files to findings."""
