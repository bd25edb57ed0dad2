"""Small configs and tokenizers, one of each kind: where the fuzzing of JSON readers starts."""

import json
from pathlib import Path

ROOT = Path(__file__).resolve().parents[3]
SEEDS = ROOT / "Fuzz" / "Seeds"


def write(folder, name, value):
    path = SEEDS / folder / f"{name}.json"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(value, ensure_ascii=False))


def configs():
    base = json.loads((ROOT / "fixtures/llama-tiny/config.json").read_text())
    base["num_hidden_layers"] = 1
    write("config", "llama", base)
    del base["rope_parameters"], base["architectures"], base["num_key_value_heads"]
    write("config", "old-keys", base | {"rope_theta": 5e5, "rope_scaling": None})
    for name, scaling in [
        ("linear", {"type": "linear", "factor": 2.0}),
        ("llama3", {"rope_type": "llama3", "factor": 8.0, "low_freq_factor": 1.0,
                    "high_freq_factor": 4.0, "original_max_position_embeddings": 8192}),
    ]:
        write("config", f"rotation-{name}", base | {"rope_scaling": scaling})
    weights = {"num_bits": 8, "type": "int", "symmetric": True, "strategy": "channel",
               "dynamic": False, "group_size": None}
    for name, inputs in [("weights", None),
                         ("inputs", weights | {"strategy": "tensor"})]:
        write("config", f"int8-{name}", base | {"quantization_config": {
            "quant_method": "compressed-tensors", "format": "int-quantized",
            "config_groups": {"group_0": {"targets": ["Linear", "re:model\\.layers\\.[0-9]+\\..*"],
                                          "weights": weights, "input_activations": inputs}},
            "ignore": ["lm_head", "re:.*embed(ding)?s?$"], "kv_cache_scheme": None}})
    write("config", "fp8", base | {"quantization_config": {
        "quant_method": "fp8", "fmt": "e4m3", "activation_scheme": "dynamic",
        "weight_block_size": [128, 128]}})
    for family in ("Qwen2ForCausalLM", "DeepseekV3ForCausalLM"):
        write("config", family, base | {"architectures": [family]})


def tokenizers():
    words = {word: i for i, word in enumerate(["<unk>", "a", "b", "ab", "##b", "Ġa", "▁", "<0x41>"])}
    models = {
        "bpe": {"type": "BPE", "unk_token": "<unk>", "byte_fallback": True, "fuse_unk": True,
                "continuing_subword_prefix": None, "end_of_word_suffix": None,
                "ignore_merges": False, "dropout": None, "vocab": words, "merges": [["a", "b"]]},
        "bpe-old": {"vocab": words, "merges": ["a b"]},
        "word-piece": {"type": "WordPiece", "unk_token": "<unk>", "vocab": words,
                       "continuing_subword_prefix": "##", "max_input_chars_per_word": 100},
        "word-level": {"type": "WordLevel", "unk_token": "<unk>", "vocab": words},
    }
    added = [{"id": 8, "content": "<s>", "single_word": False, "lstrip": True, "rstrip": True,
              "normalized": False, "special": True},
             {"id": 9, "content": "lo", "single_word": True, "lstrip": False, "rstrip": False,
              "normalized": True, "special": False}]
    template = {"type": "TemplateProcessing", "pair": [],
                "single": [{"SpecialToken": {"id": "<s>", "type_id": 0}},
                           {"Sequence": {"id": "A", "type_id": 0}}],
                "special_tokens": {"<s>": {"id": "<s>", "ids": [8], "tokens": ["<s>"]}}}
    empty = {"version": "1.0", "added_tokens": [], "normalizer": None, "pre_tokenizer": None,
             "post_processor": None, "decoder": None, "model": models["word-level"]}
    for name, model in models.items():
        write("tokenizer", f"model-{name}",
              empty | {"model": model, "added_tokens": added, "post_processor": template})
    for name in ("BertProcessing", "RobertaProcessing"):
        write("tokenizer", name, empty | {"post_processor": {
            "type": name, "sep": ["b", 2], "cls": ["a", 1], "trim_offsets": True}})
    parts = json.loads((ROOT / "fixtures/tokenizers/components.json").read_text())
    for key in ("pre_tokenizers", "normalizers", "decoders"):
        for number, part in enumerate(parts[key]):
            write("tokenizer", f"{key}-{number}", empty | {key[:-1]: part["component"]})


if __name__ == "__main__":
    configs()
    tokenizers()
