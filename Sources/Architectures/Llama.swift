import KaratBytes
import KaratGraphs
import KaratTensors

extension Architecture {
  /// Llama 1 to 3 (Touvron et al., 2023; Grattafiori et al., 2024) and its like, such as SmolLM.
  static let llama = Architecture(
    names: ["LlamaForCausalLM"],
    modelType: "llama",
    trace: { config throws(ConfigError) in try LlamaModel(config).trace(config) },
    isSpare: { name in
      // Old checkpoints carry the rotary table, and tied ones at times a copy of the head.
      name.text.hasSuffix("rotary_emb.inv_freq") || name == "lm_head.weight"
    }
  )
}

/// A Llama decoder as its config describes it.
struct LlamaModel {
  let vocabulary: Int
  let hidden: Int
  let feedForward: Int
  let layers: Int
  let heads: Int
  let keyValueHeads: Int
  let headSize: Int
  let epsilon: Float
  let rotation: RotationFrequencies
  let attentionBias: Bool
  let feedForwardBias: Bool
  let isHeadTied: Bool

  init(_ config: Config) throws(ConfigError) {
    vocabulary = try config.size("vocab_size")
    hidden = try config.size("hidden_size")
    feedForward = try config.size("intermediate_size")
    layers = try config.size("num_hidden_layers", atMost: Config.mostLayers)
    heads = try config.size("num_attention_heads")
    keyValueHeads = try config.size("num_key_value_heads", default: heads)
    headSize = try config.size("head_dim", default: max(hidden / heads, 1))
    epsilon = try config.positive("rms_norm_eps", default: 1e-6)
    rotation = try config.rotation()
    attentionBias = try config.flag("attention_bias", default: false)
    feedForwardBias = try config.flag("mlp_bias", default: false)
    isHeadTied = try config.flag("tie_word_embeddings", default: false)

    try config.refuse("hidden_act", unless: "silu", "swish")
    try config.refuse("partial_rotary_factor", unless: 1, 1.0)
    try config.refuse(
      "sliding_window",
      "attn_logit_softcapping",
      "final_logit_softcapping",
      "logit_scale",
      "logits_scaling",
      "embedding_multiplier",
      "residual_multiplier",
      "attention_multiplier"
    )
    guard heads % keyValueHeads == 0 else {
      throw config.fault(
        "\(heads) query heads ('num_attention_heads') cannot share \(keyValueHeads) key and value "
          + "heads ('num_key_value_heads') evenly."
      )
    }
    guard headSize % 2 == 0, headSize <= Config.largestSize / heads else {
      throw config.fault(
        "'head_dim' is \(headSize); an even number is needed for rotation, of at most "
          + "\(Config.largestSize) over all heads."
      )
    }
  }

  func trace(_ config: Config) throws(ConfigError) -> Graph {
    let tracer = Tracer()
    let w = tracer.root / "model"
    let ids = tracer.input("input_ids", ValueType(.i32, [.batch, .length]))
    let table = (w / "embed_tokens").parameter("weight", vocabulary, hidden)

    var x = ids.through(.embedding(Embedding()), table, at: w / "embed_tokens")
    for layer in 0..<layers {
      x = tracer.block(layer) { block(x, w / "layers" / "\(layer)") }
      tracer.name(x, "hidden_after_layer_\(layer)")
    }
    x = norm(x, w / "norm")
    tracer.name(x, "last_hidden_state")
    let head = tracer.root / "lm_head"
    let logits =
      isHeadTied
      ? x.through(.linear(Linear()), table, at: head)
      : linear(x, head, hidden, vocabulary)
    tracer.name(logits, "logits")

    do {
      return try tracer.finish()
    } catch {
      throw config.fault("\(error)")
    }
  }

  private func block(_ x: Value, _ w: Scope) -> Value {
    let h = x + attention(norm(x, w / "input_layernorm"), w / "self_attn")
    return h + feedForward(norm(h, w / "post_attention_layernorm"), w / "mlp")
  }

  private func norm(_ x: Value, _ w: Scope) -> Value {
    x.through(.rmsNorm(RMSNorm(epsilon: epsilon)), w.parameter("weight", hidden), at: w)
  }

  private func attention(_ x: Value, _ w: Scope) -> Value {
    let rope = Op.rope(RoPE(headSize: headSize, frequencies: rotation))
    let (wide, narrow) = (heads * headSize, keyValueHeads * headSize)
    let q = linear(x, w / "q_proj", hidden, wide, bias: attentionBias).through(rope, at: w)
    let k = linear(x, w / "k_proj", hidden, narrow, bias: attentionBias).through(rope, at: w)
    let v = linear(x, w / "v_proj", hidden, narrow, bias: attentionBias)
    let attention = Attention(
      heads: heads,
      keyValueHeads: keyValueHeads,
      scale: 1 / Float(headSize).squareRoot(),
      isCausal: true
    )
    let mixed = q.through(.attention(attention), k, v, at: w)
    return linear(mixed, w / "o_proj", wide, hidden, bias: attentionBias)
  }

  private func feedForward(_ x: Value, _ w: Scope) -> Value {
    let gate = linear(x, w / "gate_proj", hidden, feedForward, bias: feedForwardBias)
    let up = linear(x, w / "up_proj", hidden, feedForward, bias: feedForwardBias)
    let gated = gate.through(.swiglu(SwiGLU()), up, at: w)
    return linear(gated, w / "down_proj", feedForward, hidden, bias: feedForwardBias)
  }
}
