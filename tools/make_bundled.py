"""Make the bundled stand-ins: a mini corpus, its tokenizer and the configuration of a small encoder.

    python tools/make_bundled.py [--output DIR]        (default: week_0_project_setup/bundled)

What it writes, the same bytes on every machine and Python (standard library only, one seed):

    train.csv, validation.csv   sentence,label,idx as in CoLA; 1 = acceptable, 0 = unacceptable
    phenomena.json              which rows belong to which phenomenon and to which half of the validation set
    tokenizer.json, tokenizer_config.json, config.json   for transformers' Auto classes; there are no weights

Every sentence comes from the grammar below as half of a minimal pair: two sentences that differ in one thing, of which
one is English. The list of phenomena follows the taxonomies of CoLA (Warstadt, Singh and Bowman 2019,
https://arxiv.org/abs/1805.12471) and BLiMP (Warstadt et al. 2020, https://arxiv.org/abs/1912.00582); templates and
words are our own. Half of validation.csv fills templates of the training set with words that are not in it ("words"),
the other half fills templates that are not in it with its words ("templates").

How to read a template:

    {person}  {person.s}        a word of that class, inflected: nouns .s; verbs .s .ed .en .ing; adjectives .er .est
    {person2}                   another word of the class; the same name is the same word, on both sides of the pair
    {SG}  {VP.ing}              a phrase of RULES, whose * is the form asked for
    <this/that>                 any of these, the same in both sentences
    [is|are]                    the acceptable and the unacceptable variant
"""

import argparse
import csv
import json
import random
import re
from collections import Counter
from itertools import pairwise
from pathlib import Path

SEED = 2022
VOCABULARY_SIZE = 400  # few enough that most words are spelled in pieces, and that endings are pieces of their own
MAX_LENGTH = 128  # tokens
VALIDATION_SHARE = 14  # training pairs of a phenomenon for each pair in either half of the validation set

# --- the lexicon
# Words after | are held out of the training set. A class without them is one whose words decide the judgement by
# themselves (what a verb selects, the gender of a name), which nobody can know of a word never seen before.
# Irregular forms are written out: man/men (plural), eat-ate-eaten (past and participle).

