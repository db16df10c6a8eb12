"""What the README shows works."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

README = Path(__file__).parents[2] / "README.md"


def test_the_python_examples_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    examples = re.findall(r"```python\n(.*?)```", README.read_text(encoding="utf-8"), re.DOTALL)
    assert examples
    monkeypatch.chdir(tmp_path)
    for example in examples:
        exec(compile(example, str(README), "exec"), {})


def test_every_path_that_it_names_exists() -> None:
    links = re.findall(r"\]\(([^)#]+)\)", README.read_text(encoding="utf-8"))
    assert links
    assert [link for link in links if not (README.parent / link).exists()] == []


def test_the_commands_that_it_shows_exist() -> None:
    known = "".join(
        subprocess.run(
            [sys.executable, "-m", "nczip", *command, "--help"], capture_output=True, text=True, check=True
        ).stdout
        for command in ((), ("train",))
    )
    shown = re.findall(r"^(?:.*\| )?nczip (.*?)(?: {2,}|$)", README.read_text(encoding="utf-8"), re.MULTILINE)
    options = {word for line in shown for word in line.split() if word.startswith("-")}
    assert {"-d", "-6", "--rm", "-t"} <= options
    assert [option for option in options if option not in known] == []
