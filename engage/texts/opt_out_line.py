"""The sentence of a message that says how to opt out: whether a text has one, and the one to add otherwise."""

from __future__ import annotations

import re
from functools import cache

from engage.texts.plain_words import alternatives

OPT_OUT_LINE = "Reply STOP to opt out."

_MARKS = "[\"'“”„‟‘’«»‹›「」『』()*:# ]{0,4}+"
_STOP = rf"""{_MARKS}(?<![A-Za-z])(?:STOPP? | STOPALL | UNSUBSCRIBE | ARR[EÊ]T | BAJA | ALTO | СТОП
    | [Ss]top(?= (?:to | 2 | for | if)\b | ["'”’»」]))(?![A-Za-zА-я0-9_-])"""
"""The word to answer. In small letters it counts only in quotation marks, or with its purpose: stop to end."""

_ANSWER = {
    "English": "reply | replying | respond | answer | text | txt | send | type | write | message | msg | sms",
    "Spanish": """responde | responda | respondan | responder | contesta | conteste | env[ií]a | env[ií]e | env[ií]en
        | enviar | manda | mande | escribe | escriba""",
    "Portuguese": "respondam | responder com | envie | mandem | digite | escreva | mensagem",
    "French": "r[ée]pond(?:ez | s | re) | envo(?:yez | ie | yer) | textez | tapez | [ée]cri(?:vez | s | re)",
    "German": """antwort(?:e | en | et) | antworten sie | sende | senden | sendet | schreib(?:e | en | t)?
        | schick(?:e | en | t)? | per sms""",
    "Italian": "rispond(?:i | ete | ere | a) | invi(?:a | are | ate) | scriv(?:i | ere | ete) | digita | mandare",
    "Dutch": "antwoord | antwoorden | beantwoord | stuur | sturen | reageer | typ | sms naar",
    "Polish": "odpowiedz | odpisz | wy[śs]lij | napisz | wpisz | wy[śs]lij sms | o tre[śs]ci",
    "Vietnamese, Turkish": "trả lời | soạn | soạn tin | gửi | nhắn | nhắn tin | yanıtla | yanıtlayın",
    "Tagalog, Indonesian": "i-?text | mag-?reply | sumagot | ipadala | magpadala | balas | ketik | kirim",
    "Swedish, Haitian Creole, Hindi": "svara | skicka | sms:a | skriv | reponn | voye | ekri | jawab | bhejen",
}
"""What tells the reader to answer, in front of the word."""
_BETWEEN = """with | back | the | word | a | la | palabra | le | mot | das | wort | mit | sie | met | het | woord | con
    | com | par | avec | ang | ng | à | au | à ce numéro | słowo | sms | message | us | your | ett"""
_ANSWER_IN_OTHER_SCRIPTS = {
    "Chinese": "回复 | 回覆 | 回 | 发送 | 發送 | 傳送 | 传送 | 输入 | 輸入 | 编辑 | 短信",
    "Russian, Ukrainian": """ответьте | ответь | отправьте | отправь | напишите | пришлите | наберите | ответом | слово
        | відповідайте | надішліть | відправте | напишіть""",
    "Arabic": "أرسل | ارسل | أرسلوا | رد ب | ردوا | اكتب | بكلمة | كلمة | ابعت | للإلغاء",
    "Hebrew": "השב | השיבו | השיבי | שלח | שלחו | שלחי | כתבו | הגיבו | הקישו",
}
_ANSWER_BEHIND = {
    "Japanese": "と返信 | と送信 | を返信 | を送信 | と入力 | とご返信 | とご?送信 | を入力 | と記入",
    "Korean": "라고 | 이라고 | 으로 답장 | 로 답장 | 회신 | 답장 | 문자 | 전송 | 입력 | 보내",
    "Hindi": "लिख | भेज | टाइप | bhej | likh | reply kar",
    "Turkish": "yaz | gönder | yanıt | cevap | diye",
}
"""The same behind the word."""

_TO_LEAVE = """opt[ -]?out | optout | unsubscribe | unsub | cancel | quit | stop | end | leave | be removed | remove
    | discontinue | no longer | halt | exit | withdraw | unenroll"""
_OUR_TEXTS = r"""(?= *(?:[.!?)\]"'”’,;/ | \n] | $) | (?: (?:these | this | the | all | our | your | my | any | future
    | receiving | getting | from | to | sms | text | marketing | promo\w*))* (?:texts? | messages? | msgs? | sms
    | alerts? | promos? | promotions? | subscription | offers | updates | notifications? | them | it | this
    | receiving | service | marketing | list)\b)"""