NOUNS = {
    "person": """teacher doctor student child/children friend farmer baker lawyer nurse writer singer driver tourist
        guest scientist painter judge soldier sailor engineer artist musician reporter dentist gardener manager customer
        player poet plumber librarian cousin visitor professor director author banker runner hunter swimmer builder
        carpenter secretary butcher tailor neighbor politician prisoner thief/thieves spy cowboy waiter
        captain trader publisher designer trainer dealer miner rider patient tutor pirate servant wizard scholar pupil
        parent expert chef senator hermit
        | pilot dancer surgeon chemist editor juggler cyclist burglar tenant clerk passenger violinist architect barber
        mechanic translator grocer inspector electrician shepherd magician toddler""",
    "man": """man/men boy father brother uncle king prince son grandfather nephew gentleman/gentlemen monk landlord
        policeman/policemen fireman/firemen salesman/salesmen fisherman/fishermen lord husband duke
        | grandson stepfather stepbrother businessman/businessmen craftsman/craftsmen postman/postmen""",
    "woman": """woman/women girl mother sister aunt queen princess daughter grandmother niece lady waitress actress nun
        landlady policewoman/policewomen saleswoman/saleswomen stewardess wife/wives duchess bride
        | granddaughter stepmother stepsister businesswoman/businesswomen craftswoman/craftswomen hostess heiress""",
    "thing": """lamp chair bicycle guitar camera table mirror clock box basket bottle ladder carpet blanket knife/knives
        car toy ring vase statue umbrella bag brush coat hat shirt hammer key pen suitcase computer phone desk drum boat
        bowl plate cup spoon fork sword shield wagon curtain parcel letter ticket pencil rope tractor
        | kettle lantern jacket wallet violin helmet pillow bucket scooter necklace trumpet teapot shovel candle""",
    "milk": "water milk rice sugar bread coffee salt cheese | flour butter honey mustard",
    "place": """garden kitchen park school library office hotel hospital museum church village forest market room city
        restaurant theater house tower station farm factory barn
        | cellar attic palace bakery castle meadow cottage temple""",
    "seat": "bench sofa couch bed stool rock wall floor | armchair mattress log ledge",
}
VERBS = {
    "sing": """sing-sang-sung dance laugh smile sleep-slept work wait talk shout cry swim-swam-swum argue jump sneeze
        relax rest whistle yawn sigh pray limp grin frown travel kneel-knelt weep-wept
        | cough snore giggle jog whisper mumble stumble nap chat wander shiver""",
    "sit": "sit-sat stand-stood wait sleep-slept rest | crouch doze",
    "buy": """buy-bought sell-sold find-found wash paint steal-stole-stolen lose-lost repair break-broke-broken
        hide-hid-hidden move drop carry inspect admire borrow examine choose-chose-chosen lift collect test push cover
        order fetch mend remove touch kick throw-threw-thrown smash
        | polish decorate pack weigh scratch wrap photograph grab deliver""",
    "visit": """visit thank phone invite ignore follow meet-met greet warn obey interview rescue avoid watch chase
        mention kiss arrest remember encourage pardon
        | applaud escort tease guide salute consult hug assist""",
    "blame": """blame praise describe criticize defend admire protect introduce teach-taught injure hide-hid-hidden
        see-saw-seen hate trust forgive-forgave-forgiven | comfort flatter console mock scold embarrass""",
}
OTHERS = {
    "tall": """tall short old young kind rich strong smart happy friendly brave lazy poor nice clever proud shy
        | weak funny calm noisy slim wise greedy""",
    "dirty": """dirty small large heavy cheap old bright light ugly long strange clean round
        | tiny shiny dusty rusty narrow""",
    "name": """John Mark Peter David Robert Thomas Paul Daniel Mary Anna Susan Laura Julia Helen Emma Rachel
        Alice Sarah George Frank
        | Kevin Oliver Brenda Diana Victor Sophie Martin Claire Hugo""",
}
LEXICON = NOUNS | VERBS | OTHERS

# --- the grammar

RULES = {  # phrases that templates share, their variants between slashes; repeating one makes it more frequent
    "SG": "the {person} / the {person} / the {man} / the {woman} / {name}",
    "PL": "the {person.s} / the {person.s} / the {man.s} / the {woman.s}",
    "NP": "{SG} / {PL}",
    "VP": "{sing.*} / {sing.*} in the {place} / {buy.*} the {thing}",
}

