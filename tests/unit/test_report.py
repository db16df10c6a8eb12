"""The report, on codecs of this test's own and on the peers that are installed."""

import csv
import io
import json
import os
import signal
import sys
import xml.etree.ElementTree as ET
from dataclasses import replace
from pathlib import Path

import pytest
import speaking

import nczip
from nczip import corpora, knowledge
from nczip.report import peers, plot, quoted, render, results
from nczip.report.peers import Codec
from nczip.report.results import Input, Report, ReportError, Result

TEXT = b"It was the best of times, it was the worst of times.\n" * 40

# verb, input, output: what a compressor may do, well or badly
TOOL = """
import os, sys, zlib
verb, source, target = sys.argv[1:]
data = open(source, "rb").read()
if verb == "hungry":
    ballast = bytes(range(256)) * 300_000
if verb == "die":
    os.kill(os.getpid(), 9)
if verb == "refuse":
    sys.exit("first line\\nno room for this")
if verb == "nothing":
    sys.exit(0)
done = {"pack": zlib.compress, "unpack": zlib.decompress, "wrong": lambda d: zlib.decompress(d)[::-1]}
open(target, "wb").write(done.get(verb, bytes)(data))
"""


@pytest.fixture
def tool(tmp_path: Path) -> Path:
    path = tmp_path / "tool.py"
    path.write_text(TOOL)
    return path


def codec(tool: Path, name: str = "tool", pack: str = "pack", unpack: str = "unpack") -> Codec:
    return Codec(name, (sys.executable, str(tool)), f"{pack} input packed.bin", f"{unpack} packed.bin output")


@pytest.fixture
def item(tmp_path: Path) -> Input:
    path = tmp_path / "times.txt"
    path.write_bytes(TEXT)
    return results.gather([str(path)])[0]


def report_of(*found: Result, inputs: tuple[Input, ...] = (), **more: str) -> Report:
    files = inputs or tuple(Input(name, Path(name), 1000) for name in dict.fromkeys(r.file for r in found))
    return Report(files, found, "a machine", {"nczip": "1.2.3"}, **more)


def result(name: str, file: str, packed: int | None, **more: object) -> Result:
    whole = Result(name, file, 1000, packed, 0, 0.5, 0.25, 20_000_000, True)
    return replace(whole, **more)  # type: ignore[arg-type]


def test_a_round_trip_is_measured_and_compared(tool: Path, item: Input) -> None:
    (found,) = results.measure([codec(tool)], [item])
    assert (found.codec, found.file, found.raw, found.came_back, found.trouble) == (
        *("tool", "times.txt", len(TEXT)),
        *(True, ""),
    )
    assert found.packed is not None
    assert found.packed < len(TEXT) / 10
    assert found.bits_per_byte == 8 * found.packed / len(TEXT)
    assert found.compress_speed is not None
    assert found.compress_speed > 0


def test_memory_is_that_of_the_program_and_not_of_this_process(tool: Path, item: Input) -> None:
    ballast = bytes(range(256)) * 1_000_000  # must not be counted
    lean, hungry = results.measure([codec(tool), codec(tool, "hungry", "hungry", "copy")], [item])
    assert lean.memory is not None
    assert hungry.memory is not None
    assert lean.memory < 60_000_000 < 76_800_000 < hungry.memory < len(ballast)


@pytest.mark.parametrize(
    ("pack", "unpack", "said"),
    [
        ("refuse", "unpack", "compressing failed: exit status 1: no room for this"),
        ("die", "unpack", "compressing failed: killed by SIGKILL"),
        ("nothing", "unpack", "compressing failed: no archive was written"),
        ("pack", "refuse", "decompressing failed: exit status 1: no room for this"),
        ("pack", "wrong", "wrong bytes came back"),
        ("pack", "nothing", "wrong bytes came back"),
    ],
)
def test_what_goes_wrong_is_said(tool: Path, item: Input, pack: str, unpack: str, said: str) -> None:
    bad = codec(tool, "bad", pack, unpack)
    found = results.measure([bad, codec(tool)], [item])
    assert found[0].trouble == said
    assert not found[0].came_back
    assert found[1].came_back
    report = report_of(*found, inputs=(item,))
    assert report.failed
    for form in ("text", "markdown", "csv", "json"):
        assert said in render.FORMATS[form](report)


