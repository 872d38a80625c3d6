"""CLIP's byte-pair tokenizer for plain ASCII captions, over the first merges of OpenAI's list.

    python3 tokenizer.py CLIP_FOLDER OUT_FOLDER    writes the shortened vocab.json, merges.txt and their configs
"""
import json
import re
import sys
from pathlib import Path

import torch

MERGES = 2000
START, END = "<|startoftext|>", "<|endoftext|>"


class Tokenizer:
    def __init__(self, folder):
        self.vocab = json.loads((folder / "vocab.json").read_text())
        lines = (folder / "merges.txt").read_text().splitlines()[1:]
        self.ranks = {tuple(line.split()): i for i, line in enumerate(lines)}
        self.cache = {}

    def word(self, word):
        if word not in self.cache:
            parts = [*word[:-1], word[-1] + "</w>"]
            while len(parts) > 1:
                rank, i = min((self.ranks.get(pair, 1 << 30), i) for i, pair in enumerate(zip(parts, parts[1:])))
                if rank == 1 << 30:
                    break
                pair = (parts[i], parts[i + 1])
                merged, j = [], 0
                while j < len(parts):
                    both = tuple(parts[j : j + 2]) == pair
                    merged.append("".join(pair) if both else parts[j])
                    j += 2 if both else 1
                parts = merged
            self.cache[word] = [self.vocab[part] for part in parts]
        return self.cache[word]

    def encode(self, text, length=77):
        ids = [i for word in re.findall(r"[a-z]+|[0-9]|[^\sa-z0-9]+", text.lower()) for i in self.word(word)]
        ids = [self.vocab[START], *ids[: length - 2]]
        return ids + [self.vocab[END]] * (length - len(ids))

    def batch(self, texts):
        return torch.tensor([self.encode(text) for text in texts])


def shorten(clip, out):
    """CLIP's ids: 256 bytes, 256 bytes at a word's end, one a merge, start, end."""
    out.mkdir(parents=True, exist_ok=True)
    header, *merges = (clip / "merges.txt").read_text().splitlines()
    by_id = sorted(json.loads((clip / "vocab.json").read_text()).items(), key=lambda item: item[1])
    tokens = [token for token, _ in by_id[: 512 + MERGES]] + [START, END]
    assert tokens[512:-2] == ["".join(merge.split()) for merge in merges[:MERGES]]
    (out / "vocab.json").write_text(json.dumps({t: i for i, t in enumerate(tokens)}, ensure_ascii=False, separators=(",", ":")))
    (out / "merges.txt").write_text("\n".join([header, *merges[:MERGES]]) + "\n")
    for name in ("tokenizer_config.json", "special_tokens_map.json"):
        (out / name).write_text((clip / name).read_text())


if __name__ == "__main__":
    shorten(Path(sys.argv[1]), Path(sys.argv[2]))