PHENOMENA = {  # name: (pairs in the training set, templates of the training set, templates held out of it)
    "subject_verb_agreement": (
        420,
        """
        {SG} [is|are] {VP.ing}
        {PL} [are|is] {VP.ing}
        {SG} [is|are] {sit.ing} on <a/the> {seat}
        {PL} [are|is] {sit.ing} on <a/the> {seat}
        {SG} [was|were] {tall}
        {PL} [were|was] {tall}
        the {thing} [was|were] {dirty}
        the {thing.s} [were|was] {dirty}
        {SG} [has|have] {VP.en}
        {PL} [have|has] {VP.en}
        """,
        """
        {SG} [was|were] {VP.ing}
        {PL} [were|was] {VP.ing}
        {SG} [is|are] not {tall}
        {PL} [are|is] not {tall}
        """,
    ),
    "agreement_attractor": (
        160,
        """
        the {person} near the {person2.s} [is|are] {tall}
        the {person.s} near the {person2} [are|is] {tall}
        the {person} behind the {person2.s} [was|were] {sing.ing}
        the {person.s} behind the {person2} [were|was] {sing.ing}
        """,
        """
        the {person} near the {person2.s} [was|were] {sing.ing}
        the {person.s} behind the {person2} [are|is] {tall}
        """,
    ),
    "determiner_noun_agreement": (
        340,
        """
        {NP} {buy.ed} <this/that/a/every> [{thing}|{thing.s}]
        {NP} {buy.ed} <these/those/two/many> [{thing.s}|{thing}]
        <this/that/every> [{person}|{person.s}] {VP.ed}
        <these/those/two/many> [{person.s}|{person}] {VP.ed}
        """,
        """
        {NP} {visit.ed} <this/that/every> [{person}|{person.s}]
        {NP} {visit.ed} <these/those/two/many> [{person.s}|{person}]
        {NP} will {buy} <these/those/two/many> [{thing.s}|{thing}]
        """,
    ),
    "anaphor_agreement": (
        200,
        """
        the {man} {blame.ed} [himself|themselves]
        the {woman} {blame.ed} [herself|themselves]
        the <{man.s}/{woman.s}/{person.s}> {blame.ed} [themselves|<himself/herself>]
        I <will {blame}/{blame.ed}> [myself|<ourselves/himself>]
        we <will {blame}/{blame.ed}> [ourselves|<myself/himself>]
        """,
        """
        the <{man.s}/{woman.s}/{person.s}> will {blame} [themselves|<himself/herself>]
        I have {blame.en} [myself|<ourselves/himself>]
        we have {blame.en} [ourselves|<myself/himself>]
        """,
    ),
    "argument_structure": (
        140,
        """
        {NP} put the {thing} [<on the {seat}/in the {place}>|]
        {NP} [slept|put] near the {thing}
        {NP} gave the {thing} [to|] the {person2}
        {NP} <slept/waited> [in|] the {place}
        """,
        """
        {NP} will put the {thing} [<on the {seat}/in the {place}>|]
        {SG} has given the {thing} [to|] the {person2}
        """,
    ),
    "word_order": (
        160,
        """
        {NP} {sing.ed} [in the|the in] {place}
        {NP} {buy.ed} [the {thing}|{thing} the]
        [the {person.s}|{person.s} the] {VP.ed}
        <where/when> [did {NP}|{NP} did] {sing}?
        """,
        """
        {NP} {visit.ed} [the {person2}|{person2} the]
        <where/when> [will {NP}|{NP} will] {sing}?
        """,
    ),
    "islands": (
        120,
        """
        what did {NP} [say that|meet] the {person2} [|who] {buy.ed}?
        who did {NP} [say|arrive before] the {person2} {visit.ed}?
        what did {NP} [say|smile because] the {person2} {buy.ed}?
        """,
        """
        what did {NP} [say|arrive before] the {person2} {buy.ed}?
        who did {NP} [say|smile because] the {person2} {visit.ed}?
        """,
    ),
    "filler_gap": (
        160,
        """
        <I/we> know what {NP} {buy.ed} [|the {thing}]
        <I/we> know [that|what] {NP} {buy.ed} the {thing}
        who did {NP} {visit} [|the {person2}]?
        [|what] did {NP} {buy} the {thing}?
        """,
        """
        what did {NP} {buy} [|the {thing}]?
        <I/we> know [that|who] {NP} {visit.ed} the {person2}
        """,
    ),
    "npi_licensing": (
        120,
        """
        [nobody|<somebody/everybody>] has ever {VP.en}
        [nobody|<somebody/everybody>] {buy.ed} any {thing.s}
        {SG} has [never|ever] {VP.en}
        {SG} has [not|] {VP.en} yet
        """,
        """
        [nobody|<somebody/everybody>] has {VP.en} yet
        [nobody|<somebody/everybody>] has {buy.en} any {thing.s}
        """,
    ),
    "ellipsis": (
        140,
        """
        {SG} is {tall}, and {SG2} [is|did] too
        {SG} can {sing}, and {SG2} [can|have] too
        {SG} {sing.ed}, and {SG2} [did|are] too
        """,
        """
        {SG} was {tall}, but {SG2} [was|did] not
        {SG} could {sing}, but {SG2} [could|were] not
        """,
    ),
    "passive": (
        240,
        """
        the {thing} was [{buy.en}|{buy}] by {NP}
        the {thing.s} were [{buy.en}|{buy}] by {NP}
        {SG} was [{visit.en}|{visit}] by the {person2}
        {NP} will be [{visit.en}|{visit}] by the {person2}
        the {thing} [was|did] {buy.en} by {NP}
        """,
        """
        the {thing} will be [{buy.en}|{buy}] by {NP}
        {SG} has been [{visit.en}|{visit}] by the {person2}
        the {thing.s} [were|did] {buy.en} by {NP}
        """,
    ),
    "verb_form": (
        320,
        """
        {SG} has [{buy.en}|{buy}] the {thing}
        {NP} <can/will/must> [{VP}|{VP.ed}]
        {NP} did not [{VP}|{VP.ed}]
        {SG} is [{VP.ing}|{VP.s}]
        {PL} are [{buy.ing}|{buy}] the {thing}
        """,
        """
        {PL} have [{buy.en}|{buy}] the {thing}
        {NP} will not [{VP}|{VP.ed}]
        """,
    ),
    "pronoun_case": (
        160,
        """
        <[he|him]/[she|her]/[they|them]/[we|us]> {VP.ed}
        <[they|them]/[we|us]> are {VP.ing}
        {NP} {visit.ed} <[him|he]/[them|they]/[us|we]>
        {NP} {sing.ed} with <[him|he]/[them|they]/[us|we]>
        """,
        """
        {NP} will {visit} <[him|he]/[them|they]/[us|we]>
        {NP} said that <[he|him]/[she|her]/[they|them]/[we|us]> {VP.ed}
        """,
    ),
    "coordination": (
        140,
        """
        both {SG} [and|or] {SG2} {VP.ed}
        either {SG} [or|and] {SG2} {VP.ed}
        neither {SG} [nor|and] {SG2} {VP.ed}
        {NP} {buy.ed} the {thing} [and|] the {thing2}
        """,
        """
        {NP} {visit.ed} neither the {person} [nor|and] the {person2}
        {NP} {visit.ed} the {person2} [and|] the {person3}
        """,
    ),
    "quantifiers": (
        140,
        """
        <[each|every]/[all|every]> of the {person.s} {VP.ed}
        {NP} bought too [much|many] {milk}
        {NP} bought a [little|few] {milk}
        most of [the|] {person.s} {VP.ed}
        """,
        """
        {NP} will buy a [little|few] {milk}
        most of [the|] {person.s} were {tall}
        """,
    ),
    "existential_there": (
        160,
        """
        there [is|are] a {thing} in the {place}
        there [are|have] <two/many> {thing.s} in the {place}
        there <is/was> [a|<each/every>] {person} in the {place}
        there <are/were> [many|<all/most>] {person.s} in the {place}
        """,
        """
        there [was|were] a {thing} on the {seat}
        there <are/were> [many|<all/most>] {thing.s} on the {seat}
        """,
    ),
    "clause_selection": (
        140,
        """
        {SG} <claims/believes> [that|whether] {NP} {VP.ed}
        {SG} wonders [whether|] {NP} {VP.ed}
        {NP} <decided/refused> to [{VP}|{VP.ed}]
        {NP} <asked/told> the {person2} [to|] {VP}
        """,
        """
        {PL} <claim/believe> [that|whether] {NP} {VP.ed}
        {NP} will <decide/refuse> to [{VP}|{VP.ed}]
        """,
    ),
}