def test_a_program_that_is_not_there(item: Input) -> None:
    absent = Codec("absent", ("nczip-no-such-program",), "input packed.x", "packed.x output")
    assert not absent.installed
    assert absent.version() == ""
    assert results.measure([absent], [item])[0].trouble == "compressing failed: exit status 127"


def test_an_interrupted_report_leaves_no_program_running(tool: Path, tmp_path: Path) -> None:
    tool.write_text(
        f"import os, signal, time\n"
        f"open({str(tmp_path / 'pid')!r}, 'w').write(str(os.getpid()))\n"
        f"os.kill({os.getpid()}, signal.SIGINT)\n"
        f"time.sleep(60)\n"
    )
    (tmp_path / "input").write_bytes(TEXT)
    with pytest.raises(KeyboardInterrupt):
        peers.run(codec(tool), "pack input packed.bin", tmp_path)
    pid = int((tmp_path / "pid").read_text())
    for _ in range(1000):
        try:
            os.kill(pid, 0)
            state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
        except (ProcessLookupError, FileNotFoundError):
            return
        if state == "Z":  # killed, and waiting for init to notice
            return
        signal.sigtimedwait([], 0.01)
    pytest.fail("the program still runs")


def test_the_best_of_several_runs_counts(tool: Path, item: Input) -> None:
    once = results.measure([codec(tool)], [item], runs=1, seconds=60)[0]
    tool.write_text(TOOL + "\nopen(sys.argv[0] + '.count', 'a').write('x')\n")
    results.measure([codec(tool)], [item], runs=3, seconds=60)
    assert Path(f"{tool}.count").read_text() == "x" * 6
    results.measure([codec(tool)], [item], runs=3, seconds=0)
    assert Path(f"{tool}.count").read_text() == "x" * 8
    assert once.came_back


