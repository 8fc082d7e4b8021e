"""How phones put a reaction to a message into words: ``Loved “…”``, ``Hat „…“ mit „Gefällt mir“ markiert``."""

from __future__ import annotations

import re
from functools import cache

from engage.texts.plain_words import alternatives, fold

_BEFORE = {
    "English": r"""loved | liked | disliked | laughed(?: at)? | emphasi[sz]ed | questioned | hearted | reacted
        | removed | unliked | reacts | likes | loves""",
    "Spanish": r"""(?:no )?(?:le | les | me) (?:encant | gust | dio risa | hizo gracia | parecio | divirtio
        | molest)\w* | se (?:rio | ha reido | burlo) | (?:ha )?(?:enfatiz | destac | resalt | cuestion | pregunt
        | reaccion | elimin | quit | subray | puso | marc | duda)\w*""",
    "Portuguese": r"""(?:nao )?(?:amou | adorou | curtiu | gostou | riu | deu | enfatizou | destacou | questionou
        | reagiu | removeu | achou | marcou | duvidou)""",
    "French": r"""(?:a | n a pas | n a | est | s est | il a | elle a) (?:pas )?(?:adore | aime | ri | souligne | mis
        | interroge | questionne | reagi | supprime | retire | deteste | accentue | insiste | rigole | demande
        | exprime | met | trouve | enleve)\w* | adore | aime | n aime pas""",
    "Italian": r"""(?:ha | non ha | gli | le | si e | non gli e | e | non e) (?:adorato | messo | riso | enfatizzato
        | evidenziato | rimosso | reagito | apprezzato | amato | risposto | dubitato | sottolineato | piaciut\w*
        | fatto | trovato | e piaciut\w* | chiesto | aggiunto | tolto | contestato) | mi piace""",
    "German": r"""hat | gefallt | gefiel | liebt\w* | lachte? | lacht uber | betonte? | hinterfragte? | reagiert\w*
        | mochte | mag | fand | findet | fragt\w* | entfernt\w* | hob""",
    "Dutch": r"""vond | vindt | heeft | lach\w* | benadruk\w* | beklemtoon\w* | stelde | zette | reageer\w*
        | verwijderd\w* | plaatste | houdt van | hield van | had""",
    "Swedish": r"""gillad\w* | gillar | ogilla\w* | alskad\w* | alskar | skrattad\w* | skrattar | betonad\w*
        | ifragasatt\w* | reagerad\w* | tog bort | hjartad\w* | markerad\w* | har reagerat""",
    "Polish": r"""(?:nie )?(?:uwielbia | polubil\w* | lubi | podoba | spodobal\w* | rozsmieszyl\w* | smiej\w*
        | zasmial\w* | podkresl\w* | wyrozni\w* | zakwestionowa\w* | zareagowal\w* | usun\w* | pokochal\w* | kocha
        | oznaczyl\w* | watpi | zapytal\w*)(?: (?:sie | sobie | to))?""",
    "Russian": r"""(?:не )?(?:нрав | понрав | выдел | подчеркн | сме | посмеял | рассмеш | вопрос | отреагир | реакц
        | реагир | удал | поставил | добавил | люб | отметил | лаикн | убрал | обожа | спросил
        | полюбил | оценил)\w*""",
    "Ukrainian": r"""(?:не )?(?:подоба | сподоба | вподоба | реаг | відреаг | виділ | розсмі | смі | видал | люб
        | підкресл | постави | запит)\w*""",
    "Vietnamese": r"""da (?:yeu | thich | khong | cuoi | nhan | dat | hoi | bay | tha | xoa | bo | phan | go)
        | (?:khong )?thich | yeu thich | tha (?:tim | cam) | bay to""",
    "Indonesian": r"""(?:tidak )?(?:menyukai | mencintai | suka | tertawa\w* | menertawakan | menekankan
        | mempertanyakan | bereaksi | memberi\w* | menghapus | menandai | disukai) | membenci""",
    "Tagalog": r"""(?:hindi )?(?:na)?(?:gustuhan | minahal | nag ?react | pinuso | natawa | tinawanan | binigyang
        | kinuwestiyon | tinanong | inalis)(?: \w+)? | ni ?react | hindi gusto""",
    "Haitian Creole": r"(?:li )?(?:pa )?(?:renmen | reyaji | ri)",
    "Arabic": r"""(?:لم | قام ب | تم )?(?:احب | اعجب | يعجب | ضحك | اكد | شدد | تساءل | تفاعل | ازال | ابدى | استفسر
        | اعجاب | التفاعل | اضاف | سال | شكك)\w*""",
    "Hebrew": r"""(?:לא )?(?:אהב | צחק | הדגיש | תהה | תהתה | הגיב | הסיר | סימנ? | שאל | הטיל | חיבב | התלהב)\w*""",
    "Chinese": r"""(?:不?喜欢 | 不?喜爱 | 点赞 | 赞 | 踩 | 强调 | 质疑 | 疑问 | 大笑 | 哈哈 | 笑 | 用 | 对 | 给 | 为
        | 已 | 回应 | 取消 | 移除 | 添加 | 觉得 | 爱)\S{0,12}""",
}
"""What stands before the quoted message, folded, by language; up to two words of a name may come first."""

_AFTER = r"""\b(?:markiert | geliked | reagiert | entfernt | hervorgehoben | gefallt | geherzt | gelacht)\b
    | \b(?:leuk gevonden | geweldig | leuk | grappig | gereageerd | benadrukt)\b
    | \b(?:begen\w* | sevdi | bayildi | guldu | vurgula\w* | sorgula\w* | tepki\w* | kaldirdi | ifade\w* | kalp
    | emin olamadi)\b | \b(?:pasand | like | love | react | pyar) kiya\b
    | पसंद | प्यार | नापसंद | हँस | हंस | जोर | सवाल | प्रतिक्रिया | लाइक | दिल | प्रश्न | महत्व
    | 表示 | 点赞 | 爱心 | 点了 | 反应 | 回应 | 大笑 | 强调 | 质疑 | 喜欢 | 喜爱
    | いいね | ハート | リアクション | 評価 | 強調 | 笑 | 疑問 | はてな | 大好き | よくない
    | 気に入 | 好き | びっくり | ラブ | 反応
    | 좋아 | 하트 | 사랑 | 싫어 | 웃 | 강조 | 물음표 | 반응 | 공감 | 느낌표 | 질문 | 마음에"""
"""What stands after it: German, Dutch, Turkish, Hindi, Chinese, Japanese, Korean."""
_EMOJI = re.compile("[\u2190-\u2bff\U0001f000-\U0001faff]")
_BESIDE_EMOJI, _LONGEST_AFTER = 3, 60


def reaction_before(before: str) -> bool:
    """Whether what stands before a quotation makes it a reaction's: ``Ada loved``, ``👍 to``."""
    words = re.sub(r"[^\w]+", " ", fold(before)).strip()
    if _EMOJI.search(before) and len(words.split()) <= _BESIDE_EMOJI:
        return True
    return _before().fullmatch(words) is not None


def reaction_after(after: str) -> bool:
    """Whether what stands after a quotation makes it a reaction's: ``を強調しました``."""
    return len(after) <= _LONGEST_AFTER and _after().search(fold(after)) is not None


@cache
def _before() -> re.Pattern[str]:
    verbs = "|".join(f"(?:{alternatives(pattern)})" for pattern in _BEFORE.values())
    return re.compile(rf"(?:\w+ ){{0,2}}?(?:{verbs})(?: \S+){{0,6}}")


@cache
def _after() -> re.Pattern[str]:
    return re.compile(fold(alternatives(_AFTER)))
