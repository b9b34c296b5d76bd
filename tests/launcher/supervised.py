"""`python -m tests.launcher.supervised JSON`: a Supervisor in a process of its own; its children are Python text."""

import json
import os
import sys

from common.output import protect_output
from launcher.supervisor import Supervisor


def main(text: str) -> int:
    plan = json.loads(text)
    children = {name: (sys.executable, "-c", code, name) for name, code in plan["children"].items()}
    commands = children | plan.get("commands", {})
    return Supervisor(commands, environ=os.environ, patience=plan["patience"], same_request=plan["same_request"]).run()


if __name__ == "__main__":
    protect_output()
    sys.exit(main(sys.argv[1]))