def test_gather_walks_directories_and_keeps_labels_apart(tmp_path: Path) -> None:
    for name in ("one/a", "one/sub/b", "two/a"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_bytes(b"x" * 10)
    (tmp_path / "one" / "link").symlink_to(tmp_path / "one" / "a")
    labels = [item.label for item in results.gather([str(tmp_path / "one")])]
    assert labels == ["a", "sub/b"]
    both = [item.label for item in results.gather([str(tmp_path / "one"), str(tmp_path / "two")])]
    assert both == [(tmp_path / "one" / "a").as_posix(), "sub/b", (tmp_path / "two" / "a").as_posix()]


def test_gather_says_what_is_not_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NCZIP_CORPORA", str(tmp_path))
    with pytest.raises(ReportError, match="no such file, directory or corpus"):
        results.gather([str(tmp_path / "no")])
    with pytest.raises(ReportError, match="nczip corpora fetch canterbury"):
        results.gather(["canterbury"])
    (tmp_path / "empty").mkdir()
    with pytest.raises(ReportError, match="there is no file in"):
        results.gather([str(tmp_path / "empty")])


def test_a_corpus_is_named_and_its_part_known_by_its_whole(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("NCZIP_CORPORA", str(tmp_path))
    file = corpora.catalog()["enwik8-1m"].files[0]
    (tmp_path / file.path).parent.mkdir()
    (tmp_path / file.path).write_bytes(bytes(file.size))
    (item,) = results.gather(["enwik8-1m"])
    assert item.label == "enwik8-1m"
    assert item.aliases == {"enwik8-1m", "enwik8[:1000000]"}


def test_a_limit_takes_a_start_and_says_so(tool: Path, tmp_path: Path) -> None:
    (tmp_path / "long").write_bytes(TEXT)
    (tmp_path / "short").write_bytes(b"short")
    long, short = results.gather([str(tmp_path / "long"), str(tmp_path / "short")], limit=100)
    assert (long.label, long.size, short.label, short.size) == ("long[:100]", 100, "short", 5)
    found = results.measure([codec(tool)], [long])[0]
    assert (found.raw, found.came_back) == (100, True)


def test_totals_add_up_and_do_not_pretend(tmp_path: Path) -> None:
    report = report_of(
        result("a", "one", 100),
        result("b", "one", 90),
        result("a", "two", 200, memory=30_000_000),
        result("b", "two", None, trouble="compressing failed"),
    )
    a, b = report.totals
    assert (a.raw, a.packed, a.compress_seconds, a.memory, a.came_back) == (2000, 300, 1.0, 30_000_000, True)
    assert (b.packed, b.trouble) == (None, "only 1 of 2 files")


def test_text_marks_the_best_that_was_run_here() -> None:
    report = report_of(
        result("good", "f", 100, compress_seconds=0.9),
        result("fast", "f", 300, compress_seconds=0.1),
        result("elsewhere", "f", 50, quoted=True, memory=None, decompress_seconds=None),
        quoted_from="figures.csv",
    )
    lines = {line.split()[0]: line for line in render.text(report).splitlines() if line.startswith("  ")}
    words = {name: " ".join(line.split()) for name, line in lines.items()}
    assert words["good"] == "good 100* 0.8000 10.000 1.1 kB/s 4.0 kB/s* 20 MB*"
    assert words["fast"] == "fast 300 2.4000 3.333 10.0 kB/s* 4.0 kB/s* 20 MB*"
    assert words["elsewhere"] == "elsewhere 50 0.4000 20.000 2.0 kB/s - - quoted"
    assert list(lines) == ["size", "elsewhere", "good", "fast"]
    assert len({line.index(".") for name, line in lines.items() if name in ("good", "fast")}) == 1
    assert "quoted: not run here; from figures.csv." in render.text(report)


def test_a_model_shows_in_a_column_of_its_own() -> None:
    without = report_of(result("a", "f", 100))
    assert "with model" not in render.text(without).splitlines()[3]
    assert "sizes without and with it are the same" in render.text(without)
    neural = report_of(result("a", "f", 100), result("lm", "f", 10, model=5_000))
    row = next(line for line in render.text(neural).splitlines() if line.startswith("  lm"))
    assert row.split()[1:3] == ["10*", "5,010"]


def test_built_in_knowledge_is_said_where_it_counts() -> None:
    assert "knowledge" not in render.text(report_of(result("nczip -3", "f", 100)))
    said = f"start from {knowledge.PATH.stat().st_size:,} bytes of built-in knowledge"
    assert said in render.text(report_of(result("nczip -3", "f", 100), result("nczip -4", "f", 100)))


def test_built_in_knowledge_counts_with_the_model() -> None:
    neural = report_of(
        result("nczip -6", "f", 100, knowledge=50), result("nczip -8", "f", 10, model=5, knowledge=50)
    )
    rows = {
        line.split()[1]: line.split()[2:4] for line in render.text(neural).splitlines() if "  nczip" in line
    }
    assert rows == {"-6": ["100", "150"], "-8": ["10*", "65*"]}
    assert "counted in no size but with model" in render.text(neural)


def test_what_is_no_archive_is_never_the_best() -> None:
    report = report_of(
        result("lm alone, as -8", "f", 9, computed="not an archive"), result("nczip -8", "f", 10)
    )
    row = next(line for line in render.text(report).splitlines() if "alone, as" in line)
    assert "*" not in row
    assert row.endswith("not an archive")
    assert "alone: the bits that the language model gives" in render.text(report)


def test_markdown_is_a_table_everywhere() -> None:
    text = render.markdown(report_of(result("a|b", "f", 100), result("c", "f", 200)))
    rows = [line for line in text.splitlines() if line.startswith("|")]
    assert len(rows) == 4
    assert {line.replace("\\|", "").count("|") for line in rows} == {9}


def test_an_empty_file_has_no_bits_per_byte() -> None:
    report = report_of(result("a", "f", 20, raw=0), inputs=(Input("f", Path("f"), 0),))
    row = next(line for line in render.text(report).splitlines() if line.startswith("  a"))
    assert row.split() == ["a", "20*", "-", "-", "-", "-", "20", "MB*"]
    with pytest.raises(ReportError, match="nothing to plot"):
        plot.write(report, Path("plot.svg"))


def test_csv_of_one_run_is_quoted_by_the_next(tmp_path: Path) -> None:
    first = report_of(
        result("a", "f", 100),
        result("b", "f", 200, came_back=False, trouble="wrong bytes came back"),
        result("c", "f", 300, memory=None, decompress_seconds=None, came_back=None),
    )
    path = tmp_path / "figures.csv"
    path.write_text(render.csv_text(first))
    inputs = [Input("f", Path("f"), 1000)]
    assert quoted.read(path, inputs, []) == [replace(one, quoted=True) for one in first.results]
    assert [one.codec for one in quoted.read(path, inputs, ["a"])] == ["b", "c"]
    assert quoted.read(path, [Input("f", Path("f"), 999)], []) == []


def test_quoted_figures_find_their_file_by_alias(tmp_path: Path) -> None:
    path = tmp_path / "q.csv"
    path.write_text(
        "# a comment\n"
        "peer,file,bytes,compressed,bpb,compress_s,decompress_s,peak_MB,came_back\n"
        "paq,enwik8[:1000],1000,150,1.2,5,,900,?\n"
        '"model, alone",other,1000,150,1.2,,,,entropy only\n'
    )
    (found,) = quoted.read(path, [Input("e", Path("e"), 1000, frozenset({"enwik8[:1000]"}))], [])
    assert (found.codec, found.file, found.packed, found.decompress_seconds, found.memory) == (
        *("paq", "e", 150),
        *(None, 900_000_000),
    )
    assert found.came_back is None


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("peer,file\nx,y\n", "has to name the columns"),
        ("", "has to name the columns"),
        (",".join(quoted.COLUMNS) + "\nx,f,many,1,1,1,1,1,yes\n", "row 2"),
        (",".join(quoted.COLUMNS) + "\nx,f,1000\n", "row 2"),
        (",".join(quoted.COLUMNS) + "\nx,f,1000,1,1,soon,1,1,yes\n", "row 2"),
    ],
)
def test_figures_that_cannot_be_quoted(tmp_path: Path, text: str, said: str) -> None:
    path = tmp_path / "q.csv"
    path.write_text(text)
    with pytest.raises(ReportError, match=said):
        quoted.read(path, [Input("f", Path("f"), 1000)], [])


