"""The segmenter: a gold list of tricky cases, the laws of offsets, furniture, and real documents."""

import gzip
import json
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from stanceframe.data.furniture import is_furniture
from stanceframe.data.segment import INVISIBLE, segment

SHARED = Path(__file__).parents[2].parent / "shared"

# A bar stands where a sentence ends; everything else, white space included, is the text as it is.
GOLD: Mapping[str, Sequence[str]] = {
    "titles": (
        "Gen. Ri Yong Gil met the guests.| He smiled.",
        "Lt. Gen. Pak Jong Chon and Col. Gen. Kim Yong Bok flew to Kursk.| Both returned.",
        "Mr. Kim met Mrs. Choe and Dr. Han.| Prof. Lankov was not there.",
        "Sen. Graham, Rep. Kim and Gov. Kozhemyako sent letters.| None was answered.",
        "Russian Defence Minister Sergei K. Shoigu arrived.| He inspected the guard.",
        "George W. Bush coined the term.| J. R. Biden never used it.",
        "President Joseph R. Biden, Jr. of the United States spoke.| Martin Luther King Jr. was quoted.",
        "Adm. Samuel Paparo warned of it.| Capt. Ri and Sgt. O agreed.",
        "Ambassador A.I. Matsegora laid a wreath.| So did V. V. Putin.",
        "Vice Adm. Kim and Maj. Gen. Pak and Gen. Ri took part.| The drill ended.",
        "Pres. Yoon and Sec. Blinken talked.| Amb. Nebenzia walked out.",
        "Ms. Choe met Ms. Zakharova.| Dep. Minister Rudenko and Lieut. Gov. Kim joined.",
        "The post fell vacant.| J.D. Vance and B.J. Kim wanted it.",
        "Messrs. Kim and Putin signed it.| The Rev. Jackson prayed.",
    ),
    "countries and bodies": (
        "U.S. Secretary of State Antony Blinken condemned the deal.| Moscow shrugged.",
        "The missiles were supplied by the U.S. and its allies.| Russia protested.",
        "It was premeditated by the U.S.| And this clearly proves their hysteria.",
        "The shells were bought in the U.S.| The Kremlin denied it.",
        "The U.S. State Department and the U.N. Security Council met.| Nothing came of it.",
        "The U.K. Foreign Office and the E.U. Commission agreed.| Sanctions followed.",
        "The D.P.R.K. Foreign Ministry issued a statement.| It was short.",
        "They met in Washington, D.C. on Friday.| Talks went on.",
        "He lives in Washington, D.C.| She lives in Seoul.",
        "Samsung Electronics Co. Ltd. left Russia.| Apple Inc. followed.",
        "Rason Trading Co. shipped coal.| Corp. records show it.",
        "N. Korea fires missile toward S. Korea.| Japan issues alert.",
        "N.Korea and S.Korea exchanged fire.| Nobody was hurt.",
        "The U.S.-led drills began.| The U.S.S.R. fell in 1991.",
        "U.S. President Joe Biden called him a tyrant.| U.S. forces stood by.",
        "The ROK-U.S. drills and the anti-U.S. mood grew.| The DPRK-U.S. talks died.",
        "He was flown to the U.S.| He never came back.",
        "The St. Petersburg forum opened.| Mt. Paektu was shown on a screen.",
        "Washington St. Mary's Church and Ft. Bragg were named.| So was Ft. Hood.",
        "The aid came from the U.S., Japan and others.| It was little.",
        "The firm, Ryonbong General Corp., was named.| Its head, Mr. O, fled.",
    ),
    "numbers, times, dates": (
        "Rodong Sinmun No. 3 carried it.| Nos. 4 and 5 did not.",
        "Trade rose 3.5 percent to $34.4 million in 2023.| It had been $3.7 million.",
        "The launch came at 6:30 a.m. local time.| A second came at 7.15 p.m. on Tuesday.",
        "The train left at 5 p.m.| The guards stayed.",
        "He spoke at 2:38 P.M. CEST in Madrid.| Nobody asked anything.",
        "On Sept. 13 Kim met Putin.| On Aug. 18, KCNA spoke.",
        "The treaty was signed on June 19, 2024.| Article 4 caused alarm.",
        "It was in the year 2022.| The war went on.",
        "They fired 1,000 shells.| 20 were duds.",
        "Article 5.2 of Res. 2270 bans it.| Para. 8 bans more.",
        "Prices rose by 5%.| Wages fell by 1.2%.",
        "Kim was born in Jan. 1984.| Putin was born in Oct. 1952.",
        "The firm is no. 1 in Russia.| It was no. 2 before.",
        "The 7.62 mm rounds weigh approx. 8 g each.| They came by rail.",
        "See pp. 3-5 and Fig. 2 of vol. 1 for details.| The rest is secret.",
        "The answer was no.| The talks failed.",
    ),
    "latin and common abbreviations": (
        "Luxury goods, e.g. cars, cognac, etc. are banned.| They arrive anyway.",
        "The alliance, i.e. the treaty, is new.| It is broad.",
        "It was Russia vs. Ukraine again.| Kim et al. took sides.",
        "They sent coal, iron, seafood, etc.| The money came back in cash.",
        "Kim Il Sung (b. 1912, d. 1994) founded it.| His son followed.",
        "Ukraine (cf. Georgia) was invaded.| Others feared the same.",
    ),
    "quotes": (
        '"We stand with Russia."| Kim raised his glass.',
        '"Russia will win," Kim said.| "It is a sacred struggle."',
        '"Russia will win.| It is a sacred struggle," Kim said.',
        '"Will Moscow pay?" he asked.| Nobody answered.',
        '"Hurrah!" the soldiers shouted.| Kim waved.',
        '"Is this the end?" Lavrov asked.| "No."',
        "“We will respond.”| Choe Son Hui did not say how.",
        "He called it “a marriage of convenience.”| Others agreed.",
        "He said: “The West lies.| We do not.”| Then he left.",
        "‘They are desperate.’| That is Washington’s view.",
        "He called Putin 'my friend.'| Putin smiled.",
        "«Мы победим», — сказал Путин.| Он улыбнулся.",
        "«Мы победим.»| Он улыбнулся.",
        "„Wir werden siegen.“| Das sagte Kim.",
        "« Nous vaincrons. »| Il quitta la salle.",
        '"The U.S. is to blame," she said.| "Russia is not."',
        "The reported “holy war.”| That is the phrase.",
        'Kim wrote "Long live Korea!" in the guest book.| Putin read it.',
        "“Do they need shells?”| “They do.”| That was all.",
        'It is "about common sense."|\nThe U.S. Department of Defense agreed.',
        "(The Kremlin declined to comment.)| Kim left.",
        "Kim left.| (The Kremlin declined to comment.)| Putin stayed.",
        "The pact (signed in June) worries Seoul.| It said so.",
        "He quoted it [sic].| Nobody laughed.",
        "“We will win!”, Lavrov shouted.| They cheered.",
        "‘Why is he silent?’: US columnist attacks Kim",
        "“ Russia’s borders end nowhere. ” |That is the phrase.",
        "PRESIDENT YOON: (As interpreted.)| Thank you.| (Applause.)| We are glad.",
        "It cites the Act (22 U.S.C. 2751 et seq.).| It applies.",
    ),
    "ends other than a full stop": (
        "Really?!| Yes, really!",
        "What next?| More shells.",
        "He paused ... and went on.| The hall was silent.",
        "He paused...| Then he went on.",
        "He hesitated… but signed.| It was done…| Nobody cheered.",
        "Yahoo! News reported it.| Others did not.",
        "Glory to the victors!!!| Death to the enemy!",
        "The aim: survival; the means: shells.| It works.",
        "The regime - isolated, poor - sells arms.| It has no choice.",
        "It was over.| -0-",
        "Kim agreed [. . .] to send men.| They went.",
    ),
    "datelines": (
        "Pyongyang, June 27 (KCNA) -- The Ukrainian military committed a crime.| It will be punished.",
        "SEOUL, South Korea (AP) — North Korea fired a missile.| Japan protested.",
        "MOSCOW, Sept. 13. /TASS/. Kim Jong Un arrived in Russia.| He will stay for days.",
        "VLADIVOSTOK, Russia, Sept 12 (Reuters) - Kim arrived.| Crowds waited.",
        "Pyongyang, July 26 (KCNA) -- The respected General SecretaryKim Jong Unpresented gifts."
        "| The gifts sent byKim Jong Unwere conveyed.",
        "One day in June Juche 102 (2013), Kim Jong Unvisited the school.| He gave instructions.",
    ),
    "missing space": (
        "He would fight on, Kim said.|The guests applauded.",
        "It lacks economic development.|They will look for more.",
        "“We will win.”|The guests applauded.",
        "The war goes on.|Russia needs shells!|Ukraine too?|Yes.",
        "The pact was signed.|It is broad, e.g. Article 4.",
        "They met in 2023.|The pact came on January 26.|Lavrov signed it.",
        "Visit Booking.com or Node.js today.| St.Petersburg and Mt.Paektu are far.",
    ),
    "links and addresses": (
        "See https://www.example.org/a.html?id=1.2 for more.| The site is slow.",
        "It is at https://example.org/a?Q=1.Kim!B and grows.| The site is slow.",
        "It is at http://kcna.kp.| It is often down.",
        "Write to press.office@mid.ru today.| Answers are rare.",
        "Write to press@mid.ru.| Answers are rare.",
        "Visit kremlin.ru and state.gov.| Compare them.",
        "The file report.v2.pdf leaked.| It names Gen. Ri.",
    ),
    "lines": (
        "Kim Jong Un visits Russia|\nPutin greets him at the spaceport.| They talk for hours.",
        "Kim Jong Un visits Russia|\r\n|\r\nPutin greets him at the spaceport.",
        "The leaders agreed on|\na) food aid|\nb) fuel",
        "The leaders met in Phnom Penh|\nhttps://example.org/a",
        "The agenda:|\n- food aid|\n- fuel|\n- satellites",
        "• Russia sends oil.|\n• North Korea sends shells.|\n• Both deny it.",
        "1. Russia sends oil.|\n2. North Korea sends shells.|\n3. Both deny it.",
        "a) Russia sends oil|\nb) North Korea sends shells",
        "1. Stop the war.| 2. Withdraw the troops.",
        "Russia sent oil.[1]| North Korea sent shells.[2][3]| Both deny it.",
        "I. SECURE THE REGION|\n\nThe leaders met.| They agreed.",
        "Background|\n\nRussia and North Korea share a border.",
        "Kim left|\u2029Putin stayed",
        "The leaders met in Phnom Penh, and President Biden reaffirmed the bond\n"
        "between the three countries, which\nare bound by shared values.| They agreed\nto meet again.",
        "Kim Jong Un\nwas there.| So was Putin.",
        "\tKim left.|\t\tPutin stayed.",
        "Kim left.\u00a0 |Putin stayed.|\u3000They met.",
        "\ufeffKim left.|\u200b Putin stayed.",
        "Kim left.|\u200bPutin stayed.",
        "\n\n  Kim left.  |\n \t\n Putin stayed. \n\n",
        "Kim left.|\x0cPutin stayed.",
        "***|\n\nKim left.",
        "Q    Mr. President, will you act?|\n\nTHE PRESIDENT:  Yes.| We will.",
        "KEY POINTS|\nPact signed in Pyongyang|\nSeoul summons envoy",
    ),
    "other languages": (
        "金正恩访问了俄罗斯。|普京表示欢迎。",
        "彼は「勝つ」と言った。|拍手が起きた。",
        "彼は「勝つ。」と言った。|拍手が起きた。",
        "他说：“我们会胜利！”|大家鼓掌。",
        "김정은이 러시아를 방문했다.| 푸틴이 환영했다.",
        "Ким приехал в Россию.| Путин его встретил!",
        "¿Vendrá Kim?| ¡Claro que sí!",
        "किम रूस गए।| पुतिन मिले।",
    ),
}

