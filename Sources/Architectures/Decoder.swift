import KaratBytes
package import KaratGraphs
package import KaratTensors

/// What decoders share, whatever their blocks hold: an embedding, blocks that add attention and a
/// feed-forward layer to a residual stream, a norm, and a head that may be the embedding again.
///
/// A family says how attention and feed-forward layers are traced; both are given the normalized
/// stream [batch, length, hidden], the block's place in the checkpoint (`model.layers.7`) and its
/// number, and give what is added to the stream.
package struct Decoder {
  package typealias Sublayer = (_ x: Value, _ block: Scope, _ layer: Int) -> Value

  /// A whole block: the stream before it gives the stream behind it.
  package typealias Block = Sublayer

  /// What layers behind a decoder may read of it.
  package struct Trunk {
    package let tracer: Tracer
    /// Token ids [batch, length].
    package let ids: Value
    /// The embedding [vocabulary, hidden].
    package let table: Value
    /// The stream behind the last norm [batch, length, hidden].
    package let state: Value
    /// The logits that the decoder's head gives for a state.
    package let head: (Value) -> Value

    /// The root of the checkpoint's names.
    package var root: Scope { tracer.root }
  }

  package let vocabulary: Int
  package let hidden: Int
  package let layers: Int
  package let epsilon: Float
  /// Whether the embedding is the head too.
  package let isHeadTied: Bool

  /// Reads what configs of all decoders say.
  ///
  /// - Throws: `ConfigError` also where keys of other families ask for what is not computed here.
  package init(_ config: Config, epsilon: Float = 1e-6) throws(ConfigError) {
    vocabulary = try config.size("vocab_size")
    hidden = try config.size("hidden_size")
    layers = try config.size("num_hidden_layers", atMost: Config.mostLayers)
    self.epsilon = try config.positive("rms_norm_eps", default: epsilon)
    isHeadTied = try config.flag("tie_word_embeddings", default: false)
    try config.refuse(
      "attn_logit_softcapping",
      "final_logit_softcapping",
      "logit_scale",
      "logits_scaling",
      "embedding_multiplier",
      "residual_multiplier",
      "attention_multiplier",
      "attention_chunk_size",
      "no_rope_layers",
      "clip_qkv"
    )
    try config.refuse("is_causal", unless: true)
    try config.refuse("use_bidirectional_attention", unless: false)
  }

  /// Traces the model.
  ///
  /// - Parameters:
  ///   - config: what it is made from, for messages.
  ///   - attention: traces a block's attention.
  ///   - feedForward: traces a block's feed-forward layer.
  ///   - behind: traces what reads the decoder's values, such as layers that predict further tokens.
  /// - Returns: a graph that names `hidden_after_layer_N`, `last_hidden_state` and `logits`.
  /// - Throws: `ConfigError` where values do not fit together.
  package func trace(
    _ config: Config,
    attention: @escaping Sublayer,
    feedForward: @escaping Sublayer,
    behind: (Trunk, Block) -> Void = { _, _ in }
  ) throws(ConfigError) -> Graph {
    let tracer = Tracer()
    let w = tracer.root / "model"
    let ids = tracer.input("input_ids", ValueType(.i32, [.batch, .length]))
    let table = (w / "embed_tokens").parameter("weight", vocabulary, hidden)

    var x = ids.through(.embedding(Embedding()), table, at: w / "embed_tokens")
    let block: Block = { x, block, layer in
      let h = x + attention(norm(x, block / "input_layernorm"), block, layer)
      return h + feedForward(norm(h, block / "post_attention_layernorm"), block, layer)
    }
    for layer in 0..<layers {
      x = tracer.block(layer) { block(x, w / "layers" / "\(layer)", layer) }
      tracer.name(x, Graph.stateName(behindLayer: layer))
    }
    x = norm(x, w / "norm")
    tracer.name(x, "last_hidden_state")
    let place = tracer.root / "lm_head"
    let head = { (state: Value) in
      isHeadTied
        ? state.through(.linear(Linear()), table, at: place)
        : linear(state, place, hidden, vocabulary)
    }
    tracer.name(head(x), "logits")
    behind(Trunk(tracer: tracer, ids: ids, table: table, state: x, head: head), block)
    return try tracer.graph(of: config)
  }

  /// x normalized by `weight` at a place of the checkpoint.
  func norm(_ x: Value, _ w: Scope) -> Value {
    x.through(.rmsNorm(RMSNorm(epsilon: epsilon)), w.parameter("weight", hidden), at: w)
  }

  /// Whether a tensor may lie in a decoder's checkpoint without being read: old ones carry the
  /// rotary table, and tied ones at times a copy of the head.
  package static func isSpare(_ name: TensorName) -> Bool {
    name.text.hasSuffix("rotary_emb.inv_freq") || name == "lm_head.weight"
  }
}

extension Tracer {
  /// The graph of what was traced; a fault is the config's.
  package func graph(of config: Config) throws(ConfigError) -> Graph {
    do {
      return try finish()
    } catch {
      throw config.fault("\(error)")
    }
  }
}
