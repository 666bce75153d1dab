"""Headers: whether a table's first row is one, and the meaning of its names.

Here: names of columns as people write them, in several languages. Not here: which columns a
request needs (`topics`, `queries`), how lines are split into cells (`tables`).
"""

from __future__ import annotations

import re
from collections.abc import Sequence


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


_TITLES = _words(
    """name names subject subjects heading headline title titles topic topics question questions
    query theme themes item article report prompt keyword keywords
    thema themen titel betreff überschrift frage stichwort sujet sujets titre titres nom objet
    tema temas título titulo asunto nombre titolo titoli argomento argomenti oggetto nome
    onderwerp naam rubrik ämne emne otsikko aihe temat tytuł тема темы название заголовок
    主题 标题 题目 名称 タイトル 題名 件名 テーマ 主題 주제 제목 이름"""
)
_NOTES = _words(
    """guidance guidances guide guideline guidelines note notes comment comments remark remarks
    description descriptions desc detail details instruction instructions brief briefing focus
    angle audience context scope hint hints info information requirements
    hinweis hinweise notiz notizen bemerkung bemerkungen beschreibung kommentar kommentare
    anweisung anweisungen vorgabe vorgaben zielgruppe anmerkung anmerkungen consigne consignes
    remarque remarques commentaire commentaires nota notas comentario comentarios descripción
    descripcion instrucciones descrição observações indicazioni descrizione opmerking opmerkingen
    toelichting opis uwagi описание примечание примечания комментарий
    备注 说明 备考 備考 説明 メモ 指示 비고 설명"""
)
_OTHERS = _words(
    """id no nr number owner author editor status state date due deadline category tag tags
    priority language url link source created updated type index department team client customer
    person assignee row key value"""
)
_KNOWN = _TITLES | _NOTES | _OTHERS
_IN_BRACKETS = re.compile(r"\s*[(\[][^()\[\]]*[)\]]\s*\Z")
_ONE_WORD = re.compile(r"[^\W\d][\w.-]*|#")
_WORDS = re.compile(r"[\s_]+")
_MOST_WORDS = 3
_MOST_CHARACTERS = 40


def plain_name(cell: str) -> str:
    """A column's name in small letters, without marks and remarks: `Title (required):` is `title`.

    Args:
        cell: A cell of the first row.
    """
    if len(cell) > _MOST_CHARACTERS:
        return cell.strip().lower()
    name = _IN_BRACKETS.sub("", cell.strip()).rstrip(" :*")
    return name.casefold() if name else cell.strip().lower()


def is_note(name: str) -> bool:
    """Whether people use this name for a column of guidance.

    Args:
        name: A plain name.
    """
    return name in _NOTES


def reads_like_header(row: Sequence[str]) -> bool:
    """Whether a row that has no known name of a column still reads like a header.

    A row of one cell does if all its words are usual names. A row of several cells does if one of
    them is such a name, or if all are single words.

    Args:
        row: The cells of a table's first row.
    """
    names = [plain_name(cell) for cell in row if cell.strip()]
    if not names or max(map(len, names)) > _MOST_CHARACTERS:
        return False
    if len(names) == 1:
        return all(word in _TITLES | _NOTES for word in _WORDS.split(names[0]))
    return any(name in _TITLES | _NOTES for name in names) or all(map(_is_name, names))


def names_columns(row: Sequence[str]) -> bool:
    """Whether all cells of a row are usual names of columns.

    Args:
        row: The cells of a row.
    """
    names = [plain_name(cell) for cell in row if cell.strip()]
    return bool(names) and all(name in _KNOWN for name in names)


def _is_name(name: str) -> bool:
    words = _WORDS.split(name)
    if len(words) == 1:
        return bool(_ONE_WORD.fullmatch(name))
    return len(words) <= _MOST_WORDS and any(word in _KNOWN for word in words)