"""Nothing else may end: STOP to end your hunger is no way out."""
_TO_LEAVE_ELSEWHERE = {
    "Spanish, Portuguese, Tagalog": """para (?:cancelar | salir | darte de baja | darse de baja | dejar | no recibir
        | finalizar | detener | terminar | sair | parar | deixar | remover | descadastrar | desinscrever | tumigil
        | ihinto | mag) | upang""",
    "French": r"""pour (?:vous d[ée]s | te d[ée]s | se d[ée]s | ne plus | arr[êe]ter | annuler | mettre fin | d[ée]s)
        | (?:sms )?au \+?\d{3,}""",
    "German": """zum (?:abmelden | abbestellen | beenden | stoppen | k[üu]ndigen) | um (?:sich | dich | die | keine)
        | f[üu]r (?:abmeldung | abbestellung | keine) | zur abmeldung | abmelden | abbestellen""",
    "Italian": """per (?:annullare | cancellart?[is]?i | disiscriver | non ricevere | disattivare | uscire
        | interrompere | smettere | terminare)""",
    "Dutch": """om (?:af te melden | te stoppen | je af | u af | uit te | geen | op te zeggen) | voor afmelden
        | afmelden""",
    "Polish, Russian, Ukrainian": "aby | żeby | w celu | chcąc | by (?:zrezygnować | wypisać) | чтобы | для | щоб",
    "Swedish, Haitian Creole": """f[öo]r att (?:avsluta | avregistrera | sluta | inte | avs[äa]ga)
        | pou (?:sispann | dezab | kanpe | pa)""",
    "Vietnamese, Indonesian": """để (?:hủy | huỷ | dừng | ngừng | từ chối | không)
        | untuk (?:berhenti | batal | unsub | tidak)""",
    "Hindi, Korean": "लिए | 로 수신",
}
_WAY_OUT = r"""\b(?:opt[ -]?out | opt-outs? | unsubscribe | unsub | to (?:stop | end | cancel | quit | leave)
    | stop(?= ?[:=]) | abmelden | abmeldung | abbestellen | baja | darse de baja | darte de baja | cancelar
    | d[ée]sinscri\w* | d[ée]sabonn\w* | disiscri\w* | annullare | afmelden | uitschrijven | sair | rezygnacja | wypisz
    | wypisać się | отписаться | отписки | отписка | відписатися | hủy | huỷ | từ chối | iptal | berhenti | avregistrera
    | avsluta) | 退订 | 退訂 | 取消订阅 | 取消訂閱 | 拒收 | 配信停止 | 解除 | 停止 | 수신거부 | 수신 거부 | 해지
    | إلغاء الاشتراك | لإلغاء | להסרה | हटने | बंद करने"""
"""What a line begins with that names the purpose first: To opt out, text STOP."""


def says_how_to_opt_out(text: str) -> bool:
    """Whether the text tells the reader to answer STOP, in one of many languages.

    The word alone is no instruction: ``STOP by today for 10% off!`` is False, ``Text STOP to end`` is True.
    """
    return OPT_OUT_LINE in text or _instruction().search(text) is not None  # the pattern takes 20 ms to compile


@cache
def _instruction() -> re.Pattern[str]:
    answer, other, behind = map(_any, (_ANSWER, _ANSWER_IN_OTHER_SCRIPTS, _ANSWER_BEHIND))
    not_denied = r"(?<!n't )(?<!n’t )(?<!not )(?<!never )(?<!dont )"
    purpose = "to | 2 | = | - | – | : | -> | → | ends? | if you want to | and you are | for"
    forms = (
        rf"(?i:{not_denied}\b(?:{answer})(?: (?:{_BETWEEN})){{0,3}}) ?{_STOP}",
        rf"(?i:{other})[^.!?。！？\n]{{0,6}}?{_STOP}",
        rf"{_STOP}{_MARKS}(?:{behind})",
        rf"{_STOP}{_MARKS}(?i: ?(?:{purpose}) ?(?:{_TO_LEAVE})){_OUR_TEXTS}",
        rf"{_STOP}{_MARKS}(?i: ?(?:ends? | stops | cancels | unsubscribes)){_OUR_TEXTS}",
        rf"{_STOP}{_MARKS}(?i: ?(?:= | - | – | :)? ?(?:{_any(_TO_LEAVE_ELSEWHERE)}))",
        r"\bSTOP[24](?:END | QUIT | STOP | OPTOUT | CANCEL | UNSUB)\b",
        rf"(?i:{_WAY_OUT})[^.!?。！？\n]{{0,30}}?{_STOP}",
    )
    return re.compile(alternatives(" | ".join(forms)))


def _any(by_language: dict[str, str]) -> str:
    return " | ".join(by_language.values())