def test_json_holds_everything() -> None:
    whole = json.loads(render.json_text(report_of(result("a", "f", 100), result("a", "g", 100))))
    assert whole["machine"] == "a machine"
    assert whole["results"][0]["bits_per_byte"] == pytest.approx(0.8)
    assert whole["totals"][0]["packed"] == 200


def test_csv_has_a_row_for_each_result() -> None:
    text = render.csv_text(report_of(result("a", "f", 100), result("b", "f", 90)))
    rows = list(csv.DictReader(io.StringIO(text.partition("\n")[2])))
    assert [row["peer"] for row in rows] == ["a", "b"]
    assert rows[0]["bpb"] == "0.8000"


def test_the_plot_is_an_svg_with_every_point(tmp_path: Path) -> None:
    path = tmp_path / "plot.svg"
    report = report_of(
        result("nczip -4", "f&g", 300, compress_seconds=0.01),
        result("nczip -5", "f&g", 200, compress_seconds=0.1),
        result("same", "f&g", 200, compress_seconds=0.1),
        result("paq", "f&g", 100, compress_seconds=9, decompress_seconds=None, quoted=True),
        result("broken", "f&g", None, trouble="compressing failed"),
    )
    plot.write(report, path)
    tags = [element.tag.rpartition("}")[2] for element in ET.parse(path).iter()]
    texts = [element.text for element in ET.parse(path).iter() if element.text and element.text.strip()]
    assert tags.count("circle") == 7  # four compress, three decompress, one failed
    assert texts.count("nczip -4") == 2
    assert texts.count("paq") == 1
    assert "broken" not in texts
    numbers = [
        float(value)
        for element in ET.parse(path).iter()
        for key, value in element.attrib.items()
        if key in ("x", "y", "x1", "x2", "y1", "y2", "cx", "cy")
    ]
    assert all(-20 < number < 1080 for number in numbers)


def test_the_same_plot_as_png(tmp_path: Path) -> None:
    pytest.importorskip("matplotlib", reason="the extra `plot` is not installed")
    plot.write(
        report_of(result("nczip -4", "f", 300), result("a", "f", 100, quoted=True)), tmp_path / "plot.PNG"
    )
    assert (tmp_path / "plot.PNG").read_bytes().startswith(b"\x89PNG")


def test_a_plot_of_a_single_point(tmp_path: Path) -> None:
    plot.write(report_of(result("a", "f", 1000)), tmp_path / "one.svg")
    assert ET.parse(tmp_path / "one.svg").getroot().tag.endswith("svg")


