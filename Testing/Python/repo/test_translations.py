"""Every text for people can be found by Slicer's translation script, and translated without losing its numbers."""

import ast
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[3]
MODULE = ROOT / "MedSAM2Slicer"
SOURCES = [MODULE / "MedSAM2Slicer.py", *sorted((MODULE / "MedSAM2SlicerLib").glob("*.py"))]
# What a widget shows, as properties, and what puts texts into widgets, messages and errors.
SHOWN = {
    "text",
    "toolTip",
    "title",
    "placeholderText",
    "windowTitle",
    "statusTip",
    "specialValueText",
    "prefix",
    "suffix",
}
SHOWING = {"say", "_say", "showError", "Remedy", "CannotPropagate", "Trouble", "QLabel", "QPushButton", "QAction"}
SHOWING |= {"addItem", "insertItem", "addAction", "addRow", "setHorizontalHeaderLabels", "errorDisplay", "infoDisplay"}
SHOWING |= {"set" + name[0].upper() + name[1:] for name in SHOWN} | {"confirmOkCancelDisplay", "showStatusMessage"}
# Sentences that nobody reads in the panel, by file.
OTHER_SENTENCES = {
    "CaseExport.py": "a word of a file that the engine reads",
    "CaseFiles.py": "keys of a file format",
    "EngineFolder.py": "a file for whoever finds the folder, in whatever language",
    "EngineInstaller.py": "the log of an installation",
    "EngineProcess.py": "Slicer's log",
    "InstallChain.py": "the log of an installation",
    "InstallErrors.py": "what uv, pip and the systems say",
    "InstallLog.py": "Slicer's log",
    "InstallPlan.py": "code for a Python, and an error of the sources themselves",
    "PanelSelfTest.py": "the report of a test",
    "SampleCases.py": "names of volumes",
    "SegmentTerms.py": "names of terminologies and of their terms",
    "SelfTest.py": "the report of a test",
}
NAMES = {
    "MedSAM2Slicer developers",
    "Binary labelmap",
    "Closed surface",
    "SAM 2: Segment Anything in Images and Videos",
    "MedSAM2: Segment Anything in 3D Medical Images and Videos",
}


def calls_of_tr(path):
    tree = ast.parse(path.read_text(encoding="utf-8"))
    return [node for node in ast.walk(tree) if isinstance(node, ast.Call) and ast.unparse(node.func) == "_"]


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: path.stem)
def test_translated_texts_are_single_literals_with_named_placeholders(path):
    for call in calls_of_tr(path):
        (argument,) = call.args
        assert isinstance(argument, ast.Constant), f"{path.name}:{call.lineno} is no literal"
        assert isinstance(argument.value, str)
        placeholders = re.findall(r"\{([^{}]*)\}", argument.value)
        nameless = [name for name in placeholders if not re.match(r"[a-zA-Z_]", name)]
        assert nameless == [], f"{path.name}:{call.lineno} has a placeholder without a name"


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: path.stem)
def test_no_half_sentence_is_translated(path):
    """A translator needs the whole of it: what ends or begins with a space waits for its other half."""
    texts = [call.args[0].value for call in calls_of_tr(path)]
    assert [text for text in texts if text != text.strip()] == []


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: path.stem)
def test_the_translation_script_sees_every_text(path):
    """It reads the sources with a pattern: strings right behind the bracket, and nothing but space after them."""
    text = path.read_text(encoding="utf-8")
    seen = re.findall(r"[^_]_\(\s*\".+?\"\s*\)", text, flags=re.DOTALL)
    assert len(seen) == len(calls_of_tr(path))


def test_every_form_has_a_context():
    forms = list((MODULE / "Resources/UI").glob("*.ui"))
    assert forms
    for form in forms:
        assert re.search(r"<class>\w+</class>", form.read_text(encoding="utf-8")), form.name


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: path.stem)
def test_nothing_is_put_on_a_widget_or_into_a_message_untranslated(path):
    assert list(shown_untranslated(path.read_text(encoding="utf-8"))) == []


@pytest.mark.parametrize(
    "source",
    [
        "label.text = 'Done'",
        "a.text, b.toolTip = first, 'Done'",
        "label.text = f'{count} slices'",
        "label.text = _('Done') + ' at last'",
        "label.setToolTip('Done' if isDone else _('Busy'))",
        "qt.QLabel('Done')",
        "news.say('Done', isError=True)",
        "Remedy('Try again', f)",
    ],
)
def test_a_text_without_translation_is_found(source):
    assert len(list(shown_untranslated(source))) == 1


@pytest.mark.parametrize(
    "source",
    [
        "label.text = _('Done')",
        "label.text = _('Done {n}').format(n=states['done'])",
        "label.text = f'<b>{title}</b> {count} / {total} '",
        "label.setToolTip(texts['done'])",
        "label.text = '' if state == 'done' else text",
        "node.SetAttribute('done', 'yes')",
    ],
)
def test_what_is_translated_or_no_text_is_not_found(source):
    assert list(shown_untranslated(source)) == []


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: path.stem)
def test_a_sentence_outside_of_the_translation_is_for_no_panel(path):
    """Wherever it stands: in a table, a constant, a return."""
    if path.name not in OTHER_SENTENCES:
        assert sentences(path.read_text(encoding="utf-8")) - NAMES == set()


@pytest.mark.parametrize("name", OTHER_SENTENCES)
def test_a_file_with_other_sentences_has_some(name):
    assert sentences((MODULE / "MedSAM2SlicerLib" / name).read_text(encoding="utf-8")) - NAMES


def test_forms_withhold_nothing_from_the_translators_but_styles():
    for form in (MODULE / "Resources/UI").glob("*.ui"):
        withheld = re.findall(r'<property name="(\w+)">\s*<string notr="true">', form.read_text(encoding="utf-8"))
        assert set(withheld) <= {"styleSheet"}, form.name


def shown_untranslated(source):
    """Line and text of every literal with a word in it that gets into what is shown."""
    for node in ast.walk(ast.parse(source)):
        for value in shown_values(node):
            for literal in untranslated(value):
                text = re.sub(r"<[^>]*>|&\w+;", "", literal.value)
                if re.search(r"[^\W\d_]{2,}", text):
                    yield literal.lineno, literal.value


def shown_values(node):
    """The values of an assignment to something shown, and the arguments of a call that shows them."""
    if isinstance(node, ast.Assign):
        targets = [name for target in node.targets for name in getattr(target, "elts", [target])]
        return [node.value] if any(getattr(target, "attr", "") in SHOWN for target in targets) else []
    if not isinstance(node, ast.Call):
        return []
    called = getattr(node.func, "attr", getattr(node.func, "id", ""))
    # A trouble's first argument is its code.
    return node.args[1:] if called == "Trouble" else node.args if called in SHOWING else []


def sentences(source):
    """Literals of two words and more, without docstrings and translated ones."""
    literals = [literal.value for literal in untranslated(ast.parse(source))]
    return {text for text in literals if re.search(r"[a-z]{2,} [a-z]{2,}", re.sub(r"<[^>]*>", "", text))}


def untranslated(node):
    """The string literals below a node: without translated ones, docstrings, keys and what is compared with."""
    is_call = isinstance(node, ast.Call) and ast.unparse(node.func) in ("_", "translate")
    is_docstring = isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)
    if is_call or is_docstring or isinstance(node, ast.Compare):
        return
    if isinstance(node, ast.Constant) and isinstance(node.value, str):
        yield node
    for child in ast.iter_child_nodes(node):
        if not (isinstance(node, ast.Subscript) and child is node.slice):
            yield from untranslated(child)