CASES = [pytest.param(case, id=f"{topic}: {case[:40]!r}") for topic, cases in GOLD.items() for case in cases]


def is_blank(text: str) -> bool:
    return all(character.isspace() or character in INVISIBLE for character in text)


def starts(pieces: Sequence[str]) -> list[int]:
    """Offsets of the first visible character of every piece."""
    offset, found = 0, []
    for piece in pieces:
        visible = next((i for i, character in enumerate(piece) if not is_blank(character)), None)
        if visible is not None:
            found.append(offset + visible)
        offset += len(piece)
    return found


@pytest.mark.parametrize("case", CASES)
def test_gold(case):
    text = case.replace("|", "")
    assert [sentence.start for sentence in segment(text)] == starts(case.split("|")), segment(text)


def test_the_sentence_carries_its_document_and_place():
    first, second = segment("  Kim left.\nPutin stayed. ", "d1")
    assert (first.text, first.start, first.end, first.sentence_index) == ("Kim left.", 2, 11, 0)
    assert (second.text, second.start, second.end, second.sentence_index) == ("Putin stayed.", 12, 25, 1)
    assert first.document_id == second.document_id == "d1"
    assert segment("Kim left.")[0].document_id is None


@pytest.mark.parametrize("text", ["", " ", "\n\r\n\t", "\u200b\ufeff \u00a0"])
def test_a_blank_text_has_no_sentences(text):
    assert segment(text) == []