# --- spelling


def add_s(word):
    """bus -> buses, baby -> babies, dog -> dogs; nouns and verbs alike."""
    if re.search(r"(s|x|z|ch|sh)$", word):
        return word + "es"
    return word[:-1] + "ies" if re.search(r"[^aeiou]y$", word) else word + "s"


def add_vowel(word, suffix):
    """stop -> stopped, bake -> baking, cry -> cried, happy -> happiest; suffix is ed, ing, er or est."""
    if re.fullmatch(r"[^aeiou]*[aeiou][^aeiouwxy]", word):
        return word + word[-1] + suffix
    if word.endswith("ee"):
        return word + suffix.removeprefix("e")
    if word.endswith("e"):
        return word[:-1] + suffix
    if re.search(r"[^aeiou]y$", word) and suffix != "ing":
        return word[:-1] + "i" + suffix
    return word + suffix


def inflect(entry, form):
    word, *irregular = re.split("[/-]", entry)
    if form == "":
        return word
    if form == "s":
        return irregular[0] if "/" in entry else add_s(word)
    if irregular and form in ("ed", "en"):
        return irregular[-1] if form == "en" else irregular[0]
    return add_vowel(word, "ed" if form == "en" else form)


# --- sentences


def words(kind, held_out=False):
    """The entries of one class of the lexicon, for the training set or held out of it."""
    known, _, unknown = LEXICON[kind].partition("|")
    return (unknown if held_out and unknown else known).split()


