"""Draws many faces at once with torch: the same pictures as `models.generator`, made for a GPU.

Imported only where pictures are drawn by it, for torch costs a second and a half and memory.
"""
