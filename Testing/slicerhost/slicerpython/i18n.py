"""Stands for ``slicer.i18n``: English stays English."""


def tr(text: str) -> str:
    return text


def translate(context: str, text: str) -> str:
    return text