def lines(text):
    return [line.strip() for line in text.strip().splitlines()]


class Generator:
    def __init__(self, seed):
        self.random = random.Random(seed)
        self.seen = set()

    def pick(self, items):
        """random() is the one method whose numbers Python promises never to change, so choice() is not used."""
        return items[int(self.random.random() * len(items))]

    def shuffled(self, items):
        return [item for _, item in sorted((self.random.random(), item) for item in items)]

    def fill(self, text, held_out, bound, path="", form=""):
        """Replace the slots of a template; `bound` remembers what each became, for the other half of the pair."""

        def replacement(match):
            label, asked = match.groups(default="")
            asked = form if asked == "*" else asked
            key, kind = path + label, label.rstrip("0123456789")
            if kind in RULES:
                if key not in bound:
                    bound[key] = self.pick([alternative.strip() for alternative in RULES[kind].split("/")])
                return self.fill(bound[key], held_out, bound, key + "/", asked)
            if key not in bound:
                bound[key] = self.pick([word for word in words(kind, held_out) if word not in bound.values()])
            return inflect(bound[key], asked)

        return re.sub(r"{(\w+)(?:\.([\w*]+))?}", replacement, text)

    def pair(self, template, held_out):
        """One acceptable and one unacceptable sentence."""
        template = re.sub(r"<([^<>]*)>", lambda match: self.pick(match[1].split("/")), template)
        stop, bound = self.pick(["."] * 3 + [""]), {}
        variants = (re.sub(r"\[([^|\]]*)\|([^\]]*)\]", side, template) for side in (r"\1", r"\2"))
        return tuple(finish(self.fill(variant, held_out, bound), stop) for variant in variants)

    def pairs(self, templates, count, held_out=False):
        """That many pairs, taking the templates in turn, none of them generated before."""
        made, turns = [], 0
        templates = self.shuffled(lines(templates))
        while len(made) < count:
            pair = self.pair(templates[turns % len(templates)], held_out)
            turns += 1
            plain = [text.rstrip(".") for text in pair]
            if pair[0] != pair[1] and not self.seen.intersection(plain):
                self.seen.update(plain)
                made.append(pair)
        return made


def finish(text, stop):
    """Spaces, a or an, the capital and the final stop (which some sentences lack, as some of CoLA's do)."""
    text = re.sub(r"\ba (?=[aeiou])", "an ", " ".join(text.split()).replace(" ?", "?"))
    return text[0].upper() + text[1:] + ("" if text[-1] in ".?" else stop)


# --- tokenizer


SPECIAL = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
ALPHABET = [chr(code) for code in range(ord("!"), ord("~") + 1) if not chr(code).isupper()]  # lower-cased ASCII
SUFFIXES = ["s", "es", "ies", "ed", "ied", "ing"]


