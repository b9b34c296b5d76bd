"""Which tokens of a vocabulary end an answer, and which are control tokens. Knows texts and types, no file."""

from __future__ import annotations

from dataclasses import replace

from gguf import TokenType

from inference.gguf.vocabulary import Vocabulary
from inference.types import ModelFileError

# Files declare one end or none of several, so llama.cpp knows the others by their texts (llama-vocab.cpp,
# special_eog_ids). Of its list these are the ones that end a turn or a text in any vocabulary; those for infilling, and
# for formats in which <|end|> ends no turn, belong to no family that is supported.
_END_TEXTS = frozenset(
    {
        "<|eot_id|>",
        "<|eom_id|>",
        "<|im_end|>",
        "<|end|>",
        "<|endoftext|>",
        "<|end_of_text|>",
        "<end_of_turn>",
        "<end_of_utterance>",
        "<eos>",
        "<EOT>",
        "_<EOT>",
        "[EOT]",
        "[EOS]",
        "<\uff5cend\u2581of\u2581sentence\uff5c>",  # DeepSeek
    }
)
_TURN_START = "<start_of_turn>"


def end_tokens(vocabulary: Vocabulary) -> tuple[int, ...]:
    """Ids of the tokens that end an answer: those the file declares, then those whose texts say so.

    Raises ModelFileError if there is none.
    """
    ends = dict.fromkeys((*vocabulary.ends, *_ends_by_text(vocabulary)))
    if not ends:
        raise ModelFileError("The GGUF file has no key tokenizer.ggml.eos_token_id that names one of its tokens.")
    return tuple(ends)


def with_control_types(vocabulary: Vocabulary) -> Vocabulary:
    """The vocabulary with every control token typed as one.

    Some files type tokens of the chat format as user-defined, and such a token is recognised in anybody's text: a
    message could end its own turn and begin another role's.
    """
    ends = {*vocabulary.ends, *_ends_by_text(vocabulary)}
    kinds = enumerate(zip(vocabulary.tokens, vocabulary.types, strict=True))
    types = (
        int(TokenType.CONTROL)
        if kind == TokenType.USER_DEFINED and (index in ends or _is_of_chat_format(token))
        else kind
        for index, (token, kind) in kinds
    )
    return replace(vocabulary, types=tuple(types))


def _ends_by_text(vocabulary: Vocabulary) -> list[int]:
    kinds = tuple(zip(vocabulary.tokens, vocabulary.types, strict=True))
    # Where <s> begins a text </s> ends it; elsewhere (Gemma, Qwen) the two are HTML.
    texts = _END_TEXTS | ({"</s>"} if ("<s>", TokenType.CONTROL) in kinds else set())
    typed = (TokenType.CONTROL, TokenType.USER_DEFINED)
    return [index for index, (token, kind) in enumerate(kinds) if kind in typed and token in texts]


def _is_of_chat_format(token: str) -> bool:
    """As llama.cpp's converter judges it for the files that it writes today; what starts a turn of Gemma besides."""
    return token == _TURN_START or (token.startswith(("<|", "<\uff5c")) and token.endswith(("|>", "\uff5c>")))