def test_plots_that_cannot_be(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(ReportError, match="a plot is an"):
        plot.check(tmp_path / "p.pdf")
    with pytest.raises(ReportError, match="nothing to plot"):
        plot.write(report_of(result("a", "f", None, trouble="x")), tmp_path / "p.svg")
    monkeypatch.setattr(plot, "find_spec", lambda _: None)
    with pytest.raises(ReportError, match="needs matplotlib"):
        plot.check(tmp_path / "p.png")


@pytest.mark.parametrize("peer", peers.PEERS, ids=lambda peer: peer.program[0])
def test_the_peers_that_are_installed_work(peer: Codec, item: Input) -> None:
    if not peer.installed:
        assert peer.version() == ""
        return
    (found,) = results.measure([peer], [item])
    assert found.trouble == ""
    assert found.packed is not None
    assert found.packed < len(TEXT)
    assert peer.version()


def test_the_command_reports_on_nczip(tmp_path: Path) -> None:
    (tmp_path / "times.txt").write_bytes(TEXT)
    this = Codec("nczip report", (sys.executable, "-P", "-m", "nczip"), "", "")
    words = "report --levels 1,5 --peers none --format csv --plot plot.svg -o out.csv times.txt"
    done = peers.run(this, words, tmp_path)
    assert done.trouble == ""
    rows = list(csv.DictReader((tmp_path / "out.csv").read_text().splitlines()[1:]))
    assert [(row["peer"], row["came_back"]) for row in rows] == [("nczip -1", "yes"), ("nczip -5", "yes")]
    assert (tmp_path / "plot.svg").is_file()


def test_the_command_reports_on_language_models(tmp_path: Path) -> None:
    text = b"".join(
        b"of %d bytes the coder has seen, %d bits are the model's\n" % (i, i * i) for i in range(40)
    )
    (tmp_path / "text").write_bytes(text)
    this = Codec("nczip report", (sys.executable, "-P", "-m", "nczip"), "", "")
    words = "report --levels 6,7,8 --model tiny --reference --peers none --format csv -o out.csv text"
    assert peers.run(this, words, tmp_path).trouble == ""
    rows = {row["peer"]: row for row in csv.DictReader((tmp_path / "out.csv").read_text().splitlines()[1:])}
    assert list(rows) == ["nczip -6", "nczip -7", "nczip -8", "tiny alone, as -7", "tiny alone, as -8"]
    (model,) = speaking.MODELS.glob("*.ncm")
    assert {name: int(row["model_bytes"]) for name, row in rows.items()} == {
        name: 0 if name == "nczip -6" else model.stat().st_size for name in rows
    }
    archive = nczip.compress(text, 7)
    alone, packed = int(rows["tiny alone, as -7"]["compressed"]), int(rows["nczip -7"]["compressed"])
    assert alone < packed == len(archive)
    assert packed - alone == 28  # the header, and the name of the model


def test_a_model_that_is_not_here(tmp_path: Path) -> None:
    (tmp_path / "text").write_bytes(b"text")
    this = Codec("nczip report", (sys.executable, "-P", "-m", "nczip"), "", "")
    for words in ("report --levels 8 -m nobody text", "report --levels 3,9 -m nobody.ncm text"):
        assert peers.run(this, words, tmp_path).trouble.startswith("exit status 3: nczip: ")


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ("report", "name a file, a directory or a corpus"),
        ("report --levels 10 times.txt", "levels are numbers from 1 to 9"),
        ("report --reference times.txt", "--reference is for levels 7 to 9: --levels 9"),
        ("report -m tiny times.txt", "--model is for levels 7 to 9: --levels 9"),
        ("report --peers arj times.txt", "no peer is called arj; there are gzip, "),
        ("report --plot x.pdf times.txt", "a plot is an .svg or a .png"),
        ("report --quoted none.csv times.txt", "none.csv"),
        ("report -o no/where.txt times.txt", "no/where.txt: there is no such directory"),
        ("report no-such-file", "no such file, directory or corpus"),
        ("corpora fetch brown", "no corpus is called brown"),
        ("corpora verify brown", "no corpus is called brown"),
    ],
)
def test_mistakes_get_one_sentence(tmp_path: Path, words: str, said: str) -> None:
    (tmp_path / "times.txt").write_bytes(TEXT)
    this = Codec("nczip", (sys.executable, "-P", "-m", "nczip"), "", "")
    done = peers.run(this, words, tmp_path)
    assert said in (tmp_path / "stderr").read_text()
    assert (tmp_path / "stderr").read_text().count("\n") == 1
    assert done.trouble.startswith("exit status 1: nczip: ")
