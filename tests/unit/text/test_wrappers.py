"""What a model puts around a report is taken off, and never a word of the report."""

from __future__ import annotations

import pytest

from prefect_llm_reports.tasks.text.wrappers import unwrapped

REPORT = "# Tidal power\n\nIt works.\n\n## Costs\n\nThey fall, if you know where to look.\n"

BEFORE = {
    "en": "Sure! Here's the revised report on tidal power, tailored for CTOs:",
    "en-2": "Certainly.", "en-3": "Below is a comprehensive report on **tidal power**.",
    "en-4": "I've written the report as requested.",
    "de": "Gerne! Hier ist der überarbeitete Bericht:", "fr": "Bien sûr, voici le rapport révisé :",
    "es": "¡Claro! Aquí tienes el informe:", "it": "Certo! Ecco il rapporto rivisto:",
    "pt": "Claro! Aqui está o relatório revisado:", "nl": "Natuurlijk! Hier is het verslag:",
    "pl": "Oczywiście! Oto raport:", "ru": "Конечно! Вот доработанный отчёт:",
    "uk": "Звичайно! Ось звіт:", "tr": "Elbette! İşte rapor:", "ar": "بالتأكيد! إليك التقرير:",
    "he": "בוודאי! הנה הדוח:", "fa": "البته! در ادامه گزارش آمده است:", "hi": "ज़रूर! यहाँ रिपोर्ट है:",
    "zh": "好的，以下是修订后的报告：", "zh-Hant": "當然！以下是報告：",
    "ja": "承知しました。以下に報告書を示します。", "ko": "네, 다음은 수정된 보고서입니다:",
    "vi": "Chắc chắn rồi! Dưới đây là báo cáo:", "th": "แน่นอนครับ นี่คือรายงาน:",
    "id": "Tentu! Berikut adalah laporan yang telah direvisi:",
}  # fmt: skip
AFTER = {
    "en": "Let me know if you'd like me to expand any section!",
    "en-2": "If you need more detail on any part, feel free to ask.",
    "en-3": "Would you like me to adjust the tone?", "en-4": "I hope this report meets your needs.",
    "de": "Lassen Sie mich wissen, wenn Sie Änderungen wünschen.",
    "de-2": "Falls Sie weitere Details benötigen, stehe ich gerne zur Verfügung.",
    "fr": "N'hésitez pas à me dire si vous souhaitez des modifications.",
    "es": "Si necesitas algún cambio, házmelo saber.", "it": "Fammi sapere se desideri modifiche.",
    "pt": "Se precisar de ajustes, me avise.", "nl": "Laat het me weten als u wijzigingen wilt.",
    "pl": "Daj mi znać, jeśli chcesz coś zmienić.",
    "ru": "Если нужны изменения, дайте мне знать.", "uk": "Якщо потрібні зміни, повідомте мені.",
    "tr": "Değişiklik isterseniz lütfen bana bildirin.",
    "ar": "إذا كنت بحاجة إلى أي تعديلات، أخبرني.", "he": "אם תרצו שינויים, אשמח לעזור.",
    "fa": "اگر به تغییرات نیاز دارید، به من بگویید.", "hi": "यदि आप कोई बदलाव चाहते हैं, तो मुझे बताएं।",
    "zh": "如需进一步修改，请随时告诉我。", "zh-2": "如果您需要调整，我可以为您修改。",
    "ja": "ご不明な点がございましたら、お気軽にお知らせください。",
    "ko": "추가로 필요하신 사항이 있으면 말씀해 주세요.",
    "vi": "Nếu bạn cần chỉnh sửa, hãy cho tôi biết.", "th": "หากต้องการแก้ไข โปรดแจ้งให้ฉันทราบ",
    "id": "Jika ada yang ingin diubah, beri tahu saya.",
}  # fmt: skip
KEPT = [
    "Of course, tides are predictable.\n\n" + REPORT,
    "Here is where tides are strong:\n\n" + REPORT,
    "Tidal power is the subject of this report:\n\n" + REPORT,
    "This report is about tides.\n\n" + REPORT,
    "Sure! Here is the report:\n\nNo heading follows.\n",
    REPORT + "\nIf you need more storage, choose larger tanks.\n",
    REPORT + "\nIf you are a CTO, feel the pulse of the market.\n",
    REPORT + "\n## Contact\n\nLet me know if you have questions.\n",
    REPORT + "\n- Let me know if you have questions.\n",
    REPORT + "\n如需了解更多信息，请访问官网。\n",
    REPORT + "\n> Let me know what you spend your money on, and I am happy to go.[^1]\n",
    REPORT + "\nWenn der Wind dreht, kann das Kraftwerk weiterlaufen.\n",
    REPORT + "\nSi la demande augmente, les prix montent.\n",
    REPORT + "\nЕсли спрос растёт, цены могут вырасти.\n",
    REPORT + "\nもし価格が下がれば、多くの都市で導入できます。\n",
    REPORT + "\n추가로 조력은 안정적이라고 알려져 있다.\n",
    REPORT + "\n希望本报告能为决策者提供帮助。\n",
    REPORT + "\nSe i dati sono a disposizione, il modello migliora.\n",
    REPORT + "\nWenn der Bescheid kommt, beginnt der Bau.\n",
    REPORT + "\nN'hésitez pas à investir tôt.\n",
    REPORT + "\nSe o preço cair, é só esperar.\n",
    "# T\n\n```text\n# Title\n\nx\n```\n",
    "```python\n# comment\nprint(1)\n```\n",
    "```\n# T\n\ntext\n```\n\nmore text\n\nand more\n",
    "---\n\nNote: this is prose.\n\n---\n\n" + REPORT,
    "---\nNote: this is prose.\n---\n\n" + REPORT,
    "<think>not closed\n\n" + REPORT,
    "# Tags\n\nModels write\n\n</think>\n\nat the end.\n",
    "<report>\n\n" + REPORT,
    "",
]  # fmt: skip


