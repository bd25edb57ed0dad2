"""Makes the small models of fixtures/ that stand for variants of mixtures of experts and of latent
attention, with what transformers 5.17 computes for them in float32.

    python Tests/Reference/mixture_models.py fixtures

Predictions of later tokens come from a plain implementation below, written after section 2.2 of the
DeepSeek-V3 report, and are compared with transformers' own module before they are written.
"""

import json
import math
import pathlib
import sys

import torch
from safetensors.torch import load_file, save_file
from transformers import (DeepseekV2Config, DeepseekV2ForCausalLM, DeepseekV3Config,
                          DeepseekV3ForCausalLM, MixtralConfig, MixtralForCausalLM,
                          Qwen3MoeConfig, Qwen3MoeForCausalLM)

YARN = {"rope_type": "yarn", "rope_theta": 10000.0, "factor": 4.0, "beta_fast": 32, "beta_slow": 1,
        "mscale": 0.707, "mscale_all_dim": 1.1, "original_max_position_embeddings": 16}
LATENT = dict(hidden_size=32, num_key_value_heads=None, intermediate_size=48, moe_intermediate_size=12, num_hidden_layers=2,
              num_attention_heads=3, kv_lora_rank=20, qk_nope_head_dim=10, qk_rope_head_dim=6,
              v_head_dim=8, max_position_embeddings=64)

MODELS = {
    # Low-rank queries, groups by their best expert, YaRN with both mscales.
    "deepseek-v2-groups-tiny": (DeepseekV2ForCausalLM, DeepseekV2Config(
        **LATENT | dict(num_attention_heads=4), vocab_size=61, q_lora_rank=12, n_routed_experts=12,
        n_shared_experts=1, num_experts_per_tok=3, topk_method="group_limited_greedy", n_group=4,
        topk_group=2, routed_scaling_factor=1.5, first_k_dense_replace=1, rope_parameters=YARN)),
    # Two modules that predict later tokens; halves of heads turn instead of neighbours.
    "deepseek-v3-mtp-tiny": (DeepseekV3ForCausalLM, DeepseekV3Config(
        **LATENT, vocab_size=67, q_lora_rank=None, n_routed_experts=6, n_shared_experts=1,
        num_experts_per_tok=2, n_group=3, topk_group=2, first_k_dense_replace=1,
        rope_interleave=False, num_mtp_layers=2, rope_parameters=YARN)),
    "mixtral-window-tiny": (MixtralForCausalLM, MixtralConfig(
        hidden_size=32, intermediate_size=24, num_hidden_layers=2, num_attention_heads=4,
        num_key_value_heads=2, num_local_experts=3, num_experts_per_tok=1, sliding_window=5,
        vocab_size=53, max_position_embeddings=64)),
    # One head, every expert chosen, weights that are not normalized, a dense layer between.
    "qwen3-moe-edge-tiny": (Qwen3MoeForCausalLM, Qwen3MoeConfig(
        hidden_size=16, intermediate_size=24, moe_intermediate_size=8, num_hidden_layers=3,
        num_attention_heads=1, num_key_value_heads=1, head_dim=10, num_experts=3,
        num_experts_per_tok=3, norm_topk_prob=False, mlp_only_layers=[1], vocab_size=37,
        max_position_embeddings=64)),
    # One expert.
    "mixtral-one-expert-tiny": (MixtralForCausalLM, MixtralConfig(
        hidden_size=16, intermediate_size=24, num_hidden_layers=1, num_attention_heads=1,
        num_key_value_heads=1, num_local_experts=1, num_experts_per_tok=1, vocab_size=29,
        max_position_embeddings=64)),
}


def randomize(named, generator):
    """Weights so large that attention and routing are far from even."""
    for name, value in sorted(named):
        noise = torch.randn(value.shape, generator=generator)
        if name.endswith("norm.weight"):
            value.copy_(1 + 0.2 * noise)
        elif value.dim() == 1:
            value.copy_(0.2 * noise)
        elif "embed_tokens" in name:
            value.copy_(noise)
        else:
            value.copy_(noise / math.sqrt(value.shape[-1]))


def rms_norm(x, weight, epsilon=1e-6):
    return x / torch.sqrt((x * x).mean(-1, keepdim=True) + epsilon) * weight