def test_offsets_count_code_points():
    text = "😀 Kim left. 👍🏽 Putin stayed. \u0065\u0301t\u00e9."
    assert [text[s.start : s.end] for s in segment(text)] == [s.text for s in segment(text)]
    assert segment(text)[0].text == "😀 Kim left."


TOKENS = [
    *"abKU.?!…,;:()[]{}\"'“”‘’«»„「」。-–—/@_1 \n\r\t\f\u00a0\u200b\u2028\ufeff\ud800",
    "\r\n",
    "\n\n",
    " ",
    " ",
    " ",
    "Kim ",
    "left. ",
    "U.S. ",
    "Gen. ",
    "p.m. ",
    "said",
    ".The ",
    "https://x.org/a.B?c ",
    "a@b.cc. ",
    "-0-",
    "1. ",
    "- ",
    "[1]",
    "Read more: ",
    "(Photo: AP)",
    "Lavrov asked. ",
    "/TASS/. ",
    "и ",
    "金。",
]


@settings(max_examples=300, deadline=None)
@given(
    st.one_of(
        st.text(st.characters(exclude_categories=())),
        st.lists(st.sampled_from(TOKENS), max_size=60).map("".join),
    )
)
def test_laws(text):
    """Whatever the text: exact slices in order, nothing lost, only white space between them."""
    end = 0
    for index, sentence in enumerate(segment(text)):
        assert sentence.sentence_index == index
        assert sentence.start >= end
        assert is_blank(text[end : sentence.start])
        assert sentence.text == text[sentence.start : sentence.end]
        assert not is_blank(sentence.text[0]) and not is_blank(sentence.text[-1])
        end = sentence.end
    assert is_blank(text[end:])


