"""Refusals and remarks of assistants in several languages, and what people write that sounds like them."""

import pandas as pd
import pytest

from synth_mlflow.metrics.refusals import PHRASES, refusals

ASSISTANTS: dict[str, list[str]] = {
    "en": [
        "As an AI language model, I cannot help with that.",
        "I’m sorry, but I can’t write a review of this film.",
        "I am unable to provide this.",
        "Sure, here is a review:",
        "Here are some reviews of it:",
    ]
}
PEOPLE = {
    "en": [
        "I'm sorry to say that the film is dull.",
        "I cannot recommend it enough.",
        "Here is where the story turns.",
        "The robot says it is an AI of its time.",
    ]
}
IN_OTHERS = {
    "de": [
        "Als KI-Sprachmodell kann ich keine Filme bewerten.",
        "Es tut mir leid, aber ich kann keine Rezension zu diesem Film schreiben.",
        "Natürlich! Hier ist eine Rezension:",
        "Hier sind einige Beispiele:",
        "Hier sind einige Beispiele:",
    ],
    "fr": [
        "En tant que modèle de langage, je ne peux pas donner d'avis.",
        "En tant qu'IA, je n'ai pas d'opinions personnelles.",
        "Bien sûr ! Voici une critique :",
        "Voici quelques exemples :",
        "Voici quelques exemples :",
    ],
    "es": [
        "Como modelo de lenguaje, no puedo ver películas.",
        "Lo siento, pero no puedo ayudarte con eso.",
        "¡Claro! Aquí tienes una reseña:",
        "Aquí tienes algunos ejemplos:",
        "Aquí tienes algunos ejemplos:",
    ],
    "pt": [
        "Como um modelo de linguagem, não posso ver filmes.",
        "Desculpe, mas não posso ajudar com isso.",
        "Claro! Aqui está uma resenha:",
        "Aqui estão alguns exemplos:",
        "Desculpe, não consigo escrever uma avaliação deste filme.",
    ],
    "it": [
        "Come modello linguistico, non posso guardare film.",
        "In quanto IA, non ho opinioni personali.",
        "Certo! Ecco una recensione:",
        "Ecco alcuni esempi:",
        "Ecco alcuni esempi:",
    ],
    "nl": [
        "Als AI-taalmodel kan ik geen films bekijken.",
        "Het spijt me, maar ik kan je hier niet mee helpen.",
        "Natuurlijk! Hier is een recensie:",
        "Hier zijn enkele voorbeelden:",
        "Hier zijn enkele voorbeelden:",
    ],
    "pl": [
        "Jako model językowy nie mogę oglądać filmów.",
        "Przykro mi, ale nie mogę spełnić tej prośby.",
        "Oczywiście! Oto recenzja:",
        "Oto kilka przykładów:",
        "Niestety nie mogę napisać tej recenzji.",
    ],
    "ru": [
        "Как языковая модель, я не могу смотреть фильмы.",
        "Извините, но я не могу помочь с этим запросом.",
        "Конечно! Вот отзыв:",
        "Вот несколько примеров:",
        "Я не могу написать отзыв об этом фильме.",
    ],
    "tr": [
        "Bir yapay zeka dil modeli olarak film izleyemiyorum.",
        "Üzgünüm, bu konuda size yardımcı olamam.",
        "Elbette! İşte bir yorum:",
        "İşte birkaç örnek:",
        "İşte birkaç örnek:",
    ],
    "ar": [
        "بصفتي نموذجًا لغويًا، لا أستطيع مشاهدة الأفلام.",
        "عذرًا، لا يمكنني مساعدتك في ذلك.",
        "بالطبع! إليك مراجعة:",
        "إليك بعض الأمثلة:",
        "كنموذج لغوي، ليس لدي آراء شخصية.",
    ],
    "ja": [
        "AI言語モデルとして、映画を見ることはできません。",
        "申し訳ありませんが、そのリクエストにはお応えできません。",
        "申し訳ございませんが、お手伝いできません。",
        "もちろんです！以下はレビューです。",
        "私はAIなので、感情を持っていません。",
    ],
    "zh": [
        "作为一个AI语言模型，我不能看电影。",
        "抱歉，我无法满足您的请求。",
        "当然！以下是一篇影评：",
        "以下是几个例子：",
        "很抱歉，我无法提供这类内容。",
    ],
    "ko": [
        "AI 언어 모델로서 저는 영화를 볼 수 없습니다.",
        "죄송하지만 도와드릴 수 없습니다.",
        "다음은 리뷰 예시입니다:",
        "인공지능이기 때문에 감정이 없습니다.",
    ],
}
PEOPLE_IN_OTHERS = {
    "de": [
        "Es tut mir leid, aber ich kann heute nicht kommen.",
        "Natürlich ist hier alles teurer.",
        "KI wird als Chance und als Gefahr gesehen.",
        "Hier ist der Anfang der Geschichte.",
        "Ich kann ihm nicht helfen, sagt der Held.",
    ],
    "fr": [
        "Je suis désolé, je ne peux pas venir ce soir.",
        "Voici le temps des fêtes.",
        "Bien sûr, le film est long.",
        "L'intelligence artificielle change tout.",
    ],
    "es": [
        "Lo siento, no puedo ir esta noche.",
        "Claro que no me gustó.",
        "Aquí está la verdad de la historia.",
        "Como asistente al concierto, puedo decir que fue corto.",
    ],
    "pt": ["Desculpe, não posso ir hoje.", "Claro que não gostei.", "Aqui está a verdade."],
    "it": [
        "Mi dispiace, non posso venire stasera.",
        "Certo che il film è lungo.",
        "Ecco la fine della storia.",
        "Non posso aiutare tutti.",
    ],
    "nl": [
        "Het spijt me, ik kan vandaag niet komen.",
        "Natuurlijk is het hier duur.",
        "Hier is het begin van het verhaal.",
    ],
    "pl": ["Przepraszam, nie mogę dziś przyjść.", "Oczywiście film jest za długi.", "Oto koniec historii."],
    "ru": [
        "Извините, я не могу прийти сегодня.",
        "Конечно, фильм длинный.",
        "Вот и конец истории.",
        "Вот текст и забылся.",
    ],
    "tr": ["Üzgünüm, bugün gelemem.", "Elbette film uzun.", "İşte hikayenin sonu."],
    "ar": ["عذرًا، لا أستطيع الحضور اليوم.", "بالطبع الفيلم طويل."],
    "ja": ["申し訳ありませんが、今日は行けません。", "もちろん映画は長いです。", "こちらは静かな町です。"],
    "zh": ["对不起，我今天不能来。", "当然电影很长。", "以下是故事的结局。", "好的，这是我的家。"],
    "ko": ["죄송하지만 오늘은 갈 수 없습니다.", "물론 영화는 길어요.", "여기는 조용한 마을입니다."],
}


@pytest.mark.parametrize("language", PHRASES)
def test_remarks_of_assistants_are_found_in_each_language(language):
    said = pd.Series((ASSISTANTS | IN_OTHERS)[language])
    assert said[~refusals(said)].tolist() == []
    assert refusals("\n " + said).all()


@pytest.mark.parametrize("language", PHRASES)
def test_what_people_write_is_none(language):
    written = pd.Series((PEOPLE | PEOPLE_IN_OTHERS)[language])
    assert written[refusals(written)].tolist() == []


def test_what_is_no_text_is_none():
    assert refusals(pd.Series([None, "", float("nan")], dtype=object)).tolist() == [False, False, False]
