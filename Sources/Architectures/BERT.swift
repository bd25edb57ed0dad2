import KaratBytes
import KaratGraphs
import KaratKernels
import KaratTensors

extension Architecture {
  /// BERT (Devlin et al., 2018) and the sentence encoders made of it, such as MiniLM.
  ///
  /// What a checkpoint holds beyond the encoder, for the tasks of pre-training, is not run.
  static let bert = Architecture(
    names: ["BertModel", "BertForMaskedLM", "BertForPreTraining"],
    modelType: "bert",
    trace: { config throws(ConfigError) in try BERT(config).trace(config) },
    isSpare: { name in
      name.text.hasSuffix("embeddings.position_ids") || name.text.hasPrefix("cls.")
    }
  )
}

/// A BERT encoder as its config describes it.
struct BERT {
  let vocabulary: Int
  let positions: Int
  let types: Int
  let hidden: Int
  let intermediate: Int
  let layers: Int
  let heads: Int
  let epsilon: Float
  let activation: ActivationKind

  init(_ config: Config) throws(ConfigError) {
    vocabulary = try config.size("vocab_size", default: 30522)
    positions = try config.size("max_position_embeddings", default: 512)
    types = try config.size("type_vocab_size", default: 2)
    hidden = try config.size("hidden_size", default: 768)
    intermediate = try config.size("intermediate_size", default: 3072)
    layers =
      config.isPresent("num_hidden_layers")
      ? try config.size("num_hidden_layers", atMost: Config.mostLayers) : 12
    heads = try config.size("num_attention_heads", default: 12)
    epsilon = try config.positive("layer_norm_eps", default: 1e-12)
    activation = try config.activation("hidden_act", default: .gelu)
    try config.refuse("is_decoder", "add_cross_attention", unless: false)
    try config.refuse("position_embedding_type", unless: "absolute")
    guard hidden % heads == 0 else {
      throw config.fault(
        "'hidden_size' is \(hidden), which \(heads) heads ('num_attention_heads') cannot share "
          + "evenly."
      )
    }
  }

  func trace(_ config: Config) throws(ConfigError) -> Graph {
    let tracer = Tracer()
    let ids = tracer.input("input_ids", ValueType(.i32, [.batch, .length]))
    let mask = tracer.input("attention_mask", ValueType(.i32, [.batch, .length]))
    let typeIDs = tracer.input("token_type_ids", ValueType(.i32, [.batch, .length]))
    let isPrefixed = config.holds("bert.embeddings.word_embeddings.weight")
    let root = isPrefixed ? tracer.root / "bert" : tracer.root

    let w = root / "embeddings"
    let words = embedding(ids, w / "word_embeddings", rows: vocabulary, features: hidden)
    let kinds = embedding(typeIDs, w / "token_type_embeddings", rows: types, features: hidden)
    let places = embedding(
      ids.through(.positions(Positions()), at: w),
      w / "position_embeddings",
      rows: positions,
      features: hidden
    )
    var x = norm(words + kinds + places, w / "LayerNorm")
    for layer in 0..<layers {
      x = tracer.block(layer) { block(x, mask, root / "encoder" / "layer" / "\(layer)") }
      tracer.name(x, Graph.stateName(behindLayer: layer))
    }
    tracer.name(x, "last_hidden_state")
    let pooler = root / "pooler" / "dense"
    if config.holds(pooler.path / "weight") {
      let first = x.through(.firstToken(FirstToken()), at: root / "pooler")
      let pooled = linear(first, pooler, hidden, hidden, bias: true)
      tracer.name(
        pooled.through(.activation(Activation(.tanh)), at: root / "pooler"),
        "pooler_output"
      )
    }
    tracer.name(config.sentenceEmbedding.trace(x, mask, at: tracer.root), "sentence_embedding")
    return try tracer.graph(of: config)
  }

  private func block(_ x: Value, _ mask: Value, _ w: Scope) -> Value {
    let h = norm(x + attention(x, mask, w / "attention"), w / "attention" / "output" / "LayerNorm")
    return norm(h + feedForward(h, w), w / "output" / "LayerNorm")
  }

  private func attention(_ x: Value, _ mask: Value, _ w: Scope) -> Value {
    let (q, k, v) = (
      linear(x, w / "self" / "query", hidden, hidden, bias: true),
      linear(x, w / "self" / "key", hidden, hidden, bias: true),
      linear(x, w / "self" / "value", hidden, hidden, bias: true)
    )
    let attention = Attention(
      heads: heads,
      keyValueHeads: heads,
      scale: 1 / Float(hidden / heads).squareRoot(),
      isCausal: false
    )
    let mixed = q.through(.attention(attention), k, v, mask, at: w / "self")
    return linear(mixed, w / "output" / "dense", hidden, hidden, bias: true)
  }

  private func feedForward(_ x: Value, _ w: Scope) -> Value {
    let wide = linear(x, w / "intermediate" / "dense", hidden, intermediate, bias: true)
    let active = wide.through(.activation(Activation(activation)), at: w / "intermediate")
    return linear(active, w / "output" / "dense", intermediate, hidden, bias: true)
  }

  private func norm(_ x: Value, _ w: Scope) -> Value {
    x.through(
      .layerNorm(LayerNorm(epsilon: epsilon)),
      w.parameter("weight", hidden),
      w.parameter("bias", hidden),
      at: w
    )
  }
}

extension Config {
  /// An activation by the name that transformers gives it.
  func activation(_ key: String, default other: ActivationKind) throws(ConfigError)
    -> ActivationKind
  {
    switch try text(key) {
    case nil: return other
    case "gelu", "gelu_python": return .gelu
    case "gelu_new", "gelu_pytorch_tanh", "gelu_fast": return .geluTanh
    case "relu": return .relu
    case "silu", "swish": return .silu
    default:
      try refuse(key)
      return other
    }
  }
}