def rotate(x, config):
    """The two halves of the last extent, as a complex number, turned by YaRN's angle."""
    size, rope = x.shape[-1], config.rope_parameters
    pair = torch.arange(size // 2, dtype=torch.float64)
    plain = rope["rope_theta"] ** (-2 * pair / size)

    def turning(turns):
        return size * math.log(rope["original_max_position_embeddings"] / (turns * 2 * math.pi)) / (
            2 * math.log(rope["rope_theta"]))

    low = max(math.floor(turning(rope["beta_fast"])), 0)
    high = min(math.ceil(turning(rope["beta_slow"])), size - 1)
    divided = ((pair - low) / max(high - low, 0.001)).clamp(0, 1)
    angle = torch.arange(x.shape[1], dtype=torch.float64)[:, None] * (
        plain * (1 - divided) + plain / rope["factor"] * divided)
    amplitude = raised(rope["factor"], rope["mscale"]) / raised(rope["factor"], rope["mscale_all_dim"])
    turn = torch.polar(torch.full_like(angle, amplitude), angle)[None, :, None]
    turned = torch.complex(x[..., : size // 2].double(), x[..., size // 2 :].double()) * turn
    return torch.cat([turned.real, turned.imag], -1)


def raised(factor, mscale):
    return 0.1 * mscale * math.log(factor) + 1


def latent_attention(x, w, config):
    batch, length, _ = x.shape
    heads, content, rotary = config.num_attention_heads, config.qk_nope_head_dim, config.qk_rope_head_dim
    q = (x @ w["self_attn.q_proj.weight"].T).view(batch, length, heads, content + rotary)
    both = x @ w["self_attn.kv_a_proj_with_mqa.weight"].T
    latent = rms_norm(both[..., : config.kv_lora_rank], w["self_attn.kv_a_layernorm.weight"])
    shared_key = rotate(both[..., None, config.kv_lora_rank :], config)
    mapped = (latent @ w["self_attn.kv_b_proj.weight"].T).view(batch, length, heads, -1)
    scores = torch.einsum("bqhi,bkhi->bhqk", q[..., :content], mapped[..., :content])
    scores = scores + torch.einsum("bqhi,bki->bhqk", rotate(q[..., content:], config), shared_key[:, :, 0])
    mscale = raised(config.rope_parameters["factor"], config.rope_parameters["mscale_all_dim"])
    scores = scores * (mscale * mscale / math.sqrt(content + rotary))
    hidden = torch.ones(length, length).triu(1).bool()
    weights = scores.masked_fill(hidden, -math.inf).softmax(-1)
    mixed = torch.einsum("bhqk,bkhv->bqhv", weights, mapped[..., content:])
    return mixed.reshape(batch, length, -1) @ w["self_attn.o_proj.weight"].T


def gated(x, w, place):
    gate = x @ w[place + "gate_proj.weight"].T
    return (gate * gate.sigmoid() * (x @ w[place + "up_proj.weight"].T)) @ w[place + "down_proj.weight"].T


def mixture(x, w, config):
    """Token by token, expert by expert."""
    out = gated(x, w, "mlp.shared_experts.")
    size = config.n_routed_experts // config.n_group
    for place in torch.cartesian_prod(torch.arange(x.shape[0]), torch.arange(x.shape[1])):
        row = x[tuple(place)]
        scores = torch.sigmoid(w["mlp.gate.weight"] @ row)
        ranks = scores + w["mlp.gate.e_score_correction_bias"]
        groups = ranks.view(-1, size).sort(-1, descending=True).values[:, :2].sum(-1)
        kept = set(groups.topk(config.topk_group).indices.tolist())
        order = sorted((e for e in range(len(ranks)) if e // size in kept), key=lambda e: -ranks[e])
        chosen = order[: config.num_experts_per_tok]
        total = sum(scores[e] for e in chosen)
        for e in chosen:
            weight = scores[e] / total * config.routed_scaling_factor
            out[tuple(place)] += weight * gated(row, w, f"mlp.experts.{e}.")
    return out


def later_logits(ids, state, tensors, config):
    """Logits of every module. The last token of a sequence stands in for those behind it, which
    are not known: the last rows of module k are its answer to that."""
    results = []
    for module in range(1, config.num_mtp_layers + 1):
        prefix = f"model.layers.{config.num_hidden_layers + module - 1}."
        w = {n[len(prefix):]: t.double() for n, t in tensors.items() if n.startswith(prefix)}
        table = w.get("embed_tokens.weight", tensors["model.embed_tokens.weight"].double())
        head = w.get("shared_head.head.weight", tensors["lm_head.weight"].double())
        later = torch.cat([ids[:, module:], ids[:, -1:].expand(-1, module)], -1)
        joined = torch.cat([rms_norm(table[later], w["enorm.weight"]),
                            rms_norm(state, w["hnorm.weight"])], -1) @ w["eh_proj.weight"].T
        h = joined + latent_attention(rms_norm(joined, w["input_layernorm.weight"]), w, config)
        h = h + mixture(rms_norm(h, w["post_attention_layernorm.weight"]), w, config)
        state = rms_norm(h, w["shared_head.norm.weight"])
        results.append((state @ head.T).float())
    return results


def add_modules(model, tensors, generator):
    """Modules behind the last layer: the first with copies of embedding and head, as DeepSeek
    publishes it (here other numbers, so that mixing them up shows), the second without."""
    config = model.config
    last = f"model.layers.{config.num_hidden_layers - 1}."
    hidden = config.hidden_size
    for module in range(config.num_mtp_layers):
        prefix = f"model.layers.{config.num_hidden_layers + module}."
        own = {prefix + n[len(last):]: t.clone() for n, t in tensors.items() if n.startswith(last)}
        own |= {prefix + n: torch.empty(hidden) for n in
                ("enorm.weight", "hnorm.weight", "shared_head.norm.weight")}
        own[prefix + "eh_proj.weight"] = torch.empty(hidden, 2 * hidden)
        if module == 0:
            own[prefix + "embed_tokens.weight"] = torch.empty(config.vocab_size, hidden)
            own[prefix + "shared_head.head.weight"] = torch.empty(config.vocab_size, hidden)
        randomize(own.items(), generator)
        tensors |= own
    return tensors


def compare_with_transformers(folder, model, ids, state, tensors):
    """The shared module's hidden state path against transformers' own, which knows no copies of
    embedding and head: both are put into the main model, and the last rows left out."""
    from transformers.modeling_layers import MtpModel

    config = model.config
    shared = {n: t for n, t in tensors.items() if "shared_head.head" not in n
              and not ("embed_tokens" in n and "layers" in n)}
    ours = later_logits(ids, state.double(), shared, config)
    # transformers looks for layer 61 alone; told of ours, it loads them by its own names.
    theirs = MtpModel(model, config.num_mtp_layers).eval()
    names = dict(theirs.named_parameters()) | dict(theirs.named_buffers())
    for module in range(config.num_mtp_layers):
        prefix = f"model.layers.{config.num_hidden_layers + module}."
        w = {n[len(prefix):]: t for n, t in shared.items() if n.startswith(prefix)}
        experts = f"layers.{module}.mtp_block.mlp.experts."
        with torch.no_grad():
            for e in range(config.n_routed_experts):
                gate, up = (w.pop(f"mlp.experts.{e}.{p}_proj.weight") for p in ("gate", "up"))
                names[experts + "gate_up_proj"][e].copy_(torch.cat([gate, up]))
                names[experts + "down_proj"][e].copy_(w.pop(f"mlp.experts.{e}.down_proj.weight"))
            for name, tensor in w.items():
                own = name in ("enorm.weight", "hnorm.weight", "eh_proj.weight")
                place = "post_norm.weight" if name == "shared_head.norm.weight" else (
                    name if own else "mtp_block." + name)
                names[f"layers.{module}.{place}"].copy_(tensor)
    length = ids.shape[1] - config.num_mtp_layers
    hidden = state[:, :length]
    positions = torch.arange(length)[None]
    mask = torch.full((length, length), -math.inf).triu(1)[None, None]
    with torch.no_grad():
        for module, layer in enumerate(theirs.layers):
            later = ids[:, module + 1 : module + 1 + length]
            embedded = theirs.embed_tokens(later)
            hidden = layer(embedded, hidden, theirs.rotary_emb(embedded, position_ids=positions),
                           mask, positions, None)
            difference = (theirs.shared_head(hidden) - ours[module][:, :length]).abs().max()
            print(f"{folder.name}: module {module + 1} differs from transformers' by {difference:.1e}")
            assert difference < 1e-4


def make(folder, kind, config, seed):
    generator = torch.Generator().manual_seed(seed)
    config._attn_implementation = "eager"
    model = kind(config).eval()
    with torch.no_grad():
        buffers = [(n, b) for n, b in model.named_buffers() if n.endswith("e_score_correction_bias")]
        randomize([*model.named_parameters(), *buffers], generator)
    folder.mkdir(parents=True, exist_ok=True)
    model.save_pretrained(folder)
    (folder / "generation_config.json").unlink(missing_ok=True)
    tensors = load_file(folder / "model.safetensors")
    ids = torch.randint(config.vocab_size, (2, 24), generator=generator)
    with torch.no_grad():
        given = model(ids, output_hidden_states=True)
        state = model.model(ids).last_hidden_state
    expected = {"input_ids": ids, "logits": given.logits, "hidden_last": state,
                "hidden_after_layer_0": given.hidden_states[1]}
    if config.num_hidden_layers == 1:
        del expected["hidden_after_layer_0"]
    if "mtp" in folder.name:
        # What transformers' drafting hands over is the state behind the last norm.
        assert torch.equal(given.hidden_states[-1], state)
        tensors = add_modules(model, tensors, generator)
        compare_with_transformers(folder, model, ids, state, tensors)
        for module, logits in enumerate(later_logits(ids, state.double(), tensors, config)):
            expected["mtp_logits" + ("" if module == 0 else f"_{module + 1}")] = logits
        save_file(tensors, folder / "model.safetensors")
    save_file({n: t.contiguous() for n, t in expected.items()}, folder / "expected.safetensors")
    text = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps(text, indent=2) + "\n")
    print(folder.name, sum(f.stat().st_size for f in folder.iterdir()), "bytes")


if __name__ == "__main__":
    for seed, (name, (kind, config)) in enumerate(MODELS.items()):
        make(pathlib.Path(sys.argv[1]) / name, kind, config, seed)