@pytest.mark.parametrize("language", BEFORE)
def test_a_line_that_announces_the_report_is_dropped(language: str) -> None:
    """In many languages; with a rule after it, and together with an offer at the end."""
    line = BEFORE[language]
    for wrapped in (f"{line}\n\n{REPORT}", f"**{line}**\n\n---\n\n{REPORT}"):
        found = unwrapped(wrapped)
        assert found.text == REPORT
        assert line.strip("¡").replace("*", "")[:40] in found.removed[0]


@pytest.mark.parametrize("language", AFTER)
def test_an_offer_at_the_end_is_dropped(language: str) -> None:
    """In many languages; also after a rule, and in italics."""
    for ending in (f"\n{AFTER[language]}\n", f"\n---\n\n*{AFTER[language]}*\n"):
        found = unwrapped(REPORT + ending)
        assert found.text == REPORT
        assert len(found.removed) == 1


@pytest.mark.parametrize("text", KEPT)
def test_words_of_a_report_stay(text: str) -> None:
    """What only looks like a wrapper is left alone, to the last byte."""
    assert unwrapped(text) == (unwrapped(text).__class__(text))


@pytest.mark.parametrize(
    "wrapped",
    [
        f"<think>\nHm.\n\n# Plan\n</think>\n\n{REPORT}",
        f"Thoughts, unopened.\n</think>\n{REPORT}",
        f"[THINK]x[/THINK]{REPORT}",
        "<|channel|>analysis<|message|>x<|end|>"
        f"<|start|>assistant<|channel|>final<|message|>{REPORT}",
        f"<report>\n{REPORT}</report>\n",
        f"```markdown\n{REPORT}```",
        f"````md\n{REPORT}\n```py\nx\n```\n````".replace("\n```py\nx\n```", ""),
        f"```\n{REPORT}```\n",
        f"~~~text\n{REPORT}~~~",
        f"Here is the report you asked for:\n\n```markdown\n{REPORT}```\n\nLet me know!",
        f"```markdown\nSure!\n\n{REPORT}```",
    ],
)
def test_reasoning_tags_and_fences_around_the_whole_are_taken_off(wrapped: str) -> None:
    """Layer by layer, whatever their order; a second time changes nothing."""
    found = unwrapped(wrapped)
    assert found.text.strip() == REPORT.strip()
    assert found.removed
    assert unwrapped(found.text).text == found.text


def test_front_matter_is_no_heading() -> None:
    """It goes; its title stays where the report has none."""
    head = '---\ntitle: "Tides"\ntags:\n  - sea\ndate: 2026-01-01\n---\n\n'
    assert unwrapped(head + REPORT).text == REPORT
    assert unwrapped(head + "## A\n\nText.\n").text == "# Tides\n\n## A\n\nText.\n"
    assert unwrapped("+++\ntitle = 'T'\n+++\n" + REPORT).text == REPORT


def test_a_summary_loses_its_name() -> None:
    """A summary's own heading and announcement are no part of it."""
    for line in ("## Executive Summary", "**Zusammenfassung:**", "Here is the executive summary:",
                 "执行摘要", "الملخص التنفيذي"):  # fmt: skip
        assert unwrapped(f"{line}\n\nTides work.", report=False).text == "Tides work."
    assert unwrapped("Summary statistics rise.\n\nB.", report=False).removed == ()
