import KaratArchitectures
import KaratBytes
import KaratCheckpoints
import KaratGraphs
import KaratTensors

/// What a config.json says of a model, as GGUF's metadata say it.
struct GGUFModelDescription {
  let architecture: GGUFArchitecture
  let parameters: GGUFHyperparameters
  let blockCount: Int
  /// Rows of the embedding.
  let tokenCount: Int
  /// Whether the embedding is the head as well.
  let isHeadTied: Bool
  /// Llama 3's rotation, or nil where the model has another.
  let llama3: GGUFLlama3Rotation?
  /// The divisors of Llama 3's rotation as GGUF's tensor, or nil where there are none.
  let ropeDivisors: Tensor?
  private let linearFactor: Float?
  /// YaRN's factor and the tokens of the original context.
  private var yarn: (factor: Float, originalLength: UInt32)?

  init(_ config: Config) throws(ConfigError) {
    architecture = try Self.architecture(config)
    try config.refuse("hidden_act", unless: "silu", "swish")
    try config.refuse("partial_rotary_factor", unless: 1, 1.0)
    let contextLength = try config.size("max_position_embeddings", default: 2048)
    try Self.refuseWindow(config, shorterThan: contextLength, architecture)
    try config.refuse(
      "attn_logit_softcapping",
      "final_logit_softcapping",
      "logit_scale",
      "logits_scaling",
      "embedding_multiplier",
      "residual_multiplier",
      "attention_multiplier"
    )
    let hidden = try config.size("hidden_size")
    let heads = try config.size("num_attention_heads")
    let headSize = try config.size("head_dim", default: max(hidden / heads, 1))
    guard headSize.isMultiple(of: 2) else {
      throw config.fault("'head_dim' is \(headSize); an even number is needed.")
    }
    let rotation = try config.rotation()
    blockCount = try config.size("num_hidden_layers", atMost: Config.mostLayers)
    tokenCount = try config.size("vocab_size")
    isHeadTied = try config.flag("tie_word_embeddings", default: false)
    parameters = GGUFHyperparameters(
      blockCount: blockCount,
      contextLength: contextLength,
      hiddenSize: hidden,
      intermediateSize: try config.size("intermediate_size"),
      headCount: heads,
      keyValueHeadCount: try config.size("num_key_value_heads", default: heads),
      headSize: headSize,
      normEpsilon: try config.positive("rms_norm_eps", default: 1e-6),
      ropeBase: rotation.base
    )
    switch rotation.scaling {
    case nil:
      (llama3, ropeDivisors, linearFactor) = (nil, nil, nil)
    case .linear(let factor):
      (llama3, ropeDivisors, linearFactor) = (nil, nil, factor)
    case .llama3(let factor, let low, let high, let length):
      guard UInt32(exactly: length) != nil, low < high else {
        throw config.fault(
          "the rotation has the bounds \(low) and \(high) and \(length) original tokens; bounds that"
            + " ascend and a whole number of tokens are needed."
        )
      }
      let llama3 = GGUFLlama3Rotation(
        factor: Double(factor),
        lowFactor: Double(low),
        highFactor: Double(high),
        originalLength: Double(length)
      )
      let divisors = llama3.divisors(base: Double(rotation.base), headSize: headSize)
      self.llama3 = llama3
      ropeDivisors = Tensor(divisors.map(Float.init))
      linearFactor = nil
    case .yarn(factor: let factor, fast: 32, slow: 1, originalLength: let length, isTruncated: true)
    where rotation.amplitude == Float(RotationFrequencies.yarnAmplitude(factor: factor))
      && UInt32(exactly: length) != nil:
      (llama3, ropeDivisors, linearFactor) = (nil, nil, nil)
      yarn = (factor, UInt32(length))
    case .yarn:
      throw ConfigError(
        file: config.file,
        "the rotary scaling 'yarn' is written as GGUF with the method's own bounds, 32 and 1, and the "
          + "amplitude that follows from the factor; this config has others.",
        isUnsupported: true
      )
    }
  }

  /// The keys and values of the hyper-parameters.
  var metadata: [(key: String, value: GGUFValue)] {
    let name = architecture.name
    var values = parameters.metadata(name)
    values.append(("\(name).vocab_size", .uint32(UInt32(tokenCount))))
    values += llama3?.metadata(name) ?? []
    if let linearFactor {
      values.append(("\(name).rope.scaling.type", .string("linear")))
      values.append(("\(name).rope.scaling.factor", .float32(linearFactor)))
    }
    if let yarn {
      values.append(("\(name).rope.scaling.type", .string("yarn")))
      values.append(("\(name).rope.scaling.factor", .float32(yarn.factor)))
      values.append(
        ("\(name).rope.scaling.original_context_length", .uint32(yarn.originalLength))
      )
    }
    return values
  }

  /// Refuses windows that fill up within the context: readers of these families see all tokens.
  private static func refuseWindow(
    _ config: Config,
    shorterThan contextLength: Int,
    _ architecture: GGUFArchitecture
  ) throws(ConfigError) {
    guard try config.flag("use_sliding_window", default: true) else { return }
    let window = try config.size(
      "sliding_window",
      default: contextLength,
      whereAbsent: architecture.className == "MistralForCausalLM" ? 4096 : contextLength
    )
    guard window < contextLength else { return }
    throw ConfigError(
      file: config.file,
      "layers see \(window) tokens ('sliding_window') of \(contextLength); programs that read GGUF see "
        + "all of this family's, so they would compute something else.",
      isUnsupported: true
    )
  }

  private static func architecture(_ config: Config) throws(ConfigError) -> GGUFArchitecture {
    let classes = config.object["architectures"]?.array?.compactMap(\.string) ?? []
    let modelType = try config.text("model_type")
    let found = GGUFArchitecture.all.first { architecture in
      classes.isEmpty ? architecture.name == modelType : classes.contains(architecture.className)
    }
    guard let found else {
      throw ConfigError(
        file: config.file,
        "the architecture '\(classes.first ?? modelType ?? "not named")' is not written as GGUF."
          + " Supported: \(GGUFArchitecture.all.map(\.className).joined(separator: ", ")).",
        isUnsupported: true
      )
    }
    return found
  }
}
