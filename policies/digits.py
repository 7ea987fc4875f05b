"""Hexadecimal digits, told from anything else without a pattern: ids are looked at in every request."""


def is_hex(digits: str, size: int) -> bool:
    """Whether these are the digits of so many bytes, in either case, with nothing between them."""
    try:
        return len(bytes.fromhex(digits)) == size and len(digits) == 2 * size
    except ValueError:
        return False


def is_lower_hex(digits: str, size: int) -> bool:
    """The same in lower case alone."""
    try:
        read = bytes.fromhex(digits)
    except ValueError:
        return False
    return len(read) == size and read.hex() == digits
