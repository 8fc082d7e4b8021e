"""Which messages tell the reader how to opt out: an instruction counts, the word STOP alone does not."""

import pytest

from engage.statuses import TextClass
from engage.texts.opt_out_line import OPT_OUT_LINE, says_how_to_opt_out
from engage.texts.opt_out_words import classify

INSTRUCTIONS = [
    OPT_OUT_LINE, "Text STOP to end", "Come back! Reply STOP to end", "reply stop to unsubscribe", "Reply STOP",
    'Reply "STOP" to cancel', "Reply 'stop'", "txt STOP 2 end", "STOP to opt out", "STOP=end", "STOP ends this",
    "Hi, STOP to end", "To opt out, text STOP", "Opt out: STOP", "Send STOP to 12345 to quit", "STOP to end texts",
    "Msg&data rates may apply. Reply STOP to cancel, HELP for help.", "Reply with STOP to opt-out of texts",
    "Reply UNSUBSCRIBE to stop", "Unsubscribe? Reply STOP", "No more texts? Reply STOP", "STOP2END", "Stop: STOP",
    "Responde STOP para cancelar", "Envía STOP para darte de baja", "Responde BAJA", "Responda STOP para sair",
    "Envoyez STOP", "STOP au 36111", "Répondez STOP pour ne plus recevoir nos messages",
    "Antworte STOP", "Antworten Sie mit STOP, um sich abzumelden", "Abmelden mit STOP", "STOP zum Abmelden",
    "Rispondi STOP per annullare", "Antwoord STOP", "Stuur STOP om af te melden", "Wyślij STOP",
    "Odpowiedz STOP, aby zrezygnować", "回复STOP退订", "退订回复STOP", "回覆STOP取消訂閱", "「STOP」と返信してください",
    "STOP라고 답장하세요", "수신거부: STOP", "Soạn STOP để hủy", "Ответьте STOP, чтобы отписаться", "Ответьте СТОП",
    "Надішліть STOP, щоб відписатися", "أرسل STOP لإلغاء الاشتراك", "להסרה השיבו STOP", "STOP yazıp gönderin",
    "İptal için STOP yazın", "I-text ang STOP", "Mag-reply ng STOP", "STOP भेजें", "STOP लिखकर भेजें",
    "Balas STOP untuk berhenti", "Skicka STOPP för att avsluta", "Voye STOP pou sispann",
]  # fmt: skip
NONE = [
    "", "STOP", "STOP by today for 10% off!", "Don't STOP believing", "NON-STOP fun", "NONSTOP fun", "Please stop by",
    "Hi Ada STOP", "STOP! Half price tacos", "Stop to smell the fries", "STOP in to cancel your hunger",
    "Text us and STOP by", "We text non-STOP fun", "Don't reply STOP, you'd miss out", "Never text STOP",
    "PIT STOP? Send friends!", "Bus STOP on 5th", "Full STOP.", "Tell a friend. STOP waiting",
    "We can't stop. Reply YES", "STOP to end your hunger!", "Use code STOPHUNGER", "Send STOPWATCH",
    "Text the word TACO to stop hunger", "Reply YES. STOP scrolling", "With non-stop music",
    "with STOP signs half price", "Say STOP to hunger", "ALTO! Tacos", "Try our BAJA tacos", "Con BAJA fries",
    "Text a friend about BAJA tacos", "STOP waiting to cancel", "No pares: STOP al hambre", "Stopp dem Hunger!",
]  # fmt: skip


@pytest.mark.parametrize("text", INSTRUCTIONS)
def test_an_instruction_is_recognised(text):
    assert says_how_to_opt_out(text)
    assert says_how_to_opt_out(f"We miss you! 10% off your next meal. {text}")


@pytest.mark.parametrize("text", NONE)
def test_the_word_alone_is_no_instruction(text):
    assert not says_how_to_opt_out(text)


@pytest.mark.parametrize("word", ["STOP", "STOPP", "STOPALL", "UNSUBSCRIBE", "ARRET", "ARRÊT", "BAJA", "ALTO", "СТОП"])
def test_the_answer_that_an_instruction_names_opts_out(word):
    assert says_how_to_opt_out(f"Reply {word} to opt out")
    assert classify(word) in (TextClass.STOP, TextClass.REVOCATION)
