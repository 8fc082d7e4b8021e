"""A text as plain words: without case, accents, emoji, punctuation and invisible characters, split into sentences."""

from __future__ import annotations

import re
import unicodedata

_SENTENCE_ENDS = re.compile("[.!?;:…\n\r\u2028\u2029。！？；：؟؛।॥¡¿|]+")
_COMMAS = re.compile("[,،、，]")
_APOSTROPHES = "['’‘`´ʼ＇‛ʹ′]"
_ENGLISH_ENDINGS = re.compile(rf"{_APOSTROPHES}(?=(?:nt|t|m|re|ve|ll|d|s)\b)", re.I)
_APOSTROPHE = re.compile(_APOSTROPHES)
_OF_NO_WORD = re.compile(r"[^\w\u0900-\u0dff\u0e00-\u0eff]+|_+")
_NUMBER_SIGN = re.compile(r"#(?!\w)")
_SPELT_OUT = re.compile(r"\$t[o0]p\b|\bs[\W_]{1,2}t[\W_]{1,2}o[\W_]{1,2}p\b")
_LENGTHENED = re.compile(r"([^\W\d_])\1{2,}")

_DROPPED_MARKS = re.compile("[\u0300-\u036f\u0591-\u05c7\u0610-\u061a\u0640\u064b-\u065f\u0670\u093c\ufe00-\ufe0f]")
"""Accents of Latin, Greek and Cyrillic; points of Hebrew and Arabic; the dot of Devanagari. Other marks are letters."""
_LETTERS = str.maketrans(
    {"ł": "l", "đ": "d", "ø": "o", "ı": "i", "æ": "ae", "œ": "oe", "ð": "d", "þ": "th", "ة": "ه", "ى": "ي", "ک": "ك",
     "ی": "ي"}
    | dict(zip("ᴀʙᴄᴅᴇꜰɢʜɪᴊᴋʟᴍɴᴏᴘʀꜱᴛᴜᴠᴡʏᴢ", "abcdefghijklmnoprstuvwyz", strict=True))
    | {base + n: chr(ord("a") + n) for base in (0x1F150, 0x1F170) for n in range(26)}
)  # fmt: skip
_PAIRS = (
    "訂订閱阅發发訊讯傳传簡简給给請请別别號号碼码錯错擾扰騷骚廣广煩烦來来這这個个們们對对沒没興兴夠够許许註注刪删單单資资動动優优點点說说嗎吗為为麼么買买開开關关讓让電电話话"
    "還还銷销轉转繼继續续閉闭謝谢會会員员聯联繫系絡络訴诉檢检舉举見见時时間间後后過过報报從从誰谁壞坏樣样種种現现陸陆錢钱應应該该麵面飯饭雞鸡讀读斷断設设題题處处無无與与鎖锁"
    "將将憑凭認认識识換换調调強强讚赞歡欢愛爱達达質质復复覆复當当幾几變变實实務务鬧闹撥拨證证滿满絕绝護护權权擇择離离遠远靜静媽妈罵骂賣卖價价錄录記记誤误詐诈騙骗經经總总聽听"
    "樂乐飲饮館馆專专區区東东條条機机類类標标隨随終终結结親亲"
)
_SIMPLIFIED = str.maketrans(_PAIRS[::2], _PAIRS[1::2])
"""Traditional characters of the rules, each before its simplified one."""
_VIETNAMESE = re.compile(r"\b(?:đúng|dùng|dụng)\b")
"""Words that would look like another one without their accents: dung is dừng (stop) to the rules."""


def fold(text: str) -> str:
    """The text without differences that mean nothing: compatibility forms, case, accents, invisible characters.

    Traditional Chinese characters become simplified ones. Japanese is treated alike, so rules for it are folded too.
    """
    seen = "".join(c for c in text if c not in "\u00ad\u034f\u115f\u1160\u3164" and unicodedata.category(c) != "Cf")
    plain = unicodedata.normalize("NFC", unicodedata.normalize("NFKC", seen).casefold())
    plain = _VIETNAMESE.sub(lambda found: f"{found[0][0]}*{found[0][1:]}", plain)
    bare = _DROPPED_MARKS.sub("", unicodedata.normalize("NFKD", plain))
    return unicodedata.normalize("NFC", bare).translate(_LETTERS).translate(_SIMPLIFIED)


def sentences(text: str) -> list[str]:
    """The sentences of a text: words in lower case with a space between, and `` , `` between clauses.

    ``"Stop, pleeease! I've moved."`` is ``["stop , pleeease", "ive moved"]``.
    """
    joined = _APOSTROPHE.sub(" ", _ENGLISH_ENDINGS.sub("", _NUMBER_SIGN.sub(" number ", text)))
    plain = _SPELT_OUT.sub("stop", fold(joined))
    parts = (" , ".join(filter(None, map(_clause, _COMMAS.split(part)))) for part in _SENTENCE_ENDS.split(plain))
    return [part for part in parts if part]


def shortened(sentence: str) -> str:
    """The sentence with no letter more than twice in a row: ``stoppppp`` is ``stop``."""
    return _LENGTHENED.sub(r"\1", sentence)


def alternatives(pattern: str) -> str:
    """A pattern that was written over several lines, with spaces around its ``|``, as ``re`` takes it."""
    return re.sub(r"\s*\|\s*", "|", re.sub(r"\n\s*", "", pattern.strip()))


def _clause(part: str) -> str:
    return _OF_NO_WORD.sub(" ", part).strip()