HARD = [
    "word ",
    "a",
    "A",
    ".",
    ". ",
    '"',
    "(",
    "'",
    "[1]",
    "Ab. ",
    "\n",
    " ",
    "a\n",
    "and so\n",
    "www.",
    "a@b.cc. ",
    "…",
    "\u200b",
    'Kim met Gen. Ri in the U.S. embassy. "We will win," he said! ',
    "Read more ",
    "(Photo: ",
    "1. ",
    "。",
]


def seconds(text: str) -> float:
    start = time.process_time()
    segment(text)
    return time.process_time() - start


@pytest.mark.parametrize("unit", HARD, ids=ascii)
def test_time_is_linear(unit):
    short, long = unit * (20_000 // len(unit)), unit * (160_000 // len(unit))
    # Eight times the text: 8 if linear, 64 if quadratic; the constant forgives the clock.
    assert min(seconds(long) for _ in range(2)) < 24 * min(seconds(short) for _ in range(3)) + 0.1


def test_a_megabyte_is_segmented_in_seconds():
    text = "Kim met Gen. Ri in the U.S. embassy. “We will win,” he said!\n" * 17_000
    assert len(text) > 1_000_000
    assert seconds(text) < 20
    assert len(segment(text[:61_000])) == 2_000


def test_a_long_text_without_punctuation_is_one_sentence():
    assert len(segment("word " * 100_000)) == 1


FURNITURE = [
    "Advertisement",
    "ADVERTISEMENT",
    "Sponsored content",
    "Story continues below advertisement",
    "Skip advertisement",
    "Read more",
    "Read more:",
    "READ MORE: Kim Jong Un's train arrives in Russia",
    "See also: What we know of the pact",
    "Related:",
    "Related: Seoul summons Russian envoy",
    "RELATED STORIES",
    "Most read",
    "Click here for more.",
    "Share this article",
    "Share",
    "Share on Facebook",
    "Follow us on X",
    "Copy link",
    "Print",
    "Comments (12)",
    "Sign up for our newsletter",
    "Subscribe to our newsletter to get the week's news.",
    "Sign up here",
    "Join our Telegram channel",
    "Photo: KCNA",
    "Photo: Kim Jong Un and Vladimir Putin at the spaceport",
    "Image credit: Reuters",
    "FILE PHOTO: Kim waves.",
    "Photo by Korea Summit Press Pool",
    "(c) KCNA via Reuters",
    "© 2024 The Korea Times",
    "Copyright 2024 KCNA.",
    "KCNA via REUTERS",
    "Kim Jong Un meets Vladimir Putin in Vladivostok, April 25, 2019. (AP Photo/Alexander Zemlianichenko)",
    "Kim inspects shells on Monday (Photo: KCNA/KNS)",
    "The two leaders shake hands. REUTERS/Kim Hong-Ji",
    "Kim Jong Un watches a launch. KCNA via Reuters",
    "Soldiers march in Pyongyang | Getty Images",
    "In this photo provided by the North Korean government, Kim Jong Un attends a meeting.",
    "Reporting by Hyonhee Shin; Editing by Ed Davies",
    "(Reporting by Jack Kim and Josh Smith; editing by Sandra Maler)",
    "All rights reserved.",
    "Our Standards: The Trust Principles.",
    "-0-",
    "***",
    "# # #",
    "• • •",
    "4 min read",
    "Published On 19 Jun 2024",
    "Last updated: 13 September 2023, 10:14 GMT",
]

PROSE = [
    "Photos: North Korea tests solid-fuel missile",
    "The photo shows Kim and Putin.",
    "Kim had a photo session with the pilots.",
    "Read the statement again and you see the threat.",
    "See how Moscow answers.",
    "Share prices fell in Moscow.",
    "Sharing the missile data was agreed in Phnom Penh.",
    "Related sanctions were lifted.",
    "Advertisements praise the army.",
    "Subscribe to no theory, he said.",
    "Follow the money, Blinken said.",
    "Reporting by Reuters showed that shells were sent.",
    "Pyongyang, June 27 (KCNA) -- Kim left.",
    "SEOUL (AP) — North Korea fired a missile.",
    "Russia sends oil to North Korea - Reuters",
    "The pact was reported by KCNA via Reuters on Monday.",
    "The visit was historic. (photos accompanied)",
    "Print money, buy shells.",
    "Image matters to Kim.",
    "Copyright law is ignored in Pyongyang.",
    "Most Russians back the pact.",
    "Comments by Kim angered Seoul.",
    "More sanctions will follow.",
    "Watch out for Moscow's next move.",
    "Learn from Russia, Kim told his generals.",
    "Kim left.",
    "Caption writers call him marshal.",
    "Source: Russia pays in oil",
    "Video: Kim crosses the border",
    "Updated missiles were shown.",
]


@pytest.mark.parametrize("line", FURNITURE)
def test_furniture_is_a_row_of_its_kind(line):
    text = f"Kim left for Russia.\n{line}\nPutin waited."
    assert [(s.kind, s.text) for s in segment(text)] == [
        ("sentence", "Kim left for Russia."),
        ("furniture", line),
        ("sentence", "Putin waited."),
    ]


@pytest.mark.parametrize("line", PROSE)
def test_prose_is_no_furniture(line):
    assert {sentence.kind for sentence in segment(f"Kim left.\n{line}")} == {"sentence"}


def test_a_long_line_is_prose_whatever_it_begins_with():
    assert not is_furniture("In this photo provided by the North, " + "Kim looks at a map, " * 20)


def test_furniture_ends_a_paragraph():
    assert [s.kind for s in segment("Kim left. All rights reserved.")] == ["sentence", "furniture"]
    assert [s.kind for s in segment("History will punish them. -0-")] == ["sentence", "furniture"]


def test_furniture_is_never_joined_with_a_line_that_seems_to_go_on():
    rows = segment("Advertisement\nand so the pact was signed")
    assert [(s.kind, s.text) for s in rows] == [
        ("furniture", "Advertisement"),
        ("sentence", "and so the pact was signed"),
    ]


def test_lines_of_a_lowercased_corpus_stay_apart():
    assert len(segment("putin is strong\nkim is weak\nbiden is old")) == 3


def test_paragraphs_longer_than_the_wrap_stay_apart():
    wrapped = "The leaders of the three\ncountries met and they\nagreed that they would\nmeet again in the year\n"
    long = "Kim Jong Un has gone to Russia in his train"
    assert [s.text for s in segment(f"{wrapped}\n{long}\nPutin Waits")][1:] == [long, "Putin Waits"]


def real_texts(path: Path) -> list[str]:
    if not path.exists():
        pytest.skip(f"{path.name} is not here")
    with gzip.open(path, "rt", encoding="utf-8") if path.suffix == ".gz" else path.open(encoding="utf-8") as file:
        return [json.loads(line)["text"] for line in file]


def test_real_articles():
    """Wrapped briefings and state media: whole sentences, and no prose among the furniture."""
    rows = [s for text in real_texts(SHARED / "articles" / "articles.jsonl") for s in segment(text)]
    assert {s.text for s in rows if s.kind == "furniture"} <= {"-0-", r"\*\*\*", r"\###", r"\# \# \#"}
    sentences = [s.text for s in rows if s.kind == "sentence"]
    unfinished = [text for text in sentences if text[-1] not in '.?!:)”"']
    assert len(sentences) > 200
    assert len(unfinished) <= 5, unfinished  # headings and times of day
    assert not [text for text in sentences if text[0].islower()]


def test_a_real_corpus_has_no_furniture_but_its_end_marks():
    texts = real_texts(SHARED / "data" / "corpus" / "kcna_2024.jsonl.gz")[:200]
    furniture = {s.text for text in texts for s in segment(text) if s.kind == "furniture"}
    assert furniture <= {"-0-", "…"}


def test_labelled_sentences_stay_whole():
    texts = real_texts(SHARED / "data" / "news" / "dev.jsonl")
    assert sum(len(segment(text)) == 1 for text in texts) / len(texts) > 0.95
    assert sum(is_furniture(text) for text in texts) <= 1
