"""What our own code never does: run what it reads, unpack what it has not looked at, hand a line to a shell."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
FILES = sorted([*(ROOT / "src").rglob("*.py"), *(ROOT / "tools").rglob("*.py"), *(ROOT / "demo").rglob("*.py")])
FILES += [ROOT / "main.py"]
NEVER_IMPORTED = {"pickle", "cPickle", "_pickle", "dill", "cloudpickle", "joblib", "marshal", "shelve", "telnetlib"}
NEVER_CALLED = {"eval", "exec", "compile", "__import__"}


def faults(source: str) -> Iterator[str]:
    """What is wrong with a piece of code, a line each."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import | ast.ImportFrom):
            modules = [alias.name for alias in node.names] if isinstance(node, ast.Import) else [node.module or ""]
            for module in modules:
                if module.split(".")[0] in NEVER_IMPORTED:
                    yield f"line {node.lineno} imports {module}"
        elif isinstance(node, ast.Call):
            yield from _faults_of(node)


def _faults_of(call: ast.Call) -> Iterator[str]:
    called, said = ast.unparse(call.func), {each.arg: each.value for each in call.keywords}
    name = called.rpartition(".")[2]

    def is_said(argument: str, value: object) -> bool:
        return isinstance(given := said.get(argument), ast.Constant) and given.value is value

    where = f"line {call.lineno}"
    if called in NEVER_CALLED:
        yield f"{where} calls {called}"
    if "shell" in said and not is_said("shell", False):
        yield f"{where} hands a line to a shell"
    if called in ("os.system", "os.popen") or called.startswith("os.spawn"):
        yield f"{where} hands a line to a shell"
    if called in ("np.load", "numpy.load") and not is_said("allow_pickle", False):
        yield f"{where} may load a pickle"
    if called == "torch.load" and not is_said("weights_only", True):
        yield f"{where} may load a pickle"
    owner = called.rpartition(".")[0]
    is_extract = name == "extract" and any(word in owner for word in ("tar", "zip", "archive"))
    if (is_extract or name in ("extractall", "unpack_archive")) and "filter" not in said:
        yield f"{where} unpacks without a filter"
    if called in ("yaml.load", "tempfile.mktemp"):
        yield f"{where} calls {called}"


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(ROOT)))
def test_no_file_does(path):
    assert list(faults(path.read_text())) == []


@pytest.mark.parametrize(
    "line",
    [
        "import pickle",
        "from pickle import loads",
        "import joblib.externals",
        "eval(text)",
        "subprocess.run(line, shell=True)",
        "subprocess.run(line, shell=wanted)",
        "os.system(line)",
        "np.load(path)",
        "np.load(path, allow_pickle=True)",
        "torch.load(path)",
        "tar.extractall(folder)",
        "tar.extract(member)",
        "shutil.unpack_archive(path)",
        "tempfile.mktemp()",
    ],
)
def test_each_rule_is_one(line):
    assert len(list(faults(line))) == 1


@pytest.mark.parametrize("line", ["np.load(path, allow_pickle=False)", "re.compile(text)", "ast.literal_eval(text)"])
def test_what_is_harmless_is_let_be(line):
    assert list(faults(line)) == []
