public import KaratArchitectures
public import KaratBytes
import KaratCheckpoints
public import KaratGraphs
import KaratTensors
public import KaratTokenizers

/// A model from disk, ready to run: its graph, parameters, config and tokenizer.
public struct LoadedModel: Sendable {
  /// The file or folder that it came from, as the user named it.
  public let path: String
  /// What it computes, and where its parameters come from.
  public var model: Model
  /// Its config.json, or the one that a GGUF's metadata amounts to.
  public var config: JSONObject
  /// Its family.
  public internal(set) var architecture: Architecture
  /// The files that travel with it: tokenizer, generation settings, licence.
  public internal(set) var companions: Companions
  /// The bytes of its tensors on disk.
  public internal(set) var byteCount: Int
  /// The files that hold it, for a record of what was read.
  public let inputFiles: [String]

  /// Opens a model: a Hugging Face folder, a safetensors file with a config.json beside it, or a
  /// GGUF file.
  ///
  /// Reads names, types and shapes, and the scales of quantized activations; the parameters are
  /// pulled when they are needed. Weights of 8-bit floats with a scale for each block are numbers
  /// then; activations stay in floating point.
  ///
  /// - Throws: `CheckpointError`, `ConfigError` or `GraphError` where it cannot be run: something
  ///   is missing, does not fit, is not used, or is not supported.
  public static func open(_ path: String) throws -> LoadedModel {
    try LoadedModel(try ModelFiles.open(path))
  }

  init(_ files: ModelFiles) throws {
    guard let config = files.config else {
      throw CheckpointError(
        .missing,
        file: files.configPath,
        "the config that says how the tensors are put together is not there. Put the model's "
          + "config.json beside the checkpoint."
      )
    }
    let architecture = try Architecture.named(by: config, file: files.configPath)
    var source = files.source.withPresentNames().withSingleExperts()
    let reader = Config(
      config,
      file: files.configPath,
      tensors: source.manifest,
      sentenceEmbedding: try files.companions.sentenceEmbedding()
    )
    var graph = try architecture.trace(reader)
    if try config.isBlockScaled(file: files.configPath) {
      source = try source.decompressed(config: config, file: files.path)
    } else if let quantization = try QuantizationConfig(config, file: files.configPath) {
      graph = try quantization.applied(to: graph, source: source, file: files.path)
    }
    try graph.check(
      against: source.manifest,
      file: files.path,
      isSpare: architecture.isSpare
    )
    self.path = files.path
    self.model = Model(graph: graph, source: source)
    self.byteCount = files.source.manifest.totalBytes
    self.config = config
    self.architecture = architecture
    self.companions = files.companions
    self.inputFiles = files.inputFiles
  }

  /// How many tokens the model was made for at most, or nil where nothing says so.
  public var maximumLength: Int? {
    let own = config["max_position_embeddings"]?.int.flatMap { $0 > 0 ? $0 : nil }
    return [own, companions.maximumSentenceLength].compactMap(\.self).min()
  }

  /// Whether it gives one vector for each text, instead of probabilities of the next token.
  public var isEncoder: Bool { model.graph.isEncoder }

  /// Whether layers of it multiply codes, or weights that are codes.
  public var isQuantized: Bool {
    model.graph.nodes.contains { node in
      switch node.op {
      case .integerLinear, .dequantize: true
      default: false
      }
    }
  }

  /// The tokens that end a text, as config.json or generation_config.json say.
  public var stopTokens: Set<Int32> {
    func ids(_ value: JSONValue?) -> [Int] {
      value?.int.map { [$0] } ?? value?.array?.compactMap(\.int) ?? []
    }
    let own = ids(config["eos_token_id"])
    return Set(
      (own + ids(companions.generationConfig?["eos_token_id"])).compactMap(Int32.init(exactly:))
    )
  }

  /// The model's tokenizer.
  ///
  /// - Throws: `TokenizerError` where it breaks a rule or is not supported, `CheckpointError` where
  ///   there is none.
  public func tokenizer() throws -> Tokenizer { try companions.tokenizer(of: path) }
}