def split_stem(word):
    """(child, ""), (walk, ing): endings stay pieces of their own, so that what one stem teaches holds of all."""
    match = re.fullmatch(rf"(\w{{3,}}?)({'|'.join(sorted(SUFFIXES, key=len, reverse=True))})", word)
    return match.groups() if match else (word, "")


def vocabulary(sentences):
    """WordPiece ids: special tokens, letters, endings and the words of the templates; then frequent parts of stems.

    The parts are found by merging, again and again, the pair of neighbours that occurs in most stems (as byte-pair
    encoding does, Sennrich et al. 2016); the first in the alphabet where several do, so that the result is one.
    """
    frequency = Counter(word for text in sentences for word in re.findall(r"\w+", text.lower()))
    templates = " ".join(known + unknown for _, known, unknown in PHENOMENA.values())
    closed = sorted({w for w in re.findall(r"\w+", re.sub(r"{.*?}", "", templates).lower()) if frequency[w] >= 20})
    stems = {split_stem(word)[0] for word in frequency if word not in closed}
    spelled = {stem: [stem[0], *("##" + letter for letter in stem[1:])] for stem in sorted(stems)}
    pieces = SPECIAL + ALPHABET + ["##" + piece for piece in ALPHABET + [end for end in SUFFIXES if len(end) > 1]]
    pieces += [word for word in closed if word not in pieces]
    while len(pieces) < VOCABULARY_SIZE:
        pairs = Counter(pair for parts in spelled.values() for pair in pairwise(parts))
        left, right = min(pairs, key=lambda pair: (-pairs[pair], pair))
        merged = left + right.removeprefix("##")
        if merged not in pieces:
            pieces.append(merged)
        for parts in spelled.values():
            for at in range(len(parts) - 1, 0, -1):
                if parts[at - 1 : at + 1] == [left, right]:
                    parts[at - 1 : at + 1] = [merged]
    return {piece: index for index, piece in enumerate(pieces)}


def tokenizer(vocab):
    """tokenizer.json: lower case, words and punctuation apart, WordPiece, [CLS] sentence [SEP]."""
    added = {"single_word": False, "lstrip": False, "rstrip": False, "normalized": False, "special": True}
    ends = {token: {"id": token, "ids": [vocab[token]], "tokens": [token]} for token in ("[CLS]", "[SEP]")}
    cls, sep = ({"SpecialToken": {"id": token, "type_id": 0}} for token in ends)
    first, second = ({"Sequence": {"id": name, "type_id": index}} for index, name in enumerate("AB"))
    sep_second = {"SpecialToken": {"id": "[SEP]", "type_id": 1}}
    return {
        "version": "1.0",
        "truncation": None,
        "padding": None,
        "added_tokens": [{"id": vocab[token], "content": token, **added} for token in SPECIAL],
        "normalizer": {
            "type": "BertNormalizer",
            "clean_text": True,
            "handle_chinese_chars": True,
            "strip_accents": None,
            "lowercase": True,
        },
        "pre_tokenizer": {"type": "BertPreTokenizer"},
        "post_processor": {
            "type": "TemplateProcessing",
            "single": [cls, first, sep],
            "pair": [cls, first, sep, second, sep_second],
            "special_tokens": ends,
        },
        "decoder": {"type": "WordPiece", "prefix": "##", "cleanup": True},
        "model": {
            "type": "WordPiece",
            "unk_token": "[UNK]",
            "continuing_subword_prefix": "##",
            "max_input_chars_per_word": 100,
            "vocab": vocab,
        },
    }


TOKENIZER_CONFIG = {
    "tokenizer_class": "PreTrainedTokenizerFast",
    "do_lower_case": True,
    "model_max_length": MAX_LENGTH,
    "model_input_names": ["input_ids", "attention_mask"],
    "pad_token": "[PAD]",
    "unk_token": "[UNK]",
    "cls_token": "[CLS]",
    "sep_token": "[SEP]",
    "mask_token": "[MASK]",
}


