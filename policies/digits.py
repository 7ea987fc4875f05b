"""Hexadecimal digits, told from anything else without a pattern: ids are looked at in every request."""


def is_hex(digits: str, size: int) -> bool:
    """Whether these are the digits of so many bytes, in either case, with nothing between them."""
    try:
        return len(bytes.fromhex(digits)) == size and len(digits) == 2 * size
    except ValueError:
        return False
