"""Make draft2020-12.json: the JSON Schema Test Suite for that draft, one schema a line.

usage, from the repository's root: python -m tests.inference.grammar.collection.make_collection jsonschema-4.26.0.tar.gz
The archive is jsonschema's source distribution on PyPI (`pip download --no-deps --no-binary :all: jsonschema==4.26.0`),
which holds the suite; its licence stands beside the schemas. A line is [place, schema, [[valid, instance], ...]].
"""

import json
import sys
import tarfile
from pathlib import Path

HERE = Path(__file__).parent
DRAFT = "draft2020-12"


def main(archive: str) -> None:
    lines = []
    with tarfile.open(archive) as source:
        folder = f"{source.getnames()[0].split('/')[0]}/json"
        names = sorted(name for name in source.getnames() if Path(name).parent == Path(folder, "tests", DRAFT))
        for name in names:
            if name.endswith(".json"):
                for group in json.loads(_read(source, name)):
                    place = f"{Path(name).stem}: {group['description']}"
                    tests = [[test["valid"], test["data"]] for test in group["tests"]]
                    lines.append(json.dumps([place, group["schema"], tests], separators=(",", ":")))
        (HERE / "LICENSE").write_bytes(_read(source, f"{folder}/LICENSE"))
    (HERE / f"{DRAFT}.json").write_text("[\n" + ",\n".join(lines) + "\n]\n", encoding="utf-8")


def _read(source: tarfile.TarFile, name: str) -> bytes:
    member = source.extractfile(name)
    assert member is not None, name
    return member.read()


if __name__ == "__main__":
    main(sys.argv[1])