def model_config(vocab):
    """Two layers of DeBERTa-v2, with its convolution over neighbours.

    Measured on this corpus: with absolute positions and no convolution (BERT, ELECTRA), the endings of neighbouring
    words are hardly learnt in a minute of training from scratch; with them, MCC on unseen words passes 0.7.
    There is no dropout, which would take a tenth of the time.
    """
    return {
        "architectures": ["DebertaV2ForSequenceClassification"],
        "model_type": "deberta-v2",
        "vocab_size": len(vocab),
        "hidden_size": 128,
        "num_hidden_layers": 2,
        "num_attention_heads": 4,
        "intermediate_size": 256,
        "pooler_hidden_size": 128,
        "hidden_act": "gelu",
        "hidden_dropout_prob": 0.0,
        "attention_probs_dropout_prob": 0.0,
        "initializer_range": 0.05,
        "max_position_embeddings": MAX_LENGTH,
        "relative_attention": True,
        "position_buckets": 32,
        "pos_att_type": "p2c|c2p",
        "share_att_key": True,
        "norm_rel_ebd": "layer_norm",
        "position_biased_input": False,
        "conv_kernel_size": 3,
        "conv_act": "gelu",
        "type_vocab_size": 0,
        "pad_token_id": vocab["[PAD]"],
        "id2label": {"0": "unacceptable", "1": "acceptable"},
        "label2id": {"unacceptable": 0, "acceptable": 1},
    }


# --- files


def corpus():
    """{"train": [(phenomenon, held out, pairs)], "validation": ...}, in the order of the rows."""
    generator = Generator(SEED)
    train = [(name, None, generator.pairs(known, count)) for name, (count, known, _) in PHENOMENA.items()]
    unseen_words = [
        (name, "words", generator.pairs(known, count // VALIDATION_SHARE, held_out=True))
        for name, (count, known, _) in PHENOMENA.items()
    ]
    unseen_templates = [
        (name, "templates", generator.pairs(unknown, count // VALIDATION_SHARE))
        for name, (count, _, unknown) in PHENOMENA.items()
    ]
    return {"train": train, "validation": unseen_words + unseen_templates}


def write_json(path, content, **options):
    path.write_text(json.dumps(content, ensure_ascii=False, **options) + "\n", encoding="utf-8", newline="\n")


def write_split(path, groups):
    """Write one CSV file; return where each group's rows are."""
    ranges, idx = [], 0
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(["sentence", "label", "idx"])
        for phenomenon, held_out, pairs in groups:
            first_idx = idx
            for pair in pairs:
                for label, sentence in zip((1, 0), pair, strict=True):
                    writer.writerow([sentence, label, idx])
                    idx += 1
            ranges.append({"phenomenon": phenomenon, "held_out": held_out, "first_idx": first_idx, "last_idx": idx - 1})
    return ranges


def make(folder):
    folder.mkdir(parents=True, exist_ok=True)
    splits = corpus()
    phenomena = {split: write_split(folder / f"{split}.csv", groups) for split, groups in splits.items()}
    vocab = vocabulary(text for _, _, pairs in splits["train"] for pair in pairs for text in pair)
    write_json(folder / "phenomena.json", phenomena)
    write_json(folder / "tokenizer.json", tokenizer(vocab))
    write_json(folder / "tokenizer_config.json", TOKENIZER_CONFIG, indent=2)
    write_json(folder / "config.json", model_config(vocab), indent=2)


def main():
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    default = Path(__file__).resolve().parents[1] / "week_0_project_setup" / "bundled"
    parser.add_argument("--output", type=Path, default=default, metavar="DIR", help="default: %(default)s")
    folder = parser.parse_args().output
    make(folder)
    for path in sorted(folder.iterdir()):
        print(f"{path.stat().st_size:8,} bytes  {path}")


if __name__ == "__main__":
    main()
