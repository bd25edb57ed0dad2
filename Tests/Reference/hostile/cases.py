"""What the generators of fixtures/hostile share: a list of cases, and how they are written."""

import json
from pathlib import Path

FIXTURES = Path(__file__).resolve().parents[3] / "fixtures" / "hostile"

# In a text of JSON this stands before the byte at which a reader must find the fault.
MARK = "¦"


def utf8(text):
    return text if isinstance(text, bytes) else text.encode()


def split_mark(text):
    """The text without its mark, and where the mark was, or None."""
    text = utf8(text)
    mark = MARK.encode()
    place = text.find(mark)
    return (text, None) if place < 0 else (text[:place] + text[place + len(mark):], place)


def found(text, place):
    """What a reader says it found at a place of a text."""
    if place == len(text):
        return "the end of the text"
    byte = text[place]
    if 0x21 <= byte < 0x7F:
        return f"'{chr(byte)}'"
    if byte == 0xEF and place == 0:
        return "a byte order mark or other text"
    return f"the byte 0x{byte:x}"


def misfit(needed):
    """A fault where the next byte is not what the grammar needs."""
    return lambda text, place: f"found {found(text, place)}, where {needed} was needed."


def said(message):
    return lambda text, place: message


class Cases:
    """Files by name, each with the message that reading it must give, or None where it is read."""

    def __init__(self, folder):
        self.folder = FIXTURES / folder
        self.files = {}
        self.messages = {}

    def add_beside(self, name, content):
        """A file that the cases need and that is none itself."""
        self.files[name] = content

    def add(self, name, content, message):
        assert name not in self.files, name
        self.files[name] = content
        self.messages[name] = message

    def write(self, keeping=("expected.json",)):
        self.folder.mkdir(parents=True, exist_ok=True)
        for old in self.folder.iterdir():
            if old.name not in self.files and old.name not in keeping:
                old.unlink()
        for name, content in self.files.items():
            (self.folder / name).write_bytes(content)
        names = sorted(self.messages)
        text = json.dumps({n: self.messages[n] for n in names}, indent=2, ensure_ascii=False)
        (self.folder / "expected.json").write_text(text + "\n")
        accepted = sum(message is None for message in self.messages.values())
        print(f"{self.folder.name}: {len(names)} files, {accepted} of them to be read")
