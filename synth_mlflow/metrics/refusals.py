"""Refusals and remarks of assistants that stand in place of a text or around it, in fourteen languages."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pandas as pd


@dataclass(frozen=True)
class Phrases:
    """What assistants say and people hardly write, in one language and in small letters."""

    remarks: tuple[str, ...]
    """Anywhere: that it is a model, or that it will not do a task. A refusal names the task, a remark goes on."""
    openings: tuple[str, ...]
    """At the beginning: what is said before the text that was asked for."""


_ENGLISH = Phrases(
    (
        r"as an? (?:ai|artificial intelligence|(?:large )?language model)\b",
        r"i(?:'|’)?(?:m| am) (?:sorry|afraid)\b[^.]{0,40}\b(?:can(?:'|’)?t|cannot|can not|unable)\b",
        r"i (?:cannot|can(?:'|’)t|can not|won(?:'|’)t|am unable to|am not able to) (?:help|assist|comply|"
        r"fulfil|fulfill|provide|generate|create|write|continue|do that)",
        r"i (?:do not|don(?:'|’)t) (?:have|possess) (?:personal|feelings|opinions|access to)\b",
    ),
    (
        r"(?:sure|certainly|of course)[,!:.]? (?:here|below) (?:is|are|(?:'|’)s)\b",
        r"here(?:'|’)?s? (?:is|are) (?:a|an|the|your|some) (?:\w+ )?(?:review|text|example|sentence|"
        r"message|row)s?\b",
    ),
)
_GERMAN = Phrases(
    (
        r"als (?:eine? )?(?:ki(?:-\w+)?|künstliche intelligenz|"
        r"(?:großes )?(?:ki-)?sprachmodell),? (?:kann|darf|habe|bin|werde|besitze|verfüge|ist es mir)\b",
        r"ich (?:kann|darf|werde) (?:dir |ihnen |euch )?(?:leider )?(?:(?:dabei|damit|bei dieser \w+|"
        r"bei diesem \w+) (?:leider )?nicht (?:weiter)?helfen|(?:dies\w*|ihre\w*|deine\w*|"
        r"solche) \w+ (?:leider )?nicht (?:erfüllen|nachkommen|erstellen|schreiben|verfassen|generieren|"
        r"bearbeiten)|keine\w* (?:\w+ ){1,5}(?:erstellen|schreiben|verfassen|generieren)\b)",
        r"(?:dabei|damit) kann ich (?:dir |ihnen |euch )?(?:leider )?nicht (?:weiter)?helfen",
        r"ich habe keine (?:persönlichen (?:gefühle|meinungen|erfahrungen)|eigenen (?:gefühle|meinungen))",
        r"kann ich (?:dir |ihnen |euch )?(?:leider )?"
        r"(?:dabei|damit|bei dieser \w+|bei diesem \w+) nicht (?:weiter)?helfen",
    ),
    (
        r"(?:natürlich|gerne?|selbstverständlich|klar|sicher)[,!:.]? hier (?:ist|sind|kommt|kommen)\b",
        r"hier (?:ist|sind|folgt|folgen) (?:ein\w*|einige|die|der|das|dein\w*|"
        r"ihr\w*) (?:\w+ )?(?:rezension|bewertung|text|beispiel|satz|sätze|nachricht|kritik)\w{0,3}\b",
    ),
)
_FRENCH = Phrases(
    (
        r"en tant qu(?:e |['’])(?:une? )?(?:ia|intelligence artificielle|(?:grand )?modèle de langage|"
        r"assistante? (?:ia|virtuel))",
        r"je (?:ne (?:peux|suis|saurais)|n['’]ai) (?:malheureusement )?(?:pas|pas en mesure|pas capable|"
        r"pas la possibilité) ?(?:de |d['’])?(?:vous aider|t['’]aider|répondre à (?:cette|votre) demande|"
        r"satisfaire (?:cette|votre) demande|(?:écrire|rédiger|générer|créer|fournir) (?:ce|cet|cette|de|"
        r"d['’]|une?)\b)",
        r"je n['’]ai pas d(?:e |['’])(?:opinions?|sentiments?|émotions?|expériences?) personnel",
    ),
    (
        r"(?:bien sûr|certainement|d['’]accord|avec plaisir)\s?[,!:.]? (?:voici|voilà)\b",
        r"voici (?:une?|des|quelques|la|les|votre) (?:\w+ )?(?:critique|avis|texte|exemple|phrase|message|"
        r"commentaire)s?\b",
    ),
)
_SPANISH = Phrases(
    (
        r"como (?:una? )?(?:ia|inteligencia artificial|(?:gran )?modelo de lenguaje|asistente (?:de ia|"
        r"virtual)),? (?:no|yo|puedo|mi|carezco)\b",
        r"no (?:puedo|me es posible|soy capaz de) (?:ayudarte|ayudarle|ayudar con (?:eso|esto|esa|esta)|"
        r"cumplir con (?:esa|esta|tu|su)|(?:escribir|redactar|generar|crear|proporcionar) (?:ese|esa|este|"
        r"esta|una?|ese tipo) )",
        r"no tengo (?:opiniones|sentimientos|emociones|experiencias) personales\b",
    ),
    (
        r"(?:¡?claro(?: que sí)?|¡?por supuesto|¡?desde luego)\s?[,!:.]+ (?:aquí|a continuación)\b",
        r"(?:aquí (?:tienes|tiene|está|están|hay|te dejo)) (?:una?|unas|unos|algunas|algunos|la|el|"
        r"tu) (?:\w+ )?(?:reseña|texto|ejemplo|frase|oración|mensaje|opinión|comentario)\w{0,3}\b",
    ),
)
_PORTUGUESE = Phrases(
    (
        r"como (?:uma? )?(?:ia|inteligência artificial|(?:grande )?modelo de linguagem|"
        r"assistente (?:de ia|virtual)),? (?:não|eu|posso|minha)\b",
        r"não (?:posso|consigo|sou capaz de) (?:ajudá-lo|ajudá-la|te ajudar|ajudar com (?:isso|isto|esse|"
        r"essa)|ajudar você|atender a (?:esse|essa|este|esta|seu|sua)|(?:escrever|redigir|gerar|criar|"
        r"fornecer) (?:esse|essa|este|esta|uma?) )",
        r"não (?:tenho|possuo) (?:opiniões|sentimentos|emoções|experiências) pessoais\b",
    ),
    (
        r"(?:claro(?: que sim)?|certamente|com certeza|com prazer)\s?[,!:.]+ (?:aqui|segue|seguem)\b",
        r"(?:aqui (?:está|estão|vai|vão)|segue|seguem) (?:uma?|umas|uns|algumas|alguns|a|o|sua|"
        r"seu) (?:\w+ )?(?:resenha|avaliação|texto|exemplo|frase|mensagem|crítica|comentário)\w{0,3}\b",
    ),
)
_ITALIAN = Phrases(
    (
        r"in quanto (?:ia|intelligenza artificiale|(?:grande )?modello (?:linguistico|di linguaggio)|"
        r"assistente (?:ia|ai|virtuale))\b",
        r"come (?:(?:una? )?(?:intelligenza artificiale|modello (?:linguistico|di linguaggio))),? (?:non|"
        r"io|posso)\b",
        r"non (?:posso|sono in grado di|riesco a) (?:aiutarti|aiutarla|aiutarvi|soddisfare (?:questa|"
        r"la tua|la sua)|(?:scrivere|generare|creare|fornire|redigere) (?:questo|questa|quest['’]|una?|"
        r"un['’]|recensioni|testi|contenuti))",
        r"non ho (?:opinioni|sentimenti|emozioni|esperienze) personali\b",
    ),
    (
        r"(?:certo|certamente|ovviamente|volentieri|con piacere)\s?[,!:.]+ ecco\b",
        r"ecco (?:una?|un['’]|alcune|alcuni|la|il|le|i|la tua) ?(?:\w+ )?(?:recension[ei]|testo|testi|"
        r"esempi|esempio|fras[ei]|messaggi|messaggio|commento)\b",
    ),
)
_DUTCH = Phrases(
    (
        r"als (?:een )?(?:ai(?:-\w+)?|kunstmatige intelligentie|(?:groot )?taalmodel),? (?:kan|mag|heb|"
        r"ben|zal|beschik)\b",
        r"ik kan (?:je |u |jullie )?(?:helaas )?(?:(?:hier|daar)(?:mee|"
        r"bij) (?:helaas )?niet (?:verder )?helpen|(?:dit|deze|dat|die|uw|"
        r"je) \w+ (?:helaas )?niet (?:schrijven|maken|genereren|uitvoeren|inwilligen)|"
        r"geen (?:\w+ ){1,5}(?:schrijven|genereren)\b)",
        r"(?:hier|daar)(?:mee|bij) kan ik (?:je |u |jullie )?(?:helaas )?niet (?:verder )?helpen",
        r"ik heb geen (?:persoonlijke (?:meningen?|gevoelens|ervaringen)|eigen (?:mening|gevoelens))\b",
        r"(?:ik kan|kan ik) (?:je |u |jullie )?(?:helaas )?(?:(?:hier|daar) )?niet (?:mee|bij) (?:verder )?helpen",
    ),
    (
        r"(?:natuurlijk|zeker|uiteraard|graag)[,!:.]? hier (?:is|zijn|volgt|volgen)\b",
        r"hier (?:is|zijn|volgt|volgen) (?:een|enkele|de|het|je|uw) (?:\w+ )?(?:recensie|tekst|voorbeeld|"
        r"zin|bericht|beoordeling)\w{0,3}\b",
    ),
)
_POLISH = Phrases(
    (
        r"jako (?:ai|sztuczna inteligencja|(?:duży )?model językowy|asystent ai),? (?:nie|mogę|mam|"
        r"jestem)\b",
        r"nie (?:mogę|jestem w stanie|potrafię) (?:ci |państwu |panu |pani )?(?:w tym )?(?:pomóc w (?:tym|"
        r"tej)|spełnić (?:tej|twojej|państwa)|(?:napisać|wygenerować|stworzyć) (?:tego|tej|takiego|takiej|"
        r"recenzji|tekstu))\b",
        r"nie (?:mam|posiadam) (?:osobistych|własnych) (?:opinii|uczuć|doświadczeń|poglądów)\b",
        r"nie (?:mogę|jestem w stanie|potrafię) (?:ci |państwu |panu |pani )?w tym pomóc",
    ),
    (
        r"(?:oczywiście|jasne|pewnie|z przyjemnością)\s?[,!:.]+ oto\b",
        r"oto (?:\w+ )?(?:recenzj[aei]|teksty?|przykład(?:y|ów)?|zdani[ae]|wiadomość|opini[ae])\b",
    ),
)
_RUSSIAN = Phrases(
    (
        r"как (?:ии|искусственный интеллект|(?:большая )?языковая модель|ии-ассистент|ии-помощник),? (?:я|"
        r"не|у меня)\b",
        r"я (?:\w+ )?не (?:могу|в состоянии|способен|способна) (?:вам |тебе )?(?:помочь (?:вам |"
        r"тебе )?(?:с|в) (?:этим|этой|этом)|выполнить (?:этот|эту|ваш|твой|данный)|(?:написать|создать|"
        r"сгенерировать) (?:так\w+|эт\w+|отзыв|текст|рецензию))",
        r"у меня нет (?:личных|собственных) (?:мнений|чувств|эмоций|переживаний|предпочтений)\b",
        r"я (?:\w+ )?не (?:могу|в состоянии) (?:вам |тебе )?(?:с|в) эт(?:им|ом) помочь",
    ),
    (
        r"(?:конечно|разумеется|с удовольствием)\s?[,!:.]+ вот\b",
        r"вот (?:\w+ )?(?:отзыв|отзывы|рецензия|пример|примеры|примеров|предложение|сообщение|текст|тексты)(?:\s*:|"
        r"\s+(?:на|о|об|для) )",
    ),
)
_TURKISH = Phrases(
    (
        r"bir (?:yapay zek[aâ]|(?:büyük )?dil modeli)(?: \w+){0,2} olarak,? (?:\w+ ){0,6}(?:yapamam|edemem|"
        r"veremem|yazamam|yardımcı olamam|sahip değilim|\w+m(?:ı|i|u|ü)yorum)\b",
        r"(?:bu konuda|buna|bu isteğ\w+|bu taleb\w+) (?:size |sana )?(?:maalesef )?(?:yardımcı olamam|"
        r"yardım edemem|yerine getiremem|karşılayamam)\b",
        r"kişisel (?:görüşlerim|duygularım|deneyimlerim|fikirlerim) yok\b",
    ),
    (
        r"(?:elbette|tabii(?: ki)?|memnuniyetle)\s?[,!:.]+ işte\b",
        r"işte (?:bir|birkaç|size) (?:\w+ )?(?:yorum|metin|örnek|cümle|mesaj|inceleme)\b",
    ),
)
_ARABIC = Phrases(
    (
        r"(?:بصفتي|باعتباري|كوني) (?:نموذج|ذكاء|مساعد)",
        r"(?:كنموذج لغوي|كنموذج لغة|كذكاء اصطناعي)\b",
        r"لا (?:أستطيع|يمكنني) (?:مساعدتك|مساعدتكم|المساعدة في (?:هذا|ذلك|هذه)|تلبية (?:هذا|طلبك)|"
        r"(?:كتابة|إنشاء|توليد) (?:هذا|هذه|مثل|مراجعة|نص))",
        r"ليس لدي (?:آراء|مشاعر|تجارب) شخصية\b",
    ),
    (
        r"(?:بالطبع|بالتأكيد|حسن[اً]+)\s?[،,!:.]* ?(?:إليك|إليكم|هذه? )",
        r"إليك(?:م)? (?:بعض )?(?:مراجعة|مراجعات|نص|نصوص|مثال|(?:ال)?أمثلة|جملة|رسالة)",
    ),
)
_JAPANESE = Phrases(
    (
        r"(?:(?<![a-z])ai|人工知能|言語モデル)(?:アシスタント|言語モデル)?"
        r"(?:として|である私|なので|ですので|のため)、?[^。]{0,40}(?:できません|出来ません|"
        r"ありません|持っていません|持ちません|いたしかねます)",
        r"(?:申し訳(?:ありません|ございません)|すみません|ごめんなさい)が?[、。,]?[^。]{0,40}(?:お手伝い|お答え|お応え|作成|生成|執筆|書くこと|ご要望|"
        r"リクエスト)[^。]{0,20}(?:できません|出来ません|できかねます|いたしかねます|応じかねます)",
    ),
    (
        r"(?:もちろん(?:です)?|かしこまりました|承知(?:いた)?しました|はい)[、。!！][^。]{0,20}(?:以下|こちら)(?:は|が|に)",
        r"(?:以下|こちら)(?:は|が|に)[^。]{0,20}(?:レビュー|文章|例文|例|メッセージ|テキスト|口コミ)(?:です|を(?:示|作成|書)|になります)",
    ),
)
_CHINESE = Phrases(
    (
        r"(?:作为|作為|身为|身為)(?:一[个個名款]|一种)?[^，。,]{0,6}"
        r"(?:ai|人工智[能慧]|语言模型|語言模型)[^。]{0,30}(?:我|无法|無法|不能|没有|沒有)",
        r"我(?:是|只是)一[个個名款](?:ai|人工智[能慧]|语言模型|語言模型|大型语言模型|大型語言模型)",
        r"(?:抱歉|对不起|對不起|很遗憾|很遺憾)[，,。!！]?(?:但)?(?:我)?(?:无法|無法|不能|没办法|沒辦法)(?:为您|為您|为你|為你|帮您|幫您|帮你|幫你|协助|協助|"
        r"帮助|幫助|提供|生成|撰写|撰寫|编写|編寫|完成|满足|滿足|回答|回应|回應|写|寫)",
    ),
    (
        r"(?:当然|當然|好的)(?:可以)?[，,!！。](?:以下|下面|这里|這裡|这|這)(?:是|有|为|為)一?[些个個条條篇段份則则:：]",
        r"(?:以下|下面)(?:是|为|為)[^。]{0,20}(?:评论|評論|评价|評價|文本|例子|示例|句子|消息|影评|影評)",
    ),
)
_KOREAN = Phrases(
    (
        r"(?:ai|인공지능|언어 ?모델)(?: ?(?:언어 ?모델|어시스턴트|비서))?"
        r"(?:로서|이기 때문에|이므로|이라서|라서)[^.]{0,60}(?:수 없|않습니다|없습니다)",
        r"(?:죄송(?:합니다|하지만)|미안하지만)[,.]?[^.]{0,40}(?:도와드릴|도움을 드릴|작성해 ?드릴|"
        r"작성할|제공할|생성할|들어드릴|"
        r"답변(?:을 )?드릴) 수 (?:가 )?없",
    ),
    (
        r"(?:물론(?:입니다|이죠|이에요)?|네|알겠습니다)[,.!] ?(?:다음은|여기|아래는)",
        r"(?:다음은|아래는)[^.]{0,20}(?:리뷰|문장|예시|예문|메시지|텍스트|후기)(?:입니다|예요|이에요)",
    ),
)

PHRASES: Mapping[str, Phrases] = {
    "en": _ENGLISH, "de": _GERMAN, "fr": _FRENCH, "es": _SPANISH, "pt": _PORTUGUESE, "it": _ITALIAN, "nl": _DUTCH,
    "pl": _POLISH, "tr": _TURKISH, "ru": _RUSSIAN, "ar": _ARABIC, "ja": _JAPANESE, "zh": _CHINESE, "ko": _KOREAN,
}  # fmt: skip
"""By language: whatever assistants are asked to write, they may say this in any."""
SPACED, UNSPACED = ("ru", "ar"), ("ja", "zh", "ko")
"""Languages in other alphabets, which texts of ASCII letters are not asked for; with and without spaces."""
DOTTED = "i\u0307"  # a small İ


def refusals(texts: pd.Series) -> npt.NDArray[np.bool_]:
    """Which texts are refusals or remarks of an assistant; an array of shape (n_texts,).

    Examples
    --------
    >>> refusals(pd.Series(["A warm film.", "Als KI-Sprachmodell kann ich das nicht.", None])).tolist()
    [False, True, False]
    """
    return np.array(
        [isinstance(text, str) and _is_one(text.lower().replace(DOTTED, "i")) for text in texts], dtype=np.bool_
    )


def _is_one(text: str) -> bool:
    if _LATIN.search(text) or _LATIN_OPENINGS.match(text):
        return True
    return not text.isascii() and bool(_OTHER.search(text) or _OTHER_OPENINGS.match(text))


def _remarks(languages: Iterable[str]) -> str:
    return "|".join(each for language in languages for each in PHRASES[language].remarks)


def _openings(languages: Iterable[str]) -> re.Pattern[str]:
    return re.compile(rf"\s*(?:{'|'.join(each for language in languages for each in PHRASES[language].openings)})")


_IN_LATIN = [language for language in PHRASES if language not in (*SPACED, *UNSPACED)]
_LATIN = re.compile(rf"\b(?:{_remarks(_IN_LATIN)})")
_LATIN_OPENINGS = _openings(_IN_LATIN)
_OTHER = re.compile(rf"\b(?:{_remarks(SPACED)})|{_remarks(UNSPACED)}")
_OTHER_OPENINGS = _openings((*SPACED, *UNSPACED))
