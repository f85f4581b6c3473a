"""The record read again: verified, applied to any point, executed again and compared, explained."""
