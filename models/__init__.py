"""Networks, tensors and pictures. Knows no asyncio, no sessions and no clocks."""
